"""The paper's trainings and a sweep's points, against what an accelerator should do.

The goals are for one card of the H100's class: 200 models of MLP-128 to step 4,680 in
60 s, 10,000 points in 10 s. The trainings are on the embedded images, with looks at all
of them once in 468 steps; a look at full MNIST is six times as long.
"""

import sys
import time

from .. import sweeping
from .device import on_accelerator, rate_of

MODELS, STEPS, POINTS = 200, 4680, 10_000


def main() -> None:
    """Print a row each."""
    accelerated = on_accelerator()
    models, horizon = (MODELS, STEPS) if accelerated else (4, 936)
    seconds = _trained(models, horizon, lanes=models if accelerated else 1)
    print("| what | measured | scaled to the goal's size | goal |")
    print("| --- | --- | --- | --- |")
    scaled = seconds * MODELS * STEPS / (models * horizon)
    print(
        f"| {models} models of MLP-128 to step {horizon} | {seconds:.1f} s "
        f"| {scaled:.0f} s | 60 s |",
        flush=True,
    )
    count = 64 if accelerated else 8
    points = sweeping.evaluate(count)
    rate = rate_of(lambda: points()[0], repeats=1)
    print(
        f"| {count} sweep points, one process | {count / rate:.2f} s "
        f"| {POINTS / rate:.0f} s | 10 s |"
    )


def _trained(models: int, horizon: int, *, lanes: int) -> float:
    """Seconds of the trainings, compiled before."""
    from ...experiments.config.loading import load_config
    from ...models.learning.curves import (
        CurveSettings,
        chunk_runs,
        draw_runs,
        train_chunk,
        training_set,
    )
    from ...models.learning.data import load_dataset

    config = load_config("paper")
    dataset = load_dataset()
    data = training_set(dataset.x_train, dataset.y_train)
    runs = draw_runs(config.seed, models, config.menu.build())
    every = config.training.check_every
    whole = CurveSettings(every, horizon, len(dataset.x_train), lanes)

    def train(settings: CurveSettings) -> None:
        for bucket, members in chunk_runs(runs, range(models), lanes):
            train_chunk(bucket, [runs[run] for run in members], data, settings)

    train(whole._replace(horizon_steps=every))
    start = time.perf_counter()
    train(whole)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
