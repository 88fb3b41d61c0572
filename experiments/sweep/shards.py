"""A shard: some points of one program, computed anywhere and kept as one file.

Notation:
    shard      up to ``sweep.shard`` points that share curves, clock and static shapes
    key        SHA-256 of the keys of its points and the number of the attempt
    outcome    the rows of a point, or why there are none

The file is Parquet: one row a (point, quantity, at), and in its footer, as JSON, which
points it holds and which failed. Its bytes are a function of the points alone.
"""

import os
import platform
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...models.errors import UserError
from ...models.learning.architecture import ImageShape
from ...models.learning.curves import CurveSet, draw_runs
from ...models.learning.pins import pinned
from ..config.experiment import Config
from ..config.sections import MenuConfig
from ..own.evidence import content_digest, own_curves
from ..pipeline.branching import needs, stored_warm_starts
from ..pipeline.sources import sweep_code_at_start
from ..store.curve_store import CurveStore
from ..world.translation import step_costs
from . import evaluation
from .shard_file import encode, shard_key

_LONGEST = 2000  # characters of an exception's message

Evaluate = Callable[..., list[evaluation.Outcome]]
"""``points.evaluate``, or another with its meaning."""


class OtherCode(UserError):
    """A worker has other code than the sweep, so that its numbers are not the same."""


class CurveSource(NamedTuple):
    """Where a shard's learning curves are.

    Attributes:
        folder: The curve store's folder, absolute.
        seed: Of the runs.
        menu: What they were drawn from.
        runs: How many.
        check_every: Steps between two looks.
        looks: Looks of a run.
        eval_samples: Examples that a look scored.
        population: Examples there are.
        image_shape: Height and width of an image, channels where it has colour.
        classes: Classes of the data.
    """

    folder: str
    seed: int
    menu: MenuConfig
    runs: int
    check_every: int
    looks: int
    eval_samples: int
    population: int
    image_shape: ImageShape
    classes: int


class ShardTask(NamedTuple):
    """What a worker needs for a shard.

    Attributes:
        keys: One a point: what its numbers depend on.
        configs: The points.
        source: Their curves.
        code: ``stage_digest`` of the sweep.
        attempt: How often these points have been tried, this time included.
        evaluate: What computes them.
    """

    keys: tuple[str, ...]
    configs: tuple[Config, ...]
    source: CurveSource
    code: str
    attempt: int
    evaluate: Evaluate

    @property
    def key(self) -> str:
        """Names the shard."""
        return shard_key(self.keys, self.attempt)

    @property
    def size(self) -> int:
        """Its points."""
        return len(self.keys)

    def part(self, start: int, stop: int) -> "ShardTask":
        """Some of its points."""
        return self._replace(
            keys=self.keys[start:stop], configs=self.configs[start:stop]
        )


class ShardResult(NamedTuple):
    """A computed shard.

    Attributes:
        content: Its file's bytes.
        seconds: How long it took.
        worker: Who computed it.
    """

    content: bytes
    seconds: float
    worker: str


@pinned()
def compute(task: ShardTask) -> ShardResult:
    """Compute a shard. Points that fail say why and take no other with them.

    Raises:
        OtherCode: If this process runs other code than the sweep.
        FileNotFoundError: If curves are missing here.
    """
    start = time.perf_counter()
    if sweep_code_at_start() != task.code:
        raise OtherCode(
            f"the worker on {platform.node()} runs other code than the sweep: install "
            "the same dpodl there, and start its workers anew"
        )
    curves, costs = _evidence(task.configs[0], task.source)
    outcomes, unexpected = [], []
    try:
        outcomes = _outcomes(task, task.configs, curves, costs)
    except Exception:
        # Whose fault it is shows when each point is alone; their bytes are the same.
        for place, config in enumerate(task.configs):
            try:
                outcomes += _outcomes(task, [config], curves, costs)
            except Exception as error:
                told = f"{type(error).__name__}: {error}"[:_LONGEST]
                outcomes.append(evaluation.Outcome((), told))
                unexpected.append(place)
    worker = f"{platform.node()}:{os.getpid()}"
    content = encode(task.keys, outcomes, unexpected=unexpected, attempt=task.attempt)
    return ShardResult(content, time.perf_counter() - start, worker)


def _evidence(
    config: Config, source: CurveSource
) -> tuple[CurveSet, np.ndarray | None]:
    if config.law.trained:
        curves = load_curves(source)
        return curves, step_costs(config, curves, source.image_shape, source.classes)
    if content_digest(config)[:16] != Path(source.folder).name:
        raise OtherCode(
            f"{config.law.path} on {platform.node()} is not what the sweep began with: "
            "workers on other machines need the same file at the same path"
        )
    curves = own_curves(config)
    return curves, curves.step_costs


def _outcomes(task: ShardTask, configs, curves, costs) -> list[evaluation.Outcome]:
    more = []
    if any(map(needs, configs)):
        folder = Path(task.source.folder)
        more = [[stored_warm_starts(each, curves, folder) for each in configs]]
    found = list(task.evaluate(configs, curves, costs, *more))
    if len(found) != len(configs):
        raise RuntimeError(f"{len(found)} outcomes of {len(configs)} points")
    return found


def gave_up(task: ShardTask, reason: str) -> bytes:
    """The file of a shard that no worker survives."""
    failed = [evaluation.Outcome((), reason)] * len(task.keys)
    places = range(len(task.keys))
    return encode(task.keys, failed, unexpected=places, attempt=task.attempt)


@lru_cache(maxsize=4)
def load_curves(source: CurveSource) -> CurveSet:
    """The curves of a store, ordered by run.

    Raises:
        FileNotFoundError: If some are missing.
    """
    done = CurveStore(Path(source.folder), source.looks).load()
    missing = sum(run not in done for run in range(source.runs))
    if missing:
        raise FileNotFoundError(
            f"{missing} of {source.runs} learning curves are not in {source.folder}: "
            "workers on other machines need the sweep's --output at the same path"
        )
    return CurveSet(
        initializations=draw_runs(source.seed, source.runs, source.menu.build()),
        steps=source.check_every * np.arange(1, source.looks + 1),
        correct=np.stack([done[run].correct for run in range(source.runs)]),
        loss=np.stack([done[run].loss for run in range(source.runs)]),
        eval_samples=source.eval_samples,
        population=source.population,
    )
