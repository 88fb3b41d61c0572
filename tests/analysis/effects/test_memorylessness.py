"""Effects on laws where everything is known."""

import math
from collections.abc import Iterable

import jax
import numpy as np
import pytest
from dpodl.analysis.agreement import named_race
from dpodl.analysis.block_time.effective_runs import fastest
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    cv,
    exponential,
    fastest_of,
    geometric,
    mean,
)
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import delays, intervals
from dpodl.analysis.effects.memorylessness import (
    fast_machine,
    finite,
    machine_share,
    memoryless_forks,
    memorylessness,
    restart_forks,
    swept_laws,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.estimation.training_error import law_figure
from dpodl.analysis.race.threshold import dead_time_threshold
from hypothesis import given, settings, strategies as st

from ..attack_settings import LOTTERY, curves_of

DEAD = 100.0


def at(law: BlockTimeLaw, p_2: float = 0.5) -> dict[float, UncertainLaw]:
    return {p_2: UncertainLaw(law)}


def lotteries(p_2s: Iterable[float]) -> dict[float, UncertainLaw]:
    return {p: UncertainLaw(exponential(p, dead_time=DEAD)) for p in p_2s}


def values(rows, quantity: str) -> dict[float, float]:
    return {each.at: each.value for each in rows if each.quantity == quantity}


def test_cv_and_threshold_are_those_of_a_dead_time():
    rates = (0.1, 0.01, 0.001)
    rows = memorylessness(lotteries(rates), provers=20, honest=15)
    for p in rates:
        assert values(rows, "cv_prover")[p] == pytest.approx(1 / (1 + DEAD * p))
        network = intervals.dead_time_mean_cv(DEAD, 15 * p).cv
        assert values(rows, "cv_network")[p] == pytest.approx(network)
        delay = 0.1 * (DEAD + 1 / (20 * p))
        share = dead_time_threshold(rate=20 * p, delay=delay, dead_time=DEAD)
        assert values(rows, "threshold")[p] == pytest.approx(share, abs=1e-9)
        lost = delays.security_threshold(0.1) - share
        assert values(rows, "margin_lost")[p] == pytest.approx(lost, abs=1e-9)


def test_the_network_is_less_memoryless_than_a_prover_and_rarity_heals_both():
    rows = memorylessness(lotteries(2.0**-k for k in range(13)), provers=20, honest=15)
    prover, network = (
        np.array(list(values(rows, name).values()))
        for name in ("cv_prover", "cv_network")
    )
    assert (network < prover).all()
    assert (np.diff(network) > 0).all()
    lost = np.array(list(values(rows, "margin_lost").values()))
    assert (lost > 0).all()
    assert (np.diff(lost) < 0).all()


def test_memoryless_provers_lose_nothing():
    rows = memorylessness(at(exponential(0.01)), provers=20, honest=15)
    assert values(rows, "cv_network")[0.5] == pytest.approx(1.0)
    assert values(rows, "margin_lost")[0.5] == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=20)
@given(
    hazard=st.floats(1e-4, 0.1),
    dead_time=st.floats(0, 500),
    speed=st.floats(1, 20),
)
def test_a_fast_machine_has_the_closed_form(hazard, dead_time, speed):
    law = exponential(hazard, dead_time=dead_time)
    found = machine_share(law, speed=speed, units=1)
    exact = intervals.domination(hazard, dead_time, speed, 1)
    assert found == pytest.approx(exact, abs=1e-9)


def test_units_as_a_group_are_units_one_by_one():
    # A law with a hazard of its own, not only a dead time.
    law = fastest_of_law()
    found = machine_share(law, speed=5, units=12)
    exact = named_race.domination(law, [5, *[1] * 12])
    assert found == pytest.approx(exact[0], abs=1e-12)


def fastest_of_law() -> BlockTimeLaw:
    plain = exponential(0.01, dead_time=DEAD)
    bent = plain.cumulative_hazard**1.7 / 20
    step = float(np.diff(bent)[-1]) / plain.spacing
    return plain._replace(cumulative_hazard=bent, tail_hazard=step)


def test_domination_grows_with_speed_and_falls_with_rarity():
    laws = lotteries(2.0**-k for k in range(1, 13))
    rows = fast_machine(laws, speeds=(2, 30), total=100)
    for speed in (2.0, 30.0):
        some = [r for r in rows if r.speed == speed]
        share = np.array(list(values(some, "block_share").values()))
        assert (np.diff(share) <= 1e-12).all()
        assert (share >= speed / 100 - 1e-12).all()
        excess = list(values(some, "excess").values())
        np.testing.assert_allclose(excess, share - speed / 100)
        advantage = list(values(some, "advantage").values())
        np.testing.assert_allclose(advantage, share * 100 / speed)
    memoryless = fast_machine(at(exponential(0.01)), speeds=(30,), total=100)
    assert values(memoryless, "block_share")[0.5] == pytest.approx(0.3)


def test_what_has_no_winner_is_refused():
    with pytest.raises(ValueError, match="lattice"):
        machine_share(geometric(0.1), speed=2, units=3)
    with pytest.raises(ValueError, match="speed and units must be > 0"):
        machine_share(exponential(0.1), speed=0, units=3)
    with pytest.raises(ValueError, match="total"):
        fast_machine({}, speeds=(100,), total=100)
    endless = exponential(0.01)._replace(
        cumulative_hazard=exponential(0.01).cumulative_hazard / 1e3, tail_hazard=0.0
    )
    with pytest.raises(Refused, match="never ends"):
        machine_share(endless, speed=2, units=3)


def test_errors_are_the_spread_of_the_resamples_and_the_bracket():
    law = exponential(0.01)
    others = tuple(exponential(0.01 * x) for x in (0.8, 1.0, 1.2))
    found = finite(mean, UncertainLaw(law, others))
    expected = law_figure(100.0, [mean(each) for each in others], "log", "law")
    assert found.high == pytest.approx(expected.high, rel=1e-5)
    assert found.low == pytest.approx(expected.low, rel=1e-5)
    assert found.count == 3
    wide = UncertainLaw(law, others, (exponential(0.001), exponential(0.02)))
    assert finite(mean, wide).high > 1000.0
    assert finite(mean, wide).low < 50.0


def test_a_number_says_how_many_runs_it_rests_on_and_is_wider_for_few():
    # One run in ten is fast: the fastest of 15 is one of these.
    generator = np.random.default_rng(3)
    passage = np.where(generator.random(60) < 0.1, 3, generator.integers(10, 40, 60))
    curves = curves_of(passage)
    laws, _ = swept_laws(
        curves, LOTTERY._replace(p_1=0.01), [0.5], provers=15, seed=1, resamples=12
    )
    rows = {r.quantity: r for r in memorylessness(laws, provers=20, honest=15)}
    (law,) = laws.values()
    assert law.by_run is not None
    fast = fastest(law.by_run, 15)
    assert rows["interval_mean"].runs_effective == min(x.runs for x in fast) < 20
    assert "training runs in effect" in rows["interval_mean"].warning
    assert rows["cv_prover"].runs_effective > rows["cv_network"].runs_effective
    blind = finite(lambda one: mean(fastest_of(one, 15)), law)
    told = rows["interval_mean"]
    assert told.high - told.low > 1.05 * (blind.high - blind.low)


def test_a_number_without_end_is_refused():
    half = exponential(0.01).cumulative_hazard / 100
    endless = exponential(0.01)._replace(cumulative_hazard=half, tail_hazard=0.0)
    with pytest.raises(Refused, match="no end"):
        finite(mean, UncertainLaw(endless))


def test_forks_of_memoryless_provers_and_of_a_dead_time():
    key, honest = jax.random.key(5), 400
    # A dead time of a third of what all provers then wait for the lottery.
    rate = 1 / (3 * DEAD * honest)
    laws = at(exponential(0.01), 1.0) | at(exponential(rate, dead_time=DEAD), 0.5)
    rows = restart_forks(key, laws, honest=honest, levels=64, replicas=256)
    plain = next(r for r in rows if r.quantity == "forks" and r.at == 1.0)
    expected = memoryless_forks(honest, 0.1)
    assert expected == pytest.approx(0.1, rel=5e-3)
    # Head starts are left out of the closed form, a share of about 1/n of it.
    assert abs(plain.value - expected) < 3.5 * plain.se + expected / honest
    # Δ is a share of the interval, dead time included: x = λΔ is more than the share.
    together = next(r for r in rows if r.quantity == "forks" and r.at == 0.5)
    raised = memoryless_forks(honest, 0.1 * 4 / 3)
    assert abs(together.value - raised) < 3.5 * together.se + 2 * raised / honest
    excess = next(r for r in rows if r.quantity == "forks_excess" and r.at == 0.5)
    assert excess.value > 3.5 * excess.se
    same = next(r for r in rows if r.quantity == "forks_memoryless")
    assert abs(same.value - plain.value) < 3.5 * math.hypot(same.se, plain.se)


def test_cv_of_the_bent_law_is_not_that_of_a_lottery():
    assert cv(fastest_of(fastest_of_law(), 10)) < 0.9
