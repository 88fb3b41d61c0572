"""Persistence of a config: with the head start where its adversary has one."""

import numpy as np
import pandas as pd
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.training_error import UNKNOWN
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline.estimates import measurement_table
from dpodl.experiments.world.persistence import persistence
from dpodl.experiments.world.verdict import verdict

LAW = UncertainLaw(exponential(1 / 200))


def config(*settings):
    zero = ("network.delay_steps=0", "security.depths=12", "security.target=0.01")
    return load_config("smoke", [*zero, *settings])


def found(*settings):
    return persistence(config(*settings), LAW, [], [], basis=UNKNOWN)


@pytest.fixture(scope="module")
def plain():
    return found()


@pytest.fixture(scope="module")
def ahead():
    return found("adversary.attack=private_premined")


def curve(some) -> np.ndarray:
    rows = [m for m in some.measurements if m.quantity == "persistence_violation"]
    return np.array([m.estimate.value for m in rows])


def test_risks_are_those_of_the_race_that_the_adversary_runs(plain, ahead):
    """Memoryless without delay: closed forms, with the lead and without."""
    depths = range(1, 13)
    lead = [races.premined_race(0.25, k) for k in depths]
    none = [races.private_race(0.25, k) for k in depths]
    assert curve(ahead) == pytest.approx(lead, rel=2e-3)
    assert curve(plain) == pytest.approx(none, rel=2e-3)
    assert all(
        "with a head start" in m.estimate.method
        for m in ahead.measurements
        if m.quantity in ("persistence_violation", "unsafe_depth")
    )


def test_the_depth_that_is_not_safe_is_that_of_the_head_start(plain, ahead):
    def last(some):
        (row,) = [m for m in some.measurements if m.quantity == "unsafe_depth"]
        return row.estimate.value

    lead = [k for k in range(1, 40) if races.premined_race(0.25, k) > 0.01]
    none = [k for k in range(1, 40) if races.private_race(0.25, k) > 0.01]
    assert last(ahead) == max(lead)
    assert last(plain) == max(none)
    assert max(lead) > max(none)


def test_confirmations_are_given_with_and_without_by_either(plain, ahead):
    def depths(some, name):
        return {m.at: m.estimate.value for m in some.measurements if m.quantity == name}

    for name in ("safe_depth", "safe_depth_premined"):
        assert depths(plain, name) == depths(ahead, name)
        assert len(depths(plain, name)) == 5


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("private", "private chain of β = 0.25 without a head start"),
        ("private_premined", "private chain of β = 0.25 with a head start"),
        ("cross_slot_new", "β = 0.25 by cross_slot_new without a head start"),
    ],
)
def test_the_verdict_names_the_adversary(plain, attack, said):
    tables = {
        "estimates": measurement_table(plain.measurements),
        "law_summary": pd.DataFrame({"main": [True], "runs": [24]}),
        "notes": pd.DataFrame(columns=["kind", "text"]),
    }
    assert said in verdict(config(f"adversary.attack={attack}"), tables).line


def test_where_no_grid_knows_the_chain_a_head_start_has_no_number():
    none = found("adversary.attack=private_premined", "protocol.tie_rule=random")
    assert none.measurements == []
    (refusal,) = none.refusals
    assert "adversary.attack = private" in refusal
    tables = {
        "estimates": measurement_table([]).reindex(columns=["quantity"]),
        "law_summary": pd.DataFrame({"main": [True], "runs": [24]}),
        "notes": pd.DataFrame(columns=["kind", "text"]),
    }
    assert verdict(config(), tables).line.startswith("NO VERDICT")
