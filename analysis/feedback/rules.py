"""The rules of ``models.chain.retarget`` in logarithms, as a loop simulates them.

Notation
    x       what a block took by the rule's clock, in T
    y       ln of the target over the design's, that it met
    n       N, or N (1 − s) under the schedule

Every chain begins with a full window of intervals T at the design's target. What the
integers round away, and clamps that no interval of a loop reaches, is all that differs.
"""

from typing import Any, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from ...models.chain.retarget import NAMES, ONE
from ...models.chain.retarget.shares import MOST

Name = Literal[
    "epoch", "epoch_mended", "wtema", "asert", "lwma", "sma", "cw144", "steps"
]
WINDOWS = ("sma", "lwma", "cw144")
"""Rules that look at each block of a window."""
SATURATED = 2.0**-10
"""How far below the highest ln θ a block counts as saturated."""
_MOST_SHARE = MOST / ONE
_LWMA_MOST, _EPOCH_CLAMP, _STEP_CLAMP = 6.0, 4.0, 4.0
# A window is one of few lengths, each of which is a program of its own.
_LENGTHS = (32, 64, 128, 192, 256, 384, 1024, 4104)


class LoopRule(NamedTuple):
    """A rule with its numbers, as ``models.chain.retarget.Rule`` in units of T.

    Attributes:
        name: Which.
        blocks: N.
        schedule: Whether N becomes N (1 − s).
        anti_windup: Whether a block of the highest target counts for at most T.
        share: s of the schedule.
        share_blocks: Blocks whose steps tell s; 0: ``share`` holds.
    """

    name: Name
    blocks: float
    schedule: bool = False
    anti_windup: bool = False
    share: float = 0.0
    share_blocks: int = 0

    @property
    def label(self) -> str:
        """The name, with the switches that are on."""
        marks = (" scheduled", self.schedule), (" anti-windup", self.anti_windup)
        return self.name + "".join(word for word, on in marks if on)


class Numbers(NamedTuple):
    """What of a rule is traced."""

    blocks: Float[Any, ""]
    share: Float[Any, ""]
    log_most: Float[Any, ""]


class Shape(NamedTuple):
    """What of a rule is compiled in."""

    name: Name
    schedule: bool
    anti_windup: bool
    window: int
    share_blocks: int


class Memory(NamedTuple):
    """What a rule remembers of one chain.

    Attributes:
        log_target: y of the next block.
        counted: x of the last blocks, the oldest first; empty for rules without.
        met: y that they met.
        place: Of the next block in its epoch.
        took: What the epoch took so far, in T.
        steps: Own steps of the last blocks, for s.
    """

    log_target: Float[Array, ""]
    counted: Float[Array, " window"]
    met: Float[Array, " window"]
    place: Float[Array, ""]
    took: Float[Array, ""]
    steps: Float[Array, " few"]


def shape_of(rule: LoopRule) -> Shape:
    """The program that runs a rule.

    Raises:
        ValueError: For an unknown rule, or numbers out of range.
    """
    if rule.name not in NAMES:
        raise ValueError(f"rule must be one of {', '.join(NAMES)}, got {rule.name}")
    most = _LENGTHS[-1] - 8
    if not 2 <= rule.blocks <= most:
        raise ValueError(f"blocks must be from 2 to {most}, got {rule.blocks}")
    if not 0 <= rule.share < 1:
        raise ValueError(f"share must be in [0, 1), got {rule.share}")
    if rule.share_blocks and rule.share_blocks < 2:
        raise ValueError(f"share_blocks must be 0 or ≥ 2, got {rule.share_blocks}")
    window = 0
    if rule.name in WINDOWS:
        window = next(each for each in _LENGTHS if each >= rule.blocks + 3)
    return Shape(rule.name, rule.schedule, rule.anti_windup, window, rule.share_blocks)


def numbers_of(rule: LoopRule, log_most: Float[Any, ""]) -> Numbers:
    """A rule's numbers as traced values."""
    return Numbers(
        jnp.float32(rule.blocks),
        jnp.float32(min(rule.share, _MOST_SHARE)),
        jnp.asarray(log_most, jnp.float32),
    )


def begin(shape: Shape) -> Memory:
    """A chain that has been in time at the design's target."""
    zero = jnp.float32(0.0)
    first = 1.0 if shape.name == "epoch" else 0.0
    return Memory(
        zero,
        jnp.ones(shape.window, jnp.float32),
        jnp.zeros(shape.window, jnp.float32),
        jnp.float32(first),
        zero,
        jnp.zeros(shape.share_blocks, jnp.float32),
    )


def update(
    shape: Shape,
    numbers: Numbers,
    memory: Memory,
    seen: Float[Array, ""],
    steps: Float[Array, ""],
) -> Memory:
    """What a rule remembers after one more block.

    Args:
        shape: Which rule.
        numbers: Its numbers.
        memory: Before the block.
        seen: Its timestamp less the one before, in T.
        steps: Own steps that it proves, over those of a block in time.
    """
    counted = steps if shape.name == "steps" else seen
    if shape.anti_windup:
        saturated = memory.log_target >= numbers.log_most - SATURATED
        counted = jnp.where(saturated, jnp.minimum(counted, 1.0), counted)
    if shape.share_blocks:
        memory = memory._replace(steps=jnp.append(memory.steps[1:], steps))
    n = _blocks(shape, numbers, memory)
    if shape.name in WINDOWS:
        memory = memory._replace(
            counted=jnp.append(memory.counted[1:], counted),
            met=jnp.append(memory.met[1:], memory.log_target),
        )
        after = _WINDOW[shape.name](jnp.floor(n), memory)
    elif shape.name in ("epoch", "epoch_mended"):
        return _epoch(shape, numbers, memory, counted, jnp.floor(n))
    elif shape.name == "wtema":
        factor = 1.0 + (counted - 1.0) / n
        factor = jnp.clip(factor, 1.0 / _STEP_CLAMP, _STEP_CLAMP)
        after = memory.log_target + jnp.log(factor)
    else:
        # An absolute schedule and a sum of lateness are the same until a bound: where
        # it saturates, the schedule's own lateness goes on in ``took``.
        took = memory.took + (counted - 1.0) / n
        if shape.schedule and shape.share_blocks:
            # Where s is told anew, lateness counts from each block's own target.
            took = jnp.minimum(took, numbers.log_most)
        memory = memory._replace(took=took)
        after = took
    return memory._replace(log_target=jnp.minimum(after, numbers.log_most))


def _blocks(shape: Shape, numbers: Numbers, memory: Memory) -> Float[Array, ""]:
    if not shape.schedule:
        return numbers.blocks
    share = numbers.share
    if shape.share_blocks:
        least, middle, m = memory.steps.min(), memory.steps.mean(), shape.share_blocks
        found = (m * least - middle) / ((m - 1) * jnp.maximum(middle, 1e-9))
        # Until there are M blocks the genesis' constant holds.
        known = jnp.clip(found, 0.0, _MOST_SHARE)
        share = jnp.where(least > 0, known, share)
    return jnp.maximum(numbers.blocks * (1.0 - share), 1.0)


def _ages(memory: Memory) -> Int[np.ndarray, " window"]:
    """0 for the last block."""
    return np.arange(memory.counted.shape[0])[::-1]


def _simple(n: Float[Array, ""], memory: Memory) -> Float[Array, ""]:
    inside = _ages(memory) < n
    took = jnp.sum(memory.counted * inside) / n
    targets = jnp.sum(jnp.exp(memory.met) * inside) / n
    return jnp.log(targets) + jnp.log(jnp.maximum(took, 1 / 20))


def _weighted(n: Float[Array, ""], memory: Memory) -> Float[Array, ""]:
    weight = jnp.maximum(n - _ages(memory), 0.0)
    # A clock that goes back counts as one tick on, and what follows from there.
    clock = jnp.cumsum(memory.counted * (weight > 0))
    highest = jnp.maximum(lax.cummax(clock), 0.0)
    before = jnp.append(jnp.zeros(1), highest[:-1])
    took = jnp.clip(highest - before, 0.0, _LWMA_MOST)
    due = n * (n + 1) / 2
    took = jnp.maximum(jnp.sum(weight * took) / due, 1 / 20)
    targets = jnp.sum(jnp.exp(memory.met) * (weight > 0)) / n
    return jnp.log(targets * took)


def _median_of_three(n: Float[Array, ""], memory: Memory) -> Float[Array, ""]:
    ages = _ages(memory)
    # Clock at each block less that at the window's first one, of age n + 2.
    clock = jnp.cumsum(memory.counted * (ages < n + 2))
    at = memory.counted.shape[0] - 1 - jnp.floor(n + 2).astype(jnp.int32)
    first = _middle(clock[at], clock[at + 1], clock[at + 2])
    last = _middle(clock[-3], clock[-2], clock[-1])
    took = clock[-3 + last] - clock[at + first]
    oldest, newest = n + 2 - first, 2 - last
    inside = (ages < oldest) & (ages >= newest)
    work = jnp.sum(jnp.exp(-memory.met) * inside)
    took = jnp.clip(took, n / 2, 2 * n)
    return jnp.log(took) - jnp.log(work)


def _middle(*clocks: Float[Array, ""]) -> Int[Array, ""]:
    """Place of the middle one of three, by the three comparisons of cw-144."""
    three = jnp.stack(clocks)
    order = jnp.arange(3)
    for i, j in ((0, 2), (0, 1), (1, 2)):
        other = order.at[i].set(order[j]).at[j].set(order[i])
        order = jnp.where(three[order[i]] > three[order[j]], other, order)
    return order[1]


def _epoch(
    shape: Shape,
    numbers: Numbers,
    memory: Memory,
    counted: Float[Array, ""],
    n: Float[Array, ""],
) -> Memory:
    n = jnp.maximum(n, 2.0)
    mended = shape.name == "epoch_mended"
    # Bitcoin's first interval of an epoch is in none.
    missed = jnp.logical_and(not mended, memory.place == 0)
    took = memory.took + jnp.where(missed, 0.0, counted)
    place = memory.place + 1
    ends = place >= n
    factor = jnp.clip(took / n, 1 / _EPOCH_CLAMP, _EPOCH_CLAMP)
    after = jnp.minimum(memory.log_target + jnp.log(factor), numbers.log_most)
    return memory._replace(
        log_target=jnp.where(ends, after, memory.log_target),
        place=jnp.where(ends, 0.0, place),
        took=jnp.where(ends, 0.0, took),
    )


_WINDOW = {"sma": _simple, "lwma": _weighted, "cw144": _median_of_three}
