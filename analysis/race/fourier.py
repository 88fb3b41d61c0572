"""The private race on a grid: persistence by Fourier transforms, without sampling.

Notation (the race, V, S_k, M, W, K, θ_0 and θ* are those of ``walk.py``)
    η           grid step, time
    p̃_X         law of X = H − A on the grid under the tilt θ_0, transform φ̃
    d_s         Σ_n (1/n) e^{nK(θ_0)} p̃_{S_n}(s) = −[ηs] ln(1 − e^{K(θ_0)} φ̃)

With U = V + S_k + M the depth-k risk is
    Pr[U ≥ 0] = E[e^{θ_0 U}] Σ_{u ≥ 0} e^{−θ_0 u} p̃_U(u),
    E[e^{θ_0 U}] = e^{kK(θ_0)} E[e^{θ_0 V}] E[e^{θ_0 M}].
Under the tilt the race is even: p̃_U has its mass around 0 and the sum is of order
1/√k. A transform's rounding, 1e-16 of the mass, is therefore as small against a risk of
2^-1000 as against one of ½ (without the tilt it would drown everything below 1e-16).

The law of M comes from Spitzer's identity in one transform, no iteration:
    E[e^{θ_0 M} z^M] = exp Σ_{s>0} d_s (z^s − e^{−θ_0 η s}),
where |e^{K(θ_0)} φ̃| < 1 makes the logarithm single-valued. Pre-mined: M twice.

A continuous law is put on the grid with its exact tilted mass and mean in each cell,
and mass at 0 counts half: the error is O(η²), removed by Richardson extrapolation over
three steps, and their disagreement is the error reported. Lattice laws that share a
grid with each other and with Δ are exact, ties included.

Reference: F. Spitzer, A combinatorial lemma and its application to probability theory,
Trans. AMS 82 (1956); D. Siegmund, Ann. Statist. 4 (1976) for the tilts.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..estimation.estimate import Estimate, Refused
from .grid import Grid, finer, grid_for
from .transforms import Solved, log_risk, log_risks, solve
from .walk import (
    LEFT_OUT,
    OUTGROWS,
    TARGETS,
    Race,
    SafeDepth,
    Tilt,
    bounded,
    log_left_out,
    log_start,
    outgrows,
    tilts,
)

_ROUNDING = 1e-14
_TOLERANCE = 0.01
# ln of what a risk must be above the chance of an interval that is left out.
_ROOM = 25.0
# Of ln Pr to that of a target: closer, and the coarsest grid may miss by a block.
_CLOSE = 0.02


class Answers(NamedTuple):
    """Everything that is asked of one race.

    Attributes:
        logs: ln Pr[violation] at the depths.
        errors: Their relative numerical errors.
        safe: Smallest depth of each target; inf: no depth is safe.
        off: How far ln Pr was off, at most, on the coarsest grid alone; 0 where the
            grid is exact or the answer certain.
        solutions: Of the race, for ``further``; None: certain at every depth.
    """

    logs: Float[np.ndarray, " depths"]
    errors: Float[np.ndarray, " depths"]
    safe: tuple[float, ...]
    off: float
    solutions: "_Solutions | None" = None


class _Solutions(NamedTuple):
    """A race solved on its grids, coarsest first.

    Attributes:
        grids: One where it is exact, else three.
        solved: On each, with the mass that its rounding is relative to.
        left_out: Ln of a level's chance of an interval that was left out.
    """

    grids: list[Grid]
    solved: list[tuple[Solved, float]]
    left_out: float


def persistence(race: Race, depths: Sequence[int]) -> list[Estimate]:
    """Pr[violation at depth k] for each depth, with a bound on the numerical error.

    Args:
        race: The race (``walk.py`` says which event).
        depths: Depths k ≥ 1, blocks.

    Returns:
        One estimate a depth; low and high are value ∓ numerical error, count is the
        number of grid points.

    Raises:
        Refused: As ``walk.tilts``; if the race needs more than 2^22 points; or if the
            steps disagree by more than 1 %.
        ValueError: If a depth is below 1 or a field of the race is out of range.
    """
    _check(depths)
    if outgrows(race):
        return [Estimate(1.0, 1.0, 1.0, 0, OUTGROWS)] * len(depths)
    return _estimates(_solutions(race, max(depths)), depths)


def log_persistence(
    race: Race, depths: Sequence[int]
) -> tuple[Float[np.ndarray, " depths"], Float[np.ndarray, " depths"]]:
    """Logarithm of Pr[violation at depth k], also below 1e-308, and its error.

    Raises:
        As ``persistence``.
    """
    _check(depths)
    if outgrows(race):
        return np.zeros(len(depths)), np.zeros(len(depths))
    return _risks(_solutions(race, max(depths)), depths)


def smallest_depths(race: Race, targets: Sequence[float] = TARGETS) -> list[SafeDepth]:
    """Smallest depth k with Pr[violation at depth k] ≤ target, for each target.

    Args:
        race: The race.
        targets: Risks in (0, 1).

    Raises:
        Refused: As ``persistence``; if the adversary outgrows the public chain.
        ValueError: If a target is not in (0, 1).
    """
    _check_targets(targets)
    race = bounded(race)
    tilt = tilts(race)
    deepest = [_deep_enough(race, tilt, target) for target in targets]
    # A grid serves all smaller depths.
    solutions = _solutions(race, 1 + max(deepest), tilt)
    return [
        _settle(solutions, target, deep)
        for target, deep in zip(targets, deepest, strict=True)
    ]


def answers(
    race: Race,
    depths: Sequence[int],
    targets: Sequence[float] = (),
    *,
    coarse: bool = False,
) -> Answers:
    """``log_persistence`` and ``smallest_depths`` from one solution of the race.

    Args:
        race: The race.
        depths: Depths k ≥ 1.
        targets: Risks in (0, 1).
        coarse: Whether the coarsest grid is enough, whose error is not in ``errors``;
            where a target is too close to be sure of its depth, all are taken.

    Returns:
        The answers; where the private chain outgrows the public one every risk is 1
        and no depth is safe.

    Raises:
        As ``smallest_depths``, but not where the adversary outgrows.
    """
    _check(depths)
    _check_targets(targets)
    if outgrows(race):
        zeros = np.zeros(len(depths))
        return Answers(zeros, zeros, (math.inf,) * len(targets), 0.0)
    race = bounded(race)
    tilt = tilts(race)
    deepest = [_deep_enough(race, tilt, target) for target in targets]
    most = max(max(depths), 1 + max(deepest, default=0))
    solutions = _solutions(race, most, tilt, grids=1 if coarse else 3)
    logs, errors = _risks(solutions, depths)
    settled = [
        _settle(solutions, target, deep)
        for target, deep in zip(targets, deepest, strict=True)
    ]
    coarsest, off = solutions.solved[0][0], 0.0
    if coarse and not solutions.grids[0].exact:
        for found in settled:
            ends = [k for k in (found.depth - 1, found.depth) if k >= 1]
            away = [log_risk(coarsest, k) - math.log(found.target) for k in ends]
            if min(map(abs, away)) < _CLOSE:
                return answers(race, depths, targets)
    elif not solutions.grids[0].exact:
        alone = log_risks(coarsest, depths)
        off = float(np.abs(alone - logs).max())
    safe = tuple(float(each.depth) for each in settled)
    return Answers(logs, errors, safe, off, solutions)


def further(found: Answers, depths: Sequence[int]) -> Float[np.ndarray, " depths"]:
    """Ln Pr[violation] at depths not much beyond those asked for; may be refused."""
    if found.solutions is None:
        return np.zeros(len(depths))
    return _risks(found.solutions, depths)[0]


def _settle(solutions: _Solutions, target: float, deep: int) -> SafeDepth:
    """The smallest depth by all grids, from the coarsest one's guess."""
    coarsest, _ = solutions.solved[0]

    def safe(depth: int) -> bool:
        return log_risk(coarsest, depth) <= math.log(target)

    guess = 1 + bisect_left(range(1, deep), True, key=safe)
    margin = 1
    while True:
        near = list(range(max(1, guess - margin), guess + margin + 1))
        risks = _estimates(solutions, near)
        if risks[-1].high <= target and (near[0] == 1 or risks[0].low > target):
            break
        margin *= 2

    def first(values: list[float]) -> int:
        return next(k for k, v in zip(near, values, strict=True) if v <= target)

    depth = first([r.value for r in risks])
    return SafeDepth(
        target=target,
        depth=depth,
        low=first([r.low for r in risks]),
        high=first([r.high for r in risks]),
        risk=risks[near.index(depth)],
    )


def _solutions(
    race: Race, depth: int, tilt: Tilt | None = None, *, grids: int = 3
) -> _Solutions:
    """Solve a race on grids that serve depths up to this one."""
    if tilt is None:
        race = bounded(race)
        tilt = tilts(race)
    if race.until < math.inf:
        # A risk that is rarer than what was left out needs more of the law.
        rarest = log_start(race, tilt.theta_0) + depth * tilt.log_rate
        if LEFT_OUT + rarest < _ROOM:
            race = bounded(race, _ROOM - rarest)
            tilt = tilts(race)
    grid = grid_for(race, tilt, depth)
    finest = 1 if grid.exact else grids
    each = [finer(grid, halvings) for halvings in range(finest)]
    each[0] = grid  # which may be an exact one
    solved = [solve(race, tilt, one) for one in each]
    return _Solutions(each, solved, log_left_out(race))


def _risks(
    solutions: _Solutions, depths: Sequence[int]
) -> tuple[Float[np.ndarray, " depths"], Float[np.ndarray, " depths"]]:
    """Logarithm of each depth's risk, and its relative error."""
    logs, roundings = [], []
    for solved, mass in solutions.solved:
        logs.append(log_risks(solved, depths))
        scale = solved.log_scale + solved.log_rate * np.asarray(depths)
        roundings.append(_ROUNDING * mass * np.exp(scale - logs[-1]))
    errors, value = np.max(roundings, axis=0), logs[0]
    if len(logs) > 1:
        first, value = ((4 * b - a) / 3 for a, b in pairwise(logs))
        errors = errors + np.abs(np.expm1(value - first))
    # Levels that can have an interval that was left out: the start, the depth's and
    # those that a catch-up takes.
    rate = solutions.solved[0][0].log_rate
    levels = 2 + np.asarray(depths) - 2 / math.expm1(rate)
    errors = errors + levels * np.exp(np.minimum(solutions.left_out - value, 0.0))
    if errors.max() > _TOLERANCE:
        worst = int(np.argmax(errors))
        raise Refused(
            f"persistence at depth {depths[worst]}: the numerical error is "
            f"{errors[worst]:.1%}, at most {_TOLERANCE:.0%} is allowed, with steps of "
            f"{solutions.grids[-1].step:.4g} (atoms of a lattice law that share no "
            "grid with the delay: a delay_steps that the looks divide helps; or a risk "
            "below what float64 resolves beside long intervals: ask for smaller depths)"
        )
    return np.minimum(value, 0.0), errors


def _estimates(solutions: _Solutions, depths: Sequence[int]) -> list[Estimate]:
    logs, errors = _risks(solutions, depths)
    grid = solutions.grids[-1]
    how = "exact lattice" if grid.exact else "Richardson over three steps"
    return [
        Estimate(
            float(v),
            float(v * (1 - e)),
            min(1.0, float(v * (1 + e))),
            grid.points,
            f"grid, {how}",
        )
        for v, e in zip(np.exp(logs), errors, strict=True)
    ]


def _check(depths: Sequence[int]) -> None:
    if len(depths) == 0 or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")


def _check_targets(targets: Sequence[float]) -> None:
    for target in targets:
        if not 0 < target < 1:
            raise ValueError(f"targets must be in (0, 1), got {target}")


def _deep_enough(race: Race, tilt: Tilt, target: float) -> int:
    """A depth at which e^{kK(θ_0)} E[e^{θ_0 U}] ≤ target; Pr[M ≥ x] ≤ e^{−θ* x}, as
    for every tilt with K ≤ 0."""
    maxima = 2 if race.premined else 1
    room = -math.log1p(-tilt.theta_0 / tilt.theta_star)
    start = log_start(race, tilt.theta_0) + maxima * room
    return max(2, math.ceil((math.log(target) - start) / tilt.log_rate) + 1)
