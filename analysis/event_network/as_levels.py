"""The event-driven network in the terms of the level-by-level one.

Notation (``measurements.py``, ``simulation/levels.py``):
    τ_j     first moment at which a chain as heavy as main block j's exists anywhere
    s       time of a success, a fork's too

Under the longest rule τ_j is the first block of level j, whoever's chain it is on, so
that a replica of the event engine is one of ``Levels``: the intervals are those of τ_j,
and each success counts at the level during which it comes, τ_j ≤ s < τ_{j+1}, with its
lag s − τ_j. (``simulate`` counts a fork at its own level; its time is the same.) An
honest prover holds main block j until τ_{j+1} + Δ at most, Δ the longest delay, as
there. So growth, forks, quality, persistence, liveness and good periods are read from
either engine's replicas by the same functions.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ..estimation.estimate import Refused
from ..simulation.levels import BURN_IN, Levels
from .engine import EventNetwork, Record, simulate_network
from .marked_law import Law
from .measurements import MainChain, main_chain, private_chain

# Blocks beyond the levels that are asked for, forks and the unsettled end included.
_MORE = 1.25
_MOST = 32


def event_levels(
    key: Key[Array, ""],
    network: EventNetwork,
    *,
    corrupted: tuple[float, ...],
    adversary: Law | None = None,
    levels: int,
    replicas: int,
    burn_in: int = BURN_IN,
) -> Levels:
    """Independent replicas of an event-driven network, in levels.

    Under the weight rule a level is a block of the heaviest chain.

    Args:
        key: Fixes every draw.
        network: Law, speeds of the honest provers, delays, ties.
        corrupted: Speeds of the adversary's provers; empty: nobody is corrupted.
        adversary: Their law at unit speed; None: the honest one.
        levels: Levels recorded a replica.
        replicas: Independent replicas.
        burn_in: Main blocks run and forgotten.

    Returns:
        As ``simulation.levels.simulate``.

    Raises:
        Refused: As ``simulate_network`` and ``private_chain``, or if provers agree on
            too few blocks.
    """
    public_key, private_key = jax.random.split(key)
    record, chain = settled_chain(public_key, network, levels, replicas, burn_in)
    if corrupted:
        private = private_chain(
            private_key,
            network.law if adversary is None else adversary,
            network,
            record,
            speeds=corrupted,
            blocks=levels,
        ).interval
    else:
        private = np.full((replicas, levels), np.inf)
    times = np.cumsum(np.asarray(record.gap, float), axis=1) - chain.start[:, None]
    return levels_of(chain.reached[:, : levels + 1], times, private)


def levels_of(
    reached: Float[np.ndarray, "replicas steps"],
    successes: Float[np.ndarray, "replicas some"],
    private: Float[np.ndarray, "replicas blocks"],
) -> Levels:
    """Replicas in levels, from the moments of their successes.

    Args:
        reached: τ_0, ..., τ_L.
        successes: Times of honest successes, in order; inf: padding.
        private: Time between the adversary's blocks.
    """
    replicas, levels = reached.shape[0], reached.shape[1] - 1
    interval = np.diff(reached, axis=1)
    level, lag = _successes(successes, reached)
    count = np.zeros((replicas, levels), np.int32)
    rows, places = np.nonzero(level >= 0)
    at = level[rows, places]
    np.add.at(count, (rows, at), 1)
    # Successes are in the order of their times: those of a level stand side by side.
    first = np.searchsorted(
        rows * (levels + 1) + at, np.arange(replicas * (levels + 1)), side="left"
    )
    slot = np.arange(len(rows)) - first[rows * (levels + 1) + at]
    lags = np.full((replicas, levels, int(count.max())), np.inf)
    lags[rows, at, slot] = lag[rows, places]
    return Levels(
        interval=jnp.asarray(interval, jnp.float32),
        blocks=jnp.asarray(count),
        lag=jnp.asarray(lags, jnp.float32),
        private=jnp.asarray(private, jnp.float32),
        overflow=jnp.zeros(replicas, bool),
    )


def settled_chain(
    key: Key[Array, ""],
    network: EventNetwork,
    levels: int,
    replicas: int,
    burn_in: int = BURN_IN,
) -> tuple[Record, MainChain]:
    """Replicas on whose first ``levels`` main blocks all provers agree.

    Raises:
        Refused: As ``simulate_network``, or if they agree on too few.
    """
    blocks = math.ceil(_MORE * (levels + burn_in + 8))
    most = _MOST * blocks
    while True:
        record = simulate_network(
            key, network, blocks=blocks, replicas=replicas, burn_in=burn_in
        )
        try:
            chain = main_chain(record, burn_in=burn_in)
            if chain.blocks >= levels:
                return record, chain
        except Refused:
            pass  # no replica's: longer ones may agree on more
        blocks *= 2
        if blocks > most:
            raise Refused(
                f"the main chain: provers agree on fewer than {levels} of {blocks // 2}"
                " blocks; there is no chain to speak of (a shorter delay_steps or a "
                "rarer post-hash)"
            )


def _successes(times: np.ndarray, reached: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level of each success, −1 outside of the levels, and its lag."""
    levels = reached.shape[1] - 1
    level = np.stack(
        [
            np.searchsorted(mine, each, side="right") - 2
            for mine, each in zip(reached, times, strict=True)
        ]
    )
    after = reached[:, -1:]
    # The last level ends with its first block: what comes later is of the next ones.
    level = np.where((level < 0) | (times > after), -1, np.minimum(level, levels - 1))
    own = np.take_along_axis(reached[:, 1:], np.maximum(level, 0), axis=1)
    return level, np.where(level < 0, 0.0, np.maximum(times - own, 0.0))
