"""Files that survive kill -9: written aside, renamed, and checked when read.

A *run folder* holds the results of one config; its ``manifest.json`` lists, stage by
stage, what the stage was made from (``key``) and the SHA-256 of what it wrote. A stage
whose key matches and whose files are intact is not done again.

A *curve store* is shared by all runs of one root: training depends on the menu, the
data and the build, not on thresholds, so configs that differ in the rest share it.
"""

import hashlib
import io
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from ..models.training import Curve

_ASIDE = ".tmp"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing, after a crash too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not tempfile's 0600: who may read results is the umask's business.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_ASIDE}")
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as CSV; floats in the shortest form that reads back equal."""
    return table.to_csv(index=False, lineterminator="\n").encode()


class RunFolder:
    """The results of one config, stage by stage."""

    def __init__(self, path: Path):
        self.path = path

    def fresh(self, stage: str, key: str) -> bool:
        """Whether the stage was done from this key and its files are intact."""
        entry = self._manifest().get(stage)
        if not isinstance(entry, dict) or entry.get("key") != key:
            return False
        files = entry.get("files")
        if not isinstance(files, dict) or not files:
            return False
        return all(
            (self.path / name).is_file() and file_digest(self.path / name) == digest
            for name, digest in files.items()
        )

    def finish(self, stage: str, key: str, files: Mapping[str, bytes]) -> None:
        """Write a stage's files, then record the stage."""
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
        text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
        write_atomically(self.path / "manifest.json", text.encode())

    def table(self, name: str) -> pd.DataFrame:
        """Read one of the folder's tables; empty text cells stay empty text."""
        # A comparison may be labelled NA or None: only an empty cell is no value.
        frame = pd.read_csv(self.path / name, keep_default_na=False, na_values=[""])
        texts = frame.select_dtypes(include=["object", "string"]).columns
        return frame.assign(**{c: frame[c].fillna("") for c in texts})

    def _manifest(self) -> dict:
        try:
            found = json.loads((self.path / "manifest.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


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
        name = f"runs-{runs[0]:06d}-{runs[-1]:06d}-{len(runs)}-{looks}.npz"
        write_atomically(self.path / name, buffer.getvalue())

    def _read(self, path: Path) -> dict[int, Curve] | None:
        try:
            # Opened here: numpy leaves a file open that is no zip.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as chunk:
                runs, correct, loss = (chunk[k] for k in ("runs", "correct", "loss"))
        except Exception:  # whatever zipfile and numpy meet in a damaged file
            return None
        shape = (*runs.shape, *correct.shape[1:])
        kinds = (runs.dtype.kind, correct.dtype.kind, loss.dtype.kind)
        if not (correct.shape == loss.shape == shape and len(shape) == 2):
            return None
        if kinds != ("i", "i", "f"):
            return None
        return {
            int(run): Curve(correct[i], loss[i])  # pyright: ignore
            for i, run in enumerate(runs)
        }


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a folder for one process; another one gets an error instead of a race.

    What a killed process left half-written in it is cleared away.

    Raises:
        BlockingIOError: If another process holds it.
    """
    path.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two runs at once stay the user's care.
        yield
        return
    with (path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in path.rglob(f".*{_ASIDE}"):
            left.unlink()
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
