"""Figure: what rules make of a change, block by block.

Table ``responses`` (``experiments.questions.feedback``): law, rule, scenario, blocks
(since the event), value, low, high (mean expected interval, in T). One panel for each
scenario, of the config's curves.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..parts.legends import add_legend
from ..parts.tables import Tables, table, where
from ..style import BASELINE, look, new_figure, styled

TABLE = "responses"
_MOST_RULES = 7
_NOT_SHOWN = ("epoch", "steps")


def data(tables: Tables) -> pd.DataFrame:
    """Responses on the config's curves, of rules that differ.

    Args:
        tables: ``responses``.

    Returns:
        Columns rule, scenario, blocks, value, low, high.

    Raises:
        ValueError: If a column is missing.
    """
    columns = ("law", "rule", "scenario", "blocks", "value", "low", "high")
    rows = where(table(tables, TABLE, columns), "law", "curves")
    rules = list(dict.fromkeys(rows["rule"]))
    if len(rules) > _MOST_RULES:
        # Under steady work a step clock is ASERT's, and both epochs look alike.
        rules = [each for each in rules if each not in _NOT_SHOWN][:_MOST_RULES]
    kept = rows.loc[rows["rule"].isin(rules)]
    return kept[list(columns[1:])].reset_index(drop=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """A panel a scenario; the interval that is wanted as a line."""
    scenarios = list(dict.fromkeys(df["scenario"]))
    figure = new_figure(1.25 * len(scenarios) + 0.5)
    panels = np.atleast_1d(figure.subplots(len(scenarios), 1, sharex=True))
    handles = {}
    for axes, scenario in zip(panels, scenarios, strict=True):
        axes.axhline(1.0, color=BASELINE.color, linewidth=0.6)
        part = where(df, "scenario", scenario)
        for index, rule in enumerate(dict.fromkeys(df["rule"])):
            rows = where(part, "rule", rule)
            style = look(index)
            (handles[rule],) = axes.plot(
                rows["blocks"],
                rows["value"],
                color=style.color,
                linestyle=style.dashes,
                marker="",
                linewidth=1.0,
            )
        axes.set_title(scenario, fontsize=7, pad=2, loc="left")
        axes.set_ylabel("E[X] / T")
    panels[-1].set_xlabel("Blocks since the change")
    title = "mean over chains, at one sd at constant power"
    add_legend(figure, list(handles.values()), list(handles), title=title)
    return figure
