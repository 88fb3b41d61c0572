"""What an interval owes to the horizon, and how much further helps."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.empirical import EmpiricalLaw
from dpodl.analysis.block_time.horizon import owed_to_horizon
from dpodl.analysis.block_time.law import exponential, mean


def _law(slow: float, fast: float, late: float) -> EmpiricalLaw:
    return EmpiricalLaw(
        exponential(1 / 100),
        exponential(1 / slow),
        exponential(1 / fast),
        runs=50,
        reached=50,
        known_until=100.0,
        late_hazard=late,
    )


def _resamples(spread: float):
    means = 100 + spread * np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    return [exponential(1 / m) for m in means]


def test_a_bracket_wider_than_the_runs_spread_is_said_with_the_way_out():
    owed = owed_to_horizon(_law(150, 98, 0.01), _resamples(5), mean)
    assert owed is not None
    assert (owed.low, owed.high) == (pytest.approx(98), pytest.approx(150))
    # B e^{−h x} = R.
    half = (150 - 98) / 2
    assert half * math.exp(-0.01 * owed.further_steps) == pytest.approx(owed.runs)


@pytest.mark.parametrize(
    ("law", "resamples"),
    [
        (_law(101, 99.5, 0.01), _resamples(5)),
        (_law(150, 98, 0.0), _resamples(5)),
        (_law(150, 98, 0.01), []),
    ],
)
def test_otherwise_nothing_is_said(law, resamples):
    assert owed_to_horizon(law, resamples, mean) is None
