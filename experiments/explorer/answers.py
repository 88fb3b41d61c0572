"""From a move of the sliders to law, confirmations and good periods."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import ValidationError

from ...analysis.block_time.empirical import empirical_law
from ...analysis.block_time.law import quantile, survival
from ...analysis.estimation.estimate import Refused
from ...models.learning.curves import CurveSet
from ...models.learning.pins import pinned
from ..config.experiment import Config, plain
from ..config.hash_targets import format_target
from ..config.loading import parse_config
from ..config.section import ConfigError
from ..pipeline.training import stored_curves
from ..store.run_folder import RunFolder
from ..sweep.quick_evaluation import answers_quickly, evaluate
from ..world.translation import costs_of, lottery_of

QUICK = ("block_times", "growth", "forks", "confirmations")
# Simulated at every move: fewer replicas than a run's, with their error shown.
_EFFORT = {
    "replicas": 256,
    "good_period_replicas": 256,
    "bootstraps": 6,
    "bootstrap_replicas": 100,
}
_FEWEST_REACHED = 5
_POINTS = 120


class Moves(NamedTuple):
    """Where the sliders stand.

    Attributes:
        t_acc: T_acc.
        log_t_1: log2 of T_1; 256: no first lottery.
        log_t_2: log2 of T_2.
        provers: n.
        corrupted: βn, whole.
        delay_steps: Δ, steps.
        log_target: log10 of the target ε.
    """

    t_acc: float
    log_t_1: float
    log_t_2: float
    provers: int
    corrupted: int
    delay_steps: float
    log_target: float


class Seen(NamedTuple):
    """What there is to see.

    Attributes:
        config: The experiment that is seen; ``to_toml`` is its text.
        rows: Figures: quantity, at, at_unit, value, low, high, unit, method, warning.
        times: Points of the law of one prover's block time, steps.
        survival: Pr[X > t] there.
        refusal: Why figures are missing; "": none is.
    """

    config: Config
    rows: pd.DataFrame
    times: np.ndarray
    survival: np.ndarray
    refusal: str


class Explorer:
    """A run's curves, and answers from them.

    Args:
        config: The run's.
        curves: Its learning curves.
    """

    def __init__(self, config: Config, curves: CurveSet):
        self.config, self.curves = config, curves
        self._costs = costs_of(config, curves)

    @property
    def start(self) -> Moves:
        """Where the run itself stands."""
        net, scheme = self.config.network, self.config.scheme
        return Moves(
            scheme.t_acc,
            math.log2(scheme.t_1),
            math.log2(scheme.t_2),
            net.provers,
            net.corrupted,
            float(net.delay_steps),
            math.log10(self.config.security.target),
        )

    @property
    def accuracies(self) -> tuple[float, float]:
        """T_acc from one that every run has to one that five runs reach."""
        best = np.sort(self.curves.accuracy.max(axis=1))
        return float(best[0]) / 2, float(best[-_FEWEST_REACHED])

    def config_of(self, moves: Moves) -> Config:
        """The run's config with the sliders' settings.

        Raises:
            ConfigError: If they do not go together; says which.
        """
        if not 0 <= moves.corrupted < moves.provers:
            raise ConfigError(
                f"corrupted provers must be from 0 to provers − 1 = "
                f"{moves.provers - 1}, got {moves.corrupted}"
            )
        settings = plain(self.config)
        settings["name"] = f"{self.config.name}-explored"[:64]
        t_1, t_2 = (round(2**each) for each in (moves.log_t_1, moves.log_t_2))
        given: dict[str, dict[str, Any]] = {
            "scheme": {
                "t_acc": moves.t_acc,
                "t_1": format_target(t_1),
                "t_2": format_target(t_2),
            },
            "network": {
                "provers": moves.provers,
                "beta": moves.corrupted / moves.provers,
                "delay_steps": moves.delay_steps,
            },
            "security": {"target": 10.0**moves.log_target},
        }
        for section, values in given.items():
            settings[section] |= values
        return _validated(settings)

    def law(self, moves: Moves) -> Seen:
        """The law of the block time and what follows from it without simulation.

        Growth and forks are simulated, confirmations are those of the coarse grids.
        """
        config = self.config_of(moves)
        rows, refusal = self._rows(config, QUICK)
        times = alive = np.zeros(0)
        try:
            times, alive = self._survival(config)
        except Refused as error:
            refusal = refusal or str(error)
        return Seen(config, rows, times, alive, refusal)

    def good_periods(self, moves: Moves) -> Seen:
        """Good periods by simulation, with fewer replicas than a run's."""
        config = self.config_of(moves)
        settings = plain(config)
        settings["security"] |= _EFFORT
        settings["security"].pop("rel_error", None)
        rows, refusal = self._rows(_validated(settings), ("good_periods",))
        return Seen(config, rows, np.zeros(0), np.zeros(0), refusal)

    @pinned()
    def _rows(self, config: Config, names: tuple[str, ...]) -> tuple[pd.DataFrame, str]:
        (found,) = evaluate([config], self.curves, self._costs, asked=names)
        return pd.DataFrame(list(found.rows)), found.error

    @pinned()
    def _survival(self, config: Config) -> tuple[np.ndarray, np.ndarray]:
        lottery = lottery_of(config, config.scheme)
        law = empirical_law(
            self.curves, lottery, step_costs=self._costs, damped=True
        ).law
        ends = quantile(law, [0.5, 0.9, 0.99])
        stop = max((x for x in ends.tolist() if math.isfinite(x)), default=1.0)
        times = np.linspace(0.0, stop, _POINTS)
        return times, np.asarray(survival(law, times))


def opened(folder: Path) -> Explorer:
    """A run's explorer.

    Raises:
        ConfigError: If the folder is no run, or its world is none of those that are
            answered at once.
        Changed: If a file of it is not what was written.
    """
    if not all((folder / name).is_file() for name in ("config.toml", "curves.npz")):
        raise ConfigError(
            f"{folder} is no run with learning curves (config.toml, curves.npz): give "
            "a folder of `dpodl run`"
        )
    kept = RunFolder(folder)
    text = kept.read("config.toml").decode()
    config = parse_config(text, str(folder / "config.toml"))
    if not answers_quickly(config):
        raise ConfigError(
            f"{folder}: its world needs more than a moment for each answer (explored "
            "are equal provers under the longest rule, with a private chain on fresh "
            "models, by security.criterion = equal); `dpodl sweep` computes its points"
        )
    return Explorer(config, stored_curves(kept, config))


def _validated(settings: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        told = "; ".join(str(each["msg"]) for each in error.errors())
        raise ConfigError(f"these settings do not go together: {told}") from None
