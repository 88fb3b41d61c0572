"""Persistence of the exact network, forks and all, by multilevel splitting.

Notation (``simulation/levels.py``; the race is that of ``simulation/properties.py``)
    D_j = α_j − τ_j     how far the private chain is behind, ``behind``
    Φ_j                 θ_0 (−D_j) for j ≤ k, then θ_0 (−D_k) + θ* (D_k − D_j)
    N                   particles, copies of (network, adversary)
    G_j                 e^{Φ_j − Φ_{j−1}}, a particle's progress at level j
    Ẑ                   Π_j mean(G_j) · mean(1{caught up} e^{−Φ})

The simulated network has no moment generating function to tilt by: the finder of a
block starts before the others and forks make its intervals dependent. So nothing is
tilted. N copies of it run level by level under their own law, and after every level N
of them are drawn again in proportion to G_j: those whose adversary gained are copied,
those that fell behind die out. A particle that has caught up (the event of
``properties.py``, at j ≥ k) stops and keeps its place; the run ends when all have.

For any θ_0 and θ*, Ẑ is unbiased (Del Moral, Feynman–Kac Formulae (2004) Theorem
7.4.2; resampling is systematic). They only decide how much it varies; by default they
are those of the i.i.d. race of ``walk.py``. The interval is Student's t over
independent repetitions.

The adversary starts with no lead. This is the network that ``persistence_measurements``
simulates, so the two agree at any depth that plain Monte Carlo reaches, and ``walk.py``
bounds it from above.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key
from scipy import stats

from ..block_time.law import time_of_hazard
from ..estimation.estimate import COVERAGE, Estimate, Refused
from ..simulation.levels import MAXIMUM_SLOTS, Early, Network, next_level, traced
from .walk import OUTGROWS, RareEstimate, bounded, outgrows, race, tilts

PARTICLES = 1024
REPETITIONS = 32
_BURN_IN = 16
# The catch-up of a particle that must gain nine standard deviations takes this many
# times as long as its mean; what has not ended by then is counted and refused.
_PATIENCE = 20.0
_MINIMUM_EFFECTIVE = 0.5


class _Particles(NamedTuple):
    """Copies of the network with their race.

    Attributes:
        early: Early finders of the network, relative to its last level.
        behind: D_j, steps.
        progress: Φ_j.
        caught_up: Whether the violation has happened.
    """

    early: Early
    behind: Float[Array, " particles"]
    progress: Float[Array, " particles"]
    caught_up: Bool[Array, " particles"]


class _Run(NamedTuple):
    level: Int[Array, ""]
    particles: _Particles
    log_z: Float[Array, ""]
    overflow: Bool[Array, ""]


def persistence(
    key: Key[Array, ""],
    network: Network,
    depth: int,
    *,
    ties_win: bool = True,
    particles: int = PARTICLES,
    repetitions: int = REPETITIONS,
    slopes: tuple[float, float] | None = None,
    slots: int = 8,
) -> RareEstimate:
    """Pr[violation at depth k] of the simulated network, by splitting.

    Args:
        key: Fixes every draw.
        network: Law of one prover, honest, adversary's, delay.
        depth: k ≥ 1, blocks.
        ties_win: Whether a private chain of equal length reverts.
        particles: N, copies a repetition; one sorting of them costs a level.
        repetitions: Independent repetitions, at least 10.
        slopes: (θ_0, θ*), per step; None: those of the i.i.d. race.
        slots: Finders a level that are followed at first; widened where too few.

    Returns:
        The estimate; ``effective`` is (ΣẐ)²/ΣẐ² over repetitions and count is
        particles × repetitions.

    Raises:
        Refused: Without slopes, as ``walk.tilts``; if the repetitions disagree so much
            that fewer than half of them are effective; if some race has not ended; or
            if more than 2048 provers find a block at one level.
        ValueError: If an argument is out of range.
    """
    for name, value, least in (
        ("depth", depth, 1),
        ("particles", particles, 2),
        ("repetitions", repetitions, 10),
    ):
        if value < least:
            raise ValueError(f"{name} must be ≥ {least}, got {value}")
    iid = race(network, ties_win=ties_win)
    if outgrows(iid) and slopes is None:
        raise Refused(
            f"persistence by splitting: in the i.i.d. race {OUTGROWS}; give slopes, or "
            "a smaller adversary"
        )
    tilt = tilts(bounded(iid)) if slopes is None else None
    theta = (tilt.theta_0, tilt.theta_star) if tilt else slopes
    assert theta is not None
    if not 0 < theta[0] <= theta[1]:
        raise ValueError(f"slopes must be 0 < θ_0 ≤ θ*, got {theta}")
    patience = 10 * depth + 10_000
    if tilt:
        far = 9 * tilt.spread * math.sqrt(depth + 2) + 25 / tilt.theta_0
        patience = math.ceil(_PATIENCE * far / tilt.drift)
    while True:
        log_z, running, overflow = _split(
            key,
            traced(network),
            jnp.int32(depth),
            jnp.asarray(not ties_win),
            jnp.asarray(theta, jnp.float32),
            jnp.int32(depth + patience),
            particles=particles,
            repetitions=repetitions,
            slots=slots,
        )
        if not bool(overflow.any()):
            break
        slots *= 2
        if slots > MAXIMUM_SLOTS:
            raise Refused(
                f"the network: more than {slots // 2} provers find a block at one "
                "level (fewer provers, a shorter delay_steps or a rarer post-hash)"
            )
    if int(running.sum()) > 0:
        raise Refused(
            f"persistence at depth {depth}: {int(running.sum())} of "
            f"{particles * repetitions} races had not ended after {depth + patience} "
            "levels: too few particles, or a race too near its threshold"
        )
    return _estimate(np.asarray(log_z, float), depth, particles)


def _estimate(log_z: np.ndarray, depth: int, particles: int) -> RareEstimate:
    top = float(log_z.max())
    if not math.isfinite(top):
        raise Refused(
            f"persistence at depth {depth}: no particle of any repetition caught up; "
            "more particles, or slopes nearer to those of the race"
        )
    z = np.exp(log_z - top)
    count = len(z)
    effective = float(z.sum() ** 2 / (z**2).sum())
    if effective < _MINIMUM_EFFECTIVE * count:
        raise Refused(
            f"persistence at depth {depth}: {effective:.1f} of {count} repetitions "
            "are effective, at least half are needed; more particles (or, of the "
            "i.i.d. race, lattice_race)"
        )
    log_value = top + math.log(z.mean())
    t = float(stats.t.ppf(0.5 + COVERAGE / 2, count - 1))
    relative = t * float(z.std(ddof=1) / z.mean()) / math.sqrt(count)
    value = min(1.0, math.exp(log_value))
    estimate = Estimate(
        value,
        value * max(0.0, 1 - relative),
        min(1.0, value * (1 + relative)),
        count * particles,
        "multilevel splitting, t interval over repetitions",
    )
    return RareEstimate(estimate, log_value, effective)


@partial(jax.jit, static_argnames=("particles", "repetitions", "slots"))
def _split(key, network, depth, strict, theta, last, *, particles, repetitions, slots):
    def repetition(key):
        burn_key, key = jax.random.split(key)
        early = Early(jnp.full((particles, slots), jnp.inf), jnp.zeros(particles, bool))

        def settle(level, early):
            draws = _draws(jax.random.fold_in(burn_key, level), particles, slots)
            return _network_level(network, early, draws)[0]

        early = lax.fori_loop(0, _BURN_IN, settle, early)
        zero = jnp.zeros(particles)
        start = _Particles(early, zero, zero, jnp.zeros(particles, bool))
        run = _Run(jnp.int32(1), start, jnp.float32(0), jnp.asarray(False))

        def going(run: _Run):
            waiting = (run.level <= depth + 1) | ~run.particles.caught_up.all()
            return waiting & (run.level <= last)

        def step(run: _Run):
            level_key = jax.random.fold_in(key, run.level)
            return _advance(level_key, run, network, depth, strict, theta)

        run = lax.while_loop(going, step, run)
        done = run.particles.caught_up
        log_weights = jnp.where(done, -run.particles.progress, -jnp.inf)
        return run.log_z + _log_mean(log_weights), (~done).sum(), run.overflow

    return lax.map(repetition, jax.random.split(key, repetitions))


def _advance(key, run: _Run, network: Network, depth, strict, theta) -> _Run:
    """One level of all particles, then N of them drawn again."""
    particles = run.particles
    count, slots = particles.early.start.shape
    draw_key, private_key, resample_key = jax.random.split(key, 3)
    early, interval = _network_level(
        network, particles.early, _draws(draw_key, count, slots)
    )
    alone = jax.random.exponential(private_key, (count,)) / network.adversarial
    behind = particles.behind + (time_of_hazard(network.private_law, alone) - interval)
    # properties.py: ties D_j ≤ H_{j+1} + Δ, strict D_{j+1} ≤ Δ, with j + 1 this level.
    gap = jnp.where(strict, behind, particles.behind - interval)
    slack = jnp.where(network.law.lattice, 1e-3 * network.law.spacing, 0.0)
    crossed = (gap <= network.delay + slack) & (run.level > depth)
    caught_up = particles.caught_up | crossed
    slope = jnp.where(run.level <= depth, theta[0], theta[1])
    gain = jnp.where(caught_up, 0.0, slope * (particles.behind - behind))
    moved = _Particles(early, behind, particles.progress + gain, caught_up)
    weight = jnp.exp(gain - gain.max())
    chosen = _systematic(resample_key, weight)
    return _Run(
        run.level + 1,
        jax.tree.map(lambda x: x[chosen], moved),
        run.log_z + _log_mean(gain),
        run.overflow | early.overflow.any(),
    )


def _network_level(network: Network, early: Early, draws):
    early, (interval, _, _) = jax.vmap(partial(next_level, network=network))(
        early, draws
    )
    return early, interval


def _draws(key, count: int, slots: int) -> Float[Array, "particles 2 slots"]:
    # As in simulation/levels.py: a slot's draws are its own, widening changes no other.
    return jax.vmap(
        lambda slot: jax.random.exponential(jax.random.fold_in(key, slot), (count, 2)),
        out_axes=-1,
    )(jnp.arange(slots))


def _systematic(key, weight: Float[Array, " n"]) -> Int[Array, " n"]:
    """N indices, each drawn N w_i/Σw times on average and at most one off."""
    ends = jnp.cumsum(weight)
    return _chosen(jax.random.uniform(key), ends)


def _chosen(u: Float[Array, ""], ends: Float[Array, " n"]) -> Int[Array, " n"]:
    """Whose weights hold the places (i + u)/N of all, by the weights' running sums."""
    count = ends.shape[0]
    places = (jnp.arange(count) + u) / count * ends[-1]
    # The last place may be rounded to the end, beyond which there is nobody: whoever
    # stands last would be copied, of whatever weight.
    places = jnp.minimum(places, jnp.nextafter(ends[-1], jnp.float32(0)))
    return jnp.searchsorted(ends, places, side="right")


def _log_mean(logs: Float[Array, " n"]) -> Float[Array, ""]:
    return jax.nn.logsumexp(logs) - jnp.log(logs.shape[0])
