"""Growth, lone blocks and the security threshold where messages take up to Δ."""

import math
from typing import overload

import numpy as np
from jaxtyping import Float

from .arguments import Real, require


def growth_under_delay(rate: Real, delay: Real) -> float:
    r"""Growth of the honest chain when every message takes the full bound.

        λ / (1 + λΔ)

    Each level waits Δ for the last tip to reach everybody, then 1/λ for a block.
    Assumes exponential intervals and worst-case delay.

    Args:
        rate: λ ≥ 0 of all honest provers, blocks per unit of time.
        delay: Δ ≥ 0, same unit of time.

    Returns:
        Blocks per unit of time.

    Raises:
        ValueError: a negative or infinite argument.

    Reference: [PSS17] chain growth; [D+20].
    """
    return dead_time_growth(rate, delay, 0)


def dead_time_growth(rate: Real, delay: Real, dead_time: Real) -> float:
    r"""Growth under worst-case delay when a block needs S_0 of sequential work first.

        1 / (Δ + S_0 + 1/λ)

    Assumes the shifted exponential law: all provers restart on the new tip, none can
    have a block before S_0, and then they find one at rate λ together.

    Args:
        rate: λ ≥ 0 of all honest provers after the dead time, blocks per unit of time.
        delay: Δ ≥ 0, same unit of time.
        dead_time: S_0 ≥ 0, same unit of time.

    Returns:
        Blocks per unit of time.

    Raises:
        ValueError: a negative or infinite argument.

    Reference: renewal theorem; `growth_under_delay` at S_0 = 0.
    """
    require("rate", rate, 0 <= rate < math.inf, "[0, ∞)")
    require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
    require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
    return float(rate / (1 + rate * (delay + dead_time)))


def loner_rate(rate: Real, delay: Real) -> float:
    r"""Rate of honest blocks with no other honest block within Δ on either side.

        λ e^{−2λΔ}

    Loners are the isolated blocks of [SLT23] Def. 4 (convergence opportunities of
    [PSS17]). Assumes honest blocks are a Poisson process.

    Args:
        rate: λ ≥ 0 of all honest provers, blocks per unit of time.
        delay: Δ ≥ 0, same unit of time.

    Returns:
        Loners per unit of time.

    Raises:
        ValueError: a negative or infinite argument.

    Reference: [Ren19]; [PSS17].
    """
    # One e^{−λΔ} for each side: the gaps before and after are independent.
    return nontailgater_rate(rate, delay) * math.exp(-rate * delay)


def nontailgater_rate(rate: Real, delay: Real) -> float:
    r"""Rate of honest blocks with no other honest block in the Δ before them.

        λ e^{−λΔ}

    Non-tailgaters are the left-isolated blocks of [SLT23] Def. 4. Assumes honest blocks
    are a Poisson process.

    Args:
        rate: λ ≥ 0 of all honest provers, blocks per unit of time.
        delay: Δ ≥ 0, same unit of time.

    Returns:
        Non-tailgaters per unit of time.

    Raises:
        ValueError: a negative or infinite argument.

    Reference: [Ren19].
    """
    require("rate", rate, 0 <= rate < math.inf, "[0, ∞)")
    require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
    return float(rate * math.exp(-rate * delay))


@overload
def security_threshold(x: Real) -> float: ...


@overload
def security_threshold(x: Float[np.ndarray, "*xs"]) -> Float[np.ndarray, "*xs"]: ...


def security_threshold(
    x: Real | Float[np.ndarray, "*xs"],
) -> float | Float[np.ndarray, "*xs"]:
    r"""Adversarial share β* from which the private chain outgrows the honest one.

        β < (1−β) / (1 + (1−β)x)   ⟺   β < β*(x) = [2 + x − √(x²+4)] / (2x)

    Evaluated as 2 / (2 + x + √(x²+4)), which has no 0/0 at x = 0 (β* = ½).

    For exponential laws x = λΔ with λ = 1/B the rate of *all* provers and B their mean
    interval; the condition is then tight: secure below β*, broken above. With a dead
    time S_0 the race is 1/λ_a + S_0 against 1/λ_h + S_0 + Δ, so S_0 cancels, but the
    memoryless part is only B − S_0: use x = Δ / (B − S_0). That it is tight is proved
    for the exponential law only; with dead time it is the growth race of the private
    attack.

    Args:
        x: delay over mean memoryless interval, ≥ 0; one number or an array of them.

    Returns:
        β*, one for each x.

    Raises:
        ValueError: a negative or infinite x.

    Reference: [GKR20]; [D+20].
    """
    ratio = np.asarray(x, dtype=np.float64)
    inside = (ratio >= 0) & (ratio < np.inf)
    require("x", x, bool(np.all(inside)), "[0, ∞)")
    threshold = 2 / (2 + ratio + np.hypot(ratio, 2))
    return float(threshold) if np.ndim(x) == 0 else threshold
