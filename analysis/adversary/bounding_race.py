"""The race of the two clocks that no adversary can beat, as it can be tilted.

The private chain's own race is ``race/walk.py``'s. Here the public level is D and the
adversary's block A (``clocks.py``): the same where hazards rise, and otherwise a race
that may be lost though every attack that is known loses.
"""

import math

from ..block_time.law import BlockTimeLaw, Real, mean
from ..estimation.estimate import Refused
from ..race.walk import Race, bounded
from .clocks import fastest_child, slowest_level

NOTHING = "any adversary: nothing is shown of so large a share"


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
