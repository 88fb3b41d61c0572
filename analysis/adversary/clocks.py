r"""The clocks that no adversary can beat: what a level costs it, and what it can delay.

Notation
    X, Λ, S     block time of one prover, cumulative hazard, survival e^{−Λ}
    n_h, n_a    honest and corrupted machines; Δ bound on delays
    A           least time from a block to an adversarial child, by all n_a machines
    D           longest time from "every honest prover has ℓ blocks" to "one has ℓ + 1"
    W(x)        sup_{a ≤ x} Λ(a + Δ) − Λ(a), most hazard of a machine of age ≤ x in Δ

A machine that has worked t since a block was mined has done at most t of work on its
children, however it divides, pauses and resumes it, and none of them is older than t.
With h the hazard of X and work as time, the cumulative hazard of a first child is at
most
    n_a ∫_0^t sup_{a ≤ w} h(a) dw,
that of ``fastest_child``: n_a fresh machines where h rises. Honest machines are at most
Δ old when everybody knows of ℓ blocks and leave only for longer chains, so that
    Pr[D > x] ≤ sup_{a ≤ Δ} (S(a + x)/S(a))^{n_h},
that of ``slowest_level``: n_h fresh machines if new is better than used up to Δ, as it
is where h rises and where Δ is below the dead time.

Where the block times of X are on a lattice, hazards are −ln(1 − chance) at its points,
and a machine needs a spacing of work for each of them. Half-done work that is handed
from machine to machine fills the times between the points, so that A has the lattice's
hazard evenly between them. D, where hazards neither rise nor fall, is bounded on the
law's own grid, at most one spacing too slow.

The race of these two clocks (``bounding_race``) is the private chain's where hazards
rise; otherwise it may be lost though every attack that is known loses.

Source: docs/science/any-adversary.md.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, Real, fastest_of, mean
from ..bounds.arguments import require
from ..estimation.estimate import Refused
from ..race.walk import Race, bounded

NOTHING = "any adversary: nothing is shown of so large a share"


class Windows(NamedTuple):
    """W as a function of age.

    Attributes:
        ages: Ages from which on a machine can have so much hazard, rising, steps.
        most: W there, of one machine.
    """

    ages: Float[np.ndarray, " ages"]
    most: Float[np.ndarray, " ages"]

    def within(self, age: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """W(x), rounded up to the next age that is known."""
        place = np.searchsorted(self.ages, age, side="left")
        return self.most[np.minimum(place, len(self.most) - 1)]

    @property
    def ever(self) -> float:
        """W(∞)."""
        return float(self.most[-1])


def fastest_child(law: BlockTimeLaw, machines: Real) -> BlockTimeLaw:
    r"""Law of A: no strategy of n_a machines has a child of a block earlier.

        Λ_A(t) = n_a ∫_0^t sup_{a ≤ w} h(a) dw

    Args:
        law: X of one corrupted machine (steps).
        machines: n_a > 0.

    Raises:
        ValueError: If there is no machine.
    """
    require("machines", machines, 0 < machines < math.inf, "(0, ∞)")
    g = float(law.spacing)
    steps = np.maximum.accumulate(np.diff(np.asarray(law.cumulative_hazard, float)))
    most = max(float(law.tail_hazard), float(steps[-1]) / g)
    return law._replace(
        cumulative_hazard=float(machines) * np.concatenate([[0.0], np.cumsum(steps)]),
        tail_hazard=float(machines) * most,
        lattice=False,
    )


def slowest_level(law: BlockTimeLaw, provers: Real, delay: Real) -> BlockTimeLaw:
    r"""Law of D: no strategy holds the next level back for longer.

        Λ_D(x) = n_h inf_{a ≤ Δ} Λ(a + x) − Λ(a)

    Args:
        law: X of one honest prover (steps).
        provers: n_h > 0.
        delay: Δ ≥ 0, steps.

    Raises:
        ValueError: If an argument is out of range.
    """
    require("provers", provers, 0 < provers < math.inf, "(0, ∞)")
    require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
    knots = np.asarray(law.cumulative_hazard, float)
    g, offset, tail = float(law.spacing), float(law.offset), float(law.tail_hazard)
    steps = np.diff(knots)
    rises = bool((np.diff(steps) >= -1e-12).all()) and tail * g >= steps[-1] - 1e-12
    if delay <= offset or rises:
        return fastest_of(law, provers)
    old = math.ceil((float(delay) - offset) / g - 1e-9)
    longer = np.concatenate([knots, knots[-1] + tail * g * np.arange(1, old + 1)])
    # A fresh machine, whose dead time is still to come.
    place = (g * np.arange(len(knots)) - offset) / g
    if law.lattice:
        place = np.floor(place + 1e-9)
    least = np.where(
        place > 0, np.interp(place, np.arange(len(longer)), longer), knots[0]
    )
    for age in range(old + 1):
        np.minimum(least, longer[age : age + len(knots)] - longer[age], out=least)
    if not law.lattice:
        # Between points of the grid the least is no straight line: one point later.
        least = np.concatenate([[0.0], least[:-1]])
    return BlockTimeLaw(
        float(provers) * least, g, float(provers) * tail, 0.0, law.lattice
    )


def bounding_race(
    law: BlockTimeLaw,
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
    known_until: Real = math.inf,
) -> Race:
    """The strict race between D and A, bounded (``race.walk.bounded``).

    Args:
        law: X of one honest prover (steps).
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.
        known_until: As ``block_time.empirical.EmpiricalLaw``.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If E[A] ≤ Δ + E[D], or as ``race.walk.outgrows``.
    """
    level = slowest_level(law, honest, delay_steps)
    child = fastest_child(law if adversary is None else adversary, adversarial)
    delay = float(delay_steps)
    least, most = mean(child), delay + mean(level)
    if math.isfinite(most) and least <= most:
        raise Refused(
            f"{NOTHING}, E[A] = {least:.4g} steps is not above Δ + E[D] = {most:.4g}; "
            "a smaller share of the adversary (beta) or a shorter delay_steps"
        )
    known = float(known_until)
    return bounded(Race(level, child, delay, ties_win=False, known_until=known))


def hazard_windows(law: BlockTimeLaw, delay: Real) -> Windows:
    r"""W(x): most hazard that a machine of age at most x has within Δ.

    Where block times are on a lattice, both ends of the window count: two machines may
    end at the same moment.

    Args:
        law: X of one honest prover (steps).
        delay: Δ ≥ 0, steps.

    Raises:
        ValueError: If the delay is out of range.
    """
    require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
    knots = np.asarray(law.cumulative_hazard, float)
    g, offset, tail = float(law.spacing), float(law.offset), float(law.tail_hazard)
    last = len(knots) - 1
    if law.lattice:
        looks = math.floor(float(delay) / g + 1e-9) + 1
        longer = np.concatenate([knots, knots[-1] + tail * g * np.arange(1, looks + 1)])
        most = longer[looks:] - longer[:-looks]
        # Look m counts where the window begins at it, or ends at look m + looks − 1.
        ages = offset + g * (np.arange(len(most)) + looks) - float(delay)
        ages = np.maximum(ages, 0.0)
    else:
        places = g * np.arange(last + 1)
        ages = np.concatenate([[0.0], offset + places, offset + places - float(delay)])
        ages = np.unique(ages[ages >= 0])

        def hazard(age: np.ndarray) -> np.ndarray:
            place = np.maximum(age - offset, 0.0) / g
            beyond = np.maximum(place - last, 0.0) * g * tail
            return np.interp(place, np.arange(last + 1), knots) + beyond

        most = hazard(ages + float(delay)) - hazard(ages)
    return Windows(ages, np.maximum.accumulate(most))


def draws_of(
    law: BlockTimeLaw, hazard: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Λ⁻¹ in float64: the block times of E ~ Exp(1)."""
    knots = np.asarray(law.cumulative_hazard, float)
    last, g, tail = len(knots) - 1, float(law.spacing), float(law.tail_hazard)
    if law.lattice:
        place = np.searchsorted(knots, hazard, side="left").astype(float)
    else:
        place = np.interp(hazard, knots, np.arange(last + 1))
    over = hazard > knots[-1]
    if over.any():
        beyond = (hazard - knots[-1]) / (tail * g) if tail > 0 else np.inf
        beyond = np.ceil(beyond) if law.lattice else beyond
        place = np.where(over, last + beyond, place)
    return float(law.offset) + g * place
