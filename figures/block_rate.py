"""Figure: how steady the chain's block rate is, over a sweep.

The talk's "stable rate with enough randomness": the mean interval says how often a
block comes, the CV how regular that is. 1 is proof-of-work's, 0 would be a clock, whose
next winner is known beforehand.

Notation (docs/science/laws.md, "The network under a law"):
    interval    time between two blocks of the public chain under the delay Δ, steps
    CV          its standard deviation / mean; 1 for an exponential law
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .parts.legends import add_legend
from .parts.needs import Lacking
from .parts.parameters import (
    few,
    first_of,
    parameter,
    parameter_of,
    read_sweep,
    slice_of,
    swept,
)
from .parts.series import (
    REFUSED,
    SERIES,
    draw_refused,
    draw_series,
    number_axis,
    sample,
    set_parameter_axis,
    with_fixed,
)
from .parts.tables import Tables, where
from .style import BASELINE, look, new_figure, styled

_QUANTITIES = ("block_interval_mean", "block_interval_cv")
_ACROSS = ("scheme.t_acc", "scheme.t_2", "scheme.t_1", "network.delay_steps")
_SERIES = ("scheme.t_2", "scheme.t_1", "network.delay_steps", "network.beta")


def data(tables: Tables) -> pd.DataFrame:
    """Mean and CV of the block interval over T_acc, or what else is swept.

    Of a sweep over more than two parameters a slice is taken, and said in ``fixed``.

    Args:
        tables: ``points``.

    Returns:
        ``across`` and ``along`` (the swept parameter of the axis and of the series;
        the latter may be empty), ``at`` and ``series`` (their values), ``fixed``
        (what else the slice has), quantity, refused, value, low, high (steps; a CV).

    Raises:
        ValueError: If the table is missing, empty or lacks a column.
        Lacking: If no parameter is swept, or no point has a number.
    """
    rows = read_sweep(tables, _QUANTITIES)
    names = first_of(swept(rows), _ACROSS)
    if not names:
        raise Lacking("no parameter is swept: there is one setting only")
    across, others = names[0], first_of(names[1:], _SERIES)
    along = others[0] if others else ""
    rows, fixed = slice_of(rows, [name for name in (across, along) if name])
    if along:
        shown = few(parameter(rows, along).values, SERIES)
        rows = rows.loc[rows[along].isin(shown)]
    return pd.DataFrame(
        {
            "across": across,
            "at": rows[across],
            "along": along,
            "series": rows[along] if along else "",
            "fixed": fixed,
            "point": rows["point"],
            "refused": rows["refused"],
            **{name: rows[name] for name in ("quantity", "value", "low", "high")},
        }
    ).reset_index(drop=True)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Mean above, CV below, over one axis; refused points crossed on it."""
    across = parameter_of(df, "across", "at")
    along = parameter_of(df, "along", "series")
    figure = new_figure(3.1)
    upper, lower = figure.subplots(2, 1, sharex=True)
    handles, labels, crossed = [], [], False
    for index, value in enumerate(along.values):
        mine, style = where(df, "series", value), look(index)
        shift = (index - (len(along.values) - 1) / 2) * 1.5
        for axes, quantity in zip((upper, lower), _QUANTITIES, strict=True):
            some = mine.loc[mine["refused"] | mine["quantity"].eq(quantity)]
            draw_series(axes, across, some, style, shift=shift)
        crossed |= draw_refused(lower, across, mine, style, shift=3.5 * shift)
        handles.append(sample(style))
        labels.append(along.text(value) if along.name else "the chain")
    number_axis(upper, *_span(df, _QUANTITIES[0]))
    lower.set_ylim(0, 1.08 * max(1.0, _span(df, _QUANTITIES[1])[1]))
    lower.axhline(1.0, color=BASELINE.color, linewidth=0.6, linestyle=":")
    handles.append(Line2D([], [], color=BASELINE.color, linewidth=0.6, linestyle=":"))
    labels.append("memoryless, no delay (CV 1)")
    if crossed:
        handles.append(Line2D([], [], **REFUSED))
        labels.append("refused: no number")
    set_parameter_axis(lower, across)
    upper.set_ylabel("Mean interval\n(steps)")
    lower.set_ylabel("CV of intervals\n(sd / mean)")
    add_legend(figure, handles, labels, title=with_fixed("bars: 95 % interval", df))
    return figure


def _span(df: pd.DataFrame, quantity: str) -> tuple[float, float]:
    rows = df.loc[df["quantity"] == quantity, ["value", "low", "high"]]
    ends = rows.to_numpy(float)
    ends = ends[np.isfinite(ends) & (ends > 0)]
    return (float(ends.min()), float(ends.max())) if ends.size else (1.0, 1.0)
