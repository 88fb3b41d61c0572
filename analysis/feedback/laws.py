r"""The interval of a network at any target: one table for all a loop may visit.

A draw of X is a function of E ~ Exp(1) for the first of all provers:

    dead time, then lottery     X = s + (1 − s) E / (kθ), by definition
    measured curves             X = Λ⁻¹(E / (kn)) / (vT), Λ the cumulative hazard of
                                one prover's law at p_2 (analysis/block_time/law.py)

The second is a table of ln X over (task or T_acc, ln p_2, ln of the hazard), linear in
between; nothing is trained or solved within a loop. Where X is all lottery, ln X is
linear in both and the table exact.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.interpolate import RegularGridInterpolator

from ..block_time.law import BlockTimeLaw, Real, fastest_of, mean
from ..estimation.estimate import Refused

# Hazards of the first of n provers; rarer draws are 1 in 10^7, larger ones 1 in 10^15.
_LEAST, _MOST = 1e-7, 35.0
_HAZARDS = 512
# Provers may become so many times more, or fewer.
_CROWD = 64.0
_CROWDS = 49


class DeadTime(NamedTuple):
    """X = (s + (1 − s) E / (kθ)) / v, in T.

    Attributes:
        share: s of each task, in [0, 1]: dead time over T.
        lottery: What the lottery takes at θ = k = 1, in T, of each task.
        log_most: ln of the largest θ: p_2 = 1.
    """

    share: Float[Any, " tasks"]
    lottery: Float[Any, " tasks"]
    log_most: float | Float[Array, ""]

    def interval(
        self,
        log_target: Float[Array, "..."],
        draw: Float[Array, "..."],
        provers: Float[Array, "..."],
        task: Int[Array, "..."],
    ) -> Float[Array, "..."]:
        """X of a unit-speed network for a draw E ~ Exp(1), in T."""
        rest = draw * jnp.exp(-log_target) / provers
        return self.share[task] + self.lottery[task] * rest

    def expected(
        self,
        log_target: Float[Array, "..."],
        provers: Float[Array, "..."],
        task: Int[Array, "..."],
    ) -> Float[Array, "..."]:
        """E[X] of a unit-speed network, in T."""
        rest = jnp.exp(-log_target) / provers
        return self.share[task] + self.lottery[task] * rest


class TabulatedLaws(NamedTuple):
    """Measured laws at every p_2, for each task (or each T_acc).

    Attributes:
        log_interval: ln X / T at (task, ln θ, ln of the hazard).
        log_mean: ln E[X] / T at (task, ln θ, ln k).
        log_least: ln of the table's smallest θ.
        log_step: Step of ln θ.
        log_most: ln of the largest θ, p_2 = 1.
        hazard_least: ln of the least hazard, of the first of the design's provers.
        hazard_step: Step of its ln.
        unit: T, in the laws' unit.
    """

    log_interval: Float[Any, "tasks targets hazards"]
    log_mean: Float[Any, "tasks targets crowds"]
    log_least: Float[Any, ""]
    log_step: Float[Any, ""]
    log_most: Float[Any, ""]
    hazard_least: Float[Any, ""]
    hazard_step: Float[Any, ""]
    unit: Float[Any, ""]

    def interval(
        self,
        log_target: Float[Array, "..."],
        draw: Float[Array, "..."],
        provers: Float[Array, "..."],
        task: Int[Array, "..."],
    ) -> Float[Array, "..."]:
        """X of a unit-speed network for a draw E ~ Exp(1), in T."""
        row = (log_target - self.log_least) / self.log_step
        hazard = jnp.log(jnp.maximum(draw, 1e-30) / provers)
        column = (hazard - self.hazard_least) / self.hazard_step
        return jnp.exp(_between(self.log_interval, task, row, column))

    def expected(
        self,
        log_target: Float[Array, "..."],
        provers: Float[Array, "..."],
        task: Int[Array, "..."],
    ) -> Float[Array, "..."]:
        """E[X] of a unit-speed network, in T."""
        row = (log_target - self.log_least) / self.log_step
        span = 2 * np.log(_CROWD) / (_CROWDS - 1)
        column = (jnp.log(provers) + np.log(_CROWD)) / span
        return jnp.exp(_between(self.log_mean, task, row, column))


Laws = DeadTime | TabulatedLaws


def dead_time(share: Real, *, most: Real = np.inf, task: Real = 0.0) -> DeadTime:
    """The stylised law, as two tasks: the design's, and one of another dead time.

    Args:
        share: s of the design, in [0, 1).
        most: Largest θ, 1/p_2 at the design.
        task: Dead time of the second task, in T; its lottery is the first one's.

    Raises:
        ValueError: If s is not in [0, 1), ``most`` not ≥ 1, or ``task`` negative.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be in [0, 1), got {share}")
    if not most >= 1:
        raise ValueError(f"most must be ≥ 1, got {most}")
    if not task >= 0:
        raise ValueError(f"task must be ≥ 0, got {task}")
    return DeadTime(
        jnp.asarray([share, task], jnp.float32),
        jnp.full(2, 1.0 - share, jnp.float32),
        jnp.float32(min(np.log(most), 80.0)),
    )


def tabulated(
    laws: Sequence[Sequence[BlockTimeLaw]],
    targets: Sequence[float] | np.ndarray,
    *,
    design: Real,
    provers: int,
) -> TabulatedLaws:
    """One table of the laws of one prover at each p_2, for each task.

    Args:
        laws: Of each task, at each p_2.
        targets: p_2, rising in equal steps of the logarithm, the last at most 1.
        design: p_2 at which T is the mean interval of the first task.
        provers: n of the design.

    Raises:
        ValueError: If there are fewer than two p_2, or their steps differ.
        Refused: If a law has no mean.
    """
    log_p = np.log(np.asarray(targets, float))
    steps = np.diff(log_p)
    if len(log_p) < 2 or not np.allclose(steps, steps[0]) or steps[0] <= 0:
        raise ValueError(
            f"targets must rise in equal steps of the logarithm, got {list(targets)}"
        )
    crowd = np.log(_CROWD)
    log_h = np.linspace(np.log(_LEAST) - crowd, np.log(_MOST) + crowd, _HAZARDS)
    times = np.array(
        [[_times(law, np.exp(log_h) / provers) for law in row] for row in laws]
    )
    crowds = np.exp(np.linspace(-crowd, crowd, _CROWDS))
    means = np.array(
        [[[mean(fastest_of(law, float(k) * provers)) for k in crowds] for law in row]
         for row in laws]
    )  # fmt: skip
    if not np.isfinite(means).all():
        raise Refused(
            "feedback: at some p_2 a block may never come; set protocol.abandon_steps "
            "or lengthen training.horizon_steps"
        )
    middle = RegularGridInterpolator((log_p,), np.log(means[0, :, _CROWDS // 2]))
    log_unit = float(middle([np.log(design)])[0])
    place = partial(jnp.asarray, dtype=jnp.float32)
    return TabulatedLaws(
        place(np.log(times) - log_unit),
        place(np.log(means) - log_unit),
        place(log_p[0] - np.log(design)),
        place(steps[0]),
        place(log_p[-1] - np.log(design)),
        place(log_h[0]),
        place(log_h[1] - log_h[0]),
        place(np.exp(log_unit)),
    )


def gain(laws: Laws, task: int = 0) -> float:
    """G = −d ln E[X] / d ln p_2 at the design: 1 − s of a dead time."""
    step = 0.05
    at = jnp.asarray([-step, step])
    means = laws.expected(at, jnp.ones(2), jnp.full(2, task))
    low, high = np.log(np.asarray(means, float))
    return float(low - high) / (2 * step)


def power_gain(laws: Laws, task: int = 0) -> float:
    """H = −d ln E[X] / d ln k at the design.

    1 − s of a dead time, as g. On measured curves more: of more provers the first also
    trains faster, which no p_2 gives.
    """
    step = 0.05
    crowd = jnp.exp(jnp.asarray([-step, step]))
    means = laws.expected(jnp.zeros(2), crowd, jnp.full(2, task))
    low, high = np.log(np.asarray(means, float))
    return float(low - high) / (2 * step)


def variation(laws: Laws, task: int = 0) -> float:
    """CV of the interval at the design, by quadrature; 1 − s of a dead time."""
    levels = (np.arange(1 << 14) + 0.5) / (1 << 14)
    draws = jnp.asarray(-np.log1p(-levels), jnp.float32)
    ones = jnp.ones_like(draws)
    times = laws.interval(0 * ones, draws, ones, jnp.full(draws.shape, task))
    values = np.asarray(times, float)
    return float(values.std() / values.mean())


@jax.jit
def draw_intervals(
    laws: Laws,
    log_target: Float[Array, "*shape"],
    draws: Float[Array, "*shape"],
    provers: Float[Array, "*shape"],
    task: Int[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """``laws.interval``, compiled."""
    return laws.interval(log_target, draws, provers, task)


def _times(law: BlockTimeLaw, hazards: np.ndarray) -> np.ndarray:
    """Λ⁻¹ on the host, in float64."""
    knots = np.asarray(law.cumulative_hazard, float)
    cells = np.interp(hazards, knots, np.arange(len(knots)))
    if law.tail_hazard > 0:
        beyond = np.maximum(hazards - knots[-1], 0.0)
        cells = cells + beyond / float(law.tail_hazard * law.spacing)
    if law.lattice:
        # An atom is at its knot; 1e-9 forgives the rounding of one that is met.
        cells = np.ceil(cells - 1e-9)
    return float(law.offset) + float(law.spacing) * np.maximum(cells, 1e-9)


def _between(table: Array, task: Array, row: Array, column: Array) -> Array:
    """Bilinear in the last two axes, carried on beyond them."""
    rows, columns = table.shape[1:]
    i = jnp.clip(row, 0, rows - 2).astype(jnp.int32)
    j = jnp.clip(column, 0, columns - 2).astype(jnp.int32)
    # Beyond the smallest and the largest target the law is the last one's.
    a = jnp.clip(row - i, 0.0, 1.0)
    b = column - j
    low = table[task, i, j] * (1 - b) + table[task, i, j + 1] * b
    high = table[task, i + 1, j] * (1 - b) + table[task, i + 1, j + 1] * b
    return low * (1 - a) + high * a
