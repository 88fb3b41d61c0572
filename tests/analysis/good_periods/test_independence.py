"""Departures from independent rounds: none where there are none, exact for renewals."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.good_periods import independence
from dpodl.analysis.good_periods.independence import (
    WindowCounts,
    dispersion,
    independence_measurements,
    independent_rounds,
    success_after,
    window_counts,
    window_distance,
)
from dpodl.analysis.good_periods.windows import (
    RoundRates,
    Rounds,
    rate_measurements,
    round_rates,
    rounds_of,
    shortest,
)
from dpodl.analysis.simulation.levels import network, simulate
from scipy import stats

KEY = jax.random.key(17)
SIGMA = 3.5


@cache
def chain(dead_time=0.0, delay=0.0, round_steps=0.5, levels=256, replicas=1000):
    law = exponential(0.01, dead_time=dead_time)
    net = network(law, provers=10, beta=0.0, delay_steps=delay)
    drawn = simulate(KEY, net, levels=levels, replicas=replicas)
    rounds = rounds_of(drawn, round_steps=round_steps)
    return rounds, round_rates(rounds, end=int(shortest(drawn) / round_steps))


def agree(estimate, exact):
    error = (estimate.high - estimate.low) / (2 * 1.96)
    assert abs(estimate.value - exact) < SIGMA * error


# Honest blocks of memoryless provers are a Poisson process, with forks too.
@pytest.mark.parametrize("delay", [0.0, 5.0])
def test_memoryless_rounds_are_independent(delay):
    rounds, rates = chain(delay=delay)
    assert rates.x == pytest.approx(1 - np.exp(-0.05), rel=0.02)
    found = independence_measurements(KEY, rounds, rates, [2.0, 10.0, 40.0])
    exact = {
        "dispersion": 1 - rates.x,
        "window_distance": 0.0,
        "success_after": 1.0,
    }
    for m in found:
        agree(m.estimate, exact[m.quantity])
    assert [m.quantity for m in found].count("success_after") == 9
    # The figures are sharp enough to see a tenth of a departure.
    assert all(m.estimate.high - m.estimate.low < 0.2 for m in found)


@pytest.mark.parametrize("dead_time", [5.0, 20.0])
def test_dead_time_has_the_dispersion_of_its_renewals(dead_time):
    rounds, rates = chain(dead_time=dead_time, round_steps=0.25)
    moments = intervals.dead_time_mean_cv(dead_time, 0.1)
    (window,) = window_counts(KEY, rounds, rates, [60.0])
    # [C62]: Var N = CV² kp + (5/6 CV⁴-like constant), here of order 1/60.
    value = dispersion(window)
    error = (value.high - value.low) / (2 * 1.96)
    assert abs(value.value - moments.cv**2) < SIGMA * error + 0.02
    assert error < 0.03


def test_dead_time_has_its_hazard():
    rounds, rates = chain(dead_time=10.0, round_steps=0.1)
    found = success_after(rounds, rates, [0.0, 0.2, 0.45, 0.55, 0.8, 1.2, 2.0])
    # Mean 20 steps = 200 rounds, of which the first 100 have no chance.
    assert found[0].estimate.value == found[1].estimate.value == 0.0
    for m in found[3:]:
        # In a round behind the dead time, and relative to p.
        agree(m.estimate, (1 - np.exp(-0.01)) / rates.x)
    assert [m.at for m in found] == pytest.approx(
        [0.1, 0.325, 0.5, 0.675, 1.0, 1.6], abs=0.01
    )


def test_hazard_counted_one_by_one():
    rounds, rates = chain(dead_time=5.0, delay=3.0, levels=64, replicas=40)
    lags = [0.0, 0.3, 0.8, 1.5]
    edges = np.unique(np.round(np.array(lags) / rates.x).astype(int))
    hits, risks = np.zeros(3), np.zeros(3)
    for row in np.asarray(rounds.honest):
        happened = np.zeros(rates.end, bool)
        happened[row[row < rates.end]] = True
        last = None
        for r in range(rates.begin, rates.end):
            if last is not None:
                place = np.searchsorted(edges, r - last, side="left") - 1
                if place < 3:
                    risks[place] += 1
                    hits[place] += happened[r]
            if happened[r]:
                last = r
    found = success_after(rounds, rates, lags)
    values = [m.estimate.value for m in found]
    np.testing.assert_allclose(values, hits / risks / rates.x, rtol=1e-12)


def test_distance_finds_the_whole_total_variation():
    draws = np.random.default_rng(2)
    counts = draws.poisson(30.0, size=(4000, 32))
    # Bin(60, ½) has half the variance of Poisson(30).
    x = np.arange(200)
    exact = np.abs(stats.poisson.pmf(x, 30) - stats.binom.pmf(x, 60, 0.5)).sum() / 2
    found = window_distance(WindowCounts(counts, 60, 30.0))
    agree(found, exact)
    assert exact > 0.1 > found.high - found.low


def test_distance_is_centred_where_the_laws_agree():
    draws = np.random.default_rng(4)
    values, covered = [], 0
    for _ in range(200):
        # Windows of a replica that overlap wholly: the worst correlation.
        counts = np.repeat(draws.binomial(100, 0.3, size=(200, 1)), 4, axis=1)
        found = window_distance(WindowCounts(counts, 100, 30.0))
        values.append(found.value)
        covered += found.low <= 0 <= found.high
    mean, error = np.mean(values), np.std(values) / np.sqrt(200)
    assert abs(mean) < SIGMA * error
    assert covered / 200 > 0.95 - SIGMA * np.sqrt(0.05 * 0.95 / 200)
    # What a plain histogram would say of the same law.
    seen = np.bincount(draws.binomial(100, 0.3, size=200), minlength=101) / 200
    plain = np.abs(seen - stats.binom.pmf(np.arange(101), 100, 0.3)).sum() / 2
    assert plain > 5 * abs(mean)


def test_dispersion_covers_that_of_binomials():
    draws = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        counts = draws.binomial(50, 0.2, size=(100, 4))
        found = dispersion(WindowCounts(counts, 50, 10.0))
        covered += found.low <= 0.8 <= found.high
    assert covered / 300 > 0.95 - SIGMA * np.sqrt(0.05 * 0.95 / 300)


def test_independent_rounds_have_the_rates_they_are_given():
    rates = RoundRates(0.08, 0.05, 0.03, 100, 2000, 1000)
    rounds = independent_rounds(KEY, rates, replicas=1000)
    assert int(rounds.honest[rounds.honest < 2**29].max()) < 2000
    honest = np.asarray(rounds.honest)
    assert (np.diff(honest, axis=1) >= 0).all()
    for m in rate_measurements(rounds, rates):
        exact = {
            "round_success": 0.08,
            "round_single_success": 0.05,
            "round_adversarial": 0.03,
        }
        agree(m.estimate, exact[m.quantity])
    for m in independence_measurements(KEY, rounds, rates, [5.0, 30.0]):
        exact = {"dispersion": 0.92, "window_distance": 0.0, "success_after": 1.0}
        agree(m.estimate, exact[m.quantity])


def test_certain_rounds():
    # Limit p = 1: a success in every round, no variance.
    rates = RoundRates(1.0, 1.0, 0.0, 10, 100, 30)
    rounds = independent_rounds(KEY, rates, replicas=30)
    assert int((rounds.adversarial < 2**29).sum()) == 0
    (window,) = window_counts(KEY, rounds, rates, [20.0])
    assert (window.counts == 20).all()
    assert dispersion(window).value == 0.0
    assert window_distance(window).value == 0.0
    law = network(geometric(1.0), provers=1, beta=0.0, delay_steps=0.0)
    drawn = simulate(KEY, law, levels=64, replicas=30)
    real = rounds_of(drawn, round_steps=1.0)
    rates = round_rates(real, end=int(shortest(drawn)))
    (same,) = window_counts(KEY, real, rates, [20.0])
    assert (same.counts == 20).all()


def test_one_program_serves_all_settings():
    rounds, rates = chain()
    window_counts(KEY, rounds, rates, [2.0])
    success_after(rounds, rates)
    programs = independence._counts, independence._after
    before = [program._cache_size() for program in programs]  # pyright: ignore
    window_counts(KEY, rounds, rates._replace(begin=50), [3.0, 40.0])
    success_after(rounds, rates._replace(x=0.9))
    success_after(rounds, rates, [0.01 * i for i in range(10)])
    assert [p._cache_size() for p in programs] == before  # pyright: ignore


def test_too_little_to_know():
    rounds, rates = chain()
    with pytest.raises(Refused, match="needs twice its length"):
        window_counts(KEY, rounds, rates, [1e6])
    few = WindowCounts(np.ones((10, 4), int), 5, 2.0)
    for figure in (dispersion, window_distance):
        with pytest.raises(Refused, match="at least 20 replicas"):
            figure(few)
    none = few._replace(counts=np.zeros((30, 4), int))
    for figure in (dispersion, window_distance):
        with pytest.raises(Refused, match="success"):
            figure(none)
    with pytest.raises(Refused, match="above 1"):
        independent_rounds(KEY, rates._replace(z=1.5), replicas=10)
    empty = Rounds(jnp.full((30, 4), 2**29), jnp.full((30, 4), 2**29))
    assert success_after(empty, rates) == []


@pytest.mark.parametrize("lags", [[0.0], [0.5, 0.2], [-0.1, 1.0], [0.0, 0.0, 1.0]])
def test_lags_must_increase(lags):
    rounds, rates = chain()
    with pytest.raises(ValueError, match="lags must increase"):
        success_after(rounds, rates, lags)
