"""What stands around a rule: s on a chain, timestamps, chain selection, T_acc."""

import random

import pytest
from dpodl.models.chain.retarget import (
    ONE,
    AccuracyRule,
    Rule,
    advance,
    begin,
    block_value,
    median_time_past,
    next_correct,
    share_of_steps,
    timestamp_problem,
)
from dpodl.models.chain.retarget.shares import MOST


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_proven_steps_tell_the_fixed_share(share):
    draw, found = random.Random(8), []
    for _ in range(400):
        lottery = [draw.expovariate(1.0) for _ in range(30)]
        steps = [round(10_000 * (share + (1 - share) * e)) for e in lottery]
        found.append(share_of_steps([max(1, each) for each in steps]) / ONE)
    mean = sum(found) / len(found)
    # A ratio is off by O(1/M), and 0 is a floor.
    assert abs(mean - min(share, MOST / ONE)) < (0.02 if share else 0.03)


def test_shares_are_bounded():
    assert share_of_steps([100] * 5) == MOST
    assert share_of_steps([1, 1000]) == 0
    with pytest.raises(ValueError, match="steps must be two numbers > 0 or more"):
        share_of_steps([7])


def test_the_state_learns_s_and_schedules_by_it():
    rule = Rule("wtema", 100, 40, schedule=True, share_blocks=10)
    state = begin(rule, 1 << 240)
    for i in range(10):
        assert state.share == 0
        state = advance(rule, state, time=100 * (i + 1), steps=90 + 2 * (i % 5))
    assert 0.8 < state.share / ONE <= MOST / ONE
    before = state.target
    after = advance(rule, state, time=state.window[-1].time + 110, steps=95)
    expected = 1 + 0.1 / (40 * (1 - after.share / ONE))
    assert after.target / before == pytest.approx(expected, rel=1e-9)


def test_timestamps_pass_the_median_and_stay_in_reach():
    times = [5, 1, 9, 7, 3, 11, 2, 8, 6, 10, 4, 100]
    assert median_time_past(times) == 7  # of 1 … 11 but 5, and 100
    assert timestamp_problem(8, times) is None
    told = timestamp_problem(7, times)
    assert told is not None
    assert "above 7" in told
    assert timestamp_problem(60, times, now=50, limit=10) is None
    told = timestamp_problem(61, times, now=50, limit=10)
    assert told is not None
    assert "at most 60" in told


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_only_expected_intervals_cannot_be_gamed(share):
    """Value won per time at another target, over that at the genesis' target."""
    genesis, s = 1 << 240, round(share * ONE)

    def gain(selection, theta):
        value = block_value(selection, round(genesis * theta), genesis=genesis, share=s)
        return value / ONE / (share + (1 - share) / theta)

    easy, hard = 1e6, 1e-6
    assert gain("number", easy) == pytest.approx(1 / share, rel=1e-4)
    assert gain("work", hard) == pytest.approx(1 / (1 - share), rel=1e-4)
    assert gain("number", hard) < 1 > gain("work", easy)
    for theta in (easy, 10.0, 1.0, 0.1, hard):
        assert gain("interval", theta) == pytest.approx(1.0, rel=1e-4)


def test_values_need_targets():
    with pytest.raises(ValueError, match="targets must be > 0"):
        block_value("work", 0, genesis=1, share=0)


def test_the_outer_loop_keeps_the_share_in_its_band():
    rule = AccuracyRule(4, 10, 800, 990, ONE // 2, ONE * 3 // 4)
    training, lottery = [900, 905, 910, 930], [100, 900, 500, 300]
    assert next_correct(rule, 8, 950, training) == 940
    assert next_correct(rule, 8, 950, lottery) == 960
    assert next_correct(rule, 7, 950, training) == 950
    assert next_correct(rule, 8, 805, training) == 800
    assert next_correct(rule, 4, 950, training[:3]) == 950
