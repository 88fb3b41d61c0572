"""Points of a sweep: seconds a point, and programs a point.

The design: 10 values of T_acc × 4 of T_1 × 5 of T_2 × 10 of Δ × 5 of β = 10,000 points
on one set of curves, with the effort of ``[sweep]``. The curves are those of a formula
(192 runs, 80 looks, logistic in ln t with a time and a height of their own): what a
point costs depends on their number, not on who trained them.
"""

from collections.abc import Callable
from itertools import islice, product, repeat
from typing import Any

import numpy as np

from .commands import scratch
from .workloads import Claim, Job, Series, Workload

POINTS = 10_000
_OVER: dict[str, tuple[Any, ...]] = {
    "scheme.t_acc": tuple(round(0.80 + 0.015 * i, 3) for i in range(10)),
    "scheme.t_1": ("2^238", "2^240", "2^242", "2^244"),
    "scheme.t_2": ("2^250", "2^252", "2^253", "2^254", "2^255"),
    "network.delay_steps": (1, 2, 5, 10, 20, 30, 40, 50, 75, 100),
    "network.beta": (0.05, 0.1, 0.15, 0.2, 0.25),
}


def curves_of(config: Any) -> Any:
    """The formula's curves for a config's runs and looks."""
    from ..models.learning.curves import CurveSet, draw_runs

    training = config.training
    looks = training.horizon_steps // training.check_every
    steps = training.check_every * np.arange(1, looks + 1)
    generator = np.random.default_rng(config.seed)
    middle = generator.lognormal(4.0, 0.7, (training.runs, 1))
    top = generator.beta(60, 1.2, (training.runs, 1))
    accuracy = top / (1 + (middle / steps) ** 1.5)
    samples = 1000
    return CurveSet(
        draw_runs(config.seed, training.runs, config.menu.build()),
        steps,
        np.rint(samples * accuracy).astype(np.int32),
        1 - accuracy,
        samples,
        10_000,
    )


def points_of(first: int, count: int) -> list[Any]:
    """Some of the design's points, one after the other as a shard has them."""
    from ..experiments.config.loading import load_config
    from ..experiments.sweep.design import frozen

    base = frozen(load_config("quickstart"), over={"scheme.t_acc": (0.9,)})
    effort = [
        f"security.{name}={getattr(base.security, name)}"
        for name in (
            "replicas",
            "good_period_replicas",
            "bootstraps",
            "bootstrap_replicas",
        )
    ]
    return [
        load_config(
            "quickstart",
            [*effort, *(f"{k}={v}" for k, v in zip(_OVER, values, strict=True))],
        )
        for values in islice(product(*_OVER.values()), first, first + count)
    ]


def evaluate(
    count: int, places: int = 1, moving: bool = False
) -> Callable[[], tuple[float, dict[str, float]]]:
    """``points.evaluate`` for shards at evenly spread places of the design.

    Args:
        count: Points of a shard.
        places: Shards.
        moving: Whether each time other places are taken.
    """
    from ..experiments.sweep import evaluation

    curves = curves_of(points_of(0, 1)[0])
    if moving:
        # Every static shape once: points with few forks and with many.
        evaluation.evaluate(
            points_of(0, len(_OVER["network.delay_steps"]) * 5), curves, None
        )
    shifts = iter(range(0, POINTS, 97)) if moving else repeat(0)

    def once() -> tuple[float, dict[str, float]]:
        shift, refused = next(shifts), 0
        for place in range(places):
            first = (POINTS // 7 + shift + place * (POINTS // places)) % POINTS
            outcomes = evaluation.evaluate(points_of(first, count), curves, None)
            refused += sum(bool(each.error) for each in outcomes)
        return float(count * places), {"refused": float(refused)}

    return once


def whole() -> Callable[[], tuple[float, dict[str, float]]]:
    """All points through ``dpodl sweep``'s machinery, a process a core."""
    from ..experiments.config.loading import load_config
    from ..experiments.pipeline import training
    from ..experiments.sweep import driver
    from ..experiments.sweep.design import frozen
    from ..experiments.workers.executors import workers

    config = frozen(load_config("quickstart"), over=_OVER)
    root = scratch()
    # The one curve set is there before the clock starts.
    training.train(config, root, lambda *_: None)

    def once() -> tuple[float, dict[str, float]]:
        plan = driver.plan_of(config, root)
        with workers("local") as pool:
            found = driver.run_sweep(plan, root, pool, lambda *_: None)
        return float(found.computed), {"failed": float(found.failed)}

    return once


def workloads(full: bool) -> list[Workload]:
    """Points on one core, scaled to 10,000; with ``full`` also all of them."""
    sample = {"count": 64, "places": 4} if full else {"count": 32, "places": 2}
    other = {"count": 2, "places": 1, "moving": True}
    told = f"{sample['places']} shards of {sample['count']}"

    def seconds(series: Series) -> np.ndarray:
        return POINTS / series.rate / 2

    def programs(series: Series) -> np.ndarray:
        return series.programs

    found = [
        Workload(
            "sweep",
            (
                Job("points", "sweeping:evaluate", sample),
                Job("further points", "sweeping:evaluate", other, alone=True),
            ),
            (
                Claim(
                    f"10,000 points, scaled from {told} on one core to two",
                    ("points",),
                    seconds,
                    "s",
                    60.0,
                    at_least=False,
                ),
                Claim(
                    "programs compiled for two further points",
                    ("further points",),
                    programs,
                    "",
                    0.0,
                    at_least=False,
                    timed=False,
                ),
            ),
            "points",
        )
    ]
    if full:
        found.append(
            Workload(
                "sweep-whole",
                (Job("sweep", "sweeping:whole", {}, cores=2, warm=False),),
                (
                    Claim(
                        "10,000 points from one curve set, two processes",
                        ("sweep",),
                        lambda series: series.seconds,
                        "s",
                        60.0,
                        at_least=False,
                        least=1,
                    ),
                ),
                "points",
                rounds=1,
            )
        )
    return found
