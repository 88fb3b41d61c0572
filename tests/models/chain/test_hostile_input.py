"""Really mined records, mutated: refused with a rule and a reason, or unchanged.

An attacker owns the network, an archive, keys of its own and, in the worst case, the
miner's key. Whatever it changes, a ledger says Rejected (the bytes that no longer
decode: EncodingError) and never raises anything else.
"""

from hashlib import sha512

import pytest
from dpodl.models.chain.transactions import (
    block_message,
    check_signature,
    mtx_message,
    sign_block,
    tx_root,
)
from dpodl.models.scheme.encoding import (
    EncodingError,
    decode,
    encode,
)
from dpodl.models.scheme.formats import (
    BLOCK,
    GENESIS,
    MTX,
    block_digest,
)
from dpodl.models.scheme.records import (
    SIGNATURE_BYTES,
)
from hypothesis import given, settings, strategies as st

from .hostile import (
    EVE,
    HELPER,
    MINER,
    RECORDS,
    Chain,
    fields_of,
    judge_bytes,
    near,
    others_of,
    replaced,
    signed_by,
    verdict,
)

# ------------------------------------------------------------------ what is right


@pytest.mark.parametrize("binding", ["bound", "unbound"])
def test_the_mined_records_are_accepted(request, binding):
    chain: Chain = request.getfixturevalue(binding)
    ledger = chain.ledger()
    assert ledger.add_mtx(chain.mtx).accuracy < 0.8
    entry = ledger.add_block(chain.second)
    assert entry.name == block_digest(chain.second)
    assert entry.height == 2
    # There are segments between which a checkpoint can be forged.
    assert len(chain.looks) >= 2
    for codec, record in ((BLOCK, chain.second), (MTX, chain.mtx)):
        assert decode(codec, encode(codec, record)) == record


# ------------------------------------------------------------------ mutated fields


@pytest.mark.parametrize(("name", "codec"), RECORDS)
def test_every_field_of_a_record_is_signed(bound, ledger, name, codec):
    record = getattr(bound, name)
    found = {}
    for path, inner, value in fields_of(codec, record):
        mutated = replaced(record, path, near(inner, value))
        if mutated != record:
            found[path] = verdict(ledger, mutated)
    assert len(found) >= 9
    assert not {"accepted"} & set(found.values())
    # The signature is checked before anything else.
    assert set(found.values()) <= {"signature", "encoding"}


# What refuses a record whose own miner changed it and signed again.
RESIGNED = {
    ("header", "prev_block"): {"parent"},
    ("header", "miner"): {"signature"},
    ("proof", "reference"): {"pre-hash", "mtxs", "reference"},
    ("proof", "reference", "kind"): {"pre-hash", "reference", "mtxs"},
    ("proof", "reference", "digest"): {"pre-hash", "reference"},
    ("proof", "reference", "way"): {"pre-hash"},
    ("proof", "nonce"): {"pre-hash"},
    ("proof", "model"): {"post-hash", "model"},
    ("proof", "correct"): {"post-hash", "accuracy"},
    ("proof", "steps"): {"steps"},
    ("proof", "cp_root"): {"evidence"},
}


@pytest.mark.parametrize(("name", "codec"), RECORDS)
def test_a_miner_cannot_change_its_own_proof(bound, ledger, name, codec):
    record = getattr(bound, name)
    key = MINER if name == "second" else HELPER
    rest = {"second": {"transactions", "mtxs", "signature"}, "mtx": {"pre-hash"}}[name]
    for path, inner, value in fields_of(codec, record):
        mutated = replaced(record, path, near(inner, value))
        if path == ("signature",) or mutated == record:
            continue
        mutated = signed_by(key, ledger.name, mutated)
        if mutated != record:
            allowed = RESIGNED.get(path, rest)
            assert verdict(ledger, mutated) in allowed, path


@settings(max_examples=120)
@given(data=st.data())
def test_any_mutation_of_a_field_is_refused(bound, ledger, data):
    name, codec = data.draw(st.sampled_from(RECORDS))
    record = getattr(bound, name)
    options = list(fields_of(codec, record))
    index = data.draw(st.integers(0, len(options) - 1))
    path, inner, value = options[index]
    mutated = replaced(record, path, data.draw(others_of(inner, value)))
    key = data.draw(st.sampled_from([None, MINER, HELPER, EVE]))
    if key is not None and len(mutated.signature) == SIGNATURE_BYTES:
        mutated = signed_by(key, ledger.name, mutated)
    assert (verdict(ledger, mutated) == "accepted") == (mutated == record)


# ------------------------------------------------------------------ mutated bytes


@settings(max_examples=200)
@given(data=st.data())
def test_mutated_bytes_are_refused(bound, ledger, data):
    name, codec = data.draw(st.sampled_from(RECORDS))
    before = encode(codec, getattr(bound, name))
    after = bytearray(before)
    for _ in range(data.draw(st.integers(1, 3))):
        start, end = sorted(data.draw(st.integers(0, len(after))) for _ in range(2))
        match data.draw(st.sampled_from(("flip", "cut", "extend", "repeat", "move"))):
            case "flip" if start < len(after):
                after[start] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del after[start:end]
            case "extend":
                after[start:start] = data.draw(st.binary(max_size=64))
            case "repeat":
                after[end:end] = after[start:end]
            case "move":
                piece = after[start:end]
                del after[start:end]
                after[start // 2 : start // 2] = piece
    result = judge_bytes(ledger, codec, bytes(after))
    assert (result == "accepted") == (bytes(after) == before)


@settings(max_examples=100)
@given(st.binary(max_size=400), st.sampled_from([BLOCK, MTX, GENESIS]))
def test_random_bytes_are_no_record(data, codec):
    with pytest.raises(EncodingError):
        decode(codec, data)
    with pytest.raises(EncodingError):
        decode(codec, bytes((codec.kind, 1)) + data)


@pytest.mark.parametrize("cut", [0, 1, 2, 34, -1])
def test_a_record_is_no_other(bound, cut):
    block, mtx = encode(BLOCK, bound.second), encode(MTX, bound.mtx)
    for codec, own, other in ((BLOCK, block, mtx), (MTX, mtx, block)):
        for wrong in (other, own[:cut]):
            with pytest.raises(EncodingError):
                decode(codec, wrong)


# ------------------------------------------------------------------ relabelling


@pytest.mark.parametrize("name", ["first", "second", "mtx"])
def test_a_bound_proof_is_nobody_elses(bound, name):
    record = getattr(bound, name)
    ledger = bound.empty(bound.shelf) if name == "first" else bound.ledger()
    stolen = record._replace(header=record.header._replace(miner=EVE.public))
    stolen = signed_by(EVE, ledger.name, stolen)
    assert verdict(ledger, stolen) == "pre-hash"


def test_a_bound_blocks_transactions_are_its_own(bound):
    # Dropping them needs another root in the header, which h_1 covers.
    for kept in ((), bound.second.transactions[:1]):
        header = bound.second.header._replace(tx_root=tx_root(kept))
        block = bound.second._replace(header=header, transactions=kept)
        block = sign_block(MINER, bound.ledger().name, block)
        assert verdict(bound.ledger(), block) == "pre-hash"


@pytest.mark.parametrize("name", ["first", "second", "mtx"])
def test_an_unbound_proof_is_anybodys(unbound, name):
    # Gap 1 of docs/science/attacks.md: ``binding = none`` leaves it open, on purpose.
    record = getattr(unbound, name)
    ledger = unbound.empty(unbound.shelf) if name == "first" else unbound.ledger()
    stolen = record._replace(header=record.header._replace(miner=EVE.public))
    # The old signature is still worth nothing.
    assert verdict(ledger, stolen) == "signature"
    stolen = signed_by(EVE, ledger.name, stolen)
    assert verdict(ledger, stolen) == "accepted"
    if name != "mtx":
        entry = ledger.entries[block_digest(stolen)]
        assert entry.rewards[EVE.public] > 0
        assert MINER.public not in entry.rewards


def test_an_unbound_proof_equivocates(unbound):
    # The same gap: one proof, as many blocks as there are sets of transactions.
    ledger = unbound.ledger()
    for kept in ((), unbound.second.transactions[:1], unbound.second.transactions):
        header = unbound.second.header._replace(tx_root=tx_root(kept))
        block = unbound.second._replace(header=header, transactions=kept)
        assert verdict(ledger, sign_block(MINER, ledger.name, block)) == "accepted"
    assert sum(entry.height == 2 for entry in ledger.entries.values()) == 3


# The other half of RFC 8032: a signature by an r of the signer's choice.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
Point = tuple[int, int]


def add_points(a: Point, b: Point) -> Point:
    (x, y), (u, v) = a, b
    product = CURVE_D * x * u * y * v % P
    return (
        (x * v + u * y) * pow(1 + product, -1, P) % P,
        (y * v + x * u) * pow(1 - product, -1, P) % P,
    )


def times_base(scalar: int) -> bytes:
    total, power = (0, 1), (BASE_X, BASE_Y)
    while scalar:
        if scalar & 1:
            total = add_points(total, power)
        power, scalar = add_points(power, power), scalar >> 1
    return (total[1] | (total[0] & 1) << 255).to_bytes(32, "little")


def sign_with(seed: bytes, r: int, message: bytes) -> bytes:
    """A valid Ed25519 signature that is not the RFC's deterministic one."""
    half = int.from_bytes(sha512(seed).digest()[:32], "little")
    secret = half & (1 << 254) - 8 | 1 << 254
    commitment = times_base(r)
    challenge = sha512(commitment + times_base(secret) + message).digest()
    answer = (r + int.from_bytes(challenge, "little") * secret) % ORDER
    return commitment + answer.to_bytes(32, "little")


def test_a_bound_proof_makes_one_block_whatever_its_signature(bound):
    # Its signer can make any number of valid signatures. Were they part of the name,
    # a bound proof would still give any number of blocks (gap 1).
    ledger = bound.ledger()
    ledger.add_block(bound.second)
    message = block_message(ledger.name, bound.second)
    again = bound.second._replace(signature=sign_with(bytes([1]) * 32, 12345, message))
    check_signature(MINER.public, message, again.signature)
    assert again != bound.second
    verdict(ledger, again)
    assert sum(entry.height == 2 for entry in ledger.entries.values()) == 1


def test_a_bound_proof_makes_one_mtx_whatever_its_signature(bound):
    ledger = bound.ledger()
    ledger.add_mtx(bound.mtx)
    message = mtx_message(ledger.name, bound.mtx)
    again = bound.mtx._replace(signature=sign_with(bytes([2]) * 32, 12345, message))
    check_signature(HELPER.public, message, again.signature)
    verdict(ledger, again)
    assert sum(each.kind == "mtx" for each in ledger.published.values()) == 1
