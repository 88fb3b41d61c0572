r"""Dead time and a lottery against every adversary, by the memoryless chain's bounds.

Notation
    S_0, λ      dead time and then the rate of all n provers together; X = S_0 + Exp
    q, x        n_a/n, and λΔ = Δ/(B − S_0), B the mean interval without delay

Put level ℓ at the time t − ℓ S_0. A prover that goes up one level has S_0 more to do
and S_0 more that is taken off: it goes on as if it had no memory. The chain is then the
memoryless one of rate λ with the same Δ and the same depths, of which the bounds of
Gaži, Ren and Russell are known. Proved without a dead time, and with one for the
private and the pre-mined chain. For other strategies with a dead time it is
conditional: a machine that goes up before its dead time is over gains what was left of
it, stored work goes back in the new time, and what comes first on two levels may change
places.

Levels are compared at their own times: "the private level ℓ before the public one". An
attack that may be late until the next public block, as with ties that win, is not
covered: only the strict criterion.

Source: docs/science/any-adversary.md; Gaži, Ren, Russell, CRYPTO'23.
"""

import math
from typing import NamedTuple

import numpy as np

from ..block_time.law import BlockTimeLaw, Real
from ..bounds.latency import Bracket
from ..bounds.settlement import gazi_ren_russell
from ..estimation.estimate import Refused
from .assumptions import ASSUMPTIONS, Grade

WARP = (
    "(c2) the change of time level by level holds for strategies that leave a level "
    "before its dead time is over"
)


class Warped(NamedTuple):
    """The memoryless chain that a law with a dead time becomes.

    Attributes:
        share: q.
        delay: x, in mean memoryless intervals.
        dead_time: S_0, steps.
        grade: How far it is proved.
        assumptions: What it assumes, a sentence each.
    """

    share: float
    delay: float
    dead_time: float
    grade: Grade
    assumptions: tuple[str, ...]

    def risk(self, depth: int) -> Bracket:
        """What some strategy achieves at a depth, and what none exceeds.

        Raises:
            Refused: As ``bounds.settlement.gazi_ren_russell``.
        """
        return gazi_ren_russell(self.share, depth, x=self.delay)


def warped(
    law: BlockTimeLaw, *, honest: Real, adversarial: Real, delay_steps: Real
) -> Warped:
    """The memoryless chain of a law with a dead time and a lottery.

    Args:
        law: X = S_0 + Exp of one prover (steps), everybody's.
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.

    Raises:
        Refused: If the law is none: its hazard is not one number after the dead time.
    """
    steps = np.diff(np.asarray(law.cumulative_hazard, float)) / float(law.spacing)
    rate = float(law.tail_hazard)
    apart = float(np.abs(steps - rate).max())
    if law.lattice or not rate > 0 or apart > 1e-6 * rate:
        raise Refused(
            "any adversary: the law is no dead time followed by a lottery of one rate, "
            "and only that becomes memoryless; the exponent serves every law"
        )
    total = float(honest) + float(adversarial)
    dead = float(law.offset)
    proved = dead == 0
    return Warped(
        share=float(adversarial) / total,
        delay=rate * total * float(delay_steps),
        dead_time=dead,
        grade="proved" if proved else "conditional",
        assumptions=ASSUMPTIONS if proved else (*ASSUMPTIONS, WARP),
    )


def warp_depth(found: Warped, target: Real, *, most: int = 400) -> float:
    """Smallest depth at which no strategy exceeds ε; inf beyond the threshold.

    Raises:
        Refused: If no depth up to ``most`` does, or as ``Warped.risk``.
    """
    if found.risk(1).upper >= 1 and found.risk(1).lower >= 1:
        return math.inf
    low, high = 0, 1
    while found.risk(high).upper > target:
        if high >= most:
            raise Refused(
                f"any adversary: no depth up to {most} brings the memoryless bound to "
                f"{target:g}; a larger target, or the exponent"
            )
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        if found.risk(middle).upper > target:
            low = middle
        else:
            high = middle
    return float(high)
