"""Violations of any block, counted in simulated levels.

Notation is that of ``any_block.py``, which has the restart strategy in closed form;
here both strategies are followed along simulated networks, forks and all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int

from ..estimation.estimate import Estimate, estimate_probability
from ..estimation.measurement import Measurement
from ..estimation.quantities import ANY_BLOCK_BEST, ANY_BLOCK_VIOLATION, STRICT
from ..simulation.levels import Levels, batch_of
from ..simulation.properties import LOWER_BOUND

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
        (ANY_BLOCK_VIOLATION, deepest.restart, False),
        (ANY_BLOCK_VIOLATION + STRICT, deepest.restart_strict, False),
        (ANY_BLOCK_BEST, deepest.best, True),
        (ANY_BLOCK_BEST + STRICT, deepest.best_strict, True),
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
            measured.append(
                measurement_of(name, depth, estimate._replace(method=method))
            )
    return measured


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


def measurement_of(name: str, depth: int, estimate: Estimate) -> Measurement:
    """A probability at a depth, which falls over orders of magnitude."""
    return Measurement(name, float(depth), "blocks", estimate, "probability", "tail")
