"""Figure: probability that a block k deep is undone, against k.

Notation (docs/science/race.md, "From risk to confirmations"):
    k           depth, blocks
    ties win    the adversary needs to draw level; strict: to get ahead. What counts as
                a violation, not which block a prover adopts: that is the one it saw
                first

The curve is the grid's, carried on beyond the depths that were asked for by the depths
that are safe for 1e-9 and 2^-40; what a simulation counted stands beside it as points,
which must not lie above. A straight line on this axis is a violation probability that
decays exponentially.
Closed forms for the memoryless chain stand beside the measured one: its exact private
race, what no attack exceeds, and Nakamoto's approximation. What bounds it from below,
and the race of the same share, are in the table only: lines so close are no help.
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MaxNLocator

from .parts.carried_on import SAFE_DEPTH, carried_on
from .parts.criterion import STRICT
from .parts.legends import add_legend
from .parts.probabilities import draw_points
from .parts.tables import Tables, read_points
from .style import new_figure, styled

_TABLE_ONLY = ("memoryless, same share", ": lower bound")
_LABELS = {
    "persistence_violation": "ties win (equal length)",
    "persistence_violation_strict": "strict (longer chain)",
}
_SIMULATED = {
    "persistence_simulated": "ties win, simulated",
    "persistence_simulated_strict": "strict, simulated",
}
# Bars of simulated points that can be told apart.
_POINTS = 10


def data(tables: Tables) -> pd.DataFrame:
    """Violation probabilities with 95 % intervals, and the exact references.

    Args:
        tables: ``estimates`` and, if there are any, ``references``.

    Returns:
        quantity, label, layer ("curve", "estimate", "reference"), at (depth k, blocks),
        value, low, high. Without simulated rows beside it, the curve is an estimate.

    Raises:
        ValueError: If ``estimates`` is missing, empty or has no violation probability.
    """
    df = read_points(tables, _LABELS)
    estimates = tables["estimates"]
    if estimates["quantity"].isin(list(_SIMULATED)).to_numpy().any():
        mine = df["layer"].eq("estimate")
        curve = df.loc[mine].assign(layer="curve")
        beside = _some(read_points({"estimates": estimates}, _SIMULATED))
        parts = [curve, _carried_on(estimates, curve), beside, df.loc[~mine]]
        df = pd.concat([part for part in parts if len(part)], ignore_index=True)
    unseen = df["layer"].eq("reference") & df["label"].str.endswith(_TABLE_ONLY)
    return df.loc[~unseen].reset_index(drop=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Measured points with intervals, unseen violations as upper limits."""
    figure = new_figure(2.2)
    axes = figure.add_subplot()
    handles, labels, title = draw_points(
        figure, axes, df, scale="log", limit_label="none seen: 95 % upper limit"
    )
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    # Within two decades a lone power of ten would leave the axis without a scale.
    few = LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(2, 0.5))
    axes.yaxis.set_minor_formatter(few)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlim(left=0)
    axes.set_xlabel("Depth $k$ (blocks)")
    axes.set_ylabel("Pr[violation at depth $k$]")
    add_legend(figure, handles, labels, title=title)
    return figure


def _carried_on(estimates: pd.DataFrame, curve: pd.DataFrame) -> pd.DataFrame:
    """The curves at the depths that are safe for a risk, each by its criterion."""
    parts = []
    for name, label in _LABELS.items():
        mine = curve.loc[curve["quantity"] == name].sort_values("at")
        safe = SAFE_DEPTH + (STRICT if name.endswith(STRICT) else "")
        further = carried_on(estimates, mine, safe)
        parts.append(further.assign(quantity=name, label=label, layer="curve"))
    return pd.concat([part for part in parts if len(part)] or parts[:1])


def _some(points: pd.DataFrame) -> pd.DataFrame:
    """Of simulated points at very many depths a few, the first and evenly on."""
    step = max(1, round(points["at"].nunique() / _POINTS))
    return points.loc[(points["at"] - points["at"].min()) % step == 0]
