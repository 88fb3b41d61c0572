"""Answers are the library's own, of the config that is shown; the app stays at home."""

import importlib.util
import shutil
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.analysis.block_time.empirical import empirical_law
from dpodl.analysis.block_time.law import survival
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.explorer import Explorer, drawing, opened, serving
from dpodl.experiments.explorer.answers import QUICK
from dpodl.experiments.pipeline.training import stored_curves
from dpodl.experiments.store.run_folder import RunFolder
from dpodl.experiments.sweep.quick_evaluation import evaluate
from dpodl.experiments.world.translation import costs_of, lottery_of
from dpodl.models.learning.pins import pinned


@pytest.fixture(scope="module")
def explorer(smoke) -> Explorer:
    return opened(smoke.folder)


def test_it_starts_where_the_run_stands(explorer, smoke):
    config = explorer.config_of(explorer.start)
    assert config.scheme == smoke.config.scheme
    assert config.network == smoke.config.network
    assert config.security.target == pytest.approx(smoke.config.security.target)
    low, high = explorer.accuracies
    assert low < smoke.config.scheme.t_acc < high
    reached = (explorer.curves.accuracy.max(axis=1) >= high).sum()
    assert reached == 5


def test_a_move_is_answered_as_a_sweeps_point_is(explorer, smoke, tmp_path):
    moves = explorer.start._replace(log_t_2=254.5, delay_steps=30.0, log_target=-2.0)
    seen = explorer.law(moves)
    # The text that is copied is the config that was answered.
    path = tmp_path / "seen.toml"
    path.write_text(seen.config.to_toml())
    config = load_config(str(path))
    assert config == seen.config
    assert config.network.delay_steps == 30
    curves = stored_curves(RunFolder(smoke.folder), smoke.config)
    costs = costs_of(config, curves)
    (expected,) = pinned()(evaluate)([config], curves, costs, asked=QUICK)
    pd.testing.assert_frame_equal(seen.rows, pd.DataFrame(list(expected.rows)))
    assert {"block_time_mean", "safe_depth", "chain_growth", "stale_rate"} <= set(
        seen.rows["quantity"]
    )
    law = empirical_law(
        curves, lottery_of(config, config.scheme), step_costs=costs, damped=True
    ).law
    np.testing.assert_array_equal(seen.survival, survival(law, seen.times))


def test_good_periods_agree_with_the_run(explorer, smoke):
    """Fewer replicas of other draws: the run's own value within both errors."""
    seen = explorer.good_periods(explorer.start)
    run = smoke.result.tables["estimates"]
    both = seen.rows.merge(run, on=["quantity", "at"], suffixes=("", "_run"))
    both = both[both["quantity"] == "good_period"]
    assert len(both) >= 2
    assert (both["low"] <= both["high_run"]).all()
    assert (both["low_run"] <= both["high"]).all()


def test_moves_compile_nothing_new(explorer, compiled):
    start = explorer.start
    explorer.law(start)
    before = len(compiled)
    for moves in (
        start._replace(log_t_1=243.0),
        start._replace(log_t_2=253.0),
        start._replace(t_acc=explorer.accuracies[1]),
        start._replace(corrupted=0),
        start._replace(provers=9, corrupted=2, log_target=-7.5),
    ):
        assert explorer.law(moves).refusal == ""
    assert len(compiled) == before


@pytest.mark.parametrize(
    ("moves", "says"),
    [
        ({"corrupted": 4}, r"from 0 to provers − 1 = 3, got 4"),
        ({"t_acc": 1.5}, "do not go together: .*less than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_told(explorer, moves, says):
    with pytest.raises(ConfigError, match=says):
        explorer.law(explorer.start._replace(**moves))


def test_a_law_that_is_refused_says_why(explorer):
    seen = explorer.law(explorer.start._replace(t_acc=0.999))
    assert "reached" in seen.refusal
    assert len(seen.times) == 0
    assert "reached" in drawing.table(seen)


def test_pictures_hold_every_figure(explorer):
    seen = explorer.law(explorer.start)
    table = drawing.table(seen)
    assert table.count("<tr>") == 1 + len(seen.rows)
    assert "<polyline" in drawing.law(seen)


def test_other_worlds_and_folders_are_refused(smoke, copy, tmp_path):
    with pytest.raises(ConfigError, match="is no run with learning curves"):
        opened(tmp_path)
    other = tmp_path / "other"
    shutil.copytree(copy.folder, other)
    text = smoke.but("security.criterion=longer").to_toml()
    RunFolder(other).finish("frozen", "", {"config.toml": text.encode()})
    with pytest.raises(ConfigError, match="needs more than a moment"):
        opened(other)


def test_it_is_served_on_this_machine_alone(tmp_path):
    words = list(serving.command(tmp_path, 2718, browser=False))
    assert words[words.index("--host") + 1] == "127.0.0.1" == serving.HOST
    assert "--headless" in words
    assert words[-3:] == ["--", "--run", str(tmp_path)]


def test_a_port_of_somebody_else_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: True)
    with socket.socket() as taken:
        taken.bind((serving.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(serving.PortTaken, match=f"port {port} of 127.0.0.1"):
            serving.serve(tmp_path, port, browser=False)


def test_without_the_extra_it_says_what_to_install(smoke, monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["explore", str(smoke.folder)])
    assert done.exit_code == 1
    assert "pip install 'dpodl[explore]'" in done.output


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("marimo") is None, reason="needs the extra explore"
)
def test_the_app_computes_every_cell(smoke):
    """As a program, which marimo's file also is: an error in a cell ends it."""
    words = [sys.executable, str(serving.APP), "--run", str(smoke.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
