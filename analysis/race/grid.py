"""The grid on which a private race is solved, and its laws put there.

Notation (the race is that of ``race.py``)
    η           grid step, time
    n           points of the circle on which the transforms work
    δ           fixed part of X = H − A: dead times and delay

A continuous law keeps the exact tilted mass and mean of each cell, shared by the two
points around the mean; so does δ. Two lattice laws are exact where a grid of
at most 1/512 of their spacing holds both and δ.
"""

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from ..block_time.law import BlockTimeLaw
from ..block_time.tilt import centre, log_moment, log_phi, tail_length, tilted
from ..estimation.estimate import Refused
from .walk import Race, Tilt

MAXIMUM_POINTS = 2**22
# e^-45 is below the rounding of the largest term.
_NEGLIGIBLE = 45.0
_STEPS_A_SPREAD = 24
_LARGEST_DENOMINATOR = 512


class Grid(NamedTuple):
    """A grid on which a race is solved.

    Attributes:
        step: η, steps of time.
        points: Points of the circle of the transforms.
        exact: Whether both laws and δ lie on it.
    """

    step: float
    points: int
    exact: bool


def grid_for(race: Race, tilt: Tilt, depth: int) -> Grid:
    """The coarsest grid that serves a depth."""
    common = _common_step(race)
    if common is not None and _points(common, race, tilt, depth) <= MAXIMUM_POINTS:
        return Grid(common, _points(common, race, tilt, depth), True)
    # Knots of the law lie on the grid: a jump of the hazard is then no error.
    g = float(race.honest.spacing)
    atoms = race.honest.lattice and race.adversary.lattice
    smooth = min(tilt.spread, tilt.scale) / (_STEPS_A_SPREAD * (8 if atoms else 1))
    step = g / math.ceil(g / smooth) if g > smooth else smooth
    points = _points(step, race, tilt, depth)
    if 4 * points > MAXIMUM_POINTS:
        raise Refused(
            f"persistence at depth {depth}: {4 * points} grid points are needed, at "
            f"most {MAXIMUM_POINTS} are allowed; the depth is too great, or the race "
            f"too near its threshold (a block of depth lowers ln risk by "
            f"{-tilt.log_rate:.2g}): ask for smaller depths or a smaller adversary"
        )
    return Grid(step, points, False)


def finer(grid: Grid, halvings: int) -> Grid:
    """The same circle with steps of η/2^halvings."""
    return Grid(grid.step / 2**halvings, grid.points * 2**halvings, False)


def _points(step: float, race: Race, tilt: Tilt, depth: int) -> int:
    # Nothing that counts may come round the circle: nine standard deviations of the
    # tilted walk, and the exponential tails of the maxima on both sides.
    sides = 1 / tilt.theta_0 + (2 if race.premined else 1) / (
        tilt.theta_star - tilt.theta_0
    )
    length = 18 * tilt.spread * math.sqrt(depth + 2) + 2 * _NEGLIGIBLE * sides
    return int(fft.next_fast_len(math.ceil(length / step), real=True))  # pyright: ignore


def _common_step(race: Race) -> float | None:
    """The grid that holds both lattice laws and every shift between them."""
    if not (race.honest.lattice and race.adversary.lattice):
        return None
    g = float(race.honest.spacing)
    shift = float(race.honest.offset) + race.delay - float(race.adversary.offset)
    shares = []
    for length in (float(race.adversary.spacing), shift):
        share = Fraction(length / g).limit_denominator(_LARGEST_DENOMINATOR)
        if abs(float(share) - length / g) > 1e-9 * max(1.0, abs(length / g)):
            return None
        shares.append(share)
    return g / math.lcm(*(share.denominator for share in shares))


def transform(values: Float[np.ndarray, " points"]) -> np.ndarray:
    """Fourier transform at the frequencies 0 ... ⌊n/2⌋."""
    return np.asarray(fft.rfft(values))


def shift(time: float, grid: Grid) -> Complex[np.ndarray, " frequencies"]:
    """Transform of a fixed time, shared by the two points around it (mean kept)."""
    place = time / grid.step
    nearest = round(place)
    place = float(nearest) if abs(place - nearest) < 1e-6 else place
    low = math.floor(place)
    turn = -2j * math.pi * np.arange(grid.points // 2 + 1) / grid.points
    share = place - low
    return np.exp(turn * low) * (1 - share + share * np.exp(turn))


def on_grid(
    law: BlockTimeLaw,
    theta: float,
    grid: Grid,
    *,
    longer_by: float | None = None,
    until: float = math.inf,
) -> Float[np.ndarray, " points"]:
    """Tilted law of X − offset on the circle: each cell's mass and mean are kept.

    Args:
        law: The law of X.
        theta: The tilt.
        grid: The grid.
        longer_by: If given, X − offset + this is an interval to be drawn by length.
        until: As for ``tilted_law.tilted``.
    """
    place, log_mass = _masses(law, theta, grid, until)
    mass = np.exp(log_mass - log_mass.max())
    if longer_by is not None:
        mass = mass * (place + longer_by)
    place = place / grid.step
    nearest = np.round(place)
    place = np.where(np.abs(place - nearest) < 1e-6, nearest, place)
    low = np.floor(place)
    share = place - low
    index = low.astype(np.int64) % grid.points
    circle = np.bincount(index, mass * (1 - share), grid.points)
    after = (index + 1) % grid.points
    circle += np.bincount(after, mass * share, grid.points)
    return circle / circle.sum()


def _masses(law: BlockTimeLaw, theta: float, grid: Grid, until: float):
    """Means of the law's parts and ln of their tilted masses, down to e^-45."""
    cells = tilted(law, theta, until)
    total = log_moment(law, theta, until)[0] - theta * float(law.offset)
    matters = np.flatnonzero(cells.log_mass > total - _NEGLIGIBLE)
    knots, g = np.asarray(law.cumulative_hazard, float), float(law.spacing)
    last, rate = len(knots) - 1, float(law.tail_hazard)
    end = int(matters[-1]) + 1
    if law.lattice:
        place, log_mass = g * np.arange(1, min(end, last) + 1), cells.log_mass[:last]
        log_mass = log_mass[: len(place)]
        if end > last:
            m = np.arange(1, math.ceil(_tail(law, theta, until) / g) + 1)
            atom = -knots[-1] + math.log(-math.expm1(-rate * g)) - rate * g * (m - 1)
            log_mass = np.append(log_mass, theta * g * (last + m) + atom)
            place = np.append(place, g * (last + m))
        return place, log_mass
    far = g * min(end, last) + (_tail(law, theta, until) if end > last else 0.0)
    x = grid.step * np.arange(math.ceil(far / grid.step) + 1)
    x = np.append(x[:-1], far) if until < math.inf else x
    beyond = rate * np.maximum(x - g * last, 0.0) if rate > 0 else 0.0
    hazard = np.interp(x / g, np.arange(last + 1), knots) + beyond
    step = np.diff(x) if until < math.inf else grid.step
    slope = np.diff(hazard) - theta * step
    with np.errstate(divide="ignore"):
        log_mass = (
            theta * x[:-1] - hazard[:-1] + np.log(np.diff(hazard)) + log_phi(slope)
        )
    return x[:-1] + step * centre(slope), log_mass


def _tail(law: BlockTimeLaw, theta: float, until: float) -> float:
    """Time behind the table that matters under the tilt, of a tail that matters."""
    rate, length = float(law.tail_hazard), tail_length(law, until)
    # An exponential that rises to where it is cut may matter over all its length.
    return length if rate <= theta else min(length, _NEGLIGIBLE / (rate - theta))
