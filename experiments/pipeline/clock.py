"""How long a step and a hash take on this machine.

The scheme's time unit is a training step; seconds and hashes are conversions. The
hash rate is that of one core doing what PreHash does (SHA-256 of a header and a nonce,
from Python: what the paper's prototype did, far from a miner's hardware). A step's
seconds are those of the compiled training program without looks.
"""

import hashlib
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...models.learning.architecture import HyperParameters, Initialization
from ...models.learning.chunk_program import Bucket
from ...models.learning.curves import CurveSettings, TrainingSet, train_chunk
from ..config.experiment import Config
from ..store.files import Progress

_HASHES = 200_000
_STEPS = (100, 500)
_REPEATS = 5


class Clock(NamedTuple):
    """Measured conversions.

    Attributes:
        hashes_per_second: Of one core.
        step_seconds: Seconds a step, by 'architecture/batch size'.
        seconds_per_step: Mean over the menu's settings by their shares.
    """

    hashes_per_second: float
    step_seconds: dict[str, float]
    seconds_per_step: float

    @property
    def hashes_per_step(self) -> float:
        """Hashes in the time of a mean step."""
        return self.hashes_per_second * self.seconds_per_step


def measure_clock(config: Config, data: TrainingSet, progress: Progress) -> Clock:
    """Time hashes and training steps of every architecture and batch size.

    A step's time is the median over repeats of the difference between a longer and a
    shorter training, so that compilation, start-up and the look cancel.
    """
    buckets = [
        Bucket(architecture, batch)
        for architecture in config.menu.architectures
        for batch in config.menu.batch_sizes
    ]
    rates = [_hash_rate() for _ in range(_REPEATS)]
    step_seconds = {}
    for done, bucket in enumerate(buckets):
        progress("timing training steps", done, len(buckets))
        step_seconds[f"{bucket.architecture}/{bucket.batch_size}"] = _step_time(
            bucket, data
        )
    progress("timing training steps", len(buckets), len(buckets))
    mean = sum(
        share * step_seconds[f"{hpp.architecture}/{hpp.batch_size}"]
        for hpp, share in config.menu.build().settings().items()
    )
    return Clock(statistics.median(rates), step_seconds, mean)


def _hash_rate() -> float:
    header = hashlib.sha256(b"header").digest()
    start = time.perf_counter()
    for nonce in range(_HASHES):
        hashlib.sha256(header + nonce.to_bytes(8, "big")).digest()
    return _HASHES / (time.perf_counter() - start)


def _step_time(bucket: Bucket, data: TrainingSet) -> float:
    hpp = HyperParameters(
        architecture=bucket.architecture,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.0,
        batch_size=bucket.batch_size,
        init_scale=1.0,
    )
    run = Initialization(hpp, bytes(8), bytes(32))

    def timed(steps: int) -> float:
        settings = CurveSettings(steps, steps, 1)
        start = time.perf_counter()
        train_chunk(bucket, [run], data, settings)
        return time.perf_counter() - start

    short, long = _STEPS
    _warm = timed(short), timed(long)
    differences: Sequence[float] = [timed(long) - timed(short) for _ in range(_REPEATS)]
    return float(np.median(differences)) / (long - short)
