"""Clocks, threshold, exponent and warp against closed forms and published values."""

import math
from typing import Any

import numpy as np
import pytest
from dpodl.analysis.adversary import (
    any_exponent,
    any_speed,
    any_threshold,
    fastest_child,
    one_fast_machine,
    one_tree_risks,
    slowest_level,
    warped,
)
from dpodl.analysis.adversary.clocks import draws_of, hazard_windows
from dpodl.analysis.adversary.one_tree import one_tree_depth
from dpodl.analysis.adversary.warp import warp_depth
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
    mean,
    survival,
)
from dpodl.analysis.bounds import delays
from dpodl.analysis.bounds.settlement import gazi_ren_russell
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.threshold import race_threshold

from .laws import bathtub, number, rows, weibull

N = 20


def network(beta: float, delay: float) -> dict[str, Any]:
    return {
        "honest": N * (1 - beta),
        "adversarial": N * beta,
        "delay_steps": delay,
    }


def lottery(dead_time: float = 0.0) -> BlockTimeLaw:
    """All provers together find one block in a unit of time, after the dead time."""
    return exponential(1 / N, dead_time=dead_time)


# --- clocks


@pytest.mark.parametrize("law", [weibull(4), lottery(2.0), geometric(0.1, dead_time=3)])
def test_rising_hazards_make_fresh_machines_the_fastest_and_the_slowest(law):
    x = np.linspace(0, 3, 50)
    child, level = fastest_child(law, 3), slowest_level(law, 5, 0.5)
    spread = law._replace(lattice=False)
    assert survival(child, x) == pytest.approx(survival(spread, x) ** 3, abs=1e-12)
    assert survival(level, x) == pytest.approx(survival(law, x) ** 5, abs=1e-12)


def test_a_falling_hazard_counts_from_its_peak_for_the_one_and_its_low_for_the_other():
    law = bathtub()
    child = fastest_child(law, 1)
    assert survival(child, [1.0]) == pytest.approx(math.exp(-2.0))
    # sup_{a ≤ .6} S(a+x)/S(a): the rate is least from a = .5 on.
    x = np.array([0.2, 0.5, 1.0])
    level = survival(slowest_level(law, 1, 0.6), x)
    ages = np.linspace(0, 0.6, 2401)
    least = (survival(law, ages[:, None] + x) / survival(law, ages)[:, None]).max(
        axis=0
    )
    assert (level >= least - 1e-12).all()
    assert level == pytest.approx(least, abs=2e-3)


def test_no_schedule_of_runs_has_a_child_before_the_fastest_one():
    """Three machines switch at random among fresh runs of a bathtub law."""
    law, generator = bathtub(), np.random.default_rng(5)
    grid = 1 / 64
    first = []
    for _ in range(2000):
        due = [list(draws_of(law, generator.exponential(size=4))) for _ in range(3)]
        done = [[0.0] * 4 for _ in range(3)]
        time = 0.0
        while True:
            time += grid
            ended = False
            for machine in range(3):
                run = int(generator.integers(4))
                done[machine][run] += grid
                ended |= done[machine][run] >= due[machine][run]
            if ended:
                break
        first.append(time)
    for x in (0.1, 0.3, 0.6):
        found = np.mean(np.array(first) > x)
        error = 4 * math.sqrt(0.25 / len(first))
        assert found >= survival(fastest_child(law, 3), [x])[0] - error


def test_windows_hold_the_most_hazard_of_any_age_so_far():
    law = bathtub()
    windows = hazard_windows(law, 0.25)
    ages = np.linspace(0, 3, 601)
    within = -np.log(survival(law, ages + 0.25)) + np.log(survival(law, ages))
    most = np.maximum.accumulate(within)
    assert windows.within(ages) == pytest.approx(most, abs=3e-3)
    assert windows.ever == pytest.approx(0.75)
    # On a lattice both ends of a window count: two provers may end together.
    look = -math.log1p(-0.1)
    assert hazard_windows(geometric(0.1), 0.0).ever == pytest.approx(look)
    assert hazard_windows(geometric(0.1), 2.5).ever == pytest.approx(3 * look)


def test_draws_are_the_inverse_of_the_hazard():
    for law in (weibull(4), geometric(0.3, dead_time=2), lottery(1.0)):
        hazard = np.random.default_rng(1).exponential(size=200)
        times = draws_of(law, hazard)
        reached = -np.log(survival(law, times))
        if law.lattice:
            before = -np.log(survival(law, times - 1e-6))
            assert ((before < hazard) & (hazard <= reached + 1e-9)).all()
        else:
            assert reached == pytest.approx(hazard, rel=1e-9)


# --- threshold


@pytest.mark.parametrize("delay", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dead_time", [0.0, 2.0])
def test_the_threshold_is_the_memoryless_one_for_dead_time_and_lottery(
    delay, dead_time
):
    found = any_threshold(lottery(dead_time), provers=N, delay_steps=delay)
    assert found.beta == pytest.approx(delays.security_threshold(delay), rel=1e-4)
    assert found.grade == "proved"


def test_rising_hazards_make_the_private_chain_the_worst_for_the_threshold():
    law = weibull(4)
    found = any_threshold(law, provers=10, delay_steps=0.05)
    private = race_threshold(law, provers=10, delay_steps=0.05)
    assert found.beta == pytest.approx(private.beta, rel=1e-9)
    assert found.adversarial == private.adversarial
    law = bathtub()
    found = any_threshold(law, provers=10, delay_steps=0.05)
    assert found.beta < race_threshold(law, provers=10, delay_steps=0.05).beta


def test_one_machine_of_the_same_power_outgrows_what_equal_ones_do_not():
    law = lottery(2.0)
    equal = any_speed(law, **network(0.25, 0.0))
    fast = any_speed(
        law, honest=15, adversarial=1, delay_steps=0, adversary=one_fast_machine(law, 5)
    )
    assert equal.margin > 0
    assert fast.child == pytest.approx(mean(law) / 5)
    law = weibull(4)
    fast = any_speed(
        law, honest=15, adversarial=1, delay_steps=0, adversary=one_fast_machine(law, 5)
    )
    assert (
        any_speed(law, honest=15, adversarial=5, delay_steps=0).margin > 0 > fast.margin
    )


def test_a_chain_that_may_stop_and_a_race_without_a_root_are_refused():
    knots = np.minimum(np.arange(8192) / 100.0, 0.1)
    stops = BlockTimeLaw(knots, 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="leaves mass that never ends, so a level may"):
        any_speed(stops, honest=5, adversarial=1, delay_steps=0)
    with pytest.raises(Refused, match="the margin has no root"):
        any_threshold(lottery(), provers=N, delay_steps=0, adversary=exponential(1e-12))


# --- exponent


def test_private_decays_are_those_of_the_reference():
    for _, row in rows("private_chain_decay_per_block").iterrows():
        beta = number(row.parameters, "beta")
        delay = number(row.parameters, "lambda*Delta")
        for dead_time in (0.0, 0.5):
            found = any_exponent(lottery(dead_time), **network(beta, delay))
            assert found.private_decay == pytest.approx(float(row.value), abs=2e-6)
            assert found.private_decay < found.decay < 1


@pytest.mark.parametrize(
    ("beta", "delay", "decay"),
    [
        (0.1, 0.1, 0.44824),
        (0.25, 0.1, 0.80522),
        (0.25, 0.163, 0.83837),
        (0.4, 0.1, 0.97916),
    ],
)
def test_decays_against_anybody_are_those_of_their_formula(beta, delay, decay):
    found = any_exponent(lottery(), **network(beta, delay))
    assert found.decay == pytest.approx(decay, abs=1e-5)
    assert found.grade == "conditional"
    p = 1 - beta
    theta = np.linspace(1e-4, p - 1e-4, 200_000)
    g = math.exp(-p * delay)
    by_hand = np.exp(2 * theta * delay) * (
        g * beta / (beta + theta) * p / (p - theta) + 1 - g
    )
    assert found.decay == pytest.approx(by_hand.min(), abs=1e-8)


def test_without_delay_the_exponent_is_the_private_chains():
    for law in (lottery(), weibull(4), lottery(3.0)):
        found = any_exponent(law, **network(0.25, 0.0))
        assert found.decay == pytest.approx(found.private_decay, rel=1e-9)


def test_an_exponent_of_one_is_refused():
    with pytest.raises(Refused, match="the exponent is 1"):
        any_exponent(lottery(), **network(0.45, 0.2))


# --- one tree, on the grid


def test_one_tree_is_the_maximum_of_its_walk_drawn():
    beta, delay, k = 0.25, 0.1, 4
    g = math.exp(-(1 - beta) * delay)
    generator = np.random.default_rng(11)
    for event in ("private", "any"):
        found = one_tree_risks(lottery(0.7), [k], event=event, **network(beta, delay))

        def gain(count=100_000, event=event):
            gained = generator.exponential(1 / (1 - beta), count)
            gained -= generator.exponential(1 / beta, count)
            if event == "private":
                return gained + delay
            return np.where(generator.random(count) < g, gained, 0.0) + 2 * delay

        lead, run, most = np.zeros(100_000), np.zeros(100_000), np.zeros(100_000)
        for _ in range(150):
            lead = np.maximum(lead + gain(), 0.0)
            run += gain()
            most = np.maximum(most, run)
        walk = sum(gain() for _ in range(k + (event == "private")))
        share = np.mean(lead + walk + most >= -delay)
        error = 4 * math.sqrt(share / 100_000)
        assert math.exp(found.logs[0]) == pytest.approx(share, abs=error)
        assert found.errors[0] < 1e-4


def test_one_tree_falls_by_its_exponent_and_stays_below_the_exponents_bound():
    law = weibull(4)
    at: dict[str, Any] = {"honest": 7, "adversarial": 3, "delay_steps": 0.0}
    bound = any_exponent(law, **at)
    found = one_tree_risks(law, [20, 30], event="any", **at)
    assert all(
        log <= math.log(bound.risk(k))
        for log, k in zip(found.logs, (20, 30), strict=True)
    )
    assert found.log_rate == pytest.approx(math.log(bound.decay), rel=1e-6)
    depth = one_tree_depth(1e-6, law, event="any", **at)
    around = one_tree_risks(law, [depth - 1, depth], event="any", **at)
    assert around.logs[0] > math.log(1e-6) >= around.logs[1]
    assert depth < bound.depth(1e-6)
    with pytest.raises(Refused, match="the walk of one tree does not fall"):
        one_tree_risks(lottery(), [1], event="any", **network(0.45, 0.2))


# --- dead time and lottery


@pytest.mark.parametrize(("beta", "k"), [(0.1, 6), (0.3, 10)])
def test_the_warped_chain_is_the_memoryless_one_of_the_same_delay(beta, k):
    for dead_time in (0.0, 3.0):
        found = warped(lottery(dead_time), **network(beta, 1 / 60))
        assert found.risk(k) == pytest.approx(gazi_ren_russell(beta, k, x=1 / 60))
        assert found.grade == ("conditional" if dead_time else "proved")


def test_for_exponential_laws_the_tiers_and_the_published_bracket_are_in_order():
    """The private chain lies below the bracket's upper end and below our bound."""
    for beta, delay, k in ((0.1, 0.1, 6), (0.25, 0.1, 10), (0.25, 1 / 60, 6)):
        bracket = gazi_ren_russell(beta, k, x=delay)
        at = network(beta, delay)
        private = one_tree_risks(lottery(), [k], event="private", **at)
        anybody = one_tree_risks(lottery(), [k], event="any", **at)
        assert math.exp(private.logs[0]) <= bracket.upper
        assert math.exp(private.logs[0]) <= math.exp(anybody.logs[0])


def test_depths_of_the_warped_chain():
    found = warped(lottery(1.0), **network(0.1, 0.1))
    depth = warp_depth(found, 1e-3)
    assert found.risk(int(depth)).upper <= 1e-3 < found.risk(int(depth) - 1).upper
    assert math.isinf(warp_depth(warped(lottery(), **network(0.49, 0.5)), 1e-3))
    with pytest.raises(Refused, match="no depth up to 2 brings the memoryless bound"):
        warp_depth(found, 1e-3, most=2)
    with pytest.raises(Refused, match="the law is no dead time followed by a lottery"):
        warped(weibull(4), honest=5, adversarial=1, delay_steps=0)


def test_published_upper_ends_of_proof_of_stake_lie_above():
    for _, row in rows("settlement_upper_pow_at_most").iterrows():
        k, beta = int(number(row.parameters, "k")), number(row.parameters, "beta")
        least = float(str(row.value).removeprefix("<= "))
        if least > 1e-6:
            assert gazi_ren_russell(beta, k, x=0.25).upper <= least


def test_the_fastest_child_of_fresh_machines_is_their_minimum():
    law = weibull(4)
    assert mean(fastest_child(law, 5)) == pytest.approx(mean(fastest_of(law, 5)))
