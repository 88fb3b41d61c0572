r"""The law of block times that were measured elsewhere, some of them cut off.

Notation
    t_i     a measured time                                     ``times``
    d_i     whether the attempt was cut off before it ended     ``censored``
    Ŝ       Kaplan–Meier estimate: Π_{t_i ≤ t} (1 − 1/at risk at t_i), d_i = 0
    m_i     midpoints of neighbouring ended times

Ŝ puts a share of all mass on each ended time. As atoms, two provers would end at one
moment in every N-th race, which no clock of theirs would show: so the share of t_i is
spread evenly over [m_{i-1}, m_i], the first and the last one symmetrically. That keeps
the mean but for what the ends add; equal times share one interval.

Beyond the last time
    Where the longest times were cut off, Ŝ does not fall to 0. The rest ends at the
    hazard of the last eighth of the time there is, or of more where nothing ended in
    it; the bracket is a quarter of that hazard, and all of the rest at once. More than
    ``MOST_LEFT`` of the mass is refused.

Resampling draws pairs (t_i, d_i) with replacement.

Source: E. L. Kaplan, P. Meier, JASA 53 (1958); midpoints as in a frequency polygon.
"""

import math

import numpy as np
from jaxtyping import Bool, Float

from ..estimation.estimate import Refused
from .effective_runs import RunLaws, times_of
from .law import HAZARD_CAP, KNOTS, BlockTimeLaw, survival
from .uncertain import UncertainLaw

LEAST_ENDED = 5
MOST_LEFT = 0.05


def observed_law(
    seed: int,
    times: Float[np.ndarray, " n"],
    censored: Bool[np.ndarray, " n"] | None = None,
    *,
    resamples: int = 0,
) -> UncertainLaw:
    """The law of one prover from measured times, with what is uncertain of it.

    Args:
        seed: Fixes the resamples.
        times: t_i > 0, in the unit that the law then has.
        censored: d_i; None: none was cut off.
        resamples: Number of resampled laws.

    Raises:
        ValueError: If a time is not finite and > 0, or the shapes differ.
        Refused: If fewer than 5 attempts ended, all at one time, or more than 5 % of
            the law's mass lies beyond the last of them.
    """
    times = np.asarray(times, float)
    cut = np.zeros(len(times), bool) if censored is None else np.asarray(censored, bool)
    if times.ndim != 1 or cut.shape != times.shape:
        raise ValueError(f"times and censored must be as long, got {times.shape}")
    if not (np.isfinite(times).all() and (times > 0).all()):
        raise ValueError("times must be finite and > 0")
    ended = int((~cut).sum())
    if ended < LEAST_ENDED:
        raise Refused(
            f"block times: {ended} of {len(times)} attempts ended, at least "
            f"{LEAST_ENDED} are needed: measure more, or for longer"
        )
    if len(np.unique(times[~cut])) == 1:
        raise Refused(
            f"block times: all {ended} that ended took {times[~cut][0]:g}: give them "
            "to more digits, or use law.source = formula"
        )
    law, left = _law(times, cut, 1.0)
    if left > MOST_LEFT:
        raise Refused(
            f"block times: {left:.0%} of the law lies beyond the last attempt that "
            f"ended, since the longest were cut off; at most {MOST_LEFT:.0%} can be "
            "carried on: measure for longer"
        )
    extremes = ()
    if left > 0:
        extremes = (_law(times, cut, 0.25)[0], _law(times, cut, math.inf)[0])
    generator = np.random.default_rng(seed)
    drawn = []
    while len(drawn) < resamples:
        some = generator.integers(len(times), size=len(times))
        # A resample of one time has no law; of five or more it is hardly ever drawn.
        if len(np.unique(times[some][~cut[some]])) > 1:
            drawn.append(_law(times[some], cut[some], 1.0)[0])
    return UncertainLaw(
        law,
        tuple(drawn),
        extremes,
        known_until=float(times[~cut].max()) if left > 0 else math.inf,
        runs=len(times),
        reached=ended,
        by_run=_each(times, cut, law),
    )


def kaplan_meier(
    times: Float[np.ndarray, " n"], censored: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Ended times, each once, and Ŝ just after each of them."""
    at, count = np.unique(times[~censored], return_counts=True)
    risk = len(times) - np.searchsorted(np.sort(times), at, side="left")
    return at, np.cumprod(1.0 - count / risk)


def _law(times, cut, faster: float) -> tuple[BlockTimeLaw, float]:
    """The law whose rest ends ``faster`` times as fast as all did; and that rest."""
    at, alive = kaplan_meier(times, cut)
    edges = _edges(at)
    knots = np.linspace(edges[0], edges[-1], KNOTS)
    left = np.interp(knots, edges, np.concatenate([[1.0], alive]))
    with np.errstate(divide="ignore"):
        hazard = np.minimum(-np.log(np.maximum(left, 0.0)), HAZARD_CAP)
    rest, tail = float(alive[-1]), 0.0
    if rest > 1e-12:
        if math.isinf(faster):
            hazard[-1] = HAZARD_CAP
        else:
            tail = faster * _late_hazard(hazard, float(knots[1] - knots[0]))
    else:
        hazard[-1] = HAZARD_CAP
    spacing = float(knots[1] - knots[0])
    return BlockTimeLaw(hazard, spacing, tail, float(edges[0]), False), rest


def _late_hazard(hazard: np.ndarray, spacing: float) -> float:
    """Over the last eighth of the table, or what of it has an end."""
    for part in (8, 4, 2, 1):
        cells = len(hazard) // part - 1
        if rise := float(hazard[-1] - hazard[-1 - cells]):
            return rise / (cells * spacing)
    raise AssertionError("some attempt ended")


def _edges(at: np.ndarray) -> np.ndarray:
    middle = (at[:-1] + at[1:]) / 2
    first = max(2 * at[0] - middle[0], 0.0)
    return np.concatenate([[first], middle, [2 * at[-1] - middle[-1]]])


def _each(times, cut, law: BlockTimeLaw) -> RunLaws:
    """S_i: 1 until an attempt ended; of one that was cut off, that of all given so."""
    grid = times_of(law)
    ends = (times[:, None] > grid[None, :]).astype(float)
    beyond = survival(law, np.maximum(times[:, None], grid[None, :]))
    at = np.maximum(survival(law, times), 1e-300)[:, None]
    return RunLaws(grid, np.where(cut[:, None], beyond / at, ends))
