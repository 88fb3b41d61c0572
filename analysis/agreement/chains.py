"""Chains to be compared: one that was mined, many that the model predicts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..estimation.estimate import Refused
from ..simulation.levels import Levels

_MINIMUM_LEVELS = 30


class Chains(NamedTuple):
    """The public chain, level by level: one that was mined, or simulated replicas.

    Attributes:
        interval: Time between the first block of level j−1 and that of level j, steps.
        blocks: Blocks of level j; all but one are forks.
        winner: Index of the prover that found the level's first block; None where
            the source does not tell.
    """

    interval: Float[np.ndarray, "*replicas levels"]
    blocks: Int[np.ndarray, "*replicas levels"]
    winner: Int[np.ndarray, "*replicas levels"] | None


def observed_chain(
    times: Float[np.ndarray, " found"],
    heights: Int[np.ndarray, " found"],
    miners: Int[np.ndarray, " found"],
    *,
    delay_steps: float,
    until: float,
    burn_in: int = 1,
) -> Chains:
    """The levels of a mined chain, from the blocks that were found.

    Args:
        times: When each block was found, in the order of finding.
        heights: Its height; the genesis has 0.
        miners: Index of its finder.
        delay_steps: Δ.
        until: Moment up to which the mining was watched. A level counts once no fork
            of it can come any more, t1 + Δ < until.
        burn_in: Levels to forget, at least 1: all provers start height 1 at once, later
            levels with the head starts that a delay gives.

    Returns:
        Intervals and blocks from height ``burn_in + 1`` on.

    Raises:
        ValueError: If blocks are out of order, a height is missing, or a block comes
            later than Δ after its level's first: such a network is not the model's.
        Refused: If fewer than 30 levels are settled.
    """
    # How the world's events are the model's (worst-case delay, first-seen ties, one
    # weight a block, fresh starts):
    # - A level is a height, whatever fork it is on. Who finds a block of height h is
    #   the first to know of that height, adopts the block at once and mines on h + 1
    #   from f_i. Everyone else hears of the height at t1 + Δ: the first arrival of a
    #   height is that of its first block, since all messages take Δ. Later blocks of
    #   the same height lose the tie (first seen), so they restart nobody.
    # - Hence prover i starts level h + 1 at min(f_i, t1 + Δ), and its f_i ≤ t1 + Δ is
    #   a block at h. "≤", for the world works on looks before messages of a moment.
    # - Blocks of h + 1 may rest on different blocks of h, and be found before t1 + Δ
    #   of h by someone with a head start: both as in the model, which keeps the
    #   starts of the early finders and never asks for the parent.
    # - An mtx restarts nobody: it changes no tip, and fresh starts refer to none.
    if not (np.diff(times) >= 0).all():
        raise ValueError("times must be in the order of finding")
    if burn_in < 1:
        raise ValueError(f"burn_in must be ≥ 1, got {burn_in}")
    reached, first, blocks = np.unique(heights, return_index=True, return_counts=True)
    if not np.array_equal(reached, np.arange(1, len(reached) + 1)):
        raise ValueError(f"heights must be 1, 2, ... without a gap, got {reached}")
    lag = times - times[first][heights - 1]
    if not (lag <= delay_steps * (1 + 1e-9)).all():
        raise ValueError(
            f"a block came {lag.max():g} steps after the first of its height, with a "
            f"delay of {delay_steps:g} it should have been known"
        )
    settled = int((times[first] + delay_steps < until).sum())
    if settled - burn_in < _MINIMUM_LEVELS:
        raise Refused(
            f"agreement: at least {_MINIMUM_LEVELS} settled levels are needed, got "
            f"{max(settled - burn_in, 0)}; mine more blocks"
        )
    return Chains(
        np.diff(times[first])[burn_in - 1 : settled - 1],
        blocks[burn_in:settled],
        miners[first][burn_in:settled],
    )


def simulated_chains(levels: Levels) -> Chains:
    """What ``simulation.simulate`` says of the public chain."""
    return Chains(
        np.asarray(levels.interval, float), np.asarray(levels.blocks, int), None
    )


def _repeated(chains: Chains) -> Chains:
    """The same chains without their first level; "winner" 1 if it is the last one's.

    A column of its own, so that resampling levels does not tear neighbours apart.
    """
    winner = _winner(chains)
    again = (winner[..., 1:] == winner[..., :-1]).astype(int)
    return Chains(chains.interval[..., 1:], chains.blocks[..., 1:], again)


def _winner(chains: Chains) -> np.ndarray:
    if chains.winner is None:
        raise ValueError("these chains do not tell who won; take them from race")
    return chains.winner


def _forks(chains: Chains) -> int:
    return int(chains.blocks.sum()) - chains.blocks.size


def _joined(chains: Chains) -> Chains:
    """Replicas one behind the other."""
    return _mapped(np.ravel, chains)


def _mapped(change: Callable[[np.ndarray], np.ndarray], chains: Chains) -> Chains:
    winner = None if chains.winner is None else change(chains.winner)
    return Chains(change(chains.interval), change(chains.blocks), winner)
