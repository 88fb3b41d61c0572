"""From a config to a folder of results, resumable at any moment.

Stages: curves → laws → estimates → figures → summary. Each is a function of the
config, the code and the stage before; its key is their fingerprint.
"""

import io
import logging
import platform
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib import metadata, resources
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import jax
import numpy as np
import pandas as pd

from ..models.architecture import Initialization
from ..models.curves import (
    CurveSet,
    CurveSettings,
    TrainingSet,
    chunk_runs,
    draw_runs,
    training_set,
)
from ..models.data import SHA256, Dataset
from ..models.pins import decisive_flags, library_versions, pinned
from ..models.training import Curve
from . import pictures, summary
from .config import Config, ConfigError, fingerprint, plain
from .datasets import check_images, config_dataset
from .executors import processor, usable_cores
from .state_store import StateStore
from .store import (
    Progress,
    RunFolder,
    exclusive,
    file_digest,
    source_digest,
    table_bytes,
)
from .training_shelf import TrainingShelf

_log = logging.getLogger(__name__)

TABLES = ("curves", "law_summary", "laws", "estimates", "references", "notes")


class RunResult(NamedTuple):
    """A finished run.

    Attributes:
        folder: Where everything is.
        tables: Tidy tables by name, as stored.
        recomputed: Stages that had to be done this time.
        seconds: Time each of them took.
    """

    folder: Path
    tables: dict[str, pd.DataFrame]
    recomputed: list[str]
    seconds: dict[str, float]


@pinned()
def run(config: Config, root: Path, progress: Progress, *, command: str) -> RunResult:
    """Run an experiment, or what is missing of it.

    Args:
        config: The experiment.
        root: Folder of all results; the run gets ``<name>-<digest>`` in it.
        progress: Told how far each stage is.
        command: The command line that reproduces the run, kept with the figures.

    Returns:
        The folder and its tables.

    Raises:
        ConfigError: If config and data do not go together.
        Refused: If the runs cannot support a law (no run reaches t_acc, ...).
        DataError: If the data set cannot be read.
    """
    folder = RunFolder(root / f"{config.name}-{config.digest()[:10]}")
    code = _code_digests()
    with exclusive(folder.path):
        job = _Job(config, root, folder, code, progress, command)
        for stage in ("curves", "laws", "estimates", "figures", "summary"):
            job.stage(stage)
        # Also where the last process was killed just before it, or it was changed.
        if job.recomputed or not folder.has_notes(job.key):
            job.write_provenance()
    tables = {name: folder.table(f"{name}.csv") for name in TABLES}
    return RunResult(folder.path, tables, job.recomputed, job.seconds)


def curve_settings(config: Config, dataset: Dataset) -> CurveSettings:
    """The curve settings of a config, checked against the data.

    Raises:
        ConfigError: If a batch or an evaluation sample is larger than the data set, or
            a network needs larger images.
    """
    check_images(dataset, config.menu.architectures)
    examples = len(dataset.x_train)
    training = config.training
    samples = examples if training.eval_samples == "all" else training.eval_samples
    problems = []
    if samples > examples:
        problems.append(
            f"training.eval_samples must be at most the {examples} training examples "
            f"of {dataset.name}, got {samples}"
        )
    largest = max(config.menu.batch_sizes)
    if largest > examples:
        problems.append(
            f"menu.batch_sizes must be at most the {examples} training examples of "
            f"{dataset.name}, got {largest}"
        )
    if problems:
        raise ConfigError("\n  ".join(problems))
    return CurveSettings(
        check_every=training.check_every,
        horizon_steps=training.horizon_steps,
        eval_samples=samples,
        lanes=training.lanes,
    )


class _Job:
    """One pass over the stages; keeps what a stage needs from the one before."""

    def __init__(self, config, root, folder, code, progress, command):
        self.config: Config = config
        self.root: Path = root
        self.folder: RunFolder = folder
        self.code: Mapping[str, str] = code
        self.progress: Progress = progress
        self.command: str = command
        self.recomputed: list[str] = []
        self.seconds: dict[str, float] = {}
        made_with = [code["training"], versions(), decisive_flags()]
        self.key = fingerprint([config.digest(), _own_data(config), *made_with])
        self._curves: CurveSet | None = None

    def stage(self, name: str) -> None:
        self.key = fingerprint([name, self.key, self.code[name]])
        if self.folder.fresh(name, self.key):
            _log.info("stage %s is there and intact", name)
            return
        start = time.perf_counter()
        files = getattr(self, f"_{name}_files")()
        self.folder.finish(name, self.key, files)
        self.recomputed.append(name)
        self.seconds[name] = time.perf_counter() - start
        _log.info("stage %s done in %.1f s", name, self.seconds[name])

    def write_provenance(self) -> None:
        facts = {
            "command": self.command,
            "version": metadata.version("dpodl"),
            "code": dict(self.code),
            "build": build(),
            "python": sys.version.split()[0],
            "packages": versions(),
            "machine": {
                "system": platform.platform(),
                "processor": processor(),
                "cores": usable_cores(),
            },
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": {k: round(v, 2) for k, v in self.seconds.items()},
        }
        self.folder.write_notes(self.key, facts)

    def _curves_files(self) -> dict[str, bytes]:
        curves = train(self.config, self.root, self.progress)
        self._curves = curves
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            correct=curves.correct,
            loss=curves.loss,
            steps=curves.steps,
            eval_samples=curves.eval_samples,
            population=curves.population,
        )
        return {
            "config.toml": self.config.to_toml().encode(),
            "curves.npz": buffer.getvalue(),
            "curves.csv": table_bytes(_evaluation().curve_table(curves)),
        }

    def _laws_files(self) -> dict[str, bytes]:
        laws, law_summary = _evaluation().law_tables(
            self.config, self.curves(), self._costs()
        )
        return {
            "laws.csv": table_bytes(laws),
            "law_summary.csv": table_bytes(law_summary),
        }

    def _estimates_files(self) -> dict[str, bytes]:
        tables = _evaluation().estimate_tables(
            self.config, self.curves(), self._costs(), self.progress
        )
        return {f"{name}.csv": table_bytes(table) for name, table in tables.items()}

    def _figures_files(self) -> dict[str, bytes]:
        self.progress("figures", 0, 1)
        files = pictures.render(self._tables(), command=self.command)
        self.progress("figures", 1, 1)
        return files

    def _summary_files(self) -> dict[str, bytes]:
        return {"summary.md": summary.markdown(self.config, self._tables()).encode()}

    def _costs(self) -> np.ndarray | None:
        return _evaluation().costs_of(self.config, self.curves())

    def _tables(self) -> dict[str, pd.DataFrame]:
        return {name: self.folder.table(f"{name}.csv") for name in TABLES}

    def curves(self) -> CurveSet:
        if self._curves is None:
            self._curves = stored_curves(self.folder, self.config)
        return self._curves


def stored_curves(folder: RunFolder, config: Config) -> CurveSet:
    """The learning curves that a run keeps in its folder.

    Raises:
        Changed: If they are not what was written.
    """
    content = io.BytesIO(folder.read("curves.npz"))
    with np.load(content, allow_pickle=False) as file:
        return CurveSet(
            _initializations(config),
            file["steps"],
            file["correct"],
            file["loss"],
            int(file["eval_samples"]),
            int(file["population"]),
        )


@pinned()
def train(config: Config, root: Path, progress: Progress) -> CurveSet:
    """Train the config's runs, or those that the curve store does not have yet.

    Work is spread over the accelerators, or over the cores of a CPU by threads (a
    compiled training occupies about one core). Finished chunks are stored at once.

    Returns:
        The curves, ordered by run.
    """
    dataset = config_dataset(config)
    settings = curve_settings(config, dataset)
    runs = _initializations(config)
    shelf = TrainingShelf(
        root / "curves" / _curve_key(config, dataset),
        settings,
        keep=config.training.keep_states,
    )
    done = shelf.done()
    chunks = [
        (bucket, missing)
        for bucket, members in chunk_runs(runs, range(len(runs)), settings.lanes)
        if (missing := [run for run in members if run not in done])
    ]
    shelf.tell([run for _, missing in chunks for run in missing])
    progress("training models", len(runs) - sum(len(m) for _, m in chunks), len(runs))
    if chunks:
        _train_chunks(chunks, runs, dataset, shelf, done, progress)
    return CurveSet(
        initializations=runs,
        steps=settings.check_every * np.arange(1, settings.looks + 1),
        correct=np.stack([done[run].correct for run in range(len(runs))]),
        loss=np.stack([done[run].loss for run in range(len(runs))]),
        eval_samples=settings.eval_samples,
        population=len(dataset.x_train),
    )


def kept_states(config: Config, root: Path) -> tuple[int, Path]:
    """Bytes of the states that are kept of the config's trainings, and where."""
    path = root / "curves" / _curve_key(config, config_dataset(config))
    return StateStore(path).size(), path


def build() -> dict[str, str]:
    """What a run's bits depend on beside its inputs and the pinned settings."""
    device = jax.devices()[0]
    return {
        **versions(),
        "platform": device.platform,
        "device": device.device_kind,
        "processor": processor(),
        "flags": " ".join(decisive_flags()),
    }


def versions() -> dict[str, str]:
    """Of every library whose formulas decide bits."""
    ours = {name: metadata.version(name) for name in ("jax", "jaxlib")}
    return ours | library_versions()


def _evaluation() -> ModuleType:
    # With scipy.stats it takes a second: not for a run that is all there.
    from . import evaluation

    return evaluation


def _train_chunks(chunks, runs, dataset, shelf, done, progress) -> None:
    devices = jax.local_devices()
    workers = usable_cores() if devices[0].platform == "cpu" else len(devices)
    data: list[TrainingSet] = [
        training_set(dataset.x_train, dataset.y_train, device)
        for device in devices[:workers]
    ]

    @pinned()
    def work(place: int) -> tuple[list[int], Curve]:
        bucket, members = chunks[place]
        mine = data[place % len(data)]
        return members, shelf.train(bucket, members, runs, mine)

    # Loaded while models train: the stages behind this one need it.
    threading.Thread(target=_evaluation).start()
    pool = ThreadPoolExecutor(workers)
    pending: set[Future] = {pool.submit(work, i) for i in range(len(chunks))}
    try:
        while pending:
            finished, pending = wait(pending, return_when=FIRST_COMPLETED)
            for future in finished:
                members, curve = future.result()
                shelf.add(members, curve)
                _log.info("trained runs %s", ", ".join(map(str, members)))
                for i, run in enumerate(members):
                    done[run] = Curve(curve.correct[i], curve.loss[i])
                # A store may have more runs than this experiment asks for.
                there = sum(run in done for run in range(len(runs)))
                progress("training models", there, len(runs))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _initializations(config: Config) -> tuple[Initialization, ...]:
    return draw_runs(config.seed, config.training.runs, config.menu.build())


def _own_data(config: Config) -> str | None:
    # What is pinned cannot change behind its name; a file of the user's can.
    if config.data.name in SHA256:
        return None
    return config_dataset(config).sha256


def _curve_key(config: Config, dataset: Dataset) -> str:
    training = plain(config.training)
    # More runs of the same kind, and longer ones, extend a store instead of starting a
    # new one.
    for name in ("runs", "horizon_steps", "keep_states"):
        del training[name]
    facts = [
        config.seed,
        plain(config.menu),
        training,
        dataset.sha256,
        build(),
        _code_digests()["training"],
    ]
    return fingerprint(facts)[:16]


def _code_digests() -> dict[str, str]:
    folders = {
        name: Path(str(resources.files(f"dpodl.{name}")))
        for name in ("models", "analysis", "figures", "experiments")
    }
    models = source_digest([folders["models"]])
    analysis = source_digest([folders["models"], folders["analysis"]])
    everything = source_digest(list(folders.values()))
    tables = [
        file_digest(folders["experiments"] / name)
        for name in ("evaluation.py", "notes.py")
    ]
    return {
        "training": models,
        "curves": fingerprint([models, *tables]),
        "laws": fingerprint([analysis, *tables]),
        "estimates": fingerprint([analysis, *tables]),
        "figures": everything,
        "summary": everything,
    }
