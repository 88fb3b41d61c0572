"""Small worlds: provers on a virtual clock, and what happens to them.

All of them train a softmax regression on 1,000 images: one compiled program, after
which a look takes about a millisecond.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from dpodl.models.chain.archive import MemoryArchive
from dpodl.models.chain.ledger import Ledger, Published
from dpodl.models.chain.prover import Prover, prover_key
from dpodl.models.chain.strategies.base import Honest
from dpodl.models.chain.transactions import Key
from dpodl.models.chain.world import Clock, Happening, Publisher, World
from dpodl.models.learning.architecture import Axis, Menu, Optimizer
from dpodl.models.learning.curves import TrainingSet, training_set
from dpodl.models.learning.data import load_dataset
from dpodl.models.scheme.records import Block, Build, Genesis, Parameters, Task
from dpodl.models.scheme.scheme import dataset_digest
from dpodl.models.scheme.states import Model

EXAMPLES, BATCH, EVAL_SAMPLES = 1000, 32, 250
LOOK, SEGMENT, HORIZON = 10, 20, 600
HASHES_PER_STEP = 4.0
ALWAYS = (1 << 256) - 1

BUILD = Build("1", "1", "cpu", "test", "", bytes(32))
PUBLISHER = Key(bytes([200]) * 32)

# To T_ACC they take about 15, 30 and 60 steps; to .85, about 40, 60 and 200.
FAST, MIDDLE, SLOW = 0.3, 0.1, 0.03
T_ACC = 0.75

PARAMETERS = Parameters(
    t_1=1 << 254,
    t_2=ALWAYS,
    s_min=LOOK,
    check_every=LOOK,
    checkpoint_every=SEGMENT,
    challenges=1,
    horizon_steps=HORIZON,
    eval_samples=EVAL_SAMPLES,
)


def one_in(inverse: int) -> int:
    """The target that one hash in ``inverse`` passes."""
    return (1 << 256) // inverse - 1


def menu_of(
    *rates: float,
    batch_sizes: Sequence[int] = (BATCH,),
    architectures: Sequence[str] = ("softmax",),
) -> Menu:
    return Menu(
        architectures=Axis.of(architectures),
        optimizers=Axis.of([Optimizer("sgd", rates or (FAST, MIDDLE))]),
        batch_sizes=Axis.of(batch_sizes),
        init_scales=Axis.of([1.0]),
    )


@cache
def mnist() -> tuple[TrainingSet, TrainingSet]:
    """Training and test set."""
    data = load_dataset()
    return (
        training_set(data.x_train[:EXAMPLES], data.y_train[:EXAMPLES]),
        training_set(data.x_test[:500], data.y_test[:500]),
    )


def task(
    t_acc: float = T_ACC,
    *,
    name: str = "digits",
    r_task: float = 1.0,
    slots: int = 10_000,
    menu: Menu | None = None,
) -> Task:
    data = dataset_digest(mnist()[0])
    return Task(name, data, t_acc, r_task, slots, menu or menu_of())


def world(
    strategies: Sequence[Honest],
    *,
    tasks: Sequence[Task] | None = None,
    seed: int = 0,
    speeds: Sequence[float] | None = None,
    favoured: Sequence[int] = (),
    clock: Clock | None = None,
    delay: float = 0.0,
    depth: int | None = None,
    ledger_challenges: int | None = None,
    delay_model: str = "worst_case",
    **parameters,
) -> World:
    """A world of provers p0, p1, ...; with a publisher where a depth is given."""
    given = (task(),) if tasks is None else tuple(tasks)
    rules = PARAMETERS._replace(**parameters)
    archive = MemoryArchive()
    training, test = mnist()
    ledger = Ledger(
        Genesis(rules, given, PUBLISHER.public, BUILD, seed=seed),
        [training] * len(given),
        archive,
        BUILD,
        challenges=ledger_challenges,
    )
    keys = [key_of(place, seed) for place in range(len(strategies))]
    provers = [
        Prover(
            f"p{place}",
            seed_of(place, seed),
            ledger,
            strategy,
            speed=speeds[place] if speeds else 1.0,
            favoured=[keys[each] for each in favoured],
        )
        for place, strategy in enumerate(strategies)
    ]
    publisher = None
    if depth is not None:
        publisher = Publisher(PUBLISHER, (test,) * len(given), depth)
    return World(
        ledger,
        archive,
        provers,
        clock=clock or Clock(HASHES_PER_STEP),
        delay=delay,
        delay_model=delay_model,  # pyright: ignore
        publisher=publisher,
    )


def seed_of(place: int, seed: int = 0) -> bytes:
    return bytes([place + 1, seed]) * 16


def key_of(place: int, seed: int = 0) -> bytes:
    """The public key of a world's prover."""
    return prover_key(seed_of(place, seed)).public


class Story(NamedTuple):
    """What happened in a world until it was stopped.

    Attributes:
        world: The world.
        happened: Everything.
        reorganized: Most blocks an honest prover has given up at once.
    """

    world: World
    happened: list[Happening]
    reorganized: int

    @property
    def chain(self) -> list[Published]:
        """What the first prover's chain is made of."""
        published = self.world.ledger.published
        first = next(iter(self.world.provers.values()))
        return [published[entry.name] for entry in first.view.chain()]

    @property
    def blocks(self) -> dict[str, int]:
        """Blocks of that chain by prover."""
        names = {each.key.public: each.name for each in self.world.provers.values()}
        return Counter(names[block.miner] for block in self.chain)

    def share(self, name: str) -> float:
        """A prover's share of them."""
        return self.blocks[name] / len(self.chain)

    def of(self, what: str, who: str | None = None) -> list[Happening]:
        """What happened of one kind, to one prover."""
        return [
            each
            for each in self.happened
            if each.what == what and who in (None, each.who)
        ]

    def of_blocks(self) -> list[Published]:
        """Every accepted block, on the chain or not."""
        published = self.world.ledger.published
        return [each for each in published.values() if each.kind == "block"]

    @property
    def reasons(self) -> Counter[str]:
        """Rules by which honest provers refused."""
        provers = self.world.provers
        return Counter(
            each.reason.partition(":")[0]
            for each in self.of("refused")
            if not provers[each.who].strategy.adversarial
        )


def tell(world: World, *, height: int = 10, until: float = 1e5) -> Story:
    """Run until every honest prover's chain has a height, or until a time.

    Raises:
        AssertionError: If that time comes first.
    """
    honest = [each for each in world.provers.values() if not each.strategy.adversarial]
    entries = world.ledger.entries
    tips = {each.name: world.ledger.name for each in honest}
    happened, reorganized = [], 0
    for each in world.run():
        happened.append(each)
        if each.what == "tip" and each.who in tips:
            old = tips[each.who]
            reorganized = max(reorganized, _given_up(world.ledger, old, each.name))
            tips[each.who] = each.name
            if min(entries[tip].height for tip in tips.values()) >= height:
                return Story(world, happened, reorganized)
        assert each.time < until, f"no chain of {height} blocks by {until}"
    raise AssertionError("a world never ends")


def block_of(published: Published) -> Block:
    """The block that published a model."""
    assert isinstance(published.record, Block)
    return published.record


def model_of(published: Published) -> Model:
    """A model that was re-executed."""
    assert published.model is not None
    return published.model


def _given_up(ledger: Ledger, old: bytes, new: bytes) -> int:
    kept = {entry.name for entry in ledger.ancestors(new)}
    return next(
        lost for lost, entry in enumerate(ledger.ancestors(old)) if entry.name in kept
    )
