"""A network between two blocks: provers, messages under way, ancestors as bits.

Notation (that of ``engine.py``):
    v_i     speed of prover i; its block time is X/v_i      ``Rules.speeds``
    Δ       longest delay of a message                      ``Rules.delay``
    f_i     when i finds its block if it does not restart   ``State.finish``

Arrays end in the replicas, which stand side by side: a vector unit works on
neighbouring replicas, which all do the same. All times are relative to the last block
found, so float32 stays as exact at the millionth block as at the first.

What a tip descends from is kept as bits over the last 32·words blocks found (bit 0 is
the newest): the depth of a reorganisation is a count of bits. Provers that differ
further back than that are reported, not cut off (``deep``); so is a block that finds
all slots for messages under way taken (``crowded``).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from .marked_law import PlainTickets, Tickets, draw

# Depths at which reorganisations are counted.
DEPTHS = 16
# Up to here a loop over slots is unrolled and fused; longer ones would take minutes
# to compile.
_UNROLLED = 8
_ALL_BITS = 0xFFFFFFFF

T = TypeVar("T")


class Rules(NamedTuple):
    """What stays the same through a replica.

    Attributes:
        law: Block-time law under the chain rule.
        speeds: v_i.
        delay: Δ.
        random_delay: Whether delays are uniform on [0, Δ].
        shares: Shares of Δ, of which a message that is not random takes one.
        ties: Index of the tie rule in ``marked_law.TIES``.
        slack: Times nearer than this are one moment.
        burn_in: Blocks before reorganisations are counted.
    """

    law: Tickets | PlainTickets
    speeds: Float[Array, " n"]
    delay: Float[Array, ""]
    random_delay: Bool[Array, ""]
    shares: Float[Array, " table"]
    ties: Int[Array, ""]
    slack: Float[Array, ""]
    burn_in: Int[Array, ""]


class Messages(NamedTuple):
    """Blocks under way, one a slot.

    Attributes:
        arrival: When each prover hears of it; −inf: it has gone over to it.
        lot: Random words, by prover: the order of simultaneous messages, and the coin
            of a tie.
        work: Cumulative weight of its chain, units.
        block: Its index.
        chain: What it descends from, itself included, as bits.
    """

    arrival: Float[Array, "slots n replicas"]
    lot: UInt32[Array, "slots n replicas"]
    work: Int[Array, "slots replicas"]
    block: Int[Array, "slots replicas"]
    chain: UInt32[Array, "words slots replicas"]


class State(NamedTuple):
    """Replicas of a network between two events.

    Attributes:
        finish: f_i; inf where i will never find a block on this tip.
        weight: What i's next block weighs, units.
        attempt: Draws that i has had.
        tip: Block i mines on; −1: the first one's parent.
        work: Cumulative weight of that chain, units.
        chain: What it descends from, as bits.
        messages: Blocks under way.
        blocks: Blocks found so far.
        reverted: Σ over reorganisations of the discarded blocks at depth ≥ d.
        adopted: Blocks that provers took into their chains.
        crowded: Whether there were too few slots.
        deep: Whether provers differed in blocks beyond the bits' window.
        dead: Whether no prover will ever find a block again.
    """

    finish: Float[Array, "n replicas"]
    weight: Int[Array, "n replicas"]
    attempt: Int[Array, "n replicas"]
    tip: Int[Array, "n replicas"]
    work: Int[Array, "n replicas"]
    chain: UInt32[Array, "words n replicas"]
    messages: Messages
    blocks: Int[Array, " replicas"]
    reverted: Int[Array, "depths replicas"]
    adopted: Int[Array, " replicas"]
    crowded: Bool[Array, " replicas"]
    deep: Bool[Array, " replicas"]
    dead: Bool[Array, " replicas"]


def begin(
    key: UInt32[Array, "two replicas"], rules: Rules, *, slots: int, words: int
) -> State:
    """All provers start on the same block at time 0.

    Args:
        key: Words of the replicas' keys.
        rules: What stays the same.
        slots: Messages under way that are followed.
        words: Words of ancestors.
    """
    provers, replicas = len(rules.speeds), key.shape[1]
    whole = jnp.zeros((provers, replicas), jnp.int32)
    place = jnp.broadcast_to(jnp.arange(provers)[:, None], whole.shape)
    time, weight = draw(key[:, None], rules.law, place, whole)
    no = jnp.zeros(replicas, bool)
    under_way = slots, provers, replicas
    return State(
        finish=time / rules.speeds[:, None],
        weight=weight,
        attempt=whole + 1,
        tip=whole - 1,
        work=whole,
        chain=jnp.zeros((words, provers, replicas), jnp.uint32),
        messages=Messages(
            arrival=jnp.full(under_way, -jnp.inf),
            lot=jnp.zeros(under_way, jnp.uint32),
            work=jnp.zeros((slots, replicas), jnp.int32),
            block=jnp.full((slots, replicas), -2),
            chain=jnp.zeros((words, slots, replicas), jnp.uint32),
        ),
        blocks=whole[0],
        reverted=jnp.zeros((DEPTHS, replicas), jnp.int32),
        adopted=whole[0],
        crowded=no,
        deep=no,
        dead=no,
    )


def beats(state: State, rules: Rules, slot: int | Int[Array, ""]) -> Array:
    """Whether each prover goes over to the slot's chain when it hears of it.

    ``first_seen`` needs a heavier one. At a tie ``random`` goes over if a fair coin
    of (block, prover) says so, ``adversary`` always: the chain heard of last wins.
    """
    messages = state.messages
    work = messages.work[slot][None, :]
    coin = (messages.lot[slot] & 1) == 1
    yields = ((rules.ties == 1) & coin) | (rules.ties == 2)
    under_way = messages.arrival[slot] > -jnp.inf
    return under_way & ((work > state.work) | ((work == state.work) & yields))


def delivered(messages: Messages, slack: Float[Array, ""]) -> Array:
    """Slots whose message everyone has heard, free for the next: [slots, replicas]."""
    return (messages.arrival < -slack).all(axis=1)


def over_slots(slots: int, body: Callable[[int | Array, T], T], start: T) -> T:
    """Fold over the slots, unrolled where they are few."""
    if slots > _UNROLLED:
        return lax.fori_loop(0, slots, body, start, unroll=_UNROLLED)
    for slot in range(slots):
        start = body(slot, start)
    return start


def at_slot(
    values: Int[Array, "slots replicas"] | UInt32[Array, "slots replicas"],
    slot: Int[Array, "n replicas"],
) -> Array:
    """Each prover's own slot of the values: [n, replicas]; anything at slot −1."""
    if len(values) > _UNROLLED:
        return jnp.take_along_axis(values, slot, axis=0, mode="clip")
    chosen = jnp.broadcast_to(values[:1], slot.shape)
    for other in range(1, len(values)):
        chosen = jnp.where(slot == other, values[other][None, :], chosen)
    return chosen


def shifted(
    chain: UInt32[Array, "words rows replicas"], happens: Bool[Array, " replicas"]
) -> tuple[Array, Array]:
    """Bits one block older, and the bit that leaves the window: [rows, replicas]."""
    carry = chain >> 31
    below = jnp.concatenate([jnp.zeros_like(carry[:1]), carry[:-1]])
    older = jnp.where(happens[None, None, :], (chain << 1) | below, chain)
    return older, carry[-1] == 1


def count_bits(chain: UInt32[Array, "words rows replicas"]) -> Array:
    """Blocks of a set of them: [rows, replicas]."""
    return lax.population_count(chain).astype(jnp.int32).sum(axis=0)


def common_block(state: State, slack: Float[Array, ""]) -> Int[Array, " replicas"]:
    """Newest block on the chain of every prover and every message; −1: none."""
    done = delivered(state.messages, slack)
    others = jnp.where(done[None], jnp.uint32(_ALL_BITS), state.messages.chain)
    chains = jnp.concatenate([state.chain, others], axis=1)
    shared = lax.reduce(chains, jnp.uint32(_ALL_BITS), lax.bitwise_and, (1,))
    lowest = lax.population_count((shared & -shared) - jnp.uint32(1))
    place = lowest.astype(jnp.int32) + 32 * jnp.arange(len(shared))[:, None]
    age = jnp.where(shared > 0, place, state.blocks[None, :]).min(axis=0)
    return state.blocks - 1 - age


def apart(rules: Rules, stage: Callable[..., T], *operands: Any) -> T:
    """``stage(*operands)`` as a computation of its own, worked out once.

    XLA fuses whatever it can: here it would work out the same thing anew for each of
    its dozens of uses, six times slower and not always to the same last bit. On a CPU
    it ignores ``optimization_barrier``; a branch is the boundary that it keeps.
    """
    shapes = jax.eval_shape(stage, *operands)

    def never(*_: Any) -> T:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return lax.cond(rules.delay >= 0, stage, never, *operands)


def chosen(where: Bool[Array, "n replicas"], this: T, other: T) -> T:
    """Field by field, one of two."""
    return jax.tree.map(lambda a, b: jnp.where(where, a, b), this, other)
