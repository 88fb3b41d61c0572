"""How fast a setting learns, predicted from other runs than those it will time.

Notation:
    y_i      log of run i's first passage of T_acc, in time; unreached runs count as
             twice the horizon
    x_i      its hyper-parameters, each value of each axis 0 or 1
    ŷ_i      prediction of a ridge regression on the *other* fold's runs

A menu has about as many settings as an experiment has runs, so that a setting's own
mean is one run's luck. Axes act nearly additively on log time; that is what the model
uses, and what an adversary could do as well.
"""

import numpy as np
from jaxtyping import Float, Int

from ...models.learning.curves import CurveSet

_RIDGE = 1.0


def predicted_passage(
    curves: CurveSet,
    t_acc: float,
    step_costs: Float[np.ndarray, " runs"] | None,
    runs: Int[np.ndarray, " runs"],
) -> Float[np.ndarray, " runs"]:
    """ŷ_i of each run, from the runs whose number has the other parity.

    Args:
        curves: Learning curves.
        t_acc: T_acc.
        step_costs: c_i; None: all 1.
        runs: Which original run each curve is: repeats of one are never in both folds.
    """
    above = curves.accuracy >= t_acc
    passage = np.where(
        above.any(axis=1),
        curves.steps[np.argmax(above, axis=1)],
        2 * curves.steps[-1],
    ).astype(float)
    y = np.log(passage * (1.0 if step_costs is None else step_costs))
    x = _axes(curves)
    predicted = np.full(len(runs), y.mean())
    for fold in (0, 1):
        mine = runs % 2 == fold
        if mine.all() or not mine.any():
            continue
        base = y[~mine].mean()
        gram = x[~mine].T @ x[~mine] + _RIDGE * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x[~mine].T @ (y[~mine] - base))
        predicted[mine] = base + x[mine] @ weights
    # Rounded, so that equal settings have equal scores whatever the machine.
    return np.round(predicted, 9)


def _axes(curves: CurveSet) -> Float[np.ndarray, "runs values"]:
    """A column for each value of each axis; an optimizer and its rates are one axis."""
    hpps = [each.hpp for each in curves.initializations]
    columns = []
    for axis in (
        [h.architecture for h in hpps],
        [(h.optimizer, h.learning_rate, h.momentum) for h in hpps],
        [h.optimizer for h in hpps],
        [h.batch_size for h in hpps],
        [h.init_scale for h in hpps],
    ):
        columns += [[value == each for each in axis] for value in sorted(set(axis))]
    return np.array(columns, float).T
