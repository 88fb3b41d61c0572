"""Replicas of the event engine read as levels: the level engine's figures."""

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment.one_law import Engine, Plan, assess
from dpodl.analysis.block_time.law import exponential, fastest_of_speeds
from dpodl.analysis.event_network.as_levels import event_levels
from dpodl.analysis.event_network.engine import event_network, simulate_network
from dpodl.analysis.simulation.levels import Network, network, simulate

KEY = jax.random.key(5)
LAW = exponential(0.004, dead_time=60.0)
PLAN = Plan(
    levels=48,
    replicas=600,
    good_period_replicas=600,
    depths=(1, 3, 6),
    confirmations=3,
    windows=(3.0, 6.0),
    epsilon=0.5,
    round_steps=10.0,
    detail=False,
)
SIGMA = 3.5


def events(law, speeds, corrupted, *, delay, **options):
    net = event_network(law, speeds=speeds, delay_steps=delay, **options)

    def drawn(key, *, levels, replicas):
        return event_levels(
            key, net, corrupted=corrupted, levels=levels, replicas=replicas
        )

    sides = [fastest_of_speeds(law, each) for each in (speeds, corrupted)]
    raced = Network(sides[0], 1, 1, delay, sides[1])
    return assess(KEY, raced, PLAN, engine=Engine(drawn))


def test_both_engines_have_the_same_figures_where_both_apply():
    """Seven equal honest provers and three corrupted ones, every message Δ late."""
    ours = events(LAW, (1.0,) * 7, (1.0,) * 3, delay=15.0)
    net = network(LAW, provers=10, beta=0.3, delay_steps=15.0)
    theirs = assess(jax.random.key(6), net, PLAN)
    expected = {(m.quantity, m.at): m.estimate for m in theirs.measurements}
    found = {(m.quantity, m.at): m.estimate for m in ours.measurements}
    assert set(found) == set(expected)
    assert {"chain_quality", "liveness_quantile", "good_period"} <= {
        name for name, _ in found
    }
    for place, b in expected.items():
        a = found[place]
        spread = np.hypot(a.high - a.low, b.high - b.low) / (2 * 1.96)
        assert abs(a.value - b.value) <= SIGMA * spread + 1e-9, place


def test_every_success_is_counted_once_at_the_level_in_which_it_comes():
    net = event_network(LAW, speeds=(1.0, 2.0, 0.5), delay_steps=30.0)
    drawn = event_levels(KEY, net, corrupted=(1.0,), levels=40, replicas=32)
    interval, lag = (np.asarray(x, float) for x in (drawn.interval, drawn.lag))
    there = np.isfinite(lag)
    assert (there.sum(axis=2) == np.asarray(drawn.blocks)).all()
    # Its first block begins a level, and the next level's ends it.
    assert (lag.min(axis=2) == 0).all()
    latest = np.where(there, lag, 0.0).max(axis=2)
    assert (latest[:, :-1] <= interval[:, 1:] + 1e-3).all()
    assert (np.asarray(drawn.blocks)[:, -1] >= 1).all()


def test_a_fast_machine_takes_more_than_its_share_and_its_race_is_harder():
    slow = events(LAW, (1.0,) * 8, (1.0, 1.0), delay=15.0)
    fast = events(LAW, (1.0,) * 8, (2.0,), delay=15.0)
    quality = [
        next(m.estimate for m in each.measurements if m.quantity == "chain_quality")
        for each in (slow, fast)
    ]
    # The same speed in one machine has half of the dead time.
    assert quality[1].high < quality[0].low


def test_a_table_of_delays_lies_between_none_and_the_longest():
    law, speeds = exponential(0.01), (1.0,) * 8
    forks = {}
    for name, options in {
        "none": {"delay_steps": 0.0},
        "table": {
            "delay_steps": 20.0,
            "delay_model": "table",
            "delays": [0.0, 0.0, 20.0],
        },
        "same": {"delay_steps": 20.0, "delay_model": "table", "delays": [20.0, 20.0]},
        "worst": {"delay_steps": 20.0},
    }.items():
        net = event_network(law, speeds=speeds, **options)
        record = simulate_network(KEY, net, blocks=96, replicas=256, slots=8)
        forks[name] = np.asarray(record.parent), np.asarray(record.work)
    # A table of one delay is that delay, draw by draw.
    for same, worst in zip(forks["same"], forks["worst"], strict=True):
        np.testing.assert_array_equal(same, worst)
    height = {name: work.max(axis=1).mean() for name, (_, work) in forks.items()}
    assert height["worst"] < height["table"] < height["none"]


@pytest.mark.parametrize(
    "options",
    [
        {"delay_model": "table"},
        {"delays": [3.0]},
        {"delay_model": "table", "delays": [21.0]},
        {"delay_model": "table", "delays": [-1.0]},
    ],
)
def test_bad_tables_are_refused(options):
    with pytest.raises(ValueError, match="delays must be from 0 to delay_steps = 20"):
        event_network(LAW, speeds=(1.0,), delay_steps=20.0, **options)


def test_the_level_engine_and_events_share_their_shapes():
    net = network(LAW, provers=4, beta=0.25, delay_steps=5.0)
    theirs = simulate(KEY, net, levels=32, replicas=8)
    public = event_network(LAW, speeds=(1.0,) * 3, delay_steps=5.0)
    ours = event_levels(KEY, public, corrupted=(1.0,), levels=32, replicas=8)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape[:2] == b.shape[:2]
        assert a.dtype == b.dtype
