"""Which depths are safe, which are not, and what would decide those between.

Numbers in, an answer out, and nothing to load: tables are read by it too.

Notation
    ε           target
    u(ε)        last depth with Pr[violation] > ε, the row ``unsafe_depth`` at ε
    SAFE        every depth above the upper end of u
    NOT SAFE    every depth up to its lower end
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

# Of tables, where whole numbers may be integers.
Real = float | int
State = Literal["SAFE", "NOT SAFE", "UNDECIDED"]
# What the method of u says of its interval.
HORIZON = "mostly the law beyond the horizon"
GAP = "mostly the gap between the bound and the network"
ENDS = "the curve ends there"


class Decision(NamedTuple):
    """What is known of all depths.

    Attributes:
        safe: Smallest depth from which all are safe; inf: none is known to be.
        unsafe: Largest depth up to which none is; 0: none is known, inf: no depth is.
        value: Smallest safe depth by the estimate itself.
        method: How it is known, and what its interval mostly holds.
    """

    safe: Real
    unsafe: Real
    value: Real
    method: str = ""

    def at(self, depth: Real) -> State:
        """The verdict on a depth."""
        if depth >= self.safe:
            return "SAFE"
        return "NOT SAFE" if depth <= self.unsafe else "UNDECIDED"

    @property
    def never(self) -> bool:
        """Whether no depth is safe."""
        return math.isinf(self.unsafe)


class RiskAt(NamedTuple):
    """Pr[violation] at a depth with its interval."""

    depth: Real
    value: Real
    low: Real
    high: Real


def of_interval(value: Real, low: Real, high: Real, method: str = "") -> Decision:
    """The decision that an ``unsafe_depth`` with its interval stands for."""
    return Decision(high + 1, low, value + 1, method)


def of_curve(risks: Sequence[RiskAt], target: Real, method: str = "") -> Decision:
    """The decision that a curve of risks stands for; beyond its end nothing is known.

    Args:
        risks: At depths 1, 2, ..., at least one.
        target: ε.
        method: How they were obtained.
    """
    last = max(each.depth for each in risks)

    def beyond(above: list[Real]) -> Real:
        return math.inf if last in above else max(above, default=0.0) + 1

    return Decision(
        beyond([each.depth for each in risks if each.high > target]),
        max((each.depth for each in risks if each.low > target), default=0.0),
        beyond([each.depth for each in risks if each.value > target]),
        method,
    )


def models_needed(found: Decision, depth: Real, runs: Real) -> float:
    """Training runs with which the interval would leave a depth out.

    Its half-width on the logarithm shrinks like 1/√runs.

    Args:
        found: With this many runs.
        depth: Depth that is to be decided.
        runs: Training runs there are.

    Returns:
        The number; inf where the estimate is at the depth itself or has no end, NaN
        where the depth is decided.
    """
    if found.at(depth) != "UNDECIDED":
        return math.nan
    above = depth >= found.value
    end = found.safe if above else found.unsafe + 1
    if math.isinf(end) or math.isinf(found.value):
        return math.inf
    # Depth k is SAFE once the upper end is at most k, NOT SAFE once the lower is above.
    room = abs(math.log((depth if above else depth + 1) / found.value))
    if room == 0:
        return math.inf
    return runs * (math.log(end / found.value) / room) ** 2


def owed_to(found: Decision, depth: Real) -> Literal["models", "horizon", "gap"]:
    """What most of the interval is due to, on the side of a depth."""
    if depth < found.value and GAP in found.method:
        return "gap"
    return "horizon" if HORIZON in found.method else "models"
