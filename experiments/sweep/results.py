"""Everything that a sweep has found, as one tidy table."""

import gzip
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..store.possible import check_possible
from ..world.verdict import VERDICT_QUANTITIES
from .points import META
from .shard_file import ROWS, table_of
from .store import Known, SweepStore, intact_shard


def results_table(store: SweepStore) -> pa.Table:
    """All that is known of a sweep's points, as ``read_results``.

    If changed files were accepted, every row says so in a column ``changed``.

    Raises:
        StoreError: If the folder is no sweep's, or another version's.
        Changed: If a file of it is not what was written, and that is not accepted.
    """
    plan = store.points()
    known = store.known_to_readers()
    facts = json.loads((plan.schema.metadata or {})[META])
    keys, errors = plan["key"].to_pylist(), plan["error"].to_pylist()
    tables, number = _rows_of(keys, known)
    rows = pa.concat_tables(tables) if tables else table_of_nothing()
    numbers = np.concatenate(number) if number else np.zeros(0, np.int64)
    # Points of one key share their rows.
    ids = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(len(ids) + 1))
    taken, points, status, told = [], [], [], []
    for place, key in enumerate(keys):
        what = known.get(key)
        error = errors[place] or (what.error if what else "")
        if what is None and not error:
            continue
        first, last = starts[ids[key]], starts[ids[key] + 1]
        done = not error
        mine = order[first:last] if done and last > first else np.array([-1])
        taken.append(mine)
        points.append(np.full(len(mine), place))
        status += ["done" if done else "failed"] * len(mine)
        told += [error] * len(mine)
    take = np.concatenate(taken) if taken else np.zeros(0, np.int64)
    whose = np.concatenate(points) if points else np.zeros(0, np.int64)
    body = rows.take(pa.array(take, pa.int64(), mask=take < 0))
    head = plan.take(pa.array(whose, pa.int64()))
    columns = {
        "point": head["point"],
        "status": pa.array(status, pa.string()),
        "error": pa.array(told, pa.string()),
        **{name: head[name] for name in facts["parameters"]},
        **{name: body[name] for name in ROWS},
    }
    if store.folder.changed:
        note = "; ".join(store.folder.changed)
        columns["changed"] = pa.array([note] * len(status), pa.string())
    return pa.table(columns).combine_chunks()


def table_of_nothing() -> pa.Table:
    """Rows of no point."""
    from .shard_file import encode

    return table_of(encode((), ())).drop_columns(["place"])


def _rows_of(
    keys: Sequence[str], known: Mapping[str, Known]
) -> tuple[list[pa.Table], list[np.ndarray]]:
    """Rows of done points, shard by shard, and the number of each row's key."""
    by_shard: dict[Path, dict[int, int]] = {}
    for number, key in enumerate(dict.fromkeys(keys)):
        what = known.get(key)
        if what is not None and what.done:
            by_shard.setdefault(what.shard, {})[what.place] = number
    tables, numbers = [], []
    for path, places in by_shard.items():
        table = table_of(intact_shard(path)[0])
        lookup = np.full(max(places) + 2, -1)
        lookup[list(places)] = list(places.values())
        place = np.minimum(table["place"].to_numpy(), len(lookup) - 1)
        mine = lookup[place]
        tables.append(table.filter(pa.array(mine >= 0)).drop_columns(["place"]))
        numbers.append(mine[mine >= 0])
    return tables, numbers


def read_results(path: Path | str, *, accept_changed: bool = False) -> pd.DataFrame:
    """Everything that a sweep has found, tidy, in the order of its design.

    Args:
        path: The sweep's folder.
        accept_changed: Whether what was changed is shown, with a note in a column
            ``changed``.

    Returns:
        A row for each point and figure, one for a point that failed: point, status
        (done, failed), error; scheme.t_acc, scheme.t_1 and scheme.t_2 as text, p_1,
        p_2, network.provers, network.beta, network.delay_steps and every swept
        setting; quantity, at, at_unit, value, low, high, count, method, unit. Points
        that are not tried yet have no row.

    Raises:
        StoreError: If the folder is no sweep's, or another version's.
        Changed: If a file of it is not what was written, or holds what cannot be.
    """
    return results_frame(SweepStore(Path(path), accept_changed=accept_changed))


def results_frame(store: SweepStore) -> pd.DataFrame:
    """As ``read_results``, of a store."""
    frame = _frame(results_table(store))
    check_possible(frame, str(store.path))
    return frame


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            name: (
                table[name].to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
                if table[name].null_count and pa.types.is_integer(table[name].type)
                else table[name].to_pandas()
            )
            for name in table.column_names
        }
    )
    # Of one type, whether or not a point has failed.
    return frame.astype({"count": "Int64"})


def results_bytes(table: pa.Table, kind: str) -> bytes:
    """The results as csv, csv.gz, json or parquet; the same table, the same bytes."""
    if kind == "parquet":
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()
    if kind == "json":
        columns = [[_plain(v) for v in column] for column in table.to_pydict().values()]
        names = table.column_names
        records = (
            json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)
            for row in zip(*columns, strict=True)
        )
        return ("[\n" + ",\n".join(records) + "\n]\n").encode()
    content = _frame(table).to_csv(index=False, lineterminator="\n").encode()
    if kind == "csv.gz":
        return gzip.compress(content, 6, mtime=0)
    return content


def verdict_rows(table: pa.Table) -> pd.DataFrame:
    """The rows that verdicts are read from, and one at least of every point.

    Args:
        table: ``results_table``.
    """
    wanted = table["quantity"].to_pandas().isin(VERDICT_QUANTITIES).to_numpy(bool)
    # A point without these has no verdict, and is counted.
    first = np.zeros(table.num_rows, bool)
    first[np.unique(table["point"].to_numpy(), return_index=True)[1]] = True
    names = ["point", "status", "quantity", "at", "value", "low", "high", "method"]
    known = ("security.target", "adversary.attack")
    names += [name for name in known if name in table.column_names]
    return table.select(names).filter(pa.array(wanted | first)).to_pandas()


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
