"""Where the page's charts place a number, and what their axes say, in Vega's words.

Vega has no scale for probabilities near 0 and 1, or for accuracies near 1. Where one is
wanted, rows are placed by a transform of the value, and the axis says the value again.

Scales: linear, log, log2, logit, accuracy, and text for names.
"""

from collections.abc import Iterable, Mapping
from math import asinh, log
from typing import Any

import numpy as np

Spec = dict[str, Any]

# Where the accuracy axis turns from logarithmic to linear.
_UNIT_STEP = 0.01
# An interval that nearly reaches 0 shall not push the rest of a log axis together.
_FLOOR = 8

_SUPERSCRIPTS = "'⁰¹²³⁴⁵⁶⁷⁸⁹'"

_TICKS = {
    "x": {"expr": "ceil(width / 75)"},
    "y": {"expr": "ceil(height / 42)"},
    "color": 8,
}
_PLACES = {
    "log": "({0} > 0 && {0} < 1e300 ? {0} : null)",
    "log2": "({0} > 0 && {0} < 1e300 ? {0} : null)",
    "logit": "(isValid({0}) && {0} > 0 && {0} < 1 ? log({0} / (1 - {0})) : null)",
    # −arsinh: what Vega lacks.
    "accuracy": "(isValid({0}) ? -log((1 - {0}) / 0.01 "
    "+ sqrt(1 + pow((1 - {0}) / 0.01, 2))) : null)",
}
# Vega draws nothing at infinity.
_ANY = "(isValid({0}) && abs({0}) < 1e300 ? {0} : null)"


def placing(scale: str) -> list[Spec]:
    """Transforms that say where a row is drawn.

    They add ``y``; ``lo`` and ``hi``, its interval's ends; and ``limit``. A share of 0
    or 1 has no place on a scale of probabilities: its limit is the end of its interval
    that tells something.
    """
    form = _PLACES.get(scale, _ANY)
    limit = "null"
    if scale in ("log", "log2", "logit"):
        none = "datum.value === 0 && datum.high > 0 && datum.high < 1 ? datum.high"
        every = "datum.value >= 1 && datum.low > 0 && datum.low < 1 ? datum.low"
        limit = f"{none} : " + (f"{every} : null" if scale == "logit" else "null")
    steps: list[Spec] = [{"calculate": form.format("datum.value"), "as": "y"}]
    least, most = "datum.low", "datum.high"
    if scale in ("log", "log2"):
        steps.append({"joinaggregate": [{"op": "min", "field": "y", "as": "least"}]})
        least = f"max(datum.low, datum.least / {_FLOOR})"
    if scale == "logit":
        least = f"max(datum.low, datum.value / {_FLOOR})"
        most = f"min(datum.high, 1 - (1 - datum.value) / {_FLOOR})"
    return [
        *steps,
        {"calculate": f"isValid(datum.low) ? {least} : null", "as": "low_"},
        {"calculate": f"isValid(datum.high) ? {most} : null", "as": "high_"},
        {"calculate": limit, "as": "limit_"},
        {"calculate": form.format("datum.low_"), "as": "lo"},
        {"calculate": form.format("datum.high_"), "as": "hi"},
        {"calculate": form.format("datum.limit_"), "as": "limit"},
    ]


def placed(scale: str, values: np.ndarray) -> np.ndarray:
    """``y`` of ``placing`` for these values; NaN where they have no place."""
    values = np.asarray(values, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        if scale == "logit":
            inside = (values > 0) & (values < 1)
            return np.where(inside, np.log(values / (1 - values)), np.nan)
        positive = (values > 0) | (scale not in ("log", "log2"))
        return np.where(positive & (np.abs(values) < 1e300), values, np.nan)


def spread(places: Iterable[float]) -> str:
    """The axis scale for places that spread so: log from a factor of 20 on."""
    low, high = min(places), max(places)
    return "log" if 0 < 20 * low <= high else "linear"


def axis(
    channel: str,
    label: str,
    scale: str,
    texts: Mapping[float, str] | None = None,
) -> Spec:
    """Type, scale and axis of a channel.

    Args:
        channel: x, y or color.
        label: The axis's title.
        scale: One of the module's scales.
        texts: Of scale ``text``: the names, in order, by their places.
    """
    titled: Spec = {"title": label, "grid": False}
    if scale == "text":
        names = list((texts or {}).values())
        return {
            "type": "ordinal",
            "sort": None,
            "scale": {"type": "point", "padding": 0.5}
            | ({"domain": names} if names else {}),
            "axis": titled | {"labelAngle": 0, "labelLimit": 110},
        }
    kinds: dict[str, Spec] = {
        "log": {"type": "log", "nice": False},
        "log2": {"type": "log", "base": 2, "nice": False},
    }
    return {
        "type": "quantitative",
        "scale": kinds.get(scale, {"type": "linear", "nice": False, "zero": False}),
        "axis": titled | {"tickCount": _TICKS[channel]} | labels(channel, scale),
    }


def labels(channel: str, scale: str) -> Spec:
    """Which numbers an axis or a legend says, and how."""
    if scale == "log2":
        power = "log(datum.value) / LN2"
        return {
            "labelExpr": f"abs({power} - round({power})) < 1e-5 ? "
            f"'2' + {_raised(power)} : format(datum.value, '.3~r')"
        }
    if scale == "log":
        power = "log(datum.value) / LN10"
        lead = f"round(datum.value / pow(10, floor({power} + 1e-9)))"
        plain = "datum.value >= 1e-2 && datum.value < 1e5"
        raised = "'10' + " + _raised(power)
        return {
            "labelExpr": f"!({_told(channel)}) ? '' : "
            f"{plain} ? format(datum.value, ',.3~r') : {lead} === 1 ? {raised} : "
            f"{lead} + '·10' + {_raised(f'floor({power} + 1e-9)')}"
        }
    if scale == "logit":
        share, rest = "(1 / (1 + exp(-datum.value)))", "(1 / (1 + exp(datum.value)))"
        return {
            "values": _logits(),
            "labelExpr": f"{rest} < 9e-6 ? '1−10' + {_raised(f'log({rest}) / LN10')} : "
            f"{share} < 9e-3 ? '10' + {_raised(f'log({share}) / LN10')} : "
            f"format({share}, '.6~r')",
        }
    if scale == "accuracy":
        ends = (0.1, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1.0)
        rest = f"{_UNIT_STEP} * (exp(-datum.value) - exp(datum.value)) / 2"
        return {
            "values": [-asinh((1 - end) / _UNIT_STEP) for end in ends],
            "labelExpr": f"format(1 - {rest}, '.4~r')",
        }
    return {"labelExpr": "format(datum.value, ',.6~r')"}


def grid(channel: str, scale: str) -> Spec:
    """Lines across the chart, where the axis says a number."""
    if scale != "log":
        return {"grid": True}
    seen = {"condition": {"test": _told(channel), "value": 1}, "value": 0}
    return {"grid": True, "gridOpacity": seen, "tickOpacity": seen}


def _told(channel: str) -> str:
    """Whether a log axis says a tick: powers of ten, more of them where it is short."""
    power = "log(datum.value) / LN10"
    ends = f"domain('{channel}')"
    decades = f"abs(log({ends}[1] / {ends}[0]) / LN10)"
    lead = f"round(datum.value / pow(10, floor({power} + 1e-9)))"
    return (
        f"{decades} < 0.7 || {lead} === 1 || "
        f"{decades} < 1.7 && ({lead} === 2 || {lead} === 5)"
    )


def _logits() -> list[float]:
    tails = [log(10.0**-k / (1 - 10.0**-k)) for k in range(1, 16)]
    return sorted([*tails, 0.0, *(-tail for tail in tails)])


def _raised(power: str) -> str:
    """A whole number as an exponent."""
    size, digit = f"abs(round({power}))", f"{_SUPERSCRIPTS}[floor({{}})]"
    return (
        f"({power} < -0.5 ? '⁻' : '')"
        f" + ({size} >= 100 ? {digit.format(f'{size} / 100')} : '')"
        f" + ({size} >= 10 ? {digit.format(f'{size} % 100 / 10')} : '')"
        f" + {digit.format(f'{size} % 10')}"
    )
