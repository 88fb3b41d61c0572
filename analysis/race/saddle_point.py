r"""Confirmations to a risk by a saddle point, for one race or for very many.

Notation (that of ``walk.py``)
    K(θ), θ_0, θ*   cumulant of the adversary's gain a level, and its two tilts
    V, σ            what precedes the walk, √K''(θ_0)
    m               maxima that a race has: 1, or 2 with a head start
    k*(ε)           confirmations for risk ε

The risk of depth k is, to the order that the exponential tail of the maximum gives,

    ln risk(k) ≈ ln E[e^{θ_0 V}] − m ln(1 − θ_0/θ*) + k K(θ_0) − ln(θ_0 σ √(2πk)),

the last term where it is above 0. k* is its root, not rounded: k* is smooth in every
parameter, and a depth is the next whole number.

Laws are those of ``atoms.py``. Many are rows of a matrix, and each step of Newton's
method serves them all; they begin where a like race ended.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, special

from ..block_time.law import Real
from .atoms import Atoms, Rates
from .walk import Race, bounded, log_start, outgrows, tilts

# Up to this share of its limit a tilt is looked for, as ``walk.py``.
_ROOT = 1 - 2.0**-12
# Share of the tilted public chain's time that may lie in its tail: where more than half
# does, ``walk.tilts`` may refuse.
MOST_BEHIND = 0.25
# Newton's steps double the digits: one of 1e-5 leaves 1e-10.
_STEPS, _CLOSE, _DEPTH_STEPS = 60, 1e-5, 8


class Walks(NamedTuple):
    """Races alike but for their laws.

    Attributes:
        public: Laws of the fastest of all honest provers, without the delay.
        private: Laws of the adversary's next block.
        delay: Δ, steps; one for all, or one of each.
        ties_win: Whether a private chain of equal length reverts.
    """

    public: Atoms
    private: Atoms
    delay: Rates
    ties_win: bool = True


class Saddles(NamedTuple):
    """The tilts of races, one an entry, and what confirmations need of them.

    Attributes:
        theta_0: θ_0, per step; NaN where there is none.
        theta_star: θ*; NaN where there is none.
        log_rate: K(θ_0).
        spread: σ.
        start: ln E[e^{θ_0 V}].
        early: Mean and variance of V under θ_0.
        longer: What drawing the first interval by length adds, with a head start.
        outgrown: Whether the adversary outgrows the public chain: no tilt, no depth.
    """

    theta_0: Float[np.ndarray, " laws"]
    theta_star: Float[np.ndarray, " laws"]
    log_rate: Float[np.ndarray, " laws"]
    spread: Float[np.ndarray, " laws"]
    start: Float[np.ndarray, " laws"]
    early: tuple[Float[np.ndarray, " laws"], Float[np.ndarray, " laws"]]
    longer: Float[np.ndarray, " laws"]
    outgrown: Bool[np.ndarray, " laws"]

    def at(self, rows: Sequence[int]) -> "Saddles":
        """Some of the races."""
        mean, variance = self.early
        return Saddles(
            self.theta_0[rows],
            self.theta_star[rows],
            self.log_rate[rows],
            self.spread[rows],
            self.start[rows],
            (mean[rows], variance[rows]),
            self.longer[rows],
            self.outgrown[rows],
        )


def depth_estimate(race: Race, risk: Real) -> float:
    """k*(ε) by the saddle point, not rounded; inf where the adversary outgrows.

    Raises:
        Refused: As ``race.walk.tilts``.
    """
    if outgrows(race):
        return math.inf
    race = bounded(race)
    tilt = tilts(race)
    maxima = 2 if race.premined else 1
    room = -math.log1p(-tilt.theta_0 / tilt.theta_star)
    start = log_start(race, tilt.theta_0) + maxima * room - math.log(risk)
    width = tilt.theta_0 * tilt.spread * math.sqrt(2 * math.pi)

    def excess(depth: float) -> float:
        spread = math.log(max(1.0, width * math.sqrt(depth)))
        return start + depth * tilt.log_rate - spread

    if excess(1.0) <= 0:
        return 1.0
    high = 2.0
    while excess(high) > 0:
        high *= 2
    return float(optimize.brentq(excess, 1.0, high, xtol=1e-9))  # pyright: ignore


def saddles(walks: Walks, near: Saddles | None = None) -> Saddles:
    """θ_0 and θ* of every race, and what confirmations need.

    Args:
        walks: The races.
        near: Of a like race, to begin from.
    """
    laws = max(len(walks.public.log_mass), len(walks.private.log_mass))
    limit, zero = walks.public.limit * _ROOT, np.zeros(laws)
    mean, draw = (moments(each, zero)[1] for each in (walks.public, walks.private))
    mean = mean + walks.delay
    usable = mean < draw
    # As of two exponential laws: K' = 0 half way between their rates.
    begin = np.where(usable, (1 / mean - 1 / draw) / 2, 0.0)
    if near is not None:
        begin = np.where(np.isfinite(near.theta_0), near.theta_0, begin)
    theta_0, found = _newton(
        walks, np.minimum(begin, limit / 2), limit, "even", asked=usable
    )
    usable &= found
    public, interval, more = moments(walks.public, theta_0)
    private, draw_0, other = moments(walks.private, -theta_0)
    log_rate, square = public + private + theta_0 * walks.delay, more + other
    begin = 2 * theta_0
    if near is not None:
        star = np.where(np.isfinite(near.theta_star), near.theta_star, begin)
        begin = np.maximum(star, 1.01 * theta_0)
    theta_star, found = _newton(
        walks,
        np.minimum(begin, (theta_0 + limit) / 2),
        limit,
        "root",
        asked=usable,
        least=theta_0,
    )
    none = np.full(laws, math.nan)
    start = public + 2 * theta_0 * walks.delay
    early = interval + 2 * walks.delay, more
    if not walks.ties_win:
        start, early = start + private, (early[0] - draw_0, square)
    return Saddles(
        np.where(usable, theta_0, none),
        np.where(usable & found, theta_star, none),
        np.where(usable, log_rate, none),
        np.where(usable, np.sqrt(np.maximum(square, 0.0)), none),
        start,
        early,
        np.log((interval + walks.delay) / mean),
        ~(mean < draw),
    )


def depths_of(
    found: Saddles,
    risk: Real | Float[np.ndarray, "risks 1"],
    *,
    premined: bool = False,
) -> Float[np.ndarray, "*risks laws"]:
    """k*(ε) of every race, not rounded; NaN where a tilt is not known.

    Args:
        found: Their tilts.
        risk: ε, or several.
        premined: Whether the adversary starts with its stationary lead.
    """
    start = _tail_start(found, premined) - np.log(risk)
    width = found.theta_0 * found.spread * math.sqrt(2 * math.pi)
    rate = -found.log_rate
    depth = np.maximum(start / rate, 1e-3)
    # Without the term of √k where it is not above 0 yet.
    spread = width * np.sqrt(depth) > 1
    at = depth
    for _ in range(_DEPTH_STEPS):
        excess = start - at * rate - np.log(width * np.sqrt(at))
        at = np.maximum(at + excess / (rate + 0.5 / at), at / 4)
    return np.maximum(np.where(spread, np.maximum(at, width**-2.0), depth), 1.0)


def log_tail(
    found: Saddles, depth: Real, *, premined: bool = False
) -> Float[np.ndarray, " laws"]:
    """Ln risk(k) of every race by the formula whose root is ``depths_of``."""
    width = found.theta_0 * found.spread * math.sqrt(2 * math.pi * depth)
    logs = _tail_start(found, premined) + depth * found.log_rate
    return logs - np.log(np.maximum(width, 1.0))


def _tail_start(found: Saddles, premined: bool) -> Float[np.ndarray, " laws"]:
    """Ln E[e^{θ_0 V}] − m ln(1 − θ_0/θ*), and what the first interval adds."""
    room = -np.log1p(-found.theta_0 / found.theta_star)
    if premined:
        return found.start + 2 * room + found.longer
    return found.start + room


def log_risks_of(
    found: Saddles, depths: Sequence[int]
) -> Float[np.ndarray, "laws depths"]:
    """Ln risk at each depth of every race, without a head start.

    Under θ_0 let V + S_k be normal, of mean μ and variance s², and M exponential of
    rate θ* (without the tilt). Then

        risk(k) ≈ E[e^{θ_0 V}] e^{kK(θ_0)} e^{−θ_0 m − θ_0² s²/2}
                  [Φ(m/s) + e^{θ* m + θ*² s²/2} Φ(−m/s − θ* s)],   m = μ − θ_0 s²,

    which is the root's formula far out, and 1 where depth does not help yet.

    Returns:
        0 where the adversary outgrows; NaN where a tilt is not known. Near risks of 1
        it may be above 0.
    """
    at = np.asarray(depths, float)
    theta, star = found.theta_0[:, None], found.theta_star[:, None]
    square = found.early[1][:, None] + at * found.spread[:, None] ** 2
    s = np.sqrt(square)
    m = found.early[0][:, None] - theta * square
    caught = star * m + star**2 * square / 2 + special.log_ndtr(-m / s - star * s)
    with np.errstate(invalid="ignore"):  # where there is no tilt
        either = np.logaddexp(special.log_ndtr(m / s), caught)
    logs = found.start[:, None] + at * found.log_rate[:, None]
    logs = logs - theta * m - theta**2 * square / 2 + either
    return np.where(found.outgrown[:, None], 0.0, logs)


def tail_share(
    public: Atoms, theta: Float[np.ndarray, " laws"]
) -> Float[np.ndarray, " laws"]:
    """Share of the public chain's time under θ that lies in its tail, not its atoms."""
    if public.tail is None:
        return np.zeros(len(theta))
    log_mass, mean, _ = moments(public, theta)
    inner, place, _ = moments(public._replace(tail=None), theta)
    return 1.0 - np.exp(inner - log_mass) * place / mean


def _newton(
    walks: Walks,
    theta: np.ndarray,
    limit: Rates,
    what: str,
    *,
    asked: Bool[np.ndarray, " laws"],
    least: np.ndarray | None = None,
) -> tuple[np.ndarray, Bool[np.ndarray, " laws"]]:
    """Where K' = 0 ("even"), or K = 0 beyond there ("root"); and where it is known."""
    low = np.zeros_like(theta) if least is None else least.copy()
    high, theta = np.zeros_like(theta) + limit, theta.copy()
    known = np.zeros(len(theta), bool)
    rows, some = np.flatnonzero(asked), walks
    if len(rows) < len(theta):
        some = _rows(walks, rows)
    for _ in range(_STEPS):
        if not len(rows):
            break
        mine = theta[rows]
        value, slope, bend = _cumulant(some, mine)
        at, by = (slope, bend) if what == "even" else (value, slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = mine - at / by
        done = np.abs(step - mine) <= _CLOSE * mine
        # K' rises, and K beyond θ_0: where one is above 0 its root lies before.
        top = np.where(at > 0, np.minimum(high[rows], mine), high[rows])
        bottom = np.where(at <= 0, np.maximum(low[rows], mine), low[rows])
        # Where nothing bounds a root from above, no further than four times the tilt.
        middle = np.where(np.isfinite(top), (bottom + top) / 2, 2 * mine)
        inside = (step > bottom) & (step < top) & (step < 4 * mine)
        theta[rows] = np.where(done | inside, step, middle)
        high[rows], low[rows], known[rows[done]] = top, bottom, True
        if done.any():
            some, rows = _rows(some, ~done), rows[~done]
    return theta, known & (theta < 0.999 * limit)


def _rows(walks: Walks, rows: np.ndarray) -> Walks:
    """Some of the races."""
    delay = walks.delay
    return walks._replace(
        public=walks.public.rows(rows),
        private=walks.private.rows(rows),
        delay=delay[rows] if isinstance(delay, np.ndarray) else delay,
    )


def _cumulant(
    walks: Walks, theta: Float[np.ndarray, " laws"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """K, K' and K'' at a tilt of every race's own."""
    public, interval, more = moments(walks.public, theta)
    private, draw, other = moments(walks.private, -theta)
    gain = interval + walks.delay - draw
    return public + private + theta * walks.delay, gain, more + other


def moments(
    atoms: Atoms, theta: Float[np.ndarray, " laws"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ln E[e^{θx}], and mean and variance under the tilt, of every law."""
    tilt = theta[:, None]
    logs = atoms.log_mass + tilt * atoms.place
    top = logs.max(axis=1)
    weight = np.exp(logs - top[:, None]) * (1 + 0.5 * tilt**2 * atoms.variance)
    total = weight.sum(axis=1)
    mean = (weight * (atoms.place + tilt * atoms.variance)).sum(axis=1) / total
    apart = atoms.place - mean[:, None]
    square = (weight * (apart**2 + atoms.variance)).sum(axis=1) / total
    value = top + np.log(total)
    if atoms.tail is None:
        return value, mean, square
    log_mass, begin, rate = atoms.tail
    left = np.maximum(rate - theta, 1e-12 * rate)
    behind = log_mass + theta * begin - np.log(np.maximum(1 - theta / rate, 1e-12))
    both = np.logaddexp(value, behind)
    share, place = np.exp(behind - both), begin + 1 / left
    whole = mean + share * (place - mean)
    square = (1 - share) * (square + (mean - whole) ** 2)
    square = square + share * (left**-2.0 + (place - whole) ** 2)
    return both, whole, square
