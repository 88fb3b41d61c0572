"""Selfish mining and balance on a config's network, with every figure."""

from functools import partial

import jax
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds.selfish import selfish_revenue
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline.notes import _assumptions
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
        eval_samples, population, loss = 1, 1, __import__("numpy").zeros((1, 1))

    from dpodl.experiments.pipeline import notes

    monkeypatch.setattr(notes, "accuracy_error", lambda *_: 0.0)
    for attack, said in {
        "selfish": "SM1 is played for revenue",
        "balance": "Pr[a fork lives k levels]",
        "private": "private race from the tip",
    }.items():
        some = config([f"adversary.attack={attack}"])
        text = " ".join(_assumptions(some, UncertainLaw(LAW), Curves()))  # pyright: ignore
        assert said in text
