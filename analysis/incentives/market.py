r"""Income as a function of speed: pooling, domination, entry and exit at prices.

    v          speed of one prover among n − 1 of speed 1
    P(v)       its share of the blocks                       ``market_share``
    elasticity d ln P/d ln v at v = 1; above 1 pooling pays
    v*         least v with P(v) ≥ a share                   ``takeover_speed``

Data-parallel training makes one fast prover of m slow ones: pooled they earn P(m) of a
network with n − m others, apart m/n. With a dead time S_0 and hazard π

    P(v) = 1 − e^{−πS_0(v−1)} (n − 1)/(n − 1 + v).

Prices are in block rewards. A prover of speed v in a network whose interval is held at
T pays its costs in every interval and stays while P_v ≥ cost; who earns least leaves
first (``staying``).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from ..agreement.named_race import domination
from ..block_time.law import BlockTimeLaw
from ..estimation.estimate import Refused

_FASTEST = 2.0**20


class Prices(NamedTuple):
    """What mining costs, in block rewards; all 0: nothing.

    Attributes:
        step: A training step of the mean cost.
        hash: A hash.
        byte: Keeping a byte of checkpoints for an interval.
        verification: Verifying a block.
    """

    step: float | int = 0.0
    hash: float | int = 0.0
    byte: float | int = 0.0
    verification: float | int = 0.0


def cost_of_interval(
    prices: Prices,
    *,
    interval: float | int,
    speed: float | int = 1.0,
    hashes: float | int = 0.0,
    kept: float | int = 0.0,
) -> float:
    """What a prover pays in a block interval: it works through it, and verifies once.

    Args:
        prices: What things cost.
        interval: T, steps of a unit-speed prover.
        speed: v.
        hashes: Hashes of an interval.
        kept: Bytes that it keeps.
    """
    for name, price in prices._asdict().items():
        if not (price >= 0 and math.isfinite(price)):
            raise ValueError(f"prices.{name} must be ≥ 0 and finite, got {price}")
    return (
        prices.step * interval * speed
        + prices.hash * hashes
        + prices.byte * kept
        + prices.verification
    )


def market_share(law: BlockTimeLaw, speed: float | int, others: int) -> float:
    """P(v) against provers of speed 1.

    Raises:
        ValueError: If the speed is not > 0, or the law is a lattice law.
        Refused: If all may fail for ever.
    """
    return float(domination(law, [speed, *[1.0] * others])[0])


def memoryless_market_share(
    advantage: float | int, speed: float | int, others: int
) -> float:
    """P(v), v ≥ 1, of hazard π after S_0 steps; ``advantage`` = πS_0."""
    if speed < 1:
        raise ValueError(f"speed must be ≥ 1, got {speed}")
    gone = math.exp(-advantage * (speed - 1.0))
    return 1.0 - gone * others / (others + speed)


def takeover_speed(law: BlockTimeLaw, others: int, *, share: float = 0.5) -> float:
    """v*, the speed from which one prover has a share of all blocks.

    Args:
        law: Block-time law of a unit-speed prover.
        others: n − 1 provers of speed 1.
        share: In (0, 1).

    Raises:
        Refused: If no speed up to 2^20 is enough.
    """
    if not 0 < share < 1 or others < 1:
        raise ValueError(
            f"share must be in (0, 1) and others ≥ 1, got {share} and {others}"
        )

    def lead(log_speed: float) -> float:
        return market_share(law, math.exp(log_speed), others) - share

    if lead(math.log(_FASTEST)) < 0:
        raise Refused(
            f"market: no speed up to {_FASTEST:g} has a share of {share:g} of the "
            "blocks; ask for a smaller share"
        )
    low = -math.log(_FASTEST)
    found: Any = optimize.brentq(lead, low, math.log(_FASTEST), xtol=1e-9)
    return math.exp(found)


def pooling_gain(law: BlockTimeLaw, provers: int, pool: int) -> float:
    """Relative gain of ``pool`` provers that train as one of their joint speed."""
    if not 1 <= pool < provers:
        raise ValueError(f"pool must be from 1 to {provers - 1}, got {pool}")
    return market_share(law, float(pool), provers - pool) * provers / pool - 1.0


def income_elasticity(law: BlockTimeLaw, provers: int, *, step: float = 0.02) -> float:
    """The slope d ln P/d ln v at v = 1, by a central difference; memoryless: 1 − 1/n.

    Above 1 income is convex in speed near the others', and pooling pays.
    """
    up, down = (
        math.log(market_share(law, math.exp(sign * step), provers - 1))
        for sign in (1, -1)
    )
    return (up - down) / (2 * step)


class Market(NamedTuple):
    """Who stays.

    Attributes:
        stays: Of every prover given.
        shares: Of the blocks; 0 of those who are out.
        profits: Income less costs, in block rewards an interval.
    """

    stays: tuple[bool, ...]
    shares: tuple[float, ...]
    profits: tuple[float, ...]


def staying(
    law: BlockTimeLaw,
    speeds: Sequence[float | int],
    costs: Sequence[float | int],
) -> Market:
    """Who still mines when all that lose have left, the greatest loss first.

    The interval is held by the difficulty, so that costs of an interval do not depend
    on who mines, and one block's reward is what all share.

    Args:
        law: Block-time law of a unit-speed prover.
        speeds: v_i.
        costs: Of an interval, in block rewards.

    Returns:
        A market that none of those inside leaves. The last one never leaves by this
        rule if a whole reward covers its cost.
    """
    if len(speeds) != len(costs) or not speeds:
        raise ValueError("speeds and costs must be lists of one length ≥ 1")
    inside = list(range(len(speeds)))
    shares = np.zeros(len(speeds))
    while inside:
        shares = np.zeros(len(speeds))
        shares[inside] = (
            domination(law, [speeds[i] for i in inside]) if len(inside) > 1 else 1.0
        )
        profits = {i: float(shares[i] - costs[i]) for i in inside}
        worst = min(inside, key=lambda i: profits[i])
        if profits[worst] >= -1e-12:
            break
        inside.remove(worst)
    stays = tuple(i in inside for i in range(len(speeds)))
    shares = np.where(stays, shares, 0.0)
    profits = np.where(stays, shares - np.asarray(costs, float), 0.0)
    return Market(stays, tuple(map(float, shares)), tuple(map(float, profits)))


def free_entry(cost: float | int, most: int) -> int:
    """Equal provers that a block reward feeds: the largest n with 1/n ≥ cost."""
    if not cost > 0:
        return most
    return min(most, math.floor(1.0 / cost + 1e-12))
