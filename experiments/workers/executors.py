"""Who computes shards: this process, others of this machine, its devices, a cluster.

All stand behind the standard ``concurrent.futures.Executor``. A *pool* opens one,
renews it after a worker's death, and ends its workers at once when it must.

Notation:
    slots    shards that are computed at the same time
    serial   in this process, when they are submitted
    local    one process a core, each with one thread of XLA's; where there are
             accelerators, which processes would have to share, one thread each
    devices  one thread for each of JAX's devices
    dask     workers of a ``distributed`` scheduler, or of one started here
"""

import importlib
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Protocol

from ...models.errors import UserError
from ..pipeline.machine import usable_cores

KINDS = ("serial", "local", "devices", "dask")
# Two processes of two threads each would only get in one another's way.
THREADS = {
    "NPROC": "1",  # the size of XLA's thread pools on a CPU
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_START_SECONDS, _CONNECT_SECONDS, _CLOSE_SECONDS = 300, 30, 10


class WorkersError(UserError):
    """No worker can be had; the message says why."""


class Pool(Protocol):
    """Workers that can be had again."""

    slots: int
    room: int  # shards that are handed out at a time, so that no worker waits

    def open(self) -> Executor:
        """An executor whose workers are alive."""
        ...

    def renew(self) -> Executor:
        """Another one, after a worker has died.

        Raises:
            WorkersError: If its workers die before they do anything.
        """
        ...

    def died(self, error: BaseException) -> bool:
        """Whether a shard's exception says that its worker died."""
        ...

    def close(self, *, now: bool) -> None:
        """End the workers; ``now``: in the middle of what they do."""
        ...


class SerialExecutor(Executor):
    """Computes what is submitted at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call it, and return a future that is done."""
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class GivenPool:
    """Somebody's executor, which stays theirs."""

    def __init__(self, executor: Executor, slots: int):
        self.executor, self.slots = executor, slots
        self.room = 1 if isinstance(executor, SerialExecutor) else 2 * slots

    def open(self) -> Executor:
        """The executor."""
        return self.executor

    def renew(self) -> Executor:
        """There is no other.

        Raises:
            WorkersError: Always.
        """
        raise WorkersError("a worker of the given executor died; give a new one")

    def died(self, error: BaseException) -> bool:
        """Whether it is what broken executors of the standard library say."""
        return isinstance(error, BrokenProcessPool)

    def close(self, *, now: bool) -> None:
        """Leave it as it is."""


class _DeviceThreads(ThreadPoolExecutor):
    """A thread for each device; what is submitted runs on one that is free."""

    def __init__(self, devices: Sequence[Any]):
        super().__init__(len(devices))
        self._free: SimpleQueue[Any] = SimpleQueue()
        for device in devices:
            self._free.put(device)
        # To name the only one would have every program traced a second time.
        self._named = len(devices) > 1

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Call it in a thread, with a free device as JAX's default."""
        return super().submit(self._on_one, fn, args, kwargs)

    def _on_one(self, fn: Callable[..., Any], args: tuple, kwargs: dict) -> Any:
        if not self._named:
            return fn(*args, **kwargs)
        import jax

        device = self._free.get()
        try:
            with jax.default_device(device):
                return fn(*args, **kwargs)
        finally:
            self._free.put(device)


class DevicePool:
    """This process's devices, side by side; a fault of one ends the process."""

    def __init__(self, slots: int | None):
        import jax

        self._devices = jax.local_devices()[:slots]
        self.slots = len(self._devices)
        self.room = 2 * self.slots
        self._executor: Executor | None = None

    def open(self) -> Executor:
        """A thread for each device."""
        self._executor = _DeviceThreads(self._devices)
        return self._executor

    def renew(self) -> Executor:
        """There is no other process.

        Raises:
            WorkersError: Always.
        """
        raise WorkersError("a thread of this process broke; start it again")

    def died(self, error: BaseException) -> bool:
        """Never: threads end with their process."""
        return False

    def close(self, *, now: bool) -> None:
        """End the threads: when their shards are done, as threads do."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class LocalPool:
    """Processes of this machine, which end with this one however it ends."""

    def __init__(self, slots: int):
        self.slots, self.room = slots, 2 * slots
        self._executor: ProcessPoolExecutor | None = None
        self._life: Connection | None = None

    def open(self) -> Executor:
        """Start processes; they import JAX when they get their first shard."""
        # Not forked: XLA's threads do not survive that.
        context = multiprocessing.get_context("spawn")
        theirs, self._life = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(
            self.slots, context, initializer=_start_worker, initargs=(theirs,)
        )
        return self._executor

    def renew(self) -> Executor:
        """Start new processes and see whether they answer."""
        self.close(now=True)
        executor = self.open()
        try:
            executor.submit(os.getpid).result(_START_SECONDS)
        except BrokenProcessPool:
            raise WorkersError(
                "worker processes end as soon as they start. From a script, call "
                'sweep() under `if __name__ == "__main__":`, or use executor="serial"'
            ) from None
        return executor

    def died(self, error: BaseException) -> bool:
        """Whether a process of the pool ended by itself."""
        return isinstance(error, BrokenProcessPool)

    def close(self, *, now: bool) -> None:
        """End the processes."""
        if self._executor is None or self._life is None:
            return
        if now:
            self._life.close()  # every worker reads the other end, and exits
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._life.close()
        self._executor = self._life = None


def _start_worker(life: Connection) -> None:
    """Prepare a process of the pool: one thread, deaf to Ctrl-C, never an orphan."""
    # The sweep hears Ctrl-C and ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update({k: v for k, v in THREADS.items() if k not in os.environ})

    def watch() -> None:
        # Nothing is ever sent: this returns when the sweep's end is closed, by it or,
        # when it is killed, by the operating system.
        with suppress(EOFError, OSError):
            life.recv_bytes()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    prepare()


def prepare() -> None:
    """Let this process share the compiled programs of all others."""
    from ..pipeline.machine import set_up_jax

    set_up_jax()


class DaskPool:
    """Workers of a ``distributed`` cluster."""

    def __init__(self, slots: int | None, scheduler: str | None):
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise WorkersError(
                "the dask executor needs the package distributed: "
                "in dpodl's source folder, pip install -e '.[dask]'"
            ) from None
        self._distributed = distributed
        # It logs with tracebacks what is said here in a sentence.
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        self._cluster = None
        if scheduler is None:
            self._cluster = distributed.LocalCluster(
                n_workers=slots,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                env=THREADS,
                silence_logs=logging.ERROR,
            )
        try:
            self._client = distributed.Client(
                self._cluster or scheduler, timeout=_CONNECT_SECONDS
            )
        except (OSError, ValueError, TimeoutError) as error:
            raise WorkersError(
                f"no scheduler answers at {scheduler}: {error}"
            ) from None
        if self._cluster is not None:
            self._client.register_plugin(_preparation(distributed))
        threads = sum(self._client.nthreads().values())
        if not threads:
            self.close(now=True)
            raise WorkersError(f"the scheduler at {scheduler} has no workers")
        self.slots = threads if slots is None else min(slots, threads)
        self.room = 2 * self.slots
        self._executor: Executor | None = None

    def open(self) -> Executor:
        """The cluster as an executor. No shard is computed twice without our doing."""
        # Pure functions of one key would share a future that was given up.
        self._executor = self._client.get_executor(pure=False)
        return self._executor  # pyright: ignore[reportReturnType]

    def renew(self) -> Executor:
        """The same cluster: it replaces its workers itself."""
        try:
            self._client.wait_for_workers(1, timeout=_START_SECONDS)
        except (OSError, TimeoutError):
            raise WorkersError("the cluster has no workers left") from None
        return self.open()

    def died(self, error: BaseException) -> bool:
        """Whether the cluster gave up on a shard."""
        return isinstance(error, self._distributed.KilledWorker)

    def close(self, *, now: bool) -> None:
        """Leave a cluster that is somebody's; end one that was started here."""
        # A scheduler that has gone cannot be told; that was said already.
        with suppress(Exception):
            if now and getattr(self, "_executor", None) is not None:
                self._executor.shutdown(wait=False)  # pyright: ignore
            self._client.close(timeout=_CLOSE_SECONDS)
        if self._cluster is not None:
            self._cluster.close()


def _preparation(distributed: Any) -> Any:
    class Prepare(distributed.WorkerPlugin):
        name = "dpodl"

        def setup(self, worker: Any) -> None:
            prepare()

    return Prepare()


@contextmanager
def workers(
    executor: str | Executor, *, jobs: int | None = None, scheduler: str | None = None
) -> Iterator[Pool]:
    """A pool of workers; what is interrupted ends them at once.

    Args:
        executor: One of ``KINDS``, or any executor of the standard interface.
        jobs: Shards at a time; None: as many as there are cores or workers.
        scheduler: Address of a ``distributed`` scheduler; only for dask.

    Raises:
        ValueError: If these do not go together.
        WorkersError: If no worker can be had.
    """
    if scheduler is not None and executor != "dask":
        raise ValueError(f"a scheduler is for the executor dask, got {executor!r}")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    pool: Pool
    if isinstance(executor, Executor):
        pool = GivenPool(executor, jobs or usable_cores())
    elif executor == "serial":
        pool = GivenPool(SerialExecutor(), 1)
    elif executor == "devices" or (executor == "local" and _accelerated()):
        pool = DevicePool(jobs)
    elif executor == "local":
        pool = LocalPool(jobs or usable_cores())
    elif executor == "dask":
        slots = jobs if scheduler is not None else jobs or usable_cores()
        pool = DaskPool(slots, scheduler)
    else:
        raise ValueError(f"executor must be one of {', '.join(KINDS)}, got {executor}")
    try:
        yield pool
    except BaseException:
        pool.close(now=True)
        raise
    pool.close(now=False)


def _accelerated() -> bool:
    import jax

    return jax.default_backend() != "cpu"
