"""Persistence of a config: with the head start where its adversary has one."""

import math

import numpy as np
import pandas as pd
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.estimation.training_error import UNKNOWN
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline.estimates import measurement_table
from dpodl.experiments.world.persistence import persistence
from dpodl.experiments.world.strategies import fork_life
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


def test_a_longer_chain_is_the_criterion_where_it_is_asked_for(plain):
    """The closed form of the strict race decides; an equal chain stands beside."""
    longer = found("security.criterion=longer")
    risks = {
        name: {
            m.at: m.estimate.value for m in longer.measurements if m.quantity == name
        }
        for name in ("persistence_violation", "persistence_violation_strict")
    }
    assert list(risks["persistence_violation"].values()) == pytest.approx(
        list(curve(plain)), rel=1e-6
    )
    q, p = 0.25, 0.75
    for depth, value in risks["persistence_violation_strict"].items():
        assert depth is not None
        # Strict: one more block than Rosenfeld's race.
        exact = strict_race(q, p, int(depth))
        assert value == pytest.approx(exact, rel=3e-3)
    (unsafe,) = [m for m in longer.measurements if m.quantity == "unsafe_depth"]
    above = [k for k in range(1, 60) if strict_race(q, p, k) > 0.01]
    assert unsafe.estimate.value == max(above)
    assert {m.quantity for m in longer.measurements} >= {
        "safe_depth_strict",
        "safe_depth_premined_strict",
    }
    tables = {
        "estimates": measurement_table(longer.measurements),
        "law_summary": pd.DataFrame({"main": [True], "runs": [24]}),
        "notes": pd.DataFrame(columns=["kind", "text"]),
    }
    judged = verdict(config("security.criterion=longer"), tables)
    assert judged.unsafe_depth == max(above)
    assert "without a head start, ties lose" in judged.line


def strict_race(q: float, p: float, depth: int) -> float:
    """Pr[a private chain gets longer], memoryless, from the block's parent."""
    ruin = q / p
    total = 0.0
    for ours in range(depth + 1):
        chance = math.comb(depth + ours - 1, ours) * p**depth * q**ours
        total += chance * (1 - ruin ** (depth + 1 - ours))
    return 1 - total


def test_balance_has_its_forks_life_and_depths_for_every_target():
    attacked = ("adversary.attack=balance", "network.delay_steps=25")
    known = persistence(
        config(*attacked), LAW, [], [], basis=UNKNOWN, chosen="strategy"
    )
    some = config(*attacked)
    life = fork_life(some, LAW.law)
    assert curve(known) == pytest.approx([life.at(k) for k in range(1, 13)])
    depths = {
        float(m.at or 0.0): m.estimate.value
        for m in known.measurements
        if m.quantity == "safe_depth"
    }
    assert len(depths) == 5
    for target, depth in depths.items():
        assert life.at(int(depth)) <= target < life.at(int(depth) - 1)
    with pytest.raises(Refused, match="1 honest provers cannot be split, at"):
        fork_life(config("network.provers=2", "network.beta=0.5"), LAW.law)


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
