"""Rounds of a simulated chain: which of them have successes, and how many there are.

Notation (that of ``windows.py``)
    round        ``round_steps`` steps
    X_r, Y_r     1 iff at least one, exactly one honest success in round r
    Z_r          number of adversarial successes in it
    horizon      rounds that are looked at, fixed before any replica is simulated

A replica is a list of the rounds that have a success, padded after its last: never an
array of rounds, so that a round may be as short as one likes. The horizon comes from
the plan alone (``horizon_rounds``); a replica that ends before it is simulated on
(``rounds_until``).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int
from scipy import special

from ..block_time.law import BlockTimeLaw, fastest_of, mean_and_cv
from ..estimation.estimate import (
    Refused,
)
from ..simulation.levels import Levels, Network, batch_of
from .search import BATCH, ROUND_LIMIT, Rounds, marks

# Probability that a replica ends before the horizon, as the gamma law has it: so
# small that hardly ever one must be simulated on.
_EARLY_END = 1e-9


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


def trimmed(rounds: Rounds, like: Rounds) -> Rounds:
    """The same successes in lists as long as the others' are, if they fit there.

    Lists of one length share a program, and what pads them costs time.
    """
    counts = jax.device_get(_most_successes(rounds))
    return Rounds(
        *(
            own[:, : other.shape[1]] if most <= other.shape[1] else own
            for own, other, most in zip(rounds, like, counts, strict=True)
        )
    )


@jax.jit
def _most_successes(rounds: Rounds) -> Rounds:
    return jax.tree.map(lambda x: (x < ROUND_LIMIT).sum(axis=1).max(), rounds)


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
    # Never, and so late that int32 has no number for it, are both after every round.
    number = jnp.minimum(jnp.floor(times / round_steps), float(ROUND_LIMIT))
    return number.astype(jnp.int32)


@jax.jit
def counted_rounds(
    rounds: Rounds, end: Int[Array, ""]
) -> tuple[RoundSums, Int[Array, ""]]:
    """Counts in the rounds of the horizon after a run-in, and the first of these."""
    begin = end // 10
    return sums_of(rounds, begin, end), begin


@jax.jit
def sums_of(rounds: Rounds, begin, end) -> RoundSums:
    """Successes of each replica from round ``begin`` to ``end``."""

    def one(replica: Rounds):
        first, only = marks(replica.honest)
        inside = (replica.honest >= begin) & (replica.honest < end)
        private = (replica.adversarial >= begin) & (replica.adversarial < end)
        return RoundSums((first & inside).sum(), (only & inside).sum(), private.sum())

    return lax.map(one, rounds, batch_size=batch_of(rounds.honest.shape[0], BATCH))
