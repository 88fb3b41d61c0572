"""The network engine against closed forms and against a plain event simulator."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
    mean,
    quantile,
)
from dpodl.analysis.bounds import delays
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.simulation import levels as simulation
from dpodl.analysis.simulation.levels import compilations, network, simulate
from scipy import stats

from .event_simulator import simulate_events

KEY = jax.random.key(7)
# Two-sided false-alarm level of each comparison in this file.
ALARM = 1e-4
SIGMA = float(stats.norm.ppf(1 - ALARM / 2))


def run(law, *, provers=10, beta=0.0, delay=0.0, levels=64, replicas=2000, **options):
    net = network(law, provers=provers, beta=beta, delay_steps=delay)
    return simulate(KEY, net, levels=levels, replicas=replicas, **options)


def replica_mean(values):
    """Mean and standard error over replicas of a per-replica average."""
    each = np.asarray(values, float).reshape(values.shape[0], -1).mean(axis=1)
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))


def agree(found, error, exact):
    assert abs(found - exact) < SIGMA * error, (found, error, exact)


@pytest.mark.parametrize("delay", [0.0, 10.0, 100.0])
@pytest.mark.parametrize("provers", [1, 3, 60])
def test_growth_under_delay_is_the_closed_form(provers, delay):
    # The finder mines on during Δ, so λ/(1+λΔ) holds exactly only when the others are
    # many. The finder alone adds its own rate: E[interval] = ∫ of a two-phase hazard.
    rate = 0.01
    levels = run(exponential(rate / provers), provers=provers, delay=delay)
    found, error = replica_mean(levels.interval)
    low = delays.growth_under_delay(rate, delay)
    if delay == 0 or provers == 1:
        agree(found, error, 1 / rate)
    else:
        # Between 'everyone waits' and 'one of n never waits'.
        assert 1 / rate < found < 1 / low + SIGMA * error
        assert found > 1 / low - 2 * delay / provers - SIGMA * error


def test_many_provers_grow_like_the_delayed_poisson_process():
    rate, delay = 0.01, 30.0
    levels = run(exponential(rate / 5000), provers=5000, delay=delay, slots=16)
    found, error = replica_mean(levels.interval)
    agree(found, error, 1 / delays.growth_under_delay(rate, delay))


def test_dead_time_adds_to_the_interval():
    rate, delay, dead = 0.01, 30.0, 200.0
    law = exponential(rate / 5000, dead_time=dead)
    levels = run(law, provers=5000, delay=delay, slots=16)
    found, error = replica_mean(levels.interval)
    agree(found, error, 1 / delays.dead_time_growth(rate, delay, dead))


def test_forks_per_level_of_many_memoryless_provers_are_poisson():
    # After the first block the others go on for Δ: Poisson(λΔ) further blocks.
    rate, delay = 0.01, 30.0
    levels = run(exponential(rate / 5000), provers=5000, delay=delay, slots=16)
    found, error = replica_mean(levels.blocks)
    agree(found - 1, error, rate * delay)


def test_loner_rate():
    # Share of levels' first blocks with no other honest block within Δ on both sides.
    rate, delay = 0.01, 20.0
    levels = run(
        exponential(rate / 5000), provers=5000, delay=delay, levels=200, replicas=1000
    )
    first = np.cumsum(np.asarray(levels.interval, float), axis=1)
    times = first[:, :, None] + np.asarray(levels.lag, float)
    span = first[:, -1] - first[:, 0]
    alone = np.empty(len(first))
    for i, replica in enumerate(times):
        found = np.sort(replica[np.isfinite(replica)])
        gaps = np.diff(found)
        alone[i] = ((gaps[:-1] > delay) & (gaps[1:] > delay)).sum() / span[i]
    error = alone.std(ddof=1) / np.sqrt(len(alone))
    # Honest blocks come at rate λ only while provers are not waiting for each other:
    # with a worst-case delay nobody waits, forks are found at rate λ too.
    agree(alone.mean(), error, delays.loner_rate(rate, delay))


LAWS = {
    "exponential": exponential(0.002),
    "dead time": exponential(0.002, dead_time=300.0),
    "lattice": geometric(0.2, trial=50.0, dead_time=0.0),
    "lattice, sure": geometric(1.0, trial=50.0),
}


@pytest.mark.parametrize("delay", [0.0, 25.0, 50.0, 200.0])
@pytest.mark.parametrize("name", list(LAWS))
def test_agrees_with_a_plain_event_simulator(name, delay):
    law, provers, heights = LAWS[name], 6, 316
    generator = np.random.default_rng(3)

    def draw():
        return float(quantile(law, generator.random()))

    intervals, blocks = [], []
    for _ in range(8):
        chain = simulate_events(draw, provers, delay, heights)
        intervals.append(np.diff(chain.first)[15:])
        blocks.append(np.array(chain.blocks[16:], float))
    levels = run(law, provers=provers, delay=delay, levels=64, replicas=1000)
    mean_engine, error_engine = replica_mean(levels.interval)
    forks_engine, fork_error_engine = replica_mean(levels.blocks)
    # Consecutive intervals are weakly dependent; means of 15 make the errors fair.
    events = np.array(intervals).reshape(-1, 15).mean(axis=1)
    counts = np.array(blocks).reshape(-1, 15).mean(axis=1)
    for found, error, other in (
        (mean_engine, error_engine, events),
        (forks_engine, fork_error_engine, counts),
    ):
        spread = np.hypot(error, other.std(ddof=1) / np.sqrt(len(other)))
        assert abs(found - other.mean()) <= SIGMA * spread + 1e-6 * found
    if name != "lattice, sure":
        engine = np.asarray(levels.interval, float)[:, ::8].ravel()
        test: Any = stats.ks_2samp(engine, np.concatenate(intervals)[::4])
        assert test.pvalue > ALARM


def test_slots_that_are_too_few_are_widened_not_truncated():
    # Every prover finds its block at the same moment: all n are finders.
    law = geometric(1.0, trial=50.0)
    levels = run(law, provers=12, delay=10.0, levels=8, replicas=20, slots=2)
    assert (np.asarray(levels.blocks) == 12).all()
    assert not np.asarray(levels.overflow).any()


def test_more_finders_than_memory_holds_are_refused(monkeypatch):
    monkeypatch.setattr(simulation, "MAXIMUM_SLOTS", 8)
    law = geometric(1.0, trial=50.0)
    with pytest.raises(Refused, match="more than 8 provers find a block at one level"):
        run(law, provers=12, delay=10.0, levels=8, replicas=20, slots=4)


def test_widening_changes_no_draw_that_was_enough():
    law = exponential(0.001)
    narrow = run(law, provers=8, delay=50.0, slots=8, replicas=100)
    wide = run(law, provers=8, delay=50.0, slots=16, replicas=100)
    np.testing.assert_array_equal(narrow.interval, wide.interval)
    np.testing.assert_array_equal(narrow.private, wide.private)


def test_the_private_chain_is_the_fastest_of_its_provers():
    law = exponential(0.001, dead_time=40.0)
    levels = run(law, provers=10, beta=0.3, levels=200)
    found, error = replica_mean(levels.private)
    agree(found, error, mean(fastest_of(law, 3)))


def test_without_an_adversary_there_is_no_private_chain():
    levels = run(exponential(0.001), beta=0.0, levels=8, replicas=20)
    assert np.isinf(np.asarray(levels.private)).all()


def test_a_sweep_compiles_once():
    # Atoms cost two look-ups more: a lattice law has a program of its own.
    run(exponential(0.001), provers=10, levels=16, replicas=50)
    run(geometric(0.001, trial=5.0), provers=10, levels=16, replicas=50)
    before = compilations()
    for law in (exponential(0.02, dead_time=3.0), geometric(0.05, trial=7.0)):
        for beta, delay in ((0.1, 0.0), (0.3, 4.0)):
            run(law, provers=20, beta=beta, delay=delay, levels=16, replicas=50)
    assert compilations() == before


def test_sizes_are_no_part_of_a_program():
    law = exponential(0.001)
    run(law, delay=20.0, levels=16, replicas=300)
    before = compilations()
    whole = run(law, delay=20.0, levels=131, replicas=257)
    part = run(law, delay=20.0, levels=50, replicas=90)
    assert compilations() == before
    for long, short in zip(whole, part, strict=True):
        start = (slice(90), slice(50))[: np.ndim(short)]
        np.testing.assert_array_equal(np.asarray(long)[start], short)
    assert np.asarray(whole.interval).shape == (257, 131)


def test_one_and_two_thousand_replicas_in_batches_are_the_same_draws():
    few = run(exponential(0.001), delay=20.0, levels=16, replicas=1500)
    assert np.asarray(few.interval).shape == (1500, 16)
    assert len(np.unique(np.asarray(few.interval)[:, 0])) > 1400


def test_a_law_that_may_never_end_is_refused():
    never = BlockTimeLaw(np.full(8192, 0.0), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="never got a block"):
        run(never, levels=8, replicas=20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"provers": 0}, "provers must be ≥ 1, got 0"),
        ({"beta": 1.0}, r"beta must be in \[0, 1\), got 1"),
        ({"beta": 0.25}, "nearest betas are 0.2 and 0.3, got 0.25"),
        ({"delay_steps": -1.0}, "delay_steps must be ≥ 0, got -1"),
        ({"delay_steps": float("nan")}, "delay_steps must be ≥ 0, got nan"),
    ],
)
def test_bad_networks_are_refused(options, message):
    good = {"provers": 10, "beta": 0.2, "delay_steps": 1.0}
    with pytest.raises(ValueError, match=message):
        network(exponential(0.1), **{**good, **options})


def test_float_trap_relative_times_survive_long_chains():
    # Gaps, not absolute times: the millionth level is as exact as the first.
    law = geometric(0.5, trial=1.0)
    levels = run(law, provers=1, levels=4096, replicas=10)
    gaps = np.asarray(levels.interval, float)
    assert gaps.sum() > 10 * 4096
    np.testing.assert_array_equal(gaps, np.round(gaps))


def test_float_trap_lattice_ties_survive_a_dead_time():
    # One hash of 1/150 step before every training: float32 sums of it differ in the
    # last bit, but provers that end at the same look do tie.
    law = geometric(0.3, trial=20.0, dead_time=1 / 150)
    levels = run(law, provers=5, delay=40.0, levels=64, replicas=200)
    off = np.asarray(levels.lag, float)
    off = off[np.isfinite(off)]
    with_tie = np.isclose(off, 40.0, atol=0.1).sum()
    plain = run(geometric(0.3, trial=20.0), provers=5, delay=40.0, replicas=200)
    lag = np.asarray(plain.lag, float)
    exact = np.isclose(lag[np.isfinite(lag)], 40.0, atol=0.1).sum()
    assert exact > 0
    assert with_tie == exact


def test_lattice_intervals_are_exact_multiples_under_a_lattice_delay():
    law = geometric(0.3, trial=20.0)
    levels = run(law, provers=5, delay=40.0, levels=64, replicas=100)
    np.testing.assert_array_equal(jnp.remainder(levels.interval, 20.0), 0.0)


@pytest.mark.parametrize(("seed", "level", "replica"), [(7, 40, 7223), (6, 31, 18354)])
def test_no_draw_is_never(seed, level, replica):
    """Where a word is one of the last 128 (``test_counter_draws.py``) blocks come too.

    Such a draw was infinite: a private chain that stopped for ever, or a level without
    a block, for which all replicas were refused.
    """
    net = network(exponential(0.01), provers=10, beta=0.2, delay_steps=5.0)
    levels = simulate(
        jax.random.key(seed), net, levels=level - 15, replicas=replica + 1
    )
    assert np.isfinite(np.asarray(levels.interval)).all()
    assert np.isfinite(np.asarray(levels.private)).all()
    if seed == 7:
        # E = 2^-24 of a law without dead time: the shortest block of all.
        assert float(levels.private[replica, -1]) < 1e-3
        assert float(levels.private.min()) == float(levels.private[replica, -1])
