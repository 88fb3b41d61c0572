"""Differences against closed forms, and against resampling done by brute force."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.empirical import Lottery, empirical_law
from dpodl.analysis.block_time.law import cv, mean
from dpodl.analysis.block_time.uncertain import uncertain_law
from dpodl.analysis.estimation.differences import (
    paired_difference,
    unpaired_difference,
)
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.estimation.training_error import Basis, Drawn

from ..formula_curves import formula_curves


def exact(value, count=100) -> Estimate:
    return Estimate(float(value), float(value), float(value), count, "exact")


def drawn(samples: np.ndarray, picked: np.ndarray) -> Drawn:
    """The mean of some samples and of resamples of them."""
    return Drawn(exact(samples.mean()), tuple(samples[picked].mean(axis=1).tolist()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.9, 1.0])
def test_the_paired_error_is_that_of_the_difference(seed, correlation):
    """Means of pairs (X, Y): Var(Ȳ − X̄) = (σ² + τ² − 2ρστ)/n, whatever ρ is."""
    generator = np.random.default_rng(seed)
    n, resamples, sigma, tau = 200, 2000, 1.0, 2.0
    one, more = generator.standard_normal((2, n))
    x = 5 + sigma * one
    y = 9 + tau * (correlation * one + math.sqrt(1 - correlation**2) * more)
    picked = generator.integers(n, size=(resamples, n))
    found = paired_difference(drawn(x, picked), drawn(y, picked))
    truth = math.sqrt((sigma**2 + tau**2 - 2 * correlation * sigma * tau) / n)
    assert found.standard_error == pytest.approx(truth, rel=0.2)
    # The plug-in value of these very samples, which B resamples know to ±1/√(2B).
    plugin = np.std(y - x) / math.sqrt(n)
    assert found.standard_error == pytest.approx(plugin, rel=0.07)
    assert found.estimate.value == pytest.approx(y.mean() - x.mean())
    assert found.in_errors == pytest.approx(found.estimate.value / found.standard_error)
    # Independent resamples of either do not know of the correlation.
    apart = drawn(y, generator.integers(n, size=(resamples, n)))
    blind = paired_difference(drawn(x, picked), apart).standard_error
    assert blind == pytest.approx(math.sqrt((sigma**2 + tau**2) / n), rel=0.2)


def test_the_interval_covers_the_difference():
    generator = np.random.default_rng(1)
    n, covered, trials = 60, 0, 400
    for _ in range(trials):
        one, more = generator.standard_normal((2, n))
        picked = generator.integers(n, size=(24, n))
        x, y = one, 1 + one + 0.3 * more
        basis = Basis(n, n - 1.0)
        e = paired_difference(
            drawn(x, picked), drawn(y, picked), bases=(basis, basis)
        ).estimate
        covered += e.low <= 1 <= e.high
    # 95 % ± four standard errors of so many trials.
    assert covered / trials == pytest.approx(0.95, abs=4 * math.sqrt(0.0475 / trials))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("figure", [mean, cv])
def test_two_lotteries_on_the_same_runs_against_brute_force(seed, figure):
    """Other resamples of the same runs, their laws made one by one."""
    curves = formula_curves(seed, runs=48, population=1000)
    lotteries = [
        Lottery(0.85, 2.0**-15, p_2, 150.0, "continue", 1000) for p_2 in (0.5, 0.8)
    ]
    kept = []
    for lottery in lotteries:
        law = uncertain_law(seed, curves, lottery, 48, by_run=False)
        values = tuple(float(figure(each)) for each in law.resamples)
        kept.append(Drawn(exact(figure(law.law)), values))
    found = paired_difference(*kept)
    generator = np.random.default_rng([seed, 99])
    apart: list[list[float]] = [[], []]
    for _ in range(60):
        picked = generator.integers(48, size=48)
        some = curves._replace(
            initializations=tuple(curves.initializations[i] for i in picked),
            correct=curves.correct[picked],
            loss=curves.loss[picked],
        )
        for values, lottery in zip(apart, lotteries, strict=True):
            values.append(float(figure(empirical_law(some, lottery).law)))
    one, other = map(np.array, apart)
    truth = np.std(other - one, ddof=1)
    # Two deviations of 48 and 60 draws: ±14 % one standard error of their ratio.
    assert found.standard_error == pytest.approx(truth, rel=0.45)
    # The two figures move together: as if independent they would be much less sure.
    both = math.hypot(np.std(one, ddof=1), np.std(other, ddof=1))
    assert found.standard_error < 0.8 * both


def test_a_figure_does_not_differ_from_itself():
    one = Drawn(exact(3.0), (2.0, 3.5, 4.0), (2.5, 3.5), 3.0)
    found = paired_difference(one, one)
    assert found.estimate[:3] == (0.0, 0.0, 0.0)
    assert (found.standard_error, found.in_errors) == (0.0, 0.0)


def test_the_law_beyond_the_horizon_is_common_too():
    """Extremes move a figure by what is left of them after the other's move."""
    one = Drawn(exact(3.0), (3.0, 3.0), (2.0, 5.0), 3.0)
    other = Drawn(exact(4.0), (4.0, 4.0), (3.0, 6.5), 4.0)
    e = paired_difference(one, other).estimate
    assert e[:3] == pytest.approx((1.0, 1.0, 1.5))


def test_simulation_is_added_as_independent():
    one = Drawn(Estimate(3.0, 2.0, 4.0, 9, ""), (3.0, 4.0, 2.0))
    other = Drawn(Estimate(7.0, 4.6, 9.4, 5, ""), (7.0, 8.0, 6.0))
    found = paired_difference(one, other)
    assert found.standard_error == pytest.approx(2.6 / 1.959964, rel=1e-6)
    assert found.estimate.count == 5
    apart = unpaired_difference(one.own, other.own)
    assert apart.estimate[:3] == pytest.approx((4.0, 4.0 - 2.6, 4.0 + 2.6))
    assert apart.standard_error == pytest.approx(found.standard_error)


def test_ratios_are_differences_of_logarithms():
    one = Drawn(exact(1e-3), (1e-3, 2e-3, 5e-4))
    other = Drawn(exact(1e-5), (1e-5, 2e-5, 5e-6))
    found = paired_difference(one, other, ratio=True)
    assert found.estimate.value == pytest.approx(0.01)
    # Every resample moves both by the same factor.
    assert found.standard_error == pytest.approx(0.0, abs=1e-12)
    wide = unpaired_difference(
        Estimate(1e-3, 5e-4, 2e-3, 9, ""), Estimate(1e-5, 0.0, 2e-5, 9, ""), ratio=True
    ).estimate
    assert wide.low == 0.0
    assert wide.high == pytest.approx(0.01 * 2 ** math.sqrt(2))


@pytest.mark.parametrize(
    ("first", "second", "ratio", "says"),
    [
        (math.inf, 3.0, False, "a difference needs two finite figures, found inf"),
        (0.0, 3.0, True, "a ratio needs two figures above 0, found 0 and 3"),
    ],
)
def test_what_has_no_difference_is_refused(first, second, ratio, says):
    with pytest.raises(Refused, match=says):
        unpaired_difference(exact(first), exact(second), ratio=ratio)
    one, other = (Drawn(exact(x), (1.0, 2.0)) for x in (first, second))
    with pytest.raises(Refused, match=says):
        paired_difference(one, other, ratio=ratio)


def test_resamples_must_have_both_figures():
    one = Drawn(exact(3.0), (3.0, math.nan, 4.0))
    other = Drawn(exact(3.0), (math.nan, 3.0, 4.0))
    with pytest.raises(Refused, match="a paired difference needs two resamples that"):
        paired_difference(one, other)
    more = Drawn(exact(3.0), (5.0, 3.0, 4.5, 9.0))
    found = paired_difference(one, more)
    assert found.standard_error == pytest.approx(np.std([2.0, 0.5], ddof=1))
