"""How deep honest provers' chains are replaced, and when a block is settled.

Notation (``event_network``):
    m       blocks that a prover gives up when it goes over to another chain
    d       depth: such a reorganisation replaces one block at each d = 1, ..., m
    tail    Σ over reorganisations of max(m − d + 1, 0), over the blocks adopted

Nobody attacks: this is what delay, forks and the tie rule do by themselves.
"""

from collections.abc import Sequence

import numpy as np

from ..estimation.estimate import (
    Estimate,
    Refused,
    estimate_probability,
    estimate_ratio,
)
from ..estimation.measurement import Measurement
from .engine import Record

# Replicas with an event from which their ratio's interval may be normal.
_ENOUGH = 20


def reorganisation_measurements(
    record: Record, depths: Sequence[int]
) -> list[Measurement]:
    """Pr[a block in an honest prover's chain is later replaced at depth ≥ d].

    Over all blocks that provers took into their chains, found or heard of. A prover
    that gives up m blocks replaces one at each depth 1, ..., m.

    Raises:
        ValueError: If a depth was not counted.
    """
    counted = record.reverted.shape[1]
    for depth in depths:
        if not 1 <= depth <= counted:
            raise ValueError(f"depths must be from 1 to {counted}, got {depth}")
    return [
        Measurement(
            "reorganisation_depth",
            float(depth),
            "blocks",
            _reorganisations(record, depth),
            "probability",
        )
        for depth in depths
    ]


def settlement_depth(record: Record, probability: float) -> Estimate:
    """Smallest d with Pr[a block is later replaced at depth ≥ d] ≤ probability.

    The tail falls with d, so its interval at each depth gives one of d: from where its
    lower end has come down to the probability to where its upper end has.

    Args:
        record: Replicas of the network; nobody attacks it.
        probability: What may be risked, in (0, 1).

    Raises:
        ValueError: If the probability is out of range.
        Refused: If at no depth that was counted the upper end is that low.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability must be in (0, 1), got {probability}")
    depths = range(1, record.reverted.shape[1] + 1)
    tail = [_reorganisations(record, depth) for depth in depths]
    settled = [d for d, at in zip(depths, tail, strict=True) if at.high <= probability]
    if not settled:
        raise Refused(
            f"settlement depth: at depth {depths[-1]} up to {tail[-1].high:.2g} of the "
            f"blocks may still be replaced, more than {probability:g}; more replicas, "
            "a shorter delay or a record of greater depths is needed"
        )

    def first(ends):
        return float(next(d for d, end in zip(depths, ends, strict=True) if end))

    return Estimate(
        value=first(at.value <= probability for at in tail),
        low=first(at.low <= probability for at in tail),
        high=float(settled[0]),
        count=len(record.settled),
        method="inverse of the tail of reorganisations",
    )


def _reorganisations(record: Record, depth: int) -> Estimate:
    """Share of adopted blocks that are replaced at depth ≥ d."""
    reverted = np.asarray(record.reverted[:, depth - 1], float)
    adopted = np.asarray(record.adopted, float)
    found = estimate_ratio(reverted, adopted, "reorganisations").clipped(0, 1)
    affected = int((reverted > 0).sum())
    if affected >= _ENOUGH:
        return found
    # So few have no normal law: what share of replicas may be affected, each of them
    # as badly as the worst one seen.
    share = estimate_probability(affected, len(reverted), "reorganisations")
    worst = max(reverted.max(), 1.0) / adopted.mean()
    return Estimate(
        found.value,
        min(found.low, share.low * reverted[reverted > 0].min() / adopted.mean())
        if affected
        else 0.0,
        min(1.0, max(found.high, share.high * worst)),
        found.count,
        "ratio, Clopper–Pearson over replicas",
    )
