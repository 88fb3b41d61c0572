"""Settings that meet targets: laws with closed forms, brute force, and what refuses."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks.situation import plain, resampled
from dpodl.analysis.block_time.empirical import require_shape
from dpodl.analysis.block_time.law import (
    KNOTS,
    cv,
    exponential,
    fastest_of,
    geometric,
    mean,
    survival,
)
from dpodl.analysis.bounds import races
from dpodl.analysis.calibration.choice import (
    Choice,
    Party,
    Terms,
    at_choice,
    party_of,
    solve_interval,
)
from dpodl.analysis.calibration.elasticity import elasticities
from dpodl.analysis.calibration.on_network import simulated
from dpodl.analysis.calibration.quantities import (
    depth_estimate,
    estimates,
    figures,
    proof_costs,
    threshold_share,
)
from dpodl.analysis.calibration.targets import Target, overall, pareto, slack, verdict
from dpodl.analysis.calibration.work_cycle import cycle, mean_interval
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.race.threshold import dead_time_threshold, race_threshold
from dpodl.analysis.race.walk import Race
from dpodl.analysis.simulation.levels import network, simulate
from hypothesis import given, strategies as st

from ..attack_settings import EVERY, HORIZON, LOTTERY, setting_of

TERMS = Terms(2.0**-40, 2.0**-40, True, 1000.0)
PLAIN = Choice(0.9, 1.0, 1.0, 0)


def dead(steps: int = 40, **others):
    """Every run is above T_acc from one look on: K is that many steps."""
    return setting_of(np.full(20, steps // EVERY), **others)


def test_the_interval_of_shifted_exponentials_is_closed():
    law = exponential(0.01, dead_time=30.0)
    for delay in (0.0, 7.0, 400.0):
        late = math.exp(-0.01 * delay)
        exact = 30 + (1 - late) / 0.01 + late / 0.05
        found = mean_interval(law, honest=5, delay_steps=delay)
        assert found == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    "law", [exponential(0.002, dead_time=9.0), geometric(0.01, trial=10.0)]
)
def test_the_interval_is_that_of_the_simulated_network(law):
    assert mean_interval(law, honest=12, delay_steps=0) == pytest.approx(
        mean(fastest_of(law, 12)), rel=1e-9
    )
    net = network(law, provers=12, beta=0.0, delay_steps=4.0)
    times = simulate(jax.random.key(1), net, levels=128, replicas=400).interval
    each = np.asarray(times, float).mean(axis=1)
    found = mean_interval(law, honest=12, delay_steps=4.0)
    assert abs(each.mean() - found) < 3.5 * each.std() / 20


def test_the_interval_is_an_integral_of_two_survivals():
    law = plain(setting_of()).law
    times = np.linspace(0, 4000, 400_001)
    open_ = survival(law, times) * survival(law, times - 33.0) ** 7
    exact = np.trapezoid(open_, times)
    assert mean_interval(law, honest=8, delay_steps=33.0) == pytest.approx(
        exact, rel=1e-4
    )


def test_work_of_one_prover_is_walds():
    hashing = 1 / (LOTTERY.hashes_per_step * 1e-4)
    at = at_choice(dead(), Choice(0.9, 1e-4, 1.0, 0))
    one = cycle(at, plain(at).law, honest=1, delay=0.0)
    assert one.interval == pytest.approx(hashing + 40, rel=1e-3)
    assert one.hashing == pytest.approx(hashing / (hashing + 40), rel=1e-3)
    assert one.block_steps == pytest.approx(40, rel=1e-3)
    # Half the runs never reach T_acc: two nonces a block, one of them for nothing.
    half = setting_of(np.repeat([4, 1000], 10))
    at = at_choice(half, Choice(0.9, 1e-4, 1.0, 0))
    one = cycle(at, plain(at).law, honest=1, delay=0.0)
    total = 2 * hashing + 40 + HORIZON
    assert one.interval == pytest.approx(total, rel=1e-3)
    assert one.hashing == pytest.approx(2 * hashing / total, rel=2e-3)


def test_work_of_many_provers_is_that_of_drawn_cycles():
    at = at_choice(dead(200), Choice(0.9, 1e-4, 1.0, 0))
    one = cycle(at, plain(at).law, honest=6, delay=0.0)
    draws = np.random.default_rng(3)
    hashes = draws.geometric(1e-4, (40_000, 6)) / LOTTERY.hashes_per_step
    length = hashes.min(axis=1) + 200
    spent = np.minimum(hashes, length[:, None]).mean(axis=1)
    error = (spent - one.hashing * length).std() / 200 / length.mean()
    assert abs(spent.mean() / length.mean() - one.hashing) < 3.5 * error + 1e-3
    assert one.interval == pytest.approx(length.mean(), rel=0.01)


def test_the_interval_is_solved_for_in_closed_form():
    at = dead(60, delay_steps=0.0)
    for interval in (100.0, 500.0, 1e6):
        found = solve_interval(at, PLAIN, interval)
        exact = 1 / (LOTTERY.hashes_per_step * at.honest * (interval - 60))
        assert found.p_1 == pytest.approx(exact, rel=2e-3)
        again = plain(at_choice(at, found)).law
        assert mean_interval(again, honest=8, delay_steps=0) == pytest.approx(
            interval, rel=1e-6
        )


def test_the_solution_is_monotone_in_everything():
    at = setting_of()

    def solved(interval=300.0, p_2=0.5, s_min=0):
        return solve_interval(at, Choice(0.9, 1.0, p_2, s_min), interval).p_1

    longer = [solved(interval) for interval in (200.0, 300.0, 1e3, 1e5)]
    assert longer == sorted(longer, reverse=True)
    rarer = [solved(p_2=p) for p in (1.0, 0.5, 0.1)]
    assert rarer == sorted(rarer)
    later = [solved(s_min=s) for s in (0, 100, 150)]
    assert later == sorted(later)


def test_an_interval_that_training_alone_exceeds_is_refused():
    with pytest.raises(Refused, match=r"takes 60\.01 steps .* more than 59"):
        solve_interval(dead(60, delay_steps=0.0), PLAIN, 59.0)
    with pytest.raises(Refused, match="below 1"):
        solve_interval(dead(), PLAIN, 1e80)
    for interval in (0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="interval"):
            solve_interval(dead(), PLAIN, interval)


@pytest.mark.parametrize(
    ("p_1", "p_2"),
    [(1e-9, 1.0), (1.0, 1e-6), (1e-2, 1e-2), (1e-9, 1e-6), (1e-7, 1e-5), (1e-8, 1e-5)],
)
def test_long_hashing_and_long_waiting_are_both_on_the_table(p_1, p_2):
    """P + T of two memoryless waits has Var = E[P]² + E[T]²."""
    at = at_choice(dead(10), Choice(0.9, p_1, p_2, 0))
    law = plain(at).law
    require_shape(law, 2)
    hashing = 1 / (p_1 * at.lottery.hashes_per_step)
    ticket = at.check_every / p_2
    if min(hashing, ticket) > 1e4:
        waits = hashing + ticket
        assert mean(law) == pytest.approx(waits, rel=1e-2)
        assert cv(law) == pytest.approx(math.hypot(hashing, ticket) / waits, rel=1e-2)


def test_a_tail_that_decides_and_is_not_known_is_refused():
    short = plain(at_choice(dead(10), Choice(0.9, 1e-2, 1e-2, 0))).law
    never = short._replace(
        cumulative_hazard=1e-6 * np.arange(KNOTS) ** 2 / KNOTS, tail_hazard=1e-9
    )
    with pytest.raises(Refused, match="its hazard is not yet constant"):
        require_shape(never, 2)


def test_s_min_holds_blocks_back_and_has_limits():
    at = dead(40)
    short = at_choice(at, Choice(0.9, 1e-3, 1.0, 0))
    held = at_choice(at, Choice(0.9, 1e-3, 1.0, 155))
    for one, steps in ((short, 40), (held, 160)):
        found = cycle(one, plain(one).law, honest=8, delay=5.0)
        assert found.block_steps == pytest.approx(steps, rel=1e-3)
    with pytest.raises(ValueError, match=r"s_min must be from 0 to 300 .* got 301"):
        at_choice(at, PLAIN._replace(s_min=301))
    patient = at._replace(lottery=LOTTERY._replace(abandon_steps=100))
    with pytest.raises(ValueError, match="from 0 to 100"):
        at_choice(patient, PLAIN._replace(s_min=120))


def test_s_min_is_what_holds_off_referenced_models():
    shares = []
    for s_min in (0, 100, 200):
        at = solve_interval(setting_of(), PLAIN._replace(s_min=s_min), 500.0)
        one = at_choice(setting_of(), at)
        found = figures(one, plain(one).law, party_of(one), TERMS)
        shares.append(found["beta_warm"])
        assert found["beta_warm"] <= found["beta"]
    assert shares == sorted(shares)


def test_the_threshold_is_that_of_whole_provers_and_closed():
    law = exponential(0.001, dead_time=50.0)
    found = threshold_share(law, Party(15.0, 5.0, 30.0))
    assert found == pytest.approx(
        dead_time_threshold(rate=0.02, delay=30.0, dead_time=50.0), rel=1e-6
    )
    assert found == pytest.approx(
        race_threshold(law, provers=20, delay_steps=30.0).beta, rel=1e-6
    )


@pytest.mark.parametrize("premined", [False, True])
@pytest.mark.parametrize("risk", [1e-6, 2.0**-40, 2.0**-128])
def test_the_saddle_point_is_near_the_closed_form(premined, risk):
    exact = races.premined_race if premined else races.private_race
    honest, against = exponential(0.7), exponential(0.3)
    depth = depth_estimate(Race(honest, against, 0.0, premined=premined), risk)
    deep = next(k for k in range(1, 2000) if exact(0.3, k) <= risk)
    assert deep - 2 <= depth <= 1.05 * deep + 2
    assert depth_estimate(Race(against, honest, 0.0), risk) == math.inf


def test_rare_pre_hashes_have_the_depth_and_share_of_memoryless_races():
    at = dead(10, beta=0.3, delay_steps=0.0)
    one = at_choice(at, solve_interval(at, PLAIN, 1e5))
    found = estimates(one, [resampled(one, i) for i in range(3)], TERMS)
    deep = next(k for k in range(1, 999) if races.private_race(0.3, k) <= 2.0**-40)
    ahead = next(k for k in range(1, 999) if races.premined_race(0.3, k) <= 2.0**-40)
    assert found["depth"].value == deep
    assert found["depth_premined"].value == ahead
    assert found["beta"].value == pytest.approx(0.5, abs=1e-3)
    assert found["quality"].value == pytest.approx(1 - 3 / 7, abs=1e-3)
    assert found["useful"].value < 1e-3
    assert found["confirmation"].value == pytest.approx(deep * 1e5, rel=1e-6)
    # All runs are alike: there is nothing that a resample could change.
    assert found["depth"].low == found["depth"].high == deep


def test_intervals_hold_the_training_and_what_is_refused_says_why():
    at = setting_of(beta=0.4, delay_steps=100.0)
    one = at_choice(at, Choice(0.9, 0.5, 1.0, 0))
    found = estimates(one, [resampled(one, i) for i in range(6)], TERMS)
    assert found["interval"].low < found["interval"].value < found["interval"].high
    assert found["interval"].count == 6
    # The private chain outgrows this one: no depth is safe.
    assert found["depth"].value == math.inf
    assert found["depth"].method == "unbounded"
    few = at_choice(setting_of(np.repeat([4, 1000], [4, 20])), PLAIN)
    with pytest.raises(Refused, match="4 of 24 runs"):
        estimates(few, [], TERMS)


def test_proofs_cost_their_drawn_segments():
    at = dead()._replace(checkpoint_every=20, challenges=2)
    found = proof_costs(at, 100.0, 10.0)
    # 5 segments: the last one, and two of five of which 2/5 are the last one.
    assert found["verification_steps"] == pytest.approx(20 * (1 + 2 * 4 / 5))
    assert found["verification"] == pytest.approx(0.52)
    assert found["storage"] == 60.0
    assert proof_costs(at._replace(challenges=9), 100.0, 1.0)["verification"] == 1
    assert math.isnan(proof_costs(at, math.nan, 1.0)["storage"])


def test_the_simulated_network_agrees():
    one = at_choice(setting_of(), Choice(0.9, 1e-3, 1.0, 0))
    law = plain(one).law
    found = simulated(
        jax.random.key(0), one, law, confirmations=10, level=0.9, replicas=400
    )
    exact = cycle(one, law, honest=8, delay=5.0).interval
    width = found["interval"].high - found["interval"].low
    assert abs(found["interval"].value - exact) < width
    assert found["liveness"].value > 10 * exact
    deep = simulated(
        jax.random.key(0), one, law, confirmations=5000, level=0.9, replicas=400
    )
    assert math.isnan(deep["liveness"].value)
    assert "too deep" in deep["liveness"].method


def estimate(value, low, high):
    return Estimate(value, low, high, 9, "")


def test_a_target_is_met_by_the_whole_interval():
    most, least = Target("x", "<=", 10.0, ""), Target("x", ">=", 10.0, "")
    near = Target("x", "=", 10.0, "", 0.1)
    cases = {
        (8, 7, 9): ("met", "missed", "perhaps"),
        (10, 9.5, 10.5): ("perhaps", "perhaps", "met"),
        (12, 11.5, 13): ("missed", "met", "missed"),
        (9, 8, math.inf): ("perhaps", "perhaps", "perhaps"),
        (math.nan,) * 3: ("missed",) * 3,
        (math.inf,) * 3: ("missed",) * 3,
    }
    for figure, expected in cases.items():
        found = tuple(verdict(t, estimate(*figure)) for t in (most, least, near))
        assert found == expected, figure
    assert overall(["met", "perhaps", "met"]) == "perhaps"
    assert overall(["perhaps", "missed"]) == "missed"
    assert overall([]) == "met"


def test_slack_is_the_logarithm_at_the_worse_end():
    most, least = Target("x", "<=", 10.0, ""), Target("x", ">=", 10.0, "")
    assert slack(most, estimate(4, 3, 5)) == pytest.approx(math.log(2))
    assert slack(least, estimate(30, 20, 40)) == pytest.approx(math.log(2))
    assert slack(most, 20.0) == pytest.approx(-math.log(2))
    assert slack(most, estimate(4, 3, math.inf)) == -math.inf
    assert slack(most, math.nan) == -math.inf
    assert slack(least, 0.0) == -math.inf
    near = Target("x", "=", 10.0, "", 0.1)
    assert slack(near, 10.9) == math.inf
    assert slack(near, 12.0) < 0


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=12))
def test_the_front_is_that_of_brute_force(rows):
    better = {"a": 1, "b": -1, "c": 1}
    settings = [dict(zip("abc", map(float, row), strict=True)) for row in rows]

    def beats(one, other):
        pairs = [(s * one[n], s * other[n]) for n, s in better.items()]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)

    expected = [not any(beats(o, s) for o in settings) for s in settings]
    assert list(pareto(settings, better)) == expected


def test_what_is_not_known_is_the_worst_on_the_front():
    settings = [{"a": 1.0, "b": 5.0}, {"a": 1.0, "b": math.nan}, {"a": 2.0}]
    assert list(pareto(settings, {"a": 1, "b": 1})) == [True, False, True]


def test_elasticities_of_a_hashing_race_are_closed():
    at = dead(10, beta=0.3, delay_steps=0.0)
    one = at_choice(at, solve_interval(at, PLAIN, 1e5)._replace(s_min=20))
    names = ("interval", "depth", "quality")
    found = {
        (e.figure, e.parameter): e.estimate
        for e in elasticities(one, [resampled(one, 1), resampled(one, 2)], TERMS, names)
    }
    for parameter in ("T_1", "hash rate", "n"):
        assert found["interval", parameter].value == pytest.approx(-1, abs=2e-3)
        assert found["depth", parameter].value == pytest.approx(0, abs=2e-3)
    # (1 − β) of the provers make the chain: −d ln(1 − β)/d ln β.
    assert found["interval", "beta"].value == pytest.approx(3 / 7, rel=0.01)
    # d ln(1 − q/p)/d ln q, p falling too.
    slope = -(3 / 7) / 0.7 / (4 / 7)
    assert found["quality", "beta"].value == pytest.approx(slope, rel=0.01)
    assert found["depth", "beta"].value > 1
    assert abs(found["interval", "S_min"].value) < 1e-3
    # With no second lottery there is only the side below.
    assert found["interval", "T_2"].value < 0
    assert ("interval", "delay") not in found
