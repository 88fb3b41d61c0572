"""Statistics of mined and simulated chains, and the error of one mined chain's.

Notation (that of ``comparison.py``)
    D       sup |F_mined − F_predicted|                 ``distances``
    χ²      Σ (O − E)²/E over the winners of levels     ``chi2``

Every statistic is taken of many chains at once, levels on the last axis. That of one
mined chain has the error of a circular block bootstrap, since neighbouring levels share
a head start.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from .chains import Chains, mapped, winner_of

_BOOTSTRAPS = 2000


# The simulation is float32. On a lattice law equal times must stay equal; elsewhere
# 2^-16 of a mean interval is far below what D can see.
_RESOLUTION = 2.0**-16


Side = Literal["left", "right"]


Statistic = Callable[[Chains], np.ndarray]


def interval_mean(chains: Chains) -> np.ndarray:
    """Mean block interval of each chain, steps."""
    return np.asarray(chains.interval.mean(axis=-1))


def interval_cv(chains: Chains) -> np.ndarray:
    """Standard deviation of the intervals over their mean."""
    return np.asarray(chains.interval.std(axis=-1, ddof=1) / interval_mean(chains))


def stale_rate(chains: Chains) -> np.ndarray:
    """Share of the blocks that is not on the chain."""
    blocks = chains.blocks.sum(axis=-1)
    return np.asarray((blocks - chains.blocks.shape[-1]) / blocks)


def winner_share(prover: int) -> Statistic:
    """The statistic: share of the levels that a prover won."""
    return lambda chains: np.asarray((winner_of(chains) == prover).mean(axis=-1))


def distances(chains: np.ndarray, cdf) -> np.ndarray:
    """D of each chain, ties counted right on both sides of a jump."""
    ordered = np.sort(chains, axis=-1)
    count = ordered.shape[-1]
    rank = np.arange(1, count + 1)
    # Of equal times the last has the whole jump, the first what was before it: the
    # others give less on either side, never more.
    above = rank / count - cdf(ordered, "right")
    below = cdf(ordered, "left") - (rank - 1) / count
    return np.maximum(above.max(axis=-1), below.max(axis=-1))


def staircase(sample: np.ndarray) -> Callable[[np.ndarray, Side], np.ndarray]:
    """The empirical distribution function, at and just before a place."""
    ordered = np.sort(sample, axis=None)
    nudge = _RESOLUTION * float(ordered.mean())

    def cdf(x: np.ndarray, side: Side) -> np.ndarray:
        place = x + (nudge if side == "right" else -nudge)
        return np.searchsorted(ordered, place, side=side) / ordered.size

    return cdf


def chi2(winner: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Σ (O−E)²/E of each chain, E the expected shares of its length."""
    levels, provers = winner.shape[-1], len(expected)
    share = expected / expected.sum()
    observed = (winner[..., None] == np.arange(provers)).mean(axis=-2)
    # A winner that is never expected is refutation enough.
    terms = (observed - share) ** 2 / np.maximum(share, 1e-12)
    return levels * terms.sum(axis=-1)


def bootstrap_error(seed: int, statistic: Statistic, chain: Chains) -> float:
    """Standard error of one chain's statistic: circular blocks of n^{1/3} levels."""
    levels = chain.interval.size
    block = max(1, round(levels ** (1 / 3)))
    starts = np.random.default_rng(seed).integers(
        levels, size=(_BOOTSTRAPS, -(-levels // block), 1)
    )
    drawn = (starts + np.arange(block)) % levels
    drawn = drawn.reshape(_BOOTSTRAPS, -1)[:, :levels]
    each = statistic(mapped(lambda column: column[drawn], chain))
    return float(each.std(ddof=1))
