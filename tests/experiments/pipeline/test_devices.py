"""The number of devices changes no key and no bit: one, and four that share work."""

import os
import pickle
import subprocess
import sys

import jax
import pytest
from dpodl.experiments.pipeline.devices import turns
from dpodl.experiments.pipeline.machine import usable_cores

# Models, one and two side by side; replicas, as a run spreads them; a sweep's shards,
# of laws side by side. Each notes the device that it was done on.
PROGRAM = """
import pickle, sys
from pathlib import Path
import jax
from dpodl.analysis.assessment.many_laws import assess_laws, law_batch
from dpodl.analysis.assessment.one_law import Plan
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import training, training_shelf
from dpodl.experiments.pipeline.devices import on_devices
from dpodl.experiments.workers.executors import workers

used = {"models": set(), "replicas": set(), "points": set()}
kept = {}
TINY = [
    "data.examples=600", "menu.architectures=['softmax']", "training.runs=16",
    "training.horizon_steps=24", "protocol.abandon_steps=24",
    "training.eval_samples=200", "scheme.t_acc=0.3",
    "menu.optimizers=[{name='sgd', learning_rates={low=0.1, high=0.5, count=2}}]",
]
real = training_shelf.extend_chunk
def noted(bucket, runs, data, settings, **rest):
    used["models"].add(data.images.device.id)
    return real(bucket, runs, data, settings, **rest)
training_shelf.extend_chunk = noted
for lanes in (1, 2):
    config = load_config("smoke", [*TINY, f"training.lanes={lanes}"])
    curves = training.train(config, Path(sys.argv[1]), lambda *_: None)
    name = training.curve_folder(config, Path()).name
    kept[f"{lanes} lanes"] = name, curves.correct, curves.loss

plan = Plan(16, 100, 100, (1, 3), 2, (), 0.5, 2.0, detail=False)
law = exponential(0.02, dead_time=5.0)
net = network(law, provers=10, beta=0.2, delay_steps=3.0)

def block(number):
    key = jax.random.key(number)
    levels = simulate(key, net, levels=8, replicas=20)
    used["replicas"] |= {device.id for device in levels.interval.devices()}
    return jax.device_get(levels)

def point(number):
    laws = [exponential(0.01 * (number + 1), dead_time=5.0), law]
    batch = law_batch(laws)
    used["points"] |= {device.id for device in batch.inverses.offset.devices()}
    found = assess_laws(jax.random.key(0), net, batch, plan)
    return [each.measurements for each in found.outcomes]

kept["replicas"] = list(on_devices(block, 4))
with workers("devices") as pool:
    kept["points"] = list(pool.open().map(point, range(4)))
pickle.dump((used, kept), sys.stdout.buffer)
"""


def found_on(devices: int, root) -> tuple[dict, dict]:
    flags = f"--xla_force_host_platform_device_count={devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, root],
        capture_output=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    return pickle.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="forces host devices")
def test_four_devices_find_the_bytes_of_one(tmp_path):
    alone, one = found_on(1, tmp_path / "one")
    spread, four = found_on(4, tmp_path / "four")
    assert alone == {"models": {0}, "replicas": {0}, "points": {0}}
    assert spread["models"] == spread["replicas"] == {0, 1, 2, 3}
    assert len(spread["points"]) >= 2
    assert set(one) == set(four)
    for name, content in one.items():
        assert pickle.dumps(content) == pickle.dumps(four[name]), name
    # Side by side is another program, which may have other bits, and another key.
    assert one["1 lanes"][0] != one["2 lanes"][0]


def test_every_device_and_every_core_has_its_turn():
    places = turns()
    assert set(places) == set(jax.local_devices())
    if jax.default_backend() == "cpu":
        assert len(places) == max(usable_cores(), len(jax.local_devices()))
