"""Sums of laws against closed forms."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.law import cv, exponential, geometric, mean, survival
from dpodl.analysis.block_time.sums import followed_by, retried
from dpodl.analysis.estimation.estimate import Refused

TIMES = np.linspace(0, 12, 49)


def test_two_exponentials():
    law = followed_by(exponential(1.0), exponential(0.5))
    exact = 2 * np.exp(-TIMES / 2) - np.exp(-TIMES)
    np.testing.assert_allclose(survival(law, TIMES), exact, atol=2e-6)
    assert mean(law) == pytest.approx(3.0, rel=1e-5)


def test_the_tail_is_that_of_the_slower():
    law = followed_by(exponential(1.0), exponential(0.5))
    far = np.array([60.0, 62.0])
    first, second = survival(law, far)
    assert math.log(first / second) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize("probability", [2**-4, 2**-12, 2**-20])
def test_hashes_after_training_whatever_their_scale(probability):
    training = exponential(0.01, dead_time=300.0)
    hashing = geometric(probability, trial=1 / 150)
    law = followed_by(training, hashing)
    hashes = 1 / probability / 150
    exact = math.hypot(100, hashes * math.sqrt(1 - probability))
    assert mean(law) == pytest.approx(400 + hashes, rel=1e-4)
    assert cv(law) == pytest.approx(exact / (400 + hashes), rel=2e-3)
    assert survival(law, 299.0) == pytest.approx(1.0, abs=1e-9)


def test_an_exponential_retried_is_an_exponential():
    law = retried(exponential(1.0), 0.25)
    np.testing.assert_allclose(survival(law, TIMES), np.exp(-TIMES / 4), atol=2e-6)


def test_a_fixed_time_retried_is_geometric():
    law = retried(geometric(1.0, trial=3.0), 0.25)
    exact = geometric(0.25, trial=3.0)
    between = 3 * np.arange(40) + 1.5
    np.testing.assert_allclose(
        survival(law, between), survival(exact, between), atol=1e-6
    )
    assert mean(law) == pytest.approx(12.0, rel=1e-6)


def test_nothing_to_retry():
    law = exponential(1.0)
    assert retried(law, 1.0) is law


def test_refusals():
    never = exponential(1.0)._replace(
        tail_hazard=0.0, cumulative_hazard=np.minimum(np.arange(8192) / 64, 1.0)
    )
    with pytest.raises(Refused, match="may never end"):
        followed_by(exponential(1.0), never)
    with pytest.raises(Refused, match="may never end"):
        retried(never, 0.5)
    with pytest.raises(ValueError, match="success"):
        retried(exponential(1.0), 0.0)
