"""A private race solved on one grid: its transforms, and a depth's risk from them.

Notation (that of ``fourier.py``, which says why it is done so)
    η           grid step, time
    φ̃           transform of the law of X = H − A on the grid under the tilt θ_0
    d_s         −[ηs] ln(1 − e^{K(θ_0)} φ̃), Spitzer's identity for the maximum M
    U           V + S_k + M, whose sum Σ_{u ≥ 0} e^{−θ_0 u} p̃_U(u) is the risk's
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from .grid import Grid, on_grid, shift, transform
from .walk import Race, Tilt, log_start

# Depths in a row that are solved from one to the next.
_STRETCH = 12


class Solved(NamedTuple):
    """Everything but the depth.

    Attributes:
        size: ln |φ̃| at the transform's frequencies.
        angle: Argument of φ̃.
        rest: Transforms of V, M, W times that of the weights e^{−θ_0 u}, u ≥ 0.
        log_scale: ln of what the tilt took out.
        log_rate: K(θ_0).
    """

    size: Float[np.ndarray, " frequencies"]
    angle: Float[np.ndarray, " frequencies"]
    rest: Complex[np.ndarray, " frequencies"]
    log_scale: float
    log_rate: float


def solve(race: Race, tilt: Tilt, grid: Grid) -> tuple[Solved, float]:
    """All transforms of a race on a grid, and the mass that rounding is relative to."""
    theta, step, n = tilt.theta_0, grid.step, grid.points
    interval = on_grid(race.honest, theta, grid, until=race.until)
    draw = np.conj(transform(on_grid(race.adversary, -theta, grid)))
    early, late = float(race.honest.offset) + race.delay, float(race.adversary.offset)
    walk = transform(interval) * draw * shift(early - late, grid)
    # ln(1 − e^K φ̃) by Spitzer: its positive places make the maximum's law.
    logarithm = np.asarray(
        fft.irfft(np.log(1 - math.exp(tilt.log_rate) * walk), n)  # pyright: ignore
    )
    d = np.zeros(n)
    ahead = np.arange(1, (n + 1) // 2)
    d[ahead] = -logarithm[ahead]
    # Sums here are NumPy's: BLAS splits a dot product by its threads, and where it does
    # the last digit depends on the machine's cores.
    log_untilted = float((d[ahead] * np.exp(-theta * step * ahead)).sum())
    maximum = np.exp(transform(d) - log_untilted)

    if race.premined:
        interval = on_grid(race.honest, theta, grid, longer_by=early, until=race.until)
    start = transform(interval) * (1.0 if race.ties_win else draw)
    grace = race.delay + early - (0.0 if race.ties_win else late)
    place = step * np.arange(n // 2)
    weights = np.zeros(n)
    log_scale = log_start(race, theta)
    if grid.exact:
        # The grace need not lie on the grid: U + grace ≥ 0 from the first point on.
        first = math.ceil(-grace / step - 1e-6)
        log_scale -= theta * (grace + step * first)
        start = start * shift(-step * first, grid)
        weights[: n // 2] = np.exp(-theta * place)
    else:
        start = start * shift(grace, grid)
        weights[: n // 2] = np.exp(-theta * place)
        weights[0] = 0.5
    total = start * maximum ** (2 if race.premined else 1)
    rest = total * np.conj(transform(weights)) / n
    # A real sequence: all frequencies but 0 and n/2 stand for two.
    rest[1 : (n + 1) // 2] *= 2
    size = np.log(np.maximum(np.abs(walk), 1e-300))
    solved = Solved(size, np.angle(walk), rest, log_scale, tilt.log_rate)
    return solved, float(np.real(total[0]))


def log_risk(solved: Solved, depth: int) -> float:
    """Ln Pr[violation at depth k]; rounding may leave it above 0."""
    # |φ̃|^k leaves few frequencies where k is large.
    counts = np.flatnonzero(solved.size > -45.0 / depth)
    rest, angle = solved.rest[counts], depth * solved.angle[counts]
    power = np.exp(depth * solved.size[counts])
    turned = np.real(rest) * np.cos(angle) - np.imag(rest) * np.sin(angle)
    # Rounding may leave a sum of nothing at −1e-17; the refusal follows from its size.
    value = max(float((power * turned).sum()), 1e-300)
    return math.log(value) + solved.log_scale + depth * solved.log_rate


def log_risks_from(
    solved: Solved, first: int, count: int
) -> Float[np.ndarray, " depths"]:
    """``log_risk`` of ``count`` depths in a row; rounding may leave it above 0."""
    counts = np.flatnonzero(solved.size > -45.0 / first)
    step = np.exp(solved.size[counts] + 1j * solved.angle[counts])
    power = solved.rest[counts] * np.exp(
        first * solved.size[counts] + 1j * (first * solved.angle[counts])
    )
    values = np.empty(count)
    for place in range(count):
        values[place] = np.real(power).sum()
        power *= step
    scale = solved.log_scale + solved.log_rate * (first + np.arange(count))
    return np.log(np.maximum(values, 1e-300)) + scale


def log_risks(solved: Solved, depths: Sequence[int]) -> Float[np.ndarray, " depths"]:
    """``log_risk`` of each depth, at most 0; of a stretch, from one to the next."""
    first, last = depths[0], depths[-1]
    if len(depths) < _STRETCH or list(depths) != list(range(first, last + 1)):
        return np.array([min(0.0, log_risk(solved, k)) for k in depths])
    counts = np.flatnonzero(solved.size > -45.0 / first)
    step = np.exp(solved.size[counts] + 1j * solved.angle[counts])
    power = solved.rest[counts] * step**first
    logs = []
    for depth in depths:
        value = max(float(np.real(power).sum()), 1e-300)
        scale = solved.log_scale + depth * solved.log_rate
        logs.append(min(0.0, math.log(value) + scale))
        power *= step
    return np.array(logs)
