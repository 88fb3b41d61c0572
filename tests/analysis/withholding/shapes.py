"""Laws of known shape."""

import numpy as np
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw


def weibull(shape: float, scale: float = 1000.0) -> BlockTimeLaw:
    """Λ(t) = (t/scale)^shape, to Λ = 36."""
    end = scale * 36 ** (1 / shape)
    times = np.linspace(0, end, KNOTS)
    tail = shape / scale * (end / scale) ** (shape - 1)
    return BlockTimeLaw((times / scale) ** shape, end / (KNOTS - 1), tail, 0.0, False)
