"""A run's three tiers of confirmations, as measurements.

The rows ``private_chain_depth``, ``best_attack_depth`` and ``any_adversary_depth`` at
the target, all by the criterion of ``analysis/adversary/tiers.py``; the last one is a
bound, conditional. The proved one takes draws: ``dpodl risk`` has it.
"""

from collections.abc import Sequence

from ...analysis.adversary.tiers import Tier, criterion, three_tiers
from ...analysis.block_time.uncertain import UncertainLaw
from ...analysis.estimation.estimate import Estimate
from ...analysis.estimation.measurement import Measurement
from ...analysis.estimation.quantities import (
    ANY_ADVERSARY_DEPTH,
    BEST_ATTACK_DEPTH,
    PRIVATE_CHAIN_DEPTH,
)
from ..config.experiment import Config

# A depth moves little from resample to resample.
_RESAMPLES = 8
TIERS = (PRIVATE_CHAIN_DEPTH, BEST_ATTACK_DEPTH, ANY_ADVERSARY_DEPTH)


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
    lacking = beyond_tiers(config)
    if lacking:
        return [], [f"any adversary: {lacking}"]
    adversarial = float(config.attackers)
    found = three_tiers(
        some_resamples(law),
        honest=config.network.provers - adversarial,
        adversarial=adversarial,
        delay_steps=float(config.network.delay_steps),
        target=config.security.target,
        ties=config.protocol.adopted,
        seed=None,
    )
    basis = law.basis(config.network.provers - adversarial, adversarial)
    said = criterion(config.protocol.adopted)
    rows, refusals = [], []
    for name, tier in zip(TIERS, found[:3], strict=True):
        if tier.depth is None:
            refusals.append(f"{tier.name}: {_plain(tier)}")
            continue
        method = f"{tier.grade}: {tier.depth.method}; {said}"
        estimate: Estimate = tier.depth._replace(method=method)
        at = float(config.security.target)
        rows.append(
            Measurement(name, at, "target", estimate, unit="blocks", basis=basis)
        )
    return rows, list(dict.fromkeys(refusals))


def beyond_tiers(config: Config) -> str:
    """Why the tiers are not of the config's world; empty if they are.

    Strategies are other plays of the same machines: the tiers are of their world too.
    """
    net, rules = config.network, config.protocol
    beyond = []
    if rules.chain_rule != "longest":
        beyond.append(f"protocol.chain_rule = {rules.chain_rule} (known: longest)")
    if not net.equal_speeds:
        beyond.append("network.classes of unequal speeds (known: speed 1)")
    if net.delay_model in ("random", "table"):
        beyond.append(
            f"network.delay_model = {net.delay_model} (known: worst_case, fixed)"
        )
    if not beyond:
        return ""
    return (
        "the bound is of equal provers on the longest chain whose messages take at "
        f"most Δ, and says nothing of {'; '.join(beyond)}"
    )


def some_resamples(law: UncertainLaw, count: int = _RESAMPLES) -> UncertainLaw:
    """The law with a few of its resamples, which are enough for a depth or a share."""
    kept = law.resamples[:count]
    return law._replace(resamples=kept, adversaries=_few(law, len(kept)))


def _plain(tier: Tier) -> str:
    return tier.reason.removeprefix("any adversary: ")


def _few(law: UncertainLaw, count: int) -> tuple:
    """The adversary's laws beside the law, the first resamples and the extremes."""
    others: Sequence = law.adversaries
    last = 1 + len(law.resamples)
    return (*others[: 1 + count], *others[last:])
