"""JAX's settings that decide bits: pinned for the library's own work, or in the key.

JAX reads its settings from the environment (``JAX_ENABLE_X64=1``), and some of them
change what the same program computes, or whether it runs at all. The same config is to
give the same bytes in every shell:

pinned
    The library's entry points run with the values of ``PINNED``, by JAX's own context
    managers: the caller's settings are as they were before and after, and in other
    threads. The command line, whose process is its own, sets them once.
in the key
    What a user may have good reason to change, ``decisive_flags``: trainings and proofs
    made under other values are others.

Rank promotion is neither: nothing here promotes ranks, whatever is allowed.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from typing import Any

import jax

# Setting → (value, JAX's context manager for it, if it has a public one). A seed's
# offset needs none here: ``seed_key`` makes keys without it.
_ALL: dict[str, tuple[Any, str | None]] = {
    "jax_threefry_partitionable": (True, "threefry_partitionable"),
    "jax_default_prng_impl": ("threefry2x32", "default_prng_impl"),
    "jax_random_seed_offset": (0, None),
    "jax_high_dynamic_range_gumbel": (False, None),
    "jax_enable_x64": (False, "enable_x64"),
    "jax_numpy_dtype_promotion": ("standard", "numpy_dtype_promotion"),
    "jax_legacy_prng_key": ("allow", "legacy_prng_key"),
    # A training that breaks down is counted, not an error; two streams of one key that
    # are meant to be the same are none either.
    "jax_debug_nans": (False, "debug_nans"),
    "jax_debug_infs": (False, "debug_infs"),
    "jax_debug_key_reuse": (False, "debug_key_reuse"),
    "jax_disable_jit": (False, "disable_jit"),
    "jax_no_tracing": (False, None),
    "jax_transfer_guard": ("allow", "transfer_guard"),
    "jax_transfer_guard_host_to_device": (None, None),
    "jax_transfer_guard_device_to_host": (None, None),
    "jax_transfer_guard_device_to_device": (None, None),
}
# Versions of JAX differ in which they have.
PINNED: dict[str, Any] = {
    name: value for name, (value, _) in _ALL.items() if hasattr(jax.config, name)
}
_PRECISION = (
    "jax_default_matmul_precision",
    "jax_disable_most_optimizations",
    "jax_exec_time_optimization_effort",
    "jax_memory_fitting_effort",
    "jax_memory_fitting_level",
    "jax_optimization_level",
)
_VARIABLES = ("LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE")
# The number of host devices and where dumps go change no bits; the rest may.
_HARMLESS = ("--xla_force_host_platform_device_count", "--xla_dump")
_LIBRARIES = ("flax", "optax", "numpy", "scipy")


@contextmanager
def pinned() -> Iterator[None]:
    """Run with the pinned settings, in this thread; also a decorator.

    Where they are what they should be already, nothing is done: programs that are
    compiled stay good.
    """
    with ExitStack() as stack:
        for name in _differing():
            manager = getattr(jax, _ALL[name][1] or "", None)
            if manager is not None:
                stack.enter_context(manager(PINNED[name]))
        yield


def pin_process() -> list[str]:
    """Set the pinned settings for this whole process; returns those that differed."""
    differing = _differing()
    for name in differing:
        jax.config.update(name, PINNED[name])
    return differing


def _differing() -> list[str]:
    return [
        name
        for name, value in PINNED.items()
        if _plain(getattr(jax.config, name)) != _plain(value)
    ]


def _plain(value: Any) -> Any:
    if value is None:
        return "allow"  # an unset transfer guard
    # Enumerations carry what one would write as their value.
    return getattr(value, "value", value)


def seed_key(seed: int) -> jax.Array:
    """``jax.random.key(seed)`` by Threefry, without an offset; all 64 bits count.

    Args:
        seed: From 0 to 2^64 − 1.

    Raises:
        ValueError: If it is not.
    """
    if not 0 <= seed < 1 << 64:
        raise ValueError(f"seed must be from 0 to 2^64 - 1, got {seed}")
    words = jax.numpy.array([seed >> 32, seed & 0xFFFF_FFFF], jax.numpy.uint32)
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def decisive_flags() -> list[str]:
    """Flags, settings and variables that may change bits and are not pinned."""
    given = os.environ.get("XLA_FLAGS", "").split()
    found = sorted(flag for flag in given if not flag.startswith(_HARMLESS))
    for name in _PRECISION:
        value = getattr(jax.config, name, None)
        if value not in (None, False, 0.0, "", "UNKNOWN", "O2"):
            found.append(f"{name}={value}")
    found += [f"{n}={os.environ[n]}" for n in _VARIABLES if os.environ.get(n)]
    return found


def library_versions() -> dict[str, str]:
    """Versions of the libraries whose formulas decide bits, beside JAX's own."""
    return {name: metadata.version(name) for name in _LIBRARIES}
