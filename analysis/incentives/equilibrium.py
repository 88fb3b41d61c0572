r"""Is honesty an equilibrium, for one and for two, and where does a crowd end?

Notation
    u_k(c)    payoff of policy k in the profile c            ``payoffs.Payoffs``
    c_0       all n provers honest, u_0 = u_0(c_0)
    ε         regret of honesty, max_k [u_k(c_0 − 1_0 + 1_k) − u_0]^+ / |u_0|
    ε_2       the same of two that deviate together, for their joint income
    ẋ_k       x_k (f_k(x) − Σ x_j f_j(x)), the replicator equation: f_k(x) the mean
              payoff of k when the n − 1 others are drawn from the mix x

All payoffs of a table share their draws, so a regret is a mean of differences. The
interval on ε holds for all deviations at once (Bonferroni): its ends are the largest
lower and the largest upper end. Honesty is an ε-Nash equilibrium of the listed policies
where the upper end is ≤ ε; nothing is said of other policies.
"""

import math
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from ..estimation.estimate import COVERAGE, Estimate, Refused
from .payoffs import Counts, Payoffs, compositions

_ROUNDS = 4000


class Regret(NamedTuple):
    """What the best deviation gains.

    Attributes:
        epsilon: ε with its interval, as a share of the honest income.
        policies: Who deviates to what; empty: nothing gains.
        gains: Gain of each deviation that was tried, as a share of the honest income.
    """

    epsilon: Estimate
    policies: tuple[str, ...]
    gains: dict[tuple[str, ...], Estimate]


def honest_regret(table: Payoffs) -> Regret:
    """ε of one deviator.

    Raises:
        Refused: If the honest income is not above 0, or there are fewer than 10
            batches.
    """
    return _regret(table, [(k,) for k in range(1, len(table.policies))])


def coalition_regret(table: Payoffs) -> Regret:
    """ε_2 of two deviators that share what they gain.

    A pair of which one stays honest is a single deviator with a partner.
    """
    if table.provers < 3:
        raise ValueError(f"provers must be ≥ 3, got {table.provers}")
    others = range(1, len(table.policies))
    return _regret(table, list(combinations_with_replacement(others, 2)))


def _regret(table: Payoffs, deviations: list[tuple[int, ...]]) -> Regret:
    honest = (table.provers, *[0] * (len(table.policies) - 1))
    base = table.earned[honest][0]
    income = float(base.mean())
    if not income > 0:
        raise Refused(
            f"honest income: it is {income:.3g} block rewards a slot, so no regret is "
            "a share of it; lower the prices"
        )
    level = 1 - (1 - COVERAGE) / len(deviations)
    gains = {}
    for deviation in deviations:
        counts = list(honest)
        for k in deviation:
            counts[0] -= 1
            counts[k] += 1
        earned = table.earned[tuple(counts)]
        joint = sum(earned[k] for k in deviation) / len(deviation)
        gains[tuple(table.policies[k].name for k in deviation)] = _interval(
            (joint - base) / income, level
        )
    best = max(gains, key=lambda name: gains[name].value)
    low, high = (max(0.0, *(g[end] for g in gains.values())) for end in (1, 2))
    value = max(0.0, gains[best].value)
    epsilon = Estimate(
        value, low, high, gains[best].count, "largest gain, t intervals for all"
    )
    return Regret(epsilon, best if value > 0 else (), gains)


def _interval(samples: np.ndarray, level: float) -> Estimate:
    count = len(samples)
    if count < 10:
        raise Refused(
            f"regret: at least 10 batches of slots are needed for an interval, got "
            f"{count}"
        )
    value = float(samples.mean())
    half = stats.t.ppf(0.5 + level / 2, count - 1) * samples.std(ddof=1)
    half = float(half) / math.sqrt(count)
    return Estimate(value, value - half, value + half, count, "batch means")


def pure_equilibria(table: Payoffs, *, slack: float = 0.0) -> list[Counts]:
    """Profiles of the whole table in which nobody gains more than ``slack`` alone.

    By point estimates, in block rewards a slot.
    """
    found = []
    for counts in compositions(table.provers, len(table.policies)):
        here = table.mean(counts)
        if all(
            table.mean(moved)[to] <= here[k] + slack for k, to, moved in _moves(counts)
        ):
            found.append(counts)
    return found


def _moves(counts: Counts):
    for k, number in enumerate(counts):
        for to in range(len(counts)):
            if number and to != k:
                moved = list(counts)
                moved[k] -= 1
                moved[to] += 1
                yield k, to, tuple(moved)


def crowd_payoffs(
    table: Payoffs, mix: Sequence[float | int] | np.ndarray
) -> Float[np.ndarray, " policies"]:
    """f_k(x): payoff of each policy among n − 1 others drawn from a mix.

    Args:
        table: A whole table.
        mix: x, shares that add up to 1.
    """
    x = np.asarray(mix, float)
    if len(x) != len(table.policies) or (x < 0).any() or abs(x.sum() - 1) > 1e-9:
        raise ValueError(f"mix must be shares of each policy that add up to 1, got {x}")
    others, weights, earned = _crowd(table)
    return _fitness(x, others, weights, earned)


def replicate(
    table: Payoffs, mix: Sequence[float | int] | np.ndarray, *, rounds: int = _ROUNDS
) -> Float[np.ndarray, "rounds policies"]:
    """The path of the replicator equation from a mix, until it rests.

    In a step no logarithm of a share moves by more than ¼, and by half as much after
    each step that has overshot, so that the path comes to rest at a stable point.
    """
    crowd = _crowd(table)
    x = np.asarray(mix, float)
    path, stride, before = [x], 0.25, np.zeros(len(x))
    for _ in range(rounds):
        fitness = _fitness(x, *crowd)
        drift = np.where(x > 0, fitness - x @ fitness, 0.0)
        largest = float(np.abs(drift).max())
        if largest < 1e-12 or stride < 1e-7 or float((x * abs(drift)).max()) < 1e-12:
            break
        if before @ (x * drift) < 0:
            stride /= 2
        before = x * drift
        x = x * np.exp(stride * drift / largest)
        x = x / x.sum()
        path.append(x)
    return np.stack(path)


def _crowd(table: Payoffs):
    policies = len(table.policies)
    mixes = list(compositions(table.provers - 1, policies))
    others = np.array(mixes)
    logs = np.cumsum([0.0, *np.log(np.arange(1, table.provers))])
    weights = logs[table.provers - 1] - logs[others].sum(axis=1)
    earned = np.array(
        [
            [
                table.mean(tuple(c + (j == k) for j, c in enumerate(mix)))[k]
                for k in range(policies)
            ]
            for mix in mixes
        ]
    )
    return others, weights, earned


def _fitness(x, others, weights, earned) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(others > 0, others * np.log(x), 0.0).sum(axis=1)
    return np.exp(weights + logs) @ earned


class Anarchy(NamedTuple):
    """What selfishness costs: the honest profile over another one.

    Attributes:
        useful: Useful share of the steps, honest over the other's.
        interval: Time of a block, the other's over honest.
        stale: Stale blocks a block, the other's less honest.
    """

    useful: float
    interval: float
    stale: float


def price_of_anarchy(table: Payoffs, profiles: Sequence[Counts]) -> Anarchy:
    """The worst of the profiles in each respect, against all honest.

    Args:
        table: Must have them and the honest profile.
        profiles: Such as ``pure_equilibria``.

    Raises:
        ValueError: If there is no profile.
    """
    if not profiles:
        raise ValueError("profiles must have one at least, got none")
    honest = table.welfare[(table.provers, *[0] * (len(table.policies) - 1))]
    some = [table.welfare[each] for each in profiles]
    return Anarchy(
        honest.useful / min(each.useful for each in some),
        max(each.interval for each in some) / honest.interval,
        max(each.stale for each in some) - honest.stale,
    )
