r"""Verify the tip before training on it, or skip that and start ahead?

    t_v      time of verification, steps            ``verification``
    x        share of tips that are invalid         ``invalid``
    d        deposit that a block on an invalid tip forfeits, in block rewards

All others verify, and nobody trains meanwhile. Who skips starts t_v earlier and wins
with P_s; on an invalid tip what it wins is worth nothing, and d is lost. Who verifies
earns 1/n. Skipping earns P_s (1 − x) − P_s x d, so verifying pays from

    x* = (P_s − 1/n) / (P_s (1 + d)) on;   d = 0:  x* = 1 − (1/n)/P_s,

and with hazard π after a dead time P_s = 1 − e^{−πt_v}(1 − 1/n). Blocks that are
planted to be found invalid raise x for those who skip, at no loss for who verifies.
"""

import math

from ..block_time.law import BlockTimeLaw
from .contest import Side, first_block


def skipping_wins(
    law: BlockTimeLaw, *, provers: int, verification: float | int
) -> float:
    """P_s, chance of the one who skips to have the next block.

    Args:
        law: Block-time law of each.
        provers: n ≥ 2.
        verification: t_v ≥ 0, steps.

    Raises:
        ValueError: If a number is out of range, or the law is a lattice law.
        Refused: As ``contest.first_block``.
    """
    if provers < 2:
        raise ValueError(f"provers must be ≥ 2, got {provers}")
    sides = [Side(law), Side(law, provers - 1, verification)]
    return float(first_block(sides)[0])


def memoryless_skipping_wins(provers: int, advantage: float | int) -> float:
    """P_s of constant hazard: 1 − e^{−πt_v}(1 − 1/n).

    Args:
        provers: n.
        advantage: πt_v.
    """
    return 1.0 - math.exp(-advantage) * (1.0 - 1.0 / provers)


def skipping_gain(
    wins: float,
    *,
    provers: int,
    invalid: float | int,
    deposit: float | int = 0.0,
) -> float:
    """What skipping adds, as a share of the income of who verifies.

    Args:
        wins: P_s.
        provers: n.
        invalid: x.
        deposit: d.
    """
    return provers * wins * (1.0 - invalid * (1.0 + deposit)) - 1.0


def invalid_threshold(
    wins: float, *, provers: int, deposit: float | int = 0.0
) -> float:
    """x*, share of invalid tips from which on verifying pays.

    Args:
        wins: P_s.
        provers: n.
        deposit: d ≥ 0.
    """
    if deposit < 0:
        raise ValueError(f"deposit must be ≥ 0, got {deposit}")
    return (1.0 - 1.0 / (provers * wins)) / (1.0 + deposit)
