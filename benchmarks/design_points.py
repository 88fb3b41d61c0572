"""Points of a spread design, each with a law of its own: points a second, and what
they are spent on.

The design: Sobol over (T_acc, T_1, T_2), quickstart's network, on the curves of
``sweeping``'s formula. A point has mean and CV of one prover and of the fastest of 15,
growth, forks, and confirmations for two risks with and without a head start, all with
intervals of 24 resamples (``assessment.quick``).
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from .sweeping import POINTS, curves_of
from .workloads import Claim, Job, Series, Workload

_T_ACC, _P_1, _P_2 = (0.80, 0.94), (2.0**-18, 2.0**-12), (2.0**-6, 1.0)
# What a second is spent on, by the functions of ``assessment.quick``.
_PARTS = {
    "laws": ("empirical_law", "table_moments", "interval_bracket"),
    "resamples": ("mixtures", "survival", "bases"),
    "chains": ("chain_rates",),
    "confirmations": ("_add_confirmations",),
}


def points_of(count: int) -> list[Any]:
    """The first points of the design."""
    from scipy.stats import qmc

    from ..analysis.assessment.quick import Point
    from ..analysis.block_time.empirical import Lottery

    def between(low: float, high: float, share: float) -> float:
        return low * (high / low) ** share

    design = qmc.Sobol(3, rng=0).random(count)
    lotteries = (
        Lottery(
            _T_ACC[0] + (_T_ACC[1] - _T_ACC[0]) * first,
            between(*_P_1, second),
            between(*_P_2, third),
            150.0,
            "continue",
            2000,
        )
        for first, second, third in design
    )
    return [Point(each, 15, 5, 25.0) for each in lotteries]


def points(count: int) -> Callable[[], tuple[float, dict[str, float]]]:
    """``quick_figures`` of some points, with the share of each of its parts.

    Args:
        count: How many; 64 a call, as a shard has them.
    """
    import jax

    from ..analysis.assessment import quick
    from ..experiments.config.loading import load_config

    curves = curves_of(load_config("quickstart"))
    asked = points_of(count)
    spent: dict[str, float] = {}
    for part, names in _PARTS.items():
        for name in names:
            setattr(quick, name, _timed(getattr(quick, name), part, spent))

    def once() -> tuple[float, dict[str, float]]:
        spent.clear()
        begun, cpu = time.perf_counter(), time.process_time()
        refused = 0
        for first in range(0, count, 64):
            some = asked[first : first + 64]
            found = quick.quick_figures(jax.random.key(0), 0, curves, some, 24)
            refused += sum(not isinstance(each, quick.Found) for each in found)
        took = time.perf_counter() - begun
        shares = {f"share of {part}": value / took for part, value in spent.items()}
        processor = 1000 * (time.process_time() - cpu) / count
        return float(count), {**shares, "CPU ms": processor, "refused": float(refused)}

    return once


def _timed(function: Any, part: str, spent: dict[str, float]) -> Any:
    @wraps(function)
    def timed(*given: Any, **named: Any) -> Any:
        begun = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            spent[part] = spent.get(part, 0.0) + time.perf_counter() - begun

    return timed


def workloads(full: bool) -> list[Workload]:
    """Points a second on one core, scaled to 10,000 on two, and their parts."""
    count = 256 if full else 64

    def seconds(series: Series) -> np.ndarray:
        return POINTS / series.rate / 2

    def rate(series: Series) -> np.ndarray:
        return series.rate

    def share(part: str) -> Callable[[Series], np.ndarray]:
        def of(series: Series) -> np.ndarray:
            return series.fact(f"share of {part}")

        return of

    job = Job("quick points", "design_points:points", {"count": count}, alone=True)
    claims = [
        Claim(
            "10,000 points with a law each, scaled from one core to two",
            (job.name,),
            seconds,
            "s",
            60.0,
            at_least=False,
        ),
        Claim("points a second on one core", (job.name,), rate, "/s"),
        *(
            Claim(f"share of {part}", (job.name,), share(part), "", timed=False)
            for part in _PARTS
        ),
    ]
    return [Workload("design-points", (job,), tuple(claims), "points")]
