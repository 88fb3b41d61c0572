"""Figures of a design's points, found quickly, against the library's slower ways."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment import quick
from dpodl.analysis.assessment.quick import FIGURES, Found, Point, quick_figures
from dpodl.analysis.block_time.empirical import Lottery
from dpodl.analysis.block_time.law import cv, fastest_of, mean
from dpodl.analysis.block_time.uncertain import uncertain_law
from dpodl.analysis.confirmations import point_races
from dpodl.analysis.confirmations.depths import safe_depths
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.simulation.chain_rates import Case, ChainRates, chain_rates
from dpodl.analysis.simulation.levels import network

from tests.analysis.formula_curves import formula_curves

HONEST, CORRUPTED, DELAY, RESAMPLES = 15, 5, 25.0, 24
CURVES = formula_curves(31, 192)
LOTTERIES = [
    Lottery(0.93, 2**-15, 2**-3, 150.0, "continue", 2000),
    Lottery(0.90, 2**-13, 2**-5, 150.0, "continue", 2000),
    Lottery(0.92, 2**-14, 2**-1, 150.0, "restart", 2000),
]
KEY = jax.random.key(5)


def _points(**changes):
    points = [Point(each, HONEST, CORRUPTED, DELAY) for each in LOTTERIES]
    return [point._replace(**changes) for point in points]


def _all_found(points, resamples: int, **others) -> list[Found]:
    found = quick_figures(KEY, 2, CURVES, points, resamples, **others)
    known = [each for each in found if isinstance(each, Found)]
    assert len(known) == len(points)
    return known


@pytest.fixture(scope="module")
def figures():
    found = _all_found(_points(), RESAMPLES)
    return [{m.place: m.estimate for m in each.measurements} for each in found]


@pytest.fixture(scope="module")
def laws():
    return [uncertain_law(2, CURVES, each, RESAMPLES) for each in LOTTERIES]


def _widths(one, other):
    return math.log(one.high / one.low) / math.log(other.high / other.low)


@pytest.mark.parametrize("number", range(len(LOTTERIES)))
def test_a_laws_figures_are_the_laws(number, figures, laws):
    law = laws[number]
    for n in (1, HONEST):
        for name, figure in (("mean", mean), ("cv", cv)):
            found = figures[number][f"block_time_{name}", n]
            slow = law.measured(
                lambda one, f=figure, k=n: f(fastest_of(one, k)),
                basis=law.basis(n),
                lacking=math.inf,
            )
            assert found.value == pytest.approx(slow.value, rel=1e-8)
            assert found.count == slow.count == RESAMPLES
            # A CV of one prover is where mixtures are less like tables (mixtures.py).
            most = 1.5 if name == "mean" or n > 1 else 3.0
            assert 0.66 < _widths(found, slow) < most, (name, n)


@pytest.mark.parametrize("number", range(len(LOTTERIES)))
def test_confirmations_are_those_of_the_grid(number, figures, laws):
    targets = (1e-3, 1e-9, 2.0**-40, 2.0**-128)

    def networks(law):
        return network(law, provers=20, beta=0.25, delay_steps=DELAY)

    for premined in (False, True):
        slow = safe_depths(laws[number], networks, targets=targets, premined=premined)
        for m in slow:
            found = figures[number][m.quantity, m.at]
            assert abs(found.value - m.estimate.value) <= 1
            assert found.low <= found.value <= found.high
            assert all(x == round(x) for x in found[:3])
            # Whole depths of few resamples: their ends are good to a block.
            assert found.low == pytest.approx(m.estimate.low, rel=0.1, abs=2)
            assert found.high == pytest.approx(m.estimate.high, rel=0.15, abs=3)


def test_growth_and_forks_spread_as_simulated_resamples_do(figures, laws):
    for number, law in enumerate(laws):
        cases = [Case(one, float(HONEST), DELAY) for one in law.resamples]
        # The same draws for all: what differs is the law.
        found = chain_rates(KEY, cases, rounds=4)
        chains = [each for each in found if isinstance(each, ChainRates)]
        assert len(chains) == RESAMPLES
        for name, simulated in (
            ("chain_growth", [each.growth.value for each in chains]),
            ("stale_rate", [each.stale.value for each in chains]),
        ):
            found = figures[number][name, None]
            value = math.log(found.value)
            spread = float(np.std(np.log(simulated), ddof=1))
            # t of 23 degrees is 2.07, of the least that a basis leaves 2.9.
            reach = max(math.log(found.high) - value, value - math.log(found.low))
            assert 1.4 * spread < reach < 4.5 * spread + 0.02, (number, name)


def test_points_depend_on_no_other(figures):
    for number in range(len(LOTTERIES)):
        (alone,) = _all_found([_points()[number]], RESAMPLES)
        for m in alone.measurements:
            beside = figures[number][m.place]
            assert m.estimate[:3] == pytest.approx(beside[:3], rel=1e-5)


def test_a_refused_law_takes_no_other_with_it():
    hard = LOTTERIES[0]._replace(t_acc=0.999, abandon_steps=100)
    hard = Point(hard, HONEST, CORRUPTED, DELAY)
    refused, found = quick_figures(KEY, 2, CURVES, [hard, _points()[0]], 4)
    assert isinstance(refused, Refused)
    assert "reached it" in str(refused)
    assert isinstance(found, Found)


def test_an_adversary_that_outgrows_leaves_no_depth():
    (found,) = _all_found(_points(honest=8, adversarial=12)[:1], 6)
    depths = [m for m in found.measurements if m.quantity.startswith("safe_depth")]
    assert len(depths) == 2 * 5
    assert all(math.isinf(m.estimate.value) for m in depths)
    assert all("outgrows" in m.estimate.method for m in depths)
    (unsafe,) = [m for m in found.measurements if m.quantity == "unsafe_depth"]
    assert math.isinf(unsafe.estimate.low)
    (growth,) = [m for m in found.measurements if m.quantity == "private_growth"]
    assert 1 < growth.estimate.low < growth.estimate.value


def test_without_an_adversary_there_is_no_race():
    (found,) = _all_found(_points(honest=20, adversarial=0)[:1], 6)
    names = {m.quantity for m in found.measurements}
    assert names == {"block_time_mean", "block_time_cv", "chain_growth", "stale_rate"}


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_not_asked_for_is_not_there_and_the_rest_is_the_same(name, figures):
    (found,) = _all_found(_points()[:1], RESAMPLES, figures=[name])
    rows = {
        "block_times": 4,
        "growth": 1,
        "forks": 1,
        "confirmations": 2 * 5 + 2,
    }
    assert len(found.measurements) == rows[name]
    for m in found.measurements:
        whole = figures[0][m.place]
        assert m.estimate[:3] == pytest.approx(whole[:3], rel=1e-6)


def test_points_of_one_law_share_it(monkeypatch):
    points = [
        point
        for delay in (5.0, 25.0)
        for honest in (15, 17)
        for point in _points(delay=delay, honest=honest, adversarial=20 - honest)[:1]
    ]
    alone = [_all_found([point], 6)[0] for point in points]
    made = []
    whole = quick.empirical_law
    monkeypatch.setattr(
        quick, "empirical_law", lambda *a, **k: made.append(a) or whole(*a, **k)
    )
    for one, other in zip(alone, _all_found(points, 6), strict=True):
        for m, n in zip(one.measurements, other.measurements, strict=True):
            assert m.place == n.place
            assert m.estimate[:3] == pytest.approx(n.estimate[:3], rel=1e-5)
    assert len(made) == 1


def test_where_no_coarse_grid_serves_the_saddle_point_does(figures, monkeypatch):
    monkeypatch.setattr(point_races, "coarse_race", lambda *_: None)
    (found,) = _all_found(_points()[:1], RESAMPLES)
    for m in found.measurements:
        if m.quantity.startswith("safe_depth"):
            assert "saddle point" in m.estimate.method
            assert m.estimate.value == pytest.approx(
                figures[0][m.place].value, rel=0.25
            )


def test_without_resamples_only_the_simulation_errs():
    (found,) = _all_found(_points()[:1], 0)
    for m in found.measurements:
        assert "no error of the training runs" in m.estimate.method
