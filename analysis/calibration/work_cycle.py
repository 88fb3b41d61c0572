"""What a prover does between two tips: how long, how much of it hashing, which block.

Notation (time unit: one step of a unit-speed prover)
    S, f        survival and density of one prover's block time X    ``law``
    m           the other honest provers, n_h − 1                    ``others``
    Δ           message delay                                        ``delay_steps``
    G(t)        S(t − Δ)^m: no tip of another is known by t
    C           cycle: from one adopted tip to the next, min(X, Δ + min of m)
    h(t)        Pr[at t the prover hashes and has no block yet]
    U           renewal measure of attempts' beginnings (pre-hash, then training)
    P           pre-hash time, Geometric(p_1) hashes

A tip is a renewal, so the chain's mean interval is that of a cycle, and shares of work
are ratios of means over one (renewal–reward):
    E[C] = ∫ S(t) G(t) dt,     hashing share = ∫ h(t) G(t) dt / E[C],
    h(t) = ∫ Pr[P > t − s] dU(s),     steps of a block = E[K; X < C] / Pr[X < C].
The finder of a block is Δ ahead of all others, which is exact; that a second prover
with a block of the same height (a fork) is ahead too is left out: it changes E[C] by
about its stale rate times Δ/n_h. At Δ = 0 nothing is left out.

Beyond the law's table the hazard is constant, and h/S with it.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..attacks.situation import Situation, ticketed
from ..block_time.attempts import attempts_of, later, shown_by
from ..block_time.empirical import run_costs
from ..block_time.law import KNOTS, BlockTimeLaw, Real, survival
from ..block_time.renewals import convolve, prehash_excess, prehash_masses, renewals_of


class Cycle(NamedTuple):
    """A cycle's means.

    Attributes:
        interval: E[C], steps: the mean block interval.
        hashing: Share of a prover's time that goes into pre-hashes, in [0, 1].
        block_steps: Mean training time of a block, forks included, steps.
    """

    interval: float
    hashing: float
    block_steps: float


def mean_interval(law: BlockTimeLaw, *, honest: Real, delay_steps: Real) -> float:
    r"""Mean interval of n_h provers' chain under delay, ∫ S(t) S(t − Δ)^{n_h − 1} dt.

    Args:
        law: Block-time law of one prover.
        honest: n_h ≥ 1; need not be whole.
        delay_steps: Δ ≥ 0.

    Returns:
        Steps; inf for a law that may never end.

    Raises:
        ValueError: If a parameter is out of range.
    """
    inside, rest = _interval(law, honest, delay_steps)
    return inside + rest


def cycle(at: Situation, law: BlockTimeLaw, *, honest: Real, delay: Real) -> Cycle:
    """The means of a cycle of fresh honest provers, S_min included.

    Args:
        at: The situation that the law is of (``attacks.situation.plain``).
        law: Its block-time law.
        honest: n_h ≥ 1; need not be whole.
        delay: Δ ≥ 0, steps.

    Raises:
        ValueError: If a parameter is out of range.
    """
    inside, rest = _interval(law, honest, delay)
    lottery, g = at.lottery, float(law.spacing)
    due = np.full(len(at.runs), at.s_min)
    curves = ticketed(at.curves, due)
    costs = run_costs(curves, at.step_costs)
    shown = shown_by(curves.accuracy, lottery, at.check_every)
    cell = at.check_every / g
    late = later(shown, lottery, costs, "central")
    attempts = attempts_of(shown, late, lottery, costs * cell, cell)
    hash_time = 1.0 / lottery.hashes_per_step
    prehash = prehash_masses(lottery.p_1, hash_time, g)
    starts = renewals_of(convolve(prehash, attempts.retry))
    # Hashing time in each cell: exact however short a pre-hash is against it.
    left = prehash_excess(lottery.p_1, hash_time, g * np.arange(KNOTS + 1))
    hashing = convolve(starts, -np.diff(left))
    knots = np.arange(KNOTS)
    open_ = _nobody_else(law, g * (knots + 0.5), honest, delay)
    ready = convolve(starts, prehash)
    blocks = convolve(ready, attempts.success)
    steps = convolve(ready, g * knots * attempts.success)
    found = _nobody_else(law, g * knots, honest, delay)
    # The last eighth of the table stands for all beyond it.
    end = slice(-KNOTS // 8, None)
    alive = g * survival(law, g * (knots[end] + 0.5)).sum()
    tail = rest if alive > 0 else 0.0
    spent = float(hashing @ open_)
    spent += tail * float(hashing[end].sum() / alive) if tail else 0.0
    count, sum_ = float(blocks @ found), float(steps @ found)
    if tail and blocks[end].sum() > 0:
        late = tail * float(law.tail_hazard)
        count += late
        sum_ += late * float(steps[end].sum() / blocks[end].sum())
    interval = inside + rest
    return Cycle(
        interval=interval,
        hashing=min(1.0, spent / interval) if math.isfinite(interval) else math.nan,
        block_steps=sum_ / count if count > 0 else math.nan,
    )


def _interval(law: BlockTimeLaw, honest: Real, delay: Real) -> tuple[float, float]:
    """∫ S G over the table (as far as both factors need it) and beyond it."""
    if not (honest >= 1 and math.isfinite(honest)):
        raise ValueError(f"honest must be ≥ 1 and finite, got {honest}")
    if not 0 <= delay < math.inf:
        raise ValueError(f"delay must be ≥ 0 and finite, got {delay}")
    g, begin = float(law.spacing), float(law.offset)
    knots = begin + g * np.arange(len(law.cumulative_hazard))
    # Beyond the later of both tables one period of g repeats, smaller each time.
    last = knots[-1] + delay
    until = last + g
    places = np.concatenate(
        [[0.0, delay, until], knots, knots + delay, np.arange(knots[-1], until, g)]
        if delay <= g * len(knots)
        else [[0.0, until], knots, np.linspace(knots[-1], until, KNOTS), knots + delay]
    )
    places = np.unique(places[places <= until])
    # A lattice law's S is a staircase, continuous from the right.
    logs = _log_open(law, places, honest, delay)
    if law.lattice:
        parts = np.diff(places) * np.exp(logs[:-1])
    else:
        drop = -np.diff(logs)
        safe = np.where(drop < 1e-6, 1.0, drop)
        shape = np.where(drop < 1e-6, 1 - drop / 2, -np.expm1(-safe) / safe)
        parts = np.diff(places) * np.exp(logs[:-1]) * shape
    inside = float(parts[places[:-1] < last - 1e-9 * g].sum())
    period = float(parts[places[:-1] >= last - 1e-9 * g].sum())
    if period <= 1e-300:
        return inside, 0.0
    rate = float(law.tail_hazard) * honest * g
    return inside, period / -math.expm1(-rate) if rate > 0 else math.inf


def _log_open(law, times: np.ndarray, honest: Real, delay: Real) -> np.ndarray:
    """Ln S(t) G(t)."""
    own = np.log(np.maximum(survival(law, times), 1e-300))
    if honest == 1:
        return own
    before = np.log(np.maximum(survival(law, times - delay), 1e-300))
    return own + (honest - 1) * before


def _nobody_else(
    law: BlockTimeLaw, times: Float[np.ndarray, " n"], honest: Real, delay: Real
) -> Float[np.ndarray, " n"]:
    """G(t)."""
    return survival(law, times - delay) ** (honest - 1)
