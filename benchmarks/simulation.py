"""The simulated network, the private race and its tilted persistence.

The setting: n = 100 provers, β = ¼, X = D + Exp(λ) with n_h λ = 1 and
D = 1, so that the mean interval is about 2, and Δ = 10 % of it. A *block* of the
network is an honest one, forks included, and everyone counts those they found. The
adversary's private blocks, one a level, which only ours draws too, are not counted.

The private race is walked as it is (``analysis/race/walking.py``). A level is a block
of the public chain and a block of the adversary's, and there a *block* is one of the
two: a level counts as 2. What is drawn is their difference, by one random word. The
levels by themselves are told beside, and those of the walk under two tilts: of a long
walk less a short one, so that its catch-up and the joining of paths cancel.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .workloads import Claim, Job, Series, Workload

_BETA, SHARE = 0.25, 0.1
_HONEST = 75
_LAW = {"rate": 1 / _HONEST, "dead_time": 1.0}
_TARGET = 2.0**-128

Done = tuple[float, dict[str, float]]


def network_of(provers: int, share: float) -> Any:
    """The setting with n provers and Δ = share of the mean interval, 2."""
    from ..analysis.block_time.law import exponential
    from ..analysis.simulation.levels import network

    honest = provers - round(_BETA * provers)
    law = exponential(1 / honest, dead_time=_LAW["dead_time"])
    return network(law, provers=provers, beta=_BETA, delay_steps=2.0 * share)


def ours(
    provers: int,
    share: float,
    levels: int,
    replicas: int,
    *,
    calls: int = 1,
    threads: int = 1,
) -> Callable[[], Done]:
    """Calls of ``simulation.simulate``, so many at a time, each with its replicas."""
    import jax

    from ..analysis.simulation.levels import simulate

    net = network_of(provers, share)
    seeds = iter(range(2**30))
    pool = ThreadPoolExecutor(threads)

    def part(seed: int) -> float:
        found = simulate(jax.random.key(seed), net, levels=levels, replicas=replicas)
        return float(np.asarray(found.blocks).sum())

    def once() -> Done:
        blocks = sum(pool.map(part, [next(seeds) for _ in range(calls)]))
        return blocks, {"blocks": blocks / (levels * replicas * calls)}

    return once


def race_walk(levels: int, walks: int) -> Callable[[], Done]:
    """Direct walks of the private race in one call; blocks, two a level."""
    import jax

    from ..analysis.race.walk import race
    from ..analysis.race.walking import last_levels, walk_of

    walk = walk_of(race(network_of(100, SHARE)))
    seeds = iter(range(2**30))

    def once() -> Done:
        key = jax.random.key(next(seeds))
        counts = last_levels(key, walk, levels=levels, walks=walks)
        done = float(levels * counts.sum())
        return 2 * done, {"levels": done}

    return once


def tilted_walk(depth: int, calls: int, threads: int) -> Callable[[], float]:
    """Walks of the private race under its tilts, ``depth`` levels each."""
    import jax
    import jax.numpy as jnp

    from ..analysis.race.tilted_paths import (
        BATCHES,
        DEPTHS,
        LANES,
        Marks,
        sample_paths,
        stages_of,
    )
    from ..analysis.race.walk import race, tilts

    one = race(network_of(100, SHARE))
    stages = stages_of(one, tilts(one))
    levels = jnp.full(2 * DEPTHS, depth, jnp.int32).at[0].set(depth // 2)
    half, full = jnp.zeros(DEPTHS, jnp.int32), jnp.ones(DEPTHS, jnp.int32)
    marks = Marks(levels, half, full, jnp.int32(1))
    seeds = iter(range(2**30))
    pool = ThreadPoolExecutor(threads)

    def part(seed: int) -> None:
        for call in range(calls):
            jax.block_until_ready(
                sample_paths(jax.random.key(seed), stages, marks, call)
            )

    def once() -> float:
        list(pool.map(part, [next(seeds) for _ in range(threads)]))
        return float(threads * calls * BATCHES * LANES * depth)

    return once


def deep(method: str, paths: int) -> Callable[[], Done]:
    """The smallest depth for 2^-128 and its risk, all programs loaded anew."""
    import jax

    from ..analysis.race import fourier, tilting
    from ..analysis.race.walk import race

    one = race(network_of(100, SHARE))

    def once() -> Done:
        # The next call traces again and reads its programs from the cache on disk.
        jax.clear_caches()
        if method == "grid":
            (found,) = fourier.smallest_depths(one, [_TARGET])
        else:
            key = jax.random.key(0)
            (found,) = tilting.smallest_depths(key, one, [_TARGET], paths=paths)
        risk = found.risk
        error = (risk.high - risk.low) / 2 / risk.value
        return 1.0, {"error": error, "depth": float(found.depth)}

    return once


def workloads(full: bool) -> list[Workload]:
    """The network, its cost by n and by forks, both cores, the race, deep races."""
    return [
        _against_loops(full),
        _by_provers(full),
        _by_forks(full),
        _both_cores(full),
        _race(full),
        _deep(),
    ]


def _main(full: bool) -> dict[str, Any]:
    return {
        "provers": 100,
        "share": SHARE,
        "levels": 1000 if full else 200,
        "replicas": 2000 if full else 1024,
    }


def _against_loops(full: bool) -> Workload:
    rules = {"provers": _HONEST, "delay": 2 * SHARE, **_LAW}
    levels = 2000 if full else 300
    others = (
        Job(
            "SimPy", "peers.event_loops:by_simpy", {**rules, "levels": levels}, "simpy"
        ),
        Job(
            "heapq", "peers.event_loops:by_heapq", {**rules, "levels": levels}, "python"
        ),
        Job(
            "NumPy, n draws a level",
            "peers.event_loops:by_numpy",
            {**rules, "levels": 100, "replicas": 200},
            "numpy",
        ),
    )
    targets = (1000.0, None, None)
    claims = [
        Claim("blocks a second on one core", ("ours",), _rate, "blocks/s", 2e7),
        *(
            Claim(
                f"against {job.name}",
                ("ours", job.name),
                lambda a, b: a.rate / b.rate,
                "×",
                target,
            )
            for job, target in zip(others, targets, strict=True)
        ),
    ]
    jobs = (Job("ours", "simulation:ours", _main(full)), *others)
    return Workload("network", jobs, tuple(claims), "blocks")


def _by_provers(full: bool) -> Workload:
    jobs = tuple(
        Job(f"n = {n}", "simulation:ours", {**_main(full), "provers": n})
        for n in (20, 200, 2000, 20000)
    )
    return Workload(
        "network-provers",
        jobs,
        (
            Claim(
                "time a block with 20,000 provers against 20",
                (jobs[-1].name, jobs[0].name),
                lambda a, b: b.rate / a.rate,
                "×",
                1.25,
                at_least=False,
            ),
        ),
        "blocks",
    )


def _by_forks(full: bool) -> Workload:
    from .measure import exponents

    small = {**_main(full), "provers": 1000, "levels": 200 if full else 50}
    jobs = tuple(
        Job(
            f"Δ = {share:g} of the interval",
            "simulation:ours",
            {**small, "share": share},
        )
        for share in (0.1, 0.5, 1.0, 2.0, 4.0)
    )

    def exponent(*series: Series) -> np.ndarray:
        sizes = [float(np.median(s.fact("blocks"))) for s in series]
        return exponents(sizes, [s.seconds for s in series])

    names = tuple(job.name for job in jobs)
    return Workload(
        "network-forks",
        jobs,
        (
            Claim(
                "exponent of a level's time against its blocks, forks included",
                names,
                exponent,
                "",
                1.1,
                at_least=False,
            ),
            Claim(
                "time a block, forks counted, at the longest Δ against the shortest",
                (names[-1], names[0]),
                lambda last, first: first.rate / last.rate,
                "×",
            ),
        ),
        "blocks",
    )


def _both_cores(full: bool) -> Workload:
    # Calls of a run's size (``assessment.BLOCK``), as many as even out the last ones.
    main = {**_main(full), "replicas": 2000, "calls": 16}
    return Workload(
        "network-both-cores",
        (
            Job("one core", "simulation:ours", main),
            Job("two threads", "simulation:ours", {**main, "threads": 2}, cores=2),
            Job("one call", "simulation:ours", main, cores=2),
        ),
        tuple(
            Claim(text, (job, "one core"), lambda a, b: a.rate / b.rate, "×", target)
            for job, text, target in (
                (
                    "two threads",
                    "both cores against one, a call a core, as runs do",
                    1.7,
                ),
                ("one call", "both cores against one, a single call", None),
            )
        ),
        "blocks",
    )


def _race(full: bool) -> Workload:
    # The horizon of a million walks of this race, and a little more.
    size = {"levels": 128, "walks": 2**23 if full else 2**21}

    def walk(name: str, cores: int) -> Job:
        return Job(name, "simulation:race_walk", size, cores=cores)

    def tilted(name: str, depth: int) -> Job:
        arguments = {"depth": depth, "calls": 4 if full else 1, "threads": 2}
        return Job(name, "simulation:tilted_walk", arguments, cores=2, unit="levels")

    def further(long: Series, short: Series) -> np.ndarray:
        # What a call does besides walking is the same in both.
        work = [
            a.work - b.work for a, b in zip(long.repeats, short.repeats, strict=True)
        ]
        return np.array(work) / (long.seconds - short.seconds)

    return Workload(
        "race",
        (
            walk("both cores", 2),
            walk("one core", 1),
            tilted("tilted", 5000),
            tilted("tilted, short", 1000),
        ),
        (
            Claim(
                "blocks of both chains a second on both cores",
                ("both cores",),
                _rate,
                "blocks/s",
                5e8,
            ),
            Claim(
                "both cores against one",
                ("both cores", "one core"),
                lambda a, b: a.rate / b.rate,
                "×",
                1.7,
            ),
            Claim(
                "levels (blocks of the public chain alone) a second on both cores",
                ("both cores",),
                lambda a: a.fact("levels") / a.seconds,
                "levels/s",
            ),
            Claim(
                "further levels a second of the tilted walk on both cores",
                ("tilted", "tilted, short"),
                further,
                "levels/s",
            ),
        ),
        "blocks",
    )


def _deep() -> Workload:
    jobs = (
        Job("tilting", "simulation:deep", {"method": "tilting", "paths": 65_536}),
        Job("grid", "simulation:deep", {"method": "grid", "paths": 0}),
    )

    def seconds(series: Series) -> np.ndarray:
        return series.seconds

    def error(series: Series) -> np.ndarray:
        return 100 * series.fact("error")

    claims = [
        claim
        for job in jobs
        for claim in (
            Claim(
                f"depth and risk at 2^-128 by {job.name}, programs from the cache",
                (job.name,),
                seconds,
                "s",
                2.0,
                at_least=False,
            ),
            Claim(
                f"half-width of that risk by {job.name}",
                (job.name,),
                error,
                "%",
                1.0,
                at_least=False,
                timed=False,
            ),
        )
    ]
    return Workload("deep", jobs, tuple(claims), "laws")


def _rate(series: Series) -> np.ndarray:
    return series.rate
