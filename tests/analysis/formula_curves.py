"""Learning curves of a formula: runs that differ in time and height, looks that are
scored on a sample."""

from typing import Any, cast

import numpy as np
from dpodl.analysis.block_time.attempts import Lottery
from dpodl.models.learning.curves import CurveSet

EVERY, LOOKS = 25, 80
STEPS = EVERY * np.arange(1, LOOKS + 1)


def formula_curves(seed: int, runs: int = 96, *, population: int = 10_000) -> CurveSet:
    """Logistic in ln t; with ``population`` 1000 looks have no error."""
    generator = np.random.default_rng(seed)
    middle = generator.lognormal(4.0, 0.7, (runs, 1))
    top = generator.beta(60, 1.2, (runs, 1))
    accuracy = top / (1 + (middle / STEPS) ** 1.5)
    accuracy = accuracy + 0.004 * generator.standard_normal(accuracy.shape)
    return CurveSet(
        cast(Any, (None,) * runs),
        STEPS,
        np.rint(1000 * np.clip(accuracy, 0, 1)).astype(np.int32),
        1 - accuracy,
        1000,
        population,
    )


def lotteries(seed: int, count: int) -> list[Lottery]:
    """Lotteries of a design: T_acc, T_1 and T_2 at random, policies in turn."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        t_acc, first, second = generator.random(3)
        retry, abandon = (("continue", 2000), ("restart", 2000), ("continue", 1000))[
            number % 3
        ]
        found.append(
            Lottery(
                0.84 + 0.1 * t_acc,
                2.0 ** (-17 + 5 * first),
                2.0 ** (-5 * second),
                150.0,
                cast(Any, retry),
                abandon,
            )
        )
    return found
