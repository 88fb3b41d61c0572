"""The figures of a network under the weight rule, from event-driven replicas.

Notation (docs/science/weight.md; ``event_network/measurements.py``): W_j, τ_j, and the
private chain whose weight must reach W_j − W_0.

Persistence compares weights; growth, forks and good periods count blocks. Chain quality
and liveness are those of an adversary that shows as few private blocks as weigh what
the public chain has gained (``event_network/withheld.py``); confirmations of a
transaction are main blocks of the honest chain, each of which may be replaced by
several lighter ones.
"""

import jax
import numpy as np
from jaxtyping import Array, Key

from ..block_time.law import BlockTimeLaw
from ..estimation.estimate import Refused, estimate_ratio
from ..estimation.measurement import Measurement
from ..estimation.quantities import CHAIN_QUALITY
from ..event_network.as_levels import event_levels, settled_chain
from ..event_network.engine import EventNetwork, Record
from ..event_network.many_races import Chains, race_measurements
from ..event_network.measurements import (
    MainChain,
    chain_measurements,
    private_chain,
)
from ..event_network.withheld import withheld
from ..good_periods.rounds import horizon_rounds, rounds_until
from ..good_periods.windows import (
    good_period_measurements,
    rate_measurements,
    round_rates,
    window_shares,
)
from ..simulation.levels import Network
from ..simulation.properties import liveness_measurements
from .one_law import Assessment, Plan
from .waiting import paths_of, waits

# Private blocks a main block at first, and at most.
_PRIVATE, _MOST_PRIVATE = 2, 64


def assess_weights(
    key: Key[Array, ""],
    network: EventNetwork,
    next_block: BlockTimeLaw,
    plan: Plan,
    *,
    corrupted: tuple[float, ...],
) -> Assessment:
    """Growth, forks, persistence and good periods under the weight rule.

    Args:
        key: Fixes every draw.
        network: The honest provers, with a marked law.
        next_block: Law of the first of their blocks, of whatever weight; it fixes the
            horizon of the good periods.
        plan: Figures and effort.
        corrupted: Speeds of the adversary's provers; none: no persistence.

    Raises:
        Refused: As ``event_levels``.
    """
    chain_key, race_key, round_key, window_key = jax.random.split(key, 4)
    record, chain = settled_chain(chain_key, network, plan.levels, plan.replicas)
    measurements, refusals = chain_measurements(chain), []
    missing: tuple[str, ...] = ()
    if corrupted:
        found, missing = race_measurements(
            race_key,
            lambda key, count: _raced(key, network, plan.levels, count, corrupted),
            plan.depths,
            delay_steps=float(network.delay),
            replicas=plan.replicas,
            rel_error=plan.rel_error,
            most=plan.most_replicas,
        )
        measurements += found
    try:
        withheld_key = jax.random.fold_in(race_key, 1)
        measurements += _withheld(withheld_key, network, record, chain, plan, corrupted)
    except Refused as refusal:
        refusals.append(str(refusal))
    if not plan.windows:
        return Assessment(measurements, refusals, {}, None, missing)
    try:
        sizes = {"levels": plan.levels, "round_steps": plan.round_steps}
        horizon = Network(next_block, 1.0, 0.0, float(network.delay))
        end = horizon_rounds(horizon, **sizes)
        rounds = rounds_until(
            end,
            lambda count: event_levels(
                round_key,
                network,
                corrupted=corrupted,
                levels=count,
                replicas=plan.good_period_replicas,
            ),
            **sizes,
        )
        rates = round_rates(rounds, end=end)
        measurements += rate_measurements(rounds, rates)
        shares = window_shares(
            window_key, rounds, rates, plan.windows, epsilon=plan.epsilon
        )
        measurements += good_period_measurements(shares)
    except Refused as refusal:
        refusals.append(str(refusal))
    return Assessment(measurements, refusals, {}, None, missing)


def _raced(
    key: Key[Array, ""],
    network: EventNetwork,
    levels: int,
    replicas: int,
    corrupted: tuple[float, ...],
) -> Chains:
    """Public and private chains; private ones as long as races are followed."""
    public_key, private_key = jax.random.split(key)
    record, chain = settled_chain(public_key, network, levels, replicas)
    private = private_chain(
        private_key,
        network.law,
        network,
        record,
        speeds=corrupted,
        blocks=_PRIVATE * levels,
    )
    return Chains(
        chain.reached[:, : levels + 1],
        private.interval,
        chain.units[:, : levels + 1],
        private.weight,
    )


def _withheld(
    key: Key[Array, ""],
    network: EventNetwork,
    record: Record,
    chain: MainChain,
    plan: Plan,
    corrupted: tuple[float, ...],
) -> list[Measurement]:
    """Chain quality and liveness under an adversary that withholds by weight."""
    levels = plan.levels
    reached = chain.reached[:, : levels + 1]
    interval = np.diff(reached, axis=1)
    own = np.zeros(interval.shape, bool)
    shown = np.zeros(interval.shape, int)
    weight = np.diff(chain.units[:, : levels + 1], axis=1)
    share = _PRIVATE
    while corrupted:
        private = private_chain(
            key,
            network.law,
            network,
            record,
            speeds=corrupted,
            blocks=share * levels,
        )
        done = withheld(interval, weight, private.interval, private.weight)
        if done is not None:
            own, shown = done.taken, done.shown
            break
        share *= 2
        if share > _MOST_PRIVATE:
            raise Refused(
                "chain quality: the adversary finds more than "
                f"{_MOST_PRIVATE} blocks for each of the public chain's; it outgrows "
                "that chain (a smaller adversary)"
            )
    later = slice(levels // 2, None)
    honest = (~own[:, later]).sum(axis=1).astype(float)
    every = honest + shown[:, later].sum(axis=1)
    quality = estimate_ratio(honest, every, CHAIN_QUALITY).clipped(0, 1)
    wait = waits(
        jax.random.fold_in(key, 1),
        interval,
        reached[:, 1:],
        own,
        confirmations=plan.confirmations,
        delay_steps=float(network.delay),
    )
    paths = paths_of(interval, own, own.sum(axis=1), wait)
    return [
        Measurement(CHAIN_QUALITY, None, "", quality, "share"),
        *liveness_measurements(paths),
    ]
