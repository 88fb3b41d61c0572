"""Which timestamps a block may have.

A block's timestamp is later than the median of the last eleven, and no later than the
reader's own clock and the limit. The second is no function of the chain: a block from
the future waits, it is not refused for ever. Source: [Z17].
"""

from collections.abc import Sequence

MEDIAN_BLOCKS = 11
"""Blocks whose median a timestamp must pass."""


def median_time_past(times: Sequence[int]) -> int:
    """Median of the last eleven timestamps, the upper one of an even number."""
    last = sorted(times[-MEDIAN_BLOCKS:])
    return last[len(last) // 2]


def timestamp_problem(
    time: int, times: Sequence[int], *, now: int | None = None, limit: int = 0
) -> str | None:
    """What is wrong with a block's timestamp; None: nothing.

    Args:
        time: The block's.
        times: Those before it, the oldest first.
        now: The reader's own clock; None: it has none, and the future is not judged.
        limit: How far ahead of it a timestamp may be.
    """
    least = median_time_past(times)
    if time <= least:
        return f"time must be above {least}, the median of the last blocks, got {time}"
    if now is not None and time > now + limit:
        return f"time must be at most {now + limit}, {limit} ahead of now, got {time}"
    return None
