"""Numbers with intervals over a swept parameter, for the figures that show them.

A point that has no number is a cross on the axis, not a gap: it was asked for and
could not be answered.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
)
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

from ..style import Look, spaced
from .parameters import Parameter

# More curves in one column are not told apart.
SERIES = 5
REFUSED: dict[str, Any] = {
    "marker": "x",
    "color": "0.25",
    "linestyle": "none",
    "markersize": 5,
}
"""How a refused point looks, also in the legend."""
UNSEEN: dict[str, Any] = {
    "marker": "v",
    "color": "0.25",
    "linestyle": "none",
    "fillstyle": "none",
}
"""How the upper limit of what was never seen looks in the legend."""
_TICK_GAP = 0.13  # of the axis, between two labels


def draw_series(
    axes: Axes, across: Parameter, rows: pd.DataFrame, style: Look, *, shift: float = 0
) -> None:
    """Draw numbers with their intervals, joined by a thin line.

    Args:
        axes: Where to.
        across: The parameter of the x axis.
        rows: ``at`` (its values), value, low, high; one row a place. A value that is
            NaN, a refused point's, breaks the line.
        style: The series' look.
        shift: Points to the right, so that bars of different series stand apart.
    """
    if not rows["value"].notna().to_numpy().any():
        return
    at: Any = rows["at"]
    x = places_of(across, at)
    order = np.argsort(x, kind="stable")
    value, low, high = (
        rows[name].to_numpy(float)[order] for name in ("value", "low", "high")
    )
    figure: Any = axes.figure
    moved = axes.transData + ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans)
    # No interval, no bar.
    bars = np.maximum(np.nan_to_num([value - low, high - value]), 0.0)
    axes.errorbar(
        x[order],
        value,
        yerr=bars,
        color=style.color,
        marker=style.marker,
        linestyle=style.dashes,
        linewidth=0.7,
        elinewidth=0.8,
        transform=moved,
    )
    # Artists under another transform do not tell the axes what they span.
    ends = np.concatenate([value - bars[0], value + bars[1]])
    axes.update_datalim(np.column_stack([np.tile(x[order], 2), ends]))


def draw_bars(
    axes: Axes, places: Any, rows: pd.DataFrame, style: Look, **how: Any
) -> Any:
    """Draw value, low and high of rows at places of a plain axis.

    Args:
        axes: Where to.
        places: x of each row.
        rows: With value, low and high.
        style: Colour, marker and line, unless ``how`` has another.
        how: As of ``Axes.errorbar``.

    Returns:
        What a legend takes.
    """
    value = rows["value"].to_numpy(float)
    bars = np.maximum([value - rows["low"], rows["high"] - value], 0.0)
    look = {"color": style.color, "linestyle": style.dashes, "marker": style.marker}
    return axes.errorbar(places, value, yerr=bars, **(look | how))


def sample(style: Look) -> Line2D:
    """A series' sample in the legend."""
    dashes: Any = style.dashes
    look = {"color": style.color, "marker": style.marker, "linestyle": dashes}
    return Line2D([], [], linewidth=0.7, **look)


def with_fixed(title: str, df: pd.DataFrame) -> str:
    """A legend's title, and what is fixed in the slice that is shown."""
    fixed = str(df["fixed"].iloc[0])
    return f"{title}; {fixed}" if fixed else title


def draw_refused(
    axes: Axes, across: Parameter, rows: pd.DataFrame, style: Look, *, shift: float = 0
) -> bool:
    """Cross the places of a series' refused points on the axis: they have no height.

    Args:
        axes: Where to.
        across: The parameter of the x axis.
        rows: The series: ``at`` and ``refused``.
        style: Its look.
        shift: Points to the right, so that all series' crosses are seen.

    Returns:
        Whether there are any.
    """
    refused = rows.loc[rows["refused"].astype(bool)]
    if refused.empty:
        return False
    x = np.unique(places_of(across, refused["at"]))
    foot = blended_transform_factory(axes.transData, axes.transAxes)
    figure: Any = axes.figure
    moved = foot + ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans)
    settings = {**REFUSED, "color": style.color, "transform": moved}
    axes.plot(x, np.zeros(len(x)), clip_on=False, zorder=4, **settings)
    return True


def draw_limits(
    axes: Axes, across: Parameter, rows: pd.DataFrame, style: Look, *, shift: float = 0
) -> bool:
    """Mark the upper ends of probabilities that were never seen; whether any were not.

    A share of 0 has no place on a logarithmic axis; what is known is the limit.
    """
    limits = rows.loc[(rows["value"] <= 0) & (rows["high"] > 0)]
    if limits.empty:
        return False
    figure: Any = axes.figure
    axes.plot(
        places_of(across, limits["at"]),
        limits["high"],
        color=style.color,
        marker="v",
        fillstyle="none",
        linestyle="none",
        transform=axes.transData
        + ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans),
    )
    return True


def places_of(across: Parameter, values: pd.Series) -> np.ndarray:
    """Where some values of a parameter stand on its axis."""
    where = dict(zip(across.values, across.places, strict=True))
    return np.array([where[value] for value in values], float)


def set_parameter_axis(axes: Axes, across: Parameter) -> None:
    """Name the x axis, and mark the parameter's values as far as there is room."""
    low, high = float(across.places.min()), float(across.places.max())
    if across.scale == "log":
        axes.set_xscale("log")
    on = np.log(across.places) if across.scale == "log" else across.places
    span = float(np.ptp(on))
    kept = sorted(spaced(list(on), max(_TICK_GAP * span, 1e-12)))
    axes.xaxis.set_major_locator(FixedLocator([across.places[i] for i in kept]))
    texts = {float(across.places[i]): across.texts[i] for i in kept}
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: texts.get(at, "")))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(FixedLocator(list(across.places)))
    pad = 0.06 * span if span else 0.5
    if across.scale == "log":
        axes.set_xlim(low * np.exp(-pad), high * np.exp(pad))
    else:
        axes.set_xlim(low - pad, high + pad)
    axes.set_xlabel(across.label)


def number_axis(axes: Axes, low: float, high: float) -> None:
    """A y axis of positive numbers: logarithmic where they span a factor of 5.

    Args:
        axes: Which.
        low: Least number shown.
        high: Greatest.
    """
    if not 0 < 5 * low < high:
        axes.set_ylim(0, 1.08 * high if high > 0 else 1)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return
    axes.set_yscale("log")
    axes.set_ylim(low / 1.2, high * 1.2)
    subs = (1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=9))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.6g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
