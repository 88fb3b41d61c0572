"""A law on a grid of ages: what both decision processes of this chapter see of it.

Notation
    d       width of a cell of ages, steps                      ``width``
    G       cells; the last one is open, [(G − 1)d, ∞)          ``len(hazards)``
    ΔΛ_i    Λ((i + 1)d) − Λ(id), one prover's hazard of cell i  ``hazards``

The grid ends where nothing is left to decide: where next to every block has come, or
where the hazard is constant for good (a dead time and then a lottery: at the dead
time's end).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import (
    BlockTimeLaw,
    Real,
    fastest_of,
    mean,
    quantile,
)
from ..estimation.estimate import Refused

# What is older than the grid comes once in so many blocks.
_OLDER = 1e-4
_CONSTANT = 1e-3


class Ages(NamedTuple):
    """A law's hazard by cells of age.

    Attributes:
        width: d, steps.
        hazards: ΔΛ_i of one prover; of the open cell for each further d.
        least: Least hazard of a stretch of length d that begins in the cell.
        most: Greatest one.
        slowest: Least rate of hazard in the cell, per d.
        fastest: Greatest one; infinite where the law has atoms.
    """

    width: float
    hazards: Float[np.ndarray, " ages"]
    least: Float[np.ndarray, " ages"]
    most: Float[np.ndarray, " ages"]
    slowest: Float[np.ndarray, " ages"]
    fastest: Float[np.ndarray, " ages"]

    @property
    def edges(self) -> Float[np.ndarray, " ages"]:
        """Lower ends of the cells, steps."""
        return self.width * np.arange(len(self.hazards))


def ages_of(law: BlockTimeLaw, *, provers: Real, cells: int) -> Ages:
    """Cells of age for a law, fine enough where fewest provers still decide.

    Args:
        law: Of one prover.
        provers: The smaller group's number > 0: its blocks take longest.
        cells: G ≥ 2.

    Returns:
        The grid. It ends at the age from which on the hazard is constant, if the
        smaller group reaches it, else at the age that it passes with chance 1e-4.

    Raises:
        ValueError: For fewer than 2 cells, or no provers.
        Refused: For a law that leaves mass that never ends.
    """
    if cells < 2:
        raise ValueError(f"cells must be ≥ 2, got {cells}")
    if provers <= 0:
        raise ValueError(f"provers must be > 0, got {provers}")
    end = float(quantile(fastest_of(law, provers), 1 - _OLDER))
    constant = _constant_from(law)
    if constant == 0:
        # Memoryless: no age matters, and one width is as good as another.
        constant = mean(law)
    width = min(end, constant) / (cells - 1)
    if not (np.isfinite(end) and width > 0):
        raise Refused(
            "ages: the law leaves mass that never ends, so no age is the last one to "
            "decide at; set abandon_steps or lengthen the horizon"
        )
    edges = width * np.arange(cells + 1)
    hazards = np.diff(_cumulative(law, edges))
    least, most = _extremes(law, width, cells)
    slowest, fastest = _rates(law, width, cells)
    return Ages(
        width,
        hazards,
        np.minimum(least, hazards),
        np.maximum(most, hazards),
        slowest,
        fastest,
    )


def _rates(law: BlockTimeLaw, width: float, cells: int):
    """Least and greatest rate of hazard by cells, per width; the last one is open."""
    if law.lattice:
        return np.zeros(cells), np.full(cells, np.inf)
    inner = np.diff(law.cumulative_hazard) / law.spacing
    rates = np.concatenate([[0.0], inner, [float(law.tail_hazard)]]) * width
    knots = law.offset + law.spacing * np.arange(len(law.cumulative_hazard))
    starts = np.append(0.0, knots)
    edges = width * np.arange(cells)
    # The stretches of constant rate that a cell overlaps by more than rounding.
    slack = 1e-9 * starts[-1]
    first = np.searchsorted(starts, edges + slack) - 1
    last = np.searchsorted(starts, edges + width - slack)
    last[-1] = len(rates)
    found = [rates[i:j] for i, j in zip(first, last, strict=True)]
    least = np.array([each.min() for each in found])
    return least, np.array([each.max() for each in found])


def _extremes(law: BlockTimeLaw, width: float, cells: int):
    """Least and greatest hazard of the stretches that begin in each cell.

    Between knots Λ is linear (constant for a lattice), so a stretch's hazard is so
    too between the places where either end meets a knot: these and their midpoints
    hold every extreme.
    """
    knots = law.offset + law.spacing * np.arange(len(law.cumulative_hazard))
    last = max(float(knots[-1]), width * cells) + width
    edges = width * np.arange(cells)
    places = np.concatenate([[0.0], knots, knots - width, edges, [last]])
    places = np.unique(np.clip(places, 0.0, last))
    places = np.sort(np.append(places, (places[1:] + places[:-1]) / 2))
    windows = _cumulative(law, places + width) - _cumulative(law, places)
    first = np.searchsorted(places, edges)
    # A cell holds its upper end too: Λ's stretches there are limits of its own.
    beyond = windows[np.append(first[1:], len(windows) - 1)]
    least = np.minimum(np.minimum.reduceat(windows, first), beyond)
    most = np.maximum(np.maximum.reduceat(windows, first), beyond)
    return least, most


def _cumulative(law: BlockTimeLaw, times: np.ndarray) -> np.ndarray:
    """Λ by age, from the table (its survival would round to 0)."""
    place = (times - law.offset) / law.spacing
    if law.lattice:
        place = np.floor(place + 1e-9)
    knots = law.cumulative_hazard
    inside = np.interp(place, np.arange(len(knots)), knots)
    beyond = np.maximum(place - (len(knots) - 1), 0.0) * law.spacing
    return inside + beyond * law.tail_hazard


def _constant_from(law: BlockTimeLaw) -> float:
    """Age from which on the hazard is constant; infinite for a lattice."""
    if law.lattice:
        return math.inf
    rates = np.diff(law.cumulative_hazard) / law.spacing
    same = np.isclose(rates, law.tail_hazard, rtol=_CONSTANT, atol=0)
    differs = np.flatnonzero(~same)
    last = differs[-1] + 1 if len(differs) else 0
    return float(law.offset + law.spacing * last)
