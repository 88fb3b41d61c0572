"""Judging settings by targets: met, perhaps or missed; and the front of the best.

Notation:
    [low, high]     95 % interval of a figure                ``Estimate``
    b               what the target asks                     ``Target.bound``
    slack           ln(b/high) for ≤, ln(low/b) for ≥        ``slack``

A target is met only if the whole interval meets it, missed if none of it does, and
*perhaps* otherwise. A logarithm makes slacks of different units comparable: 0.1 is a
tenth to spare. A setting is on the front if no other is as good in everything and
better in something (V. Pareto).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool

from ..estimation.estimate import Estimate

Sense = Literal["<=", ">=", "="]
Verdict = Literal["met", "perhaps", "missed"]
BETTER: Mapping[str, int] = {
    "confirmation": -1,
    "useful": 1,
    "beta": 1,
    "beta_warm": 1,
    "verification": -1,
    "storage": -1,
}
"""What a setting is compared by on the front: 1 more is better, −1 less is."""


class Target(NamedTuple):
    """What is asked of a figure.

    Attributes:
        figure: Its name among the figures.
        sense: ``<=``, ``>=``, or ``=`` within a tolerance.
        bound: In the figure's unit.
        text: As it was written.
        tolerance: Of ``=``, as a share of the bound.
    """

    figure: str
    sense: Sense
    bound: float
    text: str
    tolerance: float = 0.0


def verdict(target: Target, figure: Estimate) -> Verdict:
    """Whether the whole interval meets the target, some of it, or none."""
    low, high = target.bound, target.bound
    if target.sense == "=":
        low, high = low * (1 - target.tolerance), high * (1 + target.tolerance)
    if target.sense == "<=":
        low = -math.inf
    if target.sense == ">=":
        high = math.inf
    if not math.isfinite(figure.value):
        return "missed"
    if low <= figure.low and figure.high <= high:
        return "met"
    return "missed" if figure.low > high or figure.high < low else "perhaps"


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """The worst of the targets' verdicts."""
    for worst in ("missed", "perhaps"):
        if worst in verdicts:
            return worst
    return "met"


def slack(target: Target, figure: Estimate | float) -> float:
    """Room to the target as ln of a ratio: at an interval's worse end; < 0: missed.

    A figure that is not known, or infinite, has −inf. ``=`` is what the p_1 is solved
    for and has inf where its value is inside the tolerance.
    """
    one = figure if isinstance(figure, Estimate) else None
    value = one.value if one else float(figure)  # pyright: ignore
    if not math.isfinite(value):
        return -math.inf
    if target.sense == "=":
        off = abs(value - target.bound) / target.bound
        return math.inf if off <= target.tolerance else math.log(target.tolerance / off)
    end = value
    if one:
        end = one.high if target.sense == "<=" else one.low
    if math.isinf(end):
        return -math.inf
    if end <= 0:
        return math.inf if target.sense == "<=" else -math.inf
    room = math.log(target.bound / end)
    return room if target.sense == "<=" else -room


def pareto(
    settings: Sequence[Mapping[str, float]], better: Mapping[str, int] = BETTER
) -> Bool[np.ndarray, " settings"]:
    """Which settings no other one beats: as good in everything and better in something.

    Args:
        settings: Figures by name; one that is not known counts as the worst.
        better: Name → 1 (more is better) or −1; others do not count.
    """
    rows = np.array(
        [[sign * one.get(name, math.nan) for name, sign in better.items()]
         for one in settings]
    ).reshape(len(settings), len(better))  # fmt: skip
    rows = np.where(np.isnan(rows), -math.inf, rows)
    as_good = (rows[:, None] >= rows[None]).all(axis=2)
    more = (rows[:, None] > rows[None]).any(axis=2)
    return np.asarray(~(as_good & more).any(axis=0))
