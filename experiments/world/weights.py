"""Estimates under the weight rule, where blocks count by their accuracies."""

from collections.abc import Iterator

import numpy as np

from ...analysis.assessment.one_law import Assessment, Plan
from ...analysis.attacks.situation import resamples
from ...analysis.estimation.estimate import Refused
from ...analysis.estimation.measurement import Measurement, with_training_error
from ...analysis.estimation.training_error import Basis
from ...models.learning.curves import CurveSet
from ...models.learning.pins import seed_key
from ..config.experiment import Config
from ..store.files import Progress
from .engines import assess_weight_world, weight_world
from .situation import NO_STARTS, situation
from .translation import require_known


def weight_estimates(
    config: Config,
    curves: CurveSet,
    costs: np.ndarray | None,
    plans: tuple[Plan, Plan],
    basis: Basis,
    progress: Progress = lambda *_: None,
) -> tuple[list[Measurement], Assessment, int]:
    """Figures under the weight rule with both errors.

    Beyond the horizon a marked law goes on at one rate, so there is no bracket: the
    intervals hold the error of the simulation and of the number of models.

    Args:
        config: The experiment.
        curves: Its learning curves.
        costs: ``costs_of`` it.
        plans: Of all runs, and of each resample.
        basis: What the figures rest on.
        progress: Told how far it is.

    Returns:
        Measurements, what was assessed, and how many resamples could not be.

    Raises:
        Refused: As ``weight_world`` and ``assess_weights``.
    """
    require_known(config)
    key, (plan, smaller) = seed_key(config.seed), plans
    count = config.security.bootstraps
    total = 1 + count
    progress("estimating security", 0, total)

    def at(some: CurveSet, some_costs, effort: Plan) -> Assessment:
        world = weight_world(config, some, some_costs)
        return assess_weight_world(config, world, key, effort)

    found = at(curves, costs, plan)
    centre = at(curves, costs, smaller).measurements if count else []
    drawn, failed = [], 0
    for done, (some, some_costs) in enumerate(_resampled(config, curves, costs, count)):
        progress("estimating security", 1 + done, total)
        try:
            drawn.append(at(some, some_costs, smaller).measurements)
        except Refused:
            drawn.append([])
            failed += 1
    progress("estimating security", total, total)
    measured = with_training_error(
        found.measurements, drawn, centre=centre, basis=basis
    )
    return measured, found, failed


def _resampled(
    config: Config, curves: CurveSet, costs: np.ndarray | None, count: int
) -> Iterator[tuple[CurveSet, np.ndarray | None]]:
    base = situation(config, curves, costs, NO_STARTS)
    for each in resamples(base, config.seed, count):
        # The evaluation's error must not make a model right more often than it can be.
        correct = np.clip(each.curves.correct, 0, curves.eval_samples)
        yield each.curves._replace(correct=correct), each.step_costs
