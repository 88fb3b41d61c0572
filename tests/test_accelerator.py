"""What must hold on every device: draws, block times and trainings.

    pytest -m accelerator

``benchmarks/accelerator.sh`` runs these on a machine with a GPU, where JAX's default
device is one; anywhere else they hold the CPU against itself.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.counter_draws import two_words
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.models.learning.architecture import Axis, Menu, Optimizer
from dpodl.models.learning.curves import (
    CurveSettings,
    chunk_runs,
    draw_runs,
    train_chunk,
    training_set,
)
from dpodl.models.learning.data import load_dataset
from scipy import stats

pytestmark = pytest.mark.accelerator


def threefry(key: np.ndarray, counter: np.ndarray) -> np.ndarray:
    """Threefry-2x32-20 of Salmon et al. as they wrote it, in NumPy's integers."""
    rotations = (13, 15, 26, 6, 17, 29, 16, 24)
    schedule = [int(key[0]), int(key[1]), int(key[0]) ^ int(key[1]) ^ 0x1BD11BDA]
    x, y = (counter.astype(object) + np.array(schedule[:2], object)[:, None]) % 2**32
    for turn in range(20):
        x = (x + y) % 2**32
        shift = rotations[turn % 8]
        y = np.array([(int(v) << shift | int(v) >> 32 - shift) % 2**32 for v in y])
        y = np.array([a ^ int(b) for a, b in zip(y, x, strict=True)], object)
        if turn % 4 == 3:
            group = turn // 4 + 1
            x = (x + schedule[group % 3]) % 2**32
            y = (y + schedule[(group + 1) % 3] + group) % 2**32
    return np.stack([x, y]).astype(np.uint32)


@pytest.mark.parametrize("seed", [0, 7])
def test_draws_are_those_of_a_reference_bit_by_bit(seed):
    rng = np.random.default_rng(seed)
    key = rng.integers(0, 2**32, 2, np.uint32)
    counter = rng.integers(0, 2**28, (2, 64), np.uint32)
    found = two_words(jnp.asarray(key), 0, *map(jnp.asarray, counter))
    assert np.array_equal(np.stack(found), threefry(key, counter))
    # The reference by the published vector: key and counter all ones.
    ones = np.full((2, 1), 0xFFFFFFFF, np.uint32)
    published = np.array([[0x1CB996FC], [0xBB002BE7]], np.uint32)
    assert np.array_equal(threefry(ones[:, 0], ones), published)


@pytest.mark.parametrize("seed", [1, 2])
def test_simulated_intervals_have_the_exact_law(seed):
    """Without a delay a level is a dead time and the fastest of n exponentials."""
    rate, dead, provers = 0.02, 5.0, 10
    net = network(
        exponential(rate, dead_time=dead), provers=provers, beta=0.0, delay_steps=0.0
    )
    drawn = simulate(jax.random.key(seed), net, levels=16, replicas=512)
    intervals = np.asarray(drawn.interval, np.float64).ravel()
    exact = stats.expon(loc=dead, scale=1 / (provers * rate))
    assert stats.kstest(intervals, exact.cdf).pvalue > 1e-3
    # It would see an error of a tenth.
    wrong = stats.expon(loc=dead, scale=1.1 / (provers * rate))
    assert stats.kstest(intervals, wrong.cdf).pvalue < 1e-3


def test_trainings_pass_a_threshold_as_on_a_cpu():
    """The first passages of 48 models, side by side here, one by one on a CPU."""
    menu = Menu(
        architectures=Axis.of(["softmax"]),
        optimizers=Axis.of([Optimizer("sgd", (0.05, 0.1, 0.2))]),
        batch_sizes=Axis.of([32]),
        init_scales=Axis.of([1.0]),
    )
    runs, dataset = draw_runs(3, 48, menu), load_dataset()

    def passages(device, lanes: int) -> np.ndarray:
        data = training_set(dataset.x_train[:2000], dataset.y_train[:2000], device)
        settings = CurveSettings(4, 120, 500, lanes)
        found = np.zeros((len(runs), settings.looks))
        for bucket, members in chunk_runs(runs, range(len(runs)), lanes):
            some = [runs[run] for run in members]
            found[members] = train_chunk(bucket, some, data, settings).correct / 500
        passed = found >= 0.7
        return np.where(passed.any(axis=1), passed.argmax(axis=1), settings.looks)

    here, cpu = passages(None, 16), passages(jax.devices("cpu")[0], 1)
    assert len(set(cpu)) > 4
    compared: Any = stats.ks_2samp(here, cpu)
    assert compared.pvalue > 0.05
    # The same digests: most pass at the very same look, none far from it.
    assert np.mean(here == cpu) > 0.7
    assert np.abs(here - cpu).max() <= 5
