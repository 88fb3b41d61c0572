"""The two tables that users ask for: share × depth → risk, share × target → safe depth.

Notation (``race/walk.py`` says which event; that of ``depths.py``)
    β           adversary's share of the n provers; βn need not be whole
    k, ε        depth, target
    ties        a private chain of equal length reverts

The empirical law enters as fastest of βn and of (1−β)n. The figure is that of the
Fourier grid (``race/fourier.py``), an upper bound of a private chain's risk on the
network; its interval holds the error of the training runs (``training_error.py``), on
the logit of the risk and the logarithm of the depth. Beside each cell stand, for
provers without memory and without delay,
    memoryless  I_{4pq}(k, ½) (pre-mined: its own closed form)     ``bounds``
    Nakamoto    his Poisson approximation of that race, which is too small
and cells that the grid refuses keep the reason: one hard cell does not cost the table.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..block_time.law import BlockTimeLaw, Real
from ..block_time.uncertain import UncertainLaw
from ..bounds import races
from ..estimation.estimate import Estimate, Refused, whole_blocks
from ..estimation.training_error import UNKNOWN, Basis, law_figure, training_interval
from ..race.fourier import log_persistence, smallest_depths
from ..race.walk import OUTGROWS, TARGETS, Race, outgrows, race
from ..simulation.levels import Network

# As other calculators print them.
BETAS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45)
DEPTHS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50)
NO_ADVERSARY = "no adversary: certain not to happen"
_METHOD = "Fourier grid of the private race"
_MOST = 2**20


class RiskCell(NamedTuple):
    """Pr[violation at depth k] under a share.

    Attributes:
        beta: β.
        depth: k.
        estimate: The risk; None where it is refused.
        refusal: Why; "" where it is not.
        certain: Whether the risk is 1 at every depth, or 0 (no adversary).
        memoryless: Exact risk of memoryless provers, no delay.
        nakamoto: Nakamoto's approximation of it, no pre-mining.
    """

    beta: float
    depth: int
    estimate: Estimate | None
    refusal: str
    certain: bool
    memoryless: float
    nakamoto: float


class DepthCell(NamedTuple):
    """Smallest depth that holds a target under a share.

    Attributes:
        beta: β.
        target: ε.
        estimate: The depth, blocks, inf where no depth is safe; None where refused.
        refusal: Why; "" where it is not.
        certain: Whether the answer does not depend on ε: no depth, or any.
        memoryless: The same for memoryless provers without delay.
        nakamoto: The depth that Nakamoto's approximation would give.
    """

    beta: float
    target: float
    estimate: Estimate | None
    refusal: str
    certain: bool
    memoryless: float
    nakamoto: float


class TableTerms(NamedTuple):
    """What all cells of a table share.

    Attributes:
        provers: n.
        delay_steps: Δ.
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary starts with its stationary lead.
        known_until: As ``race.walk.Race``.
    """

    provers: int
    delay_steps: float = 0.0
    ties_win: bool = True
    premined: bool = False
    known_until: float = math.inf


def risk_table(
    law: UncertainLaw,
    terms: TableTerms,
    *,
    betas: Sequence[float] = BETAS,
    depths: Sequence[int] = DEPTHS,
    basis: Basis = UNKNOWN,
) -> list[RiskCell]:
    """Share × depth → Pr[violation], share by share.

    Args:
        law: Block-time law of one prover, with its resamples.
        terms: Provers, delay and rules.
        betas: β in [0, 1).
        depths: k ≥ 1.
        basis: What the race rests on.

    Returns:
        One cell a share and depth. Where a resampled or extreme law is refused, the
        interval of the cell has no upper end but 1.

    Raises:
        ValueError: If a share, a depth or the terms is out of range.
    """
    _check(terms, betas)
    if len(depths) == 0 or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    # Whether the runs are long enough is judged by all of them.
    drawn = terms._replace(known_until=math.inf)
    cells = []
    for beta in betas:
        if beta == 0:
            sure = Estimate(0.0, 0.0, 0.0, 0, NO_ADVERSARY)
            columns = [(sure, "", True) for _ in depths]
        else:
            logs = _log_risks(_race(law, law.law, terms, beta), depths)
            others, ends = (
                [_log_risks(_race(law, o, drawn, beta), depths) for o in some]
                for some in (law.resamples, law.extremes)
            )
            columns = [
                _risk(each, [o[i] for o in others], [o[i] for o in ends], basis)
                for i, each in enumerate(logs)
            ]
        for depth, (estimate, refusal, certain) in zip(depths, columns, strict=True):
            exact, nakamoto = _memoryless(float(beta), int(depth), terms)
            cells.append(
                RiskCell(
                    beta, depth, estimate, refusal, certain, float(exact), nakamoto
                )
            )
    return cells


def depth_table(
    law: UncertainLaw,
    terms: TableTerms,
    *,
    betas: Sequence[float] = BETAS,
    targets: Sequence[float] = TARGETS,
    basis: Basis = UNKNOWN,
) -> list[DepthCell]:
    """Share × target → smallest depth whose risk is at most the target.

    Args:
        law: Block-time law of one prover, with its resamples.
        terms: Provers, delay and rules.
        betas: β in [0, 1).
        targets: ε in (0, 1).
        basis: What the race rests on.

    Returns:
        One cell a share and target. Where a resampled or extreme law has no safe depth
        or is refused, the interval has no upper end.

    Raises:
        ValueError: If a share, a target or the terms is out of range.
    """
    _check(terms, betas)
    for target in targets:
        if not 0 < target < 1:
            raise ValueError(f"targets must be in (0, 1), got {target}")
    drawn = terms._replace(known_until=math.inf)
    cells = []
    for beta in betas:
        if beta == 0:
            sure = Estimate(1.0, 1.0, 1.0, 0, NO_ADVERSARY)
            columns = [(sure, "", True) for _ in targets]
        else:
            found = _depths(_race(law, law.law, terms, beta), targets)
            others, ends = (
                [_depths(_race(law, o, drawn, beta), targets) for o in some]
                for some in (law.resamples, law.extremes)
            )
            columns = [
                _depth(each, [o[i] for o in others], [o[i] for o in ends], basis)
                for i, each in enumerate(found)
            ]
        for target, (estimate, refusal, certain) in zip(targets, columns, strict=True):
            plain = [
                _smallest(
                    target,
                    lambda k, which=which, beta=beta: _memoryless(beta, k, terms)[
                        which
                    ],
                )
                for which in (0, 1)
            ]
            cells.append(
                DepthCell(beta, target, estimate, refusal, certain, plain[0], plain[1])
            )
    return cells


def _race(
    known: UncertainLaw, law: BlockTimeLaw, terms: TableTerms, beta: float
) -> Race:
    provers = terms.provers
    honest, corrupted = (1 - beta) * provers, beta * provers
    net = Network(law, honest, corrupted, terms.delay_steps, known.against(law))
    return race(
        net,
        ties_win=terms.ties_win,
        premined=terms.premined,
        known_until=terms.known_until,
    )


def _log_risks(one: Race, depths: Sequence[int]) -> list[tuple[float, float] | str]:
    """(ln risk, relative error) of each depth, or why it is refused."""

    def solve(some: Sequence[int]) -> Iterator[tuple[float, float]]:
        logs, errors = log_persistence(one, list(some))
        return zip(map(float, logs), map(float, errors), strict=True)

    try:
        return list(solve(depths))
    except Refused:
        # One call solves all depths; apart, those that can be known are.
        return [_or_refusal(lambda k=k: next(solve([k]))) for k in depths]


def _depths(one: Race, targets: Sequence[float]) -> list[float | str]:
    """Smallest depth of each target, inf if none is safe, or why it is refused."""
    try:
        if outgrows(one):
            return [math.inf] * len(targets)
        return [float(each.depth) for each in smallest_depths(one, targets)]
    except Refused:
        return [
            _or_refusal(lambda e=e: float(smallest_depths(one, [e])[0].depth))
            for e in targets
        ]


def _or_refusal(solve: Callable):
    try:
        return solve()
    except Refused as refusal:
        return str(refusal)


def _risk(found: tuple[float, float] | str, others: list, ends: list, basis: Basis):
    """Estimate, refusal and certainty of a cell."""
    if isinstance(found, str):
        return None, found, False
    log, error = found
    value = math.exp(log)
    # ln risk is 0 and without error only where it was not computed but is known.
    sure = found == (0.0, 0.0)
    drawn, outer = ([_or_nan(each) for each in some] for some in (others, ends))
    alone = Estimate(
        value,
        value * math.exp(-error),
        min(1.0, math.exp(log + error)),
        int(np.isfinite(drawn).sum()),
        OUTGROWS if sure else _METHOD,
    )
    wide = training_interval(
        alone, drawn, "logit", extremes=outer, basis=basis, lacking=1.0
    )
    return wide, "", sure


def _or_nan(found: tuple[float, float] | str) -> float:
    return math.nan if isinstance(found, str) else math.exp(found[0])


def _depth(found: float | str, others: list, ends: list, basis: Basis):
    if isinstance(found, str):
        return None, found, False
    sure = not math.isfinite(found)
    drawn, outer = (
        [math.nan if isinstance(each, str) else each for each in some]
        for some in (others, ends)
    )
    wide = law_figure(
        found,
        drawn,
        "log",
        OUTGROWS if sure else _METHOD,
        extremes=outer,
        basis=basis,
        lacking=math.inf,
    )
    return (wide, "", True) if sure else (whole_blocks(wide), "", False)


def _memoryless(beta: float, depth: int, terms: TableTerms) -> tuple[float, float]:
    """Exact and Nakamoto's risk of memoryless provers without delay."""
    if terms.premined:
        exact = _premined(beta, depth, terms.ties_win)
    else:
        exact = races.private_race(beta, depth, ties_win=terms.ties_win)
    return float(exact), float(races.nakamoto_approximation(beta, depth))


def _premined(q: float, depth: int, ties_win: bool) -> float:
    """Pr[L + A + M ≥ k] (strict: k + 1), A ~ NB(k, p), L, M ~ Geom_0(ρ)."""
    if ties_win or q >= 0.5:
        return races.premined_race(q, depth)
    ratio = q / (1 - q)
    mined = np.arange(depth + 1)
    short = depth + 1 - mined
    made = ratio ** short.astype(float) * (1 + short * (1 - ratio))
    chance = stats.nbinom.pmf(mined, depth, 1 - q) @ made
    return float(chance + stats.nbinom.sf(depth, depth, 1 - q))


def _smallest(target: float, risk: Callable[[int], float]) -> float:
    """Smallest depth whose risk is at most the target; inf beyond 2^20."""
    high = 1
    while risk(high) > target:
        high *= 2
        if high > _MOST:
            return math.inf
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if risk(middle) > target else (low, middle)
    return float(high)


def _check(terms: TableTerms, betas: Sequence[Real]) -> None:
    if terms.provers < 1:
        raise ValueError(f"provers must be ≥ 1, got {terms.provers}")
    if not 0 <= terms.delay_steps < math.inf:
        raise ValueError(f"delay_steps must be ≥ 0, got {terms.delay_steps}")
    if len(betas) == 0 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be in [0, 1), got {list(betas)}")
