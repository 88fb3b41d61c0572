"""The race's cumulant and tilts, against quadrature and closed forms."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.law import (
    KNOTS,
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
    mean,
)
from dpodl.analysis.block_time.tilt import tilted
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.walk import (
    Race,
    bounded,
    cumulant,
    log_start,
    outgrows,
    race,
    tilts,
)
from dpodl.analysis.simulation.levels import network


def pareto(index: float, spacing: float) -> BlockTimeLaw:
    """S(x) = (1 + x)^−index on the table, then its last hazard for ever."""
    hazard = index * np.log1p(spacing * np.arange(KNOTS))
    return BlockTimeLaw(hazard, spacing, index / (1 + spacing * KNOTS), 0.0, False)


@pytest.mark.parametrize("q", [0.001, 0.1, 0.3, 0.45, 0.49])
def test_tilts_of_exponential_laws(q):
    # K = ln p/(p−θ) + ln q/(q+θ): θ* = p − q, θ_0 half of it, e^K(θ_0) = 4pq.
    p = 1 - q
    tilt = tilts(Race(exponential(p), exponential(q), 0.0))
    assert tilt.theta_star == pytest.approx(p - q, rel=1e-9)
    assert tilt.theta_0 == pytest.approx((p - q) / 2, rel=1e-9)
    assert tilt.log_rate == pytest.approx(math.log(4 * p * q), rel=1e-9)
    assert tilt.spread == pytest.approx(math.sqrt(8), rel=1e-6)
    assert tilt.drift == pytest.approx(1 / q - 1 / p, rel=1e-9)


def test_equal_dead_times_change_no_tilt():
    plain = tilts(Race(exponential(0.7), exponential(0.3), 0.0))
    shifted = tilts(
        Race(exponential(0.7, dead_time=9.0), exponential(0.3, dead_time=9.0), 0.0)
    )
    np.testing.assert_allclose(shifted, plain, rtol=1e-6)


def test_tilts_of_geometric_laws():
    # The walk G_h − G_a: e^{θ*} = (1 − a)/(1 − h) solves the quadratic for trial = 1.
    h, a = 0.3, 0.1
    tilt = tilts(Race(geometric(h), geometric(a), 0.0))
    assert math.exp(tilt.theta_star) == pytest.approx((1 - a) / (1 - h), rel=1e-9)
    assert math.exp(2 * tilt.theta_0) == pytest.approx((1 - a) / (1 - h), rel=1e-9)


@pytest.mark.parametrize("theta", [-0.25, -0.1, 0.0, 0.2, 0.69])
def test_cumulant_is_the_integral_over_the_tables(theta):
    grid = np.linspace(0, 60, 8192)
    rising = BlockTimeLaw(0.4 * grid + 0.01 * grid**2, grid[1], 1.6, 2.5, False)
    other = exponential(0.3, dead_time=1.0)
    found, gain = cumulant(Race(rising, other, 0.7), theta)
    # Λ is as good as smooth on this grid: trapezoids of the true densities.
    x = np.linspace(0, 60, 600_001)
    density = (0.4 + 0.02 * x) * np.exp(-0.4 * x - 0.01 * x**2 + theta * x)
    top = np.trapezoid(density, x)
    exact = theta * (2.5 + 0.7 - 1.0) + math.log(top) + math.log(0.3 / (0.3 + theta))
    assert found == pytest.approx(exact, rel=1e-5, abs=1e-6)
    first = np.trapezoid(x * density, x) / top
    assert gain == pytest.approx(2.5 + 0.7 + first - 1 - 1 / (0.3 + theta), rel=1e-5)


def test_cumulant_at_zero_is_the_mean_gain():
    sides = (
        fastest_of(geometric(0.02, trial=20.0, dead_time=3.0), 30),
        exponential(0.01),
    )
    value, gain = cumulant(Race(*sides, 5.0), 0.0)
    assert value == pytest.approx(0.0, abs=1e-12)
    assert gain == pytest.approx(mean(sides[0]) + 5.0 - mean(sides[1]), rel=1e-9)


def test_the_first_level_is_drawn_by_length_when_premined():
    # E[H e^{θH}]/E[H] of an exponential: (p/(p−θ))².
    race = Race(exponential(0.7), exponential(0.3), 0.0)
    plain, premined = (
        log_start(race._replace(premined=lead), 0.2) for lead in (False, True)
    )
    assert plain == pytest.approx(math.log(0.7 / 0.5), rel=1e-9)
    assert premined == pytest.approx(2 * math.log(0.7 / 0.5), rel=1e-9)


def test_the_race_of_a_network_is_that_of_its_fastest():
    law = exponential(0.01, dead_time=4.0)
    net = network(law, provers=10, beta=0.3, delay_steps=2.0)
    found = race(net, ties_win=False)
    assert mean(found.honest) == pytest.approx(4 + 100 / 7)
    assert mean(found.adversary) == pytest.approx(4 + 100 / 3)
    assert (found.delay, found.ties_win, found.premined) == (2.0, False, False)
    with pytest.raises(ValueError, match="adversarial must be ≥ 1 for a race, got 0"):
        race(network(law, provers=10, beta=0.0, delay_steps=2.0))


def test_a_tilt_that_the_tail_does_not_bear_is_refused():
    with pytest.raises(ValueError, match=r"below the tail's hazard 0.7, got 0.7"):
        tilted(exponential(0.7), 0.7)


def test_an_adversary_that_outgrows_has_no_tilt():
    even = Race(exponential(0.5), exponential(0.5), 0.0)
    assert outgrows(even)
    with pytest.raises(Refused, match="outgrows the public one"):
        tilts(even)
    # The delay alone can decide it.
    assert not outgrows(Race(exponential(0.7), exponential(0.3), 1.0))
    assert outgrows(Race(exponential(0.7), exponential(0.3), 2.0))


def test_a_public_chain_that_may_stop_is_refused():
    stops = BlockTimeLaw(np.linspace(0, 3, KNOTS), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="the public chain stops, and a private one"):
        tilts(Race(stops, exponential(1e-6), 0.0))
    # An adversary that may never end is just a weak one.
    assert tilts(Race(exponential(0.7), stops, 0.0)).log_rate < 0


def test_an_adversary_that_never_gains_is_refused():
    with pytest.raises(Refused, match="never gains, its shortest interval"):
        tilts(bounded(Race(geometric(1.0), geometric(1.0, trial=2.0), 0.0)))


def test_heavy_tails_are_refused():
    heavy = Race(pareto(3.0, 0.05), exponential(0.3), 0.0)
    with pytest.raises(Refused, match=r"heavy tail, where the race is even"):
        tilts(bounded(heavy))
    with pytest.raises(ValueError, match="must be bounded"):
        tilts(heavy)


def test_figures_that_rest_on_the_extrapolation_are_refused():
    # Under θ_0 the public interval is Exp(1/2): half its time is beyond 1.678 means.
    sides = exponential(0.9), exponential(0.1)
    assert tilts(Race(*sides, 0.0, known_until=3.4)).theta_star > 0
    with pytest.raises(Refused, match="52% of the public chain's time lies in"):
        tilts(Race(*sides, 0.0, known_until=3.22))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("delay", -1.0, "delay must be ≥ 0 and finite, got -1"),
        ("delay", math.nan, "delay must be ≥ 0 and finite, got nan"),
        ("known_until", 0.0, "known_until must be > 0, got 0"),
    ],
)
def test_bad_races_are_refused(field, value, message):
    good = Race(exponential(0.7), exponential(0.3), 0.0)
    with pytest.raises(ValueError, match=message):
        tilts(good._replace(**{field: value}))


def test_a_hazard_that_does_not_start_at_zero_is_refused():
    late = exponential(0.7)._replace(cumulative_hazard=1 + np.arange(KNOTS) / 64.0)
    with pytest.raises(ValueError, match="must start at 0 and not fall"):
        tilts(Race(late, exponential(0.3), 0.0))
