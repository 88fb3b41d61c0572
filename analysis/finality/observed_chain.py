"""The risk of every block of an observed chain, the public rate known or estimated.

Slow intervals are bad luck, or honest power that has left. With the rate known they
count as bad luck, which understates the risk in the other case; so beside it stands the
risk with the public rate that the chain's own window shows: D stretched by

    v = mean interval of the last w blocks / E[D],       95 %: v e^{±1.96 CV[D]/√w},

where E[D] and CV are those of the law with Δ. The adversary's law is the config's in
both, and its time is that of the chain.

Timestamps that run backwards are real: a block's time is the latest stamp up to it,
since no block is older than its parent.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, Real, mean_and_cv
from ..block_time.uncertain import UncertainLaw
from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import UNKNOWN, Basis, training_interval
from .given_times import FLOOR, GivenTimes, rate_of

_Z = 1.959964
LEAST_WINDOW = 10


class ObservedChain(NamedTuple):
    """The selected chain as it was seen.

    Attributes:
        times: When each block was found, the first one the parent of those judged; in
            the unit of the law, non-decreasing.
        age: Time since the last of them.
    """

    times: Float[np.ndarray, " blocks"]
    age: float = 0.0

    @classmethod
    def of_stamps(
        cls, stamps: Sequence[Real] | np.ndarray, age: Real = 0.0
    ) -> "ObservedChain":
        """Of timestamps that may run backwards."""
        times = np.maximum.accumulate(np.asarray(stamps, float))
        return cls(times, float(age))

    def elapsed(self, blocks: int) -> tuple[np.ndarray, np.ndarray]:
        """Depths of the last so many blocks, the tip last, and s of each."""
        depths = np.arange(blocks, 0, -1)
        now = self.times[-1] + self.age
        return depths, now - self.times[-1 - depths]


class BlockRisk(NamedTuple):
    """What one block risks.

    Attributes:
        depth: z, blocks from it to the tip, both counted.
        elapsed: s, since its parent was found.
        known: With the law's public rate.
        estimated: With the rate of the window; None: not asked for.
    """

    depth: int
    elapsed: float
    known: Estimate
    estimated: Estimate | None


class Parties(NamedTuple):
    """Who races: laws of one interval of each side, from one prover's law.

    Attributes:
        public: Law of one public interval, given a prover's.
        private: Law of one private interval, given a prover's.
    """

    public: BlockTimeLaw
    private: BlockTimeLaw


def block_risks(
    chain: ObservedChain,
    sides: UncertainLaw,
    *,
    parties,
    blocks: int,
    window: int | None = None,
    basis: Basis = UNKNOWN,
) -> list[BlockRisk]:
    """Risk of the last blocks of a chain.

    Args:
        chain: As it was seen.
        sides: The law of one prover, with what is uncertain of it.
        parties: From one of its laws to ``Parties``.
        blocks: How many to judge; the chain has one more.
        window: w, intervals that the estimated rate rests on; None: the rate is known.
        basis: What the law's race rests on.

    Returns:
        One row a block, the deepest first. Intervals are of 95 %: of the law's
        resamples, and of the window's rate where it is estimated; ``FLOOR`` stands for
        what is below it where a law is on a grid.

    Raises:
        ValueError: If blocks or window are out of their range.
        Refused: As ``GivenTimes.risks``, or if a window holds too little.
    """
    count = len(chain.times) - 1
    if not 1 <= blocks <= count:
        raise ValueError(f"blocks must be in 1…{count}, one less than the chain has")
    depths, elapsed = chain.elapsed(blocks)
    laws = [sides.law, *sides.resamples, *sides.extremes]
    races = [parties(law) for law in laws]

    def under(race: Parties, stretch: float = 1.0) -> np.ndarray:
        given = GivenTimes(stretched(race.public, stretch), race.private)
        return given.risks(depths, elapsed, age=chain.age)

    first = under(races[0])
    known = [first, *(_or_nan(under, race, blocks) for race in races[1:])]
    resampled = 1 + len(sides.resamples)
    exact = all(rate_of(law) is not None for law in races[0])
    how = "exact for exponential intervals" if exact else "grid, given the times"
    rows = _intervals(known, resampled, how, basis)
    others: list[Estimate | None] = [None] * blocks
    if window is not None:
        others = list(_estimated(chain, races[0], window, under, how))
    return [
        BlockRisk(int(z), float(s), mine, other)
        for z, s, mine, other in zip(depths, elapsed, rows, others, strict=True)
    ]


def stretched(law: BlockTimeLaw, factor: Real) -> BlockTimeLaw:
    """The law of factor × X."""
    if factor == 1.0:
        return law
    return law._replace(
        spacing=law.spacing * factor,
        tail_hazard=law.tail_hazard / factor,
        offset=law.offset * factor,
    )


def _estimated(chain, race: Parties, window: int, under, how: str):
    count = len(chain.times) - 1
    if not LEAST_WINDOW <= window <= count:
        raise Refused(
            f"finality: a rate is estimated from at least {LEAST_WINDOW} intervals, "
            f"and the window has {window} of the {count} there are: a longer window "
            "or list of blocks, or the law's own rate alone"
        )
    centre, cv = mean_and_cv(race.public)
    # The interval that runs says something too: it has lasted so long.
    seen = (chain.times[-1] + chain.age - chain.times[-1 - window]) / window
    if seen <= 0:
        raise Refused(
            f"finality: the last {window} blocks bear one time: no rate is in it; a "
            "longer window has one"
        )
    factor, half = seen / centre, math.exp(_Z * cv / math.sqrt(window))
    middle, low, high = (under(race, v) for v in (factor, factor / half, factor * half))
    for value, one, two in zip(middle, low, high, strict=True):
        least = f"; below {FLOOR:g}" if value <= FLOOR and "grid" in how else ""
        yield Estimate(
            float(value),
            0.0 if least else float(min(one, value)),
            float(max(two, value)),
            window,
            f"{how}; public rate of {window} intervals{least}",
        )


def _intervals(known, resampled: int, how: str, basis: Basis) -> list[Estimate]:
    table = np.array(known)
    rows = []
    for place in range(table.shape[1]):
        value = float(table[0, place])
        found = Estimate(value, value, value, resampled - 1, how)
        if value <= FLOOR and "grid" in how:
            found = found._replace(low=0.0, method=f"{how}; below {FLOOR:g}")
        elif resampled > 1:
            drawn = table[1:resampled, place]
            ends = table[resampled:, place].tolist()
            found = training_interval(
                found, drawn, "logit", basis=basis, extremes=ends, lacking=1.0
            )
        rows.append(found)
    return rows


def _or_nan(under, race: Parties, blocks: int) -> np.ndarray:
    try:
        return under(race)
    except Refused:
        return np.full(blocks, math.nan)
