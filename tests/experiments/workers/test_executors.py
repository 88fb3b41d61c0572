"""Workers: alive when needed, gone when not, and the same interface everywhere."""

import importlib
import importlib.util
import os
import signal
import sys
import threading
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import jax
import pytest
from dpodl.experiments.pipeline.machine import usable_cores
from dpodl.experiments.workers import executors
from dpodl.experiments.workers.executors import (
    DevicePool,
    LocalPool,
    SerialExecutor,
    WorkersError,
    workers,
)


def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def wait_until_gone(process: int) -> None:
    deadline = time.monotonic() + 20
    while not gone(process):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def no_jax(monkeypatch, tmp_path):
    """Workers of these tests prepare nothing heavy in the user's cache."""
    monkeypatch.setenv("DPODL_CACHE", str(tmp_path))


def test_serial_computes_here_and_at_once():
    seen = []
    with SerialExecutor() as executor:
        future = executor.submit(seen.append, 3)
        assert seen == [3]
        assert future.done()
        assert executor.submit(os.getpid).result() == os.getpid()
        failed = executor.submit(int, "x")
        assert isinstance(failed.exception(), ValueError)
        assert list(executor.map(abs, [-1, 2])) == [1, 2]


def test_serial_lets_ctrl_c_through():
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SerialExecutor().submit(interrupted)


def test_the_one_of_the_caller_stays_theirs():
    with ThreadPoolExecutor(2) as mine:
        with workers(mine, jobs=3) as pool:
            assert pool.open() is mine
            assert (pool.slots, pool.room) == (3, 6)
            with pytest.raises(WorkersError, match="given executor died"):
                pool.renew()
        assert mine.submit(abs, -1).result() == 1


def test_serial_hands_out_one_shard_at_a_time():
    with workers("serial", jobs=8) as pool:
        assert (pool.slots, pool.room) == (1, 1)


def test_devices_are_threads_of_this_process(monkeypatch):
    with workers("devices") as pool:
        assert pool.slots == len(jax.local_devices())
        executor = pool.open()
        assert executor.submit(os.getpid).result() == os.getpid()
        failed = executor.submit(int, "x").exception()
        assert isinstance(failed, ValueError)
        assert not pool.died(failed)
        with pytest.raises(WorkersError, match="thread of this process broke"):
            pool.renew()
    # Processes would share an accelerator, and its memory.
    with workers("local", jobs=1) as pool:
        assert isinstance(pool, LocalPool)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with workers("local", jobs=1) as pool:
        assert isinstance(pool, DevicePool)


def test_a_thread_has_a_device_of_its_own_while_it_works():
    devices = [object(), object()]
    both, seen = threading.Barrier(2), []

    @contextmanager
    def named(device):
        seen.append(device)
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "default_device", named)
        with executors._DeviceThreads(devices) as threads:
            waits = [threads.submit(both.wait, 30) for _ in devices]
            assert sorted(wait.result() for wait in waits) == [0, 1]
    assert set(map(id, seen)) == set(map(id, devices))


def test_local_processes_have_one_thread_are_deaf_to_ctrl_c_and_can_be_renewed():
    with workers("local", jobs=1) as pool:
        executor = pool.open()
        assert isinstance(executor, Executor)
        first = executor.submit(os.getpid).result()
        assert first != os.getpid()
        assert executor.submit(os.getenv, "NPROC").result() == "1"
        heard = executor.submit(signal.getsignal, signal.SIGINT).result()
        assert heard == signal.SIG_IGN
        # A worker that dies breaks the pool; another one comes.
        death = executor.submit(os.kill, first, signal.SIGKILL).exception()
        assert isinstance(death, BrokenProcessPool)
        assert pool.died(death)
        assert not pool.died(ValueError("of a shard"))
        second = pool.renew().submit(os.getpid).result()
        assert second not in (first, os.getpid())
    wait_until_gone(first)
    wait_until_gone(second)


def test_an_interruption_ends_workers_in_the_middle_of_their_work():
    process = None
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), workers("local", jobs=1) as pool:  # noqa: PT012
        executor = pool.open()
        process = executor.submit(os.getpid).result()
        executor.submit(time.sleep, 600)
        raise KeyboardInterrupt
    assert process is not None
    wait_until_gone(process)
    assert time.monotonic() - start < 120


def test_workers_that_die_at_once_are_an_error_and_no_endless_loop(monkeypatch):
    pool = LocalPool(1)
    # It raises; spawned processes of an unguarded script end in the same way.
    monkeypatch.setattr(executors, "_start_worker", len)
    with pytest.raises(WorkersError, match="end as soon as they start"):
        pool.renew()
    pool.close(now=True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"executor": "slurm"}, "serial, local, devices, dask"),
        ({"executor": "local", "jobs": 0}, "jobs must be at least 1"),
        ({"executor": "local", "scheduler": "tcp://x:1"}, "is for the executor dask"),
    ],
)
def test_what_does_not_go_together(options, told):
    with pytest.raises(ValueError, match=told), workers(**options):
        pass


def test_cores_are_those_this_process_may_use():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_without_distributed_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(WorkersError, match=r"pip install -e '\.\[dask\]'"),
        workers("dask"),
    ):
        pass


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="without distributed"
)
@pytest.mark.filterwarnings("ignore")
def test_no_scheduler_answers(monkeypatch):
    monkeypatch.setattr(executors, "_CONNECT_SECONDS", 1)
    with (
        pytest.raises(WorkersError, match="no scheduler answers at tcp://"),
        workers("dask", scheduler="tcp://127.0.0.1:1"),
    ):
        pass


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="without distributed"
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_cluster_of_somebody_is_used_and_left_alone():
    distributed: Any = importlib.import_module("distributed")
    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        with workers("dask", scheduler=cluster.scheduler_address) as pool:
            assert (pool.slots, pool.room) == (1, 2)
            executor = pool.open()
            process = executor.submit(os.getpid).result()
            assert process != os.getpid()
            death = executor.submit(os._exit, 3).exception()
            assert death is not None
            assert pool.died(death)
            again = pool.renew().submit(os.getpid).result()
            assert again not in (process, os.getpid())
        with distributed.Client(cluster) as client:
            assert client.submit(abs, -2).result() == 2
