"""A second chain, block by block: every machine, every view, an adversary at random.

Nothing of the library's engines is used: plain events on a plain tree. The adversary
draws its conduct from ``Conduct``: which blocks its machines work on (its own tips, the
public one, the lagging branch of a fork, any), when it shows what it has and to whom,
and how late honest blocks come. Its machines keep what they have begun, one run for
each parent, and never see how a run will end.
"""

import heapq
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Conduct(NamedTuple):
    """What the adversary does, as chances.

    Attributes:
        own: A machine works on a longest withheld tip.
        lag: It works on the longest tip that honest provers have not adopted most.
        show: It shows a withheld tip as soon as that is longer than honest chains.
        tie: It shows a tip of the same length, at the moment of an honest block.
        some: Share of honest provers that hear of what it shows.
        late: Share of honest messages that take all of Δ (the others take none).
        keep: It goes on with a private chain that is behind.
    """

    own: float
    lag: float
    show: float
    tie: float
    some: float
    late: float
    keep: float


class Block(NamedTuple):
    """A block: parent, level, whose, when, and its last honest ancestor's level."""

    parent: int
    level: int
    honest: bool
    time: float
    root: int


class Path(NamedTuple):
    """What happened: the blocks, who mined them, and every chain that was adopted."""

    blocks: list[Block]
    adopted: list[tuple[float, int]]
    levels: int


def random_conduct(generator: np.random.Generator) -> Conduct:
    return Conduct(*generator.choice([0.0, 0.2, 0.5, 0.8, 1.0], size=7).tolist())


def run(
    generator: np.random.Generator,
    draw: Callable[[], float],
    *,
    honest: int,
    adversarial: int,
    delay: float,
    levels: int,
    conduct: Conduct,
) -> Path:
    """Mine until an honest prover holds so many levels."""
    blocks = [Block(-1, 0, True, 0.0, 0)]
    adopted: list[tuple[float, int]] = [(0.0, 0)]
    tips = [0] * honest
    version = [0] * honest
    work = [0] * adversarial  # the block that a machine works on
    since = [0.0] * adversarial
    turn = [0] * adversarial
    left: list[dict[int, float]] = [{} for _ in range(adversarial)]
    own: set[int] = set()
    known = [{0} for _ in range(honest)]
    events: list[tuple] = []
    count = itertools.count()

    def push(time, *what):
        heapq.heappush(events, (time, next(count), *what))

    def start(i, now):
        version[i] += 1
        push(now + draw(), "honest", i, version[i])

    def longest(which):
        return max(which, key=lambda b: blocks[b].level)

    def engage(m, now):
        """Choose again what machine m works on; what it has begun is kept."""
        public = longest(tips)
        choices = [public]
        ahead = [b for b in own if blocks[b].level >= blocks[public].level]
        if (
            own
            and generator.random() < conduct.own
            and (ahead or generator.random() < conduct.keep)
        ):
            choices = [longest(own)]
        elif generator.random() < conduct.lag:
            others = {b for b in tips if b != public} | own
            if others:
                choices = [longest(others)]
        target = choices[0]
        if target == work[m]:
            return
        left[m][work[m]] -= now - since[m]
        work[m], since[m] = target, now
        left[m].setdefault(target, draw())
        turn[m] += 1
        push(now + left[m][target], "private", m, turn[m])

    def hear(i, block, now):
        chain = []
        while block not in known[i]:
            chain.append(block)
            block = blocks[block].parent
        known[i].update(chain)
        if chain and blocks[chain[0]].level > blocks[tips[i]].level:
            tips[i] = chain[0]
            adopted.append((now, chain[0]))
            start(i, now)

    def show(block, now, share):
        for i in range(honest):
            if generator.random() < share:
                hear(i, block, now)

    for i in range(honest):
        start(i, 0.0)
    for m in range(adversarial):
        left[m][0] = draw()
        push(left[m][0], "private", m, 0)
    while blocks[longest(tips)].level < levels:
        now, _, kind, who, which = heapq.heappop(events)
        if kind == "heard":
            hear(who, which, now)
            continue
        if kind == "honest":
            if which != version[who]:
                continue
            parent = tips[who]
            level = blocks[parent].level + 1
            new = len(blocks)
            ties = [b for b in own if blocks[b].level == level]
            if ties and generator.random() < conduct.tie:
                # A rushing adversary is heard before the block of this moment.
                for i in range(honest):
                    if i != who and generator.random() < conduct.some:
                        hear(i, ties[0], now)
            blocks.append(Block(parent, level, True, now, level))
            hear(who, new, now)
            for i in range(honest):
                if i != who:
                    late = generator.random() < conduct.late
                    push(now + delay * late, "heard", i, new)
        else:
            if which != turn[who]:
                continue
            parent = work[who]
            new = len(blocks)
            above = blocks[parent]
            blocks.append(Block(parent, above.level + 1, False, now, above.root))
            own.add(new)
            del left[who][parent]
            left[who][parent] = draw()
            since[who] = now
            turn[who] += 1
            push(now + left[who][parent], "private", who, turn[who])
        best = longest(own) if own else 0
        ahead = blocks[best].level > blocks[longest(tips)].level
        if ahead and generator.random() < conduct.show:
            show(best, now, conduct.some)
        for m in range(adversarial):
            engage(m, now)
        front = blocks[longest(tips)].level
        own = {b for b in own if blocks[b].level >= front - 12}
    return Path(blocks, adopted, levels)


def ancestors(path: Path, block: int) -> dict[int, int]:
    """Level → block, of a chain."""
    found = {}
    while block >= 0:
        found[path.blocks[block].level] = block
        block = path.blocks[block].parent
    return found


def violated(path: Path) -> np.ndarray:
    """Of each level: the greatest depth k at which its block was reverted, 0: none.

    Two honest chains of at least so many blocks from the level on, that differ there.
    """
    lengths: list[dict[int, int]] = [{} for _ in range(path.levels + 1)]
    for _, tip in path.adopted:
        chain = ancestors(path, tip)
        length = path.blocks[tip].level
        for level, block in chain.items():
            if level <= path.levels:
                best = lengths[level].get(block, 0)
                lengths[level][block] = max(best, length)
    depths = np.zeros(path.levels + 1, int)
    for level, each in enumerate(lengths):
        if len(each) > 1:
            depths[level] = sorted(each.values())[-2] - level + 1
    return depths


def permanent(path: Path, delay: float) -> np.ndarray:
    """Levels whose first honest block satisfies (i) and (ii) of the theorem."""
    levels = path.levels
    first = np.full(levels + 2, np.inf)  # F
    for time, tip in path.adopted:
        level = path.blocks[tip].level
        first[1 : level + 1] = np.minimum(first[1 : level + 1], time)
    tree: dict[tuple[int, int], float] = {}
    for each in path.blocks[1:]:
        if not each.honest:
            at = (each.root, each.level)
            tree[at] = min(tree.get(at, np.inf), each.time)
    alone = np.zeros(levels + 1, bool)
    for level in range(1, levels + 1):
        mined = [b.time for b in path.blocks if b.honest and b.level == level]
        alone[level] = len(mined) == 1 and mined[0] <= first[level] + 1e-12
    covered = np.zeros(levels + 2, bool)
    for (root, level), time in tree.items():
        if level <= levels and time <= first[level] + delay:
            covered[root + 1 : level + 1] = True
    return alone & ~covered[: levels + 1]
