"""How deep is safe: closed brackets of the confirmation error under bounded delay.

Notation (time unit: one mean block interval of everybody, λ = 1)

| symbol | name here | meaning |
|---|---|---|
| q, p = 1 − q | `q` | the adversary's and the honest share of block events |
| k | `depth` | blocks that bury the target, its own included |
| x = λΔ | `x` | bound on message delay in mean block intervals |
| r = q/p | | Pr[the adversary ever gains one block] |
| p̃ = p e^{−x}, r̃ = (1−p̃)/p̃ | `fair`, `ruin` | the same when it gets all tailgaters |
| L | `lead` | blocks by which it leads before the target |
| B | | blocks that it adds while the target is buried |

Tailgater: an honest block less than Δ after the block before it, whosever.

Source
    [GR22]  Guo, Ren, Bitcoin's Latency–Security Analysis Made Simple, AFT'22,
            arXiv:2203.06357 (numbers of theorems as in its first version).

Assumed: exponential intervals, messages that take up to Δ as the adversary likes, ties
that it wins, and a target that comes when its lead is stationary. A lower bound is an
attack that exists; an upper bound holds against every attack. `settlement` has a
narrower and dearer bracket of the same model. D-PoDL is not memoryless: for it they are
the yardstick that its own law is held against, not a statement about it.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from ..estimation.estimate import Refused
from .races import Count, Real, premined_race


class Bracket(NamedTuple):
    """A probability between two proved bounds.

    Attributes:
        lower: What some attack achieves.
        upper: What no attack exceeds.
    """

    lower: float
    upper: float


def guo_ren(q: Real, depth: Count, *, x: Real) -> Bracket:
    r"""Bracket of the confirmation error from races of coins, for any delay.

        lower = E[r^{(2(k−S))⁺}],         r = q/p,          B ~ Bin(2k − L, q)
        upper = E[r̃^{(2(k−S)−1)⁺}],       r̃ = (1−p̃)/p̃,      B ~ Bin(2k − L, 1−p̃)

    with S = L + B and L geometric: Pr[L ≥ n] = r^n (r̃^n). No reversal is possible
    before 2k blocks, of which the adversary has S; then it climbs its deficit 2(k−S).
    The lower bound lets it attack without any delay (`premined_race`). The upper bound
    gives it every honest block that comes less than Δ after some block; the others are
    at heights of their own, and an honest view lacks at most the last of them, which
    is the block less that it has to climb.

    Args:
        q: the adversary's share, in [0, 1].
        depth: k ≥ 1, blocks.
        x: λΔ ≥ 0.

    Returns:
        Both bounds; the upper one is 1 from 1 − p̃ = ½ on.

    Raises:
        ValueError: an argument outside its range.

    Reference: [GR22] Theorem 2; the lower bound is the case of no delay.
    """
    require_attack(q, depth, x)
    fair = (1 - q) * math.exp(-x)
    if fair <= 0.5:
        return Bracket(premined_race(q, depth), 1.0)
    ruin = (1 - fair) / fair
    lead = np.arange(int(depth))[:, None]
    more = np.arange(int(depth))[None, :]
    short = np.maximum(depth - lead - more, 0)  # k − S
    mined = stats.binom.pmf(more, 2 * depth - lead, 1 - fair)
    climbs = np.where(short > 0, mined * ruin ** np.maximum(2.0 * short - 1, 0.0), 0.0)
    ahead = stats.binom.sf(depth - lead - 1, 2 * depth - lead, 1 - fair)
    stationary = (1 - ruin) * ruin ** lead.astype(float)
    upper = ruin ** float(depth) + np.sum(
        stationary * (ahead + climbs.sum(axis=1, keepdims=True))
    )
    return Bracket(premined_race(q, depth), min(1.0, float(upper)))


def guo_ren_exponential(q: Real, depth: Count, *, x: Real) -> Bracket:
    r"""The same bracket in closed form, exponential in the depth and much wider.

        lower = (4pq)^k / √(π(k + ½)),     upper = 2 (1 + √(p̃/(1−p̃))) (4p̃(1−p̃))^k

    The lower one is I_{4pq}(k, ½), the race without a lead, with (1 − t)^{−½} ≥ 1 under
    its integral. [GR22] prints (4pq)^k/√k, which passes the optimum of that model below
    k = 5 (.19 against .1474 at q = .05, k = 1) and is not used here.

    Args:
        q: the adversary's share, in [0, 1].
        depth: k ≥ 1, blocks.
        x: λΔ ≥ 0.

    Returns:
        Both bounds; the lower one is 1 from q = ½ on, the upper one from 1 − p̃ = ½ on.

    Raises:
        ValueError: an argument outside its range.

    Reference: [GR22] Theorem 1 (upper); `bounds.private_race` (lower).
    """
    require_attack(q, depth, x)
    fair = (1 - q) * math.exp(-x)
    decay = (4 * q * (1 - q)) ** int(depth)
    lower = 1.0 if q >= 0.5 else decay / math.sqrt(math.pi * (depth + 0.5))
    if fair <= 0.5:
        return Bracket(lower, 1.0)
    # (1−p̃)^k √(1/(1−p̃)) as one power, which has its limit 0 at p̃ = 1.
    rigged = 1 - fair
    shape = 2 * (math.sqrt(rigged) + math.sqrt(fair)) * (4 * fair) ** int(depth)
    return Bracket(lower, min(1.0, shape * rigged ** (int(depth) - 0.5)))


def safe_depth(
    target: Real,
    q: Real,
    *,
    x: Real,
    bound: Callable[..., Bracket] = guo_ren,
    most: int = 2000,
) -> int:
    """Smallest depth at which a bound promises an error of at most the target.

    Args:
        target: Confirmation error that is acceptable, in (0, 1).
        q: The adversary's share, in [0, 1].
        x: λΔ ≥ 0.
        bound: One of the brackets of this module; its upper end is used.
        most: Largest depth tried.

    Raises:
        ValueError: An argument outside its range.
        Refused: If no depth up to ``most`` is safe.
    """
    if not 0 < target < 1:
        raise ValueError(f"target must lie in (0, 1), got {target}")
    low, high = 0, 1
    while bound(q, high, x=x).upper > target:
        if high >= most:
            raise Refused(
                f"latency: no depth up to {most} brings the error down to {target:g} "
                f"at q = {q:g} and x = {x:g}; a larger target, or a larger most"
            )
        low, high = high, min(2 * high, most)
    # The upper bounds fall with the depth.
    while high - low > 1:
        middle = (low + high) // 2
        if bound(q, middle, x=x).upper > target:
            low = middle
        else:
            high = middle
    return high


def require_attack(q: Real, depth: Count, x: Real) -> None:
    """Refuse a share, a depth or a delay that is none (both brackets' domain)."""
    if not 0 <= q <= 1:
        raise ValueError(f"q must lie in [0, 1], got {q}")
    if not depth >= 1:
        raise ValueError(f"depth must lie in {{1, 2, ...}}, got {depth}")
    if not 0 <= x < math.inf:
        raise ValueError(f"x must lie in [0, ∞), got {x}")
