"""Direct walks against a plain loop with their words, their law itself, the grid."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.counter_draws import two_words, words_of
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw, exponential, geometric
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race import fourier, walking
from dpodl.analysis.race.alias_table import CELLS, drawn, rounded, table
from dpodl.analysis.race.walk import Race
from dpodl.analysis.race.walking import (
    CHUNK,
    LANES,
    compilations,
    horizon,
    last_levels,
    persistence,
    walk_of,
)
from dpodl.analysis.validation.sampled_cases import CASES
from scipy import signal

KEY = jax.random.key(4)
DEPTHS = [1, 2, 6, 12, 20]
WALKS = 2**19
SIGMA = 3.5


def memoryless(q, dead_time=0.0, delay=0.0, **options) -> Race:
    public, private = (exponential(r, dead_time=dead_time) for r in (1 - q, q))
    return Race(public, private, delay, **options)


def trials(h, a, delay=0.0, **options) -> Race:
    return Race(geometric(h), geometric(a), delay, **options)


def giving_up() -> Race:
    """A third of the adversary's blocks never come."""
    hazard = np.minimum(np.arange(KNOTS) / 1000.0, math.log(3))
    private = BlockTimeLaw(hazard, 1 / 300, 0.0, 0.5, False)
    return Race(exponential(0.8), private, 0.1)


RACES = {
    "memoryless": memoryless(0.3),
    "strict": memoryless(0.3, ties_win=False),
    "dead time and delay": memoryless(0.25, 3.0, 0.1),
    "strict, dead time and delay": memoryless(0.25, 3.0, 0.1, ties_win=False),
    "lattice": trials(0.05, 0.02),
    "lattice, strict": trials(0.05, 0.02, ties_win=False),
    "lattice, half a trial's delay": trials(0.05, 0.02, 1.5),
    "lattice, delay off the grid": trials(0.1, 0.04, 1 / 3),
    "one lattice": Race(geometric(0.2), exponential(0.1), 0.3),
    "adversary that may stop": giving_up(),
}


def law_of(one) -> tuple[np.ndarray, int]:
    """Chances of lowest, lowest + 1, ... read off a table's entries."""
    entries = np.asarray(one.entries, np.int64)
    keep, alias = entries >> 12, entries & (CELLS - 1)
    weights = keep.copy()
    np.add.at(weights, alias, 2**20 - keep)
    assert weights.sum() == 2**32
    return weights / 2.0**32, int(one.lowest)


def exact(walk, depths) -> list[float]:
    """Pr[V + S_k + M ≥ 0] of what is walked, by convolutions."""
    (start, place), (step, lowest) = law_of(walk.start), law_of(walk.step)
    size, most = 2**14, np.zeros(2**14)
    most[0] = 1.0
    for _ in range(3000):
        spread = np.maximum(signal.fftconvolve(most, step), 0.0)
        spread[-lowest] += spread[:-lowest].sum()
        more = spread[-lowest : size - lowest] / spread[-lowest:].sum()
        moved = np.abs(more - most).sum()
        most = more
        if moved < 1e-12:
            break
    at_least = np.append(np.cumsum(most[::-1])[::-1], 0.0)
    found, law = [], start
    for level in range(1, max(depths) + 1):
        law, place = np.maximum(signal.fftconvolve(law, step), 0.0), place + lowest
        if level in depths:
            behind = np.clip(-(place + np.arange(len(law))), 0, size)
            found.append(float(law @ at_least[behind]))
    return found


def test_a_table_draws_its_weights_exactly():
    generator = np.random.default_rng(0)
    weights = generator.multinomial(2**32, generator.dirichlet(np.full(CELLS, 0.1)))
    chances, lowest = law_of(table(weights, -7))
    np.testing.assert_array_equal(chances * 2.0**32, weights)
    assert lowest == -7


@pytest.mark.parametrize("cell", [0, 5, CELLS - 1])
def test_a_table_of_one_integer(cell):
    weights = np.zeros(CELLS, np.int64)
    weights[cell] = 2**32
    words = jnp.asarray([0, 1, 2**20 - 1, 2**20, 2**31, 2**32 - 1], jnp.uint32)
    np.testing.assert_array_equal(drawn(table(weights, 3), words), 3 + cell)


def test_a_word_is_a_cell_and_a_coin():
    weights = np.full(CELLS, 2**20, np.int64)
    weights[:2] = 2**20 - 3, 2**20 + 3
    kept = (1 << 20) - 4
    words = jnp.asarray([kept, kept + 1, (1 << 20) + kept], jnp.uint32)
    np.testing.assert_array_equal(drawn(table(weights, 0), words), [0, 1, 1])


def test_rounding_keeps_the_distribution_function_and_the_mean():
    mass = np.random.default_rng(1).dirichlet(np.full(3000, 0.3))
    weights, low = rounded(mass, -1000.25, -1500.5)
    assert weights.sum() == 2**32
    assert low == -1501
    shared = np.zeros(CELLS)
    shared[500:3500] += 0.25 * mass
    shared[501:3501] += 0.75 * mass
    assert np.abs(np.cumsum(weights / 2.0**32 - shared)).max() <= 2.0**-33 + 1e-14
    mean = float(mass @ (np.arange(3000) - 1000.25))
    assert float(weights @ (low + np.arange(CELLS))) / 2**32 == pytest.approx(
        mean, abs=1e-5
    )


def test_what_a_table_has_no_cell_for_goes_to_its_ends():
    mass = np.full(8192, 0.9 / 8192)
    weights, low = rounded(mass, 0.0, 2000.5)
    assert low == 2000
    # Below and nowhere; above.
    assert weights[0] / 2**32 == pytest.approx(0.1 + 2001 * 0.9 / 8192, abs=1e-8)
    assert weights[-1] / 2**32 == pytest.approx(0.9 * (8192 - 6095) / 8192, abs=1e-8)


@pytest.mark.parametrize("name", ["strict", "lattice"])
def test_walks_are_those_of_a_plain_loop(name):
    walk = walk_of(RACES[name])
    levels, words = 3 * CHUNK, words_of(KEY)
    numbers = np.arange(2 * LANES)
    counts = last_levels(KEY, walk, levels=levels, walks=len(numbers))

    def word(stream, turn):
        every = jnp.asarray(numbers, jnp.int32), jnp.full(len(numbers), turn, jnp.int32)
        return [np.asarray(w, np.int64) for w in two_words(words, stream, *every)]

    def draw(one, word):
        cell, coin = np.divmod(word, 2**20)
        chance, alias = np.divmod(np.asarray(one.entries, np.int64)[cell], CELLS)
        return int(one.lowest) + np.where(coin < chance, cell, alias)

    place, last = draw(walk.start, word(1, 0)[0]), np.zeros(len(numbers), int)
    for level in range(1, levels + 1):
        place += draw(walk.step, word(0, (level - 1) // 2)[(level - 1) % 2])
        last[place >= 0] = level
    np.testing.assert_array_equal(counts, np.bincount(last, minlength=levels + 1))


def test_a_walk_does_not_hang_on_those_beside_it_or_on_its_length():
    walk = walk_of(RACES["memoryless"])
    short, long = (
        last_levels(KEY, walk, levels=levels, walks=LANES) for levels in (320, 640)
    )
    # No walk of these comes back so late.
    np.testing.assert_array_equal(short[:300], long[:300])
    more = last_levels(KEY, walk, levels=320, walks=3 * LANES)
    assert more.sum() == 3 * LANES
    assert (more >= short).all()


@pytest.mark.parametrize("name", RACES)
def test_agrees_with_the_grid(name):
    race = RACES[name]
    found = persistence(KEY, race, DEPTHS[:4], walks=WALKS)
    grid = fourier.persistence(race, DEPTHS[:4])
    for one, risk in zip(found, grid, strict=True):
        assert one.count == WALKS
        error = math.sqrt(risk.value * (1 - risk.value) / WALKS)
        assert abs(one.value - risk.value) < SIGMA * error, (one, risk)
        assert one.low < one.value < one.high
        assert one.high - one.low < 4.5 * error + 4e-3 * risk.value


@pytest.mark.parametrize("name", RACES)
def test_the_lattices_error_is_at_most_what_is_stated(name):
    race = RACES[name]
    walk = walk_of(race)
    risks = [risk.value for risk in fourier.persistence(race, DEPTHS)]
    for depth, ours, risk in zip(DEPTHS, exact(walk, DEPTHS), risks, strict=True):
        stated = walking._relative_error(walk, depth)
        # The grid's and the convolutions' own error is 1e-6.
        assert abs(ours / risk - 1) < stated + 2e-6, (depth, ours, risk)
        assert stated < 2e-3


def test_the_horizon_is_bounded():
    walk, depth = walk_of(memoryless(0.4)), 6
    levels = horizon(walk, depth, 2**20)
    assert levels % CHUNK == 0
    (risk,) = fourier.persistence(memoryless(0.4), [levels + 1])
    bound = walking._beyond(walk, levels)
    # What comes later than the horizon is less than the bound, and negligible.
    assert risk.value < bound <= 0.01 / 2**20
    assert horizon(walk, depth, 2**24) > levels
    assert horizon(walk, 4000, 2**20) == 4000
    # Walks that are cut short say so in the upper end.
    counts = np.zeros(129, np.int64)
    counts[[0, 10]] = 10**6, 100
    longer = np.pad(counts, (0, 512))
    short, long = (walking._estimate(walk, c, depth) for c in (counts, longer))
    assert short.low == long.low
    assert short.high - long.high == pytest.approx(walking._beyond(walk, 128), rel=1e-6)


def test_validation_notices_walks_that_are_off(monkeypatch):
    (case,) = (case for case in CASES if case.name == "lattice_walk")
    assert all(check.passed for check in case.run(KEY))
    right = walking.persistence

    def off(*args, **options):
        (found,) = right(*args, **options)
        return [found._replace(value=1.1 * found.value)]

    monkeypatch.setattr(walking, "persistence", off)
    assert not any(check.passed for check in case.run(KEY))


def test_laws_levels_and_walks_are_traced():
    persistence(KEY, RACES["memoryless"], [1], walks=LANES)
    before = compilations()
    persistence(KEY, RACES["lattice, strict"], [1, 3], walks=3 * LANES)
    assert compilations() == before


def test_an_adversary_that_outgrows_the_chain_wins():
    (found,) = persistence(KEY, memoryless(0.6), [6])
    assert (found.value, found.low, found.count) == (1.0, 1.0, 0)


@pytest.mark.parametrize(
    ("race", "depths", "reason"),
    [
        (memoryless(0.1), [40], f"0 of {LANES} walks violate it, at least 10"),
        (memoryless(0.49), [1], "walks of .* levels are needed, at most 4096"),
        (memoryless(0.3), [5000], "walks of 5008 levels are needed"),
        (trials(0.001, 0.0004), [1], "two lattice laws share no grid of which 4096"),
        (trials(0.05, 0.02, math.pi / 3), [1], "two lattice laws share no grid"),
    ],
)
def test_refusals_name_what_is_missing(race, depths, reason):
    with pytest.raises(Refused, match=reason):
        persistence(KEY, race, depths, walks=LANES)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"depths": []}, "depths must be ≥ 1"),
        ({"depths": [0]}, "depths must be ≥ 1"),
        ({"walks": 0}, "walks must be from 1 to"),
        ({"walks": 2**28 + 1}, "walks must be from 1 to"),
        ({"race": memoryless(0.3, premined=True)}, "premined must be False"),
        ({"race": memoryless(0.3, delay=-1.0)}, "delay must be ≥ 0"),
    ],
)
def test_rejects_impossible_inputs(change, reason):
    given = {"race": memoryless(0.3), "depths": [1], "walks": LANES, **change}
    with pytest.raises(ValueError, match=reason):
        persistence(KEY, **given)


@pytest.mark.parametrize("levels", [0, 8, 4096 + CHUNK])
def test_rejects_levels_that_are_no_whole_chunks(levels):
    with pytest.raises(ValueError, match="levels must be a multiple of 16"):
        last_levels(KEY, walk_of(memoryless(0.3)), levels=levels, walks=1)
