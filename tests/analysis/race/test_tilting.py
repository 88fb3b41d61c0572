"""Two-stage tilting against closed forms and the grid engine."""

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import (
    KNOTS,
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
)
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race import fourier, tilting
from dpodl.analysis.race.tilted_paths import compilations
from dpodl.analysis.race.tilting import persistence, smallest_depths
from dpodl.analysis.race.walk import TARGETS, Race

KEY = jax.random.key(5)
DEPTHS = [1, 2, 6, 10, 50, 100, 300]
PATHS = 8192
# Each comparison with the exact value allows this many standard errors.
SIGMA = 3.0


def memoryless(q, dead_time=0.0, **options) -> Race:
    public, private = (exponential(r, dead_time=dead_time) for r in (1 - q, q))
    return Race(public, private, 0.0, **options)


def error(found) -> float:
    estimate = found.estimate
    return (estimate.high - estimate.low) / 2 / 2.13  # t of 15 degrees of freedom


def agree(found, exact) -> None:
    for one, value in zip(found, exact, strict=True):
        assert abs(one.estimate.value - value) < SIGMA * error(one), (one, value)
        assert error(one) < 0.02 * value


@pytest.mark.parametrize("q", [0.1, 0.3])
@pytest.mark.parametrize(
    ("ties_win", "premined"), [(True, False), (False, False), (True, True)]
)
def test_closed_forms(q, ties_win, premined):
    race = memoryless(q, ties_win=ties_win, premined=premined)
    depths = np.asarray(DEPTHS)
    exact = (
        races.premined_race(q, depths)
        if premined
        else races.private_race(q, depths, ties_win=ties_win)
    )
    agree(persistence(KEY, race, DEPTHS, paths=PATHS), exact)


def rising(scale: float) -> BlockTimeLaw:
    x = np.linspace(0, 40, KNOTS)
    return BlockTimeLaw(scale * x**2, x[1], 80 * scale, 1.0, False)


LAWS = {
    "dead time and delay": (
        exponential(0.02, dead_time=100.0),
        exponential(0.005, dead_time=100.0),
        10.0,
    ),
    "rising hazard": (rising(0.05), rising(0.004), 0.5),
    "lattices, ties count": (
        geometric(0.3, trial=20.0),
        geometric(0.12, trial=20.0),
        0.0,
    ),
    "lattices and delay": (
        fastest_of(geometric(0.004, trial=20.0, dead_time=3.0), 75),
        fastest_of(geometric(0.004, trial=20.0, dead_time=3.0), 25),
        5.0,
    ),
    "a lattice and none": (geometric(0.3, trial=20.0), exponential(0.004), 7.0),
}


@pytest.mark.parametrize("premined", [False, True])
@pytest.mark.parametrize("ties_win", [False, True])
@pytest.mark.parametrize("name", list(LAWS))
def test_agrees_with_the_grid(name, ties_win, premined):
    race = Race(*LAWS[name], ties_win, premined)
    exact = [e.value for e in fourier.persistence(race, [1, 6, 40])]
    agree(persistence(KEY, race, [1, 6, 40], paths=PATHS), exact)


@pytest.mark.parametrize(
    ("dead_time", "published"),
    [(0.0, 0.157), (1.0, 0.191), (5.0, 0.357), (10.0, 0.578)],
)
def test_dead_time_helps_the_adversary_who_wins_ties(dead_time, published):
    (found,) = persistence(KEY, memoryless(0.3, dead_time), [6], paths=PATHS)
    assert abs(found.estimate.value - published) < 0.004 + SIGMA * error(found)


def test_smallest_depths_of_the_closed_form():
    depths = np.arange(1, 400)
    exact = races.private_race(0.25, depths)
    found = smallest_depths(KEY, memoryless(0.25))
    for target, safe in zip(TARGETS, found, strict=True):
        assert safe.low <= 1 + int((exact > target).sum()) <= safe.high
        assert safe.high - safe.low <= 1
        half = (safe.risk.high - safe.risk.low) / 2
        assert half < 0.02 * safe.risk.value
        assert safe.low - 1 <= safe.depth <= safe.high
    assert found[-1].target == 2.0**-128


def test_a_target_that_one_block_meets():
    (safe,) = smallest_depths(KEY, memoryless(0.1), [0.5], paths=1)
    assert (safe.depth, safe.low, safe.high) == (1, 1, 1)


@pytest.mark.slow
def test_smallest_depths_near_the_threshold_by_strides():
    # e^K(θ_0) = .99: a depth changes the risk by less than its error.
    race = memoryless(0.45)
    found = smallest_depths(KEY, race, [1e-3, 1e-9], paths=PATHS)
    exact = fourier.smallest_depths(race, [1e-3, 1e-9])
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.low - 2 <= theirs.depth <= ours.high + 2


def test_float_trap_far_below_float32_and_float64():
    (found,) = persistence(KEY, memoryless(0.1), [1000], paths=PATHS)
    exact, _ = fourier.log_persistence(memoryless(0.1), [1000])
    assert found.estimate.value == 0.0
    assert found.log_value == pytest.approx(exact[0], abs=0.1)
    assert found.log_value < -1000


def test_float_trap_a_dead_time_of_a_million_levels_cancels():
    far = memoryless(0.3, 1e6, ties_win=False)
    (found,) = persistence(KEY, far, [30], paths=PATHS)
    agree([found], [races.private_race(0.3, 30, ties_win=False)])


def test_the_same_key_is_the_same_answer():
    first, second = (persistence(KEY, memoryless(0.2), [5], paths=1) for _ in range(2))
    assert first == second
    other = persistence(jax.random.key(6), memoryless(0.2), [5], paths=1)
    assert other != first


def test_more_depths_than_a_call_holds():
    depths = list(range(1, 41))
    found = persistence(KEY, memoryless(0.2), depths, paths=1)
    values = [f.estimate.value for f in found]
    assert len(values) == 40
    assert (np.diff(values) < 0).all()


def test_all_laws_depths_and_rules_compile_once():
    persistence(KEY, memoryless(0.2), [5], paths=1)
    before = compilations()
    for name in LAWS:
        race = Race(*LAWS[name], name == "rising hazard", name != "rising hazard")
        persistence(KEY, race, [1, 2, 3], paths=1)
    assert compilations() == before


def test_effective_paths_are_counted_and_too_few_are_refused(monkeypatch):
    (found,) = persistence(KEY, memoryless(0.2), [5], paths=1)
    assert 2000 < found.effective <= found.estimate.count == 4096
    monkeypatch.setattr(tilting, "_MINIMUM_EFFECTIVE", 4000.0)
    with pytest.raises(Refused, match="effective of 4096 paths, at least 4000"):
        persistence(KEY, memoryless(0.2), [50], paths=1)


def test_heavy_tails_are_refused():
    x = 0.05 * np.arange(KNOTS)
    pareto = BlockTimeLaw(3 * np.log1p(x), 0.05, 3 / (1 + x[-1]), 0.0, False)
    with pytest.raises(Refused, match=r"heavy tail, where the race is even"):
        persistence(KEY, Race(pareto, exponential(0.3), 0.0), [6])


def test_an_adversary_that_outgrows_is_certain_at_every_depth():
    (found,) = persistence(KEY, memoryless(0.5), [100])
    assert (found.estimate.value, found.log_value) == (1.0, 0.0)
    with pytest.raises(Refused, match="outgrows"):
        smallest_depths(KEY, memoryless(0.5))


def test_races_too_near_their_threshold_are_refused():
    with pytest.raises(Refused, match="more than 512 records"):
        persistence(KEY, memoryless(0.495), [5], paths=1)


@pytest.mark.parametrize("paths", [0, tilting.MAXIMUM_PATHS + 1])
def test_no_paths_and_too_many_are_refused(paths):
    with pytest.raises(ValueError, match=f"paths must be from 1 to .*, got {paths}"):
        persistence(KEY, memoryless(0.3), [5], paths=paths)
    with pytest.raises(ValueError, match=f"paths must be from 1 to .*, got {paths}"):
        smallest_depths(KEY, memoryless(0.3), paths=paths)


@pytest.mark.parametrize("depths", [[], [0]])
def test_depths_below_one_are_refused(depths):
    with pytest.raises(ValueError, match="depths must be ≥ 1"):
        persistence(KEY, memoryless(0.3), depths)


def test_targets_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"targets must be in \(0, 1\), got 0"):
        smallest_depths(KEY, memoryless(0.3), [0.0])
