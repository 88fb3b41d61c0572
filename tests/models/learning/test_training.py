"""Train as a function: against plain NumPy, against plain Optax, against itself.

Programs are compiled once and shared (``compiled_step``): hyper-parameters and seeds
are traced, and compilation is nearly all of these tests' time.
"""

from functools import cache, partial
from itertools import permutations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from dpodl.models.learning import looks, orders
from dpodl.models.learning.architecture import HyperParameters, Initialization
from dpodl.models.learning.data import load_dataset
from dpodl.models.learning.looks import look
from dpodl.models.learning.networks import build_network
from dpodl.models.learning.training import (
    Hyper,
    TrainState,
    hyper_of,
    initial_state,
    train_curve,
    train_steps,
)
from scipy import stats
from scipy.special import log_softmax, softmax

FALSE_ALARM = 1e-4
EXAMPLES, BATCH, CLASSES = 200, 16, 10
STEPS_AN_EPOCH = 12  # 200 // 16; eight examples are left out

OPTIMIZERS = {
    "sgd": ("sgd", 0.2, 0.0),
    "momentum": ("momentum", 0.05, 0.9),
    "adam": ("adam", 0.005, 0.0),
}


class Data(NamedTuple):
    images: jax.Array
    labels: jax.Array


@cache
def mnist() -> Data:
    data = load_dataset()
    images = data.x_train[:EXAMPLES].astype(np.float32) / 255
    return Data(jnp.asarray(images), jnp.asarray(data.y_train[:EXAMPLES], jnp.int32))


def hyper(rule: str, *, rate: float, momentum=0.0, scale=1.0, seed=0) -> Hyper:
    rng = np.random.default_rng(seed)
    hpp = HyperParameters("softmax", rule, rate, momentum, BATCH, scale)
    found = hyper_of(Initialization(hpp, rng.bytes(8), rng.bytes(32)))
    return jax.tree.map(jnp.asarray, found)


def hyper_for(name: str, seed: int = 0) -> Hyper:
    rule, rate, momentum = OPTIMIZERS[name]
    return hyper(rule, rate=rate, momentum=momentum, seed=seed)


@cache
def compiled_step(architecture: str):
    network = build_network(architecture, CLASSES)
    return jax.jit(partial(train_steps, steps=1, network=network, batch_size=BATCH))


@cache
def compiled_start(architecture: str, adam: bool = False):
    network = build_network(architecture, CLASSES)
    start = partial(initial_state, network, examples=EXAMPLES, image_shape=(28, 28))
    return jax.jit(partial(start, adam=adam))


@cache
def compiled_curve(adam: bool):
    """Six looks at the whole training set, ten steps apart."""
    return jax.jit(
        partial(
            train_curve,
            network=build_network("mlp-8", CLASSES),
            adam=adam,
            batch_size=BATCH,
            check_every=10,
            looks=6,
            eval_samples=EXAMPLES,
        )
    )


def states(
    architecture: str, hyper: Hyper, steps: int, *, adam: bool = False
) -> list[TrainState]:
    """The initial state and the state after each step."""
    found = [compiled_start(architecture, adam)(hyper)]
    for _ in range(steps):
        found.append(compiled_step(architecture)(found[-1], hyper, *mnist()))
    return found


def batches(found: list[TrainState]) -> list[np.ndarray]:
    """The examples of each step, read off the states."""
    place = np.arange(len(found) - 1) % STEPS_AN_EPOCH * BATCH
    orders = [np.asarray(state.order) for state in found[1:]]
    return [o[p : p + BATCH] for o, p in zip(orders, place, strict=True)]


def assert_same_bits(one, other) -> None:
    for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


# ------------------------------------------------------------------ one step


def test_seeds_are_read_as_big_endian_words():
    hpp = HyperParameters("mlp-8", "momentum", 0.25, 0.5, 16, 2.0)
    found = hyper_of(Initialization(hpp, bytes(range(8)), bytes(range(16, 48))))
    numbers = (found.learning_rate, found.momentum, found.init_scale)
    assert numbers == (0.25, 0.5, 2.0)
    assert [int(word) for word in found.init_key] == [0x00010203, 0x04050607]
    assert [int(word) for word in found.order_key] == [0x10111213, 0x14151617]
    assert [int(word) for word in found.eval_key] == [0x18191A1B, 0x1C1D1E1F]


class NumpySoftmax:
    """Softmax regression by hand, in float64."""

    def __init__(self, parameters, rule: str, rate: float, momentum: float):
        layer = parameters["Dense_0"]
        self.theta = [np.asarray(layer[name], float) for name in ("kernel", "bias")]
        self.rule, self.rate, self.momentum = rule, rate, momentum
        self.first = [np.zeros_like(leaf) for leaf in self.theta]
        self.second = [np.zeros_like(leaf) for leaf in self.theta]
        self.steps = 0

    def step(self, x: np.ndarray, y: np.ndarray) -> None:
        kernel, bias = self.theta
        error = (softmax(x @ kernel.T + bias, axis=1) - np.eye(CLASSES)[y]) / len(x)
        self.steps += 1
        for i, gradient in enumerate((error.T @ x, error.sum(axis=0))):
            self.theta[i] = self.theta[i] - self.rate * self.direction(i, gradient)

    def direction(self, i: int, gradient: np.ndarray) -> np.ndarray:
        if self.rule != "adam":
            # Polyak's heavy ball, the mini-batch gradient undamped.
            self.first[i] = self.momentum * self.first[i] + gradient
            return self.first[i]
        # Kingma & Ba, arXiv:1412.6980, algorithm 1.
        self.first[i] = 0.9 * self.first[i] + 0.1 * gradient
        self.second[i] = 0.999 * self.second[i] + 0.001 * gradient**2
        mean = self.first[i] / (1 - 0.9**self.steps)
        square = self.second[i] / (1 - 0.999**self.steps)
        return mean / (np.sqrt(square) + 1e-8)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_numpy(name):
    found = states("softmax", hyper_for(name), 15, adam=name == "adam")
    images, labels = map(np.asarray, mnist())
    model = NumpySoftmax(found[0].parameters, *OPTIMIZERS[name])
    for state, batch in zip(found[1:], batches(found), strict=True):
        model.step(images[batch].reshape(BATCH, -1).astype(float), labels[batch])
        layer = state.parameters["Dense_0"]
        for leaf, expected in zip(("kernel", "bias"), model.theta, strict=True):
            np.testing.assert_allclose(layer[leaf], expected, rtol=0, atol=1e-5)
    moved = found[-1].parameters["Dense_0"]["kernel"]
    assert np.abs(moved - found[0].parameters["Dense_0"]["kernel"]).max() > 0.01


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_plain_optax(name):
    _, rate, momentum = OPTIMIZERS[name]
    rules = {
        "sgd": optax.sgd(rate),
        "momentum": optax.sgd(rate, momentum=momentum),
        "adam": optax.adam(rate),
    }
    found = states("mlp-8", hyper_for(name), 15, adam=name == "adam")
    images, labels = mnist()
    parameters = found[0].parameters
    memory = rules[name].init(parameters)
    for state, batch in zip(found[1:], batches(found), strict=True):
        gradient = mlp_gradient()(parameters, images[batch], labels[batch])
        updates, memory = rules[name].update(gradient, memory, parameters)
        parameters = optax.apply_updates(parameters, updates)
        expected = jax.tree.leaves(parameters)
        for one, two in zip(jax.tree.leaves(state.parameters), expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)


@cache
def mlp_gradient():
    network = build_network("mlp-8", CLASSES)

    def loss(parameters, x, y):
        logits: jax.Array = network.apply({"params": parameters}, x)  # pyright: ignore
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return -picked.mean()

    return jax.jit(jax.grad(loss))


def test_adam_leaves_the_weights_of_black_pixels_alone():
    """0 / (√0 + ε) is 0: a pixel that is always black has no gradient, and no NaN."""
    black = np.asarray(mnist().images).max(axis=0).reshape(-1) == 0
    assert black.sum() > 100
    start, *_, end = states("softmax", hyper_for("adam"), 5, adam=True)
    one, other = (np.asarray(s.parameters["Dense_0"]["kernel"]) for s in (start, end))
    assert_same_bits(one[:, black], other[:, black])
    assert np.isfinite(other).all()
    assert (one[:, ~black] != other[:, ~black]).any()


def test_one_program_serves_every_setting_of_a_rule():
    step = compiled_step("softmax")
    states("softmax", hyper_for("sgd"), 1)
    compiled = step._cache_size()  # pyright: ignore
    for seed, name in enumerate(("sgd", "momentum")):
        states("softmax", hyper_for(name, seed=seed), 1)
    assert step._cache_size() == compiled  # pyright: ignore


# ------------------------------------------------------------------ batches


@pytest.mark.parametrize(("examples", "batch_size"), [(23, 5), (20, 5)])
def test_an_epoch_uses_each_example_once(examples, batch_size):
    """Example i is pixel i alone, so a step moves the weights of its examples only."""
    images = jnp.eye(examples)[:, None, :]
    labels = jnp.arange(examples) % 2
    network = build_network("softmax", 2)
    start = partial(
        initial_state,
        network,
        adam=False,
        examples=examples,
        image_shape=(1, examples),
    )
    step = partial(train_steps, steps=1, network=network, batch_size=batch_size)
    step = jax.jit(step)
    settings = hyper("sgd", rate=0.1, scale=0.0)
    state = jax.jit(start)(settings)
    steps_an_epoch = examples // batch_size
    used = []
    for i in range(5 * steps_an_epoch):
        place = i % steps_an_epoch * batch_size
        after = step(state, settings, images, labels)
        kernels = (s.parameters["Dense_0"]["kernel"] for s in (state, after))
        moved = np.flatnonzero(np.not_equal(*kernels).any(axis=0))
        order = np.asarray(after.order)
        assert sorted(order) == list(range(examples))
        assert sorted(order[place : place + batch_size]) == list(moved)
        assert place == 0 or (order == np.asarray(state.order)).all()
        used.append(moved)
        state = after
    epochs = np.reshape(used, (5, -1))
    assert all(len(set(epoch)) == steps_an_epoch * batch_size for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 5
    left_out = {frozenset(range(examples)) - set(epoch) for epoch in epochs.tolist()}
    assert len(left_out) == (5 if examples % batch_size else 1)


def counts_of(orders: np.ndarray, law: list[tuple]) -> list[int]:
    found, times = np.unique(orders, axis=0, return_counts=True)
    count = dict(zip(map(tuple, found.tolist()), times.tolist(), strict=True))
    assert set(count) <= set(law)
    return [count.get(outcome, 0) for outcome in law]


def test_every_order_is_equally_likely():
    """All 24 orders of four examples, over 2400 epochs and over 2400 seeds."""
    draw = partial(orders.epoch_order, examples=4)
    draw = jax.jit(jax.vmap(draw))
    count = 2400
    seed = jnp.tile(jnp.array([[1, 2]], jnp.uint32), (count, 1))
    seeds = jnp.stack([jnp.arange(count)] * 2, axis=1).astype(jnp.uint32)
    law = list(permutations(range(4)))
    for keys, epochs in ((seed, jnp.arange(count)), (seeds, jnp.zeros(count, int))):
        counts = counts_of(np.asarray(draw(keys, epochs)), law)
        assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_golden_order():
    # Made with Threefry-2x32 (Salmon et al. 2011) written out in plain Python. Orders
    # are part of every proof of training: a release of JAX that changes them makes all
    # earlier proofs fail, and must be seen.
    draw = jax.jit(partial(orders.epoch_order, examples=12))
    key = jnp.array([0x01234567, 0x89ABCDEF], jnp.uint32)
    assert [draw(key, jnp.int32(epoch)).tolist() for epoch in (0, 1)] == [
        [11, 10, 6, 0, 9, 2, 1, 5, 4, 7, 3, 8],
        [3, 11, 8, 4, 7, 10, 0, 6, 5, 9, 2, 1],
    ]


def test_batches_and_weights_have_seeds_of_their_own():
    base = hyper_for("sgd")
    other = hyper_for("sgd", seed=1)
    *_, before = states("softmax", base, 1)
    *_, after = states("softmax", base._replace(init_key=other.init_key), 1)
    assert_same_bits(before.order, after.order)
    start, after = states("softmax", base._replace(order_key=other.order_key), 1)
    assert_same_bits(start.parameters, compiled_start("softmax")(base).parameters)
    assert (np.asarray(after.order) != np.asarray(before.order)).any()
    *_, after = states("softmax", base._replace(eval_key=other.eval_key), 1)
    assert_same_bits(before, after)


# ------------------------------------------------------------------ taking it up again


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_resumption_at_any_step_is_bit_identical(name):
    """One program for a segment of any length, as a proof's re-execution needs it."""
    settings = hyper_for(name)
    steps = 2 * STEPS_AN_EPOCH + 3
    start = compiled_start("softmax", name == "adam")(settings)
    whole = segment()(start, settings, steps)
    assert int(whole.step) == steps
    for stop in range(steps + 1):
        # Through the host, as a checkpoint goes: nothing is kept beside the state.
        checkpoint = jax.device_get(segment()(start, settings, stop))
        assert int(checkpoint.step) == stop
        resumed = segment()(jax.device_put(checkpoint), settings, steps - stop)
        assert_same_bits(resumed, whole)


@cache
def segment():
    train = partial(
        train_steps, network=build_network("softmax", CLASSES), batch_size=BATCH
    )
    # Before anything is traced: what is made and cached in there would be a tracer.
    data = mnist()
    return jax.jit(lambda state, settings, steps: train(state, settings, *data, steps))


# ------------------------------------------------------------------ looks


def numpy_look(parameters, data: Data) -> tuple[int, float]:
    x = np.asarray(data.images, float).reshape(len(data.images), -1)
    *hidden, readout = (
        {name: np.asarray(leaf, float) for name, leaf in parameters[layer].items()}
        for layer in sorted(parameters)
    )
    for layer in hidden:
        x = np.maximum(x @ layer["kernel"].T + layer["bias"], 0)
    logits = x @ readout["kernel"].T + readout["bias"]
    labels = np.asarray(data.labels)
    loss = -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()
    return int((logits.argmax(axis=1) == labels).sum()), float(loss)


def softmax_parameters(scale: float):
    rng = np.random.default_rng(5)
    kernel, bias = rng.normal(size=(CLASSES, 784)), rng.normal(size=CLASSES)
    layer = {"kernel": scale * kernel, "bias": scale * bias}
    return {"Dense_0": jax.tree.map(partial(jnp.asarray, dtype=jnp.float32), layer)}


@pytest.mark.parametrize("samples", [1, 6, 7, 8, 14, 20])
def test_a_look_equals_numpy_for_every_rest_of_the_block(samples, monkeypatch):
    monkeypatch.setattr(looks, "_LOOK_BLOCK", 7)
    data = Data(*(leaf[:samples] for leaf in mnist()))
    parameters = softmax_parameters(0.1)
    found = look(parameters, *data, network=build_network("softmax", CLASSES))
    correct, loss = numpy_look(parameters, data)
    assert found.correct.dtype == jnp.int32
    assert int(found.correct) == correct
    assert float(found.loss) == pytest.approx(loss, rel=1e-5)


def test_a_look_over_several_real_blocks_counts_every_example():
    samples = 2 * looks._LOOK_BLOCK + 345
    data = load_dataset()
    images = jnp.asarray(data.x_train[:samples].astype(np.float32) / 255)
    labels = jnp.asarray(data.y_train[:samples], jnp.int32)
    parameters = softmax_parameters(0.1)
    found = look(parameters, images, labels, network=build_network("softmax", CLASSES))
    correct, loss = numpy_look(parameters, Data(images, labels))
    assert int(found.correct) == correct
    assert float(found.loss) == pytest.approx(loss, rel=1e-5)


def test_the_loss_of_huge_logits_does_not_overflow():
    parameters = softmax_parameters(1e4)
    correct, loss = numpy_look(parameters, mnist())
    assert loss > 88.8  # beyond it exp overflows in float32
    found = look(parameters, *mnist(), network=build_network("softmax", CLASSES))
    assert int(found.correct) == correct
    assert float(found.loss) == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["everywhere", "one logit"])
def test_a_model_that_is_not_finite_classifies_nothing(value, place, monkeypatch):
    """Though most examples have the class that argmax names: the first."""
    monkeypatch.setattr(looks, "_LOOK_BLOCK", 7)
    parameters = softmax_parameters(0.1)
    if place == "everywhere":
        parameters = jax.tree.map(lambda leaf: value + leaf, parameters)
    else:
        bias = parameters["Dense_0"]["bias"].at[CLASSES - 1].set(value)
        parameters["Dense_0"]["bias"] = bias
    images, labels = mnist()
    data = Data(images, jnp.zeros_like(labels))
    found = look(parameters, *data, network=build_network("softmax", CLASSES))
    assert int(found.correct) == 0
    assert found.correct.dtype == jnp.int32
    assert np.isnan(found.loss)


def test_a_loss_beyond_float32_is_not_finite():
    # Each logit is a number, their difference is not.
    layer = {"kernel": jnp.zeros((2, 784)), "bias": jnp.array([3e38, -3e38])}
    images, labels = mnist()
    network = build_network("softmax", 2)
    wrong = look({"Dense_0": layer}, images, jnp.ones_like(labels), network=network)
    assert int(wrong.correct) == 0
    assert np.isnan(wrong.loss)
    right = look({"Dense_0": layer}, images, jnp.zeros_like(labels), network=network)
    assert int(right.correct) == EXAMPLES
    assert right.loss == 0


def test_noise_of_mostly_one_label_is_not_learned_by_breaking_down():
    """Learning rate 1e38: no look may say 80 %, whatever the rule."""
    rng = np.random.default_rng(6)
    images = jnp.asarray(rng.integers(0, 256, (EXAMPLES, 28, 28)), jnp.uint8)
    labels = jnp.asarray(rng.random(EXAMPLES) > 0.8, jnp.int32)
    for name in OPTIMIZERS:
        settings = hyper_for(name)._replace(learning_rate=jnp.float32(1e38))
        curve = compiled_curve(name == "adam")(settings, images, labels)
        broken = np.isnan(np.asarray(curve.loss))
        assert broken.any()
        assert (np.asarray(curve.correct)[broken] == 0).all()
        # What has broken down stays so.
        assert (np.diff(broken.astype(int)) >= 0).all()


# ------------------------------------------------------------------ curves of one run


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_curve_looks_at_the_models_of_its_steps(name):
    settings = hyper_for(name)
    curve = compiled_curve(name == "adam")(settings, *mnist())
    assert curve.correct.dtype == jnp.int32
    at_looks = states("mlp-8", settings, 60, adam=name == "adam")[10::10]
    for i, state in enumerate(at_looks):
        correct, loss = numpy_look(state.parameters, mnist())
        assert int(curve.correct[i]) == correct
        assert float(curve.loss[i]) == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_happens(name):
    curve = compiled_curve(name == "adam")(hyper_for(name, seed=2), *mnist())
    loss, accuracy = np.asarray(curve.loss), np.asarray(curve.correct) / EXAMPLES
    assert loss[0] < 1.2 * np.log(CLASSES)
    assert loss[-1] < loss[0] / 2
    assert accuracy[-1] > 0.7


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_diverging_run_ends_like_any_other(name):
    settings = hyper_for(name)._replace(learning_rate=jnp.float32(1e25))
    curve = compiled_curve(name == "adam")(settings, *mnist())
    loss, correct = np.asarray(curve.loss), np.asarray(curve.correct)
    assert (np.isnan(loss) | (loss > 1e3)).all()
    assert ((correct >= 0) & (correct <= EXAMPLES / 4)).all()
    assert (correct[np.isnan(loss)] == 0).all()


# ------------------------------------------------------------------ bad inputs


@pytest.mark.parametrize("eval_samples", [-1, 0, EXAMPLES + 1])
def test_impossible_evaluation_samples_are_refused(eval_samples):
    message = rf"^eval_samples must be from 1 to {EXAMPLES}, got {eval_samples}$"
    with pytest.raises(ValueError, match=message):
        train_curve(
            hyper_for("sgd"),
            *mnist(),
            network=build_network("softmax", CLASSES),
            adam=False,
            batch_size=BATCH,
            check_every=1,
            looks=1,
            eval_samples=eval_samples,
        )


@pytest.mark.parametrize("batch_size", [-1, 0, EXAMPLES + 1])
def test_impossible_batch_sizes_are_refused(batch_size):
    message = rf"^batch_size must be from 1 to {EXAMPLES}, got {batch_size}$"
    settings = hyper_for("sgd")
    with pytest.raises(ValueError, match=message):
        train_steps(
            compiled_start("softmax")(settings),
            settings,
            *mnist(),
            1,
            network=build_network("softmax", CLASSES),
            batch_size=batch_size,
        )
