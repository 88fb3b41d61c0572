"""Thresholds against closed forms, the drift's own sign and simulated races."""

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
    mean,
)
from dpodl.analysis.bounds import delays
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.threshold import (
    dead_time_drift,
    dead_time_threshold,
    race_drift,
    race_threshold,
)
from dpodl.analysis.simulation.levels import network, simulate

RATE, DELAY, DEAD = 0.1, 5.0, 30.0


@pytest.mark.parametrize("ratio", [0, 0.3, 1, 1.7])
def test_the_threshold_is_where_the_two_sides_of_the_inequality_meet(ratio):
    beta = dead_time_threshold(rate=RATE, delay=DELAY, dead_time=DEAD, dead_ratio=ratio)
    left = 1 / (beta * RATE) - 1 / ((1 - beta) * RATE)
    assert left == pytest.approx(DELAY + (1 - ratio) * DEAD, rel=1e-12)
    at = {"rate": RATE, "delay": DELAY, "dead_time": DEAD, "dead_ratio": ratio}
    assert dead_time_drift(0.999 * beta, **at) > 0 > dead_time_drift(1.001 * beta, **at)


@pytest.mark.parametrize("ratio", [0, 0.5, 1, 1.5])
def test_the_drift_is_that_of_the_fastest_of_shifted_laws(ratio):
    provers, beta = 20, 0.25
    honest = exponential(RATE / provers, dead_time=DEAD)
    corrupted = exponential(RATE / provers, dead_time=ratio * DEAD)
    drift = dead_time_drift(
        beta, rate=RATE, delay=DELAY, dead_time=DEAD, dead_ratio=ratio
    )
    by_law = race_drift(
        honest, provers=provers, adversarial=5, delay_steps=DELAY, adversary=corrupted
    )
    by_mean = mean(fastest_of(corrupted, 5)) - mean(fastest_of(honest, 15)) - DELAY
    assert drift == pytest.approx(by_mean, rel=1e-9)
    assert by_law == pytest.approx(by_mean, rel=1e-12)
    found = race_threshold(
        honest, provers=provers, delay_steps=DELAY, adversary=corrupted
    )
    exact = dead_time_threshold(
        rate=RATE, delay=DELAY, dead_time=DEAD, dead_ratio=ratio
    )
    assert found.beta == pytest.approx(exact, rel=1e-9)


def test_equal_dead_times_cancel():
    for dead_time in (0, 3.0, 300.0):
        beta = dead_time_threshold(rate=RATE, delay=DELAY, dead_time=dead_time)
        assert beta == delays.security_threshold(RATE * DELAY)


def test_a_dead_time_that_the_adversary_has_not_counts_as_delay():
    beta = dead_time_threshold(rate=RATE, delay=DELAY, dead_time=DEAD, dead_ratio=0)
    assert beta == pytest.approx(
        delays.security_threshold(RATE * (DELAY + DEAD)), rel=1e-15
    )


def test_a_slower_adversary_may_be_a_majority():
    beta = dead_time_threshold(rate=RATE, delay=0, dead_time=DEAD, dead_ratio=2)
    mirror = dead_time_threshold(rate=RATE, delay=DEAD, dead_time=0)
    assert beta == pytest.approx(1 - mirror, rel=1e-14)
    assert beta > 0.5
    ratios = [
        dead_time_threshold(rate=RATE, delay=DELAY, dead_time=DEAD, dead_ratio=r)
        for r in (0, 0.5, 1, 2, 10)
    ]
    assert np.all(np.diff(ratios) > 0)


def test_without_delay_half_of_the_provers_is_the_limit():
    for law in (exponential(0.01), exponential(0.01, dead_time=40.0), geometric(0.02)):
        found = race_threshold(law, provers=10, delay_steps=0)
        assert found.beta == pytest.approx(0.5, abs=1e-9)
        assert found.adversarial == 4  # at 5 the drift is 0: not safe
        assert found.drift > 0


def test_the_whole_number_is_the_last_that_is_safe():
    law = exponential(0.002, dead_time=50.0)
    for provers in (2, 3, 7, 40):
        found = race_threshold(law, provers=provers, delay_steps=20.0)
        at = {"provers": provers, "delay_steps": 20.0}
        assert race_drift(law, adversarial=found.adversarial, **at) == found.drift > 0
        assert race_drift(law, adversarial=found.adversarial + 1, **at) <= 0
        assert found.adversarial < found.beta * provers <= found.adversarial + 1
    assert race_threshold(law, provers=2, delay_steps=20.0).adversarial == 0


def test_regular_laws_lose_more_to_delay():
    # Fastest of n, two laws of the same mean: one memoryless, one nearly sure.
    memoryless, regular = exponential(0.01), exponential(0.1, dead_time=90.0)
    assert mean(memoryless) == pytest.approx(mean(regular))
    limits = [
        race_threshold(law, provers=10, delay_steps=2.0).beta
        for law in (memoryless, regular)
    ]
    assert limits[1] < limits[0] - 0.1


@pytest.mark.parametrize(("shift", "sign"), [(-2, 1), (2, -1)])
def test_simulated_races_drift_as_they_should(shift, sign):
    law, provers, delay = exponential(0.004, dead_time=20.0), 40, 6.0
    found = race_threshold(law, provers=provers, delay_steps=delay)
    adversarial = found.adversarial + shift
    net = network(law, provers=provers, beta=adversarial / provers, delay_steps=delay)
    levels = simulate(jax.random.key(3), net, levels=64, replicas=2000)
    behind = np.asarray(levels.private, float).sum(1) - np.asarray(
        levels.interval, float
    ).sum(1)
    drift = behind.mean() / 64
    error = behind.std() / 64 / np.sqrt(len(behind))
    assert sign * drift > 5 * error
    # The finder of a block does not wait Δ, so honest provers are a little faster.
    exact = race_drift(law, provers=provers, adversarial=adversarial, delay_steps=delay)
    assert -4 * error < drift - exact < 0.5 + 4 * error


def test_no_adversary_no_race():
    law = exponential(0.1)
    assert race_drift(law, provers=3, adversarial=0, delay_steps=1) == np.inf


def test_laws_that_may_never_end_are_refused():
    stuck = BlockTimeLaw(np.minimum(np.arange(8192) / 64, 2.0), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match=r"mean block interval is infinite"):
        race_threshold(stuck, provers=10, delay_steps=1)


def test_a_race_without_root_is_refused():
    slow = exponential(0.1, dead_time=1e12)
    with pytest.raises(Refused, match=r"no root, it is .* almost without adversary"):
        race_threshold(exponential(0.1), provers=5, delay_steps=0, adversary=slow)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dead_time_drift(0, rate=1, delay=1, dead_time=1),
            r"^beta must lie in \(0, 1\), got 0$",
        ),
        (
            lambda: dead_time_threshold(rate=0, delay=1, dead_time=1),
            r"^rate must lie in \(0, ∞\), got 0$",
        ),
        (
            lambda: dead_time_threshold(rate=1, delay=-1, dead_time=1),
            r"^delay must lie in \[0, ∞\), got -1$",
        ),
        (
            lambda: dead_time_threshold(rate=1, delay=1, dead_time=float("nan")),
            r"^dead_time must .*, got nan$",
        ),
        (
            lambda: dead_time_threshold(rate=1, delay=1, dead_time=1, dead_ratio=-1),
            r"^dead_ratio must .*, got -1$",
        ),
        (
            lambda: race_threshold(exponential(1), provers=1, delay_steps=0),
            r"^provers must lie in \{2, 3, \.\.\.\}, got 1$",
        ),
        (
            lambda: race_drift(exponential(1), provers=4, adversarial=4, delay_steps=0),
            r"^adversarial must lie in \[0, 4\), got 4$",
        ),
        (
            lambda: race_threshold(exponential(1), provers=4, delay_steps=-1),
            r"^delay_steps must lie in \[0, ∞\), got -1$",
        ),
    ],
)
def test_refusals_name_field_range_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
