"""Mixtures of the runs' own laws, against a table for every resample."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time import effective_runs as er
from dpodl.analysis.block_time.empirical import (
    Lottery,
    bootstrap_laws,
    empirical_law,
    fastest_of,
)
from dpodl.analysis.block_time.law import mean_and_cv
from dpodl.analysis.block_time.mixtures import (
    bases,
    mean_and_cv as of_mixtures,
    mixtures,
    race_basis,
    shares,
)

from tests.analysis.formula_curves import formula_curves

RESAMPLES = 150
CASES = {
    "given up": Lottery(0.93, 2**-15, 2**-3, 150.0, "continue", 2000),
    "hardly given up": Lottery(0.90, 2**-13, 2**-5, 150.0, "continue", 2000),
    "often given up": Lottery(0.95, 2**-14, 2**-1, 150.0, "continue", 500),
    "restart": Lottery(0.92, 2**-14, 2**-2, 150.0, "restart", 2000),
}


def _log_figures(name: str, population: int, provers: int):
    curves = formula_curves(3, 192, population=population)
    law = empirical_law(curves, CASES[name]).law
    tables = bootstrap_laws(4, curves, CASES[name], RESAMPLES)
    mixed = mixtures(4, curves, CASES[name], law, RESAMPLES)
    by_table = np.log([mean_and_cv(fastest_of(one, provers)) for one in tables]).T
    by_mixture = np.log(of_mixtures(mixed.drawn, mixed.times, provers))
    return by_table, by_mixture


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("population", [1000, 10_000])
@pytest.mark.parametrize("provers", [1, 15])
def test_resamples_spread_as_their_tables_do(name, population, provers):
    by_table, by_mixture = _log_figures(name, population, provers)
    # The same runs are drawn, and the same looks are moved to the same side.
    for place, (least, most) in enumerate([(0.85, 1.2), (0.7, 2.5)]):
        ratio = by_mixture[place].std() / by_table[place].std()
        assert least < ratio < most, (place, ratio)
    together = np.corrcoef(by_table[0], by_mixture[0])[0, 1]
    assert together > (0.95 if population == 1000 else 0.85)


def test_without_later_models_the_spread_would_be_too_small(monkeypatch):
    from dpodl.analysis.block_time import mixtures as module

    curves = formula_curves(3, 192, population=1000)
    lottery = CASES["restart"]
    law = empirical_law(curves, lottery).law
    whole = mixtures(4, curves, lottery, law, RESAMPLES)
    monkeypatch.setattr(module, "_with_later_models", lambda found, times, first: first)
    first = mixtures(4, curves, lottery, law, RESAMPLES)
    spread, less = (
        np.log(of_mixtures(each.drawn, each.times, 1)[0]).std()
        for each in (whole, first)
    )
    # A model in four wins at its first ticket: the others start again.
    assert less < 0.5 * spread


def test_all_runs_once_are_the_whole():
    curves = formula_curves(5, population=1000)
    law = empirical_law(curves, CASES["given up"]).law
    mixed = mixtures(0, curves, CASES["given up"], law, 0)
    counted = er.run_laws(curves, CASES["given up"], law)
    np.testing.assert_allclose(mixed.times, counted.times[::2])
    # A fresh model's law is read off the grid, which is half as fine.
    every = counted.survival[:, ::2]
    np.testing.assert_allclose(mixed.runs.survival, every, atol=1e-3)
    np.testing.assert_allclose(mixed.whole, every.mean(axis=0), atol=1e-4)
    assert mixed.drawn.shape == (0, len(mixed.times))


def test_shares_are_those_of_the_library():
    generator = np.random.default_rng(7)
    drawn, error = generator.integers(30, size=30), generator.standard_normal((30, 1))
    one = shares(7, 30, 1, False)[0]
    np.testing.assert_array_equal(one, np.bincount(drawn, minlength=30) / 30)
    two = shares(7, 30, 3, True)
    np.testing.assert_allclose(two.sum(axis=1), 1.0)
    np.testing.assert_allclose(two[0, :30] + two[0, 30:], one)
    up = np.bincount(drawn[error[:, 0] >= 0], minlength=30) / 30
    np.testing.assert_allclose(two[0, :30], up)


@pytest.mark.parametrize("name", CASES)
def test_bases_are_those_of_leaving_runs_out(name):
    curves = formula_curves(6, 192, population=1000)
    law = empirical_law(curves, CASES[name]).law
    mixed = mixtures(0, curves, CASES[name], law, 0)
    counted = er.run_laws(curves, CASES[name], law)
    for n, found in zip((1, 5, 15), bases(mixed, (1, 5, 15)), strict=True):
        for one, other in zip(found, er.fastest(counted, n), strict=True):
            assert one.runs == pytest.approx(other.runs, rel=0.12)
            if one.freedom > 8 or other.freedom > 8:
                assert one.freedom == pytest.approx(other.freedom, rel=0.35)
            assert one.skew == pytest.approx(other.skew, abs=0.02)
    public = bases(mixed, (15,))[0][0]
    theta = 0.3 / float(mixed.times[-1]) * math.log(2)
    one = race_basis(mixed, 15, 5, theta, public)
    other = er.tilted(counted, 15, 5, theta)
    assert one.runs == pytest.approx(other.runs, rel=0.12)
    assert one.freedom == pytest.approx(other.freedom, rel=0.35)
