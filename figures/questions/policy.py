"""Figure: where to wait, publish and give in, over the ages of both sides' work.

Table ``policy``: a, h (blocks of the private and of the public branch since the fork),
x, y (lower end of a cell, age of honest and of own work), action (wait, adopt,
override), honest_mean, own_mean (mean block times of both groups, the ages' yardstick).

Each panel is one pair (a, h). Ages grow along the diagonal; the policy stops waiting
where the diagonal enters a coloured region. Publishing at a large honest age is what
destroys most: *just-in-time* publication. A panel without a region waits whatever the
ages are.
"""

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..parts.legends import add_legend
from ..parts.tables import Tables, table
from ..style import look, new_figure, styled

_ACTIONS = ("wait", "adopt", "override")
_WORDS = ("wait", "give in", "publish")
PAIRS = ((0, 1), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1))
"""Branches that are shown, as far as the table has them."""


def data(tables: Tables) -> pd.DataFrame:
    """Cells of the pairs that are shown, ages in mean honest block times.

    Args:
        tables: ``policy``.

    Returns:
        Columns a, h, x, y, action.

    Raises:
        ValueError: If a column is missing or an action is unknown.
    """
    columns = ("a", "h", "x", "y", "action", "honest_mean")
    rows = table(tables, "policy", columns)
    strange = sorted(set(rows["action"]) - set(_ACTIONS))
    if strange:
        raise ValueError(f"policy: actions are {_ACTIONS}, got {strange}")
    shown = [pair in PAIRS for pair in zip(rows["a"], rows["h"], strict=True)]
    df = rows.loc[shown, ["a", "h", "x", "y", "action"]].reset_index(drop=True)
    scale = rows["honest_mean"].iloc[0]
    return df.assign(x=df["x"] / scale, y=df["y"] / scale)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A panel for each pair of branches; colour is the action."""
    there = set(zip(df["a"], df["h"], strict=True))
    pairs = [pair for pair in PAIRS if pair in there]
    figure = new_figure(3.6)
    axes = figure.subplots(2, 3, sharex=True, sharey=True, squeeze=False).ravel()
    colours = ["0.93", look(1).color, look(0).color]
    for axis, (a, h) in zip(axes, pairs, strict=False):
        mine = df.loc[(df["a"] == a) & (df["h"] == h)]
        codes = mine.assign(code=[_ACTIONS.index(each) for each in mine["action"]])
        grid = codes.pivot(index="y", columns="x", values="code").sort_index()
        width = float(np.diff(grid.columns)[0])
        edges = np.append(grid.columns, grid.columns[-1] + width)
        axis.pcolormesh(
            edges,
            edges,
            grid.to_numpy(),
            cmap=ListedColormap(colours),
            vmin=-0.5,
            vmax=2.5,
            rasterized=True,
        )
        axis.set_title(f"{a} private, {h} public", fontsize="small")
    for axis in axes[len(pairs) :]:
        axis.set_axis_off()
    figure.supxlabel("Age of honest work (mean honest block times)", fontsize="small")
    figure.supylabel("Age of the adversary's own work", fontsize="small")
    add_legend(
        figure,
        [Patch(color=each) for each in colours],
        list(_WORDS),
        title="best withholding",
    )
    return figure
