"""SM1 on a network with delay, one prover and one message at a time, in plain Python.

It shares nothing with ``dpodl.analysis.event_network.selfish`` but the definition of
the strategy: absolute times, a heap of events, the pool's decisions by two lists.
"""

import heapq
from typing import NamedTuple

import numpy as np


class Chain(NamedTuple):
    """A finished run, its last blocks cut off.

    Attributes:
        own: Whether each settled block is the pool's.
        duration: Time of the settled levels.
        stale: Share of honest blocks, of settled heights, that are not settled.
        reverted: Depth of the deepest reverted block of each height.
    """

    own: np.ndarray
    duration: float
    stale: float
    reverted: np.ndarray


def play_selfish(
    draw, draw_pool, honest: int, delay: float, gamma: float, blocks: int, rng
) -> Chain:
    """Play until so many blocks are found.

    Args:
        draw: A fresh block time of an honest prover.
        draw_pool: A fresh time to the pool's next block.
        honest: Honest provers.
        delay: Every honest message takes this long.
        gamma: Chance that a prover adopts the pool's block at a match.
        blocks: Blocks to find.
        rng: For the coins.
    """
    parent, owner, height, public = [-1], ["start"], [0], [0.0]
    tip = [0] * honest
    events: list[tuple[float, int, str, int, int]] = []
    secret, matched, version = 0, False, [0] * (honest + 1)
    best, serial = 0, 0

    def push(time, kind, who, what):
        nonlocal serial
        serial += 1
        heapq.heappush(events, (time, serial, kind, who, what))

    def begin(prover, now):
        version[prover] += 1
        own = draw_pool() if prover == honest else draw()
        push(now + own, "find", prover, version[prover])

    def adopt(prover, block, now):
        tip[prover] = block
        begin(prover, now)

    def add(extends, who, now):
        parent.append(extends)
        owner.append(who)
        height.append(height[extends] + 1)
        public.append(float("inf"))
        return len(parent) - 1

    def at_height(block, level):
        while height[block] > level:
            block = parent[block]
        return block

    def show(block, now):
        while public[block] == float("inf"):
            public[block] = now
            block = parent[block]

    for prover in range(honest + 1):
        begin(prover, 0.0)
    while len(parent) <= blocks:
        now, _, kind, who, what = heapq.heappop(events)
        if kind == "hear":
            if height[what] > height[tip[who]]:
                adopt(who, what, now)
            continue
        if what != version[who]:
            continue
        if who == honest:
            secret = add(secret, "pool", now)
            begin(honest, now)
            if matched:
                show(secret, now)
                best = height[secret]
                for prover in range(honest):
                    if height[tip[prover]] < best:
                        adopt(prover, secret, now)
            matched = False
            continue
        new = add(tip[who], "honest", now)
        public[new] = now
        adopt(who, new, now)
        for other in range(honest):
            if other != who:
                push(now + delay, "hear", other, new)
        if height[new] <= best:
            continue
        lead = height[secret] - best
        best = height[new]
        matched = lead == 1
        if lead <= 0:
            secret = new
            begin(honest, now)
        elif lead == 2:
            show(secret, now)
            best = height[secret]
            for prover in range(honest):
                if height[tip[prover]] < best:
                    adopt(prover, secret, now)
        else:
            block = at_height(secret, best)
            show(block, now)
            for prover in range(honest):
                if height[tip[prover]] <= best and rng.random() < gamma:
                    adopt(prover, block, now)
    return _read(parent, owner, height, public, [*tip, secret])


def _read(parent, owner, height, public, tips) -> Chain:
    def line(block):
        found = []
        while block > 0:
            found.append(block)
            block = parent[block]
        return found[::-1]

    lines = [line(each) for each in tips]
    settled = []
    for column in zip(*lines, strict=False):
        if len(set(column)) > 1:
            break
        settled.append(column[0])
    count = len(settled)
    first = [float("inf")] * (max(height) + 1)
    top = list(height)
    for block in range(len(parent) - 1, 0, -1):
        if public[block] < float("inf"):
            first[height[block]] = min(first[height[block]], public[block])
            top[parent[block]] = max(top[parent[block]], top[block])
    kept = set(settled)
    reverted = np.zeros(count + 1, int)
    found = 0
    for block in range(1, len(parent)):
        level = height[block]
        if level > count:
            continue
        found += owner[block] == "honest"
        if public[block] < float("inf") and block not in kept:
            reverted[level] = max(reverted[level], top[block] - level + 1)
    own = np.array([owner[block] == "pool" for block in settled])
    return Chain(own, first[count], 1 - (~own).sum() / found, reverted[1:])
