"""A chain folder's records under all rules but the training.

What needs no training is judged first, and on any build: encodings, signatures, both
lotteries, references, step debts, accounts. ``dpodl verify`` goes on from there
(verifying.py); ``show`` and ``compare``, whose readers trust the chain, do not.
"""

from pathlib import Path
from typing import NamedTuple

from ...models.chain.ledger import Entry, Ledger
from ...models.chain.view import View
from ...models.scheme.formats import block_digest, genesis_digest, mtx_digest
from ...models.scheme.records import Block, Mtx
from .store import ChainError, ChainFolder


class ChainView(NamedTuple):
    """A chain as it is read, without running any training again.

    Attributes:
        ledger: Its records.
        entries: The selected chain from its first block to the tip.
        times: When each record was found, steps, by digest.
        forks: Blocks off the selected chain, by height.
        running: The digest that runs on to the log's last record.
    """

    ledger: Ledger
    entries: list[Entry]
    times: dict[bytes, float]
    forks: dict[int, list[bytes]]
    running: bytes

    @property
    def tip(self) -> bytes:
        """The selected chain's last block."""
        return self.entries[-1].name if self.entries else self.ledger.name


def read_chain(path: Path) -> ChainView:
    """Read a chain folder; all rules are checked but the training.

    Raises:
        ChainError: If a file is missing, torn or damaged, a record is repeated, times
            do not go on, or the genesis asks for what no chain can.
        Rejected: If a record breaks a rule.
    """
    folder = ChainFolder(path)
    folder.config()
    genesis = folder.genesis()
    try:
        ledger = Ledger(genesis, None, folder, genesis.build)
    except ValueError as error:
        raise ChainError(f"{path}: no chain can have this genesis: {error}") from None
    view = View(ledger)
    times: dict[bytes, float] = {}
    running, before = genesis_digest(genesis), 0.0
    for logged, running in folder.linked():  # noqa: B007
        record = logged.record
        name = record_digest(record)
        if name in times:
            raise ChainError(f"{folder.log}: the record {name.hex()[:16]}… comes twice")
        if logged.time < before:
            raise ChainError(
                f"{folder.log}: times must go on from 0, got {logged.time:g} after "
                f"{before:g}"
            )
        times[name], before = logged.time, logged.time
        hear_logged(view, record)
    entries = view.chain()
    selected = {entry.name for entry in entries}
    forks: dict[int, list[bytes]] = {}
    for entry in ledger.entries.values():
        if entry.height and entry.name not in selected:
            forks.setdefault(entry.height, []).append(entry.name)
    return ChainView(ledger, entries, times, forks, running)


def hear_logged(view: View, record: Block | Mtx) -> None:
    """Judge a record of a log, which has everything it needs before it.

    Raises:
        Rejected: If it breaks a rule.
    """
    if isinstance(record, Block):
        view.ledger.add_block(record)
    else:
        view.ledger.add_mtx(record)
    view.hear(record)


def record_digest(record: Block | Mtx) -> bytes:
    """A record's name."""
    return block_digest(record) if isinstance(record, Block) else mtx_digest(record)
