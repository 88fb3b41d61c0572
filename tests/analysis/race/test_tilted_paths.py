"""The compiled paths against the same paths walked one level after the other."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.counter_draws import words_of
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.block_time.tilt import draw, draw_in_cell
from dpodl.analysis.race.tilted_paths import (
    _EARLY,
    _LATE,
    _START,
    BATCHES,
    DEPTHS,
    JOINTS,
    LANES,
    RECORDS,
    Marks,
    _first_at,
    _words,
    sample_paths,
    stages_of,
)
from dpodl.analysis.race.walk import Race, tilts

KEY = jax.random.key(11)
EXPONENTIAL = (exponential(0.75, dead_time=1.0), exponential(0.25, dead_time=1.0))
GEOMETRIC = (geometric(0.3, trial=20.0), geometric(0.12, trial=20.0))


def marks(*depths: int) -> Marks:
    # No place is shared and none but the last is in use twice.
    padded = np.array([*depths] + [depths[-1]] * (DEPTHS - len(depths)))
    levels = np.sort(np.concatenate([padded // 2, padded]))
    where = np.searchsorted(levels, [padded // 2, padded])
    half, full = jnp.asarray(where, jnp.int32)
    return Marks(jnp.asarray(levels, jnp.int32), half, full, jnp.int32(len(depths)))


def by_hand(race: Race, depths, batch: int) -> list[tuple[float, float]]:
    """Mean and mean square of f of a batch, in NumPy but for the draws."""
    stages = stages_of(race, tilts(race))
    words, lanes = words_of(KEY), batch * LANES + jnp.arange(LANES, dtype=jnp.int32)

    @partial(jax.jit, static_argnums=1)
    def difference(laws, streams, step):
        public, private = (_words(words, s, lanes, step) for s in streams)
        return draw(laws[0], public) - draw(laws[1], private)

    def gain(*where):
        return np.asarray(difference(*where), float) + float(stages.shift)

    interval, centre = draw_in_cell(stages.first, _words(words, _START[0], lanes, 0))
    interval, public = np.asarray(interval, float), float(stages.public)
    start = float(stages.grace) + interval
    if not race.ties_win:
        start -= np.asarray(draw(stages.early[1], _words(words, _START[1], lanes, 0)))
    weight = np.ones(LANES)
    if race.premined:
        weight = (public + interval) / (public + np.asarray(centre, float))
    steps = np.array([gain(stages.early, _EARLY, step) for step in range(max(depths))])
    theta_0, theta, slack = (
        float(each) for each in (stages.theta_0, stages.theta_star, stages.slack)
    )
    records: list[list[float]] = [[] for _ in range(LANES)]
    walk, step = np.zeros(LANES), 0
    while any(not found or found[-1] < float(stages.reach) for found in records):
        walk = walk + gain(stages.late, _LATE, step)
        for found, place in zip(records, walk, strict=True):
            if place > (found[-1] if found else 0.0) + slack:
                found.append(place)
        step += 1
    climbed = np.array([np.exp(-theta * found[0]) for found in records])

    def f(s, m):
        if s >= -slack:
            return np.exp(-theta_0 * s)
        count = next(i for i, z in enumerate(records[m], 1) if z >= -s - slack)
        ever = (climbed.sum() - climbed[m]) / (LANES - 1)
        lead = 1 + count * (1 - ever) if race.premined else 1.0
        return np.exp(-theta_0 * s - theta * records[m][count - 1]) * lead

    found = []
    for depth in depths:
        first = start + steps[: depth // 2].sum(axis=0)
        rest = steps[depth // 2 : depth].sum(axis=0)
        means = np.zeros(LANES)
        for m in range(LANES):
            for turn in range(JOINTS):
                one, other = (m + turn) % LANES, (m + 2 * turn) % LANES
                means[m] += weight[one] * f(first[one] + rest[other], m) / JOINTS
        found.append((float(means.mean()), float((means**2).mean())))
    return found


@pytest.mark.parametrize(
    "race",
    [
        Race(*EXPONENTIAL, 0.1),
        Race(*EXPONENTIAL, 0.1, ties_win=False, premined=True),
        Race(*GEOMETRIC, 0.0, premined=True),
    ],
    ids=["continuous", "strict, with a lead", "a lattice, with a lead"],
)
def test_the_compiled_paths_are_the_paths(race):
    # 1, 2: no first half; 25: neither half ends with a pass of the walk.
    depths, call, batch = (1, 2, 25), 3, BATCHES - 1
    found = sample_paths(KEY, stages_of(race, tilts(race)), marks(*depths), call)
    assert not np.asarray(found.overflow).any()
    exact = by_hand(race, depths, call * BATCHES + batch)
    for place, (mean, square) in enumerate(exact):
        assert float(found.weight[batch, place]) == pytest.approx(mean, rel=1e-4)
        assert float(found.square[batch, place]) == pytest.approx(square, rel=2e-4)


def test_a_depth_does_not_hang_on_the_others():
    race = Race(*EXPONENTIAL, 0.1)
    stages = stages_of(race, tilts(race))
    few, many = (
        np.asarray(sample_paths(KEY, stages, marks(*depths), 0).weight)
        for depths in ((30,), (3, 4, 5, 17, 30, 99))
    )
    np.testing.assert_allclose(few[:, 0], many[:, 4], rtol=1e-5)
    np.testing.assert_array_equal(few[:, 1:], 0)


def test_batches_and_calls_have_paths_of_their_own():
    race = Race(*EXPONENTIAL, 0.1)
    stages = stages_of(race, tilts(race))
    found = [sample_paths(KEY, stages, marks(20), call) for call in (0, 1)]
    weights = np.concatenate([np.asarray(each.weight)[:, 0] for each in found])
    assert len(set(weights)) == 2 * BATCHES


def test_records_are_found_as_by_search():
    generator = np.random.default_rng(2)
    records = np.full((RECORDS, LANES), np.inf, np.float32)
    counts = generator.integers(0, RECORDS, LANES)
    for lane, count in enumerate(counts):
        records[:count, lane] = np.sort(generator.random(count))
    goal = generator.random((4, LANES)).astype(np.float32)
    goal[3] = records[0]  # an equal one is not below
    found = np.asarray(_first_at(jnp.asarray(records), jnp.asarray(goal)))
    exact = [
        [np.searchsorted(records[:, i], goal[row, i]) for i in range(LANES)]
        for row in range(4)
    ]
    np.testing.assert_array_equal(found, exact)
