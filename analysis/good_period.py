"""Good periods: does the block rate stay what the security proof expects?

Notation (security.md §2; SLT23 §5, Def. 3):
    round        ``round_steps`` steps; one training-oracle query
    X_r          1 iff at least one honest success in round r
    Y_r          1 iff exactly one
    Z_r          number of adversarial successes
    W            a window of k consecutive rounds
    p            E[X_r]; kp = expected successful rounds in the window
    ε            tolerance

W is good ((ε,k)-typical) iff
    (1−ε) E[X(W)] < X(W) < (1+ε) E[X(W)],  (1−ε) E[Y(W)] < Y(W),
    Z(W) < E[Z(W)] + ε E[X(W)].
Two probabilities are estimated: that a window of exactly k rounds at a random place is
good, and that every window of at least k rounds within the horizon is (Def. 3).

A replica is a list of success times, never an array of rounds: the cost is linear in
blocks and no shape depends on the length of a round. All windows of at least k rounds
are good iff the longest bad one is shorter: one search a success answers every k.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from .estimate import Estimate, Refused, estimate_mean, estimate_share
from .measurement import Measurement
from .shares import estimate_mean_share
from .simulation import Levels, batch_of

# Window places looked at in each replica; they share a path, so a replica counts as
# one sample.
_STARTS = 16
_BATCH = 256
# Rounds are int32; sums of rounds and windows must stay below 2^31.
_ROUND_LIMIT = 2**29


class Rounds(NamedTuple):
    """Successful rounds of a replica, sorted, padded with ``_ROUND_LIMIT``.

    Attributes:
        honest: Round of each honest success.
        adversarial: Round of each adversarial success.
    """

    honest: Int[Array, "*replicas successes"]
    adversarial: Int[Array, "*replicas private"]


class RoundRates(NamedTuple):
    """Means per round: E[X_r], E[Y_r], E[Z_r], and the rounds they were taken from.

    Attributes:
        x: Pr[at least one honest success], the proof's p.
        y: Pr[exactly one].
        z: Mean adversarial successes.
        begin: First round used, after a run-in.
        end: One past the last round that every replica covers.
        replicas: Replicas.
    """

    x: float
    y: float
    z: float
    begin: int
    end: int
    replicas: int

    def window(self, blocks: float) -> int:
        """k, the rounds in which ``blocks`` successful rounds are expected."""
        return max(1, round(blocks / self.x))


def rounds_of(levels: Levels, *, round_steps: float) -> Rounds:
    """Sort a network's successes into rounds of ``round_steps`` steps.

    Raises:
        Refused: If the simulated time has too many rounds to number them.
    """
    longest = float(levels.interval.sum(axis=1).max())
    if not longest / round_steps < _ROUND_LIMIT:
        raise Refused(
            "good periods: round_steps must be at least "
            f"{longest / _ROUND_LIMIT:.3g} for this horizon, got {round_steps:g}"
        )
    capacity = 2 * levels.interval.shape[1]
    while capacity < int(levels.blocks.sum(axis=1).max()):
        capacity *= 2
    capacity = min(capacity, levels.lag.shape[1] * levels.lag.shape[2])
    return _rounds_of(levels, jnp.float32(round_steps), capacity=capacity)


def join_rounds(parts: Sequence[Rounds]) -> Rounds:
    """One set of replicas from several, padded to the longest list of successes."""
    longest = max(part.honest.shape[1] for part in parts)
    return Rounds(
        honest=jnp.concatenate(
            [
                jnp.pad(
                    part.honest,
                    ((0, 0), (0, longest - part.honest.shape[1])),
                    constant_values=_ROUND_LIMIT,
                )
                for part in parts
            ]
        ),
        adversarial=jnp.concatenate([part.adversarial for part in parts]),
    )


def round_rates(rounds: Rounds, *, private: bool) -> RoundRates:
    """Measure E[X_r], E[Y_r], E[Z_r] over the rounds that all replicas cover.

    Args:
        rounds: Success rounds of all replicas.
        private: Whether there is an adversary (its chain must cover the rounds too).

    Raises:
        Refused: If the replicas have fewer than 20 rounds in common.
    """
    end = int(_last(rounds.honest).min())
    if private:
        end = min(end, int(_last(rounds.adversarial).min()))
    begin = end // 10
    if end - begin < 20:
        raise Refused(
            f"good periods: the replicas share only {end} rounds; simulate more levels "
            "or use shorter rounds"
        )
    sums = _sums(rounds, begin, end)
    x, y, z = (float(np.asarray(s, np.float64).sum()) for s in sums)
    replicas = rounds.honest.shape[0]
    total = replicas * (end - begin)
    return RoundRates(x / total, y / total, z / total, begin, end, replicas)


class WindowShares(NamedTuple):
    """Which windows of each replica are bad, by window length.

    Attributes:
        blocks: Window lengths kp as they were asked for.
        rounds: k of each.
        single: Share of a replica's single windows that are bad.
        every: Whether some window of at least k rounds is bad.
    """

    blocks: tuple[float, ...]
    rounds: Int[np.ndarray, " windows"]
    single: Float[np.ndarray, "replicas windows"]
    every: Bool[np.ndarray, "replicas windows"]


def window_shares(
    key: Key[Array, ""],
    rounds: Rounds,
    rates: RoundRates,
    window_blocks: Sequence[float],
    *,
    epsilon: float,
) -> WindowShares:
    """Judge single windows and all windows of each replica.

    Args:
        key: Draws the places of the single windows.
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        window_blocks: Window lengths as expected successful rounds kp; those longer
            than half the horizon are left out.
        epsilon: ε in (0, 1).

    Raises:
        ValueError: If ε is out of range.
        Refused: If every window is longer than half the horizon.
    """
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be in (0, 1), got {epsilon}")
    span = rates.end - rates.begin
    fitting = [blocks for blocks in window_blocks if rates.window(blocks) <= span // 2]
    if not fitting:
        raise Refused(
            f"good periods: the horizon has {span} rounds, {span * rates.x:.0f} "
            f"successful ones; the shortest window ({min(window_blocks):g} of them) "
            "needs twice its length: simulate more levels"
        )
    # All windows are judged, also those too long: their number is part of the shape.
    lengths = np.array([rates.window(blocks) for blocks in window_blocks])
    floats = jnp.array([rates.x, rates.y, rates.z, epsilon], jnp.float32)
    bounds = jnp.array([rates.begin, rates.end], jnp.int32)
    windows = jnp.asarray(np.minimum(lengths, span), jnp.int32)
    good, longest = map(np.asarray, _good(key, rounds, floats, bounds, windows))
    kept = np.isin(window_blocks, fitting)
    return WindowShares(
        tuple(fitting),
        lengths[kept],
        1.0 - good[:, kept].astype(np.float64),
        longest[:, None] >= lengths[kept],
    )


def good_period_measurements(shares: WindowShares) -> list[Measurement]:
    """Pr[window good] and Pr[every window of at least that length good].

    Returns:
        ``good_period`` and ``good_period_all`` at each kp.
    """
    what = "good periods"
    singles = [
        _measurement("good_period", kp, estimate_mean_share(1.0 - column, what))
        for kp, column in zip(shares.blocks, shares.single.T, strict=True)
    ]
    everys = [
        _measurement("good_period_all", kp, estimate_share(~column, what))
        for kp, column in zip(shares.blocks, shares.every.T, strict=True)
    ]
    return singles + everys


def rate_measurements(rounds: Rounds, rates: RoundRates) -> list[Measurement]:
    """E[X_r], E[Y_r], E[Z_r] with intervals over replicas."""
    sums = _sums(rounds, rates.begin, rates.end)
    length = rates.end - rates.begin
    return [
        Measurement(
            name,
            None,
            "",
            estimate_mean(np.asarray(total, float) / length, name),
            "per round",
        )
        for name, total in zip(
            ("round_success", "round_single_success", "round_adversarial"),
            sums,
            strict=True,
        )
    ]


@partial(jax.jit, static_argnames="capacity")
def _rounds_of(levels: Levels, round_steps, *, capacity: int) -> Rounds:
    def one(replica):
        interval, lag, private = replica
        times = (jnp.cumsum(interval)[:, None] + lag).ravel()
        return Rounds(
            honest=jnp.sort(_round(times, round_steps))[:capacity],
            adversarial=_round(jnp.cumsum(private), round_steps),
        )

    found = (levels.interval, levels.lag, levels.private)
    replicas = levels.interval.shape[0]
    return lax.map(one, found, batch_size=batch_of(replicas, _BATCH))


def _round(times: Float[Array, " n"], round_steps) -> Int[Array, " n"]:
    return jnp.where(
        jnp.isfinite(times), jnp.floor(times / round_steps), _ROUND_LIMIT
    ).astype(jnp.int32)


def _last(rounds: Int[Array, "replicas n"]) -> Int[Array, " replicas"]:
    return jnp.max(jnp.where(rounds < _ROUND_LIMIT, rounds, 0), axis=1)


@jax.jit
def _sums(rounds: Rounds, begin, end):
    def one(replica: Rounds):
        first, only = _marks(replica.honest)
        inside = (replica.honest >= begin) & (replica.honest < end)
        private = (replica.adversarial >= begin) & (replica.adversarial < end)
        return (first & inside).sum(), (only & inside).sum(), private.sum()

    return lax.map(one, rounds, batch_size=batch_of(rounds.honest.shape[0], _BATCH))


def _marks(rounds: Int[Array, " n"]):
    """Of sorted rounds: is it the round's first success, and is it the only one?"""
    step = rounds[1:] != rounds[:-1]
    edge = jnp.ones(1, bool)
    first = jnp.concatenate([edge, step])
    return first, first & jnp.concatenate([step, edge])


@jax.jit
def _good(key, rounds: Rounds, floats, bounds, windows):
    """Share of a replica's single windows that are good, and its longest bad window."""
    x, y, z, epsilon = floats
    begin, end = bounds
    keys = jax.random.split(key, rounds.honest.shape[0])

    def one(replica):
        key, own = replica
        first, only = _marks(own.honest)
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
        bad = [each.broken(starts, windows[:, None]) for each in conditions]
        longest = [each.longest(begin, end) for each in conditions]
        good = ~jnp.stack(bad).any(axis=0)
        return good.mean(axis=1), jnp.stack(longest).max()

    return lax.map(
        one, (keys, rounds), batch_size=batch_of(rounds.honest.shape[0], _BATCH)
    )


def _count(marks: Bool[Array, " n"] | Int[Array, " n"]) -> Int[Array, " n+1"]:
    """How many marked ones come before the i-th."""
    zero = jnp.zeros(1, jnp.int32)
    return jnp.concatenate([zero, jnp.cumsum(marks, dtype=jnp.int32)])


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

    def broken(
        self, starts: Int[Array, "w s"], windows: Int[Array, "w 1"]
    ) -> Bool[Array, "w s"]:
        """Whether it is broken on windows of exactly that length."""
        gained = self._before(starts + windows) - self._before(starts)
        return self.sign * (gained - self.slope * windows) >= 0

    def longest(self, begin, end) -> Int[Array, ""]:
        """Rounds of the longest window that breaks it, 0 if none does.

        A longest window can be slid, towards its end if too few successes break it and
        towards its start if too many do, until it ends at a success's edge or at the
        horizon's: F falls, or rises, by as much at both ends, or by less at the start.
        So for each end b the earliest start with F(a) ≤ F(b) decides. Behind a success
        F(a) is least at once, where too few break; before one, at the success itself,
        where too many do: from there F(a) rises backwards by the slope a round.
        """
        up = self.sign > 0
        within = (self.rounds >= begin) & (self.rounds < end)
        opens = self.rounds + (0 if up else 1)
        closes = self.rounds + (1 if up else 0)
        # Of successes in one round the last has the round's full count, the first what
        # was before it: the others are too strict with themselves, and harmless.
        before, through = self.marked[:-1], self.marked[1:]
        opening = self._level(opens, before if up else through, begin)
        closing = self._level(closes, through if up else before, begin)
        edges = jnp.stack([begin, end])
        first, final = self._level(edges, self._before(edges), begin)
        opens = jnp.concatenate([begin[None], opens])
        closes = jnp.concatenate([closes, end[None]])
        opening = jnp.concatenate([first[None], jnp.where(within, opening, jnp.inf)])
        closing = jnp.concatenate([jnp.where(within, closing, -jnp.inf), final[None]])
        lowest = lax.cummin(opening)
        place = jnp.searchsorted(-lowest, -closing, side="left")
        start = jnp.minimum(place, len(opens) - 1)
        length = closes - opens[start]
        if up:
            spare = jnp.floor((closing - opening[start]) / self.slope)
            length += jnp.where(start > 0, spare, 0.0).astype(jnp.int32)
        found = (place < len(opens)) & jnp.isfinite(closing)
        return jnp.where(found, jnp.clip(length, 0, end - begin), 0).max()

    def _before(self, rounds_: Int[Array, "*shape"]) -> Int[Array, "*shape"]:
        return self.marked[jnp.searchsorted(self.rounds, rounds_, side="left")]

    def _level(self, rounds_, count, origin):
        # Relative to the origin: float32 holds slope·t to 1e-7 of the horizon's count.
        since = (rounds_ - origin).astype(jnp.float32)
        return self.sign * (count.astype(jnp.float32) - self.slope * since)


def _measurement(quantity: str, blocks: float, estimate: Estimate) -> Measurement:
    return Measurement(
        quantity, float(blocks), "expected blocks", estimate, "probability"
    )
