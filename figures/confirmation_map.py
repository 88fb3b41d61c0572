"""Figure: confirmations that a risk takes over two parameters of a sweep.

The talk's "parameter adjustment is hard", as a payee sees it: how long one waits for
each (T_acc, T_1, T_2), and against which adversary and network.

Notation (analysis/confirmations/depths.py):
    k*(ε)   smallest depth with Pr[violation] ≤ ε against a private chain without a
            head start
    β, Δ    corrupted share, delay bound
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .parts.criterion import CRITERION, by_criterion, ties
from .parts.maps import Scale, add_keys, draw_map
from .parts.needs import Lacking
from .parts.parameters import (
    Parameter,
    first_of,
    parameter,
    parameter_of,
    read_sweep,
    slice_of,
    swept,
)
from .parts.tables import Tables
from .style import new_figure, styled

_DEPTH, _UNSAFE = "safe_depth", "unsafe_depth"
_PAIRS = (
    ("scheme.t_acc", "scheme.t_2"),
    ("scheme.t_1", "scheme.t_2"),
    ("network.beta", "network.delay_steps"),
)
# A slice of fewer points is no map: of a design that fills ranges all are shown.
_LEAST_POINTS = 4
# Of 7 points beside one another, across a map.
_CHARACTERS = 36


def data(tables: Tables) -> pd.DataFrame:
    """Confirmations over each of the pairs (T_acc, T_2), (T_1, T_2) and (β, Δ).

    Args:
        tables: ``points``.

    Returns:
        ``across`` and ``along`` (the parameters), ``x`` and ``y`` (their values),
        ``fixed`` (what else the slice has), point, refused, at (ε), asked (whether it
        is the verdict's), value, low, high (blocks; infinite where no depth is safe),
        ``criterion`` (``security.criterion``).
        A point that is refused has a row with NaN there. If none of the pairs is
        swept, the first two parameters that are.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If fewer than two parameters are swept, or no point has a number.
    """
    rows = read_sweep(by_criterion(tables), (_DEPTH, _UNSAFE))
    targets = rows.loc[rows["quantity"] == _UNSAFE, "at"].dropna()
    rows = rows.loc[rows["quantity"] != _UNSAFE]
    depths = rows.loc[rows["quantity"] == _DEPTH, "at"]
    if depths.empty:
        raise Lacking(f"no point has a number for {_DEPTH}")
    asked = float(targets.max() if len(targets) else depths.max())
    names = swept(rows)
    if len(names) < 2:
        raise Lacking(f"a map needs two swept parameters, got {len(names)}")
    pairs = [pair for pair in _PAIRS if set(pair) <= set(names)]
    pairs = pairs or [tuple(first_of(names, ())[:2])]
    parts = [_slice(rows, *pair) for pair in pairs]
    tidy = pd.concat(parts, ignore_index=True)
    return tidy.assign(asked=tidy["at"] == asked)


def _slice(rows: pd.DataFrame, across: str, along: str) -> pd.DataFrame:
    some, fixed = slice_of(rows, [across, along])
    if len(set(some["point"])) < _LEAST_POINTS < len(set(rows["point"])):
        others = [name for name in swept(rows) if name not in (across, along)]
        some = rows
        fixed = ", ".join(parameter(rows, each).short for each in others) + " vary"
    some = some.assign(criterion=some[CRITERION])
    columns = ["point", across, along, "criterion"]
    heads = some.drop_duplicates("point").loc[:, columns]
    places = some.loc[~some["refused"], ["at"]].drop_duplicates()
    numbers = some[["point", "at", "value", "low", "high"]]
    whole = heads.merge(places, how="cross").merge(
        numbers, on=["point", "at"], how="left"
    )
    tidy = whole.rename(columns={across: "x", along: "y"}).assign(
        refused=whole["value"].isna(), across=across, along=along, fixed=fixed
    )
    columns = ["across", "along", "fixed", "point", "refused", "x", "y"]
    columns += ["at", "value", "low", "high", "criterion"]
    return tidy.loc[:, columns].sort_values(["at", "point"], ignore_index=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A map for each pair at the verdict's target; of one pair also at the rarest."""
    groups: list[Any] = list(df.groupby(["across", "along"], sort=False))
    panels = [(rows, _target(rows)) for _, rows in groups]
    if len(panels) == 1:
        ((rows, first),) = panels
        rarest = float(rows["at"].min())
        panels += [(rows, rarest)] if rarest < first else []
    grids = [
        (parameter_of(rows, "across", "x"), parameter_of(rows, "along", "y"))
        for rows, _ in panels
    ]
    heights = [min(max(len(y.values), 4), 8) for _, y in grids]
    figure = new_figure(sum(0.95 + 0.28 * height for height in heights))
    ratios = {"height_ratios": heights}
    drawn = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw=ratios)
    shown, rooms = [], []
    for axes, (rows, target), (x, y) in zip(drawn[:, 0], panels, grids, strict=True):
        some = rows.loc[rows["at"] == target]
        shown.append(some)
        known = some["value"].to_numpy(float)
        known = known[np.isfinite(known)]
        if not len(known):
            raise Lacking(
                f"no depth is shown safe at any point for a risk of {target:g}"
            )
        ends = float(known.min()), float(known.max())
        if ends[0] == ends[1]:
            ends = ends[0] / 2, 2 * ends[0]
        scale = Scale("blocks", *ends, log=True)
        rooms.append(_have_room(some, x))
        words = _with_ends if rooms[-1] else _alone
        image = draw_map(axes, x, y, some, scale, words=words)
        bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=14)
        bar.set_label(f"Confirmations, {ties(some)}")
        bar.outline.set_linewidth(0.4)
        _few_ticks(bar, *ends)
        fixed = str(rows["fixed"].iloc[0])
        axes.set_title(
            f"Pr[violation] ≤ {_risk(target)}" + (f", {fixed}" if fixed else ""),
            fontsize=7,
        )
    x, y = grids[0]
    add_keys(
        figure,
        x,
        y,
        pd.concat(shown),
        title=f"Without a head start; {_said(rooms)}",
        never="none shown safe",
    )
    return figure


def _said(rooms: Sequence[bool]) -> str:
    """Where the intervals are."""
    if all(rooms):
        return "below each number its 95 % interval"
    if any(rooms):
        return "95 % interval where there is room"
    return "95 % intervals are in the table"


def _target(rows: pd.DataFrame) -> float:
    asked = rows.loc[rows["asked"], "at"].to_numpy(float)
    return float(asked[0]) if len(asked) else float(rows["at"].to_numpy(float).max())


def _risk(target: float) -> str:
    """A risk as a power, of two where it is one."""
    for base in (10, 2):
        power = np.log(target) / np.log(base)
        if abs(power - round(power)) < 1e-9:
            return f"${base}^{{{round(power)}}}$"
    return f"{target:g}"


def _with_ends(each: dict) -> str:
    return f"{_short(each['value'])}\n{_ends(each)}"


def _alone(each: dict) -> str:
    return _short(each["value"])


def _ends(each: dict) -> str:
    return f"{_short(each['low'])}–{_short(each['high'])}"


def _short(depth: float) -> str:
    if not np.isfinite(depth):
        return "∞"
    return f"{depth:.0f}" if depth < 1e5 else f"{depth / 1000:.0f}k"


def _have_room(rows: pd.DataFrame, x: Parameter) -> bool:
    """Whether every cell has room for its interval."""
    known: Any = rows.loc[np.isfinite(rows["value"])]
    longest = max((len(_ends(each)) for each in known.to_dict("records")), default=0)
    return longest * len(x.values) <= _CHARACTERS


def _few_ticks(bar: Any, low: float, high: float) -> None:
    """The ends of the colours, and what lies between them evenly."""
    ticks = sorted({round(each) for each in np.geomspace(low, high, 4)})
    bar.set_ticks(ticks, labels=[f"{each:d}" for each in ticks])
    bar.minorticks_off()
