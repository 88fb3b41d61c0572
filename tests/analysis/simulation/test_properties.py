"""Races, growth, quality and liveness against docs/science/anchors.md."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.bounds import delays, races
from dpodl.analysis.simulation.levels import Levels, network, simulate
from dpodl.analysis.simulation.properties import (
    LOWER_BOUND,
    Paths,
    chain_measurements,
    follow,
    liveness_measurements,
    persistence_measurements,
)
from scipy import stats

LEVELS = 128
REPLICAS = 20_000
# Every comparison allows this many standard errors of its own simulation.
SIGMA = 4.0


@cache
def paths(dead_time=0.0, beta=0.3, delay=0.0, provers=10, lottery=0.01):
    law = exponential(lottery, dead_time=dead_time)
    net = network(law, provers=provers, beta=beta, delay_steps=delay)
    key = jax.random.key(11)
    levels = simulate(key, net, levels=LEVELS, replicas=REPLICAS)
    return follow(
        jax.random.fold_in(key, 1), levels, delay_steps=delay, confirmations=6
    )


def violation(found: Paths, depth: int, *, strict: bool = False) -> float:
    name = "persistence_simulated" + ("_strict" if strict else "")
    for m in persistence_measurements(found, [depth], levels=LEVELS):
        if m.quantity == name:
            return m.estimate.value
    raise AssertionError(name)


def agree(found: float, exact: float) -> None:
    # Exact, since some expect less than one event: a normal error would be wrong.
    test = stats.binomtest(round(found * REPLICAS), REPLICAS, exact)
    assert test.pvalue > 2 * stats.norm.sf(SIGMA), (found, exact)


@pytest.mark.parametrize("depth", [1, 2, 4, 6, 10])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("q", [0.1, 0.3])
def test_private_race_of_memoryless_provers(q, strict, depth):
    exact = float(races.private_race(q, depth, ties_win=not strict))
    agree(violation(paths(beta=q), depth, strict=strict), exact)


@pytest.mark.parametrize(
    ("dead_time", "published"),
    [(0.0, 0.157), (1.0, 0.191), (5.0, 0.357), (10.0, 0.578)],
)
def test_dead_time_helps_the_adversary_who_wins_ties(dead_time, published):
    # docs/science/anchors.md: q = .3, z = 6, S_0 in mean memoryless intervals of all
    # provers; published to ±.003.
    found = violation(paths(dead_time=dead_time * 10.0), 6)
    assert abs(found - published) < 0.003 + SIGMA * np.sqrt(0.25 / REPLICAS)


def test_dead_time_does_not_change_the_strict_race():
    exact = float(races.private_race(0.3, 6, ties_win=False))
    for dead_time in (0.0, 50.0, 100.0):
        agree(violation(paths(dead_time=dead_time), 6, strict=True), exact)


def test_above_the_threshold_the_private_chain_always_wins():
    # β* is where the adversary's rate meets the delayed honest growth.
    rate, delay = 0.1, 10.0
    threshold = delays.security_threshold(rate * delay)
    below, above = (round(threshold * 20 - 3) / 20, round(threshold * 20 + 3) / 20)
    slow = paths(beta=below, delay=delay, provers=20, lottery=rate / 20)
    fast = paths(beta=above, delay=delay, provers=20, lottery=rate / 20)
    assert violation(fast, 40) > 0.95
    assert violation(slow, 40) < 0.2
    assert violation(slow, 60) < 0.5 * violation(slow, 20)


def test_quality_under_withholding_is_one_minus_q_over_p():
    for q in (0.1, 0.3):
        m = {x.quantity: x for x in chain_measurements(paths(beta=q), levels=LEVELS)}
        estimate = m["chain_quality"].estimate
        half = (estimate.high - estimate.low) / 2
        assert abs(estimate.value - (1 - q / (1 - q))) < SIGMA / 1.96 * half


def test_growth_interval_and_cv_of_memoryless_provers():
    m = {x.quantity: x.estimate for x in chain_measurements(paths(), levels=LEVELS)}
    for name, exact in (
        ("block_interval_mean", 1 / 0.07),
        ("chain_growth", 0.07),
        ("block_interval_cv", 1.0),
    ):
        half = (m[name].high - m[name].low) / 2
        assert abs(m[name].value - exact) < SIGMA / 1.96 * half, name
        assert half < 0.01 * exact


def test_liveness_of_memoryless_provers_without_adversary_is_gamma():
    # From a random moment, k blocks of a Poisson process: Gamma(k, rate).
    found = paths(beta=0.0)
    wait = np.asarray(found.wait, float)
    law = stats.gamma(6, scale=1 / 0.1)
    # One in 10^4 fixed-key samples of this size is further off.
    assert stats.kstest(wait, law.cdf).pvalue > 1e-4
    for m in liveness_measurements(found):
        assert m.estimate.low <= law.ppf(m.at) <= m.estimate.high


def test_liveness_counts_long_intervals_as_often_as_they_last():
    # Dead time only: every interval is D, the moment falls anywhere in one.
    net = network(geometric(1.0, trial=100.0), provers=1, beta=0.0, delay_steps=0.0)
    key = jax.random.key(2)
    levels = simulate(key, net, levels=64, replicas=2000)
    found = follow(key, levels, delay_steps=0.0, confirmations=3)
    wait = np.asarray(found.wait, float)
    assert wait.min() > 200
    assert wait.max() <= 300
    assert stats.kstest(wait, stats.uniform(200, 100).cdf).pvalue > 1e-4


def test_liveness_is_that_of_an_adversary_with_its_stationary_lead():
    # Exponential laws, q = .4, k = 6, in mean honest intervals: an independent, long
    # simulation gave a 90 % quantile of 28.9, against 25.7 without a lead at first.
    found = {m.at: m.estimate for m in liveness_measurements(paths(beta=0.4))}
    assert found[0.9].value * 0.06 == pytest.approx(28.9, rel=0.04)


def hand_made(interval, private):
    interval, private = jnp.array([interval]), jnp.array([private])
    shape = (*interval.shape, 2)
    return Levels(
        interval=interval,
        blocks=jnp.ones(interval.shape, jnp.int32),
        lag=jnp.full(shape, jnp.inf).at[..., 0].set(0.0),
        private=private,
        overflow=jnp.zeros(1, bool),
    )


@pytest.mark.parametrize("delay", [0.0, 1.0, 3.0])
def test_last_crossings_are_those_of_the_definition(delay):
    # Enumerated straight from the events of the module's header.
    generator = np.random.default_rng(5)
    for _ in range(50):
        h = generator.integers(1, 9, 24).astype(np.float32)
        a = generator.integers(1, 12, 24).astype(np.float32)
        tau, alpha = np.cumsum(h), np.cumsum(a)
        tie = [
            j for j in range(1, 24) if alpha[j - 1] <= tau[j] + delay
        ]  # α_j ≤ τ_{j+1} + Δ, arrays from j = 1
        strict = [j for j in range(24) if alpha[j] <= tau[j] + delay]
        found = follow(
            jax.random.key(0), hand_made(h, a), delay_steps=delay, confirmations=1
        )
        assert int(found.last_tie[0]) == max(tie, default=0)
        assert int(found.last_strict[0]) == max(strict, default=-1)


def test_withholding_recursion_is_the_one_of_the_definition():
    generator = np.random.default_rng(6)
    h = generator.exponential(1.0, 64).astype(np.float32)
    a = generator.exponential(1.6, 64).astype(np.float32)
    tau, alpha, taken = 0.0, 0.0, []
    for gap, draw in zip(h.astype(float), a.astype(float), strict=True):
        alpha = min(alpha, tau) + draw
        tau += gap
        taken.append(alpha < tau)
    found = follow(jax.random.key(0), hand_made(h, a), delay_steps=0.0, confirmations=1)
    assert int(found.taken[0]) == sum(taken[32:])
    assert sum(taken) > 0


def test_races_cut_off_too_early_say_so_in_the_upper_end():
    # A critical race is often undecided at its last level.
    found = paths(beta=0.4, delay=0.0)
    last = np.asarray(found.last_tie, float)
    late = float((last >= 0.75 * LEVELS).mean())
    assert late > 0
    (estimate,) = (
        m.estimate
        for m in persistence_measurements(found, [60], levels=LEVELS)
        if m.quantity == "persistence_simulated"
    )
    assert estimate.high > estimate.value + late
    assert LOWER_BOUND in estimate.method
    sure = persistence_measurements(paths(beta=0.1), [2], levels=LEVELS)[0].estimate
    assert LOWER_BOUND not in sure.method


@pytest.mark.parametrize("depth", [0, LEVELS // 2 + 1])
def test_depths_out_of_reach_are_refused(depth):
    with pytest.raises(ValueError, match=f"half the levels, 64, got {depth}"):
        persistence_measurements(paths(), [depth], levels=LEVELS)


def test_confirmations_out_of_reach_are_refused():
    with pytest.raises(ValueError, match="a quarter of the levels, 6, got 7"):
        follow(
            jax.random.key(0),
            hand_made(np.ones(24, np.float32), np.ones(24, np.float32)),
            delay_steps=0.0,
            confirmations=7,
        )
