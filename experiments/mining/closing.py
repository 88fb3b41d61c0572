"""The closing record: what binds a finished log's end, order, times and forks.

Every record of the log is signed by its miner, and a digest runs on from record to
record; but whoever copies a folder can write the log anew, with records cut off at its
end, left out, in another order or at other times. So the publisher, whose key is in
the genesis, signs how many records there are, the digest that has run over all of
them, and the selected tip. A chain that is still being mined has no closing record:
where its log ends is its keeper's word.
"""

from pathlib import Path
from typing import NamedTuple

from ...models.chain.transactions import Key, check_signature
from ...models.learning.files import write_atomically
from ...models.scheme.checkpoints import Rejected
from ...models.scheme.encoding import (
    DIGEST,
    EncodingError,
    Record,
    Unsigned,
    decode,
    digest,
    encode,
)
from ...models.scheme.formats import SIGNATURE, genesis_digest
from ...models.scheme.records import UNSIGNED
from .files import ChainError, read_regular
from .store import ChainFolder

_LIMIT = 4096


class Closing(NamedTuple):
    """What the publisher vouches for.

    Attributes:
        records: Records of the log.
        running: The digest that runs on to the last one.
        tip: The selected chain's last block.
        signature: Of the publisher, over everything above and the genesis.
    """

    records: int
    running: bytes
    tip: bytes
    signature: bytes


CLOSING = Record(
    Closing,
    65,
    {
        "records": Unsigned(8),
        "running": DIGEST,
        "tip": DIGEST,
        "signature": SIGNATURE,
    },
)


def close(folder: ChainFolder, key: Key, tip: bytes) -> None:
    """Close a log as it is."""
    genesis = folder.genesis()
    records, running = 0, genesis_digest(genesis)
    for _, running in folder.linked():  # noqa: B007
        records += 1
    plain = Closing(records, running, tip, UNSIGNED)
    signed = plain._replace(signature=key.sign(_message(folder, plain)))
    write_atomically(_path(folder), encode(CLOSING, signed))


def reopen(folder: ChainFolder) -> None:
    """Take the closing record away before a log grows."""
    _path(folder).unlink(missing_ok=True)


def closing(folder: ChainFolder) -> Closing | None:
    """The closing record, signed by the publisher; None: the log is open.

    Raises:
        ChainError: If it is damaged, or not the publisher's.
    """
    path = _path(folder)
    try:
        found = decode(CLOSING, read_regular(path, _LIMIT))
    except FileNotFoundError:
        return None
    except EncodingError as error:
        raise ChainError(f"{path} is damaged: {error}") from error
    try:
        check_signature(
            folder.genesis().publisher, _message(folder, found), found.signature
        )
    except Rejected:
        raise ChainError(f"{path} is not signed by the chain's publisher") from None
    return found


def check_closing(
    folder: ChainFolder, records: int, running: bytes, tip: bytes
) -> bool:
    """Compare a log with its closing record; False: it has none.

    Raises:
        ChainError: If the log is not the one that was closed.
    """
    found = closing(folder)
    if found is None:
        return False
    if (found.records, found.running) != (records, running):
        raise ChainError(
            f"{folder.log} is not the log that was closed: {found.records} records "
            f"ending in {found.running.hex()[:16]}… were, it has {records} ending in "
            f"{running.hex()[:16]}…"
        )
    if found.tip != tip:
        raise ChainError(
            f"{folder.log} was closed with tip {found.tip.hex()[:16]}…, its records "
            f"select {tip.hex()[:16]}…"
        )
    return True


def _path(folder: ChainFolder) -> Path:
    return folder.path / "closing.bin"


def _message(folder: ChainFolder, given: Closing) -> bytes:
    plain = given._replace(signature=UNSIGNED)
    name = genesis_digest(folder.genesis())
    return digest("closing/signed", name, encode(CLOSING, plain))
