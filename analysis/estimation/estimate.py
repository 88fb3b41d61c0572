"""Estimates: a value with a 95 % interval, a count and a method, or a refusal.

Notation:
    x̂            value          point estimate
    [low, high]  interval       95 % coverage, two-sided
    count        sample size    independent samples behind the value
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special, stats

from ...models.errors import InputError

COVERAGE = 0.95
_Z = float(stats.norm.ppf(0.5 + COVERAGE / 2))
_MINIMUM_SAMPLES = 10
# Replicas with (or without) a property below which normal intervals are not used.
FEW = 20
_FEW_METHOD = "mean, Clopper–Pearson over replicas"


class Refused(InputError):
    """The data cannot support the number that was asked for; says what is missing."""


class Estimate(NamedTuple):
    """A number that may be quoted.

    Attributes:
        value: The point estimate.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        count: Independent samples behind it.
        method: How value and interval were obtained.
    """

    value: float
    low: float
    high: float
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    method: str

    def widened(self, spread: float | int, method: str) -> "Estimate":
        """Add an independent standard error in quadrature, on each side.

        Args:
            spread: Standard deviation of a second, independent source of error.
            method: What that source is; appended to the estimate's method.
        """
        extra = _Z * spread
        return self._replace(
            low=self.value - math.hypot(self.value - self.low, extra),
            high=self.value + math.hypot(self.high - self.value, extra),
            method=f"{self.method} + {method}",
        )

    def clipped(self, low: float | int, high: float | int) -> "Estimate":
        """Keep the interval inside the range the quantity can take."""
        return self._replace(low=max(self.low, low), high=min(self.high, high))


def whole_blocks(depth: Estimate) -> Estimate:
    """A depth's interval, widened to whole blocks ≥ 1."""
    low, high = depth.low, depth.high
    # A root that is whole but for rounding is that number.
    return depth._replace(
        low=float(max(1, math.floor(low + 1e-9))) if math.isfinite(low) else low,
        high=float(math.ceil(high - 1e-9)) if math.isfinite(high) else high,
    )


def standard_error(found: Estimate) -> float:
    """Half the 95 % interval over 1.96."""
    return (found.high - found.low) / (2 * _Z)


def estimate_mean(samples: Float[np.ndarray, " n"], what: str) -> Estimate:
    """Sample mean with Student's t interval x̂ ± t s/√n.

    Args:
        samples: Independent, identically distributed.
        what: The quantity's name, for the refusal.

    Raises:
        Refused: Below 10 samples, or where a sample is not finite.
    """
    _require(len(samples), what)
    if not np.isfinite(samples).all():
        share = float(np.mean(~np.isfinite(samples)))
        raise Refused(
            f"{what}: {share:.1%} of the samples are infinite; no mean exists"
        )
    count = len(samples)
    value = float(np.mean(samples))
    half = _t(count - 1) * _deviation(samples - value, 1) / math.sqrt(count)
    return Estimate(value, value - half, value + half, count, "mean, t interval")


def estimate_ratio(
    top: Float[np.ndarray, " n"], bottom: Float[np.ndarray, " n"], what: str
) -> Estimate:
    """Ratio of means Σtop/Σbottom with the delta-method interval.

    The variance is that of the residuals top − x̂·bottom over n mean(bottom)².

    Raises:
        Refused: Below 10 pairs, where a pair is not finite, or where bottom sums to 0.
    """
    count = len(top)
    _require(count, what)
    if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
        raise Refused(f"{what}: some of the samples are infinite; no ratio exists")
    if bottom.sum() == 0:
        raise Refused(f"{what}: the denominators sum to 0; no ratio exists")
    value = float(top.sum() / bottom.sum())
    # The residuals sum to 0.
    residual = top - value * bottom
    scale = math.sqrt(count) * abs(float(np.mean(bottom)))
    half = _Z * _deviation(residual, 2) / scale
    return Estimate(value, value - half, value + half, count, "ratio, delta method")


def estimate_probability(successes: int, count: int, what: str) -> Estimate:
    """Share successes/count with the Clopper–Pearson interval.

    With no success the upper end is what the count can exclude (3.7/n at 95 %
    two-sided), never zero.

    Raises:
        Refused: Below 10 trials.
    """
    _require(count, what)
    successes, count = int(successes), int(count)
    if not 0 <= successes <= count:
        raise ValueError(
            f"{what}: successes k must be from 0 to {count}, got {successes}"
        )
    low, high = _exact(successes, count)
    return Estimate(successes / count, low, high, count, "share, Clopper–Pearson")


def estimate_quantile(
    samples: Float[np.ndarray, " n"], level: float, what: str
) -> Estimate:
    """Sample quantile with the distribution-free order-statistic interval.

    The ranks are the binomial(n, level) quantiles that cover 95 %.

    Raises:
        Refused: Where the interval would need an order statistic that is not there,
            or one that is infinite (longer than the simulated horizon).
    """
    count = len(samples)
    _require(count, what)
    low, high = _ranks(count, level)
    if low < 0 or high >= count:
        raise Refused(
            f"{what}: the {level:g} quantile needs more than {count} samples for an "
            "interval"
        )
    ordered = np.sort(samples)
    value = float(ordered[min(math.ceil(level * count) - 1, count - 1)])
    if not math.isfinite(float(ordered[high])):
        raise Refused(
            f"{what}: the {level:g} quantile, or the upper end of its interval, lies "
            "beyond the simulated horizon; simulate longer, or more samples where only "
            "the end does"
        )
    return Estimate(
        value, float(ordered[low]), float(ordered[high]), count, "order statistics"
    )


def estimate_share(
    indicators: Bool[np.ndarray, " n"] | Int[np.ndarray, " n"], what: str
) -> Estimate:
    """``estimate_probability`` of independent yes/no samples."""
    return estimate_probability(int(np.sum(indicators)), len(indicators), what)


def _deviation(residuals: Float[np.ndarray, " n"], freedom: int) -> float:
    """√(Σr²/(n − freedom)) of residuals that sum to 0."""
    return math.sqrt(float(residuals @ residuals) / (len(residuals) - freedom))


# SciPy's distributions take longer for a quantile than the samples for their sums, and
# the counts are few.
@lru_cache(maxsize=16_384)
def _exact(successes: int, count: int) -> tuple[float, float]:
    """Quantiles of the beta distributions, which SciPy's exact test finds by search."""
    tail, misses = (1 - COVERAGE) / 2, count - successes
    low = special.betaincinv(successes, misses + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, misses, 1 - tail) if misses else 1.0
    return float(low), float(high)


@lru_cache(maxsize=1024)
def _t(freedom: int) -> float:
    return float(stats.t.ppf(0.5 + COVERAGE / 2, freedom))


@lru_cache(maxsize=1024)
def _ranks(count: int, level: float) -> tuple[int, int]:
    """Which order statistics, from 0, hold the quantile between them."""
    alpha = (1 - COVERAGE) / 2
    low, high = stats.binom.ppf([alpha, 1 - alpha], count, level)
    return int(low) - 1, int(high)


def _require(count: int, what: str) -> None:
    if count < _MINIMUM_SAMPLES:
        raise Refused(
            f"{what}: at least {_MINIMUM_SAMPLES} samples are needed, got {count}"
        )


def estimate_mean_share(shares: Float[np.ndarray, " replicas"], what: str) -> Estimate:
    """Mean share of windows with a property, where a replica's windows share its path.

    Replicas are independent, so s̄ has a t interval. Near 0 and 1 that is far too sure
    of itself. There a replica counts once, however many of its windows have the
    property: its Clopper–Pearson interval is conservative, and exact.

    Args:
        shares: s_i in [0, 1], one for each independent replica.
        what: The quantity's name, for the refusal.

    Raises:
        ValueError: If a share is outside [0, 1].
        Refused: Below 10 replicas.
    """
    inside = (shares >= 0) & (shares <= 1)
    if not inside.all():
        raise ValueError(f"shares must be in [0, 1], got {shares[~inside][0]}")
    estimate = estimate_mean(shares, what)
    whole = estimate_share(shares == 1.0, what)
    partly = estimate_share(shares > 0.0, what)
    count = len(shares)
    if (shares < 1.0).sum() < FEW:
        estimate = Estimate(estimate.value, whole.low, 1.0, count, _FEW_METHOD)
    elif (shares > 0.0).sum() < FEW:
        estimate = Estimate(estimate.value, 0.0, partly.high, count, _FEW_METHOD)
    return estimate.clipped(0.0, 1.0)
