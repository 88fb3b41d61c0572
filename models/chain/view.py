"""Chain selection: what a participant has heard of, and the chain it follows.

    longest   the chain with the most blocks
    weight    the chain with the greatest accumulated weight, w(acc, T_acc) a block

Ties, which [SLT23] leaves open: ``first_seen`` stays with what it has; ``adversary``
goes over to a favoured miner's block; ``random`` lets a coin decide, drawn from both
names.
"""

from collections.abc import Iterable
from contextlib import suppress

from ..scheme.checkpoints import Rejected
from ..scheme.encoding import digest
from ..scheme.formats import mtx_digest
from ..scheme.records import Block, Mtx
from .ledger import Entry, Ledger, Published


class View:
    """What one participant has heard of, and the chain it selects.

    Attributes:
        ledger: Judges records.
        tip: Digest of the selected chain's last block.
        known: Blocks heard of, in their order.
        models: Blocks and model transactions whose model may be known, in their order.

    Args:
        ledger: Judges records.
        seed: For random ties.
        favoured: Miners whose block wins a tie under the ``adversary`` rule.
    """

    def __init__(
        self, ledger: Ledger, seed: bytes = b"", favoured: Iterable[bytes] = ()
    ):
        self.ledger = ledger
        self.tip = ledger.name
        self.known: dict[bytes, None] = {ledger.name: None}
        self.models: dict[bytes, None] = {}
        self._seed = seed
        self._favoured = frozenset(favoured)
        self._waiting: dict[bytes, list[Block | Mtx]] = {}

    def hear(self, record: Block | Mtx) -> bool:
        """Take note of a record; whether the selected chain's tip has changed.

        A record that builds on something not heard of waits for it.

        Raises:
            Rejected: If it breaks a rule.
        """
        changed, arrived = self._take(record)
        # A loop: what comes in backwards may be longer than the stack is deep.
        while arrived:
            for waiting in self._waiting.pop(arrived.pop(0), []):
                # It is judged on its own; the record that was asked about is fine.
                with suppress(Rejected):
                    also, more = self._take(waiting)
                    changed, arrived = changed or also, arrived + more
        return changed

    def chain(self) -> list[Entry]:
        """The selected chain from its first block to the tip."""
        return list(self.ledger.ancestors(self.tip))[-2::-1]

    def referable(self) -> list[Published]:
        """Models the next block may refer to, in the order they were heard of."""
        published = map(self.ledger.published.__getitem__, self.models)
        return [each for each in published if self.ledger.may_reference(self.tip, each)]

    def _take(self, record: Block | Mtx) -> tuple[bool, list[bytes]]:
        """Take in one record, or let it wait.

        Returns:
            Whether the tip has changed, and what others may have waited for.
        """
        missing = self._missing(record)
        if missing is not None:
            self._waiting.setdefault(missing, []).append(record)
            return False, []
        if isinstance(record, Mtx):
            changed, arrived = False, [self.ledger.add_mtx(record).name]
        else:
            entry = self.ledger.add_block(record)
            changed = entry.name not in self.known and self._prefers(entry)
            self.known[entry.name] = None
            arrived = [*map(mtx_digest, record.mtxs), entry.name]
            if changed:
                self.tip = entry.name
        self.models.update(dict.fromkeys(arrived))
        return changed, arrived

    def _missing(self, record: Block | Mtx) -> bytes | None:
        brought = record.mtxs if isinstance(record, Block) else ()
        arriving = set(map(mtx_digest, brought))
        for each in (*brought, record):
            if each.header.prev_block not in self.known:
                return each.header.prev_block
            reference = each.proof.reference
            if reference is None or reference.digest in arriving:
                continue
            if reference.digest not in self.models:
                return reference.digest
        return None

    def _prefers(self, entry: Entry) -> bool:
        current = self.ledger.entries[self.tip]
        if entry.weight != current.weight:
            return entry.weight > current.weight
        rule = self.ledger.genesis.parameters.tie_rule
        if rule == "random":
            return bool(digest("tie", self._seed, current.name, entry.name)[0] & 1)
        if rule == "adversary":
            return self._is_favoured(entry) and not self._is_favoured(current)
        return False

    def _is_favoured(self, entry: Entry) -> bool:
        if entry.parent is None:
            return False
        return self.ledger.published[entry.name].miner in self._favoured
