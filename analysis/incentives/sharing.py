r"""Publish a model transaction, or hoard it and start ahead alone?

One slot of n equal provers; one of them holds a model of S' steps that no block has
brought yet. Whoever starts from it has the law X_w of a warm start, else X_c.

    published   all start from it: the winner is each with 1/n, and pays the model's
                miner 1 − R(S) of the reward, R by the reward rule     ``publish``
    hoarded     its miner alone starts from it, and wins with
                h = Pr[X_w < min of n − 1 X_c]                         ``hoard``

With x̄ the mean of the share that goes to the reference, publishing is worth
x̄ + (1 − x̄)/n. Let training take S_own steps from the model and S_own + S' without it,
and the lottery have hazard π. Then h = 1 − e^{−πS'}(1 − 1/n), and publishing pays

    E[S'/(S' + S_own + w)] > 1 − e^{−πS'},    w ~ Exp(nπ),

w the lottery steps of the winner, which count. A rare lottery makes sharing pay; a
model that is far ahead of an easy one is kept.

Several slots: a model may be referred to while it is young enough, m slots. Published,
it is paid in each; hoarded, until a block of its miner shows it.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, special

from ..block_time.law import BlockTimeLaw
from .contest import Side, first_block
from .shares import ShareOf


class Sharing(NamedTuple):
    """What the two are worth, in block rewards over the slots.

    Attributes:
        publish: Income of publishing at once.
        hoard: Income of the best that begins with hoarding, slot by slot.
        reference: x̄, share of a block's reward that goes to the model.
        alone: h, chance to win a slot with the model to oneself.
    """

    publish: float
    hoard: float
    reference: float
    alone: float

    @property
    def gain(self) -> float:
        """What hoarding adds, as a share of the income of publishing."""
        return self.hoard / self.publish - 1.0


def sharing(
    cold: BlockTimeLaw,
    warm: BlockTimeLaw,
    share: ShareOf,
    *,
    provers: int,
    hashing: float | int = 0.0,
    slots: int = 1,
) -> Sharing:
    """Both incomes for any laws.

    Args:
        cold: X_c, law of a block from a fresh model.
        warm: X_w, law of a block from the model in question.
        share: R, the miner's share as a function of the steps of its own model.
        provers: n ≥ 2.
        hashing: Time of a block that is no training (its pre-hash), steps.
        slots: m ≥ 1, slots in which the model may be referred to.

    Returns:
        Incomes, with all other provers honest.

    Raises:
        ValueError: If a count is out of range.
        Refused: As ``contest.first_block``.
    """
    if provers < 2 or slots < 1:
        raise ValueError(
            f"provers must be ≥ 2 and slots ≥ 1, got {provers} and {slots}"
        )
    alone = float(first_block([Side(warm), Side(cold, provers - 1)])[0])
    reference = float(
        first_block([Side(warm, provers)], lambda t: 1.0 - share(t - hashing))[0]
    )
    return _over_slots(alone, reference, provers, slots)


def memoryless_sharing(
    advantage: float | int, *, provers: int, own: float | int = 1.0, slots: int = 1
) -> Sharing:
    """``sharing`` of constant hazard π after S_own steps, by the rule of steps.

    Args:
        advantage: πS' > 0.
        provers: n ≥ 2.
        own: S_own/S'.
        slots: m ≥ 1.
    """
    reference = memoryless_reference(advantage, provers=provers, own=own)
    alone = 1.0 - math.exp(-advantage) * (1.0 - 1.0 / provers)
    return _over_slots(alone, reference, provers, slots)


def memoryless_reference(
    advantage: float | int, *, provers: float | int, own: float | int = 1.0
) -> float:
    """E[S'/(S' + S_own + w)], w ~ Exp(nπ): nz e^a E_1(a), a = nz(1 + S_own/S').

    Args:
        advantage: z = πS'.
        provers: n; infinite: the limit S'/(S' + S_own).
        own: S_own/S'.
    """
    if not (advantage > 0 and own >= 0 and provers > 0):
        raise ValueError(
            "advantage and provers must be > 0 and own ≥ 0, got "
            f"{advantage}, {provers} and {own}"
        )
    if math.isinf(provers):
        return 1.0 / (1.0 + own)
    scale = provers * advantage
    a = scale * (1.0 + own)
    # e^a E_1(a) by its asymptotic series where e^a has no float64.
    scaled = (
        math.exp(a) * float(special.exp1(a))
        if a < 500
        else (1 - 1 / a + 2 / a**2 - 6 / a**3) / a
    )
    return scale * scaled


def sharing_threshold(provers: float | int, *, own: float | int = 1.0) -> float:
    """The πS' up to which publishing pays in one slot, by the rule of steps.

    Args:
        provers: n; infinite: ln((S' + S_own)/S_own), ln 2 where they are equal.
        own: S_own/S' > 0.
    """

    def lead(z: float) -> float:
        return memoryless_reference(z, provers=provers, own=own) + math.expm1(-z)

    found: Any = optimize.brentq(lead, 1e-9, 50.0, xtol=1e-12)
    return float(found)


def _over_slots(alone: float, reference: float, provers: int, slots: int) -> Sharing:
    """The best time to publish, from the last slot backwards."""
    public = reference + (1.0 - reference) / provers
    # From here on hoarding means: keep it in this slot, then what is best.
    best = hoard = 0.0
    for left in range(1, slots + 1):
        hoard = alone * (1.0 + (left - 1) * public) + (1.0 - alone) * best
        best = max(left * public, hoard)
    return Sharing(slots * public, hoard, reference, alone)


def hoarding_slots(found: Sharing, provers: int, slots: int) -> int:
    """In how many of the last m slots keeping the model beats publishing it."""
    incomes = [
        _over_slots(found.alone, found.reference, provers, left)
        for left in range(1, slots + 1)
    ]
    return int(np.sum([each.hoard > each.publish for each in incomes]))


def fresh_gain(
    cold: BlockTimeLaw,
    warm: BlockTimeLaw,
    share: ShareOf,
    *,
    provers: int,
    hashing: float | int = 0.0,
) -> float:
    """Relative gain of the income from blocks of who refers to nothing.

    All others refer to the public model, win sooner and pay for it; who starts afresh
    has the whole reward of the blocks that it still wins.

    Args:
        cold: X_c.
        warm: X_w.
        share: R.
        provers: n ≥ 2.
        hashing: Time of a block that is no training, steps.
    """
    if provers < 2:
        raise ValueError(f"provers must be ≥ 2, got {provers}")
    paid = first_block([Side(warm, provers)], lambda t: share(t - hashing))[0]
    alone = first_block([Side(cold), Side(warm, provers - 1)])[0]
    return float(alone / (paid / provers)) - 1.0
