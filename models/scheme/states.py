"""Training states as named tensors: their bytes, digests, and how training goes on.

Notation ([SLT23] §3.2):
    M = (A(hpp), lp)   ``Model``: hyper-parameters and learnable parameters
    M_i                ``Tensors`` of a state: lp and the optimizer's buffers, all that
                       the next step needs besides (hpp, r, S)
    segment            the training from one checkpoint to the next

Digests (``Hash`` of encoding.py): a state is its tensors in the order of their names,
each as name, shape and float32 little-endian values; a model is its hyper-parameters
and the digest of its learnable parameters.

A segment is run by one compiled program for a single model, one look after the other,
whatever their number: so the bits are the same for the prover and for a verifier who
starts in the middle.
"""

from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ..learning.architecture import HyperParameters, ImageShape, Initialization
from ..learning.chunk_program import Bucket
from ..learning.curves import TrainingSet
from ..learning.looks import Curve, look
from ..learning.networks import build_network
from ..learning.orders import epoch_order
from ..learning.pins import pinned
from ..learning.training import (
    Hyper,
    TrainState,
    evaluation_sample,
    hyper_of,
    initial_state,
    train_steps,
)
from .deferred import Deferred
from .encoding import Sequence, Text, Unsigned, digest, encode
from .formats import HYPER_PARAMETERS

# By name; all float32, which ``tensors_digest`` and ``run_segment`` check: tensors come
# from strangers.
Tensors = dict[str, np.ndarray] | Deferred

_NAME, _SHAPE = Text(128), Sequence(Unsigned(4), 8)
_PARAMETERS, _MOMENTUM, _MU, _NU = "lp/", "momentum/", "adam/mu/", "adam/nu/"


_ANY = Initialization(
    HyperParameters("softmax", "sgd", 1.0, 0.0, 1, 1.0), bytes(8), bytes(32)
)


class Model(NamedTuple):
    """M = (A(hpp), lp).

    Attributes:
        hpp: Hyper-parameters; its architecture fixes the tensors' shapes.
        parameters: lp, by name.
    """

    hpp: HyperParameters
    parameters: Tensors


class Look(NamedTuple):
    """A training state at a look.

    Attributes:
        tensors: lp and the optimizer's buffers.
        correct: Correct examples of the evaluation sample; 0 before the first look.
        steps: S.
    """

    tensors: Tensors
    correct: int
    steps: int


def tensors_digest(tensors: Tensors) -> bytes:
    """Hash of named tensors.

    Raises:
        ValueError: For values that are not float32 (rounded, they would have the
            digest of others), and for names or shapes that have no encoding.
    """
    if isinstance(tensors, Deferred):
        return tensors.digest
    parts = []
    for name in sorted(tensors):
        values = tensors[name]
        if values.dtype != np.float32:
            raise ValueError(f"tensor {name!r} must be float32, got {values.dtype}")
        parts += [encode(_NAME, name), encode(_SHAPE, values.shape)]
        parts.append(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return digest("tensors", *parts)


def model_digest(model: Model) -> bytes:
    """Hash(M): of the hyper-parameters and the learnable parameters."""
    hpp = encode(HYPER_PARAMETERS, model.hpp)
    return digest("model", hpp, tensors_digest(model.parameters))


def parameters_of(tensors: Tensors) -> Tensors:
    """Lp alone, without the optimizer's buffers."""
    if isinstance(tensors, Deferred):
        own = tensors.parameters_digest
        return Deferred(own, own, tensors, _parameters_of)
    return _parameters_of(tensors)


def _parameters_of(tensors: Tensors) -> Tensors:
    """Lp alone, of tensors that are there."""
    return {name: v for name, v in tensors.items() if name.startswith(_PARAMETERS)}


@pinned()
def first_look(
    initialization: Initialization, data: TrainingSet, parameters: Tensors | None
) -> Look:
    """InitM before its first step.

    Args:
        initialization: (hpp, initLP, r).
        data: D; the shapes of its images count.
        parameters: lp_ref of a referenced model; None: initLP.

    Raises:
        ValueError: If the referenced parameters do not fit the architecture.
    """
    hpp = initialization.hpp
    shapes = _shapes(hpp.architecture, hpp.optimizer, _shape(data))
    if parameters is None:
        hyper = jax.device_put(hyper_of(initialization))
        state = _initial(
            hyper,
            data=_shape(data),
            architecture=hpp.architecture,
            adam=hpp.optimizer == "adam",
        )
        return Look(_tensors_of(state, hpp.optimizer), 0, 0)
    buffers = {
        name: np.zeros(shape, np.float32)
        for name, shape in shapes.items()
        if not name.startswith(_PARAMETERS)
    }
    tensors = parameters_of(parameters) | buffers
    _check_tensors(tensors, shapes)
    return Look(tensors, 0, 0)


@pinned()
def run_segment(
    initialization: Initialization,
    data: TrainingSet,
    start: Look,
    *,
    steps: int,
    check_every: int,
    eval_samples: int,
) -> Look:
    """Train on from a look, ``steps`` further, looking every ``check_every`` steps.

    Between two looks nothing is carried but the tensors and S, so it does not matter
    where a training is cut into segments, as long as it is cut at looks.

    Raises:
        ValueError: If steps are not whole looks, or the tensors do not fit the model.
    """
    if steps < 1 or steps % check_every:
        raise ValueError(
            f"steps must be a positive multiple of check_every, {check_every}, "
            f"got {steps}"
        )
    hpp = initialization.hpp
    _check_tensors(
        start.tensors, _shapes(hpp.architecture, hpp.optimizer, _shape(data))
    )
    device = data.images.device
    hyper = jax.device_put(hyper_of(initialization), device)
    examples = data.images.shape[0]
    adam = hpp.optimizer == "adam"
    state: Any = jax.device_put(_state_of(start, examples, adam), device)
    curve: Any = None
    for _ in range(steps // check_every):
        state, curve = _advance(
            state,
            hyper,
            data.images,
            data.labels,
            np.int32(check_every),
            bucket=Bucket(hpp.architecture, hpp.batch_size),
            classes=data.classes,
            eval_samples=eval_samples,
        )
    return Look(
        _tensors_of(state, hpp.optimizer), int(curve.correct), start.steps + steps
    )


@pinned()
def count_correct(model: Model, data: TrainingSet) -> int:
    """How many examples a model classifies correctly (publishers: the test set)."""
    start = Look(model.parameters, 0, 0)
    return int(
        _count(
            _state_of(start, 1, adam=False).parameters,
            data.images,
            data.labels,
            architecture=model.hpp.architecture,
            classes=data.classes,
        )
    )


@partial(jax.jit, static_argnames=("architecture", "classes"))
def _count(parameters, images, labels, *, architecture: str, classes: int):
    network = build_network(architecture, classes)
    return look(parameters, images, labels, network=network).correct


@partial(jax.jit, static_argnames=("data", "architecture", "adam"))
def _initial(
    hyper: Hyper, *, data: tuple[int, ImageShape, int], architecture: str, adam: bool
) -> TrainState:
    examples, image_shape, classes = data
    return initial_state(
        build_network(architecture, classes),
        hyper,
        adam=adam,
        examples=examples,
        image_shape=image_shape,
    )


@partial(jax.jit, static_argnames=("bucket", "classes", "eval_samples"))
def _advance(
    state: TrainState,
    hyper: Hyper,
    images,
    labels,
    steps,
    *,
    bucket: Bucket,
    classes: int,
    eval_samples: int,
) -> tuple[TrainState, Curve]:
    network = build_network(bucket.architecture, classes)
    examples = images.shape[0]
    epoch = state.step // (examples // bucket.batch_size)
    state = state._replace(order=epoch_order(hyper.order_key, epoch, examples))

    state = train_steps(
        state,
        hyper,
        images,
        labels,
        steps,
        network=network,
        batch_size=bucket.batch_size,
    )
    if isinstance(state.memory, optax.TraceState):
        # What a checkpoint does not carry must not live on between looks either:
        # without momentum the buffer's sign of zero could still show.
        plain = hyper.momentum == 0
        kept = jax.tree.map(lambda x: jnp.where(plain, 0.0, x), state.memory.trace)
        state = state._replace(memory=optax.TraceState(trace=kept))
    sample = evaluation_sample(hyper, images, labels, eval_samples)
    return state, look(state.parameters, *sample, network=network)


def _tensors_of(state: TrainState, optimizer: str) -> Tensors:
    return {
        prefix + "/".join(str(key.key) for key in path): np.asarray(leaf)
        for prefix, tree in _trees(state, optimizer).items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _trees(state: TrainState, optimizer: str) -> dict[str, Any]:
    trees: dict[str, Any] = {_PARAMETERS: state.parameters}
    memory: Any = state.memory
    if optimizer == "momentum":
        trees[_MOMENTUM] = memory.trace
    if optimizer == "adam":
        trees |= {_MU: memory.mu, _NU: memory.nu}
    return trees


def _state_of(start: Look, examples: int, adam: bool) -> TrainState:
    def tree(prefix: str) -> dict:
        nested: dict = {}
        for name, values in parameters_of(start.tensors).items():
            *layers, last = name.removeprefix(_PARAMETERS).split("/")
            place = nested
            for layer in layers:
                place = place.setdefault(layer, {})
            own = start.tensors.get(prefix + name.removeprefix(_PARAMETERS))
            place[last] = np.zeros_like(values) if own is None else own
        return nested

    steps: Any = np.int32(start.steps)
    order: Any = np.zeros(examples, np.int32)
    memory: Any = optax.TraceState(trace=tree(_MOMENTUM))
    if adam:
        memory = optax.ScaleByAdamState(count=steps, mu=tree(_MU), nu=tree(_NU))
    return TrainState(tree(_PARAMETERS), memory, order, steps)


def _check_tensors(tensors: Tensors, shapes: dict[str, tuple[int, ...]]) -> None:
    for name in sorted(set(tensors) ^ set(shapes)):
        problem = "is missing" if name in shapes else "does not belong to the model"
        raise ValueError(f"tensor {name!r} {problem}")
    for name, shape in shapes.items():
        given = tensors[name]
        if given.shape != shape or given.dtype != np.float32:
            raise ValueError(
                f"tensor {name!r} must be float32 of shape {shape}, got "
                f"{given.dtype} of shape {given.shape}"
            )


@cache
def _shapes(
    architecture: str, optimizer: str, data: tuple[int, ImageShape, int]
) -> dict[str, tuple[int, ...]]:
    examples, image_shape, classes = data
    start = partial(
        initial_state,
        build_network(architecture, classes),
        adam=optimizer == "adam",
        examples=examples,
        image_shape=image_shape,
    )
    state: Any = jax.eval_shape(start, hyper_of(_ANY))
    return {
        prefix + "/".join(str(key.key) for key in path): leaf.shape
        for prefix, tree in _trees(state, optimizer).items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _shape(data: TrainingSet) -> tuple[int, ImageShape, int]:
    examples, *image_shape = data.images.shape
    return examples, tuple(image_shape), data.classes
