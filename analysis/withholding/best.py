"""The best withholding strategy for a law of block times, between two ends.

Notation
    n_h, n_a    honest and corrupted provers of one law X       ``honest``, ``own``
    γ           honest share that extends the adversary's block in a tie
    α           n_a/(n_h + n_a), what honest play gives
    R           the adversary's share of the settled blocks

No delay (Δ = 0), sticky ties. The lower end is a strategy: the best policy of a process
on a grid of ages (``process.py``), replayed in continuous time with the law
itself (``replay.py``). The upper end holds for every strategy that knows ages
(``upper_end.py``); one that sees its own accuracy may do better. Between the two the
grid's own value stands, which bounds nothing.

Source: [SSZ16] for memoryless pools without ages; docs/science/adversary.md.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..block_time.law import BlockTimeLaw, Real
from ..estimation.estimate import Estimate, Refused
from .ages import Ages, ages_of
from .policy import Policy, policy_of
from .process import Hazards, solved
from .relaxed_diagonals import HazardEnds
from .replay import replayed_share
from .upper_end import upper_values

_NEVER = -1e9
# Sweeps stop at steps of the price below 3e-7, in single precision.
_ROUNDING = 1e-5


class Withholding(NamedTuple):
    """Best withholding for a law.

    Attributes:
        policy: The strategy.
        on_grid: What it earns on its grid, an approximation of the best.
        revenue: What it earns in continuous time: a lower end of the best R.
    """

    policy: Policy
    on_grid: float
    revenue: Estimate


def best_withholding(
    key: Key[Array, ""],
    law: BlockTimeLaw,
    *,
    honest: Real,
    own: Real,
    gamma: Real = 0.0,
    depth: int = 7,
    cells: int = 108,
    steps: int = 4096,
    replicas: int = 2048,
) -> Withholding:
    """The best withholding policy on a grid of ages, and its revenue, replayed.

    Args:
        key: Fixes the replay.
        law: Block-time law of one prover (steps).
        honest: n_h > 0.
        own: n_a in [0, n_h): a minority.
        gamma: γ in [0, 1].
        depth: T ≥ 2, longest branch of a fork. 7–10 for laws of small variation,
            30–80 for memoryless ones with α ≥ .4.
        cells: G ≥ 2, cells of age. A compiled program serves all laws and groups of
            one (depth, cells).
        steps: Events and actions of a replica of the replay.
        replicas: Replicas of the replay.

    Returns:
        Policy, its value on the grid, and replayed.

    Raises:
        ValueError: An argument outside its range.
        Refused: If some block never comes, or no policy settles.

    Reference: `attacks.optimal_selfish.truncated_selfish_revenue` for exponential laws.
    """
    price, policy = best_policy(
        law,
        honest=honest,
        own=own,
        gamma=gamma,
        depth=depth,
        cells=cells,
        worth=1.0,
        prize=np.zeros(depth + 1),
    )
    revenue = replayed_share(key, policy, law, steps=steps, replicas=replicas)
    return Withholding(policy, min(max(price, 0.0), 1.0), revenue)


def best_policy(
    law: BlockTimeLaw,
    *,
    honest: Real,
    own: Real,
    gamma: Real,
    depth: int,
    cells: int,
    worth: float,
    prize: Float[np.ndarray, " blocks"],
) -> tuple[float, Policy]:
    """Best ratio of what is wanted to settled blocks, on the grid, and its policy.

    Args:
        law: Block-time law of one prover (steps).
        honest: n_h > 0.
        own: n_a in [0, n_h).
        gamma: γ in [0, 1].
        depth: T ≥ 2.
        cells: G ≥ 2.
        worth: Of a settled block of one's own.
        prize: Of replacing h public blocks, by h ≤ T.

    Raises:
        ValueError: An argument outside its range.
        Refused: If some block never comes, or no policy settles.
    """
    _require(honest, own, gamma, depth)
    ages = ages_of(law, provers=min(honest, own or honest), cells=cells)
    hazards = Hazards(
        _single(honest * ages.hazards),
        _single(own * ages.hazards),
        _single(gamma),
        _single(worth),
        _single(prize),
    )
    ties = gamma > 0
    first = _first(depth, cells, ties=ties)
    found = solved(hazards, _single(worth * own / (honest + own)), first, ties=ties)
    price = _settled(found)
    policy = policy_of(hazards, ages, found.price, found.values, honest=honest, own=own)
    return price, policy


def withholding_upper_end(
    law: BlockTimeLaw,
    *,
    honest: Real,
    own: Real,
    gamma: Real = 0.0,
    depth: int = 7,
    cells: int = 216,
) -> float:
    """A share that no withholding strategy exceeds that knows ages, forks ≤ T blocks.

    Args:
        law: Block-time law of one prover (steps).
        honest: n_h > 0.
        own: n_a in [0, n_h).
        gamma: γ in [0, 1].
        depth: T ≥ 2, longest branch of a fork; part of the statement.
        cells: G ≥ 2; the bound's distance goes like 1/G.

    Returns:
        The upper end of R (rounding included).

    Raises:
        ValueError: An argument outside its range.
        Refused: If some block never comes, or no policy settles.
    """
    _require(honest, own, gamma, depth)
    if own == 0:
        return 0.0
    ages = ages_of(law, provers=min(honest, own), cells=cells)
    coarse = max(cells // 4, 2)
    price, values = _single(own / (honest + own)), None
    # A coarse grid's prices and values, each good for its four cells, save sweeps.
    for number in (coarse, cells):
        grid = (
            ages
            if number == cells
            else ages_of(law, provers=min(honest, own), cells=number)
        )
        first = _first(depth, number + 1, ties=gamma > 0)
        if values is not None:
            first = _finer(values, number)
        found = upper_values(
            _ends(grid, honest, own, gamma), price, first, ties=gamma > 0
        )
        price, values = found.price, found.values
    return min(_settled(found) + _ROUNDING, 1.0)


def _finer(values: Array, cells: int) -> Array:
    coarse = values.shape[-1] - 1
    place = 1 + (np.arange(cells) * coarse) // cells
    return values[..., np.append(0, place)]


def _ends(ages: Ages, honest: Real, own: Real, gamma: Real) -> HazardEnds:
    tables = (ages.hazards, ages.least, ages.most, ages.slowest, ages.fastest)
    both = [_single(n * table) for n in (honest, own) for table in tables]
    return HazardEnds(*both, gamma=_single(gamma))  # pyright: ignore[reportCallIssue]


def _first(depth: int, starts: int, *, ties: bool) -> Array:
    values = jnp.zeros((2, depth + 1, depth + 1, 2, starts), jnp.float32)
    # Without matches nothing is ever split.
    return values if ties else values.at[1].set(_NEVER)


def _settled(found) -> float:
    price, step = (float(x) for x in jax.device_get((found.price, found.steps)))
    if not abs(step) < 1e-4:
        raise Refused(
            f"withholding: the price has not settled after {int(found.sweeps)} sweeps; "
            "a smaller depth or more cells of age may help"
        )
    return price


def _single(value) -> Array:
    return jnp.asarray(value, jnp.float32)


def _require(honest: Real, own: Real, gamma: Real, depth: int) -> None:
    if not honest > 0:
        raise ValueError(f"honest must be > 0 provers, got {honest}")
    if not 0 <= own < honest:
        raise ValueError(f"own must be in [0, {honest:g}), a minority, got {own}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must be in [0, 1], got {gamma}")
    if depth < 2:
        raise ValueError(f"depth must be ≥ 2, got {depth}")
