"""The network of ``simulation.py``, level by level and replicas side by side.

Notation (``simulation.py``)
    K           slots of early finders, and of the group's order statistics   ``slots``
    s_i         start of an early finder relative to the group; ∞: nobody
    m           provers in the group
    f           finish times: s_i + Λ⁻¹(E), and Λ⁻¹(E_1/m + E_2/(m−1) + ...)

Arrays are [slots, replicas]: a vector unit works on neighbouring replicas, which all
do the same. A replica's draw for a level and slot has the counter (replica, level and
slot): neither the replicas beside it nor more slots change it. So replicas that had
more finders than slots are simulated again, wider, with the very draws they had; none
is replaced by a luckier one.

``simulation.next_level`` says the same for one replica, with a searched law: the tests
lay one against the other, draw by draw.
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from . import inverse_hazard
from .block_time import BlockTimeLaw
from .counter_draws import exponential, two_words

# Counters of a level: its slots and, last, the adversary's block.
COUNTERS = 4096
PRIVATE = COUNTERS - 1
# Up to here selecting among pairs of slots is faster than looking them up.
_PAIRWISE = 8


class Batch(NamedTuple):
    """What replicas did, side by side: ``simulation.Levels``, levels first."""

    interval: Float[Array, "levels replicas"]
    blocks: Int[Array, "levels replicas"]
    lag: Float[Array, "levels slots replicas"]
    private: Float[Array, "levels replicas"]
    overflow: Bool[Array, " replicas"]


class Rules(NamedTuple):
    """A network as the kernel takes it: all traced.

    Attributes:
        law: Of an honest prover.
        private: Of a corrupted one.
        honest: n_h.
        adversarial: n_a.
        delay: Δ, steps.
    """

    law: inverse_hazard.InverseHazard
    private: inverse_hazard.InverseHazard
    honest: Float[Array, ""]
    adversarial: Float[Array, ""]
    delay: Float[Array, ""]


def rules(
    law: BlockTimeLaw, private: BlockTimeLaw, honest, adversarial, delay
) -> Rules:
    """The kernel's network; laws as of ``block_time.on_device``."""
    of_law = inverse_hazard.of_law
    return Rules(of_law(law), of_law(private), honest, adversarial, delay)


def run(
    words: UInt32[Array, " two"],
    replicas: Int[Array, " replicas"],
    network: Rules,
    *,
    levels: int,
    burn_in: int,
    slots: int,
    lattice: tuple[bool, bool],
) -> Batch:
    """Simulate the replicas of given numbers.

    Args:
        words: Key words.
        replicas: Their numbers, the first counter of their draws.
        network: Who takes part.
        levels: Levels recorded.
        burn_in: Levels run before.
        slots: K.
        lattice: Whether the honest and the private law are lattice laws.
    """
    level = partial(
        _level, words=words, replicas=replicas, network=network, lattice=lattice
    )
    nobody = jnp.full((slots, len(replicas)), jnp.inf)
    start = nobody, jnp.zeros(len(replicas), bool)
    start, _ = lax.scan(level, start, jnp.arange(burn_in, dtype=jnp.int32))
    numbers = jnp.arange(burn_in, burn_in + levels, dtype=jnp.int32)
    (_, overflow), found = lax.scan(level, start, numbers)
    return Batch(*found, overflow)


def _level(state, number, *, words, replicas, network: Rules, lattice):
    early, overflow = state
    slots, width = early.shape
    slot = jnp.arange(slots, dtype=jnp.int32)[:, None]
    counter = COUNTERS * number + slot
    bits = two_words(words, 0, *jnp.broadcast_arrays(replicas[None, :], counter))
    last = jnp.full(width, COUNTERS * number + PRIVATE)
    alone, _ = two_words(words, 0, replicas, last)
    group = network.honest - jnp.isfinite(early).sum(axis=0)
    left = group[None, :] - slot.astype(jnp.float32)
    gaps = exponential(bits[1]) / jnp.maximum(left, 1.0)
    law = partial(inverse_hazard.time_at, network.law, lattice=lattice[0])
    own = early + law(exponential(bits[0]))
    others = jnp.where(left > 0, law(_running_sum(gaps)), jnp.inf)
    first = jnp.minimum(own.min(axis=0), others[0])
    known = first + network.delay
    # ≤: a block found in the very moment the other arrives still counts as a fork, and
    # float32 must not break the ties of a lattice law. Infinite times are no blocks.
    slack = 1e-3 * network.law.spacing if lattice[0] else 0.0
    own = jnp.where(own <= (known + slack)[None, :], own, jnp.inf)
    others = jnp.where(others <= (known + slack)[None, :], others, jnp.inf)
    count = jnp.isfinite(own).sum(axis=0) + jnp.isfinite(others).sum(axis=0)
    overflow |= (count > slots) | (jnp.isfinite(others[-1]) & (left[-1] > 1))
    found = _kept(own, others)
    private = inverse_hazard.time_at(
        network.private, exponential(alone) / network.adversarial, lattice=lattice[1]
    )
    info = network.delay + first, count, found - first[None, :], private
    return (found - known[None, :], overflow), info


def _running_sum(gaps: Float[Array, "slots replicas"]) -> Array:
    rows = [gaps[0]]
    for gap in gaps[1:]:
        rows.append(rows[-1] + gap)
    return jnp.stack(rows)


def _kept(own, others):
    """The finite entries of both in as many slots; what overflows is dropped."""
    slots = own.shape[0]
    free = jnp.isinf(own)
    # The group's finders are its first; they go to the slots that are free, in order.
    if slots > _PAIRWISE:
        rank = jnp.maximum(jnp.cumsum(free, axis=0) - 1, 0)
        return jnp.where(free, jnp.take_along_axis(others, rank, axis=0), own)
    rank = jnp.zeros(own.shape[1], jnp.int32)
    rows = []
    for slot in range(slots):
        taken = jnp.full(own.shape[1], jnp.inf)
        for other in range(slot + 1):
            taken = jnp.where(rank == other, others[other], taken)
        rows.append(jnp.where(free[slot], taken, own[slot]))
        rank += free[slot]
    return jnp.stack(rows)
