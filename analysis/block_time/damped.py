r"""A law and its bracket in three transforms, for a design of thousands of points.

Notation (that of ``table.py``)
    r           damping a knot: sequences a_k are transformed as r^k a_k
    N           length of the transforms, 3 tables
    ε           r^N

``table.py`` sums Σ_j (p_P ∗ retry)^{∗j} by doubling, on the table. Here the sum is
taken where it is a geometric series, in the transform,

    r^k F_X(k) = IDFT[ ŝ · F̂_P / (1 − p̂_P · r̂etry) ],

which knows no end of the table: what lies beyond N wraps around and arrives multiplied
by ε, and taking the damping off multiplies rounding by ε^{−1/3}. At ε = 1e-12 both are
1e-12 of a CDF (Abate & Whitt, Queueing Systems 10 (1992), §1 for the trade).

The three laws share the table's grid where the slowest needs no longer one.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Complex, Float
from scipy import fft

from .attempts import NOTHING, Late, Lottery, Shown
from .law import (
    HAZARD_CAP,
    KNOTS,
    BlockTimeLaw,
    Real,
    fastest_of,
    mean_and_cv,
    until_ended,
)
from .renewals import prehash_excess, prehash_masses
from .table import attempts_on_grid, early, law_on_grid
from .ticket_rates import Plateau

_LENGTH = 3 * KNOTS
# Below it a cell's integrals are their series to 1e-9.
_SMALL = 1e-3
_WRAPPED = 1e-12
_DAMPED = _WRAPPED ** (np.arange(KNOTS) / _LENGTH)


def bracketed_laws(
    shown: Shown,
    costs: Float[np.ndarray, " runs"],
    lottery: Lottery,
    check_every: float,
    *,
    late: Late | None = None,
) -> tuple[BlockTimeLaw, BlockTimeLaw, BlockTimeLaw]:
    """The central, the slowest and the fastest law of runs.

    Args:
        shown: What the runs have shown.
        costs: c_i.
        lottery: T_acc, p_1, p_2, hash rate, policies.
        check_every: Steps between two looks.
        late: What becomes of them beyond their horizon by the central reading, where it
            is known already.

    Returns:
        What ``table.laws_of_runs`` gives: the central survival to 1e-11, the extremes'
        on the central law's grid or a coarser one.
    """
    central = attempts_on_grid(
        shown, costs, "central", lottery, check_every, brief=True, late=late
    )
    # Where every run has ended, all readings are one law.
    whole = (shown.left <= NOTHING).all()
    readings: tuple[Plateau, ...] = () if whole else ("slowest", "fastest")
    others = [
        attempts_on_grid(
            shown, costs, plateau, lottery, check_every, brief=True, like=central
        )
        for plateau in readings
    ]
    grids = (central, *others)
    success = _spectra(np.stack([each.attempts.success for each in grids]))
    retry = _spectra(_unlike([each.attempts.retry for each in grids]))
    retry = np.broadcast_to(retry, success.shape)
    found = []
    for row, grid in enumerate(grids):
        mass, cdf, spared = _prehash(
            lottery.p_1, 1.0 / lottery.hashes_per_step, grid.spacing, early(grid)
        )
        trained = success[row] / (1.0 - mass * retry[row])
        values = np.asarray(fft.irfft(trained * cdf, _LENGTH))[:KNOTS] / _DAMPED
        found.append(law_on_grid(grid, lottery, values, _at_end(trained, spared)))
    return found[0], found[0 if whole else 1], found[0 if whole else 2]


def _unlike(rows: Sequence[Float[np.ndarray, " knots"]]) -> np.ndarray:
    """Rows as a matrix; the first alone where the others are equal to it."""
    alike = all(np.array_equal(rows[0], each) for each in rows[1:])
    return np.stack(rows[:1] if alike else rows)


def table_moments(law: BlockTimeLaw, provers: Real) -> tuple[float, float]:
    """``law.mean_and_cv`` of the fastest of n with one exponential a knot.

    Args:
        law: Of one prover, from ``bracketed_laws``.
        provers: n.
    """
    if law.lattice or not law.tail_hazard > 0:
        return mean_and_cv(until_ended(fastest_of(law, provers)))
    knots = float(provers) * np.asarray(law.cumulative_hazard)
    last = min(int(np.searchsorted(knots, HAZARD_CAP)), len(knots) - 1)
    knots, g = knots[: last + 1], float(law.spacing)
    alive, step = np.exp(-knots), np.diff(knots)
    lost, near = alive[:-1] - alive[1:], step < _SMALL
    safe = np.where(near, 1.0, step)
    # ∫ S and ∫ u S du over a cell of a unit, and their series.
    one = np.where(near, alive[:-1] * (1 - step / 2 + step**2 / 6), lost / safe)
    two = np.where(
        near,
        alive[:-1] * (0.5 - step / 3 + step**2 / 8),
        (lost / safe - alive[1:]) / safe,
    )
    first = g * float(one.sum())
    second = 2 * g**2 * float((np.arange(last) * one + two).sum())
    if last == len(law.cumulative_hazard) - 1:
        rate, end = float(provers) * float(law.tail_hazard), g * last
        first += float(alive[-1]) / rate
        second += 2 * float(alive[-1]) * (end / rate + rate**-2.0)
    dead = float(law.offset)
    variance = max(second - first**2, 0.0)
    return dead + first, math.sqrt(variance) / (dead + first)


@lru_cache(maxsize=8)
def _prehash(
    p_1: float, hash_time: float, spacing: float, later_by: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spectra of the pre-hash time's mass, CDF and E[(x − P)⁺], as ``prehash_of``."""
    grid = spacing * np.arange(KNOTS) + later_by
    cdf = np.ones(KNOTS)
    if p_1 < 1:
        misses = np.floor(grid / hash_time + 1e-9) + 1
        cdf = -np.expm1(misses * np.log1p(-p_1))
    excess = prehash_excess(p_1, hash_time, grid + hash_time)
    spared = grid - hash_time * (1.0 / p_1 - 1.0) + excess
    mass = prehash_masses(p_1, hash_time, spacing)
    found = _spectra(np.stack([mass, cdf, spared / grid[-1]]))
    return found[0], found[1], found[2] * grid[-1]


def _spectra(
    masses: Float[np.ndarray, "laws knots"],
) -> Complex[np.ndarray, "laws frequencies"]:
    return np.asarray(fft.rfft(masses * _DAMPED, _LENGTH, axis=-1))


@cache
def _last() -> Complex[np.ndarray, " frequencies"]:
    """Weights by which a spectrum gives its sequence's value at the last knot."""
    turns = np.arange(_LENGTH // 2 + 1) * (KNOTS - 1) % _LENGTH / _LENGTH
    weights = 2.0 * np.exp(2j * np.pi * turns)
    # A real sequence: all frequencies but 0 and N/2 stand for two.
    weights[[0, -1]] /= 2.0
    return weights / (_LENGTH * _DAMPED[-1])


def _at_end(
    a: Complex[np.ndarray, " frequencies"], b: Complex[np.ndarray, " frequencies"]
) -> float:
    """(a ∗ b) at the last knot."""
    return float(np.real((a * b * _last()).sum()))
