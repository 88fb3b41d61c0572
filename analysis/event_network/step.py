"""One event of a network: everything that is heard before the next block, and it.

Notation (``state.py``):
    e_i     when prover i next hears of a better chain      ``_Heard.when``
    f_i     when i finds its block if it does not restart   ``State.finish``
    F       next block of the network: min over i of f_i, or of e_i + X/v_i where i
            hears of a better chain before it is done
    l_i     when i would next hear of a still better one, having restarted at e_i
    l       the earliest of these before F and before i has finished; ∞: none

A step draws what every prover that hears something before it finishes would find. If
nobody would hear a second time before F, all restarts before F are settled, and so is
F: the block is found. Else only what comes up to l is settled: the second restart may
bring a block before F, and others might have heard of that one. With few forks nearly
every step is one block. A draw belongs to (prover, attempt), so one that was looked at
too early is met again unchanged. The finder of a block restarts at once.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from ..block_time.counter_draws import below, two_words, uniform
from .marked_law import draw
from .state import (
    DEPTHS,
    Messages,
    Rules,
    State,
    apart,
    at_slot,
    beats,
    chosen,
    count_bits,
    delivered,
    over_slots,
    shifted,
)


class Found(NamedTuple):
    """A block, as recorded, by replica.

    Attributes:
        happened: Whether the step found one.
        gap: Time since the one before it.
        finder: Prover.
        weight: Units.
        work: Cumulative weight of its chain, units.
        parent: Index of the block it extends; −1: the first one's parent.
    """

    happened: Bool[Array, " replicas"]
    gap: Float[Array, " replicas"]
    finder: Int[Array, " replicas"]
    weight: Int[Array, " replicas"]
    work: Int[Array, " replicas"]
    parent: Int[Array, " replicas"]


class _Heard(NamedTuple):
    """The message that each prover acts on next; inf and −1: none."""

    when: Float[Array, "n replicas"]
    slot: Int[Array, "n replicas"]
    work: Int[Array, "n replicas"]
    lot: UInt32[Array, "n replicas"]


def advance(
    state: State,
    key: UInt32[Array, "two replicas"],
    rules: Rules,
    *,
    running: Bool[Array, " replicas"],
) -> tuple[State, Found]:
    """One step; nothing happens in replicas that are not running.

    Args:
        state: The replicas.
        key: Words of their keys.
        rules: What stays the same.
        running: Which replicas still have blocks to find.
    """
    heard = apart(rules, _first_heard, state, rules)
    # ≤: a block found in the very moment another arrives still counts as a fork.
    hears = heard.when + rules.slack < state.finish
    time, weight = draw(key[:, None], rules.law, _provers(state), state.attempt)

    def compared(when, finish, time):
        could = when + time / rules.speeds[:, None]
        moment = jnp.where(hears, could, finish).min(axis=0)
        return could, moment

    could, moment = apart(rules, compared, heard.when, state.finish, time)
    # The second case: a draw so short that float32 does not see it.
    first = moment[None, :]
    due = hears & ((heard.when + rules.slack < first) | (could <= first))
    finish = jnp.where(due, could, state.finish)
    again = apart(rules, _hear_again, state, heard, due, finish, rules, moment)
    due = due & (heard.when <= again[None, :] + rules.slack) & running[None, :]
    state = apart(rules, _restarted, state, heard, (could, weight), due, rules)
    settled = running & jnp.isinf(again)
    ever = jnp.isfinite(moment)
    state = state._replace(dead=state.dead | (settled & ~ever))
    return apart(rules, _found, state, key, rules, moment, settled & ever)


def _first_heard(state: State, rules: Rules) -> _Heard:
    """The earliest message that changes each prover's mind.

    Of simultaneous ones the heaviest comes first, then the one of the higher lot.
    """
    messages = state.messages
    slots, *shape = messages.arrival.shape
    none = jnp.full(shape, -1)
    nothing = _Heard(jnp.full(shape, jnp.inf), none, none, jnp.zeros(shape, jnp.uint32))

    def hear(slot, best: _Heard) -> _Heard:
        mine = _Heard(
            messages.arrival[slot],
            jnp.full(shape, slot),
            jnp.broadcast_to(messages.work[slot][None, :], shape),
            messages.lot[slot],
        )
        heavier = mine.work > best.work
        first_lot = (mine.work == best.work) & (mine.lot > best.lot)
        together = (mine.when <= best.when + rules.slack) & (heavier | first_lot)
        earlier = mine.when < best.when - rules.slack
        return chosen(beats(state, rules, slot) & (earlier | together), mine, best)

    return over_slots(slots, hear, nothing)


def _hear_again(
    state: State,
    heard: _Heard,
    due: Bool[Array, "n replicas"],
    finish: Float[Array, "n replicas"],
    rules: Rules,
    moment: Float[Array, " replicas"],
) -> Float[Array, " replicas"]:
    """l, were all that are due to restart: before the moment and their own blocks."""
    after = state._replace(work=jnp.where(due, heard.work, state.work))
    end = jnp.minimum(finish, moment[None, :])
    arrival = state.messages.arrival

    def hear(slot, earliest):
        when = arrival[slot]
        told = due & (heard.slot == slot)
        again = beats(after, rules, slot) & ~told & (when + rules.slack < end)
        return jnp.where(again, jnp.minimum(when, earliest), earliest)

    nobody = jnp.full(end.shape, jnp.inf)
    return over_slots(len(arrival), hear, nobody).min(axis=0)


def _restarted(
    state: State,
    heard: _Heard,
    drawn: tuple[Float[Array, "n replicas"], Int[Array, "n replicas"]],
    due: Bool[Array, "n replicas"],
    rules: Rules,
) -> State:
    """Provers that are due go over to the chain they have heard of."""
    messages, ours = state.messages, state.chain
    slots = len(messages.arrival)
    theirs = jnp.stack([at_slot(word, heard.slot) for word in messages.chain])
    theirs = jnp.where(due[None], theirs, ours)
    counted = due & (state.blocks >= rules.burn_in)[None, :]
    discarded = jnp.where(counted, count_bits(ours & ~theirs), 0)
    gained = jnp.where(counted, count_bits(theirs & ~ours), 0)
    depth = jnp.arange(DEPTHS)[:, None, None]
    told = due[None] & (heard.slot[None] == jnp.arange(slots)[:, None, None])
    return state._replace(
        finish=jnp.where(due, drawn[0], state.finish),
        weight=jnp.where(due, drawn[1], state.weight),
        attempt=state.attempt + due,
        tip=jnp.where(due, at_slot(messages.block, heard.slot), state.tip),
        work=jnp.where(due, heard.work, state.work),
        chain=theirs,
        messages=messages._replace(arrival=jnp.where(told, -jnp.inf, messages.arrival)),
        reverted=state.reverted + jnp.maximum(discarded[None] - depth, 0).sum(axis=1),
        adopted=state.adopted + gained.sum(axis=0),
    )


def _found(
    state: State,
    key: UInt32[Array, "two replicas"],
    rules: Rules,
    moment: Float[Array, " replicas"],
    happens: Bool[Array, " replicas"],
) -> tuple[State, Found]:
    """The earliest finisher's block, if it happens; it becomes the origin of time."""
    place = _provers(state)
    last = len(place) - 1
    finder = jnp.where(state.finish <= moment[None, :], place, last).min(axis=0)
    gap = jnp.where(happens, moment, 0.0)
    parent, weight, work, attempt = (
        jnp.take_along_axis(x, finder[None, :], axis=0, mode="promise_in_bounds")[0]
        for x in (state.tip, state.weight, state.work, state.attempt)
    )
    work = work + weight
    time, next_weight = draw(key, rules.law, finder, attempt)
    finish = time / jnp.take(rules.speeds, finder, mode="clip")
    mine = (place == finder[None, :]) & happens[None, :]

    messages = state.messages._replace(arrival=state.messages.arrival - gap[None, None])
    arrival, lot = _sent(messages, key, rules, finder, parent, state.blocks)
    free = delivered(messages, rules.slack)
    slot = jnp.arange(len(free))[:, None]
    first_free = jnp.where(free, slot, len(free)).min(axis=0)
    here = (slot == first_free[None, :]) & happens[None, :]

    chain, lost = shifted(state.chain, happens)
    message_chain, message_lost = shifted(messages.chain, happens)
    own = jnp.take_along_axis(chain, finder[None, None, :], axis=1, mode="clip")
    own = own.at[0].add(jnp.uint32(1))
    one_has = lost.any(axis=0) | (message_lost & ~free).any(axis=0)
    all_have = lost.all(axis=0) & (message_lost | free).all(axis=0)

    def sent(new, old):
        return jnp.where(here, new[None, :], old)

    state = state._replace(
        finish=jnp.where(mine, finish[None, :], state.finish - gap[None, :]),
        weight=jnp.where(mine, next_weight[None, :], state.weight),
        attempt=state.attempt + mine,
        tip=jnp.where(mine, state.blocks[None, :], state.tip),
        work=jnp.where(mine, work[None, :], state.work),
        chain=jnp.where(mine[None], own, chain),
        messages=Messages(
            arrival=jnp.where(here[:, None], arrival[None], messages.arrival),
            lot=jnp.where(here[:, None], lot[None], messages.lot),
            work=sent(work, messages.work),
            block=sent(state.blocks, messages.block),
            chain=jnp.where(here[None], own, message_chain),
        ),
        blocks=state.blocks + happens,
        adopted=state.adopted + (happens & (state.blocks >= rules.burn_in)),
        crowded=state.crowded | (happens & ~free.any(axis=0)),
        deep=state.deep | (happens & one_has & ~all_have),
    )
    return state, Found(happens, jnp.maximum(gap, 0.0), finder, weight, work, parent)


def _sent(
    messages: Messages, key, rules: Rules, finder, parent, block
) -> tuple[Float[Array, "n replicas"], UInt32[Array, "n replicas"]]:
    """When each prover hears of a new block, and its lots."""
    shape = messages.arrival.shape[1:]
    place = jnp.broadcast_to(jnp.arange(shape[0])[:, None], shape)
    turn = jnp.broadcast_to(block[None, :], shape)
    word, lot = two_words(key[:, None], 2, place, turn)
    # A table of one share, 1, is the delay that all messages take.
    share = jnp.where(
        rules.random_delay,
        uniform(word),
        rules.shares[below(word, len(rules.shares))],
    )
    # Who has not heard of the parent cannot use the child.
    is_parent = (messages.block == parent[None, :])[:, None]
    missing = jnp.where(is_parent, messages.arrival, -jnp.inf).max(axis=0)
    arrival = jnp.maximum(rules.delay * share, missing)
    arrival = jnp.where(place == finder[None, :], -jnp.inf, arrival)
    return arrival, lot


def _provers(state: State) -> Int[Array, "n replicas"]:
    shape = state.finish.shape
    return jnp.broadcast_to(jnp.arange(shape[0])[:, None], shape)
