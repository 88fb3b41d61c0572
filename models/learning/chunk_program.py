"""The compiled program of a chunk: models of one bucket, trained side by side.

The numbers of runs and of looks are traced, so one program serves all of them.
"""

from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .architecture import ImageShape
from .looks import Curve
from .networks import build_network
from .training import (
    Buffers,
    Hyper,
    TrainState,
    buffers_of,
    initial_state,
    state_at,
    train_on,
)


class Bucket(NamedTuple):
    """Runs of equal shapes."""

    architecture: str
    batch_size: int


# A state at a look, by name: see ``training.buffers_of``. All are float32.
Tensors = Mapping[str, np.ndarray]


def stacked_buffers(shapes: Any, starts: Sequence[Tensors] | None, size: int) -> Any:
    """The runs' buffers as arrays [size, ...]; zeros where none are given."""
    names, leaves = zip(*named_leaves(shapes), strict=True)
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


def named_leaves(buffers: Any) -> list[tuple[str, Any]]:
    """The leaves by their paths: ``mu/Dense_0/kernel``."""
    return [
        ("/".join(str(key.key) for key in path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(buffers)
    ]


@cache
def shapes_of(bucket: Bucket, adam: bool, classes: int, image_shape: ImageShape) -> Any:
    """What ``buffers_of`` gives for a bucket's models, as shapes."""
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
def train_lanes(
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
    """Train ``groups`` groups of ``lanes`` models from look ``first`` to ``last``.

    Returns:
        Curves, [models, most_looks], 0 beyond what was trained; the states then.
    """
    network = build_network(bucket.architecture, classes)
    examples, *image_shape = images.shape
    step = first * check_every

    def state_of(hyper: Hyper, start: Buffers) -> TrainState:
        fresh = initial_state(
            network, hyper, adam=adam, examples=examples, image_shape=tuple(image_shape)
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
