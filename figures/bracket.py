"""Figure: the largest corrupted share at each depth, from above and from below.

Notation (docs/science/any-adversary.md)
    β, k        corrupted share; confirmations
    above       the share from which on a private chain with a head start succeeds more
                often than the target allows: the best attack that was found
    below       the share up to which nobody does: a bound

Both are of one criterion. Between the two nothing is known; what holds at any depth, a
threshold of each, stands as a line across.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .parts.legends import add_legend
from .parts.needs import Lacking
from .parts.tables import Tables, table
from .style import look, new_figure, styled

_COLUMNS = ("tier", "grade", "depth", "target", "beta", "low", "high", "refusal")
_SAID = {
    "attack": "an attack succeeds above",
    "conditional": "nobody succeeds below (conditional)",
    "proved": "nobody succeeds below (proved)",
}


def data(tables: Tables) -> pd.DataFrame:
    """Shares by depth and tier, those that are known.

    Args:
        tables: ``bracket``.

    Returns:
        tier, grade, depth (blocks; NaN: any depth), target, beta, low, high.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no share is known at any depth.
    """
    rows = table(tables, "bracket", _COLUMNS)
    known = rows.loc[rows["beta"].notna(), list(_COLUMNS[:-1])]
    if not known["depth"].notna().to_numpy().any():
        raise Lacking("no share is known at any number of confirmations")
    return known.sort_values(["grade", "depth"], ignore_index=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Two curves with bands, what is between them, and lines for any depth."""
    figure = new_figure(2.2)
    axes = figure.add_subplot()
    handles, labels = [], []
    at_depth = df.loc[df["depth"].notna()]
    ever = df.loc[df["depth"].isna()]
    for index, grade in enumerate(("attack", "conditional")):
        rows = at_depth.loc[at_depth["grade"] == grade]
        if rows.empty:
            continue
        style = look(index)
        depth, low, high = (rows[c].to_numpy(float) for c in ("depth", "low", "high"))
        axes.fill_between(depth, low, high, color=style.color, alpha=0.2, linewidth=0)
        handles += axes.plot(
            depth,
            rows["beta"].to_numpy(float),
            color=style.color,
            marker=style.marker,
            markersize=3,
            linewidth=1.0,
        )
        labels.append(_SAID[grade])
    for index, grade in enumerate(("attack", "proved")):
        rows = ever.loc[ever["grade"] == grade]
        if rows.empty:
            continue
        style = look(index)
        beta = float(rows["beta"].iloc[0])
        line = axes.axhline(beta, color=style.color, linestyle="--", linewidth=0.8)
        handles.append(line)
        labels.append(f"any depth: {_SAID[grade]}")
    top = float(np.nanmax(df["high"].to_numpy(float)))
    axes.set_ylim(0, min(1.0, 1.08 * top))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Confirmations $k$")
    axes.set_ylabel(r"Corrupted share $\beta$")
    target = float(at_depth["target"].iloc[0])
    title = f"head start, risk {target:g}; bands: 95 % interval"
    add_legend(figure, handles, labels, title=title)
    return figure
