"""A mined chain on disk: append-only, content-addressed, checked when read.

A chain folder holds

    genesis.bin            the genesis, canonically encoded; its digest names the chain
    config.toml            what the chain was mined from; its SHA-256 is in the genesis
    chain.log              every block and model transaction, in the order they came
    leaves/<root>.bin      the checkpoints (M_i, acc_i, S_i) behind a Merkle root
    states/<digest>.safetensors   the tensors of a checkpoint
    closing.bin            what binds the log's end, order and times (closing.py)

A record of the log is its length, the length's complement, the bytes, and a SHA-256
that runs on from record to record from the genesis. States and leaves are on the disk
before the record that needs them, and a record is flushed to the disk before anyone is
told: what was confirmed survives kill -9. A writer that died in the middle of a record
leaves a *torn* end, which the next writer cuts off and a reader refuses; a record that
is there but differs in a bit is *damaged*, and nobody may repair that.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import safetensors
from safetensors.numpy import load, save

from ...models.learning.files import write_atomically
from ...models.scheme.checkpoints import (
    Opening,
    checkpoint,
    checkpoint_root,
    open_checkpoint,
)
from ...models.scheme.encoding import (
    DIGEST_BYTES,
    EncodingError,
    Float,
    Optional,
    Record,
    Sequence as SequenceOf,
    decode,
    digest,
    encode,
)
from ...models.scheme.formats import BLOCK, CHECKPOINT, GENESIS, MTX, genesis_digest
from ...models.scheme.records import Block, Checkpoint, Genesis, Mtx
from ...models.scheme.states import Look, Tensors, tensors_digest
from .files import ChainError as ChainError, content, open_regular, read_regular

# What hostile files can ask for at most.
MAXIMUM_RECORD_BYTES = 1 << 24
MAXIMUM_CONFIG_BYTES = 1 << 20
MAXIMUM_STATE_BYTES = 1 << 30
MAXIMUM_LEAVES = 1 << 20
_HEADER_BYTES = 8


class TornError(ChainError):
    """A log that ends in the middle of a record."""

    def __init__(self, path: Path, place: int):
        super().__init__(
            f"{path} ends in the middle of a record, at byte {place}: its writer was "
            "interrupted. `dpodl mine` cuts it off and goes on; records before it are "
            "intact"
        )
        self.place = place


class Logged(NamedTuple):
    """A record of the log.

    Attributes:
        time: When it was found, steps.
        block: The block, or None.
        mtx: The model transaction, or None.
    """

    time: float
    block: Block | None
    mtx: Mtx | None

    @property
    def record(self) -> Block | Mtx:
        """Whichever it is."""
        return self.block or self.mtx  # pyright: ignore[reportReturnType]


_LOGGED = Record(
    Logged, 64, {"time": Float(), "block": Optional(BLOCK), "mtx": Optional(MTX)}
)
_LEAVES = SequenceOf(CHECKPOINT, MAXIMUM_LEAVES)


class ChainFolder:
    """A chain on disk; also the archive that proofs are verified from.

    Args:
        path: The folder.
        state_bytes: Largest file of a state there can be.
    """

    def __init__(self, path: Path, state_bytes: int = MAXIMUM_STATE_BYTES):
        self.path = path
        self.log = path / "chain.log"
        self.state_bytes = state_bytes
        self._latest: tuple[bytes, tuple[Checkpoint, ...]] = (b"", ())

    def create(self, genesis: Genesis, config: bytes) -> None:
        """Begin a chain, unless it is there already.

        Raises:
            ChainError: If another chain is there.
        """
        if (self.path / "genesis.bin").is_file():
            if self.genesis() != genesis:
                raise ChainError(
                    f"{self.path} holds a chain with another genesis: of other "
                    "settings, or mined on another build; give another folder"
                )
            return
        write_atomically(self.path / "config.toml", config)
        self.log.touch()
        write_atomically(self.path / "genesis.bin", encode(GENESIS, genesis))

    def genesis(self) -> Genesis:
        """The genesis.

        Raises:
            ChainError: If there is none or it is damaged.
        """
        path = self.path / "genesis.bin"
        data = _read(path, MAXIMUM_RECORD_BYTES)
        try:
            return decode(GENESIS, data)
        except EncodingError as error:
            raise ChainError(f"{path} is damaged: {error}") from error

    def config(self) -> str:
        """The config as TOML, checked against the genesis.

        Raises:
            ChainError: If it is missing, another one, or no text.
        """
        path = self.path / "config.toml"
        data = _read(path, MAXIMUM_CONFIG_BYTES)
        if hashlib.sha256(data).digest() != self.genesis().config:
            raise ChainError(f"{path} is not the config the genesis names")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ChainError(f"{path} is no UTF-8 text: {error.reason}") from None

    def records(self) -> Iterator[Logged]:
        """The log's records in their order.

        Raises:
            TornError: If the last one is not whole.
            ChainError: If one is damaged.
        """
        return (logged for logged, _ in self.linked())

    def linked(self) -> Iterator[tuple[Logged, bytes]]:
        """The log's records, each with the digest that runs on to it.

        Raises:
            TornError: If the last one is not whole.
            ChainError: If one is damaged.
        """
        running = genesis_digest(self.genesis())
        try:
            log = open_regular(self.log)
        except FileNotFoundError:
            raise ChainError(
                f"{self.path} is no chain folder: chain.log is missing"
            ) from None
        with log as file:
            while True:
                place = file.tell()
                payload, link = self._frame(file, place)
                if payload is None:
                    return
                running = digest("log", running, payload)
                if link != running:
                    raise ChainError(
                        f"{self.log} is damaged: the record at byte {place} is not "
                        "what was written"
                    )
                yield self._logged(payload, place), running

    def repair(self) -> int:
        """Cut off a torn end; the bytes that were cut.

        Raises:
            ChainError: If a whole record is damaged: that is no interrupted write.
        """
        try:
            for _ in self.records():
                pass
        except TornError as torn:
            size = self.log.stat().st_size
            with self.log.open("r+b") as file:
                file.truncate(torn.place)
                os.fsync(file.fileno())
            return size - torn.place
        return 0

    def writer(self) -> "ChainWriter":
        """Append to the log, from where it ends."""
        return ChainWriter(self)

    def put(self, cp_root: bytes, looks: Sequence[Look]) -> None:
        """Keep a proof's checkpoints: states first, then the leaves that name them."""
        for look in looks:
            path = self._state_path(tensors_digest(look.tensors))
            if not path.is_file():
                write_atomically(path, save(dict(look.tensors)))
        leaves = tuple(map(checkpoint, looks))
        write_atomically(self._leaves_path(cp_root), encode(_LEAVES, leaves))

    def leaves(self, cp_root: bytes) -> tuple[Checkpoint, ...]:
        """A proof's checkpoints.

        Raises:
            KeyError: If they are not there.
            ValueError: If they cannot be read.
        """
        data = _kept(self._leaves_path(cp_root), MAXIMUM_RECORD_BYTES)
        return decode(_LEAVES, data)

    def opening(self, cp_root: bytes, index: int) -> Opening:
        """Checkpoint ``index`` of a proof with its audit path; errors as `leaves`."""
        # A proof's openings are asked for one after the other.
        if self._latest[0] != cp_root:
            self._latest = cp_root, self.leaves(cp_root)
        leaves = self._latest[1]
        if not 0 <= index < len(leaves):
            raise KeyError(index)
        return open_checkpoint(leaves, index)

    def tensors(self, state: bytes) -> Tensors:
        """A checkpoint's tensors.

        Raises:
            KeyError: If they are not there.
            ValueError: If the file is not what safetensors writes for them.
        """
        data = _kept(self._state_path(state), self.state_bytes)
        try:
            tensors = load(data)
            canonical = save(tensors)
        except (safetensors.SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"no safetensors file: {error}") from error
        if canonical != data:
            raise ValueError("not in the form safetensors writes")
        if tensors_digest(tensors) != state:
            raise ValueError("its digest is not its name")
        return tensors

    def check_files(self) -> int:
        """Check every state and every list of leaves against its name; their count.

        Raises:
            ChainError: Names the file that is damaged, or no part of a chain.
        """
        paths = content(self.path)
        for path in paths:
            try:
                name = bytes.fromhex(path.stem)
                if path.suffix == ".safetensors":
                    self.tensors(name)
                else:
                    self._check_leaves(name)
            except KeyError:
                raise ChainError(f"{path} leads to no file") from None
            except ValueError as error:
                raise ChainError(f"{path} is damaged: {error}") from error
        return len(paths)

    def require_complete(self, cp_root: bytes) -> tuple[Checkpoint, ...]:
        """The checkpoints of a proof, whose states are all there.

        Raises:
            ChainError: Names the file that is missing or does not fit.
        """
        path = self._leaves_path(cp_root)
        try:
            leaves = self.leaves(cp_root)
        except (KeyError, ValueError) as error:
            raise ChainError(f"{path} is missing or damaged: {error}") from error
        for leaf in leaves:
            if not self._state_path(leaf.state).is_file():
                raise ChainError(f"{self._state_path(leaf.state)} is missing")
        return leaves

    def stored_bytes(self) -> dict[str, int]:
        """Bytes on disk, by kind."""
        return {
            "log": self.log.stat().st_size,
            "states": sum(p.stat().st_size for p in self.path.glob("states/*")),
            "leaves": sum(p.stat().st_size for p in self.path.glob("leaves/*")),
        }

    def _check_leaves(self, cp_root: bytes) -> None:
        leaves = self.leaves(cp_root)
        if checkpoint_root(leaves) != cp_root:
            raise ValueError("its Merkle root is not its name")

    def _frame(self, file: BinaryIO, place: int) -> tuple[bytes | None, bytes]:
        header = file.read(_HEADER_BYTES)
        if not header:
            return None, b""
        if len(header) < _HEADER_BYTES:
            raise TornError(self.log, place)
        length = int.from_bytes(header[:4], "big")
        if int.from_bytes(header[4:], "big") != length ^ 0xFFFFFFFF:
            raise ChainError(f"{self.log} is damaged: the length at byte {place}")
        if length > MAXIMUM_RECORD_BYTES:
            raise ChainError(f"{self.log}: a record of {length} bytes at byte {place}")
        payload, link = file.read(length), file.read(DIGEST_BYTES)
        if len(link) < DIGEST_BYTES:
            raise TornError(self.log, place)
        return payload, link

    def _logged(self, payload: bytes, place: int) -> Logged:
        try:
            logged = decode(_LOGGED, payload)
        except EncodingError as error:
            raise ChainError(
                f"{self.log} is damaged: the record at byte {place}: {error}"
            ) from error
        if (logged.block is None) == (logged.mtx is None):
            raise ChainError(
                f"{self.log}: the record at byte {place} is neither block nor mtx"
            )
        return logged

    def _state_path(self, state: bytes) -> Path:
        return self.path / "states" / f"{state.hex()}.safetensors"

    def _leaves_path(self, cp_root: bytes) -> Path:
        return self.path / "leaves" / f"{cp_root.hex()}.bin"


class ChainWriter:
    """Appends records to a chain's log; a context manager."""

    def __init__(self, folder: ChainFolder):
        self._running = genesis_digest(folder.genesis())
        for logged in folder.records():
            payload = encode(_LOGGED, logged)
            self._running = digest("log", self._running, payload)
        self._file = folder.log.open("ab")

    def __enter__(self) -> "ChainWriter":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._file.close()

    def append(self, logged: Logged) -> None:
        """Write a record and wait until it is on the disk."""
        payload = encode(_LOGGED, logged)
        self._running = digest("log", self._running, payload)
        length = len(payload).to_bytes(4, "big")
        complement = (len(payload) ^ 0xFFFFFFFF).to_bytes(4, "big")
        self._file.write(length + complement + payload + self._running)
        self._file.flush()
        os.fsync(self._file.fileno())


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        raise ChainError(
            f"{path.parent} is no chain folder: {path.name} is missing"
        ) from None


def _kept(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit)
    except FileNotFoundError:
        raise KeyError(path.name) from None
    except ChainError as error:
        raise ValueError(str(error)) from None
