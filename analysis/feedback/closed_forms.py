r"""What is known of a loop without simulating it: moments, responses, gains.

Setting: X = s + (1 − s) E / (kθ) in T, E ~ Exp(1), unless said otherwise.

Notation
    c       (1 − s)/N, what a block moves the target by for an error
    A, L    transforms of a rule's weights on past targets and past intervals
    S(z)    what is left of a small disturbance of ln k    ``sensitivity``
    f       how far ahead a timestamp is, in windows N T
    κ       blocks of a private chain, in windows N

Source: docs/science/feedback.md.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import integrate, optimize

from ..bounds.arguments import Real, require
from ..bounds.selfish import selfish_revenue
from .rules import LoopRule


def epoch_mean(blocks: int, *, measured: int | None = None) -> float:
    """Mean interval in T under epochs of a memoryless chain, without the clamp.

    The next epoch's interval is Lomax, Pr[X > t] = (1 + t/N)^−M for M intervals that
    are measured and compared with N: N/(M − 1) on average. Bitcoin measures N − 1.

    Args:
        blocks: N.
        measured: M; None: N.

    Reference: [FM18].
    """
    m = blocks if measured is None else measured
    require("measured", m, m > 1, "> 1")
    return blocks / (m - 1)


def epoch_cv(measured: int) -> float:
    """CV of the interval under memoryless epochs: √(M/(M − 2)).

    Args:
        measured: M intervals an epoch, > 2.
    """
    require("measured", measured, measured > 2, "> 2")
    return math.sqrt(measured / (measured - 2))


def epoch_interval(share: Real, first: Real, epochs: int) -> float:
    """Interval in T so many epochs after it was ``first``: M' = 1 + s(M − 1)/M.

    Long epochs, so that a mean is known; a dead time lets an error shrink by no more
    than s an epoch.
    """
    require("share", share, 0 <= share < 1, "[0, 1)")
    found = float(first)
    for _ in range(epochs):
        found = 1.0 + share * (found - 1.0) / found
    return found


def wtema_target_cv(share: Real, blocks: Real) -> float:
    """CV of WTEMA's target, √((1 − s)/(2N − (1 − s))): the target is an AR(1)."""
    require("share", share, 0 <= share < 1, "[0, 1)")
    return math.sqrt((1 - share) / (2 * blocks - (1 - share)))


def wtema_target_after(share: Real, blocks: Real, provers: Real, after: int) -> float:
    """E[θ] so many blocks after provers became k: 1/k + (1 − 1/k)(1 − (1 − s)/N)^n."""
    kept = (1 - (1 - share) / blocks) ** after
    return 1 / provers + (1 - 1 / provers) * kept


def average_sd(share: Real, blocks: Real) -> float:
    """Sd of ASERT's ln θ, √(c/(2 − c)) for small c = (1 − s)/N."""
    c = (1 - share) / blocks
    return math.sqrt(c / (2 - c))


def sensitivity(rule: LoopRule, gain: Real, period: Real) -> float:
    r"""Share of a small wave of ln k that is left in the expected interval.

    With y = A y − L (g y + h d) for a disturbance d of ln k, of which −h d is what the
    expected interval would do,

        |S| = |(1 − A(z)) / (1 − A(z) + g L(z))|,     z = e^{2πi/period}

    to first order in d: for WTEMA and ASERT A = 1/z, L = 1/(zN); for SMA A = L, for
    LWMA L has falling weights; cw-144 is taken as SMA.

    Args:
        rule: Not one of epochs, which have no transfer function.
        gain: g = −d ln E[X] / d ln p_2 at the design.
        period: Of the wave, in blocks, > 2.

    Raises:
        ValueError: For epochs, the step clock's ``share_blocks``, or a short period.
    """
    if rule.name.startswith("epoch"):
        raise ValueError(f"rule must not be one of epochs, got {rule.name}")
    require("period", period, period > 2, "> 2")
    n = rule.blocks * (1 - rule.share if rule.schedule else 1)
    z = np.exp(2j * math.pi / period)
    if rule.name in ("wtema", "asert", "steps"):
        a, intervals = 1 / z, 1 / (z * n)
    else:
        ages = np.arange(1, int(n) + 1)
        a = (z**-ages).mean()
        weights = int(n) + 1.0 - ages
        falling = (weights * z**-ages).sum() / weights.sum()
        intervals = falling if rule.name == "lwma" else a
    return float(abs((1 - a) / (1 - a + gain * intervals)))


def forward_gain(
    share: Real, rule: Literal["asert", "wtema"] = "asert", *, most: Real = math.inf
) -> tuple[float, float]:
    r"""What a private chain gains by a first timestamp that is ahead, and its best f.

    After f windows of true time the chain may be shown. It made κ windows of blocks,

        ∫_0^κ s + (1 − s)/θ(u) du = f

    with ln θ = f − u under ASERT and θ = (1 + f) e^{−u} under WTEMA, as far as p_2 ≤ 1
    lets it; the gain is the largest κ/f.

    Args:
        share: s.
        rule: Whose.
        most: Largest θ.

    Returns:
        Gain and f.

    Reference: [Z17], issues 36 and 61, for s = 0.
    """
    require("share", share, 0 <= share < 1, "[0, 1)")
    require("most", most, most >= 1, "≥ 1")

    def blocks(ahead: float) -> float:
        height = ahead if rule == "asert" else math.log1p(ahead)
        flat = max(0.0, height - math.log(most))

        def late(kappa: float) -> float:
            easy = min(kappa, flat) * math.exp(flat - height)
            rest = max(kappa - flat, 0.0)
            hard = math.exp(flat - height) * math.expm1(rest)
            return share * kappa + (1 - share) * (easy + hard) - ahead

        return optimize.brentq(late, 0.0, 2 * ahead + 60.0)  # pyright: ignore

    found = optimize.minimize_scalar(
        lambda log_f: -blocks(math.exp(log_f)) / math.exp(log_f),
        bounds=(math.log(0.02), math.log(60.0)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    best = math.exp(found.x)  # pyright: ignore[reportAttributeAccessIssue]
    return blocks(best) / best, best


def selection_gain(
    selection: Literal["number", "work", "interval"], share: Real, target: Real
) -> float:
    """What a private chain counts a time at another θ, over the design's.

    By number of blocks a higher θ gains up to 1/s, by work 1/θ a lower one up to
    1/(1 − s), by expected interval s + (1 − s)/θ neither.
    """
    require("share", share, 0 <= share < 1, "[0, 1)")
    require("target", target, target > 0, "> 0")
    interval = share + (1 - share) / target
    worth = {"number": 1.0, "work": 1 / target, "interval": interval}
    return worth[selection] / interval


def profit_lag(alpha: Real, gamma: Real, blocks: Real) -> float:
    r"""Time in T until selfish mining has earned more than honest mining would have.

    Before the first adjustment the pool loses: the chain grows by 1/D of the blocks,
    and the pool has R of those; from then on it gains R − α a block. Under epochs of N,

        N R (D − 1)/(R − α),
        D = ((p − α) + pα(p − α) + pα)/(p²α + p − α),     p = 1 − α

    Args:
        alpha: α, the pool's share.
        gamma: γ.
        blocks: N of the epochs.

    Returns:
        inf where SM1 earns no more than honest mining.

    Reference: [ES14] for R; D and the lag are those of Grunspan and Pérez-Marco's
    profitability of selfish mining, with the epoch's end at the first adjustment.
    """
    revenue = selfish_revenue(alpha, gamma)
    if revenue <= alpha:
        return math.inf
    p = 1 - alpha
    slower = (p - alpha + p * alpha * (p - alpha) + p * alpha) / (
        p * p * alpha + p - alpha
    )
    return blocks * revenue * (slower - 1) / (revenue - alpha)


def profit_lag_of_averages(alpha: Real, gamma: Real, blocks: Real) -> float:
    """The same under ASERT of N blocks, whose target follows block by block.

    ln θ moves by D/θ − 1 in N blocks; the lag is where the pool's income less α a T,
    summed over time, is 0 again. To first order in 1/N, and memoryless as R and D are.
    """
    revenue = selfish_revenue(alpha, gamma)
    if revenue <= alpha:
        return math.inf
    p = 1 - alpha
    slower = (p - alpha + p * alpha * (p - alpha) + p * alpha) / (
        p * p * alpha + p - alpha
    )

    def moved(_: float, state: Sequence[float] | np.ndarray) -> list[float]:
        log_target, _time, _profit = state
        took = slower * math.exp(-log_target)
        return [(took - 1.0), took, revenue - alpha * took]

    def even(_: float, state: Sequence[float] | np.ndarray) -> float:
        return float(state[2]) if state[1] > 1e-6 else -1.0

    even.terminal = True  # pyright: ignore[reportFunctionMemberAccess]
    even.direction = 1.0  # pyright: ignore[reportFunctionMemberAccess]
    far = 200.0 + 100.0 * alpha / (revenue - alpha)
    found = integrate.solve_ivp(
        moved, (0.0, far), [0.0, 0.0, 0.0], events=even, rtol=1e-9, atol=1e-12
    )
    if not len(found.y_events[0]):
        return math.inf
    return float(blocks * found.y_events[0][0][1])
