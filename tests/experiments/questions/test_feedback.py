"""``dpodl feedback`` on the smoke menu, with real trainings."""

import json
import math

import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.commands.feedback import feedback
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.questions import feedback as asking

WORDS = (
    *("--rule", "asert", "--rule", "asert+schedule+anti-windup"),
    *("--scenario", "provers-double", "--scenario", "on-off"),
    *("--blocks", "512", "--replicas", "40", "--sd", "0.03", "--recovery", "300"),
)


def test_rules_are_read_by_their_names_and_switches():
    rule = asking.parse_rule("lwma+schedule+anti-windup")
    assert (rule.name, rule.schedule, rule.anti_windup) == ("lwma", True, True)
    assert asking.parse_rule("asert+measured").share_blocks > 1
    assert asking.parse_rule("asert+measured").schedule
    for bad in ("pid", "asert+fast", "asert+", ""):
        with pytest.raises(ConfigError, match="rule must be one of epoch, "):
            asking.parse_rule(bad)


def test_unknown_scenarios_and_worlds_are_told(tmp_path):
    asked = asking.Asked(scenarios=["flood"])
    with pytest.raises(ConfigError, match="scenario must be one of provers-double"):
        asking.feedback(load_config("smoke"), tmp_path, lambda *_: None, asked)
    weights = load_config("smoke", ["protocol.chain_rule=weight"])
    with pytest.raises(Refused, match=r"feedback does not know protocol\.chain_rule"):
        asking.feedback(weights, tmp_path, lambda *_: None, asking.Asked())


def test_the_ranking_is_of_scenarios_alike():
    rows = pd.DataFrame(
        [
            ("curves", rule, scenario, "off", value)
            for rule, values in (("a", (0.1, 0.4)), ("b", (0.2, 0.1)))
            for scenario, value in zip(("x", "y"), values, strict=True)
        ]
        + [("curves", "a", "steady", "off", 9.0), ("curves", "a", "x", "mean", 9.0)],
        columns=["law", "rule", "scenario", "quantity", "value"],
    )
    found = asking._ranking(rows).set_index("rule")
    assert found.score["a"] == pytest.approx(math.sqrt(1 * 4))
    assert found.score["b"] == pytest.approx(math.sqrt(2 * 1))
    assert found["rank"].to_dict() == {"b": 1, "a": 2}


@pytest.mark.slow
def test_a_config_gets_its_tables_figures_and_lines(tmp_path):
    words = ["smoke", *WORDS, "--output", str(tmp_path), "--quiet"]
    result = CliRunner().invoke(feedback, words)
    assert result.exit_code == 0, result.output
    (path,) = tmp_path.glob("feedback-smoke-*/feedback.csv")
    rows = pd.read_csv(path)
    assert set(rows.law) == {"curves", "memoryless"}
    assert set(rows.scenario) == {"steady", "provers-double", "on-off"}
    known = rows.dropna(subset=["low", "high"])
    assert (known.low <= known.value).all()
    assert (known.value <= known.high).all()
    sd = rows[(rows.quantity == "sd_expected") & (rows.scenario == "steady")]
    tuned = pd.read_csv(path.parent / "tuned.csv")
    for law, group in sd.groupby("law"):
        right = tuned.loc[(tuned.law == law) & tuned.reason.isna()]
        some = group.loc[group.rule.isin(list(right.rule))]
        assert (some.value / right.asked.iloc[0]).between(0.8, 1.25).all() or some.empty
    for name in ("feedback_responses", "feedback_gain", "feedback_ranking"):
        for suffix in ("png", "pdf"):
            assert (path.parent / "figures" / f"{name}.{suffix}").stat().st_size > 1000
    assert "to provers; with p_2 = 1 it is still" in result.output
    transient = pd.read_csv(path.parent / "transient.csv")
    assert {"good_level", "persistence_violation"} == set(transient.quantity)
    again = CliRunner().invoke(feedback, [*words, "--json"])
    found = json.loads(again.output)
    assert found["ranking"][0]["rank"] == 1
    everything = ["smoke", "--set", "scheme.t_2=2^256", *words[1:]]
    refused = CliRunner().invoke(feedback, everything)
    assert refused.exit_code != 0
    assert "no rule can make a block easier" in refused.output
