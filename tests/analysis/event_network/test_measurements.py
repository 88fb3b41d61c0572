"""Figures of the event engine against the level engine's and closed forms."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.event_network.engine import event_network, simulate_network
from dpodl.analysis.event_network.marked_law import MarkedLaw, chain_rule
from dpodl.analysis.event_network.measurements import (
    chain_measurements,
    main_chain,
    private_chain,
    violation_measurements,
    winner_measurements,
)
from dpodl.analysis.event_network.reorganisations import (
    reorganisation_measurements,
    settlement_depth,
)
from dpodl.analysis.simulation import levels as simulation, properties
from dpodl.models.scheme.records import Weight

KEY = jax.random.key(3)
REPLICAS = 1500
DEPTHS = (1, 2, 4, 6)


@cache
def setup(delay, dead_time=0.0, kappa=None):
    rule = None
    if kappa is not None:
        family = Weight("exponential", kappa)
        rule = chain_rule("weight", t_acc=0.9, weight=family)
    net = event_network(
        exponential(0.01, dead_time=dead_time),
        speeds=np.ones(7),
        delay_steps=delay,
        rule=rule,
    )
    record = simulate_network(KEY, net, blocks=72, replicas=REPLICAS, slots=8)
    return net, record, main_chain(record)


def values(measured):
    return {m.place: m.estimate for m in measured}


def violations(delay, dead_time=0.0, kappa=None):
    net, record, chain = setup(delay, dead_time, kappa)
    return values(
        violation_measurements(KEY, record, chain, net, DEPTHS, speeds=np.ones(3))
    )


@pytest.mark.parametrize("delay", [0.0, 10.0])
def test_chain_figures_are_those_of_the_level_engine(delay):
    ours = values(chain_measurements(setup(delay)[2]))
    net = simulation.network(exponential(0.01), provers=10, beta=0.3, delay_steps=delay)
    levels = simulation.simulate(KEY, net, levels=48, replicas=REPLICAS)
    paths = properties.follow(KEY, levels, delay_steps=delay, confirmations=6)
    theirs = values(properties.chain_measurements(paths, levels=48))
    for name in (
        "block_interval_mean", "block_interval_cv", "chain_growth", "stale_rate"
    ):  # fmt: skip
        a, b = ours[name, None], theirs[name, None]
        spread = np.hypot(a.high - a.low, b.high - b.low) / (2 * 1.96)
        assert abs(a.value - b.value) <= 3.5 * spread + 1e-9, name
    growth = ours["chain_growth", None].value
    assert ours["weight_growth", None].value == pytest.approx(growth)
    if delay > 0:
        return
    for name in ("persistence_simulated", "persistence_simulated_strict"):
        for depth in DEPTHS:
            exact = float(races.private_race(0.3, depth, ties_win="strict" not in name))
            found = violations(0.0)[name, float(depth)].value
            assert abs(found - exact) < 3.5 * np.sqrt(exact * (1 - exact) / REPLICAS)


@pytest.mark.parametrize(("delay", "dead_time"), [(10.0, 0.0), (5.0, 100.0)])
def test_the_race_is_the_level_engines(delay, dead_time):
    ours = violations(delay, dead_time)
    law = exponential(0.01, dead_time=dead_time)
    net = simulation.network(law, provers=10, beta=0.3, delay_steps=delay)
    levels = simulation.simulate(KEY, net, levels=48, replicas=REPLICAS)
    paths = properties.follow(KEY, levels, delay_steps=delay, confirmations=6)
    theirs = properties.persistence_measurements(paths, DEPTHS, levels=48)
    for place, b in values(theirs).items():
        a = ours[place]
        p = (a.value + b.value) / 2
        spread = np.sqrt(2 * p * (1 - p) / REPLICAS)
        assert abs(a.value - b.value) < 3.5 * spread, place


def test_equal_weights_of_any_size_change_nothing():
    plain, weighted = violations(10.0), violations(10.0, kappa=7.0)
    for place, estimate in plain.items():
        assert weighted[place].value == estimate.value
    factor = 2.0 ** (7.0 * 0.1)
    ours = values(chain_measurements(setup(10.0, kappa=7.0)[2]))
    assert ours["weight_growth", None].value == pytest.approx(
        factor * ours["chain_growth", None].value, rel=1e-5
    )


def test_more_private_blocks_change_none_of_the_first():
    net, record, _ = setup(0.0)
    few, many = (
        private_chain(KEY, net.law, net, record, speeds=[1.0, 2.0], blocks=b)
        for b in (4, 8)
    )
    np.testing.assert_array_equal(few.interval, many.interval[:, :4])
    found = few.interval.mean()
    assert abs(found - 100 / 3) < 3.9 * 100 / 3 / np.sqrt(4 * REPLICAS)


def test_winner_shares_sum_to_one_by_prover_and_by_class():
    chain = setup(10.0)[2]
    each = winner_measurements(chain, range(7))
    assert sum(m.estimate.value for m in each) == pytest.approx(1.0)
    assert all(abs(m.estimate.value - 1 / 7) < 0.01 for m in each)
    small, large = winner_measurements(chain, [0, 0, 1, 1, 1, 1, 1])
    assert small.estimate.value == pytest.approx(
        sum(m.estimate.value for m in each[:2])
    )
    assert large.estimate.low < 5 / 7 < large.estimate.high


def test_reorganisations_fall_with_depth_and_need_delay():
    curve = [
        m.estimate.value
        for m in reorganisation_measurements(setup(10.0)[1], range(1, 5))
    ]
    assert 0 < curve[1] < curve[0] < 0.3
    assert curve == sorted(curve, reverse=True)
    none = reorganisation_measurements(setup(0.0)[1], [1])[0]
    assert none.estimate.value == 0.0
    with pytest.raises(ValueError, match="depths must be from 1 to 16, got 17"):
        reorganisation_measurements(setup(0.0)[1], [17])


def test_a_run_that_is_all_burn_in_is_refused():
    with pytest.raises(Refused, match="leaves nothing; more blocks are needed"):
        main_chain(setup(0.0)[1], burn_in=71)


def test_a_private_chain_needs_speeds():
    net, record, chain = setup(0.0)
    with pytest.raises(ValueError, match="speeds must be"):
        violation_measurements(KEY, record, chain, net, [1], speeds=[])


def test_the_race_under_unequal_weights_is_a_plain_one():
    """One honest prover of speed 3, one adversary of speed 2, blocks of 1 and ½."""
    number = partial(jnp.asarray, dtype=jnp.float32)
    law = MarkedLaw(
        accuracy=number([[0.875], [0.875], [0.75]]),
        look_time=number([10.0] * 3),
        pre_hazard=number(100.0),
        post_hazard=number(-np.log1p(-0.2)),
        hash_time=number(0.5),
        lattice=jnp.asarray(True),
    )
    # Powers of 2: two light blocks are exactly a heavy one.
    rule = chain_rule("weight", t_acc=0.875, weight=Weight("exponential", 8.0))
    net = event_network(law, speeds=[3.0], delay_steps=0.0, rule=rule)
    record = simulate_network(KEY, net, blocks=72, replicas=REPLICAS, slots=8)
    chain = main_chain(record)
    assert set(np.diff(chain.weight, axis=1).ravel()) == {0.5, 1.0}
    ours = values(violation_measurements(KEY, record, chain, net, DEPTHS, speeds=[2.0]))

    # Whole numbers, so that ties are ties: a block takes (1 + 20 G)/2 steps at speed 1.
    replicas, blocks = 6000, chain.blocks
    generator = np.random.default_rng(8)

    def plain(count, factor):
        times = factor * (1 + 20 * generator.geometric(0.2, (replicas, count)))
        weights = generator.choice([2, 2, 1], (replicas, count))
        return np.cumsum(times, axis=1), np.cumsum(weights, axis=1)

    public, needed = plain(blocks, 2)
    private, weight = plain(2 * blocks, 3)
    last = {"": np.zeros(replicas), "_strict": np.zeros(replicas)}
    for j in range(1, blocks):
        before = private <= public[:, j : j + 1]
        held = np.where(before, weight, 0).max(axis=1)
        last[""][held >= needed[:, j - 1]] = j
        last["_strict"][held > needed[:, j - 1]] = j
    for suffix, theirs in last.items():
        for depth in DEPTHS:
            p = (theirs >= depth).mean()
            found = ours["persistence_simulated" + suffix, float(depth)].value
            spread = np.sqrt(p * (1 - p) * (1 / replicas + 1 / REPLICAS))
            assert 0.05 < p < 0.95
            assert abs(found - p) < 3.9 * spread, (suffix, depth)


def test_settlement_depth_is_the_inverse_of_the_tail():
    record = setup(10.0)[1]
    measured = reorganisation_measurements(record, range(1, 17))
    tail = [m.estimate for m in measured]
    for probability in (0.5, tail[0].value, tail[1].value, 1.01 * tail[1].high):
        found = settlement_depth(record, probability)
        depth = int(found.value)
        assert tail[depth - 1].value <= probability
        assert depth == 1 or tail[depth - 2].value > probability
        assert found.low <= found.value <= found.high
        assert tail[int(found.high) - 1].high <= probability
    assert settlement_depth(record, 0.5).value == 1
    # At the tail's own value the depth is uncertain; well between two it is not.
    assert settlement_depth(record, tail[1].value).high > 2
    sure = settlement_depth(record, 1.01 * tail[1].high)
    assert sure.low == sure.value == sure.high == 2


def test_what_no_replica_showed_is_not_sure():
    record = setup(0.0)[1]
    none = reorganisation_measurements(record, [1])[0].estimate
    # 3.7 of 1500 replicas may have had one, of some 390 adopted blocks each.
    assert 0 < none.high < 5 / REPLICAS / 300
    assert settlement_depth(record, 1e-4).value == 1
    with pytest.raises(Refused, match="more replicas, a shorter delay or a"):
        settlement_depth(record, 1e-9)
    with pytest.raises(ValueError, match=r"probability must be in \(0, 1\), got 1"):
        settlement_depth(record, 1.0)
