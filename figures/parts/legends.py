"""Where a figure's legend stands: inside an axes where it hides nothing, else above.

A legend over the axes costs height, so it takes as many columns as fit, and the figure
grows until the legend has less than a third of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, PolyCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

MOST_OF_HEIGHT = 0.3
"""Share of a figure's height that its legend may take."""
# Share of an axes' height that a legend inside may take, and its distance, in points.
_MOST_INSIDE, _GAP = 0.55, 3.0
_MOST_COLUMNS = 3
# Inches of a sample with what stands around it, and between two columns.
_SAMPLE, _BETWEEN = 0.38, 0.12
_CORNERS = ("upper right", "upper left", "lower left", "lower right")


def add_legend(
    figure: Figure,
    handles: Sequence[Artist],
    labels: Sequence[str],
    *,
    title: str,
    inside: bool = True,
) -> Legend:
    """A legend that hides no data; call it when all is drawn and all limits are set.

    Args:
        figure: What to put it on; it grows where the legend stands above the axes.
        handles: Samples, in the order of reading.
        labels: One a handle; long ones are wrapped.
        title: What holds for all of them.
        inside: Whether it may stand inside an axes.
    """
    figure.draw_without_rendering()
    if inside:
        for axes in _panels(figure):
            legend = _inside(figure, axes, handles, labels, title)
            if legend is not None:
                return legend
    return _above(figure, handles, labels, title)


def _panels(figure: Figure) -> list[Axes]:
    """Axes that show curves; a map leaves no room, a colour bar is none."""
    shown = [each for each in figure.get_axes() if each.lines or each.collections]
    return [
        each
        for each in shown
        if not each.images
        and not any(isinstance(c, QuadMesh) for c in each.collections)
    ]


def _inside(figure: Figure, axes: Axes, handles, labels, title: str) -> Legend | None:
    room = axes.get_window_extent()
    wide = room.width / figure.dpi
    legend = _made(figure, handles, labels, title, columns=1, wide=wide)
    box = legend.get_window_extent()
    gap = _GAP * figure.dpi / 72
    if box.width < 0.95 * room.width and box.height < _MOST_INSIDE * room.height:
        drawn = list(_drawn(axes))
        for corner in _CORNERS:
            place = _corner(room, box.width, box.height, corner, gap)
            if not any(_hit(place.padded(gap), each) for each in drawn):
                legend.set_loc(corner)
                legend.set_bbox_to_anchor((0, 0, 1, 1), axes.transAxes)
                legend.borderaxespad = _GAP / rcParams["legend.fontsize"]
                return legend
    legend.remove()
    return None


def _above(figure: Figure, handles, labels, title: str) -> Legend:
    width, height = (float(each) for each in figure.get_size_inches())
    heights = {}
    for columns in range(1, max(1, min(len(labels), _MOST_COLUMNS)) + 1):
        legend = _made(figure, handles, labels, title, columns=columns, wide=width)
        box = legend.get_window_extent()
        if columns == 1 or box.width <= width * figure.dpi:
            heights[columns] = box.height / figure.dpi + 0.05
        legend.remove()
    columns = min(heights, key=lambda each: (heights[each], each))
    takes = heights[columns]
    figure.set_size_inches(width, max(height + takes, takes / MOST_OF_HEIGHT))
    return _made(
        figure,
        handles,
        labels,
        title,
        columns=columns,
        wide=width,
        loc="outside upper center",
    )


def _made(
    figure: Figure,
    handles,
    labels,
    title: str,
    *,
    columns: int,
    wide: float,
    loc: Any = "lower left",
) -> Legend:
    """A legend that is no more than so many inches wide."""
    each = (wide - 0.1 - _BETWEEN * (columns - 1)) / columns - _SAMPLE
    return figure.legend(
        handles,
        [_wrapped(figure, label, each) for label in labels],
        loc=loc,
        title=_wrapped(figure, title, wide - 0.1),
        ncols=columns,
        frameon=not loc.startswith("outside"),
        facecolor="white",
        edgecolor="none",
        framealpha=0.8,
        fancybox=False,
    )


def _wrapped(figure: Figure, text: str, inches: float) -> str:
    """A text in lines of at most this length, broken between words."""
    canvas: Any = figure.canvas
    renderer = canvas.get_renderer()
    font = FontProperties(size=rcParams["legend.fontsize"])

    def length(line: str) -> float:
        math = "$" in line
        size = renderer.get_text_width_height_descent(line, font, ismath=math)
        return size[0] / figure.dpi

    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        # Half a formula is none.
        if lines and (longer.count("$") % 2 or length(longer) <= inches):
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)


def _corner(room: Bbox, width: float, height: float, name: str, gap: float) -> Bbox:
    vertical, horizontal = name.split()
    x = room.x0 + gap if horizontal == "left" else room.x1 - gap - width
    y = room.y0 + gap if vertical == "lower" else room.y1 - gap - height
    return Bbox.from_bounds(x, y, width, height)


def _drawn(axes: Axes) -> Iterator[tuple[Any, bool]]:
    """What is drawn, in pixels: (path or box, whether it is filled)."""
    for line in axes.lines:
        yield _line(line), False
    for collection in axes.collections:
        transform = collection.get_transform()
        if isinstance(collection, PathCollection):
            places = collection.get_offset_transform().transform(
                collection.get_offsets()
            )
            yield from ((Bbox.from_bounds(x - 3, y - 3, 6, 6), True) for x, y in places)
            continue
        filled = isinstance(collection, PolyCollection)
        for path in collection.get_paths():
            yield transform.transform_path(path), filled
    for patch in axes.patches:
        yield patch.get_transform().transform_path(patch.get_path()), True
    for text in axes.texts:
        if text.get_text():
            yield text.get_window_extent(), True


def _line(line: Line2D) -> Any:
    return line.get_transform().transform_path(line.get_path())


def _hit(place: Bbox, drawn: tuple[Any, bool]) -> bool:
    what, filled = drawn
    if isinstance(what, Bbox):
        return bool(place.overlaps(what))
    if not len(what.vertices) or not np.isfinite(what.vertices).any():
        return False
    return bool(what.intersects_bbox(place, filled=filled))
