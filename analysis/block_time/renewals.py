"""Sums of attempts and hash times on a law's grid.

Notation
    P       pre-hash time, Geometric(p_1) hashes of ``hash_time`` each
    g       spacing of the grid
    U       Σ_j lost^{∗j}: where attempts begin, each lost one followed by the next
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from .law import KNOTS


class Spectrum(NamedTuple):
    """Masses on the grid by their transform, padded so that a product wraps nothing."""

    values: Complex[np.ndarray, "*laws frequencies"]


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


def side_by_side(spectra: Sequence[Spectrum]) -> Spectrum:
    """Spectra of several laws; where all are one, that one for all of them."""
    if all(each is spectra[0] for each in spectra):
        return spectra[0]
    return Spectrum(np.stack([each.values for each in spectra]))


def renewals_of(lost: Float[np.ndarray, "*laws n"]) -> Float[np.ndarray, "*laws n"]:
    """Σ_j lost^{∗j} on the grid, by doubling: Π_i (δ + lost^{∗2^i}).

    Several laws side by side take fewer, longer calls; no digit depends on it.
    """
    total = np.zeros_like(lost)
    total[..., 0] = 1.0
    found, going = total.reshape(-1, lost.shape[-1]), np.arange(total[..., 0].size)
    power = lost.reshape(found.shape)
    # An attempt takes at least a cell, so 2^13 of them leave the table.
    while (more := power.sum(axis=-1) > 1e-15).any():
        power, going = power[more], going[more]
        spectrum = _spectrum(power)
        found[going] += _of_spectrum(_product(_spectrum(found[going]), spectrum))
        power = _of_spectrum(_product(spectrum, spectrum))
    return total


def convolve(
    a: Float[np.ndarray, "*laws knots"] | Spectrum,
    b: Float[np.ndarray, "*laws knots"] | Spectrum,
) -> Float[np.ndarray, "*laws knots"]:
    """The law of a sum on the grid; what leaves the table is dropped."""
    return _of_spectrum(_product(_spectrum(a), _spectrum(b)))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # Row by row: where a vector unit fuses a multiplication and an addition it leaves
    # the end of an array to others, and where that is must not depend on the rows.
    a, b = np.broadcast_arrays(a, b)
    found = np.empty(a.shape, complex)
    for row in np.ndindex(a.shape[:-1]):
        np.multiply(a[row], b[row], out=found[row])
    return found


def _spectrum(mass: Float[np.ndarray, "*laws knots"] | Spectrum) -> np.ndarray:
    if isinstance(mass, Spectrum):
        return mass.values
    return np.asarray(fft.rfft(mass, 2 * KNOTS, axis=-1))


def _of_spectrum(spectrum: np.ndarray) -> Float[np.ndarray, "*laws knots"]:
    whole = np.asarray(fft.irfft(spectrum, 2 * KNOTS, axis=-1))
    return np.maximum(whole[..., :KNOTS], 0.0)


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
