r"""Confirmations of a race on grids that are as coarse as they may be.

Notation (that of ``fourier.py``, ``walk.py`` and ``saddle_point.py``)
    η           grid step, time
    φ̃           transform of the law of X = H − A under the tilt θ_0
    k*(ε)       confirmations for risk ε, not rounded

``fourier.py`` solves a race to a tenth of a permille and says how well it did, for a
hundred depths, in tens of milliseconds. A point of a design needs a few depths, to a
small part of a block: laws of 512 atoms (``saddle_point.condensed``) on two grids of
σ/``_FINE`` and half as many steps, with one Richardson step between their ln risks.
Between whole depths ln risk is a line, so that k* is smooth in all parameters and the
next whole number is the depth. The tests hold it against ``fourier.smallest_depths``.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy import fft

from ..block_time.law import Real
from .grid import Grid, shift, transform
from .saddle_point import MOST_BEHIND, Atoms, Saddles, Walks, depths_of, tail_share
from .transforms import Solved, log_risk

# Steps of a spread on the finer grid; e^-28 and 6.5 standard deviations of the tilted
# walk must not come round the circle.
_FINE, _NEGLIGIBLE, _DEVIATIONS = 6, 28.0, 6.5
# Most points, beyond which the saddle point has to do.
_MOST_POINTS = 2**17
# Of a tail, in its means under the tilt.
_TAIL_CELL, _TAIL_CELLS = 0.125, 240
_TRIES = 12


def coarse_depths(
    walks: Walks, found: Saddles, risks: Sequence[Real]
) -> tuple[list[float], list[float]] | None:
    """k*(ε) of one race for several risks, without and with a head start.

    Args:
        walks: The race, one row.
        found: Its tilts.
        risks: ε.

    Returns:
        The depths, not rounded; None where these grids do not serve: most of a race is
        in a tail, or it is so near its threshold that the grids are large.
    """
    theta, star = float(found.theta_0[0]), float(found.theta_star[0])
    if not math.isfinite(theta + star):
        return None
    if tail_share(walks.public, found.theta_0)[0] > MOST_BEHIND:
        return None
    guesses = [
        [float(depths_of(found, risk, premined=ahead)[0]) for risk in risks]
        for ahead in (False, True)
    ]
    spread = float(found.spread[0])
    length = 2 * _DEVIATIONS * spread * math.sqrt(max(map(max, guesses)) + 4)
    length += 2 * _NEGLIGIBLE * (1 / theta + 2 / (star - theta))
    step = spread / _FINE
    points = int(fft.next_fast_len(math.ceil(length / step / 2), real=True))  # pyright: ignore
    if 2 * points > _MOST_POINTS:
        return None
    grids = [Grid(2 * step, points, False), Grid(step, 2 * points, False)]
    pairs = zip(*(_solved(walks, found, grid) for grid in grids), strict=True)
    depths = [
        [_crossing(both, risk, guess) for risk, guess in zip(risks, own, strict=True)]
        for both, own in zip(pairs, guesses, strict=True)
    ]
    return depths[0], depths[1]


def _crossing(both: Sequence[Solved], risk: float, guess: float) -> float:
    """Where the line through the whole depths reaches the risk."""
    target, depth = math.log(risk), max(1, math.ceil(guess) - 1)
    known: dict[int, float] = {}

    def at(k: int) -> float:
        if k not in known:
            coarse, fine = (log_risk(each, k) for each in both)
            known[k] = min(fine + (fine - coarse) / 3, 0.0)
        return known[k]

    over = 0.0
    for _ in range(_TRIES):
        slope = min(at(depth + 1) - at(depth), -1e-12)
        # Within (depth, depth + 1], or how far from there.
        over = (target - at(depth)) / slope
        if 0 < over <= 1:
            break
        further = max(1, depth + math.ceil(over) - 1)
        if further == depth:
            break
        depth = further
    return max(depth + over, 1.0)


def _solved(walks: Walks, found: Saddles, grid: Grid) -> tuple[Solved, Solved]:
    """As ``fourier.py``: Spitzer's identity for the maximum, and all that is summed."""
    theta, step, n = float(found.theta_0[0]), grid.step, grid.points
    place, mass = _tilted(walks.public, theta)
    interval = transform(_on_circle(place, mass, grid))
    by_length = transform(_on_circle(place, mass * (place + walks.delay), grid))
    draw = np.conj(transform(_on_circle(*_tilted(walks.private, -theta), grid)))
    walk = interval * draw * shift(walks.delay, grid)
    rate = float(found.log_rate[0])
    inner = np.log(1 - math.exp(rate) * walk)
    logarithm = np.asarray(fft.irfft(inner, n))  # pyright: ignore
    falls = np.exp(-theta * step * np.arange((n + 1) // 2))
    d = np.zeros(n)
    ahead = np.arange(1, (n + 1) // 2)
    d[ahead] = -logarithm[ahead]
    maximum = np.exp(transform(d) - float((d[ahead] * falls[ahead]).sum()))
    weights = np.zeros(n)
    weights[: n // 2] = falls[: n // 2]
    weights[0] = 0.5
    # V = 2Δ + H_0, less the delay that is in the interval: the first, and the grace.
    rest = shift(2 * walks.delay, grid) * maximum * np.conj(transform(weights)) / n
    # A real sequence: all frequencies but 0 and n/2 stand for two.
    rest[1 : (n + 1) // 2] *= 2
    size = np.log(np.maximum(np.abs(walk), 1e-300))
    angle, start = np.angle(walk), float(found.start[0])
    later = start + float(found.longer[0])
    return (
        Solved(size, angle, rest * interval, start, rate),
        Solved(size, angle, rest * by_length * maximum, later, rate),
    )


def _tilted(atoms: Atoms, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Places and masses under the tilt; a tail in eighths of its tilted mean."""
    logs = atoms.log_mass[0] + theta * atoms.place[0]
    logs = logs + np.log1p(0.5 * theta**2 * atoms.variance[0])
    place = atoms.place[0] + theta * atoms.variance[0]
    if atoms.tail is not None:
        log_mass, begin, rate = atoms.tail
        left = rate - theta
        cells = _TAIL_CELL * np.arange(_TAIL_CELLS)
        behind = log_mass + theta * begin + math.log(rate / left)
        behind += math.log(-math.expm1(-_TAIL_CELL)) - cells
        within = 1 - _TAIL_CELL / math.expm1(_TAIL_CELL)
        place = np.append(place, begin + (cells + within) / left)
        logs = np.append(logs, behind)
    mass = np.exp(logs - logs.max())
    return place, mass / mass.sum()


def _on_circle(
    place: Float[np.ndarray, " atoms"], mass: Float[np.ndarray, " atoms"], grid: Grid
) -> Float[np.ndarray, " points"]:
    """Masses at their places, shared by the two points around each: mean kept."""
    where = place / grid.step
    low = np.floor(where)
    share, index = where - low, low.astype(np.int64) % grid.points
    circle = np.bincount(index, mass * (1 - share), grid.points)
    circle += np.bincount((index + 1) % grid.points, mass * share, grid.points)
    return circle / circle.sum()
