"""Paths of a private race under its two tilts: the compiled half of ``tilting.py``.

Notation (the race is that of ``walk.py``, f and the two stages those of ``tilting.py``)
    s           where a path is when the catch-up begins, −``behind``
    Z_1, Z_2 …  record heights of a walk under θ*, ``records``
    N(x)        number of records until one is at x or higher

A catch-up from s < 0 ends at the first record of at least −s, so one walk under θ*,
kept as its records, answers every s, every depth and every path it is joined to. Where
K(θ*) < 0 a record also keeps what its levels weigh, TK(θ*).

Words belong to (stream, path, level) (``counter_draws.py``): a call's paths do not hang
on which depths are asked, and a level that is walked in vain can be walked again.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from ..block_time.counter_draws import two_words, words_of
from ..block_time.law import mean
from ..block_time.tilt import Sampler, draw, draw_in_cell, sampler
from .walk import Race, Tilt

# Depths a compiled call answers.
DEPTHS = 32
# Paths of a batch, and independent batches of a call.
LANES = 512
BATCHES = 8
# Levels a pass of the walk.
CHUNK = 4
# Ways in which the pieces of a batch's paths are joined.
JOINTS = 16
# Record heights kept a walk; a race that needs more is too near its threshold.
RECORDS = 512
# Paths further behind than this weigh less than e^-25 of those that matter.
_NEGLIGIBLE = 25.0
# Streams of the words: V's two intervals, and two laws under each tilt.
_START, _EARLY, _LATE = (0, 1), (2, 3), (4, 5)


class Marks(NamedTuple):
    """Where the walks of a call are read.

    Attributes:
        levels: Levels at which they are read, ascending.
        half: Place in ``levels`` of ⌊k/2⌋, for each depth k.
        full: Place of k.
        depths: How many depths are asked, the first ones.
    """

    levels: Int[Array, " marks"]
    half: Int[Array, " depths"]
    full: Int[Array, " depths"]
    depths: Int[Array, ""]


class Batch(NamedTuple):
    """What a batch of paths says (arrays over batches).

    Attributes:
        weight: Mean of f, for each depth.
        square: Mean over paths of their squared mean f.
        overflow: Whether the records did not suffice (batch not usable).
    """

    weight: Float[Array, "*batches depths"]
    square: Float[Array, "*batches depths"]
    overflow: Bool[Array, "*batches"]


class _Records(NamedTuple):
    """Record heights of walks under θ*, in columns that end with inf.

    Attributes:
        height: Z_1, Z_2, ...
        log_weight: −θ* Z + TK(θ*) of each.
    """

    height: Float[Array, "records lanes"]
    log_weight: Float[Array, "records lanes"]


class Stages(NamedTuple):
    """A race as compiled code sees it; times in units of the mean public interval.

    Attributes:
        first: H_0 under θ_0, pre-mined: also by length, cell by cell.
        early: H and A under θ_0.
        late: H and A under θ*.
        shift: Fixed part of X.
        grace: Fixed part of V.
        slack: A time tie of a lattice law survives float32 by this much.
        theta_0: θ_0.
        theta_star: θ*.
        reach: Height up to which the catch-up is followed.
        strict: Whether A_0 counts.
        premined: Whether the lead counts.
        public: Fixed part of H.
        star_rate: K(θ*).
    """

    first: Sampler
    early: tuple[Sampler, Sampler]
    late: tuple[Sampler, Sampler]
    shift: Float[Array, ""]
    grace: Float[Array, ""]
    slack: Float[Array, ""]
    theta_0: Float[Array, ""]
    theta_star: Float[Array, ""]
    reach: Float[Array, ""]
    strict: Bool[Array, ""]
    premined: Bool[Array, ""]
    public: Float[Array, ""]
    star_rate: Float[Array, ""]


def reach(tilt: Tilt) -> float:
    """Height up to which the catch-up is followed, steps."""
    return _NEGLIGIBLE / (tilt.theta_star - tilt.theta_0)


def stages_of(race: Race, tilt: Tilt) -> Stages:
    """The tables and constants of a race, for ``sample_paths``."""
    unit = mean(race.honest) + race.delay
    public = float(race.honest.offset) + race.delay
    private = float(race.adversary.offset)
    both = race.honest.lattice and race.adversary.lattice
    g = min(float(race.honest.spacing), float(race.adversary.spacing))
    scalar = partial(jnp.asarray, dtype=jnp.float32)

    def pair(theta: float) -> tuple[Sampler, Sampler]:
        public_law = sampler(race.honest, theta, unit=unit, until=race.until)
        return public_law, sampler(race.adversary, -theta, unit=unit)

    return Stages(
        first=sampler(
            race.honest,
            tilt.theta_0,
            unit=unit,
            longer_by=public if race.premined else None,
            until=race.until,
        ),
        early=pair(tilt.theta_0),
        late=pair(tilt.theta_star),
        shift=scalar((public - private) / unit),
        grace=scalar(
            (race.delay + public - (0.0 if race.ties_win else private)) / unit
        ),
        slack=scalar(1e-3 * g / unit if both else 0.0),
        theta_0=scalar(tilt.theta_0 * unit),
        theta_star=scalar(tilt.theta_star * unit),
        reach=scalar(reach(tilt) / unit),
        strict=jnp.asarray(not race.ties_win),
        premined=jnp.asarray(race.premined),
        public=scalar(public / unit),
        star_rate=scalar(tilt.star_rate),
    )


def step_words(
    key: Key[Array, ""], step: Int[Array, ""] | int, lanes: int = LANES
) -> UInt32[Array, "lanes 2 2"]:
    """Random words of one step: two laws, two words each."""
    words, places = words_of(key), jnp.arange(lanes, dtype=jnp.int32)
    return jnp.stack([_words(words, law, places, step) for law in range(2)], axis=1)


@jax.jit
def sample_paths(
    key: Key[Array, ""], stages: Stages, marks: Marks, call: Int[Array, ""] | int
) -> Batch:
    """Eight independent batches of 512 paths; other calls have other paths."""
    words = words_of(key)
    batches = call * BATCHES + jnp.arange(BATCHES, dtype=jnp.int32)

    def batch(number):
        lanes = number * LANES + jnp.arange(LANES, dtype=jnp.int32)
        return _batch(words, lanes, stages, marks)

    return lax.map(batch, batches)


def compilations() -> int:
    """How many distinct programs the paths have been compiled to so far."""
    return sample_paths._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


def _batch(words, lanes, stages: Stages, marks: Marks) -> Batch:
    start, weight = _start(words, lanes, stages)
    walks = _walks(words, lanes, stages, marks.levels)
    records, overflow = _catch_up(words, lanes, stages)
    climbed = jnp.exp(records.log_weight[0])
    ever = (climbed.sum() - climbed)[None, :] / (LANES - 1)
    # Catch-up m with the start of path m + r and the rest of path m + 2r.
    lane, turn = jnp.arange(LANES)[None, :], jnp.arange(JOINTS)[:, None]
    one, other = (lane + turn) % LANES, (lane + 2 * turn) % LANES

    def depth(place, found):
        half, full = walks[marks.half[place]], walks[marks.full[place]]
        behind = -((start + half)[one] + (full - half)[other])
        f = _weights(stages, behind, records, ever) * weight[one]
        f = f.mean(axis=0)
        mean, square = found
        return mean.at[place].set(f.mean()), square.at[place].set((f**2).mean())

    none = jnp.zeros(DEPTHS)
    mean, square = lax.fori_loop(0, marks.depths, depth, (none, none))
    return Batch(mean, square, overflow)


def _start(words, lanes, stages: Stages):
    """V on each path, and the weight of its H_0."""
    public, private = (_words(words, stream, lanes, 0) for stream in _START)
    interval, centre = draw_in_cell(stages.first, public)
    against = jnp.where(stages.strict, draw(stages.early[1], private), 0.0)
    weight = (stages.public + interval) / (stages.public + centre)
    return stages.grace + interval - against, jnp.where(stages.premined, weight, 1.0)


def _walks(words, lanes, stages: Stages, levels) -> Float[Array, "marks lanes"]:
    """S under θ_0 at each of the levels."""

    def segment(carry, mark):
        def chunk(state):
            step, walk = state
            for level in range(CHUNK):
                gain = _gain(
                    words, _EARLY, lanes, step + level, stages.early, stages.shift
                )
                walk = walk + jnp.where(step + level < mark, gain, 0.0)
            return step + CHUNK, walk

        done, walk = carry
        _, walk = lax.while_loop(lambda state: state[0] < mark, chunk, (done, walk))
        return (mark, walk), walk

    return lax.scan(segment, (jnp.int32(0), jnp.zeros(LANES)), levels)[1]


# Part of its caller when compiled, but traced once for all levels of a pass.
@partial(jax.jit, static_argnums=1)
def _gain(words, streams, lanes, step, laws, shift) -> Float[Array, " lanes"]:
    """X on each path at a level."""
    public, private = (_words(words, stream, lanes, step) for stream in streams)
    return draw(laws[0], public) - draw(laws[1], private) + shift


def _words(words, stream, lanes, step) -> UInt32[Array, "lanes 2"]:
    both = two_words(words, stream, lanes, jnp.full_like(lanes, step))
    return jnp.stack(both, axis=-1)


def _weights(stages: Stages, behind, records, ever):
    """The weight f of paths that are so far behind, each with its records."""
    place = _first_at(records.height, behind - stages.slack)
    log_weight = records.log_weight[place, jnp.arange(LANES)[None, :]]
    lead = jnp.where(stages.premined, 1 + (place + 1) * (1 - ever), 1.0)
    caught = jnp.exp(stages.theta_0 * behind + log_weight) * lead
    even = behind <= stages.slack
    return jnp.where(even, jnp.exp(stages.theta_0 * jnp.where(even, behind, 0)), caught)


def _first_at(heights, goal: Float[Array, "joints lanes"]):
    """Place of a lane's first record of at least the goal, of the last one at most."""
    # Halving written out: a quarter of the time of a mapped jnp.searchsorted.
    place, lane = jnp.zeros(goal.shape, jnp.int32), jnp.arange(LANES)[None, :]
    half = RECORDS // 2
    while half:
        below = heights[place + (half - 1), lane] < goal
        place, half = jnp.where(below, place + half, place), half // 2
    return place


def _catch_up(words, lanes, stages: Stages):
    """Records under θ*."""

    def going(state):
        _, _, top, count, *_ = state
        return ((top < stages.reach) & (count < RECORDS)).any()

    def level(state):
        step, walk, top, count, heights, logs = state
        walk = walk + _gain(words, _LATE, lanes, step, stages.late, stages.shift)
        new = (walk > top + stages.slack) & (top < stages.reach)
        place = jnp.where(new, count, RECORDS), jnp.arange(LANES)
        heights = heights.at[place].set(walk, mode="drop")
        log_weight = stages.star_rate * (step + 1) - stages.theta_star * walk
        logs = logs.at[place].set(log_weight, mode="drop")
        return step + 1, walk, jnp.where(new, walk, top), count + new, heights, logs

    state = (
        jnp.int32(0),
        jnp.zeros(LANES),
        jnp.zeros(LANES),
        jnp.zeros(LANES, jnp.int32),
        jnp.full((RECORDS, LANES), jnp.inf),
        jnp.full((RECORDS, LANES), -jnp.inf),
    )
    _, _, top, _, heights, logs = lax.while_loop(going, level, state)
    return _Records(heights, logs), (top < stages.reach).any()
