r"""How a block's reward is split along the lineage of its model.

Notation
    M_0            the block's own model, S_0 its steps
    M_1, M_2, …    what it refers to, the direct one first
    claim c_j      what model j may ask for, by the rule; share c_j / Σ c_i

    steps          c_j = S_j                     ([SLT23] §4.1)
    equal          c_j = 1
    operations     c_j = S_j · operations of one of its steps
    own            c_0 = 1, else 0
    decay          c_j = S_j δ^j

Claims are whole numbers, so that the ledger pays in whole coins on every machine, and
the analysis of incentives divides the same claims. They are linear in the steps or do
not depend on them: scaled steps give scaled claims.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..learning.architecture import (
    HyperParameters,
    Initialization,
    hash_to_architecture,
)
from ..scheme.instances import DECAY_UNIT
from ..scheme.records import RewardRule, StepPrice, Task, Way

STEPS = RewardRule()
"""The rule of [SLT23]."""


class Contribution(NamedTuple):
    """A model that a block's reward is split among.

    Attributes:
        owner: Who trained it.
        steps: S_j.
        operations: Of one of its steps; only the rule of that name asks.
    """

    owner: bytes
    steps: int
    operations: int = 1


def claims(rule: RewardRule, lineage: Sequence[Contribution]) -> tuple[int, ...]:
    """c_j of every model of a lineage.

    Args:
        rule: The rule.
        lineage: The block's own model, then what it refers to, the direct one first.

    Returns:
        Whole numbers ≥ 0; the block's own claim is > 0 where its steps are.

    Raises:
        ValueError: If there is no model, or one has fewer than 1 step.
    """
    if not lineage or min(each.steps for each in lineage) < 1:
        raise ValueError("a lineage must have a model, and every model steps ≥ 1")
    if rule.family == "equal":
        return (1,) * len(lineage)
    if rule.family == "own":
        return (1, *(0 for _ in lineage[1:]))
    if rule.family == "operations":
        return tuple(each.steps * each.operations for each in lineage)
    if rule.family == "decay":
        last = len(lineage) - 1
        return tuple(
            each.steps * rule.decay**place * DECAY_UNIT ** (last - place)
            for place, each in enumerate(lineage)
        )
    return tuple(each.steps for each in lineage)


def share_out(
    rule: RewardRule, reward: int, lineage: Sequence[Contribution]
) -> dict[bytes, int]:
    """A block's reward in whole coins.

    Args:
        rule: The rule.
        reward: Coins to split.
        lineage: As ``claims`` takes it.

    Returns:
        Coins by public key; they add up to the reward. What rounding leaves over is
        the block's miner's. Whoever is paid nothing by the rule is not named.
    """
    asked = claims(rule, lineage)
    total = sum(asked)
    paid: dict[bytes, int] = {}
    for each, claim in zip(lineage[1:], asked[1:], strict=True):
        if claim:
            paid[each.owner] = paid.get(each.owner, 0) + reward * claim // total
    miner = lineage[0].owner
    rest = reward - sum(paid.values())
    paid[miner] = paid.get(miner, 0) + rest
    return paid


def operations_of(rule: RewardRule, hpp: HyperParameters) -> int:
    """Operations of a step of such a model, as the rule prices it; 1 where it doesn't.

    Only ``operations`` has prices, and its genesis prices every step of the menu.
    """
    if rule.family != "operations":
        return 1
    priced = {
        (each.architecture, each.batch_size): each.operations for each in rule.prices
    }
    return priced[hpp.architecture, hpp.batch_size]


def trained_setting(
    h_1: bytes, task: Task, referenced: HyperParameters | None, way: Way | None
) -> HyperParameters:
    """The hyper-parameters of initM, as ``scheme.initialize`` sets them, unverified."""
    fresh: Initialization = hash_to_architecture(h_1, task.menu)
    if referenced is None:
        return fresh.hpp
    if way == "transplant":
        return fresh.hpp._replace(architecture=referenced.architecture)
    return referenced


def step_prices(operations: dict[tuple[str, int], int]) -> tuple[StepPrice, ...]:
    """Prices of a rule by operations, by architecture and batch size, in one order."""
    return tuple(
        StepPrice(architecture, batch, count)
        for (architecture, batch), count in sorted(operations.items())
    )
