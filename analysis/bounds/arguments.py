"""What closed forms take: numbers and depths, and what is said of others."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Integer

Real: TypeAlias = float | int
Count: TypeAlias = int | np.integer
Depths: TypeAlias = Integer[np.ndarray, "*depths"]
Probabilities: TypeAlias = Float[np.ndarray, "*depths"]


def require(name: str, value: object, holds: bool | np.bool, allowed: str) -> None:
    """Refuse an argument, by name, with what is allowed and what was given.

    Raises:
        ValueError: If it does not hold.
    """
    # Callers write the condition so that NaN, which fails every comparison, fails it.
    if not holds:
        raise ValueError(f"{name} must lie in {allowed}, got {value}")


def whole_depths(name: str, value: Count | Depths) -> np.ndarray:
    """Depths as whole numbers ≥ 1.

    Raises:
        ValueError: If one is not.
    """
    depths = np.asarray(value)
    whole = np.issubdtype(depths.dtype, np.integer)
    require(name, value, bool(whole and np.all(depths >= 1)), "{1, 2, ...}")
    return depths.astype(np.int64)


def shaped(
    risk: np.ndarray | np.float64, like: Count | Depths
) -> float | Probabilities:
    """A number for one depth, an array for several."""
    # A sum of tails can pass 1 by a few ulps as q → ½.
    capped = np.minimum(risk, 1.0)
    return float(capped) if np.ndim(like) == 0 else capped
