"""The share at which a depth holds, under laws near one that the grid has solved.

Notation
    β_b         β*(k, ε) under the b-th law (``depths.py``); 0 is the law of all runs
    β̂_b         where the saddle point's risk (``resampled.py``) is ε

As for depths, what the saddle point leaves out is nearly the same for both laws:
    logit β_b = logit β_0 + logit β̂_b − logit β̂_0.
A root on the grid for each law costs ten times as much. Laws that the saddle point does
not serve are left to the grid.
"""

import math
from collections.abc import Callable

from scipy import optimize, special

from ..block_time.law import BlockTimeLaw, Real
from ..estimation.estimate import Refused
from ..race.threshold import race_threshold
from ..simulation.levels import Network
from .depths import depth_threshold
from .resampled import log_risk

# Shares of the even race's between which the root is looked for.
_ENDS = 0.01, 0.995
_CLOSE = 1e-9


def depth_thresholds(
    first: BlockTimeLaw,
    *,
    provers: int,
    delay_steps: Real,
    depth: int,
    target: Real,
    premined: bool = False,
    known_until: Real = math.inf,
) -> Callable[[BlockTimeLaw], float]:
    """β*(k, ε) as a function of the law: the grid's, and for others relative to it.

    Args:
        first: The law of all runs.
        provers: n ≥ 2.
        delay_steps: Δ.
        depth: k.
        target: ε in (0, 1).
        premined: Whether the adversary starts with its stationary lead.
        known_until: As ``race.walk.Race``.

    Returns:
        A function that raises as ``depth_threshold``.
    """
    found: list[tuple[float, float | None]] = []

    def solved(law: BlockTimeLaw) -> float:
        return depth_threshold(
            law,
            provers=provers,
            delay_steps=delay_steps,
            depth=depth,
            target=target,
            premined=premined,
            known_until=known_until,
        )

    def near(law: BlockTimeLaw) -> float | None:
        return _by_saddle_point(law, provers, delay_steps, depth, target, premined)

    def threshold(law: BlockTimeLaw) -> float:
        if not found:
            found.append((solved(first), near(first)))
        own, reference = found[0]
        if law is first:
            return own
        moved = None if reference is None else near(law)
        if reference is None or moved is None:
            return solved(law)
        shift = special.logit(moved) - special.logit(reference)
        return float(special.expit(special.logit(own) + shift))

    return threshold


def _by_saddle_point(
    law: BlockTimeLaw,
    provers: int,
    delay: Real,
    depth: int,
    target: Real,
    premined: bool,
) -> float | None:
    """β̂; None where the saddle point does not serve on both sides of the root."""

    def excess(beta: float) -> float:
        net = Network(law, (1 - beta) * provers, beta * provers, float(delay))
        return log_risk(net, depth, premined=premined) - math.log(target)

    try:
        ever = race_threshold(law, provers=provers, delay_steps=delay).beta
    except Refused:
        return None
    low, high = (ever * share for share in _ENDS)
    below, above = excess(low), excess(high)
    if not below < 0 < above:  # or NaN: not served
        return None
    beta = float(optimize.brentq(excess, low, high, xtol=_CLOSE))  # pyright: ignore
    return beta if math.isfinite(excess(beta)) else None
