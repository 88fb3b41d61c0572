"""The rule of age against a Skellam sum, closed forms, enumeration and simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations.ages import (
    follow_age,
    memoryless_time_risk,
    time_rule_measurements,
)
from dpodl.analysis.confirmations.rare_ages import (
    age_tilt,
    compilations,
    safe_time,
    time_risk,
    time_rule_rare,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.fourier import persistence
from dpodl.analysis.race.walk import OUTGROWS, Race, race
from dpodl.analysis.simulation.levels import Levels, network, simulate

KEY = jax.random.key(5)
RULES = [(True, False), (False, False), (True, True), (False, True)]
LEVELS, REPLICAS = 96, 16_384


def memoryless(q, ties_win=True, premined=False, dead_time=0.0):
    public, private = (exponential(r, dead_time=dead_time) for r in (1 - q, q))
    return Race(public, private, 0.0, ties_win, premined)


def close(found, exact):
    # Student's t at 63 or fewer batches; 3.5 standard errors.
    half = (found.estimate.high - found.estimate.low) / 2
    assert abs(found.estimate.value - exact) < 3.5 / 2.04 * half, (found, exact)


def simulated(net, premined=False):
    levels = simulate(jax.random.key(1), net, levels=LEVELS, replicas=REPLICAS)
    return follow_age(KEY, levels, delay_steps=float(net.delay), premined=premined)


def test_at_age_zero_it_is_the_race_of_depth_one():
    for q in (0.05, 0.3, 0.45):
        for ties_win in (True, False):
            exact = races.private_race(q, 1, ties_win=ties_win)
            assert memoryless_time_risk(q, 0, ties_win=ties_win) == pytest.approx(exact)
        exact = races.premined_race(q, 1)
        assert memoryless_time_risk(q, 0, premined=True) == pytest.approx(exact)


@pytest.mark.parametrize(("ties_win", "premined"), RULES)
def test_the_closed_form_is_the_two_poisson_processes(ties_win, premined):
    q, t, count = 0.3, 4.0, 2_000_000
    rng = np.random.default_rng(7)
    ratio = q / (1 - q)
    public = 1 + rng.poisson((1 - q) * t, count)
    private = rng.geometric(1 - q, count) - 1 + rng.poisson(q * t, count)
    if premined:
        private += rng.geometric(1 - ratio, count) - 1
    short = np.maximum(public - private + (not ties_win), 0)
    chance = ratio ** short.astype(float)
    exact = memoryless_time_risk(q, t, ties_win=ties_win, premined=premined)
    error = chance.std() / np.sqrt(count)
    assert abs(chance.mean() - exact) < 3.5 * error


def test_given_the_number_of_blocks_it_is_poisson_in_poisson():
    # Without further public blocks in t the adversary needs one block, of rate q.
    q, t = 0.2, 1e-3
    slope = (memoryless_time_risk(q, t) - memoryless_time_risk(q, 0)) / t
    ratio = q / (1 - q)
    # h(d) = E[ρ^{(d − G)⁺}]: one more public block with rate p, private with rate q.
    h = [1.0] + [
        (1 - q) * sum(q**g * ratio ** (d - g) for g in range(d)) + q**d for d in (1, 2)
    ]
    exact = (1 - q) * (h[2] - h[1]) + q * (h[0] - h[1])
    assert slope == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize(("ties_win", "premined"), RULES)
def test_rare_ages_of_memoryless_provers(ties_win, premined):
    one = memoryless(0.2, ties_win, premined)
    times = [0.0, 2.0, 15.0, 60.0]
    risks = time_risk(KEY, one, times)
    for t, found in zip(times, risks, strict=True):
        exact = memoryless_time_risk(0.2, t, ties_win=ties_win, premined=premined)
        close(found, exact)
        assert found.effective > 1000
    assert risks[-1].estimate.value < 1e-5


def test_logarithms_go_on_where_float64_ends():
    (found,) = time_risk(KEY, memoryless(0.1), [3000.0])
    assert found.estimate.value == 0.0
    tilt = age_tilt(memoryless(0.1))
    assert found.log_value == pytest.approx(-tilt.decay * 3000, rel=0.01)
    # Two Poisson processes meet at the rate (√p − √q)².
    assert tilt.decay == pytest.approx((0.9**0.5 - 0.1**0.5) ** 2, rel=1e-6)


@pytest.mark.parametrize("premined", [False, True])
def test_safe_times_of_memoryless_provers(premined):
    one = memoryless(0.2, premined=premined)
    for m in safe_time(KEY, one, (1e-3, 2.0**-40)):
        assert m.at is not None
        low, high = (
            memoryless_time_risk(0.2, t, premined=premined)
            for t in (
                m.estimate.value + 2 * (m.estimate.high - m.estimate.value),
                m.estimate.value - 2 * (m.estimate.value - m.estimate.low),
            )
        )
        assert low < m.at < high
        assert high < 1.3 * low
        assert m.quantity == "safe_time" + ("_premined" if premined else "")


def test_one_compilation_serves_all_ages_and_races():
    time_risk(KEY, memoryless(0.2), [1.0], paths=1)
    before = compilations()
    time_risk(KEY, memoryless(0.3, False, True, 2.0), [0.5, 9.0], paths=1)
    assert compilations() == before


@pytest.mark.parametrize("premined", [False, True])
def test_simulated_memoryless_networks_agree(premined):
    net = network(exponential(0.1), provers=10, beta=0.2, delay_steps=0.0)
    times = [0, 1.5, 6]
    found = time_rule_measurements(simulated(net, premined), times, premined=premined)
    for m in found:
        assert m.at is not None
        exact = memoryless_time_risk(
            0.2, m.at, ties_win="strict" not in m.quantity, premined=premined
        )
        error = np.sqrt(exact * (1 - exact) / REPLICAS)
        assert abs(m.estimate.value - exact) < 3.5 * error, m
        assert m.quantity.endswith("_premined") == premined


@pytest.mark.parametrize("law", ["dead time", "lattice"])
@pytest.mark.parametrize("premined", [False, True])
def test_simulated_networks_of_other_laws_agree(law, premined):
    one = exponential(0.01, dead_time=8.0) if law == "dead time" else geometric(0.02)
    net = network(one, provers=10, beta=0.2, delay_steps=0.0)
    # Not on the lattice, where float32 and the slack of ties decide.
    times = [0.5, 20.5, 60.5]
    found = time_rule_measurements(simulated(net, premined), times, premined=premined)
    exact = {}
    for ties_win in (True, False):
        at = race(net, ties_win=ties_win, premined=premined)
        for m in time_rule_rare(KEY, at, times):
            exact[m.place] = m.estimate
    for m in found:
        rare = exact[m.place]
        value = rare.value
        error = np.hypot(
            np.sqrt(value * (1 - value) / REPLICAS), (rare.high - rare.low) / 4
        )
        assert abs(m.estimate.value - value) < 3.5 * error, (m, rare)


def test_a_lattice_of_one_trial_a_level_is_enumerated():
    # Public blocks every 2 steps exactly: age t is depth k(t) = max(1, ⌈t/2⌉).
    public, private = geometric(1.0, dead_time=1.0), geometric(0.2)
    net = Race(public, private, 0.0)
    times = [1.0, 2.0, 3.0, 4.0, 11.0, 40.0]
    depths = [1, 1, 2, 2, 6, 20]
    for risk, exact in zip(
        time_risk(KEY, net, times), persistence(net, depths), strict=True
    ):
        close(risk, exact.value)


def test_delay_makes_the_race_an_upper_bound():
    net = network(exponential(0.01), provers=20, beta=0.2, delay_steps=1.0)
    found = {m.place: m for m in time_rule_measurements(simulated(net), [5, 30])}
    for m in time_rule_rare(KEY, race(net), [5, 30]):
        assert found[m.place].estimate.low < m.estimate.high
        assert m.estimate.value < 1.3 * found[m.place].estimate.high


def slow_age(interval, private, delay, ties_win):
    """The last crossing of one race, in float64."""
    tau, alpha = np.cumsum(interval), np.cumsum(private)
    ages = [
        tau[j] - tau[0]
        for j in range(1, len(tau))
        if (alpha[j - 1] if ties_win else alpha[j]) <= tau[j] + delay
        # j counts from 0: tau[j] is τ_{j+1}.
    ]
    return max(ages, default=-np.inf)


def test_paths_are_followed_as_they_are_told():
    net = network(exponential(0.01), provers=10, beta=0.3, delay_steps=4.0)
    levels = simulate(jax.random.key(1), net, levels=LEVELS, replicas=REPLICAS)
    ages = follow_age(KEY, levels, delay_steps=4.0)
    for replica in range(200):
        interval, private = (
            np.asarray(x[replica], float) for x in (levels.interval, levels.private)
        )
        for rule, ties_win in enumerate((True, False)):
            exact = slow_age(interval, private, 4.0, ties_win)
            assert float(ages.age[replica, rule]) == pytest.approx(exact, abs=0.05)


def test_a_tie_counts_up_to_the_next_public_block():
    levels = Levels(
        interval=jnp.array([[2.0, 3.0, 4.0, 5.0]]),
        blocks=jnp.ones((1, 4), jnp.int32),
        lag=jnp.zeros((1, 4, 1)),
        private=jnp.array([[2.0, 99.0, 99.0, 99.0]]),
        overflow=jnp.zeros(1, bool),
    )
    ages = follow_age(KEY, levels, delay_steps=0.0)
    assert np.asarray(ages.age).tolist() == [[3.0, -np.inf]]


def test_without_an_adversary_nothing_is_replaced():
    assert memoryless_time_risk(0.0, 0.0) == 0.0
    net = network(exponential(0.01), provers=10, beta=0.0, delay_steps=20.0)
    for premined in (False, True):
        for m in time_rule_measurements(simulated(net, premined), [0.0]):
            assert m.estimate.value == 0.0
    with pytest.raises(ValueError, match="adversarial"):
        race(net)


def test_an_adversary_that_outgrows_is_certain():
    assert memoryless_time_risk(0.5, 1e6) == 1.0
    one = memoryless(0.6)
    (found,) = time_risk(KEY, one, [1e9])
    assert found.estimate.value == 1.0
    assert found.estimate.method == OUTGROWS
    with pytest.raises(Refused, match="no age is safe"):
        safe_time(KEY, one, [1e-9])


def test_bad_requests_name_the_field():
    one = memoryless(0.2)
    for bad in ([], [-1.0], [float("inf")]):
        with pytest.raises(ValueError, match="times"):
            time_risk(KEY, one, bad)
    with pytest.raises(ValueError, match="targets"):
        safe_time(KEY, one, [1.0])
    with pytest.raises(ValueError, match="q must"):
        memoryless_time_risk(-0.1, 1)
