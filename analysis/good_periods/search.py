"""Which windows of rounds are bad, and how long the longest is: compiled, by search.

Notation (``windows.py``)
    N(a, b)     successes that count in rounds a ≤ r < b
    F(t)        ±(N(0, t) − slope·t): a condition is broken on [a, b) iff F(b) ≥ F(a)

Everything is whole numbers and comparisons, per replica: no number depends on how
replicas are put side by side, nor on how far their lists are padded.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from ..simulation.levels import batch_of

# Rounds are int32; sums of rounds and windows must stay below 2^31.
ROUND_LIMIT = 2**29
# Replicas side by side: their lists stay in a core's cache, also where they are long.
BATCH = 32
# Window places looked at in each replica; they share a path, so a replica counts as
# one sample.
_STARTS = 16
# Entries that a search compares at once, before it halves what is left.
_SPLITTERS = 16


class Rounds(NamedTuple):
    """Successful rounds of a replica, sorted, padded with ``ROUND_LIMIT``.

    Attributes:
        honest: Round of each honest success.
        adversarial: Round of each adversarial success.
    """

    honest: Int[Array, "*replicas successes"]
    adversarial: Int[Array, "*replicas private"]


class Question(NamedTuple):
    """What is asked of every replica.

    Attributes:
        floats: E[X_r], E[Y_r], E[Z_r], ε.
        bounds: Start and end of the horizon, rounds.
        windows: Lengths of single windows, rounds.
    """

    floats: Float[Any, " 4"]
    bounds: Int[Any, " 2"]
    windows: Int[Any, " windows"]


def marks(rounds: Int[Array, " n"]):
    """Of sorted rounds: is it the round's first success, and is it the only one?"""
    step = rounds[1:] != rounds[:-1]
    edge = jnp.ones(1, bool)
    first = jnp.concatenate([edge, step])
    return first, first & jnp.concatenate([step, edge])


@jax.jit
def judge(
    key: Key[Array, ""], rounds: Rounds, question: Question
) -> tuple[Float[Array, "*laws replicas windows"], Int[Array, "*laws replicas"]]:
    """Share of a replica's single windows that are good, and its longest bad window.

    Args:
        key: Draws the places of the single windows, the same under every law.
        rounds: Success rounds of all replicas; under several laws, on the first axis.
        question: What makes a window good, and how long windows are; one a law.
    """
    *laws, replicas, _ = rounds.honest.shape
    windows = question.windows.shape[-1]
    keys = jax.random.split(key, replicas)
    places = jax.vmap(lambda own: jax.random.uniform(own, (windows, _STARTS)))(keys)
    lanes = (*laws, replicas)
    asked = jax.tree.map(
        lambda x: jnp.broadcast_to(x[..., None, :], (*lanes, x.shape[-1])), question
    )
    places = jnp.broadcast_to(places, (*lanes, windows, _STARTS))
    each = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[len(lanes) :]), (places, asked, rounds)
    )
    good, longest = lax.map(
        lambda lane: _judge_replica(*lane),
        each,
        batch_size=batch_of(math.prod(lanes), BATCH),
    )
    return good.reshape(*lanes, windows), longest.reshape(lanes)


def _judge_replica(
    places: Float[Array, "windows starts"], question: Question, own: Rounds
) -> tuple[Float[Array, " windows"], Int[Array, ""]]:
    x, y, z, epsilon = question.floats
    horizon, windows = question.bounds, question.windows[:, None]
    begin, end = horizon
    # The same sorted rounds carry X (first of its round) and Y (only one).
    first, only = _count(jnp.stack(marks(own.honest)))
    adversarial = jnp.arange(len(own.adversarial) + 1)
    conditions = (
        _Condition(own.honest, first, (1 + epsilon) * x, 1),
        _Condition(own.honest, first, (1 - epsilon) * x, -1),
        _Condition(own.honest, only, (1 - epsilon) * y, -1),
        _Condition(own.adversarial, adversarial, z + epsilon * x, 1),
    )
    last = end - begin - windows
    starts = jnp.floor(places * (last + 1)).astype(jnp.int32)
    starts = begin + jnp.minimum(starts, last)
    edges = _Edges(horizon, starts, starts + windows)
    honest, adversarial = (edges.among(each) for each in own)
    among = (honest, honest, honest, adversarial)
    bad, sides = [], []
    for condition, found in zip(conditions, among, strict=True):
        bad.append(condition.broken(found, windows))
        sides.append(condition.sides(horizon, found.horizon))
    good = ~jnp.stack(bad).any(axis=0)
    # Those of one length are searched side by side.
    alike = jax.tree.map(lambda *x: jnp.stack(x), *sides[:3])
    longest = jnp.maximum(jax.vmap(_longest)(alike).max(), _longest(sides[3]))
    return good.mean(axis=1), jnp.clip(longest, 0, end - begin)


def _count(marks: Bool[Array, "kinds n"]) -> Int[Array, "kinds n+1"]:
    """How many marked ones come before the i-th."""

    def step(before, mark):
        before = before + mark
        return before, before

    zero = jnp.zeros(len(marks), jnp.int32)
    _, counts = lax.scan(step, zero, marks.T)
    return jnp.concatenate([zero[:, None], counts.T], axis=1)


def _rank(ascending: Array, values: Array) -> Int[Array, "*shape"]:
    """How many entries are smaller: ``jnp.searchsorted``, in fewer steps."""
    count = len(ascending)
    stride = 1 << max(0, math.ceil(math.log2(count / _SPLITTERS)))
    splitters = ascending[stride - 1 :: stride]
    smaller = splitters.reshape(-1, *[1] * values.ndim) < values[None]

    def halve(step, found):
        width = jnp.right_shift(stride, step)
        place = found + width - 1
        further = (place < count) & (ascending.at[place].get(mode="clip") < values)
        return jnp.where(further, found + width, found)

    found = stride * smaller.sum(axis=0, dtype=jnp.int32)
    return lax.fori_loop(1, stride.bit_length(), halve, found)


def _least_so_far(values: Float[Array, " n"]) -> Float[Array, " n"]:
    """``lax.cummin``; its tree of minima takes a CPU several times as long."""

    def step(least, value):
        least = jnp.minimum(least, value)
        return least, least

    return lax.scan(step, values[0], values)[1]


class _Edges(NamedTuple):
    """Rounds where windows start and end, or how many successes come before these.

    Attributes:
        horizon: Of the horizon, its start and end.
        starts: Of the windows.
        ends: Of the windows.
    """

    horizon: Int[Array, " 2"]
    starts: Int[Array, "w s"]
    ends: Int[Array, "w s"]

    def among(self, rounds: Int[Array, " n"]) -> "_Edges":
        """How many successes come before each."""
        return _Edges(*(_rank(rounds, each) for each in self))


class _Condition(NamedTuple):
    """sign·(N(a, b) − slope·(b − a)) < 0 for the successes N of a window [a, b).

    With F(t) = sign·(N(before t) − slope·t) it is broken on [a, b) iff F(b) ≥ F(a).

    Attributes:
        rounds: Sorted rounds of the successes, marked ones among them.
        marked: Marked successes before the i-th.
        slope: Most (sign +1) or least (−1) successes a round.
        sign: +1: too many break it, −1: too few.
    """

    rounds: Int[Array, " n"]
    marked: Int[Array, " n+1"]
    slope: Float[Array, ""]
    sign: int

    def broken(self, found: _Edges, windows: Int[Array, "w 1"]) -> Bool[Array, "w s"]:
        """Whether it is broken on windows of that length, from the places of edges."""
        gained = self.marked[found.ends] - self.marked[found.starts]
        return self.sign * (gained - self.slope * windows) >= 0

    def sides(self, horizon: Int[Array, " 2"], found: Int[Array, " 2"]) -> "_Sides":
        """Starts and ends among which there are those of a longest broken window.

        A longest window can be slid, towards its end if too few successes break it and
        towards its start if too many do, until it ends at a success's edge or at the
        horizon's: F falls, or rises, by as much at both ends, or by less at the start.
        Behind a success F(a) is least at once, where too few break; before one, at the
        success itself, where too many do.

        Args:
            horizon: Its start and end.
            found: Successes before these.
        """
        begin, end = horizon
        up = self.sign > 0
        within = (self.rounds >= begin) & (self.rounds < end)
        opens = self.rounds + (0 if up else 1)
        closes = self.rounds + (1 if up else 0)
        # Of successes in one round the last has the round's full count, the first what
        # was before it: the others are too strict with themselves, and harmless.
        before, through = self.marked[:-1], self.marked[1:]
        opening = self._level(opens, before if up else through, begin)
        closing = self._level(closes, through if up else before, begin)
        first, final = self._level(horizon, self.marked[found], begin)
        return _Sides(
            opens=jnp.concatenate([begin[None], opens]),
            opening=jnp.concatenate([first[None], jnp.where(within, opening, jnp.inf)]),
            closes=jnp.concatenate([closes, end[None]]),
            closing=jnp.concatenate(
                [jnp.where(within, closing, -jnp.inf), final[None]]
            ),
            slope=self.slope if up else jnp.float32(jnp.inf),
        )

    def _level(self, rounds_, count, origin):
        # Relative to the origin: float32 holds slope·t to 1e-7 of the horizon's count.
        since = (rounds_ - origin).astype(jnp.float32)
        return self.sign * (count.astype(jnp.float32) - self.slope * since)


class _Sides(NamedTuple):
    """Where the longest window that breaks a condition may start and end.

    Attributes:
        opens: Rounds of starts, ascending.
        opening: F there; inf outside the horizon.
        closes: Rounds of ends.
        closing: F there; −inf outside the horizon.
        slope: Rise of F a round backwards from a start; inf where none can be earlier.
    """

    opens: Int[Array, " n+1"]
    opening: Float[Array, " n+1"]
    closes: Int[Array, " n+1"]
    closing: Float[Array, " n+1"]
    slope: Float[Array, ""]


def _longest(sides: _Sides) -> Int[Array, ""]:
    """Most rounds from the earliest start with F(a) ≤ F(b) to an end b."""
    opens, opening, closes, closing, slope = sides
    place = _rank(-_least_so_far(opening), -closing)
    reached = (place < len(opens)) & jnp.isfinite(closing)
    start = jnp.minimum(place, len(opens) - 1)
    above = jnp.where(reached & (start > 0), closing - opening[start], 0.0)
    length = closes - opens[start] + jnp.floor(above / slope).astype(jnp.int32)
    return jnp.where(reached, length, 0).max()
