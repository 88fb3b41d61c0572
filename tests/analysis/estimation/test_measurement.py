"""The training's error joins the simulation's in quadrature."""

import math

import numpy as np
import pytest
from dpodl.analysis.estimation.estimate import Estimate, estimate_probability
from dpodl.analysis.estimation.measurement import Measurement, with_training_error
from dpodl.analysis.estimation.training_error import Basis
from scipy import stats


def single(value, half=0.1, quantity="chain_growth", unit="blocks per step"):
    estimate = Estimate(value, value - half, value + half, 100, "mean")
    return Measurement(quantity, None, "", estimate, unit)


def curve(values, count=10_000):
    return [
        Measurement(
            "persistence_simulated",
            float(k + 1),
            "blocks",
            estimate_probability(round(v * count), count, "p"),
            "probability",
            "tail",
        )
        for k, v in enumerate(values)
    ]


def test_without_resamples_nothing_changes():
    measured = [single(1.0), *curve([0.5])]
    assert with_training_error(measured, []) == measured


def t_of(freedom):
    return stats.t.ppf(0.975, freedom)


def test_a_single_figure_has_the_spread_of_its_logarithm_over_laws():
    values = [0.9, 1.0, 1.1, 1.2]
    (wide,) = with_training_error([single(1.0)], [[single(v)] for v in values])
    assert wide.estimate.value == 1.0
    (alone,) = with_training_error(
        [single(1.0, half=0.0)], [[single(v)] for v in values]
    )
    spread = t_of(3) * np.std(np.log(values), ddof=1)
    assert math.log(alone.estimate.high) == pytest.approx(spread)
    assert math.log(alone.estimate.low) == pytest.approx(-spread)
    assert alone.estimate.high < wide.estimate.high
    assert "bootstrap" in wide.estimate.method


def test_a_share_stays_in_its_range():
    near = single(0.99, half=0.005, quantity="chain_quality", unit="share")
    others = [
        [near._replace(estimate=near.estimate._replace(value=v))] for v in (0.8, 1.0)
    ]
    (wide,) = with_training_error([near], others)
    assert wide.estimate.high == 1.0
    assert wide.estimate.low < 0.9


def test_probabilities_along_a_curve_are_spread_by_their_odds():
    base = curve([0.1, 0.01], count=10**9)
    laws = [curve([0.1 * f, 0.01 * f], count=10**9) for f in (0.5, 1.0, 2.0)]
    wide = with_training_error(base, laws)
    for after, p in zip(wide, (0.1, 0.01), strict=True):
        drawn = p * np.array([0.5, 1.0, 2.0])
        spread = t_of(2) * np.std(np.log(drawn / (1 - drawn)), ddof=1)
        odds = after.estimate.high / (1 - after.estimate.high)
        assert math.log(odds * (1 - p) / p) == pytest.approx(spread, rel=1e-2)


def test_rare_depths_of_a_resample_are_carried_on_along_its_slope():
    depth = np.arange(1, 9)
    base = curve(0.5 * np.exp(-0.9 * depth), count=10**8)
    # 1,000 replicas see nothing beyond depth 5 or so, but their slopes differ.
    slopes = (0.8, 0.85, 0.9, 0.95, 1.0)
    laws = [curve(0.5 * np.exp(-s * depth), count=1_000) for s in slopes]
    wide = with_training_error(base, laws)
    ratio = [math.log(m.estimate.high / m.estimate.value) for m in wide]
    expected = t_of(4) * np.std(slopes, ddof=1) * 8
    assert ratio[7] == pytest.approx(expected, rel=0.25)
    assert ratio[7] > ratio[1]


def test_zero_counts_keep_an_upper_limit_that_grows():
    base = curve([0.1, 0.0])
    laws = [curve([0.1 * f, 0.02 * f]) for f in (0.5, 1.0, 2.0)]
    wide = with_training_error(base, laws)
    assert wide[1].estimate.value == wide[1].estimate.low == 0.0
    assert base[1].estimate.high < wide[1].estimate.high < 1.0


def test_figures_that_a_resample_refused_are_left_out_of_the_spread():
    full = single(1.0, half=0.0)
    other = single(5.0, quantity="stale_rate", unit="blocks per step")
    laws = [[single(0.9)], [single(1.1), other], [other]]
    wide = {m.quantity: m for m in with_training_error([full], laws)}
    spread = t_of(1) * np.std(np.log([0.9, 1.1]), ddof=1)
    assert math.log(wide["chain_growth"].estimate.high) == pytest.approx(spread)


def test_rising_curves_are_spread_as_they_are():
    # Good-period probabilities rise with the window; no slope is read into them.
    def rising(values):
        return [
            m._replace(quantity="good_period_all", at=float(5 * (k + 1)), spread=None)
            for k, m in enumerate(curve(values, count=2000))
        ]

    near = (0.009, 0.0095, 0.01, 0.0105, 0.011)
    laws = [rising([p, 0.5]) for p in near]
    wide = with_training_error(rising([0.01, 0.5]), laws)
    assert 0.003 < wide[0].estimate.low < wide[0].estimate.high < 0.02
    laws = [rising([p, 0.5]) for p in (0.0002, 0.0095)]
    wide = with_training_error(rising([0.01, 0.5]), laws)
    assert wide[0].estimate.low == 0.0
    assert wide[0].estimate.high > 0.02


def test_the_laws_beyond_the_horizon_widen_it_at_their_own_effort():
    full = single(1.0, half=0.0)
    wide = with_training_error(
        [full],
        [[single(1.0)], [single(1.0)]],
        extremes=[[single(0.8)], [single(1.2)]],
        centre=[single(0.8)],
    )[0].estimate
    assert wide.low == pytest.approx(1.0)
    assert wide.high == pytest.approx(1.2 / 0.8)


def test_a_p_value_has_no_spread():
    p = single(0.3, half=0.0, quantity="p", unit="probability")._replace(spread="none")
    drawn = [[p._replace(estimate=p.estimate._replace(value=v))] for v in (0.1, 0.9)]
    (same,) = with_training_error([p], drawn, basis=Basis(3, 2))
    assert same == p
    assert same.warning == ""


def test_a_figure_of_few_runs_says_so_in_its_row():
    few, many = Basis(6.0, 3.0), Basis(60.0, 30.0)
    own = single(2.0)._replace(basis=many)
    measured = with_training_error([single(1.0), own], [], basis=few)
    assert "rests on 6 training runs" in measured[0].warning
    assert measured[1].warning == ""
