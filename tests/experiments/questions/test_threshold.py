"""The largest adversary, from a config's own law."""

import json

import pytest
from click.testing import CliRunner
from dpodl.analysis.race.fourier import persistence
from dpodl.analysis.race.walk import race
from dpodl.experiments.cli import main
from dpodl.experiments.questions.threshold import threshold_table
from dpodl.experiments.world import translation

from ..conftest import silent

CONFIG = ("security.target=0.05",)


@pytest.fixture(scope="module")
def table(smoke):
    return threshold_table(smoke.but(*CONFIG), smoke.root, (15, 30), silent)


def test_every_rule_has_its_share_and_interval(table, smoke):
    assert list(table.rule) == ["any depth", *["no head start", "head start"] * 2]
    assert list(table.depth.dropna()) == [15, 15, 30, 30]
    assert (table["count"] == smoke.config.security.bootstraps).all()
    assert (table.low <= table.beta).all()
    assert (table.beta <= table.high).all()


def test_depth_helps_and_a_head_start_hurts(table):
    ever, shallow, shallow_ahead, deep, deep_ahead = table.beta
    assert shallow_ahead < shallow < deep < ever
    assert deep_ahead < deep


def test_the_share_is_the_root_of_the_configs_law(table, smoke):
    config = smoke.but(*CONFIG)
    from dpodl.analysis.block_time.empirical import empirical_law
    from dpodl.experiments.pipeline.training import train

    curves = train(config, smoke.root, silent)
    law = empirical_law(curves, translation.lottery_of(config, config.scheme))
    beta = table.beta[3]
    net = translation.network_of(config, law.law)
    provers = config.network.provers
    net = net._replace(honest=provers * (1 - beta), adversarial=provers * beta)
    (risk,) = persistence(race(net), [30])
    assert risk.value == pytest.approx(0.05, rel=1e-3)


def test_the_command_prints_and_refuses(smoke):
    words = ["threshold", "smoke", "--output", str(smoke.root), "--depth", "30"]
    for setting in ("security.bootstrap_replicas=400", "security.bootstraps=2"):
        words += ["--set", setting]
    invoke = CliRunner().invoke
    shown = invoke(main, [*words, "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "30 deep, risk 0.05, head start" in shown.output
    assert "30 deep, private chain, the best attack found" in shown.output
    assert "any depth, any adversary" in shown.output
    words += ["--set", "security.target=1e-12", "--depth", "1"]
    rows = json.loads(invoke(main, [*words, "--json"]).stdout)
    tiers = [row for row in rows if row["rule"] == "tier"]
    assert [row["depth"] for row in tiers] == [None, None, 30, 30, 1, 1]
    assert all((row["beta"] is None) == bool(row["refusal"]) for row in tiers)
    assert [row["grade"] for row in tiers[:2]] == ["attack", "proved"]
    assert tiers[1]["beta"] <= tiers[0]["beta"] == pytest.approx(rows[0]["beta"])
    shallow = [row for row in rows if row["depth"] == 1 and row not in tiers]
    assert len(shallow) == 2
    assert all(row["beta"] is None for row in shallow)
    assert all("refused: threshold: depth 1" in row["method"] for row in shallow)
    assert rows[0]["beta"] is not None
