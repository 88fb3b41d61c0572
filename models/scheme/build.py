"""Which build a proof of training can be re-executed on.

Re-execution compares bits, and the bits of a floating-point program depend on the
compiler and the processor. A task records the build it is to be worked on with; a
verifier on another one says that it cannot judge, which is not the same as a forgery.

The canary is a short fixed training of two networks. It stands for what no version
number tells: the processor's instructions, the number of threads, a driver.
"""

from functools import cache, partial

import jax
import jaxlib.version
import numpy as np

from ..errors import UserError
from ..learning.architecture import HyperParameters, Initialization
from ..learning.curves import training_set
from ..learning.pins import decisive_flags, library_versions, pinned
from .encoding import digest
from .records import Build
from .states import first_look, run_segment, tensors_digest

_CANARIES = (("mlp-16", "adam", 1e-3), ("cnn-2", "sgd", 0.05))
_EXAMPLES, _BATCH, _STEPS = 256, 64, 4


class ForeignBuild(UserError):
    """The proofs were made on a build whose bits this one need not reproduce."""

    exit_code = 3


@cache
@pinned()
def this_build() -> Build:
    """The build that is running, on JAX's default device."""
    device = jax.devices()[0]
    return Build(
        jax=jax.__version__,
        jaxlib=jaxlib.version.__version__,
        platform=device.platform,
        device=device.device_kind[:64],
        flags=_flags(),
        canary=_canary(),
    )


def require_same_build(recorded: Build, here: Build) -> None:
    """Compare builds before anything is re-executed.

    Raises:
        ForeignBuild: Names what differs; nobody is accused of anything.
    """
    differences = [
        f"{name} {_shown(theirs)} there, {_shown(ours)} here"
        for name, theirs, ours in zip(Build._fields, recorded, here, strict=True)
        if theirs != ours
    ]
    if differences:
        raise ForeignBuild(
            "cannot re-execute here: the proofs were made on another build ("
            + "; ".join(differences)
            + "). This says nothing about whether they are right."
        )


def _flags() -> str:
    # Versions that no field of its own tells: their formulas are in the programs.
    versions = [f"{n}={library_versions()[n]}" for n in ("flax", "optax")]
    return " ".join([*decisive_flags(), *versions])[:1024]


def _canary() -> bytes:
    cells = np.arange(_EXAMPLES * 28 * 28, dtype=np.uint64)
    images = (cells * 2654435761 % 2**32 >> 24).astype(np.uint8)
    labels = (np.arange(_EXAMPLES) % 10).astype(np.uint8)
    data = training_set(images.reshape(_EXAMPLES, 28, 28), labels)
    run = partial(run_segment, steps=_STEPS, check_every=_STEPS, eval_samples=_EXAMPLES)
    parts = []
    for architecture, optimizer, rate in _CANARIES:
        hpp = HyperParameters(architecture, optimizer, rate, 0.0, _BATCH, 1.0)
        initialization = Initialization(hpp, bytes(8), bytes(32))
        end = run(initialization, data, first_look(initialization, data, None))
        parts.append(tensors_digest(end.tensors))
    return digest("canary", *parts)


def _shown(value: str | bytes) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else value or "none"
