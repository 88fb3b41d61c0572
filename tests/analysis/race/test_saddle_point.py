"""Confirmations by the saddle point and on coarse grids, against the library's scalar
one and against ``fourier.py``."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.empirical import empirical_law
from dpodl.analysis.block_time.law import exponential, fastest_of, survival
from dpodl.analysis.block_time.mixtures import mixtures
from dpodl.analysis.race.atoms import atoms_of, condensed
from dpodl.analysis.race.coarse import coarse_race
from dpodl.analysis.race.fourier import smallest_depths
from dpodl.analysis.race.saddle_point import (
    Walks,
    depth_estimate,
    depths_of,
    saddles,
    tail_share,
)
from dpodl.analysis.race.walk import Race, outgrows, tilts

from tests.analysis.formula_curves import formula_curves, lotteries

RISKS = (1e-3, 1e-9)
CURVES = formula_curves(11)


def _settings(seed: int, count: int):
    generator = np.random.default_rng(seed)
    for lottery in lotteries(seed, count):
        law = empirical_law(CURVES, lottery, damped=True).law
        honest = int(generator.choice([14, 15, 16, 18]))
        delay = float(generator.choice([5.0, 25.0, 60.0]))
        # The transforms' rounding may leave 1e-15 in front, which no race takes.
        knots = np.asarray(law.cumulative_hazard)
        law = law._replace(cumulative_hazard=knots - knots[0])
        yield law, honest, 20 - honest, delay


def _race(law, honest, corrupted, delay, *, premined=False):
    against = fastest_of(law, corrupted)
    return Race(fastest_of(law, honest), against, delay, premined=premined)


def _walks(law, honest, corrupted, delay):
    return Walks(condensed(law, honest), condensed(law, corrupted), delay)


@pytest.mark.parametrize("seed", range(2))
def test_depths_are_those_of_the_fine_grids(seed):
    off, judged = [], 0
    for setting in _settings(seed, 7):
        if outgrows(_race(*setting)):
            continue
        walks = _walks(*setting)
        found = coarse_race(walks, saddles(walks), RISKS)
        assert found is not None
        for premined in (False, True):
            race = _race(*setting, premined=premined)
            depths = found.depths(RISKS, premined=premined)
            for depth, safe in zip(depths, smallest_depths(race, RISKS), strict=True):
                judged += 1
                # Not rounded: the next whole number is the depth.
                off.append(math.ceil(depth - 1e-6) - safe.depth)
                assert abs(depth + 0.5 - safe.depth) < 0.6 + 2e-3 * safe.depth
    assert judged >= 20
    assert np.mean(np.array(off) == 0) > 0.9


@pytest.mark.slow
def test_deep_confirmations_by_the_tail_are_the_grids_on_a_hundred_races():
    deep = (2.0**-40, 2.0**-64, 2.0**-128)
    off = []
    for setting in _settings(21, 60):
        if outgrows(_race(*setting)):
            continue
        walks = _walks(*setting)
        found = coarse_race(walks, saddles(walks), RISKS)
        assert found is not None
        for premined in (False, True):
            depths = found.depths(deep, premined=premined)
            race = _race(*setting, premined=premined)
            for depth, safe in zip(depths, smallest_depths(race, deep), strict=True):
                # Outside of (k − 1, k], whose end is the grid's k.
                off.append(max(depth - safe.depth, safe.depth - 1 - depth, 0.0))
    assert len(off) >= 3 * 100
    assert max(off) < 0.06


@pytest.mark.parametrize("premined", [False, True])
def test_many_at_once_are_the_scalar_saddle_points(premined):
    for setting in _settings(7, 6):
        race = _race(*setting, premined=premined)
        found = saddles(_walks(*setting))
        for risk in RISKS:
            (depth,) = depths_of(found, risk, premined=premined)
            if outgrows(race):
                assert math.isnan(depth)
            else:
                assert depth == pytest.approx(depth_estimate(race, risk), rel=2e-3)
        if not outgrows(race):
            tilt = tilts(race)
            assert found.theta_0[0] == pytest.approx(tilt.theta_0, rel=1e-4)
            assert found.theta_star[0] == pytest.approx(tilt.theta_star, rel=1e-3)
            assert found.spread[0] == pytest.approx(tilt.spread, rel=1e-3)


def test_rows_depend_on_no_other_row_and_not_on_where_they_begin():
    lottery = lotteries(3, 1)[0]
    law = empirical_law(CURVES, lottery).law
    mixed = mixtures(1, CURVES, lottery, law, 12)
    alive = np.concatenate([survival(law, mixed.times)[None], mixed.drawn])
    # One law with whose blocks the adversary's outgrow the others', delay and all.
    hopeless = np.exp(-mixed.times / 200.0)
    alive = np.concatenate([alive, hopeless[None]])

    def race(rows):
        return Walks(
            atoms_of(rows, mixed.times, 15), atoms_of(rows, mixed.times, 5), 60.0
        )

    whole = saddles(race(alive))
    near = saddles(race(alive), saddles(race(alive[:1])))
    assert math.isnan(whole.theta_0[-1])
    assert math.isnan(near.theta_0[-1])
    depths = depths_of(whole, 1e-9)
    for row in range(len(alive) - 1):
        alone = depths_of(saddles(race(alive[row : row + 1])), 1e-9)
        assert depths[row] == pytest.approx(alone[0], rel=1e-7)
    np.testing.assert_allclose(depths_of(near, 1e-9), depths, rtol=1e-7)


def test_a_tail_is_exponential_behind_the_atoms():
    # Knots to 128 means of one prover: of 15, the table ends beyond what counts; of
    # a thousandth of a prover it holds an eighth of a mean.
    law = exponential(0.001)
    part = condensed(law, 0.001)
    assert part.tail is not None
    walks = Walks(part, condensed(law, 0.0005), 10.0)
    found = saddles(walks)
    # For exponential laws of rates h and a: θ* is the root of
    # ln h/(h − θ) + ln a/(a + θ) + θΔ, and Δ = 0 makes it h − a.
    still = saddles(walks._replace(delay=0.0))
    assert still.theta_star[0] == pytest.approx(0.5e-6, rel=1e-5)
    assert still.theta_0[0] == pytest.approx(0.25e-6, rel=1e-5)
    assert found.theta_star[0] < still.theta_star[0]
    share = float(tail_share(part, still.theta_0)[0])
    # Of ∫ x e^{−(h − θ)x} beyond x = 128 · 1000 steps, by the means.
    x = (1e-6 - still.theta_0[0]) * float(part.tail[1])
    assert share == pytest.approx((1 + x) * math.exp(-x), rel=1e-3)
    assert coarse_race(walks, found, RISKS) is None


def test_memoryless_tilts_of_the_atoms():
    law = exponential(1 / 700.0)
    found = saddles(Walks(condensed(law, 15), condensed(law, 5), 0.0))
    assert found.theta_star[0] == pytest.approx(10 / 700, rel=1e-5)
    assert found.theta_0[0] == pytest.approx(5 / 700, rel=1e-5)
    # E[e^{θH}] E[e^{−θA}] at θ_0 is 15·5/10².
    assert found.log_rate[0] == pytest.approx(math.log(0.75), rel=1e-5)
