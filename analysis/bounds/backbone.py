"""Backbone guarantees of typical executions, and how rare the others are.

Notation (rounds are independent here; `good_period` has the real process)

| symbol | name here | meaning |
|---|---|---|
| X, Y | `p_x`, `p_y` | rounds of a window with ≥ 1, exactly 1 honest success |
| Z | `p_z`, `queries` | adversarial successes: p_z a round, from t queries |
| k, W | `k` | least rounds of a window; a window |
| ε | `epsilon` | tolerance of Def. 3, in (0, 1) |
| f = p_x | | [GKL15]'s f, [SLT23]'s p |

A window is bad when one of four one-sided conditions of Def. 3 fails:

    X ≤ (1−ε)k p_x,   X ≥ (1+ε)k p_x,   Y ≤ (1−ε)k p_y,   Z ≥ k p_z + εk p_x.

`Tails` has one probability for each, exact (`binomial_tails`) or by Chernoff's bound
in two strengths; `bad_window` is their union, exact. All are sums of positive tails,
never 1 − Pr[good], so they keep their digits at 2^-128.

Sources
    [GKL15] Garay, Kiayias, Leonardos, The Bitcoin Backbone Protocol, EUROCRYPT'15;
            as in the full version, ePrint 2014/765.
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23.
    [H63]   Hoeffding, Probability Inequalities for Sums of Bounded Random Variables,
            J. Am. Stat. Assoc. 58.
    [MU05]  Mitzenmacher, Upfal, Probability and Computing, Theorems 4.4 and 4.5.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import xlogy

from ..estimation.estimate import Refused
from .arguments import Count, Real, require
from .rounds import backbone_growth, greatest_below, least_above


class Tails(NamedTuple):
    """Probability, or a bound on it, that each condition of a good window fails.

    Attributes:
        x_low: Too few successful rounds: the chain may grow too slowly.
        x_high: Too many: blocks outrun their rounds.
        y_low: Too few uniquely successful rounds.
        z_high: Too many adversarial successes.
    """

    x_low: float
    x_high: float
    y_low: float
    z_high: float

    @property
    def union(self) -> float:
        """Bound on Pr[window bad]: the sum, at most 1."""
        return min(1.0, math.fsum(self))


class Guarantees(NamedTuple):
    """What every typical execution has (no failure probability: that is typicality's).

    Attributes:
        growth: τ, blocks a round of every honest chain, over stretches of s ≥ k rounds.
        growth_rounds: k.
        quality: μ, least share of honest blocks among any `blocks` successive ones.
        blocks: 2kp_x: stretch for quality, and depth from which chains agree.
        margin: (1−ε)p_y − p_z − εp_x > 0, how much a round the honest stay ahead.
    """

    growth: float
    growth_rounds: int
    quality: float
    blocks: int
    margin: float


def backbone_guarantees(
    k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real
) -> Guarantees:
    r"""Growth, quality and common prefix of an (ε,k)-typical execution.

        τ = (1−ε)p_x                            for s ≥ k rounds
        μ = 1 − (p_z + εp_x) / ((1−ε)p_x)       for any 2kp_x successive blocks
        common prefix                           at depth 2kp_x blocks

    provided Z(W) < Y(W) follows for every window, that is (1−ε)p_y ≥ p_z + εp_x. Then
    X + Z < 2kp_x in k rounds, so 2kp_x blocks take at least k rounds, in which the
    chain grew by X > (1−ε)kp_x and the adversary has Z < k(p_z + εp_x) of them; and
    two chains that part earlier would need an adversarial block for each uniquely
    successful round. [GKL15] has the same with t/(n−t) for p_z/p_x and δ ≥ 3(ε + f) for
    the margin; here the probabilities enter as they are.

    Assumes lockstep rounds (a block is known to all in the next one), no collisions of
    hashes, and a typical execution.

    Args:
        k: Least rounds of a window, ≥ 1.
        p_x: Pr[at least one honest success in a round], in (0, 1].
        p_y: Pr[exactly one], in [0, p_x].
        p_z: Adversarial successes a round, ≥ 0.
        epsilon: ε in (0, 1).

    Raises:
        ValueError: An argument outside its range.
        Refused: If the margin is negative: then typicality guarantees growth only.

    Reference: [GKL15], the theorems on chain growth, chain quality and common prefix;
    [SLT23] Lemma 2 (its quality is existential: μ > 0).
    """
    _require_window(k, p_x, p_y, p_z, epsilon, 1)
    margin = float((1 - epsilon) * p_y - p_z - epsilon * p_x)
    if margin < 0:
        raise Refused(
            f"backbone: with epsilon = {epsilon:g} a typical window may have more "
            f"adversarial successes (up to {p_z + epsilon * p_x:g} a round) than "
            f"uniquely honest ones (down to {(1 - epsilon) * p_y:g}): no quality or "
            "common prefix follows; a smaller epsilon or adversary may do"
        )
    quality = 1 - (p_z + epsilon * p_x) / ((1 - epsilon) * p_x)
    blocks = greatest_below(2 * k * p_x + 1)  # ⌈2kp_x⌉
    growth = backbone_growth(p_x, epsilon)
    return Guarantees(growth, int(k), float(quality), blocks, margin)


def binomial_tails(
    k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real, *, queries: int = 1
) -> Tails:
    r"""The four tails, exactly.

        X ~ Bin(k, p_x),   Y ~ Bin(k, p_y),   Z ~ Bin(kt, p_z/t)

    Args:
        k: Rounds of the window, ≥ 1.
        p_x: Pr[at least one honest success in a round], in (0, 1].
        p_y: Pr[exactly one], in [0, p_x].
        p_z: Adversarial successes a round, in [0, t].
        epsilon: ε in (0, 1).
        queries: t ≥ 1, adversarial queries a round (one for each corrupted prover).

    Raises:
        ValueError: An argument outside its range.

    Reference: [SLT23] Def. 3, idealised to independent rounds.
    """
    _require_window(k, p_x, p_y, p_z, epsilon, queries)
    low_x, high_x, low_y, high_z = _limits(k, p_x, p_y, p_z, epsilon)
    return Tails(
        float(stats.binom.cdf(low_x - 1, k, p_x)),
        float(stats.binom.sf(high_x, k, p_x)),
        float(stats.binom.cdf(low_y - 1, k, p_y)),
        float(stats.binom.sf(high_z, k * queries, p_z / queries)),
    )


def chernoff_tails(
    k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real, *, queries: int = 1
) -> Tails:
    r"""Chernoff's bounds in the form that proofs use, with their constants.

        x_low ≤ e^{−ε²kp_x/2},   x_high ≤ e^{−ε²kp_x/3},   y_low ≤ e^{−ε²kp_y/2},
        z_high ≤ e^{−δ²kp_z/(2+δ)},   δ = εp_x/p_z

    So the constant in [SLT23]'s 1 − e^{−Ω(ε²kp)} is 1/3 for X alone.

    Args and Raises as in `binomial_tails`; the bound is the same for every t.

    Reference: [MU05]; [SLT23] Lemma 1; [GKL15], probability of typical executions.
    """
    _require_window(k, p_x, p_y, p_z, epsilon, queries)
    square = epsilon**2 * k
    slack = epsilon * p_x  # δp_z, which stays finite as p_z → 0
    return Tails(
        math.exp(-square * p_x / 2),
        math.exp(-square * p_x / 3),
        math.exp(-square * p_y / 2),
        math.exp(-k * slack**2 / (2 * p_z + slack)),
    )


def entropy_tails(
    k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real, *, queries: int = 1
) -> Tails:
    r"""Chernoff's bounds at their best exponent.

        Pr[mean of n ≥ a] (≤ a) ≤ e^{−n D(a‖p)},
        D(a‖p) = a ln(a/p) + (1−a) ln((1−a)/(1−p))

    The exponent is the exact rate of decay in k, which `chernoff_tails` misses.

    Args and Raises as in `binomial_tails`.

    Reference: [H63] Theorem 1.
    """
    _require_window(k, p_x, p_y, p_z, epsilon, queries)
    each = (p_z + epsilon * p_x) / queries
    return Tails(
        math.exp(-k * _divergence((1 - epsilon) * p_x, p_x)),
        math.exp(-k * _divergence((1 + epsilon) * p_x, p_x)),
        math.exp(-k * _divergence((1 - epsilon) * p_y, p_y)),
        math.exp(-k * queries * _divergence(each, p_z / queries)),
    )


def bad_window(
    k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real, *, queries: int = 1
) -> float:
    r"""Probability that one window of k rounds is *not* good, exactly.

        Pr[bad] = B + (1 − B) Pr[Z high],
        B = Pr[X outside] + Σ_{x inside} Bin(x; k, p_x) Pr[Bin(x, p_y/p_x) ≤ (1−ε)kp_y]

    the complement of `rounds.good_window`, summed from tails. X and Y are those of one
    window; Z is independent of them.

    Args:
        k: Rounds of the window, ≥ 1.
        p_x: Pr[at least one honest success in a round], in (0, 1].
        p_y: Pr[exactly one], in [0, p_x].
        p_z: Adversarial successes a round, in [0, t].
        epsilon: ε in (0, 1).
        queries: t ≥ 1, adversarial queries a round.

    Raises:
        ValueError: An argument outside its range.

    Reference: [SLT23] Def. 3, idealised to independent rounds.
    """
    tails = binomial_tails(k, p_x, p_y, p_z, epsilon, queries=queries)
    low_x, high_x, low_y, _ = _limits(k, p_x, p_y, p_z, epsilon)
    inside = np.arange(low_x, high_x + 1)
    few = stats.binom.cdf(low_y - 1, inside, p_y / p_x)
    lost = float(np.sum(stats.binom.pmf(inside, k, p_x) * few))
    honest = min(1.0, tails.x_low + tails.x_high + lost)
    return honest + (1 - honest) * tails.z_high


def some_window_bad(
    horizon: Count,
    k: Count,
    p_x: Real,
    p_y: Real,
    p_z: Real,
    epsilon: Real,
    *,
    queries: int = 1,
    tails: Callable[..., Tails] = binomial_tails,
) -> float:
    r"""Bound on Pr[some window of at least k rounds within the horizon is bad].

        Σ_{s=k}^{2k−1} (L − s + 1) Pr[window of s rounds bad]

    The conditions add up over windows that follow each other, so if all windows of k
    to 2k − 1 rounds are good, so are the longer ones, which are made of such; no sum
    over all lengths is needed. The price of the union over places is a factor near L.

    Args:
        horizon: L ≥ k, rounds.
        k: Least rounds of a window, ≥ 1.
        p_x: Pr[at least one honest success in a round], in (0, 1].
        p_y: Pr[exactly one], in [0, p_x].
        p_z: Adversarial successes a round, in [0, t].
        epsilon: ε in (0, 1).
        queries: t ≥ 1, adversarial queries a round.
        tails: Exact tails or a bound on them; their union is used.

    Returns:
        At most 1, which says nothing.

    Raises:
        ValueError: An argument outside its range.

    Reference: [SLT23] Lemma 1; [GKL15], with the union written out.
    """
    _require_window(k, p_x, p_y, p_z, epsilon, queries)
    if not horizon >= k:
        raise ValueError(f"horizon must be at least k = {k}, got {horizon}")
    lengths = range(int(k), min(2 * int(k), int(horizon) + 1))
    risks = (
        (int(horizon) - s + 1)
        * math.fsum(tails(s, p_x, p_y, p_z, epsilon, queries=queries))
        for s in lengths
    )
    return min(1.0, math.fsum(risks))


def exponent_constant(risk: Real, k: Count, p_x: Real, epsilon: Real) -> float:
    r"""The constant c that makes a risk e^{−cε²kp_x}: what Ω hides in [SLT23] Lemma 1.

    Args:
        risk: Pr[window bad], in (0, 1]; exact, a bound, or measured.
        k: Rounds of the window, ≥ 1.
        p_x: Pr[at least one honest success in a round], in (0, 1].
        epsilon: ε in (0, 1).

    Raises:
        ValueError: An argument outside its range.
    """
    _require_window(k, p_x, 0, 0, epsilon, 1)
    require("risk", risk, 0 < risk <= 1, "(0, 1]")
    return float(-math.log(risk) / (epsilon**2 * k * p_x))


def _limits(k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real):
    """Least and greatest good X, least good Y, greatest good Z."""
    return (
        least_above((1 - epsilon) * k * p_x),
        greatest_below((1 + epsilon) * k * p_x),
        least_above((1 - epsilon) * k * p_y),
        greatest_below(k * p_z + epsilon * k * p_x),
    )


def _divergence(a: Real, p: Real) -> float:
    """D(a‖p), inf where a mean of indicators cannot be a."""
    if a == p:
        return 0.0
    if a > 1 or p in (0, 1):
        return math.inf
    none = (1 - a) * (math.log1p(-a) - math.log1p(-p)) if a < 1 else 0.0
    return float(xlogy(a, a / p) + none)


def _require_window(
    k: Count, p_x: Real, p_y: Real, p_z: Real, epsilon: Real, queries: int
) -> None:
    require("k", k, bool(k >= 1), "{1, 2, ...}")
    require("p_x", p_x, 0 < p_x <= 1, "(0, 1]")
    require("p_y", p_y, 0 <= p_y <= p_x, f"[0, p_x = {p_x}]")
    require("queries", queries, queries >= 1, "{1, 2, ...}")
    require("p_z", p_z, 0 <= p_z <= queries, f"[0, queries = {queries}]")
    require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
