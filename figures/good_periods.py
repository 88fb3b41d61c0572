"""Figure: probability of a good period against the window's length.

Notation (SLT23 §5, Definition 3; docs/science/good-periods.md):
    kp      expected honest blocks in a window of k rounds, the x axis
    good    X, Y and Z of the window all within ε of what is expected

The axis is logit: 0.9, 0.99, 0.999 stand at equal steps, so a failure probability
that falls off exponentially, the paper's 1 − e^{−Ω(ε²kp)}, is a straight line.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter
from scipy import special

from .parts.legends import add_legend
from .parts.probabilities import draw_points
from .parts.tables import Tables, read_points
from .style import new_figure, spaced, styled

_LABELS = {
    "good_period": "single window",
    "good_period_all": "all windows in the horizon",
}


def data(tables: Tables) -> pd.DataFrame:
    """Good-period probabilities with 95 % intervals, and the exact references.

    Args:
        tables: ``estimates`` and, if there are any, ``references``.

    Returns:
        quantity, label, layer ("estimate", "reference"), at (expected honest blocks
        kp), value, low, high.

    Raises:
        ValueError: If ``estimates`` is missing, empty or has no good period.
    """
    return read_points(tables, _LABELS)


@styled()
def draw(df: pd.DataFrame) -> Figure:
    """Measured points with intervals, exact curves dashed."""
    figure = new_figure(2.2)
    axes = figure.add_subplot()
    at = df["at"].to_numpy(float)
    if 0 < 20 * at.min() < at.max():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    handles, labels, title = draw_points(
        figure, axes, df, scale="logit", limit_label="all or none good: 95 % limit"
    )
    axes.yaxis.set_major_locator(FixedLocator(_ticks(*axes.get_ylim())))
    axes.yaxis.set_major_formatter(FuncFormatter(_tick_label))
    axes.yaxis.set_minor_locator(FixedLocator([]))
    axes.set_xlabel("Window length $kp$ (expected honest blocks)")
    axes.set_ylabel("Pr[good period]")
    add_legend(figure, handles, labels, title=title)
    return figure


def _ticks(low: float, high: float) -> list[float]:
    tails = [10.0**-digits for digits in range(1, 16)]
    preferred = [0.5, *tails, *(1 - tail for tail in tails), 0.2, 0.8]
    ticks = [tick for tick in preferred if low <= tick <= high]
    ends = special.logit([low, high])
    gap = 0.07 * float(ends[1] - ends[0])
    return [ticks[i] for i in spaced([float(special.logit(t)) for t in ticks], gap)]


def _tick_label(value: float, _: object) -> str:
    if value < 1e-3:
        return f"$10^{{{round(np.log10(value))}}}$"
    if value > 1 - 1e-5:
        return f"$1-10^{{{round(np.log10(1 - value))}}}$"
    return f"{value:.10g}"
