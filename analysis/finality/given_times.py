r"""Risk of a block given how long it took to get where it is.

Notation
    U_z     time of z private blocks, A_1 + … + A_z
    D'      rest of the public interval that runs: D − a given D > a
    M       max_{m ≥ 0} Σ_{i ≤ m} (D_i − A_i), what the private chain may still gain
    λ_a, λ_h  rates of A and D where they are exponential
    η       grid step

The private chain has z + m blocks before the public one has z + m + 1 for some m ≥ 0
(ties win), and private blocks are found without regard to public ones, so

    Pr[reversal | z, s, a] = Pr[U_z ≤ s + D' + M].

Observed times enter as they are: only the private side is averaged over. For
exponential intervals it is Grunspan and Pérez-Marco's

    Pr[N ≥ z] + Σ_{k < z} Pr[N = k] (λ_a/λ_h)^{z−k},     N ~ Poisson(λ_a s),

whatever a is. For other laws U, D' and M are put on a grid, times rounded to the next
point and ties counted half (a lattice's whole): an error of O(η²), which halving η
shows. M comes from Spitzer's identity under a tilt, as in ``race/fourier.py``. Rounding
of the transforms hides risks below ``FLOOR``.

The private chain starts at the parent, without a lead; D is taken for an interval of
the public chain with every message Δ late, which bounds what is to come from above.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import fft, optimize, signal, special

from ..block_time.law import BlockTimeLaw, Real, mean_and_cv, quantile, survival
from ..estimation.estimate import Refused

FLOOR = 1e-12
MOST_POINTS = 2**19
_STEPS_A_SPREAD = 24
_LEAST_SURVIVAL = 1e-12
# ln of what lies beyond the grid of M.
_BEYOND = 40.0


class GivenTimes(NamedTuple):
    """A race whose public part was observed.

    Attributes:
        public: D, one public interval; with messages that are late, Δ included.
        private: A, one private interval.
    """

    public: BlockTimeLaw
    private: BlockTimeLaw

    def risks(
        self,
        depths: Sequence[int] | np.ndarray,
        elapsed: Sequence[Real] | np.ndarray,
        *,
        age: Real = 0.0,
        halvings: int = 0,
    ) -> Float[np.ndarray, " blocks"]:
        """Pr[the block is ever replaced] of blocks of one chain.

        Args:
            depths: z ≥ 1 of each block.
            elapsed: s ≥ age of each, since its parent was found.
            age: a ≥ 0, since the tip was found.
            halvings: Of the grid's step; exact laws have none.

        Returns:
            The risks; where the private chain is at least as fast, 1. Below ``FLOOR``
            only exact laws are known, others are given as ``FLOOR``.

        Raises:
            ValueError: If an argument is out of its range.
            Refused: If the interval that runs is longer than the law allows, or the
                grid would need too many points.
        """
        z, s = np.asarray(depths, int), np.asarray(elapsed, float)
        if z.shape != s.shape or z.ndim != 1:
            raise ValueError(f"depths and elapsed must be as long, got {z.shape}")
        if len(z) and (z.min() < 1 or not (np.isfinite(s).all() and s.min() >= age)):
            raise ValueError("depths must be ≥ 1, and elapsed finite and ≥ age")
        if not age >= 0:
            raise ValueError(f"age must be ≥ 0, got {age}")
        fast, slow = rate_of(self.public), rate_of(self.private)
        if fast is not None and slow is not None:
            return np.array(
                [exponential_risk(fast, slow, *each) for each in zip(z, s, strict=True)]
            )
        if mean_and_cv(self.private)[0] <= mean_and_cv(self.public)[0]:
            return np.ones(len(z))
        return _on_grid(self, z, s, float(age), halvings)


def exponential_risk(
    public_rate: Real, private_rate: Real, depth: int | np.integer, elapsed: Real
) -> float:
    """The risk for exponential intervals, exact.

    Args:
        public_rate: λ_h > 0.
        private_rate: λ_a ≥ 0.
        depth: z ≥ 1.
        elapsed: s ≥ 0, since the block's parent was found.
    """
    if private_rate == 0:
        return 0.0
    if private_rate >= public_rate:
        return 1.0
    there, here = private_rate * elapsed, public_rate * elapsed
    log_ratio = math.log(private_rate / public_rate)
    behind = math.exp(depth * log_ratio + here - there + _log_upper(depth, here))
    return float(min(1.0, special.gammainc(depth, there) + behind))


def _log_upper(depth: int | np.integer, x: float) -> float:
    """Ln of the regularised upper incomplete gamma function, also where it is tiny."""
    value = float(special.gammaincc(depth, x))
    if value > 1e-290:
        return math.log(value)
    counts = np.arange(int(depth))
    logs = counts * math.log(x) - special.gammaln(counts + 1)
    return _log_sum(logs, np.ones(len(logs))) - x


def erlang_first_to(share: Real, stages: int, blocks: int) -> float:
    """Pr[the private side is first to z blocks], Erlang laws of r equal stages each.

    I_q(rz, rz): a stage goes to the private side with probability q.

    Args:
        share: q in [0, 1], of the speed.
        stages: r ≥ 1.
        blocks: z ≥ 1.
    """
    return float(special.betainc(stages * blocks, stages * blocks, share))


def rate_of(law: BlockTimeLaw) -> float | None:
    """The rate of an exponential law; None for any other."""
    knots, g = np.asarray(law.cumulative_hazard, float), float(law.spacing)
    rate = float(law.tail_hazard)
    if law.lattice or float(law.offset) or not rate > 0:
        return None
    line = rate * g * np.arange(len(knots))
    return rate if np.allclose(knots, line, rtol=1e-9, atol=1e-12) else None


def _on_grid(
    race: GivenTimes, z: np.ndarray, s: np.ndarray, age: float, halvings: int
) -> np.ndarray:
    spread = []
    for law in race:
        centre, cv = mean_and_cv(law)
        if not (math.isfinite(centre) and math.isfinite(cv)):
            raise Refused(
                "finality: a law may never end (some runs never reach t_acc), so its "
                "chain has no rate; protocol.abandon_steps, or a longer horizon_steps"
            )
        spread.append(cv * centre)
    step = max(min(spread), 1e-6 * max(spread)) / _STEPS_A_SPREAD
    if race.public.lattice and race.private.lattice:
        step = float(race.public.spacing)
        # A finer lattice than the spread asks for serves as well.
        step /= max(1, math.ceil(_STEPS_A_SPREAD * step / min(spread) / 8))
    step /= 2**halvings
    left = float(survival(race.public, age))
    if left < _LEAST_SURVIVAL:
        raise Refused(
            f"finality: nobody found a block for {age:g}, which the law gives a chance "
            f"of {left:.1g}: honest provers are gone or the law is not this chain's. "
            "Take a shorter age, or the law of its own blocks (law.source = times)"
        )
    ends = [float(quantile(law, 1 - 1e-13)) for law in race]
    rest = _masses(race.public, step, ends[0], since=age)
    ahead = _maximum(race, step, ends)
    rest = signal.fftconvolve(rest, ahead)
    rest = np.maximum(rest, 0.0)
    points = math.ceil(float(s.max()) / step) + len(rest) + 2
    if points > MOST_POINTS:
        raise Refused(
            f"finality: {points} grid points are needed, at most {MOST_POINTS} are "
            "allowed: ask for fewer blocks, nearer to the tip"
        )
    mine = _masses(race.private, step, min(ends[1], points * step))[:points]
    # A tie of a lattice is one; of continuous laws, half a cell's are before.
    tie = 1.0 if race.public.lattice and race.private.lattice else 0.5
    found, private, done = np.empty(len(z)), np.ones(1), 0
    for place in np.argsort(z, kind="stable"):
        while done < z[place]:
            private = np.maximum(signal.fftconvolve(private, mine)[:points], 0.0)
            done += 1
        below = np.cumsum(private) - (1 - tie) * private
        at = s[place] / step + np.arange(len(rest))
        known = np.interp(at, np.arange(len(private)), below)
        if len(private) < points:
            known = np.where(at >= len(private), below[-1], known)
        found[place] = float(rest @ known)
    return np.clip(found, FLOOR, 1.0)


def _masses(law: BlockTimeLaw, step: float, end: float, since: float = 0.0):
    """Law of X − since given X > since, at 0, η, 2η, …: each takes what is nearest."""
    count = max(2, math.ceil((end - since) / step) + 2)
    edges = since + step * (np.arange(count + 1) - 0.5)
    alive = survival(law, np.maximum(edges, since)) / survival(law, since)
    masses = -np.diff(alive)
    return np.maximum(masses, 0.0)


def _maximum(race: GivenTimes, step: float, ends: list[float]) -> np.ndarray:
    """Law of M at 0, η, 2η, … by Spitzer's identity under a tilt."""
    public = _masses(race.public, step, ends[0])
    private = _masses(race.private, step, ends[1])
    up, down = step * np.arange(len(public)), step * np.arange(len(private))

    def log_rate(theta: float) -> float:
        return _log_sum(theta * up, public) + _log_sum(-theta * down, private)

    # K falls from 0 and rises again: its least value is between.
    top = 1.0 / max(up[-1], step)
    while log_rate(top) < log_rate(top / 2) and top < 1e3 / step:
        top *= 2
    best: Any = optimize.minimize_scalar(log_rate, bounds=(0.0, top), method="bounded")
    theta, least = float(best.x), float(best.fun)
    length = len(public) + len(private)
    length += 2 * math.ceil(_BEYOND / (theta * step))
    points = int(fft.next_fast_len(length, real=True))  # pyright: ignore
    if points > 8 * MOST_POINTS:
        raise Refused(
            "finality: the private chain is nearly as fast as the public one (a block "
            f"of depth lowers ln risk by {-least:.2g}): a smaller network.beta, or a "
            "smaller delay_steps, has an answer"
        )
    tilted = np.zeros(points)
    joint = signal.fftconvolve(
        public * np.exp(theta * up), (private * np.exp(-theta * down))[::-1]
    )
    places = np.arange(len(joint)) - (len(private) - 1)
    np.add.at(tilted, places % points, np.maximum(joint, 0.0))
    parts = _back(-np.log1p(-_transform(tilted)), points)
    half = points // 2
    positive = parts[1:half]
    only = np.zeros(points)
    only[1:half] = positive
    less = float(positive @ np.exp(-theta * step * np.arange(1, half)))
    law = _back(np.exp(_transform(only) - less), points)[:half]
    law = np.maximum(law, 0.0) * np.exp(-theta * step * np.arange(half))
    last = int(np.searchsorted(np.cumsum(law), law.sum() * (1 - 1e-14))) + 1
    return law[:last] / law.sum()


def _transform(values: np.ndarray) -> np.ndarray:
    return np.asarray(fft.rfft(values))


def _back(values: np.ndarray, points: int) -> np.ndarray:
    return np.asarray(fft.irfft(values, points))


def _log_sum(exponents: np.ndarray, weights: np.ndarray) -> float:
    top = exponents[weights > 0].max()
    return float(top + math.log(weights @ np.exp(np.minimum(exponents - top, 0.0))))
