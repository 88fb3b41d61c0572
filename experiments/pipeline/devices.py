"""Spread independent work over the accelerators, or over a CPU's cores."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import jax

from ...models.learning.pins import pinned
from .machine import usable_cores

T = TypeVar("T")


def on_devices(work: Callable[[int], T], count: int) -> Iterator[T]:
    """``work(0)``, ..., ``work(count − 1)`` in their order, several at a time.

    Each runs on a device of its turn. Results must not hang on which, nor on what runs
    beside: compiled programs are deterministic, and keys and laws are arguments.

    Args:
        work: Told its number; must block until its result is there.
        count: How many.
    """
    devices = jax.local_devices()
    # A compiled simulation occupies about one core of a CPU, however many there are.
    workers = usable_cores() if devices[0].platform == "cpu" else len(devices)

    @pinned()  # contexts are a thread's own
    def one(number: int) -> T:
        if len(devices) == 1:
            # To name the only one would have every program traced a second time.
            return work(number)
        with jax.default_device(devices[number % len(devices)]):
            return work(number)

    pool = ThreadPoolExecutor(max(1, min(workers, count)))
    try:
        yield from pool.map(one, range(count))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
