"""Figure: probability of a good period over two parameters of a sweep.

The talk's "parameter adjustment is hard": which (T_acc, T_1, T_2) make bad periods
rare. Where (T_1, T_2) are swept the map is over them, else over (T_acc, T_2), else over
the first two that are.

Notation (SLT23 §5, Definition 3; docs/science/good-periods.md):
    kp      expected honest blocks in a window of k rounds
    good    X, Y and Z of the window all within ε of what is expected
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .parts.maps import Scale, add_keys, draw_map, half_width
from .parts.needs import Lacking
from .parts.parameters import first_of, parameter_of, read_sweep, slice_of, swept
from .parts.series import with_fixed
from .parts.tables import Tables, where
from .style import new_figure, styled

_PANELS = {
    "good_period": "Pr[window good]",
    "good_period_all": "Pr[all windows good]",
}
_PAIRS = (
    ("scheme.t_1", "scheme.t_2"),
    ("scheme.t_acc", "scheme.t_2"),
    ("scheme.t_acc", "scheme.t_1"),
    ("network.beta", "network.delay_steps"),
)


def data(tables: Tables) -> pd.DataFrame:
    """Good-period probabilities over two parameters, at each window length.

    Args:
        tables: ``points``.

    Returns:
        ``across`` and ``along`` (the parameters), ``x`` and ``y`` (their values),
        ``fixed`` (what else the slice has), point, refused, quantity, at (kp), value,
        low, high. A point that is refused, or has no number at a length (its horizon
        is too short), has a row with NaN there.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If fewer than two parameters are swept, or no point has a number.
    """
    rows = read_sweep(tables, _PANELS)
    names = swept(rows)
    if len(names) < 2:
        raise Lacking(f"a map needs two swept parameters, got {len(names)}")
    pairs = (pair for pair in _PAIRS if set(pair) <= set(names))
    across, along = next(pairs, tuple(first_of(names, ())[:2]))
    rows, fixed = slice_of(rows, [across, along])
    places = rows.loc[~rows["refused"], ["quantity", "at"]].drop_duplicates()
    heads = rows.drop_duplicates("point").loc[:, ["point", across, along]]
    whole = heads.merge(places, how="cross").merge(
        rows[["point", "quantity", "at", "value", "low", "high"]],
        on=["point", "quantity", "at"],
        how="left",
    )
    tidy = whole.rename(columns={across: "x", along: "y"}).assign(
        refused=whole["value"].isna(), across=across, along=along, fixed=fixed
    )
    columns = ["across", "along", "fixed", "point", "refused", "x", "y"]
    columns += ["quantity", "at", "value", "low", "high"]
    return tidy.loc[:, columns].sort_values(
        ["quantity", "at", "point"], ignore_index=True
    )


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A map for single windows and one for all, each where it varies most."""
    x = parameter_of(df, "across", "x")
    y = parameter_of(df, "along", "y")
    shown = [
        (words, _telling(where(df, "quantity", name)))
        for name, words in _PANELS.items()
        if name in set(df["quantity"])
    ]
    rows = min(max(len(y.values), 4), 8)
    figure = new_figure((0.7 + 0.28 * rows) * len(shown))
    panels = np.atleast_1d(np.asarray(figure.subplots(len(shown), 1, sharex=True)))
    for axes, (words, some) in zip(panels, shown, strict=True):
        known = some["value"].dropna().to_numpy(float)
        ends = float(known.min()), float(known.max())
        # Equal numbers have one colour, of the whole range.
        scale = Scale("probability", *(ends if ends[0] < ends[1] else (0.0, 1.0)))
        drawn = draw_map(axes, x, y, some, scale)
        bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=14)
        bar.outline.set_linewidth(0.4)
        at = float(some["at"].iloc[0])
        axes.set_title(
            f"{words}, $kp$ = {at:g}: ±{half_width(some):.1g} at most", fontsize=7
        )
        if axes is not panels[-1]:
            axes.set_xlabel("")
    title = with_fixed("$\\pm$: half of the 95 % interval", df)
    add_keys(figure, x, y, pd.concat([some for _, some in shown]), title=title)
    return figure


def _telling(rows: pd.DataFrame) -> pd.DataFrame:
    """The window length at which points differ most, measured in their intervals.

    At the others all or none is good, or chance is most of the difference. Lengths that
    some points do not have come last.
    """
    by = rows.assign(wide=rows["high"] - rows["low"]).groupby("at")
    mean: Any = by["wide"].mean()
    noise = mean.clip(lower=1e-12)
    spread = (by["value"].std().fillna(0.0) / noise).fillna(0.0)
    rank = pd.DataFrame({"known": by["value"].count(), "spread": spread})
    best = rank.sort_values(["known", "spread"], ascending=False).index[0]
    return where(rows, "at", best)
