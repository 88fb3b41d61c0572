"""Which windows of rounds are bad, and how long the longest is: compiled, by search.

Notation (``good_period.py``)
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

from .simulation import batch_of

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
) -> tuple[Float[Array, "replicas windows"], Int[Array, " replicas"]]:
    """Share of a replica's single windows that are good, and its longest bad window.

    Args:
        key: Draws the places of the single windows.
        rounds: Success rounds of all replicas.
        question: What makes a window good, and how long windows are.
    """
    x, y, z, epsilon = question.floats
    begin, end = question.bounds
    windows = question.windows
    keys = jax.random.split(key, rounds.honest.shape[0])

    def one(replica):
        key, own = replica
        first, only = marks(own.honest)
        # The same sorted rounds carry X (first of its round) and Y (only one).
        conditions = (
            _Condition(own.honest, _count(first), (1 + epsilon) * x, 1),
            _Condition(own.honest, _count(first), (1 - epsilon) * x, -1),
            _Condition(own.honest, _count(only), (1 - epsilon) * y, -1),
            _Condition(
                own.adversarial,
                _count(jnp.ones_like(own.adversarial)),
                z + epsilon * x,
                1,
            ),
        )
        places = jax.random.uniform(key, (len(windows), _STARTS))
        last = (end - begin - windows)[:, None]
        starts = jnp.floor(places * (last + 1)).astype(jnp.int32)
        starts = begin + jnp.minimum(starts, last)
        edges = _Edges(jnp.stack([begin, end]), starts, starts + windows[:, None])
        honest, adversarial = (edges.among(each) for each in own)
        among = (honest, honest, honest, adversarial)
        bad, longest = [], []
        for condition, found in zip(conditions, among, strict=True):
            bad.append(condition.broken(found, windows[:, None]))
            longest.append(condition.longest(edges.horizon, found.horizon))
        good = ~jnp.stack(bad).any(axis=0)
        return good.mean(axis=1), jnp.stack(longest).max()

    return lax.map(
        one, (keys, rounds), batch_size=batch_of(rounds.honest.shape[0], BATCH)
    )


def _count(marks: Bool[Array, " n"] | Int[Array, " n"]) -> Int[Array, " n+1"]:
    """How many marked ones come before the i-th."""
    zero = jnp.zeros(1, jnp.int32)
    return jnp.concatenate([zero, jnp.cumsum(marks, dtype=jnp.int32)])


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

    def longest(
        self, horizon: Int[Array, " 2"], found: Int[Array, " 2"]
    ) -> Int[Array, ""]:
        """Rounds of the longest window that breaks it, 0 if none does.

        A longest window can be slid, towards its end if too few successes break it and
        towards its start if too many do, until it ends at a success's edge or at the
        horizon's: F falls, or rises, by as much at both ends, or by less at the start.
        So for each end b the earliest start with F(a) ≤ F(b) decides. Behind a success
        F(a) is least at once, where too few break; before one, at the success itself,
        where too many do: from there F(a) rises backwards by the slope a round.

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
        opens = jnp.concatenate([begin[None], opens])
        closes = jnp.concatenate([closes, end[None]])
        opening = jnp.concatenate([first[None], jnp.where(within, opening, jnp.inf)])
        closing = jnp.concatenate([jnp.where(within, closing, -jnp.inf), final[None]])
        place = _rank(-_least_so_far(opening), -closing)
        start = jnp.minimum(place, len(opens) - 1)
        length = closes - opens[start]
        if up:
            spare = jnp.floor((closing - opening[start]) / self.slope)
            length += jnp.where(start > 0, spare, 0.0).astype(jnp.int32)
        reached = (place < len(opens)) & jnp.isfinite(closing)
        return jnp.where(reached, jnp.clip(length, 0, end - begin), 0).max()

    def _level(self, rounds_, count, origin):
        # Relative to the origin: float32 holds slope·t to 1e-7 of the horizon's count.
        since = (rounds_ - origin).astype(jnp.float32)
        return self.sign * (count.astype(jnp.float32) - self.slope * since)
