"""The outer loop: T_acc moves slowly and keeps the lottery a part of the interval.

T_2 keeps the interval at T. Where training alone takes nearly all of it, s → 1, no
target shortens it, fast machines dominate and blocks of honest provers meet. A lower
T_acc leaves more to the lottery; a higher one makes more useful work. Every ``every``
blocks T_acc moves by one step, if the blocks' proven steps say that s left its band.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .shares import share_of_steps


class AccuracyRule(NamedTuple):
    """A rule about the next blocks' T_acc.

    Attributes:
        every: Blocks between two moves, ≥ 2.
        step: Examples of ``Parameters.eval_samples`` that T_acc moves by, ≥ 1.
        lowest: Fewest correct examples it may ask for.
        highest: Most.
        share_low: s in units of 2^-16 below which T_acc rises.
        share_high: Above which it falls; 1 − s is the floor of the interval's CV.
    """

    every: int
    step: int
    lowest: int
    highest: int
    share_low: int
    share_high: int


def next_correct(
    rule: AccuracyRule, height: int, correct: int, steps: Sequence[int]
) -> int:
    """Correct examples that the next block's model needs.

    Args:
        rule: The rule.
        height: Of the last block.
        correct: What it needed.
        steps: Own proven steps of the last blocks, the newest last.
    """
    if height % rule.every or len(steps) < rule.every:
        return correct
    share = share_of_steps([max(1, each) for each in steps[-rule.every :]])
    if share > rule.share_high:
        correct -= rule.step
    elif share < rule.share_low:
        correct += rule.step
    return min(max(correct, rule.lowest), rule.highest)
