"""Repeated double-spends by the best withholding strategy, for any law.

Notation (``best.py`` has n_h, n_a, γ, T)
    k       confirmations a payment waits for              ``confirmations``
    s       double-spends by settled block                  ``per_block``

A payment is in the first public block of every fork. It is spent twice when the public
branch has k blocks or more and the adversary replaces it: by a strictly longer branch,
or, γ > 0, by a tie that it wins. The attack goes on for ever: it starts again after a
success, gives in whenever that is better, keeps a lead that is left over (so a later
attempt is pre-mined), and aims at the most double-spends by settled block. That is the
process of ``process.py`` with another aim. The mean time between two
successes is replayed; another strategy may have its *first* success sooner.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Key

from ..block_time.law import BlockTimeLaw, Real
from ..estimation.estimate import Estimate, Refused, estimate_ratio
from .best import best_policy
from .policy import Policy
from .replay import replayed


class DoubleSpends(NamedTuple):
    """The best repeated double-spending.

    Attributes:
        policy: The strategy.
        on_grid: s on its grid, an approximation of the best.
        per_block: s in continuous time: a lower end of the best.
        time_between: Mean time between two successes, steps.
    """

    policy: Policy
    on_grid: float
    per_block: Estimate
    time_between: Estimate


def best_double_spends(
    key: Key[Array, ""],
    law: BlockTimeLaw,
    *,
    honest: Real,
    own: Real,
    confirmations: int,
    gamma: Real = 0.0,
    depth: int = 12,
    cells: int = 64,
    steps: int = 4096,
    replicas: int = 2048,
) -> DoubleSpends:
    """The strategy with most double-spends by settled block, and how many they are.

    Args:
        key: Fixes the replay.
        law: Block-time law of one prover (steps).
        honest: n_h > 0.
        own: n_a in (0, n_h).
        confirmations: k, from 1 to T − 1.
        gamma: γ in [0, 1].
        depth: T ≥ 2, longest branch of a fork.
        cells: G ≥ 2, cells of age.
        steps: Events and actions of a replica of the replay.
        replicas: Replicas of the replay.

    Raises:
        ValueError: An argument outside its range.
        Refused: If some block never comes, no policy settles, or the replay has fewer
            than 20 successes.

    Reference: docs/science/adversary.md.
    """
    if not 1 <= confirmations < depth:
        raise ValueError(
            f"confirmations must be from 1 to {depth - 1} (depth - 1), got "
            f"{confirmations}"
        )
    if not own > 0:
        raise ValueError(f"own must be > 0 provers, got {own}")
    rate, policy = best_policy(
        law,
        honest=honest,
        own=own,
        gamma=gamma,
        depth=depth,
        cells=cells,
        worth=0.0,
        prize=(np.arange(depth + 1) >= confirmations).astype(float),
    )
    mine, others, prizes, time = replayed(
        key, policy, law, confirmations=confirmations, steps=steps, replicas=replicas
    )
    if prizes.sum() < 20:
        raise Refused(
            f"double-spends: {int(prizes.sum())} in the replay, at least 20 are "
            "needed; more steps or replicas, or fewer confirmations"
        )
    per_block = estimate_ratio(prizes, mine + others, "double-spends by block")
    between = estimate_ratio(time, prizes, "time between double-spends")
    return DoubleSpends(policy, max(rate, 0.0), per_block, between)
