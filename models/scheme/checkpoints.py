"""Checkpoints as Merkle leaves, what of them is challenged, and who keeps them.

Notation (docs/science/verification.md):
    CPs = {(M_i, acc_i, S_i)}   ``Checkpoint``: the end of segment i, i = 0 … n − 1
    n = ⌈S / checkpoint_every⌉  segments, and leaves
    q                           segments that are drawn to be run again
    c                           forged segments: Pr[found] = 1 − C(n − c, q)/C(n, q)

initM is no leaf: verifiers derive it.
"""

import math
from typing import NamedTuple, Protocol, runtime_checkable

from ..errors import UserError
from .encoding import digest, encode
from .formats import CHECKPOINT, HEADER, PROOF, U32
from .merkle import Path, inclusion_path, merkle_root, root_of_path
from .records import HASH_BITS, Checkpoint, Header, Parameters, Proof
from .states import Look, Tensors, tensors_digest

_LOOKS_KEPT = 8


class Rejected(UserError):
    """A proof, block or transaction that the rules refuse.

    Attributes:
        rule: Which rule, one word.
        reason: What it asks for and what was given.
    """

    def __init__(self, rule: str, reason: str):
        super().__init__(f"{rule}: {reason}")
        self.rule = rule
        self.reason = reason


class Opening(NamedTuple):
    """A checkpoint with its audit path."""

    checkpoint: Checkpoint
    path: Path


@runtime_checkable
class Archive(Protocol):
    """Where provers leave models and checkpoints (the paper's external storage).

    Both raise KeyError for what is not there, and ValueError for what is spoilt.
    """

    def opening(self, cp_root: bytes, index: int) -> Opening:
        """Leaf ``index`` of a proof's checkpoints."""
        ...

    def tensors(self, state: bytes) -> Tensors:
        """The tensors of a checkpoint."""
        ...


def checkpoint(look: Look) -> Checkpoint:
    """(M_i, acc_i, S_i) with M_i as its digest."""
    return Checkpoint(tensors_digest(look.tensors), look.correct, look.steps)


def checkpoint_root(checkpoints: tuple[Checkpoint, ...]) -> bytes:
    """The Merkle root of checkpoints."""
    return merkle_root([encode(CHECKPOINT, leaf) for leaf in checkpoints])


def open_checkpoint(checkpoints: tuple[Checkpoint, ...], index: int) -> Opening:
    """A checkpoint with its audit path.

    Raises:
        ValueError: If there is no such checkpoint.
    """
    leaves = [encode(CHECKPOINT, leaf) for leaf in checkpoints]
    path = inclusion_path(leaves, index)
    return Opening(checkpoints[index], path)


def segment_count(parameters: Parameters, steps: int) -> int:
    """Segments, and leaves, of a proof of S steps: ⌈S / checkpoint_every⌉."""
    return -(-steps // parameters.checkpoint_every)


def check_leaves(
    parameters: Parameters, proof: Proof, leaves: tuple[Checkpoint, ...]
) -> None:
    """Compare a proof's checkpoints with what it claims, without any training.

    Raises:
        Rejected: If there are more or fewer than its steps give, one is at another
            step, or the last one is not what the proof claims.
    """
    expected = segment_count(parameters, proof.steps)
    if len(leaves) != expected:
        raise Rejected(
            "checkpoints",
            f"{proof.steps} steps have {expected} checkpoints, got {len(leaves)}",
        )
    for place, leaf in enumerate(leaves):
        steps = min((place + 1) * parameters.checkpoint_every, proof.steps)
        if leaf.steps != steps or leaf.correct > parameters.eval_samples:
            raise Rejected(
                "checkpoints",
                f"checkpoint {place} must be at step {steps} with at most "
                f"{parameters.eval_samples} correct, got {leaf.steps} and "
                f"{leaf.correct}",
            )
    if leaves[-1].correct != proof.correct:
        raise Rejected(
            "accuracy",
            f"{proof.correct} correct are claimed, the last checkpoint says "
            f"{leaves[-1].correct}",
        )


def draw_challenges(seed: bytes, segments: int, q: int) -> tuple[int, ...]:
    """Distinct uniform segments, drawn from a digest.

    Args:
        seed: Hash(root, block) for a non-interactive proof, or a later block's digest
            with the root.
        segments: n.
        q: How many; all of them where q ≥ n.
    """
    # Fisher–Yates, keeping only the places that have been touched: n is a stranger's.
    moved: dict[int, int] = {}
    chosen = []
    for draw in range(min(q, segments)):
        place = draw + _uniform(seed, draw, segments - draw)
        chosen.append(moved.get(place, place))
        moved[place] = moved.get(draw, draw)
    return tuple(sorted(chosen))


def challenge_seed(header: Header, proof: Proof, later: bytes = b"") -> bytes:
    """What challenges are drawn from: Hash(root, block), and a later block if given.

    The signature is no part of it: its signer could re-roll it at will.
    """
    return digest("challenge", encode(HEADER, header), encode(PROOF, proof), later)


def detection_probability(segments: int, forged: int, challenges: int) -> float:
    """Pr[a challenge hits a forged segment] = 1 − C(n − c, q)/C(n, q).

    Args:
        segments: n.
        forged: c ≤ n.
        challenges: q; all are challenged where q ≥ n.

    Raises:
        ValueError: If the counts are out of range.

    Reference: docs/science/verification.md.
    """
    if not 0 <= forged <= segments or segments < 1 or challenges < 0:
        raise ValueError(
            "must be 0 ≤ forged ≤ segments, segments ≥ 1 and challenges ≥ 0, got "
            f"{forged}, {segments} and {challenges}"
        )
    q = min(challenges, segments)
    return 1.0 - math.comb(segments - forged, q) / math.comb(segments, q)


class Evidence:
    """Openings and checkpoints, checked against the root and counted.

    What is missing, or is not what the root commits to, is Rejected as ``evidence``:
    that is the archive's doing, and says nothing about the proof.
    """

    def __init__(self, archive: Archive, cp_root: bytes, segments: int, first: Look):
        self._archive = archive
        self._root = cp_root
        self._segments = segments
        self._openings: dict[int, Opening] = {}
        # initM is no leaf, it has been derived.
        self._first = first
        self._looks: dict[int, Look] = {}
        self._counted: set[int] = set()
        self.bytes = 0

    def leaf(self, index: int) -> Checkpoint:
        """Checkpoint ``index``, whose path has been checked."""
        if index not in self._openings:
            opening = self._fetch(
                f"the opening of checkpoint {index}", lambda: self._opening(index)
            )
            self._openings[index] = opening
            leaf = encode(CHECKPOINT, opening.checkpoint)
            self.bytes += len(leaf) + sum(map(len, opening.path))
        return self._openings[index].checkpoint

    def look(self, index: int) -> Look:
        """Checkpoint ``index`` with its tensors, whose digest has been checked."""
        if index < 0:
            return self._first
        if index not in self._looks:
            leaf = self.leaf(index)
            tensors = self._fetch(
                f"checkpoint {index}", lambda: self._tensors(leaf.state)
            )
            # A proof may have more checkpoints than memory holds.
            if len(self._looks) == _LOOKS_KEPT:
                self._looks.pop(next(iter(self._looks)))
            self._looks[index] = Look(tensors, leaf.correct, leaf.steps)
            if index not in self._counted:
                self._counted.add(index)
                self.bytes += sum(values.nbytes for values in tensors.values())
        return self._looks[index]

    def _opening(self, index: int) -> Opening:
        opening = self._archive.opening(self._root, index)
        leaf = encode(CHECKPOINT, opening.checkpoint)
        root = root_of_path(leaf, index, self._segments, opening.path)
        if root != self._root:
            raise ValueError("it does not belong to the root")
        return opening

    def _tensors(self, state: bytes) -> Tensors:
        tensors = self._archive.tensors(state)
        if tensors_digest(tensors) != state:
            raise ValueError("it has another digest")
        return tensors

    def _fetch(self, what: str, get):
        try:
            return get()
        except KeyError as error:
            raise Rejected("evidence", f"{what} is not available") from error
        except ValueError as error:
            raise Rejected("evidence", f"{what} cannot be used: {error}") from error


def _uniform(seed: bytes, draw: int, below: int) -> int:
    """A uniform whole number below a bound, by rejection."""
    limit = (1 << HASH_BITS) - (1 << HASH_BITS) % below
    counter = 0
    while True:
        word = digest("challenge/draw", seed, encode(U32, draw), encode(U32, counter))
        number = int.from_bytes(word, "big")
        if number < limit:
            return number % below
        counter += 1
