r"""How far a figure may be off because only so many models were trained.

Notation
    T               a figure; x̂ under the law of all runs       ``found.value``
    T_b             under the law of the b-th resample           ``drawn``, B of them
    g               the scale on which T is spread evenly        ``Scale``
    s_B             standard deviation of g(T_b) over b
    h               half-width of x̂ from other errors (simulation), on g
    d               how far the two defensible laws beyond the horizon move g(x̂), each
                    to its side                                  ``extremes``
    ν_T, a          degrees of freedom of the runs' own spread, and its skew
                                                                 ``Basis``
    t               97.5 % quantile of Student's t with ν degrees of freedom

Every interval that holds the training's error is made here. On either side of g(x̂) it
reaches √((t s_B + |skew|)² + h² + d²), where

    1/ν = 1/(B − 1) + 1/max(ν_T, 4),
    skew = a (2 min(t, 2.5)² + 1) s_B    on the side where it points (Johnson; Hall).

Why so. s_B comes from few resamples of a sample that may be lopsided: its own relative
variance is about ½(1/(B − 1) + 1/ν_T), and 1.96 takes it for known. The scale keeps
the interval inside what is possible and skews it as the figure is: log for what is
positive, logit for probabilities that fall over orders of magnitude, angle
(arcsin √) for shares that a resample may well see as 0 or 1. Skew is only ever added:
taken away on the other side it costs more coverage than it gains width. The
extrapolation is an error that more runs do not lessen. Percentiles of the resamples
were no better with a hundred of them and far too narrow with a dozen. With t, more
resamples do not cover better, they are 15 % narrower with 12 than with 6, and 3 % with
64 than with 24. docs/science/intervals.md has the coverage; ``benchmarks/coverage.py``
measures it.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from .estimate import COVERAGE, Estimate

Scale = Literal["linear", "log", "logit", "angle"]

SOURCE = "bootstrap over training runs"
NO_SPREAD = "no error of the training runs"
# With fewer effective runs an interval may cover less than 90 % (intervals.md).
FEW_RUNS = 20.0
# Below these degrees of freedom, and for a skew further out, intervals of a log scale
# grow by orders of magnitude and cover no better.
_LEAST_FREEDOM, _SKEW_AT = 4.0, 2.5
# A resample's share of 1 is not known to be 1 to the last digit.
_EDGE = 1e-12


class Basis(NamedTuple):
    """What a figure rests on (``effective_runs.py``).

    Attributes:
        runs: Effective number of runs, Kish's (Σw)²/Σw².
        freedom: ν_T of the standard deviation over resamples of these runs.
        skew: a, acceleration ΣU³/(6 (ΣU²)^{3/2}) of the runs' influences U.
    """

    runs: float
    freedom: float
    skew: float = 0.0


UNKNOWN = Basis(math.nan, math.inf)


class Drawn(NamedTuple):
    """A figure under every law that its interval is made from.

    Attributes:
        own: Under the law of all runs, with the interval of other errors alone.
        resamples: Under the law of each resample, in their order; NaN without one.
        extremes: Under the slowest and the fastest defensible law beyond the horizon.
        centre: Under the law of all runs with the effort of ``extremes``; None: as own.
    """

    own: Estimate
    resamples: tuple[float, ...]
    extremes: tuple[float, ...] = ()
    centre: float | None = None


class _Axis(NamedTuple):
    """A scale: to it, back, and what the figure can be."""

    to: Callable[[float], float]
    back: Callable[[float], float]
    low: float
    high: float


def _logit(p: float) -> float:
    p = min(max(p, 1e-300), 1 - _EDGE)
    return math.log(p) - math.log1p(-p)


def _expit(x: float) -> float:
    return math.exp(x) / (1 + math.exp(x)) if x < 0 else 1 / (1 + math.exp(-x))


_AXES: dict[Scale, _Axis] = {
    "linear": _Axis(float, float, -math.inf, math.inf),
    "log": _Axis(math.log, lambda x: math.exp(min(x, 700.0)), 0.0, math.inf),
    "logit": _Axis(_logit, _expit, 0.0, 1.0),
    "angle": _Axis(
        lambda p: math.asin(math.sqrt(min(max(p, 0.0), 1.0))),
        lambda x: math.sin(min(max(x, 0.0), math.pi / 2)) ** 2,
        0.0,
        1.0,
    ),
}


def training_interval(
    found: Estimate,
    drawn: Sequence[float] | np.ndarray,
    scale: Scale,
    *,
    basis: Basis = UNKNOWN,
    extremes: Sequence[float] = (),
    centre: float | None = None,
    lacking: float | None = None,
) -> Estimate:
    """A figure with the training's error in its interval.

    Args:
        found: Under the law of all runs; its interval is that of other errors.
        drawn: Under the law of each resample; not finite where it has no such figure.
        scale: Where the figure is spread evenly. Values that are not on it (a log of
            0) make it linear.
        basis: What the figure rests on.
        extremes: Under the slowest and the fastest defensible law beyond the horizon.
        centre: Under the law of all runs with the effort of ``extremes``; None: x̂.
        lacking: Upper end where a resample or an extreme has no such figure; None: it
            is left out.

    Returns:
        The figure; its method says what the interval holds. Where there is no figure
        for the law of all runs (infinite: no depth is safe), the interval starts at
        the smallest that a resample has.
    """
    # A sweep makes hundreds of these a point, of a few numbers each: no arrays.
    given = [float(each) for each in drawn]
    known = [each for each in given if math.isfinite(each)]
    method = f"{found.method}{_said(len(known), len(given))}"
    if math.isnan(found.value):
        return found
    if math.isinf(found.value):
        low = min(known, default=found.value)
        return found._replace(low=low, high=math.inf, method=method)
    ends = [each for each in extremes if math.isfinite(each)]
    middle = found.value if centre is None else centre
    axis = _axis(scale, [found.value, middle, *known, *ends])
    at = axis.to(found.value)
    down, up = _simulated(found, axis)
    spread = _deviation([axis.to(each) for each in known])
    less, more = _reach(spread, len(known), basis)
    moved = [axis.to(each) - axis.to(middle) for each in ends] or [0.0]
    lower = math.hypot(less, down, max(0.0, -min(moved)))
    upper = math.hypot(more, up, max(0.0, max(moved)))
    # Where nothing moves a figure it keeps its last digit.
    low = axis.back(at - lower) if lower else found.value
    high = axis.back(at + upper) if upper else found.value
    if found.value == 0 and scale == "logit":
        # Nothing was seen: only an upper limit is known, and the training moves it.
        low, high = found.low, axis.back(axis.to(found.high) + more)
    low = max(min(low, found.value), axis.low)
    high = min(max(high, found.value), axis.high)
    if lacking is not None and (len(known) < len(given) or len(ends) < len(extremes)):
        high = max(high, lacking)
    if extremes:
        method += " + the law beyond the horizon"
    return found._replace(low=low, high=high, method=method)


def training_intervals(
    values: Float[np.ndarray, " figures"],
    drawn: Float[np.ndarray, "figures resamples"],
    extremes: Float[np.ndarray, "figures extremes"],
    methods: Sequence[str],
    *,
    basis: Basis = UNKNOWN,
) -> list[Estimate]:
    """``training_interval`` of figures > 0, exact for the law, on the logarithm.

    Args:
        values: Each under the law of all runs.
        drawn: Under the law of each resample; not finite where it has no such figure.
        extremes: Under the slowest and the fastest defensible law beyond the horizon.
        methods: How each was found.
        basis: What they rest on.

    Returns:
        The figures, without an upper end where a resample or an extreme has none.
    """
    count = drawn.shape[1]
    whole = np.isfinite(values) & np.isfinite(drawn).all(axis=1)
    whole &= np.isfinite(extremes).all(axis=1) & (count > 1)
    if not whole.all():
        return [
            training_interval(
                Estimate(value, value, value, count, method),
                row,
                "log",
                basis=basis,
                extremes=ends,
                lacking=math.inf,
            )
            for value, row, ends, method in zip(
                values.tolist(),
                drawn.tolist(),
                extremes.tolist(),
                methods,
                strict=True,
            )
        ]
    at, logs = np.log(values), np.log(drawn)
    spread = logs.std(axis=1, ddof=1) * (logs.min(axis=1) < logs.max(axis=1))
    moved = np.log(extremes) - at[:, None]
    less, more = (spread * share for share in _reach(1.0, count, basis))
    lower = np.hypot(less, np.maximum(-moved.min(axis=1), 0.0))
    upper = np.hypot(more, np.maximum(moved.max(axis=1), 0.0))
    lows = np.where(lower > 0, np.minimum(np.exp(at - lower), values), values)
    highs = np.where(upper > 0, np.maximum(np.exp(at + upper), values), values)
    told = f"{_said(count, count)} + the law beyond the horizon"
    return [
        Estimate(value, low, high, count, method + told)
        for value, low, high, method in zip(
            values.tolist(), lows.tolist(), highs.tolist(), methods, strict=True
        )
    ]


def law_figure(
    value: float,
    drawn: Sequence[float] | np.ndarray,
    scale: Scale,
    method: str,
    **others,
) -> Estimate:
    """``training_interval`` of a figure that is exact for its law.

    Its count is the number of resamples that have the figure.
    """
    count = sum(math.isfinite(each) for each in drawn)
    found = Estimate(value, value, value, count, method)
    return training_interval(found, drawn, scale, **others)


def joined(found: Estimate, other: Estimate, scale: Scale, source: str) -> Estimate:
    """Half-widths of two independent errors in quadrature, on the scale of both.

    Args:
        found: The figure.
        other: A figure that is off by the same factor (log), odds or amount.
        scale: Where both are spread evenly.
        source: What the other error is; appended to the method.
    """
    axis = _axis(scale, [found.value, other.value])
    more = _simulated(other, axis)
    own = _simulated(found, axis)
    at = axis.to(found.value)
    return found._replace(
        low=max(axis.back(at - math.hypot(own[0], more[0])), axis.low),
        high=min(axis.back(at + math.hypot(own[1], more[1])), axis.high),
        method=f"{found.method} + {source}",
    )


def few_runs(basis: Basis) -> str:
    """What to say beside a figure that rests on few runs; "" where it does not."""
    if not basis.runs < FEW_RUNS:
        return ""
    return (
        f"rests on {basis.runs:.0f} training runs in effect: its interval may cover "
        "less than 95 %; train more models"
    )


def _axis(scale: Scale, values: Sequence[float]) -> _Axis:
    axis = _AXES[scale]
    if scale == "log" and min(values) <= 0:
        floor = 0.0 if min(values) == 0 else -math.inf
        return _AXES["linear"]._replace(low=floor)
    if scale in ("logit", "angle") and not 0 <= min(values) <= max(values) <= 1:
        return _AXES["linear"]
    return axis


def _simulated(found: Estimate, axis: _Axis) -> tuple[float, float]:
    """Half-widths without the training, on the scale."""
    at = axis.to(found.value)
    halves = []
    for end, sign in ((found.low, -1), (found.high, 1)):
        if axis.low < end < axis.high or end == found.value:
            halves.append(sign * (axis.to(end) - at))
        elif math.isinf(end):
            halves.append(math.inf)
        else:
            # The end is not on the scale: as wide as it is near the value.
            step = 1e-6 * max(abs(found.value), 1e-6)
            near = min(max(found.value - sign * step, axis.low), axis.high)
            slope = abs(axis.to(near) - at) / step if axis.low < near else 0.0
            halves.append(abs(end - found.value) * slope)
    return max(0.0, halves[0]), max(0.0, halves[1])


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2 or min(values) == max(values):
        return 0.0
    centre = math.fsum(values) / len(values)
    square = math.fsum((each - centre) ** 2 for each in values)
    return math.sqrt(square / (len(values) - 1))


def _reach(spread: float, count: int, basis: Basis) -> tuple[float, float]:
    """How far the training alone reaches down and up, on the scale."""
    if spread == 0.0:
        return 0.0, 0.0
    freedom = max(basis.freedom, _LEAST_FREEDOM)
    t = _t(round(1 / (1 / (count - 1) + 1 / freedom), 3))
    shift = basis.skew * (2 * min(t, _SKEW_AT) ** 2 + 1)
    return spread * (t - min(shift, 0.0)), spread * (t + max(shift, 0.0))


@lru_cache(maxsize=16_384)
def _t(freedom: float) -> float:
    return float(stats.t.ppf(0.5 + COVERAGE / 2, freedom))


def _said(known: int, of: int) -> str:
    if known < 2:
        return (
            f"; {NO_SPREAD}"
            if of < 2
            else f"; {NO_SPREAD}: {of - known} of {of} without"
        )
    without = f", {of - known} of {of} without" if known < of else ""
    return f" + {SOURCE}{without}"
