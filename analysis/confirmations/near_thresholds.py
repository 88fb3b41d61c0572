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
from ..block_time.uncertain import UncertainLaw
from ..estimation.estimate import Refused
from ..race.threshold import race_threshold
from ..simulation.levels import Network
from .depths import depth_threshold
from .resampled import log_risk

# Shares of the even race's between which the root is looked for.
_ENDS = 0.01, 0.995
_CLOSE = 1e-9


def depth_thresholds(
    law: UncertainLaw,
    *,
    provers: int,
    delay_steps: Real,
    depth: int,
    target: Real,
    premined: bool = False,
    ties_win: bool = True,
) -> Callable[[BlockTimeLaw], float]:
    """β*(k, ε) as a function of the law: the grid's, and for others relative to it.

    Args:
        law: Block-time law of one prover, with its resamples and its adversaries.
        provers: n ≥ 2.
        delay_steps: Δ.
        depth: k.
        target: ε in (0, 1).
        premined: Whether the adversary starts with its stationary lead.
        ties_win: Whether a private chain of equal length reverts.

    Returns:
        A function of one of the law's own that raises as ``depth_threshold``.
    """
    found: list[tuple[float, float | None]] = []

    def solved(one: BlockTimeLaw) -> float:
        return depth_threshold(
            one,
            provers=provers,
            delay_steps=delay_steps,
            depth=depth,
            target=target,
            premined=premined,
            known_until=law.known_until,
            ties_win=ties_win,
            adversary=law.against(one),
        )

    def near(one: BlockTimeLaw) -> float | None:
        """β̂; None where the saddle point does not serve on both sides of the root."""
        against = law.against(one)

        def excess(beta: float) -> float:
            honest, corrupted = (1 - beta) * provers, beta * provers
            net = Network(one, honest, corrupted, float(delay_steps), against)
            risk = log_risk(net, depth, ties_win=ties_win, premined=premined)
            return risk - math.log(target)

        try:
            even = race_threshold(
                one, provers=provers, delay_steps=delay_steps, adversary=against
            )
        except Refused:
            return None
        low, high = (even.beta * share for share in _ENDS)
        if not excess(low) < 0 < excess(high):  # or NaN: not served
            return None
        beta = float(optimize.brentq(excess, low, high, xtol=_CLOSE))  # pyright: ignore
        return beta if math.isfinite(excess(beta)) else None

    def threshold(one: BlockTimeLaw) -> float:
        if not found:
            found.append((solved(law.law), near(law.law)))
        own, reference = found[0]
        if one is law.law:
            return own
        moved = None if reference is None else near(one)
        if reference is None or moved is None:
            return solved(one)
        shift = special.logit(moved) - special.logit(reference)
        return float(special.expit(special.logit(own) + shift))

    return threshold
