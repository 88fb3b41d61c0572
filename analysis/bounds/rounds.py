"""Typical windows of independent rounds, and the exact whole numbers they turn on."""

import math

import numpy as np
from scipy import stats

from .arguments import Count, Real, require


def typicality(k: Count, p: Real, epsilon: Real) -> float:
    r"""Probability that a window of k i.i.d. rounds is *not* typical.

        1 − Pr[(1−ε)kp < X < (1+ε)kp],   X ~ Bin(k, p),

    the first of the three conditions of a good window, with the strict inequalities as
    printed. It is the sum of the two tails, so it keeps its digits when it is tiny.

    Args:
        k: rounds in the window, ≥ 1.
        p: Pr[at least one honest success in a round], in (0, 1].
        epsilon: ε in (0, 1).

    Returns:
        The probability of failure (small is good), not that of typicality.

    Raises:
        ValueError: an argument outside its range.

    Reference: [SLT23] Def. 3, idealised to independent rounds; [GKL15].
    """
    _require_window(k, epsilon)
    require("p", p, 0 < p <= 1, "(0, 1]")
    low = least_above((1 - epsilon) * k * p)
    high = greatest_below((1 + epsilon) * k * p)
    failure = stats.binom.cdf(low - 1, k, p) + stats.binom.sf(high, k, p)
    # Both bounds may snap to one whole number, which both tails then count.
    return min(1.0, float(failure))


def good_window(k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real) -> float:
    r"""Probability that one window of k i.i.d. rounds is good, all three conditions.

        (1−ε)E[X] < X < (1+ε)E[X],   (1−ε)E[Y] < Y,   Z < E[Z] + ε E[X]

    Rounds are independent; in a round X ∈ {0, 1} and Y ≤ X, so given X = x the window's
    Y is Bin(x, p_y/p_x), and

        Pr[good] = (Σ_x Bin(x; k, p_x) Pr[Bin(x, p_y/p_x) > (1−ε)k p_y]) · Pr[Z < ...]

    with x over the whole numbers strictly inside its bounds. Assumes besides that Z is
    independent of (X, Y) and Bin(k, p_z): at most one adversarial success in a round.

    Args:
        k: rounds in the window, ≥ 1.
        p_x: Pr[X_r = 1], at least one honest success, in (0, 1].
        p_y: Pr[Y_r = 1], exactly one honest success, in [0, p_x].
        p_z: E[Z_r], adversarial successes a round, in [0, 1].
        epsilon: ε in (0, 1).

    Returns:
        The probability that the window is good.

    Raises:
        ValueError: an argument outside its range.

    Reference: [SLT23] Def. 3, idealised to independent rounds.
    """
    _require_window(k, epsilon)
    require("p_x", p_x, 0 < p_x <= 1, "(0, 1]")
    require("p_y", p_y, 0 <= p_y <= p_x, f"[0, p_x = {p_x}]")
    require("p_z", p_z, 0 <= p_z <= 1, "[0, 1]")
    low_x = least_above((1 - epsilon) * k * p_x)
    high_x = greatest_below((1 + epsilon) * k * p_x)
    low_y = least_above((1 - epsilon) * k * p_y)
    high_z = greatest_below(k * p_z + epsilon * k * p_x)
    x = np.arange(low_x, high_x + 1)
    enough_y = stats.binom.sf(low_y - 1, x, p_y / p_x)
    honest = np.sum(stats.binom.pmf(x, k, p_x) * enough_y)
    return min(1.0, float(honest * stats.binom.cdf(high_z, k, p_z)))


def backbone_growth(f: Real, epsilon: Real) -> float:
    r"""Guaranteed growth of every honest chain in a typical execution.

        τ = (1 − ε) f   blocks per round

    Assumes synchronous rounds and a typical execution; the bound then holds over every
    stretch of s ≥ k rounds.

    Args:
        f: Pr[at least one honest success in a round], in [0, 1].
        epsilon: ε in (0, 1).

    Returns:
        Blocks per round.

    Raises:
        ValueError: an argument outside its range.

    Reference: [GKL15] chain growth; [SLT23] Lemma 2.
    """
    require("f", f, 0 <= f <= 1, "[0, 1]")
    require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
    return float((1 - epsilon) * f)


def _require_window(k: Count, epsilon: Real) -> None:
    require("k", k, k >= 1, "{1, 2, ...}")
    require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")


def least_above(bound: Real) -> int:
    """The least whole number above a bound."""
    return math.floor(_snapped(bound)) + 1


def greatest_below(bound: Real) -> int:
    """The greatest whole number below a bound."""
    return math.ceil(_snapped(bound)) - 1


def _snapped(bound: Real) -> Real:
    """A bound within 1e-9 (relative) of a whole number is that number.

    (1 + .1)·100 is 110.00000000000001 in float64 and would otherwise admit 110, which
    the strict inequality shuts out. The price: one above 5e8 moves by up to a half.
    """
    nearest = round(bound)
    return nearest if math.isclose(bound, nearest, rel_tol=1e-9) else bound
