r"""What a block pays its miner, of the reward, as a function of its steps.

Notation
    S, S'_j      steps of the block's own model; of what it refers to
    R(S)         the miner's share of the reward, by the ledger's claims
    ε            elasticity d ln R / d ln S; by steps: 1 − R

    by steps     R = S/(ΣS'_j + S),   dR/d ln S = R(1 − R) ≤ ¼

The shares are those of ``models.chain.rewards.claims``, which the ledger pays by.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from ...models.chain.rewards import STEPS, Contribution, claims
from ...models.scheme.records import RewardRule

_MOST = 10.0**7
_POINTS = 257

ShareOf = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]


def own_share(
    steps: float | int,
    references: Sequence[float | int],
    rule: RewardRule = STEPS,
    *,
    operations: float | int = 1,
    reference_operations: float | int = 1,
) -> float:
    """R of one block.

    Args:
        steps: S ≥ 1, rounded.
        references: S'_j, the direct one first.
        rule: How rewards are split.
        operations: Of a step of the block's model.
        reference_operations: Of a step of each referenced model.

    Raises:
        ValueError: As ``models.chain.rewards.claims``.
    """
    lineage = [Contribution(b"", round(steps), round(operations))]
    lineage += [
        Contribution(b"", round(each), round(reference_operations))
        for each in references
    ]
    asked = claims(rule, lineage)
    return asked[0] / sum(asked)


def share_curve(
    references: Sequence[float | int], rule: RewardRule = STEPS, **operations
) -> ShareOf:
    """R(S) for many S at once: at 257 step counts, straight lines between.

    Args:
        references: S'_j.
        rule: How rewards are split.
        operations: As ``own_share`` takes them.
    """
    steps = np.unique(np.round(np.geomspace(1, _MOST, _POINTS)))
    shares = np.array([own_share(s, references, rule, **operations) for s in steps])

    def share(given: np.ndarray) -> np.ndarray:
        return np.interp(np.maximum(given, 1.0), steps, shares)

    return share


def mean_share_curve(
    reference_steps: Sequence[float | int] | np.ndarray, rule: RewardRule = STEPS
) -> ShareOf:
    """R(S) of a block that refers to one model of random steps, on average.

    Args:
        reference_steps: S', as measured; at most nine quantiles of them stand for it.
        rule: How rewards are split.
    """
    given = np.asarray(reference_steps, float)
    levels = (np.arange(9) + 0.5) / 9
    some = np.quantile(given, levels) if len(given) > 9 else given
    curves = [share_curve([each], rule) for each in some]

    def share(steps: np.ndarray) -> np.ndarray:
        return np.mean([curve(steps) for curve in curves], axis=0)

    return share


def elasticity(share: float | int) -> float:
    """ε = d ln R/d ln S = 1 − R of the rule by steps."""
    if not 0 <= share <= 1:
        raise ValueError(f"share must be in [0, 1], got {share}")
    return 1.0 - float(share)


def self_reference_gain(
    steps: float | int,
    others: Sequence[float | int],
    rule: RewardRule = STEPS,
    *,
    parts: int = 2,
) -> float:
    """What it gains to bring one training as several models of one's own, a Sybil.

    A training of S steps is cut into ``parts`` model transactions that refer to each
    other; others' models stand behind them in the lineage.

    Args:
        steps: S of the whole training, at least ``parts``.
        others: Steps of others' models that it starts from, the direct one first.
        rule: How rewards are split.
        parts: Own models, the block's included; 1: no identity more.

    Returns:
        Relative gain of income: 0 where the rule does not care.
    """
    if parts < 1 or steps < parts:
        raise ValueError(f"parts must be from 1 to steps = {steps}, got {parts}")
    whole = own_share(steps, others, rule)
    size, rest = divmod(round(steps), parts)
    own = [size + (place < rest) for place in range(parts)]
    lineage = [Contribution(b"", each) for each in (*own, *map(round, others))]
    asked = claims(rule, lineage)
    return sum(asked[:parts]) / sum(asked) / whole - 1.0
