"""Figures of slow stretches and of how bad periods die out, as one assessment has them.

Notation (``growth_tail.py``, ``isolation.py``, ``decay.py``)
    s           length of a stretch, in mean intervals of the public chain
    τ           (1−ε) of its mean growth
    c           constant of 1 − e^{−c ε² k p}
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from .block_time import fastest_of, mean
from .decay import decay_measurements, exact_slope, fit_decay, fit_pair
from .estimate import Refused
from .good_period import RoundRates, Rounds, window_shares
from .growth_tail import (
    gap_measurements,
    gap_shares,
    shortfall_measurements,
    shortfall_shares,
)
from .independence import independent_rounds
from .isolation import Isolation, count_isolated, isolation_measurements
from .measurement import Measurement
from .security import taken_levels
from .simulation import Levels, Network

_STRETCHES = (1.0, 2.0, 5.0, 10.0)
# Window lengths kp of the fitted constant: dense where few windows are bad, but some.
_LENGTHS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 17.0)


class Tails(NamedTuple):
    """What some replicas say of slow stretches and of isolated blocks.

    Attributes:
        spans: s, steps.
        short: Share of a replica's stretches that grow by less than τs.
        gaps: Share of them without an honest level.
        isolated: Isolated blocks.
        refusals: Why spans are missing.
    """

    spans: tuple[float, ...]
    short: Float[np.ndarray, "replicas spans"]
    gaps: Float[np.ndarray, "replicas spans"]
    isolated: Isolation
    refusals: tuple[str, ...]


def follow_tails(
    key: Key[Array, ""], levels: Levels, network: Network, epsilon: float
) -> Tails:
    """Look at stretches of each replica.

    Args:
        key: Places the stretches.
        levels: Replicas.
        network: Whose law and delay give the unit of the stretches, so that all
            batches of replicas have the same ones.
        epsilon: ε.
    """
    delay = float(network.delay)
    interval = mean(fastest_of(network.law, float(network.honest))) + delay
    spans, refusals = [], []
    short, gaps = [], []
    taken = taken_levels(levels)
    tau = (1.0 - epsilon) / interval
    for stretch in _STRETCHES:
        span = stretch * interval
        try:
            short.append(shortfall_shares(key, levels, [span], [tau]))
            gaps.append(gap_shares(key, levels, taken, [span]))
            spans.append(span)
        except Refused as refusal:
            refusals.append(str(refusal))
    replicas = levels.interval.shape[0]
    nothing = [np.zeros((replicas, 0))]
    return Tails(
        tuple(spans),
        np.concatenate(short or nothing, axis=1),
        np.concatenate(gaps or nothing, axis=1),
        jax.tree.map(np.asarray, count_isolated(levels, delay_steps=delay)),
        tuple(refusals),
    )


def tail_measurements(tails: Sequence[Tails]) -> tuple[list[Measurement], list[str]]:
    """Growth shortfall, quality gaps and isolated blocks, and what was refused."""
    isolated = jax.tree.map(
        lambda *x: np.concatenate(x), *(batch.isolated for batch in tails)
    )
    measured = isolation_measurements(isolated)
    refusals = sorted({reason for batch in tails for reason in batch.refusals})
    # A span that one batch refused is nobody's.
    spans = min((batch.spans for batch in tails), key=len)
    if spans:
        short = np.concatenate([batch.short[:, : len(spans)] for batch in tails])
        gaps = np.concatenate([batch.gaps[:, : len(spans)] for batch in tails])
        measured += shortfall_measurements(short, spans)
        measured += gap_measurements(gaps, spans)
    return measured, refusals


def decay_figures(
    key: Key[Array, ""], rounds: Rounds, rates: RoundRates, epsilon: float
) -> tuple[list[Measurement], list[str]]:
    """C of the real process and of independent rounds, and what was refused.

    Args:
        key: Places windows, draws the independent rounds.
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        epsilon: ε.
    """
    place_key, ideal_key = jax.random.split(key)
    axis = {"p": rates.x, "epsilon": epsilon}
    measured, refusals = [], []
    try:
        shares = window_shares(place_key, rounds, rates, _LENGTHS, epsilon=epsilon)
    except Refused as refusal:
        return [], [f"decay: {refusal}"]
    try:
        single = fit_decay(shares.single, shares.rounds, **axis)
        slope, _ = exact_slope(single, p_y=rates.y, p_z=rates.z)
        measured += decay_measurements(single, slope, every=False)
    except Refused as refusal:
        refusals.append(f"single windows, {refusal}")
    try:
        room = max(rounds.honest.shape[1], 4 * rounds.adversarial.shape[1])
        ideal = independent_rounds(
            ideal_key, rates, replicas=rates.replicas, places=room
        )
        others = window_shares(place_key, ideal, rates, _LENGTHS, epsilon=epsilon)
        pair = fit_pair(shares.every, others.every, shares.rounds, **axis)
        return measured + decay_measurements(*pair, every=True), refusals
    except Refused:
        # Often independent rounds still fail at lengths where real ones hardly do.
        pass
    try:
        alone = fit_decay(shares.every, shares.rounds, **axis)
        measured += decay_measurements(alone, None, every=True)
    except Refused as refusal:
        refusals.append(f"all windows, {refusal}")
    return measured, refusals
