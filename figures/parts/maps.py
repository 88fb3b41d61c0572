"""A number over two parameters as a map, for the figures that show one.

Viridis: its lightness rises all the way, so that a grey print and every kind of colour
vision keep the order. Refused points are hatched, points whose number is infinite are
dark, points that the design does not have are left white, and all are said.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .legends import add_legend
from .parameters import Parameter
from .series import places_of, set_parameter_axis

_HATCH: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "0.45", "hatch": "/////"}
_NEVER: dict[str, Any] = {"facecolor": "0.25", "edgecolor": "0.25"}
_ABSENT: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.7"}
# More cells have no room for a number of 7 points and its half-width.
_MOST_COLUMNS, _MOST_ROWS = 6, 7
# A design that fills less of its grid is shown as points.
_LEAST_FILL = 0.5


class Scale(NamedTuple):
    """What colours mean.

    Attributes:
        label: Of the colour bar.
        low: Value of the darkest colour.
        high: Value of the lightest.
        log: Whether they are even in the logarithm.
    """

    label: str
    low: float
    high: float
    log: bool = False

    @property
    def norm(self) -> Normalize:
        """What puts a value on the colours."""
        return (LogNorm if self.log else Normalize)(self.low, self.high)


def draw_map(
    axes: Axes,
    x: Parameter,
    y: Parameter,
    rows: pd.DataFrame,
    scale: Scale,
    *,
    words: Callable[[dict], str] | None = None,
) -> Any:
    """Draw a map, and the numbers in its cells where there is room.

    Args:
        axes: Where to.
        x: The parameter of the x axis.
        y: The parameter of the y axis.
        rows: ``x``, ``y`` (their values), value, low, high; NaN where refused, infinite
            where there is no such number.
        scale: What colours mean.
        words: What stands in a cell; None: the value and its half-width.

    Returns:
        What a colour bar is made of.
    """
    if is_grid(x, y, rows):
        drawn = _draw_cells(axes, x, y, rows, scale, words or _with_half_width)
    else:
        drawn = _draw_dots(axes, x, y, rows, scale)
    axes.grid(visible=False)
    axes.set_ylabel(y.label)
    return drawn


def is_grid(x: Parameter, y: Parameter, rows: pd.DataFrame) -> bool:
    """Whether most combinations of the two parameters are there."""
    return len(rows) >= _LEAST_FILL * len(x.values) * len(y.values)


def half_width(rows: pd.DataFrame) -> float:
    """The largest half-width of the intervals that are shown."""
    return float(np.nanmax((rows["high"] - rows["low"]).to_numpy(float)) / 2)


def add_keys(
    figure: Figure,
    x: Parameter,
    y: Parameter,
    rows: pd.DataFrame,
    *,
    title: str,
    never: str = "no such number",
) -> None:
    """A legend of what is hatched, dark or white, under the figure's title.

    Args:
        figure: The figure.
        x: The parameter of the x axis.
        y: The parameter of the y axis.
        rows: What is drawn.
        title: Of the figure.
        never: What an infinite value is.
    """
    grid = is_grid(x, y, rows)
    handles, labels = [], []
    refused = int(rows.loc[rows["value"].isna(), ["x", "y"]].drop_duplicates().shape[0])
    if refused and grid:
        handles.append(Patch(**_HATCH, linewidth=0.4))
        labels.append(f"refused: no number ({refused})")
    elif refused:
        handles += Axes.plot(figure.axes[0], [], [], "x", color="0.25", markersize=4)
        labels.append(f"refused: no number ({refused})")
    none = rows.loc[np.isposinf(rows["value"]), ["x", "y"]].drop_duplicates().shape[0]
    if none:
        handles.append(Patch(**_NEVER, linewidth=0.4))
        labels.append(f"{never} ({none})")
    there = rows[["x", "y"]].drop_duplicates().shape[0]
    if grid and there < len(x.values) * len(y.values):
        handles.append(Patch(**_ABSENT, linewidth=0.4))
        labels.append("not in the design")
    add_legend(figure, handles, labels, title=title, inside=False)


def _draw_cells(axes, x: Parameter, y: Parameter, rows, scale: Scale, words):
    # Cells of equal size, whatever the values: those of a grid seldom stand evenly,
    # and a cell must hold its number.
    column = {value: i for i, value in enumerate(x.values)}
    row = {value: i for i, value in enumerate(y.values)}
    values = np.full((len(y.values), len(x.values)), np.nan)
    numbers = len(x.values) <= _MOST_COLUMNS and len(y.values) <= _MOST_ROWS
    for each in rows.to_dict("records"):
        i, j = row[each["y"]], column[each["x"]]
        if np.isfinite(each["value"]):
            values[i, j] = each["value"]
            if numbers:
                _write(axes, i, j, each["value"], words(each), scale)
        else:
            face = _NEVER if np.isposinf(each["value"]) else _HATCH
            axes.fill_between([j - 0.5, j + 0.5], i - 0.5, i + 0.5, **face, lw=0)
    drawn = axes.pcolormesh(
        np.arange(len(x.values) + 1) - 0.5,
        np.arange(len(y.values) + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap="viridis",
        norm=scale.norm,
        edgecolors="white",
        linewidth=0.4,
    )
    for axis, grid in ((axes.xaxis, x), (axes.yaxis, y)):
        step = -(-len(grid.values) // 8)
        axis.set_ticks(range(0, len(grid.values), step), list(grid.texts[::step]))
    axes.tick_params(length=0)
    axes.set_xlabel(x.label)
    return drawn


def _with_half_width(each: dict) -> str:
    """A value and half of its interval, with as many digits as that leaves."""
    half = (each["high"] - each["low"]) / 2
    if np.isfinite(half) and half > 0:
        digits = max(0, -math.floor(math.log10(float(f"{half:.0e}"))))
        return f"{each['value']:.{digits}f}\n±{half:.{digits}f}"
    return f"{each['value']:.3g}"


def _write(
    axes: Axes, row: int, column: int, value: float, text: str, scale: Scale
) -> None:
    shade = float(scale.norm(value)) if scale.low < scale.high else 0.5
    axes.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=7,
        linespacing=1.05,
        color="white" if shade < 0.6 else "black",
    )


def _draw_dots(axes, x: Parameter, y: Parameter, rows, scale: Scale):
    values = rows["value"].to_numpy(float)
    known, never = np.isfinite(values), np.isposinf(values)
    places = places_of(x, rows["x"]), places_of(y, rows["y"])
    for some, mark in ((np.isnan(values), "x"), (never, "s")):
        axes.plot(places[0][some], places[1][some], mark, color="0.25", markersize=4)
    drawn = axes.scatter(
        places[0][known],
        places[1][known],
        c=values[known],
        s=16,
        cmap="viridis",
        norm=scale.norm,
        edgecolors="0.3",
        linewidths=0.3,
    )
    set_parameter_axis(axes, x)
    if y.scale == "log":
        axes.set_yscale("log")
    return drawn
