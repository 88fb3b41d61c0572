"""A withholding policy replayed in continuous time: what it really earns.

Notation as in ``policy.py``. Every event and every action sets one age to 0, so what
the policy does next, if nothing comes before, depends on the branches, on which age is
0 and on the other one: the first cell on the diagonal whose action is not to wait. That
is looked up; a step of the replay is an event or an action, not a cell. Block times are
drawn from the law itself, not from its grid.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Key, UInt8

from ..block_time.law import BlockTimeLaw, on_device, time_of_hazard
from ..estimation.estimate import Estimate, Refused, estimate_ratio
from .policy import ADOPT, OVERRIDE, WAIT, Policy

# Ages this close to a cell's edge, in cells, are on it.
_SLACK = 1e-4
NEVER = 1 << 14


class Turns(NamedTuple):
    """When waiting ends, by aligned, fork, a, h, half, start.

    Attributes:
        place: 2k: age 0 enters its cell k; 2k + 1: the other one enters one cell more.
        code: What is done then.
        match: As the policy's.
    """

    place: Int[Array, "..."]
    code: UInt8[Array, "..."]
    match: Bool[Array, "a h y"]


class _Play(NamedTuple):
    a: Int[Array, ""]
    h: Int[Array, ""]
    split: Bool[Array, ""]
    x: Float[Array, ""]  # ages and times left, in cells
    y: Float[Array, ""]
    honest_left: Float[Array, ""]
    own_left: Float[Array, ""]
    settled: Float[Array, "4"]  # own, others, prizes, time


def replayed_share(
    key: Key[Array, ""],
    policy: Policy,
    law: BlockTimeLaw,
    *,
    steps: int = 4096,
    replicas: int = 2048,
) -> Estimate:
    """Share of the settled blocks that a policy earns when provers have this law.

    Args:
        key: Fixes every draw.
        policy: Whose n_h, n_a and γ are played.
        law: Block-time law of one prover (steps); it need not be the policy's own.
        steps: Events and actions a replica; the first quarter is forgotten.
        replicas: Independent replicas.

    Returns:
        The share; interval over replicas.

    Raises:
        ValueError: For fewer than 8 steps.
        Refused: If some block never comes.
    """
    if steps < 8:
        raise ValueError(f"steps must be ≥ 8, got {steps}")
    if policy.own == 0:
        return Estimate(0.0, 0.0, 0.0, replicas, "no corrupted prover, exact")
    own, others, _, _ = replayed(
        key, policy, law, confirmations=1, steps=steps, replicas=replicas
    )
    found = estimate_ratio(own, own + others, "withholding revenue").clipped(0, 1)
    return found._replace(method=f"policy replayed, {found.method}")


def replayed(
    key: Key[Array, ""],
    policy: Policy,
    law: BlockTimeLaw,
    *,
    confirmations: int,
    steps: int,
    replicas: int,
) -> Float[np.ndarray, "4 replicas"]:
    """Own and others' settled blocks, double-spends, and time (steps), by replica.

    Args:
        key: Fixes every draw.
        policy: Whose n_h, n_a and γ are played.
        law: Block-time law of one prover (steps).
        confirmations: k: replacing h ≥ k public blocks is a double-spend.
        steps: Events and actions a replica; the first quarter is forgotten.
        replicas: Independent replicas.

    Raises:
        Refused: If some block never comes.
    """
    width = policy.width
    scaled = law._replace(spacing=law.spacing / width, offset=law.offset / width)
    scaled = scaled._replace(tail_hazard=law.tail_hazard * width)
    settled, finite = _replay(
        key,
        on_device(scaled),
        turns_of(policy),
        jnp.asarray(
            [policy.honest, policy.own, policy.gamma, confirmations], jnp.float32
        ),
        steps=steps,
        replicas=replicas,
    )
    if not bool(finite):
        raise Refused(
            "withholding: some block never came, since the law leaves mass that never "
            "ends; set abandon_steps or lengthen the horizon"
        )
    return np.asarray(settled, float) * np.array([[1.0], [1.0], [1.0], [width]])


def turns_of(policy: Policy) -> Turns:
    """When each state's waiting ends, and by what.

    Args:
        policy: The policy.
    """
    codes = policy.actions
    ages = codes.shape[-1]
    shape = (2, *codes.shape[:3], 2, ages)
    place = np.full(shape, NEVER, np.int32)
    code = np.zeros(shape, np.uint8)
    start = np.arange(ages)
    for step in range(ages - 1, -1, -1):
        # The age that is not 0 is a cell further by the time of the odd place.
        for odd in (1, 0):
            other = np.minimum(start + step + odd, ages - 1)
            here = np.stack([codes[..., step, other], codes[..., other, step]], axis=-2)
            acts = here != WAIT
            kinds = (1,) if odd else (0, 1)
            for kind in kinds:
                place[1 - kind] = np.where(acts, 2 * step + odd, place[1 - kind])
                code[1 - kind] = np.where(acts, here, code[1 - kind])
    return Turns(jnp.asarray(place), jnp.asarray(code), jnp.asarray(policy.match))


@partial(jax.jit, static_argnames=("steps", "replicas"))
def _replay(key, law, turns: Turns, world, *, steps: int, replicas: int):
    honest, own, gamma, confirmations = world
    ages = turns.place.shape[-1]
    slack = jnp.where(law.lattice, 1e-3 * law.spacing, 0.0)

    def cell(age):
        return jnp.minimum((age + _SLACK).astype(jnp.int32), ages - 1)

    def step(play: _Play, draws):
        hazards, side, counts = draws
        half = (play.x > 0).astype(jnp.int32)
        other = jnp.maximum(play.x, play.y)
        within = other - jnp.floor(other + _SLACK)
        aligned = (within < _SLACK).astype(jnp.int32)
        where = (aligned, play.split.astype(jnp.int32), play.a, play.h, half)
        where = (*where, cell(other))
        place, code = turns.place[where], turns.code[where]
        until = place // 2 + jnp.where(place % 2 == 1, 1 - within, 0.0)
        until = jnp.where(place == NEVER, jnp.inf, until)
        first = jnp.minimum(play.own_left, play.honest_left)
        acts = until < first - slack
        mine = ~acts & (play.own_left <= play.honest_left + slack)
        theirs = ~acts & ~mine
        passed = jnp.maximum(jnp.where(acts, until, first), 0.0)
        x, y = play.x + passed, play.y + passed
        adopts = acts & (code == ADOPT)
        shows = acts & (code > OVERRIDE)
        blocks = jnp.where(shows, code.astype(jnp.int32) - OVERRIDE, 0)
        joins = theirs & play.split & (side < gamma)
        gained = jnp.where(shows, blocks, jnp.where(joins, play.h, 0))
        lost = jnp.where(adopts, play.h, 0)
        prize = (shows | joins) & (play.h >= confirmations)
        a = jnp.where(adopts, 0, play.a - gained + mine)
        h = jnp.where(adopts | shows, 0, jnp.where(joins, 0, play.h) + theirs)
        split = jnp.where(theirs, turns.match[a, h, cell(y)], play.split)
        split = split & ~adopts & ~shows
        fresh_honest = time_of_hazard(law, hazards[0] / honest)
        fresh_own = time_of_hazard(law, hazards[1] / own)
        honest_restarts, own_restarts = theirs | shows, mine | adopts
        after = _Play(
            a,
            h,
            split,
            jnp.where(honest_restarts, 0.0, x),
            jnp.where(own_restarts, 0.0, y),
            jnp.where(honest_restarts, fresh_honest, play.honest_left - passed),
            jnp.where(own_restarts, fresh_own, play.own_left - passed),
            play.settled
            + counts * jnp.stack([gained, lost, prize, passed]).astype(jnp.float32),
        )
        return after, jnp.isfinite(passed)

    def everywhere(plays, draw):
        key, counts = draw
        hazard_key, side_key = jax.random.split(key)
        hazards = jax.random.exponential(hazard_key, (replicas, 2))
        sides = jax.random.uniform(side_key, (replicas,))
        plays, finite = jax.vmap(step, in_axes=(0, (0, 0, None)))(
            plays, (hazards, sides, counts)
        )
        return plays, finite.all()

    first_key, key = jax.random.split(key)
    first = jax.random.exponential(first_key, (2, replicas))
    zero, none = jnp.zeros(replicas, jnp.int32), jnp.zeros(replicas)
    plays = _Play(
        zero,
        zero,
        zero > 0,
        none,
        none,
        time_of_hazard(law, first[0] / honest),
        time_of_hazard(law, first[1] / own),
        jnp.zeros((replicas, 4)),
    )
    counts = (jnp.arange(steps) >= steps // 4).astype(jnp.float32)
    keys = jax.random.split(key, steps)
    plays, finite = lax.scan(everywhere, plays, (keys, counts))
    return plays.settled.T, finite.all()
