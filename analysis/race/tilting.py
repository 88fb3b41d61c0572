"""The private race by importance sampling: two tilts, at any depth, in float32.

Notation (the race, V, S_k, M, W, K, θ_0 and θ* are those of ``walk.py``)
    T(x)        first time that the walk under θ* is at x or higher
    Z, N        its place and its number of record heights at T(x)
    C           E*[e^{−θ* Z}] at T(x): Pr[M ≥ x] without the pre-mining lead
    f(s)        weight of a path that is at s after k levels, in [0, 1]

Siegmund's change of measure in two stages:
    Pr = E[e^{θ_0 V}] e^{kK(θ_0)} E_0[f(V + S_k)],
    f(s) = e^{−θ_0 s} for s ≥ 0,   e^{−θ_0 s} E*[e^{−θ* Z(−s)}] for s < 0.
The first k levels are drawn under θ_0, where the race is even, the catch-up under θ*,
where it is won; where K(θ*) < 0 (``walk.py``), e^{−θ* Z} is e^{−θ* Z + T K(θ*)} all
through. θ* for all levels would be the wrong measure: it keeps the race from
being close at level k. f ≤ 1: the weights have no tail that a sample could miss.

Pre-mined, the adversary needs W + M ≥ x. Both are sums of Geometric(p_+) record
heights, p_+ = Pr[M > 0] = E*[e^{−θ* Z(0+)}], and with the records still to come
integrated out E*[e^{−θ* Z}] becomes E*[e^{−θ* Z} (1 + N (1 − p_+))]: for exponential
laws ρ^n (1 + n(1 − ρ)). H_0 is drawn by length up to its place within a
cell of the law's table, which a weight near 1 makes good.

A path's first ⌊k/2⌋ levels, the other levels and the catch-up are independent, so
those of different paths of a batch are joined too, in 16 ways (an incomplete
U-statistic: the chance that S_k is near 0 is then averaged, not sampled). Batches are
independent; the interval is Student's t over them.

Everything large or tiny stays on the host in float64 logarithms; compiled code
(``tilted_paths.py``) sees only f. Laws are traced: one compilation serves all races
and depths.

Reference: D. Siegmund, Importance sampling in the Monte Carlo study of sequential
tests, Ann. Statist. 4 (1976); S. Asmussen, P. Glynn, Stochastic Simulation (2007) VI.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key
from scipy import stats

from ..block_time.counter_draws import MAXIMUM_PLACES
from ..estimation.estimate import COVERAGE, Estimate, Refused
from .tilted_paths import (
    BATCHES,
    DEPTHS,
    LANES,
    RECORDS,
    Marks,
    Stages,
    reach,
    sample_paths,
    stages_of,
)
from .walk import (
    OUTGROWS,
    TARGETS,
    Race,
    RareEstimate,
    SafeDepth,
    Tilt,
    bounded,
    log_left_out,
    log_start,
    outgrows,
    tilts,
)

# A half-width of 1 % and less at 2^-128, in half a second on a core.
PATHS = 65_536
# Depths estimated around each target's answer.
_WINDOW = 8
# The last call that has a number is the pilot's.
_MAXIMUM_CALLS = MAXIMUM_PLACES // (BATCHES * LANES) - 1
MAXIMUM_PATHS = _MAXIMUM_CALLS * BATCHES * LANES
_MINIMUM_EFFECTIVE = 200.0


def persistence(
    key: Key[Array, ""], race: Race, depths: Sequence[int], *, paths: int = PATHS
) -> list[RareEstimate]:
    """Pr[violation at depth k] for each depth, by two-stage importance sampling.

    Args:
        key: Fixes every draw. Estimates of different depths share paths.
        race: The race (``walk.py`` says which event).
        depths: Depths k ≥ 1, blocks.
        paths: Paths up to 2^28 − 4096, rounded up to whole calls of 4096.

    Raises:
        Refused: As ``walk.tilts``; if the race is so near its threshold that the
            catch-up has more than 512 records; or if fewer than 200 effective paths
            remain.
        ValueError: If a depth is below 1, there are no paths or too many, or a field of
            the race is out of range.
    """
    if len(depths) == 0 or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    _check_paths(paths)
    if outgrows(race):
        sure = Estimate(1.0, 1.0, 1.0, 0, OUTGROWS)
        return [RareEstimate(sure, 0.0, math.inf) for _ in depths]
    return _persistence(key, _prepared(race), depths, _calls(paths))


def smallest_depths(
    key: Key[Array, ""],
    race: Race,
    targets: Sequence[float] = TARGETS,
    *,
    paths: int = PATHS,
) -> list[SafeDepth]:
    """Smallest depth k with Pr[violation at depth k] ≤ target, for each target.

    A pilot of 4096 paths on a coarse set of depths finds the neighbourhood, where the
    risk is then estimated at adjacent depths; where e^{K(θ_0)} is so near 1 that eight
    depths are too few, at strides, with ln Pr linear in between.

    Args:
        key: Fixes every draw.
        race: The race.
        targets: Risks in (0, 1).
        paths: Paths of the final estimates.

    Raises:
        Refused: As ``persistence``; if the adversary outgrows the public chain.
        ValueError: If a target is not in (0, 1), or there are no paths or too many.
    """
    for target in targets:
        if not 0 < target < 1:
            raise ValueError(f"targets must be in (0, 1), got {target}")
    _check_paths(paths)
    prepared = _prepared(race)
    tilt = prepared.tilt
    room = -math.log1p(-tilt.theta_0 / tilt.theta_star) * (2 if race.premined else 1)
    start = log_start(race, tilt.theta_0) + room
    bound = (math.log(min(targets)) - start) / tilt.log_rate
    coarse = sorted({round(x) for x in np.geomspace(1, max(2.0, bound + 1), DEPTHS)})
    # Paths that no estimate has.
    pilot = range(_MAXIMUM_CALLS, _MAXIMUM_CALLS + 1)
    logs = [r.log_value for r in _persistence(key, prepared, coarse, pilot)]
    found: list[SafeDepth] = []
    for first in range(0, len(targets), DEPTHS // _WINDOW):
        some = targets[first : first + DEPTHS // _WINDOW]
        guesses = np.interp(-np.log(some), -np.asarray(logs), coarse)
        found += _settle(key, prepared, some, guesses, _calls(paths))
    return found


class _Prepared(NamedTuple):
    """A race, its tilts and its tables."""

    race: Race
    tilt: Tilt
    stages: Stages


def _prepared(race: Race) -> _Prepared:
    race = bounded(race)
    tilt = tilts(race)
    # A record is about a standard deviation high: no need to run out of them to know.
    if reach(tilt) > 0.7 * RECORDS * tilt.spread:
        raise _too_near(tilt)
    return _Prepared(race, tilt, stages_of(race, tilt))


def _settle(key, prepared: _Prepared, targets, guesses, calls) -> list[SafeDepth]:
    """Smallest depths of a few targets, from guesses."""
    rate = -prepared.tilt.log_rate
    # A pilot is right to 10 %, unless the curve bends: then the answer is a new guess.
    stride = max(1, math.ceil(0.1 / rate))
    for _ in range(4):
        starts = [max(1, round(guess) - 3 * stride) for guess in guesses]
        windows = [[start + i * stride for i in range(_WINDOW)] for start in starts]
        depths = sorted({k for w in windows for k in w})
        some = _persistence(key, prepared, depths, calls)
        risks = dict(zip(depths, some, strict=True))
        found = [
            _safe_depth(target, window, [risks[k] for k in window])
            for target, window in zip(targets, windows, strict=True)
        ]
        if all(
            max(w[0], 2) - 1 <= f.depth <= w[-1]
            for f, w in zip(found, windows, strict=True)
        ):
            return found
        guesses = [f.depth for f in found]
    raise Refused(
        f"smallest depths: no depth was found for the targets {list(targets)} in four "
        "rounds of guesses; more paths, or lattice_race"
    )


def _persistence(key, prepared: _Prepared, depths, calls) -> list[RareEstimate]:
    found: list[RareEstimate] = []
    for first in range(0, len(depths), DEPTHS):
        some = list(depths[first : first + DEPTHS])
        found += _estimate(key, prepared, some, calls)
    return found


def _estimate(
    key, prepared: _Prepared, depths: list[int], calls: range
) -> list[RareEstimate]:
    race, tilt, stages = prepared
    padded = np.array(depths + [depths[-1]] * (DEPTHS - len(depths)), np.int32)
    levels, where = np.unique([padded // 2, padded], return_inverse=True)
    levels = np.pad(levels, (0, 2 * DEPTHS - len(levels)), mode="edge")
    half, full = jnp.asarray(where.reshape(2, DEPTHS), jnp.int32)
    marks = Marks(jnp.asarray(levels, jnp.int32), half, full, jnp.int32(len(depths)))
    batches = []
    for call in calls:
        batches.append(sample_paths(key, stages, marks, call))
        if np.asarray(batches[-1].overflow).any():
            raise _too_near(tilt)
    f = np.concatenate([np.asarray(b.weight, float) for b in batches])
    f2 = np.concatenate([np.asarray(b.square, float) for b in batches])
    count = len(f) * LANES
    log_start_0 = log_start(race, tilt.theta_0)
    t = float(stats.t.ppf(0.5 + COVERAGE / 2, len(f) - 1))
    found = []
    for place, depth in enumerate(depths):
        value = float(f[:, place].mean())
        effective = count * value**2 / max(float(f2[:, place].mean()), 1e-300)
        if effective < _MINIMUM_EFFECTIVE:
            raise Refused(
                f"persistence at depth {depth}: {effective:.0f} effective of {count} "
                f"paths, at least {_MINIMUM_EFFECTIVE:.0f} are needed (more paths, or "
                "lattice_race)"
            )
        half_width = t * float(f[:, place].std(ddof=1)) / math.sqrt(len(f))
        log_scale = log_start_0 + depth * tilt.log_rate
        log_value = log_scale + math.log(value)
        ends = (value, max(value - half_width, 0.0), value + half_width)
        value, low, high = (min(1.0, x * math.exp(log_scale)) for x in ends)
        # Levels that may have had an interval that was left out.
        levels = 2 + depth - 2 / math.expm1(tilt.log_rate)
        high = min(1.0, high + levels * math.exp(log_left_out(race)))
        method = "two-stage tilting, t interval over batches"
        estimate = Estimate(value, low, high, count, method)
        found.append(RareEstimate(estimate, min(0.0, log_value), effective))
    return found


def _safe_depth(target: float, depths, risks: list[RareEstimate]) -> SafeDepth:
    estimates = [r.estimate for r in risks]
    curves = [
        np.minimum.accumulate(np.log([getattr(e, end) for e in estimates]))
        for end in ("value", "low", "high")
    ]
    depth, low, high = (_crossing(depths, curve, math.log(target)) for curve in curves)
    value, least, most = (float(np.exp(np.interp(depth, depths, c))) for c in curves)
    risk = estimates[0]._replace(value=value, low=least, high=most)
    return SafeDepth(target, depth, low, high, risk)


def _crossing(depths, logs, goal: float) -> int:
    """Smallest whole depth at which the piecewise linear ln Pr is ≤ goal."""
    after = int(np.clip(np.searchsorted(-logs, -goal), 1, len(depths) - 1))
    slope = (logs[after] - logs[after - 1]) / (depths[after] - depths[after - 1])
    # Flat where the interval's end is clipped at 1.
    place = depths[after] + (goal - logs[after]) / min(slope, -1e-9)
    return max(1, math.ceil(place - 1e-9))


def _calls(paths: int) -> range:
    return range(math.ceil(paths / (BATCHES * LANES)))


def _check_paths(paths: int) -> None:
    if not 0 < paths <= MAXIMUM_PATHS:
        raise ValueError(f"paths must be from 1 to {MAXIMUM_PATHS}, got {paths}")


def _too_near(tilt: Tilt) -> Refused:
    return Refused(
        f"persistence: the catch-up has more than {RECORDS} records, the race is too "
        "near its threshold for this engine (a block of depth lowers the risk by only "
        f"{-tilt.log_rate:.2g}); lattice_race goes further"
    )
