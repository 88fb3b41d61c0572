"""Block-time laws: the time from a new tip to a prover's next block.

Notation (time unit: one training step of a unit-speed prover):
    X               block time of one prover
    S(x)            Pr[X > x]                      ``survival``
    Λ(x) = −ln S    cumulative hazard              ``cumulative_hazard`` at the knots
    g               knot spacing                   ``spacing``
    Λ⁻¹(E)          a draw of X, E ~ Exp(1)        ``time_of_hazard``
    S^n             fastest of n equal provers     ``fastest_of`` (Λ becomes nΛ)
    Π S(v_i x)      provers of speeds v_i          ``fastest_of_speeds``

A law is a table of Λ on a uniform grid, a constant hazard beyond the grid, and a dead
time in front of it. Between knots the hazard is constant; a *lattice* law has atoms
at the knots instead (all its block times are dead time + multiples of g), so that
ties between provers have their true probability. Every law has the same number of
knots: a compiled simulation takes any of them.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

KNOTS = 8192
# Where every run has ended, S is 0 and Λ infinite. e^-100 is as good as 0 and keeps
# interpolation finite.
HAZARD_CAP = 100.0
# e^-36 is below the rounding of 1: a table that has reached it needs no more knots.
_ENDED = 36.0

Real: TypeAlias = float | int
Reals: TypeAlias = Real | Sequence[Real] | np.ndarray


class BlockTimeLaw(NamedTuple):
    """The law of X; NumPy float64 on the host, float32 inside compiled code.

    Attributes:
        cumulative_hazard: Λ at offset + k·spacing, k = 0, 1, ...; non-decreasing.
        spacing: g, steps.
        tail_hazard: Hazard per step beyond the last knot; 0: never again.
        offset: Dead time before the first knot, steps.
        lattice: Whether block times are exactly offset + multiples of spacing.
    """

    cumulative_hazard: Float[Any, " knots"]
    spacing: float | Float[Array, ""]
    tail_hazard: float | Float[Array, ""]
    offset: float | Float[Array, ""]
    lattice: bool | Bool[Any, ""]


def exponential(rate: Real, *, dead_time: Real = 0.0) -> BlockTimeLaw:
    """X = S_0 + Exp(rate): the memoryless law, or the stylised D-PoDL one.

    Args:
        rate: λ > 0, blocks per step.
        dead_time: S_0 ≥ 0, steps that must be done before the lottery opens.
    """
    _require(rate > 0 and math.isfinite(rate), "rate must be > 0", rate)
    _require(dead_time >= 0, "dead_time must be ≥ 0", dead_time)
    spacing = 1.0 / (64.0 * rate)
    hazard = np.arange(KNOTS) / 64.0
    return BlockTimeLaw(hazard, spacing, float(rate), float(dead_time), False)


def geometric(
    probability: Real, *, trial: Real = 1.0, dead_time: Real = 0.0
) -> BlockTimeLaw:
    """X = S_0 + G·trial with G ~ Geometric(probability) on 1, 2, ...

    Args:
        probability: Success probability of a trial, in (0, 1].
        trial: Steps a trial takes.
        dead_time: S_0 ≥ 0, steps before the first trial.

    Returns:
        A lattice law, exact at and beyond the table.
    """
    _require(0 < probability <= 1, "probability must be in (0, 1]", probability)
    _require(trial > 0, "trial must be > 0", trial)
    _require(dead_time >= 0, "dead_time must be ≥ 0", dead_time)
    per_trial = min(-math.log1p(-probability), HAZARD_CAP) if probability < 1 else 100.0
    hazard = np.arange(KNOTS) * per_trial
    return BlockTimeLaw(hazard, float(trial), per_trial / trial, float(dead_time), True)


def proof_of_work(p: Real, *, hashes_per_step: Real) -> BlockTimeLaw:
    """The law of plain proof-of-work: one hash is a trial of probability p."""
    _require(hashes_per_step > 0, "hashes_per_step must be > 0", hashes_per_step)
    return geometric(p, trial=1.0 / hashes_per_step)


def fastest_of(law: BlockTimeLaw, provers: Real) -> BlockTimeLaw:
    """Law of the first block among n equal provers that start together: S^n.

    n need not be whole (S^n is a law for every n > 0).
    """
    _require(provers > 0, "provers must be > 0", provers)
    return law._replace(
        cumulative_hazard=provers * law.cumulative_hazard,
        tail_hazard=provers * law.tail_hazard,
    )


def until_ended(law: BlockTimeLaw) -> BlockTimeLaw:
    """A law without the knots at which all but e^-100 has ended: less to go through."""
    knots = np.asarray(law.cumulative_hazard)
    last = int(np.searchsorted(knots, HAZARD_CAP))
    if last >= len(knots) - 1:
        return law
    return law._replace(cumulative_hazard=knots[: last + 1], tail_hazard=0.0)


def fastest_of_speeds(law: BlockTimeLaw, speeds: Sequence[Real]) -> BlockTimeLaw:
    """Law of the first block among provers of speeds v_i: Π S(v_i x).

    Raises:
        ValueError: For a speed ≤ 0, or a lattice law with differing speeds (its
            atoms would not share a lattice).
    """
    _require(len(speeds) > 0 and min(speeds) > 0, "speeds must be > 0", list(speeds))
    if len(set(speeds)) == 1:
        alone = law._replace(
            spacing=law.spacing / speeds[0],
            tail_hazard=law.tail_hazard * speeds[0],
            offset=law.offset / speeds[0],
        )
        return fastest_of(alone, len(speeds))
    if law.lattice:
        raise ValueError(
            "speeds must be equal for a lattice law (ties would be misplaced), got "
            f"{list(speeds)}"
        )

    def together(times):
        return np.sum([-_log_survival(law, v * times) for v in speeds], axis=0)

    # The tail is right where everyone is beyond the table. A finer grid may end
    # earlier, but only where the fast have already decided.
    offset = law.offset / max(speeds)
    length = law.offset + law.spacing * (len(law.cumulative_hazard) - 1)
    ends = np.linspace(length / max(speeds), length / min(speeds), KNOTS)
    enough = np.searchsorted(together(ends), _ENDED)
    spacing = float(ends[min(enough, KNOTS - 1)] - offset) / (KNOTS - 1)
    return BlockTimeLaw(
        together(offset + spacing * np.arange(KNOTS)),
        spacing,
        law.tail_hazard * float(sum(speeds)),
        offset,
        False,
    )


def survival(law: BlockTimeLaw, times: Reals) -> Float[np.ndarray, "..."]:
    """S(x) = Pr[X > x] at any times (steps)."""
    return np.asarray(np.exp(_log_survival(law, np.asarray(times, float))))


def hazard(law: BlockTimeLaw) -> tuple[np.ndarray, np.ndarray]:
    """Hazard per step on the table's cells: (cell ends, ΔΛ/g)."""
    ends = law.offset + law.spacing * np.arange(1, len(law.cumulative_hazard))
    return np.asarray(ends), np.diff(law.cumulative_hazard) / law.spacing


def quantile(law: BlockTimeLaw, levels: Reals) -> Float[np.ndarray, "..."]:
    """Smallest x with Pr[X ≤ x] ≥ level; inf where the law never gets there."""
    levels = np.asarray(levels, float)
    _require(bool(((levels >= 0) & (levels < 1)).all()), "levels in [0, 1)", levels)
    target = -np.log1p(-levels)
    knots = law.cumulative_hazard
    right = np.searchsorted(knots, target, side="left")
    inside = np.clip(right, 1, len(knots) - 1)
    low, high = knots[inside - 1], knots[inside]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(high > low, (target - low) / (high - low), 0.0)
        if law.lattice:
            share = np.ceil(share)
        beyond = (target - knots[-1]) / law.tail_hazard
        if law.lattice:
            beyond = law.spacing * np.ceil(beyond / law.spacing)
    time = np.where(
        right >= len(knots),
        law.spacing * (len(knots) - 1) + beyond,
        law.spacing * (inside - 1 + np.clip(share, 0, 1)),
    )
    return np.asarray(law.offset + np.where(right == 0, 0.0, time))


def mean(law: BlockTimeLaw) -> float:
    """E[X] = ∫ S, in steps; inf for a law that may never end."""
    return _moments(law)[0]


def cv(law: BlockTimeLaw) -> float:
    """Coefficient of variation sd(X)/E[X]; 1 for the memoryless law."""
    return mean_and_cv(law)[1]


def mean_and_cv(law: BlockTimeLaw) -> tuple[float, float]:
    """``mean`` and ``cv`` at the price of one."""
    first, second = _moments(law)
    if not math.isfinite(second):
        return first, math.nan
    return first, math.sqrt(max(second - first**2, 0.0)) / first


def on_device(law: BlockTimeLaw) -> BlockTimeLaw:
    """The law as float32 arrays, ready to be an argument of compiled code."""
    return BlockTimeLaw(
        jnp.asarray(law.cumulative_hazard, jnp.float32),
        jnp.asarray(law.spacing, jnp.float32),
        jnp.asarray(law.tail_hazard, jnp.float32),
        jnp.asarray(law.offset, jnp.float32),
        jnp.asarray(law.lattice),
    )


def time_of_hazard(
    law: BlockTimeLaw, hazard: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Λ⁻¹: the time at which the cumulative hazard is reached (traced).

    With E ~ Exp(1): Λ⁻¹(E) is a draw of X, Λ⁻¹(E/n) the fastest of n, and
    Λ⁻¹(E_1/n), Λ⁻¹(E_1/n + E_2/(n−1)), ... their order statistics (Rényi), ties
    included. Infinite where the law never gets there.
    """
    knots = law.cumulative_hazard
    last = knots.shape[0] - 1
    # JAX's Exp(1) is exactly 0 once in 2^23 draws: that is the first moment with any
    # hazard, not time 0.
    hazard = jnp.maximum(hazard, jnp.finfo(hazard.dtype).tiny)
    right = jnp.searchsorted(knots, hazard, side="left")
    inside = jnp.clip(right, 1, last)
    low, high = knots[inside - 1], knots[inside]
    width = jnp.where(high > low, high - low, 1.0)
    share = jnp.clip((hazard - low) / width, 0.0, 1.0)
    beyond = (hazard - knots[-1]) / (law.tail_hazard * law.spacing)
    # The atom is the knot itself; float32 would round a small share away.
    within = jnp.where(law.lattice, right, inside - 1 + share)
    beyond = last + jnp.where(law.lattice, jnp.ceil(beyond), beyond)
    return law.offset + law.spacing * jnp.where(right > last, beyond, within)


def sample(
    key: Key[Array, ""], law: BlockTimeLaw, shape: tuple[int, ...] = ()
) -> Float[Array, "..."]:
    """Independent draws of X (steps) from a traced key and a traced law."""
    return time_of_hazard(law, jax.random.exponential(key, shape))


def _log_survival(law: BlockTimeLaw, times: np.ndarray) -> np.ndarray:
    knots = law.cumulative_hazard
    place = (times - law.offset) / law.spacing
    if law.lattice:
        # The atom at k·g counts at k·g itself; 1e-9 forgives the rounding of k·g.
        place = np.floor(place + 1e-9)
    inside = np.interp(place, np.arange(len(knots)), knots)
    beyond = np.maximum(place - (len(knots) - 1), 0.0) * law.spacing
    # Without a tail hazard even x = ∞ adds nothing (∞ · 0).
    added = beyond * law.tail_hazard if law.tail_hazard > 0 else 0.0
    return np.asarray(-np.where(place <= 0, 0.0, inside + added))


def _moments(law: BlockTimeLaw) -> tuple[float, float]:
    knots, g = law.cumulative_hazard, law.spacing
    alive = np.exp(-knots)
    last = (len(knots) - 1) * g
    if law.tail_hazard > 0:
        rate = law.tail_hazard
    elif knots[-1] < HAZARD_CAP:
        return math.inf, math.inf
    else:
        rate = math.inf
    if law.lattice:
        # E[X] = g Σ S(kg); E[X²] = g² Σ (2k+1) S(kg), with a geometric end.
        k = np.arange(len(knots) - 1)
        ratio = math.exp(-rate * g)
        gone = -math.expm1(-rate * g)
        tail = alive[-1] / gone
        first = g * (alive[:-1].sum() + tail)
        n = len(knots) - 1
        second = g**2 * (
            ((2 * k + 1) * alive[:-1]).sum()
            + tail * (2 * n + 1)
            + 2 * alive[-1] * ratio / gone**2
        )
    else:
        step = np.diff(knots)
        starts = g * np.arange(len(step))
        first = (g * alive[:-1] * _phi1(step)).sum() + alive[-1] / rate
        second = 2 * (
            (alive[:-1] * (starts * g * _phi1(step) + g**2 * _phi2(step))).sum()
            + alive[-1] * (last / rate + 1 / rate**2)
        )
    d = law.offset
    return float(d + first), float(d**2 + 2 * d * first + second)


def _phi1(a: np.ndarray) -> np.ndarray:
    """∫_0^1 e^{−au} du, with its series where 1 − e^{−a} would cancel."""
    safe = np.where(a < 1e-4, 1.0, a)
    return np.where(a < 1e-4, 1 - a / 2 + a**2 / 6, -np.expm1(-safe) / safe)


def _phi2(a: np.ndarray) -> np.ndarray:
    """∫_0^1 u e^{−au} du."""
    safe = np.where(a < 1e-3, 1.0, a)
    exact = (1 - np.exp(-safe) * (1 + safe)) / safe**2
    return np.where(a < 1e-3, 0.5 - a / 3 + a**2 / 8, exact)


def _require(condition: bool, rule: str, given: object) -> None:
    if not condition:
        raise ValueError(f"{rule}, got {given}")
