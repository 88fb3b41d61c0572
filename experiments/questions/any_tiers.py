"""Three tiers of confirmations: a private chain, the best attack, any adversary."""

import math
from typing import Any

import pandas as pd

from ...analysis.adversary.assumptions import ASSUMPTIONS
from ...analysis.adversary.speed import Speed, any_speed, one_fast_machine
from ...analysis.adversary.tiers import CRITERION, Tier, Tiers, three_tiers
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.training_error import Basis, few_runs
from ..config.experiment import Config

SPEEDS = ("equal machines", "one machine of their power (a4)")
_TIER = [
    *("tier", "grade", "target", "value", "low", "high", "count", "method"),
    *("status", "refusal", "runs_effective", "warning"),
]
_SPEED = ["adversary", "child", "level", "margin", "grade", "refusal"]


def tier_tables(
    config: Config, law: UncertainLaw, basis: Basis
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Confirmations by tier for the config's own share, and what a level costs.

    Args:
        config: The experiment, with somebody corrupted.
        law: Of its provers.
        basis: What the race rests on.

    Returns:
        ``tiers`` (tier, grade, target, value, ...) and ``speed`` (adversary, child:
        E[A], level: Δ + E[D], margin, steps), and what they assume, a sentence each.
    """
    net = config.network
    adversarial = net.beta * net.provers
    at: dict[str, Any] = {
        "honest": net.provers - adversarial,
        "adversarial": adversarial,
        "delay_steps": float(net.delay_steps),
    }
    found = three_tiers(
        law,
        target=config.security.target,
        ties=config.protocol.adopted,
        seed=config.seed,
        **at,
    )
    tiers = [_tier_row(each, config.security.target, basis) for each in found]
    fast = {**at, "adversarial": 1.0}
    speeds = [
        _speed_row(SPEEDS[0], law.law, at),
        _speed_row(SPEEDS[1], law.law, fast, one_fast_machine(law.law, adversarial)),
    ]
    tables = {
        "tiers": pd.DataFrame(tiers, columns=_TIER),
        "speed": pd.DataFrame(speeds, columns=_SPEED),
    }
    return tables, _assumed(found)


def no_tiers() -> dict[str, pd.DataFrame]:
    """The tables where nobody is corrupted."""
    return {
        "tiers": pd.DataFrame(columns=_TIER),
        "speed": pd.DataFrame(columns=_SPEED),
    }


def _tier_row(tier: Tier, target: float, basis: Basis) -> dict:
    known = tier.depth
    estimate = known or Estimate(math.nan, math.nan, math.nan, 0, "")
    status = "refused" if known is None else "estimated"
    if known is not None and math.isinf(known.low):
        status = "certain"
    return {
        "tier": tier.name,
        "grade": tier.grade,
        "target": target,
        **estimate._asdict(),
        "status": status,
        "refusal": tier.reason if known is None else "",
        "runs_effective": basis.runs,
        "warning": few_runs(basis),
    }


def _speed_row(
    name: str, law: BlockTimeLaw, at: dict, adversary: BlockTimeLaw | None = None
) -> dict:
    try:
        speed = any_speed(law, adversary=adversary, **at)
        refusal = ""
    except Refused as refused:
        speed, refusal = Speed(math.nan, math.nan, math.nan), str(refused)
    return {
        "adversary": name,
        "child": speed.child,
        "level": speed.level,
        "margin": speed.margin,
        "grade": speed.grade,
        "refusal": refusal,
    }


def _assumed(found: Tiers) -> list[str]:
    told = [f"tiers: {CRITERION}"]
    told += [f"any adversary: {text}" for text in ASSUMPTIONS]
    more = [text for text in found.any.assumptions if text not in ASSUMPTIONS]
    return told + [f"any adversary, conditional: {text}" for text in more]
