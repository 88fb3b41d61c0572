"""Paths of a private race under its two tilts: the compiled half of ``tilting.py``.

Notation (the race is that of ``race.py``, f and the two stages those of ``tilting.py``)
    s           where a path is when the catch-up begins, −``behind``
    Z_1, Z_2 …  record heights of a walk under θ*, ``records``
    N(x)        number of records until one is at x or higher

A catch-up from s < 0 ends at the first record of at least −s, so one walk under θ*,
kept as its records, answers every s, every depth and every path it is joined to.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

from .block_time import mean
from .race import Race, Tilt
from .tilted_law import Sampler, draw, draw_in_cell, sampler

# Depths a compiled call answers.
DEPTHS = 32
# Paths of a batch, and independent batches of a call.
LANES = 512
BATCHES = 8
# Ways in which the pieces of a batch's paths are joined.
JOINTS = 16
# Record heights kept a walk; a race that needs more is too near its threshold.
RECORDS = 512
# Paths further behind than this weigh less than e^-25 of those that matter.
_NEGLIGIBLE = 25.0


class Marks(NamedTuple):
    """Where the walks of a call are read.

    Attributes:
        levels: Levels at which they are read, ascending.
        half: Place in ``levels`` of ⌊k/2⌋, for each depth k.
        full: Place of k.
    """

    levels: Int[Array, " marks"]
    half: Int[Array, " depths"]
    full: Int[Array, " depths"]


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
        public_law = sampler(race.honest, theta, unit=unit)
        return public_law, sampler(race.adversary, -theta, unit=unit)

    return Stages(
        first=sampler(
            race.honest,
            tilt.theta_0,
            unit=unit,
            longer_by=public if race.premined else None,
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
    )


def _gain(laws, words: UInt32[Array, "lanes 2 2"]) -> Float[Array, " lanes"]:
    return draw(laws[0], words[:, 0]) - draw(laws[1], words[:, 1])


def step_words(
    key: Key[Array, ""], step: Int[Array, ""] | int, lanes: int = LANES
) -> UInt32[Array, "lanes 2 2"]:
    """Random words of one step: two laws, two words each."""
    # Threefry as XLA writes it out, six times faster on a CPU than jax.random.bits;
    # a key of its own a step, so that no two steps share a counter.
    fresh = jax.random.key_data(jax.random.fold_in(key, step))
    state = jnp.concatenate([fresh, jnp.zeros(2, jnp.uint32)])
    algorithm = lax.RandomAlgorithm.RNG_THREE_FRY
    return lax.rng_bit_generator(state, (lanes, 2, 2), algorithm=algorithm)[1]


@jax.jit
def sample_paths(key: Key[Array, ""], stages: Stages, marks: Marks) -> Batch:
    """Eight independent batches of 512 paths."""
    keys = jax.random.split(key, BATCHES)
    return lax.map(lambda k: _batch(k, stages, marks), keys)


def compilations() -> int:
    """How many distinct programs the paths have been compiled to so far."""
    return sample_paths._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


def _batch(key, stages: Stages, marks: Marks) -> Batch:
    start_key, walk_key, late_key = jax.random.split(key, 3)
    words = step_words(start_key, 0)
    interval, centre = draw_in_cell(stages.first, words[:, 0])
    against = jnp.where(stages.strict, draw(stages.early[1], words[:, 1]), 0.0)
    start = stages.grace + interval - against
    weight = jnp.where(
        stages.premined,
        (stages.public + interval) / (stages.public + centre),
        1.0,
    )

    def segment(carry, mark):
        def level(step, walk):
            return walk + (
                _gain(stages.early, step_words(walk_key, step)) + stages.shift
            )

        done, walk = carry
        walk = lax.fori_loop(done, mark, level, walk)
        return (mark, walk), walk

    origin = (jnp.int32(0), jnp.zeros(LANES))
    _, walks = lax.scan(segment, origin, marks.levels)
    records, overflow = _catch_up(late_key, stages)
    first = start[None, :] + walks[marks.half]
    rest = walks[marks.full] - walks[marks.half]
    climbed = jnp.exp(-stages.theta_star * records[:, 0])
    ever = (climbed.sum() - climbed) / (LANES - 1)

    def joint(turn):
        # Catch-up m with the start of path m + r and the rest of path m + 2r.
        behind = -(jnp.roll(first, -turn, axis=1) + jnp.roll(rest, -2 * turn, axis=1))
        f = jax.vmap(partial(_weights, stages))(behind.T, records, ever)
        return f * jnp.roll(weight, -turn)[:, None]

    f = lax.map(joint, jnp.arange(JOINTS)).mean(axis=0)
    return Batch(f.mean(axis=0), (f**2).mean(axis=0), overflow)


def _weights(stages: Stages, behind, records, ever):
    """The weight f of one path at each depth's distance behind."""
    place = jnp.searchsorted(records, behind - stages.slack, side="left")
    height = records[jnp.minimum(place, RECORDS - 1)]
    lead = jnp.where(stages.premined, 1 + (place + 1) * (1 - ever), 1.0)
    caught = jnp.exp(stages.theta_0 * behind - stages.theta_star * height) * lead
    even = behind <= stages.slack
    return jnp.where(even, jnp.exp(stages.theta_0 * jnp.where(even, behind, 0)), caught)


def _catch_up(key, stages: Stages):
    """Record heights under θ*, in rows that end with inf."""
    lanes = jnp.arange(LANES)

    def going(state):
        _, _, top, count, _ = state
        return ((top < stages.reach) & (count < RECORDS)).any()

    def level(state):
        step, walk, top, count, records = state
        walk = walk + (_gain(stages.late, step_words(key, step)) + stages.shift)
        new = (walk > top + stages.slack) & (top < stages.reach)
        records = records.at[lanes, jnp.where(new, count, RECORDS)].set(
            walk, mode="drop"
        )
        return step + 1, walk, jnp.where(new, walk, top), count + new, records

    state = (
        jnp.int32(0),
        jnp.zeros(LANES),
        jnp.zeros(LANES),
        jnp.zeros(LANES, jnp.int32),
        jnp.full((LANES, RECORDS), jnp.inf),
    )
    _, _, top, _, records = lax.while_loop(going, level, state)
    return records, (top < stages.reach).any()
