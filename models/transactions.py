"""Keys, signatures and the accounts that transactions change.

Signatures are Ed25519 (RFC 8032). A transaction's signature covers the genesis digest,
so that it is worth nothing on another chain, and the sender's sequence number, so that
it counts once. A block pays its reward to everyone whose training went into its model:

    miner of the block        S / (Σ_j S_j + S)
    miner of referenced M_j   S_j / (Σ_j S_j + S)          (scheme.md §4)
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from .checkpoints import Rejected
from .encoding import digest, encode
from .merkle import merkle_root
from .records import (
    BLOCK,
    MTX,
    TRANSACTION,
    UNSIGNED,
    Block,
    Mtx,
    Score,
    Transaction,
    Transfer,
    unsigned_block,
    unsigned_mtx,
)


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


def check_signature(public: bytes, message: bytes, signature: bytes) -> None:
    """Refuse what the key's owner has not signed.

    Raises:
        Rejected: If the signature is wrong or the key is no point of the curve.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise Rejected("signature", f"not one of {public.hex()[:16]}…") from error


def apply_transactions(
    accounts: Accounts, transactions: Sequence[Transaction], genesis: bytes
) -> Accounts:
    """Accounts after transactions, in their order.

    Raises:
        Rejected: For a wrong signature, a wrong sequence number, coins that are not
            there, or a transaction that is neither a transfer nor a score.
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
            owned = balances.get(each.sender, 0)
            if amount > owned:
                raise Rejected(
                    "transactions", f"{where} spends {amount} coins of {owned}"
                )
            balances[each.sender] = owned - amount
            balances[to] = balances.get(to, 0) + amount
    return Accounts(balances, sequences)


def split_reward(
    reward: int, miner: bytes, steps: int, referenced: Sequence[tuple[bytes, int]]
) -> dict[bytes, int]:
    """A block's reward, split by training steps, in whole coins.

    Args:
        reward: Coins to split.
        miner: The block's miner.
        steps: S of the block's model.
        referenced: Miner and S_j of every recursively referenced model.

    Returns:
        Coins by public key; they add up to the reward. What rounding leaves over is
        the block's miner's.
    """
    total = steps + sum(theirs for _, theirs in referenced)
    paid: dict[bytes, int] = {}
    for owner, theirs in referenced:
        paid[owner] = paid.get(owner, 0) + reward * theirs // total
    rest = reward - sum(paid.values())
    paid[miner] = paid.get(miner, 0) + rest
    return paid


def pay(accounts: Accounts, paid: Mapping[bytes, int]) -> Accounts:
    """Accounts after a reward."""
    balances = dict(accounts.balances)
    for owner, coins in paid.items():
        balances[owner] = balances.get(owner, 0) + coins
    return accounts._replace(balances=balances)
