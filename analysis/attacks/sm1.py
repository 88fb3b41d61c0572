"""SM1 selfish mining when provers have any block-time law, by event-exact simulation.

Notation (time unit: steps)

| symbol | name here | meaning |
|---|---|---|
| n, β | `provers`, `beta` | equal provers; share of them in the pool |
| γ | `gamma` | honest share that extends the pool's block in a tie |
| lead | `lead` | blocks of the pool that it has not published |
| R | | the pool's share of the settled blocks; honest play gives β |

SM1 keeps what it finds. At an honest block it gives in without a lead, publishes its
one block and so makes a tie with a lead of 1, publishes both with a lead of 2 (they
win), and publishes one with more (it is safe already). It publishes when it wins a tie.

Who restarts is what sets other laws apart from the exponential: a prover does when
*its own* tip changes.

| event | pool | honest provers |
|---|---|---|
| the pool finds, no tie | restarts | go on: the block is kept |
| the pool finds in a tie | restarts | restart |
| honest block, no lead or tie | restarts (gives in) | restart |
| honest block, lead ≥ 1 | goes on, its tip is its own | restart |

Source
    [ES14]  Eyal, Sirer, Majority is not Enough, FC'14.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key

from ..block_time.law import BlockTimeLaw, on_device, time_of_hazard
from ..bounds.arguments import Real
from ..estimation.estimate import Estimate, Refused, estimate_ratio
from ..simulation.levels import Network, batch_of, network


def sm1_revenue(
    key: Key[Array, ""],
    law: BlockTimeLaw,
    *,
    provers: int,
    beta: Real,
    gamma: Real,
    events: int = 4096,
    replicas: int = 512,
) -> Estimate:
    """SM1's share of the chain when provers have any block-time law; no delay.

    Two clocks, the pool's next block and the next honest one, run from event to event.
    A dead time that the pool has served on a block of its own it does not serve again
    when honest blocks come, while honest provers serve theirs at each of them. Of
    blocks at the same moment (lattice laws) the pool's is first.

    Args:
        key: Fixes every draw.
        law: Block-time law of one prover (steps).
        provers: n ≥ 2.
        beta: β in [0, ½); βn must be whole.
        gamma: Share of honest provers that extend the pool's block in a tie, [0, 1].
        events: Blocks a replica; the first quarter is forgotten, so that the lead is
            in its stationary law when counting starts and ends.
        replicas: Independent replicas.

    Returns:
        The pool's share of the settled blocks; interval over replicas.

    Raises:
        ValueError: An argument outside its range.
        Refused: If some block time is infinite.

    Reference: [ES14]; `bounds.selfish.selfish_revenue` for exponential laws.
    """
    if not 0 <= beta < 0.5:
        raise ValueError(f"beta must be in [0, 0.5), got {beta}")
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma must be in [0, 1], got {gamma}")
    if events < 8:
        raise ValueError(f"events must be ≥ 8, got {events}")
    net = network(law, provers=provers, beta=float(beta), delay_steps=0.0)
    arguments = Network(
        on_device(law), *(jnp.float32(x) for x in (net.honest, net.adversarial, 0.0))
    )
    settled, finite = _sm1(
        key, arguments, jnp.float32(gamma), events=events, replicas=replicas
    )
    if not bool(finite.all()):
        raise Refused(
            "selfish mining: some block never came, since the law leaves mass that "
            "never ends; set abandon_steps or lengthen the horizon"
        )
    pool, public = np.asarray(settled, float).T
    return estimate_ratio(pool, pool + public, "selfish revenue").clipped(0, 1)


class _Race(NamedTuple):
    """Where a pool and the public stand, and what has been settled."""

    pool_left: Float[Array, ""]  # time to the pool's next block
    public_left: Float[Array, ""]
    lead: Int[Array, ""]  # unpublished blocks of the pool
    tie: Bool[Array, ""]  # two public branches of one block each
    settled: Int[Array, "2"]  # pool's, honest


@partial(jax.jit, static_argnames=("events", "replicas"))
def _sm1(key, net: Network, gamma, *, events: int, replicas: int):
    slack = jnp.where(net.law.lattice, 1e-3 * net.law.spacing, 0.0)

    def clocks(hazards):
        # A pool of no provers never finds a block.
        pool = jnp.where(net.adversarial > 0, hazards[0] / net.adversarial, 1.0)
        times = time_of_hazard(net.law, jnp.stack([pool, hazards[1] / net.honest]))
        return jnp.where(net.adversarial > 0, times[0], jnp.inf), times[1]

    def event(race: _Race, draws):
        hazards, side, counts = draws
        mine = race.pool_left <= race.public_left + slack
        passed = jnp.minimum(race.pool_left, race.public_left)
        ahead, tie = race.lead, race.tie
        # Honest block: 0 give in, 1 match, 2 publish both, more: one is sure.
        sure = jnp.where(ahead == 2, 2, jnp.where(ahead > 2, 1, 0))
        for_pool = jnp.where(tie, (side < gamma).astype(int), sure)
        for_public = jnp.where(tie, 2 - for_pool, (ahead == 0).astype(int))
        won = jnp.where(mine, jnp.where(tie, 2, 0), for_pool)
        lost = jnp.where(mine, 0, for_public)
        later = jnp.where(
            mine,
            jnp.where(tie, 0, ahead + 1),
            jnp.where(ahead > 2, ahead - 1, 0),
        )
        pool_restarts = mine | (ahead == 0)
        public_restarts = ~mine | tie
        pool_draw, public_draw = clocks(hazards)
        after = _Race(
            jnp.where(pool_restarts, pool_draw, race.pool_left - passed),
            jnp.where(public_restarts, public_draw, race.public_left - passed),
            later,
            ~mine & (ahead == 1),
            race.settled + counts * jnp.stack([won, lost]),
        )
        return after, jnp.isfinite(passed)

    def one(key):
        hazard_key, side_key = jax.random.split(key)
        hazards = jax.random.exponential(hazard_key, (events + 1, 2))
        sides = jax.random.uniform(side_key, (events,))
        zero = jnp.zeros((), jnp.int32)
        race = _Race(
            *clocks(hazards[-1]), zero, jnp.asarray(False), jnp.zeros(2, jnp.int32)
        )
        counts = (jnp.arange(events) >= events // 4).astype(jnp.int32)
        race, finite = lax.scan(event, race, (hazards[:-1], sides, counts))
        return race.settled, finite.all()

    keys = jax.random.split(key, replicas)
    return lax.map(one, keys, batch_size=batch_of(replicas, 256))
