"""The figures of a network under the weight rule, from event-driven replicas.

Notation (docs/science/weight.md; ``event_network/measurements.py``): W_j, τ_j, and the
private chain whose weight must reach W_j − W_0.

Persistence compares weights; growth, forks and good periods count blocks. Chain quality
and liveness are those of an adversary that shows a block when the public chain reaches
its *height*: what it would do by weight is not defined here, and they are refused.
"""

import jax
from jaxtyping import Array, Key

from ..block_time.law import BlockTimeLaw
from ..estimation.estimate import Refused
from ..event_network.as_levels import event_levels, settled_chain
from ..event_network.engine import EventNetwork
from ..event_network.measurements import chain_measurements, violation_measurements
from ..good_periods.rounds import horizon_rounds, rounds_until
from ..good_periods.windows import (
    good_period_measurements,
    rate_measurements,
    round_rates,
    window_shares,
)
from ..simulation.levels import Network
from .one_law import Assessment, Plan

UNDEFINED = (
    "chain quality and liveness: the adversary of these figures shows a block when the "
    "public chain reaches its height, and what it does by weight is not defined; "
    "protocol.chain_rule = longest has both"
)


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
    measurements, refusals = chain_measurements(chain), [UNDEFINED]
    if corrupted:
        measurements += violation_measurements(
            race_key, record, chain, network, plan.depths, speeds=corrupted
        )
    if not plan.windows:
        return Assessment(measurements, refusals, {}, None)
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
    return Assessment(measurements, refusals, {}, None)
