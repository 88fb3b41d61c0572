"""A slow, plain event simulator of the network, written without the engine.

Every prover is a renewal process on an event queue. It shares nothing with
``dpodl.analysis.simulation.levels`` but the definition of the network.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple


class Chain(NamedTuple):
    """First time and number of blocks of each height."""

    first: list[float]
    blocks: list[int]


def simulate_events(
    draw: Callable[[], float], provers: int, delay: float, heights: int
) -> Chain:
    """Run honest provers until every height up to ``heights`` is settled.

    Args:
        draw: A fresh block time of one prover.
        provers: Number of provers, all on height 0 at time 0.
        delay: Every message takes this long to every other prover.
        heights: Heights to settle.
    """
    height = [0] * provers
    attempt = [0] * provers
    first = [float("inf")] * (heights + 2)
    blocks = [0] * (heights + 2)
    queue: list[tuple[float, int, str, int, int]] = []

    def start(prover: int, now: float) -> None:
        attempt[prover] += 1
        # Kind 'b' sorts before 'm': at equal times a block is found before a message
        # is heard, the engine's convention for ties.
        heapq.heappush(queue, (now + draw(), 0, "b", prover, attempt[prover]))

    for prover in range(provers):
        start(prover, 0.0)
    while min(height) <= heights:
        now, _, kind, prover, value = heapq.heappop(queue)
        if kind == "b":
            if value != attempt[prover]:
                continue
            height[prover] += 1
            level = height[prover]
            if level < len(first):
                first[level] = min(first[level], now)
                blocks[level] += 1
            for other in range(provers):
                if other != prover:
                    heapq.heappush(queue, (now + delay, 1, "m", other, level))
            start(prover, now)
        elif value > height[prover]:
            height[prover] = value
            start(prover, now)
    return Chain(first[1 : heights + 1], blocks[1 : heights + 1])
