"""Work on several devices: in order, and the same numbers as on one."""

import os
import pickle
import subprocess
import sys
import threading
import time

import jax
import pytest
from dpodl.experiments.pipeline.devices import on_devices

# Estimates of four keys, each on the device of its turn.
PROGRAM = """
import pickle, sys, jax
from dpodl.analysis.assessment.one_law import Plan, assess
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.experiments.pipeline.devices import on_devices

plan = Plan(32, 200, 100, (1, 3), 2, (2.0,), 0.5, 2.0, detail=False)
net = network(exponential(0.02, dead_time=5.0), provers=10, beta=0.2, delay_steps=3.0)

def work(number):
    key = jax.random.key(number)
    levels = simulate(key, net, levels=8, replicas=20)
    return list(levels.interval.devices())[0].id, assess(key, net, plan).measurements

found = list(on_devices(work, 4))
plain = [(d, [tuple(m.estimate) for m in ms]) for d, ms in found]
pickle.dump(plain, sys.stdout.buffer)
"""


def estimates(devices: int) -> list:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="forces host devices")
def test_two_devices_share_the_work_and_give_the_same_numbers():
    one, two = estimates(1), estimates(2)
    assert [device for device, _ in one] == [0, 0, 0, 0]
    assert [device for device, _ in two] == [0, 1, 0, 1]
    assert [numbers for _, numbers in one] == [numbers for _, numbers in two]


def test_results_come_in_order_whoever_is_first():
    def work(number: int) -> int:
        time.sleep(0.02 * (5 - number))
        return number**2

    assert list(on_devices(work, 6)) == [0, 1, 4, 9, 16, 25]
    assert list(on_devices(work, 0)) == []


def test_an_error_ends_the_work():
    started = []

    def work(number: int) -> int:
        started.append(number)
        time.sleep(0.01)
        if number == 1:
            raise KeyboardInterrupt
        return number

    with pytest.raises(KeyboardInterrupt):
        list(on_devices(work, 200))
    assert len(started) < 200
    assert threading.active_count() < 50
