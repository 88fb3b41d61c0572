r"""What N runs say of trainings that are faster than all of them.

Notation
    N           training runs; c_j of them have an accuracy ≥ T_acc at look j
    p_2         chance that a look with such an accuracy is a block
    U_j         upper confidence bound on Pr[accuracy ≥ T_acc at look j], all j at once
    e           steps between looks

The law of N runs says that nobody trains faster than the fastest of them. A bound
against every adversary rests on just that: the hazard of a fresh machine's first looks.
With Clopper–Pearson's U_j at 1 − (1 − C)/m for m looks, all U_j hold together with
confidence C (Bonferroni). A block at look j needs its accuracy there, so that
Pr[block at look j] ≤ p_2 U_j, whatever came before, and the hazard of the look is at
most

    −ln(1 − p_2 U_j / (1 − p_2 Σ_{i<j} U_i)).

Where the step rule fixes S_min it is no estimate: no block before S_min is valid, and
only looks from there on need a bound.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy import special

from ..block_time.law import BlockTimeLaw, Real
from ..bounds.arguments import require

CONFIDENCE = 0.95


def early_looks(
    passed: Bool[np.ndarray, "runs looks"],
    *,
    confidence: Real = CONFIDENCE,
    looks: int | None = None,
) -> Float[np.ndarray, " early"]:
    """U_j of the first looks.

    Args:
        passed: Whether run i has an accuracy ≥ T_acc at look j.
        confidence: C in (0, 1), of all looks together.
        looks: m; None: those up to the first that a quarter of the runs pass.

    Raises:
        ValueError: If an argument is out of range.
    """
    require("confidence", confidence, 0 < confidence < 1, "(0, 1)")
    count = passed.sum(axis=0)
    runs, all_looks = passed.shape
    often = np.flatnonzero(count * 4 >= runs)
    first = int(often[0]) + 1 if len(often) else all_looks
    used = first if looks is None else int(looks)
    require("looks", used, 1 <= used <= all_looks, f"1 ... {all_looks}")
    count = count[:used].astype(float)
    left = (1 - float(confidence)) / used
    # The whole sample leaves no room above.
    high = special.betaincinv(count + 1, np.maximum(runs - count, 1e-9), 1 - left)
    return np.where(count >= runs, 1.0, high)


def with_early_looks(
    law: BlockTimeLaw,
    early: Float[np.ndarray, " early"],
    *,
    p_2: Real,
    check_every: Real,
    s_min: Real = 0,
) -> BlockTimeLaw:
    """The law with as much hazard at its first looks as the runs do not exclude.

    Args:
        law: X of one machine (steps).
        early: U_j of looks 1, 2, ...
        p_2: Chance of a look in (0, 1].
        check_every: e, steps.
        s_min: Steps before which no block is valid, a constant of the protocol.

    Returns:
        A law of the same grid whose hazard is nowhere less than the law's, and not less
        than the bound at the first looks, to within a spacing.

    Raises:
        ValueError: If p_2 is out of range.
    """
    require("p_2", p_2, 0 < p_2 <= 1, "(0, 1]")
    e, g = float(check_every), float(law.spacing)
    looks = e * np.arange(1, len(early) + 1)
    chance = np.where(looks >= float(s_min), float(p_2) * early, 0.0)
    before = 1 - np.concatenate([[0.0], np.cumsum(chance)[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(before > 0, chance / before, 1.0)
    hazard = -np.log1p(-np.minimum(share, 1 - 1e-12))
    # On the law's own grid, carried on to before its dead time.
    start, knots = float(law.offset), np.asarray(law.cumulative_hazard, float)
    gone = math.floor(start / g + 1e-9)
    if float(s_min) > 0:
        gone = min(gone, max(0, math.ceil((start - float(s_min)) / g - 1e-9) + 1))
    offset = start - gone * g
    own = np.diff(np.concatenate([np.zeros(gone), knots])[: len(knots)])
    if law.lattice:
        # All of a look's hazard at the last point of the grid that is not after it.
        per_cell = np.zeros_like(own)
        place = np.floor((looks - offset) / g + 1e-9).astype(int) - 1
        inside = (place >= 0) & (place < len(own))
        np.add.at(per_cell, place[inside], hazard[inside])
    else:
        # Evenly over the interval that ends at the look.
        ends = offset + g * np.arange(len(knots))
        until = np.concatenate([[0.0], np.cumsum(hazard)])
        so_far = np.interp(ends, np.concatenate([[0.0], looks]), until)
        so_far[0] = 0.0
        per_cell = np.diff(so_far)
    return law._replace(
        cumulative_hazard=np.concatenate([[0.0], np.cumsum(np.maximum(own, per_cell))]),
        offset=offset,
    )
