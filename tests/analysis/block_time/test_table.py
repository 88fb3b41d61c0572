"""Laws that are made together, against the same laws one by one: to the last digit."""

from typing import Any, cast

import numpy as np
import pytest
from dpodl.analysis.block_time import table
from dpodl.analysis.block_time.attempts import Lottery, shown_by
from dpodl.analysis.block_time.empirical import bootstrap_laws
from dpodl.models.learning.curves import CurveSet

EVERY = 25.0
LOTTERIES = {
    "given up": Lottery(0.9, 2**-12, 0.125, 150.0, "continue", 500),
    "never": Lottery(0.9, 2**-10, 2**-6, 150.0, "continue", None),
    "restart": Lottery(0.9, 2**-14, 0.25, 150.0, "restart", None),
    "lattice": Lottery(0.9, 1.0, 0.25, 150.0, "continue", 500),
}


def _accuracy(seed: int, runs: int = 40, looks: int = 24) -> np.ndarray:
    generator = np.random.default_rng(seed)
    first = generator.integers(1, looks + 4, (runs, 1))
    above = (np.arange(looks) >= first) & (generator.random((runs, looks)) < 0.8)
    return np.where(above, 0.95, 0.5)


def _one_by_one(samples, lottery):
    return [
        law for each in samples for law in table.laws_of_runs([each], lottery, EVERY)
    ]


def _same(some, others):
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        for field, value in zip(one, other, strict=True):
            np.testing.assert_array_equal(field, value)


@pytest.mark.parametrize("name", LOTTERIES)
@pytest.mark.parametrize("costly", [False, True])
def test_laws_together_are_the_laws_one_by_one(name, costly):
    lottery = LOTTERIES[name]
    samples = []
    # More than are transformed together, with grids of their own.
    for seed in range(table._TOGETHER + 3):
        shown = shown_by(_accuracy(seed), lottery, EVERY)
        costs = np.full(40, 1.0 + 0.25 * (seed % 3))
        if costly and name != "lattice":
            costs[::3] = 0.4
        for plateau in ("central", "slowest", "fastest"):
            samples.append((shown, costs, plateau))
    together = table.laws_of_runs(iter(samples), lottery, EVERY)
    assert len({float(law.spacing) for law in together}) > 1
    _same(together, _one_by_one(samples, lottery))


def test_more_resamples_do_not_change_the_first_ones():
    correct = np.rint(100 * _accuracy(3)).astype(int)
    curves = CurveSet(
        cast(Any, (None,) * 40),
        25 * np.arange(1, 25),
        correct,
        np.zeros(correct.shape),
        100,
        1000,
    )
    lottery = LOTTERIES["given up"]
    many = bootstrap_laws(5, curves, lottery, 11)
    _same(bootstrap_laws(5, curves, lottery, 3), many[:3])
