"""A shard: some points of one program, computed anywhere and kept as one file.

Notation:
    shard      up to ``sweep.shard`` points that share curves, clock and static shapes
    key        SHA-256 of the keys of its points and the number of the attempt
    outcome    the rows of a point, or why there are none

The file is Parquet: one row a (point, quantity, at), and in its footer, as JSON, which
points it holds and which failed. Its bytes are a function of the points alone.
"""

import io
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..models.curves import CurveSet, draw_runs
from ..models.pins import pinned
from . import points
from .config import Config, fingerprint
from .evaluation import step_costs
from .sections import MenuConfig
from .store import CurveStore, file_digest, source_digest

FORMAT = 1
_META = b"dpodl.shard"
_LONGEST = 2000  # characters of an exception's message
_ROWS = {
    "quantity": pa.string(),
    "at": pa.float64(),
    "at_unit": pa.string(),
    "value": pa.float64(),
    "low": pa.float64(),
    "high": pa.float64(),
    "count": pa.int64(),
    "method": pa.string(),
    "unit": pa.string(),
    "runs_effective": pa.float64(),
    "warning": pa.string(),
}
ROWS = tuple(_ROWS)
# Rows of earlier versions, and of others' evaluators, do not say these.
_UNSAID: dict[str, Any] = {"runs_effective": math.nan, "warning": ""}
_SCHEMA = pa.schema([("place", pa.int32()), *_ROWS.items()])

Evaluate = Callable[
    [Sequence[Config], CurveSet, np.ndarray | None], list[points.Outcome]
]
"""``points.evaluate``, or another with its meaning."""


class OtherCode(Exception):
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
        image_shape: Height and width of an image.
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
    image_shape: tuple[int, int]
    classes: int


class ShardTask(NamedTuple):
    """What a worker needs for a shard.

    Attributes:
        keys: One a point: what its numbers depend on.
        configs: The points.
        source: Their curves.
        code: ``code_digest`` of the sweep.
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

    def part(self, start: int, stop: int) -> "ShardTask":
        """Some of its points."""
        return self._replace(
            keys=self.keys[start:stop], configs=self.configs[start:stop]
        )


class ShardFacts(NamedTuple):
    """What a shard's footer tells.

    Attributes:
        keys: Its points.
        errors: Place → why that point failed.
        unexpected: Places of points that failed by an exception or a dead worker.
        attempt: How often its points have been tried.
    """

    keys: tuple[str, ...]
    errors: Mapping[int, str]
    unexpected: frozenset[int]
    attempt: int


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


def shard_key(keys: Sequence[str], attempt: int) -> str:
    """SHA-256 that names a shard."""
    return fingerprint([list(keys), attempt])


def code_digest() -> str:
    """SHA-256 of the code that a point's numbers depend on."""
    folders = {
        name: Path(str(resources.files(f"dpodl.{name}")))
        for name in ("models", "analysis", "experiments")
    }
    files = [
        file_digest(folders["experiments"] / name)
        for name in ("points.py", "evaluation.py")
    ]
    return fingerprint([source_digest([folders["models"], folders["analysis"]]), files])


@lru_cache(maxsize=1)
def code_at_start() -> str:
    """``code_digest`` as this process first saw it: files may change behind it."""
    return code_digest()


@pinned()
def compute(task: ShardTask) -> ShardResult:
    """Compute a shard. Points that fail say why and take no other with them.

    Raises:
        OtherCode: If this process runs other code than the sweep.
        FileNotFoundError: If curves are missing here.
    """
    start = time.perf_counter()
    if code_at_start() != task.code:
        raise OtherCode(
            f"the worker on {platform.node()} runs other code than the sweep: install "
            "the same dpodl there, and start its workers anew"
        )
    curves = load_curves(task.source)
    costs = step_costs(
        task.configs[0], curves, task.source.image_shape, task.source.classes
    )
    outcomes, unexpected = [], []
    try:
        outcomes = _outcomes(task.evaluate, task.configs, curves, costs)
    except Exception:
        # Whose fault it is shows when each point is alone; their bytes are the same.
        for place, config in enumerate(task.configs):
            try:
                outcomes += _outcomes(task.evaluate, [config], curves, costs)
            except Exception as error:
                told = f"{type(error).__name__}: {error}"[:_LONGEST]
                outcomes.append(points.Outcome((), told))
                unexpected.append(place)
    worker = f"{platform.node()}:{os.getpid()}"
    content = encode(task.keys, outcomes, unexpected=unexpected, attempt=task.attempt)
    return ShardResult(content, time.perf_counter() - start, worker)


def _outcomes(evaluate, configs, curves, costs) -> list[points.Outcome]:
    found = list(evaluate(configs, curves, costs))
    if len(found) != len(configs):
        raise RuntimeError(f"{len(found)} outcomes of {len(configs)} points")
    return found


def gave_up(task: ShardTask, reason: str) -> bytes:
    """The file of a shard that no worker survives."""
    failed = [points.Outcome((), reason)] * len(task.keys)
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


# ------------------------------------------------------------------ the file


def encode(
    keys: Sequence[str],
    outcomes: Sequence[points.Outcome],
    *,
    unexpected: Sequence[int] = (),
    attempt: int = 1,
) -> bytes:
    """A shard's file."""
    columns: dict[str, list[Any]] = {name: [] for name in _SCHEMA.names}
    errors = {}
    for place, outcome in enumerate(outcomes):
        if outcome.error:
            errors[place] = outcome.error
            continue
        for row in outcome.rows:
            columns["place"].append(place)
            for name in ROWS:
                columns[name].append(row.get(name, _UNSAID.get(name)))
    table = pa.table(
        {
            field.name: pa.array(columns[field.name], field.type, from_pandas=False)
            for field in _SCHEMA
        },
        schema=_SCHEMA,
    )
    return _file(table, ShardFacts(tuple(keys), errors, frozenset(unexpected), attempt))


def part_of(content: bytes, wanted: Sequence[int]) -> bytes:
    """The file of some of a shard's points: as if they had been computed alone."""
    facts, table = facts_of(content), table_of(content)
    new = {place: i for i, place in enumerate(wanted)}
    places = table["place"].to_numpy()
    kept = table.filter(pa.array(np.isin(places, list(new))))
    moved = [new[place] for place in kept["place"].to_pylist()]
    kept = kept.set_column(0, _SCHEMA.field(0), pa.array(moved, pa.int32()))
    some = ShardFacts(
        tuple(facts.keys[place] for place in wanted),
        {new[p]: error for p, error in facts.errors.items() if p in new},
        frozenset(new[p] for p in facts.unexpected if p in new),
        1,
    )
    return _file(kept, some)


def _file(table: pa.Table, facts: ShardFacts) -> bytes:
    footer = {
        "format": FORMAT,
        "keys": facts.keys,
        "errors": {str(k): v for k, v in sorted(facts.errors.items())},
        "unexpected": sorted(facts.unexpected),
        "attempt": facts.attempt,
    }
    text = json.dumps(footer, sort_keys=True)
    buffer = io.BytesIO()
    table = table.combine_chunks().replace_schema_metadata({_META: text.encode()})
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def facts_of(source: bytes | Path) -> ShardFacts:
    """What a shard's footer tells.

    Raises:
        ValueError: If the file is none of a shard.
    """
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
        metadata = pq.read_metadata(file)
        footer = json.loads((metadata.metadata or {})[_META])
        if footer["format"] != FORMAT:
            raise ValueError(f"format {footer['format']}")
        facts = ShardFacts(
            tuple(footer["keys"]),
            {int(place): error for place, error in footer["errors"].items()},
            frozenset(footer["unexpected"]),
            footer["attempt"],
        )
        places = {*facts.errors, *facts.unexpected}
        texts = (*facts.keys, *facts.errors.values())
        if (
            not all(isinstance(text, str) for text in texts)
            or not all(0 <= place < len(facts.keys) for place in places)
            or not isinstance(facts.attempt, int)
            or not metadata.schema.to_arrow_schema().equals(_SCHEMA)
        ):
            raise ValueError("its footer or its columns are not a shard's")
        return facts
    except (
        *(pa.ArrowException, OSError, KeyError, TypeError, ValueError),
        *(AttributeError, RecursionError),
    ) as error:
        raise ValueError(f"not a shard of this version: {error}") from None


def table_of(content: bytes) -> pa.Table:
    """A shard's rows: ``place`` of the point, and what ``points`` says of it."""
    table = pq.read_table(io.BytesIO(content)).replace_schema_metadata(None)
    for name, value in _UNSAID.items():
        if name not in table.column_names:
            filled = pa.array([value] * len(table), _ROWS[name])
            table = table.append_column(name, filled)
    return table
