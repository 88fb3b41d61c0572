"""Responses, transients and tuning against closed forms and by hand."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.bounds.races import private_race
from dpodl.analysis.feedback import (
    choose,
    closed_forms,
    dead_time,
    frequency_response,
    gain,
    good_levels,
    persistence,
    quantities,
    step_response,
    tuned,
)
from dpodl.analysis.feedback.loop import Paths, run_loop
from dpodl.analysis.feedback.rules import LoopRule
from dpodl.analysis.feedback.scenarios import (
    on_off,
    provers_step,
    standard,
    steady,
    task_switch,
)

KEY = jax.random.key(7)
BLOCKS, REPLICAS = 2048, 128


@pytest.mark.parametrize("name", ["asert", "lwma"])
@pytest.mark.parametrize("period", [48, 512])
def test_a_waves_answer_is_the_transfer_functions(name, period):
    rule, laws = LoopRule(name, 50), dead_time(0.5)
    found = frequency_response(
        KEY, laws, rule, period, blocks=BLOCKS, replicas=REPLICAS
    )
    expected = closed_forms.sensitivity(rule, gain(laws), period)
    error = (found.high - found.low) / 2 / 1.96
    # To first order in a wave of a tenth; the second is some percent of it.
    assert abs(found.value - expected) < 4.5 * error + 0.02
    with pytest.raises(ValueError, match="period must be at most"):
        frequency_response(KEY, laws, rule, BLOCKS, blocks=BLOCKS, replicas=2)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_step_is_answered_in_n_over_the_gain(share):
    laws, scenario = dead_time(share), provers_step(BLOCKS, 2.0, at=256, back=BLOCKS)
    rule = LoopRule("asert", 40)
    paths = run_loop(KEY, laws, rule, scenario, replicas=REPLICAS)
    places, found = step_response(laws, paths, scenario, 10)
    # Mean of the loop: y moves by m(y) − 1 in N blocks.
    y, means = 0.0, []
    for place in range(500):
        m = share + (1 - share) * math.exp(-y) / 2
        if place % 10 == 0:
            means.append(m)
        y += (m - 1) / 40
    for place, mean, one in zip(places, means, found, strict=False):
        error = (one.high - one.low) / 2 / 1.96
        # Jensen's inequality: by half a variance of y, 1/(4N) and less.
        assert abs(one.value - mean) < 5 * error + 0.012, place


def by_hand(interval, target, provers=None):
    ones = np.ones_like(interval) if provers is None else provers
    return Paths(interval, target, ones, math.log(4.0))


def test_quantities_by_hand():
    interval = np.tile(np.array([1.0, 1.0, 0.5, 7.0, 2.0, 0.5, 1.0, 1.0]), (10, 1))
    target = np.tile(np.log([1, 1, 1, 4, 2, 1, 1, 1.0]), (10, 1)).astype(np.float32)
    there = np.tile(np.array([1, 1, 1, 1, 4, 4, 1, 1.0]), (10, 1)).astype(np.float32)
    scenario = on_off(8, 3.0, come=0.6, go=0.9)
    paths = by_hand(interval.astype(np.float32), target, there)
    laws = dead_time(0.0, most=4.0)
    found = {q.name: q.estimate for q in quantities(laws, paths, scenario)}
    # Of all blocks but the first eighth.
    kept = [1.0, 0.5, 7.0, 2.0, 0.5, 1.0, 1.0]
    assert found["mean"].value == pytest.approx(sum(kept) / 7)
    assert found["median"].value == 1.0
    assert found["longest"].value == 7.0
    assert found["delayed"].value == pytest.approx(3.0 / 7)
    assert found["drift"].value == pytest.approx(sum(kept) - 7)
    assert found["saturated"].value == pytest.approx(1 / 7)
    assert found["confirmation"].value == pytest.approx(sum(kept[1:]))
    theta = np.array([1, 1, 4, 2, 1, 1, 1.0])
    own = (theta * kept).sum() / sum(kept)
    theirs = (2 * 2.0 + 1 * 0.5) / 2.5
    assert found["stolen"].value == pytest.approx(theirs / own - 1)
    assert found["sd_target"].value == pytest.approx(theta.std() / theta.mean())
    m = 1 / (theta * np.array([1, 1, 1, 4, 4, 1, 1]))
    assert found["off"].value == pytest.approx(np.abs(m - 1).mean(), rel=1e-5)
    assert found["sd_expected"].value == pytest.approx(m.std(), rel=1e-5)
    assert "recovery" not in found


def test_recovery_is_when_the_mean_stays_within_a_fifth_of_the_step():
    scenario = provers_step(400, 2.0, at=100, back=400)
    expected = 1 - 0.5 * np.exp(-np.arange(300) / 40)
    theta = 1 / (2 * np.r_[np.full(100, 0.5), expected])
    target = np.tile(np.log(theta), (20, 1)).astype(np.float32)
    there = np.tile(scenario.provers, (20, 1)).astype(np.float32)
    paths = by_hand(np.ones((20, 400), np.float32), target, there)
    found = {q.name: q.estimate for q in quantities(dead_time(0.0), paths, scenario)}
    assert found["recovery"].value == math.ceil(40 * math.log(5))
    never = by_hand(np.ones((20, 400), np.float32), 0 * target, there)
    found = {q.name: q.estimate for q in quantities(dead_time(0.0), never, scenario)}
    assert found["recovery"].value == math.inf
    noisy = target + np.random.default_rng(1).normal(0, 0.3, (20, 1)).astype(np.float32)
    found = {
        q.name: q.estimate
        for q in quantities(dead_time(0.0), by_hand(there, noisy, there), scenario)
    }
    assert math.isnan(found["recovery"].value)
    assert "noise in a group's mean" in found["recovery"].method


def test_recovery_from_what_ends_counts_from_its_end():
    scenario = task_switch(400, at=100, back=200)
    target = np.zeros((20, 400), np.float32)
    target[:, 200:230] = math.log(2)
    paths = by_hand(np.ones((20, 400), np.float32), target)
    laws = dead_time(0.0, task=1.0)
    found = {q.name: q.estimate for q in quantities(laws, paths, scenario)}
    assert found["recovery"].value == 30


def still(replicas, blocks=128, log_target=0.0):
    target = np.full((replicas, blocks), log_target, np.float32)
    return by_hand(np.ones((replicas, blocks), np.float32), target)


@pytest.mark.parametrize("log_target", [0.0, 0.7])
def test_good_levels_are_those_without_another_block_within_delay(log_target):
    """Exact: the other n − 1 find none within Δ, of a lottery."""
    laws, n, delay, share = dead_time(0.4), 15, 0.1, 0.75
    paths = still(2000, 4, log_target)
    (found,) = good_levels(
        KEY, laws, paths, steady(4), [1], honest=n, share=share, delay=delay
    )
    rate = share * math.exp(log_target) / 0.6 * (n - 1) / n
    exact = math.exp(-rate * delay)
    error = math.sqrt(exact * (1 - exact) / (32 * 2000))
    assert abs(found.value - exact) < 4.5 * error
    with pytest.raises(ValueError, match="honest must be ≥ 2"):
        good_levels(KEY, laws, paths, steady(4), [1], honest=1, share=1.0, delay=0.0)


@pytest.mark.parametrize("depth", [2, 5])
def test_persistence_at_a_still_target_is_the_private_race(depth):
    beta, paths = 0.25, still(4096)
    (found,) = persistence(
        KEY, dead_time(0.0), paths, steady(128), [3], depth=depth, beta=beta, delay=0.0
    )
    exact = private_race(beta, depth)
    error = math.sqrt(exact * (1 - exact) / (8 * 4096))
    # It stops at five depths: less than it may still lose there.
    late = private_race(beta, 5 * depth)
    assert -4.5 * error - late < found.value - exact < 4.5 * error
    with pytest.raises(ValueError, match="5 depths from each height within"):
        persistence(
            KEY, dead_time(0.0), paths, steady(128), [100], depth=9, beta=beta,
            delay=0.0,
        )  # fmt: skip


def test_a_fixed_part_makes_races_of_short_intervals_riskier():
    risks = []
    for log_target in (0.0, 2.0):
        (found,) = persistence(
            KEY, dead_time(0.5), still(4096, log_target=log_target), steady(128), [3],
            depth=5, beta=0.25, delay=0.05,
        )  # fmt: skip
        risks.append(found.value)
    assert risks[0] != pytest.approx(risks[1], rel=0.1)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rules_get_the_sd_that_is_asked_for(share):
    laws = dead_time(share, most=64.0)
    found = tuned(KEY, laws, LoopRule("asert", 2), 0.08, replicas=64)
    assert found.sd == pytest.approx(0.08, rel=0.03)
    g = 1 - share
    assert found.rule.blocks == pytest.approx(g**3 / (2 * 0.08**2), rel=0.12)
    with pytest.raises(ValueError, match=r"sd must be in \(0, 1\)"):
        tuned(KEY, laws, LoopRule("asert", 2), 1.0)


def test_an_sd_out_of_reach_is_told():
    found = tuned(KEY, dead_time(0.9), LoopRule("asert", 2), 0.3, replicas=64)
    assert "at the smallest N, 2" in found.reason


def test_the_inverse_question():
    maker, laws = standard(tasks=1)["provers-double"], dead_time(0.5, most=64.0)
    options = {"sd": 0.05, "replicas": 256}
    yes = choose(KEY, laws, LoopRule("asert", 2), maker, recovery=400.0, **options)
    assert yes.holds
    # e = 1 − m falls by (m − s) e / N a block, from .25 to .05: 2 N ln 9 blocks.
    assert yes.recovery.value == pytest.approx(2 * 25 * math.log(9), rel=0.15)
    no = choose(KEY, laws, LoopRule("asert", 2), maker, recovery=10.0, **options)
    assert not no.holds
    assert "at the smallest N that is steady" in no.reason
