r"""Block-time laws that are written down: gamma, Erlang, Weibull, log-normal, any S(x).

Notation
    m       E[X], dead time included                     ``mean``
    S_0     dead time; X = S_0 + Y                       ``dead_time``
    μ       E[Y] = m − S_0
    c       CV of Y                                      ``cv``
    r       stages of an Erlang law, its shape           ``stages``
    k       shape of a Weibull law                       ``shape``

    exponential     Pr[Y > y] = e^{−y/μ}; with S_0 > 0 a dead time and a lottery
    gamma           shape 1/c², scale μ c²
    erlang          gamma of whole shape r
    weibull         Pr[Y > y] = exp(−(y Γ(1 + 1/k)/μ)^k)
    log-normal      ln Y ~ N(ln μ − σ²/2, σ²), σ² = ln(1 + c²)

Λ = −ln S is exact at the knots and a straight line between them. The grid ends where
S is e^-40, or 1e-8 for the log-normal law, whose tail is heavy; from there on the
hazard stays what it was in the last cell.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from scipy import stats

from .law import HAZARD_CAP, KNOTS, BlockTimeLaw, Real, exponential

FAMILIES = ("exponential", "gamma", "erlang", "weibull", "log-normal")
_LIGHT, _HEAVY = math.exp(-40.0), 1e-8
# Beyond, half of a log-normal law's mean lies where a grid of so many knots is coarse.
_MOST_CV = 3.0

Survival = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]
"""S(x) = Pr[X > x] at times x ≥ 0: 1 at first, non-increasing, towards 0."""


def formula_law(
    family: str,
    mean: Real,
    *,
    dead_time: Real = 0.0,
    cv: Real = 1.0,
    stages: int = 1,
    shape: Real = 1.0,
) -> BlockTimeLaw:
    """The law of a family, by its mean.

    Args:
        family: One of ``FAMILIES``.
        mean: m > dead_time, steps.
        dead_time: S_0 ≥ 0, steps.
        cv: c of ``gamma`` and ``log-normal`` (there at most 3).
        stages: r of ``erlang``.
        shape: k of ``weibull``.

    Raises:
        ValueError: If a parameter is out of its range.
    """
    if family not in FAMILIES:
        raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
    rest = mean - dead_time
    if not (dead_time >= 0 and math.isfinite(mean) and rest > 0):
        raise ValueError(
            f"mean must be finite and above dead_time ≥ 0, got {mean} and {dead_time}"
        )
    for name, value in (("cv", cv), ("stages", stages), ("shape", shape)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be > 0 and finite, got {value}")
    if family == "exponential":
        return exponential(1.0 / rest, dead_time=dead_time)
    if family == "log-normal":
        if cv > _MOST_CV:
            raise ValueError(
                f"cv of a log-normal law must be at most {_MOST_CV:g}, got {cv}"
            )
        sigma = math.sqrt(math.log1p(cv**2))
        rest_law = stats.lognorm(sigma, scale=rest * math.exp(-(sigma**2) / 2))
        return _tabulated(rest_law, _HEAVY, dead_time)
    if family == "weibull":
        scale = rest / math.gamma(1 + 1 / shape)
        return _tabulated(stats.weibull_min(shape, scale=scale), _LIGHT, dead_time)
    order = float(stages) if family == "erlang" else 1.0 / cv**2
    return _tabulated(stats.gamma(order, scale=rest / order), _LIGHT, dead_time)


def survival_law(survival: Survival) -> BlockTimeLaw:
    """The law of any survival function, for what no family has.

    Args:
        survival: S(x) at an array of times.

    Raises:
        ValueError: If it is no survival function, or does not fall below e^-20 by
            x = 1e15.
    """
    end = 1.0
    while end < 1e15 and _at(survival, end) > _LIGHT:
        end *= 2.0
    if _at(survival, end) > math.exp(-20.0):
        raise ValueError(
            f"a survival function must fall below e^-20 by {end:g}, got "
            f"{_at(survival, end):.3g}"
        )
    low = 0.0
    while end - low > 1e-3 * end:  # to where it ends, so that the grid is fine
        middle = (low + end) / 2
        low, end = (middle, end) if _at(survival, middle) > _LIGHT else (low, middle)
    times = np.linspace(0.0, end, KNOTS)
    alive = np.asarray(survival(times), float)
    if alive.shape != times.shape or not np.isfinite(alive).all():
        raise ValueError("a survival function must give a finite number a time")
    if alive[0] != 1.0 or (np.diff(alive) > 1e-12).any() or alive.min() < 0:
        raise ValueError(
            "a survival function must be 1 at 0 and never rise nor be negative"
        )
    with np.errstate(divide="ignore"):
        return _law(-np.log(alive), times[1], 0.0)


def _at(survival: Survival, time: float) -> float:
    return float(np.asarray(survival(np.array([time])), float)[0])


def _tabulated(rest, end: float, dead_time: Real) -> BlockTimeLaw:
    times = np.linspace(0.0, float(rest.isf(end)), KNOTS)
    return _law(-rest.logsf(times), times[1], float(dead_time))


def _law(hazard: np.ndarray, spacing: float, dead_time: float) -> BlockTimeLaw:
    hazard = np.maximum.accumulate(np.minimum(hazard, HAZARD_CAP))
    last = float(hazard[-1] - hazard[-2]) / float(spacing)
    return BlockTimeLaw(hazard, float(spacing), last, dead_time, False)
