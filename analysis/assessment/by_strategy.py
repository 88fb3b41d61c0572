"""The figures of a chain on which corrupted provers publish by a strategy.

Notation (``event_network/played.py``)
    T_j, τ_j    settled block of level j, first block of it, when they are public
    d           depth that a block had when it was reverted
    k           confirmations, the block of the transaction included

Growth, interval and honest forks are those of the levels played; quality is the honest
share of settled blocks, revenue the adversary's. Persistence at depth k: the share of
levels on which a public block became k deep and was reverted. A transaction that comes
at a random moment enters the next settled honest block, and is final when the k-th
level is settled and heard of, Δ later. Good periods are judged by what the protocol
counts on: the means of a network whose corrupted provers mine as honest ones do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from ..block_time.law import BlockTimeLaw
from ..estimation.estimate import Refused, estimate_mean_share, estimate_ratio
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    CHAIN_QUALITY,
    PERSISTENCE_SIMULATED,
    REVENUE,
    STALE_RATE,
)
from ..event_network.as_levels import levels_of
from ..event_network.played import Played
from ..good_periods.rounds import horizon_rounds, rounds_until
from ..good_periods.windows import (
    good_period_measurements,
    rate_measurements,
    round_rates,
    window_shares,
)
from ..simulation.levels import Levels, Network
from ..simulation.properties import chain_measurements, liveness_measurements
from .one_law import Assessment, Plan
from .waiting import paths_of, waits

Play = Callable[..., Played]
"""(key, levels=, replicas=) → ``Played``."""


def assess_played(
    key: Key[Array, ""],
    play: Play,
    plan: Plan,
    *,
    expected: Callable[..., Levels],
    all_blocks: BlockTimeLaw,
    delay_steps: float,
    reverts: bool = True,
) -> Assessment:
    """Every figure of a strategy, from simulated replicas.

    Args:
        key: Fixes every draw; the same key gives common random numbers across laws.
        play: What simulates the strategy.
        plan: Figures and effort; ``rel_error`` is not sampled for.
        expected: The network without an attack: (key, levels=, replicas=) → ``Levels``.
        all_blocks: Law of the first block of all provers; it fixes the horizon.
        delay_steps: Δ.
        reverts: Whether persistence is what was reverted here.

    Raises:
        Refused: As ``play``.
    """
    chain_key, moment_key, round_key, window_key = jax.random.split(key, 4)
    played = play(chain_key, levels=plan.levels, replicas=plan.replicas)
    interval = np.diff(played.reached, axis=1)
    wait = waits(
        moment_key,
        interval,
        played.settled,
        played.own,
        confirmations=plan.confirmations,
        delay_steps=delay_steps,
    )
    paths = paths_of(interval, played.own, played.found.sum(axis=1), wait)
    measured = [
        m
        for m in chain_measurements(paths, levels=plan.levels)
        if m.quantity not in (CHAIN_QUALITY, STALE_RATE)
    ]
    measured += _shares(played)
    if reverts:
        measured += _reverted(played, plan.depths)
    refusals: list[str] = []
    windows: dict[float, int] = {}
    try:
        measured += liveness_measurements(paths)
    except Refused as refusal:
        refusals.append(str(refusal))
    if not plan.windows:
        return Assessment(measured, refusals, windows, None)
    try:
        found, windows = _good_periods(
            round_key, window_key, play, expected, all_blocks, plan
        )
        measured += found
    except Refused as refusal:
        refusals.append(str(refusal))
    return Assessment(measured, refusals, windows, None)


def _good_periods(
    key: Key[Array, ""],
    window_key: Key[Array, ""],
    play: Play,
    expected: Callable[..., Levels],
    all_blocks: BlockTimeLaw,
    plan: Plan,
) -> tuple[list[Measurement], dict[float, int]]:
    sizes = {"levels": plan.levels, "round_steps": plan.round_steps}
    end = horizon_rounds(Network(all_blocks, 1.0, 0.0, 0.0), **sizes)

    def rounds(simulated):
        return rounds_until(
            end,
            lambda count: simulated(
                key, levels=count, replicas=plan.good_period_replicas
            ),
            **sizes,
        )

    counted_on = round_rates(rounds(expected), end=end)
    seen = rounds(lambda *key, **sizes: _levels(play(*key, **sizes)))
    rates = round_rates(seen, end=end)
    shares = window_shares(
        window_key, seen, counted_on, plan.windows, epsilon=plan.epsilon
    )
    windows = dict(zip(shares.blocks, map(int, shares.rounds), strict=True))
    found = rate_measurements(seen, rates) + good_period_measurements(shares)
    return found, windows


def _levels(played: Played) -> Levels:
    """Levels with the adversary's blocks beside them: after the last one, none."""
    last = played.reached[:, -1:]
    times = np.where(played.adversary <= last, played.adversary, last)
    gaps = np.diff(times, axis=1, prepend=0.0)
    gaps = np.where(played.adversary <= last, gaps, np.inf)
    never = np.full((len(times), 1), np.inf)
    return levels_of(
        played.reached, played.honest, np.concatenate([gaps, never], axis=1)
    )


def _shares(played: Played) -> list[Measurement]:
    """Honest forks, quality and revenue, over all levels."""
    found, kept, own = (
        x.sum(axis=1).astype(float) for x in (played.found, played.kept, played.own)
    )
    levels = np.full(len(own), float(played.own.shape[1]))
    shares: list[tuple[str, Any, Any]] = [
        (STALE_RATE, found - kept, found),
        (CHAIN_QUALITY, levels - own, levels),
        (REVENUE, own, levels),
    ]
    return [
        Measurement(
            name, None, "", estimate_ratio(part, whole, name).clipped(0, 1), "share"
        )
        for name, part, whole in shares
    ]


def _reverted(played: Played, depths: Sequence[int]) -> list[Measurement]:
    """Share of levels on which a public block that was k deep was reverted."""
    return [
        Measurement(
            PERSISTENCE_SIMULATED,
            float(depth),
            "blocks",
            estimate_mean_share(
                (played.reverted >= depth).mean(axis=1), PERSISTENCE_SIMULATED
            ),
            "probability",
            "tail",
        )
        for depth in depths
    ]
