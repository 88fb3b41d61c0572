"""Figure: where a deviation pays, by reward rule and post-hash lottery.

Table ``deviations`` (``dpodl rational``): deviation, rule, p_2, value, low, high (gain
of income, a share of the honest one), pays (yes, no, perhaps; empty where refused).
"""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..parts.legends import add_legend
from ..parts.tables import Tables, table, where
from ..style import BASELINE, look, new_figure, styled

_COLUMNS = ("deviation", "rule", "p_2", "value", "low", "high", "pays")
_NAMES = {
    "hoard": "hoard, one slot",
    "hoard_slots": "hoard, several slots",
    "fresh": "refer to nothing",
    "skip": "skip verification",
    "pad": "train on for a look",
    "cheap": "twice the cheap steps",
    "grind": "grind the pre-hash",
    "identities": "two identities",
    "pool": "pool two provers",
}
_MARKS = {"yes": ("s", "full"), "perhaps": ("s", "left"), "no": ("o", "none")}


def data(tables: Tables) -> pd.DataFrame:
    """Every deviation, rule and lottery, with what it gains.

    Args:
        tables: ``deviations``.

    Returns:
        deviation, label, rule, tries (1/p_2), value, low, high, pays; what was refused
        is left out.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
    """
    rows = table(tables, "deviations", _COLUMNS).dropna(subset=["value"])
    labels = [_NAMES.get(str(each), str(each)) for each in rows["deviation"]]
    return rows.assign(label=labels, tries=1 / rows["p_2"]).reset_index(drop=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """One row a deviation, one mark a rule and lottery: filled where it pays."""
    labels = list(dict.fromkeys(df["label"]))
    rules = list(dict.fromkeys(df["rule"]))
    figure = new_figure(0.9 + 0.3 * max(len(labels), 3))
    axes = figure.subplots()
    for index, rule in enumerate(rules):
        style, shift = look(index), 0.6 * ((index + 0.5) / len(rules) - 0.5)
        for row in where(df, "rule", rule).to_dict("records"):
            marker, fill = _MARKS[str(row["pays"])]
            axes.plot(
                row["tries"],
                len(labels) - 1 - labels.index(row["label"]) - shift,
                marker=marker,
                fillstyle=fill,  # pyright: ignore[reportArgumentType]
                color=style.color,
                markersize=3.5,
                linestyle="none",
            )
    for place in range(len(labels) - 1):
        axes.axhline(place + 0.5, color="0.85", linewidth=0.5)
    axes.set_xscale("log", base=2)
    axes.set_yticks(range(len(labels)), labels[::-1])
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.grid(visible=False)
    axes.set_xlabel("Post-hash tickets a block, 1/p₂")
    handles = [
        Line2D([], [], color=look(i).color, marker="s", linestyle="none")
        for i in range(len(rules))
    ]
    said = {"yes": "pays", "perhaps": "not decided", "no": "does not pay"}
    for name, words in said.items():
        marker, fill = _MARKS[name]
        handles.append(
            Line2D(
                [],
                [],
                color=BASELINE.color,
                marker=marker,
                fillstyle=fill,  # pyright: ignore[reportArgumentType]
                linestyle="none",
            )
        )
        rules.append(words)
    title = "one deviator; interval 95 %, of the training runs"
    add_legend(figure, handles, rules, title=title)
    return figure
