"""The private race as a random walk: its event, its cumulant and its two tilts.

Notation (docs/science/race.md; that of ``simulation/properties.py``)
    H_j, τ_j    interval and time of the public chain's j-th level
    A_j, α_j    interval and time of the adversary's j-th private block
    Δ           message delay, also the grace of the last level
    k           confirmations, the block of the transaction included
    X_j         H_j − A_j, what the adversary gains a level; S_j = X_1 + ... + X_j
    W           time by which the private chain was ahead when the race began
    K(θ)        ln E[e^{θX}] = ln M_H(θ) + ln M_A(−θ)     ``cumulant``
    θ_0         argmin K: under this tilt the race is even
    θ*          under this tilt the adversary gains: K'(θ*) > 0, θ_0 < θ* and K(θ*) ≤ 0;
                where there is one below the limit, the root K(θ*) = 0
    π           hazard of the public tail, the limit of tilts: M_H(θ) = ∞ from there on
    u           length of public intervals that are left out (``bounded``)

The attack. The public chain is the slowest that the delay allows: every level starts Δ
after the block before it and takes the fastest of n_h fresh provers, H = Δ + min. The
finder of a block, who need not wait, is made to, and its forks add nothing. Draw for
draw, the simulated network is never slower, so its risk is at most this one (equal at
Δ = 0, and as finders become a vanishing share of n_h). The adversary mines alone from
the tip at time 0, with the fastest of n_a fresh provers a block, sees everything at
once and never gives up. Depth k is violated, as in ``simulation/properties.py``, if
    ties win:    ∃ j ≥ k: α_j     ≤ τ_{j+1} + Δ     (equal length suffices)
    strict:      ∃ j ≥ k: α_{j+1} ≤ τ_{j+1} + Δ     (a longer chain is needed)
With V = Δ + H_0 (ties) or Δ + H_0 − A_0 (strict) both are ∃ j ≥ k: V + S_j ≥ 0, that is
    V + S_k + M ≥ 0,   M = max_{j ≥ 0} S_j,   all independent.

Pre-mined: the transaction comes at a given moment, long after the adversary began to
keep what it has: α_{j+1} = min(α_j, τ_j) + A, forking anew when behind. Its lead at the
last public block before the moment is W = (τ_j − α_j)⁺, stationary, and W = M in law
(Lindley). The race begins at that block, whose interval contains the moment and is
therefore drawn by length: V gains W, and H_0 has the law x dF_H(x)/E[H]. For
exponential laws without delay this is Pr[L + A + M ≥ k] of ``races.premined_race``.

Only K < 0 is needed. For any θ with K(θ) ≤ 0, e^{θS_j} is a supermartingale, so that
Pr[M ≥ x] ≤ e^{−θx}, and a catch-up that is drawn under θ at its T-th level weighs
e^{−θZ + TK(θ)} (Wald). A public chain whose tail is rare and slow (Λ at the table's end
far above π times its length) has a minimum θ_0 < π and K(π−) < 0: no root below π but
in a last 1e-100 of it, where the tail's pole is. Then θ* is a tilt between the two.

If K falls up to the limit, no tilt makes the race even with what the tail weighs. Then
intervals longer than u are left out, Λ_H(u) = 120: every moment exists, and what is
lost, at most e^-120 a level, is less than 1e-12 of a risk of 2^-128. The grid adds it
to its error.

A law enters here beyond its table: a public interval that is long under the tilt is
the adversary's chance. ``known_until`` refuses figures that rest on such intervals.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ..block_time.law import BlockTimeLaw, Real, fastest_of, mean, survival
from ..block_time.tilt import log_moment, tilted
from ..estimation.estimate import Estimate, Refused
from ..simulation.levels import Network

TARGETS = (1e-9, 2.0**-40, 2.0**-64, 2.0**-128)
OUTGROWS = "the private chain outgrows the public one: certain at every depth"
OUTGROWN = (
    f"persistence: {OUTGROWS}; a smaller share of the adversary (beta) or a shorter "
    "delay_steps would leave safe depths"
)
# More than this share of the public chain's time in intervals that nobody has seen:
# the figure would be the extrapolation's.
_UNSEEN = 0.5
# Shares of the limit up to which θ* is looked for, and up to which θ_0 must lie.
_ROOT, _EVEN = 1 - 2.0**-12, 1 - 2.0**-6
# Of the way from θ_0 to the limit, where K has no root before it.
_AHEAD = 0.875
# Λ_H at which public intervals are cut.
LEFT_OUT = 120.0


class Race(NamedTuple):
    """A private race between two renewal processes.

    Attributes:
        honest: Law of the fastest of all honest provers, without the delay.
        adversary: Law of the adversary's next block (the fastest of its provers).
        delay: Δ, steps: added to every public interval and to the last deadline.
        ties_win: Whether a private chain of equal length reverts.
        premined: Whether the adversary starts with its stationary lead.
        known_until: Length of public intervals beyond which the law is extrapolated.
        until: Public intervals longer than this, dead time and delay apart, are left
            out; set by ``bounded``.
    """

    honest: BlockTimeLaw
    adversary: BlockTimeLaw
    delay: float
    ties_win: bool = True
    premined: bool = False
    known_until: float = math.inf
    until: float = math.inf


class Tilt(NamedTuple):
    """The tilts of a race.

    Attributes:
        theta_0: θ_0, per step.
        log_rate: K(θ_0) < 0: a further block of depth multiplies the risk by e^K(θ_0).
        theta_star: θ*, per step.
        spread: √K''(θ_0), standard deviation of X under θ_0, steps.
        drift: K'(θ*) > 0, mean of X under θ*, steps.
        star_rate: K(θ*), 0 where it is the root.
        scale: What a grid must resolve, steps: ``spread``, or that of the untilted X
            where intervals near u, far from all others, make up the tilted one.
    """

    theta_0: float
    log_rate: float
    theta_star: float
    spread: float
    drift: float
    star_rate: float = 0.0
    scale: float = math.inf


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
        network: Law of one prover, n_h, n_a ≥ 1, Δ (``simulation.levels.network``).
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
            "persistence: the honest law leaves mass that never ends, with chance "
            f"{math.exp(-float(race.honest.cumulative_hazard[-1])):.2g} a level the "
            "public chain stops, and a private one that goes on overtakes it at every "
            "depth; set abandon_steps or lengthen the horizon"
        )
    return mean(race.honest) + race.delay >= mean(race.adversary)


def cumulant(race: Race, theta: Real) -> tuple[float, float]:
    """K(θ) = ln E[e^{θ(H−A)}] and K'(θ), the adversary's mean gain under the tilt."""
    public, interval = log_moment(race.honest, theta, race.until)
    private, draw = log_moment(race.adversary, -theta)
    return public + theta * race.delay + private, interval + race.delay - draw


def bounded(race: Race, left_out: Real = LEFT_OUT) -> Race:
    """The race as it can be tilted: as it is, or without its longest public intervals.

    Args:
        race: The race; one that is bounded further off stays so.
        left_out: Λ_H(u).

    Raises:
        As ``outgrows``.
    """
    limit = float(race.honest.tail_hazard)
    if limit == 0 or outgrows(race):
        return race
    before = 0.0 if race.until == math.inf else race.until
    race = race._replace(until=math.inf)
    # The limit first: where K is positive before it, or turns, nothing is cut.
    if cumulant(race, _ROOT * limit)[0] > 0 or cumulant(race, _EVEN * limit)[1] > 0:
        return race
    knots, g = np.asarray(race.honest.cumulative_hazard, float), race.honest.spacing
    if knots[-1] >= left_out:
        until = float(g) * int(np.searchsorted(knots, left_out))
    else:
        until = float(g) * (len(knots) - 1) + (left_out - float(knots[-1])) / limit
    return race._replace(until=max(until, before))


def log_left_out(race: Race) -> float:
    """Ln Pr[H > u], a level's chance of an interval that is left out; −inf for none."""
    if race.until == math.inf:
        return -math.inf
    law = race.honest
    reached = float(law.offset) + race.until
    return float(np.log(np.maximum(survival(law, reached), 1e-300)))


def tilts(race: Race) -> Tilt:
    """θ_0 and θ* of a race that the adversary loses in the long run.

    Raises:
        Refused: If the adversary outgrows the public chain; if it can never gain (its
            shortest interval is longer than the longest public one); or if more than
            half of the public chain's time under θ_0 lies in intervals beyond
            ``known_until`` or, for a hazard that falls, beyond the table.
        ValueError: If a field of the race is out of range, or it is not ``bounded``.
    """
    if outgrows(race):
        raise Refused(OUTGROWN)
    above, rises = _ahead(race)
    theta_0 = _root(lambda t: cumulant(race, t)[1], 0.0, above)
    if rises:
        theta_star = _root(lambda t: cumulant(race, t)[0], theta_0, above)
    else:
        theta_star = theta_0 + _AHEAD * (float(race.honest.tail_hazard) - theta_0)
    _require_seen(race, theta_0)
    spread = _spread(race, theta_0, 1e-4 * min(theta_0, above - theta_0))
    cut = race.until < math.inf
    # Before 0 the tilt lengthens the adversary's intervals, whose tail sets a limit.
    slow = float(race.adversary.tail_hazard) or math.inf
    scale = spread
    if cut:
        scale = min(spread, _spread(race, 0.0, 1e-3 * min(theta_0, slow)))
    star_rate, drift = cumulant(race, theta_star)
    return Tilt(
        theta_0=theta_0,
        log_rate=cumulant(race, theta_0)[0],
        theta_star=theta_star,
        spread=spread,
        drift=drift,
        star_rate=0.0 if rises else star_rate,
        scale=scale,
    )


def log_start(race: Race, theta: Real) -> float:
    """Cumulant ln E[e^{θ(V − W)}] of all that precedes the walk, W apart."""
    public, interval = log_moment(race.honest, theta, race.until)
    total = public + 2 * theta * race.delay
    if race.premined:
        total += math.log((interval + race.delay) / (mean(race.honest) + race.delay))
    if not race.ties_win:
        total += log_moment(race.adversary, -theta)[0]
    return total


def _spread(race: Race, theta: float, nudge: float) -> float:
    """√K''(θ)."""
    ahead, behind = (cumulant(race, theta + d)[1] for d in (nudge, -nudge))
    return math.sqrt((ahead - behind) / (2 * nudge))


def _ahead(race: Race) -> tuple[float, bool]:
    """A tilt at which the adversary gains, K' > 0, and whether K > 0 there."""
    limit = float(race.honest.tail_hazard)
    if limit > 0 and race.until == math.inf:
        for n in range(1, 13):
            theta = limit * (1 - 0.5**n)
            if cumulant(race, theta)[0] > 0:
                return theta, True
        if not cumulant(race, _EVEN * limit)[1] > 0:
            raise ValueError("the race must be bounded (race.bounded) to be tilted")
        return _EVEN * limit, False
    typical = 1 / (mean(race.honest) + race.delay)
    for n in range(1, 40):
        if cumulant(race, typical * 2.0**n)[0] > 0:
            return typical * 2.0**n, True
    raise Refused(
        "persistence: the adversary never gains, its shortest interval is longer than "
        "the longest public one: what it is ahead at the start is all it ever has. "
        "Simulated levels show how deep that reaches"
    )


def _require_seen(race: Race, theta: float) -> None:
    law = race.honest
    last = len(law.cumulative_hazard) - 1
    table = float(law.spacing) * last
    # A law whose hazard does not fall is as well known beyond its table as in it.
    falls = float(law.tail_hazard) * table < 0.5 * float(law.cumulative_hazard[-1])
    known = min(race.known_until - float(law.offset), table if falls else math.inf)
    if law.tail_hazard == 0 and race.known_until == math.inf:
        return
    cells = tilted(law, theta, race.until)
    time = np.exp(cells.log_mass - cells.log_mass.max()) * cells.place
    share = float(time[cells.place > known].sum() / time.sum())
    if share > _UNSEEN:
        raise Refused(
            f"persistence: heavy tail, where the race is even (θ_0 = {theta:.4g}) "
            f"{share:.0%} of the public chain's time lies in intervals longer than "
            f"{known:.4g} steps, where the law is extrapolated; runs must be longer "
            "(horizon_steps) or blocks more frequent (provers, t_2)"
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
