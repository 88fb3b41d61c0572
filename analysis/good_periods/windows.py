"""Good periods: does the block rate stay what the security proof expects?

Notation (SLT23 §5, Def. 3):
    round        ``round_steps`` steps; one training-oracle query
    X_r          1 iff at least one honest success in round r
    Y_r          1 iff exactly one
    Z_r          number of adversarial successes
    W            a window of k consecutive rounds
    p            E[X_r]; kp = expected successful rounds in the window
    ε            tolerance

W is good ((ε,k)-typical) iff
    (1−ε) E[X(W)] < X(W) < (1+ε) E[X(W)],  (1−ε) E[Y(W)] < Y(W),
    Z(W) < E[Z(W)] + ε E[X(W)].
Two probabilities are estimated: that a window of exactly k rounds at a random place is
good, and that every window of at least k rounds within the horizon is (Def. 3).

The second depends on the horizon, so the horizon must not depend on the replicas: it is
fixed before any is simulated (``horizon_rounds``), and one that ends earlier is
simulated on (``rounds_until``). The shortest of R replicas would make it shorter, and
the probability larger, the more of them there are.

A replica is a list of success times, never an array of rounds: the cost is linear in
blocks and no shape depends on the length of a round. All windows of at least k rounds
are good iff the longest bad one is shorter: one search a success answers every k.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.law import BlockTimeLaw, mean
from ..estimation.estimate import (
    Estimate,
    Refused,
    estimate_mean,
    estimate_mean_share,
    estimate_share,
)
from ..estimation.measurement import Measurement, Spread
from ..estimation.quantities import (
    GOOD_PERIOD,
    GOOD_PERIOD_ALL,
    ROUND_ADVERSARIAL,
    ROUND_SINGLE_SUCCESS,
    ROUND_SUCCESS,
)
from .rounds import RoundSums, counted_rounds, sums_of
from .search import Question, Rounds, judge

# Window lengths that are judged by one program: places of windows are drawn by counter,
# and those of further ones change none.
_TOGETHER = 12
# A round succeeds or not; of the adversary's blocks it may hold several.
_RATES: tuple[tuple[str, Spread], ...] = (
    (ROUND_SUCCESS, "angle"),
    (ROUND_SINGLE_SUCCESS, "angle"),
    (ROUND_ADVERSARIAL, "log"),
)


class RoundRates(NamedTuple):
    """Means per round: E[X_r], E[Y_r], E[Z_r], and the rounds they were taken from.

    Attributes:
        x: Pr[at least one honest success], the proof's p.
        y: Pr[exactly one].
        z: Mean adversarial successes.
        begin: First round used, after a run-in.
        end: One past the last round of the horizon, which every replica covers.
        replicas: Replicas.
    """

    x: float
    y: float
    z: float
    begin: int
    end: int
    replicas: int

    def window(self, blocks: float) -> int:
        """k, the fewest rounds in which ``blocks`` successful rounds are expected.

        Never fewer: where (1−ε)kp is whole, as many successes are too few, and must not
        be enough in one sample of replicas and too few in the next because k was
        rounded down in one of them.
        """
        return max(1, math.ceil(blocks / self.x - 1e-9))


def round_rates(rounds: Rounds, *, end: int) -> RoundRates:
    """Measure E[X_r], E[Y_r], E[Z_r] over a horizon after its run-in.

    Args:
        rounds: Success rounds of all replicas, which cover the horizon
            (``rounds_until``).
        end: One past its last round, as of ``horizon_rounds``.

    Raises:
        Refused: If the horizon has fewer than 20 rounds.
    """
    sums, begin = jax.device_get(counted_rounds(rounds, jnp.int32(end)))
    return rates_of(sums, int(begin), end)


def counted_on(
    rates: RoundRates, following: BlockTimeLaw | None, round_steps: float
) -> RoundRates:
    """The means that the protocol counts on: corrupted provers mine as honest ones.

    An attack that changes their law changes Z and not what windows are judged by.

    Args:
        rates: Means that were measured.
        following: Law of the corrupted provers' next block if they followed the
            protocol: E[Z_r] is ``round_steps`` over its mean, the rate of that renewal
            process. None: they have it, and the rates stay as they are.
        round_steps: Steps a round.
    """
    if following is None:
        return rates
    return rates._replace(z=round_steps / mean(following))


def rates_of(sums: RoundSums, begin: int, end: int) -> RoundRates:
    """``round_rates`` of counts in the rounds from ``begin`` to ``end``."""
    if end - begin < 20:
        raise Refused(
            f"good periods: the horizon has only {end} rounds, {begin} of them to "
            "warm up, and 20 others are needed; simulate more levels or use shorter "
            "rounds"
        )
    x, y, z = (float(s.sum(dtype=np.float64)) for s in sums)
    replicas = len(sums.single)
    total = replicas * (end - begin)
    return RoundRates(x / total, y / total, z / total, begin, end, replicas)


class WindowShares(NamedTuple):
    """Which windows of each replica are bad, by window length.

    Attributes:
        blocks: Window lengths kp as they were asked for.
        rounds: k of each.
        single: Share of a replica's single windows that are bad.
        every: Whether some window of at least k rounds is bad.
    """

    blocks: tuple[float, ...]
    rounds: Int[np.ndarray, " windows"]
    single: Float[np.ndarray, "replicas windows"]
    every: Bool[np.ndarray, "replicas windows"]


def window_shares(
    key: Key[Array, ""],
    rounds: Rounds,
    rates: RoundRates,
    window_blocks: Sequence[float],
    *,
    epsilon: float,
) -> WindowShares:
    """Judge single windows and all windows of each replica.

    Args:
        key: Draws the places of the single windows.
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        window_blocks: Window lengths as expected successful rounds kp; those longer
            than half the horizon are left out.
        epsilon: ε in (0, 1).

    Raises:
        ValueError: If ε is out of range.
        Refused: If every window is longer than half the horizon.
    """
    question = question_of(rates, window_blocks, epsilon=epsilon, padded=_TOGETHER)
    good, longest = jax.device_get(judge(key, rounds, question))
    return shares_of(rates, window_blocks, good[:, : len(window_blocks)], longest)


def question_of(
    rates: RoundRates,
    window_blocks: Sequence[float],
    *,
    epsilon: float,
    padded: int = 1,
) -> Question:
    """What ``window_shares`` asks of each replica; raises as it does.

    Args:
        rates: Expectations of the rounds.
        window_blocks: Window lengths.
        epsilon: ε in (0, 1).
        padded: Their number is made a multiple of this one.
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be in (0, 1), got {epsilon}")
    span = rates.end - rates.begin
    if not _fitting(rates, window_blocks):
        raise Refused(
            f"good periods: the horizon has {span} rounds, {span * rates.x:.0f} "
            f"successful ones; the shortest window ({min(window_blocks):g} of them) "
            "needs twice its length: simulate more levels"
        )
    # All windows are judged, also those too long, and the last once more until there
    # are ``padded``: their number is part of the shape.
    lengths = np.array([rates.window(blocks) for blocks in window_blocks])
    lengths = np.pad(lengths, (0, -len(lengths) % padded), mode="edge")
    return Question(
        np.array([rates.x, rates.y, rates.z, epsilon], np.float32),
        np.array([rates.begin, rates.end], np.int32),
        np.minimum(lengths, span).astype(np.int32),
    )


def shares_of(
    rates: RoundRates,
    window_blocks: Sequence[float],
    good: Float[np.ndarray, "replicas windows"],
    longest: Int[np.ndarray, " replicas"],
) -> WindowShares:
    """``window_shares`` from what ``judge`` has found."""
    fitting = _fitting(rates, window_blocks)
    lengths = np.array([rates.window(blocks) for blocks in window_blocks])
    kept = np.isin(window_blocks, fitting)
    return WindowShares(
        tuple(fitting),
        lengths[kept],
        1.0 - good[:, kept].astype(np.float64),
        longest[:, None] >= lengths[kept],
    )


def _fitting(rates: RoundRates, window_blocks: Sequence[float]) -> list[float]:
    half = (rates.end - rates.begin) // 2
    return [blocks for blocks in window_blocks if rates.window(blocks) <= half]


def good_period_measurements(shares: WindowShares) -> list[Measurement]:
    """Pr[window good] and Pr[every window of at least that length good].

    Returns:
        ``good_period`` and ``good_period_all`` at each kp.
    """
    what = "good periods"
    singles = [
        _measurement(GOOD_PERIOD, kp, estimate_mean_share(1.0 - column, what))
        for kp, column in zip(shares.blocks, shares.single.T, strict=True)
    ]
    everys = [
        _measurement(GOOD_PERIOD_ALL, kp, estimate_share(~column, what))
        for kp, column in zip(shares.blocks, shares.every.T, strict=True)
    ]
    return singles + everys


def rate_measurements(rounds: Rounds, rates: RoundRates) -> list[Measurement]:
    """E[X_r], E[Y_r], E[Z_r] with intervals over replicas."""
    sums = jax.device_get(sums_of(rounds, rates.begin, rates.end))
    return measurements_of(sums, rates)


def measurements_of(sums: RoundSums, rates: RoundRates) -> list[Measurement]:
    """``rate_measurements`` of counts in the rates' rounds."""
    length = rates.end - rates.begin
    return [
        Measurement(
            name, None, "", estimate_mean(total / length, name), "per round", spread
        )
        for (name, spread), total in zip(_RATES, sums, strict=True)
    ]


def _measurement(quantity: str, blocks: float, estimate: Estimate) -> Measurement:
    return Measurement(
        quantity, float(blocks), "expected blocks", estimate, "probability"
    )
