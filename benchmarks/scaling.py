"""How time grows: with runs, horizon, n, windows, depth, points; and memory with runs.

Each line is one job at several sizes; b of seconds = a · size^b is fitted in every
round. Sizes are far enough apart that a constant cost only makes b smaller.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .measure import exponents
from .simulation import SHARE, network_of
from .workloads import Claim, Job, Series, Workload

_LIMIT = 1.1
_EPSILON = 0.3


def figures(part: str, levels: int, replicas: int, size: int) -> Callable[[], float]:
    """One kind of measurement of levels: windows, persistence or liveness."""
    import jax

    from ..analysis.good_periods import windows as good_period
    from ..analysis.good_periods.rounds import horizon_rounds, rounds_of
    from ..analysis.simulation import properties
    from ..analysis.simulation.levels import simulate

    net = network_of(20, SHARE)
    found = simulate(jax.random.key(0), net, levels=levels, replicas=replicas)
    key, delay = jax.random.key(1), float(net.delay)
    end = horizon_rounds(net, levels=levels, round_steps=0.1)

    def windows() -> None:
        rounds = rounds_of(found, round_steps=0.1)
        rates = good_period.round_rates(rounds, end=end)
        lengths = [float(x) for x in np.geomspace(2, size, 4)]
        good_period.window_shares(key, rounds, rates, lengths, epsilon=_EPSILON)

    def persistence() -> None:
        paths = properties.follow(key, found, delay_steps=delay, confirmations=size)
        depths = range(1, 1 + size)
        properties.persistence_measurements(paths, depths, levels=levels)

    def liveness() -> None:
        paths = properties.follow(key, found, delay_steps=delay, confirmations=size)
        properties.liveness_measurements(paths)

    chosen = {"windows": windows, "persistence": persistence, "liveness": liveness}

    def once() -> float:
        chosen[part]()
        return float(levels * replicas)

    return once


def assessed(replicas: int) -> Callable[[], float]:
    """All quantities of a network, as ``dpodl run`` asks for them."""
    import jax

    from ..analysis.assessment.one_law import Plan, assess

    plan = Plan(
        levels=128,
        replicas=replicas,
        good_period_replicas=1000,
        depths=range(1, 41),
        confirmations=6,
        windows=(5.0, 10.0, 20.0),
        epsilon=_EPSILON,
        round_steps=0.1,
    )
    net = network_of(20, SHARE)

    def once() -> float:
        assess(jax.random.key(0), net, plan)
        return float(replicas)

    return once


def race_depth(depth: int) -> Callable[[], float]:
    """The tilted persistence at one depth, on the grid."""
    from ..analysis.race.fourier import log_persistence
    from ..analysis.race.walk import race

    one = race(network_of(100, SHARE))

    def once() -> float:
        log_persistence(one, [depth])
        return 1.0

    return once


def workloads(full: bool) -> list[Workload]:
    """A workload for each of the sizes."""
    scale = 4 if full else 1
    train = {
        "architecture": "mlp-32",
        "batch": 32,
        "steps": 100 * scale,
        "runs": 8,
        "lanes": 1,
        "threads": 1,
    }
    net = {"provers": 100, "share": SHARE, "levels": 200, "replicas": 512 * scale}
    walk = {"walks": 2**17 * scale}
    path = {"levels": 256, "replicas": 512 * scale, "size": 32}
    found = [
        _line("training runs", "training:ours", train, "runs", (8, 16, 32)),
        _line("training horizon", "training:ours", train, "steps", (100, 200, 400)),
        _line("provers", "simulation:ours", net, "provers", (20, 200, 2000)),
        _line("replicas", "simulation:ours", net, "replicas", (1024, 2048, 4096)),
        _line("levels", "simulation:ours", net, "levels", (100, 200, 400)),
        _line("walk's levels", "simulation:race_walk", walk, "levels", (128, 256, 512)),
        _line(
            "tilt's depth", "simulation:tilted_walk", _TILT, "depth", (100, 200, 400)
        ),
        _line("grid's depth", "scaling:race_depth", {}, "depth", (50, 200, 800)),
        _line("points", "sweeping:evaluate", {}, "count", (2, 4, 8)),
    ]
    for part in ("windows", "persistence", "liveness"):
        job = {**path, "part": part}
        found += [
            _line(
                f"{part}, levels", "scaling:figures", job, "levels", (256, 512, 1024)
            ),
            _line(
                f"{part}, replicas",
                "scaling:figures",
                job,
                "replicas",
                (512, 1024, 2048),
            ),
        ]
    longer = {**path, "part": "windows", "levels": 512}
    found.append(_line("window", "scaling:figures", longer, "size", (10, 30, 90)))
    longer = {**path, "part": "persistence", "levels": 512}
    found.append(_line("depths", "scaling:figures", longer, "size", (16, 32, 64)))
    return [*found, _memory(full)]


_TILT = {"calls": 1, "threads": 1}


def _line(
    name: str, prepare: str, fixed: dict[str, Any], varied: str, sizes: tuple[int, ...]
) -> Workload:
    jobs = tuple(
        Job(f"{varied} = {size}", prepare, {**fixed, varied: size}) for size in sizes
    )

    def fitted(*series: Series) -> np.ndarray:
        return exponents(sizes, [each.seconds for each in series])

    claim = Claim(
        f"exponent of time against {name}, {sizes[0]} to {sizes[-1]}",
        tuple(job.name for job in jobs),
        fitted,
        "",
        _LIMIT,
        at_least=False,
    )
    slug = name.replace("'s", "").replace(",", "").replace(" ", "-")
    return Workload(f"scaling-{slug}", jobs, (claim,), "units")


def _memory(full: bool) -> Workload:
    jobs = tuple(
        Job(f"replicas = {count}", "scaling:assessed", {"replicas": count}, alone=True)
        for count in ((4000, 64_000) if full else (4000, 16_000))
    )
    small, large = (job.name for job in jobs)
    grown = jobs[1].arguments["replicas"] // jobs[0].arguments["replicas"]
    return Workload(
        "memory",
        jobs,
        (
            Claim(
                f"peak memory of all figures with {grown} times the replicas",
                (large, small),
                lambda a, b: a.peak / b.peak,
                "×",
                1.1,
                at_least=False,
                timed=False,
            ),
            Claim(
                "peak memory of all figures",
                (large,),
                lambda a: a.peak / 2**30,
                "GiB",
                timed=False,
            ),
        ),
        "replicas",
    )
