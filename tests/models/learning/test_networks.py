"""The networks against plain NumPy and XLA's own convolution, and their initial law."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.models.learning.networks import (
    build_network,
    forward_operations,
    initial_parameters,
    largest_array,
    parameter_count,
    step_operations,
)
from jax import lax

CLASSES = 10
_CONVOLUTIONS = {"Convolution_0": (4, 5, 5, 1), "Convolution_1": (8, 3, 3, 4)}


def random_parameters(network, image_shape: tuple[int, ...], seed: int = 0):
    """Weights and biases of the network's shapes, no bias at zero."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(network.init, jax.random.key(0), zeros(1, *image_shape))
    return jax.tree.map(
        lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) / 4, jnp.float32),
        shapes["params"],
    )


def zeros(*shape: int):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def logits_of(network, parameters, images) -> jax.Array:
    return network.apply({"params": parameters}, images)


def images_of(count: int, *image_shape: int):
    pixels = np.random.default_rng(1).random((count, *image_shape))
    return jnp.asarray(pixels, jnp.float32)


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("name", "image_shape", "shapes"),
    [
        ("softmax", (28, 28), {"Dense_0": (10, 784)}),
        ("softmax", (3, 5), {"Dense_0": (10, 15)}),
        ("mlp-32", (28, 28), {"Dense_0": (32, 784), "Dense_1": (10, 32)}),
        # 28 → 12 → 5 positions; channels 1 → 4 → 8.
        (
            "cnn-4",
            (28, 28),
            {**_CONVOLUTIONS, "Dense_0": (10, 200)},
        ),
        # 13×20 → 5×8 → 2×3 positions.
        (
            "cnn-4",
            (13, 20),
            {**_CONVOLUTIONS, "Dense_0": (10, 48)},
        ),
        ("mlp-32", (32, 32, 3), {"Dense_0": (32, 3072), "Dense_1": (10, 32)}),
        # 32 → 14 → 6 positions; channels 3 → 4 → 8.
        (
            "cnn-4",
            (32, 32, 3),
            {**_CONVOLUTIONS, "Convolution_0": (4, 5, 5, 3), "Dense_0": (10, 288)},
        ),
    ],
)
def test_shapes_and_types(name, image_shape, shapes):
    network = build_network(name, CLASSES)
    draw = partial(initial_parameters, network, image_shape=image_shape)
    parameters = jax.eval_shape(draw, jax.random.key(0), zeros())
    assert set(parameters) == set(shapes)
    for layer, shape in shapes.items():
        assert parameters[layer]["kernel"].shape == shape
        assert parameters[layer]["bias"].shape == shape[:1]
    assert {leaf.dtype for leaf in jax.tree.leaves(parameters)} == {jnp.dtype("f4")}
    images = zeros(7, *image_shape)
    logits = jax.eval_shape(network.apply, {"params": parameters}, images)
    assert (logits.shape, logits.dtype) == ((7, CLASSES), jnp.float32)


def test_a_bad_name_is_refused():
    with pytest.raises(ValueError, match=r"^architecture must be .* got 'vgg-16'$"):
        build_network("vgg-16", CLASSES)


# ------------------------------------------------------------------ forward pass


@pytest.mark.parametrize("name", ["softmax", "mlp-6"])
def test_dense_networks_equal_numpy(name):
    network = build_network(name, CLASSES)
    parameters = random_parameters(network, (5, 4))
    images = images_of(9, 5, 4)
    x = np.asarray(images, np.float64).reshape(9, -1)
    *hidden, readout = (parameters[layer] for layer in sorted(parameters))
    assert len(hidden) == (name == "mlp-6")
    for layer in hidden:
        x = np.maximum(x @ np.asarray(layer["kernel"]).T + np.asarray(layer["bias"]), 0)
        assert (x == 0).any()
        assert (x > 0).any()
    expected = x @ np.asarray(readout["kernel"]).T + np.asarray(readout["bias"])
    logits = logits_of(network, parameters, images)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def convolved(parameters, images):
    """The CNN with XLA's convolutions."""
    x = images if images.ndim == 4 else images[..., None]
    for layer in ("Convolution_0", "Convolution_1"):
        kernel, bias = parameters[layer]["kernel"], parameters[layer]["bias"]
        x = lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(2, 2),
            padding="VALID",
            dimension_numbers=("NHWC", "OHWI", "NHWC"),
        )
        x = jnp.maximum(x + bias[None, None, None], 0)
    readout = parameters["Dense_0"]
    return x.reshape(x.shape[0], -1) @ readout["kernel"].T + readout["bias"][None]


# Odd and even sides, so that a row too many or too few would be seen; not square, so
# that rows and columns can't be swapped; the smallest images the network takes.
@pytest.mark.parametrize("image_shape", [(9, 9), (13, 20), (9, 12, 3)])
def test_bands_are_xlas_convolution_and_its_gradient(image_shape):
    network = build_network("cnn-3", CLASSES)
    parameters = random_parameters(network, image_shape)
    images = images_of(2, *image_shape)

    def squares(forward):
        def loss(parameters):
            logits = forward(parameters, images)
            return jnp.square(logits).mean(), logits

        return jax.jit(jax.grad(loss, has_aux=True))

    bands = squares(partial(logits_of, network))(parameters)
    convolution = squares(convolved)(parameters)
    for one, other in zip(*map(jax.tree.leaves, (bands, convolution)), strict=True):
        assert np.abs(other).max() > 0.01
        np.testing.assert_allclose(one, other, atol=2e-5)


# ------------------------------------------------------------------ initial law


@pytest.mark.parametrize("name", ["mlp-16", "cnn-4"])
def test_initial_weights_are_lecun_normal_times_the_scale(name):
    """Mean and spread within 5 standard errors: false alarm below 1e-5 each."""
    image_shape, models, init_scale = (11, 12), 200, 0.3
    network = build_network(name, CLASSES)
    draw = jax.jit(
        jax.vmap(partial(initial_parameters, network, image_shape=image_shape))
    )
    keys = jax.random.split(jax.random.key(3), models)
    scales = jnp.full(models, init_scale)
    drawn = draw(keys, scales)
    for layer in drawn.values():
        kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
        assert not bias.any()
        fan_in = np.prod(kernel.shape[2:])  # behind models and features
        spread = init_scale / np.sqrt(fan_in)
        # A normal cut at 2σ has less kurtosis than a normal, so 1/√(2n) is on the
        # safe side of the relative error of its standard deviation.
        assert kernel.std() == pytest.approx(spread, rel=5 / np.sqrt(2 * kernel.size))
        assert abs(kernel.mean()) < 5 * spread / np.sqrt(kernel.size)
        # Cut at two σ of the normal before the cut, 1/0.8796 of the spread after it.
        assert np.abs(kernel).max() <= 2 * spread / 0.8796
        assert len(np.unique(kernel)) > 0.9 * kernel.size
    # The same draw with another scale is the same up to the scale, bit for bit.
    twice = draw(keys, 2 * scales)
    for one, two in zip(*map(jax.tree.leaves, (drawn, twice)), strict=True):
        np.testing.assert_array_equal(2 * one, two)


# ------------------------------------------------------------------ operations


def operations_in(jaxpr) -> int:
    """Multiply–adds × 2 of all matrix products and convolutions in a program."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive is lax.conv_general_dilated_p:
            depth = np.prod(equation.invars[1].aval.shape[1:], dtype=int)  # OHWI
            total += 2 * depth * np.prod(equation.outvars[0].aval.shape, dtype=int)
        if equation.primitive is lax.dot_general_p:
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            depth = np.prod([left[axis] for axis in contracted], dtype=int)
            total += 2 * depth * np.prod(equation.outvars[0].aval.shape, dtype=int)
        for parameter in equation.params.values():
            if hasattr(parameter, "jaxpr"):
                total += operations_in(parameter.jaxpr)
    return int(total)


OPERATIONS = [
    ("softmax", (28, 28), 2 * 7840),
    ("mlp-32", (28, 28), 2 * (25_088 + 320)),
    ("mlp-128", (28, 28), 2 * (100_352 + 1_280)),
    ("cnn-8", (28, 28), 2 * (28_800 + 28_800 + 4_000)),
    ("cnn-3", (13, 20), 2 * (40 * 75 + 6 * 162 + 360)),
    ("cnn-3", (9, 9), 2 * (9 * 75 + 162 + 60)),
    ("mlp-32", (32, 32, 3), 2 * (98_304 + 320)),
    ("cnn-8", (32, 32, 3), 2 * (196 * 600 + 36 * 1152 + 5760)),
]


@pytest.mark.parametrize(("name", "image_shape", "by_hand"), OPERATIONS)
def test_forward_operations_are_those_of_the_program(name, image_shape, by_hand):
    """A convolution's own, not those that a band's zeros add."""
    network = build_network(name, CLASSES)
    parameters = random_parameters(network, image_shape)
    forward = convolved if name.startswith("cnn") else partial(logits_of, network)
    program = jax.make_jaxpr(forward)(parameters, zeros(1, *image_shape))
    counted = operations_in(program.jaxpr)
    assert forward_operations(name, image_shape, CLASSES) == counted == by_hand


@pytest.mark.parametrize("name", ["softmax", "mlp-6", "cnn-3"])
@pytest.mark.parametrize("image_shape", [(13, 20), (9, 12, 3)])
def test_parameters_are_counted_without_the_network(name, image_shape):
    parameters = random_parameters(build_network(name, CLASSES), image_shape)
    leaves = jax.tree.leaves(parameters)
    counted = parameter_count(name, image_shape, CLASSES)
    assert counted == sum(leaf.size for leaf in leaves)
    assert largest_array(name, image_shape, CLASSES) >= max(
        leaf.size for leaf in leaves if leaf.ndim == 2
    )


@pytest.mark.parametrize(
    ("name", "first_layer"),
    [("softmax", 7840), ("mlp-32", 25_088)],
)
def test_a_step_costs_two_to_three_forward_passes(name, first_layer):
    """Three, less the gradient of the images, which no one asks for."""
    network = build_network(name, CLASSES)
    parameters = random_parameters(network, (28, 28))
    batch = 16

    def loss(parameters, images):
        return jnp.square(logits_of(network, parameters, images)).mean()

    program = jax.make_jaxpr(jax.grad(loss))(parameters, zeros(batch, 28, 28))
    one = forward_operations(name, (28, 28), CLASSES)
    assert operations_in(program.jaxpr) == batch * (3 * one - 2 * first_layer)


@pytest.mark.parametrize(
    ("image_shape", "message"),
    [
        ((4, 28), "(?m)^a 5×5 convolution needs images at least that large, got 4×28$"),
        ((28, 1), "(?m)^a 5×5 convolution needs images at least that large, got 28×1$"),
        ((8, 28), "(?m)^a 3×3 convolution needs images at least that large, got 2×12$"),
        ((28, 5), "(?m)^a 3×3 convolution needs images at least that large, got 12×1$"),
    ],
)
def test_images_too_small_for_the_cnn_are_refused(image_shape, message):
    network = build_network("cnn-2", CLASSES)
    draw = partial(initial_parameters, network, image_shape=image_shape)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(draw, jax.random.key(0), zeros())
    with pytest.raises(ValueError, match=message):
        forward_operations("cnn-2", image_shape, CLASSES)


def test_a_step_costs_the_forward_pass_and_the_gradients_it_needs():
    # Counted from the jaxpr of a gradient: 2.00, 2.01 and 2.53 forward passes.
    for name, passes in (("softmax", 2.00), ("mlp-32", 2.01), ("cnn-8", 2.53)):
        forward = forward_operations(name, (28, 28), CLASSES)
        assert step_operations(name, (28, 28), CLASSES) / forward == pytest.approx(
            passes, abs=0.006
        )
