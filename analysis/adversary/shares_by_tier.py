r"""How large an adversary: against a private chain, the best attack found, any attack.

Notation
    ε           target risk
    β*(k)       share at which the risk of depth k is ε
    β*          share from which on no depth is safe (k = ∞)

The criterion is that of ``tiers.py``, turned round: at a depth, not at a share. The
best attack found is the private chain at every share, so that two tiers are computed,

    private chain       an attack: from this share on it has a risk above ε
    any adversary       a bound: below this share nobody has one; proved for β*
                        (``speed``), conditional at a depth (``one_tree``, on (c1))

and between the two shares nothing is known.

Source: docs/science/any-adversary.md.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..block_time.law import BlockTimeLaw, Real
from ..block_time.uncertain import UncertainLaw, measured
from ..bounds.arguments import Count
from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import Basis
from ..race.threshold import race_threshold
from .assumptions import NO_BOUND, Grade
from .one_tree import Event, one_tree_threshold
from .speed import any_threshold
from .tiers import GRID, Ties

PRIVATE, ANY = "private chain, the best attack found", "any adversary"


class Share(NamedTuple):
    """The largest share that a set of adversaries may have.

    Attributes:
        tier: Which adversaries.
        depth: k; inf: any depth.
        grade: ``attack``, or how far a bound is proved; ``none`` where there is none.
        beta: The share with the error of the training runs; None: not known.
        reason: Why it is not known; empty if it is.
    """

    tier: str
    depth: float
    grade: Grade | str
    beta: Estimate | None
    reason: str = ""


def tier_shares(
    law: UncertainLaw,
    depths: Sequence[Count],
    *,
    provers: int,
    delay_steps: Real,
    target: Real,
    basis: Basis,
    ties: Ties = "first_seen",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Share]:
    """Shares at which depths are safe, and at which any is, by tier.

    Args:
        law: X of a prover; its ``adversaries`` are those of corrupted machines.
        depths: k ≥ 1.
        provers: n ≥ 2.
        delay_steps: Δ ≥ 0, steps.
        target: ε in (0, 1).
        basis: What the race rests on.
        ties: As ``tiers.three_tiers``.
        progress: Told how many shares there are, and how many are done.

    Returns:
        For any depth, then for each: the private chain's, and the bound.

    Raises:
        ValueError: If an argument is out of range.
    """
    net: dict[str, Any] = {"provers": provers, "delay_steps": delay_steps}
    attack: Event = "tie" if ties == "adversary" else "private"

    def ever(one: BlockTimeLaw) -> float:
        return race_threshold(one, adversary=law.against(one), **net).beta

    def outgrown(one: BlockTimeLaw) -> float:
        return any_threshold(one, adversary=law.against(one), **net).beta

    def at_depth(event: Event, depth: int) -> Callable[[BlockTimeLaw], float]:
        # Other laws' roots are near the first one, that of the law of all runs.
        near: list[float] = []

        def figure(one: BlockTimeLaw) -> float:
            found = one_tree_threshold(
                target,
                depth,
                one,
                event=event,
                adversary=law.against(one),
                known_until=law.known_until,
                near=near[0] if near else 0.2,
                **net,
            )
            near.append(found)
            return found

        return figure

    cases: list[tuple[str, float, str, Callable[[BlockTimeLaw], float], str]] = [
        (PRIVATE, math.inf, "attack", ever, "root of E[H] + Δ = E[A]"),
        (ANY, math.inf, "proved", outgrown, "root of E[D] + Δ = E[A]"),
    ]
    for depth in depths:
        k = int(depth)
        cases.append((PRIVATE, float(k), "attack", at_depth(attack, k), GRID))
        cases.append((ANY, float(k), "conditional", at_depth("any", k), GRID))
    found = []
    for done, (tier, depth, grade, figure, method) in enumerate(cases):
        progress(done, len(cases))
        if tier == ANY and ties != "first_seen":
            found.append(Share(tier, depth, "none", None, NO_BOUND))
            continue
        try:
            beta = measured(figure, law, scale="logit", method=method, basis=basis)
        except Refused as refusal:
            found.append(Share(tier, depth, grade, None, str(refusal)))
            continue
        found.append(Share(tier, depth, grade, beta.clipped(0.0, 1.0)))
    progress(len(cases), len(cases))
    return found
