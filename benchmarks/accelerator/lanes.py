"""Models side by side: model-steps a second, the device's peak, and torch's.

A row is printed when it is known: what is cut off by the clock leaves the others.
The peak is this device's own f32 matrix product by JAX, in the same process.
"""

import importlib.util
import sys
from collections.abc import Callable

from ...models.learning.networks import step_operations
from .. import machine
from ..peers import torch_training
from ..training import CLASSES, SIDE, ours
from .device import on_accelerator, rate_of

BATCH = 32
# The one that the goal is about comes first.
ARCHITECTURES = ("mlp-32", "softmax", "cnn-4")
WIDE, NARROW = (64, 256, 1024, 4096, 16384), (1, 4)
# Model-steps of a timing: long enough for a clock.
ON_ACCELERATOR, ON_CPU = 2_000_000, 2_000


def main() -> None:
    """Print a table."""
    accelerated = on_accelerator()
    widths, work = (WIDE, ON_ACCELERATOR) if accelerated else (NARROW, ON_CPU)
    size, times = (8192, 20) if accelerated else (1024, 4)
    peak = rate_of(machine.product(size, times), repeats=10)
    print(f"f32 matrix product: {peak / 1e12:.3f} TFLOP/s\n")
    print("| models | side by side | by | model-steps a second | of the peak |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    torch = importlib.util.find_spec("torch") is not None
    for architecture in ARCHITECTURES if accelerated else ARCHITECTURES[:1]:
        operations = BATCH * step_operations(architecture, (SIDE, SIDE), CLASSES)
        for width in widths:
            steps = max(20, min(1000, work // width))
            task = (architecture, BATCH, steps, width)
            _row(task, "ours", lambda t=task: ours(*t, t[3], 1), operations / peak)
            if torch and width > 1:
                few = (architecture, BATCH, max(10, steps // 10), width)
                _row(
                    few,
                    "torch.func",
                    lambda t=few: torch_training.mapped(*t),
                    operations / peak,
                )
                _row(
                    few,
                    "torch.func, compiled",
                    lambda t=few: torch_training.mapped(*t, compiled=True),
                    operations / peak,
                )


def _row(
    task: tuple[str, int, int, int],
    who: str,
    job: Callable[[], Callable[[], float]],
    seconds_at_peak: float,
) -> None:
    architecture, batch, _, width = task
    name = f"| {architecture}, batch {batch} | {width} | {who} |"
    try:
        rate = rate_of(job())
    except Exception as error:  # out of memory, or a compiler that is not there
        words = (str(error).strip().splitlines() or [""])[0][:80]
        print(f"{name} {type(error).__name__}: {words} | |", flush=True)
        return
    print(f"{name} {rate:,.0f} | {rate * seconds_at_peak:.3f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
