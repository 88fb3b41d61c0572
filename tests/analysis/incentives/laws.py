"""Laws of a formula for games."""

import numpy as np
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw


def weibull(scale: float, shape: float) -> BlockTimeLaw:
    """Λ(t) = (t/scale)^shape, up to 40; shape 1 is memoryless, large ones are sure."""
    spacing = scale * 40.0 ** (1 / shape) / (KNOTS - 1)
    hazard = (spacing * np.arange(KNOTS) / scale) ** shape
    rate = (hazard[-1] - hazard[-2]) / spacing
    return BlockTimeLaw(hazard, spacing, rate, 0.0, False)
