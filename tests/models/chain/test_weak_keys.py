"""Keys that anybody can sign for, against all points of small order.

The curve −x² + y² = 1 + d x² y² is written down here in whole numbers (RFC 8032 §5.1);
nothing of it is in the library, which knows five values of y.
"""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.transactions import (
    Accounts,
    Key,
    apply_transactions,
    check_signature,
    transfer,
    weak_key,
)
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.records import Allocation

from ..mining_fixtures import ALICE, BUILD, MemoryArchive, Mine

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # of −1


def x_of(y: int) -> int | None:
    """A square root of (y² − 1)/(d y² + 1), or None."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    for root in (x, x * ROOT % P):
        if root * root % P == square:
            return root
    return None


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The curve's addition."""
    (x, y), (u, v) = a, b
    product = D * x * u * y * v
    return (
        (x * v + u * y) * pow(1 + product, -1, P) % P,
        (y * v + x * u) * pow(1 - product, -1, P) % P,
    )


def times(n: int, point: tuple[int, int]) -> tuple[int, int]:
    """The point added n times."""
    total = (0, 1)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def encoded(x: int, y: int) -> bytes:
    """The one encoding of a point."""
    return (y | (x & 1) << 255).to_bytes(32, "little")


def torsion() -> list[tuple[int, int]]:
    """The eight points with 8·P = 0: L times anything has such an order."""
    for y in range(2, 100):
        x = x_of(y)
        if x is None:
            continue
        point = times(L, (x, y))
        if times(4, point) != (0, 1):
            return [times(n, point) for n in range(8)]
    raise AssertionError


SMALL = torsion()
ENCODINGS = {
    (y | sign << 255).to_bytes(32, "little") for _, y in SMALL for sign in (0, 1)
}
# y + p still has 255 bits only for y < 19.
NOT_CANONICAL = {
    (y + P | sign << 255).to_bytes(32, "little") for y in range(19) for sign in (0, 1)
}


def test_there_are_eight_points_of_small_order():
    assert len(set(SMALL)) == 8
    assert all(times(8, point) == (0, 1) for point in SMALL)
    assert {encoded(*point) for point in SMALL} < ENCODINGS


@pytest.mark.parametrize("key", sorted(ENCODINGS | NOT_CANONICAL), ids=bytes.hex)
def test_no_weak_key_signs_anything(key):
    assert weak_key(key)
    for scalar in (0, 1, 8):
        base = times(scalar, (x_of(4 * pow(5, -1, P) % P) or 0, 4 * pow(5, -1, P) % P))
        for r in (encoded(*base), key):
            for message in range(8):
                with pytest.raises(Rejected):
                    check_signature(
                        key, bytes([message]), r + scalar.to_bytes(32, "little")
                    )


def test_without_the_refusal_some_of_them_do():
    """The library verifies; so the test above tests something."""
    anything = (1).to_bytes(32, "little") + bytes(32)
    Ed25519PublicKey.from_public_bytes(anything[:32]).verify(anything, b"unsigned")


def test_keys_that_are_drawn_are_strong():
    assert not any(weak_key(Key(bytes([i]) * 32).public) for i in range(64))


def test_neither_a_genesis_nor_a_transfer_names_a_weak_key():
    genesis = Mine().ledger.genesis
    weak = sorted(ENCODINGS)[0]
    for changed in (
        genesis._replace(publisher=weak),
        genesis._replace(allocations=(Allocation(weak, 1),)),
    ):
        with pytest.raises(ValueError, match="must be its owner's alone"):
            Ledger(changed, None, MemoryArchive(), BUILD)
    pay = transfer(ALICE, bytes(32), 0, weak, 1)
    with pytest.raises(Rejected, match="key"):
        apply_transactions(Accounts({ALICE.public: 5}, {}), (pay,), bytes(32))


@pytest.mark.parametrize("scalar", [L, L + 1, 2**253, 2**256 - 1])
def test_a_scalar_above_the_order_is_refused(scalar):
    signature = ALICE.sign(b"m")
    s = int.from_bytes(signature[32:], "little")
    for forged in {scalar, s + scalar - scalar % L} - {s}:
        if forged < 2**256:
            with pytest.raises(Rejected):
                check_signature(
                    ALICE.public, b"m", signature[:32] + forged.to_bytes(32, "little")
                )


def test_a_commitment_has_one_encoding():
    """R = 0 with S = H(R, A, M)·a verifies in R's own encoding and in no other."""
    seed = bytes([7]) * 32
    key, secret = Key(seed), bytearray(hashlib.sha512(seed).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 127 | 64
    a = int.from_bytes(secret, "little")

    def signature(r: bytes) -> bytes:
        h = int.from_bytes(hashlib.sha512(r + key.public + b"m").digest(), "little")
        return r + (h * a % L).to_bytes(32, "little")

    check_signature(key.public, b"m", signature(encoded(0, 1)))
    for other in (1 + P, 1 | 1 << 255):
        forged = signature(other.to_bytes(32, "little"))
        with pytest.raises(Rejected):
            check_signature(key.public, b"m", forged)
