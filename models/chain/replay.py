"""Trainings that go on from what was noted of them.

Training is a function of its beginning, so what a look gave need not be computed again:
its count of correct examples, and the digests of its state and of its model. A world
that is replayed with such notes (``World``, ``memory``) trains nothing but what it goes
on with.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from ..scheme.deferred import Deferred
from ..scheme.encoding import digest, encode
from ..scheme.formats import HYPER_PARAMETERS, U32, U64
from ..scheme.scheme import Instance, Training, advance, follow
from ..scheme.states import Look, Tensors, parameters_of, run_segment, tensors_digest


class Seen(NamedTuple):
    """What a look gave.

    Attributes:
        correct: acc, as a count.
        state: Digest of the training state.
        parameters: Digest of the learnable parameters.
    """

    correct: int
    state: bytes
    parameters: bytes


@runtime_checkable
class Memory(Protocol):
    """Notes of looks, by name."""

    def recall(self, name: bytes) -> Seen | None:
        """What a look gave; None: nothing is noted."""
        ...

    def note(self, name: bytes, seen: Seen) -> None:
        """Note what a look gave."""
        ...


def training_name(chain: bytes, instance: Instance, training: Training) -> bytes:
    """A name of a training that begins: everything its looks are a function of."""
    init, now = training.initialization, training.now
    parameters = instance.parameters
    return digest(
        "replay",
        chain,
        instance.task.dataset,
        encode(HYPER_PARAMETERS, init.hpp),
        init.init_seed,
        init.r,
        tensors_digest(now.tensors),
        encode(U64, now.steps),
        encode(U32, parameters.check_every),
        encode(U32, parameters.eval_samples),
    )


def advance_noted(
    memory: Memory, name: bytes, instance: Instance, training: Training
) -> Training:
    """``advance``, from the notes where there are any.

    Args:
        memory: Notes.
        name: ``training_name`` of its beginning.
        instance: Setup's output.
        training: A training in progress.
    """
    parameters = instance.parameters
    before = training.now
    steps = before.steps + parameters.check_every
    look = digest("replay/look", name, encode(U64, steps))
    seen = memory.recall(look)
    if seen is None:
        training = advance(instance, training)
        now = training.now
        state = tensors_digest(now.tensors)
        own = tensors_digest(parameters_of(now.tensors))
        memory.note(look, Seen(now.correct, state, own))
        return training

    # Not the look before itself, which would be kept with all that is before it.
    init, correct, begun = training.initialization, before.correct, before.steps

    def run(tensors: Tensors) -> Tensors:
        end = run_segment(
            init,
            instance.data,
            Look(tensors, correct, begun),
            steps=parameters.check_every,
            check_every=parameters.check_every,
            eval_samples=parameters.eval_samples,
        )
        return end.tensors

    tensors = Deferred(seen.state, seen.parameters, before.tensors, run)
    return follow(instance, training, Look(tensors, seen.correct, steps))
