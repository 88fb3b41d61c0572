"""Longer horizons: what is there is not trained again, and the bits are the same.

Everything is compared with the same config trained at once in another folder.
"""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import training, training_shelf, versions
from dpodl.experiments.store import curve_store, state_store
from dpodl.experiments.store.state_store import StateStore
from dpodl.experiments.sweep import driver
from dpodl.experiments.world.dataset import config_dataset
from dpodl.models.learning.curves import CurveSet

SETTINGS = (
    "data.examples=600",
    "menu.architectures=['softmax', 'mlp-8']",
    "training.eval_samples=200",
    "training.runs=12",
    "scheme.t_acc=0.3",
    "protocol.abandon_steps=never",
)
EVERY = 12


class Killed(BaseException):
    """What no handler of errors expects."""


def config(looks: int, *settings: str, keep: bool = True) -> Config:
    horizon = f"training.horizon_steps={EVERY * looks}"
    kept = f"training.keep_states={str(keep).lower()}"
    return load_config("smoke", [*SETTINGS, horizon, kept, *settings])


def train(one: Config, root: Path) -> CurveSet:
    return training.train(one, root, lambda *_: None)


def same(one: CurveSet, other: CurveSet) -> bool:
    return (
        one.correct.tobytes() == other.correct.tobytes()
        and one.loss.tobytes() == other.loss.tobytes()
        and one.correct.shape == other.correct.shape
    )


def files(root: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (root / "curves").glob("*/*")}


def states(root: Path) -> StateStore:
    (path,) = (root / "curves").iterdir()
    return StateStore(path)


@pytest.fixture
def trained(monkeypatch) -> list[tuple[int, int, int]]:
    """Grows by (runs, looks before, looks after) for each chunk that is trained."""
    calls = []
    real = training_shelf.extend_chunk

    def spy(bucket, runs, data, settings, *, first, **rest):
        calls.append((len(runs), first, settings.looks))
        return real(bucket, runs, data, settings, first=first, **rest)

    monkeypatch.setattr(training_shelf, "extend_chunk", spy)
    return calls


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Path:
    """Five looks of twelve runs, with their states."""
    root = tmp_path_factory.mktemp("begun")
    train(config(5), root)
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[tuple[int, int], CurveSet]:
    """(runs, looks) → curves trained at once."""
    root = tmp_path_factory.mktemp("whole")
    everything = train(config(9, "training.runs=16", keep=False), root)
    assert not list(root.rglob("state-*"))
    return {
        (runs, looks): everything._replace(
            initializations=everything.initializations[:runs],
            steps=everything.steps[:looks],
            correct=everything.correct[:runs, :looks],
            loss=everything.loss[:runs, :looks],
        )
        for runs in (12, 16)
        for looks in (3, 5, 7, 9)
    }


@pytest.fixture
def root(begun, tmp_path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "copy"))


def test_a_longer_horizon_trains_only_what_is_missing(root, whole, trained):
    assert same(train(config(9), root), whole[12, 9])
    assert sum(runs for runs, _, _ in trained) == 12
    assert {(first, last) for _, first, last in trained} == {(5, 9)}
    # One state a run: of its longest curve.
    assert states(root).looks() == {run: [9] for run in range(12)}


def test_more_runs_and_longer_ones_at_once(root, whole, trained):
    assert same(train(config(7, "training.runs=16"), root), whole[16, 7])
    counts = {first: sum(r for r, f, _ in trained if f == first) for first in (0, 5)}
    assert counts == {0: 4, 5: 12}


def test_a_shorter_horizon_is_read_from_longer_curves(root, whole, trained):
    before = files(root)
    for looks in (3, 5):
        for keep in (True, False):
            assert same(train(config(looks, keep=keep), root), whole[12, looks])
    assert trained == []
    assert files(root) == before


def test_in_several_parts_and_back(root, whole, trained):
    for looks in (7, 9, 3, 7):
        assert same(train(config(looks), root), whole[12, looks])
    assert {call[1:] for call in trained} == {(5, 7), (7, 9)}


def test_states_are_used_though_none_are_kept_any_more(root, whole, trained):
    assert same(train(config(7, keep=False), root), whole[12, 7])
    assert {first for _, first, _ in trained} == {5}
    trained.clear()
    # Their curves end at 7, the states at 5: those are still the best there is.
    assert same(train(config(9, keep=False), root), whole[12, 9])
    assert {first for _, first, _ in trained} == {5}


def test_without_states_it_is_trained_anew_and_said(tmp_path, whole, trained, caplog):
    train(config(3, keep=False), tmp_path)
    with caplog.at_level(logging.WARNING, "dpodl"):
        logging.getLogger("dpodl").addHandler(caplog.handler)
        assert same(train(config(5, keep=False), tmp_path), whole[12, 5])
        logging.getLogger("dpodl").removeHandler(caplog.handler)
    assert {first for _, first, _ in trained} == {0}
    assert "12 models were trained for 36 steps without keeping" in caplog.text
    assert "training.keep_states = true" in caplog.text


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "missing", "renamed", "empty", "piped"]
)
def test_a_damaged_state_has_its_run_trained_anew(damage, root, whole, trained):
    (folder,) = (root / "curves").iterdir()
    path = folder / "state-000003-5.safetensors"
    content = bytearray(path.read_bytes())
    if damage == "renamed":  # another run's, whole in itself
        (folder / "state-000004-5.safetensors").replace(path)
    elif damage in ("missing", "piped"):
        path.unlink()
        if damage == "piped":
            os.mkfifo(path)
    else:
        content[len(content) // 2] ^= 1
        cut = {"flipped": len(content), "cut": len(content) - 9, "empty": 0}[damage]
        path.write_bytes(content[:cut])
    assert same(train(config(7), root), whole[12, 7])
    anew = sum(runs for runs, first, _ in trained if first == 0)
    assert anew == (2 if damage == "renamed" else 1)
    assert states(root).looks() == {run: [7] for run in range(12)}


def test_states_of_a_damaged_curve_are_not_taken_up(root, whole, trained):
    (folder,) = (root / "curves").iterdir()
    path = sorted(folder.glob("runs-*.npz"))[0]
    lost = len(np.load(path)["runs"])
    path.write_bytes(path.read_bytes()[:-20])
    assert same(train(config(7), root), whole[12, 7])
    assert sum(runs for runs, first, _ in trained if first == 0) == lost


def test_killed_at_any_write_it_ends_in_the_same_bytes(root, whole, monkeypatch):
    """Each pass dies one write later; what it leaves is what the next starts from."""
    finished = root.with_name("finished")
    shutil.copytree(root, finished)
    train(config(7), finished)
    real = curve_store.write_atomically
    for survived in (0, 1, 2, 5, 9, 100):
        left = [survived]

        def write(path: Path, content: bytes, left=left) -> None:
            if left[0] == 0:
                aside = path.with_name(f".{path.name}.0.tmp")
                aside.write_bytes(content[: len(content) // 2])
                raise Killed
            left[0] -= 1
            real(path, content)

        for module in (curve_store, state_store):
            monkeypatch.setattr(module, "write_atomically", write)
        try:
            found = train(config(7), root)
        except Killed:
            continue
        assert survived == 100
        assert same(found, whole[12, 7])
    left_over = {n for n in files(root) if n.endswith(".tmp")}
    assert {n: c for n, c in files(root).items() if n not in left_over} == files(
        finished
    )


@pytest.mark.parametrize(
    ("setting", "same_key"),
    [
        ("training.horizon_steps=240", True),
        ("training.runs=30", True),
        ("training.keep_states=false", True),
        ("scheme.t_acc=0.5", True),
        ("training.check_every=6", False),
        ("training.eval_samples=100", False),
        ("training.lanes=2", False),
        ("seed=4", False),
        ("data.examples=599", False),
    ],
)
def test_what_curves_are_kept_under(setting, same_key):
    one, other = config(5), config(5, setting)
    keys = [training._curve_key(c, config_dataset(c)) for c in (one, other)]
    assert (keys[0] == keys[1]) == same_key


@pytest.mark.parametrize("what", ["code", "library", "flags"])
def test_states_of_another_build_are_not_used(what, root, whole, trained, monkeypatch):
    if what == "code":
        monkeypatch.setattr(training, "stage_digest", lambda stage: "0" * 64)
    elif what == "library":
        monkeypatch.setattr(versions, "library_versions", lambda: {"flax": "0"})
    else:
        monkeypatch.setattr(versions, "decisive_flags", lambda: ["--xla_fast=true"])
    assert same(train(config(7), root), whole[12, 7])
    assert {first for _, first, _ in trained} == {0}


def test_lanes_are_taken_up_with_the_same_bits(tmp_path):
    lanes = "training.lanes=2"
    at_once = train(config(7, lanes), tmp_path / "whole")
    train(config(5, lanes), tmp_path / "parts")
    assert same(train(config(7, lanes), tmp_path / "parts"), at_once)


def test_a_sweep_over_horizons_trains_each_model_once(tmp_path, trained):
    base = config(
        3,
        "security.levels=32",
        "security.depths=4",
        "security.confirmations=2",
        "security.windows=[2]",
        "sweep.replicas=100",
        "sweep.good_period_replicas=100",
        "sweep.bootstraps=0",
        keep=False,
    )
    over = {"training.horizon_steps": [EVERY * looks for looks in (3, 7, 5)]}
    table = driver.sweep(base, over=over, output=tmp_path, executor="serial")
    assert {call[1:] for call in trained} == {(0, 7)}
    assert sum(runs for runs, _, _ in trained) == 12
    assert len(list((tmp_path / "curves").iterdir())) == 1
    assert len(set(table["training.horizon_steps"])) == 3
