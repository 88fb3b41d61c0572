"""Splitting on the exact network against closed forms, the grid and Monte Carlo."""

import math
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential, geometric
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race import fourier, splitting
from dpodl.analysis.race.splitting import persistence
from dpodl.analysis.race.walk import race
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.analysis.simulation.properties import follow, persistence_measurements

KEY = jax.random.key(9)
PARTICLES = 256
REPETITIONS = 16
# t of 15 degrees of freedom: half a 95 % interval in standard errors.
T = 2.131
SIGMA = 3.0


def split(net, depth, **options):
    options = {"particles": PARTICLES, "repetitions": REPETITIONS, **options}
    found = persistence(KEY, net, depth, **options)
    return found.estimate.value, (found.estimate.high - found.estimate.value) / T


def agree(found, exact, spread=0.0) -> None:
    value, error = found
    assert abs(value - exact) < SIGMA * math.hypot(error, spread), (found, exact)


@pytest.mark.parametrize("ties_win", [True, False])
@pytest.mark.parametrize(("q", "depth"), [(0.1, 1), (0.1, 6), (0.1, 20), (0.3, 20)])
def test_without_delay_it_is_the_closed_form(q, depth, ties_win):
    net = network(exponential(0.01), provers=10, beta=q, delay_steps=0.0)
    found = split(net, depth, ties_win=ties_win)
    agree(found, races.private_race(q, depth, ties_win=ties_win))
    assert found[1] < 0.25 * found[0]


@pytest.mark.slow
def test_without_delay_down_to_2_to_the_minus_128():
    net = network(exponential(0.01), provers=10, beta=0.1, delay_steps=0.0)
    found = split(net, 85, particles=2048, repetitions=32)
    agree(found, races.private_race(0.1, 85))
    assert found[0] < 2.0**-127


@cache
def monte_carlo(name, delay, levels=96, replicas=20_000):
    law = {
        "exponential": exponential(0.01),
        "dead time": exponential(0.01, dead_time=30.0),
        "lattice": geometric(0.02, trial=2.0),
    }[name]
    net = network(law, provers=10, beta=0.2, delay_steps=delay)
    drawn = simulate(KEY, net, levels=levels, replicas=replicas)
    paths = follow(KEY, drawn, delay_steps=delay, confirmations=1)
    measured = persistence_measurements(paths, [4, 10], levels=levels)
    return net, {(m.quantity, m.at): m.estimate for m in measured}


@pytest.mark.parametrize("ties_win", [True, False])
@pytest.mark.parametrize("delay", [0.0, 4.0])
@pytest.mark.parametrize("name", ["exponential", "dead time", "lattice"])
def test_agrees_with_plain_monte_carlo_of_the_same_network(name, delay, ties_win):
    net, measured = monte_carlo(name, delay)
    quantity = "persistence_simulated" + ("" if ties_win else "_strict")
    for depth in (4, 10):
        plain = measured[quantity, depth]
        spread = math.sqrt(plain.value * (1 - plain.value) / plain.count)
        agree(split(net, depth, ties_win=ties_win), plain.value, spread)


def test_the_iid_race_bounds_the_network_and_meets_it_for_many_provers():
    few = network(exponential(0.01), provers=10, beta=0.2, delay_steps=5.0)
    above = fourier.persistence(race(few), [12])[0].value
    value, error = split(few, 12, particles=1024)
    assert value + 5 * error < above
    # The finder who need not wait is one of 1600, no longer one of 8.
    many = network(exponential(0.1 / 2000), provers=2000, beta=0.2, delay_steps=5.0)
    (exact,) = fourier.persistence(race(many), [12])
    agree(split(many, 12, particles=1024), exact.value)


def test_any_slopes_give_the_same_answer():
    net = network(exponential(0.01), provers=10, beta=0.2, delay_steps=0.0)
    exact = races.private_race(0.2, 8)
    for slopes in ((0.02, 0.05), (0.04, 0.04)):
        agree(split(net, 8, slopes=slopes, particles=1024), exact)


def test_the_same_key_is_the_same_answer():
    net = network(exponential(0.01), provers=10, beta=0.2, delay_steps=3.0)
    assert split(net, 5) == split(net, 5)


def test_widening_changes_no_draw_that_was_enough():
    net = network(exponential(0.01), provers=10, beta=0.2, delay_steps=3.0)
    assert split(net, 5, slots=4) == split(net, 5)


def test_repetitions_that_disagree_are_refused(monkeypatch):
    monkeypatch.setattr(splitting, "_MINIMUM_EFFECTIVE", 0.999)
    net = network(exponential(0.01), provers=10, beta=0.1, delay_steps=0.0)
    with pytest.raises(Refused, match="of 16 repetitions are effective"):
        split(net, 20)


def test_races_that_have_not_ended_are_refused(monkeypatch):
    monkeypatch.setattr(splitting, "_PATIENCE", 0.02)
    net = network(exponential(0.01), provers=10, beta=0.3, delay_steps=0.0)
    with pytest.raises(Refused, match="races had not ended after"):
        split(net, 4)


def test_an_adversary_that_outgrows_is_refused():
    net = network(exponential(0.01), provers=10, beta=0.5, delay_steps=1.0)
    with pytest.raises(Refused, match="outgrows the public one"):
        split(net, 5)


def test_a_public_chain_that_may_stop_is_refused():
    stops = BlockTimeLaw(np.linspace(0, 3, 8192), 1.0, 0.0, 0.0, False)
    net = network(stops, provers=10, beta=0.2, delay_steps=1.0)
    with pytest.raises(Refused, match="overtakes it at every depth"):
        split(net, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be ≥ 1, got 0"),
        ({"particles": 1}, "particles must be ≥ 2, got 1"),
        ({"repetitions": 9}, "repetitions must be ≥ 10, got 9"),
        ({"slopes": (0.2, 0.1)}, "slopes must be 0 < θ_0 ≤ θ"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    net = network(exponential(0.01), provers=10, beta=0.2, delay_steps=1.0)
    with pytest.raises(ValueError, match=message):
        split(net, **{"depth": 5, **options})


def test_resampling_never_takes_one_without_weight():
    """u = 1 − 2^-24 rounds the last place to the end, behind which there is nobody."""
    weight = jnp.asarray([1.0] * 1023 + [0.0])
    last = float(jnp.float32(1023) + jnp.float32(1 - 2.0**-24))
    assert last == 1024.0  # the precondition
    high = 1.0 - 2.0**-24
    chosen = np.asarray(splitting._chosen(jnp.float32(high), jnp.cumsum(weight)))
    assert chosen.max() == 1022
    assert (np.diff(chosen) >= 0).all()
    assert np.unique(chosen).size >= 1022
