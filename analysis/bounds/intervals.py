"""Mean, CV and domination of intervals that begin with a fixed part of work."""

import math
from typing import NamedTuple

from .arguments import Real, require


class IntervalMoments(NamedTuple):
    """First two moments of a block interval."""

    mean: float  # E[interval], unit of time
    cv: float  # standard deviation / mean; 1 if memoryless


def dead_time_mean_cv(dead_time: Real, rate: Real) -> IntervalMoments:
    r"""Mean and coefficient of variation of S_0 + Exp(λ).

        mean = S_0 + 1/λ,   CV = 1 / (1 + S_0 λ)

    Exact in continuous time. For whole rounds with success probability P = λ the mean
    is the same and the CV is smaller by the factor √(1−P).

    Args:
        dead_time: S_0 ≥ 0, unit of time.
        rate: λ > 0 after the dead time, blocks per unit of time.

    Returns:
        `IntervalMoments(mean, cv)`.

    Raises:
        ValueError: an argument outside its range.

    Reference: moments of the shifted exponential law.
    """
    require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
    require("rate", rate, 0 < rate < math.inf, "(0, ∞)")
    return IntervalMoments(
        mean=float(dead_time + 1 / rate), cv=float(1 / (1 + dead_time * rate))
    )


def domination(hazard: Real, dead_time: Real, speed_1: Real, speed_2: Real) -> float:
    r"""Probability that the faster of two provers has the next block.

        Pr[1 wins] = 1 − e^{−πv_1(S_0/v_2 − S_0/v_1)} · v_2/(v_1 + v_2),   v_1 ≥ v_2

    Prover 1 leaves its dead time first; 2 wins only if 1 has found nothing by the time
    2 leaves its own, and then with its share v_2/(v_1 + v_2) of a memoryless race. At
    S_0 = 0 prover 1 has its share of the speed; as πS_0 → ∞ it takes everything.

    Args:
        hazard: π > 0, blocks per step after the dead time.
        dead_time: S_0 ≥ 0, steps.
        speed_1: v_1 ≥ v_2, steps per unit of time.
        speed_2: v_2 > 0, steps per unit of time.

    Returns:
        The share of blocks of prover 1 when both restart at each block.

    Raises:
        ValueError: an argument outside its range.

    Reference: competing shifted exponentials S_0/v_i + Exp(πv_i), conditioned on the
    time S_0/v_2 at which the second starts.
    """
    require("hazard", hazard, 0 < hazard < math.inf, "(0, ∞)")
    require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
    require("speed_2", speed_2, 0 < speed_2 < math.inf, "(0, ∞)")
    allowed = f"[speed_2 = {speed_2}, ∞)"
    require("speed_1", speed_1, speed_2 <= speed_1 < math.inf, allowed)
    idle = math.exp(-hazard * dead_time * (speed_1 - speed_2) / speed_2)
    return float(1 - idle * speed_2 / (speed_1 + speed_2))
