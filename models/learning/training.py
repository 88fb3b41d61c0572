"""Train(D, T_acc, initM, r): one model's training, as a function of its seeds.

Notation ([SLT23] §3.2):
    D            training set              ``images``, ``labels``
    hpp, initLP  from HtoA                 ``Hyper`` (traced), ``network`` (static)
    r            training randomness       ``order_key``, ``eval_key``
    S            step number               ``TrainState.step``
    acc          training accuracy         correct / eval_samples

Everything is written for one model. The shapes (architecture, batch size, number of
looks) and the optimizer's rule are static; hyper-parameters and seeds are traced, so
one compilation serves every model of a bucket under a rule. A training never stops at
a threshold: it records every look, so one run gives the first-passage time of every
T_acc.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, Shaped, UInt8, UInt32

from .architecture import ImageShape, Initialization
from .looks import Curve, cross_entropy, look, pixels
from .networks import initial_parameters
from .orders import epoch_order, key_of, order_of


class Hyper(NamedTuple):
    """The traced half of an initialization: numbers and seeds, no shapes.

    Attributes:
        learning_rate: η.
        momentum: μ of the heavy ball; 0 is plain SGD.
        init_scale: Factor on the initial weights.
        init_key: Seed of initLP, two words.
        order_key: Seed of the batch order, two words.
        eval_key: Seed of the evaluation sample, two words.
    """

    learning_rate: Float[Array, "*lanes"]
    momentum: Float[Array, "*lanes"]
    init_scale: Float[Array, "*lanes"]
    init_key: UInt32[Array, "*lanes 2"]
    order_key: UInt32[Array, "*lanes 2"]
    eval_key: UInt32[Array, "*lanes 2"]


class TrainState(NamedTuple):
    """What the next step needs.

    Attributes:
        parameters: lp, the learnable parameters.
        memory: The optimizer's: Optax's ``TraceState`` (sgd and momentum) or
            ``ScaleByAdamState``.
        order: This epoch's permutation of the training examples.
        step: S, steps done.
    """

    parameters: PyTree[Float[Array, "..."]]
    memory: optax.TraceState | optax.ScaleByAdamState
    order: Int[Array, " examples"]
    step: Int[Array, ""]


# A state's parameters and the optimizer's memory, by name: see ``buffers_of``.
Buffers = dict[str, PyTree[Float[Array, "..."]]]


def hyper_of(initialization: Initialization) -> Hyper:
    """The traced numbers of an initialization (NumPy scalars, to be stacked)."""
    hpp, init_seed, r = initialization
    return Hyper(
        learning_rate=np.float32(hpp.learning_rate),  # pyright: ignore
        momentum=np.float32(hpp.momentum),  # pyright: ignore
        init_scale=np.float32(hpp.init_scale),  # pyright: ignore
        init_key=_words(init_seed),  # pyright: ignore
        order_key=_words(r[:8]),  # pyright: ignore
        eval_key=_words(r[8:16]),  # pyright: ignore
    )


def initial_state(
    network: nn.Module,
    hyper: Hyper,
    *,
    adam: bool,
    examples: int,
    image_shape: ImageShape,
) -> TrainState:
    """initM: fresh weights, empty optimizer buffers, no step done."""
    parameters = initial_parameters(
        network, key_of(hyper.init_key), hyper.init_scale, image_shape=image_shape
    )
    return TrainState(
        parameters=parameters,
        memory=_rule(hyper, adam).init(parameters),  # pyright: ignore
        order=jnp.zeros(examples, jnp.int32),
        step=jnp.int32(0),
    )


def train_steps(
    state: TrainState,
    hyper: Hyper,
    images: Float[Array, "examples h w *c"] | UInt8[Array, "examples h w *c"],
    labels: Int[Array, " examples"],
    steps: int | Int[Array, ""],
    *,
    network: nn.Module,
    batch_size: int,
    taken_up_at: int | Int[Array, ""] = 0,
) -> TrainState:
    """Steps of mini-batch descent on the cross-entropy.

    Batches go through a fresh permutation of the training set every epoch; the last,
    incomplete batch of an epoch is left out. The permutation is a function of
    (order_key, epoch), so training can be taken up at any step.

    Args:
        state: Where training is; its memory says by which rule it goes on.
        hyper: Hyper-parameters and seeds of this model.
        images: All training images, as ``pixels`` takes them.
        labels: Their classes.
        steps: How many; traced.
        network: The Flax module.
        batch_size: Examples a step.
        taken_up_at: The step at which the state's order is not yet that of its epoch.

    Raises:
        ValueError: If a batch is larger than the training set.
    """
    examples = images.shape[0]
    if not 1 <= batch_size <= examples:
        raise ValueError(f"batch_size must be from 1 to {examples}, got {batch_size}")
    steps_an_epoch = examples // batch_size
    rule = _rule(hyper, isinstance(state.memory, optax.ScaleByAdamState))

    def one_step(_, state: TrainState, order) -> TrainState:
        place = state.step % steps_an_epoch * batch_size
        batch = lax.dynamic_slice(order, (place,), (batch_size,))
        # Bytes, not floats, are what is fetched from all over the training set.
        x = pixels(jnp.take(images, batch, axis=0, mode="clip"))
        y = jnp.take(labels, batch, mode="clip")

        def batch_loss(parameters):
            return cross_entropy(network.apply({"params": parameters}, x), y).mean()

        gradient = jax.grad(batch_loss)(state.parameters)
        updates, memory = rule.update(gradient, state.memory)
        parameters = jax.tree.map(
            lambda leaf, update: leaf - hyper.learning_rate * update,
            state.parameters,
            updates,
        )
        return state._replace(
            parameters=parameters,
            memory=memory,  # pyright: ignore
            step=state.step + 1,
        )

    def to_the_epochs_end(progress):
        # The order is no part of what the inner loop changes: XLA would copy it.
        state, left = progress
        epoch, place = state.step // steps_an_epoch, state.step % steps_an_epoch
        order = lax.cond(
            (place == 0) | (state.step == taken_up_at),
            lambda: epoch_order(hyper.order_key, epoch, examples),
            lambda: state.order,
        )
        count = jnp.minimum(left, steps_an_epoch - place)
        state = state._replace(order=jnp.zeros(0, jnp.int32))
        state = lax.fori_loop(0, count, partial(one_step, order=order), state)
        return state._replace(order=order), left - count

    progress = state, jnp.asarray(steps, jnp.int32)
    state, _ = lax.while_loop(lambda p: p[1] > 0, to_the_epochs_end, progress)
    return state


def train_curve(
    hyper: Hyper,
    images: Float[Array, "examples h w *c"] | UInt8[Array, "examples h w *c"],
    labels: Int[Array, " examples"],
    *,
    network: nn.Module,
    adam: bool,
    batch_size: int,
    check_every: int,
    looks: int,
    eval_samples: int,
) -> Curve:
    """Train one model for looks·check_every steps and look every check_every steps.

    Args:
        hyper: Hyper-parameters and seeds of this model.
        images: All training images, as ``pixels`` takes them.
        labels: Their classes.
        network: The Flax module.
        adam: Whether the rule is Adam's (β1 = .9, β2 = .999, ε = 1e-8), not the heavy
            ball's.
        batch_size: Examples a step.
        check_every: Steps between two looks.
        looks: Number of looks.
        eval_samples: Examples a look scores. All of them: exact accuracy. Fewer: a
            sample without replacement drawn from ``eval_key``, the same at every
            look of the run, so that noise shifts a run's threshold instead of giving
            each look a fresh chance to pass it by luck.

    Returns:
        The curve, [looks].

    Raises:
        ValueError: If ``eval_samples`` or ``batch_size`` is not within the examples.
    """
    state = initial_state(
        network,
        hyper,
        adam=adam,
        examples=images.shape[0],
        image_shape=images.shape[1:],
    )
    one_look = _one_look(
        hyper, images, labels, network, batch_size, check_every, eval_samples
    )
    _, curve = lax.scan(lambda state, _: one_look(state), state, None, length=looks)
    return curve


def train_on(
    state: TrainState,
    hyper: Hyper,
    images: Float[Array, "examples h w *c"] | UInt8[Array, "examples h w *c"],
    labels: Int[Array, " examples"],
    looks: Int[Array, ""],
    *,
    network: nn.Module,
    batch_size: int,
    check_every: int,
    most_looks: int,
    eval_samples: int,
) -> tuple[TrainState, Curve]:
    """Train one model on from a look, as far as is asked: ``train_curve``'s next looks.

    The order of the state's epoch is made anew, whatever the state has for it.

    One program serves every number of looks, and so a training that is taken up again
    has the bits of one that was never interrupted.

    Args:
        state: Where training is, at a look (or at its start).
        hyper: Hyper-parameters and seeds of this model.
        images: All training images, as ``pixels`` takes them.
        labels: Their classes.
        looks: How many more; traced.
        network: The Flax module.
        batch_size: Examples a step.
        check_every: Steps between two looks.
        most_looks: Length of the curve that is returned; ``looks`` must not be above.
        eval_samples: Examples a look scores.

    Returns:
        Where training is then, and the curve, [most_looks], 0 beyond ``looks``.

    Raises:
        ValueError: If ``eval_samples`` or ``batch_size`` is not within the examples.
    """
    one_look = _one_look(
        hyper,
        images,
        labels,
        network,
        batch_size,
        check_every,
        eval_samples,
        taken_up_at=state.step,
    )

    def next_look(place, progress):
        state, curve = progress
        state, seen = one_look(state)
        return state, jax.tree.map(lambda all_, x: all_.at[place].set(x), curve, seen)

    empty = Curve(jnp.zeros(most_looks, jnp.int32), jnp.zeros(most_looks, jnp.float32))
    return lax.fori_loop(0, looks, next_look, (state, empty))


def _one_look(
    hyper,
    images,
    labels,
    network,
    batch_size,
    check_every,
    eval_samples,
    taken_up_at: int | Array = 0,
) -> Callable[[TrainState], tuple[TrainState, Curve]]:
    """The steps from one look to the next, and that look."""
    sample, sample_labels = evaluation_sample(hyper, images, labels, eval_samples)
    sample = pixels(sample)
    train = partial(
        train_steps, network=network, batch_size=batch_size, taken_up_at=taken_up_at
    )

    def one_look(state: TrainState) -> tuple[TrainState, Curve]:
        state = train(state, hyper, images, labels, check_every)
        return state, look(state.parameters, sample, sample_labels, network=network)

    return one_look


def buffers_of(state: TrainState) -> Buffers:
    """What a training is taken up from, beside its hyper-parameters, r and S.

    The order of an epoch is a function of (order_key, epoch), and Adam's count is S.
    """
    memory = state.memory
    if isinstance(memory, optax.ScaleByAdamState):
        return {"parameters": state.parameters, "mu": memory.mu, "nu": memory.nu}
    return {"parameters": state.parameters, "trace": memory.trace}


def state_at(buffers: Buffers, step: Int[Array, ""], *, examples: int) -> TrainState:
    """The state after ``step`` steps from its ``buffers_of``, but for the order."""
    if "mu" in buffers:
        memory = optax.ScaleByAdamState(step, buffers["mu"], buffers["nu"])  # pyright: ignore
    else:
        memory = optax.TraceState(trace=buffers["trace"])
    order = jnp.zeros(examples, jnp.int32)
    return TrainState(buffers["parameters"], memory, order, step)


def evaluation_sample(
    hyper: Hyper,
    images: Shaped[Array, "examples h w *c"],
    labels: Int[Array, " examples"],
    eval_samples: int,
) -> tuple[Shaped[Array, "samples h w *c"], Int[Array, " samples"]]:
    """The training examples a run's looks score: all, or a sample by ``eval_key``.

    Raises:
        ValueError: If ``eval_samples`` is not within the examples.
    """
    examples = images.shape[0]
    if not 1 <= eval_samples <= examples:
        # More would be scored as all of them and counted as more: too low an accuracy.
        raise ValueError(
            f"eval_samples must be from 1 to {examples}, got {eval_samples}"
        )
    if eval_samples == examples:
        return images, labels
    bits = jax.random.bits(key_of(hyper.eval_key), (examples,))
    sample = order_of(bits)[:eval_samples]
    return images[sample], labels[sample]


def _words(seed: bytes) -> UInt32[np.ndarray, " 2"]:
    return np.frombuffer(seed, dtype=">u4").astype(np.uint32)


def _rule(hyper: Hyper, adam: bool) -> optax.GradientTransformation:
    """What turns gradients into directions; sgd is the heavy ball without momentum."""
    if adam:
        return optax.scale_by_adam()
    return optax.trace(decay=hyper.momentum)  # pyright: ignore
