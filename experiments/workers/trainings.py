"""A curve store filled by workers: trainings are shards as a sweep's points are.

What a worker is sent says all that a curve depends on, and it first makes the name of
the store itself, from its own data, code, libraries and processor: where that is
another one, its curves would have other bits, and it says so instead of training. A
shard that is done is kept at once; whoever dies in between, the same command goes on
from there.
"""

import logging
import platform
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ...models.errors import UserError
from ...models.learning.architecture import Initialization
from ...models.learning.chunk_program import Bucket
from ...models.learning.curves import (
    CurveSettings,
    Extended,
    TrainingSet,
    chunk_runs,
    chunk_size,
    extend_chunk,
    training_set,
)
from ...models.learning.pins import pinned
from ..config.experiment import Config
from ..config.loading import parse_config
from ..config.section import ConfigError
from ..pipeline.training import curve_folder, curve_settings, initializations_of
from ..pipeline.training_shelf import Part, TrainingShelf
from ..store.files import Progress
from ..world.dataset import config_dataset
from .dispatch import Orders, compute_all
from .executors import Pool, WorkersError

_log = logging.getLogger(__name__)
# Most runs of a shard: some seconds of work, and few files where runs are very many.
_MOST_RUNS = 32
# Shards that a worker has at least, if there are runs enough: none is left alone.
_SHARDS_A_WORKER = 8


class OtherBuild(UserError):
    """A worker would train curves with other bits."""


class Trained(NamedTuple):
    """A pass over a config's trainings.

    Attributes:
        folder: The curve store.
        runs: Models that the config asks for.
        trained: Of these, trained this time.
        seconds: How long it took.
    """

    folder: Path
    runs: int
    trained: int
    seconds: float


class TrainTask(NamedTuple):
    """What a worker needs to train a shard.

    Attributes:
        config: The experiment, as TOML.
        store: Name of the curve store.
        bucket: The runs' architecture and batch size.
        parts: Chunks of the runs that go on from the same look.
        runs: Their initializations.
        settings: Looks, horizon, evaluation sample, lanes.
        keep: Whether their last states are wanted.
    """

    config: str
    store: str
    bucket: Bucket
    parts: tuple[Part, ...]
    runs: dict[int, Initialization]
    settings: CurveSettings
    keep: bool

    @property
    def members(self) -> list[int]:
        """The runs, in order."""
        return sorted(self.runs)

    @property
    def key(self) -> str:
        """Names the shard."""
        return f"{self.store}:{self.members}"

    @property
    def size(self) -> int:
        """Its runs."""
        return len(self.runs)

    def part(self, start: int, stop: int) -> "TrainTask":
        """Some of its runs."""
        some = self.members[start:stop]
        parts = [part.only(some) for part in self.parts]
        return self._replace(
            parts=tuple(part for part in parts if part.members),
            runs={run: self.runs[run] for run in some},
        )


def train_runs(config: Config, root: Path, pool: Pool, progress: Progress) -> Trained:
    """Train the config's runs that its curve store lacks, wherever there are workers.

    The curves are those of ``pipeline.training.train``, bit by bit.

    Args:
        config: The experiment.
        root: Folder of all results.
        pool: Workers.
        progress: Told how far it is.

    Raises:
        ConfigError: If the config trains nothing, or it and the data do not go
            together.
        OtherBuild: If a worker has other data, code, libraries or another processor.
        WorkersError: If no worker can be had, or a training ends every worker.
    """
    if not config.law.trained:
        raise ConfigError("the config's law is given by [law]: there is no training")
    start = time.perf_counter()
    settings = curve_settings(config, config_dataset(config))
    runs, folder = initializations_of(config), curve_folder(config, root)
    shelf = TrainingShelf(folder, settings, keep=config.training.keep_states)
    done = shelf.done().keys()
    missing = [run for run in range(len(runs)) if run not in done]
    shelf.tell(missing)
    text, there = config.to_toml(), [len(runs) - len(missing)]
    progress("training models", there[0], len(runs))

    def tasks() -> Iterator[TrainTask]:
        for bucket, members in _shards(runs, missing, settings, pool.slots):
            yield TrainTask(
                config=text,
                store=folder.name,
                bucket=bucket,
                parts=tuple(
                    piece
                    for part in shelf.begun(members)
                    for piece in part.pieces(chunk_size(settings.lanes))
                ),
                runs={run: runs[run] for run in members},
                settings=settings,
                keep=shelf.keep,
            )

    def keep(task: TrainTask, found: tuple[Extended, ...]) -> None:
        members = task.members
        shelf.add(members, shelf.joined(members, task.parts, found))
        there[0] += len(members)
        _log.info("trained runs %s", ", ".join(map(str, members)))
        progress("training models", there[0], len(runs))

    def lost(task: TrainTask) -> None:
        (run,) = task.members
        raise WorkersError(
            f"the worker died whenever it trained run {run}, {runs[run].hpp}: is there "
            "memory enough for it? All other finished runs are kept"
        )

    if missing:
        compute_all(tasks(), pool, Orders(train_shard, keep, lost))
    seconds = time.perf_counter() - start
    return Trained(folder, len(runs), len(missing), seconds)


@pinned()
def train_shard(task: TrainTask) -> tuple[Extended, ...]:
    """Train a shard: its parts, one after the other.

    Raises:
        OtherBuild: If the curves would not be those of the task's store.
    """
    if _here(task.config)[0] != task.store:
        raise OtherBuild(
            f"the worker on {platform.node()} would train curves with other bits: it "
            "needs the same dpodl, libraries, XLA flags, data and processor"
        )
    # Of the thread that this runs in, where there are several.
    device = jax.config.jax_default_device or jax.local_devices()[0]  # pyright: ignore
    data = _data_on(task.config, device)
    return tuple(
        extend_chunk(
            task.bucket,
            [task.runs[run] for run in part.members],
            data,
            task.settings,
            first=part.first,
            starts=part.starts,
            keep=task.keep,
        )
        for part in task.parts
    )


def _shards(
    runs: Sequence[Initialization],
    missing: Sequence[int],
    settings: CurveSettings,
    slots: int,
) -> Iterator[tuple[Bucket, list[int]]]:
    """Chunks of the same program, several together."""
    chunk = chunk_size(settings.lanes)
    fair = len(missing) // (_SHARDS_A_WORKER * slots)
    most = max(1, min(fair, _MOST_RUNS) // chunk)
    chunks = chunk_runs(runs, missing, settings.lanes)
    for (bucket, _), each in groupby(chunks, key=lambda c: _program(c, runs)):
        while some := list(islice(each, most)):
            yield bucket, [run for _, members in some for run in members]


def _program(
    chunk: tuple[Bucket, list[int]], runs: Sequence[Initialization]
) -> tuple[Bucket, bool]:
    bucket, members = chunk
    return bucket, runs[members[0]].hpp.optimizer == "adam"


@lru_cache(maxsize=4)
def _here(text: str) -> tuple[str, Config]:
    """The curve store that this process would fill, and the experiment."""
    config = parse_config(text, "what the worker was sent")
    return curve_folder(config, Path()).name, config


@lru_cache(maxsize=32)
def _data_on(text: str, device: Any) -> TrainingSet:
    dataset = config_dataset(_here(text)[1])
    return training_set(dataset.x_train, dataset.y_train, device)
