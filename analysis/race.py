"""The private race as a random walk: its event, its cumulant and its two tilts.

Notation (security.md §6–7, engines.md "Private race"; that of ``security.py``)
    H_j, τ_j    interval and time of the public chain's j-th level
    A_j, α_j    interval and time of the adversary's j-th private block
    Δ           message delay, also the grace of the last level
    k           confirmations, the block of the transaction included
    X_j         H_j − A_j, what the adversary gains a level; S_j = X_1 + ... + X_j
    W           time by which the private chain was ahead when the race began
    K(θ)        ln E[e^{θX}] = ln M_H(θ) + ln M_A(−θ)     ``cumulant``
    θ_0         argmin K: under this tilt the race is even
    θ*          K(θ*) = 0, θ* > 0: under this tilt the adversary gains

The attack. The public chain is the slowest that the delay allows: every level starts Δ
after the block before it and takes the fastest of n_h fresh provers, H = Δ + min. The
finder of a block, who need not wait, is made to, and its forks add nothing. Draw for
draw, the simulated network is never slower, so its risk is at most this one (equal at
Δ = 0, and as finders become a vanishing share of n_h). The adversary mines alone from
the tip at time 0, with the fastest of n_a fresh provers a block, sees everything at
once and never gives up. Depth k is violated, as in ``security.py``, if
    ties win:    ∃ j ≥ k: α_j     ≤ τ_{j+1} + Δ     (equal length suffices)
    strict:      ∃ j ≥ k: α_{j+1} ≤ τ_{j+1} + Δ     (a longer chain is needed)
With V = Δ + H_0 (ties) or Δ + H_0 − A_0 (strict) both are ∃ j ≥ k: V + S_j ≥ 0, that is
    V + S_k + M ≥ 0,   M = max_{j ≥ 0} S_j,   all independent.

Pre-mined: the transaction comes at a given moment, long after the adversary began to
keep what it has: α_{j+1} = min(α_j, τ_j) + A, forking anew when behind. Its lead at the
last public block before the moment is W = (τ_j − α_j)⁺, stationary, and W = M in law
(Lindley). The race begins at that block, whose interval contains the moment and is
therefore drawn by length: V gains W, and H_0 has the law x dF_H(x)/E[H]. For
exponential laws without delay this is Pr[L + A + M ≥ k] of ``bounds.premined_race``.

A law enters here beyond its table: a public interval that is long under the tilt is
the adversary's chance. ``known_until`` refuses figures that rest on such intervals.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from .block_time import BlockTimeLaw, Real, fastest_of, mean
from .estimate import Estimate, Refused
from .simulation import Network
from .tilted_law import log_moment, tilted

TARGETS = (1e-9, 2.0**-40, 2.0**-64, 2.0**-128)
OUTGROWS = "the private chain outgrows the public one: certain at every depth"
# More than this share of the public chain's time in intervals that nobody has seen:
# the figure would be the extrapolation's.
_UNSEEN = 0.5


class Race(NamedTuple):
    """A private race between two renewal processes.

    Attributes:
        honest: Law of the fastest of all honest provers, without the delay.
        adversary: Law of the adversary's next block (the fastest of its provers).
        delay: Δ, steps: added to every public interval and to the last deadline.
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary starts with its stationary lead.
        known_until: Length of public intervals behind which the law is extrapolated.
    """

    honest: BlockTimeLaw
    adversary: BlockTimeLaw
    delay: float
    ties_win: bool = True
    premined: bool = False
    known_until: float = math.inf


class Tilt(NamedTuple):
    """The tilts of a race.

    Attributes:
        theta_0: θ_0, per step.
        log_rate: K(θ_0) < 0: a further block of depth multiplies the risk by e^K(θ_0).
        theta_star: θ*, per step.
        spread: √K''(θ_0), standard deviation of X under θ_0, steps.
        drift: K'(θ*) > 0, mean of X under θ*, steps.
    """

    theta_0: float
    log_rate: float
    theta_star: float
    spread: float
    drift: float


class RareEstimate(NamedTuple):
    """A probability that may be far below what float32 or float64 can hold.

    Attributes:
        estimate: Value, interval, count, method (0 below 1e-308).
        log_value: ln of the value.
        effective: (Σw)²/Σw², the effective number of the weights behind it.
    """

    estimate: Estimate
    log_value: float
    effective: float


class SafeDepth(NamedTuple):
    """The smallest depth whose risk is at most a target.

    Attributes:
        target: The risk allowed.
        depth: Smallest k with Pr[violation at depth k] ≤ target.
        low: The same for the lower end of the risk's interval.
        high: The same for the upper end.
        risk: The risk at ``depth``.
    """

    target: float
    depth: int
    low: int
    high: int
    risk: Estimate


def race(
    network: Network,
    *,
    ties_win: bool = True,
    premined: bool = False,
    known_until: Real = math.inf,
) -> Race:
    """The race of a network of equal provers.

    Args:
        network: Law of one prover, n_h, n_a ≥ 1, Δ (``simulation.network``).
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary starts with its stationary lead.
        known_until: As ``empirical.EmpiricalLaw.known_until``.

    Raises:
        ValueError: If there is no adversary.
    """
    if not float(network.adversarial) > 0:
        raise ValueError(
            f"adversarial must be ≥ 1 for a race, got {network.adversarial}"
        )
    return Race(
        fastest_of(network.law, float(network.honest)),
        fastest_of(network.private_law, float(network.adversarial)),
        float(network.delay),
        ties_win,
        premined,
        float(known_until),
    )


def outgrows(race: Race) -> bool:
    """Whether E[H] ≥ E[A]: the private chain wins at every depth with probability 1.

    Raises:
        Refused: If the public chain may stop for ever, so that no depth is safe.
        ValueError: If a field of the race is out of range.
    """
    _check(race)
    if not math.isfinite(mean(race.honest)):
        raise Refused(
            "persistence: the honest law leaves mass that never ends, and a public "
            "chain that may stop is overtaken at every depth; set abandon_steps or "
            "lengthen the horizon"
        )
    return mean(race.honest) + race.delay >= mean(race.adversary)


def cumulant(race: Race, theta: Real) -> tuple[float, float]:
    """K(θ) = ln E[e^{θ(H−A)}] and K'(θ), the adversary's mean gain under the tilt."""
    public, interval = log_moment(race.honest, theta)
    private, draw = log_moment(race.adversary, -theta)
    return public + theta * race.delay + private, interval + race.delay - draw


def tilts(race: Race) -> Tilt:
    """θ_0 and θ* of a race that the adversary loses in the long run.

    Raises:
        Refused: If the adversary outgrows the public chain or can never gain (there is
            no θ* > 0), or the law is heavy-tailed: under θ* more than half of the
            public chain's time lies in intervals behind ``known_until`` or, for a
            hazard that falls, behind the table.
        ValueError: If a field of the race is out of range.
    """
    if outgrows(race):
        raise Refused(f"persistence: {OUTGROWS}; there is no θ* > 0")
    above = _above_root(race)
    theta_0 = _root(lambda t: cumulant(race, t)[1], 0.0, above)
    theta_star = _root(lambda t: cumulant(race, t)[0], theta_0, above)
    _require_seen(race, theta_star)
    nudge = 1e-4 * min(theta_0, above - theta_0)
    ahead, behind = (cumulant(race, theta_0 + d)[1] for d in (nudge, -nudge))
    return Tilt(
        theta_0=theta_0,
        log_rate=cumulant(race, theta_0)[0],
        theta_star=theta_star,
        spread=math.sqrt((ahead - behind) / (2 * nudge)),
        drift=cumulant(race, theta_star)[1],
    )


def log_start(race: Race, theta: Real) -> float:
    """Cumulant ln E[e^{θ(V − W)}] of all that precedes the walk, W apart."""
    public, interval = log_moment(race.honest, theta)
    total = public + 2 * theta * race.delay
    if race.premined:
        total += math.log((interval + race.delay) / (mean(race.honest) + race.delay))
    if not race.ties_win:
        total += log_moment(race.adversary, -theta)[0]
    return total


def _above_root(race: Race) -> float:
    """Some θ with K(θ) > 0, below the hazard of the honest tail."""
    limit = float(race.honest.tail_hazard)
    typical = 1 / (mean(race.honest) + race.delay)
    trials = [
        limit * (1 - 0.5**n) if limit > 0 else typical * 2.0**n for n in range(1, 40)
    ]
    for theta in trials:
        if cumulant(race, theta)[0] > 0:
            return theta
    raise Refused(
        "persistence: no θ* > 0, the adversary never gains on the public chain (its "
        "fastest block is slower than the slowest public one that can be weighed, at "
        f"tilts up to {trials[-1]:.4g})"
    )


def _require_seen(race: Race, theta: float) -> None:
    law = race.honest
    last = len(law.cumulative_hazard) - 1
    table = float(law.spacing) * last
    # A law whose hazard does not fall is as well known behind its table as in it.
    falls = float(law.tail_hazard) * table < 0.5 * float(law.cumulative_hazard[-1])
    known = min(race.known_until - float(law.offset), table if falls else math.inf)
    if law.tail_hazard == 0 and race.known_until == math.inf:
        return
    cells = tilted(law, theta)
    time = np.exp(cells.log_mass - cells.log_mass.max()) * cells.place
    share = float(time[cells.place > known].sum() / time.sum())
    if share > _UNSEEN:
        raise Refused(
            f"persistence: heavy tail, under θ* = {theta:.4g} {share:.0%} of the "
            f"public chain's time lies in intervals longer than {known:.4g} steps, "
            "where the law is extrapolated; runs must be longer (horizon_steps) or "
            "given up (abandon_steps)"
        )


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    # K(0) = 0 is a root too, but K' < 0 there and K(θ_0) < 0: both brackets are clean.
    return float(brentq(f, low, high, xtol=1e-300, rtol=1e-14))  # pyright: ignore


def _check(race: Race) -> None:
    if not 0 <= race.delay < math.inf:
        raise ValueError(f"delay must be ≥ 0 and finite, got {race.delay}")
    if not race.known_until > 0:
        raise ValueError(f"known_until must be > 0, got {race.known_until}")
    for name in ("honest", "adversary"):
        knots = np.asarray(getattr(race, name).cumulative_hazard)
        if knots[0] != 0 or (np.diff(knots) < 0).any():
            raise ValueError(
                f"{name}: a cumulative hazard must start at 0 and not fall, got "
                f"{knots[:3]}"
            )
