"""Measured times become a law: Kaplan–Meier between atoms, its rest, its resamples."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.law import cv, mean, survival
from dpodl.analysis.block_time.observed import kaplan_meier, observed_law
from dpodl.analysis.estimation.estimate import Refused
from scipy import stats


def gamma_times(seed: int, count: int) -> np.ndarray:
    return 20.0 + np.random.default_rng(seed).gamma(4.0, 20.0, count)


@pytest.mark.parametrize("seed", [1, 2])
def test_kaplan_meier_is_that_of_scipy(seed):
    times = np.round(gamma_times(seed, 80))
    limit = np.random.default_rng(seed + 50).exponential(200.0, 80)
    cut = times > limit
    times = np.minimum(times, np.ceil(limit))
    at, alive = kaplan_meier(times, cut)
    known = stats.ecdf(stats.CensoredData(times[~cut], right=times[cut])).sf
    assert alive == pytest.approx(known.evaluate(at), abs=1e-12)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_law_keeps_mean_spread_and_shape(seed):
    times = gamma_times(seed, 400)
    law = observed_law(seed, times).law
    assert mean(law) == pytest.approx(times.mean(), rel=2e-3)
    assert cv(law) == pytest.approx(times.std() / times.mean(), rel=1e-2)
    for level in (0.1, 0.5, 0.9):
        at = np.quantile(times, level)
        assert survival(law, at) == pytest.approx(1 - level, abs=5e-3)


def test_attempts_that_were_cut_off_make_it_no_faster():
    times = gamma_times(5, 2000)
    limit = np.random.default_rng(6).uniform(20.0, 300.0, 2000)
    cut = times > limit
    found = observed_law(0, np.minimum(times, limit), cut)
    assert mean(found.law) == pytest.approx(times.mean(), rel=0.03)
    assert found.reached == (~cut).sum()
    # Taken for ended they would be a tenth too short, or more.
    naive = observed_law(0, np.minimum(times, limit)).law
    assert mean(naive) < 0.9 * times.mean()


def test_what_lies_beyond_is_bracketed():
    times = gamma_times(7, 300)
    limit = np.quantile(times, 0.98)
    cut = times > limit
    found = observed_law(0, np.minimum(times, limit), cut, resamples=3)
    slowest, fastest = found.extremes
    assert mean(fastest) < mean(found.law) < mean(slowest)
    assert mean(fastest) < times.mean() < mean(slowest)
    assert found.known_until == times[~cut].max()
    assert found.by_run is not None
    whole = found.by_run.survival.mean(axis=0)
    assert whole == pytest.approx(survival(found.law, found.by_run.times), abs=0.02)


def test_intervals_cover_the_mean():
    covered = 0
    for seed in range(40):
        law = observed_law(seed, gamma_times(100 + seed, 60), resamples=24)
        found = law.measured(mean, basis=law.basis(1))
        covered += found.low <= 100.0 <= found.high
    assert covered >= 35  # of 38 expected; below 35 in 2 % of such tests


@pytest.mark.parametrize(
    ("times", "cut", "told"),
    [
        (
            [1, 2, 3, 4, 5, 6],
            [0, 0, 0, 0, 1, 1],
            "4 of 6 attempts ended, at least 5 are needed",
        ),
        ([3, 3, 3, 3, 3, 3], [0] * 6, "all 6 that ended took 3"),
        ([1, 2, 3, 4, 5, 9], [0, 0, 0, 0, 0, 1], "beyond the last attempt that"),
    ],
)
def test_what_times_do_not_say_is_refused(times, cut, told):
    with pytest.raises(Refused, match=told):
        observed_law(0, np.array(times, float), np.array(cut, bool))


def test_times_that_are_none_are_told():
    with pytest.raises(ValueError, match="finite and > 0"):
        observed_law(0, np.array([1.0, math.nan]))
