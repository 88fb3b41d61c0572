"""One law with what is uncertain of it, and the one way of a number to its interval."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.empirical import (
    Lottery,
    bootstrap_laws,
    empirical_law,
    interval_bracket,
)
from dpodl.analysis.block_time.law import cv, exponential, mean
from dpodl.analysis.block_time.uncertain import (
    UncertainLaw,
    measured,
    uncertain_law,
)
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.estimation.training_error import UNKNOWN, Basis
from scipy import stats

from ..attack_settings import curves_of

LOTTERY = Lottery(0.9, 1 / 64, 0.25, 100.0, "continue", 400)
FIRST = np.random.default_rng(4).integers(2, 30, 40)
MEANS = (100.0, 90.0, 120.0, 105.0)
LAW, *RESAMPLES = (exponential(1 / each) for each in MEANS)


def test_an_exact_number_has_the_t_interval_of_its_resamples():
    found = UncertainLaw(LAW, tuple(RESAMPLES)).measured(mean, scale="log")
    logs = np.log(MEANS[1:])
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1)
    assert found.value == pytest.approx(100.0)
    assert found.high == pytest.approx(100 * math.exp(half), rel=1e-5)
    assert found.low == pytest.approx(100 * math.exp(-half), rel=1e-5)
    assert found.count == 3


def test_an_estimate_keeps_its_own_error_beside_that_of_the_runs():
    def sampled(law) -> Estimate:
        return Estimate(mean(law), mean(law) - 40, mean(law) + 40, 7, "sampled")

    alone = UncertainLaw(LAW).measured(sampled, scale="linear")
    both = UncertainLaw(LAW, tuple(RESAMPLES)).measured(sampled, scale="linear")
    spread = stats.t.ppf(0.975, 2) * np.std(MEANS[1:], ddof=1)
    assert alone.high - alone.value == pytest.approx(40)
    assert both.high - both.value == pytest.approx(math.hypot(40, spread), rel=1e-5)
    assert (alone.count, both.count) == (7, 7)


def test_the_laws_beyond_the_horizon_are_inside_and_a_refused_one_opens_the_end():
    law = UncertainLaw(LAW, extremes=(exponential(1 / 300), exponential(1 / 80)))
    found = law.measured(mean)
    assert found.low == pytest.approx(80)
    assert found.high == pytest.approx(300)
    assert "beyond the horizon" in found.method

    def not_slow(one) -> float:
        if mean(one) > 200:
            raise Refused("too slow")
        return mean(one)

    assert law.measured(not_slow).high == pytest.approx(100)
    assert law.measured(not_slow, lacking=math.inf).high == math.inf
    with pytest.raises(Refused, match="too slow"):
        law._replace(law=exponential(1 / 300)).measured(not_slow)


def test_numbers_of_two_laws_go_resample_by_resample():
    """A ratio of laws that move together does not move."""
    law = UncertainLaw(LAW, tuple(RESAMPLES))
    double = UncertainLaw(
        exponential(1 / 200), tuple(exponential(1 / (2 * m)) for m in MEANS[1:])
    )
    told = []
    found = measured(
        lambda one, two: mean(two) / mean(one), law, double, progress=told.append
    )
    assert found.low == pytest.approx(2, rel=1e-5)
    assert found.high == pytest.approx(2, rel=1e-5)
    assert told == [0, 1, 2, 3]


def test_it_is_made_of_the_laws_of_all_runs_and_of_resampled_ones():
    curves = curves_of(FIRST)
    found = uncertain_law(3, curves, LOTTERY, 2, known_for=[1])
    whole = empirical_law(curves, LOTTERY)
    assert (found.runs, found.reached) == (whole.runs, whole.reached) == (40, 40)
    assert interval_bracket(found, 3) == interval_bracket(whole, 3)
    for mine, theirs in zip(
        (found.law, *found.extremes, *found.resamples),
        (
            *(whole.law, whole.slowest, whole.fastest),
            *bootstrap_laws(3, curves, LOTTERY, 2),
        ),
        strict=True,
    ):
        assert (mean(mine), cv(mine)) == (mean(theirs), cv(theirs))
    # Everybody is at T_acc: one prover rests on all the runs.
    assert found.basis(1).runs <= 40
    assert isinstance(found.basis(3, 1), Basis)
    plain = uncertain_law(3, curves, LOTTERY, 2, by_run=False)
    assert plain.basis(3, 1) is UNKNOWN
