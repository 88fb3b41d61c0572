"""Laws that are written down have the moments and tails of their families."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.formulas import formula_law, survival_law
from dpodl.analysis.block_time.law import cv, exponential, mean, quantile, survival
from scipy import stats


@pytest.mark.parametrize(
    ("family", "options", "family_cv"),
    [
        ("exponential", {}, 1.0),
        ("gamma", {"cv": 0.3}, 0.3),
        ("gamma", {"cv": 1.6}, 1.6),
        ("erlang", {"stages": 4}, 0.5),
        (
            "weibull",
            {"shape": 4.0},
            math.sqrt(math.gamma(1.5) / math.gamma(1.25) ** 2 - 1),
        ),
        (
            "weibull",
            {"shape": 0.7},
            math.sqrt(math.gamma(1 + 2 / 0.7) / math.gamma(1 + 1 / 0.7) ** 2 - 1),
        ),
        ("log-normal", {"cv": 0.8}, 0.8),
    ],
)
@pytest.mark.parametrize("dead_time", [0.0, 40.0])
def test_mean_and_cv_are_those_asked_for(family, options, family_cv, dead_time):
    law = formula_law(family, 100.0, dead_time=dead_time, **options)
    assert mean(law) == pytest.approx(100.0, rel=2e-3)
    assert cv(law) == pytest.approx(family_cv * (100 - dead_time) / 100, rel=5e-3)
    assert survival(law, dead_time) == pytest.approx(1.0, abs=1e-12)


def test_tails_are_those_of_the_family():
    law = formula_law("weibull", 10.0, shape=4.0)
    scale = 10.0 / math.gamma(1.25)
    times = np.array([1.0, 9.0, 14.0, 20.0])
    assert survival(law, times) == pytest.approx(
        np.exp(-((times / scale) ** 4)), rel=1e-3
    )
    law = formula_law("log-normal", 10.0, cv=0.5)
    sigma = math.sqrt(math.log(1.25))
    at = 10.0 * math.exp(-(sigma**2) / 2 + 5 * sigma)
    assert survival(law, at) == pytest.approx(stats.norm.sf(5), rel=1e-3)


@pytest.mark.parametrize(
    ("family", "options", "told"),
    [
        ("normal", {}, "family must be one of exponential"),
        ("gamma", {"cv": 0.0}, "cv must be > 0"),
        ("weibull", {"shape": math.inf}, "shape must be > 0 and finite"),
        ("gamma", {"dead_time": 10.0}, "above dead_time"),
        ("log-normal", {"cv": 4.0}, "at most 3"),
    ],
)
def test_what_is_no_law_is_told(family, options, told):
    with pytest.raises(ValueError, match=told):
        formula_law(family, 10.0, **options)


def test_any_survival_function_is_a_law():
    law = survival_law(lambda t: np.exp(-t / 7.0))
    assert mean(law) == pytest.approx(7.0, rel=1e-4)
    known = exponential(1 / 7.0)
    levels = [0.01, 0.5, 0.99, 1 - 1e-9]
    assert quantile(law, levels) == pytest.approx(quantile(known, levels), rel=1e-3)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda t: np.full(len(t), 0.5), "must fall below"),
        (lambda t: 2 * np.exp(-t), "must be 1 at 0"),
        (lambda t: np.exp(-t) * (1.5 + np.cos(3 * t)) / 2.5, "never rise"),
        (lambda t: np.exp(-t[:1]), "a finite number a time"),
    ],
)
def test_what_is_no_survival_function_is_told(function, told):
    with pytest.raises(ValueError, match=told):
        survival_law(function)
