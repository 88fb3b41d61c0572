"""One interval for the training's error: scales, freedom, skew, what is open."""

import math

import numpy as np
import pytest
from dpodl.analysis.estimation.estimate import Estimate, estimate_probability
from dpodl.analysis.estimation.training_error import (
    FEW_RUNS,
    NO_SPREAD,
    SOURCE,
    Basis,
    few_runs,
    joined,
    law_figure,
    training_interval,
    training_intervals,
)
from scipy import stats

DRAWN = [0.8, 0.9, 1.0, 1.1, 1.3]


def t_of(freedom):
    return stats.t.ppf(0.975, freedom)


def exactly(value):
    return Estimate(value, value, value, 10, "m")


class TestScales:
    def test_linear_is_students_t_over_the_resamples(self):
        found = law_figure(1.0, DRAWN, "linear", "law")
        half = t_of(4) * np.std(DRAWN, ddof=1)
        assert found.high - 1.0 == pytest.approx(half)
        assert 1.0 - found.low == pytest.approx(half)
        assert found.count == len(DRAWN)
        assert found.method == f"law + {SOURCE}"

    def test_log_is_that_of_the_logarithm(self):
        found = law_figure(2.0, [2 * x for x in DRAWN], "log", "law")
        half = t_of(4) * np.std(np.log(DRAWN), ddof=1)
        assert found.high == pytest.approx(2 * math.exp(half))
        assert found.low == pytest.approx(2 * math.exp(-half))

    def test_logit_is_that_of_the_odds(self):
        drawn = [0.001, 0.002, 0.004]
        found = law_figure(0.002, drawn, "logit", "law")
        half = t_of(2) * np.std(np.log(np.array(drawn) / (1 - np.array(drawn))), ddof=1)
        odds = found.high / (1 - found.high)
        assert odds == pytest.approx(0.002 / 0.998 * math.exp(half))

    def test_angle_takes_a_resample_that_saw_nothing(self):
        found = law_figure(0.01, [0.0, 0.01, 0.03], "angle", "law")
        spread = np.std(np.arcsin(np.sqrt([0.0, 0.01, 0.03])), ddof=1)
        high = math.asin(math.sqrt(0.01)) + t_of(2) * spread
        assert found.high == pytest.approx(math.sin(high) ** 2)
        assert found.low == 0.0

    @pytest.mark.parametrize(
        ("scale", "value", "most"),
        [("log", 0.3, math.inf), ("logit", 0.97, 1.0), ("angle", 0.97, 1.0)],
    )
    def test_an_interval_stays_inside_what_is_possible(self, scale, value, most):
        # As wild as they come: a CV of −.86 and a probability of 1.06 were printed.
        drawn = np.clip(value + np.array([-0.29, -0.1, 0.0, 0.02, 0.6]), 1e-6, 0.999999)
        found = law_figure(value, drawn, scale, "law")
        assert 0 <= found.low < value < found.high <= most

    def test_what_is_not_on_the_scale_is_spread_evenly(self):
        found = law_figure(1.0, [0.0, 1.0, 2.0], "log", "law")
        assert found.high == pytest.approx(1.0 + t_of(2))
        assert found.low == 0.0
        found = law_figure(-0.5, [-1.0, 0.2, 0.1], "log", "law")
        assert found.low < -0.5 < found.high


class TestFreedom:
    def test_runs_and_resamples_share_the_degrees_of_freedom(self):
        few = law_figure(1.0, DRAWN, "linear", "law", basis=Basis(9, 8.0))
        assert few.high - 1 == pytest.approx(
            t_of(1 / (1 / 4 + 1 / 8)) * np.std(DRAWN, ddof=1), rel=1e-3
        )

    def test_a_lopsided_sample_keeps_four(self):
        least, none = (
            law_figure(1.0, DRAWN, "log", "law", basis=Basis(3, freedom))
            for freedom in (4.0, 1.0)
        )
        assert none == least

    def test_another_error_is_joined_in_quadrature(self):
        noisy = Estimate(1.0, 0.5, 1.2, 100, "mean")
        found = training_interval(noisy, DRAWN, "linear")
        half = t_of(4) * np.std(DRAWN, ddof=1)
        assert found.high - 1 == pytest.approx(math.hypot(half, 0.2))
        assert 1 - found.low == pytest.approx(math.hypot(half, 0.5))
        assert found.count == 100

    def test_many_resamples_of_many_runs_are_the_normal_interval(self):
        drawn = np.random.default_rng(1).normal(5.0, 0.1, 20_000)
        found = law_figure(5.0, drawn, "linear", "law")
        assert found.high - 5 == pytest.approx(1.95996 * drawn.std(), rel=1e-3)

    def test_without_resamples_the_simulation_is_all(self):
        simulated = estimate_probability(30, 100, "p")
        for drawn in ([], [0.4]):
            found = training_interval(simulated, drawn, "angle")
            assert found.low == pytest.approx(simulated.low)
            assert found.high == pytest.approx(simulated.high)
            assert NO_SPREAD in found.method


def test_skew_reaches_further_to_its_own_side_only():
    plain = law_figure(1.0, DRAWN, "log", "law")
    skewed = law_figure(1.0, DRAWN, "log", "law", basis=Basis(50, math.inf, 0.05))
    assert skewed.low == pytest.approx(plain.low)
    shift = 0.05 * (2 * 2.5**2 + 1) * np.std(np.log(DRAWN), ddof=1)
    assert math.log(skewed.high / plain.high) == pytest.approx(shift, rel=1e-3)
    other = law_figure(1.0, DRAWN, "log", "law", basis=Basis(50, math.inf, -0.05))
    assert other.high == pytest.approx(plain.high)
    assert other.low < plain.low


class TestExtremes:
    def test_what_lies_beyond_the_horizon_is_a_third_error(self):
        found = law_figure(1.0, DRAWN, "linear", "law", extremes=[1.5, 0.9])
        half = t_of(4) * np.std(DRAWN, ddof=1)
        assert found.high - 1 == pytest.approx(math.hypot(half, 0.5))
        assert 1 - found.low == pytest.approx(math.hypot(half, 0.1))
        assert "beyond the horizon" in found.method

    def test_it_is_always_inside(self):
        found = law_figure(1.0, [1.0, 1.0], "log", "law", extremes=[0.5, 3.0])
        assert found.low == pytest.approx(0.5)
        assert found.high == pytest.approx(3.0)

    def test_both_on_one_side_leave_the_other_alone(self):
        found = law_figure(1.0, [1.0, 1.0], "log", "law", extremes=[2.0, 3.0])
        assert found.low == 1.0
        assert found.high == pytest.approx(3.0)

    def test_they_are_compared_at_their_own_effort(self):
        # Few replicas see .30 for the law of all runs, .33 and .30 for the extremes.
        found = training_interval(
            exactly(0.4), [0.4, 0.4], "linear", extremes=[0.33, 0.3], centre=0.3
        )
        assert found.low == pytest.approx(0.4)
        assert found.high == pytest.approx(0.43)


class TestWhatIsOpen:
    def test_a_refused_resample_leaves_no_upper_end(self):
        found = law_figure(10.0, [9.0, 11.0, math.nan], "log", "law", lacking=math.inf)
        assert math.isinf(found.high)
        assert 0 < found.low < 10
        assert "1 of 3 without" in found.method

    def test_so_does_an_extreme_without_the_figure(self):
        found = law_figure(
            0.2, [0.19, 0.2], "logit", "law", extremes=[0.2, math.inf], lacking=1.0
        )
        assert found.high == 1.0

    def test_or_it_is_left_out(self):
        found = law_figure(10.0, [9.0, 11.0, math.nan], "linear", "law")
        assert found.high == pytest.approx(10 + t_of(1) * math.sqrt(2))

    def test_no_safe_depth_starts_at_the_smallest_of_a_resample(self):
        found = law_figure(math.inf, [math.inf, 40.0, 60.0], "log", "law")
        assert (found.low, found.high) == (40.0, math.inf)
        found = law_figure(math.inf, [math.inf], "log", "law")
        assert found.low == math.inf

    def test_a_refusal_stays_one(self):
        found = law_figure(math.nan, [1.0, 2.0], "log", "refused: why")
        assert math.isnan(found.low)
        assert found.method == "refused: why"


def test_no_success_keeps_an_upper_end_that_the_training_moves():
    seen = estimate_probability(0, 1000, "p")
    found = training_interval(seen, [1e-4, 2e-4, 4e-4], "logit")
    assert found.value == found.low == 0.0
    assert seen.high < found.high < 1


def test_all_successes_keep_a_lower_end_that_the_training_moves():
    seen = estimate_probability(1000, 1000, "p")
    found = training_interval(seen, [1.0, 0.99, 1.0, 1.0], "angle")
    assert found.value == found.high == 1.0
    assert 0.9 < found.low < seen.low


def test_a_figure_that_nothing_moves_keeps_its_digits():
    for scale in ("linear", "log", "logit", "angle"):
        found = law_figure(1.0, [1.0, 1.0, 1.0], scale, "law")
        assert found[:3] == (1.0, 1.0, 1.0)


def test_errors_of_two_figures_are_joined_on_their_scale():
    one, other = Estimate(2.0, 1.0, 4.0, 5, "a"), Estimate(10.0, 5.0, 20.0, 9, "b")
    found = joined(one, other, "log", "b's")
    assert found.high == pytest.approx(
        2 * math.exp(math.hypot(math.log(2), math.log(2)))
    )
    assert found.method == "a + b's"


def test_few_runs_are_said():
    assert few_runs(Basis(FEW_RUNS + 1, 5.0)) == ""
    assert few_runs(Basis(math.nan, 5.0)) == ""
    assert "rests on 7 training runs" in few_runs(Basis(7.2, 5.0))


def test_an_interval_covers_what_it_says():
    """Means of 40 log-normal numbers, six resamples each: 95 % as t, 86 % as 1.96.

    1,500 samples. With a coverage of .94 or more fewer than 1,380 hits (.92) have a
    probability below 2e-3; with 1.96 s (.88 or less) as many have one below 1e-6.
    """
    generator = np.random.default_rng(3)
    true, hits, old = math.exp(0.32), 0, 0
    for _ in range(1500):
        runs = generator.lognormal(0.0, 0.8, 40)
        drawn = runs[generator.integers(40, size=(6, 40))].mean(axis=1)
        influence = runs - runs.mean()
        second = (influence**2).sum()
        basis = Basis(
            40,
            second**2 / (influence**4).sum() - 1,
            (influence**3).sum() / (6 * second**1.5),
        )
        found = law_figure(runs.mean(), drawn, "log", "law", basis=basis)
        hits += found.low <= true <= found.high
        old += abs(runs.mean() - true) <= 1.96 * drawn.std(ddof=1)
    assert hits >= 1380
    assert old < 1380


def test_many_intervals_at_once_are_those_one_by_one():
    generator = np.random.default_rng(5)
    values = np.array([3.0, 40.0, 7.0, 500.0])
    drawn = values[:, None] * np.exp(0.1 * generator.standard_normal((4, 9)))
    drawn[2] = 7.0  # a figure that no resample moves
    ends = values[:, None] * np.array([1.02, 0.97])
    ends[2] = 7.0
    basis = Basis(30.0, 12.0, 0.05)

    def alone(row, extremes, drawn):
        value = float(values[row])
        return training_interval(
            Estimate(value, value, value, drawn.shape[1], "m"),
            drawn[row],
            "log",
            basis=basis,
            extremes=extremes[row].tolist(),
            lacking=math.inf,
        )

    broken = drawn.copy()
    broken[1, 3] = math.inf
    for rows, extremes in ((drawn, ends), (broken, ends), (drawn[:, :1], ends)):
        found = training_intervals(values, rows, extremes, ["m"] * 4, basis=basis)
        for number, one in enumerate(found):
            other = alone(number, extremes, rows)
            assert one[:3] == pytest.approx(other[:3], rel=1e-12)
            assert one[3:] == other[3:]
