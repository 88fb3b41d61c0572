"""β* over accuracy and lottery: the table ``thresholds`` of the figure security_map.

One set of learning curves serves every T_acc and every p_2, so the map needs no
training of its own. Each cell is ``analysis.race.threshold.race_threshold`` of the law
there; its interval is the spread over laws of resampled training runs.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...analysis.block_time.law import BlockTimeLaw
from ...analysis.confirmations.depths import threshold_estimate
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.training_error import few_runs
from ...analysis.race.threshold import race_threshold
from ...models.learning.curves import CurveSet
from ..config.experiment import Config
from ..store.files import Progress
from ..world.translation import law_of, lottery_of
from .worlds import require_curves, require_equal_provers

COLUMNS = (
    *("t_acc", "p_2", "beta", "low", "high", "count", "method"),
    *("runs_effective", "warning", "provers", "delay_steps"),
)
P_2 = tuple(2.0**-power for power in (8, 6, 4, 2, 0))
"""Lotteries of a map whose own are not given."""
_ACCURACIES = 5


def threshold_map(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    progress: Progress,
    *,
    t_accs: Sequence[float],
    p_2s: Sequence[float] = P_2,
) -> pd.DataFrame:
    """Largest safe share for each accuracy and lottery.

    Args:
        config: Everything else: provers, delay, T_1, policies, number of resamples.
        curves: Learning curves of its menu.
        costs: ``world.translation.costs_of``.
        progress: Told of every cell.
        t_accs: Accuracies T_acc in (0, 1].
        p_2s: Chances p_2 in (0, 1].

    Returns:
        t_acc, p_2, beta, low, high (95 % interval of the training runs), count
        (resampled laws that have a threshold), method, runs_effective and warning;
        refusals have beta NaN and the reason as method. Last, provers and
        delay_steps, which all cells share.

    Raises:
        ConfigError: If the law has no curves.
        ValueError: If an accuracy or a chance is out of range, or there is none.
    """
    require_curves(config, "the threshold map")
    for name, values in (("t_accs", t_accs), ("p_2s", p_2s)):
        if not values or not all(0 < value <= 1 for value in values):
            raise ValueError(f"{name} must be numbers in (0, 1], got {list(values)}")
    net = config.network
    cells = [(t_acc, p_2) for t_acc in t_accs for p_2 in p_2s]
    rows = []
    for done, (t_acc, p_2) in enumerate(cells):
        progress("thresholds", done, len(cells))
        cell = _cell(config, curves, costs, t_acc, p_2)
        rows.append((t_acc, p_2, *cell, net.provers, net.delay_steps))
    progress("thresholds", len(cells), len(cells))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def telling_accuracies(curves: CurveSet, count: int = _ACCURACIES) -> list[float]:
    """Accuracies from where nearly every run gets to where few do, evenly, in .01."""
    best = curves.accuracy.max(axis=1)
    low, high = np.quantile(best, [0.1, 0.7])
    places = np.floor(100 * np.linspace(low, high, count)) / 100
    return sorted({float(place) for place in places if place > 0})


def _cell(config: Config, curves: CurveSet, costs, t_acc: float, p_2: float) -> tuple:
    net = config.network
    lottery = lottery_of(config, config.scheme)._replace(t_acc=t_acc, p_2=p_2)

    def threshold(law: BlockTimeLaw) -> float:
        return race_threshold(
            law, provers=net.provers, delay_steps=net.delay_steps
        ).beta

    try:
        require_equal_provers(
            config, "the map of thresholds", attacks=("private", "private_premined")
        )
        law = law_of(config, curves, costs, lottery=lottery)
    except Refused as refusal:
        nothing = math.nan, math.nan, math.nan, 0, f"refused: {refusal}"
        return (*nothing, math.nan, "")
    corrupted = net.beta * net.provers
    basis = law.basis(net.provers - corrupted, corrupted)
    estimate = threshold_estimate(law, threshold, basis=basis)
    return (*estimate, basis.runs, few_runs(basis))
