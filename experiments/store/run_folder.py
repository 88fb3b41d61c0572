"""A run's folder: tables, figures and provenance, listed with their digests."""

import io
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from ...models.learning.files import file_digest, read_regular, write_atomically
from .files import sealed_json, unsealed_json
from .locks import exclusive
from .possible import Changed, check_possible

_MANIFEST = "manifest.json"
_NOTES = "provenance.json"
QUESTIONS = (
    *("attack", "compare", "design", "effects", "feedback", "rational", "retention"),
    *("finality", "risk", "threshold", "withholding"),
)
"""Commands whose results have a folder of their own, ``<command>-<name>-<digest>``."""


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

    def kept(self, stage: str) -> str | None:
        """The key that a stage was done from; None: none is recorded."""
        entry = self._manifest().get(stage)
        key = entry.get("key") if isinstance(entry, dict) else None
        return key if isinstance(key, str) else None

    def spoiled(self, stage: str) -> list[str]:
        """Files of a stage that are not what was written."""
        entry = self._manifest().get(stage)
        files = entry.get("files") if isinstance(entry, dict) else None
        known = files if isinstance(files, dict) else {}
        return [name for name, digest in known.items() if not self._is(name, digest)]

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

    def names(self) -> list[str]:
        """The files that the manifest has a digest of."""
        return sorted(_digests(self._manifest()))

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


def write_listed(path: Path, content: bytes, command: str) -> None:
    """Write a file where the user wants it; if it is into results, they list it."""
    if path.parent.joinpath(_MANIFEST).is_file() and not path.is_symlink():
        keep(path.parent, f"beside: {path.name}", command, {path.name: content})
    else:
        write_atomically(path, content)


def how_again(folder: Path, name: str) -> str:
    """What computes a file of a folder again, in words."""
    for toml, command in (("config.toml", "run"), ("sweep.toml", "sweep")):
        # Only these folders are named after their config.
        named = not folder.name.startswith(tuple(f"{q}-" for q in QUESTIONS))
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
