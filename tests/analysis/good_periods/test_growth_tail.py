"""Slow stretches against Poisson counts, and against stretches counted one by one."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.good_periods import growth_tail
from dpodl.analysis.good_periods.growth_tail import (
    gap_measurements,
    gap_shares,
    shortfall_curve,
    shortfall_measurements,
    shortfall_shares,
)
from dpodl.analysis.simulation.levels import network, simulate
from scipy import stats

KEY = jax.random.key(31)
SIGMA = 3.5
RATE, PROVERS = 0.02, 5


@cache
def chain(dead_time=0.0, beta=0.0, delay=0.0, replicas=2000):
    law = exponential(RATE, dead_time=dead_time)
    net = network(law, provers=PROVERS, beta=beta, delay_steps=delay)
    return simulate(KEY, net, levels=128, replicas=replicas)


def agree(estimate, exact):
    # Conservative intervals where events are rare; a normal error elsewhere.
    if estimate.low == 0.0 or estimate.high == 1.0:
        assert estimate.low <= exact <= estimate.high
        return
    error = (estimate.high - estimate.low) / (2 * 1.96)
    assert abs(estimate.value - exact) < SIGMA * error


def test_memoryless_growth_is_poisson():
    spans = [20.0, 60.0, 150.0, 300.0]
    tau = 0.6 * RATE * PROVERS
    shares = shortfall_shares(KEY, chain(), spans, [tau] * 4)
    for m, s in zip(shortfall_measurements(shares, spans), spans, strict=True):
        assert m[:3] == ("growth_shortfall", s, "steps")
        agree(m.estimate, stats.poisson.cdf(np.ceil(tau * s) - 1, 0.1 * s))


def test_growth_of_just_what_is_asked_is_no_shortfall():
    # τs is whole: N = τs is enough. 0.07 · 100 is 7.000000000000001 in float64.
    assert 0.07 * 100 > 7
    rates = [0.02, 0.07, 0.1]
    shares = shortfall_shares(KEY, chain(), [100.0] * 3, rates)
    for m, tau in zip(shortfall_curve(shares, rates), rates, strict=True):
        assert m[:3] == ("growth_shortfall_rate", tau, "blocks per step")
        agree(m.estimate, stats.poisson.cdf(round(100 * tau) - 1, 10.0))


def test_honest_gap_is_the_time_without_a_block():
    spans = [5.0, 20.0, 50.0, 90.0]
    none = jnp.zeros((2000, 128), bool)
    found = gap_measurements(gap_shares(KEY, chain(), none, spans), spans)
    for m, s in zip(found, spans, strict=True):
        assert m[:3] == ("quality_gap", s, "steps")
        agree(m.estimate, np.exp(-0.1 * s))


def test_levels_taken_at_random_thin_the_poisson_process():
    spans = [10.0, 40.0, 80.0]
    taken = jax.random.bernoulli(KEY, 0.4, (2000, 128))
    found = gap_measurements(gap_shares(KEY, chain(), taken, spans), spans)
    for m, s in zip(found, spans, strict=True):
        agree(m.estimate, np.exp(-0.06 * s))


def test_every_level_taken_is_one_gap():
    everything = jnp.ones((2000, 128), bool)
    (m,) = gap_measurements(gap_shares(KEY, chain(), everything, [50.0]), [50.0])
    assert m.estimate.value == 1.0
    assert 0.99 < m.estimate.low < 1.0


def slow_shares(levels, marks, span, needed, begin, end):
    """The same over every start on a fine grid, in float64."""
    rows = []
    starts = np.linspace(begin, end - span, 400)
    for gaps, mark in zip(np.asarray(levels.interval, float), marks, strict=True):
        times = np.cumsum(gaps)[mark]
        grown = [((times >= t) & (times < t + span)).sum() for t in starts]
        rows.append((np.array(grown) < needed).mean())
    return np.array(rows)


@pytest.mark.parametrize("what", ["growth", "gap"])
def test_stretches_counted_one_by_one(what):
    levels = chain(dead_time=20.0, beta=0.4, delay=10.0)
    count, span = 400, 120.0
    levels = jax.tree.map(lambda x: x[:count], levels)
    end = float(levels.interval.sum(axis=1).min())
    if what == "growth":
        fast = shortfall_shares(KEY, levels, [span], [0.02])[:, 0]
        marks = np.ones((count, 128), bool)
        slow = slow_shares(levels, marks, span, 0.02 * span, end / 10, end)
    else:
        taken = jax.random.bernoulli(KEY, 0.6, (count, 128))
        fast = gap_shares(KEY, levels, taken, [span])[:, 0]
        slow = slow_shares(levels, ~np.asarray(taken), span, 1, end / 2, end)
    difference = fast - slow
    error = difference.std(ddof=1) / np.sqrt(count)
    assert abs(difference.mean()) < SIGMA * error
    assert 0.02 < slow.mean() < 0.98
    # The same replica's path: much closer than replicas are to each other.
    assert error < 0.1 * slow.mean()


def test_longer_stretches_have_fewer_gaps():
    spans = [10.0, 20.0, 40.0, 80.0]
    none = jnp.zeros((2000, 128), bool)
    values = gap_shares(KEY, chain(dead_time=5.0), none, spans).mean(axis=0)
    assert (np.diff(values) < 0).all()


def test_a_chain_without_variance_never_falls_short():
    net = network(geometric(1.0, trial=10.0), provers=1, beta=0.0, delay_steps=0.0)
    levels = simulate(KEY, net, levels=128, replicas=30)
    shares = shortfall_shares(KEY, levels, [100.0, 100.0], [0.0899, 0.1101])
    np.testing.assert_array_equal(shares, [[0.0, 1.0]] * 30)


def test_one_program_serves_all_settings():
    shortfall_shares(KEY, chain(), [20.0, 60.0], [0.05, 0.05])
    before = growth_tail._short._cache_size()  # pyright: ignore
    shortfall_shares(KEY, chain(dead_time=20.0), [30.0, 70.0], [0.01, 0.02])
    gap_shares(KEY, chain(), jnp.zeros((2000, 128), bool), [5.0, 9.0])
    assert growth_tail._short._cache_size() == before  # pyright: ignore


def test_bad_settings():
    with pytest.raises(ValueError, match="rates must be positive"):
        shortfall_shares(KEY, chain(), [10.0], [0.0])
    with pytest.raises(ValueError, match="spans must be positive"):
        shortfall_shares(KEY, chain(), [], [0.1])
    with pytest.raises(ValueError, match="rates must be one for each of 2"):
        shortfall_shares(KEY, chain(), [10.0, 20.0], [0.1])
    with pytest.raises(Refused, match="simulate more levels"):
        shortfall_shares(KEY, chain(), [900.0], [0.1])
