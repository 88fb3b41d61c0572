"""`dpodl figures`: what is made of a store and of a run, what is left out and why."""

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments import figure_files
from dpodl.experiments.commands.results import figures as command
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.questions import threshold_map
from dpodl.experiments.questions.threshold_map import telling_accuracies
from dpodl.experiments.store.run_folder import RunFolder
from dpodl.models.learning.architecture import Initialization
from dpodl.models.learning.curves import CurveSet, draw_runs
from PIL import Image

from ...figures.sweeps import sweep

SMALL = ("security.bootstraps=3", "training.runs=24", "training.horizon_steps=360")


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


def invented_curves(config) -> CurveSet:
    """Runs that reach 0.9 after 60, 72, ... steps and stay there."""
    settings = config.training
    steps = settings.check_every * np.arange(
        1, settings.horizon_steps // settings.check_every + 1
    )
    runs: tuple[Initialization, ...] = draw_runs(
        config.seed, settings.runs, config.menu.build()
    )
    arrival = 60 + 12 * (np.arange(settings.runs) % 8)
    correct = np.where(steps >= arrival[:, None], 450, 250).astype(np.int32)
    loss = np.ones(correct.shape, np.float32)
    return CurveSet(runs, steps, correct, loss, 500, 2000)


@pytest.fixture
def store(tmp_path):
    """A sweep's results: 2 × 2 points, one of them failed."""
    folder = tmp_path / "store"
    folder.mkdir()
    points = sweep(t_accs=(0.9, 0.95), powers=(252, 256), failed=(3,))
    points.to_csv(folder / "results.csv", index=False)
    return folder


def test_a_store_s_figures_are_made_and_the_others_are_explained(store):
    result = CliRunner().invoke(command, [str(store), "--quiet"])
    assert result.exit_code == 0, result.output
    for name in ("block_rate", "good_period_map", "decay", "latency"):
        files = sorted(path.name for path in (store / "figures").glob(f"{name}.*"))
        assert files == [f"{name}.{kind}" for kind in ("csv", "pdf", "png", "svg")]
    lines = result.output.splitlines()
    (curves,) = [line for line in lines if line.startswith("left out: learning_curves")]
    assert "curves" in curves
    assert "left out: by_adversary: neither network.beta" in result.output
    assert "left out: security_map" in result.output
    with Image.open(store / "figures" / "decay.png") as image:
        assert image.info["Description"] == f"dpodl figures {store} decay"
    drawn = pd.read_csv(store / "figures" / "block_rate.csv")
    assert list(drawn["refused"]).count(True) == 1


def test_only_the_named_figures_are_made_and_elsewhere(store, tmp_path):
    output = tmp_path / "paper"
    made = figure_files.write(store, ("block_rate",), output, silent)
    assert list(made.files) == ["block_rate"]
    assert not made.left_out
    assert not (store / "figures").exists()
    assert {path.stem for path in output.iterdir()} == {"block_rate"}


def test_figures_are_as_wide_as_asked_and_say_so(store, tmp_path):
    words = [str(store), "block_rate", "--output", str(tmp_path), "--quiet"]
    result = CliRunner().invoke(command, [*words, "--width", "7"])
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "block_rate.png") as image:
        assert image.size[0] == 2100
        assert image.info["Description"].endswith("block_rate --width 7")
    narrow = CliRunner().invoke(command, [*words, "--width", "1"])
    assert narrow.exit_code == 2
    assert "3.0<=x<=12.0" in narrow.output


def test_the_answer_of_effects_has_its_figures(tmp_path):
    speeds, tickets = (2.0, 30.0), (0.01, 1.0)
    rows = [
        {"quantity": quantity, "speed": speed, "at": at, "value": share}
        | {"low": 0.9 * share, "high": 1.1 * share}
        for quantity, share in (("block_share", 0.4), ("compute_share", 0.3))
        for speed in speeds
        for at in tickets
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "domination.csv", index=False)
    RunFolder(tmp_path).record("effects", "", ["domination.csv"])
    made = figure_files.write(tmp_path, (), tmp_path / "figures", silent)
    assert set(made.files) == {"domination"}
    assert len(pd.read_csv(tmp_path / "figures" / "domination.csv")) == 4
    assert "dpodl effects CONFIG" in made.left_out["memorylessness"]


def test_an_unknown_name_lists_the_known_ones(store):
    result = CliRunner().invoke(command, [str(store), "blok_rate", "--quiet"])
    assert result.exit_code == 2
    assert "no figure is called blok_rate" in result.output
    assert "block_rate" in result.output
    assert "Traceback" not in result.output


def test_a_folder_that_is_neither_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="must be a run folder"):
        figure_files.write(tmp_path, (), tmp_path / "x", silent)


def test_a_damaged_table_is_an_error_and_no_missing_figure(store):
    path = store / "results.csv"
    pd.read_csv(path).drop(columns="low").to_csv(path, index=False)
    with pytest.raises(ConfigError, match=r"lacks the column.*low"):
        figure_files.write(store, ("block_rate",), store / "figures", silent)


@pytest.fixture
def run(tmp_path):
    """What a run leaves that figures are made from; its curves are invented."""
    folder = tmp_path / "run"
    folder.mkdir()
    config = load_config("smoke", list(SMALL))
    (folder / "config.toml").write_text(config.to_toml())
    curves = invented_curves(config)
    np.savez_compressed(
        folder / "curves.npz",
        correct=curves.correct,
        loss=curves.loss,
        steps=curves.steps,
        eval_samples=curves.eval_samples,
        population=curves.population,
    )
    columns = ["quantity", "at", "at_unit", "value", "low", "high"]
    columns += ["count", "method", "unit"]
    sweep().loc[:, columns].to_csv(folder / "estimates.csv", index=False)
    names = [path.name for path in folder.iterdir()]
    RunFolder(folder).record("all", "", names)
    return folder


def test_a_run_is_a_sweep_of_one_point(run):
    made = figure_files.write(run, (), run / "figures", silent)
    assert {"persistence", "good_periods", "decay", "latency"} == set(made.files)
    assert "no parameter is swept" in made.left_out["block_rate"]
    points = figure_files.read_tables(RunFolder(run))[0]["points"]
    config = load_config(str(run / "config.toml"))
    assert set(points["network.beta"]) == {config.network.beta}
    assert set(points["scheme.t_2"]) == {"2^255"}
    assert set(points["security.epsilon"]) == {config.security.epsilon}


def test_the_security_map_is_computed_when_named_and_kept(run, monkeypatch):
    monkeypatch.setattr(figure_files, "P_2", (0.25, 1.0))
    made = figure_files.write(run, ("security_map",), run / "figures", silent)
    assert "security_map" in made.files
    table = pd.read_csv(run / "thresholds.csv")
    assert set(table["p_2"]) == {0.25, 1.0}
    assert table["beta"].between(0.0, 0.5).all()
    # It is not computed again.
    monkeypatch.setattr(figure_files, "_thresholds", None)
    figure_files.write(run, ("security_map",), run / "figures", silent)


def test_thresholds_have_intervals_and_say_what_is_refused():
    config = load_config("smoke", list(SMALL))
    curves = invented_curves(config)
    table = threshold_map.threshold_map(
        config, curves, None, silent, t_accs=(0.8, 0.99), p_2s=(0.5, 1.0)
    )
    known = table.loc[table["t_acc"] == 0.8]
    assert (known["low"] <= known["beta"]).all()
    assert (known["beta"] <= known["high"]).all()
    assert (known["count"] == 3).all()
    assert known["runs_effective"].between(1, config.training.runs).all()
    assert (known["warning"].str.len() > 0).all()  # 10 or so runs are few
    # The rarer the lottery, the longer the interval beside the delay.
    assert known["beta"].iloc[0] > known["beta"].iloc[1]
    refused = table.loc[table["t_acc"] == 0.99]
    assert refused["beta"].isna().all()
    assert refused["method"].str.startswith("refused").all()
    with pytest.raises(ValueError, match=r"p_2s must be numbers in \(0, 1\]"):
        threshold_map.threshold_map(
            config, curves, None, silent, t_accs=(0.8,), p_2s=(0.0,)
        )


def test_telling_accuracies_are_such_as_runs_reach():
    curves = invented_curves(load_config("smoke", list(SMALL)))
    assert telling_accuracies(curves) == [0.9]
