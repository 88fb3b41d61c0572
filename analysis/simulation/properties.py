"""Growth, quality, persistence and liveness of a longest chain under a private one.

Notation:
    τ_j, H_j    time and interval of the public chain's j-th level
    α_j, A_j    time and interval of the adversary's j-th private block
    D_j = α_j − τ_j          how far the private chain is behind (< 0: ahead)
    Δ           message delay: honest provers may still hold level j until τ_{j+1} + Δ
    k           confirmations, the block of the transaction included

Private race from the tip (Rosenfeld; no pre-mining). A violation at depth k is
    ties win:    ∃ j ≥ k: α_j     ≤ τ_{j+1} + Δ     (equal length suffices)
    strict:      ∃ j ≥ k: α_{j+1} ≤ τ_{j+1} + Δ     (a longer chain is needed)
so one path answers all depths by its last crossing.

Withholding adversary (chain quality, liveness): mines on its own fork, shows a private
block when the public chain reaches its height and wins that race (γ = 1, the worst
network); when it is behind it forks anew from the public tip. With one draw a level:
    α_{j+1} = min(α_j, τ_j) + A,   level j is the adversary's iff α_j ≤ τ_j.
For exponential laws its share of the levels is q/p.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from ..estimation.estimate import (
    Estimate,
    Refused,
    estimate_mean,
    estimate_probability,
    estimate_quantile,
    estimate_ratio,
)
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    BLOCK_INTERVAL_CV,
    BLOCK_INTERVAL_MEAN,
    CHAIN_GROWTH,
    CHAIN_QUALITY,
    LIVENESS_QUANTILE,
    PERSISTENCE_SIMULATED,
    STALE_RATE,
    STRICT,
)
from .levels import Levels, batch_of

LIVENESS_LEVELS = (0.5, 0.9, 0.99)
LOWER_BOUND = "a lower bound, the races were not decided within the simulated levels"
_UNDECIDED = 0.02


class Paths(NamedTuple):
    """What a replica's path says, as a few numbers (arrays over replicas).

    Attributes:
        duration: Time of all its levels, steps.
        square: Sum of its squared intervals, steps².
        blocks: Its honest blocks, forks included.
        taken: Levels of the second half that the withholding adversary takes (the
            first half lets its lead reach the stationary law).
        last_tie: Largest j with α_j ≤ τ_{j+1} + Δ.
        last_strict: Largest j with α_{j+1} ≤ τ_{j+1} + Δ; −1 if none.
        wait: Time until a transaction that comes at a random moment is k deep for
            every honest prover; inf if later than the simulated levels.
    """

    duration: Float[Array, " replicas"]
    square: Float[Array, " replicas"]
    blocks: Int[Array, " replicas"]
    taken: Int[Array, " replicas"]
    last_tie: Int[Array, " replicas"]
    last_strict: Int[Array, " replicas"]
    wait: Float[Array, " replicas"]


def follow(
    key: Key[Array, ""], levels: Levels, *, delay_steps: float, confirmations: int
) -> Paths:
    """Run the race, the withholding adversary and a transaction along each replica.

    Args:
        key: Draws the transactions' moments.
        levels: Replicas of the network.
        delay_steps: Δ.
        confirmations: k ≥ 1 for the liveness time.

    Raises:
        ValueError: If k is below 1 or above a quarter of the levels.
    """
    limit = levels.interval.shape[1] // 4
    if not 1 <= confirmations <= limit:
        raise ValueError(
            f"confirmations must be from 1 to a quarter of the levels, {limit}, "
            f"got {confirmations}"
        )
    return paths_along(key, levels, jnp.float32(delay_steps), jnp.int32(confirmations))


def chain_measurements(paths: Paths, *, levels: int) -> list[Measurement]:
    """Block interval, growth, forks and quality of the public chain.

    Args:
        paths: Followed replicas.
        levels: Levels a replica.
    """
    host = _host(paths)
    replicas = len(host.duration)
    count = np.full(replicas, float(levels))
    later = np.full(replicas, float(levels - levels // 2))
    mean_interval = host.duration / levels
    return [
        _single(
            BLOCK_INTERVAL_MEAN,
            estimate_mean(mean_interval, "block interval"),
            "steps",
        ),
        _single(
            BLOCK_INTERVAL_CV, interval_cv(mean_interval, host.square / levels), ""
        ),
        _single(
            CHAIN_GROWTH,
            estimate_ratio(count, host.duration, "chain growth"),
            "blocks per step",
        ),
        _single(
            STALE_RATE,
            estimate_ratio(host.blocks - count, host.blocks, "stale rate").clipped(
                0, 1
            ),
            "share",
        ),
        _single(
            CHAIN_QUALITY,
            estimate_ratio(later - host.taken, later, "chain quality").clipped(0, 1),
            "share",
        ),
    ]


def persistence_measurements(
    paths: Paths, depths: Sequence[int], *, levels: int
) -> list[Measurement]:
    """Pr[persistence violated at depth k], both tie rules, for each depth.

    A race is followed for ``levels`` blocks. Well below the threshold, what it could
    still do later is at most what it did in its last quarter; the upper end of the
    interval is raised by the share of replicas that crossed there. Where that share
    is not small against the value, the value is only a lower bound and its method
    says so.

    Args:
        paths: Followed replicas.
        depths: Depths k, each at most half the levels.
        levels: Levels a replica.

    Raises:
        ValueError: If a depth is out of range.
    """
    host = _host(paths)
    measured = []
    for name, last in (
        (PERSISTENCE_SIMULATED, host.last_tie),
        (PERSISTENCE_SIMULATED + STRICT, host.last_strict),
    ):
        late = float(np.mean(last >= 0.75 * levels))
        crossed = (last[:, None] >= np.asarray(depths)).sum(axis=0)
        for depth, count in zip(depths, crossed.tolist(), strict=True):
            if not 1 <= depth <= levels // 2:
                raise ValueError(
                    f"depths must be from 1 to half the levels, {levels // 2}, "
                    f"got {depth}"
                )
            estimate = estimate_probability(count, len(last), name)
            raised = estimate._replace(high=min(1.0, estimate.high + late))
            if late > _UNDECIDED * estimate.value > 0:
                raised = raised._replace(method=f"{raised.method}; {LOWER_BOUND}")
            measured.append(
                Measurement(name, float(depth), "blocks", raised, "probability", "tail")
            )
    return measured


def liveness_measurements(
    paths: Paths, levels: Sequence[float] = LIVENESS_LEVELS
) -> list[Measurement]:
    """Quantiles of the time until a transaction is k deep; refused ones are left out.

    Raises:
        Refused: If not even the smallest quantile lies within the simulated levels.
    """
    wait = np.asarray(paths.wait, float)
    measured = []
    for level in levels:
        try:
            estimate = estimate_quantile(wait, level, "liveness")
        except Refused:
            if level == min(levels):
                raise
            continue
        measured.append(
            Measurement(LIVENESS_QUANTILE, level, "probability", estimate, "steps")
        )
    return measured


@jax.jit
def taken_levels(levels: Levels) -> Bool[Array, "replicas levels"]:
    """Which levels of each replica the withholding adversary takes.

    Its lead starts at zero; only the later levels have its stationary law.
    """
    return lax.map(
        lambda replica: _taken(*replica),
        (levels.interval, levels.private),
        batch_size=batch_of(levels.interval.shape[0]),
    )


@jax.jit
def paths_along(key, levels: Levels, delay, confirmations) -> Paths:
    """``follow``, everything traced and nothing checked: for compiled callers."""
    count = levels.interval.shape[1]
    # Every replica's transaction comes in the same stretch of time, so that long
    # intervals are met as often as their length deserves; after half the levels, so
    # that the withholding adversary has the lead of its stationary law.
    mean = levels.interval.mean()
    place = jax.random.uniform(key, (levels.interval.shape[0],))
    moments = mean * (count // 2 + (count // 8) * place)

    def one(replica):
        interval, blocks, private, moment = replica
        times = jnp.cumsum(interval)
        behind = jnp.cumsum(private - interval)
        deadline = interval[1:] + delay
        tie = behind[:-1] <= deadline
        strict = behind <= delay
        taken = _taken(interval, private)
        # The transaction enters the first level after its moment that is honest.
        open_ = (times > moment) & ~taken
        entered = jnp.argmax(open_)
        final = entered + confirmations - 1
        done = times[jnp.minimum(final, count - 1)] - moment + delay
        fits = open_[entered] & (final < count)
        place = jnp.arange(count)
        return Paths(
            duration=interval.sum(),
            square=(interval**2).sum(),
            blocks=blocks.sum(),
            taken=taken[count // 2 :].sum(),
            last_tie=jnp.max(jnp.where(tie, place[1:], 0)),
            last_strict=jnp.max(jnp.where(strict, place, -1)),
            wait=jnp.where(fits, done, jnp.inf),
        )

    return lax.map(
        one,
        (levels.interval, levels.blocks, levels.private, moments),
        batch_size=batch_of(levels.interval.shape[0]),
    )


def _taken(
    interval: Float[Array, " levels"], private: Float[Array, " levels"]
) -> Array:
    def level(behind, gaps):
        gap, draw = gaps
        behind = jnp.minimum(behind, 0.0) + draw - gap
        return behind, behind <= 0

    _, taken = lax.scan(level, jnp.float32(0), (interval, private))
    return taken


def interval_cv(
    first: Float[np.ndarray, " replicas"], second: Float[np.ndarray, " replicas"]
) -> Estimate:
    """CV = √(m_2/m_1² − 1) of pooled moments, delta-method interval over replicas."""
    m1, m2 = float(first.mean()), float(second.mean())
    value = math.sqrt(max(m2 / m1**2 - 1, 0.0))
    if value == 0.0:
        return Estimate(0.0, 0.0, 0.0, len(first), "pooled moments")
    influence = ((second - m2) / m1**2 - 2 * m2 * (first - m1) / m1**3) / (2 * value)
    half = 1.96 * float(np.std(influence, ddof=1)) / math.sqrt(len(first))
    return Estimate(
        value, value - half, value + half, len(first), "pooled moments, delta method"
    )


def _single(quantity: str, estimate: Estimate, unit: str) -> Measurement:
    return Measurement(quantity, None, "", estimate, unit)


def _host(paths: Paths) -> Any:
    """The same fields as float64 NumPy arrays."""
    return Paths(*(np.asarray(x, float) for x in paths))  # pyright: ignore
