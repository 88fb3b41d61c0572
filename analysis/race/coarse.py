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
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import fft

from ..block_time.law import Real
from .atoms import Atoms
from .grid import Grid, shift, transform
from .saddle_point import (
    MOST_BEHIND,
    Saddles,
    Walks,
    depths_of,
    log_tail,
    tail_share,
)
from .transforms import Solved, log_risks_from

# Steps of a spread on the finer grid; e^-28 and 6.5 standard deviations of the tilted
# walk must not come round the circle.
_FINE, _NEGLIGIBLE, _DEVIATIONS = 6, 28.0, 6.5
# Most points, beyond which the saddle point has to do.
_MOST_POINTS = 2**17
# Of a tail, in its means under the tilt.
_TAIL_CELL, _TAIL_CELLS = 0.125, 240
# Depths that are looked at together, around a guess.
_WINDOW, _TRIES, _TURNS = 6, 12, 2


class CoarseRace(NamedTuple):
    """A race that is solved on both grids.

    Attributes:
        tilts: Its tilts, one row.
        solved: On the coarser and the finer grid, without and with a head start.
        last: Smallest risk that the grids were made for.
    """

    tilts: Saddles
    solved: tuple[tuple[Solved, Solved], tuple[Solved, Solved]]
    last: Real

    def depths(self, risks: Sequence[Real], *, premined: bool = False) -> list[float]:
        """k*(ε) of each risk, not rounded.

        Of smaller risks than the grids were made for it is the saddle point's, whose
        ln risk is off by c + a/k: by as much as at two depths that the grids have.
        """
        served = [max(risk, self.last) for risk in risks]
        wanted = np.array(list(dict.fromkeys(served)))[:, None]
        guesses = depths_of(self.tilts, wanted, premined=premined)[:, 0]
        both = self.solved[premined]
        known = {
            float(risk): _crossing(both, float(risk), float(guess))
            for (risk,), guess in zip(wanted, guesses, strict=True)
        }
        found = [known[risk] for risk in served]
        deep = [place for place, risk in enumerate(risks) if risk < self.last]
        if deep:
            tail = self._tail(
                np.array([risks[n] for n in deep]), found[deep[0]], premined
            )
            for place, depth in zip(deep, tail, strict=True):
                found[place] = max(depth, found[place])
        return found

    def _tail(self, risks: np.ndarray, last: float, premined: bool) -> list[float]:
        """k* of risks beyond the last depth that the grids have."""
        begin = max(1, int(last) // 2)
        off = [
            log - float(log_tail(self.tilts, k, premined=premined)[0])
            for k, log in (
                (begin, self.log_risk(begin, premined=premined)),
                (last, math.log(self.last)),
            )
        ]
        a = (off[0] - off[1]) / (1 / begin - 1 / max(last, begin + 1))
        c = off[1] - a / last
        depths = np.full(len(risks), last)
        for _ in range(_TURNS):
            moved = risks * np.exp(-c - a / depths)
            depths = depths_of(self.tilts, moved[:, None], premined=premined)[:, 0]
        return depths.tolist()

    def log_risk(self, depth: int, *, premined: bool = False) -> float:
        """Ln Pr[violation at depth k], at most 0."""
        return float(_logs(self.solved[premined], depth, 1)[0])


def coarse_race(
    walks: Walks, found: Saddles, risks: Sequence[Real]
) -> CoarseRace | None:
    """A race on grids that serve some risks.

    Args:
        walks: The race, one row.
        found: Its tilts.
        risks: ε.

    Returns:
        None where these grids do not serve: most of a race is in a tail, or it is so
        near its threshold that the grids are large.
    """
    theta, star = float(found.theta_0[0]), float(found.theta_star[0])
    if not math.isfinite(theta + star):
        return None
    if tail_share(walks.public, found.theta_0)[0] > MOST_BEHIND:
        return None
    deepest = float(depths_of(found, min(risks), premined=True)[0])
    spread = float(found.spread[0])
    length = 2 * _DEVIATIONS * spread * math.sqrt(deepest + 4)
    length += 2 * _NEGLIGIBLE * (1 / theta + 2 / (star - theta))
    step = spread / _FINE
    points = int(fft.next_fast_len(math.ceil(length / step / 2), real=True))  # pyright: ignore
    if 2 * points > _MOST_POINTS:
        return None
    grids = [Grid(2 * step, points, False), Grid(step, 2 * points, False)]
    alone, ahead = zip(*(_solved(walks, found, grid) for grid in grids), strict=True)
    return CoarseRace(found, (alone, ahead), min(risks))


def _crossing(both: Sequence[Solved], risk: Real, guess: float) -> float:
    """Where the line through the whole depths reaches the risk."""
    target, first = math.log(risk), max(1, math.ceil(guess) - _WINDOW // 2)
    logs = _logs(both, first, _WINDOW)
    for _ in range(_TRIES):
        if logs[-1] <= target and (logs[0] > target or first == 1):
            break
        # As far as the line through the first two, or the last two, says.
        at = 0 if logs[-1] <= target else _WINDOW - 2
        slope = min(logs[at + 1] - logs[at], -1e-12)
        over = (target - logs[at]) / slope
        first = max(1, first + at + math.ceil(over) - _WINDOW // 2)
        logs = _logs(both, first, _WINDOW)
    below = np.flatnonzero(logs <= target)
    place = int(below[0]) if len(below) else _WINDOW - 1
    if place == 0:
        return float(first)
    slope = min(logs[place] - logs[place - 1], -1e-12)
    return first + place - 1 + float((target - logs[place - 1]) / slope)


def _logs(
    both: Sequence[Solved], first: int, count: int
) -> Float[np.ndarray, " depths"]:
    """Ln risk at depths in a row, by Richardson's step between the grids."""
    coarse, fine = (log_risks_from(each, first, count) for each in both)
    return np.minimum(fine + (fine - coarse) / 3, 0.0)


def _solved(walks: Walks, found: Saddles, grid: Grid) -> tuple[Solved, Solved]:
    """As ``fourier.py``: Spitzer's identity for the maximum, and all that is summed."""
    theta, step, n = float(found.theta_0[0]), grid.step, grid.points
    place, mass = _tilted(walks.public, theta)
    interval = transform(_on_circle(place, mass, grid))
    by_length = transform(_on_circle(place, mass * (place + walks.delay), grid))
    draw = np.conj(transform(_on_circle(*_tilted(walks.private, -theta), grid)))
    delay = float(walks.delay)
    walk = interval * draw * shift(delay, grid)
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
    rest = shift(2 * delay, grid) * maximum * np.conj(transform(weights)) / n
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
