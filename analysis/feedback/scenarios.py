"""What happens to a chain, as values: nothing is compiled for a scenario.

Heights are blocks, times are T. Provers and speeds are over the design's. A scenario
says what is so for each block; who comes and goes by the target (on/off miners) is a
rule of its own, with the difficulty over the design's at which they come and go.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ..block_time.law import Real


class Scenario(NamedTuple):
    """What happens, block by block.

    Attributes:
        name: For tables.
        provers: k of each block.
        speed: v of each block; steps and hashes alike.
        task: Which of the laws' tasks.
        begins: Height from which on things are as they were not before.
        ends: Height from which on nothing more happens.
        liars: Share of blocks whose timestamp is ahead.
        ahead: How far, in T.
        warp: 1: all timestamps are held back but the last one of each epoch.
        hoppers: Provers, over the design's, that come and go.
        come: Difficulty below which they come.
        go: Difficulty above which they go.
    """

    name: str
    provers: Float[Any, " blocks"]
    speed: Float[Any, " blocks"]
    task: Int[Any, " blocks"]
    begins: int = 0
    ends: int = 0
    liars: float = 0.0
    ahead: float = 0.0
    warp: float = 0.0
    hoppers: float = 0.0
    come: float = 0.0
    go: float = 0.0


def steady(blocks: int) -> Scenario:
    """Nothing happens."""
    ones = np.ones(blocks, np.float32)
    return Scenario("steady", ones, ones, np.zeros(blocks, np.int32))


def provers_step(blocks: int, factor: Real, *, at: int, back: int) -> Scenario:
    """Provers become ``factor`` times as many, and as many as before at ``back``."""
    base = steady(blocks)
    provers = _between(blocks, at, back, factor)
    name = f"provers × {factor:g}"
    return base._replace(name=name, provers=provers, begins=at, ends=back)


def speed_step(blocks: int, factor: Real, *, at: int, back: int) -> Scenario:
    """Machines become ``factor`` times as fast: S_0 moves too."""
    base = steady(blocks)
    speed = _between(blocks, at, back, factor)
    return base._replace(name=f"speed × {factor:g}", speed=speed, begins=at, ends=back)


def task_switch(blocks: int, *, at: int, back: int, name: str = "task") -> Scenario:
    """The second task of the laws is worked on."""
    base = steady(blocks)
    task = _between(blocks, at, back, 2.0).astype(np.int32) - 1
    return base._replace(name=name, task=task, begins=at, ends=back)


def wave(blocks: int, period: Real, amplitude: Real) -> Scenario:
    """Ln k is a sine of the height."""
    base = steady(blocks)
    phase = 2 * np.pi * np.arange(blocks) / period
    provers = np.exp(amplitude * np.sin(phase)).astype(np.float32)
    return base._replace(name=f"wave of {period:g} blocks", provers=provers)


def lying(blocks: int, share: Real, ahead: Real) -> Scenario:
    """A share of blocks is stamped ahead, as far as the future limit lets it."""
    name = f"{share:.0%} stamp {ahead:g} T ahead"
    return steady(blocks)._replace(name=name, liars=share, ahead=ahead)


def time_warp(blocks: int) -> Scenario:
    """Who makes all blocks holds timestamps back but for each epoch's last."""
    return steady(blocks)._replace(name="time warp", warp=1.0)


def on_off(blocks: int, power: Real, *, come: Real, go: Real) -> Scenario:
    """Miners of ``power`` times the design's come and go by the difficulty.

    Args:
        blocks: Length.
        power: Over the dedicated provers'.
        come: Difficulty, over the dedicated provers', below which they come.
        go: Above which they go.
    """
    name = f"{power:g}× on below {come:g}, off above {go:g}"
    return steady(blocks)._replace(name=name, hoppers=power, come=come, go=go)


Maker = Callable[[int], Scenario]


def standard(*, tasks: int = 2) -> dict[str, Maker]:
    """The scenarios that a table has, by name; each takes its number of blocks.

    Args:
        tasks: Of the laws; a switch needs two.
    """
    found: dict[str, Maker] = {
        "provers-double": lambda n: provers_step(n, 2.0, at=n // 8, back=n),
        "provers-halve": lambda n: provers_step(n, 0.5, at=n // 8, back=n),
        "speed-double": lambda n: speed_step(n, 2.0, at=n // 8, back=n),
        "speed-halve": lambda n: speed_step(n, 0.5, at=n // 8, back=n),
        "saturation": lambda n: speed_step(n, 0.25, at=n // 8, back=n // 2),
        "liars": lambda n: lying(n, 0.25, 6.0),
        "on-off": lambda n: on_off(n, 3.0, come=1.1, go=1.3),
    }
    if tasks > 1:
        found["task-switch"] = lambda n: task_switch(n, at=n // 8, back=n)
    return found


def _between(blocks: int, at: int, back: int, factor: Real) -> np.ndarray:
    if not (0 <= at <= back <= blocks and factor > 0):
        raise ValueError(
            f"a step must be from 0 ≤ at ≤ back ≤ {blocks} and its factor > 0, got "
            f"at {at}, back {back}, factor {factor}"
        )
    found = np.ones(blocks, np.float32)
    found[at:back] = factor
    return found
