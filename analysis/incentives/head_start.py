r"""Attempts that take time: what a faster solver is first at, and what it wins by that.

A proof of work whose attempt takes long is not memoryless: after each block everybody
starts an attempt anew, and nobody can win before one ends. Notation:

    α       share of the work of the fast solver's owner             ``share``
    L       attempts of a slow solver in a block interval            ``attempts``
    s       a fast solver ends s attempts in the time of a slow one  ``speed_up``
    m, M    expected solutions of a fast attempt, α/(Ls), and of the others' slow
            attempt, (1 − α)/L; counts are Poisson

The fast owner tries alone at j/s of a slow attempt, j < s; the last of its attempts
ends with the others' first. It wins a block with

    W = (1 − e^{−(s−1)m} + e^{−(s−1)m} w) / (1 − e^{−(sm + M)}),

w its chance in that moment: 1 − e^{−m} if it wins ties, the same times (1 + e^{−M})/2
with a fair coin, and e^{−M}(1 − e^{−m}) if it loses them.

The claim of zcash#764 (25 %, s = 2: +20 %, +10 %, < .05 % blocks at L = 2, 4, 100) is
met at L = 2 and 4 if the fast owner wins every tie; its last number is not: that is .4
%. With a fair coin the head start brings half, +10.4 %, +5.0 % and +.2 %.
"""

import math
from typing import Literal

Ties = Literal["won", "fair", "lost"]


def expected_head_start(share: float, *, attempts: float | int, speed_up: int) -> float:
    """Expected solutions of the fast owner before anybody else's attempt ends.

    (s − 1)m: each fast attempt that ends before the first slow one.
    """
    _require(share, attempts, speed_up)
    return (speed_up - 1) * share / (attempts * speed_up)


def head_start_share(
    share: float,
    *,
    attempts: float | int,
    speed_up: int,
    ties: Ties = "fair",
) -> float:
    """W, the fast owner's share of the blocks.

    Args:
        share: α, in (0, 1).
        attempts: L > 0.
        speed_up: s ≥ 1, a whole number.
        ties: Who wins where both have a solution in the same moment.

    Raises:
        ValueError: If a number is out of range.
    """
    _require(share, attempts, speed_up)
    mine = share / (attempts * speed_up)
    others = (1.0 - share) / attempts
    before = math.exp(-(speed_up - 1) * mine)
    found = -math.expm1(-mine)
    alone = math.exp(-others)
    chance = {"won": 1.0, "fair": (1.0 + alone) / 2, "lost": alone}[ties]
    won = 1.0 - before + before * found * chance
    return won / -math.expm1(-(speed_up * mine + others))


def head_start_gain(share: float, **setting) -> float:
    """Blocks more than α's, as a share of α's; arguments of ``head_start_share``."""
    return head_start_share(share, **setting) / share - 1.0


def _require(share: float, attempts: float | int, speed_up: int) -> None:
    if not (0 < share < 1 and attempts > 0 and speed_up >= 1):
        raise ValueError(
            "share must be in (0, 1), attempts > 0 and speed_up ≥ 1, got "
            f"{share}, {attempts} and {speed_up}"
        )
