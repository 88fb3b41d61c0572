r"""Kept checkpoints: who keeps which, and how a later block asks for them.

A checkpoint follows from (prevBK, refM, nonce) by training, so it can only be shown
against a deadline that it is *kept*. Notation:

    n           leaves of a block's proof, at multiples of c = ``checkpoint_every``
    W           ``window``: blocks for which a block's leaves may be asked for
    D           ``deadline``: blocks within which an answer must be in the chain
    q           challenges that each block makes
    φ           share of leaves that a prover can answer for without training

The block at height h asks q times for a leaf of the blocks at heights h − W … h − 1,
each block alike and then each of its leaves, drawn from its post-hash: another draw
takes another model. The salt follows from the draw. An answer is the leaf with its
Merkle path, and a digest of salt and tensors: of the leaf itself (46 bytes, which are
never dropped) nobody has to keep the tensors. With ``successor`` the tensors of the
next leaf are in the digest too (of the last leaf, its own alone).

The path is checked by everybody; the digest by whoever has the tensors or trains them
again. Who has not answered in time is not paid for the block that was asked about
(``unpaid``).
"""

import bisect
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from ..scheme.checkpoints import (
    Archive,
    Opening,
    Rejected,
    draw_challenges,
    segment_count,
)
from ..scheme.encoding import (
    DIGEST,
    Choice,
    Fixed,
    Record,
    Sequence as Items,
    digest,
    encode,
)
from ..scheme.formats import CHECKPOINT, U32
from ..scheme.merkle import root_of_path
from ..scheme.records import Checkpoint
from ..scheme.scheme import posthash
from ..scheme.states import Tensors, tensors_digest
from .tree import BlockTree

MAXIMUM_PATH = 64
MAXIMUM_WINDOW = 1 << 20

Kind = Literal["leaf", "successor"]
Family = Literal["all", "every", "online"]


class Retention(NamedTuple):
    """Which of a block's leaves a prover keeps, and for how long.

    Attributes:
        family: ``all``; ``every`` j-th and the last; ``online``: k of them at any time,
            chosen without knowing when training ends.
        spacing: j, used by ``every``.
        kept: k, used by ``online``.
        prune: Blocks on top of a block after which all its leaves but the last are
            dropped; None: never.
    """

    family: Family = "all"
    spacing: int = 1
    kept: int = 1
    prune: int | None = None


class StorageRule(NamedTuple):
    """What a chain asks of those who are paid by it.

    Attributes:
        challenges: q ≥ 1.
        window: W ≥ 1, blocks.
        deadline: D ≥ 1, blocks.
        kind: What an answer is.
    """

    challenges: int
    window: int
    deadline: int
    kind: Kind = "leaf"


class Challenge(NamedTuple):
    """A leaf that a block asks for.

    Attributes:
        asking: The block that asks.
        number: Which of its challenges, from 0.
        about: The block whose leaf it is.
        leaf: Which, from 0.
        salt: Goes into the answer.
        due: Height up to which an answer counts.
    """

    asking: bytes
    number: int
    about: bytes
    leaf: int
    salt: bytes
    due: int


class Answer(NamedTuple):
    """What is said to a challenge.

    Attributes:
        asking: The block that asked.
        number: Which of its challenges.
        about: The block whose leaf it is.
        leaf: Which.
        checkpoint: The leaf.
        path: Its audit path.
        kind: What the response covers.
        response: Digest of salt and tensors.
    """

    asking: bytes
    number: int
    about: bytes
    leaf: int
    checkpoint: Checkpoint
    path: tuple[bytes, ...]
    kind: Kind
    response: bytes


ANSWER = Record(
    Answer,
    101,
    {
        "asking": DIGEST,
        "number": U32,
        "about": DIGEST,
        "leaf": U32,
        "checkpoint": CHECKPOINT,
        "path": Items(Fixed(32), MAXIMUM_PATH),
        "kind": Choice(("leaf", "successor")),
        "response": DIGEST,
    },
)

STORAGE_RULE = Record(
    StorageRule,
    102,
    {
        "challenges": U32,
        "window": U32,
        "deadline": U32,
        "kind": Choice(("leaf", "successor")),
    },
)


def kept_leaves(policy: Retention, leaves: int, *, age: int = 0) -> tuple[int, ...]:
    """The leaves of a block that are kept.

    Args:
        policy: Whose.
        leaves: n ≥ 1.
        age: Blocks on top of the block.

    Returns:
        Their places, from 0; the last leaf is the block's model and always kept.

    Raises:
        ValueError: If a number is out of range.
    """
    if leaves < 1 or policy.spacing < 1 or policy.kept < 1:
        raise ValueError(
            "leaves, spacing and kept must be ≥ 1, got "
            f"{leaves}, {policy.spacing} and {policy.kept}"
        )
    last = leaves - 1
    if policy.prune is not None and age >= policy.prune:
        return (last,)
    if policy.family == "all":
        return tuple(range(leaves))
    if policy.family == "every":
        # Leaf i is the state after i + 1 segments.
        some = range(policy.spacing - 1, leaves, policy.spacing)
        return tuple(sorted({*some, last}))
    return tuple(sorted({*online(policy.kept, leaves), last}))


def online(kept: int, leaves: int) -> tuple[int, ...]:
    """The k leaves that are there after so many, chosen as they came.

    A new one takes the place of the one whose two gaps are the shortest together, the
    older of equals. Gaps are counted from initM, which can be made again.
    """
    held: list[int] = []
    for leaf in range(leaves):
        held.append(leaf)
        if len(held) > kept:
            before = [-1, *held[:-1]]
            # The newest stays: nothing is after it yet.
            gaps = [held[i + 1] - before[i] for i in range(len(held) - 1)]
            drop = min(range(len(gaps)), key=lambda i: (gaps[i], i)) if gaps else 0
            held.pop(drop)
    return tuple(held)


def missing_segments(kept: Sequence[int], leaf: int) -> int:
    """Segments that must be trained again to have a leaf; 0: it is kept."""
    place = bisect.bisect_right(kept, leaf)
    nearest = kept[place - 1] if place else -1
    return leaf - nearest


def rule_problem(rule: StorageRule) -> str | None:
    """What of a rule no chain can have; None: nothing."""
    for name in ("challenges", "window", "deadline"):
        value = getattr(rule, name)
        if not 1 <= value <= MAXIMUM_WINDOW:
            return f"{name} must be from 1 to {MAXIMUM_WINDOW}, got {value}"
    return None


def challenges_of(tree: BlockTree, asking: bytes, rule: StorageRule) -> list[Challenge]:
    """What a block asks for.

    Args:
        tree: Has the block; its training need not be run again.
        asking: The block.
        rule: The chain's.

    Raises:
        ValueError: If the rule is out of range.
        KeyError: If the block is not known or is the genesis.
    """
    problem = rule_problem(rule)
    if problem is not None:
        raise ValueError(problem)
    parameters = tree.genesis.parameters
    proof = tree.published[asking].record.proof
    h_2, _ = posthash(parameters.t_2, proof.model, proof.correct, proof.steps)
    entry = tree.entries[asking]
    earlier = []
    for each in tree.ancestors(asking):
        if 0 < each.height < entry.height:
            earlier.append(each.name)
        if len(earlier) == rule.window:
            break
    found = []
    for number in range(rule.challenges if earlier else 0):
        seed = digest("retention/draw", asking, h_2, encode(U32, number))
        (place,) = draw_challenges(seed, len(earlier), 1)
        about = earlier[place]
        leaves = segment_count(parameters, tree.published[about].steps)
        salt = digest("retention/salt", seed, about)
        (leaf,) = draw_challenges(salt, leaves, 1)
        due = entry.height + rule.deadline
        found.append(Challenge(asking, number, about, leaf, salt, due))
    return found


def response(salt: bytes, *tensors: Tensors) -> bytes:
    """Digest of a salt and whole tensors.

    A digest of the tensors alone is in the leaf: the salt must go in before them, so
    that nothing but the tensors themselves gives it.
    """
    return digest("retention/response", *(_salted(salt, each) for each in tensors))


def _salted(salt: bytes, tensors: Tensors) -> bytes:
    parts = [salt]
    for name in sorted(tensors):
        values = tensors[name]
        parts += [digest("retention/name", name.encode()), values.tobytes()]
    return digest("retention/tensors", *parts)


def answer(
    challenge: Challenge, opening: Opening, kind: Kind, *tensors: Tensors
) -> Answer:
    """The answer of who has the tensors: of the leaf, and of its successor if any."""
    return Answer(
        challenge.asking,
        challenge.number,
        challenge.about,
        challenge.leaf,
        opening.checkpoint,
        opening.path,
        kind,
        response(challenge.salt, *tensors),
    )


def check_answer(
    tree: BlockTree,
    challenge: Challenge,
    given: Answer,
    rule: StorageRule,
    archive: Archive | None = None,
) -> None:
    """Whether an answer is one to a challenge.

    Args:
        tree: Has both blocks.
        challenge: Of ``challenges_of``.
        given: From anybody.
        rule: The chain's.
        archive: Where the checker has the tensors; None: only the path is checked.

    Raises:
        Rejected: Names what is wrong: ``challenge`` another one's, ``path`` not the
            block's leaf, ``response`` not of these tensors, ``evidence`` the checker
            has no tensors to compare with.
    """
    if given[:4] != challenge[:4]:
        raise Rejected("challenge", "the answer is to another one")
    if given.kind != rule.kind:
        raise Rejected("challenge", f"the rule asks for {rule.kind}, got {given.kind}")
    about = tree.published[challenge.about]
    leaves = segment_count(tree.genesis.parameters, about.steps)
    leaf = encode(CHECKPOINT, given.checkpoint)
    try:
        root = root_of_path(leaf, challenge.leaf, leaves, given.path)
    except ValueError as error:
        raise Rejected("path", str(error)) from error
    if root != about.record.proof.cp_root:
        raise Rejected("path", "it does not lead to the block's root")
    if archive is None:
        return
    covered = [given.checkpoint.state]
    try:
        if rule.kind == "successor" and challenge.leaf + 1 < leaves:
            after = archive.opening(about.record.proof.cp_root, challenge.leaf + 1)
            covered.append(after.checkpoint.state)
        tensors = [archive.tensors(state) for state in covered]
    except (KeyError, ValueError) as error:
        raise Rejected("evidence", "a checkpoint is not there to compare") from error
    for state, each in zip(covered, tensors, strict=True):
        if tensors_digest(each) != state:
            raise Rejected("evidence", "a checkpoint has another digest")
    if response(challenge.salt, *tensors) != given.response:
        raise Rejected("response", "it is not the digest of salt and tensors")


def unpaid(
    tree: BlockTree,
    tip: bytes,
    rule: StorageRule,
    answers: Mapping[tuple[bytes, int], tuple[int, Answer]],
    archive: Archive | None = None,
) -> dict[bytes, str]:
    """Blocks of a chain whose miner is not paid, and why.

    Args:
        tree: Has the chain.
        tip: Its last block.
        rule: The chain's.
        answers: By (asking, number): the height it came at, and the answer.
        archive: As ``check_answer`` takes it.

    Returns:
        ``late`` or the reason of the refusal, by the name of the block that was asked
        about. A challenge that is not due yet counts for nothing.
    """
    top = tree.entries[tip].height
    found: dict[bytes, str] = {}
    for entry in list(tree.ancestors(tip))[-2::-1]:
        for each in challenges_of(tree, entry.name, rule):
            height, given = answers.get((each.asking, each.number), (None, None))
            if given is None or height is None or height > each.due:
                if top >= each.due:
                    found.setdefault(each.about, "late")
                continue
            try:
                check_answer(tree, each, given, rule, archive)
            except Rejected as error:
                found.setdefault(each.about, str(error))
    return found
