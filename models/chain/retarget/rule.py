"""Which rule a chain's target follows, with its numbers."""

from collections.abc import Iterator
from typing import Literal, NamedTuple, get_args

from .shares import MOST, ONE

Name = Literal[
    "epoch", "epoch_mended", "wtema", "asert", "lwma", "sma", "cw144", "steps"
]
NAMES: tuple[Name, ...] = get_args(Name)
"""The rules; what each does is said beside its update."""
HIGHEST = (1 << 256) - 1
"""p_2 = 1: every look that reaches T_acc wins."""
_MOST_BLOCKS = 4096
_MOST_INTERVAL = 1 << 32


class Rule(NamedTuple):
    """A rule about the next block's T_2.

    Attributes:
        name: Which; ``NAMES``.
        interval: T > 0, in ticks of the timestamps; of ``steps``, the own proven steps
            that a block shall have.
        blocks: N ≥ 2; the half-life of ``asert`` and ``steps`` is N T ln 2.
        highest: The largest target; 2^256 − 1 is p_2 = 1.
        schedule: Whether N becomes N (1 − s), the gain that a memoryless chain has.
        anti_windup: Whether a block of the highest target counts for at most T.
        share: s in units of 2^-16, a constant of the genesis.
        share_blocks: Blocks whose proven steps tell s; 0: ``share`` holds.
    """

    name: Name
    interval: int
    blocks: int
    highest: int = HIGHEST
    schedule: bool = False
    anti_windup: bool = False
    share: int = 0
    share_blocks: int = 0


def rule_problems(rule: Rule) -> Iterator[str]:
    """What of a rule no chain can have."""
    if rule.name not in NAMES:
        yield f"name must be one of {', '.join(NAMES)}, got {rule.name}"
    ranges = {
        "interval": (1, _MOST_INTERVAL),
        "blocks": (2, _MOST_BLOCKS),
        "highest": (1, HIGHEST),
        "share": (0, MOST),
    }
    for name, (low, high) in ranges.items():
        given = getattr(rule, name)
        if not low <= given <= high:
            yield f"{name} must be from {low} to {high}, got {given}"
    few = rule.share_blocks
    if few and not 2 <= few <= _MOST_BLOCKS:
        yield f"share_blocks must be 0 or from 2 to {_MOST_BLOCKS}, got {few}"


def scheduled(rule: Rule, share: int) -> int:
    """N, or N (1 − s) under the schedule, in 2^-16 blocks; at least 1 block."""
    kept = ONE - share if rule.schedule else ONE
    return max(ONE, rule.blocks * kept)
