"""How many models to train side by side on this device (``training.lanes``).

Notation:
    lanes   models that go through one program together
    rate    model-steps a second, looks included: 1 / Σ_s p_s c_s, over the menu's
            programs s, their shares p_s and the seconds c_s of a model-step

A curve's bits depend on its lanes, so the number stands in the config and is never
chosen behind it.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from ...models.learning.architecture import HyperParameters, Initialization
from ...models.learning.chunk_program import Bucket
from ...models.learning.curves import CurveSettings, TrainingSet, train_chunk
from ..config.experiment import Config
from ..store.files import Progress

# What is tried unless told otherwise: a CPU's vector units are full with one model, an
# accelerator's with thousands.
_ON_CPU, _ON_ACCELERATOR = (1, 2, 4, 8), (1, 16, 64, 256, 1024, 4096)
_REPEATS = 3
# Another number than the smallest must be worth it.
_WORTH = 1.05
# So much slower than the best, wider ones are not tried.
_HOPELESS = 2.0


class LaneRate(NamedTuple):
    """What so many lanes come to.

    Attributes:
        lanes: Models side by side.
        rate: Model-steps a second of one worker, looks included; 0: out of memory.
        seconds: Of a model-step, by 'architecture/batch size'.
    """

    lanes: int
    rate: float
    seconds: dict[str, float]


def measure_lanes(
    config: Config,
    data: TrainingSet,
    settings: CurveSettings,
    progress: Progress,
    *,
    lanes: Sequence[int] = (),
) -> list[LaneRate]:
    """Time the menu's programs at several widths, as the config trains them.

    A time is the median over repeats of the difference between a training of three
    spans between looks and one of one, so that start-up cancels; compilation is not in
    it. A width that does not fit the memory ends the search, as does one at half the
    best rate.

    Args:
        config: The experiment: menu and shares.
        data: Its training set, on the device.
        settings: ``curve_settings`` of it, but for its lanes.
        progress: Told how far it is.
        lanes: Widths, rising; none: some that suit the device.
    """
    on_cpu = jax.default_backend() == "cpu"
    tried = tuple(lanes) or (_ON_CPU if on_cpu else _ON_ACCELERATOR)
    shares: dict[HyperParameters, float] = {}
    for hpp, share in config.menu.build().settings().items():
        # The rule is part of the program; rates and scales are not.
        alike = hpp._replace(learning_rate=0.01, momentum=0.0, init_scale=1.0)
        shares[alike] = shares.get(alike, 0.0) + share
    found: list[LaneRate] = []
    for width in tried:
        wide = settings._replace(lanes=width)
        seconds: dict[str, float] = {}
        mean, done = 0.0, len(found) * len(shares)
        for place, (hpp, share) in enumerate(shares.items()):
            progress("timing trainings", done + place, len(tried) * len(shares))
            try:
                each = _seconds(hpp, data, wide)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                return [*found, LaneRate(width, 0.0, {})]
            name = f"{hpp.architecture}/{hpp.batch_size}"
            mean += share * each
            seconds[name] = max(each, seconds.get(name, 0.0))
        found.append(LaneRate(width, 1 / mean, seconds))
        if found[-1].rate * _HOPELESS < max(each.rate for each in found):
            break
    progress("timing trainings", len(tried) * len(shares), len(tried) * len(shares))
    return found


def best_lanes(rates: Sequence[LaneRate]) -> int:
    """The smallest number that is within 5 % of the fastest."""
    enough = max(each.rate for each in rates) / _WORTH
    return min(each.lanes for each in rates if each.rate >= enough)


def _seconds(hpp: HyperParameters, data: TrainingSet, settings: CurveSettings) -> float:
    """Seconds of a model-step, the group full."""
    bucket = Bucket(hpp.architecture, hpp.batch_size)
    runs = [
        Initialization(hpp, run.to_bytes(8, "big"), run.to_bytes(32, "big"))
        for run in range(settings.lanes)
    ]

    def timed(spans: int) -> float:
        horizon = spans * settings.check_every
        start = time.perf_counter()
        train_chunk(bucket, runs, data, settings._replace(horizon_steps=horizon))
        return time.perf_counter() - start

    timed(1)  # compiles
    more = [timed(3) - timed(1) for _ in range(_REPEATS)]
    # A clock's step is no time.
    least = np.finfo(np.float64).eps
    steps = 2 * settings.check_every * settings.lanes
    return max(float(np.median(more)), least) / steps
