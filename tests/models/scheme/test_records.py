"""The chain's records: committed test vectors, names, domain separation.

``tests/reference/encoding_vectors.txt`` holds a sample of every record: its name, the
hex of its encoding (or, if that is long, ``sha256:`` and its hash) and its digest under
the record's domain. A change there is a change of the protocol: nothing made before it
verifies any more. Written by

    python tests/models/test_records.py
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dpodl.models.learning.architecture import Axis, HyperParameters, Menu, Optimizer
from dpodl.models.scheme import formats
from dpodl.models.scheme.encoding import (
    Choice,
    EncodingError,
    Fixed,
    Float,
    Optional,
    Record,
    Sequence,
    Text,
    Unsigned,
    decode,
    digest,
    encode,
)
from dpodl.models.scheme.formats import (
    BLOCK,
    CHECKPOINT,
    GENESIS,
    HEADER,
    MTX,
    PROOF,
    block_digest,
    genesis_digest,
    mtx_digest,
    unsigned_block,
    unsigned_mtx,
)
from dpodl.models.scheme.records import (
    Allocation,
    Block,
    Build,
    Checkpoint,
    Genesis,
    Header,
    Mtx,
    Parameters,
    Proof,
    Reference,
    Retarget,
    RewardRule,
    Score,
    StepPrice,
    Task,
    Transaction,
    Transfer,
    Weight,
)
from hypothesis import given, settings, strategies as st

VECTORS = Path(__file__).parents[2] / "reference" / "encoding_vectors.txt"
LONGEST_HEX = 400


def label(name: str, length: int = 32) -> bytes:
    """Bytes that stand for a digest, a key or a signature."""
    return hashlib.sha512(name.encode()).digest()[:length]


BUILD = Build("0.6.0", "0.6.0", "cpu", "cpu", "jax_enable_x64=False", label("canary"))
WEIGHT = Weight("exponential", 12.5)
PARAMETERS = Parameters(
    t_1=2**240,
    t_2=2**256 - 1,
    s_min=200,
    check_every=10,
    checkpoint_every=50,
    challenges=3,
    horizon_steps=5000,
    eval_samples=1000,
    binding="none",
    chain_rule="weight",
    weight=WEIGHT,
    tie_rule="random",
    step_rule=False,
    reference_window=None,
    tolerance=2.0**-20,
    reward=7,
)
RETARGET = Retarget("asert", 700, 40, True, True, 30_000, 16, "interval")
OPTIMIZER = Optimizer("momentum", (0.01, 0.1), (0.5, 0.9))
MENU = Menu(
    architectures=Axis.of(("softmax", "mlp-32", "cnn-4"), (1, 2, 3)),
    optimizers=Axis.of((Optimizer("sgd", (0.1,)), OPTIMIZER)),
    batch_sizes=Axis.of((16, 32)),
    init_scales=Axis.of((0.5, 1.0)),
)
TASK = Task("digits", label("dataset"), 0.9, 0.95, 40, MENU)
ALLOCATION = Allocation(label("owner"), 10**6)
REFERENCE = Reference("mtx", label("mtx"), "transplant")
HEADER_1 = Header(label("prev"), label("miner"), label("tx_root"))
PROOF_1 = Proof(REFERENCE, label("nonce", 16), label("model"), 925, 480, label("root"))
MTX_1 = Mtx(HEADER_1, PROOF_1._replace(reference=None), label("mtx signature", 64))
TRANSFER = Transfer(label("to"), 12)
SCORE = Score(label("scored"), 970, 1000)
TRANSACTION = Transaction(label("sender"), 3, TRANSFER, None, label("signature", 64))
PRICE = StepPrice("mlp-32", 32, 3_000_000)
REWARDS = RewardRule("operations", 1 << 14, (PRICE,))
SCORING = TRANSACTION._replace(transfer=None, score=SCORE)

# name → (codec, value, domain of its digest)
SAMPLES: dict[str, tuple[Record, Any, str]] = {
    "build": (formats.BUILD, BUILD, "build"),
    "weight": (formats.WEIGHT, WEIGHT, "weight"),
    "parameters": (formats.PARAMETERS, PARAMETERS, "parameters"),
    "hyper_parameters": (
        formats.HYPER_PARAMETERS,
        HyperParameters("mlp-32", "adam", 0.001, 0.0, 32, 0.5),
        "hyper_parameters",
    ),
    "menu": (formats.MENU, MENU, "menu"),
    "task": (formats.TASK, TASK, "task"),
    "allocation": (formats.ALLOCATION, ALLOCATION, "allocation"),
    "genesis": (
        GENESIS,
        Genesis(
            PARAMETERS,
            (TASK,),
            label("publisher"),
            BUILD,
            (ALLOCATION,),
            seed=5,
            config=label("config"),
        ),
        "genesis",
    ),
    "reference": (formats.REFERENCE, REFERENCE, "reference"),
    "checkpoint": (CHECKPOINT, Checkpoint(label("state"), 900, 450), "checkpoint"),
    "header": (HEADER, HEADER_1, "header"),
    "proof": (PROOF, PROOF_1, "proof"),
    "mtx": (MTX, MTX_1, "mtx"),
    "transfer": (formats.TRANSFER, TRANSFER, "transfer"),
    "score": (formats.SCORE, SCORE, "score"),
    "transaction": (formats.TRANSACTION, TRANSACTION, "transaction"),
    "retarget": (formats.RETARGET, RETARGET, "retarget"),
    "parameters_retarget": (
        formats.PARAMETERS,
        PARAMETERS._replace(retarget=RETARGET),
        "parameters",
    ),
    "header_time": (HEADER, HEADER_1._replace(time=12345), "header"),
    "block": (
        BLOCK,
        Block(
            HEADER_1,
            PROOF_1,
            (TRANSACTION, SCORING),
            (MTX_1,),
            label("block signature", 64),
        ),
        "block",
    ),
    "step_price": (formats.STEP_PRICE, PRICE, "step_price"),
    "reward_rule": (formats.REWARD_RULE, REWARDS, "reward_rule"),
    "parameters_2": (
        formats.PARAMETERS,
        PARAMETERS._replace(reward_rule=REWARDS),
        "parameters",
    ),
}
NAMED: dict[str, Callable[[Any], bytes]] = {
    "genesis": genesis_digest,
    "block": block_digest,
    "mtx": mtx_digest,
}


def vector(name: str) -> str:
    """A record's line of the file of vectors."""
    codec, value, domain = SAMPLES[name]
    data = encode(codec, value)
    shown = data.hex()
    if len(shown) > LONGEST_HEX:
        shown = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return f"{name} {shown} {digest(domain, data).hex()}"


def all_codecs(codec: Any) -> list[Any]:
    """A codec and those inside it."""
    inside: list[Any] = []
    if isinstance(codec, Record):
        inside = [*codec.fields.values(), *(each for each, _ in codec.added.values())]
    elif isinstance(codec, Optional | Sequence):
        inside = [codec.item]
    return [codec, *(found for each in inside for found in all_codecs(each))]


def all_records() -> list[Record]:
    """Every record that has a format, and those inside them, once."""
    found: list[Record] = []
    for value in vars(formats).values():
        if isinstance(value, Record):
            found += [each for each in all_codecs(value) if isinstance(each, Record)]
    return [each for i, each in enumerate(found) if each not in found[:i]]


# ------------------------------------------------------------------ vectors


@pytest.mark.parametrize("name", SAMPLES)
def test_vectors(name):
    lines = {line.split(" ")[0]: line for line in VECTORS.read_text().splitlines()}
    assert list(lines) == list(SAMPLES)
    assert vector(name) == lines[name]


def test_small_vectors_written_by_hand():
    # Field by field from the tables of encoding.py and records.py, not by encode.
    written = {
        "weight": "0201" + "02" + "4029000000000000",
        "allocation": "0c01" + label("owner").hex() + "00000000000f4240",
        "reference": "0e01" + "00" + label("mtx").hex() + "01",
        "checkpoint": "0f01" + label("state").hex() + "00000384" + "00000000000001c2",
        "transaction": (
            ("1501" + label("sender").hex() + "0000000000000003")
            + ("01" + "1301" + label("to").hex() + "000000000000000c")
            + ("00" + label("signature", 64).hex())
        ),
    }
    for name, expected in written.items():
        codec, value, _ = SAMPLES[name]
        assert encode(codec, value).hex() == expected, name


UNSIGNED_FORM = {"block": unsigned_block, "mtx": unsigned_mtx}


@pytest.mark.parametrize("name", NAMED)
def test_names_are_digests_of_all_that_is_signed(name):
    codec, value, domain = SAMPLES[name]
    named = encode(codec, UNSIGNED_FORM.get(name, lambda each: each)(value))
    expected = hashlib.sha256(f"dpodl/{domain}/1\0".encode() + named)
    assert NAMED[name](value) == expected.digest()


@pytest.mark.parametrize("name", UNSIGNED_FORM)
def test_another_signature_makes_no_other_name(name):
    _, value, _ = SAMPLES[name]
    assert NAMED[name](value._replace(signature=bytes(64))) == NAMED[name](value)
    if name == "block":
        again = tuple(mtx._replace(signature=bytes(64)) for mtx in value.mtxs)
        assert again != value.mtxs
        assert block_digest(value._replace(mtxs=again)) == block_digest(value)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_come_back(name):
    codec, value, _ = SAMPLES[name]
    assert decode(codec, encode(codec, value)) == value


# ------------------------------------------------------------------ every byte counts


@settings(max_examples=250)
@given(st.sampled_from(list(SAMPLES)), st.data())
def test_a_mutated_byte_changes_the_digest_or_is_refused(name, data):
    codec, value, domain = SAMPLES[name]
    before = encode(codec, value)
    mutated = bytearray(before)
    place = data.draw(st.integers(0, len(before) - 1))
    mutated[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode(codec, bytes(mutated))
    except EncodingError:
        return
    assert found != value
    after = encode(codec, found)
    assert after == mutated
    assert digest(domain, after) != digest(domain, before)
    if name in NAMED:
        form = UNSIGNED_FORM.get(name, lambda each: each)
        same = form(found) == form(value)
        assert (NAMED[name](found) == NAMED[name](value)) == same


def test_every_byte_of_a_block_counts():
    codec, block, domain = SAMPLES["block"]
    data = encode(codec, block)
    names = {digest(domain, data)}
    accepted = 1
    for place in range(len(data)):
        mutated = bytes([*data[:place], data[place] ^ 1, *data[place + 1 :]])
        try:
            names.add(digest(domain, encode(codec, decode(codec, mutated))))
        except EncodingError:
            continue
        accepted += 1
    assert len(names) == accepted
    # Kinds, versions, counts and presences are refused; keys and numbers are not.
    assert 0.9 * len(data) < accepted < len(data)


# ------------------------------------------------------------------ separation


def test_kinds_are_unique_and_without_gaps():
    kinds = [each.kind for each in all_records()]
    assert sorted(kinds) == list(range(1, len(kinds) + 1))


def test_every_record_has_a_vector():
    # The parts of a menu are in the menu's.
    parts = {Axis, Optimizer}
    kinds = {each.kind for each in all_records() if each.build not in parts}
    assert kinds == {codec.kind for codec, _, _ in SAMPLES.values()}


def test_no_record_is_read_as_another():
    for name, (_, value, _) in SAMPLES.items():
        codec = SAMPLES[name][0]
        data = encode(codec, value)
        for reader, _, _ in SAMPLES.values():
            if reader is not codec:
                with pytest.raises(EncodingError, match=r"^must be a record of kind "):
                    decode(reader, data)


def test_digests_of_the_same_bytes_differ_by_domain():
    domains = {domain for _, _, domain in SAMPLES.values()}
    domains |= {"prehash", "posthash", "challenge", "challenge/draw", "tensors"}
    domains |= {"model", "dataset", "transaction/signed", "block/signed", "mtx/signed"}
    assert len({digest(domain, b"") for domain in domains}) == len(domains)


@pytest.mark.parametrize("record", all_records(), ids=lambda each: each.build.__name__)
def test_fields_are_the_classes_in_its_order(record):
    fields = getattr(record.build, "_fields", None)
    if fields is None:
        fields = tuple(record.build.__dataclass_fields__)
    assert (*record.fields, *record.added) == fields


def test_every_choice_of_a_record_is_what_its_annotation_allows():
    for record in all_records():
        for name, codec in record.fields.items():
            if isinstance(codec, Choice):
                allowed = record.build.__annotations__[name].__args__
                assert codec.options == allowed, (record.build, name)


def test_lengths_are_bounded_by_the_codec():
    """The largest encodings are a few megabytes, whoever made them."""

    def largest(codec: Any) -> int:
        match codec:
            case Unsigned(size) | Fixed(size):
                return size
            case Float():
                return 8
            case Text(limit):
                return 4 + limit
            case Optional(item):
                return 1 + largest(item)
            case Sequence(item, limit):
                return 4 + limit * largest(item)
            case Record(fields=fields, added=added):
                later = sum(1 + largest(item) for item, _ in added.values())
                return 2 + later + sum(map(largest, fields.values()))
        return 1

    assert largest(CHECKPOINT) == 46
    assert largest(PROOF) == 131
    # A header of 98 bytes, and 9 for a time.
    assert largest(MTX) == 2 + 98 + 9 + 131 + 64
    assert largest(BLOCK) < 2**20
    assert largest(GENESIS) < 2**25


# ------------------------------------------------------------------ hostile values


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weight", Weight("linear", -0.0), None),
        ("weight", Weight("linear", float("nan")), "kappa: must be a finite binary64"),
        (
            "parameters",
            PARAMETERS._replace(t_1=2**256),
            r"t_1: must be from 0 to 2\^25",
        ),
        ("parameters", PARAMETERS._replace(s_min=-1), "s_min: must be from 0 to "),
        ("task", TASK._replace(name="é"), "name: must be printable ASCII, got 'é'"),
        ("task", TASK._replace(name="x" * 65), "name: must have at most 64 entries"),
        ("header", HEADER_1._replace(miner=bytes(31)), "miner: must be 32 bytes"),
        (
            "proof",
            PROOF_1._replace(reference=REFERENCE._replace(digest=b"")),
            r"reference.digest: must be 32 bytes, got b''",
        ),
        ("mtx", MTX_1._replace(signature=bytes(65)), "signature: must be 64 bytes"),
    ],
)
def test_values_without_an_encoding_are_refused_by_their_field(name, value, message):
    codec = SAMPLES[name][0]
    if message is None:
        encode(codec, value)
        return
    with pytest.raises(EncodingError, match=f"^{message}"):
        encode(codec, value)


def main() -> None:
    """Write the vectors."""
    VECTORS.write_text("".join(f"{vector(name)}\n" for name in SAMPLES))


if __name__ == "__main__":
    main()
