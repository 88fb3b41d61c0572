"""Who is first of provers that do not start alike, and what the first one is worth.

Notation (time unit: one training step of a unit-speed prover)
    X_k       block time of a prover of side k                   ``Side.law``
    a_k       when side k starts                                 ``Side.start``
    T         first block: the least of all a_k + X_k
    g(T)      worth of a block that is found at T                ``worth``

    Pr[a prover of side k is first] = ∫ Π_j S_j(t − a_j)^{n_j} dΛ_k(t − a_k) n_k

Where hazards are constant in a cell, a side's share of the cell's mass is its share of
the hazard (``agreement.named_race.domination``); the laws' tables have constant hazards
between knots, so the probabilities are exact for them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, survival
from ..estimation.estimate import Refused

# e^-36 is below the rounding of 1.
_ENDED = 36.0
_BEYOND = 2000

Worth = Callable[[Float[np.ndarray, " times"]], Float[np.ndarray, " times"]]


class Side(NamedTuple):
    """Provers that are alike.

    Attributes:
        law: Block-time law of each.
        count: How many; 0: none.
        start: When they start, steps.
    """

    law: BlockTimeLaw
    count: float | int = 1  # pyright: ignore[reportIncompatibleMethodOverride]
    start: float | int = 0.0


def first_block(
    sides: Sequence[Side], worth: Worth | None = None
) -> Float[np.ndarray, " sides"]:
    """E[g(T); a prover of the side is first] of each side.

    Args:
        sides: Who races; no lattice laws, whose winners tie.
        worth: g, of times; None: 1, so that the probabilities of winning come out.

    Raises:
        ValueError: For a lattice law, a negative count or a negative start, or where
            nobody races.
        Refused: If the race may have no end.
    """
    if any(side.law.lattice for side in sides):
        raise ValueError("law must not be a lattice law: its winners tie")
    if any(side.count < 0 or side.start < 0 for side in sides):
        raise ValueError("count and start must be ≥ 0")
    if not any(side.count for side in sides):
        raise ValueError("count must be > 0 for one side at least")
    times = _grid(sides)
    hazard = np.stack([_hazard(side, times) for side in sides])
    together = hazard.sum(axis=0)
    if together[-1] < _ENDED:
        raise Refused(
            "incentives: the race may never end, since the law leaves mass that never "
            "ends; set abandon_steps or lengthen the horizon"
        )
    step = np.diff(hazard, axis=1)
    total = step.sum(axis=0)
    mass = -np.diff(np.exp(-together))
    if worth is not None:
        mass = mass * worth((times[1:] + times[:-1]) / 2)
    each = np.where(total > 0, step / np.where(total > 0, total, 1.0), 0.0) @ mass
    return np.asarray(each, float)


def mean_first(sides: Sequence[Side]) -> float:
    """E[T], steps.

    Raises:
        ValueError: As ``first_block``.
        Refused: As ``first_block``.
    """
    return float(first_block(sides, lambda times: times).sum())


def _grid(sides: Sequence[Side]) -> Float[np.ndarray, " times"]:
    racing = [side for side in sides if side.count]
    ends: list[float] = []
    knots: list[Any] = [np.zeros(1)]
    for side in racing:
        law = side.law
        # Beyond e^-36 of a side nothing is left to be won.
        last = int(np.searchsorted(side.count * law.cumulative_hazard, _ENDED)) + 1
        last = min(last, len(law.cumulative_hazard) - 1)
        own = side.start + law.offset + law.spacing * np.arange(last + 1)
        knots.append(own)
        ends.append(float(own[-1]))
    times = np.unique(np.concatenate(knots))
    tail = sum(float(side.count * side.law.tail_hazard) for side in racing)
    if tail > 0:
        more = np.geomspace(1e-3, 2 * _ENDED, _BEYOND) / tail
        times = np.concatenate([times, max(ends) + more])
    return times


def _hazard(side: Side, times: np.ndarray) -> np.ndarray:
    if not side.count:
        return np.zeros(len(times))
    with np.errstate(divide="ignore"):
        alive = np.log(survival(side.law, np.maximum(times - side.start, 0.0)))
    # Where the law has ended nothing is left: as good as e^-36 of everybody.
    return -side.count * np.maximum(alive, -20 * _ENDED)
