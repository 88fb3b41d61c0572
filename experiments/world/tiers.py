"""A run's three tiers of confirmations, as measurements.

The rows ``private_chain_depth``, ``best_attack_depth`` and ``any_adversary_depth`` at
the target, all by the criterion of ``analysis/adversary/tiers.py``; the last one is a
bound, conditional. The proved one takes draws: ``dpodl risk`` has it.
"""

from collections.abc import Sequence

from ...analysis.adversary.tiers import CRITERION, Tier, three_tiers
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Estimate
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.quantities import (
    ANY_ADVERSARY_DEPTH,
    BEST_ATTACK_DEPTH,
    PRIVATE_CHAIN_DEPTH,
)
from ..config.experiment import Config
from .engines import chosen_engine

# A depth moves little from resample to resample.
_RESAMPLES = 8
_TIERS = (PRIVATE_CHAIN_DEPTH, BEST_ATTACK_DEPTH, ANY_ADVERSARY_DEPTH)


def tier_measurements(
    config: Config, law: UncertainLaw
) -> tuple[list[Measurement], list[str]]:
    """The tiers that are known, and why others are not, a sentence each.

    Args:
        config: The experiment.
        law: Of its provers, with the adversary's.
    """
    if not config.attackers:
        return [], []
    if chosen_engine(config).name != "level" or config.protocol.chain_rule != "longest":
        return [], [
            "any adversary: the bound is of equal provers on the longest chain, and "
            "says nothing of this world"
        ]
    adversarial = float(config.attackers)
    few = law._replace(
        resamples=law.resamples[:_RESAMPLES],
        adversaries=_few(law, _RESAMPLES),
    )
    found = three_tiers(
        few,
        honest=config.network.provers - adversarial,
        adversarial=adversarial,
        delay_steps=float(config.network.delay_steps),
        target=config.security.target,
        ties_adopted=config.protocol.tie_rule != "first_seen",
        seed=None,
    )
    basis = law.basis(config.network.provers - adversarial, adversarial)
    rows, refusals = [], []
    for name, tier in zip(_TIERS, found[:3], strict=True):
        if tier.depth is None:
            refusals.append(f"{tier.name}: {_plain(tier)}")
            continue
        method = f"{tier.grade}: {tier.depth.method}; {CRITERION}"
        estimate: Estimate = tier.depth._replace(method=method)
        at = float(config.security.target)
        rows.append(
            Measurement(name, at, "target", estimate, unit="blocks", basis=basis)
        )
    return rows, list(dict.fromkeys(refusals))


def _plain(tier: Tier) -> str:
    return tier.reason.removeprefix("any adversary: ")


def _few(law: UncertainLaw, count: int) -> tuple:
    """The adversary's laws beside the law, the first resamples and the extremes."""
    if not law.adversaries:
        return ()
    others: Sequence = law.adversaries
    last = 1 + len(law.resamples)
    return (*others[: 1 + min(count, len(law.resamples))], *others[last:])
