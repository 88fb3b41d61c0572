"""Trainings by workers: the curves of one process, whoever dies in between."""

import importlib
import importlib.util
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import training
from dpodl.experiments.store.state_store import StateStore
from dpodl.experiments.workers import executors, trainings
from dpodl.experiments.workers.executors import GivenPool, SerialExecutor, WorkersError
from dpodl.models.learning.curves import CurveSet

HERE = Path(__file__).parent
EVERY, LOOKS, RUNS = 12, 4, 14
SETTINGS = (
    "data.examples=600",
    "menu.architectures=['softmax']",
    "menu.optimizers=[{name='sgd', learning_rates={low=0.05, high=0.5, count=4}}]",
    "training.eval_samples=200",
    "scheme.t_acc=0.3",
    "protocol.abandon_steps=never",
)


def config(looks: int = LOOKS, runs: int = RUNS, *settings: str):
    return load_config(
        "smoke",
        [
            *SETTINGS,
            f"training.horizon_steps={EVERY * looks}",
            f"training.runs={runs}",
            *settings,
        ],
    )


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


def serial() -> GivenPool:
    return GivenPool(SerialExecutor(), 1)


def kept(one, root: Path, monkeypatch) -> CurveSet:
    """What the store has; trains nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(training, "_trained", lambda chunks, *_: _nothing(chunks))
        return training.train(one, root, silent)


def _nothing(chunks):
    assert not chunks
    yield from ()


def same(one: CurveSet, other: CurveSet) -> bool:
    return one.correct.shape == other.correct.shape and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("correct", "loss")
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> CurveSet:
    """The curves that one process trains at once."""
    return training.train(config(), tmp_path_factory.mktemp("whole"), silent)


@pytest.fixture
def deaths(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    return importlib.import_module("training_deaths")


def test_workers_fill_the_store_of_a_run(whole, tmp_path, monkeypatch):
    told = []
    few = config(runs=10)
    first = trainings.train_runs(few, tmp_path, serial(), lambda *t: told.append(t))
    assert (first.runs, first.trained) == (10, 10)
    assert told[0] == ("training models", 0, 10)
    assert told[-1] == ("training models", 10, 10)
    assert first.folder == training.curve_folder(config(), tmp_path)
    more = trainings.train_runs(config(), tmp_path, serial(), silent)
    assert (more.runs, more.trained, more.folder) == (RUNS, 4, first.folder)
    assert not list(tmp_path.rglob("state-*"))
    assert same(kept(config(), tmp_path, monkeypatch), whole)
    again = trainings.train_runs(config(), tmp_path, serial(), silent)
    assert again.trained == 0


def test_longer_ones_go_on_from_kept_states(whole, tmp_path, monkeypatch):
    keep = "training.keep_states=true"
    trainings.train_runs(config(2, RUNS, keep), tmp_path, serial(), silent)
    begun = []
    real = trainings.extend_chunk

    def spy(*given, first, **rest):
        begun.append(first)
        return real(*given, first=first, **rest)

    monkeypatch.setattr(trainings, "extend_chunk", spy)
    found = trainings.train_runs(config(LOOKS, RUNS, keep), tmp_path, serial(), silent)
    assert found.trained == RUNS
    assert set(begun) == {2}
    assert StateStore(found.folder).looks() == {run: [LOOKS] for run in range(RUNS)}
    assert same(kept(config(), tmp_path, monkeypatch), whole)


def test_what_was_finished_before_an_interruption_is_kept(whole, tmp_path, monkeypatch):
    class Interrupted(SerialExecutor):
        count = 0

        def submit(self, fn, /, *given, **named) -> Future:
            self.count += 1
            if self.count == 3:
                raise KeyboardInterrupt
            return super().submit(fn, *given, **named)

    with pytest.raises(KeyboardInterrupt):
        trainings.train_runs(config(), tmp_path, GivenPool(Interrupted(), 1), silent)
    left = trainings.train_runs(config(), tmp_path, serial(), silent)
    assert 0 < left.trained < RUNS
    assert same(kept(config(), tmp_path, monkeypatch), whole)


def test_a_killed_process_loses_nothing(whole, tmp_path, monkeypatch, deaths):
    marker = tmp_path / "marker"
    monkeypatch.setenv("TRAINING_TEST_MARKER", str(marker))
    monkeypatch.setattr(trainings, "train_shard", deaths.dies_once)
    with executors.workers("local", jobs=1) as pool:
        found = trainings.train_runs(config(), tmp_path, pool, silent)
    assert marker.exists()
    assert found.trained == RUNS
    assert same(kept(config(), tmp_path, monkeypatch), whole)


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="without distributed"
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_cluster_trains_the_same_bits(whole, tmp_path, monkeypatch):
    with executors.workers("dask", jobs=1) as pool:
        trainings.train_runs(config(), tmp_path, pool, silent)
    assert same(kept(config(), tmp_path, monkeypatch), whole)


def test_a_run_that_takes_every_worker_down_is_named(tmp_path, monkeypatch):
    class Dead(SerialExecutor):
        def submit(self, fn, /, *given, **named) -> Future:
            future: Future = Future()
            future.set_exception(MemoryError("its worker died"))
            return future

    class Pool(GivenPool):
        def renew(self):
            return self.executor

        def died(self, error: BaseException) -> bool:
            return isinstance(error, MemoryError)

    with pytest.raises(WorkersError, match="whenever it trained run 0, HyperParam"):
        trainings.train_runs(config(), tmp_path, Pool(Dead(), 1), silent)


def test_a_worker_of_another_build_trains_nothing(tmp_path, monkeypatch):
    task = trainings.TrainTask(
        config=config().to_toml(),
        store="another",
        bucket=None,  # pyright: ignore
        parts=(),
        runs={},
        settings=None,  # pyright: ignore
        keep=False,
    )
    with pytest.raises(trainings.OtherBuild, match="would train curves with other"):
        trainings.train_shard(task)


def test_a_given_law_trains_nothing(tmp_path):
    given = load_config("own-curves")
    with pytest.raises(ConfigError, match="there is no training"):
        trainings.train_runs(given, tmp_path, serial(), silent)


def test_shards_are_cut_between_runs_and_between_chunks():
    one = config(LOOKS, 500)
    runs = training.initializations_of(one)
    settings = training.curve_settings(one, training.config_dataset(one))
    shards = list(trainings._shards(runs, range(500), settings, slots=2))
    assert sorted(run for _, members in shards for run in members) == list(range(500))
    assert max(len(members) for _, members in shards) == 28
    task = trainings.TrainTask(
        config="",
        store="s",
        bucket=shards[0][0],
        parts=(
            training.TrainingShelf(Path("nowhere"), settings, keep=False).begun(
                [0, 1, 2]
            )
        )[:1],  # pyright: ignore
        runs={run: runs[run] for run in (0, 1, 2)},
        settings=settings,
        keep=False,
    )
    first, rest = task.part(0, 1), task.part(1, 3)
    assert (first.members, rest.members) == ([0], [1, 2])
    assert [part.members for part in rest.parts] == [(1, 2)]
    assert len({task.key, first.key, rest.key}) == 3


def test_the_command_says_what_it_did(tmp_path):
    words = [word for each in SETTINGS for word in ("--set", each)]
    words += ["--set", "training.runs=10", "--set", "training.horizon_steps=24"]
    common = ["--executor", "serial", "--quiet", "--output", str(tmp_path)]
    first = CliRunner().invoke(main, ["train", "smoke", *words, *common])
    assert first.exit_code == 0, first.output
    assert first.output.startswith("trained 10 models in ")
    again = CliRunner().invoke(main, ["train", "smoke", *words, *common])
    assert "trained 0 models, 10 were there" in again.output
    wrong = CliRunner().invoke(
        main, ["train", "smoke", *common, "--scheduler", "tcp://x:1"]
    )
    assert wrong.exit_code == 2
    assert "--scheduler is for --executor dask, got serial" in wrong.output
