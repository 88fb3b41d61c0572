"""The machine at hand: its name, its cores, and how JAX is started on it."""

import os
import platform
import re
import sys
from pathlib import Path

from ...models.errors import InputError


def processor() -> str:
    """The processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def set_up_jax() -> None:
    """Start JAX as every command needs it: settings pinned, compiled programs kept.

    The programs are in the user's cache, so that a second run starts fast.

    Raises:
        InputError: If JAX does not start; names the variables that it was told.
    """
    from ...models.learning.files import cache_folder

    try:
        cache = cache_folder() / "programs"
    except ValueError as error:
        raise InputError(str(error)) from None
    _require_flags()
    try:
        import jax

        from ...models.learning.pins import pin_process

        pin_process()
        if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
            jax.config.update("jax_compilation_cache_dir", str(cache))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
        jax.devices()
    except Exception as error:  # its own errors, an AssertionError, of a driver's
        raise InputError(_jax_trouble(error)) from error


def _require_flags() -> None:
    """Refuse XLA_FLAGS that XLA cannot read: it would end this process, not raise."""
    flags = os.environ.get("XLA_FLAGS")
    if not flags or "jaxlib" in sys.modules:
        return
    import subprocess

    reads = "from jaxlib import xla_client; xla_client.CompileOptions()"
    found = subprocess.run(
        [sys.executable, "-c", reads], capture_output=True, text=True, check=False
    )
    for line in found.stderr.splitlines() if found.returncode else ():
        logged = re.match(r"[EF]\d{4} .*?\] (.*)", line)
        if logged:
            raise InputError(f"XLA_FLAGS={flags}: {logged[1][:300]}")


def _jax_trouble(error: Exception) -> str:
    """Why JAX does not start, and what of the environment it was told."""
    told = {k: v for k, v in os.environ.items() if k.startswith(("JAX_", "XLA_"))}
    named = ", ".join(f"{name}={value}" for name, value in sorted(told.items()))
    first = (str(error).strip().splitlines() or [""])[0][:300]
    reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms:
        return (
            f"JAX_PLATFORMS={platforms}: JAX finds no such device here ({reason}); "
            "unset it, or set it to cpu"
        )
    return f"JAX does not start: {reason}" + (f" (set: {named})" if named else "")
