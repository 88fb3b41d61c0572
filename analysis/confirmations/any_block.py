"""Persistence of every block of a horizon: the worst private attack, not the first.

Notation (security.md §3–4; H, A, τ, α, Δ, K, θ_0 are those of ``race.py``)
    N           levels of the horizon
    k           depth: blocks that a fork removes
    B_i         Σ_{j ≤ i} (H_j − A_j) from the block that a fork leaves
    a_i         Pr[B_i ≥ 0]
    T           first i with B_i < 0: the fork is behind and given up
    c_i         Pr[T > i] = Pr[B_1 ≥ 0, ..., B_i ≥ 0];   g_i = Pr[T = i] = c_{i−1} − c_i
    u_f         Pr[a fork leaves block f, and none before was as long as k]

Restart strategy (that of chain quality in ``security.py``): the adversary withholds;
once the public chain is longer, it forks anew from its tip,
    α_{j+1} = min(α_j, τ_j) + A.
A fork lives for T − 1 levels. Blocks 1 ... N are violated at depth k if a fork of those
that leave blocks 0 ... N−1 has
    ties win:    T > k          strict:    T > k + 1   (a longer chain is needed).
Forks are independent cycles of T levels, so that for any laws
    c_i = (1/i) Σ_{n=1..i} a_n c_{i−n}       (Sparre Andersen)
    u_f = Σ_{i=1..k} g_i u_{f−i},  u_0 = 1,   Pr[any] = c_k Σ_{f<N} u_f.
All terms are positive: nothing cancels, however rare. With s > 0 the root of
Σ g_i (e^{si} − 1) = c_k, u_f tends to e^{−sf} / Σ i g_i e^{si}: horizons of any length.
Exponential laws: a_n = I_q(n, n) (``bounds.first_to``). Others: Fourier transforms
of the tilted walk, with the public chain of ``race.py``, the slowest that Δ allows.

Best restarts: with the moves of both sides known beforehand and one private draw a
level, a fork may leave any block and is never given up. No schedule of restarts does
better; it violates depth k if
    ∃ f < N, e ≥ f + k:   B_e + H_{e+1} + Δ ≥ min_{g ≤ f} B_g   (strict: H − A),
and N times the pre-mined risk of one block bounds it.

Reference: E. Sparre Andersen, Math. Scand. 2 (1954); W. Feller, vol. II, XII.7.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int
from scipy import optimize, signal

from ..bounds.races import first_to
from ..estimation.estimate import Estimate, Refused, estimate_probability
from ..estimation.measurement import Measurement
from ..race.fourier import persistence
from ..race.grid import Grid, finer, grid_for, on_grid, shift, transform
from ..race.walk import (
    OUTGROWS,
    Race,
    Tilt,
    bounded,
    log_left_out,
    outgrows,
    tilts,
)
from ..simulation.levels import Levels, batch_of
from ..simulation.properties import LOWER_BOUND

# Levels after which u_f is its limit, in units of the depth, and the least of them.
_SETTLED = 64
_LEAST = 4096
_ROUNDING = 1e-13
_TOLERANCE = 0.01
_SMALLEST = 1e-290
_UNDECIDED = 0.02


class Deepest(NamedTuple):
    """The deepest violation of any block in a horizon (arrays over replicas).

    Attributes:
        restart: Under the restart strategy when ties win: the longest T − 1.
        restart_strict: The same where a longer chain is needed.
        best: Under the best restarts when ties win.
        best_strict: The same where a longer chain is needed.
        late: Whether the best restarts still gained in the last quarter of the levels
            that follow the horizon.
    """

    restart: Int[Array, " replicas"]
    restart_strict: Int[Array, " replicas"]
    best: Int[Array, " replicas"]
    best_strict: Int[Array, " replicas"]
    late: Array


def follow_all(levels: Levels, *, delay_steps: float, horizon: int) -> Deepest:
    """The deepest violations of blocks 1 ... N along each replica.

    Args:
        levels: Replicas of the network.
        delay_steps: Δ.
        horizon: N ≥ 1, at most the replicas' levels less one.

    Raises:
        ValueError: If the horizon is out of range.
    """
    most = levels.interval.shape[1] - 1
    if not 1 <= horizon <= most:
        raise ValueError(
            f"horizon must be from 1 to the levels less one, {most}, got {horizon}"
        )
    return _follow(
        levels.interval, levels.private, jnp.float32(delay_steps), jnp.int32(horizon)
    )


def any_block_measurements(
    deepest: Deepest, depths: Sequence[int], *, levels: int, horizon: int
) -> list[Measurement]:
    """Pr[some block of the horizon is violated at depth k], by Monte Carlo.

    Args:
        deepest: Followed replicas.
        depths: Depths k, at most levels − horizon − 1: all forks are then decided.
        levels: Levels a replica.
        horizon: N, as in ``follow_all``.

    Returns:
        ``any_block_violation`` (restart strategy) and ``any_block_best`` (best
        restarts) at each depth, each also ``_strict``. The best restarts are never
        given up: the share of replicas in which they still gained at the end of the
        levels raises the interval, and a large one makes the value a lower bound.

    Raises:
        ValueError: If a depth is out of range.
    """
    late = float(np.mean(np.asarray(deepest.late)))
    measured = []
    for name, values, open_end in (
        ("any_block_violation", deepest.restart, False),
        ("any_block_violation_strict", deepest.restart_strict, False),
        ("any_block_best", deepest.best, True),
        ("any_block_best_strict", deepest.best_strict, True),
    ):
        found = np.asarray(values)
        for depth in depths:
            if not 1 <= depth <= levels - horizon - 1:
                raise ValueError(
                    f"depths must be from 1 to {levels - horizon - 1} with {levels} "
                    f"levels and a horizon of {horizon}, got {depth}"
                )
            estimate = estimate_probability(
                int((found >= depth).sum()), len(found), name
            )
            method = f"{estimate.method}; any of {horizon} blocks"
            if open_end:
                estimate = estimate._replace(high=min(1.0, estimate.high + late))
                if late > _UNDECIDED * estimate.value > 0:
                    method = f"{method}; {LOWER_BOUND}"
            measured.append(_measured(name, depth, estimate._replace(method=method)))
    return measured


def memoryless_any_block(
    q: float | int, depth: int, horizon: int, *, ties_win: bool = True
) -> float:
    """Exact Pr[any of N blocks violated at depth k] of exponential laws, no delay.

    Args:
        q: The adversary's share, in [0, 1].
        depth: k ≥ 1.
        horizon: N ≥ 1.
        ties_win: Whether a private chain of equal length reverts.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"q must lie in [0, 1], got {q}")
    _check([depth], horizon)
    if q == 0:
        return 0.0
    length = depth + (not ties_win)
    ahead = np.asarray(first_to(q, np.arange(1, length + 1)))
    # A chance below float64 is 0 here, and refused by what it leads to.
    with np.errstate(divide="ignore"):
        logs = np.log(ahead)
    return math.exp(_log_any(_stays(logs), length, horizon))


def any_block(race: Race, depths: Sequence[int], *, horizon: int) -> list[Measurement]:
    """``any_block_violation`` of the restart strategy, however rare, without sampling.

    Args:
        race: The race; ``premined`` has no meaning here (the horizon starts with a
            fork from block 0) and must be off.
        depths: Depths k ≥ 1.
        horizon: N ≥ 1.

    Returns:
        One measurement a depth; low and high are value ∓ numerical error.

    Raises:
        Refused: As ``race.tilts`` (for one, where the private chain outgrows the
            public one: then a fork never ends, and Monte Carlo is enough); or if the
            grid's steps disagree by more than 1 %.
        ValueError: If an argument is out of range, or the race is pre-mined.
    """
    _check(depths, horizon)
    if race.premined:
        raise ValueError("premined must be False: every block has its own lead here")
    if outgrows(race):
        raise Refused(
            f"any block: {OUTGROWS} once N is long; how soon, simulated levels show "
            "(follow_all)"
        )
    lengths = [depth + (not race.ties_win) for depth in depths]
    race = bounded(race)
    tilt = tilts(race)
    grid = grid_for(race, tilt, max(lengths))
    grids = [grid] if grid.exact else [finer(grid, halvings) for halvings in range(3)]
    logs = []
    for each in grids:
        stays = _stays(_log_ahead(race, tilt, each, max(lengths)))
        logs.append(np.array([_log_any(stays, n, horizon) for n in lengths]))
    if grid.exact:
        value, errors, method = logs[0], np.zeros(len(lengths)), "exact lattice"
    else:
        first, value = ((4 * b - a) / 3 for a, b in pairwise(logs))
        errors = np.abs(np.expm1(value - first))
        method = "Richardson over three steps"
    errors = errors + _ROUNDING * np.asarray(lengths)
    # A fork's levels may have had an interval that was left out.
    rarest = value - math.log(horizon)
    left_out = np.exp(np.minimum(log_left_out(race) - rarest, 0.0))
    errors = errors + np.asarray(lengths) * left_out
    if errors.max() > _TOLERANCE:
        raise Refused(
            f"any block: the numerical error is {errors.max():.1%}, at most "
            f"{_TOLERANCE:.0%} is allowed, with steps of {grids[-1].step:.4g}; "
            "smaller depths, or a delay_steps that the looks divide, may do"
        )
    name = "any_block_violation" + ("" if race.ties_win else "_strict")
    method = f"renewals of forks, grid, {method}; any of {horizon} blocks"
    values = np.exp(np.minimum(value, 0.0))
    return [
        _measured(
            name,
            depth,
            Estimate(
                float(v),
                float(v * (1 - e)),
                min(1.0, float(v * (1 + e))),
                grids[-1].points,
                method,
            ),
        )
        for depth, v, e in zip(depths, values, errors, strict=True)
    ]


def any_block_bound(
    race: Race, depths: Sequence[int], *, horizon: int
) -> list[Measurement]:
    """Union bound min(1, N · Pr[one block's pre-mined race]) on the best restarts.

    The pre-mined race of a given moment has a public interval drawn by length and a
    stationary lead: both are above those of a given block.

    Raises:
        As ``lattice_race.persistence``; ValueError for a horizon below 1.
    """
    _check(depths, horizon)
    risks = persistence(race._replace(premined=True), depths)
    name = "any_block_bound" + ("" if race.ties_win else "_strict")
    method = f"union bound, {horizon} times the pre-mined race of one block"
    return [
        _measured(
            name,
            depth,
            Estimate(
                min(1.0, horizon * risk.value),
                min(1.0, horizon * risk.low),
                min(1.0, horizon * risk.high),
                risk.count,
                f"{method}; {risk.method}",
            ),
        )
        for depth, risk in zip(depths, risks, strict=True)
    ]


def _log_ahead(
    race: Race, tilt: Tilt, grid: Grid, most: int
) -> Float[np.ndarray, " most"]:
    """Ln Pr[B_n ≥ 0] for n = 1 ... most, under the tilt that makes the race even."""
    theta, n = tilt.theta_0, grid.points
    interval = transform(on_grid(race.honest, theta, grid, until=race.until))
    draw = np.conj(transform(on_grid(race.adversary, -theta, grid)))
    fixed = float(race.honest.offset) + race.delay - float(race.adversary.offset)
    walk = interval * draw * shift(fixed, grid)
    weights = np.zeros(n)
    weights[: n // 2] = np.exp(-theta * grid.step * np.arange(n // 2))
    if not grid.exact:
        weights[0] = 0.5  # a point's mass is spread around it
    rest = np.conj(transform(weights)) / n
    rest[1 : (n + 1) // 2] *= 2
    logs, power = [], np.ones_like(walk)
    for level in range(1, most + 1):
        power = power * walk
        share = max(float(np.real(np.vdot(np.conj(power), rest))), 1e-300)
        logs.append(math.log(share) + level * tilt.log_rate)
    return np.array(logs)


def _stays(log_ahead: Float[np.ndarray, " most"]) -> Float[np.ndarray, " most_1"]:
    """c_0 ... c_most by Sparre Andersen's identity."""
    ahead = np.exp(log_ahead)
    stays = np.ones(len(ahead) + 1)
    for i in range(1, len(stays)):
        stays[i] = ahead[:i] @ stays[i - 1 :: -1] / i
    return stays


def _log_any(stays: Float[np.ndarray, " most_1"], length: int, horizon: int) -> float:
    """Ln (c_k Σ_{f<N} u_f): levels by recursion, later ones by their limit."""
    long = float(stays[length])
    if long < _SMALLEST:
        raise Refused(
            f"any block: forks of {length} levels are rarer than {_SMALLEST:g}, which "
            "float64 cannot hold; any_block_bound and log_persistence go further"
        )
    ends = -np.diff(stays[: length + 1])
    early = min(horizon, max(_LEAST, _SETTLED * length))
    impulse = np.zeros(early)
    impulse[0] = 1.0
    left = np.asarray(signal.lfilter([1.0], np.concatenate([[1.0], -ends]), impulse))
    total = float(left.sum())
    later = horizon - early
    # Where a fork as long as that is all but sure by then, nothing is left to add.
    if later > 0 and long * total < 1 - 1e-12:
        rate = _decay(ends, long)
        # Σ_{m=1..later} e^{−sm}, also for s below the rounding of 1.
        span = later if rate * later < 1e-9 else _geometric(rate, later)
        total += float(left[-1]) * span
    return min(0.0, math.log(long) + math.log(total))


def _geometric(rate: float, count: int) -> float:
    return math.exp(-rate) * math.expm1(-rate * count) / math.expm1(-rate)


def _decay(ends: Float[np.ndarray, " k"], long: float) -> float:
    """S > 0 with Σ g_i (e^{si} − 1) = c_k."""
    places = np.arange(1, len(ends) + 1)

    def excess(rate: float) -> float:
        return float(ends @ np.expm1(rate * places)) - long

    # Convexity: the root lies below c_k / Σ i g_i.
    high = long / float(ends @ places)
    ends_at = 2 * high
    root = optimize.brentq(excess, 0.0, ends_at, xtol=1e-300, rtol=1e-13)  # pyright: ignore
    return float(root)  # pyright: ignore


@jax.jit
def _follow(intervals, privates, delay, horizon) -> Deepest:
    count = intervals.shape[1]
    place = jnp.arange(count + 1)

    def one(replica):
        interval, private = replica
        # A network without an adversary has infinite draws, whose sums are never won.
        private = jnp.minimum(private, 1e30)

        def level(state, gaps):
            behind, left, longest = state
            height, gap, draw = gaps
            behind = jnp.minimum(behind, 0.0) + draw - gap
            alive = behind <= 0
            length = jnp.where(alive & (left < horizon), height - left, 0)
            left = jnp.where(alive, left, height)
            return (behind, left, jnp.maximum(longest, length)), None

        start = (jnp.float32(0), jnp.int32(0), jnp.int32(0))
        (_, _, longest), _ = lax.scan(level, start, (place[1:], interval, private))
        walk = jnp.concatenate([jnp.zeros(1), jnp.cumsum(interval - private)])
        tie = _best(walk, walk[:-1] + interval + delay, horizon)
        strict = _best(walk, walk[1:] + delay, horizon)
        gaining = (tie > 0) & (place[:-1] >= horizon + 3 * (count - horizon) // 4)
        return Deepest(
            restart=longest,
            restart_strict=jnp.maximum(longest - 1, 0),
            best=tie.max(),
            best_strict=strict.max(),
            late=gaining.any(),
        )

    return lax.map(one, (intervals, privates), batch_size=batch_of(intervals.shape[0]))


def _best(walk, reach, horizon) -> Int[Array, " levels"]:
    """Deepest k that the fork at each end e supports; 0: none."""
    lowest = lax.cummin(walk)
    # The first block from which a fork has caught up by e; lowest falls.
    first = jnp.searchsorted(-lowest, -reach, side="left")
    end = jnp.arange(reach.shape[0])
    return jnp.where((first < horizon) & (first < end), end - first, 0)


def _measured(name: str, depth: int, estimate: Estimate) -> Measurement:
    return Measurement(name, float(depth), "blocks", estimate, "probability", "tail")


def _check(depths: Sequence[int], horizon: int) -> None:
    if len(depths) == 0 or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    if horizon < 1:
        raise ValueError(f"horizon must be ≥ 1, got {horizon}")
