r"""How fast the risk against every adversary falls: an exponent, and a depth from it.

Notation (A and D are those of ``clocks.py``)
    g       exp(−n_h W(∞)): least chance that a level's first honest block is alone
    ρ       min_θ e^{2θΔ} (g E e^{−θA} E e^{θD} + 1 − g)
    k       confirmations, the block of the transaction included

A level on which two honest blocks meet costs the adversary nothing; every other one
costs it a block on one of two chains, while the honest chain takes Δ + D and a block's
place in it is known to Δ. If all that the adversary has on both chains is one tree,
that grows by A a level, then for every θ, with all roots r before the block and all
ends e after its confirmation,

    Pr[violation at depth k] ≤ Σ_{r, e} e^{θΔ} ρ^{e−r} = e^{θΔ} ρ^k / (1 − ρ)².

That one tree is enough is proved for no delay and the private chain only; where the
adversary has a block on both chains at one level it is not. The bound is conditional on
it; ``permanence.py`` has a proved one, which falls more slowly. Without delay ρ is the
private chain's own exponent, so that no bound falls faster.

It is empty unless E[A] − E[D] > 2Δ/g, though the chain is safe from E[A] − E[D] > Δ on.

Source: docs/science/any-adversary.md.
"""

import math
from typing import NamedTuple

from scipy import optimize

from ..block_time.law import BlockTimeLaw, Real, fastest_of
from ..bounds.arguments import require
from ..estimation.estimate import Refused
from ..race.walk import Race, bounded, cumulant, tilts
from .assumptions import ASSUMPTIONS, Grade
from .clocks import bounding_race, hazard_windows

ONE_TREE = (
    "(c1) on levels where both chains have a block of the adversary's it gains nothing "
    "from a second tree"
)


class Exponent(NamedTuple):
    """The exponent of the risk against every adversary.

    Attributes:
        decay: ρ < 1, by which a block of depth multiplies the risk.
        private_decay: The same of the private chain, of fresh machines.
        theta: The θ of ρ, per step.
        alone: g.
        delay: Δ, steps.
        grade: How far it is proved.
        assumptions: What it assumes, a sentence each.
    """

    decay: float
    private_decay: float
    theta: float
    alone: float
    delay: float
    grade: Grade = "conditional"
    assumptions: tuple[str, ...] = (*ASSUMPTIONS, ONE_TREE)

    def risk(self, depth: int) -> float:
        """min(1, e^{θΔ} ρ^k / (1 − ρ)²)."""
        return math.exp(min(0.0, self._log_risk(depth)))

    def depth(self, target: float) -> int:
        """Smallest k at which that is at most ε."""
        require("target", target, 0 < target < 1, "(0, 1)")
        short = self._log_risk(0) - math.log(target)
        return max(1, math.ceil(short / -math.log(self.decay) - 1e-9))

    def _log_risk(self, depth: int) -> float:
        start = self.theta * self.delay - 2 * math.log1p(-self.decay)
        return start + depth * math.log(self.decay)


def any_exponent(
    law: BlockTimeLaw,
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
    known_until: Real = math.inf,
) -> Exponent:
    r"""ρ and what goes with it.

    Args:
        law: X of one honest prover (steps).
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.
        known_until: As ``block_time.empirical.EmpiricalLaw``.

    Raises:
        ValueError: If an argument is out of range.
        Refused: As ``bounding_race`` and ``race.walk.tilts``; or if E[A] − E[D] ≤ 2Δ/g,
            where ρ is 1.
    """
    own = law if adversary is None else adversary
    delay, known = float(delay_steps), float(known_until)
    late = bounding_race(
        law,
        honest=honest,
        adversarial=adversarial,
        delay_steps=delay_steps,
        adversary=adversary,
        known_until=known_until,
    )
    most = tilts(late).theta_star
    fresh = fastest_of(law, honest), fastest_of(own, adversarial)
    private = tilts(bounded(Race(*fresh, delay, ties_win=False, known_until=known)))
    race = late._replace(delay=0.0)
    alone = math.exp(-float(honest) * hazard_windows(law, delay_steps).ever)

    def log_decay(theta: float) -> float:
        gained = alone * math.exp(cumulant(race, theta)[0]) + 1 - alone
        return 2 * theta * delay + math.log(gained)

    found = optimize.minimize_scalar(
        log_decay,
        bounds=(0.0, most),
        method="bounded",
        options={"xatol": 1e-10 * most},
    )
    if not found.fun < -1e-9:  # pyright: ignore
        room = 2 * delay / alone if alone > 0 else math.inf
        raise Refused(
            f"any adversary: the exponent is 1, E[A] − E[D] is not above 2Δ/g = "
            f"{room:.4g} steps (a block is alone on its level with g ≥ {alone:.3g}); a "
            "shorter delay_steps or a smaller adversary"
        )
    decay, theta = math.exp(float(found.fun)), float(found.x)  # pyright: ignore
    return Exponent(decay, math.exp(private.log_rate), theta, alone, delay)
