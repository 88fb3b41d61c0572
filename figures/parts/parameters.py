"""A sweep's points for figures: which parameters are swept, how their axis reads.

Notation:
    point       one setting of the parameters; a row of a design
    swept       a parameter with more than one value among the points
    slice       the points that share one value of each parameter but some

T_1 and p_1 = (T_1 + 1)/2^λ are one parameter in two units, T_2 and p_2 likewise: where
both are swept, the target stands for both.
"""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .needs import Lacking
from .tables import OF_A_QUANTITY, Tables, table

NUMBERS = ("quantity", "at", "value", "low", "high")
_NOT_PARAMETERS = {"point", "status", "error", *OF_A_QUANTITY}
_TWINS = {"p_1": "scheme.t_1", "p_2": "scheme.t_2"}
# Parameter → words, symbol, unit.
_WORDS = {
    "scheme.t_acc": ("Accuracy target", "$T_{acc}$", ""),
    "scheme.t_1": ("Pre-hash target", "$T_1$", ""),
    "scheme.t_2": ("Post-hash target", "$T_2$", ""),
    "p_1": ("Pre-hash chance", "$p_1$", ""),
    "p_2": ("Post-hash chance", "$p_2$", ""),
    "network.beta": ("Corrupted share", r"$\beta$", ""),
    "network.delay_steps": ("Delay bound", r"$\Delta$", "steps"),
    "network.provers": ("Provers", "$n$", ""),
    "clock.hashes_per_step": ("Hashes a step", "", ""),
    "security.epsilon": ("Tolerance", r"$\epsilon$", ""),
}


class Parameter(NamedTuple):
    """A parameter and how its axis reads.

    Attributes:
        name: Its column.
        label: Words, symbol and unit.
        short: Symbol, or its name.
        unit: Unit, or empty.
        values: What it takes, in order.
        places: Where they stand on an axis.
        texts: What they are called.
        scale: Axis scale of the places: "linear" or "log"; powers of two and texts
            stand on a linear one.
    """

    name: str
    label: str
    short: str
    unit: str
    values: tuple
    places: np.ndarray
    texts: tuple[str, ...]
    scale: str

    def text(self, value: object) -> str:
        """``symbol = value unit``."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.short} = {self.texts[self.values.index(value)]}{unit}"


def read_sweep(tables: Tables, quantities: Iterable[str]) -> pd.DataFrame:
    """The rows of some quantities, and one row for each point that has none of them.

    Args:
        tables: ``points``.
        quantities: Which.

    Returns:
        point, refused (whether the point has no row of these quantities), error, the
        parameters, quantity, at, value, low, high. A point without a number is no
        point that is absent: figures show it.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no point has any of the quantities.
    """
    columns = tables["points"].columns if "points" in tables else ()
    names = [name for name in columns if name not in _NOT_PARAMETERS]
    rows = table(tables, "points", ("point", "status", "error", *names, *NUMBERS))
    wanted = list(quantities)
    found = rows.loc[rows["quantity"].isin(wanted) & rows["value"].notna()]
    if found.empty:
        raise Lacking(f"no point has a number for {' or '.join(wanted)}")
    rest = rows.loc[~rows["point"].isin(found["point"].unique().tolist())]
    rest = rest.drop_duplicates("point").assign(
        quantity="", **dict.fromkeys(NUMBERS[1:], np.nan)
    )
    parts = [found.assign(refused=False), rest.assign(refused=True)]
    tidy = pd.concat([part for part in parts if len(part)], ignore_index=True)
    numbers = {name: tidy[name].astype(float) for name in NUMBERS[1:]}
    kept = ["point", "refused", "error", *names, *NUMBERS]
    error = tidy["error"].astype(object).where(tidy["error"].notna(), "")
    return tidy.assign(**numbers, error=error).loc[:, kept]


def swept(rows: pd.DataFrame) -> list[str]:
    """The parameters with more than one value, in the order of the columns."""
    own = {*_NOT_PARAMETERS, "refused"}
    names = [
        c for c in rows.columns if c not in own and len(rows[c].dropna().unique()) > 1
    ]
    return [n for n in names if _TWINS.get(n) not in names]


def first_of(names: Sequence[str], preferred: Sequence[str]) -> list[str]:
    """Names, the preferred ones first."""
    return sorted(
        names, key=lambda n: preferred.index(n) if n in preferred else len(preferred)
    )


def parameter(rows: pd.DataFrame, name: str) -> Parameter:
    """The values of a parameter and their axis."""
    words, symbol, unit = _WORDS.get(name, (name, "", ""))
    label = f"{words} {symbol}".strip() + (f" ({unit})" if unit else "")
    given = rows[name].dropna().unique().tolist()
    powers = [_power_of_two(value) for value in given]
    if given and all(math.isfinite(p) for p in powers):
        values = tuple(v for _, v in sorted(zip(powers, given, strict=True)))
        places = np.array(sorted(powers))
        texts, scale = tuple(f"$2^{{{p:g}}}$" for p in places), "linear"
    elif all(isinstance(v, int | float) for v in given):
        values = tuple(sorted(given))
        places = np.array(values, float)
        texts = tuple(_number(name, value) for value in places)
        wide = len(places) > 0 and 0 < 20 * places[0] <= places[-1]
        scale = "log" if wide or _geometric(places) else "linear"
    else:
        values = tuple(sorted(given, key=str))
        places = np.arange(len(values), dtype=float)
        texts, scale = tuple(map(str, values)), "linear"
    short = symbol or name.rpartition(".")[2]
    return Parameter(
        name=name,
        label=label,
        short=short,
        unit=unit,
        values=values,
        places=places,
        texts=texts,
        scale=scale,
    )


def parameter_of(df: pd.DataFrame, named: str, values: str) -> Parameter:
    """The parameter that a figure's column ``named`` names; ``values`` has its values.

    An empty name stands for one series of all.
    """
    name = str(df[named].iloc[0])
    return parameter(pd.DataFrame({name: df[values]}), name)


def slice_of(rows: pd.DataFrame, free: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """One slice in which only the free parameters change, and what is fixed in it.

    Of all slices the one with most points that have numbers; of equals the one in the
    middle of the others' values, where a figure is least about an edge.

    Returns:
        Its rows, and "symbol = value" of each parameter that is swept elsewhere.
    """
    others = [name for name in swept(rows) if name not in free]
    if not others:
        return rows, ""
    grids = [parameter(rows, name) for name in others]
    heads = rows.drop_duplicates("point")

    def rank(group: Any) -> tuple[float, float]:
        key, some = group
        middle = sum(
            abs(grid.values.index(value) - (len(grid.values) - 1) / 2)
            for grid, value in zip(grids, key, strict=True)
        )
        return -float((~some["refused"].to_numpy(bool)).sum()), middle

    groups: list[Any] = list(heads.groupby(others))
    if not groups:
        raise Lacking(f"no point has a value for each of {', '.join(others)}")
    key, _ = min(groups, key=rank)
    chosen = np.ones(len(rows), bool)
    for name, value in zip(others, key, strict=True):
        chosen &= (rows[name] == value).to_numpy()
    said = [grid.text(value) for grid, value in zip(grids, key, strict=True)]
    return rows.loc[chosen].reset_index(drop=True), ", ".join(said)


def few(values: Sequence, most: int) -> list:
    """At most so many of some values, evenly from first to last."""
    if len(values) <= most:
        return list(values)
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, most)]


def _number(name: str, value: float) -> str:
    power = math.log2(value) if name in _TWINS and value > 0 else math.nan
    if power < -2 and abs(power - round(power)) < 1e-9:
        return f"$2^{{{round(power)}}}$"
    return f"{value:.4g}"


def _geometric(places: np.ndarray) -> bool:
    """Whether values stand more evenly as ratios: 2^-6, 2^-4, 2^-2, 1."""
    if len(places) < 3 or places[0] <= 0:
        return False
    return bool(np.ptp(np.diff(np.log(places))) < 1e-6 < np.ptp(np.diff(places)))


def _power_of_two(value: object) -> float:
    found = re.fullmatch(r"2\^(-?[\d.]+)", str(value))
    return float(found[1]) if found else math.nan
