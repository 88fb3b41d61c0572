"""A chain mined for real, and what its judges say of records that are not right."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.transactions import (
    Key,
    score,
    sign_block,
    sign_mtx,
    transfer,
    tx_root,
)
from dpodl.models.learning.architecture import (
    Axis,
    Menu,
    Optimizer,
)
from dpodl.models.learning.curves import TrainingSet
from dpodl.models.scheme.checkpoints import (
    Checkpoint,
    Opening,
    Rejected,
    checkpoint,
    checkpoint_root,
    open_checkpoint,
)
from dpodl.models.scheme.encoding import (
    Choice,
    Codec,
    EncodingError,
    Fixed,
    Flag,
    Float,
    Optional,
    Record,
    Sequence,
    Text,
    Unsigned,
    decode,
    encode,
)
from dpodl.models.scheme.formats import (
    BLOCK,
    MTX,
    mtx_digest,
)
from dpodl.models.scheme.records import (
    SIGNATURE_BYTES,
    Allocation,
    Block,
    Build,
    Genesis,
    Header,
    Mtx,
    Parameters,
    Reference,
    Task,
)
from dpodl.models.scheme.scheme import (
    Instance,
    Solution,
    Training,
    advance,
    bound_bytes,
    dataset_digest,
    initialize,
    prehash,
    prove,
    solve,
    ticket,
)
from dpodl.models.scheme.states import (
    Look,
    Tensors,
    tensors_digest,
)
from hypothesis import strategies as st

MINER, HELPER, PUBLISHER, EVE = (Key(bytes([n]) * 32) for n in range(1, 5))
UNSIGNED = bytes(SIGNATURE_BYTES)
# Any name will do: what is mined here is verified here.
BUILD = Build("0", "0", "cpu", "tests", "", bytes(32))
MENU_OF_TESTS = Menu(
    Axis.of(("mlp-8",)),
    Axis.of((Optimizer("sgd", (0.1,)), Optimizer("adam", (0.003,)))),
    Axis.of((32,)),
    Axis.of((1.0,)),
)
# A pre-hash passes with probability 2^-12: a mutated one does not by luck. Every
# segment is challenged, so that no forged one is missed by luck either.
PARAMETERS = Parameters(
    t_1=1 << 244,
    t_2=1 << 254,
    s_min=20,
    check_every=20,
    checkpoint_every=40,
    challenges=1000,
    horizon_steps=600,
    eval_samples=500,
)


class Shelf:
    """An archive in memory, which a test can spoil."""

    def __init__(self) -> None:
        self.leaves: dict[bytes, tuple[Checkpoint, ...]] = {}
        self.states: dict[bytes, Tensors] = {}

    def put(self, looks: tuple[Look, ...]) -> bytes:
        """Keep a proof's checkpoints; their root."""
        leaves = tuple(map(checkpoint, looks))
        self.states |= {tensors_digest(look.tensors): look.tensors for look in looks}
        root = checkpoint_root(leaves)
        self.leaves[root] = leaves
        return root

    def opening(self, cp_root: bytes, index: int) -> Opening:
        leaves = self.leaves[cp_root]
        if index >= len(leaves):
            raise KeyError(index)
        return open_checkpoint(leaves, index)

    def tensors(self, state: bytes) -> Tensors:
        return self.states[state]


class Chain(NamedTuple):
    """A block on the genesis, an mtx on it, and a block that refers to the mtx."""

    genesis: Genesis
    data: TrainingSet
    shelf: Shelf
    first: Block
    mtx: Mtx
    second: Block
    looks: tuple[Look, ...]

    def __repr__(self) -> str:
        # Hypothesis shows it, and has no end of tensors to show.
        return "Chain(...)"

    def ledger(self, archive: Any = None) -> Ledger:
        """A ledger that has the first block alone."""
        ledger = self.empty(self.shelf)
        ledger.add_block(self.first)
        ledger._archive = self.shelf if archive is None else archive
        return ledger

    def empty(self, archive: Any) -> Ledger:
        """A ledger that has nothing yet."""
        return Ledger(self.genesis, [self.data], archive, BUILD)


def nonces() -> Iterator[bytes]:
    return (number.to_bytes(16, "big") for number in itertools.count())


def below(instance: Instance, header: Header) -> Solution | None:
    """A ticket drawn before T_acc is reached: an mtx."""
    source = nonces()
    for _ in range(20):
        bound = bound_bytes(instance.parameters, header)
        passed = prehash(
            instance.parameters.t_1,
            header.prev_block,
            None,
            nonces=source,
            bound=bound,
        )
        training: Training = initialize(instance, passed.h_1, None, None)
        while True:
            training = advance(instance, training)
            if training.now.correct / PARAMETERS.eval_samples >= instance.task.t_acc:
                break
            h_2, passes = ticket(instance, training)
            if passes:
                proof, looks = prove(training, None, passed.nonce)
                return Solution(proof, h_2, training, looks, 1, proof.steps)
    return None


def genesis_of(data: TrainingSet, **changes: Any) -> Genesis:
    task = Task("digits", dataset_digest(data), 0.8, 0.99, 100, MENU_OF_TESTS)
    return Genesis(
        PARAMETERS._replace(**changes),
        (task,),
        PUBLISHER.public,
        BUILD,
        (Allocation(MINER.public, 100),),
    )


def mine(data: TrainingSet, **changes: Any) -> Chain:
    """Mine two blocks and an mtx for real."""
    genesis = genesis_of(data, **changes)
    shelf = Shelf()
    ledger = Ledger(genesis, [data], shelf, BUILD)
    name = ledger.name
    instance = ledger.instance(name)

    header = Header(name, MINER.public, tx_root(()))
    found = solve(instance, header, None, None, nonces=nonces())
    assert shelf.put(found.looks) == found.proof.cp_root
    first = sign_block(MINER, name, Block(header, found.proof, (), (), UNSIGNED))
    tip = ledger.add_block(first).name

    header = Header(tip, HELPER.public, tx_root(()))
    offered = below(instance, header)
    assert offered is not None
    shelf.put(offered.looks)
    mtx = sign_mtx(HELPER, name, Mtx(header, offered.proof, UNSIGNED))
    model = ledger.add_mtx(mtx).model

    transactions = (
        transfer(MINER, name, 0, HELPER.public, 30),
        score(PUBLISHER, name, 0, tip, 900, 1000),
    )
    header = Header(tip, MINER.public, tx_root(transactions))
    reference = Reference("mtx", mtx_digest(mtx), "transplant")
    found = solve(instance, header, reference, model, nonces=nonces())
    shelf.put(found.looks)
    second = Block(header, found.proof, transactions, (mtx,), UNSIGNED)
    second = sign_block(MINER, name, second)
    return Chain(genesis, data, shelf, first, mtx, second, found.looks)


# ------------------------------------------------------------------ judging


def add(ledger: Ledger, record: Block | Mtx) -> bytes:
    """The name of an accepted record."""
    if isinstance(record, Block):
        return ledger.add_block(record).name
    return ledger.add_mtx(record).name


def verdict(ledger: Ledger, record: Any) -> str:
    """Which rule refuses a record; ``accepted``, or ``encoding``."""
    before = set(ledger.entries)
    refusal = None
    try:
        add(ledger, record)
    except (EncodingError, Rejected) as error:
        refusal = error
    if refusal is None:
        return "accepted"
    assert set(ledger.entries) == before
    assert refusal.reason
    return refusal.rule if isinstance(refusal, Rejected) else "encoding"


def judge_bytes(ledger: Ledger, codec: Record, data: bytes) -> str:
    """The same, of bytes from the network."""
    try:
        record = decode(codec, data)
    except EncodingError:
        return "encoding"
    assert encode(codec, record) == data
    return verdict(ledger, record)


def fields_of(codec: Codec, value: Any, path: tuple = ()) -> Iterator[tuple]:
    """(path, codec, value) of every field of a record, at every depth."""
    if path:
        yield path, codec, value
    if isinstance(codec, Record):
        for name, inner in codec.fields.items():
            yield from fields_of(inner, getattr(value, name), (*path, name))
    elif isinstance(codec, Optional):
        if value is not None:
            yield from fields_of(codec.item, value, path)
    elif isinstance(codec, Sequence):
        for place, item in enumerate(value):
            yield from fields_of(codec.item, item, (*path, place))


def replaced(value: Any, path: tuple, new: Any) -> Any:
    """A record with one field replaced."""
    if not path:
        return new
    head, *rest = path
    if isinstance(head, int):
        items = list(value)
        items[head] = replaced(items[head], tuple(rest), new)
        return tuple(items)
    return value._replace(**{head: replaced(getattr(value, head), tuple(rest), new)})


def near(codec: Codec, value: Any) -> Any:
    """Another value of a field, as close as can be."""
    match codec:
        case Unsigned():
            return value ^ 1
        case Fixed():
            return bytes([*value[:-1], value[-1] ^ 1])
        case Choice(options):
            return options[list(options).index(value) - 1]
        case Sequence():
            return value[:-1]
        case Optional():
            return None
    # A record within: its fields have their turns.
    return value


def any_of(codec: Codec) -> st.SearchStrategy:
    """Any value of a field."""
    match codec:
        case Unsigned(width):
            return st.integers(0, 256**width - 1)
        case Fixed(length):
            return st.binary(min_size=length, max_size=length)
        case Float():
            return st.floats(allow_nan=False, allow_infinity=False)
        case Text(limit):
            return st.text(st.characters(codec="ascii"), max_size=limit)
        case Flag():
            return st.booleans()
        case Choice(options):
            return st.sampled_from(options)
        case Optional(item):
            return st.none() | any_of(item)
        case Sequence(item):
            return st.lists(any_of(item), max_size=2).map(tuple)
        case Record(build, _, fields, added):
            # All of them: what a field's type allows, its bytes may not.
            each = {k: any_of(c) for k, c in fields.items()}
            later = {k: st.just(d) | any_of(c) for k, (c, d) in added.items()}
            return st.builds(build, **each, **later)
    raise AssertionError(codec)


def others_of(codec: Codec, value: Any) -> st.SearchStrategy:
    """Values a field could be replaced by, near and far."""
    chosen = any_of(codec)
    if isinstance(codec, Unsigned):
        top = 256**codec.width - 1
        steps = [value + step for step in (-40, -20, -1, 1, 20, 40)] + [0, top]
        chosen |= st.sampled_from([n for n in steps if 0 <= n <= top])
    if isinstance(codec, Fixed):
        number = int.from_bytes(value, "big")
        bits = st.integers(0, 8 * codec.length - 1)
        chosen |= bits.map(lambda b: (number ^ 1 << b).to_bytes(codec.length, "big"))
    if isinstance(codec, Sequence):
        chosen |= st.permutations(value).map(tuple) | st.just(value + value)
    return chosen


def signed_by(key: Key, genesis: bytes, record: Any) -> Any:
    """A record with a right signature, as the key's owner makes it."""
    if isinstance(record, Block):
        return sign_block(key, genesis, record)
    return sign_mtx(key, genesis, record)


RECORDS: list[tuple[str, Record]] = [("second", BLOCK), ("mtx", MTX)]
