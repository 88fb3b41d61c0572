"""First-passage laws of the same models, trained here and on the CPU.

Bits need not agree, laws must: the largest distance between the two distribution
functions of the first passage (Kolmogorov and Smirnov), for each threshold. The samples
are of the same digests and far from independent, so that p is larger than it says by
chance alone; the share of models that pass at the very same look stands beside it.
"""

import sys
from typing import Any

import numpy as np

from .device import on_accelerator

THRESHOLDS = (0.8, 0.9, 0.95)
MENU = (
    "menu.architectures=['softmax', 'mlp-32']",
    "menu.weights.architectures=[1,1]",
    "menu.batch_sizes=[32]",
)
# A CPU, which is only to try the script, compiles fewer programs.
ONE_RULE = (
    "menu.optimizers=[{name='sgd', learning_rates={low=0.05, high=0.5, count=4}}]"
)


def main() -> None:
    """Print a row a threshold."""
    accelerated = on_accelerator()
    models, horizon, lanes = (1024, 1000, 256) if accelerated else (64, 200, 4)
    here = accuracies(models, horizon, lanes=lanes, on_cpu=False)
    cpu = accuracies(min(models, 256), horizon, lanes=1, on_cpu=True)
    print(
        f"{models} models {lanes} side by side, and {len(cpu)} one by one on the CPU\n"
    )
    print("| T_acc | passed here | passed on the CPU | KS | p | at the same look |")
    print("| --- | --- | --- | --- | --- | --- |")
    for threshold in THRESHOLDS:
        mine, theirs = (first_passages(a, threshold) for a in (here, cpu))
        distance, p = compared(mine, theirs)
        same = np.mean(mine[: len(theirs)] == theirs)
        print(
            f"| {threshold} | {np.isfinite(mine).mean():.3f} "
            f"| {np.isfinite(theirs).mean():.3f} | {distance:.4f} | {p:.3g} "
            f"| {same:.3f} |"
        )


def accuracies(models: int, horizon: int, *, lanes: int, on_cpu: bool) -> np.ndarray:
    """Accuracies of the first models of the config quickstart, [models, looks]."""
    import jax

    from ...experiments.config.loading import load_config
    from ...models.learning.curves import (
        CurveSettings,
        chunk_runs,
        draw_runs,
        train_chunk,
        training_set,
    )
    from ...models.learning.data import load_dataset

    menu = (
        "menu.architectures=['softmax', 'mlp-32']",
        "menu.weights.architectures=[1,1]",
    )
    config = load_config("quickstart", menu)
    dataset = load_dataset()
    device = jax.devices("cpu")[0] if on_cpu else None
    data = training_set(dataset.x_train, dataset.y_train, device)
    runs = draw_runs(config.seed, models, config.menu.build())
    every = config.training.check_every
    settings = CurveSettings(every, horizon, 1000, lanes)
    found = np.zeros((models, settings.looks))
    for bucket, members in chunk_runs(runs, range(models), lanes):
        some = [runs[run] for run in members]
        found[members] = train_chunk(bucket, some, data, settings).correct / 1000
    return found


def first_passages(accuracy: np.ndarray, threshold: float) -> np.ndarray:
    """First look at the threshold or above; inf: none."""
    passed = accuracy >= threshold
    return np.where(passed.any(axis=1), passed.argmax(axis=1), np.inf)


def compared(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Distance and p of the two-sample test; what never passed comes last."""
    from scipy import stats

    last = 1 + max(x[np.isfinite(x)].max(initial=0) for x in (one, other))
    found: Any = stats.ks_2samp(np.minimum(one, last), np.minimum(other, last))
    return float(found.statistic), float(found.pvalue)


if __name__ == "__main__":
    sys.exit(main())
