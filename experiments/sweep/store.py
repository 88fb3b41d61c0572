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

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ...models.learning.files import read_regular, write_atomically
from ..config.experiment import Config, fingerprint
from ..config.loading import parse_config
from ..config.section import ConfigError
from ..store.files import read_sealed, sealed_json, sealed_name, unsealed_json
from ..store.possible import Changed
from ..store.run_folder import RunFolder, how_again
from .design import sweep_digest
from .points import _META, _TOLD, FORMAT
from .shard_file import ShardFacts, facts_of, shard_key

_log = logging.getLogger(__name__)

_SHORT = 32  # hexadecimal digits of a key in a file's name


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


# ------------------------------------------------------------------ the results' table


# ------------------------------------------------------------------ how far it is
