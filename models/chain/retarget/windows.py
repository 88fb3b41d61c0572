"""Rules that look back on a window of blocks: SMA, LWMA, cw-144, epochs.

Notation
    t_i, τ_i    clock at a block and the target that it met, the oldest first
    n           blocks of the window

All take the window's mean target (cw-144: its work) times what it took over what it
should have taken. Source: [Z17]; cw-144 is Bitcoin Cash's rule of
2017, epochs are Bitcoin's.
"""

from collections.abc import Sequence

from .rule import HIGHEST, Rule

_LWMA_MOST = 6
_EPOCH_CLAMP = 4


def simple(rule: Rule, clocks: Sequence[int], targets: Sequence[int]) -> int:
    """SMA: mean target · (t_n − t_0) / (n T).

    Args:
        rule: T and the highest target.
        clocks: t_0 … t_n.
        targets: τ_1 … τ_n.
    """
    n = len(targets)
    took = max(clocks[-1] - clocks[0], n * rule.interval // 20)
    found = sum(targets) * took // (n * n * rule.interval)
    return min(max(found, 1), rule.highest)


def weighted(rule: Rule, clocks: Sequence[int], targets: Sequence[int]) -> int:
    """LWMA-1: the i-th interval of n weighs i.

    A clock that goes back counts as one tick on; an interval counts for at most 6 T,
    all of them together for at least a twentieth of what they should.
    """
    n = len(targets)
    due = n * (n + 1) * rule.interval // 2
    before, took = clocks[0], 0
    for i, clock in enumerate(clocks[1:], 1):
        now = max(clock, before + 1)
        took += i * min(_LWMA_MOST * rule.interval, now - before)
        before = now
    took = max(took, due // 20)
    found = sum(targets) * took // (n * due)
    return min(max(found, 1), rule.highest)


def median_of_three(rule: Rule, clocks: Sequence[int], targets: Sequence[int]) -> int:
    """cw-144: work between two blocks, each the one of median clock of three.

    Args:
        rule: T and the highest target.
        clocks: t_0 … t_{n+2}.
        targets: τ_0 … τ_{n+2}.

    A window counts for at least n/2 and at most 2n intervals. A block whose clock goes
    back behind one of the last two changes which block is the median: only for clocks
    in order is the target monotone in the last one.
    """
    n = len(clocks) - 3
    first, last = _middle(clocks[:3]), n + _middle(clocks[-3:])
    work = sum(HIGHEST // each + 1 for each in targets[first + 1 : last + 1])
    took = clocks[last] - clocks[first]
    took = min(max(took, n * rule.interval // 2), 2 * n * rule.interval)
    work = max(1, work * rule.interval // max(1, took))
    return min(max((HIGHEST + 1 - work) // work, 1), rule.highest)


def epoch(rule: Rule, target: int, took: int, blocks: int) -> int:
    """An epoch's end: target · took / (n T), a change by at most 4.

    Bitcoin's epoch of n blocks is measured over n − 1 intervals and compared with n.
    """
    due = blocks * rule.interval
    took = min(max(took, due // _EPOCH_CLAMP), due * _EPOCH_CLAMP)
    return min(max(target * took // due, 1), rule.highest)


def _middle(clocks: Sequence[int]) -> int:
    """Place of the middle one of three, by the three comparisons of cw-144."""
    order = [0, 1, 2]
    for i, j in ((0, 2), (0, 1), (1, 2)):
        if clocks[order[i]] > clocks[order[j]]:
            order[i], order[j] = order[j], order[i]
    return order[1]
