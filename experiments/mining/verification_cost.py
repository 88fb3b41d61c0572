"""What a proof costs to check, beside what it cost to make, measured.

Notation (docs/science/verification.md, "What a forger must spend"):
    S                   steps of the proof
    checkpoint_every    steps between two checkpoints
    n = ⌈S / checkpoint_every⌉   segments
    q                   segments that are drawn and run again; the last one always is
    c                   forged segments; found with 1 − C(n − c, q)/C(n, q)

A prover that may re-roll its checkpoints' root passes a non-interactive check after
1/(1 − detection) tries on average: that, not the detection, is what forging costs.

The proof is a real one, and each measurement a whole ``verify`` of it: pre-hash,
openings, digests of tensors and the training of the drawn segments. Every repeat draws
its segments anew, as if from another later block. Nothing is compiled within a
measurement.
"""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...models.chain.archive import MemoryArchive
from ...models.learning.architecture import Axis, HyperParameters, Menu, Optimizer
from ...models.learning.curves import TrainingSet, training_set
from ...models.learning.networks import step_operations
from ...models.scheme.build import this_build
from ...models.scheme.checkpoints import Opening, detection_probability
from ...models.scheme.encoding import digest, encode
from ...models.scheme.formats import CHECKPOINT, PROOF
from ...models.scheme.records import HASH_BITS, Build, Header, Parameters, Proof, Task
from ...models.scheme.scheme import (
    Instance,
    Training,
    advance,
    dataset_digest,
    initialize,
    prehash,
    prove,
    setup,
)
from ...models.scheme.states import Look, Tensors, tensors_digest
from ...models.scheme.verification import Verification, verify
from ..config.experiment import Config
from ..pipeline.training import curve_settings
from ..store.files import Progress
from ..world.dataset import config_dataset

COLUMNS = {
    "architecture": "network",
    "batch_size": "examples a step",
    "steps": "S, training steps of the proof",
    "check_every": "steps between two looks",
    "checkpoint_every": "steps between two checkpoints",
    "segments": "n",
    "challenges": "q, segments drawn; n where all are",
    "training_seconds": "to train S steps with looks and checkpoints, median",
    "training_low": "lower quartile, seconds",
    "training_high": "upper quartile, seconds",
    "verification_seconds": "to verify the proof, median",
    "verification_low": "lower quartile, seconds",
    "verification_high": "upper quartile, seconds",
    "ratio": "verification_seconds / training_seconds",
    "rerun_share": "steps run again / S, mean",
    "proof_bytes": "header, openings and tensors a verifier needs, mean",
    "header_bytes": "of these the proof itself",
    "opening_bytes": "of these checkpoints with their audit paths, mean",
    "tensor_bytes": "of these checkpoints' tensors, mean",
    "storage_bytes": "tensors a prover keeps for the block, each once",
    "detection_one": "probability to find one forged segment",
    "detection_tenth": "probability to find a tenth of the segments forged, rounded up",
    "rerolls_one": "expected tries until one forged segment passes",
    "rerolls_tenth": "expected tries until a tenth of the segments passes",
    "repeats": "measurements behind each median",
}
"""The table's columns, with their units."""

SHOWN = (
    "checkpoint_every",
    "segments",
    "challenges",
    "verification_seconds",
    "ratio",
    "rerun_share",
    "proof_bytes",
    "storage_bytes",
    "detection_one",
    "rerolls_one",
)
"""The columns that are shown where there is not room for all."""


class CostSetting(NamedTuple):
    """What is trained, and how it is proven and checked.

    Attributes:
        data: D.
        hpp: What is trained.
        steps: S.
        check_every: Steps between two looks.
        checkpoint_every: Steps between two checkpoints; a row for each.
        challenges: q; None, or more than there are: all segments. A row for each.
        eval_samples: Training examples a look scores.
        repeats: Measurements of each time.
        seed: Tells pre-hashes apart.
    """

    data: TrainingSet
    hpp: HyperParameters
    steps: int
    check_every: int
    checkpoint_every: tuple[int, ...]
    challenges: tuple[int | None, ...]
    eval_samples: int
    repeats: int = 5
    seed: int = 0


def config_costs(config: Config, steps: int, progress: Progress) -> pd.DataFrame:
    """``verification_cost`` for the largest model of a config's menu.

    Args:
        config: Its menu, looks and data.
        steps: S, rounded up to whole looks.
        progress: Told how far it is.

    Raises:
        ConfigError: If config and data do not go together.
    """
    dataset = config_dataset(config)
    settings = curve_settings(config, dataset)
    every = settings.check_every
    looks = -(-steps // every)
    setting = CostSetting(
        data=training_set(dataset.x_train, dataset.y_train),
        hpp=max(
            config.menu.build().settings(),
            key=lambda hpp: step_operations(hpp.architecture, (28, 28), 10),
        ),
        steps=looks * every,
        check_every=every,
        checkpoint_every=tuple(every * n for n in (1, 2, 4, 8) if n <= looks),
        challenges=(1, 2, 4, None),
        eval_samples=settings.eval_samples,
    )
    return verification_cost(setting, this_build(), progress)


class _Proven(NamedTuple):
    """A proof, what it is for, and what took how long."""

    instance: Instance
    header: Header
    proof: Proof
    archive: "_Counting"
    storage_bytes: int
    seconds: list[float]


class _Counting:
    """An archive that counts what is fetched from it."""

    def __init__(self, archive: MemoryArchive):
        self._archive = archive
        self.opening_bytes = self.tensor_bytes = 0

    def opening(self, cp_root: bytes, index: int) -> Opening:
        opening = self._archive.opening(cp_root, index)
        leaf = encode(CHECKPOINT, opening.checkpoint)
        self.opening_bytes += len(leaf) + sum(map(len, opening.path))
        return opening

    def tensors(self, state: bytes) -> Tensors:
        tensors = self._archive.tensors(state)
        self.tensor_bytes += _bytes(tensors)
        return tensors


def verification_cost(
    setting: CostSetting, build: Build, progress: Progress
) -> pd.DataFrame:
    """Measure verification against training.

    Args:
        setting: What is trained and checked.
        build: The build that is running.
        progress: Told of every measured row.

    Returns:
        A row for each ``checkpoint_every`` and each different q; see ``COLUMNS``.

    Raises:
        ValueError: If a setting is out of range.
    """
    if setting.steps < 1 or setting.steps % setting.check_every:
        raise ValueError(
            f"steps must be a positive multiple of check_every, "
            f"{setting.check_every}, got {setting.steps}"
        )
    if setting.repeats < 1:
        raise ValueError(f"repeats must be ≥ 1, got {setting.repeats}")
    if any(q is not None and q < 0 for q in setting.challenges):
        raise ValueError(f"challenges must be ≥ 0 or None, got {setting.challenges}")
    drawn = {every: _drawn(setting, every) for every in setting.checkpoint_every}
    total = sum(map(len, drawn.values()))
    rows = []
    for checkpoint_every, challenges in drawn.items():
        instance = _instance(setting, checkpoint_every, build)
        proven = _prove(setting, instance)
        for q in challenges:
            progress("measuring verification", len(rows), total)
            rows.append(_row(setting, proven, q))
    progress("measuring verification", total, total)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _drawn(setting: CostSetting, checkpoint_every: int) -> list[int]:
    """The numbers of segments to draw; what is more than all of them is all."""
    # setup names what is wrong with less than 1.
    segments = -(-setting.steps // max(checkpoint_every, 1))
    given = (segments if q is None else min(q, segments) for q in setting.challenges)
    return list(dict.fromkeys(given))


def _row(setting: CostSetting, proven: _Proven, challenges: int) -> dict:
    instance, archive = proven.instance, proven.archive
    parameters = instance.parameters
    segments = -(-setting.steps // parameters.checkpoint_every)

    def check(repeat: int) -> Verification:
        later = digest("verification-cost", repeat.to_bytes(8, "big"))
        return verify(
            instance,
            proven.header,
            proven.proof,
            None,
            archive,
            here=instance.build,
            challenges=challenges,
            later=later,
        )

    check(setting.repeats)  # compiles
    archive.opening_bytes = archive.tensor_bytes = 0
    found, seconds = _timed(check, setting.repeats)
    training, verification = _quartiles(proven.seconds), _quartiles(seconds)
    one = detection_probability(segments, 1, challenges)
    tenth = detection_probability(segments, -(-segments // 10), challenges)
    return {
        "architecture": setting.hpp.architecture,
        "batch_size": setting.hpp.batch_size,
        "steps": setting.steps,
        "check_every": setting.check_every,
        "checkpoint_every": parameters.checkpoint_every,
        "segments": segments,
        "challenges": challenges,
        "training_seconds": training[1],
        "training_low": training[0],
        "training_high": training[2],
        "verification_seconds": verification[1],
        "verification_low": verification[0],
        "verification_high": verification[2],
        "ratio": verification[1] / training[1],
        "rerun_share": statistics.fmean(each.rerun_steps for each in found)
        / setting.steps,
        "proof_bytes": statistics.fmean(each.proof_bytes for each in found),
        "header_bytes": len(encode(PROOF, proven.proof)),
        "opening_bytes": archive.opening_bytes / setting.repeats,
        "tensor_bytes": archive.tensor_bytes / setting.repeats,
        "storage_bytes": proven.storage_bytes,
        "detection_one": one,
        "detection_tenth": tenth,
        "rerolls_one": _tries(1 - one),
        "rerolls_tenth": _tries(1 - tenth),
        "repeats": setting.repeats,
    }


def _instance(setting: CostSetting, checkpoint_every: int, build: Build) -> Instance:
    """A task whose menu has one setting, and where every hash passes."""
    hpp = setting.hpp
    rule = Optimizer(hpp.optimizer, (hpp.learning_rate,), (hpp.momentum,))
    menu = Menu(
        architectures=Axis.of([hpp.architecture]),
        optimizers=Axis.of([rule]),
        batch_sizes=Axis.of([hpp.batch_size]),
        init_scales=Axis.of([hpp.init_scale]),
    )
    task = Task(
        name="verification cost",
        dataset=dataset_digest(setting.data),
        t_acc=1.0,
        r_task=1.0,
        slots=1,
        menu=menu,
    )
    every = (1 << HASH_BITS) - 1
    parameters = Parameters(
        t_1=every,
        t_2=every,
        s_min=0,
        check_every=setting.check_every,
        checkpoint_every=checkpoint_every,
        challenges=0,
        horizon_steps=setting.steps,
        eval_samples=setting.eval_samples,
    )
    return setup(parameters, task, setting.data, build)


def _prove(setting: CostSetting, instance: Instance) -> _Proven:
    header = Header(digest("verification-cost"), bytes(32), bytes(32))
    nonces = iter([setting.seed.to_bytes(16, "big")])
    passed = prehash(
        instance.parameters.t_1,
        header.prev_block,
        None,
        nonces=nonces,
        bound=header.miner + header.tx_root,
    )
    start = initialize(instance, passed.h_1, None, None)

    def train(_: int) -> Training:
        training = start
        while training.now.steps < setting.steps:
            training = advance(instance, training)
        return training

    advance(instance, start)  # compiles
    trained, seconds = _timed(train, setting.repeats)
    proof, looks = prove(trained[0], None, passed.nonce)
    archive = MemoryArchive()
    archive.put(proof.cp_root, looks)
    return _Proven(
        instance=instance,
        header=header,
        proof=proof,
        archive=_Counting(archive),
        storage_bytes=_storage(looks),
        seconds=seconds,
    )


def _storage(looks: tuple[Look, ...]) -> int:
    """Bytes of all tensors of the checkpoints; what is equal is kept once."""
    states = {tensors_digest(look.tensors): look.tensors for look in looks}
    return sum(map(_bytes, states.values()))


def _bytes(tensors: Tensors) -> int:
    return sum(values.nbytes for values in tensors.values())


def _timed(run: Callable, repeats: int) -> tuple[list, list[float]]:
    """What each repeat returned, and how long it took."""
    returned, seconds = [], []
    for repeat in range(repeats):
        before = time.perf_counter()
        returned.append(run(repeat))
        seconds.append(time.perf_counter() - before)
    return returned, seconds


def _quartiles(seconds: list[float]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def _tries(undetected: float) -> float:
    """Expected tries until one passes; infinite where none can."""
    return 1 / undetected if undetected > 0 else float("inf")
