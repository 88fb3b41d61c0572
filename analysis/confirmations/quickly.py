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

from ..block_time.law import fastest_of
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    PERSISTENCE_VIOLATION,
    SAFE_DEPTH,
    SAFE_DEPTH_PREMINED,
    UNSAFE_DEPTH,
)
from ..estimation.training_error import training_interval, training_intervals
from ..race.saddle_point import depth_estimate, depths_of, log_risks_of, log_tail
from ..race.walk import OUTGROWS, Race
from .decision import HORIZON
from .point_races import PointRace, SolvedRace, solved_races, without_delay
from .private_chain import owed_to_ends, risk_estimate
from .verdict import last_unsafe

MARGIN = 0.05
# Rarer risks are those of the tail.
RAREST = 1e-9
_GRID = "coarse Fourier grid of the private race"
_BOUND = " (upper bound of the private chain's risk on this network)"
_TAIL = f"exponential tail from {RAREST:g} on, "
_AHEAD = ", with a head start"
_STILL = "lower end: the same race without delay"
_NOT_ASKED = "lower end: not needed where the depth asked for may be safe"


class Question(NamedTuple):
    """What is asked of a point's race.

    Attributes:
        race: The race.
        targets: ε; the verdict is on the first.
        asked: Depth k whose verdict is asked for.
        lead: Whether the verdict is on the race with a head start.
        growth: Of the private chain over the public one, needed only where the former
            outgrows.
    """

    race: PointRace
    targets: Sequence[float]
    asked: int
    lead: bool = False
    growth: Estimate | None = None


class _Answer(NamedTuple):
    """What is known before the verdict.

    Attributes:
        depths: Rows of all targets.
        own: k* of the first target with its interval, not rounded.
    """

    depths: list[Measurement]
    own: Estimate


def point_confirmations(
    questions: Sequence[Question],
) -> list[list[Measurement] | Refused]:
    """Safe depths with and without a head start, and what a verdict is read from.

    Args:
        questions: One a point.

    Returns:
        Of each ``safe_depth`` and ``safe_depth_premined`` at every target,
        ``persistence_violation`` at k and ``unsafe_depth`` at the first target; or why
        not, as ``race.walk.tilts``, where no coarse grid serves.
    """
    served = [
        [RAREST, *(target for target in each.targets if target > RAREST)]
        for each in questions
    ]
    solved = solved_races([each.race for each in questions], served)
    known: list[_Answer | Refused] = []
    for question, one in zip(questions, solved, strict=True):
        try:
            known.append(_answer(question, one))
        except Refused as refusal:
            known.append(refusal)
    open_ = [
        place
        for place, (question, answer) in enumerate(zip(questions, known, strict=True))
        if isinstance(answer, _Answer) and _needs_low(question, answer.own)
    ]
    lower = without_delay(
        [solved[place] for place in open_],
        [[questions[place].targets[0]] for place in open_],
    )
    below = dict(zip(open_, lower, strict=True))
    return [
        answer
        if isinstance(answer, Refused)
        else [*answer.depths, *_judged(question, one, answer.own, below.get(place))]
        for place, (question, one, answer) in enumerate(
            zip(questions, solved, known, strict=True)
        )
    ]


def _needs_low(question: Question, own: Estimate) -> bool:
    """Whether the depth asked for is not safe by the bound."""
    if _outgrown(question, own) or not question.race.delay > 0:
        return False
    return _whole(own).low > question.asked


def _outgrown(question: Question, own: Estimate) -> bool:
    """Whether the private chain outgrows the network itself."""
    growth = question.growth
    return math.isinf(own.value) and growth is not None and growth.low >= 1


def _answer(question: Question, solved: SolvedRace) -> _Answer:
    targets, lead = question.targets, question.lead
    at, found = np.array(targets)[:, None], []
    own = None
    for quantity, premined in ((SAFE_DEPTH, False), (SAFE_DEPTH_PREMINED, True)):
        values, methods = _values(solved, targets, premined)
        near = depths_of(solved.near, at, premined=premined)
        moved = [_moved(row, value) for row, value in zip(near, values, strict=True)]
        others = np.stack(moved)
        depths = training_intervals(
            np.array(values),
            others[:, 2:],
            others[:, :2],
            methods,
            basis=solved.basis,
        )
        if premined == lead:
            own = _with_reason(depths[0], others[0], solved)
        found += [
            Measurement(
                quantity,
                target,
                "target",
                _whole(depth),
                unit="blocks",
                basis=solved.basis,
            )
            for target, depth in zip(targets, depths, strict=True)
        ]
    assert own is not None
    return _Answer(found, own)


def _method(solved: SolvedRace, premined: bool) -> str:
    bound = _BOUND if solved.race.delay > 0 else ""
    return f"{_GRID}{bound}{_AHEAD if premined else ''}"


def _values(
    solved: SolvedRace, targets: Sequence[float], premined: bool
) -> tuple[list[float], list[str]]:
    """k*(ε) under the law of all runs, not rounded, and how each was found."""
    race, how = solved.race, _method(solved, premined)
    if solved.grid is not None:
        depths = solved.grid.depths(targets, premined=premined)
        return depths, [how if each >= RAREST else _TAIL + how for each in targets]
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
    how = how.replace(_GRID, "saddle point of the private race")
    return found, [how if math.isfinite(each) else OUTGROWS for each in found]


def _moved(
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


def _with_reason(depth: Estimate, others: np.ndarray, solved: SolvedRace) -> Estimate:
    """A depth whose method says so where most of its interval is the horizon's."""
    if math.isinf(depth.value):
        return depth
    inner = training_interval(
        depth._replace(low=depth.value, high=depth.value),
        others[2:],
        "log",
        basis=solved.basis,
        lacking=math.inf,
    )
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
    question: Question, solved: SolvedRace, own: Estimate, still: SolvedRace | None
) -> list[Measurement]:
    """The risk at the depth asked for, and the last depth that is not safe."""
    risk, unsafe = _decided(question, solved, own, still)
    at, target = float(question.asked), question.targets[0]
    basis = solved.basis
    return [
        Measurement(
            PERSISTENCE_VIOLATION, at, "blocks", risk, "probability", basis=basis
        ),
        Measurement(UNSAFE_DEPTH, target, "target", unsafe, unit="blocks", basis=basis),
    ]


def _decided(
    question: Question, solved: SolvedRace, own: Estimate, still: SolvedRace | None
) -> tuple[Estimate, Estimate]:
    asked, lead = question.asked, question.lead
    if _outgrown(question, own):
        assert question.growth is not None
        every, count = math.inf, question.growth.count
        sure = Estimate(1.0, 1.0, 1.0, count, OUTGROWS)
        return sure, Estimate(every, every, every, count, OUTGROWS)
    depth, risk = _whole(own), _risk(solved, asked, lead)
    if not solved.race.delay > 0:
        return risk, last_unsafe(depth, depth.low - 1, float(asked), gap=False)
    low, last = 0.0, 0.0
    if still is not None and still.grid is not None:
        target = question.targets[0]
        (at,) = still.grid.depths([target], premined=lead)
        others = _moved(depths_of(still.near, target, premined=lead), at)
        (found,) = training_intervals(
            np.array([at]), others[None, 2:], others[None, :2], [""], basis=still.basis
        )
        last, low = _whole(found).low - 1, _risk(still, asked, lead).low
    unsafe = last_unsafe(depth, last, float(asked), gap=True)
    method = f"{risk.method}; {_STILL if still is not None else _NOT_ASKED}"
    return risk._replace(low=min(low, risk.value), method=method), unsafe


def _risk(solved: SolvedRace, depth: int, lead: bool) -> Estimate:
    """Pr[violation at a depth] of a race with its interval."""
    near, centre, grid = solved.near, solved.centre, solved.grid
    count = len(near.outgrown) - 4
    if centre.outgrown[0]:
        # Of a law under which it does not, the risk may be anything.
        low = float(near.outgrown.all())
        return Estimate(1.0, low, 1.0, count, OUTGROWS)
    if lead:
        rows, mine = (log_tail(each, depth, premined=True) for each in (near, centre))
    else:
        rows, mine = (log_risks_of(each, [depth])[:, 0] for each in (near, centre))
    certain = near.outgrown | np.isnan(rows)
    log = grid.log_risk(depth, premined=lead) if grid is not None else float(mine[0])
    # 0 stands for "at every depth", here and in ``risk_estimate``.
    log = min(log, -1e-12)
    rows = np.where(certain, 0.0, rows)
    moved = log + np.concatenate([rows[4:] - rows[3], rows[1:3] - rows[0]])
    sure = np.concatenate([certain[4:], certain[1:3]])
    moved = np.where(sure, 0.0, np.minimum(moved, -1e-12))
    error = math.expm1(-MARGIN * float(centre.log_rate[0]))
    how = _method(solved, lead)
    return risk_estimate(log, error, moved.tolist(), count, solved.basis, how)
