"""A risk's curve beyond the depths asked for, by the depths that are safe for risks.

Notation
    k*(ε) [k_−, k_+]    depth that is safe for a risk ε, with its interval
    s                   decay of ln risk a block, between neighbouring points

At k* the risk is ε. A law whose k* is k_+ falls to ε only there, so that at k* it has
about ε e^{s (k_+ − k*)}: an interval in blocks is one of the risk, to first order.
Safe depths are those of a bound. Where a curve's last point has no lower end, because
the network below the bound is not known, no point beyond it has one.
"""

import math

import numpy as np
import pandas as pd

SAFE_DEPTH = "safe_depth"
LEAST = 2.0**-40
"""Risks down to which curves are carried on, about 1e-12."""


def carried_on(
    estimates: pd.DataFrame, curve: pd.DataFrame, quantity: str = SAFE_DEPTH
) -> pd.DataFrame:
    """The points beyond the last one of a curve.

    Args:
        estimates: Rows of one law: quantity, at (of ``safe_depth``: ε), value, low and
            high (blocks).
        curve: at (depth), value (risk) and, if known, low, by depth.
        quantity: The safe depths' name, under the curve's criterion.

    Returns:
        at (depth k*), value (ε), low, high (of the risk at that depth), by depth.
    """
    rows = estimates.loc[estimates["quantity"] == quantity]
    last = curve["at"].max() if len(curve) else math.inf
    depth = rows["value"].to_numpy(float)
    known = (depth > last) & np.isfinite(depth) & (rows["at"].to_numpy(float) >= LEAST)
    rows = rows.loc[known].sort_values("value")
    found = []
    bounded = not len(curve) or "low" not in curve or curve["low"].iloc[-1] > 0
    before = (curve["at"].iloc[-1], curve["value"].iloc[-1]) if len(curve) else (0, 1)
    for at, risk, low, high in rows[["value", "at", "low", "high"]].to_numpy(float):
        slope = math.log(max(before[1], 1e-300) / risk) / (at - before[0])
        slope = max(slope, 0.0)
        found.append(
            (
                at,
                risk,
                risk * math.exp(-slope * (at - low)) if bounded else 0.0,
                min(1.0, risk * math.exp(min(slope * (high - at), 700.0))),
            )
        )
        before = at, risk
    return pd.DataFrame(found, columns=["at", "value", "low", "high"])
