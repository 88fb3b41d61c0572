"""All figures of a network at once."""

import jax
import numpy as np
import pytest
from dpodl.analysis import assessment, simulation
from dpodl.analysis.assessment import Plan, assess
from dpodl.analysis.block_time import exponential
from dpodl.analysis.simulation import network

PLAN = Plan(
    levels=64,
    replicas=500,
    good_period_replicas=200,
    depths=(1, 3, 6),
    confirmations=3,
    windows=(5.0, 10.0),
    epsilon=0.5,
    round_steps=1.0,
)
NETWORK = network(exponential(0.02), provers=10, beta=0.2, delay_steps=1.0)
KEY = jax.random.key(1)


def test_every_figure_is_there_with_an_interval_and_a_method():
    found = assess(KEY, NETWORK, PLAN)
    # So short a chain has too few lengths at which all windows are good, or not.
    assert [text for text in found.refusals if "windows, decay" not in text] == []
    quantities = {m.quantity for m in found.measurements}
    assert quantities == {
        "block_interval_mean",
        "block_interval_cv",
        "chain_growth",
        "stale_rate",
        "chain_quality",
        "persistence_violation",
        "persistence_violation_strict",
        "liveness_quantile",
        "round_success",
        "round_single_success",
        "round_adversarial",
        "good_period",
        "good_period_all",
        "isolated_rate",
        "isolated_share",
        "left_isolated_rate",
        "left_isolated_share",
        "growth_shortfall",
        "quality_gap",
        "dispersion",
        "window_distance",
        "success_after",
        "decay_constant",
        "decay_constant_iid",
        "decay_ratio",
        "decay_fit_p_value",
    }
    plain = assess(KEY, NETWORK, PLAN._replace(detail=False)).measurements
    assert {m.quantity for m in plain} < quantities - {"dispersion", "decay_ratio"}
    places = {m.place: m.estimate for m in found.measurements}
    assert all(places[m.place] == m.estimate for m in plain)
    for m in found.measurements:
        e = m.estimate
        assert e.low <= e.value <= e.high
        assert e.count >= 200 or e.method.startswith("exact")
        assert e.method
    assert set(found.window_rounds) == {5.0, 10.0}


def test_the_same_key_gives_the_same_numbers():
    first, second = assess(KEY, NETWORK, PLAN), assess(KEY, NETWORK, PLAN)
    assert first.measurements == second.measurements


def test_blocks_of_replicas_add_up(monkeypatch):
    # Memory is bounded by the block; the count is the plan's, whole blocks or not.
    monkeypatch.setattr(assessment, "BLOCK", 200)
    found = assess(KEY, NETWORK, PLAN._replace(replicas=500))
    counts = {
        m.estimate.count for m in found.measurements if m.quantity == "stale_rate"
    }
    assert counts == {500}
    windows = [m for m in found.measurements if m.quantity == "good_period"]
    assert {m.estimate.count for m in windows} == {200}


def test_a_sweep_over_law_share_and_delay_compiles_nothing_again():
    assess(KEY, NETWORK, PLAN)
    before = simulation.compilations()
    for beta, delay, dead in ((0.1, 0.0, 5.0), (0.4, 2.0, 0.0)):
        law = exponential(0.03, dead_time=dead)
        assess(KEY, network(law, provers=10, beta=beta, delay_steps=delay), PLAN)
    assert simulation.compilations() == before


def test_refused_figures_leave_the_others():
    # Rounds as long as the whole simulation: no good period, but a chain.
    found = assess(KEY, NETWORK, PLAN._replace(round_steps=1e4))
    assert any("good periods" in text for text in found.refusals)
    assert any(m.quantity == "chain_growth" for m in found.measurements)
    assert not any(m.quantity == "good_period" for m in found.measurements)


def test_without_an_adversary_persistence_is_never_violated():
    calm = network(exponential(0.02), provers=10, beta=0.0, delay_steps=0.0)
    found = assess(KEY, calm, PLAN)
    values = {m.place: m.estimate.value for m in found.measurements}
    assert values["persistence_violation", 1.0] == 0.0
    assert values["chain_quality", None] == 1.0
    assert values["round_adversarial", None] == 0.0
    assert np.isfinite(values["liveness_quantile", 0.99])


@pytest.mark.parametrize("provers", [10, 20])
def test_more_provers_of_the_same_law_are_faster(provers):
    one = network(exponential(0.02), provers=provers, beta=0.2, delay_steps=0.0)
    values = {m.quantity: m.estimate.value for m in assess(KEY, one, PLAN).measurements}
    assert values["chain_growth"] == pytest.approx(0.02 * 0.8 * provers, rel=0.02)
