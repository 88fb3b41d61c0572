"""Logs that real frameworks wrote: the same three runs from each of them.

In ``logs`` lie what tensorboardX 2.6 wrote (``tensorboard``), what the writer of
tensorboard 2.21 wrote as tf.summary does (``tensors``), what mlflow 3.17 wrote (paths
and names of the machine taken out), and histories that wandb 0.31 kept, a row a line.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own.curve_log import read_curves
from dpodl.experiments.own.log_folder import folder_table
from dpodl.experiments.own.tables import read_source

LOGS = Path(__file__).parent / "logs"
STEPS = np.arange(10.0, 101.0, 10.0)
KINDS = ("tensorboard", "tensors", "mlruns", "wandb")


def accuracy(run: int) -> list[float]:
    """What was logged of net-<run>."""
    return [0.95 if i >= run else 0.5 + 0.01 * i for i in range(10)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_framework_wrote_is_read(kind):
    log = read_curves(LOGS / kind)
    assert sorted(run.name for run in log.runs) == ["net-0", "net-1", "net-2"]
    for run in log.runs:
        assert list(run.step) == list(STEPS)
        expected = accuracy(int(run.name[-1]))
        assert run.accuracy == pytest.approx(expected, abs=1e-7)
        if kind != "tensors":
            assert run.loss == pytest.approx(10 / STEPS, abs=1e-7)
    # What W&B counts as _runtime is what a run has cost so far.
    assert all(np.isfinite(r.cost).all() == (kind == "wandb") for r in log.runs)


@pytest.mark.parametrize("kind", KINDS)
def test_import_says_what_a_folder_holds(kind):
    done = CliRunner().invoke(main, ["import", str(LOGS / kind)])
    assert done.exit_code == 0, done.output
    assert "learning curves" in done.stdout
    assert "10 to 10" in done.stdout
    assert f'path = "{LOGS / kind}"' in done.stdout


def test_a_folder_is_known_by_its_numbers_alone(tmp_path):
    one = read_source(LOGS / "wandb").sha256
    shutil.copytree(LOGS / "wandb", tmp_path / "b")
    assert read_source(tmp_path / "b").sha256 == one
    path = tmp_path / "b" / "net-0.jsonl"
    path.write_text(path.read_text().replace("0.95", "0.96"))
    assert read_source(tmp_path / "b").sha256 != one


def test_one_file_of_json_lines_is_a_table(tmp_path):
    path = tmp_path / "all.jsonl"
    rows = [
        {"run_name": f"net-{run}", "_step": int(step), "acc": value, "epoch": None}
        for run in range(3)
        for step, value in zip(STEPS, accuracy(run), strict=True)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    log = read_curves(path)
    assert [list(run.accuracy) for run in log.runs] == [accuracy(r) for r in range(3)]
    path.write_text('{"acc": 1}\n[1]\n')
    with pytest.raises(ConfigError, match=r"line 2: no JSON object; JSON is read a"):
        read_curves(path)


def mlflow(folder: Path, run: str, lines: str, **files: str) -> Path:
    for name, text in {"metrics/acc": lines, **files}.items():
        path = folder / "0" / run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_runs_of_mlflow_that_were_deleted_renamed_or_go_on(tmp_path):
    named = {"tags/mlflow.runName": "same"}
    mlflow(tmp_path, "aa", "1 0.5 1\n2 0.75 1\n3 nan 2\n", **named)
    mlflow(tmp_path, "bb", "1 0.25 1\n", **named)
    mlflow(tmp_path, "cc", "1 1 1\n", **{"meta.yaml": "lifecycle_stage: deleted\n"})
    assert (
        folder_table(tmp_path)
        == b"run,step,acc\nbb,1.0,0.25\nsame,1.0,0.75\nsame,2.0,\n"
    )


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "holds none of them"),
        ({"a.csv": "run,step\n"}, "holds none of them"),
        (
            {"a.jsonl": "{}", "r/metrics/acc": "1 1 1"},
            "holds files of MLflow and of JSON lines",
        ),
        ({"r/metrics/acc": "1 1 1 1"}, "line 1: not `timestamp value step`"),
        ({"r/metrics/acc": "1 x 1"}, "cannot be read as MLflow: could not convert"),
        ({"a.jsonl": "{"}, "line 1: no JSON object"),
        ({"a.jsonl": "[" * 10**5}, "line 1: no JSON object"),
        ({"a.jsonl": '{"step": "one", "acc": 1}'}, "a step that is no number"),
        ({"a.jsonl": '{"step": 1, "acc": true, "x": "y"}'}, "no number was logged"),
        ({"a.jsonl": '{"acc": NaN}'}, "no number was logged"),
        ({"events.out.tfevents.1.x": "no events"}, "no number was logged"),
    ],
)
def test_a_folder_that_holds_none_is_refused(tmp_path, files, told):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        folder_table(tmp_path)


def test_without_the_extra_its_name_is_told(monkeypatch):
    name = "tensorboard.backend.event_processing.event_accumulator"
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ConfigError, match=r"install dpodl\[tensorboard\]"):
        folder_table(LOGS / "tensorboard")
