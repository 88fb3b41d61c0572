"""Closed forms that the Monte Carlo must agree with: float64, numpy and scipy only.

Notation (time is in any one unit: steps, seconds; rates are per that unit)

| symbol | name here | meaning |
|---|---|---|
| q, p = 1 − q | `q` | the adversary's and the honest share of block events |
| ρ = q/p | | Pr[the adversary ever gains one block], 1 from q = ½ on |
| z, k | `depth`, `z` | number of honest blocks that bury the target |
| τ_j, α_j | | time of the j-th honest, of the j-th adversarial block |
| I_x(a, b) | `betainc` | regularised incomplete beta function |
| P(a, x), Q(a, x) | `gammainc`, `gammaincc` | incomplete gammas, P + Q = 1 |
| λ, Δ | `rate`, `delay` | block rate; bound on message delay |
| x = λΔ | `x` | delay in mean (memoryless) block intervals, λ of everybody |
| S_0, π | `dead_time`, `hazard` | work before a block can come; rate after it |
| v_i | `speed_i` | steps per unit of time of prover i |
| X, Y, Z | `p_x`, `p_y`, `p_z` | round successes: ≥ 1 honest, exactly 1, adversarial |
| ε, f | `epsilon`, `f` | slack of a typical window; Pr[≥ 1 honest success in a round] |
| α, γ | `alpha`, `gamma` | selfish pool's share; honest share that ties for it |

Sources
    [N08]   Nakamoto, Bitcoin: A Peer-to-Peer Electronic Cash System, §11.
    [R14]   Rosenfeld, Analysis of Hashrate-Based Double Spending, arXiv:1402.2009.
    [GP18]  Grunspan, Pérez-Marco, Double Spend Races, arXiv:1702.02867.
    [GR22]  Guo, Ren, Bitcoin's Latency–Security Analysis Made Simple, AFT'22.
    [PSS17] Pass, Seeman, Shelat, Analysis of the Blockchain Protocol in
            Asynchronous Networks, EUROCRYPT'17.
    [Ren19] Ren, Analysis of Nakamoto Consensus, ePrint 2019/943.
    [GKR20] Gaži, Kiayias, Russell, Tight Consistency Bounds for Bitcoin, CCS'20.
    [D+20]  Dembo et al., Everything is a Race and Nakamoto Always Wins, CCS'20.
    [GKL15] Garay, Kiayias, Leonardos, The Bitcoin Backbone Protocol, EUROCRYPT'15.
    [ES14]  Eyal, Sirer, Majority is not Enough, FC'14.
    [SLT23] Su, Larangeira, Tanaka, Provably Secure Blockchain Protocols from
            Distributed Proof-of-Deep-Learning, NSS'23.

Every tail is summed from positive terms or read from the tail function that belongs to
it, never as 1 − (something near 1): the figures of interest go down to 2^-128.
"""

import math
from typing import NamedTuple, TypeAlias, overload

import numpy as np
from jaxtyping import Float, Integer
from scipy import stats
from scipy.special import betainc, gammainc, gammaincc

Real: TypeAlias = float | int
Count: TypeAlias = int | np.integer
Depths: TypeAlias = Integer[np.ndarray, "*depths"]
Probabilities: TypeAlias = Float[np.ndarray, "*depths"]

# ---------------------------------------------------------------- races, zero delay


@overload
def private_race(q: Real, depth: Count, *, ties_win: bool = ...) -> float: ...
@overload
def private_race(q: Real, depth: Depths, *, ties_win: bool = ...) -> Probabilities: ...
def private_race(
    q: Real, depth: Count | Depths, *, ties_win: bool = True
) -> float | Probabilities:
    r"""Probability that a withheld chain ever reverts a block buried z deep.

    Both sides start together at time 0 on the same block. The events are

        ties win:     ∃ j ≥ z: α_j     < τ_{j+1},   Pr = I_{4pq}(z, ½) = 2 I_q(z, z)
        strict lead:  ∃ j ≥ z: α_{j+1} < τ_{j+1},   Pr = I_q(z+1, z) + ρ I_q(z, z+1)

    that is, at some time after the z-th honest block the withheld chain is as long as
    (longer than) the public one. With m ~ NB(z, p) adversarial blocks at τ_z, both are
    Σ_m Pr[m] ρ^{(z−m+s)⁺}, s = 0 or 1: the walk climbs a deficit d with probability ρ^d
    (gambler's ruin). The terms with positive deficit are those of NB(z, q), because
    p^z q^m ρ^{z−m} = q^z p^m; hence the incomplete betas. [R14] prints the first number
    for one pre-mined block and a strict lead, which is the same event.

    2 I_q(z, z) is evaluated in place of I_{4pq}(z, ½): as q → ½ the square-root
    singularity at 4pq = 1 would amplify the rounding of 4pq.

    Assumes exponential intervals, no delay, no pre-mining, and an adversary that never
    gives up.

    Args:
        q: the adversary's share, in [0, 1]. From q = ½ on the answer is 1.
        depth: z ≥ 1, blocks; one number or an array of them.
        ties_win: whether a withheld chain of equal length already reverts.

    Returns:
        The probability, one for each depth.

    Raises:
        ValueError: q outside [0, 1] or a depth that is no whole number ≥ 1.

    Reference: [GP18] Theorem 1; [R14]. Strict lead: the same sum with s = 1.
    """
    _require("q", q, 0 <= q <= 1, "[0, 1]")
    z = _depths("depth", depth)
    if q >= 0.5:
        return _shaped(np.ones(z.shape), depth)
    if ties_win:
        return _shaped(2 * betainc(z, z, q), depth)
    ratio = q / (1 - q)
    return _shaped(betainc(z + 1, z, q) + ratio * betainc(z, z + 1, q), depth)


@overload
def first_to(q: Real, z: Count) -> float: ...
@overload
def first_to(q: Real, z: Depths) -> Probabilities: ...
def first_to(q: Real, z: Count | Depths) -> float | Probabilities:
    r"""Probability that the adversary is the first to have z blocks.

        Pr[α_z < τ_z] = Pr[Bin(2z−1, q) ≥ z] = I_q(z, z)

    Unlike `private_race` it ends at the z-th block, so it stays below 1 for q < 1.
    Assumes exponential intervals, no delay, a common start.

    Args:
        q: the adversary's share, in [0, 1].
        z: blocks to reach, ≥ 1; one number or an array of them.

    Returns:
        The probability, one for each z.

    Raises:
        ValueError: q outside [0, 1] or a z that is no whole number ≥ 1.

    Reference: the problem of points (Pascal, Fermat 1654).
    """
    _require("q", q, 0 <= q <= 1, "[0, 1]")
    blocks = _depths("z", z)
    return _shaped(betainc(blocks, blocks, q), z)


@overload
def premined_race(q: Real, depth: Count) -> float: ...
@overload
def premined_race(q: Real, depth: Depths) -> Probabilities: ...
def premined_race(q: Real, depth: Count | Depths) -> float | Probabilities:
    r"""Probability of reverting a k-deep block when the adversary chose its moment.

        Pr[L + A + M ≥ k],   L, M ~ Geom_0(ρ),   A ~ NB(k, p),   independent

    L is the stationary lead mined before the target block, A the adversarial blocks
    during the k honest ones, M the most that the adversary gains ever after. With
    Pr[L + M ≥ n] = ρ^n (1 + n(1−ρ)) the sum over A < k telescopes into positive terms,

        Pr = 2 I_q(k, k) + (1−ρ) Σ_{j=1..k} I_q(k, j),

    the last sum being E[(k − A')⁺] = Σ_{j<k} Pr[A' ≤ j] for A' ~ NB(k, q).

    Assumes exponential intervals, no delay, ties that the adversary wins, and a target
    late enough for the lead to be stationary. It is the optimum of that model.

    Args:
        q: the adversary's share, in [0, 1]. From q = ½ on no stationary lead exists
            (it grows without bound) and the answer is 1.
        depth: k ≥ 1, blocks; one number or an array of them.

    Returns:
        The probability, one for each depth.

    Raises:
        ValueError: q outside [0, 1] or a depth that is no whole number ≥ 1.

    Reference: [GR22], the case of zero delay.
    """
    _require("q", q, 0 <= q <= 1, "[0, 1]")
    k = _depths("depth", depth)
    if q >= 0.5:
        return _shaped(np.ones(k.shape), depth)
    surplus = [betainc(n, np.arange(1, n + 1), q).sum() for n in k.ravel()]
    drift = (1 - 2 * q) / (1 - q)  # 1 − ρ without its cancellation at ρ → 1
    risk = 2 * betainc(k, k, q) + drift * np.reshape(surplus, k.shape)
    return _shaped(risk, depth)


@overload
def nakamoto_approximation(q: Real, z: Count) -> float: ...
@overload
def nakamoto_approximation(q: Real, z: Depths) -> Probabilities: ...
def nakamoto_approximation(q: Real, z: Count | Depths) -> float | Probabilities:
    r"""Nakamoto's own table: an *approximation* of `private_race`, ties winning.

    He lets the honest chain take exactly its mean time for z blocks, which turns the
    adversary's NB(z, p) count into Poisson(zρ):

        1 − Σ_{m≤z} Pois(m; zρ) (1 − ρ^{z−m}) = P(z, zρ) + (ρ e^{1−ρ})^z Q(z, z).

    Beyond the first few blocks it is too small: 2.4e-4 against 5.9e-4 at q = .1, z = 6.
    A faithful simulation does not reproduce it; print it as his approximation.

    Args:
        q: the adversary's share, in [0, 1]. From q = ½ on the answer is 1.
        z: depth ≥ 1, blocks; one number or an array of them.

    Returns:
        The approximate probability, one for each z.

    Raises:
        ValueError: q outside [0, 1] or a z that is no whole number ≥ 1.

    Reference: [N08] §11; its incomplete gammas are P(z, κ) of [GP18] at κ = 1.
    """
    _require("q", q, 0 <= q <= 1, "[0, 1]")
    blocks = _depths("z", z)
    if q >= 0.5:
        return _shaped(np.ones(blocks.shape), z)
    ratio = q / (1 - q)
    late = (ratio * math.exp(1 - ratio)) ** blocks.astype(np.float64)
    risk = gammainc(blocks, blocks * ratio) + late * gammaincc(blocks, blocks)
    return _shaped(risk, z)


# ------------------------------------------------------------ rates under delay


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
    _require("rate", rate, 0 <= rate < math.inf, "[0, ∞)")
    _require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
    _require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
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
    _require("rate", rate, 0 <= rate < math.inf, "[0, ∞)")
    _require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
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
    _require("x", x, bool(np.all(inside)), "[0, ∞)")
    threshold = 2 / (2 + ratio + np.hypot(ratio, 2))
    return float(threshold) if np.ndim(x) == 0 else threshold


# ------------------------------------------------- typical windows, i.i.d. rounds


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
    _require("p", p, 0 < p <= 1, "(0, 1]")
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
    _require("p_x", p_x, 0 < p_x <= 1, "(0, 1]")
    _require("p_y", p_y, 0 <= p_y <= p_x, f"[0, p_x = {p_x}]")
    _require("p_z", p_z, 0 <= p_z <= 1, "[0, 1]")
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
    _require("f", f, 0 <= f <= 1, "[0, 1]")
    _require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")
    return float((1 - epsilon) * f)


# ------------------------------------------------------------------ selfish mining


def selfish_revenue(alpha: Real, gamma: Real) -> float:
    r"""Share of the chain's blocks that an SM1 selfish pool obtains.

        R = [α(1−α)²(4α + γ(1−2α)) − α³] / [1 − α(1 + (2−α)α)]

    Assumes exponential intervals and no delay; SM1 is the first strategy, not the
    optimal one.

    Args:
        alpha: the pool's share, in [0, ½]. Above ½ the chain of leads is transient: the
            pool never publishes, so a long-run revenue does not exist.
        gamma: share of honest provers that extend the pool's block in a tie, [0, 1].

    Returns:
        Relative revenue in [0, 1]; honest play gives α.

    Raises:
        ValueError: an argument outside its range.

    Reference: [ES14] Eq. (8).
    """
    _require("alpha", alpha, 0 <= alpha <= 0.5, "[0, 0.5]")
    _require("gamma", gamma, 0 <= gamma <= 1, "[0, 1]")
    won = alpha * (1 - alpha) ** 2 * (4 * alpha + gamma * (1 - 2 * alpha)) - alpha**3
    return float(won / (1 - alpha * (1 + (2 - alpha) * alpha)))


def selfish_threshold(gamma: Real) -> float:
    r"""Share above which SM1 earns more than honest play.

        (1 − γ) / (3 − 2γ)

    Args:
        gamma: share of honest provers that extend the pool's block in a tie, [0, 1].

    Returns:
        The share α at which R = α.

    Raises:
        ValueError: gamma outside [0, 1].

    Reference: [ES14] Observation 1. Same assumptions as `selfish_revenue`.
    """
    _require("gamma", gamma, 0 <= gamma <= 1, "[0, 1]")
    return float((1 - gamma) / (3 - 2 * gamma))


# ------------------------------------------- shifted exponential: a stylised D-PoDL


class IntervalMoments(NamedTuple):
    """First two moments of a block interval."""

    mean: float  # E[interval], unit of time
    cv: float  # standard deviation / mean; 1 if memoryless


def dead_time_mean_cv(dead_time: Real, rate: Real) -> IntervalMoments:
    r"""Mean and coefficient of variation of S_0 + Exp(λ).

        mean = S_0 + 1/λ,   CV = 1 / (1 + S_0 λ)

    Exact in continuous time. For whole rounds with success probability P = λ the mean
    is the same and the CV is smaller by the factor √(1−P).

    Args:
        dead_time: S_0 ≥ 0, unit of time.
        rate: λ > 0 after the dead time, blocks per unit of time.

    Returns:
        `IntervalMoments(mean, cv)`.

    Raises:
        ValueError: an argument outside its range.

    Reference: moments of the shifted exponential law.
    """
    _require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
    _require("rate", rate, 0 < rate < math.inf, "(0, ∞)")
    return IntervalMoments(
        mean=float(dead_time + 1 / rate), cv=float(1 / (1 + dead_time * rate))
    )


def domination(hazard: Real, dead_time: Real, speed_1: Real, speed_2: Real) -> float:
    r"""Probability that the faster of two provers has the next block.

        Pr[1 wins] = 1 − e^{−πv_1(S_0/v_2 − S_0/v_1)} · v_2/(v_1 + v_2),   v_1 ≥ v_2

    Prover 1 leaves its dead time first; 2 wins only if 1 has found nothing by the time
    2 leaves its own, and then with its share v_2/(v_1 + v_2) of a memoryless race. At
    S_0 = 0 prover 1 has its share of the speed; as πS_0 → ∞ it takes everything.

    Args:
        hazard: π > 0, blocks per step after the dead time.
        dead_time: S_0 ≥ 0, steps.
        speed_1: v_1 ≥ v_2, steps per unit of time.
        speed_2: v_2 > 0, steps per unit of time.

    Returns:
        The share of blocks of prover 1 when both restart at each block.

    Raises:
        ValueError: an argument outside its range.

    Reference: competing shifted exponentials S_0/v_i + Exp(πv_i), conditioned on the
    time S_0/v_2 at which the second starts.
    """
    _require("hazard", hazard, 0 < hazard < math.inf, "(0, ∞)")
    _require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
    _require("speed_2", speed_2, 0 < speed_2 < math.inf, "(0, ∞)")
    allowed = f"[speed_2 = {speed_2}, ∞)"
    _require("speed_1", speed_1, speed_2 <= speed_1 < math.inf, allowed)
    idle = math.exp(-hazard * dead_time * (speed_1 - speed_2) / speed_2)
    return float(1 - idle * speed_2 / (speed_1 + speed_2))


# ------------------------------------------------------------------------- helpers


def _require(name: str, value: object, holds: bool | np.bool, allowed: str) -> None:
    # Callers write the condition so that NaN, which fails every comparison, fails it.
    if not holds:
        raise ValueError(f"{name} must lie in {allowed}, got {value}")


def _require_window(k: Count, epsilon: Real) -> None:
    _require("k", k, k >= 1, "{1, 2, ...}")
    _require("epsilon", epsilon, 0 < epsilon < 1, "(0, 1)")


def _depths(name: str, value: Count | Depths) -> np.ndarray:
    depths = np.asarray(value)
    whole = np.issubdtype(depths.dtype, np.integer)
    _require(name, value, bool(whole and np.all(depths >= 1)), "{1, 2, ...}")
    return depths.astype(np.int64)


def _shaped(
    risk: np.ndarray | np.float64, like: Count | Depths
) -> float | Probabilities:
    # A sum of tails can pass 1 by a few ulps as q → ½.
    capped = np.minimum(risk, 1.0)
    return float(capped) if np.ndim(like) == 0 else capped


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
