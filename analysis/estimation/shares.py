"""Mean share of bad (or good) windows, where windows of a replica share its path.

Notation:
    s_i         share of replica i's windows that have a property, in [0, 1]
    s̄           mean of s_i over replicas: the probability for one window

Replicas are independent, so s̄ has a t interval. Near 0 and 1 that is far too sure of
itself. There a replica counts once, however many of its windows have the property: its
Clopper–Pearson interval is conservative, and exact.
"""

import numpy as np
from jaxtyping import Float

from .estimate import Estimate, estimate_mean, estimate_share

# Replicas with (or without) the property below which normal intervals are not used.
FEW = 20
_FEW_METHOD = "mean, Clopper–Pearson over replicas"


def estimate_mean_share(shares: Float[np.ndarray, " replicas"], what: str) -> Estimate:
    """s̄ with an interval that holds for rare and for near-certain properties too.

    Args:
        shares: s_i in [0, 1], one for each independent replica.
        what: The quantity's name, for the refusal.

    Raises:
        ValueError: If a share is outside [0, 1].
        Refused: Below 10 replicas.
    """
    inside = (shares >= 0) & (shares <= 1)
    if not inside.all():
        raise ValueError(f"shares must be in [0, 1], got {shares[~inside][0]}")
    estimate = estimate_mean(shares, what)
    whole = estimate_share(shares == 1.0, what)
    partly = estimate_share(shares > 0.0, what)
    count = len(shares)
    if (shares < 1.0).sum() < FEW:
        estimate = Estimate(estimate.value, whole.low, 1.0, count, _FEW_METHOD)
    elif (shares > 0.0).sum() < FEW:
        estimate = Estimate(estimate.value, 0.0, partly.high, count, _FEW_METHOD)
    return estimate.clipped(0.0, 1.0)
