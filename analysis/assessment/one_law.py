"""All security figures of one network, from one set of simulated replicas.

With a relative error asked for, growth, forks, quality, persistence and liveness are
sampled until chain growth, chain quality, the stale rate and persistence (ties win) at
depths up to ``confirmations`` are that good (``estimation/sampling.py``). Depths whose
risk, by the bound of ``race/fourier.py``, would show fewer than ``_FEWEST`` events in
all the replicas allowed are not waited for. Figures of rounds keep replicas of their
own.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from ..block_time.law import BlockTimeLaw, fastest_of
from ..estimation.estimate import Refused
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    CHAIN_GROWTH,
    CHAIN_QUALITY,
    PERSISTENCE_SIMULATED,
    STALE_RATE,
)
from ..estimation.sampling import Budget, Mapped, at_coverage, one_by_one, until
from ..good_periods.independence import independence_measurements
from ..good_periods.rounds import horizon_rounds, join_rounds, rounds_until
from ..good_periods.tails import decay_figures, follow_tails, tail_measurements
from ..good_periods.windows import (
    RoundRates,
    counted_on,
    good_period_measurements,
    rate_measurements,
    round_rates,
    window_shares,
)
from ..race.fourier import log_persistence
from ..race.walk import race
from ..simulation.levels import Levels, Network, simulate
from ..simulation.properties import (
    Paths,
    chain_measurements,
    follow,
    liveness_measurements,
    persistence_measurements,
)

BLOCK = 2000
MOST_REPLICAS = 2_000_000
_FEWEST = 10


class Plan(NamedTuple):
    """What to estimate and how hard.

    Attributes:
        levels: Blocks a replica.
        replicas: Independent replicas; with ``rel_error`` only the size of a batch.
        good_period_replicas: Replicas whose rounds are looked at one by one.
        depths: Persistence depths k.
        confirmations: k of the liveness figure.
        windows: Good-period windows as expected successful rounds kp; none: no figure
            of rounds.
        epsilon: ε of Def. 3.
        round_steps: Steps a round.
        detail: Also tails of growth and quality, isolated blocks, the dependence of
            rounds and the decay of bad periods.
        rel_error: Half-width over value that is sampled for; None: ``replicas``.
        most_replicas: Where sampling for ``rel_error`` gives up.
    """

    levels: int
    replicas: int
    good_period_replicas: int
    depths: Sequence[int]
    confirmations: int
    windows: Sequence[float]
    epsilon: float
    round_steps: float
    detail: bool = True
    rel_error: float | None = None
    most_replicas: int = MOST_REPLICAS


class Engine(NamedTuple):
    """What simulates a network.

    Attributes:
        simulate: (key, levels=, replicas=) → ``Levels``.
        following: Law of the corrupted provers' next block if they followed the
            protocol; None: it is theirs.
    """

    simulate: Callable[..., Levels]
    following: BlockTimeLaw | None = None


def level_engine(network: Network) -> Engine:
    """The fast engine, for equal provers, one delay and the longest chain."""
    following = None
    if network.adversary is not None and float(network.adversarial) > 0:
        following = fastest_of(network.law, float(network.adversarial))
    return Engine(lambda key, **sizes: simulate(key, network, **sizes), following)


class Assessment(NamedTuple):
    """The figures, and those that were refused with the reason.

    Attributes:
        measurements: Every figure that could be estimated.
        refusals: Why others could not.
        window_rounds: k of each good-period window kp, for closed forms beside it.
        rates: E[X_r], E[Y_r], E[Z_r] and their rounds, or None where refused.
        missing: What is not as good as ``rel_error`` asks, a sentence each.
    """

    measurements: list[Measurement]
    refusals: list[str]
    window_rounds: dict[float, int]
    rates: RoundRates | None
    missing: tuple[str, ...] = ()


def assess(
    key: Key[Array, ""],
    network: Network,
    plan: Plan,
    *,
    mapped: Mapped = one_by_one,
    engine: Engine | None = None,
) -> Assessment:
    """Simulate a network once and estimate everything of it.

    Args:
        key: Fixes every draw; the same key gives common random numbers across laws.
        network: Law, provers, adversary, delay.
        plan: Figures and effort.
        mapped: How (work, count) becomes work(0), ..., work(count − 1): here one after
            the other; a caller with more cores or devices may do several at a time.
        engine: What simulates it; None: ``level_engine``. With another the network is
            what races: one prover a side, whose law is that side's next block.

    Raises:
        Refused: If the block-time law may never end, so that there is no chain.
    """
    # Blocks of equal size: memory does not grow with replicas, and the bootstrap's
    # smaller runs use the same compiled program.
    engine = engine or level_engine(network)
    size = min(plan.replicas, BLOCK)
    rel_error = plan.rel_error
    fixed = rel_error is None
    blocks = -(-(plan.replicas if fixed else plan.good_period_replicas) // size)
    window_key, *keys, path_key = keys_of(key, 2 + 2 * blocks)
    end = horizon_rounds(network, levels=plan.levels, round_steps=plan.round_steps)

    def block(number: int):
        simulate_key, moment_key = keys[2 * number : 2 * number + 2]
        levels = engine.simulate(simulate_key, levels=plan.levels, replicas=size)
        path = _followed(moment_key, levels, network, plan) if fixed else None
        wanted = min(plan.good_period_replicas - number * size, size)
        if wanted <= 0 or not plan.windows:
            return path, None, None
        some = levels if wanted == size else _first(levels, wanted)

        def longer(count: int) -> Levels:
            if count == plan.levels:
                return some
            drawn = engine.simulate(simulate_key, levels=count, replicas=size)
            return _first(drawn, wanted)

        rounds = rounds_until(
            end, longer, levels=plan.levels, round_steps=plan.round_steps
        )
        if not plan.detail:
            return path, rounds, None
        tail_key = jax.random.fold_in(moment_key, 1)
        return path, rounds, follow_tails(tail_key, some, network, plan.epsilon)

    columns = zip(*mapped(block, blocks), strict=True)
    paths, seen, tails = ([x for x in column if x is not None] for column in columns)
    missing: tuple[str, ...] = ()
    if rel_error is None:
        measurements, refusals = path_measurements(paths, plan, count=plan.replicas)
    else:
        measurements, refusals, missing = _sampled(
            path_key, network, plan, engine, size=size, rel_error=rel_error
        )
    if tails:
        found, refused = tail_measurements(tails)
        measurements += found
        refusals += refused
    windows: dict[float, int] = {}
    rates = None
    if not plan.windows:
        return Assessment(measurements, refusals, windows, rates, missing)
    try:
        rounds = join_rounds(seen)
        rates = round_rates(rounds, end=end)
        measurements += rate_measurements(rounds, rates)
        judged = counted_on(rates, engine.following, plan.round_steps)
        shares = window_shares(
            window_key, rounds, judged, plan.windows, epsilon=plan.epsilon
        )
        measurements += good_period_measurements(shares)
        windows = dict(zip(shares.blocks, map(int, shares.rounds), strict=True))
        if plan.detail:
            found, refused = decay_figures(window_key, rounds, judged, plan.epsilon)
            measurements += found
            refusals += refused
            measurements += independence_measurements(
                window_key, rounds, rates, shares.blocks
            )
    except Refused as refusal:
        refusals.append(str(refusal))
    return Assessment(measurements, refusals, windows, rates, missing)


def _followed(
    key: Key[Array, ""], levels: Levels, network: Network, plan: Plan
) -> Paths:
    delay = float(network.delay)
    path = follow(key, levels, delay_steps=delay, confirmations=plan.confirmations)
    return jax.device_get(path)


@partial(jax.jit, static_argnums=1)
def keys_of(key: Key[Array, ""], count: int) -> list[Key[Array, ""]]:
    """``jax.random.split``, taken apart in the same call."""
    return list(jax.random.split(key, count))


@partial(jax.jit, static_argnums=1)
def _first(levels: Levels, count: int) -> Levels:
    return jax.tree.map(lambda x: x[:count], levels)


def path_measurements(
    paths: Sequence[Paths], plan: Plan, *, count: int
) -> tuple[list[Measurement], list[str]]:
    """Chain, persistence and liveness of the first replicas, and what was refused."""
    joined = jax.tree.map(lambda *x: np.concatenate(x)[:count], *paths)
    measured = chain_measurements(joined, levels=plan.levels)
    measured += persistence_measurements(joined, plan.depths, levels=plan.levels)
    try:
        return measured + liveness_measurements(joined), []
    except Refused as refusal:
        return measured, [str(refusal)]


def _sampled(
    key: Key[Array, ""],
    network: Network,
    plan: Plan,
    engine: Engine,
    *,
    size: int,
    rel_error: float,
) -> tuple[list[Measurement], list[str], tuple[str, ...]]:
    """The same with as many replicas as ``rel_error`` takes, and what is missing."""
    most = max(plan.most_replicas, size)

    def draw(key, count):
        simulate_key, moment_key = jax.random.split(key)
        levels = engine.simulate(simulate_key, levels=plan.levels, replicas=count)
        return _followed(moment_key, levels, network, plan)

    def figures(batches, coverage):
        measured, _ = path_measurements(batches, plan, count=size * len(batches))
        return {_name(m): at_coverage(m.estimate, coverage) for m in measured}

    names, hopeless = _demanded(network, plan, most)
    outcome = until(
        key,
        draw,
        figures,
        rel_error=rel_error,
        names=names,
        batch=size,
        budget=Budget(most),
    )
    measured, refusals = path_measurements(outcome.batches, plan, count=outcome.samples)
    # Every figure depends on when sampling stopped, also those that were not asked for.
    wide = [m._replace(estimate=outcome.figures[_name(m)]) for m in measured]
    kept = [
        m._replace(estimate=m.estimate.clipped(0.0, 1.0))
        if m.unit in ("probability", "share")
        else m
        for m in wide
    ]
    return kept, refusals, (*hopeless, *(lack.reason for lack in outcome.missing))


def _demanded(network: Network, plan: Plan, most: int) -> tuple[list[str], list[str]]:
    """Figures that must reach the error, and a sentence on each that cannot."""
    names = [CHAIN_GROWTH, CHAIN_QUALITY, STALE_RATE]
    if not float(network.adversarial) > 0:
        return names, []  # no race, and no event to wait for
    depths = [int(k) for k in plan.depths if k <= plan.confirmations]
    try:
        logs, _ = log_persistence(race(network), depths)
    except Refused:
        logs = np.zeros(len(depths))  # not known to be rare
    hopeless = []
    for depth, log in zip(depths, logs, strict=True):
        name = _name_of(PERSISTENCE_SIMULATED, depth)
        if log >= math.log(_FEWEST / most):
            names.append(name)
        else:
            hopeless.append(
                f"{name}: at most {math.exp(log):.3g}, fewer than {_FEWEST} events in "
                f"{most} samples, and not waited for"
            )
    return names, hopeless


def _name(m: Measurement) -> str:
    return _name_of(m.quantity, m.at)


def _name_of(quantity: str, at: float | int | None) -> str:
    return quantity if at is None else f"{quantity} at {at:g}"
