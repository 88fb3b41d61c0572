"""Mining a chain for real, verifying it in another process, and reading it.

``mine`` conducts a World (models/world.py) from a config and keeps what it finds in a
ChainFolder; ``verify_chain`` replays a folder, re-running challenged training;
``read_chain`` shows it to people who trust it.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ..models.build import this_build
from ..models.curves import TrainingSet, training_set
from ..models.encoding import digest
from ..models.ledger import Entry, Ledger, Published
from ..models.records import (
    Allocation,
    Block,
    Genesis,
    Mtx,
    Parameters,
    Task,
    Weight,
    block_digest,
    mtx_digest,
)
from ..models.scheme import dataset_digest
from ..models.strategies import (
    CrossSlotNew,
    CrossSlotOld,
    Equivocate,
    ForgedCheckpoints,
    Honest,
    PostHashGrinding,
    PreHashGrinding,
    Relabel,
    WithheldMtx,
)
from ..models.transactions import Key, transfer
from ..models.view import View
from ..models.world import (
    Clock,
    Prover,
    Publisher,
    World,
    prover_key,
)
from .chain_store import ChainError, ChainFolder, Logged
from .config import Config, ConfigError, parse_config
from .datasets import config_dataset
from .evaluation import bucket_costs, lottery_of
from .store import exclusive

_COINS = 1_000  # every prover's, to pay the others with
_ATTACK_DEPTH = 3  # blocks that cross_slot_old rewrites
_NUDGE = 1e-6  # of grind_posthash where Verify tolerates nothing
_TEST_EXAMPLES = 2_000
# Far behind where a prover gives up; the law knows no end of a training above T_acc.
_LONGEST_PROOF = 1 << 24
_PLAIN_ATTACKS = {
    "relabel": Relabel,
    "equivocate": Equivocate,
    "cross_slot_new": CrossSlotNew,
    "withheld_mtx": WithheldMtx,
    "forged_checkpoints": ForgedCheckpoints,
}


class Status(NamedTuple):
    """How far mining is.

    Attributes:
        height: Of the selected chain.
        target: Height to mine to.
        forks: Blocks that are not on it.
        mtxs: Model transactions so far.
        refused: Records that were refused.
        accuracy: Of the latest look at any model in training.
        time: Virtual time, steps.
    """

    height: int
    target: int
    forks: int
    mtxs: int
    refused: int
    accuracy: float
    time: float


class MiningResult(NamedTuple):
    """A mined chain.

    Attributes:
        folder: Where it is.
        mined: Blocks found this time.
        status: Where it stands.
        refusals: How often which reason was given, this time.
        seconds: Wall time.
    """

    folder: Path
    mined: int
    status: Status
    refusals: dict[str, int]
    seconds: float


class ChainReport(NamedTuple):
    """What verifying a chain found.

    Attributes:
        chain: The genesis' digest.
        tip: The selected chain's tip.
        height: Its height.
        blocks: Blocks in the log, forks included.
        mtxs: Model transactions in the log.
        files: States and leaves that were checked.
        challenges: q.
        seconds: Wall time.
    """

    chain: str
    tip: str
    height: int
    blocks: int
    mtxs: int
    files: int
    challenges: int
    seconds: float


class _Setting(NamedTuple):
    genesis: Genesis
    data: list[TrainingSet]
    tests: list[TrainingSet]


def chain_path(config: Config, root: Path) -> Path:
    """Where a config's chain is kept."""
    return root / f"{config.name}-{config.chain_digest()[:10]}"


def mine(config: Config, root: Path, report: Callable[[Status], None]) -> MiningResult:
    """Mine a chain to ``mining.blocks``, or what is missing of it.

    The provers of an interrupted chain start anew from what the log holds; what they
    had in training, and blocks an attacker was holding back, are lost.

    Args:
        config: The chain's settings.
        root: Folder of all chains; this one gets ``<name>-<digest>`` in it.
        report: Told how far it is.

    Raises:
        ConfigError: If config and data do not go together.
        ChainError: If the folder holds something else, or is damaged.
        ForeignBuild: If the chain was begun on another build.
    """
    started = time.perf_counter()
    folder = ChainFolder(chain_path(config, root))
    with exclusive(folder.path):
        text = config.to_toml().encode()
        setting = _setting(config, text)
        folder.create(setting.genesis, text)
        folder.repair()
        ledger = _ledger(setting.genesis, setting.data, folder)
        world, observer = _resume(config, folder, ledger, setting)
        refusals: Counter[str] = Counter()
        before = len(observer.known)
        with folder.writer() as writer:
            status = _status(config, observer, world.now, refusals, 0.0)
            sent, logged = 0, len(ledger.published)
            for happening in world.run() if status.height < status.target else ():
                # All that the ledger has accepted, in its order: attackers' copies too,
                # which nobody found.
                for published in _since(ledger, logged):
                    record = published.record
                    logged += 1
                    is_block = isinstance(record, Block)
                    writer.append(
                        Logged(
                            happening.time,
                            record if is_block else None,
                            None if is_block else record,
                        )
                    )
                    observer.hear(record)
                    if is_block:
                        sent = _send_transfers(config, world, observer, sent)
                if happening.what == "refused":
                    refusals[happening.reason] += 1
                accuracy = (
                    happening.accuracy if happening.what == "look" else status.accuracy
                )
                status = _status(config, observer, world.now, refusals, accuracy)
                report(status)
                if status.height >= status.target:
                    break
        return MiningResult(
            folder=folder.path,
            mined=len(observer.known) - before,
            status=status,
            refusals=dict(refusals),
            seconds=time.perf_counter() - started,
        )


def verify_chain(
    path: Path,
    *,
    challenges: int | None,
    later: bool,
    report: Callable[[int, int], None],
) -> ChainReport:
    """Check a chain folder, training included, as a stranger would.

    Every file is compared with its name, every record with the rules; challenged
    segments are re-executed bit for bit.

    Args:
        path: The chain folder.
        challenges: q; None: as the chain's parameters say.
        later: Draw the challenges from the last block too, which no prover could
            foresee, and not from the proof alone.
        report: Told (records checked, records).

    Raises:
        ChainError: If a file is missing, torn or damaged, or the data set is another.
        Rejected: If a record breaks a rule.
        ForeignBuild: If training cannot be re-executed here.
    """
    started = time.perf_counter()
    folder = ChainFolder(path)
    genesis = folder.genesis()
    config = parse_config(folder.config(), str(path / "config.toml"))
    log = list(folder.records())
    files = folder.check_files()
    for logged in log:
        folder.require_complete(logged)
    dataset = config_dataset(config)
    data = [training_set(dataset.x_train, dataset.y_train)] * len(genesis.tasks)
    try:
        ledger = _ledger(genesis, data, folder, challenges)
    except ConfigError as error:
        raise ChainError(f"{path} cannot be verified with this data: {error}") from None
    blocks = [logged.block for logged in log if logged.block is not None]
    salt = block_digest(blocks[-1]) if later and blocks else b""
    view = View(ledger)
    for done, logged in enumerate(log):
        report(done, len(log))
        _hear_logged(view, logged, salt)
    report(len(log), len(log))
    used = genesis.parameters.challenges if challenges is None else challenges
    return ChainReport(
        chain=ledger.name.hex(),
        tip=view.tip.hex(),
        height=ledger.entries[view.tip].height,
        blocks=len(blocks),
        mtxs=len(log) - len(blocks),
        files=files,
        challenges=used,
        seconds=time.perf_counter() - started,
    )


class ChainView(NamedTuple):
    """A chain as it is read, without running any training again.

    Attributes:
        ledger: Its records.
        entries: The selected chain from its first block to the tip.
        times: When each record was found, steps, by digest.
        forks: Blocks off the selected chain, by height.
    """

    ledger: Ledger
    entries: list[Entry]
    times: dict[bytes, float]
    forks: dict[int, list[bytes]]


def read_chain(path: Path) -> ChainView:
    """Read a chain folder; all rules are checked but the training.

    Raises:
        ChainError: If a file is missing, torn or damaged.
        Rejected: If a record breaks a rule.
    """
    folder = ChainFolder(path)
    folder.config()
    genesis = folder.genesis()
    ledger = Ledger(genesis, None, folder, genesis.build)
    view = View(ledger)
    times = {}
    for logged in folder.records():
        _hear_logged(view, logged, b"")
        times[_digest(logged.record)] = logged.time
    entries = view.chain()
    selected = {entry.name for entry in entries}
    forks: dict[int, list[bytes]] = {}
    for entry in ledger.entries.values():
        if entry.height and entry.name not in selected:
            forks.setdefault(entry.height, []).append(entry.name)
    return ChainView(ledger, entries, times, forks)


def prover_names(config: Config) -> dict[bytes, str]:
    """Names of a config's provers by their public keys."""
    return {prover_key(_seed(config, name)).public: name for name in _names(config)}


def _hear_logged(view: View, logged: Logged, later: bytes) -> None:
    record = logged.record
    if isinstance(record, Block):
        view.ledger.add_block(record, later=later)
    else:
        view.ledger.add_mtx(record, later=later)
    view.hear(record)


def _setting(config: Config, text: bytes) -> _Setting:
    dataset = config_dataset(config)
    data = training_set(dataset.x_train, dataset.y_train)
    test = training_set(
        dataset.x_test[:_TEST_EXAMPLES], dataset.y_test[:_TEST_EXAMPLES]
    )
    parameters = _parameters(config, data.images.shape[0])
    menu, name = config.menu.build(), dataset_digest(data)
    given = config.mining.tasks
    tasks = tuple(
        Task(each.name, name, each.t_acc, each.r_task, each.slots, menu)
        for each in given
    ) or (Task(config.name, name, config.scheme.t_acc, 1.0, 2**32 - 1, menu),)
    genesis = Genesis(
        parameters=parameters,
        tasks=tasks,
        publisher=_publisher_key(config).public,
        build=this_build(),
        allocations=tuple(Allocation(key, _COINS) for key in prover_names(config)),
        seed=config.seed,
        config=hashlib.sha256(text).digest(),
    )
    return _Setting(genesis, [data] * len(tasks), [test] * len(tasks))


def _parameters(config: Config, examples: int) -> Parameters:
    mining, training, scheme = config.mining, config.training, config.scheme
    samples = training.eval_samples
    every = mining.checkpoint_every
    top = (1 << 256) - 1
    return Parameters(
        t_1=min(scheme.t_1, top),
        t_2=min(scheme.t_2, top),
        s_min=mining.s_min,
        check_every=training.check_every,
        checkpoint_every=training.check_every if every == "check_every" else every,
        challenges=mining.challenges,
        horizon_steps=_LONGEST_PROOF // training.check_every * training.check_every,
        eval_samples=examples if samples == "all" else samples,
        binding=mining.binding,
        chain_rule=mining.chain_rule,
        weight=Weight(mining.weight.family, mining.weight.kappa),
        tie_rule=mining.tie_rule,
        step_rule=mining.step_rule,
        reference_window=(
            None if mining.reference_window == "off" else mining.reference_window
        ),
        tolerance=mining.tolerance,
        reward=mining.reward,
    )


def _ledger(
    genesis: Genesis,
    data: Sequence[TrainingSet],
    folder: ChainFolder,
    challenges: int | None = None,
) -> Ledger:
    try:
        return Ledger(genesis, data, folder, this_build(), challenges=challenges)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _names(config: Config) -> list[str]:
    corrupted = round(config.network.beta * config.network.provers)
    honest = config.network.provers - corrupted
    if config.mining.attack == "none":
        honest, corrupted = config.network.provers, 0
    return [f"honest-{i}" for i in range(honest)] + [
        f"corrupt-{i}" for i in range(corrupted)
    ]


def _seed(config: Config, name: str) -> bytes:
    return digest("mining/seed", config.seed.to_bytes(8, "big"), name.encode())


def _publisher_key(config: Config) -> Key:
    return prover_key(_seed(config, "publisher"))


def _resume(
    config: Config, folder: ChainFolder, ledger: Ledger, setting: _Setting
) -> tuple[World, View]:
    """The world as the log leaves it, and a view that hears everything."""
    log = list(folder.records())
    keys = prover_names(config)
    corrupt = [key for key, name in keys.items() if name.startswith("corrupt")]
    height, width = setting.data[0].images.shape[1:]
    costs = bucket_costs(config, (height, width), setting.data[0].classes)
    # Other nonces than the ones that were tried before.
    salt = len(log).to_bytes(8, "big")
    provers = [
        Prover(
            name,
            _seed(config, name),
            ledger,
            _strategy(config, name),
            salt=salt,
            speed=config.mining.speeds[i] if config.mining.speeds else 1.0,
            favoured=corrupt,
        )
        for i, name in enumerate(_names(config))
    ]
    world = World(
        ledger,
        folder,
        provers,
        clock=Clock(config.clock.hashes_per_step, costs),
        delay=config.network.delay_steps,
        delay_model=config.mining.delay_model,
        publisher=Publisher(
            _publisher_key(config),
            tuple(setting.tests),
            config.mining.score_depth,
        ),
        start=log[-1].time if log else 0.0,
    )
    observer = View(ledger)
    for logged in log:
        for view in (observer, *(prover.view for prover in provers)):
            view.hear(logged.record)
    return world, observer


def _strategy(config: Config, name: str) -> Honest:
    mining = config.mining
    policy: Any = {
        "policy": mining.reference,
        "way": mining.way,
        "retry": config.scheme.retry,
        "abandon_steps": lottery_of(config, config.scheme).abandon_steps,
    }
    if name.startswith("honest"):
        return Honest(**policy)
    if mining.attack == "cross_slot_old":
        return CrossSlotOld(_ATTACK_DEPTH, **policy)
    if mining.attack == "grind_prehash":
        rates = sorted(rate for o in config.menu.optimizers for rate in o.rates())
        middle = rates[len(rates) // 2]
        return PreHashGrinding(lambda hpp: hpp.learning_rate >= middle, **policy)
    if mining.attack == "grind_posthash":
        return PostHashGrinding(mining.tolerance or _NUDGE, **policy)
    return _PLAIN_ATTACKS[mining.attack](**policy)


def _since(ledger: Ledger, count: int) -> list[Published]:
    """What the ledger has accepted after its first ``count`` records."""
    if len(ledger.published) == count:
        return []
    return list(islice(ledger.published.values(), count, None))


def _send_transfers(config: Config, world: World, observer: View, sent: int) -> int:
    """Let the provers pay one another, so that blocks have something to hold."""
    provers = list(world.provers.values())
    accounts = world.ledger.entries[observer.tip].accounts
    for _ in range(config.mining.transfers):
        payer = provers[sent % len(provers)]
        payee = provers[(sent + 1) % len(provers)]
        sequence = accounts.sequences.get(payer.key.public, 0)
        world.submit(
            transfer(payer.key, world.ledger.name, sequence, payee.key.public, 1)
        )
        sent += 1
    return sent


def _status(
    config: Config, observer: View, now: float, refusals: Counter, accuracy: float
) -> Status:
    ledger = observer.ledger
    height = ledger.entries[observer.tip].height
    blocks = len(observer.known) - 1
    return Status(
        height=height,
        target=config.mining.blocks,
        forks=blocks - height,
        mtxs=len(observer.models) - blocks,
        refused=sum(refusals.values()),
        accuracy=accuracy,
        time=now,
    )


def _digest(record: Block | Mtx) -> bytes:
    return block_digest(record) if isinstance(record, Block) else mtx_digest(record)
