"""What a ledger keeps of a valid record, and what a genesis must be to begin one."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ..learning.architecture import HyperParameters
from ..scheme.instances import rule_problems
from ..scheme.records import Block, Genesis, Mtx, Parameters
from ..scheme.states import Model
from .retarget.fold import State
from .retarget.rule import Rule, rule_problems as retarget_problems
from .transactions import Accounts, weak_key


class Published(NamedTuple):
    """A verified model, from a block or an mtx.

    Attributes:
        name: Digest of the record.
        kind: ``block`` or ``mtx``.
        record: The record.
        task: Index of the task it was trained for.
        extends: Digest of the block its pre-hash names.
        model: M; None where nothing was re-executed.
        accuracy: acc.
        lineage: Names of the models it refers to, recursively, the direct one first.
        hpp: Its hyper-parameters, which follow from h_1 and what it refers to.
    """

    name: bytes
    kind: str
    record: Block | Mtx
    task: int
    extends: bytes
    model: Model | None
    accuracy: float
    lineage: tuple[bytes, ...]
    hpp: HyperParameters

    @property
    def steps(self) -> int:
        """S."""
        return self.record.proof.steps

    @property
    def miner(self) -> bytes:
        """Who trained it."""
        return self.record.header.miner


class Entry(NamedTuple):
    """A block's place in the tree, and the chain's state after it.

    Attributes:
        name: Its digest.
        parent: Digest of the block before; the genesis has none.
        height: Blocks since the genesis.
        weight: Accumulated weight.
        accounts: Coins and sequence numbers.
        task: Index of the task the *next* block works on.
        slot: Blocks of that task so far.
        scores: Test accuracy of that task's scored models, by block.
        brought: Model transactions that the chain's blocks have brought.
        rewards: What the block paid, by public key.
        retarget: What the rule for T_2 knows after it; None: there is none.
    """

    name: bytes
    parent: bytes | None
    height: int
    weight: float
    accounts: Accounts
    task: int
    slot: int
    scores: Mapping[bytes, float]
    brought: frozenset[bytes]
    rewards: Mapping[bytes, int]
    retarget: State | None = None


def genesis_problems(genesis: Genesis) -> Iterator[str]:
    """What of a genesis no chain can have, whatever its data are."""
    if not genesis.tasks:
        yield "there must be at least one task, got none"
    owners = [each.owner for each in genesis.allocations]
    if len(set(owners)) < len(owners):
        yield "allocations must name every owner once, got one twice"
    for owner in (genesis.publisher, *owners):
        reason = weak_key(owner)
        if reason is not None:
            yield f"key {owner.hex()[:16]}… must be its owner's alone: {reason}"
    for task in genesis.tasks:
        yield from rule_problems(genesis.parameters, task)
    rule = rule_of(genesis.parameters)
    if rule is not None:
        yield from (f"retarget: {each}" for each in retarget_problems(rule))


def rule_of(parameters: Parameters) -> Rule | None:
    """The rule for T_2 of a chain's parameters; None: it has none."""
    given = parameters.retarget
    if given is None:
        return None
    return Rule(
        given.rule,
        given.interval,
        given.blocks,
        schedule=given.schedule,
        anti_windup=given.anti_windup,
        share=given.share,
        share_blocks=given.share_blocks,
    )
