"""Growth, loners and thresholds under delay against their limits and by hand."""

import numpy as np
import pytest
from dpodl.analysis.bounds import delays, intervals


def test_growth_without_delay_is_the_rate():
    assert delays.growth_under_delay(0.25, 0) == 0.25
    assert delays.growth_under_delay(0, 3.0) == 0
    assert delays.nontailgater_rate(0.25, 0) == delays.loner_rate(0.25, 0) == 0.25


def test_growth_under_delay_waits_delay_and_interval():
    # λ = 1/600 s, Δ = 10 s: one level every 610 s.
    assert delays.growth_under_delay(1 / 600, 10) == pytest.approx(1 / 610, rel=1e-14)
    # However fast the provers, not more than one level each Δ.
    assert delays.growth_under_delay(1e12, 10) == pytest.approx(0.1, rel=1e-12)


def test_dead_time_growth_is_the_renewal_rate():
    growth = delays.dead_time_growth(0.5, 3, 7)
    assert growth == pytest.approx(1 / (3 + 7 + 2), rel=1e-14)
    mean = intervals.dead_time_mean_cv(7, 0.5).mean
    assert delays.dead_time_growth(0.5, 0, 7) == pytest.approx(1 / mean, rel=1e-14)


def test_isolated_blocks_of_a_poisson_process():
    # Four standard errors of a share, two shares: false alarm below 1.3e-4 for a fresh
    # seed. Neighbouring gaps make loners 2-dependent, hence the factor √3.
    rate, delay, n = 0.8, 0.5, 400_000
    gaps = np.random.default_rng(20230823).exponential(1 / rate, n + 1)
    clear = gaps > delay
    for share, expected, spread in [
        (clear.mean(), delays.nontailgater_rate(rate, delay) / rate, 1),
        ((clear[1:] & clear[:-1]).mean(), delays.loner_rate(rate, delay) / rate, 3),
    ]:
        error = np.sqrt(spread * expected * (1 - expected) / n)
        assert abs(share - expected) < 4 * error


@pytest.mark.parametrize("x", [1e-3, 0.1, 1.0, 7.0, 1e4])
def test_security_threshold_is_where_the_two_chains_grow_alike(x):
    beta = delays.security_threshold(x)
    honest = delays.growth_under_delay(1 - beta, x)
    assert beta == pytest.approx(honest, rel=1e-13)
    printed = (2 + x - np.sqrt(x**2 + 4)) / (2 * x)
    assert beta == pytest.approx(printed, rel=1e-9)


def test_security_threshold_has_no_zero_over_zero():
    x = 1e-9
    # β* = ½ − x/8 + O(x³); as printed, cancellation leaves nothing but noise.
    printed = (2 + x - np.sqrt(x**2 + 4)) / (2 * x)
    assert abs(printed - (0.5 - x / 8)) > 1e-9
    assert delays.security_threshold(x) == pytest.approx(0.5 - x / 8, rel=1e-15)
    assert delays.security_threshold(0) == 0.5
    assert delays.security_threshold(1e300) == pytest.approx(1e-300, rel=1e-12)


def test_security_threshold_maps_over_x():
    x = np.array([0.0, 0.5, 2.0])
    assert delays.security_threshold(x).tolist() == [
        delays.security_threshold(float(one)) for one in x
    ]


def test_dead_time_cancels_in_the_race_but_eats_the_margin():
    interval, delay, dead_time = 10.0, 1.5, 6.0
    beta = delays.security_threshold(delay / (interval - dead_time))
    rate = 1 / (interval - dead_time)
    adversary = delays.dead_time_growth(beta * rate, 0, dead_time)
    honest = delays.dead_time_growth((1 - beta) * rate, delay, dead_time)
    assert adversary == pytest.approx(honest, rel=1e-13)
    assert beta < delays.security_threshold(delay / interval)
