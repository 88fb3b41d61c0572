"""From what the runs have shown to the table of a law.

Notation (that of ``empirical.py``)
    P, K        pre-hash time and training of one attempt
    X           Σ over failed attempts (P + K), and the last P + K
    U           Σ_j (p_P ∗ retry)^{∗j}: how often, and when, a prover starts again
    Λ           cumulative hazard of X, the table

A table is as fine as the looks and as long as it takes until one hazard may stand for
all runs that are left; the hazard beyond it makes E[X] exact.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from .attempts import (
    Attempts,
    Late,
    Lottery,
    Shown,
    Within,
    attempts_of,
    ending,
    later,
    within_horizon,
)
from .law import HAZARD_CAP, KNOTS, BlockTimeLaw, mean
from .renewals import convolve, prehash_of, renewals_of, side_by_side
from .ticket_rates import Plateau

# The table reaches this many horizons where the looks are few enough, and never less
# than two; beyond it the hazard is constant. It reaches further where runs of different
# rates are still left there, until the variance that one hazard for all of them loses
# is _LOST of the mean's square, but with no fewer cells than one for _COARSEST looks.
_TABLE_HORIZONS = 8
_LOST, _COARSEST = 0.005, 16
# Laws whose transforms are taken together: more would leave a core's cache.
_TOGETHER = 8


class OnGrid(NamedTuple):
    """The attempts that make a law, and its grid.

    Attributes:
        attempts: Everything on the grid.
        spacing: g, steps.
        lattice: Whether block times are multiples of it.
        within: What all readings of the plateau share.
    """

    attempts: Attempts
    spacing: float
    lattice: bool
    within: Within


def laws_of_runs(
    samples: Iterable[tuple[Shown, Float[np.ndarray, " runs"], Plateau]],
    lottery: Lottery,
    check_every: float,
) -> list[BlockTimeLaw]:
    """The laws of samples of runs.

    Args:
        samples: What the runs of each have shown, their costs, and which reading of
            their plateau.
        lottery: T_acc, p_1, p_2, hash rate, policies.
        check_every: Steps between two looks.
    """
    found, waiting = [], iter(samples)
    while some := list(islice(waiting, _TOGETHER)):
        grids = [attempts_on_grid(*each, lottery, check_every) for each in some]
        found += _tables(grids, lottery)
    return found


def attempts_on_grid(
    shown: Shown,
    costs: np.ndarray,
    plateau: Plateau,
    lottery: Lottery,
    check_every: float,
    *,
    brief: bool = False,
    late: Late | None = None,
    like: OnGrid | None = None,
) -> OnGrid:
    """Attempts of a sample of runs on the grid that their law takes.

    Args:
        shown: What the runs have shown.
        costs: c_i.
        plateau: Which reading of what comes after.
        lottery: T_acc, p_1, p_2, hash rate, policies.
        check_every: Steps between two looks.
        brief: As ``attempts.later``.
        late: What becomes of them beyond their horizon, where it is known already.
        like: The same sample by another reading, whose grid is taken where it reaches
            as far as this law's own.
    """
    looks = shown.ends.shape[1]
    # A lattice law keeps ties; it needs one look spacing and no pre-hash lottery.
    lattice = bool(np.all(costs == costs[0])) and lottery.p_1 == 1.0
    if late is None:
        late = later(shown, lottery, costs, plateau, brief=brief)
    spacing = check_every * float(costs.max())
    if not lattice:
        # Beyond the table the hazard is constant. It still rises where hashing and
        # waiting for a ticket both go on: the table must be longer than the shorter.
        look, hashing = spacing, 1.0 / (lottery.p_1 * lottery.hashes_per_step)
        cells = max(1, KNOTS // (_TABLE_HORIZONS * looks))
        both = min(hashing, look / lottery.p_2)
        longest = _mixed_until(shown, late, lottery, check_every)
        longest = min(longest, _COARSEST * look * KNOTS)
        spacing = max(look / cells, _TABLE_HORIZONS * both / KNOTS, longest / KNOTS)
        if spacing < look:
            spacing = look / math.floor(look / spacing + 1e-9)
    within = None
    if like is not None and spacing <= like.spacing:
        spacing, within = like.spacing, like.within
    cell = check_every / spacing
    if within is None:
        within = within_horizon(shown, lottery, costs * cell)
    attempts = attempts_of(shown, late, lottery, costs * cell, cell, within=within)
    return OnGrid(attempts, spacing, lattice, within)


def _mixed_until(
    shown: Shown, late: Late, lottery: Lottery, check_every: float
) -> float:
    """Time from which one hazard may stand for all runs that are left.

    With B_j left of kind j, of mean t_j, one exponential of their joint mean has the
    second moment 2 (ΣBt)²/ΣB instead of 2 ΣBt².
    """
    runs, looks = shown.ends.shape
    going = late.rate > 0
    if not going.any():
        return 0.0
    begin = looks + late.alive.shape[1] - 1
    hit = np.minimum(ending(lottery) * late.rate[going], 1.0 - 1e-16)
    left, cost = late.left[going] / runs, late.costs[late.group[going]]
    time = cost * check_every / hit
    # At the least: what the runs have shown, and what is left of them.
    least = shown.alive.sum() / runs * check_every * late.costs.min()
    least += float((left * time).sum())
    until = check_every * begin * late.costs.max()
    for _ in range(24):
        rest = left * np.exp(
            np.log1p(-hit) * np.maximum(until / (check_every * cost) - begin, 0.0)
        )
        total = rest.sum()
        if total <= 0:
            return until
        moment = float((rest * time).sum())
        lost = 2 * (float((rest * time**2).sum()) - moment**2 / total)
        if lost <= _LOST * least**2:
            return until
        until *= 1.25
    return until


def _tables(grids: Sequence[OnGrid], lottery: Lottery) -> list[BlockTimeLaw]:
    """X = Σ over failed attempts (P + K) + the last P + K, as tables of Λ.

    CDF = U ∗ success ∗ F_P with U = Σ_j (p_P ∗ retry)^{∗j}; the tail hazard is the
    one that makes E[X] exact (Wald: E[X] = E[attempt] / Pr[attempt succeeds]).
    """
    hash_time = 1.0 / lottery.hashes_per_step
    hashed = [
        prehash_of(lottery.p_1, hash_time, each.spacing, early(each)) for each in grids
    ]
    success = np.stack([each.attempts.success for each in grids])
    retry = np.stack([each.attempts.retry for each in grids])
    masses = side_by_side([each.mass for each in hashed])
    cdfs = side_by_side([each.cdf for each in hashed])
    renewals = renewals_of(convolve(masses, retry))
    trained = convolve(renewals, success)
    cdf = convolve(trained, cdfs)
    found = []
    for row, grid in enumerate(grids):
        spared = float((trained[row] * hashed[row].spared[::-1]).sum())
        found.append(law_on_grid(grid, lottery, cdf[row], spared))
    return found


def early(grid: OnGrid) -> float:
    """How much later than its place a knot holds the CDF.

    A table spreads an atom over the cell before its knot, half a cell too early on
    average: a knot holds the CDF half a cell later, and dead time shifts it back.
    """
    return 0.0 if grid.lattice else 0.5 * grid.spacing


def law_on_grid(
    grid: OnGrid, lottery: Lottery, cdf: Float[np.ndarray, " knots"], spared: float
) -> BlockTimeLaw:
    """The law of a CDF on the grid.

    Args:
        grid: Its attempts and its grid.
        lottery: p_1, hash rate.
        cdf: Pr[X ≤ x] at the knots, each ``early`` later; changed.
        spared: E[(x − X)⁺] at the last knot, ``early`` and a hash later.
    """
    attempts, spacing, lattice, _ = grid
    hash_time, later_by = 1.0 / lottery.hashes_per_step, early(grid)
    # The transform's rounding must not put a block before the first possible one.
    cdf[: np.argmax(attempts.success > 1e-12)] = 0.0
    alive = 1.0 - np.minimum(np.maximum.accumulate(np.clip(cdf, 0.0, 1.0)), 1.0)
    hazard = np.minimum(-np.log(np.maximum(alive, np.exp(-HAZARD_CAP))), HAZARD_CAP)
    # Mass that never ends has no mean to make exact: half a cell is put back alone.
    law = BlockTimeLaw(hazard, spacing, 0.0, hash_time + later_by, lattice)
    if attempts.never > 0 or attempts.success_total == 0:
        return law
    law = law._replace(offset=hash_time)
    attempt = hash_time / lottery.p_1 + spacing * attempts.duration
    exact = attempt / attempts.success_total
    # ∫ S on the table without the interpolation.
    on_table = spacing * (KNOTS - 1) + later_by - spared
    law = law._replace(tail_hazard=_tail_hazard(law, exact - hash_time - on_table))
    if lattice:
        return law
    # About half a cell, and so much that E[X] is exact.
    return law._replace(offset=hash_time + exact - mean(law))


def _tail_hazard(law: BlockTimeLaw, rest: float) -> float:
    """The constant hazard beyond the table for which ∫ S there is ``rest``."""
    alive = float(np.exp(-law.cumulative_hazard[-1]))
    length = float(law.spacing * (KNOTS - 1))
    if rest <= 1e-9 * length:
        # Nothing worth extrapolating, only rounding: the average hazard so far.
        return float(law.cumulative_hazard[-1]) / length
    if law.lattice:
        gone = min(law.spacing * alive / rest, 1 - 1e-12)
        return float(-np.log1p(-gone) / law.spacing)
    return float(alive / rest)
