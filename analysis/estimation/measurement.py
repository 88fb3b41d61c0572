"""Named estimates, and how the training's sampling error joins them.

Every figure has a scale on which its error is spread (``Measurement.spread``); the
interval is that of ``training_error.py``.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from .estimate import Estimate
from .training_error import UNKNOWN, Basis, Drawn, Scale, few_runs, training_interval

Spread = Scale | Literal["tail", "none"]

# A share may be seen as 0 or 1 under a resample, and no further.
_SCALES: dict[str, Scale] = {
    "probability": "angle",
    "share": "angle",
    "total variation": "angle",
}
_MINIMUM_EVENTS = 20
# ln p of a resample in which the event never failed to happen.
_MOST_LOG = -1e-3


class Measurement(NamedTuple):
    """One security figure.

    Attributes:
        quantity: What it is, e.g. ``persistence_violation``.
        at: Where on its curve (depth, window, quantile level); None if a single number.
        at_unit: Unit of ``at``.
        estimate: Value, interval, count, method.
        unit: Unit of the value; ``probability`` and ``share`` lie in [0, 1].
        spread: Scale on which the training spreads it; None: angle for what lies in
            [0, 1], else log. ``tail``: a probability that falls over orders of
            magnitude along its curve (logit). ``none``: not a figure of the chain (a
            p-value).
        basis: What it rests on, where that is known.
        drawn: The same under every law that its interval was made from; None: not kept.
    """

    quantity: str
    at: float | None
    at_unit: str
    estimate: Estimate
    unit: str
    spread: Spread | None = None
    basis: Basis = UNKNOWN
    drawn: Drawn | None = None

    @property
    def place(self) -> tuple[str, float | None]:
        """What identifies the measurement among others."""
        return self.quantity, self.at

    @property
    def warning(self) -> str:
        """What to say beside it where few runs carry it; "" elsewhere."""
        return few_runs(self.basis)


def with_training_error(
    measured: Sequence[Measurement],
    resampled: Sequence[Sequence[Measurement]],
    *,
    extremes: Sequence[Sequence[Measurement]] = (),
    centre: Sequence[Measurement] = (),
    basis: Basis = UNKNOWN,
) -> list[Measurement]:
    """Every interval with the training's error in it (``training_interval``).

    Where a resample saw fewer than 20 events of a ``tail``, its curve is carried on
    along the slope of its last well-measured stretch.

    Args:
        measured: Under the law of all runs.
        resampled: The same figures under each bootstrap law. A figure that a resample
            refused is missing there; a law that is refused has none.
        extremes: The same under the slowest and the fastest law beyond the horizon.
        centre: The same under the law of all runs, with the effort of ``extremes``.
        basis: What figures without a basis of their own rest on.

    Returns:
        The measurements in their order, with both errors in their intervals.
    """
    own = [
        m._replace(basis=basis) if m.basis is UNKNOWN and m.spread != "none" else m
        for m in measured
    ]
    if not any(resampled):
        return own
    drawn, ends, middle = map(_lookup, (resampled, extremes, [centre]))
    return [_widened(m, drawn, ends, middle) for m in own]


def _widened(m: Measurement, drawn, ends, middle) -> Measurement:
    if m.spread == "none":
        return m
    every = drawn(m)
    values, outer, inner = map(_there, (every, ends(m), middle(m)))
    found = training_interval(
        m.estimate,
        values,
        "logit" if m.spread == "tail" else m.spread or _SCALES.get(m.unit, "log"),
        basis=m.basis,
        # Nothing to compare them with: the law of all runs had no such figure.
        extremes=outer if inner else (),
        centre=inner[0] if inner else None,
    )
    if m.unit in ("probability", "share"):
        found = found.clipped(0.0, 1.0)
    kept = Drawn(
        m.estimate,
        tuple(math.nan if each is None else each for each in every),
        tuple(outer) if inner else (),
        inner[0] if inner else None,
    )
    return m._replace(estimate=found, drawn=kept)


def _there(values: Sequence[float | None]) -> list[float]:
    return [each for each in values if each is not None]


def _lookup(replicates: Sequence[Sequence[Measurement]]):
    """The values of a figure under each replicate; None where it has no such figure."""
    curves = [_log_curves(replicate) for replicate in replicates]
    values = [{m.place: m.estimate.value for m in each} for each in replicates]

    def found(m: Measurement) -> list[float | None]:
        if m.spread != "tail" or m.at is None:
            return [each.get(m.place) for each in values]
        at, name = m.at, m.quantity
        logs = [c[name](at) if name in c else None for c in curves]
        return [None if x is None else math.exp(min(x, _MOST_LOG)) for x in logs]

    return found


def _log_curves(replicate: Sequence[Measurement]):
    """For each probability curve of a replicate: at → log probability, extrapolated."""
    points: dict[str, list[tuple[float, float]]] = {}
    for m in replicate:
        if m.spread == "tail" and m.at is not None:
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
