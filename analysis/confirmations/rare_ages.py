"""Confirmation by age: the risk of a block that all honest provers saw t steps ago.

Notation (the race, A, H, τ, α, V, W, M, θ* are those of ``race/walk.py``)
    t           age of the block at τ_1 when it is trusted: the moment is τ_1 + Δ + t
    R_j         H_1 + ... + H_j, the public chain's time from τ_1 to τ_{j+1}
    k(t)        min{j ≥ 1: R_j ≥ t}, its depth at that moment
    O           R_{k(t)} − t
    y           Σ_{j ≤ k(t)} (A_j − H_j) − V, by how much the adversary is behind

The block is violated at age t if the private chain wins a race that is still open then:
the rule of depth with the public chain's own, random depth k(t),
    ties win:   ∃ j ≥ k(t): α_j     ≤ τ_{j+1} + Δ,     strict:   α_{j+1} in its place.
A path's last crossing j therefore answers all ages: violated up to age R_j.

Exponential laws without delay: at that moment the public chain has 1 + Pois(pt) blocks
since the start, the private one Geom_0(p) + Pois(qt) and, pre-mined, Geom_0(ρ) more;
a deficit of d blocks is made good with probability ρ^d (``memoryless_time_risk``).

Other laws, rare risks: k(t) depends on the public intervals alone, so that H and A are
tilted apart, with parameters for which a level weighs 1:
    M_H(s) M_A(−θ) = 1,     E_s[H] = E_{−θ}[A]      (the race is even),
which minimises θ − s (concave s(θ), 0 < θ < s < θ*). Wald's identity at k(t) and θ*
after it give, Z ≥ y being where the catch-up ends (Z = 0 and f = 1 for y ≤ 0),
    Pr = E[e^{θV}] e^{−(s−θ)t} E_{s,θ}[e^{−(s−θ)O + θy} f],   f = e^{−θ* Z} ≤ e^{−θ* y}:
weights without a tail. Where no s below the public tail's hazard makes a level weigh
1 (``walk.py``: K(θ*) < 0), s is θ* and a level weighs e^c, c = ln M_H(s) M_A(−θ) < 0,
as each of the T levels of the catch-up weighs e^{K(θ*)}; both stay in f. Pre-mined,
f = e^{−θ* Z}(1 + N(1 − p_+)) as in ``tilting.py``,
with p_+ = E*[e^{−θ* Z(0+)}] from paths of its own. Batches are independent; the
interval is Student's t over them. t is traced: a curve compiles once.

Reference: D. Siegmund, Sequential Analysis (1985) VIII; S. Asmussen, Applied
Probability and Queues (2003) XIII for the two tilts and the ladder heights.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Key
from scipy import optimize, stats

from ..block_time.law import mean
from ..block_time.tilt import draw, draw_in_cell, log_moment, sampler
from ..estimation.estimate import COVERAGE, Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.quantities import PREMINED, SAFE_TIME, STRICT, TIME_RULE_VIOLATION
from ..race.tilted_paths import Stages, stages_of, step_words
from ..race.walk import (
    OUTGROWS,
    TARGETS,
    Race,
    RareEstimate,
    bounded,
    log_start,
    outgrows,
    tilts,
)
from .ages import check_times

PATHS = 16_384
_LANES = 512
_BATCHES = 8
_MINIMUM_EFFECTIVE = 200.0
# Steps of Newton's method with few paths, before the estimate that counts.
_STEPS = 3


class AgeTilt(NamedTuple):
    """The tilts of a race that is judged at a given age.

    Attributes:
        theta: θ, on the adversary's blocks (as −θ) and on what precedes the walk.
        s: s, on the public intervals.
        decay: s − θ: a further step of age multiplies the risk by e^{−(s−θ)}, and by
            what its levels weigh.
        level: c ≤ 0, ln of what a public level weighs.
    """

    theta: float
    s: float
    decay: float
    level: float = 0.0


def time_risk(
    key: Key[Array, ""],
    race: Race,
    times: Sequence[float | int],
    *,
    paths: int = PATHS,
) -> list[RareEstimate]:
    """Pr[violation at age t] for each age, however rare, by importance sampling.

    Args:
        key: Fixes every draw. Estimates of different ages share random numbers.
        race: The race: the slowest public chain that Δ allows.
        times: Ages t ≥ 0, steps.
        paths: Paths, rounded up to whole calls of 4096.

    Raises:
        Refused: As ``race.walk.tilts``; or if fewer than 200 effective paths remain.
        ValueError: If an age is negative or infinite.
    """
    check_times(times)
    if outgrows(race):
        sure = Estimate(1.0, 1.0, 1.0, 0, OUTGROWS)
        return [RareEstimate(sure, 0.0, math.inf) for _ in times]
    race = bounded(race)
    tilt, stages, unit = _prepared(race)
    return [_risk(key, race, tilt, stages, unit, float(t), paths) for t in times]


def time_rule_rare(
    key: Key[Array, ""],
    race: Race,
    times: Sequence[float | int],
    *,
    paths: int = PATHS,
) -> list[Measurement]:
    """``time_risk`` as measurements named as those of ``time_rule_measurements``."""
    return [
        Measurement(
            _named(TIME_RULE_VIOLATION, race),
            float(t),
            "steps",
            risk.estimate,
            "probability",
            "tail",
        )
        for t, risk in zip(times, time_risk(key, race, times, paths=paths), strict=True)
    ]


def safe_time(
    key: Key[Array, ""],
    race: Race,
    targets: Sequence[float] = TARGETS,
    *,
    paths: int = PATHS,
) -> list[Measurement]:
    """Smallest age t with Pr[violation at age t] ≤ ε, for each target ε.

    Newton's method on ln Pr, whose slope is −(s−θ) but for a slow factor: a few steps
    with few paths, and one from the estimate that counts. Between the atoms of a
    lattice law the risk is constant: the age is then good to a step of the lattice.

    Args:
        key: Fixes every draw.
        race: The race.
        targets: ε in (0, 1).
        paths: Paths of each estimate.

    Returns:
        ``safe_time`` (``safe_time_premined``, ``..._strict``) at each target, steps;
        the ends of the interval are where the risk's ends meet the target.

    Raises:
        Refused: As ``time_risk``; if the private chain outgrows the public one.
        ValueError: If a target is not in (0, 1).
    """
    for target in targets:
        if not 0 < target < 1:
            raise ValueError(f"targets must be in (0, 1), got {target}")
    if outgrows(race):
        raise Refused(
            f"safe time: {OUTGROWS}, and no age is safe; a smaller adversary or a "
            "shorter delay would leave some"
        )
    race = bounded(race)
    tilt, stages, unit = _prepared(race)
    slope = tilt.decay - tilt.level / _public_mean(race, tilt.s)
    estimate = partial(_risk, key, race, tilt, stages, unit, paths=paths)
    return [
        Measurement(
            _named(SAFE_TIME, race),
            target,
            "target",
            _crossing(estimate, target, slope, log_start(race, tilt.theta)),
            unit="steps",
        )
        for target in targets
    ]


def age_tilt(race: Race) -> AgeTilt:
    """θ and s of a race that the adversary loses in the long run.

    Raises:
        Refused: As ``race.walk.tilts``.
        ValueError: If a field of the race is out of range.
    """
    race = bounded(race)
    star = tilts(race).theta_star

    def balance(theta: float) -> float:
        return math.log(_private_mean(race, theta) / _public_mean(race, _s(theta)))

    def weight(theta: float, s: float) -> float:
        public = log_moment(race.honest, s, race.until)[0] + s * race.delay
        return public + log_moment(race.adversary, -theta)[0]

    def _s(theta: float) -> float:
        if weight(theta, star) <= 0:
            return star
        return _root(partial(weight, theta), theta, star)

    theta = _root(balance, 1e-6 * star, (1 - 1e-6) * star)
    s = _s(theta)
    return AgeTilt(theta, s, s - theta, weight(theta, s) if s == star else 0.0)


def compilations() -> int:
    """How many distinct programs the paths have been compiled to so far."""
    return _sample._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


def _crossing(
    risk: Callable[..., RareEstimate], target: float, slope: float, start: float
) -> Estimate:
    """Where the risk meets the target, in steps."""
    goal, time = math.log(target), 0.0
    found = start
    for _ in range(_STEPS):
        time = max(0.0, time + (found - goal) / slope)
        found = risk(time=time, paths=1, minimum=0.0).log_value
    time = max(0.0, time + (found - goal) / slope)
    last = risk(time=time)
    value = last.estimate.value
    places = [
        max(0.0, time + (last.log_value + math.log(end) - goal) / slope)
        for end in (
            1.0,
            max(last.estimate.low / value, 1e-9),
            last.estimate.high / value,
        )
    ]
    method = f"{last.estimate.method}, inverted"
    return Estimate(places[0], places[1], places[2], last.estimate.count, method)


def _prepared(race: Race) -> tuple[AgeTilt, Stages, float]:
    tilt = age_tilt(race)
    unit = mean(race.honest) + race.delay
    stages = stages_of(race, tilts(race)._replace(theta_0=tilt.theta))
    public = sampler(race.honest, tilt.s, unit=unit, until=race.until)
    return tilt, stages._replace(early=(public, stages.early[1])), unit


def _risk(
    key,
    race: Race,
    tilt: AgeTilt,
    stages: Stages,
    unit: float,
    time: float,
    paths: int,
    minimum: float = _MINIMUM_EFFECTIVE,
) -> RareEstimate:
    calls = jax.random.split(key, math.ceil(paths / (_BATCHES * _LANES)))
    age, decay = jnp.float32(time / unit), jnp.float32(tilt.decay * unit)
    level = jnp.float32(tilt.level)
    drawn = [_sample(call, stages, age, decay, level) for call in calls]
    first = np.concatenate([np.asarray(each[0], float) for each in drawn])
    second = np.concatenate([np.asarray(each[1], float) for each in drawn])
    value, count = float(first.mean()), len(first) * _LANES
    effective = count * value**2 / max(float(second.mean()), 1e-300)
    if effective < minimum:
        raise Refused(
            f"time rule at {time:.6g} steps: {effective:.0f} effective of {count} "
            f"paths, at least {minimum:.0f} are needed (more paths, or a smaller age)"
        )
    t = float(stats.t.ppf(0.5 + COVERAGE / 2, len(first) - 1))
    half = t * float(first.std(ddof=1)) / math.sqrt(len(first))
    log_scale = log_start(race, tilt.theta) - tilt.decay * time
    log_value = min(0.0, log_scale + math.log(value))
    ends = (value, max(value - half, 0.0), value + half)
    value, low, high = (min(1.0, x * math.exp(log_scale)) for x in ends)
    method = "tilted renewals, t interval over batches"
    return RareEstimate(
        Estimate(value, low, high, count, method),
        log_value,
        effective,
    )


@jax.jit
def _sample(key, stages: Stages, age, decay, level):
    """Of eight independent batches of 512 paths: mean weight and mean square."""

    def batch(one):
        start_key, walk_key, climb_key, record_key = jax.random.split(one, 4)
        words = jax.random.bits(start_key, (2, _LANES, 2), jnp.uint32)
        interval, centre = draw_in_cell(stages.first, words[0])
        against = jnp.where(stages.strict, draw(stages.early[1], words[1]), 0.0)
        lead = stages.grace + interval - against
        weight = jnp.where(
            stages.premined,
            (stages.public + interval) / (stages.public + centre),
            1.0,
        )
        behind, over, levels = _renewals(walk_key, stages, age)
        behind = behind - lead
        log_weight, records = _climb(climb_key, stages, behind)
        above_zero = jnp.full(_LANES, 2 * stages.slack + 1e-12)
        first, _ = _climb(record_key, stages, above_zero)
        ever = jnp.exp(first).mean()
        more = jnp.where(stages.premined, 1 + records * (1 - ever), 1.0)
        exponent = stages.theta_0 * behind + log_weight - decay * over + level * levels
        f = weight * more * jnp.exp(exponent)
        return f.mean(), (f**2).mean()

    return lax.map(batch, jax.random.split(key, _BATCHES))


def _renewals(key, stages: Stages, age):
    """Σ (A − H), O and k(t) at the first public block of at least that age."""

    def going(state):
        return (state[1] < age - stages.slack).any() | (state[0] == 0)

    def level(state):
        step, public, behind, levels = state
        words = step_words(key, step, _LANES)
        gap = draw(stages.early[0], words[:, 0])
        gain = gap - draw(stages.early[1], words[:, 1]) + stages.shift
        open_ = (public < age - stages.slack) | (step == 0)
        public = jnp.where(open_, public + gap + stages.public, public)
        behind = jnp.where(open_, behind - gain, behind)
        return step + 1, public, behind, levels + open_

    zero = jnp.zeros(_LANES)
    start = (jnp.int32(0), zero, zero, jnp.zeros(_LANES, jnp.int32))
    _, public, behind, levels = lax.while_loop(going, level, start)
    return behind, public - age, levels


def _climb(key, stages: Stages, goal):
    """−θ* Z + TK(θ*) and number of records at the first one of at least the goal."""

    def going(state):
        return (state[2] < goal - stages.slack).any()

    def level(state):
        step, walk, top, count, taken = state
        words = step_words(key, step, _LANES)
        gain = draw(stages.late[0], words[:, 0]) - draw(stages.late[1], words[:, 1])
        walk = walk + gain + stages.shift
        new = (walk > top + stages.slack) & (top < goal - stages.slack)
        taken = jnp.where(new, step + 1, taken)
        return step + 1, walk, jnp.where(new, walk, top), count + new, taken

    zero, none = jnp.zeros(_LANES), jnp.zeros(_LANES, jnp.int32)
    _, _, top, count, taken = lax.while_loop(
        going, level, (jnp.int32(0), zero, zero, none, none)
    )
    return stages.star_rate * taken - stages.theta_star * top, count


def _named(name: str, race: Race) -> str:
    strict = "" if race.ties_win else STRICT
    return name + strict + (PREMINED if race.premined else "")


def _public_mean(race: Race, s: float) -> float:
    return log_moment(race.honest, s, race.until)[1] + race.delay


def _private_mean(race: Race, theta: float) -> float:
    return log_moment(race.adversary, -theta)[1]


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    return float(optimize.brentq(f, low, high, xtol=1e-300, rtol=1e-13))  # pyright: ignore
