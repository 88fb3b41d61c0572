"""The device that the parts run on, and the first line of what they found."""

import os
import time
from importlib import metadata
from typing import Any

from ...experiments.pipeline.machine import processor, set_up_jax, usable_cores

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "torch")


def on_accelerator() -> bool:
    """Whether JAX found more than a CPU; starts JAX."""
    set_up_jax()
    import jax

    return jax.default_backend() != "cpu"


def heading() -> str:
    """First line: on what; then the versions."""
    accelerated = on_accelerator()
    import jax

    devices = jax.devices()
    date = time.strftime("%Y-%m-%d", time.gmtime())
    told = f"{len(devices)} × {devices[0].device_kind}"
    if not accelerated:
        told = (
            f"run on a CPU, {processor()}: no accelerator was found, sizes are small, "
            "and no number here is one of an accelerator"
        )
    versions = ", ".join(f"{name} {version_of(name)}" for name in LIBRARIES)
    load, cores = os.getloadavg()[0], usable_cores()
    busy = f"Load {load:.1f} on {cores} cores when it began"
    if load > cores:
        busy += ": others were at work, and no rate below is this machine's"
    return f"# {date}, {told}\n\n{versions}\n\n{busy}."


def version_of(name: str) -> str:
    """A library's version, or that it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def rate_of(repeated: Any, repeats: int = 2) -> float:
    """Work a second of a job, the fastest repeat; once before to compile it."""
    repeated()
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        work = repeated()
        rates.append(work / (time.perf_counter() - start))
    return max(rates)


if __name__ == "__main__":
    print(heading())
