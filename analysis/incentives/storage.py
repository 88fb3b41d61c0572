r"""What kept checkpoints cost, what a deadline proves, and when storing is cheapest.

Notation
    c        steps between two checkpoints                     ``every``
    j        of which every j-th is kept                        ``spacing``
    D        answer deadline, seconds; s seconds a step         ``deadline``
    λ        leverage: how much faster the cheater's device is
    φ        share of leaves that can be answered in time
    q        challenges, drawn with replacement

A prover that keeps every j-th trains again, for an answer that is

    leaf        i alone:                   at most (j − 1)c,  on average (j − 1)c/2
    rerun       i, and i → i + 1 again:    jc,                (j − 1)c/2 + c
    successor   i and i + 1:               (j − 1)c,          (j − 1)(j + 2)c/(2j)

Training is sequential: devices in parallel answer different challenges, but none of
them sooner. So a block whose whole training takes S s/λ < D proves nothing about what
is kept (``proving_steps``); and one that proves it for a spacing j must have
(j − 1) c s/λ > D, or whoever keeps only every j-th answers in time.

Source
    [BDNS13] Bringmann, Doerr, Neumann, Sliacan, arXiv 1302.4216: the largest gap of k
             online checkpoints is (1.59 + o(1)) T/(k + 1) at best known.
    [GW08]   Griewank, Walther, Evaluating Derivatives, ch. 12: C(s + r, s).
"""

import math
from typing import Literal, NamedTuple

from ...models.chain.retention import Retention, kept_leaves, missing_segments

Answered = Literal["leaf", "rerun", "successor"]

_GIB = 2**30


class Trained(NamedTuple):
    """Steps that are trained again for one answer.

    Attributes:
        worst: Of the leaf that takes most.
        mean: Of a uniform leaf.
    """

    worst: float
    mean: float


def answer_steps(kind: Answered, spacing: int, every: int) -> Trained:
    """Of who keeps every j-th checkpoint of a long training.

    Raises:
        ValueError: If a number is below 1.
    """
    if spacing < 1 or every < 1:
        raise ValueError(f"spacing and every must be ≥ 1, got {spacing} and {every}")
    j, c = spacing, float(every)
    if kind == "leaf":
        return Trained((j - 1) * c, (j - 1) * c / 2)
    if kind == "rerun":
        return Trained(j * c, (j - 1) * c / 2 + c)
    return Trained((j - 1) * c, (j - 1) * (j + 2) * c / (2 * j))


def steps_of_leaf(
    policy: Retention, leaves: int, leaf: int, kind: Answered, every: int
) -> int:
    """Steps that are trained again for one leaf of one block, whatever is kept."""
    kept = kept_leaves(policy, leaves)
    missing = missing_segments(kept, leaf)
    last = leaf == leaves - 1
    if kind == "rerun" and not last:
        return (missing + 1) * every
    if kind == "successor" and not last and leaf + 1 not in kept:
        return (missing + 1) * every
    return missing * every


def answered_in_time(
    policy: Retention,
    leaves: int,
    kind: Answered,
    every: int,
    *,
    allowed: float | int,
) -> float:
    """φ: share of a block's leaves that at most ``allowed`` steps answer for."""
    steps = [steps_of_leaf(policy, leaves, i, kind, every) for i in range(leaves)]
    return sum(each <= allowed for each in steps) / leaves


def passes_unseen(share: float | int, challenges: int) -> float:
    """φ^q, chance that all challenges are passed without training again."""
    if not 0 <= share <= 1 or challenges < 0:
        raise ValueError(
            f"share must be in [0, 1] and challenges ≥ 0, got {share}, {challenges}"
        )
    return float(share) ** challenges


def challenges_for(share: float | int, risk: float | int) -> int:
    """Least q with φ^q ≤ risk, for φ < 1."""
    if not (0 <= share < 1 and 0 < risk < 1):
        raise ValueError(
            f"share must be in [0, 1) and risk in (0, 1), got {share} and {risk}"
        )
    return 1 if share == 0 else math.ceil(math.log(risk) / math.log(share) - 1e-12)


def proving_steps(
    deadline: float | int, *, step_seconds: float, leverage: float | int = 1.0
) -> int:
    """Least training of a block from which on a deadline can prove anything.

    Whoever keeps nothing but the ~100 bytes it follows from answers for the last leaf
    in S s/λ seconds: D proves something only below that.

    Args:
        deadline: D, seconds.
        step_seconds: s, of the device that rules are made for.
        leverage: λ ≥ 1.
    """
    if not (deadline > 0 and step_seconds > 0 and leverage >= 1):
        raise ValueError(
            "deadline and step_seconds must be > 0 and leverage ≥ 1, got "
            f"{deadline}, {step_seconds} and {leverage}"
        )
    return math.floor(deadline * leverage / step_seconds) + 1


def tolerated_spacing(
    deadline: float | int,
    every: int,
    *,
    step_seconds: float,
    leverage: float | int = 1.0,
) -> int:
    """The largest j whose keeper answers every leaf in time: φ = 1 up to it."""
    within = proving_steps(deadline, step_seconds=step_seconds, leverage=leverage) - 1
    return within // every + 1


def stored_bytes(
    policy: Retention, *, leaves: int, state: float | int, blocks: int
) -> float:
    """Bytes of checkpoints after so many blocks of n leaves each."""
    if blocks < 0:
        raise ValueError(f"blocks must be ≥ 0, got {blocks}")
    young = blocks if policy.prune is None else min(blocks, policy.prune)
    kept = len(kept_leaves(policy._replace(prune=None), leaves))
    return float(state) * (young * kept + (blocks - young))


class Upkeep(NamedTuple):
    """What a spacing costs for a block, over its window.

    Attributes:
        spacing: j.
        storing: Price of the bytes that are kept.
        training: Price of the steps that answers take.
    """

    spacing: int
    storing: float
    training: float

    @property
    def total(self) -> float:
        """Both."""
        return self.storing + self.training


def upkeep(
    spacing: int,
    *,
    leaves: int,
    every: int,
    state: float | int,
    window: int,
    asked: float | int,
    byte_price: float | int,
    step_price: float | int,
    kind: Answered = "leaf",
) -> Upkeep:
    """What a block's checkpoints cost a prover that keeps every j-th.

    Args:
        spacing: j; more than n: only the last one.
        leaves: n.
        every: c.
        state: Bytes of a checkpoint.
        window: W, intervals that they are kept for.
        asked: Expected challenges about the block in its window.
        byte_price: Of a byte kept for an interval.
        step_price: Of a step.
        kind: What an answer is.
    """
    policy = Retention("every", spacing=spacing)
    kept = len(kept_leaves(policy, leaves))
    steps = [steps_of_leaf(policy, leaves, i, kind, every) for i in range(leaves)]
    mean = sum(steps) / leaves
    return Upkeep(
        spacing, kept * state * window * byte_price, asked * mean * step_price
    )


def cheapest(leaves: int, **setting) -> Upkeep:
    """The spacing from 1 to n that costs least; arguments of ``upkeep``."""
    return min(
        (upkeep(j, leaves=leaves, **setting) for j in range(1, leaves + 1)),
        key=lambda each: each.total,
    )


def challenge_bytes(leaves: int, challenges: int = 1) -> int:
    """What answers add to a block: leaf, places, path, response and two names each.

    Longest path, ⌈log2 n⌉ digests; as ``models.chain.retention.ANSWER`` is encoded.
    """
    path = math.ceil(math.log2(leaves)) if leaves > 1 else 0
    return challenges * (2 + 32 + 4 + 32 + 4 + 46 + 4 + 32 * path + 1 + 32)


def reversal_length(checkpoints: int, repetitions: int) -> int:
    """Steps that can be walked backwards with s checkpoints and r runs: C(s + r, s)."""
    return math.comb(checkpoints + repetitions, checkpoints)


def chia_plot_bytes(k: int) -> int:
    """Bytes of a plot of Chia's proof of space: (2k + 1) 2^{k−1}."""
    return (2 * k + 1) << (k - 1)


def imitated_plots(
    seconds: float, *, window: float = 28.125, filtered: int = 512
) -> int:
    """Plots that who makes one in so many seconds imitates at one challenge.

    One of ``filtered`` plots is asked; who makes plots that will be, ⌊window/seconds⌋
    of them in time, answers like so many times ``filtered`` (CHIP-0012).
    """
    return math.floor(window / seconds + 1e-9) * filtered


def tebibytes(plots: int, gib: float) -> float:
    """Size of so many plots of so many GiB, in TiB."""
    return plots * gib * _GIB / 2**40
