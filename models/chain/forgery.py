"""What a forged proof costs, in training, against challenges of either kind.

The forger trains some segments of a proof honestly, the last one among them (it is
always run again), and invents the states between the others.

Notation:
    m = n − 1          segments besides the last, of ``every`` steps each
    L                  steps of the last segment; S = m·every + L
    q                  segments of the m that are drawn and run again
    j                  honest ones of the m; the forged pass with C(j, q)/C(m, q)

**Draws the forger cannot choose** (from a block that is not its own). Training is a
function of the pre-hash, and a pre-hash that was convicted is refused
(``Ledger``): so every attempt is hashed and trained anew, and costs (j·every + L) steps
at least. The expected work until one passes is least for one forged segment, j = m − 1:

    W = min_j (j·every + L)·C(m, q)/C(j, q) = ((m − 1)·every + L)·m/(m − q),  1 ≤ q < m

which is ≥ S: whoever forges trains more than whoever does not. Without draws W = L;
with q ≥ m nothing can be forged, W = ∞.

**Draws the forger can re-roll** at a price c in steps (a hash where the draw is the
proof's own; a segment and a lottery ticket where its own later block draws):

    W = min_j (j·every + L) + (C(m, q)/C(j, q) − 1)·c
"""

import math
from typing import NamedTuple


class Shape(NamedTuple):
    """How a proof is cut.

    Attributes:
        others: m, segments besides the last.
        every: Steps of each of them.
        last: L, steps of the last one.
    """

    others: int
    every: int
    last: int

    @classmethod
    def of(cls, steps: int, every: int) -> "Shape":
        """The shape of a proof of S steps with a checkpoint every so many."""
        others = (steps - 1) // every
        return cls(others, every, steps - others * every)

    @property
    def steps(self) -> int:
        """S."""
        return self.others * self.every + self.last


def expected_work(shape: Shape, challenges: int) -> float:
    """W where the forger cannot choose the draws, in training steps.

    Args:
        shape: The proof.
        challenges: q.
    """
    others, every, last = shape
    if challenges >= others and (challenges or not others):
        return math.inf
    if challenges == 0:
        return float(last)
    return ((others - 1) * every + last) * others / (others - challenges)


def ground_work(shape: Shape, challenges: int, price: float) -> float:
    """W where the forger may re-roll the draws, in training steps.

    Args:
        shape: The proof.
        challenges: q.
        price: c, of one more roll, in training steps.
    """
    others, every, last = shape
    if challenges >= others and (challenges or not others):
        return math.inf
    q, least = challenges, math.inf
    chance = 1.0  # C(j, q)/C(m, q), from j = m − 1 down
    for honest in range(others - 1, q - 1, -1):
        chance *= (honest + 1 - q) / (honest + 1)
        rolls = math.inf if chance == 0 else 1 / chance - 1
        least = min(least, honest * every + last + rolls * price)
    return least


def challenges_needed(shape: Shape, least: int, unit: float) -> int:
    """The fewest draws q ≥ ``least`` at which forging costs at least ``unit`` steps.

    A short proof needs more of them: a forger chooses how long the proof is that it
    claims, and a block pays the same whatever S is. So ``unit`` is what an honest block
    takes, not S.

    Args:
        shape: The proof.
        least: q that is drawn at least; 0 stays 0, nothing is drawn.
        unit: Training steps that a forgery must cost.
    """
    others, every, last = shape
    if least == 0 or others == 0:
        return min(least, others)
    # m − q ≤ m·((m − 1)·every + L)/unit, in whole numbers of draws.
    free = math.floor(others * ((others - 1) * every + last) / unit)
    return min(max(least, others - free), others)
