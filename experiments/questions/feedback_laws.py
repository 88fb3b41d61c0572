"""The laws of a loop from a config: every p_2 of two tasks, from the same curves."""

import math
from typing import NamedTuple

import numpy as np

from ...analysis.attacks.situation import ticketed
from ...analysis.block_time.empirical import empirical_law
from ...analysis.block_time.law import cv, fastest_of, mean
from ...analysis.block_time.uncertain import measured
from ...analysis.estimation.estimate import Estimate, Refused
from ...analysis.feedback.laws import TabulatedLaws, tabulated
from ...models.learning.curves import CurveSet
from ..config.experiment import Config
from ..world.translation import law_of, lottery_of

# Octaves of p_2 below the design's, and about how many rows an octave has.
_OCTAVES, _ROWS = 10, 2
_GAIN_STEP = 0.05


class LoopLaws(NamedTuple):
    """What a loop needs of a config.

    Attributes:
        laws: At every p_2, of the config's task and of the second one.
        told: What is said of the design: mean, cv, gain, room; with the runs' error.
        delay: Δ over T.
        gain: g of the design, as its own law says.
    """

    laws: TabulatedLaws
    told: dict[str, Estimate]
    delay: float
    gain: float


def loop_laws(
    config: Config, curves: CurveSet, costs: np.ndarray | None, switch: float
) -> LoopLaws:
    """Tables of a config's laws, and what is said of them.

    Args:
        config: Its p_2 is the design's.
        curves: Its learning curves.
        costs: ``world.translation.costs_of``.
        switch: T_acc of the second task.

    Raises:
        Refused: If a law is, or if p_2 has no room to rise.
    """
    lottery = lottery_of(config, config.scheme)
    design = lottery.p_2
    if design > 0.99:
        raise Refused(
            "feedback: p_2 is 1 already, so that no rule can make a block easier; a "
            "smaller scheme.t_2 leaves room"
        )
    targets = _targets(design)
    runs = curves
    if config.protocol.s_min:
        due = np.full(len(curves.initializations), config.protocol.s_min)
        runs = ticketed(curves, due)
    tables = [
        [
            empirical_law(
                runs,
                lottery._replace(t_acc=t_acc, p_2=float(p_2)),
                step_costs=costs,
                damped=True,
            ).law
            for p_2 in targets
        ]
        for t_acc in (config.scheme.t_acc, switch)
    ]
    provers = config.network.provers
    laws = tabulated(tables, targets, design=design, provers=provers)
    told = _told(config, curves, costs)
    delay = config.network.delay_steps / told["mean"].value
    return LoopLaws(laws, told, delay, told["gain"].value)


def _targets(design: float) -> np.ndarray:
    """p_2 in equal steps of the logarithm, the design's and 1 among them."""
    octaves = -math.log2(design)
    above = max(1, round(_ROWS * octaves))
    step = octaves / above
    below = math.ceil(_OCTAVES / step)
    return design * 2.0 ** (step * np.arange(-below, above + 1))


def _told(config: Config, curves: CurveSet, costs) -> dict[str, Estimate]:
    lottery = lottery_of(config, config.scheme)
    provers = config.network.provers

    def at(factor: float):
        p_2 = min(1.0, lottery.p_2 * factor)
        some = lottery._replace(p_2=p_2)
        return law_of(config, curves, costs, lottery=some), p_2

    (here, _), (low, p_low), (high, p_high) = map(
        at, (1.0, math.exp(-_GAIN_STEP), math.exp(_GAIN_STEP))
    )
    (all_wins, _) = at(math.inf)
    run = math.log(p_high / p_low)
    basis = here.basis(provers)

    def slope(down, up) -> float:
        means = (mean(fastest_of(law, provers)) for law in (down, up))
        slower, faster = means
        return math.log(slower / faster) / run

    def crowd(law) -> float:
        few, many = (
            mean(fastest_of(law, provers * math.exp(each)))
            for each in (-_GAIN_STEP, _GAIN_STEP)
        )
        return math.log(few / many) / (2 * _GAIN_STEP)

    def least(law, winning) -> float:
        return mean(fastest_of(winning, provers)) / mean(fastest_of(law, provers))

    def interval(law) -> float:
        return mean(fastest_of(law, provers))

    def spread(law) -> float:
        return cv(fastest_of(law, provers))

    return {
        "mean": measured(interval, here, basis=basis),
        "cv": measured(spread, here, basis=basis),
        "gain": measured(slope, low, high, basis=basis),
        "power_gain": measured(crowd, here, basis=basis),
        "least": measured(least, here, all_wins, basis=basis),
    }
