"""A chain under the balance attack: two halves of the honest provers kept apart.

Notation (``attacks.balancing``, which knows how long such a fork lives)
    F       time until the leading half finds its next block
    L       time until the lagging half, or the adversary with it, finds one
    U       how far the lagging half's tip is behind the other's, 0 ≤ U ≤ Δ
    Δ       largest delay the adversary may cause

Within a half messages arrive at once, to the other half after Δ. Each half stays on its
own branch as long as it has a block of the same height before it hears of the other's:
level j is forked where |U + L − F| ≤ Δ, and U is that difference. Where it is longer,
the later half goes over and begins Δ after the other. The adversary mines with the
lagging half, begins with it, and shows it at once what it finds.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..block_time.counter_draws import words_of
from ..block_time.law import BlockTimeLaw, on_device
from ..estimation.estimate import Refused
from ..simulation.levels import BURN_IN
from .marked_law import PlainTickets, chain_rule, draw, tickets
from .played import Played

# Levels beyond those asked for, in which the last fork must end; at most so many times.
_MARGIN, _MOST = 64, 64


class Halves(NamedTuple):
    """Two halves of the honest provers, and the adversary between them.

    Attributes:
        half: Law of the next block of one half.
        adversary: Law of the adversary's next block.
        delay_steps: Δ.
    """

    half: BlockTimeLaw
    adversary: BlockTimeLaw
    delay_steps: float


class _Levels(NamedTuple):
    """Both halves' blocks of each level; arrays [levels, replicas]."""

    first: Float[np.ndarray, "levels replicas"]  # when the first one holds it
    behind: Float[np.ndarray, "levels replicas"]  # U
    leader: np.ndarray  # half 0 or 1
    forked: np.ndarray
    own: np.ndarray  # whether the block is the adversary's: [levels, 2, replicas]


def simulate_balance(
    key: Key[Array, ""],
    halves: Halves,
    *,
    levels: int,
    replicas: int,
    burn_in: int = BURN_IN,
) -> Played:
    """Independent replicas of a network under the balance attack.

    Raises:
        Refused: If a block may never come, or a fork outlives what is simulated.
    """
    rule = chain_rule()
    laws = tuple(
        tickets(on_device(law), rule, 1.0) for law in (halves.half, halves.adversary)
    )
    margin = _MARGIN
    while True:
        count = burn_in + levels + 1 + margin
        drawn = _drawn(key, laws, levels=count, replicas=replicas)
        times = np.asarray(drawn, float)
        if not np.isfinite(times[..., :2]).all():
            raise Refused(
                "balance on a network: some block never came, since the law leaves "
                "mass that never ends; set abandon_steps or lengthen the horizon"
            )
        lattice = bool(halves.half.lattice)
        slack = 1e-3 * float(halves.half.spacing) if lattice else 0.0
        found = _played(times, halves.delay_steps, slack)
        # The last forks must have ended, so that their winner is known.
        if (~found.forked[burn_in + levels :]).any(axis=0).all():
            return _window(found, levels=levels, burn_in=burn_in)
        margin *= 2
        if margin > _MOST * _MARGIN:
            raise Refused(
                f"balance: a fork lives longer than {margin // 2} levels; there is no "
                "chain to speak of (a shorter delay_steps or rarer blocks)"
            )


@partial(jax.jit, static_argnames=("levels", "replicas"))
def _drawn(
    key, laws: tuple[PlainTickets, PlainTickets], *, levels: int, replicas: int
) -> Float[Array, "replicas levels 3"]:
    """Next blocks of the leading half, the lagging half and the adversary."""

    def replica(own_key):
        words, turns = words_of(own_key), jnp.arange(levels)
        places = (jnp.full(levels, place) for place in range(3))
        law = (laws[0], laws[0], laws[1])
        each = [
            draw(words, one, place, turns)[0]
            for one, place in zip(law, places, strict=True)
        ]
        return jnp.stack(each, axis=-1)

    return jax.vmap(replica)(jax.random.split(key, replicas))


def _played(
    times: Float[np.ndarray, "replicas levels three"], delay: float, slack: float
) -> _Levels:
    replicas, levels, _ = times.shape
    rows = np.arange(replicas)
    now, behind = np.zeros(replicas), np.zeros(replicas)
    leader = np.zeros(replicas, int)
    kept: list[tuple[np.ndarray, ...]] = []
    for level in range(levels):
        front, back, ours = times[:, level].T
        lagging = behind + np.minimum(back, ours)
        ahead = front <= lagging
        gap = np.abs(lagging - front)
        forked = gap <= delay + slack
        own = np.zeros((2, replicas), bool)
        own[1 - leader, rows] = ours < back
        own[leader, rows] = False
        now = now + np.minimum(front, lagging)
        behind = np.where(forked, np.minimum(gap, delay), delay)
        leader = np.where(ahead, leader, 1 - leader)
        kept.append((now, behind, leader, forked, own))
    return _Levels(*(np.stack(each) for each in zip(*kept, strict=True)))


def _window(found: _Levels, *, levels: int, burn_in: int) -> Played:
    count, replicas = found.forked.shape
    rows = np.arange(replicas)
    # Forked levels are settled as the next one that is not.
    winner, depth = np.empty_like(found.leader), np.zeros_like(found.leader)
    later = found.leader[-1]
    deep = np.zeros(replicas, int)
    for level in range(count - 1, -1, -1):
        later = np.where(found.forked[level], later, found.leader[level])
        deep = np.where(found.forked[level], deep + 1, 0)
        winner[level], depth[level] = later, deep
    places = np.arange(count)[:, None]
    start = found.first[burn_in]
    first, last = found.first - start, found.first + found.behind - start
    own_settled = found.own[places, winner, rows]
    leads = winner == found.leader
    settled = np.where(leads, first, last)
    # A level that is not forked has one block, its leader's.
    loser_own = found.own[places, 1 - winner, rows]
    honest = [
        np.where(~own_settled, settled, np.inf),
        np.where(found.forked & ~loser_own, np.where(leads, last, first), np.inf),
    ]
    ours = [
        np.where(own_settled, settled, np.inf),
        np.where(found.forked & loser_own, np.where(leads, last, first), np.inf),
    ]
    window = slice(burn_in + 1, burn_in + levels + 1)
    found_there = np.stack([np.isfinite(each[window]) for each in honest])
    return Played(
        reached=first[burn_in : burn_in + levels + 1].T,
        settled=settled[window].T,
        own=own_settled[window].T,
        found=found_there.sum(axis=0).T.astype(int),
        kept=(~own_settled[window]).astype(int).T,
        reverted=np.where(found.forked, depth, 0)[window].T,
        honest=_sorted(honest),
        adversary=_sorted(ours),
    )


def _sorted(times: list[np.ndarray]) -> Float[np.ndarray, "replicas some"]:
    """All times after the window's start, in order, padded with inf."""
    every = np.concatenate(times).T
    every = np.sort(np.where(every > 0, every, np.inf), axis=1)
    return every[:, : max(1, int(np.isfinite(every).sum(axis=1).max()))]
