"""What every withholding adversary's network shares: draws, runs, blocks.

Notation (``selfish.py``, and ``withholding.played`` for a policy)
    rules   laws of an honest prover and of the adversary, speeds, Δ, γ
    state   a replica between two events
    event   the next find, arrival or action: (state, (gap, kind, parent, shown)); kind
            is 0 for none found, 1 for an honest block, 2 for the adversary's

An adversary is two functions, how a replica begins and its next event. They are traced
into one program, which runs ``_CHUNK`` events of every replica at a time.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, Key

from ..block_time.counter_draws import two_words, uniform, words_of
from ..simulation.levels import batch_of
from .marked_law import draw
from .played import Played, Story, follow

# Replicas side by side.
_BATCH = 256
# Events run at a time, all by one program; for each level, at most.
_CHUNK, _MOST = 256, 256


class Adversary(NamedTuple):
    """A program of events.

    Attributes:
        begin: (words, rules) → state.
        event: (state, words, rules, turn) → (state, (gap, kind, parent, shown)).
    """

    begin: Callable
    event: Callable


def drawn(words, rules: Any, turn):
    """A time for each honest prover and the adversary, and a coin for each prover."""
    count = len(rules.speeds)
    places = jnp.arange(count)
    turns = jnp.broadcast_to(turn, places.shape)
    times, _ = draw(words, rules.law, places, turns)
    own, _ = draw(words, rules.own, jnp.int32(count), turn)
    coin, _ = two_words(words, 2, places, turns)
    return times / rules.speeds, own, uniform(coin) < rules.gamma


def play(
    key: Key[Array, ""],
    adversary: Adversary,
    rules: Any,
    *,
    levels: int,
    burn_in: int,
    replicas: int,
    events: int,
    require_whole: Callable[[Any], None],
    story: Callable[[Any, Any], Story],
) -> Played | int:
    """Replicas on whose levels all agree, or the events that were not enough.

    Args:
        key: Fixes every draw.
        adversary: Its program.
        rules: What both of its functions are told.
        levels: Levels of the settled chain.
        burn_in: Levels run and forgotten.
        replicas: Independent replicas.
        events: Events a level, at first; up to 256.
        require_whole: Raises ``Refused`` for states that cannot go on.
        story: Events and last states as blocks.
    """
    heights = levels + burn_in + 8
    words, state = _first(key, rules, adversary=adversary, replicas=replicas)
    parts: list[Any] = []
    due, done = events * heights, 0
    while True:
        while done < due:
            found, state = _on(words, state, rules, jnp.int32(done), adversary)
            parts.append(jax.device_get(found))
            done += _CHUNK
        end = jax.device_get(state)
        require_whole(end)
        every = [np.concatenate(each, axis=1) for each in zip(*parts, strict=True)]
        played = follow(story(every, end), levels=levels, burn_in=burn_in)
        if played is not None:
            return played
        due = 2 * done
        if due > _MOST * heights:
            return done


class Blocks(NamedTuple):
    """Blocks in the order they were found, and what was shown when.

    Attributes:
        time: When each was found.
        parents: Each block's parent.
        own: Whether it is the adversary's.
        public: When it is known: an honest block's time; inf for the adversary's, until
            ``shown`` says otherwise.
        shown: (replicas, blocks, times) of all that was shown.
    """

    time: np.ndarray
    parents: np.ndarray
    own: np.ndarray
    public: np.ndarray
    shown: tuple[np.ndarray, np.ndarray, np.ndarray]


def blocks_of(found: Any, blocks: int) -> Blocks:
    """Events of all replicas as blocks.

    Args:
        found: Gap, kind, parent, shown, each [replicas, events].
        blocks: The most that a replica has.
    """
    gap, kind, parent, shown = found
    times = np.cumsum(gap, axis=1, dtype=float)
    is_block = kind > 0
    rows, events = np.nonzero(is_block)
    place = (np.cumsum(is_block, axis=1) - 1)[rows, events]
    shape = kind.shape[0], blocks
    time, own = np.full(shape, np.inf), np.zeros(shape, bool)
    parents = np.full(shape, -1)
    time[rows, place] = times[rows, events]
    own[rows, place] = kind[rows, events] == 2
    parents[rows, place] = parent[rows, events]
    public = np.where(own, np.inf, time)
    rows, events = np.nonzero(shown >= 0)
    top, when = shown[rows, events], times[rows, events]
    np.minimum.at(public, (rows, top), when)
    return Blocks(time, parents, own, public, (rows, top, when))


@partial(jax.jit, static_argnames=("adversary", "replicas"))
def _first(key, rules, *, adversary: Adversary, replicas: int):
    words = jax.vmap(words_of)(jax.random.split(key, replicas))
    return words, jax.vmap(lambda own: adversary.begin(own, rules))(words)


@partial(jax.jit, static_argnames="adversary")
def _on(words, state, rules, done: Int[Array, ""], adversary: Adversary):
    """The next events of every replica, and where they leave it."""

    def replica(own):
        mine, before = own
        return lax.scan(
            lambda state, turn: adversary.event(state, mine, rules, turn),
            before,
            done + jnp.arange(_CHUNK, dtype=jnp.int32),
        )

    width = batch_of(len(words), _BATCH)
    after, found = lax.map(replica, (words, state), batch_size=width)
    return found, after
