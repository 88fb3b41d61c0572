"""Figure: the largest adversary that the chain is safe from, over T_acc and p_2.

Notation (analysis/race/threshold.py)
    β*      share at which the private race has no drift: the withheld chain of more
            provers than that overtakes for good
    T_acc   accuracy that a block's model must reach
    p_2     chance that a look at such a model passes the post-hash

Table ``thresholds`` (``threshold_map``): t_acc, p_2, beta, low, high;
NaN where the training runs support no law. Its provers and delay_steps are said if it
has them.
"""

import pandas as pd
from matplotlib.figure import Figure

from .parts.maps import Scale, add_keys, draw_map
from .parts.needs import Lacking
from .parts.parameters import parameter
from .parts.series import with_fixed
from .parts.tables import Tables, table
from .style import new_figure, styled

_COLUMNS = ("t_acc", "p_2", "beta", "low", "high")
_NAMES = {"t_acc": "scheme.t_acc", "p_2": "p_2"}


def data(tables: Tables) -> pd.DataFrame:
    """β* over accuracy and lottery.

    Args:
        tables: ``thresholds``.

    Returns:
        x (T_acc), y (p_2), value, low, high (β*, a share); NaN where refused; fixed.

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no setting has a threshold.
    """
    rows = table(tables, "thresholds", _COLUMNS)
    if rows["beta"].isna().to_numpy().all():
        raise Lacking("no setting of the table thresholds has a number")
    names = {"t_acc": "x", "p_2": "y", "beta": "value"}
    said = {"provers": "$n$ = {:g}", "delay_steps": r"$\Delta$ = {:g} steps"}
    given = tables["thresholds"]
    fixed = [text.format(given[c].iloc[0]) for c, text in said.items() if c in given]
    tidy = rows.rename(columns=names).assign(fixed=", ".join(fixed))
    return tidy.loc[:, ["x", "y", "value", "low", "high", "fixed"]]


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """One map; a share of ½ is the most that any delay leaves."""
    x = parameter(df.rename(columns={"x": _NAMES["t_acc"]}), _NAMES["t_acc"])
    y = parameter(df.rename(columns={"y": _NAMES["p_2"]}), _NAMES["p_2"])
    figure = new_figure(0.75 + 0.28 * min(max(len(y.values), 4), 8))
    axes = figure.add_subplot()
    known = df["value"].dropna().to_numpy(float)
    scale = Scale("share", float(known.min()), float(known.max()))
    drawn = draw_map(axes, x, y, df, scale)
    bar = figure.colorbar(drawn, ax=axes, pad=0.02, aspect=16)
    bar.set_label(r"Largest safe share $\beta^*$")
    bar.outline.set_linewidth(0.4)
    add_keys(
        figure, x, y, df, title=with_fixed("$\\pm$: half of the 95 % interval", df)
    )
    return figure
