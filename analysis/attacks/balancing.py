"""Balance attack: two honest forks kept level by the adversary, as a Markov chain.

Notation:
    X, A           honest block time; a corrupted prover's
    n_h, n_a       honest and corrupted provers
    Δ              largest delay the adversary may cause
    U_j ∈ [0, Δ]   how far the lagging branch's j-th block is behind the other's
    ρ              share of balanced forks that survive one more level, in the long run

The strategy. Honest provers are split in two halves with a branch each. Within a half
messages arrive at once, to the other half after Δ (delays are the adversary's). Each
half stays on its own branch as long as it has a block of the same height before it
hears of the other's. The adversary mines on the lagging branch and shows what it finds
there at once, so that with independent draws
    U_{j+1} = |U_j + L − F|,  L = fastest of n_h/2 of law X and n_a of law A,
                              F = fastest of n_h/2 of law X,
and the fork ends when U > Δ. It begins at U = 0. Whoever waits for k blocks is reverted
if it lives k levels: Pr[U_1, …, U_k ≤ Δ].

The adversary saves no blocks up for later levels, so this is a lower bound on balance
attacks. Draws are fresh at each level of both branches: an adversary that changes
branches at a change of sign begins anew, as the law asks for.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, Real, fastest_of, quantile, survival

_CELLS = 200
_POINTS = 400


class Balance(NamedTuple):
    """How long a balanced fork lives.

    Attributes:
        survival: Pr[alive after j levels], j = 0, 1, ...
        ratio: ρ, the chain's largest eigenvalue.
    """

    survival: Float[np.ndarray, " levels"]
    ratio: float

    def at(self, levels: int) -> float:
        """Pr[alive after so many levels]; by ρ beyond those followed one by one."""
        last = len(self.survival) - 1
        if levels <= last:
            return float(self.survival[levels])
        return float(self.survival[-1] * self.ratio ** (levels - last))

    def depth(self, target: Real) -> float:
        """Smallest k ≥ 1 with Pr[alive after k levels] ≤ target; inf: none."""
        inside = np.flatnonzero(self.survival[1:] <= target)
        if len(inside):
            return float(inside[0] + 1)
        if self.ratio >= 1 - 1e-12:
            return math.inf
        last = len(self.survival) - 1
        more = math.log(target / self.survival[-1]) / math.log(self.ratio)
        return float(last + math.ceil(more - 1e-9))


def balance(
    honest: BlockTimeLaw,
    adversary: BlockTimeLaw,
    *,
    provers: Real,
    adversarial: Real,
    delay_steps: Real,
    levels: int = 512,
) -> Balance:
    """How long the adversary keeps two halves of the honest provers apart.

    Args:
        honest: X.
        adversary: A.
        provers: n_h ≥ 2, honest ones.
        adversarial: n_a ≥ 0.
        delay_steps: Δ ≥ 0.
        levels: Levels followed one by one; further ones by ρ.

    Raises:
        ValueError: If a parameter is out of range.
    """
    if not provers >= 2:
        raise ValueError(f"provers must be ≥ 2 to be split, got {provers}")
    if not (adversarial >= 0 and 0 <= delay_steps < math.inf):
        raise ValueError(
            "adversarial and delay_steps must be ≥ 0 and finite, got "
            f"{adversarial} and {delay_steps}"
        )
    if delay_steps == 0:
        # Two blocks at the same moment: only a lattice law has them.
        tie = _cdf_difference(honest, adversary, provers, adversarial, np.zeros(1))
        below = _cdf_difference(
            honest, adversary, provers, adversarial, np.array([-_tiny(honest)])
        )
        alive = float(tie[0] - below[0]) if honest.lattice else 0.0
        return Balance(alive ** np.arange(levels + 1.0), alive)
    # Cells of [0, Δ]; L − F at all differences of their edges and middles.
    width = float(delay_steps) / _CELLS
    z = width / 2 * np.arange(-4 * _CELLS, 4 * _CELLS + 1)
    cdf = _cdf_difference(honest, adversary, provers, adversarial, z)

    def mass(places: np.ndarray) -> np.ndarray:
        """Pr[|place + L − F| in each cell], places in half cells."""
        edges = 2 * np.arange(_CELLS + 1)
        zero = 4 * _CELLS
        up = cdf[zero + edges[None, :] - places[:, None]]
        down = cdf[zero - edges[None, :] - places[:, None]]
        return np.diff(up, axis=1) - np.diff(down, axis=1)

    step = np.maximum(mass(2 * np.arange(_CELLS) + 1), 0.0)
    now = np.maximum(mass(np.zeros(1, int))[0], 0.0)
    alive, ratio = [1.0, min(1.0, float(now.sum()))], 0.0
    for _ in range(levels - 1):
        # Below the smallest float there is nothing to follow.
        if alive[-1] < 1e-250:
            break
        now = now @ step
        alive.append(min(alive[-1], float(now.sum())))
        ratio = alive[-1] / alive[-2] if alive[-2] > 0 else 0.0
    return Balance(np.array(alive), ratio)


def _cdf_difference(
    honest: BlockTimeLaw,
    adversary: BlockTimeLaw,
    provers: Real,
    adversarial: Real,
    z: Float[np.ndarray, " points"],
) -> Float[np.ndarray, " points"]:
    """Pr[L − F ≤ z], F by its quantiles."""
    half = fastest_of(honest, provers / 2)
    first = quantile(half, (np.arange(_POINTS) + 0.5) / _POINTS)
    times = z[:, None] + first[None, :] + _tiny(honest) * 1e-3
    late = survival(half, times)
    if adversarial > 0:
        late = late * survival(fastest_of(adversary, adversarial), times)
    return 1 - late.mean(axis=1)


def _tiny(law: BlockTimeLaw) -> float:
    return 1e-6 * float(law.spacing)
