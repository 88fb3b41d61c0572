"""The page's charts as Vega-Lite specifications: plain dictionaries, without data.

Notation:
    rows        what a chart draws, a dictionary each; called ``rows`` in every spec
    at          a parameter of every spec: the place (line chart) or the point (map)
                that the pointer or the keyboard has chosen

Reference: A. Satyanarayan, D. Moritz, K. Wongsuphasawat, J. Heer, "Vega-Lite: A Grammar
of Interactive Graphics", IEEE TVCG, 2017.
"""

from collections.abc import Mapping, Sequence

from .scales import Spec, axis, grid, labels, placing

SERIES_COLOURS = 7
_CROSS = "M-1,-.5L-.5,-1L0,-.5L.5,-1L1,-.5L.5,0L1,.5L.5,1L0,.5L-.5,1L-1,.5L-.5,0Z"
_SHAPES = (
    *("circle", "square", "triangle-up", "diamond", "triangle-down", "cross"),
    _CROSS,
)
# As in figures/style.py: a grey print tells series apart by dashes and markers.
_DASHES = ((1, 0), (8, 2.4), (8, 2.4, 1.6, 2.4), (2, 2), (5, 2, 2, 2), (12, 3), (3, 3))
_REFERENCE_DASHES = (
    (6, 3),
    (2, 2.5),
    (6, 3, 1.5, 3),
    (11, 3),
    (1, 4),
    (9, 2, 2, 2, 2, 2),
)

_TEXTS: Spec = {
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
    "labelColor": "var(--ink)",
    "titleColor": "var(--soft)",
}
CONFIG: Spec = {
    "aria": False,  # each chart has a readout and a table, which say more
    "background": "transparent",
    "font": 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif',
    "view": {"stroke": None, "cursor": "default"},
    "axis": {
        **_TEXTS,
        "domainColor": "var(--soft)",
        "tickColor": "var(--soft)",
        "gridColor": "var(--rule)",
        "labelOverlap": "greedy",
        "labelSeparation": 6,
    },
    "legend": {**_TEXTS, "symbolStrokeWidth": 1.5, "rowPadding": 1, "offset": 8},
    "text": {"fill": "var(--ink)", "fontSize": 12},
}
"""How all charts look: colours are the style sheet's, so they follow its themes."""


def line_chart(
    names: Sequence[tuple[str, str]],
    x: tuple[str, str],
    y: tuple[str, str],
    texts: Mapping[float, str] | None = None,
) -> Spec:
    """Series over an axis, with their intervals.

    Rows have ``series``, ``kind``, ``x``, ``value``, ``low`` and ``high``; kinds are
    estimate (line, marks and bars), dots (marks and bars), band (line, marks and band),
    spread (line and band), line, reference (a closed form), run (a thin line, one for
    each ``run``), and target (a horizontal line).

    Args:
        names: (series, kind), in the order of the legend.
        x: (Label, scale) of the horizontal axis.
        y: The same of the vertical one.
        texts: What stands at places of the horizontal axis, instead of their numbers.
    """
    horizontal = {"field": "x", **axis("x", *x, texts)}
    horizontal["scale"] |= {} if x[1] == "text" else {"padding": 8}
    vertical = {"field": "y", **axis("y", *y)}
    vertical["scale"] |= {"padding": 6}
    vertical["axis"] |= grid("y", y[1])
    look = _looks(names)
    colour = {"color": look["color"]}

    def layer(kinds: Sequence[str], mark: Spec, encoding: Spec, test: str = "") -> Spec:
        wanted = " || ".join(f"datum.kind === '{kind}'" for kind in kinds)
        test = f"({wanted}) && {test}" if test else wanted
        return {
            "transform": [{"filter": test}],
            "mark": {"clip": True, **mark},
            "encoding": {"x": horizontal, **encoding},
        }

    line = {"y": vertical}
    ends = {"y": vertical | {"field": "lo"}, "y2": {"field": "hi"}, **colour}
    marked = ("estimate", "dots", "band")
    drawn, bounded = "isValid(datum.y)", "isValid(datum.lo) && isValid(datum.hi)"
    limit = {"y": vertical | {"field": "limit"}, **colour}
    arrow = {"type": "point", "filled": False, "size": 55, "strokeWidth": 1.5}
    layers = [
        layer(
            ("run",),
            {"type": "line", "strokeWidth": 0.5, "opacity": 0.22},
            {**line, **colour, "detail": {"field": "run"}},
        ),
        layer(("band", "spread"), {"type": "area", "opacity": 0.22}, ends, bounded),
        layer(
            ("line", "estimate", "reference", "band", "spread"),
            {"type": "line", "strokeWidth": 1.6},
            {**line, **colour, "strokeDash": look["strokeDash"]},
        ),
        layer(
            ("estimate", "dots"),
            {"type": "rule", "strokeWidth": 1.2},
            ends,
            f"{drawn} && {bounded}",
        ),
        layer(
            marked,
            {"type": "point", "filled": True, "opacity": 1, "size": 34},
            {**line, **colour, "shape": look["shape"]},
            drawn,
        ),
    ]
    for shape, test in (("down", "datum.value <= 0"), ("up", "datum.value > 0")):
        mark = {**arrow, "shape": f"triangle-{shape}"}
        layers.append(layer(marked, mark, limit, f"isValid(datum.limit) && {test}"))
    infinite = {"type": "text", "text": "∞", "y": 6, "clip": False, "fontSize": 14}
    layers += [
        layer(marked, infinite, {}, "datum.value > 1e300"),
        *_targets(vertical),
        {
            "transform": [
                {"filter": "datum.x === at"},
                {"aggregate": [{"op": "count", "as": "rows"}], "groupby": ["x"]},
            ],
            "mark": {"type": "rule", "strokeDash": [2, 2], "stroke": "var(--soft)"},
            "encoding": {"x": horizontal},
        },
    ]
    return _spec(250) | {"transform": placing(y[1]), "layer": layers}


def _targets(vertical: Spec) -> list[Spec]:
    test = [{"filter": "datum.kind === 'target'"}]
    text = {"type": "text", "align": "left", "baseline": "bottom", "x": 5, "dy": -1}
    named = {"text": {"field": "series"}}
    return [
        {
            "transform": test,
            "mark": {"type": "rule", "stroke": "var(--soft)"},
            "encoding": {"y": vertical},
        },
        {"transform": test, "mark": text, "encoding": {"y": vertical, **named}},
    ]


def _looks(names: Sequence[tuple[str, str]]) -> Spec:
    """Colour, dashes and marker of each series, with one legend for all three."""
    colours, dashes, shapes = [], [], []
    own = references = 0
    for _, kind in names:
        if kind == "reference":
            colours.append("var(--ink)")
            dashes.append(_REFERENCE_DASHES[references % len(_REFERENCE_DASHES)])
            shapes.append("stroke")
            references += 1
            continue
        marked = kind in ("estimate", "dots", "band")
        colours.append(f"var(--s{own % SERIES_COLOURS})")
        dashes.append(_DASHES[0 if marked else own % len(_DASHES)])
        shapes.append(_SHAPES[own % len(_SHAPES)] if marked else "stroke")
        own += 1
    domain = [name for name, _ in names]
    legend = {
        "orient": "top",
        "direction": "vertical",
        "title": None,
        "columns": {"expr": "width > 620 ? 2 : 1"},
        "labelLimit": {"expr": "width > 620 ? width / 2 - 40 : width"},
        # Bands and thin lines are faint on the chart, not in its legend.
        "symbolOpacity": 1,
    }

    def channel(values: Sequence) -> Spec:
        return {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": domain, "range": [*values]},
            "legend": legend if len(domain) > 1 else None,
        }

    return {
        "color": channel(colours),
        "strokeDash": channel([[*dash] for dash in dashes]),
        "shape": channel(shapes),
    }


def heat_map(x: Spec, y: Spec, color: Spec, scale: str) -> Spec:
    """A map of a design's slice, a cell for each point.

    Rows have ``column``, ``row``, ``value``, ``low``, ``high``, ``state`` (done,
    failed or none) and ``point``.

    Args:
        x: ``map_channel`` of the columns.
        y: The same of the rows.
        color: ``colour_channel``.
        scale: Its scale.
    """
    cell = {"type": "rect", "strokeWidth": 0}
    return _map(x, y, color, scale, cell, {"type": "rect", "strokeWidth": 0})


def scatter_map(x: Spec, y: Spec, color: Spec, scale: str) -> Spec:
    """All points of a design that is no grid; arguments and rows as of ``heat_map``."""
    dot = {"type": "point", "filled": True, "size": 70, "opacity": 1}
    return _map(x, y, color, scale, dot, {"type": "point", "size": 130})


def _map(x: Spec, y: Spec, color: Spec, scale: str, mark: Spec, around: Spec) -> Spec:
    sign = {"type": "point", "filled": True, "opacity": 1}
    limit = sign | {"shape": "triangle-down", "size": 40, "fill": "white"}
    limit |= {"stroke": "black", "strokeWidth": 0.7}
    cross = sign | {"shape": _CROSS, "size": 60, "fill": "var(--hatch)"}
    hole = mark | {"fill": "var(--hole)"}
    chosen = around | {"filled": False, "fill": None, "opacity": 1}

    def layer(test: str, drawn: Spec, **more: Spec) -> Spec:
        return {"transform": [{"filter": test}], "mark": drawn, "encoding": more}

    level = "isValid(datum.y) ? datum.y : datum.limit"
    return _spec(300) | {
        "transform": [*placing(scale), {"calculate": level, "as": "level"}],
        "encoding": {"x": x, "y": y},
        "layer": [
            layer("!isValid(datum.level)", hole),
            layer("isValid(datum.level)", mark, color=color),
            layer("isValid(datum.limit)", limit),
            layer("datum.state === 'failed'", cross),
            layer("datum.point === at", chosen | _stroke("black", 5)),
            layer("datum.point === at", chosen | _stroke("white", 2)),
        ],
    }


def _stroke(colour: str, width: float) -> Spec:
    return {"stroke": colour, "strokeWidth": width}


def map_channel(channel: str, label: str, scale: str, texts: Sequence[str]) -> Spec:
    """An axis of a map.

    Args:
        channel: x or y.
        label: Its title.
        scale: ``text``: a place for each of the texts; else points lie by numbers.
        texts: Names of the places.
    """
    field = {"x": "column", "y": "row"}[channel]
    if scale != "text":
        return {"field": field, **axis(channel, label, scale)}
    domain = list(texts) if channel == "x" else list(texts)[::-1]
    return {
        "field": field,
        "type": "ordinal",
        "sort": None,
        "scale": {"domain": domain},
        "axis": {
            "title": label,
            "grid": False,
            "ticks": False,
            "labelAngle": 0,
            "labelLimit": 110,
        },
    }


def colour_channel(label: str, scale: str, span: Sequence[float]) -> Spec:
    """The colour of a map: viridis over one range for all slices, so they compare."""
    kind = axis("color", label, scale)["scale"]
    shown = {"scheme": "viridis", "domain": [*span], "clamp": True}
    return {
        "field": "level",
        "type": "quantitative",
        "scale": kind | shown,
        "legend": {
            "orient": "bottom",
            "title": label or None,
            "gradientLength": {"expr": "width"},
            "labelOverlap": "greedy",
            **labels("color", scale),
        },
    }


def _spec(height: int) -> Spec:
    return {
        "data": {"name": "rows"},
        "params": [{"name": "at", "value": None}],
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }
