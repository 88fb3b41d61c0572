"""Mining a chain for real.

``mine`` conducts a ``World`` from a config and keeps what it finds in a ChainFolder.
The world is a function of the config (and of the secret, where keys are drawn): a chain
that was interrupted is replayed from its beginning, so that trainings in progress and
blocks that an attacker holds back are what they would have been, and the same bytes
result as without the interruption.
"""

import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ...models.chain.ledger import Ledger, Published
from ...models.chain.prover import Prover
from ...models.chain.replay import Memory
from ...models.chain.strategies.base import Honest
from ...models.chain.strategies.cross_slot import CrossSlotNew, CrossSlotOld
from ...models.chain.strategies.grinding import PostHashGrinding, PreHashGrinding
from ...models.chain.strategies.hidden import ForgedCheckpoints, WithheldMtx
from ...models.chain.strategies.unbound import Equivocate, Relabel
from ...models.chain.transactions import transfer
from ...models.chain.view import View
from ...models.chain.world import Clock, Publisher, World
from ...models.learning.curves import TrainingSet
from ...models.scheme.build import require_same_build, this_build
from ...models.scheme.records import Block, Genesis
from ..config.experiment import Config
from ..config.section import ConfigError
from ..store.locks import exclusive
from ..world.translation import bucket_costs, lottery_of
from .closing import close, reopen
from .look_journal import LookJournal
from .reading import read_chain, record_digest
from .setting import ChainSetting, chain_path, chain_setting, prover_list, seeds_of
from .store import ChainError, ChainFolder, Logged

_SALT = bytes(8)
_NUDGE = 1e-6  # of grind_posthash where Verify tolerates nothing
_PLAIN_ATTACKS = {
    "relabel": Relabel,
    "equivocate": Equivocate,
    "cross_slot_new": CrossSlotNew,
    "withheld_mtx": WithheldMtx,
    "forged_checkpoints": ForgedCheckpoints,
}
ATTACKS = (*_PLAIN_ATTACKS, "cross_slot_old", "grind_prehash", "grind_posthash")
"""What corrupted provers can be mined to do."""
_MINED: dict[str, tuple[str, ...]] = {
    "adversary.attack": ("honest", *ATTACKS),
    "network.delay_model": ("worst_case", "random"),
    "protocol.progress": ("lost",),
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


def mine(config: Config, root: Path, report: Callable[[Status], None]) -> MiningResult:
    """Mine a chain to ``mining.blocks``, or what is missing of it.

    An interrupted chain is replayed from its beginning: what the log holds is found
    again, compared with it and not written, and mining goes on with everything that was
    in progress. What has been trained is not trained again, but for that.

    Args:
        config: The chain's settings; ``as_mined`` says what is mined without an attack.
        root: Folder of all chains; this one gets ``<name>-<digest>`` in it.
        report: Told how far it is.

    Raises:
        ConfigError: If config and data do not go together.
        ChainError: If the folder holds something else, or is damaged.
        ForeignBuild: If the chain was begun on another build.
    """
    started = time.perf_counter()
    config = as_mined(config)
    _require_mined(config)
    path = chain_path(config, root)
    folder = ChainFolder(path)
    with exclusive(path):
        text = config.to_toml().encode()
        setting = chain_setting(config, text, seeds_of(config, path))
        _begin(folder, setting.genesis, text)
        folder.repair()
        status = _finished(config, path)
        mined, refusals = 0, Counter[str]()
        if status is None:
            before, status = _mine_on(config, folder, setting, refusals, report)
            mined = status.height + status.forks - before
        return MiningResult(
            folder=path,
            mined=mined,
            status=status,
            refusals=dict(refusals),
            seconds=time.perf_counter() - started,
        )


def as_mined(config: Config) -> Config:
    """The config whose chain is mined: honest provers, where no attack was asked for.

    What ``adversary.attack`` is by default, a private chain, is for the analysis: no
    prover plays it. An attack that was given stays, and is mined or refused.
    """
    if not config.network.corrupted or "attack" in config.adversary.model_fields_set:
        return config
    obeying = config.adversary.model_copy(update={"attack": "honest"})
    return config.model_copy(update={"adversary": obeying})


def _require_mined(config: Config) -> None:
    problems = []
    for field, known in _MINED.items():
        section, name = field.split(".")
        given = getattr(getattr(config, section), name)
        nobody = section == "adversary" and not config.network.corrupted
        if given not in known and not nobody:
            problems.append(
                f"{field} must be one of {', '.join(known)} where a chain is mined for "
                f"real, got {given!r} (--set {field}={known[0]})"
            )
    if problems:
        raise ConfigError("; ".join(problems))


def _begin(folder: ChainFolder, genesis: Genesis, text: bytes) -> None:
    if (folder.path / "genesis.bin").is_file():
        there = folder.genesis()
        if there._replace(build=genesis.build) == genesis:
            require_same_build(there.build, genesis.build)
    folder.create(genesis, text)


def _finished(config: Config, path: Path) -> Status | None:
    """Where a chain stands that has its height and is closed; else None."""
    if not (path / "closing.bin").is_file():
        return None
    chain = read_chain(path)
    if len(chain.entries) < config.mining.blocks:
        return None
    blocks = len(chain.ledger.entries) - 1
    return Status(
        height=len(chain.entries),
        target=config.mining.blocks,
        forks=blocks - len(chain.entries),
        mtxs=len(chain.times) - blocks,
        refused=0,
        accuracy=0.0,
        time=max(chain.times.values(), default=0.0),
    )


def _mine_on(
    config: Config,
    folder: ChainFolder,
    setting: ChainSetting,
    refusals: Counter[str],
    report: Callable[[Status], None],
) -> tuple[int, Status]:
    """Replay what there is and mine what is missing; blocks there were, and the end."""
    reopen(folder)
    stored = list(folder.records())
    # They were judged before they were logged.
    judged = {record_digest(each.record) for each in stored}
    ledger = _ledger(setting.genesis, setting.data, folder, judged)
    with LookJournal(folder.path) as journal:
        world, observer = _world(config, folder, ledger, setting, journal)
        status = _conduct(
            config,
            folder,
            world,
            observer,
            stored=stored,
            refusals=refusals,
            report=report,
        )
        close(folder, setting.seeds.publisher, observer.tip)
        journal.finish()
    return sum(each.block is not None for each in stored), status


def _conduct(
    config: Config,
    folder: ChainFolder,
    world: World,
    observer: View,
    *,
    stored: Sequence[Logged],
    refusals: Counter[str],
    report: Callable[[Status], None],
) -> Status:
    ledger = world.ledger
    status = _status(config, observer, world.now, refusals, 0.0)
    sent, logged = 0, 0
    with folder.writer() as writer:
        for happening in world.run() if status.height < status.target else ():
            # All that the ledger has accepted, in its order: attackers' copies too,
            # which nobody found.
            for published in _since(ledger, logged):
                record = published.record
                is_block = isinstance(record, Block)
                found = Logged(
                    happening.time,
                    record if is_block else None,
                    None if is_block else record,
                )
                if logged >= len(stored):
                    writer.append(found)
                elif stored[logged] != found:
                    raise ChainError(
                        f"{folder.log}: record {logged} is not what this config "
                        "finds: mined by another version, or changed; move the "
                        "folder away and mine anew"
                    )
                logged += 1
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
            # A log of before may go beyond the height: to its end.
            if status.height >= status.target and logged >= len(stored):
                break
    return status


def _ledger(
    genesis: Genesis,
    data: Sequence[TrainingSet],
    folder: ChainFolder,
    judged: Container[bytes],
) -> Ledger:
    try:
        return Ledger(genesis, data, folder, this_build(), judged=judged)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _world(
    config: Config,
    folder: ChainFolder,
    ledger: Ledger,
    setting: ChainSetting,
    memory: Memory,
) -> tuple[World, View]:
    """The world at its beginning, and a view that hears everything."""
    seeds = setting.seeds
    corrupt = [
        key for key, name in seeds.owners().items() if name.startswith("corrupt")
    ]
    shape = setting.data[0].images.shape[1:]
    costs = bucket_costs(config, shape, setting.data[0].classes)
    net = config.network
    speeds = (*net.honest_speeds, *net.corrupted_speeds)
    provers = [
        Prover(
            name,
            seeds.of(name),
            ledger,
            _strategy(config, name),
            salt=_SALT,
            speed=speeds[i],
            favoured=corrupt,
        )
        for i, name in enumerate(prover_list(config))
    ]
    world = World(
        ledger,
        folder,
        provers,
        clock=Clock(config.clock.hashes_per_step, costs),
        delay=net.delay_steps,
        delay_model="random" if net.delay_model == "random" else "worst_case",
        publisher=Publisher(
            seeds.publisher,
            tuple(setting.tests),
            config.mining.score_depth,
        ),
        memory=memory,
    )
    honest = [each for each in world.provers if each.startswith("honest")]
    for change in config.mining.changes or ():
        for name in honest[-change.provers :]:
            world.change(float(change.at), name, float(change.speed))
    return world, View(ledger)


def _strategy(config: Config, name: str) -> Honest:
    rules, attack = config.protocol, config.adversary.attack
    policy: Any = {
        "policy": rules.reference,
        "way": rules.way,
        "retry": rules.retry,
        "abandon_steps": lottery_of(config, config.scheme).abandon_steps,
    }
    if name.startswith("honest"):
        return Honest(**policy)
    if attack == "cross_slot_old":
        return CrossSlotOld(config.adversary.rewrite, **policy)
    if attack == "grind_prehash":
        rates = sorted(rate for o in config.menu.optimizers for rate in o.rates())
        middle = rates[len(rates) // 2]
        return PreHashGrinding(lambda hpp: hpp.learning_rate >= middle, **policy)
    if attack == "grind_posthash":
        return PostHashGrinding(rules.tolerance or _NUDGE, **policy)
    return _PLAIN_ATTACKS[attack](**policy)


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
