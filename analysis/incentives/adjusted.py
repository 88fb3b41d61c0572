r"""Selfish mining's income in time, while the difficulty follows the official chain.

Notation (time unit: the target interval; hash rate 1 finds one block in it at D = 1)
    α, γ     the pool's share; honest share that extends its block in a tie
    R        its share of the official blocks                 ``bounds.selfish_revenue``
    u        official blocks per block found, < 1 under SM1   ``official_share``
    r        its official blocks in an interval before any adjustment: R u

Withholding wastes blocks, so before the difficulty falls it earns less than α. Under an
epoch rule of N blocks, from an honest start, the first epoch takes N/u intervals and
all later ones N, so k epochs have kN/(N/u + (k − 1)N) official blocks an interval, and
the loss of the first is made good after N/u + (α − r)(N/u)/(R − α) intervals.

``income`` plays the race block by block under one of three rules:

    epoch        every 2016 blocks D ← D · 2016/span, by a factor of 4 at most
    cw144        work over time of the last 144 blocks, between medians of three,
                 the span taken between 72 and 288 intervals
    cryptonote   work over time of 720 blocks less the 60 earliest and 60 latest, 15
                 blocks late

Timestamps are the moments at which blocks are found, so they rise along a chain and a
median of three is the one in the middle. Provers are memoryless.

Source
    [ES14]  Eyal, Sirer, FC'14, Eqs. (6)-(8).
    [NRS20] Negy, Rizun, Sirer, Selfish Mining Re-Examined, FC'20, for the incomes.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from ..bounds.selfish import selfish_revenue
from ..estimation.estimate import Estimate, estimate_mean

Rule = Literal["epoch", "cw144", "cryptonote"]

EPOCH = 2016
# Blocks before the start, all honest.
_HISTORY = EPOCH + 1
_BRANCH = 4096
# Heights below the latest block between which a rule takes the time.
_SPANS = {
    "epoch": (0, EPOCH),
    "cw144": (1, 145),
    "cryptonote": (15 + 60, 15 + 720 - 60 - 1),
}


def official_share(alpha: float | int, gamma: float | int) -> float:
    """u: official blocks per block found under SM1 ([ES14] Eqs. (6)-(7)).

    From the stationary law of the lead: an honest block in a lead of two or more is
    lost, and of a tie's two branches one is.
    """
    return _flows(float(alpha), float(gamma))[1]


def income_before(alpha: float | int, gamma: float | int) -> float:
    """r: the pool's official blocks in a target interval, before any adjustment."""
    pool, official = _flows(float(alpha), float(gamma))
    return pool if official else 0.0


def official_rate_epochs(
    alpha: float | int, gamma: float | int, *, epochs: int = 4
) -> float:
    """Official blocks an interval over so many epochs from an honest start."""
    u = official_share(alpha, gamma)
    return epochs / (1.0 / u + epochs - 1)


def profit_lag(alpha: float | int, gamma: float | int, *, epoch: int = EPOCH) -> float:
    """Intervals after which SM1 has earned as much as honest mining; inf: never.

    N/u + (α − r)(N/u)/(R − α).
    """
    share = selfish_revenue(alpha, gamma)
    if share <= alpha:
        return float("inf")
    first = epoch / official_share(alpha, gamma)
    lost = (alpha - income_before(alpha, gamma)) * first
    return first + lost / (share - alpha)


class Incomes(NamedTuple):
    """What a pool earned, run by run.

    Attributes:
        income: Its official blocks per target interval.
        share: Its share of the official blocks.
        rate: Official blocks per target interval.
    """

    income: Float[np.ndarray, " runs"]
    share: Float[np.ndarray, " runs"]
    rate: Float[np.ndarray, " runs"]

    def estimate(self) -> Estimate:
        """Mean income with its interval."""
        return estimate_mean(self.income, "selfish income")


def incomes(
    seed: int,
    rule: Rule,
    alpha: float | int | np.ndarray,
    gamma: float | int | np.ndarray,
    *,
    blocks: int = 8064,
    runs: int = 16,
) -> list[Incomes]:
    """SM1 under a rule of difficulty, from an honest start.

    Args:
        seed: Fixes every draw.
        rule: How the difficulty follows.
        alpha: The pool's share in [0, ½), one or several.
        gamma: In [0, 1], as many.
        blocks: Official blocks of a run.
        runs: Independent runs of each setting.

    Returns:
        One entry a setting.

    Raises:
        ValueError: If a number is out of range.
    """
    a, g = np.broadcast_arrays(np.atleast_1d(alpha), np.atleast_1d(gamma))
    if not ((a >= 0) & (a < 0.5) & (g >= 0) & (g <= 1)).all():
        raise ValueError(
            f"alpha must be in [0, 0.5) and gamma in [0, 1], got {alpha} and {gamma}"
        )
    if rule not in ("epoch", "cw144", "cryptonote"):
        raise ValueError(f"rule must be epoch, cw144 or cryptonote, got {rule!r}")
    if blocks < 1 or runs < 1:
        raise ValueError(f"blocks and runs must be ≥ 1, got {blocks} and {runs}")
    generator = np.random.default_rng(seed)
    played = _play(generator, rule, np.repeat(a, runs), np.repeat(g, runs), blocks)
    return [
        Incomes(*(column[i * runs : (i + 1) * runs] for column in played))
        for i in range(len(a))
    ]


def _flows(alpha: float, gamma: float) -> tuple[float, float]:
    """Official blocks of the pool and of all, per block found, by [ES14] Fig. 1."""
    if not (0 <= alpha < 0.5 and 0 <= gamma <= 1):
        raise ValueError(
            f"alpha must be in [0, 0.5) and gamma in [0, 1], got {alpha} and {gamma}"
        )
    if alpha == 0:
        return 0.0, 1.0
    honest = 1.0 - alpha
    # p_0, p_tie = (1 − α) p_1, p_1 = α p_0, p_k = (α/(1 − α))^{k−1} p_1 for k ≥ 2.
    ratio = alpha / honest
    p_0 = 1.0 / (1.0 + alpha * honest + alpha / (1.0 - ratio))
    one = alpha * p_0
    tie, two = honest * one, ratio * one
    more = two * ratio / (1.0 - ratio)
    pool = tie * (2 * alpha + gamma * honest) + honest * (2 * two + more)
    others = honest * p_0 + tie * honest * (gamma + 2 * (1 - gamma))
    return pool, pool + others


def _play(generator, rule: Rule, alpha, gamma, blocks: int):
    """All runs side by side; rows are runs, columns heights.

    One loop without calls: a call for every block would take longer than its numbers.

    Returns:
        Income, share and rate of each run.
    """
    runs = len(alpha)
    rows, start = np.arange(runs), _HISTORY - 1
    # Official chain and the pool's branch: found at, and work up to and with.
    time, work = np.zeros((2, 2, runs, _HISTORY + blocks + _BRANCH))
    gaps = generator.exponential(size=(runs, _HISTORY))
    time[:, :, :_HISTORY] = np.cumsum(gaps, axis=1) - gaps.sum(axis=1)[:, None]
    work[:, :, :_HISTORY] = np.arange(_HISTORY)
    fork, now, won = np.full(runs, start), np.zeros(runs), np.zeros(runs)
    private, public = np.zeros(runs, int), np.zeros(runs, int)
    tie, done = np.zeros(runs, bool), np.zeros(runs, bool)
    hardness = np.ones((2, runs))
    result = np.zeros((3, runs))
    last, first = _SPANS[rule]
    while not done.all():
        rates = alpha / hardness[1], (1 - alpha) / hardness[0]
        draws = generator.random((3, runs))
        now -= np.log1p(-draws[0]) / (rates[0] + rates[1])
        mine = draws[1] * (rates[0] + rates[1]) < rates[0]
        lead = private - public
        # Whose branch grows by the block that was found.
        on_private = mine | (tie & (draws[2] < gamma))
        branch = on_private.astype(int)
        height = fork + np.where(on_private, private, public) + 1
        time[branch, rows, height] = now
        own = hardness[branch, rows]
        before = np.where(height - 1 > fork, branch, 0)
        work[branch, rows, height] = work[before, rows, height - 1] + own
        private += on_private
        public += ~on_private

        # D of the block after it, by what lies between two heights of its branch.
        late, early = height - last, height - first
        ends = np.where(late > fork, branch, 0), np.where(early > fork, branch, 0)
        span = time[ends[0], rows, late] - time[ends[1], rows, early]
        if rule == "epoch":
            factor = np.clip(EPOCH / np.maximum(span, 1e-9), 0.25, 4.0)
            own = np.where((height - start) % EPOCH == 0, own * factor, own)
        else:
            done_work = work[ends[0], rows, late] - work[ends[1], rows, early]
            if rule == "cw144":
                span = np.clip(span, 72.0, 288.0)
            own = done_work / np.maximum(span, 1e-9)
        hardness[branch, rows] = own

        for_pool = (tie & on_private) | (~mine & ~tie & (lead == 2))
        for_public = (tie & ~on_private) | (~mine & ~tie & (private == 0))
        # All of a branch is the pool's but a block that joined it in a tie.
        won += np.where(for_pool, private - (tie & on_private & ~mine), 0)
        tie = ~mine & ~tie & (lead == 1)
        for row in np.flatnonzero(for_pool):
            piece = slice(fork[row] + 1, fork[row] + 1 + private[row])
            time[0, row, piece] = time[1, row, piece]
            work[0, row, piece] = work[1, row, piece]
        hardness[0] = np.where(for_pool, hardness[1], hardness[0])
        hardness[1] = np.where(for_public, hardness[0], hardness[1])
        fork += np.where(for_pool, private, np.where(for_public, public, 0))
        private[for_pool | for_public] = 0
        public[for_pool | for_public] = 0

        ended = ~done & (fork >= start + blocks)
        if ended.any():
            official = fork[ended] - start
            result[:, ended] = (
                won[ended] / now[ended],
                won[ended] / official,
                official / now[ended],
            )
            done |= ended
            # It goes on as an honest chain from its start, so that nothing overflows.
            alpha = np.where(ended, 0.0, alpha)
            fork[ended], private[ended], public[ended] = start, 0, 0
            tie[ended], hardness[:, ended] = False, 1.0
    return result
