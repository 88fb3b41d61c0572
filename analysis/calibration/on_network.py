"""What only the simulated network tells of a setting: forks, quality, liveness."""

import math

import jax
from jaxtyping import Array, Key

from ..attacks.situation import Situation
from ..block_time.law import BlockTimeLaw
from ..estimation.estimate import Estimate, Refused
from ..estimation.quantities import BLOCK_INTERVAL_MEAN, CHAIN_QUALITY, STALE_RATE
from ..simulation.levels import network, simulate
from ..simulation.properties import chain_measurements, follow, liveness_measurements

MOST_LEVELS = 4096


def simulated(
    key: Key[Array, ""],
    at: Situation,
    law: BlockTimeLaw,
    *,
    confirmations: int,
    level: float,
    replicas: int,
) -> dict[str, Estimate]:
    """What only the simulated network tells, with the simulation's error alone.

    Args:
        key: Fixes every draw.
        at: The situation: provers and delay.
        law: Block-time law of one prover.
        confirmations: k of the liveness figure.
        level: Its quantile.
        replicas: Independent replicas.

    Returns:
        interval and liveness (steps), quality and stale (shares). Liveness is NaN
        where k is too deep for 4096 levels.

    Raises:
        Refused: As ``simulation.levels.simulate``.
    """
    deep = 4 * confirmations > MOST_LEVELS
    # Few lengths, each of which is a program of its own.
    levels = 128
    while 4 * confirmations > levels and not deep:
        levels = min(4 * levels, MOST_LEVELS)
    draw_key, moment_key = jax.random.split(key)
    net = network(law, provers=at.provers, beta=at.beta, delay_steps=at.delay_steps)
    drawn = simulate(draw_key, net, levels=levels, replicas=replicas)
    paths = follow(
        moment_key,
        drawn,
        delay_steps=float(at.delay_steps),
        confirmations=levels // 4 if deep else confirmations,
    )
    chain = {m.quantity: m.estimate for m in chain_measurements(paths, levels=levels)}
    liveness = Estimate(math.nan, math.nan, math.nan, 0, "refused: too deep")
    if not deep:
        try:
            liveness = liveness_measurements(paths, (level,))[0].estimate
        except Refused as refusal:
            liveness = liveness._replace(method=f"refused: {refusal}")
    return {
        "interval": chain[BLOCK_INTERVAL_MEAN],
        "stale": chain[STALE_RATE],
        "quality": chain[CHAIN_QUALITY],
        "liveness": liveness,
    }
