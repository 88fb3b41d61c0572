"""What this machine can do at most: products, random words, copies.

The ceilings that other numbers are held against, measured in the same run:
    matrix product   f32, n × n, 2n³ operations      JAX and NumPy; the faster counts
    random bits      Threefry-2x32-20                unrolled, and jax.random's own
    memory copy      bytes read + bytes written      an array far above the caches
"""

import os
import platform
from collections.abc import Callable
from typing import Any

import numpy as np

from ..experiments.pipeline.machine import processor, usable_cores
from .measure import CONTROL
from .workloads import Claim, Job, Workload

Repeated = Callable[[], float]


def control_job() -> Job:
    """A fixed matrix product on one core, for the drift."""
    arguments = {"size": 512, "times": 48}
    return Job(
        CONTROL,
        "machine:numpy_product",
        arguments,
        engine="control",
        unit="operations",
    )


def product_jobs(cores: int, size: int, times: int) -> tuple[Job, Job]:
    """The machine's matrix product, by JAX and by NumPy."""
    arguments = {"size": size, "times": times}
    return (
        Job(
            f"product, JAX, {cores}",
            "machine:product",
            arguments,
            cores=cores,
            unit="operations",
        ),
        Job(
            f"product, NumPy, {cores}",
            "machine:numpy_product",
            arguments,
            engine="numpy",
            cores=cores,
            unit="operations",
        ),
    )


def product(size: int, times: int) -> Repeated:
    """A chain of f32 matrix products on JAX's default device."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def multiply(a, b):
        return jax.lax.fori_loop(0, times, lambda _, x: b @ x, a)

    # Orthogonal, so that a long chain neither overflows nor becomes denormal.
    b = jnp.asarray(_orthogonal(size))

    def once() -> float:
        jax.block_until_ready(multiply(b, b))
        return 2.0 * size**3 * times

    return once


def numpy_product(size: int, times: int) -> Repeated:
    """The same by NumPy's BLAS."""
    a = _orthogonal(size)
    out = np.empty_like(a)

    def once() -> float:
        for _ in range(times):
            np.matmul(a, a, out=out)
        return 2.0 * size**3 * times

    return once


def mixture(size: int, words: int, steps: int) -> Repeated:
    """Products, sorting and the interpreter in turns, as whole programs have them."""
    a = _orthogonal(size)
    draws = np.random.default_rng(1).random(words)

    def once() -> float:
        out = a
        for _ in range(12):
            out = a @ out
        np.exp(np.sort(draws)).cumsum()
        total = 0
        for step in range(steps):
            total += step & 7
        return 1.0

    return once


def unrolled_bits(words: int) -> Repeated:
    """The simulation's generator, its words folded into one number."""
    import jax
    import jax.numpy as jnp

    from ..analysis.block_time.counter_draws import two_words, words_of

    lanes = 4096
    place = jnp.arange(lanes)

    @jax.jit
    def fold(key, turn):
        def batch(number, total):
            first, second = two_words(key, 0, place, jnp.full(lanes, number))
            return total ^ first ^ second

        start = turn * jnp.int32(words // (2 * lanes))
        stop = start + words // (2 * lanes)
        return jax.lax.fori_loop(start, stop, batch, jnp.zeros(lanes, jnp.uint32))

    key = words_of(jax.random.key(0))
    return _folded(fold, key, 32.0 * words)


def library_bits(words: int) -> Repeated:
    """The same number of words from jax.random.bits."""
    import jax

    @jax.jit
    def fold(key, turn):
        return jax.random.bits(jax.random.fold_in(key, turn), (words,)).max()

    return _folded(fold, jax.random.key(0), 32.0 * words)


def memory_copy(megabytes: int) -> Repeated:
    """NumPy copies an array; bytes read and bytes written both count."""
    source = np.ones(megabytes * 2**20 // 8)
    target = np.empty_like(source)

    def once() -> float:
        np.copyto(target, source)
        return 2.0 * source.nbytes

    return once


def ceilings(full: bool) -> list[Workload]:
    """The machine's own workloads."""
    size, times = (2048, 4) if full else (1024, 3)
    words = 2**26 if full else 2**23
    products = [*product_jobs(1, size, times), *product_jobs(2, size, times)]
    bits = [
        Job("unrolled", "machine:unrolled_bits", {"words": words}),
        Job("jax.random.bits", "machine:library_bits", {"words": words}),
    ]
    copies = [
        Job("copy", "machine:memory_copy", {"megabytes": 512 if full else 128}, "numpy")
    ]
    return [
        Workload(
            "machine-product",
            tuple(products),
            tuple(
                Claim(
                    f"f32 matrix product, cores: {cores}",
                    tuple(job.name for job in products if job.cores == cores),
                    lambda a, b: np.maximum(a.rate, b.rate) / 1e9,
                    "GFLOP/s",
                )
                for cores in (1, 2)
            ),
            "operations",
        ),
        Workload(
            "machine-random",
            tuple(bits),
            tuple(
                Claim(
                    f"random bits, {job.name}",
                    (job.name,),
                    lambda s: s.rate / 1e9,
                    "Gbit/s",
                )
                for job in bits
            ),
            "bits",
        ),
        Workload(
            "machine-copy",
            tuple(copies),
            (Claim("memory copy", ("copy",), lambda s: s.rate / 1e9, "GB/s"),),
            "bytes",
        ),
    ]


def facts() -> dict[str, Any]:
    """The machine and the software, for the report; no device is touched."""
    from importlib import metadata

    versions = {}
    for name in ("jax", "jaxlib", "numpy", "scipy", "torch", "simpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "machine": platform.node(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": usable_cores(),
        "pinned": hasattr(os, "sched_getaffinity"),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "packages": versions,
        "environment": {
            name: os.environ[name]
            for name in ("XLA_FLAGS", "OPENBLAS_CORETYPE", "JAX_PLATFORMS")
            if name in os.environ
        },
    }


def _orthogonal(size: int) -> np.ndarray:
    draws = np.random.default_rng(0).standard_normal((size, size))
    return np.linalg.qr(draws)[0].astype(np.float32)


def _folded(fold, key, bits: float) -> Repeated:
    import jax
    import numpy as np

    turns = iter(range(2**20))

    def once() -> float:
        jax.block_until_ready(fold(key, np.int32(next(turns))))
        return bits

    return once
