"""Mean shares: normal where both outcomes are common, exact where one is rare."""

import numpy as np
import pytest
from dpodl.analysis.estimation.estimate import Refused, estimate_mean, estimate_share
from dpodl.analysis.estimation.shares import estimate_mean_share
from hypothesis import given, strategies as st


def test_common_outcomes_have_the_t_interval():
    shares = np.random.default_rng(0).uniform(size=200)
    found, mean = estimate_mean_share(shares, "x"), estimate_mean(shares, "x")
    assert found == mean


@given(st.integers(0, 19), st.integers(1, 16))
def test_rare_outcomes_count_once_a_replica(replicas, windows):
    shares = np.zeros(500)
    shares[:replicas] = windows / 16
    found = estimate_mean_share(shares, "x")
    assert found.value == pytest.approx(replicas * windows / 16 / 500)
    assert (found.low, found.high) == (0.0, estimate_share(shares > 0, "x").high)
    # The same of the opposite property.
    other = estimate_mean_share(1 - shares, "x")
    assert other.value == pytest.approx(1 - found.value)
    assert other.high == 1.0
    assert other.low == pytest.approx(1 - found.high)


def test_too_few_replicas_or_no_shares():
    with pytest.raises(Refused, match="at least 10"):
        estimate_mean_share(np.zeros(9), "x")
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        estimate_mean_share(np.full(20, 1.5), "x")
