"""A chain small enough for tests: real proofs of a softmax regression on 400 images.

Compilation is nearly all of the time, so all tests share one architecture, batch size
and evaluation sample: one compiled program, after which a look takes a millisecond.
"""

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

from dpodl.models.chain.ledger import Ledger, Published
from dpodl.models.chain.transactions import Key, sign_block, sign_mtx, tx_root
from dpodl.models.learning.architecture import Axis, Menu, Optimizer
from dpodl.models.learning.curves import TrainingSet, training_set
from dpodl.models.learning.data import load_dataset
from dpodl.models.scheme.checkpoints import Opening, checkpoint, open_checkpoint
from dpodl.models.scheme.formats import mtx_digest
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
    Task,
    Transaction,
    Way,
)
from dpodl.models.scheme.scheme import (
    advance,
    bound_bytes,
    dataset_digest,
    initialize,
    prehash,
    prove,
    ticket,
)
from dpodl.models.scheme.states import Look, Tensors, tensors_digest

EXAMPLES, BATCH, EVAL_SAMPLES = 400, 32, 300
STEPS_AN_EPOCH = 12  # 400 // 32
LOOK, SEGMENT, HORIZON = 5, 10, 200
NO_LOTTERY = (1 << 256) - 1

BUILD = Build("1", "1", "cpu", "test", "", bytes(32))
ALICE, BOB, CAROL, PUBLISHER = (Key(bytes([i]) * 32) for i in range(1, 5))

RULES = {
    "sgd": Optimizer("sgd", (0.005, 0.3)),
    "momentum": Optimizer("momentum", (0.05,), (0.5, 0.9)),
    "adam": Optimizer("adam", (0.001, 0.01)),
}

PARAMETERS = Parameters(
    t_1=1 << 254,
    t_2=NO_LOTTERY,
    s_min=LOOK,
    check_every=LOOK,
    checkpoint_every=SEGMENT,
    challenges=1,
    horizon_steps=HORIZON,
    eval_samples=EVAL_SAMPLES,
)


def menu_of(*rules: str, architectures: Sequence[str] = ("softmax",)) -> Menu:
    return Menu(
        architectures=Axis.of(architectures),
        optimizers=Axis.of([RULES[rule] for rule in rules or RULES]),
        batch_sizes=Axis.of((BATCH,)),
        init_scales=Axis.of((0.5, 1.0)),
    )


@cache
def mnist() -> TrainingSet:
    data = load_dataset()
    return training_set(data.x_train[:EXAMPLES], data.y_train[:EXAMPLES])


@cache
def task(
    name: str = "digits", t_acc: float = 0.6, slots: int = 100, r_task: float = 0.99
) -> Task:
    return Task(name, dataset_digest(mnist()), t_acc, r_task, slots, menu_of())


def counting() -> Iterator[bytes]:
    """Nonces 0, 1, 2, ..."""
    return (i.to_bytes(16, "big") for i in itertools.count())


class MemoryArchive:
    """Checkpoints and models in dictionaries, which tests may spoil."""

    def __init__(self):
        self.leaves: dict[bytes, tuple[Checkpoint, ...]] = {}
        self.states: dict[bytes, Tensors] = {}

    def keep(self, proof: Proof, looks: Sequence[Look]) -> None:
        self.leaves[proof.cp_root] = tuple(map(checkpoint, looks))
        for look in looks:
            self.states[tensors_digest(look.tensors)] = look.tensors

    def opening(self, cp_root: bytes, index: int) -> Opening:
        return _opened(self.leaves[cp_root], index)

    def tensors(self, state: bytes) -> Tensors:
        return self.states[state]


@cache
def _opened(leaves: tuple[Checkpoint, ...], index: int) -> Opening:
    return open_checkpoint(leaves, index)


def genesis(*, tasks: Sequence[Task] | None = None, **overrides) -> Genesis:
    return Genesis(
        parameters=PARAMETERS._replace(**overrides),
        tasks=(task(),) if tasks is None else tuple(tasks),
        publisher=PUBLISHER.public,
        build=BUILD,
        allocations=(Allocation(ALICE.public, 100), Allocation(CAROL.public, 7)),
    )


class Mine:
    """A ledger, its archive, and hands that train exactly what a test asks for."""

    def __init__(self, *, tasks: Sequence[Task] | None = None, **overrides):
        start = genesis(tasks=tasks, **overrides)
        self.archive = MemoryArchive()
        self.data = [mnist()] * len(start.tasks)
        self.ledger = Ledger(start, self.data, self.archive, BUILD)
        self.root = self.ledger.name
        self._nonces = counting()

    def block(
        self,
        parent: bytes,
        reference: Published | None = None,
        *,
        steps: int = LOOK,
        key: Key = ALICE,
        way: Way = "transplant",
        transactions: tuple[Transaction, ...] = (),
        good: bool | None = True,
        mtxs: tuple[Mtx, ...] | None = None,
    ) -> Block:
        """A signed block of exactly ``steps``, not yet shown to the ledger.

        ``good``: whether its model reaches T_acc; None: either way.
        """
        header = Header(parent, key.public, tx_root(transactions))
        named = refer(reference, way)
        proof = self._proof(header, named, reference, steps, good)
        if mtxs is None:
            mtxs = self.ledger.expected_mtxs(parent, named)
        block = Block(header, proof, transactions, mtxs, bytes(64))
        return sign_block(key, self.root, block)

    def mtx(
        self,
        parent: bytes,
        reference: Published | None = None,
        *,
        steps: int = LOOK,
        key: Key = BOB,
        way: Way = "transplant",
        good: bool | None = False,
    ) -> Mtx:
        """A signed mtx of exactly ``steps``, not yet shown to the ledger."""
        header = Header(parent, key.public, tx_root(()))
        proof = self._proof(header, refer(reference, way), reference, steps, good)
        return sign_mtx(key, self.root, Mtx(header, proof, bytes(64)))

    def extend(self, parent: bytes, *others, **settings) -> bytes:
        """Add a new block; its name."""
        return self.ledger.add_block(self.block(parent, *others, **settings)).name

    def offer(self, parent: bytes, *others, **settings) -> Published:
        """Add a new mtx."""
        mtx = self.mtx(parent, *others, **settings)
        published = self.ledger.add_mtx(mtx)
        assert published.name == mtx_digest(mtx)
        return published

    def model(self, block: bytes) -> Published:
        return self.ledger.published[block]

    def _proof(self, header, named, reference, steps, good) -> Proof:
        instance = self.ledger.instance(header.prev_block)
        parameters = instance.parameters
        model = None if reference is None else reference.model
        while True:
            passed = prehash(
                parameters.t_1,
                header.prev_block,
                named,
                nonces=self._nonces,
                bound=bound_bytes(parameters, header),
            )
            way = None if named is None else named.way
            training = initialize(instance, passed.h_1, model, way)
            while training.now.steps < steps:
                training = advance(instance, training)
            accuracy = training.now.correct / parameters.eval_samples
            fits = good is None or (accuracy >= instance.task.t_acc) == good
            if fits and ticket(instance, training)[1]:
                proof, looks = prove(training, named, passed.nonce)
                self.archive.keep(proof, looks)
                return proof


def refer(model: Published | None, way: Way = "transplant") -> Reference | None:
    if model is None:
        return None
    kind = "mtx" if isinstance(model.record, Mtx) else "block"
    return Reference(kind, model.name, way)
