"""Persistence against the private chain by the engine that knows it, the grid.

Notation (``race/walk.py`` says which event)
    k, ε        depth, target
    P(k)        Pr[violation at depth k], the row ``persistence_violation`` at k
    k*(ε)       smallest k with P(k) ≤ ε, the row ``safe_depth`` at ε

One solution of the race gives the curve and all depths. The law of all runs is solved
on three grids and Richardson's error is in the interval; the extremes, whose effect is
a hundred times that of the coarsest grid, on that one alone where the law of all runs
shows that it is good enough. How far resampled laws move a figure is the saddle
point's (``resampled.py``), and the coarsest grid's where it does not serve.

The risk is spread on its logarithm, which is all but k times a rate that has the
training's error; the depth on its own. The k* of the target that the verdict is about
has the ends of the curve's band, so that curve, depth and verdict are one statement.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..block_time.law import BlockTimeLaw, Real
from ..block_time.uncertain import UncertainLaw
from ..estimation.estimate import Estimate, Refused, whole_blocks
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    PERSISTENCE_VIOLATION,
    PREMINED,
    SAFE_DEPTH,
    STRICT,
)
from ..estimation.sampling import Mapped, one_by_one
from ..estimation.training_error import (
    UNKNOWN,
    Basis,
    Drawn,
    law_figure,
    training_interval,
)
from ..race.fourier import Answers, answers, further
from ..race.walk import OUTGROWS, Race, race
from ..simulation.levels import Network
from .decision import HORIZON
from .resampled import nearby

METHOD = (
    "Fourier grid of the private race (upper bound of the private chain's risk on this "
    "network, if trainings are independent)"
)
EXACT = "Fourier grid of the private race (exact without delay)"
# Off by less on ln P, the coarsest grid serves the resamples.
_GOOD = 0.005
# What float64 can hold of a risk.
LEAST = 1e-300
# From one depth beyond those asked for to the next; and past which end the last is.
_LADDER, _PAST, _FAR = 1.12, 1.3, 4.0


class PrivateChain(NamedTuple):
    """What the grid says of a private chain.

    Attributes:
        risks: ``persistence_violation`` at each depth.
        further: The same at depths beyond, past the first safe one: for the verdict.
        depths: ``safe_depth`` at each target; inf where no depth is safe.
        refusals: Why some of it is not there.
    """

    risks: list[Measurement]
    further: list[Measurement]
    depths: list[Measurement]
    refusals: list[str]


class _Under(NamedTuple):
    """Under one law: NaN where it is refused."""

    asked: Sequence[int]
    curve: Answers
    safe: tuple[float, ...]
    refusals: tuple[str, ...]

    def at(self, depths: Sequence[int]) -> list[float]:
        """Ln P at depths, those of the curve or others."""
        if list(depths) == list(self.asked):
            return self.curve.logs.tolist()
        if math.isinf(self.curve.off):
            return [math.nan] * len(depths)
        try:
            return [float(each) for each in further(self.curve, depths)]
        except Refused:
            return [math.nan] * len(depths)


def private_chain(
    law: UncertainLaw,
    networks: Callable[[BlockTimeLaw], Network],
    *,
    depths: Sequence[int],
    targets: Sequence[float],
    ties_win: bool = True,
    premined: bool = False,
    carried_on: bool = False,
    brief: bool = False,
    basis: Basis = UNKNOWN,
    progress: Callable[[int, int], None] | None = None,
    mapped: Mapped = one_by_one,
) -> PrivateChain:
    """P(k) at every depth and k*(ε) for every target, with the training's error.

    Args:
        law: Block-time law of one prover, with its resamples.
        networks: The network under a law.
        depths: Depths k ≥ 1 of the curve.
        targets: ε in (0, 1).
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary starts with its stationary lead.
        carried_on: Whether the curve goes on until it is below the first target with
            its upper end; the interval of that k* is then read off the curve.
        brief: Whether the extremes are the saddle point's too, as the resamples are.
        basis: What the race rests on (``effective_runs.tilted``).
        progress: Told (laws done, laws).
        mapped: As for ``assessment.one_law.assess``: laws are independent.

    Returns:
        The curve and the depths. Where a resampled law, or one of the extremes, is
        refused or has no safe depth, the interval has no upper end (but 1).
    """
    others = (*law.resamples, *law.extremes)

    def raced(one: BlockTimeLaw, known: Real) -> Race:
        return race(
            networks(one), ties_win=ties_win, premined=premined, known_until=known
        )

    def resampled(number: int) -> _Under:
        # Whether the runs are long enough was judged by all of them.
        one = others[on_grid[number]]
        return _under(raced(one, math.inf), depths, targets, coarse)

    mine = raced(law.law, law.known_until)
    found = _under(mine, depths, targets)
    coarse = found.curve.off <= _GOOD
    near = None
    if not math.isinf(found.curve.off):
        laws = law.law, *law.resamples, *(law.extremes if brief else ())
        near = nearby(list(map(networks, laws)), ties_win=ties_win, premined=premined)
    served = set() if near is None else set(np.flatnonzero(near.serves).tolist())
    on_grid = [i for i in range(len(others)) if i not in served]
    solved: dict[int, _Under] = {}

    def told() -> None:
        if progress is not None:
            progress(1 + len(served) + len(solved), 1 + len(others))

    told()
    for i, each in zip(on_grid, mapped(resampled, len(on_grid)), strict=True):
        solved[i] = each
        told()

    def depths_under(i: int) -> list[float]:
        """Of the i-th target, under the others."""
        moved = () if near is None else near.depths(targets[i], found.safe[i])
        every = [
            float(solved[j].safe[i] if j in solved else moved[j])
            for j in range(len(others))
        ]
        return [math.inf if math.isnan(each) else each for each in every]

    def logs_under(at: Sequence[int], own: Sequence[float]) -> list[list[float]]:
        """Ln P at depths, under the others."""
        moved = [] if near is None else near.logs(at, own).tolist()
        return [
            solved[j].at(at) if j in solved else moved[j] for j in range(len(others))
        ]

    count, how = len(law.resamples), EXACT if mine.delay == 0 else METHOD
    how += ", with a head start" if premined else ""
    name = SAFE_DEPTH + (PREMINED if premined else "") + ("" if ties_win else STRICT)
    safe = []
    for i, target in enumerate(targets):
        if math.isnan(found.safe[i]):
            continue
        under = depths_under(i)
        depth = depth_estimate(found.safe[i], under, count, basis, how)
        own = depth._replace(value=found.safe[i], low=found.safe[i], high=found.safe[i])
        kept = Drawn(own, tuple(under[:count]), tuple(under[count:]))
        safe.append(
            Measurement(
                name, target, "target", depth, "blocks", basis=basis, drawn=kept
            )
        )
    name = PERSISTENCE_VIOLATION + ("" if ties_win else STRICT)

    def row(depth: int, log: float, error: float, under: list[float]) -> Measurement:
        risk = risk_estimate(log, error, under, count, basis, how)
        kept = _risks(risk, log, error, under, count)
        return Measurement(
            name, float(depth), "blocks", risk, "probability", "tail", basis, kept
        )

    def rows(at: Sequence[int], logs: Sequence[float], errors, drawn) -> list:
        return [
            row(depth, log, error, [each[i] for each in drawn])
            for i, (depth, log, error) in enumerate(zip(at, logs, errors, strict=True))
            if not math.isnan(log)
        ]

    logs = found.curve.logs.tolist()
    curve = rows(depths, logs, found.curve.errors.tolist(), logs_under(depths, logs))
    beyond: list[Measurement] = []
    if carried_on and safe and safe[0].at == targets[0]:
        ladder = _ladder(max(depths), safe[0].estimate)
        if ladder:
            logs = found.at(ladder)
            none = [0.0] * len(ladder)
            beyond = rows(ladder, logs, none, logs_under(ladder, logs))
        safe[0] = safe[0]._replace(
            estimate=_read_off(safe[0].estimate, [*curve, *beyond], targets[0])
        )
    return PrivateChain(curve, beyond, safe, list(found.refusals))


def _risks(
    risk: Estimate, log: float, error: float, under: Sequence[float], count: int
) -> Drawn:
    """A risk under every law, from its logarithms."""

    def p(x: float) -> float:
        return max(math.exp(max(min(x, 0.0), -800.0)), LEAST)

    ends = math.log1p(-min(error, 0.5)), math.log1p(error)
    own = risk._replace(value=p(log), low=p(log + ends[0]), high=p(log + ends[1]))
    # NaN stays NaN: a resample without the figure.
    every = [p(x) if x == x else math.nan for x in under]
    return Drawn(own, tuple(every[:count]), tuple(every[count:]))


def _ladder(last: int, depth: Estimate) -> list[int]:
    """Depths beyond the last one, past the upper end of the first safe one."""
    if math.isinf(depth.value):
        return []
    end = depth.high if math.isfinite(depth.high) else _FAR * depth.value
    steps, at = [], float(last)
    while at < _PAST * end and end >= last:
        at = max(at * _LADDER, at + 1)
        steps.append(math.ceil(at))
    return sorted(set(steps))


def _read_off(depth: Estimate, curve: Sequence[Measurement], target: float) -> Estimate:
    """k* with the ends of the curve's band: ε lies in the band between them."""
    if math.isinf(depth.value):
        return depth

    def first(end: Callable[[Estimate], float]) -> float:
        """Smallest depth from which an end is at most ε; ln P is all but straight."""
        before = None
        for m in curve:
            assert m.at is not None
            value = math.log(max(end(m.estimate), LEAST)) - math.log(target)
            if value <= 0:
                if before is None:
                    return m.at
                at, above = before
                return float(math.ceil(at + (m.at - at) * above / (above - value)))
            before = m.at, value
        return math.inf

    low, high = first(lambda e: e.low), first(lambda e: e.high)
    # What was found by the grid itself stays inside.
    return depth._replace(low=min(low, depth.value), high=max(high, depth.value))


def depth_estimate(
    value: float, found: Sequence[float], resamples: int, basis: Basis, method: str
) -> Estimate:
    """A depth with its interval.

    Args:
        value: Under the law of all runs; inf: none is safe.
        found: Under the resamples, then under the extremes.
        resamples: How many of them are resamples.
        basis: What it rests on.
        method: How each was found.
    """
    drawn, ends = found[:resamples], found[resamples:]
    if math.isinf(value):
        known = [each for each in found if math.isfinite(each)]
        alone = law_figure(value, known, "log", OUTGROWS)
        return whole_blocks(alone._replace(count=sum(map(math.isfinite, drawn))))
    given = {"basis": basis, "lacking": math.inf}
    depth = law_figure(value, drawn, "log", method, extremes=ends, **given)
    inner = law_figure(value, drawn, "log", method, **given)
    if owed_to_ends(depth, inner):
        depth = depth._replace(method=f"{depth.method}; {HORIZON}")
    return whole_blocks(depth)


def owed_to_ends(whole: Estimate, inner: Estimate) -> bool:
    """Whether the extremes widen an interval more than the resamples do."""
    if math.isinf(inner.high):
        return False
    if math.isinf(whole.high):
        return True
    runs = math.log(inner.high / inner.low)
    return math.log(whole.high / whole.low) > math.sqrt(2) * runs


def _under(
    one: Race, depths: Sequence[int], targets: Sequence[float], coarse: bool = False
) -> _Under:
    """All that can be known of a race: one hard target does not cost the curve."""
    try:
        found = answers(one, depths, targets, coarse=coarse)
        return _Under(depths, found, found.safe, ())
    except Refused as refusal:
        told = [str(refusal)]
    found = []
    for some, of in ((depths, ()), *(((1,), (target,)) for target in targets)):
        try:
            found.append(answers(one, some, of, coarse=coarse))
        except Refused as refusal:
            nothing = np.full(len(some), math.nan)
            found.append(Answers(nothing, nothing, (math.nan,) * len(of), math.inf))
            told.append(str(refusal))
    curve, *each = found
    safe = tuple(depth for one in each for depth in one.safe)
    return _Under(depths, curve, safe, tuple(dict.fromkeys(told)))


def risk_estimate(
    log: float,
    error: float,
    drawn: Sequence[float],
    resamples: int,
    basis: Basis,
    method: str,
) -> Estimate:
    """A risk from logarithms.

    Args:
        log: Ln P under the law of all runs; 0: certain.
        error: Of P by the grid, relative.
        drawn: Ln P under the resamples, then under the extremes.
        resamples: How many of them are resamples.
        basis: What it rests on.
        method: How it was found.
    """
    count = sum(math.isfinite(each) for each in drawn[:resamples])
    sure = log == 0.0
    ends = math.log1p(-min(error, 0.5)), math.log1p(error)
    found = training_interval(
        Estimate(
            log, log + ends[0], log + ends[1], count, OUTGROWS if sure else method
        ),
        drawn[:resamples],
        "linear",
        basis=basis,
        extremes=drawn[resamples:],
        lacking=0.0,
    )
    # A law under which no depth is safe leaves no upper end, as it does to k*.
    ends = found._replace(high=0.0) if 0.0 in drawn else found
    value, low, high = (math.exp(max(min(x, 0.0), -800.0)) for x in ends[:3])
    return found._replace(value=max(value, LEAST), low=low, high=max(high, LEAST))
