"""Learning curves on disk: one file a run and chunk, checked whenever it is read."""

import io
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...models.learning.files import write_atomically
from ...models.learning.looks import Curve
from .files import read_sealed, sealed_name

_log = logging.getLogger(__name__)


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
