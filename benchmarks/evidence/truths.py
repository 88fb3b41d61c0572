"""Truths for ``coverage``: laws of training runs that are known, made up or trained."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from ...models.learning.curves import CurveSet

EVERY, LOOKS = 25, 80


HONEST, CORRUPTED, DELAY = 15, 5, 25.0


POPULATION = "trained"


SETTINGS = (
    *("scheme.t_acc=0.95", "scheme.t_1=2^241", "scheme.t_2=2^253"),
    *("network.provers=20", "network.beta=0.25", f"network.delay_steps={DELAY:g}"),
)


def _lognormal(u, median: float, sigma: float):
    return stats.lognorm.ppf(u, sigma, scale=median)


def _never(u):
    passed = np.minimum(u / 0.73, 1 - 1e-12)
    return np.where(u < 0.73, _lognormal(passed, 700, 0.6), math.inf)


def _bimodal(u):
    inside = np.clip(np.where(u < 0.5, 2 * u, 2 * u - 1), 1e-12, 1 - 1e-12)
    low, high = stats.norm.ppf(inside, 400, 50), stats.norm.ppf(inside, 1400, 150)
    return np.where(u < 0.5, low, high)


def _minority(u):
    others = np.clip((u - 0.015) / 0.985, 0, 1 - 1e-12)
    return np.where(u < 0.015, 100.0, stats.gamma.ppf(others, 9, scale=1000 / 9))


TRUTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "log-normal, 27 % never": _never,
    "gamma 4": lambda u: stats.gamma.ppf(u, 4, scale=200),
    "log-normal 0.8": lambda u: _lognormal(u, 600, 0.8),
    "bimodal": _bimodal,
    "1.5 % fast": _minority,
}
"""Steps to T_acc as a function of a uniform number."""


def curves_of(passage: np.ndarray) -> CurveSet:
    """Runs that are at 97 % from their passage on, and at 90 % before."""
    from ...models.learning.architecture import HyperParameters, Initialization

    steps = EVERY * np.arange(1, LOOKS + 1)
    above = steps >= np.asarray(passage)[:, None]
    one = Initialization(
        HyperParameters("softmax", "sgd", 0.1, 0.0, 32, 1.0), bytes(8), bytes(32)
    )
    return CurveSet(
        (one,) * len(above),
        steps,
        np.where(above, 970, 900),
        np.zeros(above.shape),
        1000,
        1000,
    )


def population(count: int, folder: Path) -> CurveSet:
    """Models trained by the library, as ``quickstart``'s."""
    from ...experiments.config.loading import load_config
    from ...experiments.pipeline import training

    config = load_config("quickstart", ["seed=7", f"training.runs={count}"])
    return training.train(config, folder, lambda *_: None)


class Truth(NamedTuple):
    """Where samples come from: curves to draw, or a law of the passage."""

    name: str
    whole: CurveSet
    passage: Callable[[np.ndarray], np.ndarray] | None

    def sample(self, generator: np.random.Generator, count: int) -> CurveSet:
        """Independent runs."""
        if self.passage is not None:
            return curves_of(self.passage(generator.random(count)))
        rows = generator.integers(len(self.whole.correct), size=count)
        return self.whole._replace(
            initializations=tuple(self.whole.initializations[i] for i in rows),
            correct=self.whole.correct[rows],
            loss=self.whole.loss[rows],
        )


def truth_of(name: str, trained: int, folder: Path) -> Truth:
    """A truth by its name."""
    if name == POPULATION:
        return Truth(name, population(trained, folder), None)
    places = (np.arange(4000) + 0.5) / 4000
    return Truth(name, curves_of(TRUTHS[name](places)), TRUTHS[name])


class Effort(NamedTuple):
    """Samples of each kind of cell.

    Attributes:
        mixture: Samples a truth and N.
        law: Samples a truth and N, means and CVs.
        depth: Of these, samples whose confirmations are found too.
        simulated: Samples a truth, N = 192.
        attack: Samples of the trained population, N = 192.
        runs: N of the law figures.
        trained: Models of the population.
        points: Samples a truth and N, of points that are found quickly.
    """

    mixture: int = 2000
    law: int = 400
    depth: int = 150
    simulated: int = 200
    attack: int = 40
    runs: tuple[int, ...] = (50, 192, 1000)
    trained: int = 1200
    points: int = 200


class Seen(NamedTuple):
    """One interval of one sample."""

    kind: str
    figure: str
    truth: str
    runs: int
    low_missed: bool
    high_missed: bool
    old_covered: bool
    warned: bool
    width: float


def lottery_of_truths():
    from ...analysis.block_time.empirical import Lottery

    return Lottery(0.95, 2.0**-15, 2.0**-3, 150.0, "continue", EVERY * LOOKS)


def seen_of(place, found, true: float, old: bool, warned: bool) -> Seen:
    width = (found.high - found.low) / abs(true) if true else math.nan
    kind, figure, truth, runs = place
    missed = true < found.low, true > found.high
    return Seen(kind, figure, truth, runs, *missed, old, warned, width)
