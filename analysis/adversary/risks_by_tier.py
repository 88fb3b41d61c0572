"""The risk at each depth: against a private chain, and a bound against any adversary.

The criterion and the tiers are those of ``tiers.py``, at depths instead of at a target:
the private chain with a head start, the best attack found, is an attack's risk; the two
others are bounds, conditional (``one_tree``) and proved (``permanence``).

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
from .assumptions import NO_BOUND, Grade
from .one_tree import Event, one_tree_risks
from .permanence import settled
from .shares_by_tier import ANY, PRIVATE
from .tiers import GRID, Ties


class TierRisk(NamedTuple):
    """A risk, or a bound on it.

    Attributes:
        tier: Which adversaries.
        grade: ``attack``, or how far a bound is proved; ``none`` where there is none.
        depth: k; 0 where a tier is not known at any depth.
        risk: With its error; None: not known.
        reason: Why it is not known; empty if it is.
    """

    tier: str
    grade: Grade | str
    depth: int
    risk: Estimate | None
    reason: str = ""


def tier_risks(
    law: UncertainLaw,
    depths: Sequence[Count],
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    basis: Basis,
    ties: Ties = "first_seen",
    seed: int | None = 0,
) -> list[TierRisk]:
    """Risks at depths, tier by tier.

    Args:
        law: X of a prover; its ``adversaries`` are those of corrupted machines.
        depths: k ≥ 1, rising.
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        basis: What the race rests on.
        ties: As ``tiers.three_tiers``.
        seed: Of the draws of the proved bound; None: it is not computed.

    Raises:
        ValueError: If an argument is out of range.
    """
    ks = [int(k) for k in depths]
    at: dict[str, Any] = {
        "honest": honest,
        "adversarial": adversarial,
        "delay_steps": delay_steps,
    }
    attack: Event = "tie" if ties == "adversary" else "private"
    found = _curve(law, ks, PRIVATE, "attack", attack, at, basis)
    if ties != "first_seen":
        return [*found, TierRisk(ANY, "none", 0, None, NO_BOUND)]
    found += _curve(law, ks, ANY, "conditional", "any", at, basis)
    if seed is None:
        return found
    try:
        own = law.against(law.law)
        shown = settled(seed, law.law, ks, adversary=own, **at)
    except Refused as refusal:
        return [*found, TierRisk(ANY, "proved", 0, None, str(refusal))]
    return found + [
        TierRisk(ANY, shown.grade, k, risk)
        for k, risk in zip(shown.depths, shown.risks, strict=True)
    ]


def _curve(
    law: UncertainLaw,
    depths: list[int],
    tier: str,
    grade: Grade | str,
    event: Event,
    at: dict[str, Any],
    basis: Basis,
) -> list[TierRisk]:
    """One tier's risks, each law solved once for all depths."""
    solved: dict[int, tuple[float, ...] | Refused] = {}

    def logs(one: BlockTimeLaw) -> tuple[float, ...]:
        if id(one) not in solved:
            given = {**at, "adversary": law.against(one)}
            try:
                risks = one_tree_risks(
                    one, depths, event=event, known_until=law.known_until, **given
                )
                solved[id(one)] = risks.logs
            except Refused as refusal:
                solved[id(one)] = refusal
        known = solved[id(one)]
        if isinstance(known, Refused):
            raise known
        return known

    def risk(place: int) -> Callable[[BlockTimeLaw], float]:
        return lambda one: math.exp(logs(one)[place])

    try:
        return [
            TierRisk(
                tier,
                grade,
                depth,
                measured(
                    risk(place),
                    law,
                    scale="logit",
                    method=GRID,
                    basis=basis,
                    lacking=1.0,
                ).clipped(0.0, 1.0),
            )
            for place, depth in enumerate(depths)
        ]
    except Refused as refusal:
        return [TierRisk(tier, grade, 0, None, str(refusal))]
