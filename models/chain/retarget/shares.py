r"""Where s, the share of an interval that no target shortens, comes from on a chain.

s is a constant of the genesis, or what the last blocks' proven steps tell. Steps are
re-executed by Verify and cannot be claimed; timestamps can. Of M blocks whose steps are
S_0 + lottery, exponential, the least is S_0 + L/M on average and the mean S_0 + L, so
that

    ŝ = (M min_i S_i − mean S)/((M − 1) mean S)

is what M blocks tell of S_0 over the mean, without bias of its numerator. It is
a ratio of steps: no seconds are needed. A winner who trains on for longer raises it, at
the price of its own time.
"""

from collections.abc import Sequence

ONE = 1 << 16
"""1, in the units of a share."""
MOST = ONE - ONE // 16
"""The largest share a rule believes: N (1 − s) stays above N/16."""


def share_of_steps(steps: Sequence[int]) -> int:
    """ŝ of the last blocks' proven steps, in units of 2^-16 and from 0 to ``MOST``.

    Raises:
        ValueError: For fewer than two blocks, or a block without steps.
    """
    count, total = len(steps), sum(steps)
    if count < 2 or min(steps) < 1:
        raise ValueError(f"steps must be two numbers > 0 or more, got {list(steps)}")
    found = ONE * (count * count * min(steps) - total) // ((count - 1) * total)
    return min(max(found, 0), MOST)
