"""Sums of block times: one thing after another, and tries until one succeeds.

Notation (that of ``law.py``):
    X, Y         independent times                        ``first``, ``second``
    X + Y        one after the other                      ``followed_by``
    Σ_{j ≤ G} X_j, G ~ Geometric(s)   until one succeeds  ``retried``

The result is a table over 14 of its means with a constant hazard beyond it. Its mean
is exact; masses are good to a cell, 14 means over 8192.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy import fft, signal

from ..estimation.estimate import Refused
from .law import (
    HAZARD_CAP,
    KNOTS,
    BlockTimeLaw,
    Real,
    mean,
    quantile,
    survival,
)

_MEANS = 14.0
# Beyond e^-34 there is nothing that could be put on the table.
_ENDED = -math.expm1(-34.0)
_LEFT, _ROUNDED = 1e-3, 1e-10


def followed_by(first: BlockTimeLaw, second: BlockTimeLaw) -> BlockTimeLaw:
    """Law of X + Y.

    Raises:
        Refused: If one of them may never end.
    """
    exact = _mean(first) + _mean(second)
    offset = float(first.offset) + float(second.offset)
    spacing = _length(exact - offset, first, second) / (KNOTS - 1)
    cdf, other = (_on_cells(law, spacing) for law in (first, second))
    mass = np.diff(other, prepend=0.0)
    # Mass of a cell lies in its middle, that of the first knot on it.
    middle = (cdf + np.concatenate([[0.0], cdf[:-1]])) / 2
    total = mass[0] * cdf
    total[1:] += signal.fftconvolve(mass[1:], middle[1:])[: KNOTS - 1]
    return _law(total, spacing, offset, exact)


def retried(law: BlockTimeLaw, success: Real) -> BlockTimeLaw:
    """Law of Σ_{j ≤ G} X_j with G ~ Geometric(s): tries until one succeeds.

    Args:
        law: Law of one try.
        success: s in (0, 1].

    Raises:
        Refused: If a try may never end.
    """
    if not 0 < success <= 1:
        raise ValueError(f"success must be in (0, 1], got {success}")
    if success == 1:
        return law
    exact = _mean(law) / success
    spacing = _MEANS * exact / (KNOTS - 1)
    # Masses rounded to their nearest knot.
    edges = spacing * (np.arange(2 * KNOTS) + 0.5)
    mass = np.diff(1 - survival(law, edges), prepend=0.0)
    one = np.asarray(fft.rfft(mass, 4 * KNOTS))
    total = fft.irfft(success * one / (1 - (1 - success) * one), 4 * KNOTS)
    cdf = np.cumsum(np.asarray(total)[:KNOTS])
    # A knot holds the mass of half a cell after it too, so it stands there.
    return _law(cdf, spacing, spacing / 2, exact)


def _on_cells(law: BlockTimeLaw, spacing: float) -> Float[np.ndarray, " knots"]:
    return 1 - survival(law, float(law.offset) + spacing * np.arange(KNOTS))


def _length(span: float, *laws: BlockTimeLaw) -> float:
    """What the table must cover: both laws to their end, or 14 means."""
    ends = sum(float(quantile(each, _ENDED)) - float(each.offset) for each in laws)
    return min(ends, _MEANS * span) if span > 0 else ends


def _law(cdf: np.ndarray, spacing: float, offset: float, exact: float) -> BlockTimeLaw:
    cdf = np.clip(np.maximum.accumulate(cdf), 0.0, 1.0)
    cdf[0] = 0.0
    # 1e-13: what a transform's rounding leaves of nothing.
    alive = np.where(1.0 - cdf > 1e-13, 1.0 - cdf, math.exp(-HAZARD_CAP))
    hazard = -np.log(alive)
    law = BlockTimeLaw(hazard, spacing, math.inf, offset, False)
    if alive[-1] > _LEFT:
        rest = exact - mean(law._replace(tail_hazard=1e30))
        hazard_behind = float(alive[-1]) / rest
    else:
        # So little is left that the mean says nothing about it: the hazard of the last
        # stretch above the rounding goes on.
        last = int(np.searchsorted(-alive, -_ROUNDED))
        first = last - max(1, last // 16)
        hazard_behind = float(hazard[last - 1] - hazard[first - 1])
        hazard_behind /= spacing * (last - first)
    law = law._replace(tail_hazard=hazard_behind)
    return law._replace(offset=max(0.0, offset + exact - mean(law)))


def _mean(law: BlockTimeLaw) -> float:
    value = mean(law)
    if not math.isfinite(value):
        raise Refused(
            "block times: a law that may never end has no sum with another one; set "
            "abandon_steps or lengthen the horizon"
        )
    return value
