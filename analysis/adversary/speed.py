r"""The largest adversary that no strategy makes too fast: growth, speed, threshold.

Notation (A and D are those of ``clocks.py``)
    F(ℓ)        first moment at which an honest prover holds a chain of length ≥ ℓ
    T_r(ℓ)      first moment of an adversarial block at level ℓ whose last honest
                ancestor is at level r
    β*          share of the machines from which on E[A] ≤ Δ + E[D]

Growth:      F(ℓ + 1) − F(ℓ) ≤ Δ + D_ℓ        whatever the adversary does
Speed:       T_r(ℓ + 1) − T_r(ℓ) ≥ A_ℓ^{(r)}   however it divides its machines
Threshold:   if E[A] > Δ + E[D], and an honest block is the only one of its level with
             positive chance, blocks that no strategy ever removes come again and again.

All A and D are independent, of one law each. Under (a1)–(a5) this is proved for every
law of block times, rising hazards, dead times and lotteries alike. It is the memoryless
threshold of Gaži, Kiayias, Russell and of Dembo et al. for exponential laws. Where the
hazard rises the private chain is therefore the worst attack for the threshold: there A
and D are the fastest of n_a and of n_h fresh machines. Elsewhere the threshold may lie
below the private race's, and between the two nothing is known.

One machine that is n_a times as fast as one is another law (a4): it needs the
training's sequential steps once, not n_a times side by side.

Source: docs/science/any-adversary.md; Gaži, Kiayias, Russell, CCS'20; Dembo et al.,
CCS'20, for memoryless laws.
"""

import math
from typing import NamedTuple

from scipy import optimize

from ..block_time.law import BlockTimeLaw, Real, mean
from ..bounds.arguments import Count, require
from ..estimation.estimate import Refused
from .assumptions import ASSUMPTIONS, Grade
from .clocks import fastest_child, slowest_level


class Speed(NamedTuple):
    """What a level costs the adversary, and what it may cost the honest chain.

    Attributes:
        child: E[A], steps.
        level: Δ + E[D], steps.
        margin: E[A] − E[D] − Δ: positive is safe from every strategy; inf without an
            adversary.
        grade: How far it is proved.
        assumptions: What it assumes, a sentence each.
    """

    child: float
    level: float
    margin: float
    grade: Grade = "proved"
    assumptions: tuple[str, ...] = ASSUMPTIONS


class AnyThreshold(NamedTuple):
    """The largest adversary that is outgrown whatever it does.

    Attributes:
        beta: β*, where the margin is 0; a share between whole machines.
        adversarial: Most machines that may be corrupted, whole.
        grade: How far it is proved.
        assumptions: What it assumes, a sentence each.
    """

    beta: float
    adversarial: int
    grade: Grade = "proved"
    assumptions: tuple[str, ...] = ASSUMPTIONS


def any_speed(
    law: BlockTimeLaw,
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
) -> Speed:
    r"""E[A], Δ + E[D] and what is between them.

    Args:
        law: X of one honest prover (steps).
        honest: n_h > 0.
        adversarial: n_a ≥ 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If an honest level may last for ever.
    """
    require("adversarial", adversarial, 0 <= adversarial < math.inf, "[0, ∞)")
    slow = mean(slowest_level(law, honest, delay_steps))
    if not math.isfinite(slow):
        raise Refused(
            "any adversary: the honest law leaves mass that never ends, so a level may "
            "last for ever; set abandon_steps or lengthen the horizon"
        )
    if adversarial == 0:
        return Speed(math.inf, float(delay_steps) + slow, math.inf)
    own = law if adversary is None else adversary
    child = mean(fastest_child(own, adversarial))
    level = float(delay_steps) + slow
    return Speed(child, level, child - level)


def any_threshold(
    law: BlockTimeLaw,
    *,
    provers: Count,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
) -> AnyThreshold:
    r"""Largest β that no strategy makes unsafe.

        β* solves E[A of βn] = Δ + E[D of (1−β)n]

    Args:
        law: X of one honest prover (steps).
        provers: n ≥ 2.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If an honest level may last for ever, or the margin has no root.
    """
    require("provers", provers, bool(provers >= 2), "{2, 3, ...}")
    count = int(provers)

    def margin(beta: float) -> float:
        return any_speed(
            law,
            honest=(1 - beta) * count,
            adversarial=beta * count,
            delay_steps=delay_steps,
            adversary=adversary,
        ).margin

    low, high = 1e-6 / count, 1 - 1e-6 / count
    if not margin(low) > 0 > margin(high):
        raise Refused(
            f"any adversary: the margin has no root, it is {margin(low):g} steps a "
            f"level almost without adversary and {margin(high):g} almost without "
            "honest provers; a shorter delay_steps may help where the first is not "
            "positive"
        )
    beta = float(optimize.brentq(margin, low, high, xtol=1e-13))  # pyright: ignore
    return AnyThreshold(beta, math.ceil(beta * count - 1e-9) - 1)


def one_fast_machine(law: BlockTimeLaw, machines: Real) -> BlockTimeLaw:
    """The same power in one machine, n_a times as fast: what (a4) leaves out.

    Args:
        law: X of one machine (steps).
        machines: n_a > 0, whose power it has.

    Returns:
        X/n_a, the law of one machine.
    """
    require("machines", machines, 0 < machines < math.inf, "(0, ∞)")
    n = float(machines)
    return law._replace(
        spacing=law.spacing / n,
        tail_hazard=law.tail_hazard * n,
        offset=law.offset / n,
    )
