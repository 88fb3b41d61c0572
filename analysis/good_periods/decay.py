r"""How fast bad windows become rare: the constant that Ω hides in SLT23's Lemma 1.

Notation (SLT23 §5, Def. 3 and Lemma 1)

| symbol | name here | meaning |
|---|---|---|
| k, W | `rounds` | rounds of a window; a window |
| p | `p` | E[X_r]; kp = expected successful rounds of the window |
| ε | `epsilon` | tolerance of Def. 3, in (0, 1) |
| P(k) | | Pr[W bad], or Pr[some window of ≥ k rounds bad] |
| c | `constant` | ln P(k) = a − c ε² kp |
| c(k, k′) | `slopes` | −(ln P(k′) − ln P(k)) / (ε² (k′ − k) p) between two lengths |
| D(a‖p) | | relative entropy of coins, nats |

c is a weighted least-squares slope over several window lengths; its weights are the
inverse variances of ln P(k), by the delta method. Windows of one replica share its
path, so the fitted points are correlated: the covariance of the points is that of the
replicas' shares, and the slope's error follows from all of it. Whether the exponential
form holds is Hotelling's test of the contrasts that a straight line leaves at zero.
Where it does not hold there is no c, and carrying the mean slope on to longer windows
would be wrong by orders of magnitude: only the slopes between neighbouring lengths are
then given, each where it was measured.

Independent rounds have P(k) in closed form, and c → I/(ε²p) as k → ∞ with I the least
of the four one-sided rates (`entropy_constant`). At the lengths that can be simulated
the slope is still above that limit, since P(k) ~ k^{−½} e^{−kI}, and jumps with the
whole numbers that bound X. So the two processes are compared by the same fit: same
windows, same weights (`exact_slope`, `decay_ratio`).

Sources
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23, Lemma 1.
    [DZ98]  Dembo, Zeitouni, Large Deviations Techniques and Applications, 2nd ed.,
            Theorem 2.2.3 (Cramér); Theorem 3.7.4 (Bahadur, Rao: the factor k^{−½}).
    [A03]   Anderson, An Introduction to Multivariate Statistical Analysis, 3rd ed.,
            §5.2 (Hotelling's T²).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg, stats

from ..bounds.backbone import bad_window, entropy_tails
from ..bounds.races import Real
from ..estimation.estimate import COVERAGE, Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.shares import FEW

_MINIMUM_WINDOWS = 3
_METHOD = "weighted least squares of ln Pr[bad], delta method over replicas"
_SLOPE_METHOD = "difference of ln Pr[bad], delta method over replicas"
# Below that probability of such residuals the straight line counts as refuted.
REJECTED = 0.05


class Decay(NamedTuple):
    """A fitted ln P(k) = a − c ε² kp.

    Attributes:
        constant: c.
        intercept: a.
        rounds: k of the windows that were used.
        weights: Their weights in the fit, which sum to 1.
        residuals: ln P(k) less the line, nats.
        p_value: Probability of residuals as large if the line were true.
        slopes: c(k, k′) between neighbouring lengths.
        p: E[X_r] that the axis is in.
        epsilon: ε.
    """

    constant: Estimate
    intercept: float
    rounds: Int[np.ndarray, " used"]
    weights: Float[np.ndarray, " used"]
    residuals: Float[np.ndarray, " used"]
    p_value: float
    slopes: tuple[Estimate, ...]
    p: float
    epsilon: float

    @property
    def straight(self) -> bool:
        """Whether the data leave room for one constant."""
        return self.p_value >= REJECTED


def fit_decay(
    bad: Float[np.ndarray, "replicas windows"] | Bool[np.ndarray, "replicas windows"],
    rounds: Int[np.ndarray, " windows"],
    *,
    p: Real,
    epsilon: Real,
    ceiling: Real = 0.5,
) -> Decay:
    r"""Fit the constant of 1 − e^{−Ω(ε²kp)} to simulated windows.

    A length is used when at least 20 replicas have a bad window, at least 20 have a
    good one, and P(k) is at most the ceiling: near 1 a probability cannot decay
    exponentially, whatever the process. With y = ln P(k), weights w and design (1, x),
    x = −ε²kp, the slope is a linear map g·y, and Var[c] = gᵀ Σ g with Σ the covariance
    of all points. The test is T² = yᵀN (NᵀΣN)⁻¹ Nᵀy, N the contrasts without line;
    (R − m) / (m (R − 1)) T² ~ F(m, R − m) for R replicas and m = windows − 2.

    Args:
        bad: Share of each replica's windows that are bad, or whether any is; one
            column for each length.
        rounds: k of the columns, increasing.
        p: E[X_r] in (0, 1].
        epsilon: ε in (0, 1).
        ceiling: Largest P(k) in (0, 1] that counts as tail.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If fewer than 3 lengths can be used.

    Reference: [SLT23] Lemma 1; [A03] §5.2.
    """
    _require_axis(rounds, bad.shape[1], p, epsilon, ceiling)
    shares = _shares(bad)
    use = _usable(shares, ceiling)
    _require_enough(use, shares, ceiling)
    return _fit(shares[:, use], np.asarray(rounds)[use], p, epsilon, None)


def fit_pair(
    real: Float[np.ndarray, "replicas windows"] | Bool[np.ndarray, "replicas windows"],
    ideal: Float[np.ndarray, "others windows"] | Bool[np.ndarray, "others windows"],
    rounds: Int[np.ndarray, " windows"],
    *,
    p: Real,
    epsilon: Real,
    ceiling: Real = 0.5,
) -> tuple[Decay, Decay]:
    """Fit two processes over the same lengths with the same weights.

    For figures without a closed form, such as that of all windows: the ideal is then
    `good_period`'s answer for `independence.independent_rounds`.

    Args:
        real: As ``bad`` of `fit_decay`; it sets the weights.
        ideal: The same of the other process.
        rounds: k of the columns, increasing.
        p: E[X_r] in (0, 1].
        epsilon: ε in (0, 1).
        ceiling: Largest P(k) in (0, 1] that counts as tail.

    Raises:
        ValueError: If an argument is out of range.
        Refused: If fewer than 3 lengths can be used for both.
    """
    _require_axis(rounds, real.shape[1], p, epsilon, ceiling)
    _require("ideal", ideal.shape, real.shape[1] == ideal.shape[1], "real's windows")
    first, second = _shares(real), _shares(ideal)
    use = _usable(first, ceiling) & _usable(second, ceiling)
    fewer = first if len(first) < len(second) else second
    _require_enough(use, fewer, ceiling)
    used = np.asarray(rounds)[use]
    fitted = _fit(first[:, use], used, p, epsilon, None)
    return fitted, _fit(second[:, use], used, p, epsilon, fitted.weights)


def exact_slope(
    decay: Decay, *, p_y: Real, p_z: Real, queries: int = 1
) -> tuple[float, float]:
    r"""The constant of independent rounds, by the fit that the real process had.

    One window of k independent rounds is bad with the probability of
    `typicality.bad_window`; the line goes through its logarithms at the same k, with
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
    slope, intercept, _ = _line(axis, logs, decay.weights)
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
    _require("p_x", p_x, 0 < p_x <= 1, "(0, 1]")
    _require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
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
        ``decay_ratio``. With ``_all`` behind the names for all windows.
    """
    suffix = "_all" if every else ""
    count = real.constant.count
    contrasts = len(real.rounds) - 2
    test = f"Hotelling's test of {contrasts} contrasts"
    p_value = Estimate(real.p_value, real.p_value, real.p_value, count, test)
    found: list[tuple[str, float | None, Estimate, str]] = []
    for place, slope in enumerate(real.slopes):
        near, far = blocks[place : place + 2]
        at = (float(near) + float(far)) / 2
        found.append(("decay_slope", at, _between(slope, near, far), ""))
        if ideal is not None:
            base = ideal.slopes[place]
            found.append(("decay_slope_iid", at, _between(base, near, far), ""))
            if base.low > 0:
                ratio = _between(_ratio(slope, base), near, far)
                found.append(("decay_slope_ratio", at, ratio, ""))
    found.append(("decay_fit_p_value", None, p_value, "probability"))
    if real.straight:
        near, far = blocks[0], blocks[-1]
        constant = _between(real.constant, near, far, f"; {test}: {real.p_value:.2g}")
        found.append(("decay_constant", None, constant, ""))
        if ideal is not None:
            found.append(("decay_constant_iid", None, ideal.constant, ""))
            if ideal.constant.low > 0:
                ratio = _ratio(real.constant, ideal.constant)
                found.append(("decay_ratio", None, ratio, ""))
    return [
        Measurement(
            f"{name}{suffix}",
            at,
            "" if at is None else "expected blocks",
            estimate,
            unit,
            "none" if name == "decay_fit_p_value" else "linear",
        )
        for name, at, estimate, unit in found
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


def _shares(bad) -> Float[np.ndarray, "replicas windows"]:
    shares = np.asarray(bad, np.float64)
    inside = (shares >= 0) & (shares <= 1)
    if not inside.all():
        raise ValueError(f"bad must lie in [0, 1], got {shares[~inside][0]}")
    return shares


def _usable(shares, ceiling: Real) -> Bool[np.ndarray, " windows"]:
    some, other = (shares > 0).sum(axis=0), (shares < 1).sum(axis=0)
    return (some >= FEW) & (other >= FEW) & (shares.mean(axis=0) <= ceiling)


def _fit(shares, rounds, p: Real, epsilon: Real, weights) -> Decay:
    replicas = len(shares)
    level = shares.mean(axis=0)
    covariance = np.cov(shares, rowvar=False) / replicas / np.outer(level, level)
    if weights is None:
        weights = 1 / np.diag(covariance)
        weights /= weights.sum()
    axis = -(float(epsilon) ** 2) * rounds * float(p)
    logs = np.log(level)
    slope, intercept, gradient = _line(axis, logs, weights)
    error = math.sqrt(gradient @ covariance @ gradient)
    half = float(stats.t.ppf(0.5 + COVERAGE / 2, replicas - 1)) * error
    constant = Estimate(slope, slope - half, slope + half, replicas, _METHOD)
    residuals = logs - intercept - slope * axis
    p_value = _line_test(axis, logs, covariance, replicas)
    return Decay(
        constant,
        intercept,
        rounds,
        weights,
        residuals,
        p_value,
        _slopes(axis, logs, covariance, replicas),
        float(p),
        float(epsilon),
    )


def _slopes(axis, logs, covariance, replicas: int) -> tuple[Estimate, ...]:
    steps = np.diff(axis)
    values = np.diff(logs) / steps
    # Var[y′ − y] of neighbours, whose windows share the replicas' paths.
    own = np.diag(covariance)
    variances = own[1:] + own[:-1] - 2 * np.diag(covariance, 1)
    errors = np.sqrt(np.maximum(variances, 0.0)) / np.abs(steps)
    quantile = float(stats.t.ppf(0.5 + COVERAGE / 2, replicas - 1))
    return tuple(
        Estimate(
            float(value),
            float(value - quantile * error),
            float(value + quantile * error),
            replicas,
            _SLOPE_METHOD,
        )
        for value, error in zip(values, errors, strict=True)
    )


def _line(
    axis: Float[np.ndarray, " n"],
    values: Float[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
) -> tuple[float, float, Float[np.ndarray, " n"]]:
    """Slope, intercept, and the gradient of the slope by the values."""
    centre = weights @ axis
    lever = weights * (axis - centre)
    gradient = lever / (lever @ axis)
    slope = float(gradient @ values)
    return slope, float(weights @ values - slope * centre), gradient


def _line_test(axis, values, covariance, replicas: int) -> float:
    design = np.stack([np.ones_like(axis), axis / np.abs(axis).max()])
    contrasts = linalg.null_space(design)
    # Lengths so close that the replicas do not tell them apart have no contrast.
    inverse, m = linalg.pinvh(
        contrasts.T @ covariance @ contrasts, rtol=1e-9, return_rank=True
    )
    off = contrasts.T @ values
    scaled = (replicas - m) / (m * (replicas - 1)) * (off @ inverse @ off)
    return float(stats.f.sf(scaled, m, replicas - m))


def _require_enough(use, shares, ceiling: Real) -> None:
    if use.sum() < _MINIMUM_WINDOWS:
        raise Refused(
            f"decay: only {use.sum()} of {len(use)} window lengths have {FEW} "
            f"replicas with a bad window, {FEW} with a good one and Pr[bad] ≤ "
            f"{ceiling:g}; {_MINIMUM_WINDOWS} are needed: more replicas where bad "
            "windows are rare, longer windows where they are not, or more lengths "
            "between"
        )
    if len(shares) < 2 * use.sum():
        raise Refused(
            f"decay: {len(shares)} replicas cannot tell the covariance of {use.sum()} "
            "window lengths; twice as many are needed"
        )


def _require_axis(rounds, columns: int, p: Real, epsilon: Real, ceiling: Real) -> None:
    _require("p", p, 0 < p <= 1, "(0, 1]")
    _require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
    _require("ceiling", ceiling, 0 < ceiling <= 1, "(0, 1]")
    rising = len(rounds) == columns and bool((np.diff(rounds) > 0).all())
    _require("rounds", rounds, rising, "one increasing k for each column")


def _require(name: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} must lie in {allowed}, got {value}")
