"""Laws of files and formulas go through everything that trained ones go through."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from dpodl.analysis.block_time.law import cv, mean
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own import evidence
from dpodl.experiments.pipeline import stages, training
from dpodl.experiments.questions.worlds import require_curves
from dpodl.experiments.sweep import evaluation, plan, quick_evaluation
from dpodl.experiments.sweep.design import frozen
from dpodl.experiments.world import translation
from dpodl.experiments.world.dataset import config_dataset

# The shapes of [smoke], whose programs are compiled anyhow.
SHAPES = (
    "network.delay_steps=12",
    "security.depths=8",
    "security.confirmations=3",
    "security.windows=[2, 5, 10]",
    "security.levels=48",
    "security.replicas=400",
    "security.good_period_replicas=200",
    "security.bootstraps=2",
    "security.bootstrap_replicas=400",
)


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


def law_of(config):
    curves = training.train(config, Path("nowhere"), silent)
    return translation.law_of(config, curves, translation.costs_of(config, curves))


def test_the_curves_of_a_run_read_back_give_its_numbers(smoke, tmp_path):
    path = tmp_path / "log.csv"
    shutil.copy(smoke.folder / "curves.csv", path)
    again = smoke.but("law.source=curves", f"law.path={path}")
    result = stages.run(again, tmp_path, silent, command="test")
    here, there = smoke.result.tables["estimates"], result.tables["estimates"]
    assert set(there["quantity"]) >= {"persistence_violation", "chain_growth"}
    joined = here.merge(there, on=["quantity", "at"], suffixes=("", "_own"))
    assert len(joined) > 30
    known = joined[joined["quantity"] != "f_1"]
    np.testing.assert_allclose(known["value"], known["value_own"], rtol=1e-5)
    notes = result.tables["notes"]["text"].str.cat()
    assert "the file's; one is taken for" in notes
    assert "broke down" not in notes  # it trained nothing
    # Content decides, not the path: all of it is there already.
    assert result.recomputed == list(stages.STAGES)
    assert stages.run(again, tmp_path, silent, command="test").recomputed == []
    with path.open("a", encoding="utf-8") as file:
        file.write("")
    assert stages.run(again, tmp_path, silent, command="test").recomputed == []
    table = smoke.result.tables["curves"].copy()
    table.loc[0, "accuracy"] = 0.0625
    table.to_csv(path, index=False)
    changed = stages.run(again, tmp_path, silent, command="test")
    assert changed.recomputed[:2] == ["curves", "laws"]


def test_a_law_is_named_by_its_content(tmp_path):
    content = "time\n" + "\n".join(str(10 + i) for i in range(20))
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(content)

    def digest(name):
        given = ["law.source=times", f"law.path={tmp_path / name}"]
        return evidence.content_digest(load_config("own-times", given))

    assert digest("a.csv") == digest("b.csv")
    (tmp_path / "b.csv").write_text(content + "\n3")
    assert digest("a.csv") != digest("b.csv")


def test_a_formula_is_exact_and_times_are_not():
    known = law_of(load_config("formula"))
    assert known.resamples == ()
    assert known.extremes == ()
    assert mean(known.law) == pytest.approx(1000.0, rel=1e-4)
    assert cv(known.law) == pytest.approx(0.5 * 0.8, rel=1e-4)
    times = law_of(load_config("own-times"))
    assert (times.runs, len(times.resamples)) == (120, 12)


@pytest.mark.parametrize("config", ["formula", "own-times"])
def test_a_sweep_is_planned_without_networks(config, tmp_path):
    whole = frozen(load_config(config, SHAPES), over={"network.beta": [0.25, 0.5]})
    planned = plan.plan_of(whole, tmp_path)
    planned.refuse_invalid()
    assert len(set(planned.keys)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("config", ["formula", "own-times"])
def test_a_sweeps_point_works_from_it(config, tmp_path):
    one = load_config(config, SHAPES)
    curves = training.train(one, tmp_path, silent)
    for module in (evaluation, quick_evaluation):
        (outcome,) = module.evaluate([one], curves, None)
        assert outcome.error == ""
        growth = [r for r in outcome.rows if r["quantity"] == "chain_growth"]
        assert growth[0]["low"] < growth[0]["value"] < growth[0]["high"]


def test_what_needs_networks_or_curves_says_so():
    config = load_config("own-times")
    with pytest.raises(ConfigError, match="this needs networks that are trained"):
        config_dataset(config)
    with pytest.raises(ConfigError, match="design works with learning curves"):
        require_curves(config, "design")
    for change, told in (
        (
            "protocol.s_min=20",
            "a law that was not trained here does not know protocol.s_m",
        ),
        ("protocol.chain_rule=weight", "protocol.chain_rule = weight with"),
        ("adversary.attack=cross_slot_new", "adversary.attack = cross_slot_new with"),
    ):
        with pytest.raises(Refused, match=told):
            law_of(load_config("own-times", [change]))
    curves = load_config("own-curves", ["adversary.attack=cross_slot_new"])
    with pytest.raises(Refused, match=r"attack = cross_slot_new with"):
        law_of(curves)


def test_a_law_of_the_users_own(tmp_path, monkeypatch):
    (tmp_path / "mylaws.py").write_text(
        "import numpy as np\n\n\n"
        "def rayleigh(times):\n"
        "    return np.exp(-((times / 500.0) ** 2))\n"
    )
    monkeypatch.chdir(tmp_path)
    config = load_config("formula", ["law.formula.family=mylaws:rayleigh"])
    assert mean(law_of(config).law) == pytest.approx(250 * np.sqrt(np.pi), rel=1e-4)
    before = evidence.content_digest(config)
    with (tmp_path / "mylaws.py").open("a") as file:
        file.write("\n# changed\n")
    assert evidence.content_digest(config) != before
    for name, told in (
        ("nomodule:law", "cannot be imported"),
        ("mylaws:nothing", "mylaws has no nothing"),
        ("mylaws:np", "law.formula.family = mylaws:np"),
    ):
        with pytest.raises(ConfigError, match=told):
            law_of(load_config("formula", [f"law.formula.family={name}"]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("law.source=times", "path must be given where source = times"),
        ('law.columns={colour="x"}', "columns names roles"),
        ("law.formula.dead_time=2000.0", "mean must be above dead_time"),
        ("law.formula.family=normal", "family"),
    ],
)
def test_what_cannot_be_a_law_is_told(change, told):
    with pytest.raises(ConfigError, match=told):
        load_config("smoke", [change])
