"""Attacks on what a record is bound to.

Gaps are numbered as in docs/science/attacks.md.
"""

from ...scheme.formats import block_digest
from ...scheme.records import Block, Mtx, Proof
from ..transactions import sign_block, transfer, tx_root
from .base import Honest, Letter, Participant, Plan, Record, ReferencePolicy


class Relabel(Honest):
    """Unbound proof (gap 1): put one's own name on an honest proof.

    A rushing adversary hears of a block before the others do; it extends its own copy.
    Refused under ``binding = header``: the key is in h_1.
    """

    adversarial = True

    def __init__(self, policy: ReferencePolicy = "fresh", **others):
        super().__init__(policy, **others)
        self._copies: dict[Proof, bytes] = {}

    def plan(self, me: Participant) -> Plan:
        """Extend one's own copy of the tip."""
        plan = super().plan(me)
        tip = me.ledger.published.get(plan.parent)
        copy = self._copies.get(tip.record.proof) if tip else None
        return plan._replace(parent=copy) if copy in me.ledger.entries else plan

    def heard(self, me: Participant, record: Record) -> list[Letter]:
        """Send the block's proof with one's own key before the block arrives."""
        if not isinstance(record, Block) or record.header.miner == me.key.public:
            return []
        # Two of this kind would steal the same proof from each other for ever.
        if record.proof in self._copies:
            return []
        header = record.header._replace(miner=me.key.public)
        stolen = sign_block(me.key, me.ledger.name, record._replace(header=header))
        self._copies[record.proof] = block_digest(stolen)
        return [Letter(stolen, (*me.others, me.name))]


class Equivocate(Honest):
    """Unbound proof (gap 1): one proof, two blocks.

    Half of the provers gets one of them, half the other: a fork without work. Refused
    under ``binding = header``: the transactions' root is in h_1.
    """

    adversarial = True

    def found(self, me: Participant, record: Record) -> list[Letter]:
        """Send two blocks that differ in their transactions."""
        if isinstance(record, Mtx):
            return [Letter(record)]
        sequence = me.ledger.entries[record.header.prev_block].accounts.sequences
        spent = [tx.sender for tx in record.transactions].count(me.key.public)
        count = sequence.get(me.key.public, 0) + spent
        other = transfer(me.key, me.ledger.name, count, me.key.public, 0)
        transactions = (*record.transactions, other)
        header = record.header._replace(tx_root=tx_root(transactions))
        twin = record._replace(header=header, transactions=transactions)
        twin = sign_block(me.key, me.ledger.name, twin)
        half = len(me.others) // 2
        some, rest = me.others[:half], (*me.others[half:], me.name)
        return [Letter(record, some), Letter(twin, rest)]
