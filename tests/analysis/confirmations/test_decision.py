"""Verdicts of hand-made curves and intervals."""

import math

import pytest
from dpodl.analysis.confirmations.decision import (
    GAP,
    HORIZON,
    RiskAt,
    models_needed,
    of_curve,
    of_interval,
    owed_to,
)


def test_an_interval_decides_every_depth():
    found = of_interval(29, 25, 31)
    states = [found.at(k) for k in (25, 26, 31, 32)]
    assert states == ["NOT SAFE", "UNDECIDED", "UNDECIDED", "SAFE"]
    assert (found.safe, found.unsafe, found.value, found.never) == (32, 25, 30, False)


def test_no_depth_is_safe():
    found = of_interval(math.inf, math.inf, math.inf)
    assert found.never
    assert found.at(10**9) == "NOT SAFE"
    open_ = of_interval(math.inf, 40, math.inf)
    assert not open_.never
    assert [open_.at(k) for k in (40, 41)] == ["NOT SAFE", "UNDECIDED"]


def test_a_curve_decides_as_its_interval_does():
    curve = [
        RiskAt(float(k), 2.0**-k, 2.0 ** -(1.2 * k), 2.0 ** -(0.8 * k))
        for k in range(1, 21)
    ]
    found = of_curve(curve, 1e-3)
    # 2^-(k·s) > 1e-3 up to k = 9.97/s.
    assert (found.value, found.unsafe, found.safe) == (10, 8, 13)
    short = of_curve(curve[:11], 1e-3)
    assert (short.value, short.unsafe, short.safe) == (10, 8, math.inf)
    assert of_curve(curve[:5], 1e-3).value == math.inf
    assert of_curve(curve, 0.9)[:3] == (1, 0, 1)


@pytest.mark.parametrize(("depth", "end"), [(33, 40), (26, 22)])
def test_as_many_models_decide_a_depth_as_shrink_the_interval_to_it(depth, end):
    found = of_interval(29, 21, 39)
    needed = models_needed(found, depth, 200)
    half = math.log(end / 30) / math.sqrt(needed / 200)
    # With so many models the end is at the depth, or for NOT SAFE just above it.
    assert 30 * math.exp(half) == pytest.approx(depth if depth > 30 else depth + 1)


def test_where_no_number_of_models_decides():
    assert models_needed(of_interval(29, 21, 39), 30, 200) == math.inf
    assert math.isnan(models_needed(of_interval(29, 21, 39), 40, 200))
    assert models_needed(of_interval(29, 21, math.inf), 45, 200) == math.inf
    assert models_needed(of_interval(29, 21, 39), 29, 200) == math.inf


def test_what_an_interval_is_owed_to():
    plain = of_interval(29, 21, 39)
    gap, horizon = (of_interval(29, 21, 39, f"grid; {t}") for t in (GAP, HORIZON))
    assert [owed_to(x, 25) for x in (plain, gap, horizon)] == [
        "models",
        "gap",
        "horizon",
    ]
    # Above the estimate the bound itself decides.
    assert owed_to(gap, 35) == "models"
