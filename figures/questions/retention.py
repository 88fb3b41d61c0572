"""Figure: how long an answer takes against the share of checkpoints that is kept.

Tables ``answers`` and ``deadlines`` (``dpodl retention``): kind, kept (share of the
leaves), worst_seconds, mean_seconds; deadline_seconds.
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..parts.legends import add_legend
from ..parts.tables import Tables, table, where
from ..style import BASELINE, look, new_figure, styled

_NAMES = {
    "leaf": "a leaf",
    "rerun": "a leaf, and the next segment run",
    "successor": "a leaf and the next",
}


def data(tables: Tables) -> pd.DataFrame:
    """Seconds of the worst and of the mean answer, and the least deadline.

    Args:
        tables: ``answers``, ``deadlines``.

    Returns:
        kind, label, kept, worst, mean (seconds), deadline (the least, seconds).

    Raises:
        ValueError: If a table is missing, empty or lacks a column.
    """
    columns = ("kind", "kept", "worst_seconds", "mean_seconds")
    rows = table(tables, "answers", columns)
    deadlines = table(tables, "deadlines", ("deadline_seconds",))
    least = min(map(float, deadlines["deadline_seconds"]))
    labels = [_NAMES.get(str(each), str(each)) for each in rows["kind"]]
    rows = rows.rename(columns={"worst_seconds": "worst", "mean_seconds": "mean"})
    return rows.assign(label=labels, deadline=least)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """One line a kind of answer, its mean dotted; across, the least deadline."""
    figure = new_figure(2.4)
    axes = figure.subplots()
    handles, labels = [], []
    for index, label in enumerate(dict.fromkeys(df["label"])):
        rows, style = where(df, "label", label).sort_values("kept"), look(index)
        for column, dashes in (("worst", style.dashes), ("mean", ":")):
            shown = rows[rows[column] > 0]
            axes.plot(
                shown["kept"],
                shown[column],
                color=style.color,
                linestyle=dashes,
                marker=style.marker,
                markersize=3,
            )
        handles.append(Line2D([], [], color=style.color, marker=style.marker))
        labels.append(str(label))
    deadline = float(df["deadline"].iloc[0])
    axes.axhline(deadline, color=BASELINE.color, linewidth=0.7)
    handles.append(Line2D([], [], color=BASELINE.color, linewidth=0.7))
    labels.append(f"a deadline of {deadline:g} s")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("Share of a block's checkpoints that is kept")
    axes.set_ylabel("Seconds of an answer")
    title = "of the leaf that takes longest; dotted: of a uniform leaf"
    add_legend(figure, handles, labels, title=title)
    return figure
