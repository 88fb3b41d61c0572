"""What a block counts for where targets differ.

Notation
    θ       the block's target over the genesis' one
    s       share of T that no target shortens, S_0 / T

    number      1 a block: lowering the difficulty gains up to 1/s
    work        1/θ: raising it gains up to 1/(1 − s)
    interval    s + (1 − s)/θ, the time that a block takes the provers of the genesis:
                neither gains
"""

from typing import Literal

from .shares import ONE

Selection = Literal["number", "work", "interval"]


def block_value(selection: Selection, target: int, *, genesis: int, share: int) -> int:
    """What a block counts for in chain selection, in units of 2^-16.

    Args:
        selection: By number, by work or by expected interval.
        target: What the block had to meet.
        genesis: What the first block had to meet.
        share: s in units of 2^-16.

    Raises:
        ValueError: If a target is not > 0.
    """
    if min(target, genesis) < 1:
        raise ValueError(f"targets must be > 0, got {target} and {genesis}")
    if selection == "number":
        return ONE
    if selection == "work":
        return ONE * genesis // target
    return share + (ONE - share) * genesis // target
