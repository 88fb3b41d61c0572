"""Repeated double-spends against a memoryless process made another way."""

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.withholding.double_spends import best_double_spends

from .shapes import weibull

MEMORYLESS = exponential(1e-3)


def memoryless_gain(rate, alpha, k, most, rounds=4000):
    """What a fresh start is worth at a price ``rate`` a settled block, by iteration."""
    value = np.zeros((most + 1, most + 1))
    a, h = np.indices(value.shape)
    start = 0.0
    for _ in range(rounds):
        value[0, 0] = 0.0
        best = np.where(h > 0, -rate * h, -np.inf)
        for j in range(1, most + 1):
            gain = (
                np.where(h >= k, 1.0, 0.0) - rate * j + value[np.maximum(a - j, 0), 0]
            )
            best = np.where((j > h) & (j <= a), np.maximum(best, gain), best)
        wait = np.full_like(value, -np.inf)
        wait[:most, :most] = alpha * value[1:, :most] + (1 - alpha) * value[:most, 1:]
        new = np.maximum(best, wait)
        change = np.abs(new - value)[1:, 1:].max() + abs(new[0, 1] - value[0, 1])
        value, start = new, wait[0, 0]
        if change < 1e-10:
            break
    return start


@pytest.mark.parametrize("k", [1, 3])
def test_memoryless_rate(k):
    found = best_double_spends(
        jax.random.key(k), MEMORYLESS, honest=3, own=1, confirmations=k, depth=12,
        cells=2, steps=2048, replicas=1024,
    )  # fmt: skip
    rate = found.on_grid
    assert memoryless_gain(0.995 * rate, 0.25, k, 12) > 0
    assert memoryless_gain(1.005 * rate, 0.25, k, 12) < 0
    wide = found.per_block.high - found.per_block.low
    assert found.per_block.low - wide < rate < found.per_block.high + wide
    # A settled block takes at least the time of one found by all four provers.
    assert found.time_between.value > 250 / rate


@pytest.mark.slow
def test_a_rising_hazard_with_few_confirmations():
    law = weibull(4)
    found = best_double_spends(
        jax.random.key(0), law, honest=3, own=1, confirmations=1, depth=12, cells=48,
        steps=2048, replicas=1024,
    )  # fmt: skip
    assert found.per_block.value == pytest.approx(found.on_grid, rel=0.1)
    assert 0 < found.per_block.low < found.per_block.high < 0.25


def test_arguments():
    arguments = {"honest": 3, "own": 1, "depth": 12, "cells": 2}
    with pytest.raises(ValueError, match=r"confirmations must be from 1 to 11"):
        best_double_spends(jax.random.key(0), MEMORYLESS, confirmations=12, **arguments)
    with pytest.raises(ValueError, match="own must be > 0"):
        best_double_spends(
            jax.random.key(0), MEMORYLESS, confirmations=1, **(arguments | {"own": 0})
        )
    with pytest.raises(
        Refused, match="in the replay, at least 20 are needed; more steps"
    ):
        best_double_spends(
            jax.random.key(0), MEMORYLESS, confirmations=9, steps=16, replicas=16,
            **arguments,
        )  # fmt: skip
