"""Many trainings: learning curves of runs drawn by their digests.

Runs are grouped into buckets of equal shapes (architecture, batch size). A bucket is
one compiled program for each optimizer's rule that takes any number of runs up to a
chunk's, and of looks; the runs go through it one after the other, ``lanes`` side by
side. With one lane a run's bits depend on nothing but its digest and the settings: not
on its neighbours, the chunk, the device count or the thread that ran it, nor on whether
its training was taken up again.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Int32, UInt8

from .architecture import Initialization, Menu, hash_to_architecture, run_digest
from .chunk_program import (
    Bucket,
    Tensors,
    named_leaves,
    shapes_of,
    stacked_buffers,
    train_lanes,
)
from .looks import Curve
from .networks import step_operations
from .pins import pinned
from .training import (
    Hyper,
    hyper_of,
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


class TrainingSet(NamedTuple):
    """D on a device: pixels as bytes, labels as int32.

    ``classes`` is static: the networks' output width.
    """

    images: UInt8[Array, "examples h w *c"]
    labels: Int32[Array, " examples"]
    classes: int


class Extended(NamedTuple):
    """What a chunk of trainings came to.

    Attributes:
        curve: The looks after the first ones, NumPy [runs, looks].
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
        step_costs: What a step of each run took, in the mean run's, where the curves
            were logged elsewhere with their costs; None: not known with the curves.
        logged: Looks up to which each run was logged, whose last accuracy stands from
            there on; None: all of them.
    """

    initializations: tuple[Initialization, ...]
    steps: Int[np.ndarray, " looks"]
    correct: Int[np.ndarray, "runs looks"]
    loss: Float[np.ndarray, "runs looks"]
    eval_samples: int
    population: int
    step_costs: Float[np.ndarray, " runs"] | None = None
    logged: Int[np.ndarray, " runs"] | None = None

    @property
    def accuracy(self) -> Float[np.ndarray, "runs looks"]:
        """acc_i(t) = correct / eval_samples."""
        return self.correct / self.eval_samples


def training_set(
    images: UInt8[np.ndarray, "examples h w *c"],
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

    With one lane the looks' bits, and those of the state after them, are the ones of a
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
        The looks after the first ones, and the states.

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
            named = {name: np.asarray(leaf) for name, leaf in named_leaves(buffers)}
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
    shapes = shapes_of(bucket, adam, data.classes, image_shape)
    buffers = stacked_buffers(shapes, starts, size)
    device = data.images.device
    curve, buffers = train_lanes(
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
