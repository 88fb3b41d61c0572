"""Chains under a rule that moves T_2, on one core.

The setting: WTEMA of 144 blocks on a table of 27 targets, a dead time and a lottery of
equal length for 20 provers; the window of LWMA is told beside.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from .workloads import Claim, Job, Workload

Done = tuple[float, dict[str, float]]


def chains(
    rule: Literal["wtema", "lwma"], number: float, blocks: int, replicas: int
) -> Callable[[], Done]:
    """Calls of ``feedback.run_loop`` on a tabulated law, nothing happening."""
    import jax

    from ..analysis.block_time.law import exponential
    from ..analysis.feedback import LoopRule, run_loop, tabulated
    from ..analysis.feedback.scenarios import steady

    targets = 2.0 ** np.arange(-13.0, 0.5, 0.5)
    lottery = 1 / (0.01 * 2.0**-3 * 20)
    laws = [exponential(0.01 * p, dead_time=lottery) for p in targets]
    table = tabulated([laws], targets, design=2.0**-3, provers=20)
    still = steady(blocks)
    seeds = iter(range(2**30))

    def once() -> Done:
        key = jax.random.key(next(seeds))
        found = run_loop(key, table, LoopRule(rule, number), still, replicas=replicas)
        done = float(found.interval.size)
        return done, {"interval": float(found.interval.mean())}

    return once


def workloads(full: bool) -> list[Workload]:
    """Blocks a second of the loop."""
    size = {"blocks": 1024, "replicas": 4096 if full else 1024}
    small = {"blocks": 1024, "replicas": 256}
    wtema, lwma = {"rule": "wtema", "number": 144}, {"rule": "lwma", "number": 60}
    return [
        Workload(
            "feedback",
            (
                Job("WTEMA", "feedback:chains", {**wtema, **size}),
                Job("LWMA", "feedback:chains", {**lwma, **small}),
            ),
            (
                Claim(
                    "blocks of WTEMA on a tabulated law a second on one core",
                    ("WTEMA",),
                    lambda series: series.rate,
                    "blocks/s",
                    1e6,
                ),
                Claim(
                    "blocks of LWMA, a window of 60",
                    ("LWMA",),
                    lambda series: series.rate,
                    "blocks/s",
                ),
            ),
            "blocks",
        )
    ]
