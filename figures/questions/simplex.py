"""Figure: where a crowd of three policies goes, on the simplex of their shares.

Table ``simplex`` (``dpodl rational``): rule, start, round, and the share of each of
three policies along a path of the replicator equation.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..parts.tables import Tables, table
from ..style import look, new_figure, styled

_HEAD = ("rule", "start", "round")


def data(tables: Tables) -> pd.DataFrame:
    """Paths in the plane: the first policy's corner left, the second's right.

    Args:
        tables: ``simplex``.

    Returns:
        rule, start, round, x, y, and first, second, third: the policies' names.

    Raises:
        ValueError: If the table is missing or empty, or has not three policies.
    """
    rows = table(tables, "simplex", _HEAD)
    whole = tables["simplex"].reset_index(drop=True)
    names = [name for name in whole.columns if name not in _HEAD]
    if len(names) != 3:
        raise ValueError(f"table 'simplex' must have three policies, got {names}")
    second, third = (whole[name].to_numpy(float) for name in names[1:])
    places = {"x": second + third / 2, "y": np.sqrt(0.75) * third}
    said = dict(zip(("first", "second", "third"), names, strict=True))
    return rows.assign(**places, **said)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """One line a path, with a dot where it ends."""
    figure = new_figure(2.9)
    axes = figure.subplots()
    top = np.sqrt(0.75)
    axes.plot([0, 1, 0.5, 0], [0, 0, top, 0], color="0.35", linewidth=0.6)
    for _, path in df.groupby("start"):
        path = path.sort_values("round")
        x, y = path["x"].to_numpy(float), path["y"].to_numpy(float)
        axes.plot(x, y, color=look(0).color, linewidth=0.7)
        if len(x) > 2:
            middle = len(x) // 3
            axes.annotate(
                "",
                (x[middle + 1], y[middle + 1]),
                (x[middle], y[middle]),
                arrowprops={"arrowstyle": "->", "color": look(0).color, "lw": 0.7},
            )
        axes.plot(x[-1], y[-1], "o", color=look(1).color, markersize=4)
    corners = {"first": (0, 0), "second": (1, 0), "third": (0.5, top)}
    for name, (x, y) in corners.items():
        below = y == 0
        axes.annotate(
            str(df[name].iloc[0]),
            (x, y),
            xytext=(0, -10 if below else 4),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(f"rewards: {df['rule'].iloc[0]}; dots: where paths end", fontsize=7)
    return figure
