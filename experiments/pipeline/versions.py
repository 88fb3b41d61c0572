"""What else decides bits: the processor, the compiler, the libraries."""

from importlib import metadata

import jax

from ...models.learning.pins import decisive_flags, library_versions
from .machine import processor


def build() -> dict[str, str]:
    """What a run's bits depend on beside its inputs and the pinned settings."""
    device = jax.devices()[0]
    return {
        **versions(),
        "platform": device.platform,
        "device": device.device_kind,
        "processor": processor(),
        "flags": " ".join(decisive_flags()),
    }


def versions() -> dict[str, str]:
    """Of every library whose formulas decide bits."""
    ours = {name: metadata.version(name) for name in ("jax", "jaxlib")}
    return ours | library_versions()
