"""Lower ends on the network, by hand and against plain simulation."""

import math

import jax
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.confirmations.lower_ends import anchors, faults, with_lower_ends
from dpodl.analysis.confirmations.private_chain import private_chain
from dpodl.analysis.estimation.estimate import (
    Estimate,
    Refused,
    estimate_probability,
)
from dpodl.analysis.estimation.measurement import Measurement
from dpodl.analysis.race import splitting
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.analysis.simulation.properties import follow, persistence_measurements


def risk(depth, value, factor=1.5):
    found = Estimate(value, value / factor, min(1.0, value * factor), 24, "grid")
    return Measurement(
        "persistence_violation", float(depth), "blocks", found, "probability", "tail"
    )


RISKS = [risk(k, 2.0**-k) for k in range(1, 21)]


def seen(replicas=1000, share=0.9):
    return {
        float(k): estimate_probability(round(share * 2.0**-k * replicas), replicas, "")
        for k in range(1, 21)
    }


def test_each_depth_takes_its_engine_by_the_bound_alone():
    simulated = seen()
    # 1000 replicas see 50 events of 2^-4, not of 2^-5.
    at = anchors(RISKS, simulated, 1e-3, 20)
    # Lower ends are above 1e-3 up to 9: 9, 8, 7 and 6 are its shares, and 20 is asked.
    assert at == [6, 7, 8, 9, 20]
    asked: list[int] = []

    def split(depth):
        asked.append(depth)
        value = 0.8 * 2.0**-depth
        return Estimate(value, 0.9 * value, 1.1 * value, 100, "split")

    curve, refusals = with_lower_ends(RISKS, simulated, simulated, [8, 20], split)
    assert refusals == []
    assert asked == [8, 20]
    for m, before in zip(curve, RISKS, strict=True):
        assert m.at is not None
        assert m.estimate.value == before.estimate.value
        assert m.estimate.high == before.estimate.high
        if m.at <= 4:
            own = simulated[m.at]
            half = math.hypot(math.log(own.value / own.low), math.log(1.5))
            expected = own.value * math.exp(-half)
        else:
            anchor = 8 if m.at <= 8 else 20
            half = math.hypot(math.log(1 / 0.9), math.log(1.5))
            expected = 0.8 * 2.0**-anchor * math.exp(-half)
        assert m.estimate.low == pytest.approx(expected)
    lows = [m.estimate.low for m in curve]
    assert lows == sorted(lows, reverse=True)


def test_without_an_anchor_what_was_simulated_stands():
    def split(depth):
        raise Refused(f"no particle at {depth}")

    curve, refusals = with_lower_ends(RISKS, seen(), seen(), [20], split)
    assert refusals == ["no particle at 20"]
    assert curve[-1].estimate.low == 0.0
    assert curve[5].estimate.low > 0
    deep = [*RISKS, risk(40, 2.0**-40)]
    assert with_lower_ends(deep, seen(), seen())[0][-1].estimate.low == 0.0


def test_where_the_bound_is_one_the_simulation_has_its_own_training_error():
    certain = [risk(1, 1.0)]
    alone = {1.0: Estimate(0.6, 0.57, 0.63, 1000, "")}
    wide = {1.0: Estimate(0.6, 0.4, 0.8, 1000, "")}
    (found,), _ = with_lower_ends(certain, alone, wide)
    assert found.estimate[:3] == (1.0, 0.4, 1.0)


def test_the_lower_end_is_never_above_the_bound():
    high = {float(k): Estimate(0.9, 0.89, 0.91, 10_000, "") for k in range(1, 21)}
    curve, _ = with_lower_ends(RISKS, high, high)
    assert all(m.estimate.low <= m.estimate.value for m in curve)


def test_more_violations_than_the_bound_allows_are_a_fault():
    assert faults(RISKS, seen(share=1.0)) == []
    told = faults(RISKS, seen(share=1.6))
    assert any("depth 1:" in text for text in told)
    assert all("one of the two engines is wrong" in text for text in told)
    # A bound of 1 cannot be passed.
    assert faults([risk(1, 1.0)], {1.0: Estimate(1.0, 0.9, 1.0, 100, "")}) == []


@pytest.mark.parametrize("delay", [0.0, 4.0])
def test_a_real_network_lies_between_its_ends(delay):
    law = exponential(0.01)
    net = network(law, provers=5, beta=0.2, delay_steps=delay)
    key = jax.random.key(3)
    drawn = simulate(key, net, levels=64, replicas=4000)
    paths = follow(key, drawn, delay_steps=delay, confirmations=1)
    measured = persistence_measurements(paths, range(1, 13), levels=64)
    simulated = {
        float(m.at or 0): m.estimate
        for m in measured
        if m.quantity == "persistence_simulated"
    }
    grid = private_chain(
        UncertainLaw(law),
        lambda one: network(one, provers=5, beta=0.2, delay_steps=delay),
        depths=range(1, 13),
        targets=(),
    ).risks
    assert faults(grid, simulated) == []

    def split(depth):
        found = splitting.persistence(key, net, depth, particles=256, repetitions=16)
        return found.estimate

    curve, refusals = with_lower_ends(grid, simulated, simulated, [9, 12], split)
    assert refusals == []
    more = simulate(jax.random.key(4), net, levels=64, replicas=20_000)
    paths = follow(key, more, delay_steps=delay, confirmations=1)
    check = persistence_measurements(paths, range(1, 13), levels=64)
    for m, other in zip(curve, check, strict=False):
        assert m.estimate.low <= other.estimate.high
        assert other.estimate.low <= m.estimate.high
    (deepest,) = (m for m in curve if m.at == 12)
    assert deepest.estimate.low > 0.5 * deepest.estimate.value / (1 + delay)
