r"""A withholding policy played against honest provers whose messages take time.

Notation (``policy.py`` has a, h, x, y, the codes and the order; time unit: steps)
    Δ       every honest message takes this long                 ``delay_steps``
    T       longest branch of the policy

The policy is the best one found without delay, played as it is. The adversary knows and
shows blocks at once, and sees every honest block when it is found: a and h are heights
above the last block that both branches have, its own and of the highest public one, and
x is the time since that one was found or shown. At a match each honest prover adopts
the adversary's block with probability γ. Blocks that honest provers find below the
highest one change nothing for it. So what it earns with Δ > 0 is what this strategy
earns, and no more than the best there. With Δ = 0 it is ``replay.py``, block by block.

Source: docs/science/adversary.md.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.law import BlockTimeLaw, fastest_of, on_device
from ..estimation.estimate import Refused
from ..event_network.marked_law import (
    PlainTickets,
    chain_rule,
    lattice_slack,
    tickets,
)
from ..event_network.played import Played, Story
from ..event_network.withholder import Adversary, blocks_of, drawn, play
from ..simulation.levels import BURN_IN
from .policy import ADOPT, OVERRIDE, Policy
from .replay import NEVER, Turns, turns_of

# Honest blocks under way at once; heights that are remembered.
_QUEUE, _LEAD = 64, 128
# For each level, at first.
_EVENTS = 5
# Ages this close to a cell's edge, in cells, are on it.
_SLACK = 1e-4


class _Rules(NamedTuple):
    law: PlainTickets
    own: PlainTickets
    speeds: Float[Array, " n"]
    delay: Float[Array, ""]
    gamma: Float[Array, ""]
    slack: Float[Array, ""]
    width: Float[Array, ""]
    turns: Turns


class _State(NamedTuple):
    """A replica between two events; times are relative to the last one."""

    finish: Float[Array, " n"]
    tip: Int[Array, " n"]
    height: Int[Array, " n"]
    own_finish: Float[Array, ""]
    own_tip: Int[Array, ""]
    ours: Int[Array, ""]
    public: Int[Array, ""]
    public_tip: Int[Array, ""]
    fork: Int[Array, ""]  # height of the last block that both branches have
    split: Bool[Array, ""]
    x: Float[Array, ""]
    y: Float[Array, ""]
    act: Float[Array, ""]  # until waiting ends
    code: Int[Array, ""]
    held: Int[Array, " lead"]  # the adversary's blocks by height
    arrival: Float[Array, " queue"]  # honest blocks under way, in a ring
    sent: Int[Array, "queue 3"]  # block, height, finder
    head: Int[Array, ""]
    waiting: Int[Array, ""]
    blocks: Int[Array, ""]
    wide: Bool[Array, ""]
    dead: Bool[Array, ""]


def simulate_policy(
    key: Key[Array, ""],
    policy: Policy,
    law: BlockTimeLaw,
    *,
    delay_steps: float,
    levels: int,
    replicas: int,
    burn_in: int = BURN_IN,
) -> Played:
    """Independent replicas of a network under a policy, on whose levels all agree.

    Args:
        key: Fixes every draw.
        policy: Whose n_h, n_a and γ are played, whole provers.
        law: Block-time law of one prover (steps); it need not be the policy's own.
        delay_steps: Δ ≥ 0, steps.
        levels: Levels of the settled chain.
        replicas: Independent replicas.
        burn_in: Levels run and forgotten.

    Raises:
        ValueError: If Δ is below 0, or the provers are not whole.
        Refused: If a block may never come, more than 64 honest blocks are under way, or
            provers agree on too few levels.
    """
    if not 0 <= delay_steps < np.inf:
        raise ValueError(f"delay_steps must be ≥ 0 and finite, got {delay_steps}")
    honest = round(policy.honest)
    if honest != policy.honest or honest < 1 or policy.own <= 0:
        raise ValueError(
            "a policy is played by whole honest provers and an adversary, got "
            f"{policy.honest:g} and {policy.own:g}"
        )
    rule, speeds = chain_rule(), jnp.ones(honest, jnp.float32)
    fastest: list[Any] = [
        tickets(on_device(each), rule, 1.0)
        for each in (law, fastest_of(law, policy.own))
    ]
    rules = _Rules(
        fastest[0],
        fastest[1],
        speeds,
        jnp.float32(delay_steps),
        jnp.float32(policy.gamma),
        lattice_slack(on_device(law), speeds),
        jnp.float32(policy.width),
        turns_of(policy),
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
        f"withholding on a network: provers agree on fewer than {levels} "
        f"levels of {found} events, since forks leave none; a smaller adversary "
        "or a shorter delay_steps"
    )


def _require_whole(state: Any) -> None:
    if state.dead.any():
        raise Refused(
            "withholding on a network: some block never came, since the law leaves "
            "mass that never ends; set abandon_steps or lengthen the horizon"
        )
    if state.wide.any():
        raise Refused(
            f"withholding on a network: more than {_QUEUE} honest blocks are under "
            "way; there is no chain to speak of (a shorter delay_steps or a rarer "
            "post-hash)"
        )


def _story(found: Any, state: Any) -> Story:
    """Events of all replicas as blocks in the order they were found."""
    blocks = int(state.blocks.max())
    time, parents, own, public, _ = blocks_of(found, blocks)
    # What is shown brings all blocks below it along.
    every = np.arange(len(time))
    for block in range(blocks - 1, -1, -1):
        below = parents[:, block]
        there = below >= 0
        inside = every[there], below[there]
        public[inside] = np.minimum(public[inside], public[there, block])
    tips = np.concatenate([state.tip, state.own_tip[:, None]], axis=1)
    return Story(time, parents, own, public, tips)


def _begin(words, rules: _Rules) -> _State:
    times, own, _ = drawn(words, rules, jnp.int32(-1))
    nothing, never = jnp.int32(0), jnp.float32(jnp.inf)
    nobody = jnp.zeros(len(rules.speeds), jnp.int32)
    return _State(
        finish=times,
        tip=nobody - 1,
        height=nobody,
        own_finish=own,
        own_tip=nothing - 1,
        ours=nothing,
        public=nothing,
        public_tip=nothing - 1,
        fork=nothing,
        split=jnp.asarray(False),
        x=jnp.float32(0),
        y=jnp.float32(0),
        act=never,
        code=nothing,
        held=jnp.zeros(_LEAD, jnp.int32),
        arrival=jnp.full(_QUEUE, jnp.inf),
        sent=jnp.zeros((_QUEUE, 3), jnp.int32),
        head=nothing,
        waiting=nothing,
        blocks=nothing,
        wide=jnp.asarray(False),
        dead=jnp.asarray(False),
    )


def _waiting(rules: _Rules, split, a, h, x, y):
    """Until waiting ends where one of the ages is 0, and what is done then."""
    turns = rules.turns
    ages, most = turns.place.shape[-1], turns.place.shape[2] - 1
    half = (x > 0).astype(jnp.int32)
    other = jnp.maximum(x, y) / rules.width
    within = other - jnp.floor(other + _SLACK)
    aligned = (within < _SLACK).astype(jnp.int32)
    cell = jnp.minimum((other + _SLACK).astype(jnp.int32), ages - 1)
    a, h = jnp.clip(a, 0, most), jnp.clip(h, 0, most)
    fork = jnp.minimum(split.astype(jnp.int32), turns.place.shape[1] - 1)
    where = (aligned, fork, a, h, half, cell)
    place, code = turns.place[where], turns.code[where]
    until = place // 2 + jnp.where(place % 2 == 1, 1 - within, 0.0)
    until = jnp.where(place == NEVER, jnp.inf, until * rules.width)
    return until, code.astype(jnp.int32)


def _event(state: _State, words, rules: _Rules, turn):
    """The next find, arrival or action: (state, (gap, kind, parent, shown))."""
    times, own_time, sides = drawn(words, rules, turn)
    finder = jnp.argmin(state.finish)
    found_at = state.finish[finder]
    heard_at = jnp.where(state.waiting > 0, state.arrival[state.head], jnp.inf)
    first = jnp.minimum(jnp.minimum(found_at, heard_at), state.own_finish)
    acts = state.act < first - rules.slack
    mine = ~acts & (state.own_finish <= jnp.minimum(found_at, heard_at) + rules.slack)
    # ≤: a block found in the very moment another arrives still counts as a fork.
    theirs = ~acts & ~mine & (found_at <= heard_at + rules.slack)
    heard = ~acts & ~mine & ~theirs
    gap = jnp.where(mine, state.own_finish, jnp.where(theirs, found_at, heard_at))
    gap = jnp.maximum(jnp.where(acts, state.act, gap), 0.0)
    new = state.blocks
    place = jnp.arange(len(rules.speeds))
    is_finder = theirs & (place == finder)

    # --- the policy's own state
    parent = jnp.where(mine, state.own_tip, state.tip[finder])
    level = state.height[finder] + 1
    higher = theirs & (level > state.public)
    below = state.held[(level - 1) % _LEAD]
    joined = higher & state.split & (state.tip[finder] == below)
    adopts = acts & (state.code == ADOPT)
    overrides = acts & (state.code > OVERRIDE)
    to = state.fork + state.code - OVERRIDE
    public = jnp.where(higher, level, jnp.where(overrides, to, state.public))
    fork = jnp.where(joined, level - 1, jnp.where(overrides, to, state.fork))
    fork = jnp.where(adopts, state.public, fork)
    ours = jnp.where(adopts, state.public, state.ours + mine)
    y = jnp.where(mine | adopts, 0.0, state.y + gap)
    x = jnp.where(higher | overrides, 0.0, state.x + gap)
    a, h = ours - fork, public - fork
    most = rules.turns.match.shape[0] - 1
    cell = (y / rules.width + _SLACK).astype(jnp.int32)
    cell = jnp.minimum(cell, rules.turns.place.shape[-1] - 1)
    tried = rules.turns.match[jnp.clip(a, 0, most), jnp.clip(h, 0, most), cell]
    match = higher & tried & (a >= h)
    split = jnp.where(higher, match, state.split & ~acts)
    anew = mine | higher | acts
    until, code = _waiting(rules, split, a, h, x, y)

    # --- blocks that are shown, and who goes over
    held = state.held.at[jnp.where(mine, ours % _LEAD, _LEAD)].set(new, mode="drop")
    shown_level = jnp.where(match, level, to)
    shows = match | overrides
    shown = jnp.where(shows, held[shown_level % _LEAD], -1)
    block, its_level, sender = state.sent[state.head]
    hears = heard & (place != sender) & (its_level > state.height)
    tip = jnp.where(is_finder, new, jnp.where(hears, block, state.tip))
    height = jnp.where(is_finder, level, jnp.where(hears, its_level, state.height))
    joins = (match & (shown_level >= height) & sides) | (
        overrides & (shown_level > height)
    )
    restarts = is_finder | hears | joins
    public_tip = jnp.where(overrides, shown, state.public_tip)
    head = jnp.where(heard, (state.head + 1) % _QUEUE, state.head)
    slot = jnp.where(theirs, (state.head + state.waiting) % _QUEUE, _QUEUE)
    after = _State(
        finish=jnp.where(restarts, times, state.finish - gap),
        tip=jnp.where(joins, shown, tip),
        height=jnp.where(joins, shown_level, height),
        own_finish=jnp.where(mine | adopts, own_time, state.own_finish - gap),
        own_tip=jnp.where(
            mine, new, jnp.where(adopts, state.public_tip, state.own_tip)
        ),
        ours=ours,
        public=public,
        public_tip=jnp.where(higher, new, public_tip),
        fork=fork,
        split=split,
        x=x,
        y=y,
        act=jnp.where(anew, until, state.act - gap),
        code=jnp.where(anew, code, state.code),
        held=held,
        arrival=(state.arrival - gap).at[slot].set(rules.delay, mode="drop"),
        sent=state.sent.at[slot].set(jnp.stack([new, level, finder]), mode="drop"),
        head=head,
        waiting=state.waiting + theirs - heard,
        blocks=state.blocks + mine + theirs,
        wide=state.wide | (theirs & (state.waiting >= _QUEUE - 1)),
        dead=state.dead | jnp.isinf(gap),
    )
    kind = jnp.where(mine, 2, jnp.where(theirs, 1, 0)).astype(jnp.int8)
    return after, (gap, kind, parent, shown)
