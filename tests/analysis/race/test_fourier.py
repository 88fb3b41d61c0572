"""The grid engine against closed forms, enumeration and plain Monte Carlo."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from dpodl.analysis.block_time.law import (
    KNOTS,
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
    quantile,
)
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.fourier import log_persistence, persistence, smallest_depths
from dpodl.analysis.race.walk import TARGETS, Race

REFERENCE = Path(__file__).parents[2] / "reference"
DEPTHS = [1, 2, 6, 10, 50, 100, 300, 800]


def memoryless(q, dead_time=0.0, **options) -> Race:
    public, private = (exponential(r, dead_time=dead_time) for r in (1 - q, q))
    return Race(public, private, 0.0, **options)


def closed_form(q, depths, ties_win=True, premined=False):
    depths = np.asarray(depths)
    if premined:
        return races.premined_race(q, depths)
    return races.private_race(q, depths, ties_win=ties_win)


@pytest.mark.parametrize("q", [0.05, 0.25, 0.4])
@pytest.mark.parametrize(
    ("ties_win", "premined"), [(True, False), (False, False), (True, True)]
)
def test_closed_forms_to_seven_digits_however_small(q, ties_win, premined):
    # At q = .05 depth 300 is 1e-217.
    depths = [k for k in DEPTHS if q > 0.05 or k <= 300]
    found = persistence(memoryless(q, ties_win=ties_win, premined=premined), depths)
    exact = closed_form(q, depths, ties_win, premined)
    assert exact[-1] < 1e-14
    for estimate, value in zip(found, exact, strict=True):
        assert estimate.value == pytest.approx(value, rel=2e-6)
        assert estimate.low <= value <= estimate.high
        assert estimate.high - estimate.low < 2e-5 * value


@pytest.mark.parametrize(
    ("table", "column", "premined"),
    [("private_race", "z", False), ("premined_race", "k", True)],
)
def test_reference_tables(table, column, premined):
    with (REFERENCE / f"{table}.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    for q in sorted({row["q"] for row in rows}):
        some = [r for r in rows if r["q"] == q]
        found = persistence(
            memoryless(float(q), premined=premined), [int(r[column]) for r in some]
        )
        for row, estimate in zip(some, found, strict=True):
            assert estimate.value == pytest.approx(float(row["probability"]), rel=2e-6)


def test_logarithms_go_on_where_float64_ends():
    logs, errors = log_persistence(memoryless(0.1), [1000, 1001])
    assert logs[0] < -1000
    # The curve's slope: ln 4pq, less ½ ln((k+1)/k) of the square root.
    slope = math.log(0.36) - 0.5 * math.log(1001 / 1000)
    assert logs[1] - logs[0] == pytest.approx(slope, abs=1e-5)
    assert errors.max() < 1e-6


@pytest.mark.parametrize(
    ("dead_time", "published"),
    [(0.0, 0.157), (1.0, 0.191), (5.0, 0.357), (10.0, 0.578)],
)
def test_dead_time_helps_the_adversary_who_wins_ties(dead_time, published):
    # docs/science/anchors.md, Monte Carlo to ±.003; here to six digits.
    (found,) = persistence(memoryless(0.3, dead_time), [6])
    assert abs(found.value - published) < 0.004
    assert found.high - found.low < 1e-5


def test_dead_time_does_not_change_the_strict_race():
    exact = closed_form(0.3, [6, 60], ties_win=False)
    for dead_time in (1.0, 10.0):
        found = persistence(memoryless(0.3, dead_time, ties_win=False), [6, 60])
        np.testing.assert_allclose([f.value for f in found], exact, rtol=1e-6)


def enumerated(h: float, a: float, depth: int, ties_win: bool) -> float:
    """Geometric against geometric, one trial at a time: the chain of (lead, level).

    Both sides try once a round; ties in time go to the adversary.
    """
    rounds, most = 400, 60
    # state[j, m]: j public and m private blocks, no violation so far.
    state = np.zeros((most, most))
    state[0, 0] = 1.0
    reverted = 0.0
    j, m = np.indices(state.shape)
    for _ in range(rounds):
        moved = np.zeros_like(state)
        for up, p in ((0, 1 - h), (1, h)):
            for own, r in ((0, 1 - a), (1, a)):
                part = p * r * state[: most - up, : most - own]
                before = j[: most - up, : most - own]
                after = m[: most - up, : most - own] + own
                # α_j ≤ τ_{j+1}: judged with j as it was before this round's block.
                won = (before >= depth) & (after >= before + (not ties_win))
                reverted += part[won].sum()
                moved[up:, own:] += np.where(won, 0.0, part)
        state = moved
    return reverted


@pytest.mark.parametrize("ties_win", [True, False])
@pytest.mark.parametrize("depth", [1, 4])
def test_lattice_laws_are_exact_with_their_ties(depth, ties_win):
    h, a = 0.3, 0.08
    exact = enumerated(h, a, depth, ties_win)
    (found,) = persistence(Race(geometric(h), geometric(a), 0.0, ties_win), [depth])
    assert found.value == pytest.approx(exact, rel=1e-9)
    assert found.method == "grid, exact lattice"


PATHS = 20_000


def simulated(race: Race, depths: list[int]) -> list[tuple[float, float]]:
    """Straight from the event in race.py's header, 40 levels a path."""
    generator = np.random.default_rng(3)

    def draws(law, *shape):
        return quantile(law, generator.random((PATHS, *shape)))

    interval, private = draws(race.honest, 41) + race.delay, draws(race.adversary, 41)
    lead, weight = np.zeros(PATHS), np.ones(PATHS)
    if race.premined:
        for _ in range(60):
            gain = draws(race.honest) + race.delay - draws(race.adversary)
            lead = np.maximum(0.0, lead + gain)
        weight = interval[:, 0] / interval[:, 0].mean()
    tau = interval.cumsum(axis=1)
    alpha = private.cumsum(axis=1) - lead[:, None]
    early = alpha[:, :-1] if race.ties_win else alpha[:, 1:]
    behind = early <= tau[:, 1:] + race.delay + 1e-7
    risks = [behind[:, k - 1 :].any(axis=1) * weight for k in depths]
    return [(float(r.mean()), float(r.std()) / math.sqrt(PATHS)) for r in risks]


KNOWN = np.linspace(0, 40, KNOTS)
LAWS = {
    "dead time and delay": (
        exponential(0.02, dead_time=100.0),
        exponential(0.005, dead_time=100.0),
        10.0,
    ),
    "rising hazard": (
        BlockTimeLaw(0.05 * KNOWN**2, KNOWN[1], 4.0, 1.0, False),
        BlockTimeLaw(0.004 * KNOWN**2, KNOWN[1], 0.4, 1.0, False),
        0.5,
    ),
    "lattices": (geometric(0.3, trial=20.0), geometric(0.12, trial=20.0), 7.0),
    "lattices that share no grid": (
        geometric(0.3, trial=20.0, dead_time=3.3),
        geometric(0.12, trial=20.0, dead_time=3.3),
        math.pi,
    ),
    "a lattice and none": (geometric(0.3, trial=20.0), exponential(0.004), 7.0),
}


@pytest.mark.parametrize("premined", [False, True])
@pytest.mark.parametrize("ties_win", [False, True])
@pytest.mark.parametrize("name", list(LAWS))
def test_agrees_with_plain_simulation(name, ties_win, premined):
    race = Race(*LAWS[name], ties_win, premined)
    found = persistence(race, [1, 4])
    for estimate, (value, error) in zip(found, simulated(race, [1, 4]), strict=True):
        # Of 20 races and two depths none is 3.5 standard errors off by chance.
        bound = 3.5 * error + (estimate.high - estimate.low)
        assert abs(estimate.value - value) < bound


def test_the_smallest_depths_are_those_of_the_closed_form():
    for q in (0.1, 0.25, 0.4):
        depths = np.arange(1, 2500)
        for premined in (False, True):
            exact = closed_form(q, depths, premined=premined)
            found = smallest_depths(memoryless(q, premined=premined))
            for target, safe in zip(TARGETS, found, strict=True):
                assert safe.depth == 1 + int((exact > target).sum())
                assert safe.low <= safe.depth <= safe.high <= safe.low + 1
                assert safe.risk.value <= target


def test_a_target_that_one_block_meets():
    (safe,) = smallest_depths(memoryless(0.1), [0.5])
    assert (safe.depth, safe.low, safe.high) == (1, 1, 1)


def test_shape_decides_not_the_mean():
    # Same means, less chance: a steadier block time is a safer chain.
    public = exponential(1 / (1 / 0.75 - 0.5), dead_time=0.5)
    private = exponential(1 / (4.0 - 0.5), dead_time=0.5)
    (steady,) = persistence(Race(public, private, 0.0), [100])
    (rough,) = persistence(memoryless(0.25), [100])
    assert steady.value < 1e-3 * rough.value


def test_delay_only_helps_the_adversary():
    law = exponential(0.01)
    sides = fastest_of(law, 75), fastest_of(law, 25)
    risks = [persistence(Race(*sides, d), [50])[0].value for d in (0.0, 0.1, 0.2)]
    assert risks[0] < risks[1] < risks[2] < 0.01


def test_an_adversary_that_outgrows_is_certain_at_every_depth():
    found = persistence(memoryless(0.6), [1, 1000])
    assert [f.value for f in found] == [1.0, 1.0]
    assert "outgrows" in found[0].method
    with pytest.raises(Refused, match="outgrows"):
        smallest_depths(memoryless(0.6))


def test_races_too_near_their_threshold_are_refused():
    with pytest.raises(Refused, match="too near its threshold"):
        persistence(memoryless(0.4999), [10])


@pytest.mark.parametrize("depths", [[], [0], [3, -1]])
def test_depths_below_one_are_refused(depths):
    with pytest.raises(ValueError, match="depths must be ≥ 1"):
        persistence(memoryless(0.3), depths)


def test_targets_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"targets must be in \(0, 1\), got 1"):
        smallest_depths(memoryless(0.3), [1.0])
