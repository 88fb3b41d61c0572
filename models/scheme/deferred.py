"""Tensors that are known by their digests, and computed only where they are needed.

A training that has been done before is replayed from what was noted of its looks. Most
of what a replay asks is answered by digests: a look's ticket, a proof's checkpoints.
The tensors of the few trainings that go on are computed again.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Deferred:
    """Named tensors that are computed on first use; else used like a dictionary.

    Attributes:
        digest: Their digest.
        parameters_digest: That of the learnable parameters among them.

    Args:
        digest: Their digest.
        parameters_digest: That of the learnable parameters among them.
        before: The tensors they are computed from, which may be deferred too.
        run: Computes them from those.
    """

    def __init__(
        self,
        digest: bytes,
        parameters_digest: bytes,
        before: "dict[str, np.ndarray] | Deferred",
        run: Callable[[Any], Any],
    ):
        self.digest = digest
        self.parameters_digest = parameters_digest
        self._before: Any = before
        self._run = run
        self._loaded: dict[str, np.ndarray] | None = None

    def load(self) -> dict[str, np.ndarray]:
        """Compute them, unless that has been done, and all they are computed from."""
        # A loop: a training may have more looks than the stack is deep.
        waiting: list[Deferred] = []
        each: Any = self
        while isinstance(each, Deferred) and each._loaded is None:
            waiting.append(each)
            each = each._before
        for each in reversed(waiting):
            each._loaded = dict(each._run(each._before))
            each._before = None
        assert self._loaded is not None
        return self._loaded

    def __getitem__(self, name: str) -> np.ndarray:
        return self.load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.load())

    def __len__(self) -> int:
        return len(self.load())

    def __or__(self, other: "dict[str, np.ndarray] | Deferred") -> dict[str, Any]:
        return self.load() | dict(other.items())

    def __ror__(self, other: dict[str, np.ndarray]) -> dict[str, Any]:
        return other | self.load()

    def __contains__(self, name: object) -> bool:
        return name in self.load()

    def keys(self):
        """Names."""
        return self.load().keys()

    def values(self):
        """Tensors."""
        return self.load().values()

    def items(self):
        """Names with tensors."""
        return self.load().items()

    def get(self, name: str, default: Any = None) -> Any:
        """A tensor, or the default."""
        return self.load().get(name, default)
