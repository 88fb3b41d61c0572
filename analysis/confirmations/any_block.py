"""Persistence of every block of a horizon: the worst private attack, not the first.

Notation (H, A, τ, α, Δ, K, θ_0 are those of ``race/walk.py``)
    N           levels of the horizon
    k           depth: blocks that a fork removes
    B_i         Σ_{j ≤ i} (H_j − A_j) from the block that a fork leaves
    a_i         Pr[B_i ≥ 0]
    T           first i with B_i < 0: the fork is behind and given up
    c_i         Pr[T > i] = Pr[B_1 ≥ 0, ..., B_i ≥ 0];   g_i = Pr[T = i] = c_{i−1} − c_i
    u_f         Pr[a fork leaves block f, and none before was as long as k]

Restart strategy (that of chain quality in ``simulation/properties.py``): the
adversary withholds; once the public chain is longer, it forks anew from its tip,
    α_{j+1} = min(α_j, τ_j) + A.
A fork lives for T − 1 levels. Blocks 1 ... N are violated at depth k if a fork of those
that leave blocks 0 ... N−1 has
    ties win:    T > k          strict:    T > k + 1   (a longer chain is needed).
Forks are independent cycles of T levels, so that for any laws
    c_i = (1/i) Σ_{n=1..i} a_n c_{i−n}       (Sparre Andersen)
    u_f = Σ_{i=1..k} g_i u_{f−i},  u_0 = 1,   Pr[any] = c_k Σ_{f<N} u_f.
All terms are positive: nothing cancels, however rare. With s > 0 the root of
Σ g_i (e^{si} − 1) = c_k, u_f tends to e^{−sf} / Σ i g_i e^{si}: horizons of any length.
Exponential laws: a_n = I_q(n, n) (``bounds.races.first_to``). Others: Fourier
transforms of the tilted walk, with the public chain of ``race/walk.py``, the slowest
that Δ allows.

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

import numpy as np
from jaxtyping import Float
from scipy import optimize, signal

from ..bounds.races import first_to
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.quantities import ANY_BLOCK_BOUND, ANY_BLOCK_VIOLATION, STRICT
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
from .any_block_seen import measurement_of

# Levels after which u_f is its limit, in units of the depth, and the least of them.
_SETTLED = 64
_LEAST = 4096
_ROUNDING = 1e-13
_TOLERANCE = 0.01
_SMALLEST = 1e-290


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
        Refused: As ``race.walk.tilts`` (for one, where the private chain outgrows the
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
    name = ANY_BLOCK_VIOLATION + ("" if race.ties_win else STRICT)
    method = f"renewals of forks, grid, {method}; any of {horizon} blocks"
    values = np.exp(np.minimum(value, 0.0))
    return [
        measurement_of(
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
        As ``race.fourier.persistence``; ValueError for a horizon below 1.
    """
    _check(depths, horizon)
    risks = persistence(race._replace(premined=True), depths)
    name = ANY_BLOCK_BOUND + ("" if race.ties_win else STRICT)
    method = f"union bound, {horizon} times the pre-mined race of one block"
    return [
        measurement_of(
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


def _check(depths: Sequence[int], horizon: int) -> None:
    if len(depths) == 0 or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    if horizon < 1:
        raise ValueError(f"horizon must be ≥ 1, got {horizon}")
