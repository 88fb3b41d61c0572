"""Settings of attacks with laws that are known: curves that step up at a given look."""

import numpy as np
from dpodl.analysis.attacks.situation import Situation, situation_of
from dpodl.analysis.block_time.empirical import Lottery
from dpodl.models.learning.architecture import HyperParameters, Initialization
from dpodl.models.learning.curves import CurveSet
from dpodl.models.scheme.branching import Branches
from dpodl.models.scheme.records import Way

EVERY = 10
LOOKS = 40
HORIZON = EVERY * LOOKS
LOTTERY = Lottery(0.9, 1 / 64, 0.1, 100.0, "continue", HORIZON)


def curves_of(first, rates=None, *, looks=LOOKS) -> CurveSet:
    """Runs at 50 % that are at 95 % from look ``first`` on; a learning rate each."""
    first = np.asarray(first)
    above = np.arange(1, looks + 1) >= first[:, None]
    rates = np.ones(len(first)) if rates is None else rates
    return CurveSet(
        initializations=tuple(
            Initialization(
                HyperParameters("softmax", "sgd", float(rate), 0.0, 32, 1.0),
                bytes(8),
                bytes(32),
            )
            for rate in rates
        ),
        steps=EVERY * np.arange(1, looks + 1),
        correct=np.where(above, 95, 50),
        loss=np.zeros((len(first), looks)),
        eval_samples=100,
        population=100,
    )


def branches_of(first, *, steps: int, correct=95, way: Way = "resume") -> Branches:
    """Warm starts that are above T_acc from look ``first`` on."""
    count = len(first)
    return Branches(
        curves=curves_of(first),
        origins=np.arange(count),
        reference_steps=np.full(count, steps),
        reference_correct=np.full(count, correct),
        accuracy=correct / 100,
        way=way,
        missed=0,
    )


def spread_runs(seed: int, count: int = 40) -> np.ndarray:
    """First looks above T_acc between 4 and 20."""
    return np.random.default_rng(seed).integers(4, 21, count)


def setting_of(first=None, rates=None, *, lottery=LOTTERY, **others) -> Situation:
    """Ten provers, two of them corrupted, unless told otherwise."""
    given = {"provers": 10, "beta": 0.2, "delay_steps": 5.0} | others
    first = spread_runs(0) if first is None else first
    return situation_of(curves_of(first, rates), lottery, **given)
