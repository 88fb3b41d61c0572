"""Good periods: does the block rate stay what the security proof expects?

Notation (security.md §2; SLT23 §5, Def. 3):
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

The second hangs on the horizon, so the horizon must not hang on the replicas: it is
fixed before any is simulated (``horizon_rounds``), and one that ends earlier is
simulated on (``rounds_until``). The shortest of R replicas would make it shorter, and
the probability larger, the more of them there are.

A replica is a list of success times, never an array of rounds: the cost is linear in
blocks and no shape depends on the length of a round. All windows of at least k rounds
are good iff the longest bad one is shorter: one search a success answers every k.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key
from scipy import special

from ..block_time.law import BlockTimeLaw, fastest_of, mean_and_cv
from ..estimation.estimate import Estimate, Refused, estimate_mean, estimate_share
from ..estimation.measurement import Measurement, Spread
from ..estimation.shares import estimate_mean_share
from ..simulation.levels import Levels, Network, batch_of
from .search import BATCH, ROUND_LIMIT, Question, Rounds, judge, marks

# Probability that a replica ends before the horizon, as the gamma law has it: so
# small that hardly ever one must be simulated on.
_EARLY_END = 1e-9
# A round succeeds or not; of the adversary's blocks it may hold several.
_RATES: tuple[tuple[str, Spread], ...] = (
    ("round_success", "angle"),
    ("round_single_success", "angle"),
    ("round_adversarial", "log"),
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


class RoundSums(NamedTuple):
    """Counts over a replica's rounds.

    Attributes:
        success: Rounds with at least one honest success.
        single: Rounds with exactly one.
        adversarial: Adversarial successes.
    """

    success: Int[Any, " replicas"]
    single: Int[Any, " replicas"]
    adversarial: Int[Any, " replicas"]


def horizon_rounds(network: Network, *, levels: int, round_steps: float) -> int:
    r"""Rounds of the horizon, from the plan alone: no replica has a say in it.

    Of L levels of the public chain each takes at least the fastest of n_h draws that
    start with the level, so they take at least the sum of L such draws, whatever the
    delay; the private chain's L blocks are a sum of L draws of the fastest of n_a. For
    both the horizon takes a low quantile of the gamma law of the sum's mean and
    variance, and then the smaller one:

        T = min over both of  (L m / a) Γ⁻¹_a(10⁻⁹),   a = L / CV²

    Args:
        network: Laws, provers on both sides.
        levels: L.
        round_steps: Steps a round.

    Returns:
        Whole rounds in T, at most ``ROUND_LIMIT``; a side whose blocks may never come
        does not shorten it.
    """
    sides = [(network.law, float(network.honest))]
    if float(network.adversarial) > 0:
        sides.append((network.private_law, float(network.adversarial)))
    steps = min(_surely(fastest_of(law, count), levels) for law, count in sides)
    return int(min(steps / round_steps, ROUND_LIMIT))


def _surely(law: BlockTimeLaw, draws: int) -> float:
    """Steps that a sum of so many draws hardly ever stays below."""
    each, spread = mean_and_cv(law)
    if not math.isfinite(each):
        return math.inf
    if spread == 0:
        return draws * each
    shape = draws / spread**2
    return draws * each * float(special.gammaincinv(shape, _EARLY_END)) / shape


def rounds_until(
    end: int, simulated: Callable[[int], Levels], *, levels: int, round_steps: float
) -> Rounds:
    """Successes of replicas that all cover the rounds before ``end``.

    Args:
        end: As of ``horizon_rounds``.
        simulated: The replicas with so many levels: the same path, however many.
        levels: How many to begin with; twice as many where one ends too early.
        round_steps: Steps a round.

    Raises:
        Refused: As ``rounds_of``.
    """
    found = simulated(levels)
    while not jax.device_get(shortest(found)) >= end * round_steps:
        levels *= 2
        found = simulated(levels)
    return rounds_of(found, round_steps=round_steps)


def rounds_of(levels: Levels, *, round_steps: float) -> Rounds:
    """Sort a network's successes into rounds of ``round_steps`` steps.

    Raises:
        Refused: If the simulated time has too many rounds to number them.
    """
    longest, most = jax.device_get(extent(levels))
    if not longest / round_steps < ROUND_LIMIT:
        raise Refused(
            "good periods: round_steps must be at least "
            f"{longest / ROUND_LIMIT:.3g} for this horizon, got {round_steps:g}"
        )
    capacity = 2 * levels.interval.shape[1]
    while capacity < most:
        capacity *= 2
    capacity = min(capacity, levels.lag.shape[1] * levels.lag.shape[2])
    return sort_rounds(levels, jnp.float32(round_steps), capacity=capacity)


def join_rounds(parts: Sequence[Rounds]) -> Rounds:
    """One set of replicas from several, padded to the longest lists of successes."""
    return Rounds(*(_padded(lists) for lists in zip(*parts, strict=True)))


def _padded(lists: Sequence[Int[Array, "_ _"]]) -> Int[Array, "replicas successes"]:
    longest = max(each.shape[1] for each in lists)
    return jnp.concatenate(
        [
            jnp.pad(
                each,
                ((0, 0), (0, longest - each.shape[1])),
                constant_values=ROUND_LIMIT,
            )
            for each in lists
        ]
    )


def round_rates(rounds: Rounds, *, end: int) -> RoundRates:
    """Measure E[X_r], E[Y_r], E[Z_r] over a horizon behind its run-in.

    Args:
        rounds: Success rounds of all replicas, which cover the horizon
            (``rounds_until``).
        end: One past its last round, as of ``horizon_rounds``.

    Raises:
        Refused: If the horizon has fewer than 20 rounds.
    """
    sums, begin = jax.device_get(counted_rounds(rounds, jnp.int32(end)))
    return rates_of(sums, int(begin), end)


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
    question = question_of(rates, window_blocks, epsilon=epsilon)
    good, longest = jax.device_get(judge(key, rounds, question))
    return shares_of(rates, window_blocks, good, longest)


def question_of(
    rates: RoundRates, window_blocks: Sequence[float], *, epsilon: float
) -> Question:
    """What ``window_shares`` asks of each replica; raises as it does."""
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be in (0, 1), got {epsilon}")
    span = rates.end - rates.begin
    if not _fitting(rates, window_blocks):
        raise Refused(
            f"good periods: the horizon has {span} rounds, {span * rates.x:.0f} "
            f"successful ones; the shortest window ({min(window_blocks):g} of them) "
            "needs twice its length: simulate more levels"
        )
    # All windows are judged, also those too long: their number is part of the shape.
    lengths = np.array([rates.window(blocks) for blocks in window_blocks])
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
        _measurement("good_period", kp, estimate_mean_share(1.0 - column, what))
        for kp, column in zip(shares.blocks, shares.single.T, strict=True)
    ]
    everys = [
        _measurement("good_period_all", kp, estimate_share(~column, what))
        for kp, column in zip(shares.blocks, shares.every.T, strict=True)
    ]
    return singles + everys


def rate_measurements(rounds: Rounds, rates: RoundRates) -> list[Measurement]:
    """E[X_r], E[Y_r], E[Z_r] with intervals over replicas."""
    sums = jax.device_get(_sums(rounds, rates.begin, rates.end))
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


@jax.jit
def extent(levels: Levels) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The longest replica's time, and the most blocks of a replica."""
    return levels.interval.sum(axis=1).max(), levels.blocks.sum(axis=1).max()


@jax.jit
def shortest(levels: Levels) -> Float[Array, ""]:
    """The time that all replicas cover, on both chains."""
    public, private = levels.interval.sum(axis=1), levels.private.sum(axis=1)
    return jnp.minimum(public.min(), private.min())


@partial(jax.jit, static_argnames="capacity")
def sort_rounds(levels: Levels, round_steps, *, capacity: int) -> Rounds:
    """``rounds_of`` with room for so many successes a replica."""

    def one(replica):
        interval, blocks, lag, private = replica
        times, counts = jnp.cumsum(interval), jnp.cumsum(blocks, dtype=jnp.int32)

        # Most slots are empty: packed, level by level, there is little left to sort.
        def pack(carry):
            slot, place, packed = carry
            there = jnp.isfinite(lag[:, slot])
            found = _round(times + lag[:, slot], round_steps)
            where = jnp.where(there, place, capacity)
            return slot + 1, place + there, packed.at[where].set(found, mode="drop")

        empty = jnp.full(capacity, ROUND_LIMIT, jnp.int32)
        *_, packed = lax.while_loop(
            lambda carry: (carry[0] < lag.shape[1]) & (carry[1] < counts).any(),
            pack,
            (jnp.int32(0), counts - blocks, empty),
        )
        return Rounds(
            honest=jnp.sort(packed),
            adversarial=_round(jnp.cumsum(private), round_steps),
        )

    found = (levels.interval, levels.blocks, levels.lag, levels.private)
    replicas = levels.interval.shape[0]
    return lax.map(one, found, batch_size=batch_of(replicas, BATCH))


def _round(times: Float[Array, "*shape"], round_steps) -> Int[Array, "*shape"]:
    # Never, and so late that int32 has no number for it, are both behind every round.
    number = jnp.minimum(jnp.floor(times / round_steps), float(ROUND_LIMIT))
    return number.astype(jnp.int32)


@jax.jit
def counted_rounds(
    rounds: Rounds, end: Int[Array, ""]
) -> tuple[RoundSums, Int[Array, ""]]:
    """Counts in the rounds of the horizon behind a run-in, and the first of these."""
    begin = end // 10
    return _sums(rounds, begin, end), begin


@jax.jit
def _sums(rounds: Rounds, begin, end) -> RoundSums:
    def one(replica: Rounds):
        first, only = marks(replica.honest)
        inside = (replica.honest >= begin) & (replica.honest < end)
        private = (replica.adversarial >= begin) & (replica.adversarial < end)
        return RoundSums((first & inside).sum(), (only & inside).sum(), private.sum())

    return lax.map(one, rounds, batch_size=batch_of(rounds.honest.shape[0], BATCH))


def _measurement(quantity: str, blocks: float, estimate: Estimate) -> Measurement:
    return Measurement(
        quantity, float(blocks), "expected blocks", estimate, "probability"
    )
