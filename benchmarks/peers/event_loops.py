"""The network of ``analysis.simulation`` as others would write it.

Notation (``simulation.py``): n provers, Δ, block time X = D + Exp(λ)
    heapq     one event queue, a message is one event for all
    SimPy     a process a prover, interrupted by a message
    NumPy     n draws a level, many replicas side by side

All three simulate the honest provers only; they do less than ours, which also draws the
adversary's blocks. Work is honest blocks found, forks included.
"""

import heapq
import importlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np


def by_heapq(
    provers: int, delay: float, rate: float, dead_time: float, levels: int
) -> Callable[[], tuple[float, dict[str, float]]]:
    """An event queue in plain Python."""
    seeds = iter(range(2**30))

    def once() -> tuple[float, dict[str, float]]:
        draw = _draws(next(seeds), rate, dead_time)
        height, attempt = [0] * provers, [0] * provers
        queue: list[tuple[float, int, int, int]] = []
        blocks = 0
        for prover in range(provers):
            heapq.heappush(queue, (draw(), 0, prover, 0))
        while True:
            now, kind, who, value = heapq.heappop(queue)
            if kind == 0:
                if value != attempt[who]:
                    continue
                height[who] += 1
                blocks += 1
                heapq.heappush(queue, (now + delay, 1, who, height[who]))
                attempt[who] += 1
                heapq.heappush(queue, (now + draw(), 0, who, attempt[who]))
                continue
            if value > levels:
                return float(blocks), {"blocks": blocks / levels}
            for other in range(provers):
                if height[other] < value:
                    height[other] = value
                    attempt[other] += 1
                    heapq.heappush(queue, (now + draw(), 0, other, attempt[other]))

    return once


def by_simpy(
    provers: int, delay: float, rate: float, dead_time: float, levels: int
) -> Callable[[], tuple[float, dict[str, float]]]:
    """SimPy's processes and interrupts."""
    simpy: Any = importlib.import_module("simpy")
    seeds = iter(range(2**30))

    def once() -> tuple[float, dict[str, float]]:
        draw = _draws(next(seeds), rate, dead_time)
        world = simpy.Environment()
        height = [0] * provers
        counted = [0]
        ended = world.event()

        def tell(level: int):
            yield world.timeout(delay)
            if level > levels and not ended.triggered:
                ended.succeed()
            for other in range(provers):
                if height[other] < level:
                    height[other] = level
                    miners[other].interrupt()

        def mine(prover: int):
            while True:
                try:
                    yield world.timeout(draw())
                except simpy.Interrupt:
                    continue
                height[prover] += 1
                counted[0] += 1
                world.process(tell(height[prover]))

        miners = [world.process(mine(prover)) for prover in range(provers)]
        world.run(until=ended)
        return float(counted[0]), {"blocks": counted[0] / levels}

    return once


def by_numpy(
    provers: int,
    delay: float,
    rate: float,
    dead_time: float,
    levels: int,
    replicas: int,
) -> Callable[[], tuple[float, dict[str, float]]]:
    """n draws a level, replicas as rows: s_i = min(f_i, t1 + Δ)."""
    generator = np.random.default_rng(0)

    def once() -> tuple[float, dict[str, float]]:
        start = np.zeros((replicas, provers))
        blocks = 0
        for _ in range(levels):
            draws = generator.standard_exponential((replicas, provers))
            finish = start + (dead_time + draws / rate)
            known = finish.min(axis=1, keepdims=True) + delay
            blocks += int((finish <= known).sum())
            start = np.minimum(finish, known) - known
        return float(blocks), {"blocks": blocks / (levels * replicas)}

    return once


def _draws(seed: int, rate: float, dead_time: float) -> Callable[[], float]:
    generator = random.Random(seed)
    return lambda: dead_time + generator.expovariate(rate)
