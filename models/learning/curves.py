"""Many trainings: learning curves of runs drawn by their digests.

Runs are grouped into buckets of equal shapes (architecture, batch size). A bucket is
one compiled program for each optimizer's rule that takes any number of runs up to a
chunk's, and of looks; the runs go through it one after the other, ``lanes`` side by
side. With one lane a run's bits depend on nothing but its digest and the settings: not
on its neighbours, the chunk, the device count or the thread that ran it, nor on whether
its training was taken up again.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Int32, UInt8

from .architecture import Initialization, Menu, hash_to_architecture, run_digest
from .networks import build_network, step_operations
from .pins import pinned
from .training import (
    Buffers,
    Curve,
    Hyper,
    TrainState,
    buffers_of,
    hyper_of,
    initial_state,
    state_at,
    train_on,
)

# Curves come in arrays of so many looks, or of a multiple: the number of looks is then
# no part of a program, and a longer horizon does not need another one.
_LOOKS = 4096

# Runs between two returns to the host. Small, so that little is lost to an
# interruption and Ctrl-C is answered soon; a call's overhead is below a millisecond.
CHUNK_RUNS = 4


class CurveSettings(NamedTuple):
    """What fixes a curve beside its digest and the data.

    Attributes:
        check_every: e, training steps between two looks.
        horizon_steps: Steps a run is trained for; looks = horizon_steps // e.
        eval_samples: Training examples a look scores.
        lanes: Models trained side by side (vmap width). Bits depend on it.
    """

    check_every: int
    horizon_steps: int
    eval_samples: int
    lanes: int = 1

    @property
    def looks(self) -> int:
        """Looks a run."""
        return self.horizon_steps // self.check_every


class Bucket(NamedTuple):
    """Runs of equal shapes."""

    architecture: str
    batch_size: int


class TrainingSet(NamedTuple):
    """D on a device: pixels as bytes, labels as int32.

    ``classes`` is static: the networks' output width.
    """

    images: UInt8[Array, "examples h w"]
    labels: Int32[Array, " examples"]
    classes: int


# A state at a look, by name: see ``training.buffers_of``. All are float32.
Tensors = Mapping[str, np.ndarray]


class Extended(NamedTuple):
    """What a chunk of trainings came to.

    Attributes:
        curve: The looks behind the first ones, NumPy [runs, looks].
        states: What each run can be taken up from at the last look, if it was kept.
    """

    curve: Curve
    states: tuple[Tensors, ...] | None


class CurveSet(NamedTuple):
    """Learning curves of runs, ordered by run.

    Attributes:
        initializations: HtoA of each run's digest.
        steps: Training steps at the looks.
        correct: Correct examples among ``eval_samples`` at each look.
        loss: Mean cross-entropy at each look, nats.
        eval_samples: Examples scored a look.
        population: Training examples they were drawn from.
    """

    initializations: tuple[Initialization, ...]
    steps: Int[np.ndarray, " looks"]
    correct: Int[np.ndarray, "runs looks"]
    loss: Float[np.ndarray, "runs looks"]
    eval_samples: int
    population: int

    @property
    def accuracy(self) -> Float[np.ndarray, "runs looks"]:
        """acc_i(t) = correct / eval_samples."""
        return self.correct / self.eval_samples


def training_set(
    images: UInt8[np.ndarray, "examples h w"],
    labels: UInt8[np.ndarray, " examples"],
    device: jax.Device | None = None,  # pyright: ignore
) -> TrainingSet:
    """Put a data set on a device."""
    return TrainingSet(
        images=jax.device_put(images, device),
        labels=jax.device_put(labels.astype(np.int32), device),
        classes=int(labels.max()) + 1,
    )


def draw_runs(seed: int, runs: int, menu: Menu) -> tuple[Initialization, ...]:
    """HtoA of the first ``runs`` digests of a seed."""
    return tuple(hash_to_architecture(run_digest(seed, i), menu) for i in range(runs))


def chunk_size(lanes: int) -> int:
    """Most runs of a chunk: ``CHUNK_RUNS``, rounded up to whole groups of lanes."""
    return _padded(CHUNK_RUNS, lanes)


def chunk_runs(
    initializations: Sequence[Initialization], todo: Sequence[int], lanes: int = 1
) -> Iterator[tuple[Bucket, list[int]]]:
    """Split the runs still to do into chunks that share a program.

    The largest programs come first, so that no core is left alone with a long one.
    """
    programs: dict[tuple[Bucket, bool], list[int]] = {}
    for run in todo:
        hpp = initializations[run].hpp
        bucket = Bucket(hpp.architecture, hpp.batch_size)
        programs.setdefault((bucket, hpp.optimizer == "adam"), []).append(run)
    for program in sorted(programs, key=_work, reverse=True):
        runs, bucket = programs[program], program[0]
        for start in range(0, len(runs), chunk_size(lanes)):
            yield bucket, runs[start : start + chunk_size(lanes)]


def train_chunk(
    bucket: Bucket,
    initializations: Sequence[Initialization],
    data: TrainingSet,
    settings: CurveSettings,
) -> Curve:
    """Train up to ``chunk_size(settings.lanes)`` runs of one bucket.

    Args:
        bucket: Their architecture and batch size.
        initializations: HtoA of the runs.
        data: The training set, on the device that is to do the work.
        settings: Looks, horizon, evaluation sample, lanes.

    Returns:
        NumPy arrays [runs, looks].

    Raises:
        ValueError: If there are no runs or too many, or one of another bucket, or if
            a setting is out of range.
    """
    return extend_chunk(bucket, initializations, data, settings).curve


@pinned()
def extend_chunk(
    bucket: Bucket,
    initializations: Sequence[Initialization],
    data: TrainingSet,
    settings: CurveSettings,
    *,
    first: int = 0,
    starts: Sequence[Tensors] | None = None,
    keep: bool = False,
) -> Extended:
    """Train runs of one bucket on from a look that all of them have reached.

    With one lane the looks' bits, and those of the state behind them, are the ones of a
    training that was never interrupted.

    Args:
        bucket: Their architecture and batch size.
        initializations: HtoA of the runs, up to ``chunk_size(settings.lanes)``.
        data: The training set, on the device that is to do the work.
        settings: Looks, horizon, evaluation sample, lanes.
        first: Looks that were done before; 0: train from initM.
        starts: What ``Extended.states`` was there, one a run.
        keep: Whether to return the states at the horizon.

    Returns:
        The looks behind the first ones, and the states.

    Raises:
        ValueError: As ``train_chunk``, or if there is nothing left to train, or if the
            states are not those of such models.
    """
    _check_settings(settings)
    if not 0 <= first < settings.looks:
        raise ValueError(f"first must be from 0 to {settings.looks - 1}, got {first}")
    if (starts is None) != (first == 0) or (
        starts is not None and len(starts) != len(initializations)
    ):
        raise ValueError("starts must be one state a run if first > 0, else None")
    size = chunk_size(settings.lanes)
    if not 1 <= len(initializations) <= size:
        raise ValueError(f"a chunk has 1 to {size} runs, got {len(initializations)}")
    for hpp, _, _ in initializations:
        if (hpp.architecture, hpp.batch_size) != bucket:
            raise ValueError(f"a run of {hpp} does not belong to {bucket}")
    adam = np.array([run.hpp.optimizer == "adam" for run in initializations])
    shape = len(initializations), settings.looks - first
    curve = Curve(np.empty(shape, np.int32), np.empty(shape, np.float32))  # pyright: ignore
    states: list[Tensors] = [{}] * len(initializations)
    for rule in np.unique(adam):
        places = np.flatnonzero(adam == rule).tolist()
        some = [initializations[place] for place in places]
        begin = None if starts is None else [starts[place] for place in places]
        found, buffers = _train_alike(
            bucket, bool(rule), some, data, settings, first, begin
        )
        for whole, part in zip(curve, found, strict=True):
            whole[places] = part  # pyright: ignore
        if keep:
            named = {name: np.asarray(leaf) for name, leaf in _named(buffers)}
            for i, place in enumerate(places):
                states[place] = {name: leaf[i] for name, leaf in named.items()}
    return Extended(curve, tuple(states) if keep else None)


def _train_alike(
    bucket: Bucket,
    adam: bool,
    initializations: Sequence[Initialization],
    data: TrainingSet,
    settings: CurveSettings,
    first: int,
    starts: Sequence[Tensors] | None,
) -> tuple[Curve, Any]:
    runs, size = len(initializations), chunk_size(settings.lanes)
    # Absent runs repeat the first; the loop's trip count leaves them out.
    padded = [*initializations, *[initializations[0]] * (size - runs)]
    columns = zip(*map(hyper_of, padded), strict=True)
    stacked = Hyper(*map(np.stack, columns))  # pyright: ignore
    image_shape: Any = data.images.shape[1:]
    shapes = _shapes_of(bucket, adam, data.classes, image_shape)
    buffers = _stacked(shapes, starts, size)
    device = data.images.device
    curve, buffers = _train_chunk(
        jax.device_put(stacked, device),
        jax.device_put(buffers, device),
        data.images,
        data.labels,
        np.int32(_padded(runs, settings.lanes) // settings.lanes),
        np.int32(first),
        np.int32(settings.looks),
        bucket=bucket,
        adam=adam,
        classes=data.classes,
        check_every=settings.check_every,
        most_looks=_padded(settings.looks, _LOOKS),
        eval_samples=settings.eval_samples,
        lanes=settings.lanes,
    )
    looks = settings.looks - first
    return jax.tree.map(lambda x: np.asarray(x)[:runs, :looks], curve), buffers


def _stacked(shapes: Any, starts: Sequence[Tensors] | None, size: int) -> Any:
    """The runs' buffers as arrays [size, ...]; zeros where none are given."""
    names, leaves = zip(*_named(shapes), strict=True)
    rows = [np.zeros((size, *leaf.shape), np.float32) for leaf in leaves]
    for run, tensors in enumerate(starts or ()):
        if set(tensors) != set(names):
            raise ValueError(
                f"a state must have the tensors {', '.join(sorted(names))}, got "
                f"{', '.join(sorted(tensors))}"
            )
        for name, row in zip(names, rows, strict=True):
            given = tensors[name]
            if given.shape != row.shape[1:] or given.dtype != np.float32:
                raise ValueError(
                    f"tensor {name!r} must be float32 of shape {row.shape[1:]}, got "
                    f"{given.dtype} of shape {given.shape}"
                )
            row[run] = given
    return jax.tree.unflatten(jax.tree.structure(shapes), rows)


def _named(buffers: Any) -> list[tuple[str, Any]]:
    """The leaves by their paths: ``mu/Dense_0/kernel``."""
    return [
        ("/".join(str(key.key) for key in path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(buffers)
    ]


@cache
def _shapes_of(
    bucket: Bucket, adam: bool, classes: int, image_shape: tuple[int, int]
) -> Any:
    nothing: Any = Hyper(
        *[np.float32(0)] * 3,  # pyright: ignore
        *[np.zeros(2, np.uint32)] * 3,  # pyright: ignore
    )
    start = partial(
        initial_state,
        build_network(bucket.architecture, classes),
        adam=adam,
        examples=0,
        image_shape=image_shape,
    )
    return jax.eval_shape(lambda hyper: buffers_of(start(hyper)), nothing)


@partial(
    jax.jit,
    static_argnames=(
        "bucket",
        "adam",
        "classes",
        "check_every",
        "most_looks",
        "eval_samples",
        "lanes",
    ),
)
def _train_chunk(
    hypers: Hyper,
    starts: Buffers,
    images,
    labels,
    groups,
    first,
    last,
    *,
    bucket: Bucket,
    adam,
    classes,
    check_every,
    most_looks,
    eval_samples,
    lanes,
) -> tuple[Curve, Buffers]:
    network = build_network(bucket.architecture, classes)
    examples, height, width = images.shape
    step = first * check_every

    def state_of(hyper: Hyper, start: Buffers) -> TrainState:
        fresh = initial_state(
            network, hyper, adam=adam, examples=examples, image_shape=(height, width)
        )
        buffers = jax.tree.map(
            lambda new, kept: jnp.where(first == 0, new, kept), buffers_of(fresh), start
        )
        return state_at(buffers, step, examples=examples)

    def train(hyper: Hyper, start: Buffers) -> tuple[Curve, Buffers]:
        state, curve = train_on(
            state_of(hyper, start),
            hyper,
            images,
            labels,
            last - first,
            network=network,
            batch_size=bucket.batch_size,
            check_every=check_every,
            most_looks=most_looks,
            eval_samples=eval_samples,
        )
        return curve, buffers_of(state)

    def grouped(tree):
        return jax.tree.map(lambda x: x.reshape(-1, lanes, *x.shape[1:]), tree)

    def body(group, results):
        mine = jax.tree.map(lambda x: x[group], (grouped(hypers), results[1]))
        if lanes == 1:
            # Without vmap the bits are those of the single program that proofs of
            # training are checked with.
            found = train(*jax.tree.map(lambda x: x[0], mine))
            found = jax.tree.map(lambda x: x[None], found)
        else:
            found = jax.vmap(train)(*mine)
        return jax.tree.map(lambda all_, new: all_.at[group].set(new), results, found)

    shape = (hypers.learning_rate.shape[0] // lanes, lanes, most_looks)
    empty = Curve(jnp.zeros(shape, jnp.int32), jnp.zeros(shape, jnp.float32))
    results = lax.fori_loop(0, groups, body, (empty, grouped(starts)))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results)


def _work(program: tuple[Bucket, bool]) -> tuple[int, tuple[Bucket, bool]]:
    # Operations a step. Only the order counts, so a nominal image will do.
    bucket, _ = program
    operations = step_operations(bucket.architecture, (28, 28), classes=10)
    return bucket.batch_size * operations, program


def _check_settings(settings: CurveSettings) -> None:
    for name in ("check_every", "lanes"):
        if getattr(settings, name) < 1:
            raise ValueError(f"{name} must be ≥ 1, got {getattr(settings, name)}")
    if settings.looks < 1:
        raise ValueError(
            f"horizon_steps must be at least check_every, {settings.check_every}, "
            f"got {settings.horizon_steps}"
        )


def _padded(runs: int, lanes: int) -> int:
    return -(-runs // lanes) * lanes
