"""The training's error joins the simulation's in quadrature."""

import math

import numpy as np
import pytest
from dpodl.analysis.estimate import Estimate, estimate_probability
from dpodl.analysis.measurement import Measurement, with_training_error


def single(value, half=0.1, quantity="chain_growth", unit="blocks per step"):
    estimate = Estimate(value, value - half, value + half, 100, "mean")
    return Measurement(quantity, None, "", estimate, unit)


def curve(values, count=10_000):
    return [
        Measurement(
            "persistence_violation",
            float(k + 1),
            "blocks",
            estimate_probability(round(v * count), count, "p"),
            "probability",
        )
        for k, v in enumerate(values)
    ]


def test_without_resamples_nothing_changes():
    measured = [single(1.0), *curve([0.5])]
    assert with_training_error(measured, []) == measured


def test_a_single_figure_is_widened_by_the_spread_over_laws():
    values = [0.9, 1.0, 1.1, 1.2]
    (wide,) = with_training_error([single(1.0)], [[single(v)] for v in values])
    spread = 1.96 * np.std(values, ddof=1)
    assert wide.estimate.value == 1.0
    assert wide.estimate.high - 1.0 == pytest.approx(math.hypot(0.1, spread), rel=1e-3)
    assert 1.0 - wide.estimate.low == pytest.approx(math.hypot(0.1, spread), rel=1e-3)
    assert "bootstrap" in wide.estimate.method


def test_a_share_stays_in_its_range():
    near = single(0.99, half=0.005, quantity="chain_quality", unit="share")
    others = [
        [near._replace(estimate=near.estimate._replace(value=v))] for v in (0.8, 1.0)
    ]
    (wide,) = with_training_error([near], others)
    assert wide.estimate.high == 1.0
    assert wide.estimate.low < 0.9


def test_probabilities_are_widened_on_the_log_scale():
    base = curve([0.1, 0.01])
    laws = [curve([0.1 * f, 0.01 * f]) for f in (0.5, 1.0, 2.0)]
    wide = with_training_error(base, laws)
    spread = 1.96 * np.std(np.log([0.5, 1.0, 2.0]), ddof=1)
    for before, after in zip(base, wide, strict=True):
        down = math.log(before.estimate.value / before.estimate.low)
        expected = before.estimate.value * math.exp(-math.hypot(down, spread))
        assert after.estimate.low == pytest.approx(expected, rel=1e-2)


def test_rare_depths_of_a_resample_are_carried_on_along_its_slope():
    depth = np.arange(1, 9)
    base = curve(0.5 * np.exp(-0.9 * depth), count=10**8)
    # 1,000 replicas see nothing beyond depth 5 or so, but their slopes differ.
    laws = [curve(0.5 * np.exp(-s * depth), count=1_000) for s in (0.8, 0.9, 1.0)]
    wide = with_training_error(base, laws)
    ratio = [math.log(m.estimate.high / m.estimate.value) for m in wide]
    assert ratio[7] == pytest.approx(1.96 * 0.1 * 8, rel=0.25)
    assert ratio[7] > ratio[1]


def test_zero_counts_keep_an_upper_limit_that_grows():
    base = curve([0.1, 0.0])
    laws = [curve([0.1 * f, 0.02 * f]) for f in (0.5, 1.0, 2.0)]
    wide = with_training_error(base, laws)
    assert wide[1].estimate.value == wide[1].estimate.low == 0.0
    assert base[1].estimate.high < wide[1].estimate.high < 1.0


def test_figures_that_a_resample_refused_are_left_out_of_the_spread():
    full, other = single(1.0), single(5.0, quantity="stale_rate", unit="share")
    laws = [[single(0.9)], [single(1.1), other], [other]]
    wide = {m.quantity: m for m in with_training_error([full], laws)}
    spread = 1.96 * np.std([0.9, 1.1], ddof=1)
    half = wide["chain_growth"].estimate.high - 1.0
    assert half == pytest.approx(math.hypot(0.1, spread), rel=1e-3)


def test_rising_curves_are_spread_as_they_are():
    # Good-period probabilities rise with the window; no slope is read into them.
    def rising(values):
        return [
            m._replace(quantity="good_period_all", at=float(5 * (k + 1)))
            for k, m in enumerate(curve(values, count=2000))
        ]

    laws = [rising([0.009, 0.5]), rising([0.011, 0.5])]
    wide = with_training_error(rising([0.01, 0.5]), laws)
    assert 0.003 < wide[0].estimate.low < wide[0].estimate.high < 0.02
    laws = [rising([0.0095, 0.5]), rising([0.0002, 0.5])]
    wide = with_training_error(rising([0.01, 0.5]), laws)
    assert wide[0].estimate.low == 0.0
    assert wide[0].estimate.high > 0.02
