"""Largest adversary that the private race is safe from, for any block-time law.

Notation (rates per unit of time; steps for laws)

| symbol | name here | meaning |
|---|---|---|
| β, β* | `beta` | the adversary's share of the provers; its safe limit |
| λ | `rate` | memoryless rate of all provers together, once their dead time is over |
| λ_a = βλ, λ_h = (1−β)λ | | the adversary's and the honest part of it |
| D | `dead_time` | S_0, work before a block can come (sequential: it splits no way) |
| ρ | `dead_ratio` | the adversary's dead time is ρD |
| Δ | `delay` | bound on message delay |
| n, n_a | `provers`, `adversarial` | all provers, the corrupted ones |
| A, H | | time between the adversary's blocks; between levels of honest provers |

The private race is a random walk with increment A − (H + Δ): a level's first block
needs Δ to reach everybody, who then start together; the adversary restarts at once.
It is safe iff the drift E[A] − E[H] − Δ is positive, for then the withheld chain falls
behind for good. Both sides are the fastest of their provers, so with dead time

    E[A] = ρD + 1/λ_a,   E[H] = D + 1/λ_h,
    safe  ⟺  1/λ_a − 1/λ_h > Δ + (1−ρ)D,

which is the threshold of [GKR20, D+20] at ρ = 1 or D = 0. So ρ is what is left to the
adversary of the dead time that honest provers have: 1 for equals, below 1 with a
head start (warm models, pre-hash grinding, a faster machine), 0 if it has none.

Sources
    [GKR20] Gaži, Kiayias, Russell, Tight Consistency Bounds for Bitcoin, CCS'20.
    [D+20]  Dembo et al., Everything is a Race and Nakamoto Always Wins, CCS'20.

That no attack beats the private one in the limit is proved for exponential laws only.
For other laws a share above β* is broken (the private attack succeeds), and one below
is safe from this attack, not from every attack.
"""

import math
from typing import NamedTuple

from scipy import optimize

from ..block_time.law import BlockTimeLaw, fastest_of, mean
from ..bounds.delays import security_threshold
from ..bounds.races import Count, Real
from ..estimation.estimate import Refused


class Threshold(NamedTuple):
    """The largest adversary from which the private race drifts away.

    Attributes:
        beta: β*, where the drift is 0; a share between whole provers.
        adversarial: Most provers that may be corrupted, whole; the drift is positive.
        drift: E[A] − E[H] − Δ at that number, steps; inf if it is 0.
    """

    beta: float
    adversarial: int
    drift: float


def dead_time_drift(
    beta: Real, *, rate: Real, delay: Real, dead_time: Real, dead_ratio: Real = 1
) -> float:
    r"""Drift of the private race of shifted-exponential laws, a level.

        (1/λ_a + ρD) − (1/λ_h + D) − Δ

    Args:
        beta: β in (0, 1).
        rate: λ > 0 of all provers after their dead time, blocks per unit of time.
        delay: Δ ≥ 0, unit of time.
        dead_time: D ≥ 0, unit of time.
        dead_ratio: ρ ≥ 0, the adversary's dead time over the honest one.

    Returns:
        Unit of time per level; positive is safe.

    Raises:
        ValueError: an argument outside its range.

    Reference: [GKR20]; [D+20], with the dead time of security.md §7.
    """
    _require("beta", beta, 0 < beta < 1, "(0, 1)")
    margin = _margin(rate, delay, dead_time, dead_ratio)
    return float((1 / beta - 1 / (1 - beta)) / rate - margin)


def dead_time_threshold(
    *, rate: Real, delay: Real, dead_time: Real, dead_ratio: Real = 1
) -> float:
    r"""Share at which 1/λ_a − 1/λ_h = Δ + (1−ρ)D.

        β* = 2 / (2 + y + √(y²+4)),   y = λ(Δ + (1−ρ)D)

    At ρ = 1 the dead time cancels: `security_threshold` of y = λΔ, where 1/λ is the
    mean interval less the dead time. At ρ = 0 it counts as delay in full. A slower
    adversary (ρ > 1) can make y negative and β* more than ½.

    Args:
        rate: λ > 0 of all provers after their dead time, blocks per unit of time.
        delay: Δ ≥ 0, unit of time.
        dead_time: D ≥ 0, unit of time.
        dead_ratio: ρ ≥ 0, the adversary's dead time over the honest one.

    Returns:
        β* in (0, 1).

    Raises:
        ValueError: an argument outside its range.

    Reference: [GKR20]; [D+20], with the dead time of security.md §7.
    """
    y = rate * _margin(rate, delay, dead_time, dead_ratio)
    # 1/β − 1/(1−β) is odd about β = ½.
    return security_threshold(y) if y >= 0 else 1 - security_threshold(-y)


def race_drift(
    law: BlockTimeLaw,
    *,
    provers: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
) -> float:
    r"""Drift of the private race of provers of any law, a level.

        E[fastest of n_a] − E[fastest of n − n_a] − Δ

    Every honest prover waits Δ here. In `simulation` the finder of a block does not,
    so with few provers the honest chain is a little faster and this drift is a lower
    bound (tight as n → ∞).

    Args:
        law: Block-time law of one prover (steps).
        provers: n > 0; need not be whole.
        adversarial: n_a in [0, n).
        delay_steps: Δ ≥ 0, steps.
        adversary: Law of a corrupted prover; that of an honest one if left out.

    Returns:
        Steps per level, positive is safe; inf without an adversary.

    Raises:
        ValueError: an argument outside its range.
        Refused: if the honest provers' mean interval is infinite.
    """
    _require("provers", provers, 0 < provers < math.inf, "(0, ∞)")
    _require("adversarial", adversarial, 0 <= adversarial < provers, f"[0, {provers})")
    _require("delay_steps", delay_steps, 0 <= delay_steps < math.inf, "[0, ∞)")
    honest = mean(fastest_of(law, provers - adversarial))
    if not math.isfinite(honest):
        raise Refused(
            "threshold: the mean block interval is infinite, since the law leaves "
            "mass that never ends; set abandon_steps or lengthen the horizon"
        )
    if adversarial == 0:
        return math.inf
    private = mean(fastest_of(law if adversary is None else adversary, adversarial))
    return private - honest - float(delay_steps)


def race_threshold(
    law: BlockTimeLaw,
    *,
    provers: Count,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
) -> Threshold:
    r"""Largest β for n provers at which the private race is safe.

        β* solves E[fastest of βn] = E[fastest of (1−β)n] + Δ

    The drift falls in β (more provers are faster), so there is one root. The split is
    by provers; a law is one of equal provers.

    Args:
        law: Block-time law of one prover (steps).
        provers: n ≥ 2.
        delay_steps: Δ ≥ 0, steps.
        adversary: Law of a corrupted prover; that of an honest one if left out.

    Returns:
        β* and the whole number of provers below it. Where even one corrupted prover is
        too many, that number is 0; β* is still the root for fractions of a prover.

    Raises:
        ValueError: an argument outside its range.
        Refused: if a mean is infinite, or the drift has no root (the adversary's law
            is such that it never, or always, wins).
    """
    _require("provers", provers, bool(provers >= 2), "{2, 3, ...}")
    count = int(provers)

    def drift(beta: float) -> float:
        return race_drift(
            law,
            provers=count,
            adversarial=beta * count,
            delay_steps=delay_steps,
            adversary=adversary,
        )

    # A millionth of a prover is as good as none, on either side.
    low, high = 1e-6 / count, 1 - 1e-6 / count
    if not drift(low) > 0 > drift(high):
        raise Refused(
            f"threshold: the drift has no root, it is {drift(low):g} steps a level "
            f"almost without adversary and {drift(high):g} almost without honest "
            "provers; a shorter delay_steps may help where the first is not positive"
        )
    beta = float(optimize.brentq(drift, low, high, xtol=1e-13))  # pyright: ignore
    # The root is known to rounding: with a drift of 0 at a whole number the race is
    # not safe there.
    adversarial = math.ceil(beta * count - 1e-9) - 1
    return Threshold(beta, adversarial, drift(adversarial / count))


def _margin(rate: Real, delay: Real, dead_time: Real, dead_ratio: Real) -> float:
    """Δ + (1−ρ)D, what the memoryless parts must make up for."""
    _require("rate", rate, 0 < rate < math.inf, "(0, ∞)")
    _require("delay", delay, 0 <= delay < math.inf, "[0, ∞)")
    _require("dead_time", dead_time, 0 <= dead_time < math.inf, "[0, ∞)")
    _require("dead_ratio", dead_ratio, 0 <= dead_ratio < math.inf, "[0, ∞)")
    return float(delay + (1 - dead_ratio) * dead_time)


def _require(name: str, value: object, holds: bool, allowed: str) -> None:
    # Conditions are written so that NaN, which fails every comparison, fails them.
    if not holds:
        raise ValueError(f"{name} must lie in {allowed}, got {value}")
