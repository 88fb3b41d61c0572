"""Persistence down to 1e-4 on any network: each replica is raced many times.

Notation (``measurements.py``)
    τ_j, W_j    time and weight of main block j
    P(t)        weight of a private chain after t steps
    s           main block from whose finding on a private chain is mined
    G           replicas of a group

A violation at depth k, of the race that starts at s, is

    ∃ j ≥ s + k: P(τ_{j+1} − τ_s + Δ) ≥ W_j − W_s     (strict: >)

A public chain costs a simulation of all its provers, a private one next to nothing, and
they are independent of each other. So within a group every public chain meets every
private one, from many starts in its first half. Groups are independent: their shares
have a t interval, however much the races within one have in common. Where hardly any
group has an event, that of one race a replica stands, which is exact.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..estimation.estimate import Estimate, estimate_mean, estimate_share
from ..estimation.measurement import Measurement
from ..estimation.quantities import PERSISTENCE_SIMULATED, STRICT
from ..estimation.sampling import at_coverage, look_schedule
from ..simulation.properties import LOWER_BOUND

GROUP, _STARTS = 10, 16
# Groups with an event from which their mean is taken as normal.
_ENOUGH = 20
LEAST = 1e-4
"""Risks below are not waited for."""
# Share of a value that late races may add before it is only a lower bound.
_UNDECIDED = 0.02


class Chains(NamedTuple):
    """Independent replicas of a public and of a private chain.

    Attributes:
        reached: τ_j, j = 0, ..., M.
        interval: Time between private blocks.
        units: W_j − W_0, whole; None: every block counts 1.
        weight: Of private blocks, in the same units.
    """

    reached: Float[np.ndarray, "replicas steps"]
    interval: Float[np.ndarray, "replicas blocks"]
    units: Int[np.ndarray, "replicas steps"] | None = None
    weight: Int[np.ndarray, "replicas blocks"] | None = None


class Shares(NamedTuple):
    """Violated races, by depth: of each group, and of one race a replica.

    Attributes:
        group: Share of a group's races, [groups, depths].
        late: Share of a group's races that cross in the last quarter.
        single: Whether the race from the replica's first block is violated.
    """

    group: Float[np.ndarray, "groups depths"]
    late: Float[np.ndarray, " groups"]
    single: np.ndarray


def race_measurements(
    key: Key[Array, ""],
    draw: Callable[[Key[Array, ""], int], Chains],
    depths: Sequence[int],
    *,
    delay_steps: float,
    replicas: int,
    rel_error: float | None = None,
    most: int,
) -> tuple[list[Measurement], tuple[str, ...]]:
    """``persistence_simulated``, both criteria, at each depth.

    Args:
        key: Fixes every draw.
        draw: Independent replicas.
        depths: Depths k, at most a quarter of the main blocks for starts to lie before.
        delay_steps: Δ.
        replicas: Replicas of a batch.
        rel_error: Half-width over value that is sampled for, at depths whose risk is at
            least 1e-4; None: one batch.
        most: Replicas at which sampling gives up.

    Returns:
        The rows, and a sentence on each depth that is not as good as asked.
    """
    looks = look_schedule(max(1, most // replicas)) if rel_error else [1]
    coverage = 1 - 0.05 / len(looks)
    seen: tuple[list[Shares], list[Shares]] = ([], [])
    drawn = 0
    while True:
        chains = draw(jax.random.fold_in(key, drawn), replicas)
        for strict in (False, True):
            seen[strict].append(shares(chains, depths, delay_steps, strict=strict))
        drawn += 1
        if drawn not in looks:
            continue
        rows = [_rows(each, depths, at, coverage) for each, at in _named(seen)]
        lacking = [] if rel_error is None else _lacking(rows[0], rel_error)
        if not lacking or drawn == looks[-1]:
            return [*rows[0], *rows[1]], tuple(lacking)


def _named(seen):
    return zip(
        seen, (PERSISTENCE_SIMULATED, PERSISTENCE_SIMULATED + STRICT), strict=True
    )


def _lacking(rows: Sequence[Measurement], rel_error: float) -> list[str]:
    found = []
    for m in rows:
        e = m.estimate
        half = max(e.high - e.value, e.value - e.low)
        if e.value >= LEAST and half > rel_error * e.value:
            found.append(
                f"{m.quantity} at {m.at:g}: ± {half / e.value:.2%} of the value with "
                f"{e.count} replicas"
            )
    return found


def _rows(
    seen: Sequence[Shares], depths: Sequence[int], name: str, coverage: float
) -> list[Measurement]:
    group, late, single = (np.concatenate(each) for each in zip(*seen, strict=True))
    more = float(late.mean())
    rows = []
    for place, depth in enumerate(depths):
        one = _estimate(group[:, place], single[:, place], coverage)
        raised = one._replace(high=min(1.0, one.high + more))
        if more > _UNDECIDED * one.value > 0:
            raised = raised._replace(method=f"{raised.method}; {LOWER_BOUND}")
        rows.append(
            Measurement(name, float(depth), "blocks", raised, "probability", "tail")
        )
    return rows


def _estimate(groups: np.ndarray, single: np.ndarray, coverage: float) -> Estimate:
    count = len(single)
    if (groups > 0).sum() >= _ENOUGH and (groups < 1).sum() >= _ENOUGH:
        found = at_coverage(estimate_mean(groups, PERSISTENCE_SIMULATED), coverage)
        return found.clipped(0.0, 1.0)._replace(
            count=count, method="races of groups, t interval"
        )
    alone = at_coverage(estimate_share(single, PERSISTENCE_SIMULATED), coverage)
    value = float(groups.mean())
    return alone._replace(
        value=value, low=min(alone.low, value), high=max(alone.high, value)
    )


def shares(
    chains: Chains, depths: Sequence[int], delay_steps: float, *, strict: bool = False
) -> Shares:
    """How many races of each group are violated at each depth."""
    replicas, steps = chains.reached.shape
    main, ask = steps - 1, np.asarray(depths)
    if not 1 <= ask.min() <= ask.max() <= main // 2:
        raise ValueError(
            f"depths must be from 1 to half the main blocks, {main // 2}, got "
            f"{list(depths)}"
        )
    size = next(g for g in range(min(GROUP, replicas), 0, -1) if replicas % g == 0)
    starts = np.unique(np.linspace(0, main // 2 - 1, _STARTS).astype(int))
    times = np.cumsum(chains.interval, axis=1, dtype=float)
    times = np.concatenate([np.zeros((replicas, 1)), times], axis=1)
    counts, late = np.zeros((replicas, len(ask))), np.zeros(replicas)
    single = np.zeros((replicas, len(ask)), bool)
    rows = np.arange(replicas)
    for shift in range(size):
        other = rows - rows % size + (rows + shift) % size
        for start in starts.tolist():
            last = _last(chains, times, other, start, delay_steps, strict=strict)
            crossed = last[:, None] >= ask
            counts += crossed
            late += last >= 0.75 * (main - start)
            if shift == 0 and start == 0:
                single = crossed
    races = size * len(starts)
    blocks = (replicas // size, size)
    return Shares(
        counts.reshape(*blocks, -1).mean(axis=1) / races,
        late.reshape(blocks).mean(axis=1) / races,
        single,
    )


def _last(
    chains: Chains,
    times: Float[np.ndarray, "replicas more"],
    other: Int[np.ndarray, " replicas"],
    start: int,
    delay: float,
    *,
    strict: bool,
) -> Int[np.ndarray, " replicas"]:
    """Largest depth at which each race is violated; 0: at none.

    The private chain of ``other`` is taken from its block of the start's number on: a
    stretch of independent blocks like any other.
    """
    reached = chains.reached
    deadline = reached[:, start + 2 :] - reached[:, start, None] + delay
    depth = np.arange(1, deadline.shape[1] + 1)
    if chains.units is None or chains.weight is None:
        needed = start + depth + int(strict)
        inside = needed < times.shape[1]
        when = times[other][:, np.minimum(needed, times.shape[1] - 1)]
        when = np.where(inside, when - times[other, start, None], np.inf)
    else:
        asked = chains.units[:, start + 1 : -1] - chains.units[:, start, None]
        when = _when_as_heavy(chains.weight, times, other, start, asked + int(strict))
    return np.where(when <= deadline, depth, 0).max(axis=1, initial=0)


def _when_as_heavy(
    weight: Int[np.ndarray, "replicas blocks"],
    times: Float[np.ndarray, "replicas more"],
    other: Int[np.ndarray, " replicas"],
    start: int,
    asked: Int[np.ndarray, "replicas depths"],
) -> Float[np.ndarray, "replicas depths"]:
    """When each private chain has a weight; inf: not with the blocks there are."""
    heavy = np.cumsum(weight[other, start:], axis=1, dtype=np.int64)
    count = heavy.shape[1]
    # One search for all replicas: each has its own stretch of whole numbers.
    offset = np.arange(len(other), dtype=np.int64)[:, None] << 34
    place = np.searchsorted((heavy + offset).ravel(), (asked + offset).ravel())
    place = place.reshape(asked.shape) - count * np.arange(len(other))[:, None]
    when = times[other, start + 1 :] - times[other, start, None]
    found = np.take_along_axis(when, np.minimum(place, count - 1), axis=1)
    return np.where(place < count, found, np.inf)
