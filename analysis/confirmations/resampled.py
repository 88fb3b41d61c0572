"""The private race under laws that are near one that the grid has solved.

Notation (that of ``race/saddle_point.py``)
    P_b(k), k*_b(ε)     risk of depth k and confirmations under the b-th law
    P̂_b(k), k̂_b(ε)      the same by the saddle point
    0                   the law of all runs, whose P_0 and k*_0 are the grid's

A resampled law matters by how far it moves a figure. That the saddle point knows to a
few hundredths, in ln P as in ln k*, as what it leaves out is nearly the same for both
laws:
    ln P_b(k) = ln P_0(k) + ln P̂_b(k) − ln P̂_0(k),    k*_b = k*_0 k̂_b / k̂_0.
A grid for each law costs thirty times as much. Where the law of all runs lets the
adversary outgrow there is nothing to be near to, and the saddle point stands alone.
Lattice laws, whose ties it does not see, and laws much of which lies in a tail are left
to the grid.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from ..race.atoms import condensed, stacked
from ..race.saddle_point import (
    MOST_BEHIND,
    Saddles,
    Walks,
    depths_of,
    log_risks_of,
    saddles,
    tail_share,
)
from ..simulation.levels import Network

# Below it no logarithm of a risk is 0, which stands for "at every depth".
_BELOW_ONE = -1e-300


class Nearby(NamedTuple):
    """Races by the saddle point, that of the law of all runs first.

    Attributes:
        found: Tilts of all.
        serves: Which of the others are near enough, not the first.
        premined: Whether the adversary starts with its stationary lead.
    """

    found: Saddles
    serves: Bool[np.ndarray, " others"]
    premined: bool

    def logs(
        self, depths: Sequence[int], own: Sequence[float]
    ) -> Float[np.ndarray, "others depths"]:
        """Ln P_b(k) from ln P_0(k); 0 where the adversary outgrows."""
        found = self.found
        every = _log_risks(found, depths, self.premined)
        moved = every[1:] - every[0] + np.asarray(own, float)
        # Either is 0 where the law of all runs outgrows.
        logs = np.minimum(moved, _BELOW_ONE)
        return np.where(found.outgrown[1:, None], 0.0, logs)

    def depths(self, target: float, own: float) -> Float[np.ndarray, " others"]:
        """k*_b(ε) from k*_0(ε), not rounded; inf where the adversary outgrows."""
        every = depths_of(self.found, target, premined=self.premined)
        moved = every[1:] * (own / every[0] if math.isfinite(own) else 1.0)
        return np.where(self.found.outgrown[1:], math.inf, np.maximum(moved, 1.0))


def nearby(
    networks: Sequence[Network], *, ties_win: bool = True, premined: bool = False
) -> Nearby | None:
    """Races near that of the first network.

    Args:
        networks: The network under the law of all runs, then under others.
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary starts with its stationary lead.

    Returns:
        None where the saddle point does not serve the first: none is near it.
    """
    if len(networks) < 2 or any(map(_is_lattice, networks)):
        return None
    found, serves = _solved(networks, ties_win)
    return Nearby(found, serves[1:], premined) if serves[0] else None


def log_risk(
    network: Network, depth: int, *, ties_win: bool = True, premined: bool = False
) -> float:
    """Ln P̂(k) of one race; NaN where the saddle point does not serve it."""
    if _is_lattice(network):
        return math.nan
    found, serves = _solved([network], ties_win)
    return float(_log_risks(found, [depth], premined)[0, 0]) if serves[0] else math.nan


def _solved(
    networks: Sequence[Network], ties_win: bool
) -> tuple[Saddles, Bool[np.ndarray, " networks"]]:
    """Tilts, and which races the saddle point serves."""
    walks = Walks(
        stacked([condensed(each.law, float(each.honest)) for each in networks]),
        stacked(
            [condensed(each.private_law, float(each.adversarial)) for each in networks]
        ),
        float(networks[0].delay),
        ties_win,
    )
    found = saddles(walks)
    known = np.isfinite(found.theta_0) & np.isfinite(found.theta_star)
    theta = np.where(known, found.theta_0, 0.0)
    behind = tail_share(walks.public, theta)
    return found, found.outgrown | (known & (behind <= MOST_BEHIND))


def _log_risks(
    found: Saddles, depths: Sequence[int], premined: bool
) -> Float[np.ndarray, "laws depths"]:
    every = log_risks_of(found, depths)
    if not premined:
        return every
    # A second maximum, and an interval drawn by length: far out, factors.
    more = found.longer - np.log1p(-found.theta_0 / found.theta_star)
    return every + np.where(found.outgrown, 0.0, more)[:, None]


def _is_lattice(network: Network) -> bool:
    laws = network.law, network.private_law
    return any(
        bool(each.lattice) or float(each.cumulative_hazard[0]) > 0 for each in laws
    )
