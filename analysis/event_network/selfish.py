"""SM1 selfish mining against honest provers whose messages take their time.

Notation (time unit: steps)

| symbol | name here | meaning |
|---|---|---|
| v_i | `speeds` | speeds of the honest provers |
| Δ | `delay_steps` | every honest message takes this long |
| γ | `gamma` | honest share that adopts the pool's block where it matches one |
| a | `ours` | height of the pool's own chain |
| b | `public` | height of the highest block that is found by others or shown |

The pool keeps what it finds, and knows and shows blocks at once. At an honest block of
height b + 1 it does, by its lead a − b before it,

    ≤ 0     give in: it mines on that block
    1       show its block, a match
    2       show both, which win
    more    show its block of the same height, a match

and where it finds a block after a match with nothing in hand, it shows that, which
wins. At a match each honest prover, the finder too, adopts the pool's block with
probability γ, or hears of it after the other one; what wins all adopt at once. Among
honest blocks the first seen stays. Provers restart when their own tip changes. With
Δ = 0 this is the race of ``attacks.sm1``, block by block instead of by two clocks.

Source
    [ES14]  Eyal, Sirer, Majority is not Enough, FC'14.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.law import BlockTimeLaw, on_device
from ..estimation.estimate import Refused
from ..simulation.levels import BURN_IN
from .marked_law import PlainTickets, chain_rule, lattice_slack, tickets
from .played import Played, Story
from .withholder import Adversary, blocks_of, drawn, play

# Honest blocks under way at once; blocks the pool may hold back.
_QUEUE, _LEAD = 64, 64
# For each level, at first.
_EVENTS = 3


class Pool(NamedTuple):
    """Who mines selfishly against whom.

    Attributes:
        law: Block-time law of an honest prover of unit speed.
        speeds: v_i, one an honest prover.
        next_block: Law of the pool's next block.
        delay_steps: Δ.
        gamma: γ.
    """

    law: BlockTimeLaw
    speeds: Sequence[float]
    next_block: BlockTimeLaw
    delay_steps: float
    gamma: float


class _Rules(NamedTuple):
    law: PlainTickets
    own: PlainTickets
    speeds: Float[Array, " n"]
    delay: Float[Array, ""]
    gamma: Float[Array, ""]
    slack: Float[Array, ""]


class _State(NamedTuple):
    """A replica between two events; times are relative to the last one."""

    finish: Float[Array, " n"]
    tip: Int[Array, " n"]
    height: Int[Array, " n"]
    pool_finish: Float[Array, ""]
    pool_tip: Int[Array, ""]
    ours: Int[Array, ""]
    public: Int[Array, ""]
    tie: Bool[Array, ""]
    held: Int[Array, " lead"]  # the pool's blocks by height
    arrival: Float[Array, " queue"]  # honest blocks under way, in a ring
    sent: Int[Array, "queue 3"]  # block, height, finder
    head: Int[Array, ""]
    waiting: Int[Array, ""]
    blocks: Int[Array, ""]
    wide: Bool[Array, ""]
    dead: Bool[Array, ""]


def simulate_selfish(
    key: Key[Array, ""],
    pool: Pool,
    *,
    levels: int,
    replicas: int,
    burn_in: int = BURN_IN,
) -> Played:
    """Independent replicas of a network under SM1, on whose levels all agree.

    Args:
        key: Fixes every draw.
        pool: Laws, speeds, Δ, γ.
        levels: Levels of the settled chain.
        replicas: Independent replicas.
        burn_in: Levels run and forgotten.

    Raises:
        ValueError: If γ is not in [0, 1] or Δ below 0.
        Refused: If a block may never come, more than 64 honest blocks are under way,
            the pool's lead exceeds 63 blocks, or provers agree on too few levels.
    """
    if not 0 <= pool.gamma <= 1:
        raise ValueError(f"gamma must be in [0, 1], got {pool.gamma}")
    if not 0 <= pool.delay_steps < np.inf:
        raise ValueError(f"delay_steps must be ≥ 0 and finite, got {pool.delay_steps}")
    rule, speeds = chain_rule(), jnp.asarray(pool.speeds, jnp.float32)
    laws: list[Any] = [
        tickets(on_device(law), rule, 1.0) for law in (pool.law, pool.next_block)
    ]
    rules = _Rules(
        laws[0],
        laws[1],
        speeds,
        jnp.float32(pool.delay_steps),
        jnp.float32(pool.gamma),
        lattice_slack(on_device(pool.law), speeds),
    )
    found = play(
        key,
        Adversary(_begin, _event),
        rules,
        levels=levels,
        burn_in=burn_in,
        replicas=replicas,
        events=_EVENTS,
        require_whole=_require_whole,
        story=_story,
    )
    if isinstance(found, Played):
        return found
    raise Refused(
        f"selfish mining: provers agree on fewer than {levels} levels of "
        f"{found} events; the pool outgrows the public chain, or forks leave "
        "none (a smaller pool, a shorter delay_steps)"
    )


def _require_whole(state: Any) -> None:
    if state.dead.any():
        raise Refused(
            "selfish mining on a network: some block never came, since the law leaves "
            "mass that never ends; set abandon_steps or lengthen the horizon"
        )
    if state.wide.any():
        raise Refused(
            f"selfish mining: more than {_QUEUE} honest blocks under way, or a lead of "
            f"the pool above {_LEAD - 1}; there is no chain to speak of (a smaller "
            "pool, a shorter delay_steps or a rarer post-hash)"
        )


def _story(found: Any, state: Any) -> Story:
    """Events of all replicas as blocks in the order they were found."""
    time, parents, own, public, (rows, top, when) = blocks_of(
        found, int(state.blocks.max())
    )
    # What is shown brings at most the block below it along.
    below = parents[rows, top]
    inside = below >= 0
    np.minimum.at(public, (rows[inside], below[inside]), when[inside])
    tips = np.concatenate([state.tip, state.pool_tip[:, None]], axis=1)
    return Story(time, parents, own, public, tips)


def _begin(words, rules: _Rules) -> _State:
    times, pool, _ = drawn(words, rules, jnp.int32(-1))
    nothing = jnp.int32(0)
    nobody = jnp.zeros(len(rules.speeds), jnp.int32)
    return _State(
        finish=times,
        tip=nobody - 1,
        height=nobody,
        pool_finish=pool,
        pool_tip=nothing - 1,
        ours=nothing,
        public=nothing,
        tie=jnp.asarray(False),
        held=jnp.zeros(_LEAD, jnp.int32),
        arrival=jnp.full(_QUEUE, jnp.inf),
        sent=jnp.zeros((_QUEUE, 3), jnp.int32),
        head=nothing,
        waiting=nothing,
        blocks=nothing,
        wide=jnp.asarray(False),
        dead=jnp.asarray(False),
    )


def _event(state: _State, words, rules: _Rules, turn):
    """The next find or arrival: (state, (gap, kind, parent, shown))."""
    times, pool_time, sides = drawn(words, rules, turn)
    finder = jnp.argmin(state.finish)
    found_at = state.finish[finder]
    heard_at = jnp.where(state.waiting > 0, state.arrival[state.head], jnp.inf)
    mine = state.pool_finish <= jnp.minimum(found_at, heard_at) + rules.slack
    # ≤: a block found in the very moment another arrives still counts as a fork.
    theirs = ~mine & (found_at <= heard_at + rules.slack)
    heard = ~mine & ~theirs
    gap = jnp.where(mine, state.pool_finish, jnp.where(theirs, found_at, heard_at))
    gap = jnp.maximum(gap, 0.0)
    new = state.blocks
    place = jnp.arange(len(rules.speeds))
    is_finder = theirs & (place == finder)

    # An honest block: its finder goes over, the pool answers.
    parent = jnp.where(mine, state.pool_tip, state.tip[finder])
    level = state.height[finder] + 1
    higher = theirs & (level > state.public)
    lead = state.ours - state.public
    gives_in = higher & (lead <= 0)
    match = higher & ((lead == 1) | (lead > 2))
    both = higher & (lead == 2)
    # The pool's own block after a match with nothing in hand.
    wins = mine & state.tie
    ours = jnp.where(mine, state.ours + 1, jnp.where(gives_in, level, state.ours))
    held = state.held.at[jnp.where(mine, ours % _LEAD, _LEAD)].set(new, mode="drop")
    shown_level = jnp.where(match, level, ours)
    shows = match | both | wins
    shown = jnp.where(shows, held[shown_level % _LEAD], -1)

    block, its_level, sender = state.sent[state.head]
    hears = heard & (place != sender) & (its_level > state.height)
    tip = jnp.where(is_finder, new, jnp.where(hears, block, state.tip))
    height = jnp.where(is_finder, level, jnp.where(hears, its_level, state.height))
    joins = (match & (shown_level >= height) & sides) | (
        (both | wins) & (shown_level > height)
    )
    restarts = is_finder | hears | joins

    head = jnp.where(heard, (state.head + 1) % _QUEUE, state.head)
    slot = jnp.where(theirs, (state.head + state.waiting) % _QUEUE, _QUEUE)
    after = _State(
        finish=jnp.where(restarts, times, state.finish - gap),
        tip=jnp.where(joins, shown, tip),
        height=jnp.where(joins, shown_level, height),
        pool_finish=jnp.where(mine | gives_in, pool_time, state.pool_finish - gap),
        pool_tip=jnp.where(mine | gives_in, new, state.pool_tip),
        ours=ours,
        public=jnp.where(both | wins, ours, jnp.where(higher, level, state.public)),
        tie=jnp.where(higher, lead == 1, state.tie & ~mine),
        held=held,
        arrival=(state.arrival - gap).at[slot].set(rules.delay, mode="drop"),
        sent=state.sent.at[slot].set(jnp.stack([new, level, finder]), mode="drop"),
        head=head,
        waiting=state.waiting + theirs - heard,
        blocks=state.blocks + mine + theirs,
        wide=state.wide
        | (theirs & (state.waiting >= _QUEUE - 1))
        | (ours - state.public >= _LEAD),
        dead=state.dead | jnp.isinf(gap),
    )
    kind = jnp.where(mine, 2, jnp.where(theirs, 1, 0)).astype(jnp.int8)
    return after, (gap, kind, parent, shown)
