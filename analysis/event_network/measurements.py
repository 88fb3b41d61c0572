"""Figures of an event-driven network: growth, forks, shares, a race.

Notation:
    W_j        cumulative weight of the main chain at its j-th block
    τ_j        first moment at which a chain as heavy as W_j exists anywhere
    P(t)       weight of the private chain t after it started
    Δ          an honest prover may still hold main block j until τ_{j+1} + Δ
    k          confirmations, the block of the transaction included

The main chain is the one that ends in the newest block on which all provers and all
messages under way agree; what came later is dropped as not settled. Its first
``burn_in`` blocks are dropped too, and every replica gives as many of the next ones
as all have. Under the longest rule τ_j is the first block of level j, and every figure
is the one of ``security``.

Race (no pre-mining): a private chain starts at main block 0 when that one is found.
A violation at depth k is ∃ j ≥ k:
    ties win:   P(τ_{j+1} − τ_0 + Δ) ≥ W_j − W_0
    strict:     P(τ_{j+1} − τ_0 + Δ) > W_j − W_0
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Float, Int, Key

from ..block_time.counter_draws import words_of
from ..estimation.estimate import Refused, estimate_mean, estimate_ratio
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    BLOCK_INTERVAL_CV,
    BLOCK_INTERVAL_MEAN,
    CHAIN_GROWTH,
    STALE_RATE,
)
from ..simulation.levels import batch_of
from ..simulation.properties import Paths, interval_cv, persistence_measurements
from .engine import EventNetwork, Record
from .marked_law import Law, PlainTickets, Tickets, draw, require_weight, tickets

_MAXIMUM_PRIVATE = 2**16


class MainChain(NamedTuple):
    """The main chain of each replica from its 0-th to its M-th block, on the host.

    Attributes:
        reached: τ_j − τ_0, steps.
        weight: W_j − W_0.
        found: Blocks found from main block 0 to main block j, forks included.
        finder: Who found main block j = 1, ..., M.
        units: W_j − W_0 in units.
        start: τ_0, steps since all provers began.
    """

    reached: Float[np.ndarray, "replicas steps"]
    weight: Float[np.ndarray, "replicas steps"]
    found: Int[np.ndarray, "replicas steps"]
    finder: Int[np.ndarray, "replicas blocks"]
    units: Int[np.ndarray, "replicas steps"]
    start: Float[np.ndarray, " replicas"]

    @property
    def blocks(self) -> int:
        """M, main blocks after the 0-th."""
        return self.finder.shape[1]


class PrivateChain(NamedTuple):
    """A chain of the adversary's own, by block.

    Attributes:
        interval: Time between its blocks, steps.
        weight: Weight of a block, in the network's units.
    """

    interval: Float[np.ndarray, "replicas blocks"]
    weight: Int[np.ndarray, "replicas blocks"]


def main_chain(record: Record, *, burn_in: int = 16) -> MainChain:
    """The settled part of the main chain, after a burn-in.

    Args:
        record: Replicas of a network.
        burn_in: Main blocks dropped, so that forks are in their stationary law.

    Raises:
        Refused: If some replica has no settled block after the burn-in.
    """
    work, parent = np.asarray(record.work, np.int64), np.asarray(record.parent)
    replicas, blocks = work.shape
    rows = np.arange(replicas)
    # One place more, for the block −1 that all chains start on.
    member = np.zeros((replicas, blocks + 1), bool)
    place = np.asarray(record.settled)
    while (place >= 0).any():
        member[rows, place] = True
        place = np.where(place >= 0, parent[rows, place], -1)
    member = member[:, :blocks]
    length = int(member.sum(axis=1).min()) - burn_in - 1
    if length < 1:
        raise Refused(
            f"the main chain: some replica has only {length + burn_in + 1} settled "
            f"blocks, burn_in = {burn_in} leaves nothing; more blocks are needed"
        )
    order = np.argsort(~member, axis=1, kind="stable")
    index = order[:, burn_in : burn_in + length + 1]

    def at(values):
        return np.take_along_axis(values, index, axis=1)

    # One search for all replicas: each has its own stretch of whole numbers.
    offset = rows[:, None].astype(np.int64) << 32
    highest = (np.maximum.accumulate(work, axis=1) + offset).ravel()
    first = np.searchsorted(highest, (at(work) + offset).ravel()).reshape(index.shape)
    times = np.cumsum(np.asarray(record.gap, float), axis=1)
    reached = times.ravel()[first]
    units = at(work) - at(work)[:, :1]
    return MainChain(
        reached=reached - reached[:, :1],
        weight=units * record.unit,
        found=index - index[:, :1],
        finder=at(np.asarray(record.finder))[:, 1:],
        units=units,
        start=reached[:, 0],
    )


def chain_measurements(chain: MainChain) -> list[Measurement]:
    """Block interval, growth in blocks and in weight, and forks."""
    length = chain.blocks
    count = np.full(len(chain.reached), float(length))
    duration = chain.reached[:, -1]
    square = (np.diff(chain.reached, axis=1) ** 2).mean(axis=1)
    found = chain.found[:, -1].astype(float)
    stale = estimate_ratio(found - count, found, "stale rate").clipped(0, 1)
    return [
        _single(
            BLOCK_INTERVAL_MEAN,
            estimate_mean(duration / length, "block interval"),
            "steps",
        ),
        _single(BLOCK_INTERVAL_CV, interval_cv(duration / length, square), ""),
        _single(
            CHAIN_GROWTH,
            estimate_ratio(count, duration, "chain growth"),
            "blocks per step",
        ),
        _single(
            "weight_growth",
            estimate_ratio(chain.weight[:, -1], duration, "weight growth"),
            "weight per step",
        ),
        _single(STALE_RATE, stale, "share"),
    ]


def winner_measurements(
    chain: MainChain, classes: Sequence[int] | np.ndarray
) -> list[Measurement]:
    """Domination: the share of main blocks of each class of provers.

    Args:
        chain: Main chains.
        classes: Class of each prover, 0, 1, ...; ``range(n)``: every prover its own.
    """
    labels = np.asarray(classes)
    winner = labels[chain.finder]
    all_blocks = np.full(len(winner), float(chain.blocks))
    return [
        Measurement(
            "winner_share",
            float(each),
            "speed class",
            estimate_ratio(
                (winner == each).sum(axis=1).astype(float), all_blocks, "winner share"
            ).clipped(0, 1),
            "share",
        )
        for each in np.unique(labels)
    ]


def violation_measurements(
    key: Key[jax.Array, ""],
    record: Record,
    chain: MainChain,
    network: EventNetwork,
    depths: Sequence[int],
    *,
    speeds: Sequence[float] | np.ndarray,
    law: Law | None = None,
) -> list[Measurement]:
    """Pr[persistence violated at depth k] by a withheld chain, both tie rules.

    The adversary extends every block it finds, its provers share them at once, and
    its chain is independent of the public one.

    Args:
        key: Draws the private chains.
        record: Replicas of the honest network.
        chain: Their main chains.
        network: The honest network: Δ and the chain rule.
        depths: Depths k, at most half the main blocks.
        speeds: Speeds of the adversary's provers.
        law: Their law; None: the honest one.

    Raises:
        ValueError: If a depth is out of range or a speed not > 0.
        Refused: If 2^16 private blocks do not last as long as the public chain.
    """
    law = network.law if law is None else law
    blocks = chain.blocks
    delay, slack = float(network.delay), float(record.slack)
    # After τ_{j+1} + Δ no honest prover holds main block j, j = 1, ..., M − 1.
    deadline = chain.reached[:, 2:] + delay + slack
    needed = chain.units[:, 1:-1]
    ahead = blocks
    while True:
        private = private_chain(key, law, network, record, speeds=speeds, blocks=ahead)
        times = np.cumsum(private.interval, axis=1, dtype=float)
        weight = np.cumsum(private.weight, axis=1, dtype=np.int64)
        short = (times[:, -1] <= deadline[:, -1]) & (weight[:, -1] <= needed[:, -1])
        if not short.any():
            break
        ahead *= 2
        if ahead > _MAXIMUM_PRIVATE:
            raise Refused(
                f"the private chain: {ahead // 2} blocks are over before the "
                "public chain is; its blocks are too light or too frequent (a smaller "
                "adversary, or fewer blocks)"
            )
    weight = np.concatenate([np.zeros_like(weight[:, :1]), weight], axis=1)
    count = np.stack(
        [
            np.searchsorted(mine, until, side="right")
            for mine, until in zip(times, deadline, strict=True)
        ]
    )
    held = np.take_along_axis(weight, count, axis=1)
    nothing = jnp.full(len(held), jnp.nan)
    # Only the last crossings count here; what was not followed is not a number.
    paths = Paths(
        duration=nothing,
        square=nothing,
        blocks=nothing,
        taken=nothing,
        last_tie=jnp.asarray(_last(held >= needed)),
        last_strict=jnp.asarray(_last(held > needed)),
        wait=nothing,
    )
    return persistence_measurements(paths, depths, levels=blocks)


def private_chain(
    key: Key[jax.Array, ""],
    law: Law,
    network: EventNetwork,
    record: Record,
    *,
    speeds: Sequence[float] | np.ndarray,
    blocks: int,
) -> PrivateChain:
    """Independent private chains, as many as the record has replicas.

    More blocks change none of the first ones.

    Raises:
        ValueError: If a speed is not > 0.
        Refused: If the law has no block of positive weight, or one may never come.
    """
    speed = np.asarray(speeds, float)
    if speed.ndim != 1 or not len(speed) or not (speed > 0).all():
        raise ValueError(f"speeds must be a list of numbers > 0, got {speeds}")
    require_weight(law, network.rule)
    interval, weight = _private(
        key,
        tickets(law, network.rule, record.unit),
        jnp.asarray(speed, jnp.float32),
        blocks=blocks,
        replicas=len(record.settled),
    )
    interval = np.asarray(interval)
    if not np.isfinite(interval).all():
        raise Refused(
            "the private chain: some block never comes, since the law leaves mass "
            "that never ends; lower t_acc or lengthen the horizon"
        )
    return PrivateChain(interval, np.asarray(weight))


@partial(jax.jit, static_argnames=("blocks", "replicas"))
def _private(key, under: Tickets | PlainTickets, speeds, *, blocks, replicas):
    provers = jnp.arange(speeds.shape[0])

    def replica(key):
        words = words_of(key)

        def block(turn):
            turns = jnp.broadcast_to(turn, provers.shape)
            time, weight = draw(words, under, provers, turns)
            time = time / speeds
            first = jnp.argmin(time)
            return time[first], weight[first]

        return jax.vmap(block)(jnp.arange(blocks))

    keys = jax.random.split(key, replicas)
    return lax.map(replica, keys, batch_size=batch_of(replicas, 64))


def _last(crossed: Bool[np.ndarray, "replicas blocks"]) -> Int[np.ndarray, " replicas"]:
    """Largest j ≥ 1 that is crossed; 0: none."""
    place = np.arange(1, crossed.shape[1] + 1)
    return np.where(crossed, place[None, :], 0).max(axis=1)


def _single(quantity: str, estimate, unit: str) -> Measurement:
    return Measurement(quantity, None, "", estimate, unit)
