"""Isolated blocks against Poisson closed forms and blocks counted one by one."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.bounds import delays
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.good_periods import isolation
from dpodl.analysis.good_periods.isolation import (
    Isolation,
    count_isolated,
    isolation_measurements,
)
from dpodl.analysis.simulation.levels import network, simulate

KEY = jax.random.key(21)
SIGMA = 3.5
RATE, PROVERS = 0.02, 8


@cache
def blocks(law="exponential", delay=0.0, dead_time=0.0, levels=128, replicas=1000):
    laws = {"exponential": exponential, "geometric": geometric}
    net = network(
        laws[law](RATE, dead_time=dead_time),
        provers=PROVERS,
        beta=0.0,
        delay_steps=delay,
    )
    return simulate(KEY, net, levels=levels, replicas=replicas)


def figures(found: Isolation):
    return {m.quantity: m.estimate for m in isolation_measurements(found)}


# The network's delay makes forks, but the blocks stay a Poisson process.
@pytest.mark.parametrize("delay", [0.0, 6.0])
@pytest.mark.parametrize("window", [1.0, 6.0, 10.0])
def test_memoryless_blocks_are_poisson(delay, window):
    found = figures(count_isolated(blocks(delay=delay), delay_steps=window))
    rate = PROVERS * RATE
    exact = {
        "isolated_rate": delays.loner_rate(rate, window),
        "left_isolated_rate": delays.nontailgater_rate(rate, window),
        "isolated_share": np.exp(-2 * rate * window),
        "left_isolated_share": np.exp(-rate * window),
    }
    for name, value in exact.items():
        error = (found[name].high - found[name].low) / (2 * 1.96)
        assert abs(found[name].value - value) < SIGMA * error, name
        assert error < 0.02 * value


def counted(levels, delay, begin, end, keep=None):
    """The same in float64, block by block."""
    interval = np.asarray(levels.interval, np.float64)
    lag = np.asarray(levels.lag, np.float64)
    times = np.cumsum(interval, axis=1)[:, :, None] + lag
    rows = []
    for i, replica in enumerate(times):
        kept = np.isfinite(replica) if keep is None else keep[i] & np.isfinite(replica)
        t = np.sort(replica[kept])
        left = np.array([not ((t[:j] >= t[j] - delay).any()) for j in range(len(t))])
        right = np.array(
            [not ((t[j + 1 :] <= t[j] + delay).any()) for j in range(len(t))]
        )
        off = interval.sum(axis=1).max() * 2.0**-20
        inside = (t >= begin - off) & (t < end - off)
        rows.append(
            (inside.sum(), (inside & left).sum(), (inside & left & right).sum())
        )
    return np.array(rows)


# On the lattice many blocks are exactly Δ apart, which still disturbs.
@pytest.mark.parametrize(
    ("law", "delay", "dead_time"), [("exponential", 5.3, 7.0), ("geometric", 6.0, 3.0)]
)
@pytest.mark.parametrize("marked", [False, True])
def test_blocks_counted_one_by_one(law, delay, dead_time, marked):
    levels = blocks(law, delay, dead_time, 64, 30)
    accuracy, keep, threshold = None, None, 0.0
    if marked:
        accuracy = jax.random.uniform(KEY, levels.lag.shape)
        threshold = 0.4
        keep = np.asarray(accuracy) >= np.float32(threshold)
    found = count_isolated(
        levels, delay_steps=delay, accuracy=accuracy, threshold=threshold
    )
    shortest = float(levels.interval.sum(axis=1).min())
    begin, end = max(shortest / 10, 2 * delay), shortest - delay
    slow = counted(levels, delay, begin, end, keep)
    np.testing.assert_array_equal(np.stack(found[:3], axis=1), slow)
    np.testing.assert_allclose(found.span, end - begin)
    assert 0 < slow[:, 2].sum() < slow[:, 1].sum() < slow[:, 0].sum()


def test_late_gaps_are_not_forgotten():
    # Trap: at 2^24 float32 has whole steps only, so gaps of 1/4 would vanish in a sum.
    levels = blocks("exponential", 0.0, 0.0, 64, 20)
    interval = np.full((20, 512), 2.0**16, np.float32)
    interval[:, 1::2] = 1024.25
    assert np.float32(2.0**24) + np.float32(0.25) == np.float32(2.0**24)
    lag = jnp.full((20, 512, 1), jnp.inf).at[:, :, 0].set(0.0)
    late = levels._replace(interval=jnp.asarray(interval), lag=lag)
    near = count_isolated(late, delay_steps=1024.4)
    far = count_isolated(late, delay_steps=1024.1)
    assert near.alone.sum() == 0
    np.testing.assert_array_equal(far.alone, far.blocks)
    # Half of the blocks come 1024.25 after another.
    assert abs(2 * near.left - near.blocks).max() <= 1


def test_no_delay_leaves_every_block_isolated():
    found = count_isolated(blocks(), delay_steps=0.0)
    assert (found.alone >= found.blocks - 1).all()
    assert figures(found)["isolated_share"].value == pytest.approx(1.0, abs=1e-4)


def test_dead_time_longer_than_the_delay_isolates_every_level():
    # Only forks could disturb, and there are none without the network's delay.
    found = count_isolated(blocks(dead_time=20.0), delay_steps=19.0)
    np.testing.assert_array_equal(found.alone, found.blocks)


def test_no_block_reaches_the_threshold():
    levels = blocks(levels=64, replicas=30)
    low = jnp.zeros(levels.lag.shape)
    found = count_isolated(levels, delay_steps=1.0, accuracy=low, threshold=0.5)
    assert found.blocks.sum() == 0
    with pytest.raises(Refused, match="no ratio"):
        isolation_measurements(found)


def test_one_program_serves_all_settings():
    base = blocks(levels=64, replicas=30)
    accuracy = jax.random.uniform(KEY, base.lag.shape)
    count_isolated(base, delay_steps=1.0)
    before = isolation._count._cache_size()  # pyright: ignore
    count_isolated(base, delay_steps=3, accuracy=accuracy, threshold=0.3)
    slow = simulate(
        KEY,
        network(exponential(0.1, dead_time=3.0), provers=4, beta=0.0, delay_steps=1.0),
        levels=64,
        replicas=30,
    )
    count_isolated(slow, delay_steps=2.5)
    assert isolation._count._cache_size() == before  # pyright: ignore


def test_bad_settings():
    levels = blocks(levels=64, replicas=30)
    with pytest.raises(ValueError, match="delay_steps must be ≥ 0"):
        count_isolated(levels, delay_steps=-1.0)
    with pytest.raises(ValueError, match="threshold must be 0 without"):
        count_isolated(levels, delay_steps=1.0, threshold=0.9)
    with pytest.raises(Refused, match="simulate more levels"):
        count_isolated(levels, delay_steps=100.0)
