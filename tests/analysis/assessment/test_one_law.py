"""All figures of a network at once."""

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment import one_law
from dpodl.analysis.assessment.one_law import Plan, assess
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.race.fourier import log_persistence
from dpodl.analysis.race.walk import race
from dpodl.analysis.simulation import levels
from dpodl.analysis.simulation.levels import network

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
    decays = {name for name in quantities if name.startswith("decay")}
    assert quantities == {
        "block_interval_mean",
        "block_interval_cv",
        "chain_growth",
        "stale_rate",
        "chain_quality",
        "persistence_simulated",
        "persistence_simulated_strict",
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
        *decays,
    }
    # Either one constant fits, or a sentence says that none does.
    assert {"decay_slope", "decay_slope_iid", "decay_fit_p_value"} <= decays
    refuted = any("single windows, decay: no constant" in x for x in found.refusals)
    assert ("decay_constant" in decays) is not refuted
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
    monkeypatch.setattr(one_law, "BLOCK", 200)
    found = assess(KEY, NETWORK, PLAN._replace(replicas=500))
    counts = {
        m.estimate.count for m in found.measurements if m.quantity == "stale_rate"
    }
    assert counts == {500}
    windows = [m for m in found.measurements if m.quantity == "good_period"]
    assert {m.estimate.count for m in windows} == {200}


def test_a_sweep_over_law_share_and_delay_compiles_nothing_again():
    assess(KEY, NETWORK, PLAN)
    before = levels.compilations()
    for beta, delay, dead in ((0.1, 0.0, 5.0), (0.4, 2.0, 0.0)):
        law = exponential(0.03, dead_time=dead)
        assess(KEY, network(law, provers=10, beta=beta, delay_steps=delay), PLAN)
    assert levels.compilations() == before


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
    assert values["persistence_simulated", 1.0] == 0.0
    assert values["chain_quality", None] == 1.0
    assert values["round_adversarial", None] == 0.0
    assert np.isfinite(values["liveness_quantile", 0.99])


@pytest.mark.parametrize("provers", [10, 20])
def test_more_provers_of_the_same_law_are_faster(provers):
    one = network(exponential(0.02), provers=provers, beta=0.2, delay_steps=0.0)
    values = {m.quantity: m.estimate.value for m in assess(KEY, one, PLAN).measurements}
    assert values["chain_growth"] == pytest.approx(0.02 * 0.8 * provers, rel=0.02)


# ------------------------------------------------------------------ to an error

SAMPLED = PLAN._replace(
    rel_error=0.1,
    depths=(1, 3, 6),
    confirmations=3,
    good_period_replicas=100,
    detail=False,
)


def by_place(found):
    return {m.place: m.estimate for m in found.measurements}


def half_width(estimate):
    return max(estimate.high - estimate.value, estimate.value - estimate.low)


def test_sampling_stops_when_the_error_is_reached_and_agrees_with_fixed_replicas():
    found = assess(KEY, NETWORK, SAMPLED)
    fixed = by_place(assess(KEY, NETWORK, PLAN._replace(replicas=4000, detail=False)))
    assert found.missing == ()
    figures = by_place(found)
    demanded = [
        ("chain_growth", None),
        ("chain_quality", None),
        ("stale_rate", None),
        ("persistence_simulated", 1.0),
        ("persistence_simulated", 3.0),
    ]
    for place in demanded:
        assert half_width(figures[place]) <= 0.1 * figures[place].value
    for place in [*demanded, ("persistence_simulated", 6.0)]:
        one, other = figures[place], fixed[place]
        # Intervals of two standard errors or more each.
        error = np.hypot(half_width(one), half_width(other)) / 1.96
        assert abs(one.value - other.value) < 3.5 * error
    counts = {figures[place].count for place in demanded}
    assert len(counts) == 1
    # Fewer would not do: 1.96² (1 − p) / (p r²) for the rarest.
    p = figures["persistence_simulated", 3.0].value
    assert counts.pop() > 1.96**2 * (1 - p) / (p * 0.1**2)
    assert figures["good_period", 5.0].count == 100


def test_more_precision_takes_more_replicas_and_the_same_key_the_same_ones():
    coarse, fine = (
        by_place(assess(KEY, NETWORK, SAMPLED._replace(rel_error=r)))[
            "chain_growth", None
        ]
        for r in (0.3, 0.1)
    )
    assert coarse.count < fine.count
    again = assess(KEY, NETWORK, SAMPLED).measurements
    assert again == assess(KEY, NETWORK, SAMPLED).measurements


def test_what_the_budget_does_not_reach_is_missing_by_name():
    found = assess(KEY, NETWORK, SAMPLED._replace(rel_error=0.02, most_replicas=1000))
    assert by_place(found)["chain_growth", None].count == 1000
    rare = [text for text in found.missing if text.startswith("persistence_simulated")]
    assert len(rare) == 2
    assert not any(text.startswith("chain_growth") for text in found.missing)
    assert all("are needed for 2.00%" in text for text in found.missing)


def test_a_depth_that_hardly_ever_happens_is_not_waited_for():
    rare = network(exponential(0.02), provers=10, beta=0.1, delay_steps=0.0)
    (log,), _ = log_persistence(race(rare), [6])
    most = int(5 / np.exp(log))  # five events, where ten are too few
    plan = SAMPLED._replace(rel_error=0.3, confirmations=6, most_replicas=most)
    found = assess(KEY, rare, plan)
    (text,) = found.missing
    assert text.startswith("persistence_simulated at 6: at most ")
    assert "not waited for" in text
    assert by_place(found)["chain_growth", None].count < most


def test_without_an_adversary_there_is_no_event_to_wait_for():
    calm = network(exponential(0.02), provers=10, beta=0.0, delay_steps=0.0)
    found = assess(KEY, calm, SAMPLED._replace(rel_error=0.1))
    assert found.missing == ()
    assert by_place(found)["chain_quality", None].count == 500
