"""Figure: blocks of one fast machine against its compute, by post-hash and speed.

Table ``domination`` (``analysis.effects.memorylessness.fast_machine``): quantity,
speed, at (p_2), value, low, high.
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..parts.legends import add_legend
from ..parts.series import draw_bars
from ..parts.tables import Tables, table, where
from ..style import look, new_figure, styled


def data(tables: Tables) -> pd.DataFrame:
    """Block share of each machine by 1/p_2, with its share of the compute.

    Args:
        tables: ``domination``.

    Returns:
        Columns speed, tries (1/p_2), value, low, high, compute.

    Raises:
        ValueError: If a column is missing.
    """
    columns = ("quantity", "speed", "at", "value", "low", "high")
    rows = table(tables, "domination", columns)
    compute = where(rows, "quantity", "compute_share")
    shares = dict(zip(compute["speed"], compute["value"], strict=True))
    found = where(rows, "quantity", "block_share")
    found = found.assign(
        tries=1 / found["at"], compute=[shares[v] for v in found["speed"]]
    )
    return found.sort_values(["speed", "tries"], ignore_index=True).drop(
        columns=["quantity", "at"]
    )


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """One line a speed; thin in the same colour, the share of the compute."""
    figure = new_figure(2.4)
    axes = figure.subplots()
    handles, labels = [], []
    for index, speed in enumerate(sorted(df["speed"].unique(), reverse=True)):
        rows = where(df, "speed", speed)
        style = look(index)
        handles.append(draw_bars(axes, rows["tries"], rows, style))
        labels.append(f"{speed:g}× machine, {rows['compute'].iloc[0]:.0%} of compute")
        axes.plot(
            rows["tries"],
            rows["compute"],
            color=style.color,
            linestyle="-",
            linewidth=0.6,
        )
    handles.append(Line2D([], [], color="0.35", linestyle="-", linewidth=0.6))
    labels.append("share of the compute")
    axes.set_xscale("log", base=2)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("Post-hash tickets a block, 1/p₂")
    axes.set_ylabel("Share of the blocks")
    add_legend(figure, handles, labels, title="bars: 95 %, runs and extrapolation")
    return figure
