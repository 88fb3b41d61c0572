"""Files that survive kill -9: written aside, renamed, and checked whenever read.

A *run folder* holds the results of one config; its ``manifest.json`` lists, stage by
stage, what the stage was made from (``key``) and the SHA-256 of what it wrote. A stage
whose key matches and whose files are intact is not done again.

Whose name ends in its digest is *sealed*: curves, and a sweep's shards.

A *curve store* is shared by all runs of one root: training depends on the menu, the
data and the build, not on thresholds, so configs that differ in the rest share it.
"""

import hashlib
import io
import json
import logging
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..models.files import ASIDE, file_digest, read_regular, write_atomically
from ..models.training import Curve
from .possible import Changed, check_possible

_log = logging.getLogger(__name__)

_DIGITS = 32  # hexadecimal digits of a digest in a file's name
_SEALED = re.compile(rf"(.+)-([0-9a-f]{{{_DIGITS}}})(\.[a-z]+)")
_MANIFEST = "manifest.json"
_NOTES = "provenance.json"
_SEAL = "sha256"


class Busy(BlockingIOError):
    """Another process works on the folder."""


def sealed_json(facts: Mapping[str, Any]) -> bytes:
    """A JSON object with the SHA-256 of the rest of it: a changed byte shows."""
    return _json({**facts, _SEAL: hashlib.sha256(_json(facts)).hexdigest()})


def unsealed_json(content: bytes) -> dict[str, Any]:
    """What ``sealed_json`` was given.

    Raises:
        ValueError: If a byte of it is another.
    """
    try:
        facts = json.loads(content)
        seal = facts.pop(_SEAL)
        intact = sealed_json(facts) == content
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ValueError("it is no JSON with a digest of its own") from None
    if not intact:
        raise ValueError(f"its digest is not {seal}")
    return facts


def _json(facts: Mapping[str, Any]) -> bytes:
    return (json.dumps(facts, indent=1, sort_keys=True) + "\n").encode()


def sealed_name(stem: str, content: bytes, suffix: str) -> str:
    """A file's name that tells its content: ``<stem>-<SHA-256><suffix>``."""
    return f"{stem}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}{suffix}"


def read_sealed(path: Path) -> bytes:
    """The bytes of a file whose name ``sealed_name`` made.

    Raises:
        ValueError: If they are not what the name says.
        OSError: If it cannot be read.
    """
    name = _SEALED.fullmatch(path.name)
    # First the digest, which needs no memory, however large a sparse file is.
    if name is None or file_digest(path)[:_DIGITS] != name[2]:
        raise ValueError(f"{path} is damaged")
    return read_regular(path)


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV; floats in the shortest form that reads back equal."""
    return table.to_csv(index=False, lineterminator="\n").encode()


class RunFolder:
    """The results of one command, stage by stage, each file with its digest.

    Args:
        path: The folder.
        accept_changed: Whether what was changed is read all the same, with a note in
            ``changed``.
    """

    def __init__(self, path: Path, *, accept_changed: bool = False):
        self.path = path
        self.accept_changed = accept_changed
        self.changed: list[str] = []
        """What is not as it was computed, and was accepted: sentences."""
        self.unvouched: list[str] = []
        """What came without a digest and was asked for all the same: sentences."""

    def fresh(self, stage: str, key: str) -> bool:
        """Whether the stage was done from this key and its files are intact."""
        entry = self._manifest().get(stage)
        if not isinstance(entry, dict) or entry.get("key") != key:
            return False
        files = entry.get("files")
        if not isinstance(files, dict) or not files:
            return False
        return all(self._is(name, digest) for name, digest in files.items())

    def finish(self, stage: str, key: str, files: Mapping[str, bytes]) -> None:
        """Write a stage's files, then record the stage."""
        manifest = self._manifest()
        if manifest.pop(stage, None) is not None:
            # Killed between two files, nobody takes the new one for a damaged old one.
            self._write(manifest)
        for name, content in files.items():
            write_atomically(self.path / name, content)
        self.record(stage, key, list(files))

    def record(self, stage: str, key: str, names: Sequence[str]) -> None:
        """Record files that are already written as the stage's result."""
        manifest = self._manifest()
        manifest[stage] = {
            "key": key,
            "files": {name: file_digest(self.path / name) for name in names},
        }
        self._write(manifest)

    def read(self, name: str) -> bytes:
        """A file's bytes, compared with what was recorded of it.

        Raises:
            Changed: If it is another, unless that is accepted.
            FileNotFoundError: If it is not there.
        """
        path = self.path / name
        digest = file_digest(path)
        reason = self._why_not(name, digest)
        if reason:
            if not self.accept_changed:
                raise Changed(f"{reason}; {self._again(name)}")
            self.note(reason)
        return read_regular(path)

    def write_notes(self, key: str, facts: Mapping[str, Any]) -> None:
        """Keep who made the last stage, of that key, when and how: no result."""
        # Sealed, and not in the manifest: that is the same whenever it is made.
        content = sealed_json({**facts, "stage": key})
        write_atomically(self.path / _NOTES, content)

    def has_notes(self, key: str) -> bool:
        """Whether the notes of the last stage, of that key, are there and intact."""
        try:
            found = unsealed_json(read_regular(self.path / _NOTES))
        except (OSError, ValueError):
            return False
        return found.get("stage") == key

    def notes(self, stage: str) -> dict[str, Any]:
        """What ``write_notes`` kept of a stage.

        Raises:
            Changed: If it is another, or of another folder; if that is accepted,
                nothing is known.
            FileNotFoundError: If there are none.
        """
        content = read_regular(self.path / _NOTES)
        entry = self._manifest().get(stage, {})
        with suppress(ValueError):
            found = unsealed_json(content)
            if found.get("stage") == entry.get("key"):
                return found
        path = self.path / _NOTES
        reason = f"{path} is not what was written: it was changed, or is damaged"
        if not self.accept_changed:
            raise Changed(f"{reason}; {self._again(_NOTES)}")
        self.note(reason)
        return {}

    def note(self, reason: str) -> None:
        """Keep what was accepted though it is not as it was computed."""
        if reason not in self.changed:
            self.changed.append(reason)

    def lists(self, name: str) -> bool:
        """Whether the manifest has the file's digest."""
        return name in _digests(self._manifest())

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the folder's tables; empty text cells stay empty text.

        Raises:
            Changed: If it is not what was written, unless that is accepted, or if it
                holds what cannot be.
            ValueError: If it is no such table.
        """
        content = self.read(name)
        # A comparison may be labelled NA or None: only an empty cell is no value.
        frame = pd.read_csv(
            io.BytesIO(content), keep_default_na=False, na_values=[""], low_memory=False
        )
        check_possible(frame, str(self.path / name))
        texts = frame.select_dtypes(include=["object", "string"]).columns
        return frame.assign(**{c: frame[c].fillna("") for c in texts})

    def _is(self, name: str, digest: str) -> bool:
        try:
            return file_digest(self.path / name) == digest
        except OSError:
            return False

    def _why_not(self, name: str, digest: str) -> str:
        """Why a file is not what was written; empty: it is."""
        path, manifest = self.path / name, self.path / _MANIFEST
        try:
            known = _digests(unsealed_json(read_regular(manifest)))
        except FileNotFoundError:
            return f"nothing vouches for {path}: no {_MANIFEST} lies beside it"
        except (OSError, ValueError):
            return (
                f"nothing vouches for {path}: {manifest} is damaged, changed, or "
                "another version's"
            )
        if name not in known:
            return (
                f"nothing vouches for {path}: {_MANIFEST} does not list it (it was put "
                "there later, or its stage is not finished)"
            )
        if digest != known[name]:
            return f"{path} is not what was written: it was changed, or is damaged"
        return ""

    def _again(self, name: str) -> str:
        return f"{how_again(self.path, name)}; --accept-changed shows it as it is"

    def _write(self, manifest: Mapping[str, Any]) -> None:
        write_atomically(self.path / _MANIFEST, sealed_json(manifest))

    def _manifest(self) -> dict[str, Any]:
        try:
            return unsealed_json(read_regular(self.path / _MANIFEST))
        except (OSError, ValueError):
            return {}


def keep(folder: Path, stage: str, key: str, files: Mapping[str, bytes]) -> None:
    """Write a command's results as a folder's stage, one process at a time."""
    with exclusive(folder, wait=True):
        RunFolder(folder).finish(stage, key, files)


def write_listed(path: Path, content: bytes) -> None:
    """Write a file where the user wants it; if it is into results, they list it."""
    if path.parent.joinpath(_MANIFEST).is_file() and not path.is_symlink():
        keep(path.parent, f"beside: {path.name}", "", {path.name: content})
    else:
        write_atomically(path, content)


def how_again(folder: Path, name: str) -> str:
    """What computes a file of a folder again, in words."""
    for toml, command in (("config.toml", "run"), ("sweep.toml", "sweep")):
        # Only these folders are named after their config.
        named = not folder.name.startswith(("risk-", "attack-", "effects-", "design-"))
        if name != toml and named and (folder / toml).is_file():
            words = ["dpodl", command, str(folder / toml), "--output"]
            told = shlex.join([*words, str(folder.parent)])
            return f"`{told}` computes again what is damaged"
    if name == "sweep.toml":
        return "delete it, and the same `dpodl sweep` as before writes it again"
    return "the command that made the folder, given again, computes it again"


def _digests(manifest: Mapping[str, Any]) -> dict[str, str]:
    """File → digest, over all stages of a manifest."""
    found: dict[str, str] = {}
    for entry in manifest.values():
        if isinstance(entry, dict) and isinstance(entry.get("files"), dict):
            found |= entry["files"]
    return found


class CurveStore:
    """Finished training runs of one (seed, menu, settings, data, build).

    Curves of any length: a horizon is served by those that are as long or longer, and
    ``longest`` says what a training can be taken up from.
    """

    def __init__(self, path: Path, looks: int):
        self.path = path
        self.looks = looks

    def load(self) -> dict[int, Curve]:
        """Every run with enough looks: run index → its curve, cut to ``looks``."""
        return {
            run: Curve(curve.correct[: self.looks], curve.loss[: self.looks])
            for run, curve in self.longest().items()
            if len(curve.correct) >= self.looks
        }

    def longest(self) -> dict[int, Curve]:
        """Every run's longest curve. Damaged files count as missing."""
        found: dict[int, Curve] = {}
        for path in sorted(self.path.glob("runs-*.npz")):
            chunk = self._read(path)
            if chunk is None:
                _log.warning("%s is damaged: its runs are trained again", path)
                path.unlink(missing_ok=True)
                continue
            for run, curve in chunk.items():
                if run not in found or len(curve.correct) > len(found[run].correct):
                    found[run] = curve
        return found

    def add(self, runs: Sequence[int], curve: Curve) -> None:
        """Keep a chunk of finished runs."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            runs=np.asarray(runs, np.int64),
            correct=np.asarray(curve.correct),
            loss=np.asarray(curve.loss),
        )
        # Two processes that train the same runs write the same bytes. Shorter curves
        # stay where they are: another process may be reading them.
        looks = np.shape(curve.correct)[1]
        stem = f"runs-{runs[0]:06d}-{runs[-1]:06d}-{len(runs)}-{looks}"
        name = sealed_name(stem, buffer.getvalue(), ".npz")
        write_atomically(self.path / name, buffer.getvalue())

    def _read(self, path: Path) -> dict[int, Curve] | None:
        try:
            content = io.BytesIO(read_sealed(path))
            with np.load(content, allow_pickle=False) as chunk:
                runs, correct, loss = (chunk[k] for k in ("runs", "correct", "loss"))
        except Exception:  # whatever zipfile and numpy meet in a damaged file
            return None
        shape = (*runs.shape, *correct.shape[1:])
        kinds = (runs.dtype.kind, correct.dtype.kind, loss.dtype.kind)
        if not (correct.shape == loss.shape == shape and len(shape) == 2):
            return None
        if kinds != ("i", "i", "f") or (runs < 0).any() or (correct < 0).any():
            return None
        return {
            int(run): Curve(correct[i], loss[i])  # pyright: ignore
            for i, run in enumerate(runs)
        }


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a folder for one process; another one gets an error instead of a race.

    What a killed process left half-written in it is cleared away.

    Args:
        path: The folder.
        wait: Whether to wait for another process, which only writes.

    Raises:
        Busy: If another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two runs at once stay the user's care.
        yield
        return
    # No link is followed, no pipe waited for, and nothing cut: the folder may be a
    # stranger's.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(path / ".lock", flags, 0o666), "rb+", 0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(f"another dpodl is working on this run folder: {path}") from None
        for left in path.rglob(f".*{ASIDE}"):
            left.unlink(missing_ok=True)
        yield


def source_digest(packages: Sequence[Path]) -> str:
    """SHA-256 over the package's Python files: the code version results belong to."""
    total = hashlib.sha256()
    for package in packages:
        for path in sorted(package.glob("*.py")):
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


Progress = Callable[[str, int, int], None]
"""Called with (what, done, total) as work proceeds."""
