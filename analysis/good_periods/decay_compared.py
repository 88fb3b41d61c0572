r"""The decay of bad windows beside that of independent rounds, and both as rows.

Notation (that of ``decay.py``)
    c            constant of ln P(k) = a − c ε² kp
    c(k, k′)     its slope between two lengths
    I            rate of large deviations of independent rounds

Independent rounds have P(k) in closed form, and c → I/(ε²p) as k → ∞ with I the least
of the four one-sided rates (`entropy_constant`). At the lengths that can be simulated
the slope is still above that limit, since P(k) ~ k^{−½} e^{−kI}, and jumps with the
whole numbers that bound X. So the two processes are compared by the same fit: same
windows, same weights (`exact_slope`, `decay_ratio`).

Source: [DZ98] Dembo, Zeitouni, Large Deviations Techniques and Applications, 2nd ed.,
Theorem 2.2.3 (Cramér); Theorem 3.7.4 (Bahadur, Rao: the factor k^{−½}).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..bounds.arguments import Real, require
from ..bounds.backbone import bad_window, entropy_tails
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement, Spread
from ..estimation.quantities import (
    ALL,
    DECAY_CONSTANT,
    DECAY_FIT_P_VALUE,
    DECAY_RATIO,
    DECAY_SLOPE,
    DECAY_SLOPE_RATIO,
    INDEPENDENT,
)
from .decay import Decay, weighted_line


def exact_slope(
    decay: Decay, *, p_y: Real, p_z: Real, queries: int = 1
) -> tuple[float, float]:
    r"""The constant of independent rounds, by the fit that the real process had.

    One window of k independent rounds is bad with the probability of
    `backbone.bad_window`; the line goes through its logarithms at the same k, with
    the same weights.

    Args:
        decay: The fit of the real process for single windows.
        p_y: E[Y_r] in [0, p].
        p_z: E[Z_r] in [0, queries].
        queries: Adversarial queries a round.

    Returns:
        c of the exact probabilities, and the largest distance of their logarithms from
        the line, nats: how far the exponential form itself is from true.

    Raises:
        ValueError: An argument outside its range.
        Refused: If an exact probability is too small for float64.
    """
    logs = _exact_logs(decay, p_y, p_z, queries)
    axis = -(decay.epsilon**2) * decay.rounds * decay.p
    slope, intercept, _ = weighted_line(axis, logs, decay.weights)
    return slope, float(np.abs(logs - intercept - slope * axis).max())


def exact_slopes(
    decay: Decay, *, p_y: Real, p_z: Real, queries: int = 1
) -> tuple[Estimate, ...]:
    """C(k, k′) of independent rounds between the lengths of the real process.

    Args:
        decay: The fit of the real process for single windows.
        p_y: E[Y_r] in [0, p].
        p_z: E[Z_r] in [0, queries].
        queries: Adversarial queries a round.

    Raises:
        ValueError: An argument outside its range.
        Refused: If an exact probability is too small for float64.
    """
    logs = _exact_logs(decay, p_y, p_z, queries)
    steps = decay.epsilon**2 * np.diff(decay.rounds) * decay.p
    return tuple(_exactly(float(slope)) for slope in -np.diff(logs) / steps)


def _exact_logs(decay: Decay, p_y, p_z, queries: int) -> Float[np.ndarray, " used"]:
    risks = np.array(
        [
            bad_window(int(k), decay.p, p_y, p_z, decay.epsilon, queries=queries)
            for k in decay.rounds
        ]
    )
    if not (risks > 0).all():
        raise Refused(
            "decay: independent rounds have no bad window of some length at all, or "
            "too rarely for float64; use shorter windows"
        )
    return np.log(risks)


def entropy_constant(
    p_x: Real, p_y: Real, p_z: Real, epsilon: Real, *, queries: int = 1
) -> float:
    r"""Limit of c of independent rounds as k → ∞: the rate of large deviations.

        c = min(D((1−ε)p_x‖p_x), D((1+ε)p_x‖p_x), D((1−ε)p_y‖p_y),
                t D((p_z+εp_x)/t ‖ p_z/t)) / (ε² p_x)

    For rare successes the middle one is ((1+ε) ln(1+ε) − ε)/ε² = ½ − ε/6 + ...: above
    the ⅓ of Chernoff's usual form, below the ½ of a normal law. It is the limit for all
    windows of at least k rounds in a horizon too, which is polynomial in k: their
    union adds a factor, not an exponent.

    Args:
        p_x: Pr[at least one honest success in a round], in (0, 1].
        p_y: Pr[exactly one], in [0, p_x].
        p_z: Adversarial successes a round, in [0, t].
        epsilon: ε in (0, 1).
        queries: t ≥ 1, adversarial queries a round.

    Returns:
        c; inf if no condition can fail.

    Raises:
        ValueError: An argument outside its range.

    Reference: [DZ98] Theorem 2.2.3.
    """
    # At k = 1/(ε²p) the exponents are of order one and lose no digits in e^{−kI}.
    require("p_x", p_x, 0 < p_x <= 1, "(0, 1]")
    require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
    k = math.ceil(1 / (epsilon**2 * p_x))
    largest = max(entropy_tails(k, p_x, p_y, p_z, epsilon, queries=queries))
    return -math.log(largest) / (epsilon**2 * k * p_x) if largest > 0 else math.inf


def decay_ratio(real: Decay, ideal: Decay | float) -> Estimate:
    """Constant of the real process over that of independent rounds.

    Args:
        real: The fit of the real process.
        ideal: `exact_slope`, or the fit of simulated independent rounds (which is
            taken as independent of the real one).

    Returns:
        The ratio; for a simulated ideal the relative errors add in quadrature.

    Raises:
        Refused: If the ideal constant is not clearly positive.
    """
    base = _base(ideal)
    if base.low <= 0:
        raise Refused(
            f"decay: independent rounds have constant {base.value:.3g} with lower end "
            f"{base.low:.3g}; no ratio to it exists: simulate more of them, or take "
            "exact_slope"
        )
    return _ratio(real.constant, base)


def _ratio(real: Estimate, base: Estimate) -> Estimate:
    value = real.value / base.value
    own_low = (real.value - real.low) / base.value
    own_high = (real.high - real.value) / base.value
    return Estimate(
        value,
        value - math.hypot(own_low, value * (base.high / base.value - 1)),
        value + math.hypot(own_high, value * (1 - base.low / base.value)),
        real.count,
        "ratio of slopes over the same windows",
    )


class Ideal(NamedTuple):
    """Independent rounds over the windows of a real process.

    Attributes:
        constant: c of the same fit.
        slopes: c(k, k′) between the same lengths.
    """

    constant: Estimate
    slopes: tuple[Estimate, ...]


def exact_ideal(decay: Decay, *, p_y: Real, p_z: Real) -> Ideal:
    """``exact_slope`` and ``exact_slopes``, with their errors."""
    constant, _ = exact_slope(decay, p_y=p_y, p_z=p_z)
    return Ideal(_exactly(constant), exact_slopes(decay, p_y=p_y, p_z=p_z))


def decay_measurements(
    real: Decay, ideal: Ideal | None, blocks: Sequence[Real], *, every: bool
) -> list[Measurement]:
    """Slopes where they were measured, and c where the data leave room for one.

    Args:
        real: The fit of the real process.
        ideal: Independent rounds over the same windows; None: of these windows they
            have none, and no ratio is given.
        blocks: Lengths kp of ``real.rounds``, as they were asked for.
        every: Whether the fits are of all windows of at least k rounds.

    Returns:
        ``decay_slope`` halfway between neighbouring lengths kp, and
        ``decay_fit_p_value``; unless that is below ``REJECTED``, ``decay_constant``.
        Of independent rounds the same with ``_iid``, and ``decay_slope_ratio`` and
        ``decay_ratio``. With ``_all`` at the end of the names for all windows.
    """
    suffix = ALL if every else ""
    count = real.constant.count
    contrasts = len(real.rounds) - 2
    test = f"Hotelling's test of {contrasts} contrasts"
    p_value = Estimate(real.p_value, real.p_value, real.p_value, count, test)
    found: list[tuple[str, float | None, Estimate, str, Spread]] = []
    for place, slope in enumerate(real.slopes):
        near, far = blocks[place : place + 2]
        at = (float(near) + float(far)) / 2
        found.append((DECAY_SLOPE, at, _between(slope, near, far), "", "linear"))
        if ideal is not None:
            base = ideal.slopes[place]
            found.append(
                (DECAY_SLOPE + INDEPENDENT, at, _between(base, near, far), "", "linear")
            )
            if base.low > 0:
                ratio = _between(_ratio(slope, base), near, far)
                found.append((DECAY_SLOPE_RATIO, at, ratio, "", "linear"))
    found.append((DECAY_FIT_P_VALUE, None, p_value, "probability", "none"))
    if real.straight:
        near, far = blocks[0], blocks[-1]
        constant = _between(real.constant, near, far, f"; {test}: {real.p_value:.2g}")
        found.append((DECAY_CONSTANT, None, constant, "", "linear"))
        if ideal is not None:
            found.append(
                (DECAY_CONSTANT + INDEPENDENT, None, ideal.constant, "", "linear")
            )
            if ideal.constant.low > 0:
                ratio = _ratio(real.constant, ideal.constant)
                found.append((DECAY_RATIO, None, ratio, "", "linear"))
    return [
        Measurement(
            f"{name}{suffix}",
            at,
            "" if at is None else "expected blocks",
            estimate,
            unit,
            spread,
        )
        for name, at, estimate, unit, spread in found
    ]


def refutation(decay: Decay, blocks: Sequence[Real]) -> str | None:
    """Why there is no constant, as a sentence; None where one fits the data."""
    if decay.straight:
        return None
    first, last = decay.slopes[0], decay.slopes[-1]
    return (
        f"decay: no constant c, since Pr[bad] ∝ e^(−c ε² k p) does not hold from kp = "
        f"{blocks[0]:g} to {blocks[-1]:g} ({_p_text(decay.p_value)}): its slope "
        f"(decay_slope, with intervals) is {first.value:.2f} at the shortest, "
        f"{last.value:.2f} at the longest, and not known beyond"
    )


def _p_text(p_value: float) -> str:
    return f"p = {p_value:.1g}" if p_value > 1e-300 else "p < 1e-300"


def _between(found: Estimate, near: Real, far: Real, more: str = "") -> Estimate:
    return found._replace(method=f"{found.method}, kp = {near:g} to {far:g}{more}")


def _exactly(value: float) -> Estimate:
    return Estimate(value, value, value, 0, "exact, same windows and weights")


def _base(ideal: Decay | float) -> Estimate:
    return ideal.constant if isinstance(ideal, Decay) else _exactly(ideal)
