"""The network of ``levels.py``, level by level and replicas side by side.

Notation (``levels.py``)
    K           slots: finders a level that can be followed          ``slots``
    s_i         start of an early finder relative to the group; ∞: nobody
    m           provers in the group
    f           finish times: s_i + Λ⁻¹(E), and Λ⁻¹(E_1/m + E_2/(m−1) + ...)

Arrays are [slots, replicas]: a vector unit works on neighbouring replicas, which all
do the same. Slots are gone through one after the other, and no further than the
replica with most finders needs: a level costs draws in proportion to its blocks, not
to K. A replica's draw for a level and slot has the counter (replica, level and slot):
neither the replicas beside it nor more slots change it. So replicas that had more
finders than slots are simulated again, wider, with the very draws they had; none is
replaced by a luckier one.

``levels.next_level`` says the same for one replica, with a searched law: the tests
lay one against the other, draw by draw.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt32

from ..block_time import inverse_hazard
from ..block_time.counter_draws import exponential, two_words
from ..block_time.law import BlockTimeLaw

# Counters of a level: its slots and, last, the adversary's block.
COUNTERS = 4096
PRIVATE = COUNTERS - 1
# Most levels that are turned to replicas first at once: few enough to be still in the
# cache, though equal slots of neighbouring levels lie a power of two apart.
_CHUNK = 4
# Replicas side by side of which more than this share has overflown are given up: they
# are cheaper all simulated again at once than all to their end and then these.
_GIVEN_UP = 0.25


class Record(NamedTuple):
    """What replicas did: ``levels.Levels``."""

    interval: Float[Array, "replicas levels"]
    blocks: Int[Array, "replicas levels"]
    lag: Float[Array, "replicas levels slots"]
    private: Float[Array, "replicas levels"]
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


class State(NamedTuple):
    """Replicas after a level.

    Attributes:
        lag: Times of its blocks after the first; inf in empty slots.
        blocks: How many there are.
        used: Slots from here on are empty in every replica.
        overflow: Whether some level had more finders than slots.
    """

    lag: Float[Array, "slots replicas"]
    blocks: Int[Array, " replicas"]
    used: Int[Array, ""]
    overflow: Bool[Array, " replicas"]


class Draws(NamedTuple):
    """How a level came about, with what was known before it.

    Attributes:
        own: When early finders, slot by slot, would have their block; inf: nobody.
        first: Time of the level's first block; as ``own`` after the group's start.
        hazard: Λ at the group's first block.
        size: Provers in the group.
    """

    own: Float[Array, "slots replicas"]
    first: Float[Array, " replicas"]
    hazard: Float[Array, " replicas"]
    size: Float[Array, " replicas"]


class _Group(NamedTuple):
    """The group's next finder.

    Attributes:
        rank: Finders before it.
        hazard: Λ at its time, E_1/m + E_2/(m−1) + ...
        time: Its time; inf: there is nobody left.
    """

    rank: Int[Array, " replicas"]
    hazard: Float[Array, " replicas"]
    time: Float[Array, " replicas"]


def rules(
    law: BlockTimeLaw, private: BlockTimeLaw, honest, adversarial, delay
) -> Rules:
    """The kernel's network; laws as of ``block_time.law.on_device``."""
    of_law = inverse_hazard.of_law
    return Rules(of_law(law), of_law(private), honest, adversarial, delay)


def compiler_options() -> dict[str, int] | None:
    """Of ``jax.jit`` for a program with the kernel in it.

    Vectors of 512 bits where a CPU has them: by itself XLA stops at 256, which takes a
    fifth longer. No result depends on it.
    """
    on_cpu = jax.default_backend() == "cpu"
    return {"xla_cpu_prefer_vector_width": 512} if on_cpu else None


def run(
    words: UInt32[Array, " two"],
    replicas: Int[Array, " replicas"],
    network: Rules,
    *,
    width: int,
    levels: int,
    burn_in: int,
    slots: int,
    lattice: tuple[bool, bool],
) -> Record:
    """Simulate the replicas of given numbers.

    Args:
        words: Key words.
        replicas: Their numbers, the first counter of their draws.
        network: Who takes part.
        width: How many run side by side; must divide their number.
        levels: Levels recorded.
        burn_in: Levels run before.
        slots: K.
        lattice: Whether the honest and the private law are lattice laws.

    Returns:
        The replicas; where many of those side by side have overflown, all of them are
        marked so and their later levels were left out.
    """
    count = len(replicas)
    chunk = next(n for n in range(_CHUNK, 0, -1) if levels % n == 0)
    record = Record(
        interval=jnp.zeros((count, levels)),
        blocks=jnp.zeros((count, levels), jnp.int32),
        lag=jnp.zeros((count, levels, slots)),
        private=jnp.zeros((count, levels)),
        overflow=jnp.zeros(count, bool),
    )

    def batch(number, record: Record) -> Record:
        begin = number * width
        level = partial(
            _level,
            words=words,
            replicas=lax.dynamic_slice_in_dim(replicas, begin, width),
            network=network,
            lattice=lattice,
        )
        state, _ = lax.scan(
            level, fresh(slots, width), jnp.arange(burn_in, dtype=jnp.int32)
        )
        *parts, overflow = record
        state, parts = _recorded(
            level, state, parts, first=burn_in, count=levels, row=begin, chunk=chunk
        )
        failed = state.overflow | ~_usable(state)
        overflow = lax.dynamic_update_slice_in_dim(overflow, failed, begin, 0)
        interval, blocks, lag, private = parts
        return Record(interval, blocks, lag, private, overflow)

    return lax.fori_loop(0, count // width, batch, record)


def stretch(
    words: UInt32[Array, " two"],
    replicas: Int[Array, " replicas"],
    network: Rules,
    state: State,
    first: Int[Array, ""],
    count: Int[Array, ""],
    *,
    room: int,
    lattice: tuple[bool, bool],
) -> tuple[State, Record]:
    """Some levels of replicas side by side, from where they stand.

    Neither how many levels nor which replicas is part of the shape: a run of any size
    is stretch after stretch of one program.

    Args:
        words: Key words.
        replicas: Their numbers.
        network: Who takes part.
        state: ``fresh``, or what the stretch before returned.
        first: Number of the first level.
        count: How many there are, at most the room. Up to three more are gone through
            if it is no multiple of four: then it must be the last stretch.
        room: Levels that the record has room for, a multiple of four.
        lattice: Whether the honest and the private law are lattice laws.

    Returns:
        The state, and the levels; later ones hold anything. All replicas are marked
        as overflown where many are, and their later levels were left out.
    """
    slots, width = state.lag.shape
    parts = [
        jnp.zeros((width, room)),
        jnp.zeros((width, room), jnp.int32),
        jnp.zeros((width, room, slots)),
        jnp.zeros((width, room)),
    ]
    level = partial(
        _level, words=words, replicas=replicas, network=network, lattice=lattice
    )
    state, parts = _recorded(
        level, state, parts, first=first, count=count, row=0, chunk=_CHUNK
    )
    interval, blocks, lag, private = parts
    failed = state.overflow | ~_usable(state)
    return state, Record(interval, blocks, lag, private, failed)


def fresh(slots: int, width: int) -> State:
    """Replicas before their first level."""
    return State(
        lag=jnp.full((slots, width), jnp.inf),
        blocks=jnp.zeros(width, jnp.int32),
        used=jnp.int32(0),
        overflow=jnp.zeros(width, bool),
    )


def _usable(state: State) -> Bool[Array, ""]:
    return state.overflow.sum() <= _GIVEN_UP * len(state.overflow)


def _recorded(level, state: State, parts, *, first, count, row, chunk: int):
    """Levels written into the arrays from a row on, as long as they are of use."""

    def going(carry):
        done, state, _ = carry
        return (done < count) & _usable(state)

    def further(carry):
        done, state, parts = carry
        numbers = first + done + jnp.arange(chunk, dtype=jnp.int32)
        state, found = lax.scan(level, state, numbers)
        parts = [
            lax.dynamic_update_slice(
                whole,
                jnp.moveaxis(part, -1, 0),
                (row, done) + (0,) * (whole.ndim - 2),
            )
            for whole, part in zip(parts, found, strict=True)
        ]
        return done + chunk, state, parts

    _, state, parts = lax.while_loop(going, further, (jnp.int32(0), state, parts))
    return state, parts


def _level(state: State, number, *, words, replicas, network: Rules, lattice):
    state, found, _ = drawn_level(
        state,
        number,
        words=words,
        replicas=replicas,
        network=network,
        lattice=lattice,
    )
    return state, found


def drawn_level(
    state: State,
    number: Int[Array, ""],
    *,
    words: UInt32[Array, " two"],
    replicas: Int[Array, " replicas"],
    network: Rules,
    lattice: tuple[bool, bool],
) -> tuple[State, tuple[Array, Array, Array, Array], Draws]:
    """A level of replicas side by side.

    Args:
        state: Replicas after the level before.
        number: Of the level.
        words: Key words.
        replicas: Their numbers.
        network: Who takes part; numbers, or an array with one for each replica.
        lattice: Whether the honest and the private law are lattice laws.

    Returns:
        The state, what ``Record`` keeps of the level, and how it came about.
    """
    slots, width = state.lag.shape
    law = partial(inverse_hazard.time_at, network.law, lattice=lattice[0])
    size = network.honest - state.blocks.astype(jnp.float32)

    def draws(slot):
        counter = jnp.broadcast_to(COUNTERS * number + slot, width)
        return two_words(words, 0, replicas, counter)

    def after(group: _Group, taken) -> _Group:
        rank = group.rank + taken
        left = size - rank.astype(jnp.float32)
        gap = exponential(draws(rank)[1]) / jnp.maximum(left, 1.0)
        hazard = jnp.where(taken, group.hazard + gap, group.hazard)
        return _Group(rank, hazard, jnp.where(left > 0, law(hazard), jnp.inf))

    def finish(carry):
        slot, own, first = carry
        start = state.lag[slot] - network.delay
        time = start + law(exponential(draws(slot)[0]))
        return slot + 1, own.at[slot].set(time), jnp.minimum(first, time)

    nobody = _Group(jnp.full(width, -1), jnp.zeros(width), jnp.zeros(width))
    group = after(nobody, jnp.ones(width, bool))
    hazard = group.hazard
    _, own, first = lax.while_loop(
        lambda carry: carry[0] < state.used,
        finish,
        (jnp.int32(0), jnp.zeros_like(state.lag), group.time),
    )
    # ≤: a block found in the very moment the other arrives still counts as a fork, and
    # float32 must not break the ties of a lattice law. Infinite times are no blocks.
    slack = 1e-3 * network.law.spacing if lattice[0] else 0.0
    known = jnp.where(first < jnp.inf, first + network.delay + slack, -jnp.inf)

    def fill(carry):
        slot, used, group, lag, blocks, _ = carry
        mine = jnp.where(slot < state.used, own[slot], jnp.inf)
        stays = mine <= known
        # The group's finders are its first; they go to the free slots, in order.
        taken = ~stays & (group.time <= known)
        time = jnp.where(stays, mine, jnp.where(taken, group.time, jnp.inf))
        group = after(group, taken)
        found = stays | taken
        used = jnp.where(found.any(), slot + 1, used)
        more = (slot + 1 < state.used) | (group.time <= known).any()
        lag = lag.at[slot].set(time - first)
        return slot + 1, used, group, lag, blocks + found, more

    zero, none = jnp.int32(0), jnp.zeros(width, jnp.int32)
    _, used, group, lag, blocks, _ = lax.while_loop(
        lambda carry: (carry[0] < slots) & carry[-1],
        fill,
        (zero, zero, group, state.lag, none, jnp.asarray(True)),
    )
    private = inverse_hazard.time_at(
        network.private,
        exponential(draws(PRIVATE)[0]) / network.adversarial,
        lattice=lattice[1],
    )
    overflow = state.overflow | (group.time <= known)
    found = network.delay + first, blocks, lag, private
    drawn = Draws(own, first, hazard, size)
    return State(lag, blocks, used, overflow), found, drawn
