"""Setup: the rules and tasks of a chain, checked against each other and bounded.

    Setup(1^λ, task) → (pp, T_1, T_2, D, T_acc)           ``setup`` → ``Instance``

A genesis may come from a stranger who wants to waste a verifier's time and memory. So
what it can ask for has limits, which are checked before anything is trained, drawn or
compiled (``rule_problems``, and with the data ``setup``): everything
else a record can ask for is bounded by its genesis.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..learning.architecture import ImageShape
from ..learning.curves import TrainingSet
from ..learning.networks import largest_array, parameter_count, step_operations
from .encoding import digest, encode
from .formats import U32
from .records import HASH_BITS, Build, Parameters, RewardRule, Task

# Step counters are 32-bit numbers on the device.
_MAXIMUM_STEPS = 1 << 31

# Weights are added up along a chain in binary64: beyond it they would overflow.
_LARGEST_KAPPA = 512.0

DECAY_UNIT = 1 << 16
"""The δ of a reward rule that decays not at all."""

MAXIMUM_CHALLENGES = 1 << 16
"""Most segments a genesis may ask to be drawn, q."""

MAXIMUM_SEGMENT_STEPS = 1 << 20
"""Most training steps between two checkpoints."""

MAXIMUM_SEGMENT_OPERATIONS = 1 << 43
"""Most multiplications and additions of one segment: some minutes of a CPU core."""

MAXIMUM_ARRAY = 1 << 26
"""Most numbers of one array that a network of the menu needs: 256 MiB."""


class Instance(NamedTuple):
    """Setup's output: what all provers of a task work with.

    Attributes:
        parameters: pp, T_1, T_2.
        task: T_acc, the menu.
        data: D on a device.
        build: Where its proofs can be re-executed.
    """

    parameters: Parameters
    task: Task
    data: TrainingSet
    build: Build


def setup(
    parameters: Parameters, task: Task, data: TrainingSet, build: Build
) -> Instance:
    """Setup(1^λ, task): check the parameters against each other and the task.

    Raises:
        ValueError: Lists everything that is out of range.
    """
    problems = [
        *rule_problems(parameters, task, data.images.shape[0]),
        *_data_problems(parameters, task, data),
    ]
    if problems:
        raise ValueError("; ".join(problems))
    return Instance(parameters, task, data, build)


def rule_problems(
    parameters: Parameters, task: Task, examples: int = (1 << 32) - 1
) -> Iterator[str]:
    """What is out of range in a chain's rules and a task.

    Args:
        parameters: The rules.
        task: The task.
        examples: Of its data, where they are at hand.
    """
    top = 1 << HASH_BITS
    for name in ("t_1", "t_2"):
        value = getattr(parameters, name)
        if not 0 <= value < top:
            yield f"{name} must be from 0 to 2^{HASH_BITS} − 1, got {value}"
    for name in ("check_every", "checkpoint_every", "horizon_steps"):
        value = getattr(parameters, name)
        if value < 1 or value % max(parameters.check_every, 1):
            yield (
                f"{name} must be a positive multiple of check_every, "
                f"{parameters.check_every}, got {value}"
            )
        if value >= _MAXIMUM_STEPS:
            yield f"{name} must be below {_MAXIMUM_STEPS}, got {value}"
    if parameters.checkpoint_every > MAXIMUM_SEGMENT_STEPS:
        yield (
            f"checkpoint_every: at most {MAXIMUM_SEGMENT_STEPS} steps are allowed, got "
            f"{parameters.checkpoint_every}"
        )
    if parameters.challenges > MAXIMUM_CHALLENGES:
        yield (
            f"challenges must be at most {MAXIMUM_CHALLENGES}, "
            f"got {parameters.challenges}"
        )
    if not 1 <= parameters.eval_samples <= examples:
        given = parameters.eval_samples
        yield f"eval_samples must be from 1 to {examples}, got {given}"
    if not 0 < task.t_acc <= 1:
        yield f"t_acc must be in (0, 1], got {task.t_acc}"
    if not 0 <= task.r_task <= 1:
        yield f"r_task must be in [0, 1], got {task.r_task}"
    if task.slots < 1:
        yield f"slots must be ≥ 1, got {task.slots}"
    if not parameters.tolerance >= 0:
        yield f"tolerance must be ≥ 0, got {parameters.tolerance}"
    if not 0 <= parameters.weight.kappa <= _LARGEST_KAPPA:
        given = parameters.weight.kappa
        yield f"kappa must be from 0 to {_LARGEST_KAPPA:g}, got {given}"
    yield from _reward_problems(parameters.reward_rule, task)


def _reward_problems(rule: RewardRule, task: Task) -> Iterator[str]:
    """What of a reward rule leaves a block's reward undefined."""
    if not 0 <= rule.decay <= DECAY_UNIT:
        yield f"reward_rule.decay must be from 0 to {DECAY_UNIT}, got {rule.decay}"
    named = [(each.architecture, each.batch_size) for each in rule.prices]
    if len(set(named)) < len(named):
        yield "reward_rule.prices must price every kind of step once, got one twice"
    if rule.family != "operations":
        return
    if any(each.operations < 1 for each in rule.prices):
        yield "reward_rule.prices.operations must be ≥ 1, got 0"
    menu = task.menu
    missing = [
        f"{architecture}/{batch}"
        for architecture in menu.architectures.options
        for batch in menu.batch_sizes.options
        if (architecture, batch) not in named
    ]
    if missing:
        yield f"reward_rule.prices must price every step of the menu, not {missing[0]}"


def _data_problems(
    parameters: Parameters, task: Task, data: TrainingSet
) -> Iterator[str]:
    """What does not go together with the data, or asks for more than the limits."""
    examples, *shape = data.images.shape
    largest = max(task.menu.batch_sizes.options)
    if largest > examples:
        yield f"batch_sizes must be at most {examples}, got {largest}"
    yield from _size_problems(
        parameters, task, tuple(shape), min(largest, examples), data.classes
    )
    if task.dataset != dataset_digest(data):
        yield "dataset must be the one the task names, got another"


def largest_state(task: Task, image_shape: ImageShape, classes: int) -> int:
    """Most numbers a training state of a task can hold: lp and two buffers of Adam."""
    names = task.menu.architectures.options
    return 3 * max(parameter_count(each, image_shape, classes) for each in names)


def dataset_digest(data: TrainingSet) -> bytes:
    """Hash(D): of the images as pixels from 0 to 255 and the labels, in their order."""
    pixels = np.asarray(data.images)
    labels = np.asarray(data.labels).astype(np.uint8)
    shape = b"".join(encode(U32, int(size)) for size in pixels.shape)
    return digest("dataset", shape, pixels.tobytes(), labels.tobytes())


def _size_problems(
    parameters: Parameters,
    task: Task,
    image_shape: ImageShape,
    batch: int,
    classes: int,
) -> Iterator[str]:
    for name in task.menu.architectures.options:
        try:
            array = largest_array(name, image_shape, classes)
            operations = step_operations(name, image_shape, classes)
        except ValueError as error:
            yield f"architectures: {name}: {error}"
            continue
        if array > MAXIMUM_ARRAY:
            yield (
                f"architectures: {name} needs an array of {array} numbers, at most "
                f"{MAXIMUM_ARRAY} are allowed"
            )
        segment = operations * batch * parameters.checkpoint_every
        if segment > MAXIMUM_SEGMENT_OPERATIONS:
            yield (
                f"checkpoint_every: a segment of {parameters.checkpoint_every} steps "
                f"of {name} takes {segment:.3g} operations, at most "
                f"{MAXIMUM_SEGMENT_OPERATIONS:.3g} are allowed; ask for more "
                "checkpoints"
            )
