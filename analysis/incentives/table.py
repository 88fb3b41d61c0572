r"""Every deviation of one prover, from measured laws: what it gains, and where it pays.

Notation
    fresh, warm, ground    laws of a block from a fresh model, from an mtx, and from a
                           fresh model whose setting was ground for    ``SlotLaws``
    gain                   income of the deviation over the honest one, less 1
    m                      slots in which a model may be referred to

    hoard          keep an mtx for one slot instead of publishing it   ``sharing``
    hoard_slots    the same over m slots, at the best time
    fresh          refer to nothing, where all others refer            ``fresh_gain``
    skip           train on a tip without verifying it                 ``verifying``
    pad            train a block on for a look                         ``padding``
    cheap          twice the steps in the same time, where others are honest
    grind          keep the pre-hashes whose setting learns fast, a quotient of wins
    identities     bring one training as two models                    ``shares``
    pool           two provers as one of twice the speed               ``market``

All others are honest. Skipping is judged at the share of invalid tips that is given;
``invalid_threshold`` is the share from which on verifying pays.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from ...models.scheme.records import RewardRule
from ..attacks.grinding import grind_prehash
from ..attacks.situation import Situation, plain
from ..attacks.warm import step_debt, warm_law
from ..block_time.law import fastest_of, mean
from ..estimation.estimate import Estimate, Refused
from .contest import Side, first_block
from .market import pooling_gain, takeover_speed
from .padding import padding_gain
from .shares import mean_share_curve, self_reference_gain
from .sharing import fresh_gain, sharing
from .slots import GameLaws
from .verifying import invalid_threshold, skipping_gain, skipping_wins

Pays = Literal["yes", "no", "perhaps"]

GAINS = (
    *("hoard", "hoard_slots", "fresh", "skip", "pad", "cheap", "grind"),
    *("identities", "pool"),
)
"""Deviations with a gain."""

_ROUNDING = 1e-9


class Slot(NamedTuple):
    """What a slot is besides its laws.

    Attributes:
        provers: n.
        verification: t_v, steps.
        invalid: x, share of invalid tips.
        deposit: d, block rewards that a block on an invalid tip forfeits.
        slots: m.
        look: Steps that a padded block is trained on for.
    """

    provers: int
    verification: float
    invalid: float = 0.0
    deposit: float = 0.0
    slots: int = 1
    look: float = 1.0


class SlotLaws(NamedTuple):
    """Measured laws of a slot.

    Attributes:
        laws: From a fresh, a referenced and a ground model.
        reference_steps: S' of the models that are referred to.
        hashing: Time of a pre-hash, steps.
    """

    laws: GameLaws
    reference_steps: Int[np.ndarray, " branches"]
    hashing: float


def slot_laws(at: Situation) -> SlotLaws:
    """The laws of a situation, its warm starts those from an mtx.

    Raises:
        Refused: If no training was branched from a model below T_acc, or the runs
            cannot support one of the laws.
    """
    if at.mtx is None:
        raise Refused(
            "incentives: what a model below T_acc saves is not known, since no run "
            "shows one; lower adversary.mtx_share or train longer"
        )
    due = step_debt(at.mtx.reference_steps, 0, at.s_min)
    # One deviator grinds.
    alone = at._replace(beta=1.0 / at.provers)
    lottery = at.lottery
    return SlotLaws(
        GameLaws(
            plain(at).law, warm_law(at, at.mtx, due).law, grind_prehash(alone).adversary
        ),
        at.mtx.reference_steps,
        1.0 / (lottery.p_1 * lottery.hashes_per_step),
    )


def gains(found: SlotLaws, rule: RewardRule, slot: Slot) -> dict[str, float]:
    """Gain of every deviation under a reward rule, and three thresholds.

    Args:
        found: Laws.
        rule: How rewards are split; a step of either model has the same operations.
        slot: Everything else.

    Returns:
        ``GAINS``; ``invalid_threshold`` (x*), ``takeover_speed`` (for half of the
        blocks), ``interval`` (mean time of an honest slot, steps).

    Raises:
        Refused: If a race may never end.
    """
    fresh, warm, ground = found.laws
    assert ground is not None
    provers, hashing = slot.provers, found.hashing
    share = mean_share_curve(found.reference_steps, rule)
    one, several = (
        sharing(fresh, warm, share, provers=provers, hashing=hashing, slots=m)
        for m in (1, slot.slots)
    )
    wins = skipping_wins(warm, provers=provers, verification=slot.verification)
    padding = {"provers": provers, "hashing": hashing}
    ground_wins = float(first_block([Side(ground), Side(fresh, provers - 1)])[0])
    interval = mean(fastest_of(warm, provers))
    typical = max(2.0, interval - hashing)
    found_gains = {
        "hoard": one.gain,
        "hoard_slots": several.gain,
        "fresh": fresh_gain(fresh, warm, share, provers=provers, hashing=hashing),
        "skip": skipping_gain(
            wins, provers=provers, invalid=slot.invalid, deposit=slot.deposit
        ),
        "pad": padding_gain(warm, share, extra=slot.look, **padding),
        "cheap": padding_gain(warm, share, cheaper=2.0, **padding),
        "grind": provers * ground_wins - 1.0,
        "identities": self_reference_gain(
            typical, [float(np.median(found.reference_steps))], rule
        ),
        "pool": pooling_gain(fresh, provers, 2),
        "invalid_threshold": invalid_threshold(
            wins, provers=provers, deposit=slot.deposit
        ),
        "takeover_speed": takeover_speed(fresh, provers - 1),
        "interval": interval,
    }
    # A deviation that changes nothing gains nothing, and not the rounding.
    return {k: 0.0 if abs(v) < _ROUNDING else v for k, v in found_gains.items()}


def pays(gain: Estimate) -> Pays:
    """Whether a gain is surely above 0, surely not, or neither."""
    if gain.low > 0:
        return "yes"
    return "no" if gain.high <= 0 else "perhaps"


def turning_point(gain_by_p_2: Mapping[float, float]) -> float:
    """The p_2 at which a gain changes its sign, between neighbours of a grid.

    Straight in ln p_2; the largest such p_2 where there are several.

    Returns:
        NaN where the sign is the same at all of them.
    """
    points = sorted(gain_by_p_2.items(), reverse=True)
    for (a, at_a), (b, at_b) in pairwise(points):
        if at_a * at_b <= 0 and at_a != at_b:
            weight = at_a / (at_a - at_b)
            return float(np.exp(np.log(a) + weight * (np.log(b) - np.log(a))))
    return float("nan")
