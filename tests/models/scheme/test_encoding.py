"""The canonical encoding: every codec's bytes, limits and refusals.

A codec is right if it is a bijection between its values and its encodings. Both halves
are tested: values come back from their bytes, and bytes that decode at all are the
bytes of what they decode to.
"""

import hashlib
import math
import struct
import tracemalloc
from typing import Any, NamedTuple

import numpy as np
import pytest
from dpodl.models.scheme.encoding import (
    DIGEST,
    Choice,
    Codec,
    EncodingError,
    Fixed,
    Flag,
    Float,
    Optional,
    Reader,
    Record,
    Sequence,
    Text,
    Unsigned,
    decode,
    digest,
    encode,
)
from hypothesis import example, given, settings, strategies as st


class Leaf(NamedTuple):
    number: int
    word: str


class Tree(NamedTuple):
    flag: bool
    leaves: tuple[Leaf, ...]
    best: Leaf | None
    kind: str
    weight: float
    key: bytes


class Positive(NamedTuple("Positive", [("value", int)])):
    def __new__(cls, value):
        if value < 1:
            raise ValueError(f"value must be ≥ 1, got {value}")
        return super().__new__(cls, value)


LEAF = Record(Leaf, 7, {"number": Unsigned(2), "word": Text(5)})
TREE = Record(
    Tree,
    8,
    {
        "flag": Flag(),
        "leaves": Sequence(LEAF, 3),
        "best": Optional(LEAF),
        "kind": Choice(("oak", "elm", "fir")),
        "weight": Float(),
        "key": Fixed(4),
    },
)
POSITIVE = Record(Positive, 9, {"value": Unsigned(1)})
LONG = Sequence(Unsigned(1), 2**32)

# Every codec, with values and the bytes they have by the module's table.
BYTES: list[tuple[Codec, Any, str]] = [
    (Unsigned(1), 0, "00"),
    (Unsigned(1), 255, "ff"),
    (Unsigned(4), 1, "00000001"),
    (Unsigned(8), 2**64 - 1, "ff" * 8),
    (Unsigned(32), 2**255, "80" + "00" * 31),
    (Float(), 0.0, "00" * 8),
    (Float(), 1.0, "3ff0000000000000"),
    (Float(), -2.5, "c004000000000000"),
    (Float(), 5e-324, "0000000000000001"),
    (Float(), 1.7976931348623157e308, "7fefffffffffffff"),
    (Fixed(0), b"", ""),
    (Fixed(3), b"\x00\xff\x01", "00ff01"),
    (Text(3), "", "00000000"),
    (Text(3), "a ~", "0000000361207e"),
    (Flag(), False, "00"),
    (Flag(), True, "01"),
    (Choice(("a", "b")), "a", "00"),
    (Choice(("a", "b")), "b", "01"),
    (Optional(Unsigned(1)), None, "00"),
    (Optional(Unsigned(1)), 0, "0100"),
    (Sequence(Unsigned(1), 2), (), "00000000"),
    (Sequence(Unsigned(1), 2), (7, 8), "000000020708"),
    (Sequence(Sequence(Flag(), 1), 2), ((), (True,)), "00000002000000000000000101"),
    (LEAF, Leaf(258, "hi"), "07010102000000026869"),
    (
        TREE,
        Tree(True, (Leaf(0, ""),), None, "elm", 1.0, b"abcd"),
        "08010100000001070100000000000000013ff000000000000061626364",
    ),
]


def named(codec: Codec, value: Any, _) -> str:
    return f"{type(codec).__name__}-{value!r:.20}"


IDS = [named(*case) for case in BYTES]


def values_of(codec: Codec) -> st.SearchStrategy:
    """Every value a codec can write, by its meaning."""
    match codec:
        case Unsigned(width):
            return st.integers(0, 256**width - 1)
        case Float():
            return st.floats(allow_nan=False, allow_infinity=False).map(
                lambda value: value + 0.0
            )
        case Fixed(length):
            return st.binary(min_size=length, max_size=length)
        case Text(limit):
            printable = st.characters(min_codepoint=32, max_codepoint=126)
            return st.text(printable, max_size=limit)
        case Flag():
            return st.booleans()
        case Choice(options):
            return st.sampled_from(options)
        case Optional(item):
            return st.none() | values_of(item)
        case Sequence(item, limit):
            items = st.lists(values_of(item), max_size=min(limit, 4))
            return items.map(tuple)
        case Record(build, _, fields):
            return st.builds(build, **{k: values_of(c) for k, c in fields.items()})
    raise AssertionError(codec)


def refused(codec: Codec, data: str | bytes) -> str:
    """The message with which bytes are refused."""
    data = bytes.fromhex(data) if isinstance(data, str) else data
    with pytest.raises(EncodingError) as error:
        decode(codec, data)
    return str(error.value)


def not_written(codec: Codec, value: Any) -> str:
    """The message with which a value is refused."""
    with pytest.raises(EncodingError) as error:
        encode(codec, value)
    return str(error.value)


# ------------------------------------------------------------------ both directions


@pytest.mark.parametrize(("codec", "value", "expected"), BYTES, ids=IDS)
def test_golden_bytes(codec, value, expected):
    assert encode(codec, value).hex() == expected
    found = decode(codec, bytes.fromhex(expected))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(("codec", "value", "expected"), BYTES, ids=IDS)
def test_a_byte_less_or_more_is_refused(codec, value, expected):
    data = bytes.fromhex(expected)
    for end in range(len(data)):
        refused(codec, data[:end])
    message = refused(codec, data + b"\0")
    assert message == "1 bytes too many at the end"


@settings(max_examples=150)
@given(values_of(TREE))
def test_values_come_back(tree):
    assert decode(TREE, encode(TREE, tree)) == tree


@settings(max_examples=100)
@given(st.data())
def test_different_values_have_different_bytes(data):
    one, other = data.draw(values_of(TREE)), data.draw(values_of(TREE))
    assert (encode(TREE, one) == encode(TREE, other)) == (one == other)


WIDE = (
    *(Unsigned(1), Float(), Fixed(2), Text(3), Flag(), Choice(("a", "b", "c"))),
    *(Optional(Flag()), Sequence(Text(2), 3), LEAF, TREE, POSITIVE),
)


@settings(max_examples=300)
@given(st.sampled_from(WIDE), st.binary(max_size=40))
@example(Float(), bytes.fromhex("8000000000000000"))
@example(Float(), bytes.fromhex("7ff8000000000001"))
def test_bytes_that_decode_are_canonical(codec, data):
    check_canonical(codec, data)


@settings(max_examples=300)
@given(values_of(TREE), st.data())
def test_mutated_bytes_are_refused_or_canonical(tree, data):
    # Random bytes hardly ever get past a record's first two: start from good ones.
    encoded = bytearray(encode(TREE, tree))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] = data.draw(st.integers(0, 255))
    check_canonical(TREE, bytes(encoded))


def check_canonical(codec: Codec, data: bytes) -> None:
    try:
        value = decode(codec, data)
    except EncodingError:
        return
    assert encode(codec, value) == data


# ------------------------------------------------------------------ single codecs


@pytest.mark.parametrize("width", [1, 4, 8, 32])
def test_unsigned_holds_exactly_its_width(width):
    top = 1 << (8 * width)
    assert decode(Unsigned(width), encode(Unsigned(width), top - 1)) == top - 1
    allowed = f"must be from 0 to 2^{8 * width} − 1"
    assert not_written(Unsigned(width), -1) == f"{allowed}, got -1"
    assert not_written(Unsigned(width), top).startswith(allowed)


def test_a_flag_is_no_number():
    # True == 1, and a record that was given one for the other would come back changed.
    assert not_written(Unsigned(1), True) == "must be a whole number, got True"
    assert not_written(Float(), True) == "must be a finite number, got True"


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_too_large_to_print_is_refused(sign):
    value = int(f"{sign}1") * 10**5000
    for codec in (Unsigned(8), Float()):
        assert f"got '{sign}0x" in not_written(codec, value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_finite_floats(value):
    assert not_written(Float(), value) == f"must be a finite binary64, got {value}"
    message = refused(Float(), struct.pack(">d", value))
    assert message == f"must be a finite number, got {value}"


def test_every_nan_is_refused():
    for pattern in ("7ff0000000000001", "fff8000000000000", "7fffffffffffffff"):
        assert refused(Float(), pattern) == "must be a finite number, got nan"


def test_zero_has_one_encoding():
    assert encode(Float(), -0.0) == encode(Float(), 0.0) == bytes(8)
    assert refused(Float(), "80" + "00" * 7) == "zero must be positive, got -0.0"


def test_whole_numbers_are_floats_where_they_are_exact():
    assert encode(Float(), 2**53) == encode(Float(), 2.0**53)
    assert encode(Float(), np.float64(0.1)) == encode(Float(), 0.1)
    message = not_written(Float(), 2**53 + 1)
    assert message == "must be a finite binary64, got 9007199254740993"


@pytest.mark.parametrize("length", [0, 31, 33])
def test_fixed_bytes_of_another_length_are_refused(length):
    message = not_written(DIGEST, bytes(length))
    assert message.startswith("must be 32 bytes, got b'")
    assert len(message) < 70


def test_fixed_bytes_that_are_missing():
    assert refused(DIGEST, bytes(31)) == "32 bytes are missing, only 31 are left"


@pytest.mark.parametrize("text", ["\n", "\x7f", "é", "a\0", "٣", "\u2028", "a\tb"])
def test_only_printable_ascii(text):
    message = not_written(Text(8), text)
    assert message == f"must be printable ASCII, got {text!r}"


@pytest.mark.parametrize("byte", [0x00, 0x0A, 0x1F, 0x7F, 0x80, 0xA0, 0xE9, 0xFF])
def test_bytes_that_are_no_printable_ascii(byte):
    data = b"\0\0\0\2a" + bytes([byte])
    assert refused(Text(8), data).startswith("must be printable ASCII, got b'a")


def test_all_of_printable_ascii_is_text():
    text = "".join(map(chr, range(32, 127)))
    assert decode(Text(95), encode(Text(95), text)) == text


def test_text_and_sequences_have_a_limit():
    message = "must have at most 2 entries, got 3"
    assert not_written(Text(2), "abc") == message
    assert refused(Text(2), "00000003616263") == message
    assert not_written(Sequence(Flag(), 2), (True,) * 3) == message
    assert refused(Sequence(Flag(), 2), "00000003010101") == message


@pytest.mark.parametrize("byte", [2, 3, 128, 255])
def test_a_byte_that_stands_for_nothing(byte):
    data = bytes([byte]) + bytes(4)
    for codec in (Flag(), Optional(Flag()), Choice(("a", "b"))):
        assert refused(codec, data) == f"must be a byte below 2, got {byte}"


def test_a_word_that_is_no_choice():
    message = not_written(Choice(("a", "b")), "c")
    assert message == "must be one of a, b, got 'c'"


def test_an_optional_optional_cannot_be_built():
    # 00 and 01 00 would both be None.
    with pytest.raises(TypeError, match=r"^None would have two encodings"):
        Optional(Optional(Flag()))


# ------------------------------------------------------------------ declared lengths


@pytest.mark.parametrize(
    "codec", [LONG, Text(2**32), Sequence(TREE, 2**32)], ids=["byte", "text", "record"]
)
@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 11])
def test_a_length_beyond_the_bytes_never_allocates(codec, length):
    data = length.to_bytes(4, "big") + bytes(10)
    tracemalloc.start()
    try:
        message = refused(codec, data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert message == f"{length} entries do not fit into 10 bytes"
    assert peak < 1 << 20


def test_a_reader_takes_all_or_nothing():
    reader = Reader(b"abc")
    assert reader.take(2) == b"ab"
    with pytest.raises(EncodingError, match=r"^2 bytes are missing, only 1 are left$"):
        reader.take(2)
    assert reader.left == 1
    assert reader.take(1) == b"c"
    assert reader.take(0) == b""


# ------------------------------------------------------------------ records


@pytest.mark.parametrize("kind", [0, 8, 255])
def test_another_kind_is_refused(kind):
    message = refused(LEAF, bytes([kind, 1]) + bytes(6))
    assert message == f"must be a record of kind 7, got {kind}"


@pytest.mark.parametrize("version", [0, 2, 255])
def test_another_version_is_refused(version):
    message = refused(LEAF, bytes([7, version]) + bytes(6))
    assert message == f"version {version} of the encoding is not known, only 1"


def test_what_a_record_refuses_is_no_encoding():
    assert decode(POSITIVE, b"\x09\x01\x01") == Positive(1)
    assert refused(POSITIVE, "090100") == "value must be ≥ 1, got 0"
    message = refused(Sequence(POSITIVE, 2), "00000002090101090100")
    assert message == "[1]: value must be ≥ 1, got 0"


def test_fields_must_be_the_classes_fields_in_their_order():
    with pytest.raises(TypeError, match=r"^fields must be \('number', 'word'\), got"):
        Record(Leaf, 7, {"word": Text(5), "number": Unsigned(2)})
    with pytest.raises(TypeError, match=r"got \('number',\)$"):
        Record(Leaf, 7, {"number": Unsigned(2)})


@pytest.mark.parametrize("value", [None, (1, "hi"), Positive(1), "Leaf"])
def test_only_the_records_class_is_written(value):
    assert not_written(LEAF, value) == f"must be a Leaf, got {value!r}"


GOOD = Tree(True, (Leaf(1, "a"), Leaf(2, "b")), Leaf(3, "c"), "fir", 0.5, b"1234")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (GOOD._replace(weight=math.inf), "weight: must be a finite binary64, got inf"),
        (GOOD._replace(key=b""), "key: must be 4 bytes, got b''"),
        (GOOD._replace(kind="ash"), "kind: must be one of oak, elm, fir, got 'ash'"),
        (
            GOOD._replace(leaves=(Leaf(1, "a"), Leaf(-1, "b"))),
            "leaves[1].number: must be from 0 to 2^16 − 1, got -1",
        ),
        (
            GOOD._replace(leaves=(Leaf(1, "a"),) * 4),
            "leaves: must have at most 3 entries, got 4",
        ),
        (
            GOOD._replace(best=Leaf(1, "toolong")),
            "best.word: must have at most 5 entries, got 7",
        ),
        (GOOD._replace(best=GOOD), "best: must be a Leaf, got Tree(flag=True, "),
    ],
)
def test_a_value_without_encoding_is_refused_by_its_field(tree, message):
    assert not_written(TREE, tree).startswith(message)


def test_bad_bytes_are_refused_by_their_field():
    data = encode(TREE, GOOD)

    def at(old: bytes, new: bytes) -> str:
        assert data.count(old) == 1
        return refused(TREE, data.replace(old, new))

    leaf = encode(LEAF, GOOD.leaves[1])
    assert at(leaf, b"\x06" + leaf[1:]).startswith("leaves[1]: must be a record of")
    bad = leaf[:-1] + b"\n"
    assert at(leaf, bad) == "leaves[1].word: must be printable ASCII, got b'\\n'"
    assert at(struct.pack(">d", 0.5), bytes([0x80, *bytes(7)])).startswith("weight: ")
    assert at(b"\x02\x3f", b"\x03\x3f") == "kind: must be a byte below 3, got 3"
    best = encode(LEAF, Leaf(3, "c"))
    assert at(b"\x01" + best, b"\x02" + best) == "best: must be a byte below 2, got 2"
    message = refused(TREE, data[:-1])
    assert message == "key: 4 bytes are missing, only 3 are left"


def test_paths_of_nested_sequences():
    codec = Sequence(Sequence(Flag(), 2), 2)
    message = refused(codec, "0000000200000000000000020102")
    assert message == "[1][1]: must be a byte below 2, got 2"


# ------------------------------------------------------------------ digests


def test_digest_is_sha256_with_the_domain_in_front():
    expected = hashlib.sha256(b"dpodl/block/1\0abcd").digest()
    assert digest("block", b"ab", b"cd") == expected
    assert digest("block", b"abcd") == expected
    assert digest("block") == hashlib.sha256(b"dpodl/block/1\0").digest()


def test_domains_separate():
    # "a" with b"/1\0..." in front of the message is still not "a/1".
    seen = {digest(domain, b"m") for domain in ("a", "b", "ab", "a/signed", "a/1")}
    assert len(seen) == 5
    assert digest("a", b"/1\0m") != digest("a/1", b"m")
