"""Three tiers of confirmations: a private chain, the best attack, any adversary."""

import math
from typing import Any

import pandas as pd

from ...analysis.adversary.assumptions import ASSUMPTIONS
from ...analysis.adversary.lower_tail import early_looks, with_early_looks
from ...analysis.adversary.risks_by_tier import TierRisk, tier_risks
from ...analysis.adversary.speed import Speed, any_speed, one_fast_machine
from ...analysis.adversary.tiers import Tier, Tiers, criterion, ladder, three_tiers
from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.estimation.training_error import Basis, few_runs
from ...models.learning.curves import CurveSet
from ..config.experiment import Config
from ..world.situation import own_laws
from ..world.tiers import some_resamples

SPEEDS = (
    "equal machines",
    "one machine of their power (a4)",
    "equal machines, as fast as the runs leave open (95 %)",
)
TIER = [
    *("tier", "grade", "target", "value", "low", "high", "count", "method"),
    *("status", "refusal", "runs_effective", "warning"),
]
_RISK = [
    *("tier", "grade", "depth", "value", "low", "high", "count", "method"),
    "refusal",
]
_DEEPEST = 400
_SPEED = ["adversary", "child", "level", "margin", "grade", "refusal"]


def tier_tables(
    config: Config, law: UncertainLaw, basis: Basis, curves: CurveSet
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Confirmations by tier for the config's own share, and what a level costs.

    Args:
        config: The experiment, with somebody corrupted.
        law: Of its provers.
        basis: What the race rests on.
        curves: The runs behind the law.

    Returns:
        ``tier_risks`` (tier, grade, depth, value, ...: risks), ``tiers`` (tier, grade,
        target, value, ...: depths) and ``speed`` (adversary, child: E[A], level:
        Δ + E[D], margin, steps), and what they assume, a sentence each.
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
    tiers = [tier_row(each, config.security.target, basis) for each in found]
    few = some_resamples(law)
    known = [each.depth.value for each in found if each.depth is not None]
    deepest = max([config.security.depths, *(1.2 * k for k in known if k < math.inf)])
    risks = tier_risks(
        few,
        ladder(min(math.ceil(deepest), _DEEPEST)),
        basis=basis,
        ties=config.protocol.adopted,
        seed=config.seed,
        **at,
    )
    tables = {
        "tier_risks": pd.DataFrame([_risk_row(e) for e in risks], columns=_RISK),
        "tiers": pd.DataFrame(tiers, columns=TIER),
        "speed": speed_table(config, law, curves),
    }
    return tables, _assumed(config, found)


def speed_table(config: Config, law: UncertainLaw, curves: CurveSet) -> pd.DataFrame:
    """What a level costs the adversary at least, and the honest chain at most.

    The last row is of machines that are as fast at their first looks as so many runs
    do not exclude (``lower_tail``): nobody was seen to train faster than the fastest.

    Args:
        config: The experiment, with somebody corrupted.
        law: Of its provers.
        curves: The runs behind the law.

    Returns:
        adversary, child (E[A]), level (Δ + E[D]), margin (steps), grade, refusal.
    """
    net = config.network
    adversarial = net.beta * net.provers
    at: dict[str, Any] = {
        "honest": net.provers - adversarial,
        "adversarial": adversarial,
        "delay_steps": float(net.delay_steps),
    }
    one, fast = law.law, one_fast_machine(law.law, adversarial)
    rows = [
        _speed_row(SPEEDS[0], one, at),
        _speed_row(SPEEDS[1], one, {**at, "adversarial": 1.0}, fast),
    ]
    if config.law.has_curves and not own_laws(config):
        rows.append(_early_row(config, one, curves, at))
    return pd.DataFrame(rows, columns=_SPEED)


def _early_row(config: Config, law: BlockTimeLaw, curves: CurveSet, at: dict) -> dict:
    if config.clock.unit != "steps":
        row = dict.fromkeys(_SPEED, math.nan)
        refusal = (
            f"clock.unit = {config.clock.unit}: looks of different models take "
            "different times, and a bound on the first ones is known for equal times "
            "alone (clock.unit = steps)"
        )
        return row | {"adversary": SPEEDS[2], "grade": "proved", "refusal": refusal}
    every = float(curves.steps[0])
    early = early_looks(curves.accuracy >= config.scheme.t_acc)
    quick = with_early_looks(
        law,
        early,
        p_2=config.scheme.p_2,
        check_every=every,
        s_min=config.protocol.s_min,
    )
    return _speed_row(SPEEDS[2], law, at, quick)


def no_tiers() -> dict[str, pd.DataFrame]:
    """The tables where nobody is corrupted."""
    return {
        "tier_risks": pd.DataFrame(columns=_RISK),
        "tiers": pd.DataFrame(columns=TIER),
        "speed": pd.DataFrame(columns=_SPEED),
    }


def _risk_row(each: TierRisk) -> dict:
    estimate = each.risk or Estimate(math.nan, math.nan, math.nan, 0, "")
    depth = each.depth or math.nan
    told = {"tier": each.tier, "grade": each.grade, "depth": depth}
    return {**told, **estimate._asdict(), "refusal": each.reason}


def tier_row(tier: Tier, target: float, basis: Basis) -> dict:
    """A tier as a row of the table ``tiers``.

    Args:
        tier: The tier.
        target: ε.
        basis: What it rests on.
    """
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


def _assumed(config: Config, found: Tiers) -> list[str]:
    told = [f"tiers: {criterion(config.protocol.adopted)}"]
    told += [f"any adversary: {text}" for text in ASSUMPTIONS]
    more = [text for text in found.any.assumptions if text not in ASSUMPTIONS]
    return told + [f"any adversary, conditional: {text}" for text in more]
