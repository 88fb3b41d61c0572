"""Figure: how far from memoryless one prover and the network are, and the price.

Table ``memorylessness`` (``analysis.effects.memorylessness``): quantity, at (p_2),
value, low, high. Above the coefficients of variation, below β*.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..parts.legends import add_legend
from ..parts.series import draw_bars
from ..parts.tables import Tables, table, where
from ..style import BASELINE, look, new_figure, styled

_LABELS = {
    "cv_prover": "CV, one prover",
    "cv_network": "CV, fastest honest",
    "threshold": "safe share β*",
}


def data(tables: Tables) -> pd.DataFrame:
    """CVs and β* by 1/p_2.

    Args:
        tables: ``memorylessness``.

    Returns:
        Columns quantity, label, tries (1/p_2), value, low, high, memoryless (what the
        quantity is for memoryless provers).

    Raises:
        ValueError: If a column is missing.
    """
    columns = ("quantity", "at", "value", "low", "high")
    rows = table(tables, "memorylessness", columns)
    lost = where(rows, "quantity", "margin_lost").set_index("at")["value"]
    rows = rows.loc[rows["quantity"].isin(list(_LABELS))]
    margin = rows["at"].map(lost).to_numpy(float) + rows["value"].to_numpy(float)
    found = rows.assign(
        label=rows["quantity"].map(_LABELS),
        tries=1 / rows["at"],
        memoryless=np.where(rows["quantity"] == "threshold", margin, 1.0),
    )
    return found.sort_values(["quantity", "tries"], ignore_index=True).drop(
        columns="at"
    )


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """CVs above, β* below; the memoryless value of each as a line."""
    figure = new_figure(3.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    handles, labels = [], []
    for index, (quantity, label) in enumerate(_LABELS.items()):
        rows = where(df, "quantity", quantity)
        if rows.empty:
            continue
        axes = lower if quantity == "threshold" else upper
        style = look(index)
        handles.append(draw_bars(axes, rows["tries"], rows, style))
        labels.append(label)
        axes.plot(
            rows["tries"],
            rows["memoryless"],
            color=BASELINE.color,
            linestyle=":",
            linewidth=0.9,
        )
    handles.append(Line2D([], [], color=BASELINE.color, linestyle=":", linewidth=0.9))
    labels.append("memoryless provers")
    upper.set_ylim(bottom=0)
    upper.set_ylabel("CV of block time")
    lower.set_ylabel("Safe share β*")
    lower.set_xscale("log", base=2)
    lower.set_xlabel("Post-hash tickets a block, 1/p₂")
    add_legend(figure, handles, labels, title="bars: 95 %, runs and extrapolation")
    return figure
