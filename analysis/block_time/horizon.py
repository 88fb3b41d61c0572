"""Does an interval owe more to the horizon than to the number of runs, and what helps?

Notation
    B        half the range of a figure under the slowest and the fastest defensible law
    R        half-width that the number of runs gives it, t_{B−1} s_B over resamples
    h        hazard per step of the runs that are left at the horizon

What is left of the runs beyond a horizon H shrinks like e^{−hH}, and B with it. Trained
for ln(B/R)/h steps more, the same runs would leave B at R.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from .law import BlockTimeLaw
from .uncertain import UncertainLaw


class Owed(NamedTuple):
    """A figure whose interval owes more to the horizon than to the number of runs.

    Attributes:
        low: The figure under the more favourable of the two laws.
        high: Under the other.
        runs: R.
        further_steps: Training beyond the horizon at which the two are equal.
    """

    low: float
    high: float
    runs: float
    further_steps: float


def owed_to_horizon(
    law: UncertainLaw, figure: Callable[[BlockTimeLaw], float]
) -> Owed | None:
    """What a figure owes to the horizon; None where it owes more to the runs.

    Args:
        law: With its resamples and extremes.
        figure: Of a law.
    """
    ends = [figure(one) for one in (law.law, *law.extremes)]
    known = np.array([x for x in map(figure, law.resamples) if math.isfinite(x)])
    if len(known) < 2 or not all(map(math.isfinite, ends)) or law.late_hazard == 0:
        return None
    half = (max(ends) - min(ends)) / 2
    runs = float(special.stdtrit(len(known) - 1, 0.975)) * float(known.std(ddof=1))
    if half <= runs or runs == 0:
        return None
    return Owed(min(ends), max(ends), runs, math.log(half / runs) / law.late_hazard)
