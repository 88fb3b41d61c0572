"""All security figures of one network, from one set of simulated replicas."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Key

from .estimate import Refused
from .good_period import (
    RoundRates,
    good_period_measurements,
    join_rounds,
    rate_measurements,
    round_rates,
    rounds_of,
    window_shares,
)
from .independence import independence_measurements
from .measurement import Measurement
from .period_figures import decay_figures, follow_tails, tail_measurements
from .security import (
    chain_measurements,
    follow,
    liveness_measurements,
    persistence_measurements,
)
from .simulation import Network, simulate

BLOCK = 2000


class Plan(NamedTuple):
    """What to estimate and how hard.

    Attributes:
        levels: Blocks a replica.
        replicas: Independent replicas.
        good_period_replicas: Replicas whose rounds are looked at one by one.
        depths: Persistence depths k.
        confirmations: k of the liveness figure.
        windows: Good-period windows as expected successful rounds kp.
        epsilon: ε of Def. 3.
        round_steps: Steps a round.
        detail: Also tails of growth and quality, isolated blocks, the dependence of
            rounds and the decay of bad periods.
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


class Assessment(NamedTuple):
    """The figures, and those that were refused with the reason.

    Attributes:
        measurements: Every figure that could be estimated.
        refusals: Why others could not.
        window_rounds: k of each good-period window kp, for closed forms beside it.
        rates: E[X_r], E[Y_r], E[Z_r] and their rounds, or None where refused.
    """

    measurements: list[Measurement]
    refusals: list[str]
    window_rounds: dict[float, int]
    rates: RoundRates | None


def assess(key: Key[Array, ""], network: Network, plan: Plan) -> Assessment:
    """Simulate a network once and estimate everything of it.

    Args:
        key: Fixes every draw; the same key gives common random numbers across laws.
        network: Law, provers, adversary, delay.
        plan: Figures and effort.

    Raises:
        Refused: If the block-time law may never end, so that there is no chain.
    """
    # Blocks of equal size: memory does not grow with replicas, and the bootstrap's
    # smaller runs use the same compiled program.
    size = min(plan.replicas, BLOCK)
    window_key, *keys = jax.random.split(key, 1 + 2 * -(-plan.replicas // size))
    delay = float(network.delay)
    paths, seen, tails = [], [], []
    for simulate_key, moment_key in zip(keys[::2], keys[1::2], strict=True):
        levels = simulate(simulate_key, network, levels=plan.levels, replicas=size)
        path = follow(
            moment_key, levels, delay_steps=delay, confirmations=plan.confirmations
        )
        paths.append(jax.tree.map(np.asarray, path))
        wanted = min(plan.good_period_replicas - len(seen) * size, size)
        if wanted > 0:
            some = jax.tree.map(lambda x, n=wanted: x[:n], levels)
            seen.append(rounds_of(some, round_steps=plan.round_steps))
            if plan.detail:
                tail_key = jax.random.fold_in(moment_key, 1)
                tails.append(follow_tails(tail_key, some, network, plan.epsilon))
    joined = jax.tree.map(lambda *x: np.concatenate(x)[: plan.replicas], *paths)
    refusals: list[str] = []
    measurements = chain_measurements(joined, levels=plan.levels)
    measurements += persistence_measurements(joined, plan.depths, levels=plan.levels)
    try:
        measurements += liveness_measurements(joined)
    except Refused as refusal:
        refusals.append(str(refusal))
    if tails:
        found, refused = tail_measurements(tails)
        measurements += found
        refusals += refused
    windows: dict[float, int] = {}
    rates = None
    try:
        rounds = join_rounds(seen)
        rates = round_rates(rounds, private=float(network.adversarial) > 0)
        measurements += rate_measurements(rounds, rates)
        shares = window_shares(
            window_key, rounds, rates, plan.windows, epsilon=plan.epsilon
        )
        measurements += good_period_measurements(shares)
        windows = dict(zip(shares.blocks, map(int, shares.rounds), strict=True))
        if plan.detail:
            found, refused = decay_figures(window_key, rounds, rates, plan.epsilon)
            measurements += found
            refusals += refused
            measurements += independence_measurements(
                window_key, rounds, rates, shares.blocks
            )
    except Refused as refusal:
        refusals.append(str(refusal))
    return Assessment(measurements, refusals, windows, rates)
