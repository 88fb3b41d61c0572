"""Figure: what each rule leaves of a wave of provers, by the wave's period.

Table ``gains`` (``experiments.questions.feedback``): law, rule, period, value, low,
high (simulated, of a wave of a tenth), linear (the rule's transfer function). 1: the
interval goes as if there were no rule; more: the rule makes it worse.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..parts.legends import add_legend
from ..parts.series import draw_bars
from ..parts.tables import Tables, table, where
from ..style import BASELINE, look, new_figure, styled

TABLE = "gains"
_MOST_RULES = 7
_NOT_SHOWN = ("epoch", "steps")


def data(tables: Tables) -> pd.DataFrame:
    """What is left of a wave, by law, rule and period.

    Args:
        tables: ``gains``.

    Raises:
        ValueError: If a column is missing.
    """
    columns = ("law", "rule", "period", "value", "low", "high", "linear")
    rows = table(tables, TABLE, columns)
    rules = list(dict.fromkeys(rows["rule"]))
    if len(rules) > _MOST_RULES:
        rules = [each for each in rules if each not in _NOT_SHOWN][:_MOST_RULES]
    kept = rows.loc[rows["rule"].isin(rules), list(columns)]
    return kept.sort_values(["law", "rule", "period"], ignore_index=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A panel a law: bars are simulated, lines are transfer functions."""
    laws = list(dict.fromkeys(df["law"]))
    figure = new_figure(1.7 * len(laws) + 0.3)
    panels = np.atleast_1d(figure.subplots(len(laws), 1, sharex=True, sharey=True))
    handles = {}
    for axes, law in zip(panels, laws, strict=True):
        axes.axhline(1.0, color=BASELINE.color, linewidth=0.6)
        part = where(df, "law", law)
        for index, rule in enumerate(dict.fromkeys(df["rule"])):
            rows, style = where(part, "rule", rule), look(index)
            # Beside one another: many rules leave the same.
            places = rows["period"] * 1.05 ** (index - 3)
            draw_bars(axes, places, rows, style, linestyle="", markersize=3)
            axes.plot(
                rows["period"],
                rows["linear"],
                color=style.color,
                linestyle=style.dashes,
                linewidth=0.8,
                marker="",
            )
            handles[rule] = Line2D(
                [],
                [],
                color=style.color,
                linestyle=style.dashes,  # pyright: ignore[reportArgumentType]
                marker=style.marker,
            )
        axes.set_title(law, fontsize=7, pad=2, loc="left")
        axes.set_ylabel("Left of a wave")
        axes.set_xscale("log", base=2)
    most = np.nanmax(df[["high", "linear"]].to_numpy(float))
    panels[0].set_ylim(0.0, 1.05 * most)
    panels[-1].set_xlabel("Period, blocks")
    title = "bars: simulated, 95 %; lines: transfer functions"
    add_legend(figure, list(handles.values()), list(handles), title=title)
    return figure
