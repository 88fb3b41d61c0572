"""How deep is deep enough, down to 2^-128, and up to which adversary.

Notation (``race/walk.py`` says which event)
    k*(ε)       smallest k with Pr[violation at depth k] ≤ ε       ``safe_depths``
    β*(k, ε)    largest β with Pr[violation at depth k] ≤ ε        ``depth_threshold``

Both are of the private race against the slowest public chain that the delay allows,
which bounds a private chain's risk on the simulated network from above (and no other
attack's), and come from the grid (``race/fourier.py``): deterministic, so their error
is that of the law (``training_error.py``). A risk of 2^-128 is no frequency that
anybody has seen: it multiplies levels as independent, which trainings from independent
hashes are as far as the model goes, and takes the law's tail beyond what was observed
as it is extrapolated.

β* is a root in the number of corrupted provers, which need not be whole here: S^{βn} is
a law for every βn > 0.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import optimize

from ..block_time.law import BlockTimeLaw, Real
from ..block_time.uncertain import UncertainLaw
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.sampling import Mapped, one_by_one
from ..estimation.training_error import UNKNOWN, Basis
from ..race.fourier import log_persistence
from ..race.threshold import race_threshold
from ..race.walk import OUTGROWN, TARGETS, race
from ..simulation.levels import Network
from .private_chain import METHOD, private_chain

_SCAN = 24


def safe_depths(
    law: UncertainLaw,
    networks: Callable[[BlockTimeLaw], Network],
    *,
    targets: Sequence[float] = TARGETS,
    premined: bool = False,
    basis: Basis = UNKNOWN,
    progress: Callable[[int, int], None] | None = None,
    mapped: Mapped = one_by_one,
) -> list[Measurement]:
    """k*(ε) for each target, with the training's error.

    Args:
        law: Block-time law of one prover, with its resamples.
        networks: The network under a law.
        targets: ε.
        premined: Whether the adversary starts with its stationary lead.
        basis: What the race rests on (``effective_runs.tilted``).
        progress: Told (laws done, laws).
        mapped: As for ``assessment.one_law.assess``: laws are independent.

    Returns:
        ``safe_depth`` or ``safe_depth_premined`` at each target, blocks. Where a
        resampled law, or one of the extremes, has no safe depth, the interval has no
        upper end.

    Raises:
        Refused: As ``race.fourier.smallest_depths`` under the law of all runs.
    """
    found = private_chain(
        law,
        networks,
        depths=(1,),
        targets=targets,
        premined=premined,
        basis=basis,
        progress=progress,
        mapped=mapped,
    )
    if len(found.depths) < len(targets):
        raise Refused(found.refusals[0])
    if any(math.isinf(m.estimate.value) for m in found.depths):
        raise Refused(OUTGROWN)
    return found.depths


def depth_threshold(
    law: BlockTimeLaw,
    *,
    provers: int,
    delay_steps: Real,
    depth: int,
    target: Real,
    premined: bool = False,
    known_until: Real = math.inf,
    ties_win: bool = True,
    adversary: BlockTimeLaw | None = None,
) -> float:
    """β*(k, ε): the largest corrupted share at which depth k still holds.

    Args:
        law: Block-time law of one prover.
        provers: n ≥ 2.
        delay_steps: Δ.
        depth: k.
        target: ε in (0, 1).
        premined: Whether the adversary starts with its stationary lead.
        known_until: As ``race.walk.Race``.
        ties_win: Whether a private chain of equal length reverts.
        adversary: Law of a corrupted prover; None: the honest one.

    Returns:
        β*, found to 1e-6; a share of n that need not be whole. Where the grid refuses
        shares near the even race, the largest one that it judges to hold.

    Raises:
        Refused: If no share is known to be small enough; says what the grid refused.
        ValueError: If a parameter is out of range.
    """
    if not 0 < target < 1:
        raise ValueError(f"target must be in (0, 1), got {target}")
    if provers < 2:
        raise ValueError(f"provers must be ≥ 2, got {provers}")

    def excess(beta: float) -> float:
        net = Network(
            law, (1 - beta) * provers, beta * provers, float(delay_steps), adversary
        )
        one = race(net, ties_win=ties_win, premined=premined, known_until=known_until)
        logs, _ = log_persistence(one, [depth])
        return float(logs[0]) - math.log(target)

    # From above, where the private chain outgrows the public one: of small adversaries
    # the grid may refuse to speak, and it need not.
    ever = race_threshold(
        law, provers=provers, delay_steps=delay_steps, adversary=adversary
    ).beta
    low = high = ever
    reason = ""
    for share in np.linspace(1.0, 0.0, _SCAN, endpoint=False)[1:]:
        low = float(ever * share)
        try:
            if excess(low) <= 0:
                break
        except Refused as refusal:
            reason = str(refusal)
            continue
        high, reason = low, ""
    else:
        raise Refused(
            f"threshold: depth {depth} is not known to hold {target:g} for any share "
            f"of the adversary that was tried, from {ever:.3g}, where its chain is the "
            f"faster one, down to {low:.3g}; a larger depth or target may hold"
            + (f" ({reason})" if reason else "")
        )

    def judged(beta: float) -> float:
        try:
            return excess(beta)
        except Refused:  # too near the even race: not known to hold
            return 1.0

    return float(optimize.brentq(judged, low, high, xtol=1e-6))  # pyright: ignore


def threshold_estimate(
    law: UncertainLaw,
    threshold: Callable[[BlockTimeLaw], float],
    *,
    basis: Basis = UNKNOWN,
    progress: Callable[[int], None] = lambda done: None,
) -> Estimate:
    """A threshold β* with the error of the training runs.

    Args:
        law: Block-time law of one prover, with its resamples.
        threshold: β* under a law, e.g. ``depth_threshold``.
        basis: What it rests on.
        progress: Told how many laws are done.

    Returns:
        β*; NaN with the reason as method where it is refused under the law of all runs.
    """
    try:
        return law.measured(
            threshold, scale="logit", method=METHOD, basis=basis, progress=progress
        )
    except Refused as refusal:
        return Estimate(math.nan, math.nan, math.nan, 0, f"refused: {refusal}")
