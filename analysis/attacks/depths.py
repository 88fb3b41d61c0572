"""How deep a payment must be buried under an attack's laws.

Notation (that of ``table.py``)
    k(ε)    smallest depth with Pr[violation at depth k] ≤ ε
    A, θ_0  the adversary's interval under the attack; tilt of the even race
"""

import math
from collections.abc import Sequence

from ..block_time.tilt import log_moment
from ..race.fourier import smallest_depths
from ..race.walk import Race, bounded, outgrows, race, tilts
from ..simulation.levels import Network
from .attack import Attack
from .situation import LawSituation, Situation


def depths_of(
    attack: Attack,
    at: Situation | LawSituation,
    targets: Sequence[float],
    *,
    ties_win: bool = True,
) -> tuple[float, ...]:
    """k(ε) of an attack for each target; inf where its chain outgrows the public one.

    A free block at the start is one draw A less in the race. Where equal length does
    not revert, the race is then the one where it does, exactly. Otherwise it is worth a
    factor 1/E[e^{−θ_0 A}] on the risk to leading order under the tilt θ_0, which errs
    towards deeper: under the tilt the race has drifted by E[A] more.

    Raises:
        Refused: As ``race.fourier.smallest_depths``.
    """
    free = attack.free_blocks
    if free and not ties_win:
        free, ties_win = free - 1, True
    running = race_under(attack, at, ties_win)
    if outgrows(running):
        return (math.inf,) * len(targets)
    if free:
        saved = log_moment(running.adversary, -tilts(bounded(running)).theta_0)[0]
        targets = [each * math.exp(free * saved) for each in targets]
    return tuple(float(d.depth) for d in smallest_depths(running, targets))


def race_under(attack: Attack, at: Situation | LawSituation, ties_win: bool) -> Race:
    """The private race under the attack's laws."""
    return race(
        network_under(attack, at),
        ties_win=ties_win,
        premined=attack.premined,
        known_until=attack.known_until,
    )


def network_under(attack: Attack, at: Situation | LawSituation) -> Network:
    """The network under the attack's laws."""
    return Network(
        attack.honest, at.honest, at.adversarial, at.delay_steps, attack.adversary
    )
