"""Rules as consensus: published bytes, closed forms, and what every rule must be."""

import math
import random
from itertools import pairwise

import pytest
from dpodl.models.chain.retarget import (
    NAMES,
    ONE,
    Rule,
    advance,
    begin,
    rule_problems,
)
from dpodl.models.chain.retarget.exponential import factor, scaled
from dpodl.models.chain.retarget.rule import HIGHEST

from ....reference_rows import rows

START = 1 << 240


def follow(rule, times, *, start=START, steps=None):
    """The states after each block."""
    state, found = begin(rule, start), []
    for place, time in enumerate(times):
        done = 100 if steps is None else steps[place]
        state = advance(rule, state, time=time, steps=done)
        found.append(state)
    return found


def every(interval, blocks):
    return [interval * (i + 1) for i in range(blocks)]


@pytest.mark.parametrize("row", rows("aserti3_factor"))
def test_the_cubic_is_the_published_one(row):
    fraction = int(row.parameters.split()[-1].split("/")[0])
    assert factor(fraction) == int(row.value)


def test_the_cubic_is_as_near_to_a_power_of_two_as_published():
    worst = max(abs(factor(f) / ONE / 2 ** (f / ONE) - 1) for f in range(0, ONE, 7))
    assert worst < 1.3e-4
    assert all(a <= b for a, b in pairwise(map(factor, range(ONE))))


def test_whole_exponents_shift_and_bounds_hold():
    assert scaled(12345 << 100, 3 * ONE, HIGHEST) == 12345 << 103
    assert scaled(12345 << 100, -7 * ONE, HIGHEST) == 12345 << 93
    assert scaled(5, 10**9, HIGHEST) == HIGHEST
    assert scaled(5, -(10**9), HIGHEST) == 1


@pytest.mark.parametrize("name", [name for name in NAMES if name != "epoch"])
def test_blocks_in_time_leave_the_target(name):
    rule = Rule(name, interval=100, blocks=20)
    for state in follow(rule, every(100, 90)):
        assert abs(state.target / START - 1) < 1e-4


def test_bitcoins_epoch_counts_one_interval_too_few():
    rule = Rule("epoch", interval=600, blocks=2016)
    times = every(600, 2015)
    last = follow(rule, times)[-1]
    # Blocks in time: the target falls by 2015/2016, though nothing is wrong.
    assert last.target == START * 2015 // 2016
    mended = follow(rule._replace(name="epoch_mended"), [*times, 600 * 2016])[-1]
    assert mended.target == START


def test_an_epoch_clamps_at_four():
    rule = Rule("epoch_mended", interval=600, blocks=10)
    assert follow(rule, every(600 * 50, 10))[-1].target == START * 4
    assert follow(rule, every(1, 10))[-1].target == START // 4


def test_wtema_is_its_recursion():
    rule, draw = Rule("wtema", interval=1000, blocks=30), random.Random(4)
    theta, time, state = 1.0, 0, begin(Rule("wtema", 1000, 30), START)
    for _ in range(500):
        took = int(draw.expovariate(1 / 1000))
        time += took
        theta *= 1 + (took / 1000 - 1) / 30
        state = advance(rule, state, time=time, steps=1)
        assert math.isclose(state.target / START, theta, rel_tol=1e-12)


@pytest.mark.parametrize("share", [0, ONE // 2, ONE * 9 // 10])
def test_asert_is_an_exponential_of_lateness(share):
    rule = Rule("asert", 1000, 30, schedule=True, share=share)
    for late in (-20000, -313, 0, 77, 4000, 30000):
        state = follow(rule, [*every(1000, 9), 10_000 + late])[-1]
        expected = late / (1000 * 30 * (1 - share / ONE))
        assert math.isclose(
            math.log(state.target / START), expected, rel_tol=1e-3, abs_tol=2e-4
        )


def test_the_step_clock_does_not_look_at_timestamps():
    rule = Rule("steps", interval=100, blocks=10)
    steps = [100, 150, 90, 400, 100]
    honest = follow(rule, [1, 2, 3, 4, 5], steps=steps)
    liar = follow(rule, [9, 10**6, 3, 10**9, 5], steps=steps)
    assert [s.target for s in honest] == [s.target for s in liar]
    timed = follow(Rule("asert", 100, 10), [100, 250, 340, 740, 840])
    assert [s.target for s in honest] == [s.target for s in timed]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_any_timestamps_leave_the_target_in_its_bounds(name, seed):
    draw = random.Random(seed)
    for options in ({}, {"schedule": True, "anti_windup": True, "share_blocks": 5}):
        rule = Rule(name, interval=100, blocks=7, highest=1 << 250, **options)
        times = [draw.choice((0, 1, 50, 10**6, -(10**6), 10**12)) for _ in range(80)]
        steps = [draw.choice((0, 1, 100, 10**6)) for _ in times]
        states = follow(rule, times, steps=steps)
        assert all(1 <= each.target <= rule.highest for each in states)
        assert all(isinstance(each.target, int) for each in states)
        assert states == follow(rule, times, steps=steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_later_block_never_makes_the_next_one_harder(name):
    draw = random.Random(5)
    rule = Rule(name, interval=100, blocks=7)
    for _ in range(40):
        times = [0]
        for _ in range(draw.randrange(6, 16)):
            times.append(times[-1] + draw.randrange(1, 300))
        last = [times[-1] + wait for wait in range(1, 900, 61)]
        if name == "steps":
            targets = [
                follow(rule, times, steps=[*[100] * (len(times) - 1), wait])[-1].target
                for wait in last
            ]
        else:
            targets = [follow(rule, [*times, each])[-1].target for each in last]
        assert targets == sorted(targets)


def test_cw144_takes_the_middle_block_of_three():
    rule = Rule("cw144", interval=100, blocks=7)
    times = every(100, 20)
    liar = [*times[:-1], times[-1] + 10**7]
    assert follow(rule, liar)[-1].target == follow(rule, times)[-1].target


@pytest.mark.parametrize("name", ["asert", "sma", "lwma", "epoch_mended", "steps"])
def test_saturation_winds_up_unless_it_is_told_not_to(name):
    """S_0 = 1.5 T for 200 blocks, then .5 T."""
    wound = Rule(name, interval=100, blocks=20, highest=START)
    free = wound._replace(anti_windup=True)
    waits = [150] * 200 + [50] * 60
    times = [sum(waits[: i + 1]) for i in range(len(waits))]
    late, soon = (follow(rule, times, steps=waits) for rule in (wound, free))

    def released(states):
        return next(i for i, each in enumerate(states) if each.target < START // 2)

    assert all(each.target == START for each in late[:200])
    assert all(each.target == START for each in soon[:200])
    assert released(soon) <= 200 + 40
    if name in ("asert", "steps"):
        # It was late 200 × .5 T, which 200 blocks of .5 T make good.
        assert all(each.target == START for each in late)
    else:
        assert released(late) >= released(soon)


def test_a_windowless_chain_keeps_the_first_target():
    for name in ("sma", "lwma", "cw144"):
        rule = Rule(name, interval=100, blocks=20)
        assert follow(rule, every(1, 19))[-1].target == START


def test_what_no_chain_can_have():
    bad = Rule("pid", 0, 1, highest=0, share=ONE, share_blocks=1)  # pyright: ignore
    words = " ".join(rule_problems(bad))
    for field in ("name", "interval", "blocks", "highest", "share", "share_blocks"):
        assert field in words
    assert not list(rule_problems(Rule("asert", 600, 288)))
