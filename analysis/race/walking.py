"""The private race walked as it is: no tilt, whole steps, one random word a level.

Notation (the race, V, X, S_j, k, K, θ_0 are those of ``race.py``)
    η           lattice step, time
    L, N        levels of a walk, walks                     ``levels``, ``walks``
    T           last level 1 ≤ j ≤ L with V + S_j ≥ 0; 0: none
    K̂, V̂        ln E[e^{θ_0 X}], ln E[e^{θ_0 V}] of the laws that are walked

Depth k is violated iff T ≥ k: one number a walk answers every depth. A level draws X,
a whole number of steps η, from a table by one word (``step_table.py``); sums are
integers, and nothing is rounded on the way. The word hangs on the key, the walk's
number and the level alone: neither the order of the work nor its division into batches
changes a draw.

What stands between the share of such walks and the race's risk:
    chance      Clopper–Pearson.
    horizon     Pr[∃ j > L: V + S_j ≥ 0] ≤ Σ_{j>L} e^{V̂ + jK̂}, Chernoff's bounds on
                what is walked. L is so large that all N walks miss .01 violations in
                the mean, at most; the bound is added to the interval's upper end.
    lattice     Continuous laws are shared by two points of the lattice each, the mean
                kept as in ``race_grid.py``, and V lies in the middle between points of
                S, where no tie can be: O(η²). Lattice laws that share a grid stay what
                they are. Weights are rounded to 2^-32, and A's law ends where e^-22.9
                of it is left or the walk is as good as lost. All of this moves K̂ and
                V̂; twice the first-order effect on the risk, which is
                    2 (|V̂ − V| + (k + 1/(1 − e^K̂)) |K̂ − K|),
                is the relative error added at both ends, 1e-4 to 1e-3 as a rule.

Rare events are for ``tilting.py`` and ``lattice_race.py``; this walk refuses them. It
shares no idea with the two, and is their check at millions of walks a second.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Key
from scipy import signal

from ..block_time.counter_draws import MAXIMUM_PLACES, two_words, words_of
from ..block_time.law import BlockTimeLaw
from ..block_time.tilt import log_moment
from ..estimation.estimate import Estimate, Refused, estimate_probability
from .alias_table import CELLS, WORDS, Table, drawn, rounded, table
from .grid import MAXIMUM_POINTS, Grid, grid_for, on_grid
from .walk import (
    OUTGROWS,
    Race,
    Tilt,
    bounded,
    cumulant,
    log_start,
    outgrows,
    tilts,
)

# Levels written out in one loop body; even, a counter has two words. XLA fuses them and
# the state stays in registers: 3.0 ns a level at 4, 2.7 at 8, 2.5 at 16, 2.8 at 64 on
# one core, where the fusion of a slightly different wording broke: 36 ns.
CHUNK = 16
# Walks side by side. A single core does not care. XLA shares every loop among a CPU's
# cores, which 4096 walks do not repay and these do: one call keeps both of two busy.
LANES = 2**15
MAXIMUM_LEVELS = 4096
# Half a second to a second on two cores.
WALKS = 2**22
_STEPS, _START = 0, 1
# Violations behind the horizon, in the mean over all walks.
_MISSED = 0.01
_FEWEST = 10
_TOLERANCE = 0.02
# ln of a word's weight of 2^-33, and of what is below the rounding of 1.
_WORD, _NOTHING = 33 * math.log(2), 45.0


class Walk(NamedTuple):
    """A race in whole steps.

    Attributes:
        start: V, so that the sum 0 is a violation and −1 is none.
        step: X.
        eta: η, steps of time.
        log_rate: K̂ < 0.
        log_start: V̂.
        off: |K̂ − K| and |V̂ − V|.
    """

    start: Table
    step: Table
    eta: float
    log_rate: float
    log_start: float
    off: tuple[float, float]


def persistence(
    key: Key[Array, ""], race: Race, depths: Sequence[int], *, walks: int = WALKS
) -> list[Estimate]:
    """Pr[violation at depth k] for each depth, by walks of the race itself.

    Args:
        key: Fixes every draw. Estimates of different depths share walks.
        race: The race (``race.py`` says which event), not pre-mined.
        depths: Depths k ≥ 1, blocks.
        walks: N up to 2^28, rounded up to a multiple of 32,768.

    Raises:
        Refused: As ``walk_of`` and ``horizon``; if fewer than 10 walks violate a depth;
            or if the lattice's error may exceed 2 %.
        ValueError: If a depth is below 1, there are no walks or too many, or the race
            is pre-mined or has a field that is out of range.
    """
    if len(depths) == 0 or min(depths) < 1:
        raise ValueError(f"depths must be ≥ 1, got {list(depths)}")
    if outgrows(race):
        return [Estimate(1.0, 1.0, 1.0, 0, OUTGROWS) for _ in depths]
    walk = walk_of(race)
    levels = horizon(walk, max(depths), walks)
    counts = last_levels(key, walk, levels=levels, walks=walks)
    return [_estimate(walk, counts, depth) for depth in depths]


def walk_of(race: Race) -> Walk:
    """The whole steps of a race that the adversary loses in the long run.

    Raises:
        Refused: As ``race.tilts``; if two lattice laws share no grid of which 4096
            cells hold a step; or if a law is too long for the grid that it takes.
        ValueError: If the race is pre-mined or a field of it is out of range.
    """
    if race.premined:
        raise ValueError(
            "premined must be False: walks start without the stationary lead, which "
            "lattice_race and tilting have"
        )
    # Where intervals must be left out to tilt, those that no word draws are.
    race = bounded(race, _WORD)
    tilt = tilts(race)
    ahead = _time_at(race.honest, _WORD)
    # A walk that falls this far counts as little as a word.
    behind = min(_time_at(race.adversary, _WORD), _WORD / tilt.theta_0)
    eta, exact = _step_of(race, tilt, ahead + behind)
    public, private = _on_lattice(race.honest, eta), _on_lattice(race.adversary, eta)
    difference = np.asarray(signal.fftconvolve(public, private[::-1]))
    least, theta = 1 - len(private), tilt.theta_0 * eta
    early = float(race.honest.offset) + race.delay
    late = float(race.adversary.offset)
    gain = (early - late) / eta
    step, log_rate = _tabled(difference, least + gain, gain - behind / eta, theta)
    grace = race.delay + early - (0.0 if race.ties_win else late)
    # The first point that is no violation's is −1: of lattice laws the last one below
    # 0, of continuous ones half a cell below.
    place = float(math.floor(grace / eta + 1e-6)) if exact else grace / eta - 0.5
    if race.ties_win:
        start, log_first = _tabled(public, place, place, theta)
    else:
        lowest = place - behind / eta
        start, log_first = _tabled(difference, least + place, lowest, theta)
    log_first += tilt.theta_0 * (grace - eta * place)
    off = (
        abs(log_rate - cumulant(race, tilt.theta_0)[0]),
        abs(log_first - log_start(race, tilt.theta_0)),
    )
    return Walk(start, step, eta, log_rate, log_first, off)


def horizon(walk: Walk, depth: int, walks: int) -> int:
    """Levels to walk so that all walks together miss .01 violations at most.

    Raises:
        Refused: If they are more than 4096.
        ValueError: If there are no walks or too many.
    """
    _check_walks(walks)
    room = math.log(-math.expm1(walk.log_rate) * _MISSED / walks)
    enough = (room - walk.log_start) / walk.log_rate - 1
    levels = CHUNK * math.ceil(max(enough, depth) / CHUNK)
    if levels > MAXIMUM_LEVELS:
        raise Refused(
            f"persistence at depth {depth}: walks of {levels} levels are needed, at "
            f"most {MAXIMUM_LEVELS} are allowed (a block of depth lowers the risk by "
            f"only {-walk.log_rate:.2g}); lattice_race goes further"
        )
    return levels


def last_levels(
    key: Key[Array, ""], walk: Walk, *, levels: int, walks: int
) -> Int[np.ndarray, " horizon"]:
    """How many walks have T = 0, 1, ..., L.

    Args:
        key: Fixes every draw.
        walk: Start and step.
        levels: L, a multiple of 16 up to 4096.
        walks: N up to 2^28, rounded up to a multiple of 32,768.

    Raises:
        ValueError: If levels or walks are out of range.
    """
    if levels % CHUNK or not 0 < levels <= MAXIMUM_LEVELS:
        raise ValueError(
            f"levels must be a multiple of {CHUNK} up to {MAXIMUM_LEVELS}, got {levels}"
        )
    _check_walks(walks)
    batches = jnp.int32(math.ceil(walks / LANES))
    chunks = jnp.int32(levels // CHUNK)
    counts = _count(words_of(key), walk.start, walk.step, chunks, batches)
    return np.asarray(counts, np.int64)[: levels + 1]


@jax.jit
def _count(words, start: Table, step: Table, chunks, batches):
    def batch(number, counts):
        numbers = number * LANES + jnp.arange(LANES, dtype=jnp.int32)
        return counts.at[_walked(words, numbers, start, step, chunks)].add(1)

    return lax.fori_loop(0, batches, batch, jnp.zeros(MAXIMUM_LEVELS + 1, jnp.int32))


def _walked(words, numbers, start: Table, step: Table, chunks) -> Int[Array, " lanes"]:
    """T of the walks of these numbers."""
    none = jnp.zeros_like(numbers)

    def chunk(done, state):
        place, last = state
        for pair in range(CHUNK // 2):
            turn = done * (CHUNK // 2) + pair
            both = two_words(words, _STEPS, numbers, jnp.full_like(numbers, turn))
            for level, word in enumerate(both, 1):
                place = place + drawn(step, word)
                last = jnp.where(place >= 0, 2 * turn + level, last)
        return place, last

    first, _ = two_words(words, _START, numbers, none)
    return lax.fori_loop(0, chunks, chunk, (drawn(start, first), none))[1]


def compilations() -> int:
    """How many distinct programs the walks have been compiled to so far."""
    return _count._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


def _estimate(walk: Walk, counts: Int[np.ndarray, " horizon"], depth: int) -> Estimate:
    what = f"persistence at depth {depth}"
    error = _relative_error(walk, depth)
    if error > _TOLERANCE:
        raise Refused(
            f"{what}: the lattice's error may be {error:.1%} with steps of "
            f"{walk.eta:.4g} (a law with a long tail, or very many levels; "
            "lattice_race is finer)"
        )
    violations, count = int(counts[depth:].sum()), int(counts.sum())
    if violations < _FEWEST:
        raise Refused(
            f"{what}: {violations} of {count} walks violate it, at least {_FEWEST} are "
            "needed (more walks, tilting or lattice_race)"
        )
    share = estimate_probability(violations, count, what)
    levels = len(counts) - 1
    return share._replace(
        low=share.low * (1 - error),
        high=min(1.0, share.high * (1 + error) + _beyond(walk, levels)),
        method=f"walks of {levels} levels, Clopper–Pearson + lattice, horizon",
    )


def _relative_error(walk: Walk, depth: int) -> float:
    # The lattice errs at every level, those that the catch-up takes included.
    levels = depth - 1 / math.expm1(walk.log_rate)
    return 2 * (walk.off[1] + levels * walk.off[0])


def _beyond(walk: Walk, levels: int) -> float:
    """Bound on Pr[∃ j > L: V + S_j ≥ 0]."""
    first = walk.log_start + (levels + 1) * walk.log_rate
    return math.exp(first) / -math.expm1(walk.log_rate)


def _tabled(
    mass: Float[np.ndarray, " points"], first: float, lowest: float, theta: float
) -> tuple[Table, float]:
    """Masses at first, first + 1, ... as a table, and ln E[e^{θ·integer}] of it."""
    weights, low = rounded(mass, first, lowest)
    tilt = theta * (low + np.arange(CELLS))
    top = float(tilt[weights > 0].max())
    moment = float(np.exp(np.minimum(tilt - top, 0.0)) @ weights) / WORDS
    return table(weights, low), top + math.log(moment)


def _step_of(race: Race, tilt: Tilt, length: float) -> tuple[float, bool]:
    """η, and whether it is lattice laws' own."""
    # Cells to spare, where places at the ends are shared.
    cells = CELLS - 4
    if not (race.honest.lattice and race.adversary.lattice):
        return length / cells, False
    grid = grid_for(race, tilt, 1)
    if not grid.exact or length > cells * grid.step:
        raise Refused(
            f"persistence: two lattice laws share no grid of which {CELLS} cells hold "
            "a step, and ties would not be what they are (lattice_race is finer)"
        )
    return grid.step, True


def _on_lattice(law: BlockTimeLaw, eta: float) -> Float[np.ndarray, " points"]:
    """Masses of X − offset at 0, η, 2η, ...; a law that may never end lacks some."""
    table_end = float(law.spacing) * (len(law.cumulative_hazard) - 1)
    end = _time_at(law, _NOTHING)
    points = math.ceil((end if math.isfinite(end) else table_end) / eta) + 2
    if points > MAXIMUM_POINTS:
        raise Refused(
            f"persistence: {points} lattice points are needed, at most "
            f"{MAXIMUM_POINTS} are allowed (a law with a long tail)"
        )
    ends = math.exp(log_moment(law, 0.0)[0])
    return ends * on_grid(law, 0.0, Grid(eta, points, False))


def _time_at(law: BlockTimeLaw, hazard: float) -> float:
    """Λ⁻¹(hazard) − offset, at least; inf where the law never gets there."""
    knots, rate = np.asarray(law.cumulative_hazard, float), float(law.tail_hazard)
    if knots[-1] >= hazard:
        return float(law.spacing) * int(np.searchsorted(knots, hazard))
    beyond = (hazard - float(knots[-1])) / rate if rate > 0 else math.inf
    return float(law.spacing) * (len(knots) - 1) + beyond


def _check_walks(walks: int) -> None:
    if not 0 < walks <= MAXIMUM_PLACES:
        raise ValueError(f"walks must be from 1 to {MAXIMUM_PLACES}, got {walks}")
