"""What was played on a network, read off its tree of blocks, on the host.

Notation
    j       height of a block above the one that all began on
    τ_j     first moment at which a block of height j is public
    T_j     moment at which the settled block of height j is public, T_j ≥ τ_j
    d       depth that a block reached: heights from it to the highest public block
            above it, its own included

A block is settled if the chains of all provers and of the adversary have it. One that
was public and is not settled was reverted: whoever waited for up to d confirmations had
taken it for final.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Story(NamedTuple):
    """Blocks of each replica in the order they were found; −1: the common start.

    Attributes:
        time: When it was found, steps; inf: padding.
        parent: Which one it extends.
        own: Whether it is the adversary's.
        public: When others could first hear of it; inf: never.
        tips: On what everybody mines at the end.
    """

    time: Float[np.ndarray, "replicas blocks"]
    parent: Int[np.ndarray, "replicas blocks"]
    own: Bool[np.ndarray, "replicas blocks"]
    public: Float[np.ndarray, "replicas blocks"]
    tips: Int[np.ndarray, "replicas provers"]


class Played(NamedTuple):
    """The settled levels of each replica after a burn-in; times since τ_0.

    Attributes:
        reached: τ_j, j = 0, ..., levels.
        settled: T_j, j = 1, ..., levels.
        own: Whether the settled block is the adversary's.
        found: Honest blocks of that height.
        kept: Of these, the settled ones: 0 or 1.
        reverted: Largest d of the public blocks of that height that were reverted; 0:
            there is none.
        honest: Times of all honest blocks; inf: padding.
        adversary: Times of the adversary's blocks; inf: padding.
    """

    reached: Float[np.ndarray, "replicas steps"]
    settled: Float[np.ndarray, "replicas levels"]
    own: Bool[np.ndarray, "replicas levels"]
    found: Int[np.ndarray, "replicas levels"]
    kept: Int[np.ndarray, "replicas levels"]
    reverted: Int[np.ndarray, "replicas levels"]
    honest: Float[np.ndarray, "replicas honest"]
    adversary: Float[np.ndarray, "replicas adversary"]


def follow(story: Story, *, levels: int, burn_in: int) -> Played | None:
    """Settled levels of a story; None if some replica has too few."""
    replicas, blocks = story.time.shape
    rows = np.arange(replicas)
    height = np.zeros((replicas, blocks + 1), int)
    for block in range(blocks):
        height[:, block] = height[rows, story.parent[:, block]] + 1
    height = height[:, :blocks]
    chain = _settled(story, height)
    last = burn_in + levels
    if chain.shape[1] <= last or (chain[:, last] < 0).any():
        return None
    every = rows[:, None]
    deepest = int(height.max())
    settled = np.zeros((replicas, blocks + 1), bool)
    settled[every, chain] = True
    settled = settled[:, :blocks]

    first = np.full((replicas, deepest + 2), np.inf)
    np.minimum.at(first, (every, height), story.public)
    # A higher block shown before a lower one has shown that too.
    first = np.minimum.accumulate(first[:, ::-1], axis=1)[:, ::-1]
    start, window = first[:, burn_in, None], chain[:, burn_in + 1 : last + 1]

    def at(values):
        return np.take_along_axis(values, window, axis=1)

    def by_height(mask) -> np.ndarray:
        found = np.zeros((replicas, deepest + 2), int)
        np.add.at(found, (every, height), mask)
        return found[:, burn_in + 1 : last + 1]

    reverted = np.zeros((replicas, deepest + 2), int)
    gone = np.isfinite(story.public) & ~settled
    depth = _highest(story, height) - height + 1
    np.maximum.at(reverted, (every, height), np.where(gone, depth, 0))
    return Played(
        reached=first[:, burn_in : last + 1] - start,
        settled=at(story.public) - start,
        own=at(story.own),
        found=by_height(~story.own & np.isfinite(story.time)),
        kept=(~at(story.own)).astype(int),
        reverted=reverted[:, burn_in + 1 : last + 1],
        honest=_times(story, ~story.own, start),
        adversary=_times(story, story.own, start),
    )


def _settled(
    story: Story, height: Int[np.ndarray, "replicas blocks"]
) -> Int[np.ndarray, "replicas heights"]:
    """Settled block of each height, column 0 the common start; −1: none."""
    replicas = len(story.parent)
    rows, parent = np.arange(replicas), story.parent
    tips = story.tips
    while True:
        newest = tips.max(axis=1)
        apart = (tips != newest[:, None]).any(axis=1) & (newest >= 0)
        if not apart.any():
            break
        back = parent[rows, newest]
        moved = apart[:, None] & (tips == newest[:, None])
        tips = np.where(moved, back[:, None], tips)
    place = tips[:, 0]
    chain = np.full((replicas, int(height.max(initial=0)) + 1), -1)
    while (place >= 0).any():
        there = place >= 0
        chain[rows[there], height[rows[there], place[there]]] = place[there]
        place = np.where(there, parent[rows, place], -1)
    return chain


def _highest(
    story: Story, height: Int[np.ndarray, "replicas blocks"]
) -> Int[np.ndarray, "replicas blocks"]:
    """Height of the highest public block above each, itself included."""
    replicas, blocks = height.shape
    rows = np.arange(replicas)
    public = np.isfinite(story.public)
    top = np.zeros((replicas, blocks + 1), int)
    top[:, :blocks] = np.where(public, height, 0)
    for block in range(blocks - 1, -1, -1):
        below = story.parent[:, block]
        top[rows, below] = np.maximum(top[rows, below], top[:, block])
    return top[:, :blocks]


def _times(
    story: Story, which: Bool[np.ndarray, "replicas blocks"], start: np.ndarray
) -> Float[np.ndarray, "replicas some"]:
    """Times of some blocks after the start of the window, in order."""
    times = story.time - start
    wanted = which & (times > 0)
    order = np.argsort(~wanted, axis=1, kind="stable")
    count = int(wanted.sum(axis=1).max())
    times = np.where(wanted, times, np.inf)
    return np.take_along_axis(times, order, axis=1)[:, :count]
