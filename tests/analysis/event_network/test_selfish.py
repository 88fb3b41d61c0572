"""SM1 on a network: closed forms, two clocks, and a plain simulator."""

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks.sm1 import sm1_revenue
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential, fastest_of
from dpodl.analysis.bounds import selfish
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.event_network.selfish import Pool, simulate_selfish
from dpodl.analysis.simulation.levels import network, simulate

from .selfish_simulator import play_selfish

HONEST, LEVELS, REPLICAS = 4, 96, 256


def pool(law, corrupted, *, delay=0.0, gamma=0.5):
    return Pool(law, (1.0,) * HONEST, fastest_of(law, corrupted), delay, gamma)


def play(seed, some, replicas=REPLICAS):
    return simulate_selfish(
        jax.random.key(seed), some, levels=LEVELS, replicas=replicas
    )


def mean_and_error(shares):
    return shares.mean(), shares.std(ddof=1) / np.sqrt(len(shares))


@pytest.mark.parametrize(
    ("corrupted", "gamma"), [(1, 0.0), (2, 0.0), (2, 0.5), (2, 1.0), (3, 0.5)]
)
def test_memoryless_pools_without_delay_have_the_closed_form(corrupted, gamma):
    found = play(corrupted, pool(exponential(0.01), corrupted, gamma=gamma))
    share, error = mean_and_error(found.own.mean(axis=1))
    alpha = corrupted / (HONEST + corrupted)
    exact = selfish.selfish_revenue(alpha, gamma)
    assert abs(share - exact) < 3.5 * error
    assert error < 0.01


@pytest.mark.parametrize("dead_time", [20.0, 100.0])
def test_without_delay_it_is_the_race_of_two_clocks(dead_time):
    law = exponential(0.01, dead_time=dead_time)
    found = play(7, pool(law, 3, gamma=0.25))
    clocks = sm1_revenue(
        jax.random.key(8), law, provers=HONEST + 3, beta=3 / 7, gamma=0.25
    )
    share, error = mean_and_error(found.own.mean(axis=1))
    other = (clocks.high - clocks.low) / (2 * 1.96)
    assert abs(share - clocks.value) < 3.5 * np.hypot(error, other)


@pytest.mark.parametrize(
    ("corrupted", "delay", "gamma", "dead_time"),
    [(2, 15.0, 0.5, 0.0), (2, 15.0, 0.0, 40.0), (1, 60.0, 1.0, 40.0)],
)
def test_with_delay_it_is_what_a_plain_simulator_plays(
    corrupted, delay, gamma, dead_time
):
    law = exponential(0.01, dead_time=dead_time)
    found = play(3, pool(law, corrupted, delay=delay, gamma=gamma))
    rng = np.random.default_rng(corrupted + int(delay))
    plain = [
        play_selfish(
            lambda: dead_time + rng.exponential(100.0),
            lambda: dead_time + rng.exponential(100.0 / corrupted),
            HONEST,
            delay,
            gamma,
            500,
            rng,
        )
        for _ in range(24)
    ]
    pairs = {
        "revenue": (found.own.mean(axis=1), [each.own.mean() for each in plain]),
        "interval": (
            found.reached[:, -1] / LEVELS,
            [each.duration / len(each.own) for each in plain],
        ),
        "stale": (
            1 - found.kept.sum(axis=1) / found.found.sum(axis=1),
            [each.stale for each in plain],
        ),
        **{
            f"reverted {k}": (
                (found.reverted >= k).mean(axis=1),
                [(each.reverted >= k).mean() for each in plain],
            )
            for k in (1, 2)
        },
    }
    for name, (ours, theirs) in pairs.items():
        (a, error), (b, other) = mean_and_error(ours), mean_and_error(np.array(theirs))
        # The plain one begins with nobody ahead.
        assert abs(a - b) < 4 * np.hypot(error, other) + 0.004 * max(1.0, a), name


def test_a_pool_that_finds_nothing_leaves_the_honest_chain():
    law = exponential(0.01)
    rare = Pool(law, (1.0,) * HONEST, exponential(1e-7), 20.0, 0.5)
    found = play(5, rare)
    assert not found.own.any()
    net = network(law, provers=HONEST, beta=0.0, delay_steps=20.0)
    levels = simulate(jax.random.key(6), net, levels=LEVELS, replicas=REPLICAS)
    forks = np.asarray(levels.blocks).sum(axis=1) - LEVELS
    for ours, theirs in (
        (found.reached[:, -1], np.asarray(levels.interval, float).sum(axis=1)),
        (found.found.sum(axis=1) - LEVELS, forks),
    ):
        (a, error), (b, other) = map(mean_and_error, (ours, theirs))
        assert abs(a - b) < 3.5 * np.hypot(error, other)


def test_settled_levels_are_a_chain_in_time():
    found = play(9, pool(exponential(0.01), 3, delay=15.0))
    assert (np.diff(found.reached, axis=1) >= 0).all()
    assert (np.diff(found.settled, axis=1) >= 0).all()
    assert (found.settled >= found.reached[:, 1:] - 1e-6).all()
    assert (found.found >= found.kept).all()
    assert (found.kept == ~found.own).all()
    for times in (found.honest, found.adversary):
        whole = np.where(np.isfinite(times), times, np.nan)
        assert (np.diff(whole, axis=1)[np.isfinite(np.diff(whole, axis=1))] >= 0).all()


def test_more_levels_go_on_with_the_same_play():
    some = pool(exponential(0.01), 2, delay=15.0)
    few = simulate_selfish(jax.random.key(1), some, levels=32, replicas=REPLICAS)
    many = play(1, some)
    np.testing.assert_array_equal(few.own, many.own[:, :32])
    np.testing.assert_allclose(few.reached, many.reached[:, :33], rtol=1e-9)


def test_speeds_of_honest_provers_add_up():
    law = exponential(0.01)
    fast = Pool(law, (1.0, 1.0, 1.0, 5.0), fastest_of(law, 2), 0.0, 0.0)
    share, error = mean_and_error(play(2, fast).own.mean(axis=1))
    assert abs(share - selfish.selfish_revenue(0.2, 0.0)) < 3.5 * error


def test_what_has_no_chain_is_refused():
    stuck = BlockTimeLaw(np.minimum(np.arange(8192) / 64, 0.5), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match=r"selfish mining on a network: some block never"):
        play(0, pool(stuck, 2))
    with pytest.raises(Refused, match=r"a lead of the pool above 63"):
        play(0, pool(exponential(0.01), 40))
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 1\], got 2"):
        play(0, pool(exponential(0.01), 2, gamma=2.0))
    with pytest.raises(ValueError, match="delay_steps must be ≥ 0 and finite"):
        play(0, pool(exponential(0.01), 2, delay=-1.0))


def test_forks_that_settle_nothing_are_told(monkeypatch):
    from dpodl.analysis.event_network import withholder as engine

    monkeypatch.setattr(engine, "follow", lambda *_, **__: None)
    with pytest.raises(Refused, match="provers agree on fewer than 96 levels of"):
        play(0, pool(exponential(0.01), 2))
