"""The rule of age under laws that are near one that importance sampling has solved.

Notation (that of ``rare_ages.py``)
    P_b(t), t_b(ε)      risk at age t and safe age under the b-th law
    P̂_b(t)              the same by the saddle point
    0                   the law of all runs, whose P_0 and t_0 are sampled

With y at age t normal, of mean μ and variance v + tw, and O in its stationary law,

    P̂(t) = E[e^{θV}] e^{−(s−θ)t} E[e^{−(s−θ)O}]
           (E[e^{θy}; y ≤ 0] + E[e^{(θ−θ*)y}; y > 0]),
    E[e^{−(s−θ)O}] = (1 − M_H(θ)/M_H(s)) / ((s−θ) E_s[H]),
    w = (Var_s H + Var_{−θ} A) / E_s[H].

What that leaves out is nearly the same for laws of resampled runs, so that

    ln P_b(t) = ln P_0(t) + ln P̂_b(t) − ln P̂_0(t),

and t_b(ε) is where that is ln ε. Paths for each law cost a hundred times as much.

Public intervals beyond the law's table are left out: at x one has probability e^{−c−rx}
and moves the risk by e^{θx} at the most before age t and by e^{(s−θ)x} after it, which
is nothing where both are far below 1 at the table's end and r is above θ and s − θ.
Where they are not, and for lattice laws and races without an s below θ*, paths remain.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from ..estimation.estimate import Refused
from ..race.atoms import Atoms, Rates, condensed
from ..race.saddle_point import moments
from ..race.walk import Race, outgrows

_CLOSE = 1e-9
# Ln of what may be left out.
_LEFT_OUT = -10.0
# Where a tilt above θ* is looked for, in powers of 2 of a level's rate.
_POWERS = np.arange(-6, 40)


class _Age(NamedTuple):
    """What ln P̂(t) is made of.

    Attributes:
        start: All that does not depend on t.
        decay: s − θ.
        theta: θ.
        rest: θ* − θ.
        mean: μ.
        square: v and w.
    """

    start: float
    decay: float
    theta: float
    rest: float
    mean: float
    square: tuple[float, float]

    def log_risk(self, time: float) -> float:
        """Ln P̂ at an age."""
        square = self.square[0] + time * self.square[1]
        behind = _half(self.theta, -self.mean, square)
        ahead = _half(self.rest, self.mean, square)
        return self.start - self.decay * time + float(np.logaddexp(behind, ahead))


class NearAges(NamedTuple):
    """Races by the saddle point, that of the law of all runs first.

    Attributes:
        ages: Of each; None where the saddle point does not serve.
    """

    ages: tuple[_Age | None, ...]

    def risk(self, time: float, other: int, own: float) -> float | None:
        """P_b(t) from P_0(t); None where the saddle point does not serve."""
        first, found = self.ages[0], self.ages[other]
        if first is None or found is None:
            return None
        more = found.log_risk(time) - first.log_risk(time)
        return min(1.0, own * math.exp(more))

    def safe_time(self, other: int, own: float) -> float | None:
        """t_b(ε) from t_0(ε); None where the saddle point does not serve."""
        first, found = self.ages[0], self.ages[other]
        if first is None or found is None:
            return None
        goal = first.log_risk(own)

        def excess(time: float) -> float:
            return found.log_risk(time) - goal

        if excess(0.0) <= 0:
            return 0.0
        high = max(own, 1 / found.decay)
        while excess(high) > 0:
            high *= 2
        return float(optimize.brentq(excess, 0.0, high, rtol=_CLOSE))  # pyright: ignore


def near_ages(races: Sequence[Race]) -> NearAges:
    """Races near that of the first.

    Args:
        races: The race under the law of all runs, then under others.
    """
    return NearAges(tuple(map(_age, races)))


def _age(race: Race) -> _Age | None:
    lattice = bool(race.honest.lattice) or bool(race.adversary.lattice)
    try:
        if lattice or outgrows(race):
            return None
    except Refused:  # the public chain may stop
        return None
    public, private = condensed(race.honest, 1.0), condensed(race.adversary, 1.0)
    tail, public = public.tail, public._replace(tail=None)
    found = _tilts(public, private, race.delay)
    if found is None:
        return None
    theta, s, star = found
    decay = s - theta
    if tail is not None and not all(_nothing(tail, rate) for rate in (theta, decay)):
        return None
    low, opening, variance = _of(public, theta)
    high, interval, wide = _of(public, s)
    other, draw, spread = _of(private, -theta)
    interval = interval + race.delay
    over = (1 - math.exp(low - high - decay * race.delay)) / (decay * interval)
    start = low + 2 * theta * race.delay + math.log(over)
    mean, square = -(opening + 2 * race.delay), variance
    if race.premined:
        longer = (opening + race.delay) / (_of(public, 0.0)[1] + race.delay)
        start += math.log(longer) - math.log1p(-theta / star)
    if not race.ties_win:
        start, mean, square = start + other, mean + draw, square + spread
    return _Age(
        start, decay, theta, star - theta, mean, (square, (wide + spread) / interval)
    )


def _nothing(tail: tuple[Rates, Rates, Rates], rate: float) -> bool:
    """Whether intervals of the tail do not matter at e^{rate·x}."""
    log_mass, begin, limit = map(float, tail)
    if rate >= limit:
        return False
    return log_mass + rate * begin - math.log1p(-rate / limit) < _LEFT_OUT


def _tilts(
    public: Atoms, private: Atoms, delay: float
) -> tuple[float, float, float] | None:
    """θ, s and θ*; None without an s below θ*."""

    def root(f: Callable[[float], float], low: float, high: float) -> float:
        return float(optimize.brentq(f, low, high, rtol=_CLOSE))  # pyright: ignore

    def weight(theta: float, s: float) -> float:
        return _of(public, s)[0] + s * delay + _of(private, -theta)[0]

    def s_of(theta: float) -> float:
        return root(lambda s: weight(theta, s), theta, star)

    def balance(theta: float) -> float:
        interval = _of(public, s_of(theta))[1] + delay
        return math.log(_of(private, -theta)[1] / interval)

    typical = 1 / (_of(public, 0.0)[1] + delay)
    above = next((x for x in typical * 2.0**_POWERS if weight(x, x) > 0), None)
    if above is None:  # the adversary never gains
        return None
    star = root(lambda x: weight(x, x), 1e-6 * typical, float(above))
    low, high = 1e-3 * star, (1 - 1e-3) * star
    if balance(low) * balance(high) > 0:
        return None
    theta = root(balance, low, high)
    return theta, s_of(theta), star


def _of(law: Atoms, theta: float) -> tuple[float, float, float]:
    value, mean, square = moments(law, np.array([theta]))
    return float(value[0]), float(mean[0]), float(square[0])


def _half(rate: float, mean: float, square: float) -> float:
    """Ln E[e^{−rate·x}; x ≥ 0] for a normal x."""
    s = math.sqrt(square)
    inside = float(special.log_ndtr(mean / s - rate * s))
    return -rate * mean + rate**2 * square / 2 + inside
