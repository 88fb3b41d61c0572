"""Keys, signatures, and what transactions and rewards do to accounts."""

import hashlib
from typing import Any

import pytest
from dpodl.models.chain.transactions import (
    Accounts,
    Key,
    apply_transactions,
    block_message,
    check_signature,
    mtx_message,
    pay,
    score,
    sign_block,
    sign_mtx,
    transaction_message,
    transfer,
    tx_root,
)
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.encoding import digest, encode
from dpodl.models.scheme.formats import TRANSACTION
from dpodl.models.scheme.merkle import merkle_root
from dpodl.models.scheme.records import (
    Block,
    Header,
    Mtx,
    Proof,
    Score,
    Transaction,
    Transfer,
)
from hypothesis import given, settings, strategies as st

GENESIS, OTHER_GENESIS = bytes([1]) * 32, bytes([2]) * 32
ALICE, BOB, EVE = (Key(bytes([n]) * 32) for n in (1, 2, 3))
START = Accounts({ALICE.public: 100, BOB.public: 5}, {})
# 2^252 + ..., the order of Ed25519's base point.
ORDER = 2**252 + 27742317777372353535851937790883648493


def refused(transactions: list[Transaction], accounts: Accounts = START) -> Rejected:
    """The refusal of transactions."""
    with pytest.raises(Rejected) as error:
        apply_transactions(accounts, transactions, GENESIS)
    return error.value


def sent(sequence: int, amount: int, key: Key = ALICE, to: Key = BOB) -> Transaction:
    return transfer(key, GENESIS, sequence, to.public, amount)


def signed(key: Key, transaction: Transaction) -> Transaction:
    """A transaction as its sender would have signed it."""
    message = transaction_message(GENESIS, transaction)
    return transaction._replace(signature=key.sign(message))


# ------------------------------------------------------------------ signatures

# RFC 8032 §7.1, TEST 1 to 3: secret key, public key, message, signature.
RFC_8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33b"
        "acc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e1599"
        "6e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f2"
        "90ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_signatures_are_the_rfcs(seed, public, message, signature):
    key = Key(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    check_signature(key.public, bytes.fromhex(message), bytes.fromhex(signature))


def rejects(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a signature is refused, by its rule."""
    try:
        check_signature(public, message, signature)
    except Rejected as error:
        return error.rule == "signature"
    return False


@settings(max_examples=60)
@given(st.sampled_from(range(3)), st.data())
def test_a_flipped_bit_of_key_message_or_signature_is_refused(part, data):
    parts = [ALICE.public, b"message", ALICE.sign(b"message")]
    bit = data.draw(st.integers(0, 8 * len(parts[part]) - 1))
    flipped = bytearray(parts[part])
    flipped[bit // 8] ^= 1 << bit % 8
    parts[part] = bytes(flipped)
    assert rejects(*parts)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_keys_of_another_length_are_refused(length):
    assert rejects(bytes(length), b"m", bytes(64))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_signatures_of_another_length_are_refused(length):
    assert rejects(ALICE.public, b"m", ALICE.sign(b"m").ljust(65, b"\0")[:length])


def test_a_key_that_is_no_point_is_refused():
    # Half of all y have no x; y = 2 is the first of them.
    assert rejects((2).to_bytes(32, "little"), b"m", ALICE.sign(b"m"))


def test_signatures_are_not_malleable():
    # S + L verifies too where S is not asked to be below L, and needs no key.
    signature = ALICE.sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert scalar < 1 << 256
    assert rejects(ALICE.public, b"m", signature[:32] + scalar.to_bytes(32, "little"))


def test_refusals_name_the_key():
    with pytest.raises(Rejected, match=f"^signature: .*{BOB.public.hex()[:16]}…$"):
        check_signature(BOB.public, b"m", ALICE.sign(b"m"))


# ------------------------------------------------------------------ what is signed

HEADER = Header(bytes(32), ALICE.public, tx_root(()))
PROOF = Proof(None, bytes(16), bytes(32), 1, 2, bytes(32))
SIGNED: list[tuple[Any, Any, Any]] = [
    (sign_block, block_message, Block(HEADER, PROOF, (), (), bytes(64))),
    (sign_mtx, mtx_message, Mtx(HEADER, PROOF, bytes(64))),
]


@pytest.mark.parametrize(("sign", "message", "plain"), SIGNED)
def test_records_are_signed_but_for_the_signature(sign, message, plain):
    record = sign(ALICE, GENESIS, plain)
    assert record._replace(signature=bytes(64)) == plain
    assert message(GENESIS, record) == message(GENESIS, plain)
    check_signature(ALICE.public, message(GENESIS, record), record.signature)
    assert rejects(BOB.public, message(GENESIS, record), record.signature)
    assert rejects(ALICE.public, message(OTHER_GENESIS, record), record.signature)
    for changed in (
        record._replace(header=HEADER._replace(prev_block=bytes([1]) * 32)),
        record._replace(proof=PROOF._replace(correct=2)),
    ):
        assert rejects(ALICE.public, message(GENESIS, changed), record.signature)


def test_a_blocks_signature_is_no_mtxs():
    (_, _, block), (_, _, mtx) = SIGNED
    messages = {block_message(GENESIS, block), mtx_message(GENESIS, mtx)}
    messages.add(transaction_message(GENESIS, sent(0, 1)))
    assert len(messages) == 3


def test_what_a_transaction_signs():
    each = sent(3, 7)
    plain = each._replace(signature=bytes(64))
    expected = digest("transaction/signed", GENESIS, encode(TRANSACTION, plain))
    assert transaction_message(GENESIS, each) == expected
    written = b"dpodl/transaction/signed/1\0" + GENESIS + encode(TRANSACTION, plain)
    assert expected == hashlib.sha256(written).digest()


def test_the_root_is_of_all_bytes_and_the_order():
    one, two = sent(0, 1), sent(1, 2)
    assert tx_root(()) == hashlib.sha256().digest()
    encoded = [encode(TRANSACTION, each) for each in (one, two)]
    assert tx_root((one, two)) == tx_root([one, two]) == merkle_root(encoded)
    resigned = one._replace(signature=bytes(64))
    roots = {tx_root(each) for each in ((one, two), (two, one), (one,), (resigned,))}
    assert len(roots) == 4


# ------------------------------------------------------------------ transfers


def test_coins_move():
    accounts = apply_transactions(START, [sent(0, 30), sent(0, 35, BOB, EVE)], GENESIS)
    assert accounts.balances == {ALICE.public: 70, BOB.public: 0, EVE.public: 35}
    assert accounts.sequences == {ALICE.public: 1, BOB.public: 1}


def test_the_accounts_before_are_left_alone():
    before = Accounts(dict(START.balances), dict(START.sequences))
    apply_transactions(START, [sent(0, 30)], GENESIS)
    refused([sent(0, 30), sent(1, 100)])
    assert before == START


def test_all_coins_can_be_sent_and_not_one_more():
    accounts = apply_transactions(START, [sent(0, 100)], GENESIS)
    assert accounts.balances[ALICE.public] == 0
    error = refused([sent(0, 101)])
    assert error.rule == "transactions"
    assert error.reason == "transaction 0 spends 101 coins of 100"
    assert "spends 71 coins of 70" in refused([sent(0, 30), sent(1, 71)]).reason
    assert "spends 1 coins of 0" in refused([sent(0, 1, key=EVE)]).reason


def test_coins_that_come_in_the_same_block_can_be_spent_after_them():
    there, back = sent(0, 100), sent(0, 105, BOB, ALICE)
    accounts = apply_transactions(START, [there, back], GENESIS)
    assert accounts.balances == {ALICE.public: 105, BOB.public: 0}
    assert "spends 105 coins of 5" in refused([back, there]).reason


@pytest.mark.parametrize("amount", [0, 1, 100])
def test_coins_for_oneself_are_no_more_than_before(amount):
    accounts = apply_transactions(START, [sent(0, amount, to=ALICE)], GENESIS)
    assert accounts.balances == START.balances


def test_more_than_ones_coins_cannot_be_sent_to_oneself():
    assert "spends 101 coins of 100" in refused([sent(0, 101, to=ALICE)]).reason


def test_a_transaction_counts_once():
    each = sent(0, 10)
    assert refused([each, each]).reason == ("transaction 1 must have sequence 1, got 0")
    later = apply_transactions(START, [each], GENESIS)
    assert refused([each], later).reason == "transaction 0 must have sequence 1, got 0"


@pytest.mark.parametrize("sequence", [1, 2, 2**64 - 1])
def test_sequence_numbers_leave_no_gap(sequence):
    error = refused([sent(sequence, 10)])
    assert error.reason == f"transaction 0 must have sequence 0, got {sequence}"


def test_transactions_of_another_chain_are_refused():
    foreign = transfer(ALICE, OTHER_GENESIS, 0, BOB.public, 10)
    assert refused([foreign]).rule == "signature"
    apply_transactions(START, [foreign], OTHER_GENESIS)


def test_someone_elses_coins_are_refused():
    # Eve signs for Alice; Eve puts Alice's name on her own transaction.
    plain = Transaction(
        ALICE.public, 0, Transfer(EVE.public, 100), None, signature=bytes(64)
    )
    assert refused([signed(EVE, plain)]).rule == "signature"
    own = sent(0, 0, key=EVE)
    assert refused([own._replace(sender=ALICE.public)]).rule == "signature"


@pytest.mark.parametrize(
    "change",
    [
        {"transfer": Transfer(EVE.public, 10)},
        {"transfer": Transfer(BOB.public, 11)},
        {"sender": BOB.public},
        {"transfer": None, "score": Score(bytes(32), 1, 1)},
        {"signature": bytes(64)},
    ],
)
def test_every_field_is_signed(change):
    apply_transactions(START, [sent(0, 10)], GENESIS)
    assert refused([sent(0, 10)._replace(**change)]).rule == "signature"


@pytest.mark.parametrize(
    ("moved", "said"),
    [(Transfer(BOB.public, 1), Score(bytes(32), 1, 2)), (None, None)],
    ids=["both", "none"],
)
def test_a_transaction_is_a_transfer_or_a_score(moved, said):
    plain = Transaction(ALICE.public, 0, moved, said, bytes(64))
    error = refused([signed(ALICE, plain)])
    assert error.rule == "transactions"
    assert error.reason == "transaction 0 must be a transfer or a score"


def test_a_score_counts_as_a_transaction_and_moves_nothing():
    said = score(ALICE, GENESIS, 0, bytes(32), 9, 10)
    assert (said.transfer, said.score) == (None, Score(bytes(32), 9, 10))
    accounts = apply_transactions(START, [said, sent(1, 1)], GENESIS)
    assert accounts.sequences == {ALICE.public: 2}
    assert accounts.balances == {ALICE.public: 99, BOB.public: 6}
    assert "must have sequence 1" in refused([said, said]).reason


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 120)), max_size=6
    )
)
def test_coins_are_neither_made_nor_lost(moves):
    keys = (ALICE, BOB, EVE)
    accounts = START
    for sender, to, amount in moves:
        sequence = accounts.sequences.get(keys[sender].public, 0)
        each = sent(sequence, amount, keys[sender], keys[to])
        try:
            after = apply_transactions(accounts, [each], GENESIS)
        except Rejected:
            assert amount > accounts.balances.get(keys[sender].public, 0)
            continue
        assert sum(after.balances.values()) == sum(accounts.balances.values())
        assert min(after.balances.values()) >= 0
        accounts = after


# ------------------------------------------------------------------ rewards


def test_pay_adds_to_what_is_there():
    accounts = Accounts({ALICE.public: 1}, {ALICE.public: 4})
    after = pay(accounts, {ALICE.public: 2, BOB.public: 3})
    assert after == Accounts({ALICE.public: 3, BOB.public: 3}, {ALICE.public: 4})
    assert accounts == Accounts({ALICE.public: 1}, {ALICE.public: 4})
