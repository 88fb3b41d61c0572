"""A slow, plain event simulator of weights, speeds, ties and random delays.

It shares nothing with ``dpodl.analysis.event_network.engine`` but the definition of the
network: one event queue in absolute float64 time, sets of ancestors, and messages that
wait for their parents one by one. Where its draws come from is the caller's business:
given the engine's own draws it must meet the engine's very history.
"""

import heapq
from collections.abc import Callable
from typing import NamedTuple


class Block(NamedTuple):
    """A block found."""

    time: float
    finder: int
    weight: float
    work: float
    parent: int


class History(NamedTuple):
    """All blocks, the tips at the end, and the sizes of all reorganisations."""

    blocks: list[Block]
    tips: list[int]
    discarded: list[int]
    adopted: int


def simulate_weighted(
    draw: Callable[[int, int], tuple[float, float]],
    send: Callable[[int, int], tuple[float, int]],
    speeds: list[float],
    delay: float,
    count: int,
    *,
    ties: str = "first_seen",
    burn_in: int = 0,
) -> History:
    """Run until ``count`` blocks are found.

    Args:
        draw: (block time, weight) of a unit-speed prover, for (prover, attempt).
        send: (share of the delay, lot), for (block, receiver). The lot is a whole
            number: of equally heavy chains heard of in one moment the higher comes
            first, and its last bit is the coin of a tie.
        speeds: One a prover.
        delay: Longest delay of a message.
        count: Blocks to find.
        ties: ``first_seen``, ``random`` or ``adversary``.
        burn_in: Blocks before reorganisations are counted.
    """
    provers = range(len(speeds))
    blocks: list[Block] = []
    tip = [-1] * len(speeds)
    known = [{-1} for _ in provers]
    attempt = [0] * len(speeds)
    waiting: list[list[tuple[int, int]]] = [[] for _ in provers]
    discarded: list[int] = []
    adopted = 0
    # (time, 0: found before 1: heard, prover, attempt or block, weight or lot)
    queue: list[tuple[float, int, int, int, float]] = []

    def start(prover: int, now: float) -> None:
        time, weight = draw(prover, attempt[prover])
        attempt[prover] += 1
        finish = now + time / speeds[prover]
        heapq.heappush(queue, (finish, 0, prover, attempt[prover], weight))

    def work(block: int) -> float:
        return blocks[block].work if block >= 0 else 0.0

    def hear(prover: int, now: float) -> None:
        """Everything that the prover hears of now and can use, the heaviest first."""
        nonlocal adopted
        usable = []
        for block, lot in sorted(waiting[prover]):
            if blocks[block].parent in known[prover]:
                known[prover].add(block)
                waiting[prover].remove((block, lot))
                usable.append((-work(block), -lot, block))
        for _, lot, block in sorted(usable):
            mine, other = work(tip[prover]), work(block)
            yields = ties == "adversary" or (ties == "random" and -lot % 2 == 1)
            if other > mine or (other == mine and yields):
                old, new = ancestors(blocks, tip[prover]), ancestors(blocks, block)
                if len(blocks) >= burn_in:
                    discarded.append(len(old - new))
                    adopted += len(new - old)
                tip[prover] = block
                start(prover, now)

    for prover in provers:
        start(prover, 0.0)
    while len(blocks) < count:
        now, kind, prover, value, weight = heapq.heappop(queue)
        if kind == 1:
            waiting[prover].append((value, int(weight)))
            while queue and queue[0][:3] == (now, 1, prover):
                other = heapq.heappop(queue)
                waiting[prover].append((other[3], int(other[4])))
            hear(prover, now)
        elif value == attempt[prover]:
            parent, name = tip[prover], len(blocks)
            adopted += name >= burn_in
            blocks.append(Block(now, prover, weight, work(parent) + weight, parent))
            tip[prover] = name
            known[prover].add(name)
            for other in provers:
                if other != prover:
                    share, lot = send(name, other)
                    heapq.heappush(queue, (now + delay * share, 1, other, name, lot))
            start(prover, now)
    return History(blocks, tip, discarded, adopted)


def ancestors(blocks: list[Block], block: int) -> set[int]:
    """A block and all that it descends from."""
    found = set()
    while block >= 0:
        found.add(block)
        block = blocks[block].parent
    return found
