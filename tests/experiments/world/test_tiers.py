"""A run's three tiers: rows by the analysis's own numbers, and what is said of them."""

import math
from typing import Any

import pandas as pd
import pytest
from dpodl.analysis.adversary.one_tree import one_tree_depth
from dpodl.analysis.adversary.tiers import CRITERION, TIE_CRITERION
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.pipeline.estimates import measurement_table
from dpodl.experiments.world.tier_words import (
    tier_rows,
    tier_sentence,
    tiers_are,
    what_reverts,
)
from dpodl.experiments.world.tiers import tier_measurements

LAW = exponential(1e-4, dead_time=300.0)
NET = {"provers": 20, "beta": 0.25, "delay_steps": 25}


def config(**sections) -> Config:
    return Config.model_validate({"name": "x", "network": NET} | sections)


def test_the_rows_are_the_analysis_own_depths_in_order():
    resamples = tuple(exponential(1e-4, dead_time=d) for d in (280.0, 300.0, 320.0))
    law = UncertainLaw(LAW, resamples=resamples)
    rows, refusals = tier_measurements(config(), law)
    assert refusals == []
    found = {m.quantity: m.estimate for m in rows}
    at: dict[str, Any] = {"honest": 15, "adversarial": 5, "delay_steps": 25}
    target = config().security.target
    private = one_tree_depth(target, LAW, event="private", **at)
    assert found["private_chain_depth"].value == private
    anybody = one_tree_depth(target, LAW, event="any", **at)
    assert found["any_adversary_depth"].value == anybody
    assert found["private_chain_depth"].value < found["any_adversary_depth"].value
    text = tier_sentence(measurement_table(rows))
    assert "against a private chain, the best attack found" in text
    assert "against any adversary (conditional)" in text


def test_ties_that_are_adopted_have_no_bound():
    rows, refusals = tier_measurements(
        config(protocol={"tie_rule": "random"}), UncertainLaw(LAW)
    )
    if rows:
        assert [m.quantity for m in rows][-1] != "any_adversary_depth"
    assert any("ties are adopted" in t or "of this world" in t for t in refusals)


def test_what_reverts_is_said_as_the_tier_has_it():
    assert what_reverts(f"attack: x; {CRITERION}") == "only a longer chain reverts"
    assert TIE_CRITERION.endswith(what_reverts(f"attack: x; {TIE_CRITERION}"))
    assert what_reverts(TIE_CRITERION) == "a chain of equal length reverts"
    adopted = config(protocol={"tie_rule": "adversary"})
    rows, _ = tier_measurements(adopted, UncertainLaw(LAW))
    table = measurement_table(rows)
    for text in (tier_sentence(table), tiers_are(table)):
        assert "where a chain of equal length reverts:" in text


def test_a_world_without_adversary_has_no_tiers():
    alone = config(network=NET | {"beta": 0.0})
    assert tier_measurements(alone, UncertainLaw(LAW)) == ([], [])
    nothing = pd.DataFrame({"quantity": [], "value": []})
    assert tier_sentence(nothing) == tiers_are(nothing) == ""
    assert tier_rows(nothing) == []


def test_an_adversary_that_outgrows_leaves_no_number():
    strong = config(network=NET | {"beta": 0.6})
    rows, _ = tier_measurements(strong, UncertainLaw(LAW))
    assert all(math.isinf(m.estimate.value) for m in rows)
    assert "no number of them against a private chain" in tier_sentence(
        measurement_table(rows)
    )


@pytest.mark.parametrize("known", [True, False])
def test_a_bound_that_is_not_there_is_said_to_be_missing(known):
    rows, _ = tier_measurements(config(), UncertainLaw(LAW))
    table = measurement_table(rows if known else rows[:2])
    said = "no bound against any adversary" in tier_sentence(table)
    assert said is not known
    against, confirmations = tier_rows(table)[-1]
    assert against == "against any adversary (conditional)"
    assert confirmations.startswith("no bound") is not known
    assert len(tier_rows(table)) == 3
    # Each tier says the same confirmations in the sentence and in its row.
    assert all(number in tier_sentence(table) for _, number in tier_rows(table)[:2])
    assert f"risk of {config().security.target:g}" in tiers_are(table)
