"""A shard's file: rows of its points, and what is known of each, in one Parquet."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..config.experiment import fingerprint
from . import evaluation

FORMAT = 1


_META = b"dpodl.shard"


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


def shard_key(keys: Sequence[str], attempt: int) -> str:
    """SHA-256 that names a shard."""
    return fingerprint([list(keys), attempt])


def encode(
    keys: Sequence[str],
    outcomes: Sequence[evaluation.Outcome],
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
