"""The last depth that is not safe, from the engine's rows.

Notation
    ε           target
    u(ε)        last depth with Pr[violation] > ε, the row ``unsafe_depth`` at ε
    g           growth of the private chain over that of the public one, the row
                ``private_growth``: where g > 1 no depth is safe

The upper end of u is that of ``safe_depth`` at ε, the grid's. The lower end is the
grid's too where nothing is delayed; with delay it is the last depth at which the risk
of the network itself is above ε (``lower_ends.py``).
"""

import math
from collections.abc import Sequence

from ..block_time.law import fastest_of, mean
from ..estimation.estimate import Estimate
from ..estimation.measurement import Measurement
from ..estimation.quantities import BLOCK_INTERVAL_MEAN, PRIVATE_GROWTH, UNSAFE_DEPTH
from ..race.walk import OUTGROWS
from ..simulation.levels import Network
from .decision import ENDS, GAP, RiskAt, of_curve


def private_growth(
    measured: Sequence[Measurement], network: Network
) -> Measurement | None:
    """G under one law: the public chain's mean interval over the private one's.

    Args:
        measured: With the mean block interval of the simulated network.
        network: Under this law.

    Returns:
        None where there is no adversary, or no interval.
    """
    adversarial = float(network.adversarial)
    if not adversarial > 0:
        return None
    private = mean(fastest_of(network.private_law, adversarial))
    for m in measured:
        if m.quantity == BLOCK_INTERVAL_MEAN:
            e = m.estimate
            method = f"{e.method} over the private chain's mean"
            value, low, high = e.value / private, e.low / private, e.high / private
            growth = Estimate(value, low, high, e.count, method)
            return Measurement(PRIVATE_GROWTH, None, "", growth, "")
    return None


def unsafe_depth(
    target: float,
    depth: Measurement | None,
    risks: Sequence[Measurement],
    *,
    delay: float,
    asked: float,
    growth: Estimate | None,
) -> Measurement:
    """u(ε) from the engine's rows.

    Args:
        target: ε.
        depth: ``safe_depth`` at ε; None where the grid refuses: the risks alone decide.
        risks: ``persistence_violation`` with the network's lower ends.
        delay: Δ.
        asked: Depth whose verdict is asked for.
        growth: g, with the training's error.
    """
    curve = [RiskAt(m.at, *m.estimate[:3]) for m in risks if m.at is not None]
    basis = (depth or risks[0]).basis
    if depth is None:
        found = of_curve(curve, target)
        last = max(each.depth for each in curve)
        method = f"{risks[0].estimate.method}; {ENDS}: {last:g}"
        count = max(m.estimate.count for m in risks)
        found = Estimate(found.value - 1, found.unsafe, found.safe - 1, count, method)
    elif math.isinf(depth.estimate.value) and growth is not None and growth.low >= 1:
        every = math.inf
        found = Estimate(every, every, every, growth.count, OUTGROWS)
    else:
        own = depth.estimate
        low = own.low - 1
        if delay > 0:
            low = of_curve(curve, target).unsafe
        found = last_unsafe(own, low, asked, gap=delay > 0)
    return Measurement(
        UNSAFE_DEPTH, target, "target", found, unit="blocks", basis=basis
    )


def last_unsafe(own: Estimate, low: float, asked: float, *, gap: bool) -> Estimate:
    """u(ε) where a depth is safe.

    Args:
        own: ``safe_depth`` by a bound on the risk.
        low: Last depth that is known not to be safe.
        asked: Depth whose verdict is asked for.
        gap: Whether the bound is above the risk of the network itself.
    """
    value, method = own.value - 1, own.method
    if gap:
        low = min(value, low)
        if low < asked:
            gap = asked < own.low
        else:  # on the logarithm, as the interval itself
            gap = _share(own.low, low + 1) > _share(own.value, own.low)
        if gap:
            method = f"{method}; {GAP}"
    return Estimate(value, low, own.high - 1, own.count, method)


def _share(larger: float, smaller: float) -> float:
    if math.isinf(larger):
        return 0.0 if math.isinf(smaller) else math.inf
    return math.log(larger / smaller)
