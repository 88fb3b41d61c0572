"""Folders in which frameworks keep learning curves, as one table: a row a look.

* TensorBoard: every folder with event files is a run, every scalar a column. The
  package tensorboard, an extra, reads them; what is behind damage in a file is lost.
* MLflow: every ``metrics`` folder is a run's (``mlruns/EXPERIMENT/RUN/metrics/NAME``,
  in it a line ``timestamp value step`` a look), every file a column. A run is called by
  its ``mlflow.runName``, one that was deleted is left out.
* JSON lines, as histories of Weights & Biases are exported: every ``*.jsonl`` is a run,
  every number a column.

The table is what the folder is known by: where a value changes it is another source.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..config.section import ConfigError

_EVENTS = "*tfevents*"
_MOST_FILES = 20_000
_STEPS = ("_step", "step", "global_step")

Rows = Iterator[tuple[str, float, str, float]]
"""Run, step, name of the number, number."""


def folder_table(place: Path) -> bytes:
    """The curves in a folder, as CSV: run, step, then every number by its name.

    Args:
        place: The folder of TensorBoard, of MLflow, or of JSON lines.

    Raises:
        ConfigError: If there are none in it, or of two kinds, or one cannot be read.
    """
    found = {
        kind: (files, read)
        for kind, (pattern, read) in _KINDS.items()
        if (files := _files(place, pattern))
    }
    if len(found) != 1:
        there = f"files of {' and of '.join(found)}" if found else "none of them"
        raise ConfigError(
            f"{place} is a folder; read are one of TensorBoard (*tfevents*), of MLflow "
            f"(metrics/*) or of JSON lines (*.jsonl), and it holds {there}"
        )
    ((kind, (files, read)),) = found.items()
    try:
        rows = list(read(place, files))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{place} cannot be read as {kind}: {error}") from None
    if not rows:
        raise ConfigError(f"{place}: no number was logged in its files of {kind}")
    table = pd.DataFrame(rows, columns=["run", "step", "name", "value"])
    # What is logged again counts as it was logged last.
    table = table.drop_duplicates(["run", "step", "name"], keep="last")
    wide: Any = table.pivot(index=["run", "step"], columns="name", values="value")
    return wide.reset_index().to_csv(index=False, lineterminator="\n").encode()


def _files(place: Path, pattern: str) -> list[Path]:
    found = sorted(path for path in place.rglob(pattern) if path.is_file())
    if len(found) > _MOST_FILES:
        raise ConfigError(f"{place} has more than {_MOST_FILES:,} files of curves")
    return found


def _name(place: Path, folder: Path) -> str:
    inside = folder.relative_to(place).as_posix()
    return place.resolve().name if inside == "." else inside


def _events(place: Path, files: list[Path]) -> Rows:
    try:
        from tensorboard.backend.event_processing.event_accumulator import (
            EventAccumulator,
        )
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        raise ConfigError(
            f"{place} holds event files of TensorBoard; to read them install "
            "dpodl[tensorboard]"
        ) from None
    for folder in dict.fromkeys(path.parent for path in files):
        run = _name(place, folder)
        log = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
        log.Reload()
        for tag in log.Tags()["scalars"]:
            for event in log.Scalars(tag):
                yield run, float(event.step), tag, float(event.value)
        # Version 2 of tf.summary keeps a scalar as a tensor of no axes.
        for tag in log.Tags()["tensors"]:
            for event in log.Tensors(tag):
                value = make_ndarray(event.tensor_proto)
                if value.ndim == 0 and value.dtype.kind in "fiu":
                    yield run, float(event.step), tag, float(value)


def _metrics(place: Path, files: list[Path]) -> Rows:
    names: dict[Path, str] = {}
    for path in files:
        folder = next(each for each in path.parents if each.name == "metrics")
        run = folder.parent
        if run not in names:
            names[run] = _run_name(run, set(names.values()))
        if not names[run]:
            continue
        metric = path.relative_to(folder).as_posix()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            parts = line.split()
            if len(parts) not in (2, 3):
                raise ValueError(f"{path}, line {number}: not `timestamp value step`")
            step = float(parts[2]) if len(parts) == 3 else 0.0
            yield names[run], step, metric, float(parts[1])


def _run_name(run: Path, taken: set[str]) -> str:
    """What a run of MLflow is called; "" if it was deleted."""
    meta = run / "meta.yaml"
    if meta.is_file():
        lines = [line.split() for line in meta.read_text("utf-8").splitlines()]
        if ["lifecycle_stage:", "deleted"] in lines:
            return ""
    told = run / "tags" / "mlflow.runName"
    name = told.read_text("utf-8").strip() if told.is_file() else ""
    return run.name if not name or name in taken else name


def _histories(place: Path, files: list[Path]) -> Rows:
    for path in files:
        run = path.relative_to(place).with_suffix("").as_posix()
        for number, row in enumerate(json_rows(path.read_bytes(), str(path))):
            step = next((row[name] for name in _STEPS if name in row), number)
            if not _is_number(step):
                raise ValueError(f"{path}, line {number + 1}: a step that is no number")
            for name, value in row.items():
                if name not in _STEPS and _is_number(value):
                    yield run, float(step), name, float(value)


def json_rows(content: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    """The objects of JSON lines; empty lines are none.

    Raises:
        ValueError: If a line is no JSON object; says which.
    """
    for number, line in enumerate(content.decode("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"{where}, line {number}: no JSON object")
        yield row


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) < 1e300
        and not math.isnan(value)
    )


_KINDS = {
    "TensorBoard": (_EVENTS, _events),
    "MLflow": ("metrics/**/*", _metrics),
    "JSON lines": ("*.jsonl", _histories),
}
