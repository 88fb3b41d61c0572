"""States that trainings are taken up from: one file a run, beside its curves.

A state is what ``models.learning.curves.Extended`` says, as it was at a run's last
look. The file is safetensors; its header has the digest of its tensors, run and looks,
so that one that is damaged or renamed is none. It is written before the curve whose
end it is, and the shorter one is removed after that: a process that is killed anywhere
leaves curves that can be taken up, at the worst, where they could be before.
"""

import re
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from ...models.learning.chunk_program import Tensors
from ...models.learning.files import open_regular, write_atomically
from ...models.scheme.encoding import digest
from ...models.scheme.states import tensors_digest

_NAME = re.compile(r"state-(\d{6,})-(\d{1,9})\.safetensors")


class StateStore:
    """States of one curve store's runs."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, run: int, looks: int, state: Tensors) -> None:
        """Keep the state of a run behind so many looks."""
        tensors = {k: np.ascontiguousarray(v) for k, v in sorted(state.items())}
        content = save(tensors, {"digest": _digest(tensors, run, looks)})
        write_atomically(self._file(run, looks), content)

    def keep_only(self, run: int, looks: int) -> None:
        """Clear a run's shorter states away."""
        for path, their_run, their_looks in self._all(f"state-{run:06d}-*"):
            if their_run == run and their_looks < looks:
                path.unlink(missing_ok=True)

    def looks(self) -> dict[int, list[int]]:
        """Run → looks it has a state of, most first. Their content is not read."""
        found: dict[int, list[int]] = {}
        for _, run, looks in self._all("state-*"):
            found.setdefault(run, []).append(looks)
        return {run: sorted(all_, reverse=True) for run, all_ in found.items()}

    def read(self, run: int, looks: int) -> dict[str, np.ndarray] | None:
        """A state; None if there is none that is whole. A damaged one is removed."""
        path = self._file(run, looks)
        try:
            with open_regular(path):
                pass  # a pipe would hang the reader
            with safe_open(path, "numpy") as file:
                said = (file.metadata() or {}).get("digest")
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if said == _digest(tensors, run, looks):
                return tensors
        except FileNotFoundError:
            return None
        except Exception:  # whatever a damaged header or tensor makes of the reader
            pass
        path.unlink(missing_ok=True)
        return None

    def size(self) -> int:
        """Bytes of all of them."""
        return sum(path.stat().st_size for path, _, _ in self._all("state-*"))

    def _file(self, run: int, looks: int) -> Path:
        return self.path / f"state-{run:06d}-{looks}.safetensors"

    def _all(self, pattern: str) -> list[tuple[Path, int, int]]:
        matches = [(p, _NAME.fullmatch(p.name)) for p in self.path.glob(pattern)]
        return [(p, int(m[1]), int(m[2])) for p, m in matches if m]


def _digest(tensors: dict[str, np.ndarray], run: int, looks: int) -> str:
    place = f"{run:016d}{looks:016d}".encode()
    return digest("training state", place, tensors_digest(tensors)).hex()
