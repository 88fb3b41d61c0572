r"""What a list of blocks says of its chain: the law of intervals, Δ, and β.

Notation
    T_i     intervals of the selected chain                     ``intervals``
    λ       1/E[T], its blocks a time
    σ       stale blocks a block of the chain                   ``stale_rate``
    Δ       delay at which a chain of rate λ has so many        ``delay``
    β       share of the blocks that bear the mark              ``share``

A stale block is one that was found by a prover who had not heard of the chain's block
yet. Where provers are memoryless, all hear of a block Δ after it was found, and stay
with the first they heard of, others find λ'Δ more in that time, with λ' the rate while
nothing travels, 1/λ = 1/λ' + Δ; each is stale, so σ = λ'Δ and

    Δ = σ/((1 + σ) λ).

For other laws it is the delay at which memoryless provers would have as many.

β: who bears the mark found so many of all blocks, stale ones too: Clopper–Pearson.
Without a mark nobody's blocks can be told apart: neither β, nor whether a stale block
was late or withheld.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from ..block_time.observed import observed_law
from ..block_time.uncertain import UncertainLaw
from ..estimation.estimate import Estimate, Refused, estimate_mean

LEAST_INTERVALS = 20
# Of the test of exponential intervals.
_SAMPLES = 499
_EXACT = "Clopper–Pearson"


class ChainFacts(NamedTuple):
    """What was found.

    Attributes:
        law: Of an interval of the selected chain, as uncertain as so many make it.
        mean: E[T].
        cv: CV of T.
        memoryless: p-value of exponential intervals (Lilliefors: Kolmogorov's distance
            with the mean fitted, against 499 simulated samples).
        correlation: Of neighbouring intervals, with its interval.
        stale_rate: Stale blocks a block; None: the list does not say.
        delay: Δ; None: as ``stale_rate``.
        share: β of the marked blocks; None: no block bears a mark.
        notes: What cannot be told apart, what was put right.
    """

    law: UncertainLaw
    mean: Estimate
    cv: Estimate
    memoryless: float
    correlation: Estimate
    stale_rate: Estimate | None
    delay: Estimate | None
    share: Estimate | None
    notes: tuple[str, ...]


def chain_facts(
    stamps: Float[np.ndarray, " blocks"],
    *,
    stale: int | None = None,
    marked: Bool[np.ndarray, " found"] | None = None,
    resamples: int = 24,
    seed: int = 0,
) -> ChainFacts:
    """Estimate what a chain's blocks show.

    Args:
        stamps: Timestamps of the selected chain by height, any of them backwards.
        stale: Number of blocks off the chain; None: not known.
        marked: Of every block that is known, stale ones too, whether it bears the
            mark; None: no marks.
        resamples: Resampled laws.
        seed: Fixes them.

    Raises:
        Refused: If there are too few intervals, or all are 0.
    """
    stamps = np.asarray(stamps, float)
    times = np.maximum.accumulate(stamps)
    found, notes = np.diff(times), []
    if len(found) < LEAST_INTERVALS:
        raise Refused(
            f"estimate: {len(found)} intervals, at least {LEAST_INTERVALS} are needed: "
            "a longer list of blocks"
        )
    back = int((np.diff(stamps) < 0).sum())
    if back:
        worst = float(-np.diff(stamps).min())
        notes.append(
            f"{back} of {len(found)} timestamps lie before their parent's, by up to "
            f"{worst:g}: a block's time is the latest up to it"
        )
    zeros = found <= 0
    if zeros.all():
        raise Refused("estimate: all blocks bear one time: no interval is in it")
    # Where a clock is coarse, or ran backwards, an interval is less than it can show.
    least = found[~zeros].min()
    if zeros.any():
        notes.append(
            f"{int(zeros.sum())} intervals are 0 by the stamps and count as half the "
            f"least other one, {least / 2:g}"
        )
    law = observed_law(seed, np.where(zeros, least / 2, found), resamples=resamples)
    mean = estimate_mean(found, "interval")
    stale_rate = delay = share = None
    if stale is None:
        notes.append("no stale blocks are in the list: nothing is said of Δ")
    else:
        stale_rate = _rate(stale, len(found))
        delay = _delay(stale_rate, mean)
        notes.append(
            "Δ is that of memoryless provers with as many stale blocks; a block that "
            "was withheld is stale too, and cannot be told from one that was late"
        )
    if marked is None:
        notes.append("no block bears a mark: nothing is said of β")
    else:
        share = _share(int(np.sum(marked)), len(marked))
    return ChainFacts(
        law,
        mean,
        _cv(found),
        _memoryless(found, seed),
        _correlation(found),
        stale_rate,
        delay,
        share,
        tuple(notes),
    )


def _share(count: int, of: int) -> Estimate:
    low, high = stats.binomtest(count, of).proportion_ci()
    return Estimate(count / of, float(low), float(high), of, _EXACT)


def _rate(stale: int, blocks: int) -> Estimate:
    # Exact for a Poisson count (Garwood).
    low = stats.chi2.ppf(0.025, 2 * stale) / 2 if stale else 0.0
    high = stats.chi2.ppf(0.975, 2 * stale + 2) / 2
    value = stale / blocks
    return Estimate(value, float(low) / blocks, float(high) / blocks, stale, "Garwood")


def _delay(stale: Estimate, mean: Estimate) -> Estimate:
    def delay(rate: float) -> float:
        return rate / (1 + rate) * mean.value

    value = delay(stale.value)
    error = (mean.high - mean.low) / (2 * mean.value)
    low, high = delay(stale.low), delay(stale.high)
    # Two independent errors, on the scale of factors.
    down = math.hypot(math.log(value / low) if low > 0 else math.inf, error)
    up = (
        high * (1 + error)
        if value == 0
        else value * math.exp(math.hypot(math.log(high / value), error))
    )
    return Estimate(
        value,
        value * math.exp(-down),
        up,
        stale.count,
        "σ/((1 + σ) λ), memoryless provers",
    )


def _cv(found: np.ndarray) -> Estimate:
    """By the delta method; its error is that of independent intervals."""
    count, mean = len(found), found.mean()
    z = found / mean
    influence = ((z - 1) ** 2 - z.var()) / (2 * z.std()) - z.std() * (z - 1)
    half = 1.96 * float(influence.std()) / math.sqrt(count)
    value = float(z.std(ddof=1))
    return Estimate(value, max(value - half, 0.0), value + half, count, "delta method")


def _memoryless(found: np.ndarray, seed: int) -> float:
    """p-value of exponential intervals of any mean; of some, where there are many."""
    rng = np.random.default_rng(seed)
    some = found if len(found) <= 2000 else rng.choice(found, 2000, replace=False)

    def distance(values: np.ndarray) -> float:
        values = np.sort(values / values.mean())
        count = len(values)
        place = np.arange(1, count + 1) / count
        below = -np.expm1(-values)
        gap = np.maximum(place - below, below - place + 1 / count)
        return float(gap.max())

    seen = distance(some)
    drawn = [distance(rng.exponential(size=len(some))) for _ in range(_SAMPLES)]
    return (1 + sum(each >= seen for each in drawn)) / (1 + _SAMPLES)


def _correlation(found: np.ndarray) -> Estimate:
    value = float(np.corrcoef(found[:-1], found[1:])[0, 1])
    half = 1.96 / math.sqrt(len(found) - 3)
    low, high = (math.tanh(math.atanh(value) + sign * half) for sign in (-1, 1))
    return Estimate(value, low, high, len(found) - 1, "Fisher's z")
