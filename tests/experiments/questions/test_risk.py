"""``dpodl risk``: its tables against the modules they come from, and the command."""

import json
import math

import jax
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.analysis.adversary.one_tree import one_tree_depth
from dpodl.analysis.block_time.empirical import empirical_law
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations import tables as share_table
from dpodl.analysis.confirmations.any_block import any_block
from dpodl.analysis.confirmations.rare_ages import time_risk
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.fourier import persistence, smallest_depths
from dpodl.analysis.race.walk import TARGETS, race
from dpodl.experiments.cli import main
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import training
from dpodl.experiments.questions.risk import Question, risk_tables
from dpodl.experiments.world import translation

from ..conftest import SETTINGS, silent

ASKED = Question(betas=(0.0, 0.4, 0.6), depths=(3, 12), horizon=50, ages=(1000.0,))


@pytest.fixture(scope="module")
def tables(smoke):
    return risk_tables(smoke.config, smoke.root, silent, ASKED)


@pytest.fixture(scope="module")
def law(smoke):
    curves = training.train(smoke.config, smoke.root, silent)
    return empirical_law(
        curves, translation.lottery_of(smoke.config, smoke.config.scheme)
    )


@pytest.fixture(scope="module")
def own(smoke, law):
    net = translation.network_of(smoke.config, law.law)
    return race(net, known_until=law.known_until)


def row(table, **columns):
    for name, value in columns.items():
        table = table[table[name] == value]
    (found,) = table.to_dict("records")
    return found


def test_shares_depths_and_targets_are_all_there_with_their_own(tables, smoke):
    risk, depths = tables["risk"], tables["confirmations"]
    assert sorted(set(risk.beta)) == [0, 0.25, 0.4, 0.6]
    assert set(risk.depth) == {3, 12}
    assert set(depths.target) == {smoke.config.security.target, *TARGETS}
    assert len(risk) == 4 * 2
    assert len(depths) == 4 * 5
    for table in (risk, depths, tables["any_block"], tables["age"]):
        known = table[table.status != "refused"]
        assert (known.low <= known.value).all()
        assert (known.value <= known.high).all()
        assert (known.refusal == "").all()
        refused = table[table.status == "refused"]
        assert refused.value.isna().all()
        assert (refused.refusal.str.len() > 20).all()


def test_the_own_share_is_the_configs_race(tables, own):
    for depth in (3, 12):
        found = row(tables["risk"], beta=0.25, depth=depth)
        (expected,) = persistence(own, [depth])
        assert found["value"] == pytest.approx(expected.value, rel=1e-6)
        assert found["low"] < found["value"] < found["high"]
        given = row(tables["any_block"], quantity="given_block", at=depth)
        assert given["value"] == found["value"]
    (deep,) = smallest_depths(own, [2.0**-64])
    found = row(tables["confirmations"], beta=0.25, target=2.0**-64)
    assert found["value"] == deep.depth


def test_columns_of_memoryless_provers_are_the_closed_forms(tables):
    found = row(tables["risk"], beta=0.4, depth=12)
    assert found["memoryless"] == pytest.approx(races.private_race(0.4, 12))
    assert found["nakamoto"] == pytest.approx(races.nakamoto_approximation(0.4, 12))


def test_certain_cells_say_so(tables):
    none, most = (tables["confirmations"].query("beta == @b") for b in (0.0, 0.6))
    assert (none.status == "certain").all()
    assert (none.value == 1).all()
    assert (most.status == "certain").all()
    assert most.value.map(math.isinf).all()
    sure = tables["risk"].query("beta == 0.6")
    assert (sure.status == "certain").all()
    assert (sure.value == 1).all()


def test_any_block_is_worse_than_a_given_one_and_below_its_bound(tables, own):
    table = tables["any_block"]
    for depth in (3, 12):
        given, any_, bound = (
            row(table, quantity=name, at=depth)["value"]
            for name in ("given_block", "any_block_violation", "any_block_bound")
        )
        assert given < any_ <= bound
        (expected,) = any_block(own, [depth], horizon=50)
        assert any_ == pytest.approx(expected.estimate.value)


def test_ages_grow_with_the_target_and_seconds_are_a_conversion(tables, smoke, own):
    ages = tables["age"].query("quantity == 'safe_time'")
    assert ages.value.is_monotonic_increasing
    expected = ages.value * smoke.config.clock.seconds_per_step
    assert list(ages.seconds) == pytest.approx(list(expected))
    asked = row(tables["age"], quantity="time_rule_violation")
    (risk,) = time_risk(jax.random.key(smoke.config.seed), own, [1000.0])
    assert asked["value"] == pytest.approx(risk.estimate.value)
    assert math.isnan(asked["seconds"])


def test_a_head_start_hurts(tables, smoke):
    question = ASKED._replace(betas=(0.25,), depths=(12,), ages=(), premined=True)
    ahead = risk_tables(smoke.config, smoke.root, silent, question)
    worse, plain = (
        row(each["risk"], beta=0.25, depth=12)["value"] for each in (ahead, tables)
    )
    assert worse > plain
    for target in (1e-9, 2.0**-128):
        later = row(ahead["age"], quantity="safe_time_premined", at=target)["value"]
        assert later > row(tables["age"], quantity="safe_time", at=target)["value"]
    assert "head start" in ahead["notes"].text[1]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"betas": (1.0,)}, r"--beta must lie in \[0, 1\), got 1"),
        ({"ages": (-1.0,)}, "--age must be ≥ 0 and finite, got -1"),
        ({"depths": (0,)}, "--depth must be ≥ 1"),
        ({"horizon": 0}, "--horizon must be ≥ 1"),
    ],
)
def test_bad_questions_are_refused(changes, told, smoke):
    with pytest.raises(ConfigError, match=told):
        risk_tables(smoke.config, smoke.root, silent, ASKED._replace(**changes))


def test_nobody_corrupted_leaves_the_tables(smoke):
    config = smoke.but("network.beta=0")
    question = ASKED._replace(betas=(0.4,), depths=(3,), ages=())
    found = risk_tables(config, smoke.root, silent, question)
    assert found["any_block"].empty
    assert found["age"].empty
    assert set(found["risk"].beta) == {0, 0.4}


def test_the_command_writes_prints_and_explains_its_cells(copy, tables):
    words = ["risk", "smoke", "--output", str(copy.root), "--quiet"]
    words += [w for setting in SETTINGS for w in ("--set", setting)]
    words += ["--beta", "0.6", "--depth", "3", "--horizon", "50"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "1, certain" in shown.output
    assert "none, certain" in shown.output
    assert "memoryless" in shown.output
    assert "Nakamoto" in shown.output
    assert "assumption: private race" in shown.output
    (folder,) = copy.root.glob("risk-smoke-*")
    assert f"tables: {folder}" in shown.output.replace("\n", "")
    stored = pd.read_csv(folder / "risk.csv")
    found = row(stored, beta=0.25, depth=3)
    expected = row(tables["risk"], beta=0.25, depth=3)
    assert found["value"] == pytest.approx(expected["value"], rel=1e-9)
    names = {path.stem for path in folder.glob("*.csv")}
    kept = {"risk", "confirmations", "any_block", "age", "notes"}
    kept |= {"tiers", "tier_risks", "speed"}
    assert names == kept
    told = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert {"folder", *names} == set(told)
    assert told["confirmations"][-1]["value"] is None  # ∞ is no JSON


def test_cells_that_cannot_be_known_keep_the_reason(copy, monkeypatch):
    def refuse(*_, **__):
        raise Refused("persistence: not for this race")

    monkeypatch.setattr(share_table, "log_persistence", refuse)
    words = ["risk", "smoke", "--output", str(copy.root), "--quiet"]
    words += [w for setting in SETTINGS for w in ("--set", setting)]
    words += ["--beta", "0.2", "--depth", "3"]
    words += ["--set", "network.beta=0"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, shown.output
    assert "refused [1]" in shown.output
    assert "[1] refused: persistence" in shown.output


def test_the_tiers_are_in_order_with_one_criterion(tables, smoke, law):
    found = tables["tiers"].set_index(["tier", "grade"])
    private = found.loc[("private chain", "attack")]
    best = found.loc[("best attack found", "attack")]
    known = found[found.status != "refused"]
    bounds = known.loc["any adversary"] if "any adversary" in known.index else None
    assert private.value <= best.value
    if bounds is not None:
        assert (best.value <= bounds.value).all()
    assert private.low <= private.value <= private.high
    net = smoke.config.network
    adversarial = net.beta * net.provers
    assert private.value == one_tree_depth(
        smoke.config.security.target,
        law.law,
        event="private",
        honest=net.provers - adversarial,
        adversarial=adversarial,
        delay_steps=net.delay_steps,
        known_until=law.known_until,
    )
    speed = tables["speed"].set_index("adversary")
    assert (speed.margin == speed.child - speed.level).all()
    assert speed.child.iloc[1] <= speed.child.iloc[0]
    texts = tables["notes"].text
    assert texts.str.startswith("any adversary: (a").sum() == 5
