"""Figures of slow stretches and of how bad periods die out, as one assessment has them.

Notation (``growth_tail.py``, ``isolation.py``, ``decay.py``)
    s           length of a stretch, in mean intervals of the public chain
    τ           (1−ε) of its mean growth
    c           slope of −ln Pr[bad] over ε² k p; a constant where it is one
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from ..block_time.law import fastest_of, mean
from ..estimation.estimate import Refused
from ..estimation.measurement import Measurement
from ..simulation.levels import Levels, Network
from ..simulation.properties import taken_levels
from .bernoulli_rounds import independent_rounds
from .decay import Decay, fit_decay, fit_pair
from .decay_compared import Ideal, decay_measurements, exact_ideal, refutation
from .growth_tail import (
    gap_measurements,
    gap_shares,
    shortfall_measurements,
    shortfall_shares,
)
from .isolation import Isolation, count_isolated, isolation_measurements
from .rounds import trimmed
from .windows import RoundRates, Rounds, window_shares

_STRETCHES = (1.0, 2.0, 5.0, 10.0)
# Near which window lengths kp slopes are measured: dense where few windows are bad.
_LENGTHS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 17.0)
# With fewer lengths there is nothing that a straight line could be tested by.
_FEWEST = 4


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

    def look(some: list[float]) -> None:
        low = shortfall_shares(key, levels, some, [tau] * len(some))
        empty = gap_shares(key, levels, taken, some)
        spans.extend(some)
        short.append(low)
        gaps.append(empty)

    every = [stretch * interval for stretch in _STRETCHES]
    try:
        look(every)
    except Refused:
        for span in every:
            try:
                look([span])
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


def decay_lengths(epsilon: float) -> list[float]:
    """Window lengths kp at which (1−ε)kp lies halfway between whole numbers.

    X(W) is whole: between other lengths Pr[bad] falls by steps, whose place depends on
    the rounding of k. At these a window may miss one success more from each length to
    the next, and the slope is that of the decay.
    """
    count = np.unique(np.floor((1 - epsilon) * np.array(_LENGTHS)))
    if len(count) < _FEWEST:
        count = np.arange(_FEWEST)
    return [float(kp) for kp in (count + 0.5) / (1 - epsilon)]


def decay_figures(
    key: Key[Array, ""], rounds: Rounds, rates: RoundRates, epsilon: float
) -> tuple[list[Measurement], list[str]]:
    """Slopes c of the real process and of independent rounds, and what was refused.

    Args:
        key: Places windows, draws the independent rounds.
        rounds: Success rounds of all replicas.
        rates: Their expectations per round.
        epsilon: ε.
    """
    place_key, ideal_key = jax.random.split(key)
    axis = {"p": rates.x, "epsilon": epsilon}
    lengths = decay_lengths(epsilon)
    try:
        shares = window_shares(place_key, rounds, rates, lengths, epsilon=epsilon)
    except Refused as refusal:
        return [], [f"decay: {refusal}"]
    measured, refusals = [], []

    def keep(real: Decay, ideal: Ideal | None, *, every: bool) -> None:
        named = dict(zip(map(int, shares.rounds), shares.blocks, strict=True))
        blocks = [named[int(k)] for k in real.rounds]
        measured.extend(decay_measurements(real, ideal, blocks, every=every))
        refuted = refutation(real, blocks)
        if refuted is not None:
            what = "all windows of at least kp" if every else "single windows"
            refusals.append(f"{what}, {refuted}")

    try:
        single = fit_decay(shares.single, shares.rounds, **axis)
        ideal = None
        try:
            ideal = exact_ideal(single, p_y=rates.y, p_z=rates.z)
        except Refused as refusal:
            refusals.append(f"single windows, {refusal}")
        keep(single, ideal, every=False)
    except Refused as refusal:
        refusals.append(f"single windows, {refusal}")
    try:
        # Wide enough for most laws, so that they share the program that draws.
        room = max(rounds.honest.shape[1], 4 * rounds.adversarial.shape[1])
        lemma = independent_rounds(
            ideal_key, rates, replicas=rates.replicas, places=room
        )
        lemma = trimmed(lemma, rounds)
        others = window_shares(place_key, lemma, rates, lengths, epsilon=epsilon)
        pair, base = fit_pair(shares.every, others.every, shares.rounds, **axis)
        keep(pair, Ideal(base.constant, base.slopes), every=True)
        return measured, refusals
    except Refused:
        # Often independent rounds still fail at lengths where real ones hardly do.
        pass
    try:
        keep(fit_decay(shares.every, shares.rounds, **axis), None, every=True)
    except Refused as refusal:
        refusals.append(f"all windows, {refusal}")
    return measured, refusals
