r"""Confirmations of a design's point, in milliseconds: depths, a risk, a verdict's row.

Notation (``race/saddle_point.py``, ``race/coarse.py``)
    k*(ε)       confirmations for risk ε; not rounded, smooth in all parameters
    P̄(k)        risk of depth k of the race that bounds the network's from above
    P_0(k)      that of the race without delay
    P(k)        the network's own

k* and P̄ are those of the coarse grids (below 1e-9 the exponential tail that the saddle
point gives, through the grid's k*(1e-9)), and the saddle point says how far resampled
laws move them. A k* is off by less than ``MARGIN`` of a block: it is rounded up, its
ends after they have been moved by as much.

P_0 ≤ P ≤ P̄: every prover begins a level no earlier than its first block is found, and
has a draw of its own for it. With the same draws the chain of the network without delay
has each of its levels no later, and the private chain, whose blocks stay where they
are, catches up with the later one wherever it does with the earlier one. Where the
depth that is asked for is not safe by P̄, the depths that are not safe by P_0 are not
safe.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, fastest_of
from ..block_time.mixtures import Mixtures, race_basis
from ..estimation.estimate import Estimate
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    PERSISTENCE_VIOLATION,
    SAFE_DEPTH,
    SAFE_DEPTH_PREMINED,
    UNSAFE_DEPTH,
)
from ..estimation.training_error import Basis, training_interval
from ..race.atoms import atoms_of, condensed
from ..race.coarse import CoarseRace, coarse_race
from ..race.saddle_point import (
    Saddles,
    Walks,
    depth_estimate,
    depths_of,
    log_risks_of,
    log_tail,
    saddles,
)
from ..race.walk import OUTGROWS, Race
from .decision import HORIZON
from .private_chain import owed_to_ends, risk_estimate
from .verdict import last_unsafe

MARGIN = 0.05
# Rarer risks are those of the tail.
RAREST = 1e-9
_BOUND = " (upper bound of the private chain's risk on this network)"
_TAIL = f"exponential tail from {RAREST:g} on, "
_AHEAD = ", with a head start"
_STILL = "lower end: the same race without delay"
_NOT_ASKED = "lower end: not needed where the depth asked for may be safe"


class PointRace(NamedTuple):
    """The race of a point, under its law and others.

    Attributes:
        law: Of all runs.
        alive: S of the law, of the slowest and the fastest beyond the horizon, of the
            mixture of all runs and of those of resamples.
        mixed: The mixtures.
        honest: n_h ≥ 1.
        adversarial: n_a > 0.
        delay: Δ, steps.
        basis: What the mean of the fastest of n_h rests on.
    """

    law: BlockTimeLaw
    alive: Float[np.ndarray, "laws times"]
    mixed: Mixtures
    honest: int
    adversarial: int
    delay: float
    basis: Basis


class _Solved(NamedTuple):
    """A race and what is near it."""

    walks: Walks
    rows: Walks
    centre: Saddles
    near: Saddles
    grid: CoarseRace | None
    basis: Basis
    method: str


def point_confirmations(
    race: PointRace,
    targets: Sequence[float],
    *,
    asked: int,
    lead: bool = False,
    growth: Estimate | None = None,
) -> list[Measurement]:
    """Safe depths with and without a head start, and what a verdict is read from.

    Args:
        race: The race.
        targets: ε; the verdict is on the first.
        asked: Depth k whose verdict is asked for.
        lead: Whether the verdict is on the race with a head start.
        growth: Of the private chain over the public one, needed only where the former
            outgrows.

    Returns:
        ``safe_depth`` and ``safe_depth_premined`` at every target,
        ``persistence_violation`` at k and ``unsafe_depth`` at the first target.

    Raises:
        Refused: As ``race.walk.tilts``, where no coarse grid serves.
    """
    solved = _solved(race, targets)
    found, verdict_on = [], None
    for quantity, premined in ((SAFE_DEPTH, False), (SAFE_DEPTH_PREMINED, True)):
        values = _values(race, solved, targets, premined)
        near = depths_of(solved.near, np.array(targets)[:, None], premined=premined)
        for target, (value, method), row in zip(targets, values, near, strict=True):
            depth = _depth(value, _moved_depths(row, value), solved, method)
            if verdict_on is None and premined == lead:
                verdict_on = depth
            found.append(
                Measurement(
                    quantity,
                    target,
                    "target",
                    _whole(depth),
                    unit="blocks",
                    basis=solved.basis,
                )
            )
    assert verdict_on is not None
    own = _with_reason(verdict_on, solved, targets[0], lead)
    risk, unsafe = _judged(race, solved, targets[0], own, asked, lead, growth)
    basis = solved.basis
    return [
        *found,
        Measurement(
            PERSISTENCE_VIOLATION,
            float(asked),
            "blocks",
            risk,
            "probability",
            basis=basis,
        ),
        Measurement(
            UNSAFE_DEPTH, targets[0], "target", unsafe, unit="blocks", basis=basis
        ),
    ]


def _solved(race: PointRace, targets: Sequence[float]) -> _Solved:
    times = race.mixed.times
    rows = Walks(
        atoms_of(race.alive, times, race.honest),
        atoms_of(race.alive, times, race.adversarial),
        race.delay,
    )
    near = saddles(rows)
    walks = Walks(
        condensed(race.law, race.honest),
        condensed(race.law, race.adversarial),
        race.delay,
    )
    centre = _centred(walks, near)
    theta = float(centre.theta_0[0])
    basis = race_basis(
        race.mixed,
        race.honest,
        race.adversarial,
        theta if math.isfinite(theta) else float(np.nan_to_num(near.theta_0[0])),
        race.basis,
    )
    risks = [RAREST, *(each for each in targets if each > RAREST)]
    grid = coarse_race(walks, centre, risks)
    method = "coarse Fourier grid of the private race"
    method += _BOUND if race.delay > 0 else ""
    return _Solved(walks, rows, centre, near, grid, basis, method)


def _centred(walks: Walks, near: Saddles) -> Saddles:
    """Tilts of a race, found from those of the first race that is near."""
    return saddles(walks, near.first() if math.isfinite(near.theta_star[0]) else None)


def _values(
    race: PointRace, solved: _Solved, targets: Sequence[float], premined: bool
) -> list[tuple[float, str]]:
    """k*(ε) under the law of all runs, not rounded, and how it was found."""
    ahead = _AHEAD if premined else ""
    if solved.grid is not None:
        depths = solved.grid.depths(targets, premined=premined)
        return [
            (
                depth,
                (solved.method if target >= RAREST else _TAIL + solved.method) + ahead,
            )
            for depth, target in zip(depths, targets, strict=True)
        ]
    # A rare and slow tail, or near a threshold: the saddle point has to do.
    knots = np.asarray(race.law.cumulative_hazard)
    whole = race.law._replace(cumulative_hazard=knots - knots[0])
    one = Race(
        fastest_of(whole, race.honest),
        fastest_of(whole, race.adversarial),
        race.delay,
        premined=premined,
    )
    found = [depth_estimate(one, target) for target in targets]
    how = "saddle point of the private race" + ahead
    return [(each, how if math.isfinite(each) else OUTGROWS) for each in found]


def _moved_depths(
    near: Float[np.ndarray, " laws"], value: float
) -> Float[np.ndarray, " others"]:
    """A depth under the extremes, then under the resamples.

    inf where the adversary outgrows; without a depth of all runs those of the saddle
    point are as good as there are.
    """
    near = np.where(np.isnan(near), math.inf, near)
    if not math.isfinite(value) or not np.isfinite(near[[0, 3]]).all():
        return near[[1, 2, *range(4, len(near))]]
    return value * np.concatenate([near[1:3] / near[0], near[4:] / near[3]])


def _depth(
    value: float, others: np.ndarray, solved: _Solved, method: str, *, ends: bool = True
) -> Estimate:
    """A depth with its interval, not rounded."""
    return training_interval(
        Estimate(value, value, value, len(others) - 2, method),
        others[2:],
        "log",
        basis=solved.basis,
        extremes=list(others[:2]) if ends else (),
        lacking=math.inf,
    )


def _with_reason(
    depth: Estimate, solved: _Solved, target: float, lead: bool
) -> Estimate:
    """A depth whose method says so where most of its interval is the horizon's."""
    if math.isinf(depth.value):
        return depth
    near = depths_of(solved.near, target, premined=lead)
    moved = _moved_depths(near, depth.value)
    inner = _depth(depth.value, moved, solved, "", ends=False)
    if owed_to_ends(depth, inner):
        return depth._replace(method=f"{depth.method}; {HORIZON}")
    return depth


def _whole(depth: Estimate) -> Estimate:
    """The next whole depths."""

    def up(value: float) -> float:
        return float(max(math.ceil(value), 1)) if math.isfinite(value) else value

    value = up(depth.value - 1e-6)
    low, high = up(depth.low - MARGIN), up(depth.high + MARGIN)
    return depth._replace(value=value, low=low, high=high)


def _judged(
    race: PointRace,
    solved: _Solved,
    target: float,
    own: Estimate,
    asked: int,
    lead: bool,
    growth: Estimate | None,
) -> tuple[Estimate, Estimate]:
    """The risk at the depth asked for, and the last depth that is not safe."""
    if math.isinf(own.value) and growth is not None and growth.low >= 1:
        every = math.inf
        sure = Estimate(1.0, 1.0, 1.0, growth.count, OUTGROWS)
        return sure, Estimate(every, every, every, growth.count, OUTGROWS)
    depth, risk = _whole(own), _risk(solved, asked, lead)
    if not race.delay > 0:
        return risk, last_unsafe(depth, depth.low - 1, float(asked), gap=False)
    low, last, how = 0.0, 0.0, _NOT_ASKED
    if depth.low > asked:
        still = _still(solved, target)
        how = _STILL
        if still.grid is not None:
            (at,) = still.grid.depths([target], premined=lead)
            moved = _moved_depths(depths_of(still.near, target, premined=lead), at)
            last = _whole(_depth(at, moved, still, "")).low - 1
            low = _risk(still, asked, lead).low
    unsafe = last_unsafe(depth, last, float(asked), gap=True)
    method = f"{risk.method}; {how}"
    return risk._replace(low=min(low, risk.value), method=method), unsafe


def _still(solved: _Solved, target: float) -> _Solved:
    """The same race without delay."""
    walks, rows = (each._replace(delay=0.0) for each in (solved.walks, solved.rows))
    near = saddles(rows)
    centre = _centred(walks, near)
    grid = coarse_race(walks, centre, [target])
    return solved._replace(walks=walks, rows=rows, centre=centre, near=near, grid=grid)


def _risk(solved: _Solved, depth: int, lead: bool) -> Estimate:
    """P̄(k) with its interval."""
    method = solved.method + (_AHEAD if lead else "")
    if solved.centre.outgrown[0]:
        # Of a law under which it does not, the risk may be anything.
        low = float(solved.near.outgrown.all())
        return Estimate(1.0, low, 1.0, len(solved.near.outgrown) - 4, OUTGROWS)
    near, centre = solved.near, solved.centre
    if lead:
        rows, mine = (log_tail(each, depth, premined=True) for each in (near, centre))
    else:
        rows, mine = (log_risks_of(each, [depth])[:, 0] for each in (near, centre))
    # A law under which no depth is safe.
    rows = np.where(near.outgrown, 0.0, np.where(np.isnan(rows), 0.0, rows))
    grid = solved.grid
    log = grid.log_risk(depth, premined=lead) if grid is not None else float(mine[0])
    # 0 stands for "at every depth", here and in ``risk_estimate``.
    log = min(log, -1e-12)
    moved = log + np.concatenate([rows[4:] - rows[3], rows[1:3] - rows[0]])
    moved = np.where(
        np.concatenate([near.outgrown[4:], near.outgrown[1:3]]),
        0.0,
        np.minimum(moved, -1e-12),
    )
    error = math.expm1(-MARGIN * float(centre.log_rate[0]))
    count = len(rows) - 4
    return risk_estimate(log, error, list(moved), count, solved.basis, method)
