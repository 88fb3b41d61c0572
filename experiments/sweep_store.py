"""A sweep's folder: what is to be computed, what is, and the one table of all of it.

    sweep.toml        the frozen config: base, axes, design, effort
    points.parquet    every point: parameters, key, group; why it is left out, if it is
    shards/           computed points, ``<shard key>-<SHA-256 of the file>.parquet``
    results.parquet   the tidy table of all points, and the same as results.csv.gz
    manifest.json     SHA-256 of the files above but the shards, and of itself
    provenance.json   who computed what, when and how long, and its own SHA-256; nothing
                      else depends on it

A point is done if an intact shard has its rows: the key in it says of which settings,
curves and code. Nothing is ever changed, only written aside and renamed; what
was changed by others is refused by who reads it, and computed again by who writes it.
"""

import gzip
import hashlib
import io
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..models.files import read_regular, write_atomically
from .config import Config, ConfigError, fingerprint, parse_config
from .possible import Changed, check_possible
from .shards import ROWS, ShardFacts, facts_of, shard_key, table_of
from .store import (
    RunFolder,
    how_again,
    read_sealed,
    sealed_json,
    sealed_name,
    unsealed_json,
)
from .sweep_design import Design, sweep_digest, text

_log = logging.getLogger(__name__)

FORMAT = 1
_META = b"dpodl.sweep"
_SHORT = 32  # hexadecimal digits of a key in a file's name
_ALWAYS = (
    "scheme.t_acc",
    "scheme.t_1",
    "scheme.t_2",
    "p_1",
    "p_2",
    "network.provers",
    "network.beta",
    "network.delay_steps",
)
# What the columns of a plan are, beside the parameters.
_TOLD = frozenset({"point", "key", "group", "label", "error"})
# What the columns above say already.
_SAID = {"scheme.p_1", "scheme.p_2"}


class StoreError(ConfigError):
    """The folder is not the store that is asked for; the message says why."""


class Known(NamedTuple):
    """What is known of a point.

    Attributes:
        shard: File that says it.
        place: The point's place in it.
        error: Why it failed; empty: it is done.
        unexpected: Whether it failed by an exception or a dead worker.
        attempt: How often it has been tried.
    """

    shard: Path
    place: int
    error: str
    unexpected: bool
    attempt: int

    @property
    def done(self) -> bool:
        """Whether it has its rows."""
        return not self.error


class Counts(NamedTuple):
    """How far points are.

    Attributes:
        points: All of them.
        done: Those that have their rows.
        failed: Those that were tried, or were left out, and have none.
        todo: The others.
    """

    points: int
    done: int
    failed: int
    todo: int


class SweepStore:
    """The folder of one sweep.

    Args:
        path: The folder.
        accept_changed: Whether readers are shown what was changed; it is noted in
            ``folder.changed``.
    """

    def __init__(self, path: Path, *, accept_changed: bool = False):
        self.path = path
        self.folder = RunFolder(path, accept_changed=accept_changed)
        self._known: dict[str, Known] = {}
        self._seen: dict[Path, tuple[int, int]] = {}
        self._damaged: set[Path] = set()

    # -------------------------------------------------------------- what is to be done

    def write_plan(self, config: Config, table: pa.Table) -> None:
        """Keep the frozen config and the points, unless they are there.

        Raises:
            StoreError: If the folder belongs to something else.
        """
        toml = self.path / "sweep.toml"
        text = config.to_toml().encode()
        if toml.is_file():
            self.check(config)
            text = toml.read_bytes()
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        self.keep("plan", {"sweep.toml": text, "points.parquet": buffer.getvalue()})

    def keep(self, stage: str, files: Mapping[str, bytes]) -> None:
        """Write a stage's files and record them, unless they are there and intact."""
        key = fingerprint({n: hashlib.sha256(c).hexdigest() for n, c in files.items()})
        if not self.folder.fresh(stage, key):
            self.folder.finish(stage, key, files)

    def check(self, config: Config) -> None:
        """See that a folder that is there is this sweep's.

        Raises:
            StoreError: If it belongs to something else.
        """
        toml = self.path / "sweep.toml"
        if not toml.is_file():
            return
        try:
            text = read_regular(toml).decode()
            found = sweep_digest(parse_config(text, str(toml)))
        except (ConfigError, UnicodeDecodeError, OSError) as error:
            raise StoreError(
                f"{self.path} is not this version's store, or is damaged: {error}"
            ) from None
        if found != sweep_digest(config):
            raise StoreError(
                f"{toml} is not the config that this folder is named after: it was "
                "changed, or another version wrote it; move the folder away"
            )
        with suppress(Changed):  # the plan is written again, whatever stands there
            if (self.path / "points.parquet").is_file():
                self.points()

    def config(self) -> Config:
        """The frozen config.

        Raises:
            ConfigError: If there is none, or it cannot be read.
            Changed: If it is not what was written.
        """
        try:
            text = self.folder.read("sweep.toml").decode()
            return parse_config(text, str(self.path / "sweep.toml"))
        except (OSError, UnicodeDecodeError):
            raise StoreError(
                f"{self.path} is no sweep's folder: no sweep.toml"
            ) from None

    def points(self) -> pa.Table:
        """Every point: point, key, group, label, error, then its parameters.

        Raises:
            StoreError: If the folder is no sweep's, or another version's.
            Changed: If it is not what was written.
        """
        path = self.path / "points.parquet"
        if not path.is_file():
            raise StoreError(
                f"{self.path} is no sweep's folder: it has no points.parquet"
            )
        content = self.folder.read("points.parquet")
        try:
            table = pq.read_table(io.BytesIO(content))
            meta = json.loads((table.schema.metadata or {})[_META])
            version = meta["format"]
            lacks = {*_TOLD, *meta["parameters"]} - set(table.column_names)
            kinds = {name: table.schema.field(name).type for name in _TOLD - lacks}
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
            raise StoreError(
                f"{path} is damaged or not a sweep's; the same `dpodl sweep` writes "
                "it again when it is deleted"
            ) from None
        if version != FORMAT:
            raise StoreError(
                f"{self.path} is a store of format {version}; this dpodl reads "
                f"{FORMAT}: use the version that wrote it"
            )
        if lacks or any(
            kind != (pa.int64() if name == "point" else pa.string())
            for name, kind in kinds.items()
        ):
            raise StoreError(f"{path} is no table of a sweep's points")
        return table

    # -------------------------------------------------------------- what is done

    def known(self) -> Mapping[str, Known]:
        """Point's key → what intact shards say of it. Reads only files that are new."""
        for path in sorted((self.path / "shards").glob("*.parquet")):
            try:
                stat = path.stat()
                seen = (stat.st_mtime_ns, stat.st_size)
                if self._seen.get(path) == seen:
                    continue
                _, facts = intact_shard(path)
            except FileNotFoundError:
                continue  # a sweep that goes on has just replaced it
            except (OSError, ValueError):
                self._damaged.add(path)
                continue
            self._seen[path] = seen
            self._learn(path, facts)
        return self._known

    def known_to_readers(self) -> Mapping[str, Known]:
        """As ``known``, for who shows it: a damaged shard's points are not "to do".

        Raises:
            Changed: If a shard is damaged, unless that is accepted: then its points
                are left out, and that is noted.
        """
        known = self.known()
        for path in sorted(self._damaged):
            reason = f"{path} is not what was written: it was changed, or is damaged"
            if not self.folder.accept_changed:
                again = how_again(self.path, path.name)
                raise Changed(f"{reason}; {again}; --accept-changed shows the others")
            self.folder.note(f"{reason}; its points are left out")
        return known

    def _learn(self, path: Path, facts: ShardFacts) -> None:
        for place, key in enumerate(facts.keys):
            error = facts.errors.get(place, "")
            new = Known(path, place, error, place in facts.unexpected, facts.attempt)
            old = self._known.get(key)
            # Rows beat a failure, a later failure an earlier one.
            if old is None or (new.done, new.attempt) > (old.done, old.attempt):
                self._known[key] = new

    def add(self, content: bytes) -> ShardFacts:
        """Keep a shard."""
        facts = facts_of(content)
        stem = shard_key(facts.keys, facts.attempt)[:_SHORT]
        path = self.path / "shards" / sealed_name(stem, content, ".parquet")
        write_atomically(path, content)
        self._learn(path, facts)
        return facts

    def worked_on(self) -> bool:
        """Whether a process is working on it now."""
        try:
            import fcntl
        except ImportError:  # Windows: as store.exclusive
            return False
        try:
            with (self.path / ".lock").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def drop_damaged(self) -> int:
        """Delete shards that are not what their names say; returns how many."""
        self.known()
        damaged, self._damaged = self._damaged, set()
        for path in sorted(damaged):
            _log.warning("%s is damaged: its points are computed again", path)
            path.unlink(missing_ok=True)
        return len(damaged)

    # -------------------------------------------------------------- who did it

    def sessions(self) -> list[dict[str, Any]]:
        """What each process that worked on it noted, oldest first.

        For who goes on with it: notes that are damaged are begun anew.
        """
        try:
            return self._notes()
        except (OSError, ValueError):
            return []

    def sessions_to_readers(self) -> list[dict[str, Any]]:
        """As ``sessions``, for who shows them.

        Raises:
            Changed: If they are not what was written, unless that is accepted.
        """
        path = self.path / "provenance.json"
        try:
            return self._notes()
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            reason = f"{path} is not what was written: {error}"
            if not self.folder.accept_changed:
                again = how_again(self.path, path.name)
                raise Changed(f"{reason}; {again}; --accept-changed goes on") from None
            self.folder.note(reason)
            return []

    def _notes(self) -> list[dict[str, Any]]:
        found = unsealed_json(read_regular(self.path / "provenance.json"))
        sessions = found.get("sessions")
        if not isinstance(sessions, list):
            raise ValueError("no sessions are noted in it")
        return [s for s in sessions if isinstance(s, dict)]

    def write_sessions(self, sessions: Sequence[Mapping[str, Any]]) -> None:
        """Keep the notes."""
        notes = sealed_json({"sessions": list(sessions)})
        write_atomically(self.path / "provenance.json", notes)


def intact_shard(path: Path) -> tuple[bytes, ShardFacts]:
    """A shard's bytes, and what its footer tells.

    Raises:
        ValueError: If they are not what its name says.
    """
    content = read_sealed(path)
    facts = facts_of(content)
    if not path.name.startswith(shard_key(facts.keys, facts.attempt)[:_SHORT]):
        raise ValueError(f"{path} is another shard than its name says")
    return content, facts


def store_path(config: Config, root: Path) -> Path:
    """Where a frozen sweep is kept."""
    return root / f"sweep-{config.name}-{sweep_digest(config)[:10]}"


def found_elsewhere(
    root: Path, wanted: Iterable[str], *, beside: Path
) -> Iterator[tuple[bytes, list[int]]]:
    """Done points of other sweeps of the same folder: a shard's bytes, places in it."""
    missing = set(wanted)
    for path in sorted(root.glob("sweep-*/shards/*.parquet")):
        if not missing:
            return
        if path.parent.parent == beside:
            continue
        try:
            content, facts = intact_shard(path)
            places = [
                place
                for place, key in enumerate(facts.keys)
                if key in missing and place not in facts.errors
            ]
        except (OSError, ValueError):
            continue
        if places:
            missing -= {facts.keys[place] for place in places}
            yield content, places


# ------------------------------------------------------------------ the points' table


def parameter_names(design: Design) -> list[str]:
    """The columns of a point's parameters: some always, then all that is swept."""
    swept = [axis.path for axis in design.axes]
    return [*_ALWAYS, *(p for p in swept if p not in _ALWAYS and p not in _SAID)]


def parameters(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """A point's parameters; what is no number is text, as JSON."""
    scheme, net = config.scheme, config.network
    targets = config.model_dump(mode="json", include={"scheme": {"t_1", "t_2"}})
    always = {
        "scheme.t_acc": scheme.t_acc,
        **{f"scheme.{name}": target for name, target in targets["scheme"].items()},
        "p_1": scheme.p_1,
        "p_2": scheme.p_2,
        "network.provers": net.provers,
        "network.beta": net.beta,
        "network.delay_steps": net.delay_steps,
    }
    return {name: value for name, value in values.items() if name not in _SAID} | always


def points_table(
    design: Design,
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Sequence[str]],
) -> pa.Table:
    """The points as a table.

    Args:
        design: Them.
        rows: ``parameters`` of each.
        columns: Texts of each by name: key, group, label, error.
    """
    names = parameter_names(design)
    arrays = {"point": pa.array(range(len(rows)), pa.int64())}
    arrays |= {n: pa.array(c, pa.string()) for n, c in columns.items()}
    arrays |= {name: _column([row.get(name) for row in rows]) for name in names}
    facts = json.dumps({"format": FORMAT, "parameters": names}, sort_keys=True)
    return pa.table(arrays).replace_schema_metadata({_META: facts.encode()})


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    small = all(abs(v) < 2**63 for v in values if isinstance(v, int))
    if kinds <= {int} and small:
        return pa.array(values, pa.int64())
    if kinds <= {int, float} and small:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if v is None else text(v) for v in values], pa.string())


# ------------------------------------------------------------------ the results' table


def results_table(store: SweepStore) -> pa.Table:
    """All that is known of a sweep's points, as ``read_results``.

    If changed files were accepted, every row says so in a column ``changed``.

    Raises:
        StoreError: If the folder is no sweep's, or another version's.
        Changed: If a file of it is not what was written, and that is not accepted.
    """
    plan = store.points()
    known = store.known_to_readers()
    facts = json.loads((plan.schema.metadata or {})[_META])
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
    from .shards import encode

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


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# ------------------------------------------------------------------ how far it is


def count_points(store: SweepStore) -> tuple[Counts, list[tuple[str, Counts]]]:
    """How far a sweep is, and how far each group of it: (all, [(label, group's)]).

    Raises:
        StoreError: If the folder is no sweep's, or another version's.
        Changed: If a file of it is not what was written, and that is not accepted.
    """
    plan, known = store.points(), store.known_to_readers()
    groups: dict[str, list[int]] = {}
    total = [0, 0, 0]
    columns = (plan[name].to_pylist() for name in ("key", "group", "label", "error"))
    for key, group, label, error in zip(*columns, strict=True):
        what = known.get(key)
        state = 1 if error else 2 if what is None else 0 if what.done else 1
        name = f"{group[:8]} {label}".strip() if group else "settings that do not fit"
        groups.setdefault(name, [0, 0, 0])[state] += 1
        total[state] += 1
    return _counts(total), [(name, _counts(c)) for name, c in groups.items()]


def _counts(found: Sequence[int]) -> Counts:
    done, failed, todo = found
    return Counts(done + failed + todo, done, failed, todo)


def rate(sessions: Sequence[Mapping[str, Any]]) -> float | None:
    """Points a second of the last process that computed any."""
    for session in reversed(sessions):
        try:
            if session["computed"] and session["seconds"]:
                return float(session["computed"] / session["seconds"])
        except (KeyError, TypeError, ZeroDivisionError):
            continue
    return None
