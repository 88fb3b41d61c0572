"""What provers keep of their trainings: states and the leaves of their proofs."""

from collections.abc import Sequence
from typing import Protocol

from ..scheme.checkpoints import Archive, Opening, checkpoint, open_checkpoint
from ..scheme.records import Checkpoint
from ..scheme.states import Look, Tensors, tensors_digest


class Keeper(Archive, Protocol):
    """An archive that provers can leave checkpoints in."""

    def put(self, cp_root: bytes, looks: Sequence[Look]) -> None:
        """Keep a proof's checkpoints."""
        ...


class MemoryArchive:
    """Models and checkpoints, kept in memory."""

    def __init__(self) -> None:
        self.leaves: dict[bytes, tuple[Checkpoint, ...]] = {}
        self._tensors: dict[bytes, Tensors] = {}

    def put(self, cp_root: bytes, looks: Sequence[Look]) -> None:
        """Keep a proof's checkpoints."""
        self.leaves[cp_root] = tuple(map(checkpoint, looks))
        for look in looks:
            self._tensors[tensors_digest(look.tensors)] = look.tensors

    def opening(self, cp_root: bytes, index: int) -> Opening:
        """Leaf ``index`` with its audit path; KeyError if there is none."""
        leaves = self.leaves[cp_root]
        if not 0 <= index < len(leaves):
            raise KeyError(index)
        return open_checkpoint(leaves, index)

    def tensors(self, state: bytes) -> Tensors:
        """A checkpoint's tensors; KeyError if there are none."""
        return self._tensors[state]
