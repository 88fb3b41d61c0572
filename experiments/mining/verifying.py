"""Verifying a chain folder as a stranger would; what of it remains its miner's word.

Nothing expensive is done for what is refused anyway, and a verifier on another build
judges all that needs no training:

1. the genesis: its limits, and its digest if the caller has pinned it;
2. every record under all rules but the training (reading.py);
3. the closing record, a pinned tip, and that the rules follow from their config;
4. every file against its name, every proof's checkpoints against its claims;
5. the training, segment by segment, as certification.py draws it.

docs/science/verification.md says what a forger must spend.
"""

import hashlib
import math
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...models.chain.certification import DEPTH, Duty, duties
from ...models.chain.forgery import ground_work
from ...models.chain.ledger import Ledger
from ...models.learning.curves import TrainingSet, training_set
from ...models.scheme.build import require_same_build, this_build
from ...models.scheme.checkpoints import Rejected, check_leaves
from ...models.scheme.formats import genesis_digest
from ...models.scheme.instances import Instance, largest_state, setup
from ...models.scheme.records import Genesis
from ...models.scheme.states import Model
from ...models.scheme.verification import reexecute
from ..config.experiment import Config
from ..config.loading import parse_config
from ..world.dataset import config_dataset
from .closing import check_closing
from .files import require_files
from .reading import read_chain
from .setting import prover_list, rules_that_differ
from .store import ChainError, ChainFolder
from .unbound import Pins, unbound_words

_HASHES_TIMED = 20_000
_HEADER_BYTES = 1 << 16


NOTHING_PINNED = Pins()


class Checked(NamedTuple):
    """What was checked of a record that the selected chain pays for or builds on.

    Attributes:
        height: Of the block that first needs it.
        kind: ``block`` or ``mtx``.
        name: Its digest.
        status: ``certified`` or ``young``.
        steps: S.
        segments: n.
        rerun: Segments that were run again.
        work: What forging it would take, in units of honest training (of the chain's
            mean block, of S for an mtx). Infinite: all segments were run again.
        deep_work: The same of a forger that owns the next d + 1 blocks.
        own_work: The same before the chain has certified it: against its own draw,
            re-rolled at this machine's hash rate.
    """

    height: int
    kind: str
    name: str
    status: str
    steps: int
    segments: int
    rerun: int
    work: float
    deep_work: float
    own_work: float


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
        depth: d, blocks after a forged one that its forger may own too.
        certified: Height up to which the chain's own draws certify it.
        closed: Whether the publisher's closing record binds the log.
        asked: What a block had to do, from the genesis.
        word: What remains the miner's word.
        records: What was checked of each record.
        rerun_steps: Training steps that were run again.
        steps: Training steps of all records.
        coins: The verifier's own random bytes, hexadecimal; empty: none.
        seconds: Wall time.
    """

    chain: str
    tip: str
    height: int
    blocks: int
    mtxs: int
    files: int
    challenges: int
    depth: int
    certified: int
    closed: bool
    asked: list[str]
    word: list[str]
    records: list[Checked]
    rerun_steps: int
    steps: int
    coins: str
    seconds: float


def verify_chain(
    path: Path,
    *,
    challenges: int | None = None,
    later: bool = False,
    full: bool = False,
    depth: int = DEPTH,
    pins: Pins = NOTHING_PINNED,
    coins: bytes | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> ChainReport:
    """Check a chain folder, training included, as a stranger would.

    Args:
        path: The chain folder.
        challenges: q; None: as the chain's parameters say.
        later: Draw as many segments again from random bytes of this run, which nobody
            could foresee.
        full: Run all segments again.
        depth: d, blocks after a forged one that its forger may own too.
        pins: What is known of the chain from elsewhere.
        coins: The random bytes of ``later``; None: drawn.
        report: Told (records run again, records).

    Raises:
        ChainError: If a file is missing, torn or damaged, the data set is another, or
            something pinned differs.
        Rejected: If a record breaks a rule.
        ForeignBuild: If training cannot be re-executed here; all else has been judged.
    """
    started = time.perf_counter()
    if later and coins is None:
        coins = secrets.token_bytes(32)
    folder = ChainFolder(path)
    genesis = folder.genesis()
    _compare("genesis", pins.genesis, genesis_digest(genesis))
    config = parse_config(folder.config(), str(path / "config.toml"), "chain")
    prover_list(config)  # refuses more than there can be, before any work
    chain = read_chain(path)
    closed = check_closing(folder, len(chain.times), chain.running, chain.tip)
    _compare("tip", pins.tip, chain.tip)
    data = _data(path, genesis, config, pins.config)
    folder = ChainFolder(path, state_bytes=_state_bytes(genesis, data))
    instances = _instances(path, genesis, data)
    files = folder.check_files()
    _check_checkpoints(folder, chain.ledger)

    require_same_build(genesis.build, this_build())
    planned = duties(
        chain.ledger,
        chain.tip,
        depth=depth,
        challenges=challenges,
        full=full,
        coins=coins or b"",
    )
    rerun_steps, pace = _run_again(folder, chain.ledger, instances, planned, report)
    q = genesis.parameters.challenges if challenges is None else challenges
    blocks = len(chain.ledger.entries) - 1
    return ChainReport(
        chain=chain.ledger.name.hex(),
        tip=chain.tip.hex(),
        height=len(chain.entries),
        blocks=blocks,
        mtxs=len(chain.times) - blocks,
        files=files,
        challenges=q,
        depth=depth,
        certified=max(len(chain.entries) - depth - 1, 0) if q else 0,
        closed=closed,
        asked=asked_of_blocks(genesis),
        word=unbound_words(chain, config, closed, pins, q),
        records=_checked(planned, q, pace),
        rerun_steps=rerun_steps,
        steps=sum(each.published.steps for each in planned),
        coins=(coins or b"").hex(),
        seconds=time.perf_counter() - started,
    )


def asked_of_blocks(genesis: Genesis) -> list[str]:
    """What a block had to do, in words, one task a line."""
    rules = genesis.parameters
    moves = rules.retarget
    p_1, p_2 = (min(1.0, (t + 1) / 2**256) for t in (rules.t_1, rules.t_2))
    return [
        f"task {task.name!r}: accuracy ≥ {task.t_acc:g} on {rules.eval_samples} "
        f"training examples; a pre-hash that passes 1 in {1 / p_1:,.6g}, a post-hash "
        f"that passes 1 in {1 / p_2:,.6g}, a look every {rules.check_every} steps; "
        f"at least {max(rules.s_min, rules.check_every)} steps on a fresh model"
        + ("" if rules.step_rule else "; old work need not be matched (no step rule)")
        + ("" if rules.binding == "header" else "; proofs bind no key")
        + ("" if moves is None else f"; then T_2 follows the chain, {moves.rule}")
        + (f"; weights may differ by {rules.tolerance:g}" if rules.tolerance else "")
        + f"; {rules.challenges} challenges a proof"
        for task in genesis.tasks
    ]


def _data(
    path: Path, genesis: Genesis, config: Config, pinned: Config | None
) -> TrainingSet:
    """D, when the genesis' rules follow from the folder's config, and a pinned one."""
    named = (pinned or config).data.path
    if named is not None:
        require_files(Path(named))
    dataset = config_dataset(pinned or config)
    data = training_set(dataset.x_train, dataset.y_train)
    for given, name in ((config, f"{path / 'config.toml'}"), (pinned, "--config")):
        if given is None:
            continue
        differences = list(rules_that_differ(genesis, given, data))
        if differences:
            raise ChainError(
                f"{path}: the genesis does not follow from {name}: "
                + "; ".join(differences)
            )
    return data


def _instances(path: Path, genesis: Genesis, data: TrainingSet) -> list[Instance]:
    try:
        return [
            setup(genesis.parameters, task, data, genesis.build)
            for task in genesis.tasks
        ]
    except ValueError as error:
        raise ChainError(f"{path} cannot be verified with this data: {error}") from None


def _state_bytes(genesis: Genesis, data: TrainingSet) -> int:
    shape = data.images.shape[1:]
    try:
        numbers = max(
            largest_state(task, shape, data.classes) for task in genesis.tasks
        )
    except ValueError:  # images too small for the CNN, which setup says
        return 0
    return 4 * numbers + _HEADER_BYTES


def _compare(what: str, pinned: str | None, found: bytes) -> None:
    if pinned is not None and pinned.lower() != found.hex():
        raise ChainError(f"the chain's {what} is {found.hex()}, not {pinned}")


def _check_checkpoints(folder: ChainFolder, ledger: Ledger) -> None:
    for published in ledger.published.values():
        proof = published.record.proof
        leaves = folder.require_complete(proof.cp_root)
        check_leaves(ledger.genesis.parameters, proof, leaves)


def _run_again(
    folder: ChainFolder,
    ledger: Ledger,
    instances: Sequence[Instance],
    planned: Sequence[Duty],
    report: Callable[[int, int], None],
) -> tuple[int, float]:
    """Re-execute; the steps, and the seconds of a step."""
    here = this_build()
    models: dict[bytes, Model] = {}
    total, pace = 0, math.inf
    for done, duty in enumerate(planned):
        report(done, len(planned))
        published = duty.published
        record = published.record
        referenced = models[published.lineage[0]] if published.lineage else None
        # With the T_2 of its place.
        rules = ledger.parameters_at(published.extends)
        instance = instances[published.task]._replace(parameters=rules)
        began = time.perf_counter()
        try:
            found = reexecute(
                instance,
                record.header,
                record.proof,
                referenced,
                archive=folder,
                segments=duty.segments,
                here=here,
            )
        except Rejected as error:
            raise Rejected(
                error.rule,
                f"{error.reason} (the {published.kind} {published.name.hex()[:16]}…)",
            ) from error
        models[published.name] = found.model
        pace = min(pace, (time.perf_counter() - began) / found.rerun_steps)
        total += found.rerun_steps
    report(len(planned), len(planned))
    return total, pace


def _checked(planned: Sequence[Duty], challenges: int, pace: float) -> list[Checked]:
    price = _hash_seconds() / pace if planned else 0.0
    return [
        Checked(
            height=duty.height,
            kind=duty.published.kind,
            name=duty.published.name.hex(),
            status=duty.status,
            steps=duty.published.steps,
            segments=duty.shape.others + 1,
            rerun=len(duty.segments),
            work=duty.work,
            deep_work=duty.deep_work,
            own_work=ground_work(duty.shape, challenges, price) / duty.unit,
        )
        for duty in planned
        if duty.height is not None
    ]


def _hash_seconds() -> float:
    """Seconds of a hash on one core: the cheapest re-roll there can be."""
    word = bytes(65)
    began = time.perf_counter()
    for _ in range(_HASHES_TIMED):
        hashlib.sha256(word).digest()
    return (time.perf_counter() - began) / _HASHES_TIMED
