"""Figure: the risk at each depth in tiers, an attack's and bounds on everybody's.

Notation (docs/science/any-adversary.md)
    k           confirmations, the block of the transaction included
    attack      the private chain with a head start, the best attack that was found
    bounds      on what any adversary can do: conditional on one tree being enough, and
                proved

All are of one criterion, a block of a level that is named beforehand. The true risk of
the worst adversary lies between the attack and the proved bound. A bound that is drawn
ends where nothing is seen any more.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from .parts.legends import add_legend
from .parts.needs import Lacking
from .parts.tables import Tables, table
from .style import look, new_figure, styled

_COLUMNS = ("tier", "grade", "depth", "value", "low", "high")
_SAID = {
    "attack": "private chain, the best attack found",
    "conditional": "any adversary (conditional bound)",
    "proved": "any adversary (proved bound)",
}
_LEAST = 1e-6


def data(tables: Tables) -> pd.DataFrame:
    """Risks by depth and tier, those that are known.

    Args:
        tables: ``tier_risks``.

    Returns:
        tier, grade, depth (blocks), value, low, high (probabilities).

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no risk is known at any depth.
    """
    rows = table(tables, "tier_risks", _COLUMNS)
    known = rows.loc[rows["value"].notna(), list(_COLUMNS)]
    if known.empty:
        raise Lacking("no tier has a risk at any depth")
    return known.sort_values(["grade", "depth"], ignore_index=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A curve in its band for each tier, on a logarithmic axis."""
    figure = new_figure(2.2)
    axes = figure.add_subplot()
    handles, labels = [], []
    for index, (grade, said) in enumerate(_SAID.items()):
        rows = df.loc[df["grade"] == grade]
        if rows.empty:
            continue
        style = look(index)
        depth, value, low, high = (
            rows[name].to_numpy(float) for name in ("depth", "value", "low", "high")
        )
        lows = np.maximum(low, _LEAST / 100)
        axes.fill_between(depth, lows, high, color=style.color, alpha=0.2, linewidth=0)
        # Nothing seen: what is left is the error that the draws are allowed.
        seen = (value > 0) & ~((low >= value) & (high > value))
        handles += axes.plot(depth[seen], value[seen], color=style.color, linewidth=1.1)
        labels.append(said)
    axes.set_yscale("log")
    least = df.loc[df["value"] > 0, "value"].to_numpy(float)
    axes.set_ylim(max(_LEAST, 0.5 * float(least.min(initial=1.0))), 1.3)
    axes.set_xlim(0, float(df["depth"].to_numpy(float).max()))
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Confirmations $k$")
    axes.set_ylabel("Pr[violation at depth $k$]")
    title = "head start, a level named beforehand; bands: 95 % interval"
    add_legend(figure, handles, labels, title=title)
    return figure
