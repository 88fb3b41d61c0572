"""Figure: rules by how far they let intervals stray, over the best's.

Table ``ranking`` (``experiments.questions.feedback``): law, rule, score (geometric mean
over scenarios of the mean |E[X]/T − 1| over the best rule's), rank.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..parts.legends import add_legend
from ..parts.tables import Tables, table, where
from ..style import look, new_figure, styled

TABLE = "ranking"


def data(tables: Tables) -> pd.DataFrame:
    """Scores by law and rule, the config's best rule first.

    Args:
        tables: ``ranking``.

    Raises:
        ValueError: If a column is missing.
    """
    rows = table(tables, TABLE, ("law", "rule", "score", "rank"))
    order = list(where(rows, "law", "curves").sort_values("score")["rule"])
    found = rows.assign(place=[order.index(rule) for rule in rows["rule"]])
    columns = ["law", "rule", "score", "rank", "place"]
    return found.sort_values(["place", "law"], ignore_index=True).loc[:, columns]


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A row a rule; a mark for each law."""
    rules = list(dict.fromkeys(df["rule"]))
    figure = new_figure(0.2 * len(rules) + 0.7)
    axes = figure.subplots()
    handles, labels = [], []
    for index, law in enumerate(dict.fromkeys(df["law"])):
        rows, style = where(df, "law", law), look(index)
        axes.plot(
            rows["score"],
            rows["place"],
            color=style.color,
            marker=style.marker,
            linestyle="",
        )
        handles.append(
            Line2D([], [], color=style.color, marker=style.marker, linestyle="")
        )
        labels.append(law)
    axes.set_yticks(np.arange(len(rules)), rules)
    axes.invert_yaxis()
    axes.set_xlabel("Distance over the best's")
    axes.grid(axis="y", linewidth=0.3)
    add_legend(figure, handles, labels, title="all scenarios, geometric mean")
    return figure
