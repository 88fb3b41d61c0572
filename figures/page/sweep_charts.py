"""A sweep's charts: a map of a slice, a line through it, the curves of one point.

The page's script puts them together: a map is one of ``map`` with the axes of two
dimensions and the colour of a series; a line is one of ``slice`` with one axis.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import sentences
from .charts import colour_channel, heat_map, line_chart, map_channel, scatter_map
from .quantities import chart_order, shared_chart, unit_of
from .scales import Spec, axis, placed, spread

# A curve of fewer places is read from the table.
_LEAST_PLACES = 3
# A log scale for what hardly varies would show steps that nobody can read.
_LEAST_FACTOR, _AUTO_FACTOR = 5, 50
_SCALES = ("linear", "log", "logit")


def dimension_channels(dimension: Mapping[str, Any], *, grid: bool) -> dict[str, Spec]:
    """The axes of a swept parameter: on a map's ``x`` and ``y``, and of a ``line``."""
    label, scale, texts = (dimension[key] for key in ("label", "scale", "texts"))
    places = dict(zip(dimension["values"], texts, strict=True))
    on_map = "text" if grid else scale
    line = {"field": "x", **axis("x", label, scale, places)}
    line["scale"] |= {} if scale == "text" else {"padding": 12}
    return {
        "x": map_channel("x", label, on_map, texts),
        "y": map_channel("y", label, on_map, texts),
        "line": line,
    }


def dress(
    series: Sequence[dict[str, Any]],
    quantities: Sequence[Mapping[str, Any]],
    dimensions: Sequence[Mapping[str, Any]],
) -> None:
    """Give each series its title, its place in words, its colour and its sentence."""
    for each in series:
        about = quantities[each["q"]]
        scale, span = _colours(each, about)
        each["at_text"] = "" if each["at"] is None else sentences.place(each["at"])
        where = f", at {each['at_text']} {about['at_unit']}" if each["at_text"] else ""
        unit = "" if about["unit"] in ("", "probability") else f" ({about['unit']})"
        each["title"] = f"{about['label']}{where}"
        each["scale"], each["span"] = scale, span
        index = each["index"]
        count = len(each["value"])
        names = _Names(dimensions, range(count) if index is None else index)
        each["says"] = sentences.of_points(
            each["title"], each["value"], each["low"], each["high"], names
        )
        each["title"] += unit


class _Names(Sequence):
    """What points are called, made only for those that are asked for."""

    def __init__(self, dimensions: Sequence[Mapping[str, Any]], points: Any):
        self.dimensions, self.points = dimensions, points

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, i: Any) -> str:
        point = self.points[i]
        return ", ".join(
            f"{d['label'].partition(',')[0]} = {d['texts'][d['codes'][point]]}"
            for d in self.dimensions
        )


def _colours(series: Mapping[str, Any], about: Mapping[str, Any]) -> tuple:
    """The scale of a series' colours, and its ends: one range for all slices."""
    values = np.asarray(series["value"], float)
    known = values[np.isfinite(values)]
    least, most = (known.min(), known.max()) if len(known) else (math.nan, math.nan)
    scale = about["scale"]
    if scale == "auto":
        scale = "log" if 0 < _AUTO_FACTOR * least <= most else "linear"
    if scale == "log" and (not most > 0 or 0 < most < _LEAST_FACTOR * least):
        scale = "linear"
    shown = [known]
    if scale in ("log", "logit"):
        low, high = (np.asarray(series[end], float) for end in ("low", "high"))
        shown.append(high[(values == 0) & (high < 1)])
        if scale == "logit":
            shown.append(low[values >= 1])
    ends = placed(scale, np.concatenate(shown))
    ends = ends[np.isfinite(ends)]
    if not len(ends):
        return scale, (0.1, 1.0) if scale == "log" else (0.0, 1.0)
    low, high = float(ends.min()), float(ends.max())
    if low == high:  # a range of no width has one colour, in its middle
        low, high = (low / 2, high * 2) if scale == "log" else (low - 0.5, high + 0.5)
    return scale, (low, high)


def sweep_specs(
    quantities: Sequence[Mapping[str, Any]],
    series: Sequence[Mapping[str, Any]],
    *,
    grid: bool,
) -> dict[str, Any]:
    """The charts before their axes are chosen, by scale; and a point's curves."""
    one = ("at the sliders", "band") if grid else ("all points", "dots")
    empty = {"type": "quantitative"}
    draw = heat_map if grid else scatter_map
    return {
        "color": {scale: colour_channel("", scale, (0, 1)) for scale in _SCALES},
        "map": {scale: draw(empty, empty, empty, scale) for scale in _SCALES},
        "slice": {
            scale: line_chart([one], ("", "linear"), ("", scale)) for scale in _SCALES
        },
        "curves": _curves(quantities, series),
    }


def _curves(quantities: Sequence[Mapping], series: Sequence[Mapping]) -> list[dict]:
    """What is a curve over ``at``: one chart for what is in one unit."""
    groups: dict[tuple[str, str], list[int]] = {}
    places: dict[int, list[float]] = {}
    for each in series:
        if each["at"] is not None:
            places.setdefault(each["q"], []).append(each["at"])
    for q, about in enumerate(quantities):
        if len(places.get(q, ())) >= _LEAST_PLACES:
            unit = unit_of(about["name"], about["unit"])
            groups.setdefault((about["at_unit"], unit), []).append(q)
    found = []
    for units in sorted(groups, key=chart_order):
        about, members = shared_chart(*units), groups[units]
        names = [(quantities[q]["label"], "estimate") for q in members]
        every = [at for q in members for at in places[q]]
        scale = "linear" if units[0] == "blocks" else spread(every)
        found.append(
            {
                "title": f"{about.title} of the selected point",
                "x": about.x,
                "at_unit": sentences.unit_of(units[0]),
                "quantities": members,
                "spec": line_chart(names, (about.x, scale), (about.y, about.scale)),
            }
        )
    return found
