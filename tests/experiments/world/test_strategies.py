"""Selfish mining and balance on a config's network, with every figure."""

from functools import partial

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment.one_law import Assessment
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds.selfish import selfish_revenue
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.estimation.measurement import Measurement
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import notes
from dpodl.experiments.world import strategies
from dpodl.experiments.world.engines import assess_world, taken
from dpodl.experiments.world.persistence import persistence
from dpodl.experiments.world.translation import plan_of

config = partial(load_config, "smoke")
LAW = exponential(1 / 200)
SMALL = (
    "network.provers=4",
    "network.beta=0.25",
    "network.delay_steps=0",
    "security.levels=96",
    "security.replicas=256",
    "security.good_period_replicas=256",
    "security.windows=[3]",
    "security.round_steps=5",
    "security.depths=4",
    "security.target=0.05",
)
EVERY = {
    *("block_interval_mean", "chain_growth", "stale_rate", "chain_quality", "revenue"),
    *("liveness_quantile", "good_period", "good_period_all", "round_success"),
}


def assessed(*settings, law=LAW):
    some = config([*SMALL, *settings])
    plan = plan_of(some)._replace(detail=False)
    found = assess_world(some, UncertainLaw(law), law, jax.random.key(2), plan)
    return some, found


def by_name(found):
    return {m.quantity: m.estimate for m in found.measurements}


def test_sm1_has_every_figure_and_its_closed_form():
    some, found = assessed("adversary.attack=selfish", "adversary.gamma=0.5")
    names = by_name(found)
    assert set(names) >= EVERY | {"persistence_simulated"}
    assert found.refusals == []
    revenue, quality = names["revenue"], names["chain_quality"]
    exact = selfish_revenue(0.25, 0.5)
    assert abs(revenue.value - exact) < 2 * (revenue.high - revenue.low)
    assert quality.value == pytest.approx(1 - revenue.value)
    # A strategy's own revenue is not replaced by what quality leaves.
    assert taken(some, found.measurements) == found.measurements
    known = persistence(
        some,
        UncertainLaw(LAW),
        found.measurements,
        found.measurements,
        basis=found.measurements[0].basis,
        chosen="strategy",
    )
    risks = {
        m.at: m.estimate.value
        for m in known.measurements
        if m.quantity == "persistence_violation"
    }
    assert list(risks) == [1, 2, 3, 4]
    depths = {m.quantity for m in known.measurements}
    assert depths >= {"safe_depth", "safe_depth_premined", "unsafe_depth"}


def test_the_best_policy_has_every_figure_and_beats_honest_play(monkeypatch):
    monkeypatch.setattr(strategies, "DEPTH", 5)
    monkeypatch.setattr(strategies, "CELLS", 12)
    late = "network.provers=10", "network.beta=0.4", "network.delay_steps=2"
    some, found = assessed("adversary.attack=best", "adversary.gamma=0.5", *late)
    names = by_name(found)
    assert set(names) >= EVERY | {"persistence_simulated"}
    assert found.refusals == []
    assert names["revenue"].low > 0.45
    assert taken(some, found.measurements) == found.measurements
    with pytest.raises(Refused, match="are no minority"):
        assessed("adversary.attack=best", "network.beta=0.5")


def test_good_periods_are_judged_by_the_network_without_the_attack():
    """At γ = 0 and Δ = 0 honest provers restart when they do anyway: the same rounds.

    Memoryless honest provers find blocks at their rate whatever they mine on.
    """
    _, attacked = assessed("adversary.attack=selfish", "adversary.gamma=0")
    _, plain = assessed("adversary.attack=private")
    for name in ("round_success", "round_adversarial", "good_period"):
        a, b = by_name(attacked)[name], by_name(plain)[name]
        assert a.low <= b.high, name
        assert b.low <= a.high, name


def test_balance_has_every_figure_and_leaves_less_growth_than_no_attack():
    delay = "network.delay_steps=40"
    _, found = assessed("adversary.attack=balance", delay)
    names = by_name(found)
    assert set(names) >= EVERY
    assert found.refusals == []
    assert names["revenue"].high < 0.35
    # All four provers on one tip would be faster still.
    assert names["chain_growth"].high < 4 / 200


def test_the_notes_say_what_is_played(monkeypatch):
    class Curves:
        eval_samples, population, loss = 1, 1, np.zeros((1, 1))

    monkeypatch.setattr(notes, "accuracy_error", lambda *_: 0.0)
    for attack, said in {
        "selfish": "SM1 is played for revenue",
        "best": "The policy is played for revenue",
        "balance": "Pr[a fork lives k levels]",
        "private": "private race from the tip",
    }.items():
        some = config([f"adversary.attack={attack}"])
        text = " ".join(notes._assumptions(some, UncertainLaw(LAW), Curves()))  # pyright: ignore
        assert said in text


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("adversary.attack=selfish", "is not sampled for: 300 replicas were played"),
        ("protocol.chain_rule=weight", "by persistence, raced on 900 others, at"),
        ("network.delay_model=random", "stale blocks and persistence, raced on 900"),
        ("seed=1", "stale blocks and persistence up to 3 deep (ties win)"),
    ],
)
def test_the_notes_say_what_the_error_was_sampled_for(setting, said):
    def row(quantity, count):
        estimate = Estimate(0.5, 0.4, 0.6, count, "x")
        return Measurement(quantity, 1.0, "", estimate, "share")

    some = config([setting, "security.rel_error=0.1"])
    rows = [row("chain_growth", 300), row("persistence_simulated", 900)]
    (text,) = notes._sampling(some, Assessment(rows, [], {}, None))
    assert said in text
