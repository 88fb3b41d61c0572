r"""Laws as masses at places, for races that are solved many at a time.

Notation
    x, v        mean and variance of an atom: a group of a table's cells
    y           distance to the mean within it

Under a tilt an atom has E[e^{θ(x+y)}] = e^{θx}(1 + θ²v/2) but for O(θ³E[y³]).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, Real
from .walk import LEFT_OUT

# Most cells of a table that become an atom: of 8192 knots, 512 atoms.
_GROUP, _FINE = 16, 64

# One for all laws, or one of each.
Rates = float | Float[np.ndarray, " laws"]


class Atoms(NamedTuple):
    """Laws as masses, one law a row, and an exponential tail.

    Attributes:
        log_mass: Of each atom; −inf for none.
        place: Its mean, steps.
        variance: About it.
        tail: Log mass, begin and rate of what is left behind the atoms, of all laws or
            of each (−inf, 0, inf for none); None: nothing.
    """

    log_mass: Float[np.ndarray, "laws atoms"]
    place: Float[np.ndarray, "#laws atoms"]
    variance: Float[np.ndarray, "#laws atoms"]
    tail: tuple[Rates, Rates, Rates] | None = None

    def rows(self, which: np.ndarray) -> "Atoms":
        """Some of the laws, by their numbers or by whether each is one of them."""

        def some(each: Any) -> Any:
            # What is one for all laws stays so.
            alone = np.ndim(each) == 0 or (len(each) == 1 < len(self.log_mass))
            return each if alone else each[which]

        tail = None if self.tail is None else tuple(map(some, self.tail))
        return Atoms(self.log_mass[which], some(self.place), some(self.variance), tail)

    @property
    def limit(self) -> Rates:
        """Tilts must be below it."""
        return math.inf if self.tail is None else self.tail[2]


def condensed(law: BlockTimeLaw, provers: Real) -> Atoms:
    """The fastest of n provers as atoms: its table's cells in groups, and its tail.

    Args:
        law: Of one prover.
        provers: n.
    """
    g, n = float(law.spacing), float(provers)
    knots = n * np.asarray(law.cumulative_hazard, float)
    # What lies beyond is left out as ``walk.bounded`` does.
    last = min(int(np.searchsorted(knots, LEFT_OUT)), len(knots) - 1)
    knots = knots[: last + 1] - knots[0]
    step = np.diff(knots)
    mass = np.exp(-knots[:-1]) * -np.expm1(-step)
    if law.lattice:
        place = g * np.arange(1, last + 1)
    else:
        # The mean of a falling density within its cell.
        small = np.minimum(step, 4.0)
        place = g * (np.arange(last) + 0.5 - small / 12 + small**3 / 720)
    # As many cells an atom as leave ``_FINE`` atoms where most of the law lies.
    body = int(np.searchsorted(knots, 1.0) - np.searchsorted(knots, 1e-3))
    size = min(max(body // _FINE, 1), _GROUP)
    groups = np.arange(0, last, size)
    total = np.add.reduceat(mass, groups)
    kept = total > 0
    safe = np.where(kept, total, 1.0)
    mean = np.add.reduceat(mass * place, groups) / safe
    apart = place - np.repeat(mean, size)[:last]
    variance = np.add.reduceat(mass * apart**2, groups) / safe
    if not law.lattice:
        variance = variance + g**2 / 12
    tail, rate = None, n * float(law.tail_hazard)
    if knots[-1] < LEFT_OUT and rate > 0:
        tail = -float(knots[-1]), float(law.offset) + g * last, rate
    return Atoms(
        np.log(total[kept])[None],
        float(law.offset) + mean[kept][None],
        variance[kept][None],
        tail,
    )


def stacked(laws: Sequence[Atoms], most: int = 0) -> Atoms:
    """Laws of one row each as the rows of one.

    Args:
        laws: The laws.
        most: Atoms that a row has at least, so that a law's sums are the same bits
            beside any others.
    """
    most = max(most, *(each.log_mass.shape[1] for each in laws))

    def rows(name: str, empty: float) -> Float[np.ndarray, "laws atoms"]:
        found = np.full((len(laws), most), empty)
        for row, each in zip(found, laws, strict=True):
            values = getattr(each, name)[0]
            row[: len(values)] = values
        return found

    tail = None
    if any(each.tail is not None for each in laws):
        tails = [each.tail or (-math.inf, 0.0, math.inf) for each in laws]
        log_mass, begin, rate = np.array(tails, float).T
        tail = log_mass, begin, rate
    return Atoms(
        rows("log_mass", -math.inf), rows("place", 0.0), rows("variance", 0.0), tail
    )


def together(laws: Sequence[Atoms], most: int) -> Atoms:
    """The laws of some, all known at their own places, as rows one after the other.

    Args:
        laws: Each with one row of places for its laws, and without a tail.
        most: Atoms of a row; what a law has fewer are empty.
    """

    def rows(name: str, empty: float) -> Float[np.ndarray, "laws atoms"]:
        found = np.full((sum(len(each.log_mass) for each in laws), most), empty)
        first = 0
        for each in laws:
            values, last = getattr(each, name), first + len(each.log_mass)
            found[first:last, : values.shape[1]] = values
            first = last
        return found

    return Atoms(rows("log_mass", -math.inf), rows("place", 0.0), rows("variance", 0.0))


def atoms_of(
    alive: Float[np.ndarray, "laws times"],
    times: Float[np.ndarray, " times"],
    provers: Real,
) -> Atoms:
    """The fastest of n of laws known at some times, uniform in between."""
    mass = -np.diff(alive ** float(provers), axis=-1)
    with np.errstate(divide="ignore"):
        log_mass = np.log(np.maximum(mass, 0.0))
    middle = (times[1:] + times[:-1]) / 2
    return Atoms(log_mass, middle[None], (np.diff(times) ** 2 / 12)[None])
