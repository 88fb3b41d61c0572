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
from typing import overload

import numpy as np
from scipy.special import betainc, gammainc, gammaincc

from .arguments import Count, Depths, Probabilities, Real, require, shaped, whole_depths

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
    require("q", q, 0 <= q <= 1, "[0, 1]")
    z = whole_depths("depth", depth)
    if q >= 0.5:
        return shaped(np.ones(z.shape), depth)
    if ties_win:
        return shaped(2 * betainc(z, z, q), depth)
    ratio = q / (1 - q)
    return shaped(betainc(z + 1, z, q) + ratio * betainc(z, z + 1, q), depth)


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
    require("q", q, 0 <= q <= 1, "[0, 1]")
    blocks = whole_depths("z", z)
    return shaped(betainc(blocks, blocks, q), z)


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
    require("q", q, 0 <= q <= 1, "[0, 1]")
    k = whole_depths("depth", depth)
    if q >= 0.5:
        return shaped(np.ones(k.shape), depth)
    surplus = [betainc(n, np.arange(1, n + 1), q).sum() for n in k.ravel()]
    drift = (1 - 2 * q) / (1 - q)  # 1 − ρ without its cancellation at ρ → 1
    risk = 2 * betainc(k, k, q) + drift * np.reshape(surplus, k.shape)
    return shaped(risk, depth)


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
    require("q", q, 0 <= q <= 1, "[0, 1]")
    blocks = whole_depths("z", z)
    if q >= 0.5:
        return shaped(np.ones(blocks.shape), z)
    ratio = q / (1 - q)
    late = (ratio * math.exp(1 - ratio)) ** blocks.astype(np.float64)
    risk = gammainc(blocks, blocks * ratio) + late * gammaincc(blocks, blocks)
    return shaped(risk, z)
