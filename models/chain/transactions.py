"""Keys, signatures and the accounts that transactions change.

Signatures are Ed25519 (RFC 8032). A key must be one that only its owner can sign with:
for the eight points of small order a signature of anything can be written down without
any secret (R = [S]B), and a point has one encoding. Both are refused (``weak_key``); R
and S are compared with their one encoding by the library.

A transaction's signature covers the genesis digest, so that it is worth nothing on
another chain, and the sender's sequence number, so that it counts once. How a block's
reward is split is in rewards.py.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from ..scheme.checkpoints import Rejected
from ..scheme.encoding import digest, encode
from ..scheme.formats import BLOCK, MTX, TRANSACTION, unsigned_block, unsigned_mtx
from ..scheme.merkle import merkle_root
from ..scheme.records import UNSIGNED, Block, Mtx, Score, Transaction, Transfer

# Ed25519's field is that of p; y alone tells whether a point has small order: 8·P = 0
# for y = 1 (the neutral point), −1 (order 2), 0 (order 4) and two more (order 8).
_FIELD = 2**255 - 19
_ORDER_8 = int(
    "2707385501144840649318225287225658788936804267575313519463743609750303402022"
)
_SMALL_ORDER = frozenset((0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8))


class Key:
    """A private key from its 32-byte seed."""

    def __init__(self, seed: bytes):
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes, a function of key and message."""
        return self._private.sign(message)


class Accounts(NamedTuple):
    """Who owns what after a block.

    Attributes:
        balances: Coins by public key.
        sequences: Transactions by sender.
    """

    balances: Mapping[bytes, int]
    sequences: Mapping[bytes, int]


def tx_root(transactions: Sequence[Transaction]) -> bytes:
    """The Merkle root of transactions."""
    return merkle_root([encode(TRANSACTION, each) for each in transactions])


def transfer(
    key: Key, genesis: bytes, sequence: int, to: bytes, amount: int
) -> Transaction:
    """A signed transfer of coins."""
    plain = Transaction(key.public, sequence, Transfer(to, amount), None, UNSIGNED)
    return plain._replace(signature=key.sign(transaction_message(genesis, plain)))


def score(
    key: Key, genesis: bytes, sequence: int, block: bytes, correct: int, samples: int
) -> Transaction:
    """A publisher's signed test score of a block's model."""
    said = Score(block, correct, samples)
    plain = Transaction(key.public, sequence, None, said, UNSIGNED)
    return plain._replace(signature=key.sign(transaction_message(genesis, plain)))


def sign_block(key: Key, genesis: bytes, block: Block) -> Block:
    """The block with its miner's signature."""
    return block._replace(signature=key.sign(block_message(genesis, block)))


def sign_mtx(key: Key, genesis: bytes, mtx: Mtx) -> Mtx:
    """The model transaction with its miner's signature."""
    return mtx._replace(signature=key.sign(mtx_message(genesis, mtx)))


def transaction_message(genesis: bytes, transaction: Transaction) -> bytes:
    """What a transaction's signature covers."""
    plain = transaction._replace(signature=UNSIGNED)
    return digest("transaction/signed", genesis, encode(TRANSACTION, plain))


def block_message(genesis: bytes, block: Block) -> bytes:
    """What a block's signature covers."""
    plain = unsigned_block(block)
    return digest("block/signed", genesis, encode(BLOCK, plain))


def mtx_message(genesis: bytes, mtx: Mtx) -> bytes:
    """What a model transaction's signature covers."""
    plain = unsigned_mtx(mtx)
    return digest("mtx/signed", genesis, encode(MTX, plain))


def weak_key(public: bytes) -> str | None:
    """Why a public key is one that anybody can sign for, or not a key's only encoding.

    Args:
        public: 32 bytes: y, little-endian, and x's sign in the highest bit.

    Returns:
        The reason; None for a key that is neither.
    """
    y = int.from_bytes(public, "little") & ((1 << 255) - 1)
    if y >= _FIELD:
        return "its y is not below 2^255 − 19, so it is no point's only encoding"
    if y in _SMALL_ORDER:
        return "it is a point of small order, which anybody can sign for"
    return None


def require_strong_key(public: bytes) -> None:
    """Refuse a weak key.

    Raises:
        Rejected: Says why.
    """
    reason = weak_key(public)
    if reason is not None:
        raise Rejected("key", f"{public.hex()[:16]}… is refused: {reason}")


def check_signature(public: bytes, message: bytes, signature: bytes) -> None:
    """Refuse what the key's owner has not signed.

    Raises:
        Rejected: If the signature is wrong, the key is no point of the curve, or is one
            that anybody can sign for.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        require_strong_key(public)
        key.verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Rejected("signature", f"not one of {public.hex()[:16]}…") from error


def apply_transactions(
    accounts: Accounts, transactions: Sequence[Transaction], genesis: bytes
) -> Accounts:
    """Accounts after transactions, in their order.

    Raises:
        Rejected: For a wrong signature, a wrong sequence number, coins that are not
            there, coins for a key that anybody can sign for, or a transaction that is
            neither a transfer nor a score.
    """
    balances, sequences = dict(accounts.balances), dict(accounts.sequences)
    for place, each in enumerate(transactions):
        where = f"transaction {place}"
        if (each.transfer is None) == (each.score is None):
            raise Rejected("transactions", f"{where} must be a transfer or a score")
        expected = sequences.get(each.sender, 0)
        if each.sequence != expected:
            raise Rejected(
                "transactions",
                f"{where} must have sequence {expected}, got {each.sequence}",
            )
        check_signature(each.sender, transaction_message(genesis, each), each.signature)
        sequences[each.sender] = expected + 1
        if each.transfer is not None:
            to, amount = each.transfer
            require_strong_key(to)
            owned = balances.get(each.sender, 0)
            if amount > owned:
                raise Rejected(
                    "transactions", f"{where} spends {amount} coins of {owned}"
                )
            balances[each.sender] = owned - amount
            balances[to] = balances.get(to, 0) + amount
    return Accounts(balances, sequences)


def pay(accounts: Accounts, paid: Mapping[bytes, int]) -> Accounts:
    """Accounts after a reward."""
    balances = dict(accounts.balances)
    for owner, coins in paid.items():
        balances[owner] = balances.get(owner, 0) + coins
    return accounts._replace(balances=balances)
