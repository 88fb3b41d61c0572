r"""Risk against every adversary, proved: levels without a block that stays for ever.

Notation (F, T_r, A and D are those of ``speed.py``, W that of ``clocks.py``)
    k           confirmations, the block of the transaction included
    E_j, R_j    Exp(1), for a second block at level j, and for one level too early
    r, e        root and end of an adversarial tree: it reaches if T_r(e) ≤ F(e) + Δ

The honest block that is first at level j is in every chain of length ≥ j that an honest
prover ever holds, if
    (i)   no other honest block of level j is mined within Δ of it, and
    (ii)  T_r(e) > F(e) + Δ for all r < j ≤ e:
a chain without it, of length e, ends in an adversarial tree from a level r < j, and is
adopted by F(e) + Δ or never. By the clocks, (i) holds if
    R_{j−1} > n_h Λ(Δ)   and   E_j > (n_h − 1) W(Δ + D_j),
and (ii) if for all r < j ≤ e
    A^{(r)}_{r+1} + ... + A^{(r)}_e > D_{r+1} + ... + D_e + (e − r + 1) Δ,
where all A^{(r)}_ℓ, D_ℓ, E_j, R_j are independent of each other, for every adversary at
once: whatever it does is a change of time of these. So with J the first level ≥ 1 at
which both hold, and for a block of a level that is named beforehand,
    Pr[an honest prover holds a chain of k blocks on it (it included), and one ever
       holds as long a chain without it] ≤ Pr[J > k],
a number of independent variables, which is drawn here. Every root has n_a machines of
its own in it, which is more than any adversary has: the price of a proof for all of
them. Where hazards rise n_a machines on one root are the private chain.

Trees too far behind are no longer followed: from a lag x behind F + Δ, a tree ever
reaches with at most e^{−θ* x} (θ* of ``race/walk.py``), and all of that is added to the
risk, as is what roots before the first that is drawn may still do.

Source: docs/science/any-adversary.md. The block that stays is Dembo et al.'s, CCS'20.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ..block_time.law import BlockTimeLaw, Real, mean, survival
from ..estimation.estimate import Estimate, Refused, estimate_probability
from ..race.walk import Tilt, tilts
from .assumptions import ASSUMPTIONS, Grade
from .clocks import Windows, bounding_race, draws_of, hazard_windows

METHOD = "levels without a permanent block, drawn; Clopper–Pearson"
REPLICAS = 20_000
# Of the risk's upper end, what is left out is added: it should not be seen there.
_LEFT_OUT = 1e-7
# Levels from one look at what is known to the next.
_EVERY = 4
# Draws of all replicas together that are made for one curve.
_MOST_DRAWS = 4e7
_FEWEST = 1000


class Settled(NamedTuple):
    """Risks of depths against every adversary.

    Attributes:
        depths: k.
        risks: Upper bounds on the risk at these depths, drawn, with their intervals.
        left_out: What trees that were not followed add at most; it is in the risks.
        grade: How far it is proved.
        assumptions: What it assumes, a sentence each.
    """

    depths: tuple[int, ...]
    risks: tuple[Estimate, ...]
    left_out: float
    grade: Grade = "proved"
    assumptions: tuple[str, ...] = ASSUMPTIONS

    def depth(self, target: float) -> Estimate | None:
        """Smallest of the depths with a risk of at most ε; None: none of them.

        The upper end is the first depth whose whole interval is at most ε, inf if none
        is: only that one is shown to be safe.
        """

        def first(end: str) -> float:
            for k, risk in zip(self.depths, self.risks, strict=True):
                if getattr(risk, end) <= target:
                    return float(k)
            return math.inf

        value = first("value")
        if math.isinf(value):
            return None
        count = self.risks[0].count
        return Estimate(value, first("low"), first("high"), count, METHOD)


class _Clocks(NamedTuple):
    """What is drawn."""

    child: BlockTimeLaw
    level: BlockTimeLaw
    windows: Windows
    others: float
    early: float
    delay: float
    tilt: Tilt


def settled(
    seed: int,
    law: BlockTimeLaw,
    depths: Sequence[int],
    *,
    honest: Real,
    adversarial: Real,
    delay_steps: Real,
    adversary: BlockTimeLaw | None = None,
    replicas: int = REPLICAS,
) -> Settled:
    r"""Upper bounds Pr[J > k] on the risk at depths k, for every strategy.

    Args:
        seed: Fixes the draws.
        law: X of one honest prover (steps).
        depths: k ≥ 1, rising.
        honest: n_h > 0.
        adversarial: n_a > 0.
        delay_steps: Δ ≥ 0, steps.
        adversary: X of one corrupted machine; that of an honest one if left out.
        replicas: Draws of the whole; fewer where a draw is long.

    Raises:
        ValueError: If an argument is out of range.
        Refused: As ``bounding_race`` and ``race.walk.tilts``; or so near to the
            threshold that trees are followed too long.
    """
    ks = [int(k) for k in depths]
    if not ks or min(ks) < 1 or sorted(set(ks)) != ks:
        raise ValueError(f"depths must be ≥ 1 and rising, got {list(depths)}")
    clocks = _clocks(law, honest, adversarial, delay_steps, adversary)
    before, most, added = _effort(clocks)
    levels = before + 4 * most
    fitting = int(_MOST_DRAWS / (levels * most))
    if fitting < _FEWEST:
        raise Refused(
            f"any adversary: trees must be followed for {most} levels, from {before} "
            "levels before the block, the race is too near its threshold to be drawn; "
            "a smaller adversary or a shorter delay_steps, or the exponent alone"
        )
    count = min(int(replicas), fitting)
    first, dropped = _first_permanent(seed, clocks, before, ks[-1], count)
    added += dropped
    risks = []
    for k in ks:
        found = estimate_probability(int((first > k).sum()), count, "any adversary")
        value, low, high = (min(1.0, each + added) for each in found[:3])
        risks.append(Estimate(value, low, high, count, METHOD))
    return Settled(tuple(ks), tuple(risks), added)


def _clocks(law, honest, adversarial, delay, adversary) -> _Clocks:
    race = bounding_race(
        law,
        honest=honest,
        adversarial=adversarial,
        delay_steps=delay,
        adversary=adversary,
    )
    tilt = tilts(race)
    early = -float(honest) * float(np.log(np.maximum(survival(law, delay), 1e-300)))
    others = max(float(honest) - 1.0, 0.0)
    windows = hazard_windows(law, delay)
    return _Clocks(
        race.adversary, race.honest, windows, others, early, float(delay), tilt
    )


def _effort(clocks: _Clocks) -> tuple[int, int, float]:
    """Levels before the block, levels that a tree lives, and what older roots add."""
    tilt, delay = clocks.tilt, clocks.delay
    rate = -tilt.log_rate
    # Σ_{m > n} e^{θΔ} φ^m / (1 − φ) of the roots older than n levels.
    scale = tilt.theta_0 * delay - 2 * math.log(-math.expm1(-rate))
    before = max(1, math.ceil((scale - math.log(_LEFT_OUT)) / rate))
    added = math.exp(scale - rate * (before + 1))
    reach = delay - math.log(_LEFT_OUT) / tilt.theta_star
    # What a tree falls behind in a level, on average.
    drift = mean(clocks.child) - mean(clocks.level) - delay
    return before, max(8, math.ceil(2 * reach / drift)), added


def _first_permanent(
    seed: int, clocks: _Clocks, before: int, last: int, count: int
) -> tuple[Int[np.ndarray, " replicas"], float]:
    """J of each replica, ``last`` + 1 for more, and what dropped trees add."""
    generator = np.random.default_rng(seed)
    hopeless = math.log(_LEFT_OUT) / clocks.tilt.theta_star
    found = np.full(count, last + 1)
    # Replicas whose J is still open, and their trees: whose, root, and F + Δ − T_r.
    open_ = np.arange(count)
    whose, root = np.empty(0, int), np.empty(0, int)
    lead = np.empty(0)
    alone = np.zeros((last + 1, count), bool)
    reached = np.zeros((last + 1, count), np.int16)
    early = generator.exponential(size=count) <= clocks.early
    dropped, level = 0.0, -before
    while len(open_):
        level += 1
        here = len(open_)
        wait = draws_of(clocks.level, generator.exponential(size=here))
        if 1 <= level <= last:
            threshold = clocks.others * clocks.windows.within(clocks.delay + wait)
            second = generator.exponential(size=here) <= threshold
            alone[level] = ~(second | early)
        early = generator.exponential(size=here) <= clocks.early
        if level <= last:
            whose = np.concatenate([whose, np.arange(here)])
            root = np.concatenate([root, np.full(here, level - 1)])
            lead = np.concatenate([lead, np.full(here, clocks.delay)])
        mined = draws_of(clocks.child, generator.exponential(size=len(lead)))
        lead += (wait + clocks.delay)[whose] - mined
        there = lead >= 0
        if level >= 1 and there.any():
            # A root before the levels that count stands for all of those.
            at = np.maximum(root[there], 0)
            reached[at, whose[there]] = min(level, last)
        behind = lead < hopeless
        if behind.any():
            late = lead[behind] * clocks.tilt.theta_star
            dropped += float(np.exp(late).sum()) / count
            whose, root, lead = whose[~behind], root[~behind], lead[~behind]
        if level < 1 or (level % _EVERY and level < last and len(lead)):
            continue
        # J is known once no tree lives that could still reach it.
        first = _first(alone, reached, min(level, last))
        oldest = np.full(here, last + 1)
        np.minimum.at(oldest, whose, root)
        known = (first <= oldest) & (first <= last)
        known |= (oldest > last) & (level > last)
        if not known.any():
            continue
        found[open_[known]] = first[known]
        place = np.cumsum(~known) - 1
        kept = ~known[whose]
        whose, root, lead = place[whose[kept]], root[kept], lead[kept]
        open_, early = open_[~known], early[~known]
        alone, reached = alone[:, ~known], reached[:, ~known]
    return found, dropped


def _first(alone, reached, level: int) -> Int[np.ndarray, " replicas"]:
    """First level up to this one with (i) and (ii) so far; else beyond all."""
    covered = np.maximum.accumulate(reached[:level], axis=0)
    permanent = alone[1 : level + 1] & (covered < np.arange(1, level + 1)[:, None])
    none = len(alone)
    return np.where(permanent.any(axis=0), permanent.argmax(axis=0) + 1, none)
