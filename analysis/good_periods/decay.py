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

c is a weighted least-squares slope over several window lengths; its weights are the
inverse variances of ln P(k), by the delta method. Windows of one replica share its
path, so the fitted points are correlated: the covariance of the points is that of the
replicas' shares, and the slope's error follows from all of it. Whether the exponential
form holds is Hotelling's test of the contrasts that a straight line leaves at zero.
Where it does not hold there is no c, and carrying the mean slope on to longer windows
would be wrong by orders of magnitude: only the slopes between neighbouring lengths are
then given, each where it was measured.

What independent rounds have instead, over the same windows with the same weights, is in
`decay_compared.py`.

Sources
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23, Lemma 1.
    [A03]   Anderson, An Introduction to Multivariate Statistical Analysis, 3rd ed.,
            §5.2 (Hotelling's T²).
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import linalg, stats

from ..bounds.arguments import Real, require
from ..estimation.estimate import COVERAGE, FEW, Estimate, Refused

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
    the answer of `windows.py` for `bernoulli_rounds.independent_rounds`.

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
    require("ideal", ideal.shape, real.shape[1] == ideal.shape[1], "real's windows")
    first, second = _shares(real), _shares(ideal)
    use = _usable(first, ceiling) & _usable(second, ceiling)
    fewer = first if len(first) < len(second) else second
    _require_enough(use, fewer, ceiling)
    used = np.asarray(rounds)[use]
    fitted = _fit(first[:, use], used, p, epsilon, None)
    return fitted, _fit(second[:, use], used, p, epsilon, fitted.weights)


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
    slope, intercept, gradient = weighted_line(axis, logs, weights)
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


def weighted_line(
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
    require("p", p, 0 < p <= 1, "(0, 1]")
    require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
    require("ceiling", ceiling, 0 < ceiling <= 1, "(0, 1]")
    rising = len(rounds) == columns and bool((np.diff(rounds) > 0).all())
    require("rounds", rounds, rising, "one increasing k for each column")
