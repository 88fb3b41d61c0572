"""Sums of attempts and hash times on a law's grid.

Notation
    P       pre-hash time, Geometric(p_1) hashes of ``hash_time`` each
    g       spacing of the grid
    U       Σ_j lost^{∗j}: where attempts begin, each lost one followed by the next
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from .law import KNOTS


class Spectrum(NamedTuple):
    """Masses on the grid by their transform, padded so that a product wraps nothing."""

    values: Complex[np.ndarray, " frequencies"]


class Prehash(NamedTuple):
    """The pre-hash time on a grid.

    Attributes:
        mass: Of P, as transform.
        cdf: Pr[P ≤ x] at the knots, each ``early`` later, as transform.
        spared: E[(x − P)⁺] there, ``hash_time`` later.
    """

    mass: Spectrum
    cdf: Spectrum
    spared: Float[np.ndarray, " knots"]


# The laws of resamples share their lotteries and grids.
@lru_cache(maxsize=16)
def prehash_of(p_1: float, hash_time: float, spacing: float, early: float) -> Prehash:
    """The pre-hash time on a grid whose knots hold the CDF ``early`` later."""
    grid = spacing * np.arange(KNOTS) + early
    cdf = np.ones(KNOTS)
    if p_1 < 1:
        misses = np.floor(grid / hash_time + 1e-9) + 1
        cdf = -np.expm1(misses * np.log1p(-p_1))
    excess = prehash_excess(p_1, hash_time, grid + hash_time)
    return Prehash(
        Spectrum(_spectrum(prehash_masses(p_1, hash_time, spacing))),
        Spectrum(_spectrum(cdf)),
        grid - hash_time * (1.0 / p_1 - 1.0) + excess,
    )


def renewals_of(lost: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Σ_j lost^{∗j} on the grid, by doubling: Π_i (δ + lost^{∗2^i})."""
    total = np.zeros_like(lost)
    total[0] = 1.0
    power = lost
    # An attempt takes at least a cell, so 2^13 of them leave the table.
    while power.sum() > 1e-15:
        spectrum = _spectrum(power)
        total = total + _of_spectrum(_spectrum(total) * spectrum)
        power = _of_spectrum(spectrum * spectrum)
    return total


def convolve(
    a: Float[np.ndarray, " knots"] | Spectrum, b: Float[np.ndarray, " knots"] | Spectrum
) -> Float[np.ndarray, " knots"]:
    """The law of a sum on the grid; what leaves the table is dropped."""
    return _of_spectrum(_spectrum(a) * _spectrum(b))


def _spectrum(mass: Float[np.ndarray, " knots"] | Spectrum) -> np.ndarray:
    if isinstance(mass, Spectrum):
        return mass.values
    return np.asarray(fft.rfft(mass, 2 * KNOTS))


def _of_spectrum(spectrum: np.ndarray) -> Float[np.ndarray, " knots"]:
    return np.maximum(np.asarray(fft.irfft(spectrum, 2 * KNOTS))[:KNOTS], 0.0)


def prehash_masses(p_1: float, hash_time: float, spacing: float) -> np.ndarray:
    """Masses of P on the grid that keep its mean (second differences of E[(P−x)⁺])."""
    excess = prehash_excess(p_1, hash_time, spacing * np.arange(KNOTS + 1))
    excess = np.concatenate([excess[:1] + spacing, excess])
    return np.maximum(np.diff(excess, 2) / spacing, 0.0)


def prehash_excess(p_1: float, hash_time: float, x: np.ndarray) -> np.ndarray:
    """E[(P−x)⁺] for x ≥ 0."""
    hashes = x / hash_time
    k = np.floor(hashes)
    missed = np.exp(k * np.log1p(-p_1)) if p_1 < 1 else np.where(k == 0, 1.0, 0.0)
    return hash_time * missed * (1.0 / p_1 - (hashes - k))
