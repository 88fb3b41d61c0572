"""Named estimates, and how the training's sampling error joins them.

Notation:
    x̂(law)        a figure simulated under a law           ``Measurement.estimate``
    law_b          law of the b-th resample of the runs     ``empirical.bootstrap_laws``
    s_B            standard deviation of x̂(law_b) over b, with common random numbers

The interval of a figure joins the simulation's half-width and 1.96 s_B in quadrature:
the two errors are independent. Persistence, which falls over orders of magnitude, is
joined on the log scale.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .estimate import Estimate

# Probabilities that fall over orders of magnitude along their curve.
_RARE = (
    "persistence_violation",
    "persistence_violation_strict",
    "any_block_violation",
    "time_rule_violation",
)
# A p-value is not a figure of the chain.
_FIXED = ("decay_fit_p_value", "decay_fit_p_value_all")
_MINIMUM_EVENTS = 20
_SPREAD_METHOD = "bootstrap over training runs"


class Measurement(NamedTuple):
    """One security figure.

    Attributes:
        quantity: What it is, e.g. ``persistence_violation``.
        at: Where on its curve (depth, window, quantile level); None if a single number.
        at_unit: Unit of ``at``.
        estimate: Value, interval, count, method.
        unit: Unit of the value; ``probability`` and ``share`` lie in [0, 1].
    """

    quantity: str
    at: float | None
    at_unit: str
    estimate: Estimate
    unit: str

    @property
    def place(self) -> tuple[str, float | None]:
        """What identifies the measurement among others."""
        return self.quantity, self.at


def with_training_error(
    measured: Sequence[Measurement], resampled: Sequence[Sequence[Measurement]]
) -> list[Measurement]:
    """Widen every interval by the spread over bootstrap laws.

    Persistence is spread on the log scale; where a resample saw fewer than 20 events
    its curve is carried on along the slope of its last well-measured stretch.

    Args:
        measured: Under the law of all runs.
        resampled: The same figures under each bootstrap law. A figure that a resample
            refused is missing there.

    Returns:
        The measurements in their order, with both errors in their intervals.
    """
    if not resampled:
        return list(measured)
    curves = [_log_curves(replicate) for replicate in resampled]
    values: dict[tuple[str, float | None], list[float]] = {}
    for replicate in resampled:
        for m in replicate:
            values.setdefault(m.place, []).append(m.estimate.value)
    return [_widened(m, values.get(m.place, []), curves) for m in measured]


def _widened(measurement, values, curves) -> Measurement:
    estimate = measurement.estimate
    if measurement.quantity in _FIXED:
        return measurement
    if measurement.quantity in _RARE and measurement.at is not None:
        logs = [
            curve[measurement.quantity](measurement.at)
            for curve in curves
            if measurement.quantity in curve
        ]
        wide = _widen_log(estimate, _spread(logs))
    else:
        wide = estimate.widened(_spread(values), _SPREAD_METHOD)
    if measurement.unit in ("probability", "share"):
        wide = wide.clipped(0.0, 1.0)
    return measurement._replace(estimate=wide)


def _widen_log(estimate: Estimate, spread: float) -> Estimate:
    extra = 1.96 * spread
    value = estimate.value
    if value == 0.0:
        # Only an upper limit is known; the training's error moves it as well.
        return estimate._replace(
            high=min(1.0, estimate.high * math.exp(extra)),
            method=f"{estimate.method} + {_SPREAD_METHOD}",
        )
    down = math.hypot(math.log(value / max(estimate.low, 1e-300)), extra)
    up = math.hypot(math.log(estimate.high / value), extra)
    return estimate._replace(
        low=value * math.exp(-down),
        high=value * math.exp(up),
        method=f"{estimate.method} + {_SPREAD_METHOD}",
    )


def _log_curves(replicate: Sequence[Measurement]):
    """For each probability curve of a replicate: at → log probability, extrapolated."""
    points: dict[str, list[tuple[float, float]]] = {}
    for m in replicate:
        if m.quantity in _RARE and m.at is not None:
            events = m.estimate.value * m.estimate.count
            if events >= _MINIMUM_EVENTS:
                points.setdefault(m.quantity, []).append((m.at, m.estimate.value))
    return {
        quantity: _carried_on(*np.array(sorted(known)).T)
        for quantity, known in points.items()
    }


def _carried_on(at: np.ndarray, values: np.ndarray):
    logs = np.log(values)
    x, y = at[-4:] - at[-4:].mean(), logs[-4:]
    # Least squares on the last stretch.
    slope = float(x @ y / (x @ x)) if len(at) > 1 else 0.0
    known = dict(zip(at.tolist(), logs.tolist(), strict=True))

    def log_probability(x: float) -> float:
        if x in known:
            return known[x]
        if x <= at[-1]:
            return float(np.interp(x, at, logs))
        return float(logs[-1] + slope * (x - at[-1]))

    return log_probability


def _spread(values: Sequence[float]) -> float:
    finite = [v for v in values if math.isfinite(v)]
    if len(finite) < 2:
        return 0.0
    centre = math.fsum(finite) / len(finite)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in finite) / (len(finite) - 1))
