"""A withholding adversary where blocks have weights, read off simulated chains.

Notation
    τ_j, w_j    time and weight of the j-th honest main block
    P           weight of the private blocks that are found and not shown
    d           private block by private block

The adversary mines on a fork of its own. When honest block j is found it shows as few
of its blocks as weigh w_j or more, if it has them: all honest provers go over to them
(it wins ties, the worst network), and what it has beyond is a lead on what they now
mine on. If all it has weighs less than w_j it gives that up and begins anew on block j.
Where every block weighs the same this is the adversary of ``simulation/properties.py``:
one block for one. Several light blocks may stand for a heavy one; shares are of blocks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Withheld(NamedTuple):
    """What the adversary makes of each main block.

    Attributes:
        taken: Whether its blocks stand for the honest one.
        shown: How many they are.
        spent: Private blocks drawn up to each replica's end.
    """

    taken: Bool[np.ndarray, "replicas levels"]
    shown: Int[np.ndarray, "replicas levels"]
    spent: Int[np.ndarray, " replicas"]


def withheld(
    interval: Float[np.ndarray, "replicas levels"],
    weight: Int[np.ndarray, "replicas levels"],
    private_interval: Float[np.ndarray, "replicas blocks"],
    private_weight: Int[np.ndarray, "replicas blocks"],
) -> Withheld | None:
    """Run the adversary along each replica; None if some run out of private blocks.

    Args:
        interval: τ_j − τ_{j−1}.
        weight: w_j, whole units.
        private_interval: Time between private blocks.
        private_weight: Their weights, in the same units.
    """
    replicas, levels = interval.shape
    rows, blocks = np.arange(replicas), private_interval.shape[1]
    found_at = np.cumsum(private_interval, axis=1, dtype=float)
    found_at = np.concatenate([np.zeros((replicas, 1)), found_at], axis=1)
    heavy = np.cumsum(private_weight, axis=1, dtype=np.int64)
    heavy = np.concatenate([np.zeros((replicas, 1), np.int64), heavy], axis=1)
    lanes = rows.astype(np.int64)[:, None] << 34
    search = (heavy + lanes).ravel()
    # Shown blocks, and what a private block's time is to be moved by.
    used, moved = np.zeros(replicas, int), np.zeros(replicas)
    now = np.zeros(replicas)
    taken = np.zeros((replicas, levels), bool)
    shown = np.zeros((replicas, levels), int)
    for level in range(levels):
        now = now + interval[:, level]
        asked = heavy[rows, used] + weight[:, level]
        place = np.searchsorted(search, asked + lanes[:, 0]) - rows * (blocks + 1)
        there = place <= blocks
        at = found_at[rows, np.minimum(place, blocks)] + moved
        wins = there & (at <= now)
        taken[:, level] = wins
        shown[:, level] = np.where(wins, place - used, 0)
        # Given up: what was found, and what was being trained.
        begun = _begun(found_at, now - moved)
        if (begun > blocks).any():
            return None
        moved = np.where(wins, moved, now - found_at[rows, begun])
        used = np.where(wins, place, begun)
    return Withheld(taken, shown, used)


def _begun(
    found_at: Float[np.ndarray, "replicas more"], until: Float[np.ndarray, " replicas"]
) -> Int[np.ndarray, " replicas"]:
    """Private blocks found or begun by a time."""
    return (found_at <= until[:, None]).sum(axis=1)
