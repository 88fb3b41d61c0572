"""Lower ends of persistence on the network itself, whose upper ends are the grid's.

Notation
    P(k)        Pr[violation at depth k] on the network     ``persistence_violation``
    P̄(k)        that of the grid's race, P ≤ P̄, equal without delay
    n           replicas that were simulated
    a           anchor, a depth at which P is estimated by splitting

Where messages take time the finder of a block need not wait, the network is faster than
the race of the grid and P below P̄. What P is at least, each depth takes from one
engine, which P̄ alone chooses before anything is drawn:
    P̄(k) n ≥ 50     the simulated share at k
    else            the anchor at k, or the next one beyond: P does not rise with depth
    no anchor       the simulated share, however few its events
A depth keeps the lowest of the lower ends before it, so that they do not rise either.
The training's error of both is that of P̄ at their depth: P and P̄ follow one law, and
their ratio, which is a matter of the finder's advantage, hardly depends on it. Where P̄
is 1 it is that of the simulation under resampled laws.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from scipy import stats

from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.training_error import joined
from .private_chain import LEAST

SIMULATED = "lower end: simulated network"
SPLIT = "lower end: multilevel splitting of the network"
_SEEN = 50
# Shares of the depth up to which the grid is above a target, where the network may be.
_SHARES = (1.0, 0.92, 0.84, 0.7)


def is_seen(risk: Measurement, simulated: Mapping[float, Estimate]) -> bool:
    """Whether the simulation is long and large enough to see a risk."""
    there = None if risk.at is None else simulated.get(risk.at)
    return there is not None and risk.estimate.value * there.count >= _SEEN


def anchors(
    risks: Sequence[Measurement],
    simulated: Mapping[float, Estimate],
    target: float,
    asked: int,
) -> list[int]:
    """Depths at which the network is to be split, by the grid alone.

    Args:
        risks: The grid's curve, also beyond the depth that is asked for.
        simulated: Simulated shares by depth; only their number counts here.
        target: ε.
        asked: Depth whose verdict is asked for.

    Returns:
        Depths that the simulation cannot see: the one asked for, and shares of the last
        one at which the grid's lower end is above the target.
    """
    curve = {int(m.at): m for m in risks if m.at is not None}
    above = [k for k, m in curve.items() if m.estimate.low > target]
    wanted = {asked}
    for share in _SHARES if above else ():
        below = [k for k in curve if k <= share * max(above)]
        wanted |= set(below[-1:])
    return sorted(k for k in wanted if not is_seen(curve[k], simulated))


def with_lower_ends(
    risks: Sequence[Measurement],
    simulated: Mapping[float, Estimate],
    widened: Mapping[float, Estimate],
    at: Sequence[int] = (),
    split: Callable[[int], Estimate] | None = None,
) -> tuple[list[Measurement], list[str]]:
    """The grid's curve with lower ends that hold on the network.

    Args:
        risks: ``persistence_violation`` by the grid, at rising depths.
        simulated: Simulated shares by depth, without the training's error.
        widened: The same with it.
        at: Anchors.
        split: P at a depth, without the training's error.

    Returns:
        The curve, and why an anchor is missing, a sentence each.
    """
    known: dict[float, float] = {}
    refusals = []
    for m in risks:
        if split is None or m.at is None or m.at not in set(at):
            continue
        try:
            known[m.at] = _low(split(int(m.at)), m.estimate)
        except Refused as refusal:
            refusals.append(str(refusal))
    curve, lowest = [], math.inf
    for m in risks:
        assert m.at is not None
        there = simulated.get(m.at)
        further = min((a for a in known if a >= m.at), default=None)
        if further is not None and not is_seen(m, simulated):
            low, how = known[further], f"{SPLIT} at depth {further:g}"
        elif there is None:
            low, how = 0.0, "lower end: not estimated so deep"
        elif m.estimate.value == 1:
            # A bound of 1 does not say how the risk moves with the law.
            low, how = widened[m.at].low, SIMULATED
        else:
            low, how = _low(there, m.estimate), SIMULATED
        lowest = min(lowest, low, m.estimate.value)
        method = f"{m.estimate.method}; {how}"
        curve.append(
            m._replace(estimate=m.estimate._replace(low=lowest, method=method))
        )
    return curve, refusals


def _low(own: Estimate, grid: Estimate) -> float:
    """Lower end with the training's error, which is that of the grid."""
    if own.low <= 0 or grid.low <= 0:
        return 0.0
    return joined(own, grid, "log", "that of the grid").low


def faults(
    risks: Sequence[Measurement], simulated: Mapping[float, Estimate]
) -> list[str]:
    """Depths at which the network was seen violated more often than can be.

    Args:
        risks: The grid's curve under a law.
        simulated: Shares under the same law, without the training's error.

    Returns:
        A sentence for each depth at which so many violations, if every replica's chance
        were the grid's, had a chance below 1e-4 over the number of depths.
    """
    told = []
    allowed = 1e-4 / max(1, len(risks))
    for m in risks:
        seen = simulated.get(math.nan if m.at is None else m.at)
        if seen is None or m.estimate.value >= 1:
            continue
        events = round(seen.value * seen.count)
        bound = max(m.estimate.value, LEAST)
        chance = float(stats.binom.sf(events - 1, seen.count, bound))
        if events and chance < allowed:
            told.append(
                f"persistence at depth {m.at:g}: {events} of {seen.count} simulated "
                f"races are violated, the grid's upper bound is {bound:.4g} "
                f"(chance {chance:.1g}): one of the two engines is wrong"
            )
    return told
