"""Spread independent work over the accelerators, or over a CPU's cores.

Models, replicas and a sweep's points are handed out in whole groups of a fixed size: a
chunk of ``training.lanes`` models, a block of replicas, a shard of points. Each group
runs on one device (``jax.sharding.SingleDeviceSharding``), on whichever is free. One
group cut over several (``NamedSharding``) would be narrower on each, and products of
another width may have other last bits: the results would tell how many devices there
were. As it is they cannot.
"""

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
    workers = len(turns())

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


def turns() -> list[jax.Device]:  # pyright: ignore
    """The device of each thread that may work at the same time.

    An accelerator takes one. A compiled program occupies about one core of a CPU, so
    there it is one a core, and no fewer than devices.
    """
    devices = jax.local_devices()
    if devices[0].platform != "cpu":
        return devices
    count = max(usable_cores(), len(devices))
    return [devices[place % len(devices)] for place in range(count)]
