"""Intervals with a fixed part: moments and domination, against integrals."""

import pytest
from dpodl.analysis.bounds import intervals
from scipy import integrate, stats


@pytest.mark.parametrize(("dead_time", "rate"), [(0, 0.5), (3, 0.5), (200, 0.02)])
def test_dead_time_mean_cv_is_the_shifted_exponential(dead_time, rate):
    law = stats.expon(loc=dead_time, scale=1 / rate)
    moments = intervals.dead_time_mean_cv(dead_time, rate)
    assert moments.mean == pytest.approx(law.mean(), rel=1e-13)
    assert moments.cv == pytest.approx(law.std() / law.mean(), rel=1e-13)


@pytest.mark.parametrize(
    ("dead_time", "share"), [(0, 0.5556), (1, 0.6539), (5, 0.8727), (10, 0.9635)]
)
def test_domination_anchors(dead_time, share):
    assert intervals.domination(1.0, dead_time, 1.25, 1.0) == pytest.approx(
        share, rel=0, abs=5e-5
    )


def test_domination_is_the_race_of_two_shifted_exponentials():
    hazard, dead_time, v_1, v_2 = 0.04, 30.0, 3.0, 2.2
    first = stats.expon(loc=dead_time / v_1, scale=1 / (hazard * v_1))
    second = stats.expon(loc=dead_time / v_2, scale=1 / (hazard * v_2))
    wins, _ = integrate.quad(
        lambda t: hazard * v_1 * first.sf(t) * second.sf(t),
        dead_time / v_1,
        500,
        points=[dead_time / v_2],
        epsabs=1e-13,
    )
    closed = intervals.domination(hazard, dead_time, v_1, v_2)
    assert closed == pytest.approx(wins, rel=1e-10)


def test_domination_limits():
    assert intervals.domination(0.3, 50, 2.0, 2.0) == 0.5
    assert intervals.domination(0.3, 0, 3.0, 1.0) == pytest.approx(0.75, rel=1e-15)
    assert intervals.domination(0.3, 1e4, 1.25, 1.0) == 1
    # Only π S_0 and the ratio of speeds matter: steps and seconds are conventions.
    assert intervals.domination(0.3, 5, 1.25, 1.0) == pytest.approx(
        intervals.domination(0.15, 10, 250.0, 200.0), rel=1e-14
    )
