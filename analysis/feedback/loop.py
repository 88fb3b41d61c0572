"""The loop: a rule, a law and a scenario, block by block, many chains at once.

A block's interval X is drawn from the law at the target that the block must meet; the
rule sees its timestamp, or its steps, and moves the target. A scan goes along the
blocks, and chains lie side by side.

A winner's own steps are taken as v X over those of a block in time: what it hashed
before its training began counts as steps at the same speed.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .laws import Laws
from .rules import (
    SATURATED,
    LoopRule,
    Memory,
    Numbers,
    Shape,
    begin,
    numbers_of,
    shape_of,
    update,
)
from .scenarios import Scenario

# Chains that are drawn at once stay below so many numbers.
_AT_ONCE = 1 << 23


class Paths(NamedTuple):
    """Simulated chains.

    Attributes:
        interval: X of each block, in T.
        log_target: y that it met.
        provers: k that looked for it, hoppers included.
        log_most: y of p_2 = 1.
    """

    interval: Float[np.ndarray, "replicas blocks"]
    log_target: Float[np.ndarray, "replicas blocks"]
    provers: Float[np.ndarray, "replicas blocks"]
    log_most: float

    @property
    def saturated(self) -> np.ndarray:
        """Whether a block met the highest target."""
        return self.log_target >= self.log_most - SATURATED


class _Block(NamedTuple):
    """What is so for one block."""

    draw: Float[Array, ""]
    lot: Float[Array, ""]
    provers: Float[Array, ""]
    speed: Float[Array, ""]
    task: Array


class _Carry(NamedTuple):
    """One chain between two blocks: its rule, its clock, who is there."""

    memory: Memory
    elapsed: Float[Array, ""]
    behind: Float[Array, ""]
    hopping: Array


def run_loop(
    key: Key[Array, ""],
    laws: Laws,
    rule: LoopRule,
    scenario: Scenario,
    *,
    replicas: int,
) -> Paths:
    """Chains of a scenario under a rule.

    Args:
        key: Fixes every draw; equal keys give rules the same draws.
        laws: Of the interval.
        rule: The rule.
        scenario: Its length is that of the chains.
        replicas: Number of chains.

    Raises:
        ValueError: If a number is out of range.
    """
    if replicas < 1:
        raise ValueError(f"replicas must be ≥ 1, got {replicas}")
    shape, numbers = shape_of(rule), numbers_of(rule, laws.log_most)
    blocks = len(scenario.provers)
    group = max(1, min(replicas, _AT_ONCE // blocks))
    scalars = tuple(jnp.float32(each) for each in scenario[6:])
    series = tuple(map(jnp.asarray, scenario[1:4]))
    parts = []
    for first in range(0, replicas, group):
        some = jax.random.fold_in(key, first)
        found = _run(some, laws, numbers, series, scalars, shape, group)
        parts.append([np.asarray(each) for each in found])
    joined = [np.concatenate(each)[:replicas] for each in zip(*parts, strict=True)]
    interval, target, provers = joined
    return Paths(interval, target, provers, float(laws.log_most))


@partial(jax.jit, static_argnames=("shape", "replicas"))
def _run(key, laws, numbers: Numbers, series, scalars, shape: Shape, replicas: int):
    blocks = len(series[0])
    draws, lots = jax.random.split(key)
    draw = jax.random.exponential(draws, (blocks, replicas))
    lot = jnp.broadcast_to(jnp.float32(0.0), (blocks, replicas))
    lot = jax.lax.cond(
        scalars[0] > 0,
        lambda: jax.random.uniform(lots, (blocks, replicas)),
        lambda: lot,
    )
    start = _Carry(begin(shape), jnp.float32(0), jnp.float32(0), jnp.bool_(False))
    carry = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (replicas, *leaf.shape)), start
    )
    one = partial(_step, laws, numbers, scalars, shape)
    along = _Block(0, 0, None, None, None)  # pyright: ignore[reportArgumentType]
    many = jax.vmap(one, in_axes=(0, along))
    _, found = jax.lax.scan(many, carry, _Block(draw, lot, *series))
    return tuple(jnp.swapaxes(each, 0, 1) for each in found)


def _step(laws, numbers: Numbers, scalars, shape: Shape, carry: _Carry, block: _Block):
    liars, ahead, warp, hoppers, come, go = scalars
    memory = carry.memory
    target = memory.log_target
    difficulty = jnp.exp(-target)
    hopping = jnp.where(carry.hopping, difficulty <= go, difficulty < come)
    provers = block.provers + jnp.where(hopping, hoppers, 0.0)
    took = laws.interval(target, block.draw, provers, block.task) / block.speed
    elapsed = carry.elapsed + took
    last = memory.place >= numbers.blocks - 1
    held = jnp.where(last, 0.0, elapsed)
    lie = jnp.where(block.lot < liars, -ahead, 0.0)
    behind = jnp.where(warp > 0, held, lie)
    seen = took + carry.behind - behind
    memory = update(shape, numbers, memory, seen, took * block.speed)
    after = _Carry(memory, elapsed, behind, hopping)
    return after, (took, target, provers)
