"""What happens in a world of provers, what things cost there, and who gives tasks."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..learning.chunk_program import Bucket
from ..learning.curves import TrainingSet
from .transactions import Key

What = Literal["block", "mtx", "refused", "tip", "look"]


class Clock(NamedTuple):
    """What things cost, in steps of a unit-speed prover.

    Attributes:
        hashes_per_step: Hashes in the time of a step.
        step_costs: c by architecture and batch size; 1 where none is given.
    """

    hashes_per_step: float
    step_costs: Mapping[Bucket, float] = {}


class Happening(NamedTuple):
    """Something that happened.

    Attributes:
        time: When, in steps.
        who: Name of the prover.
        what: ``block`` or ``mtx`` found, ``refused`` by a receiver, ``tip`` changed,
            ``look`` at a model in training.
        name: The record's digest; empty for a look.
        reason: Why it was refused; else empty.
        accuracy: acc, of a look, block or mtx.
        tries: Hashes that the pre-hash of a block or mtx took.
    """

    time: float
    who: str
    what: What
    name: bytes = b""
    reason: str = ""
    accuracy: float = 0.0
    tries: int = 0


class Publisher(NamedTuple):
    """Who gives the tasks and scores selected models on the test set.

    Attributes:
        key: Signs scores.
        tests: Test set of every task.
        depth: Blocks on top of a block before it counts as selected.
    """

    key: Key
    tests: tuple[TrainingSet, ...]
    depth: int = 1
