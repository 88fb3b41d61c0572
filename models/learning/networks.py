"""The menu's networks, in Flax: softmax regression, MLPs, a small CNN.

Inputs are images [batch, height, width], of colour [batch, height, width, channels],
with pixels in [0, 1]; outputs are logits [batch, classes]. A network is written for one
batch of one model.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Key, PyTree

from .architecture import Architecture, ImageShape


class Dense(nn.Module):
    """x ↦ x Kᵀ + b, with the kernel K as [features, inputs].

    Transposed, as against Flax's own layer: the kernel's gradient gᵀ x is then written
    row by row, which on CPU takes a quarter of the time for ten features, half of it
    for 32, and little less for 128.
    """

    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "*n inputs"]) -> Float[Array, "*n features"]:
        """The layer's outputs."""
        shape = (self.features, x.shape[-1])
        kernel = self.param("kernel", _transposed_lecun, shape)
        bias = self.param("bias", nn.initializers.zeros, shape[:1])
        return _plus(_times(x, kernel), bias)


class Convolution(nn.Module):
    """A strided convolution without padding, as a product with a banded matrix.

    Notation: x [n, h, w, c] → [n, i, j, features], kernel k [features, r, q, c].
    The rows an output row needs, side by side, are one vector of r·w·c numbers; the
    band matrix B holds k at every column:

        B[(j, f), (r, v, c)] = k[f, r, v − stride·j, c]

    That multiplies many zeros, and still is faster on CPU than small patches, whose
    products are too narrow for its units, than XLA's convolution, whose gradient is
    slow, and than its vmapped form (grouped) above all; on an accelerator it is a plain
    matrix product.
    """

    features: int
    size: int
    stride: int

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n i j features"]:
        """The feature maps."""
        n, height, width, channels = x.shape
        size, stride = self.size, self.stride
        rows, columns = _positions((height, width), size=size, stride=stride)
        shape = (self.features, size, size, channels)
        kernel = self.param("kernel", _transposed_lecun, shape)
        bias = self.param("bias", nn.initializers.zeros, shape[:1])
        starts = stride * np.arange(columns)[:, None, None] + np.arange(size)
        places = (starts == np.arange(width)[:, None]).astype(np.float32)
        band = jnp.einsum("jvq,frqc->jfrvc", places, kernel)
        band = band.reshape(columns * self.features, -1)
        x = x.reshape(n, height, width * channels)
        reach = stride * (rows - 1) + 1
        strips = [x[:, row : row + reach : stride] for row in range(size)]
        found = _times(jnp.concatenate(strips, axis=-1), band)
        return _plus(found.reshape(n, rows, columns, self.features), bias)


class Mlp(nn.Module):
    """One hidden layer of ``width`` rectified units; ``width`` 0 is softmax."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "n h w *c"]) -> Float[Array, "n classes"]:
        """Logits of a batch."""
        x = images.reshape(images.shape[0], -1)
        if self.width:
            x = nn.relu(Dense(self.width)(x))
        return Dense(self.classes)(x)


class Cnn(nn.Module):
    """Two strided convolutions (5×5, C channels; 3×3, 2C channels) and a readout."""

    channels: int
    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "n h w *c"]) -> Float[Array, "n classes"]:
        """Logits of a batch."""
        x = images if images.ndim == 4 else images[..., None]
        x = nn.relu(Convolution(self.channels, size=5, stride=2)(x))
        x = nn.relu(Convolution(2 * self.channels, size=3, stride=2)(x))
        return Dense(self.classes)(x.reshape(x.shape[0], -1))


def build_network(architecture: str, classes: int) -> nn.Module:
    """The Flax module of an architecture's name (``mlp-32``, ...)."""
    family, width = Architecture.parse(architecture)
    if family == "cnn":
        return Cnn(channels=width, classes=classes)
    return Mlp(width=width, classes=classes)


def initial_parameters(
    network: nn.Module,
    key: Key[Array, ""],
    init_scale: Float[Array, ""],
    *,
    image_shape: ImageShape,
) -> PyTree[Float[Array, "..."]]:
    """initLP: LeCun-normal weights times ``init_scale``, zero biases.

    Args:
        network: The module.
        key: Where the weights come from.
        init_scale: A factor on all weights (biases start at zero).
        image_shape: (height, width) in pixels, of colour (height, width, channels).
    """
    parameters = network.init(key, jnp.zeros((1, *image_shape)))["params"]
    return jax.tree.map(lambda leaf: init_scale * leaf, parameters)


def forward_operations(architecture: str, image_shape: ImageShape, classes: int) -> int:
    """Multiply–adds × 2 of one example's forward pass (biases left out).

    Raises:
        ValueError: If the images are too small for the CNN.
    """
    return sum(_layer_operations(architecture, image_shape, classes))


def step_operations(architecture: str, image_shape: ImageShape, classes: int) -> int:
    """Multiply–adds × 2 of one example's share of a training step.

    The forward pass, as much again for the weights' gradient, and again for the
    gradient of every layer's input but the first's (the image needs none).

    Raises:
        ValueError: If the images are too small for the CNN.
    """
    first, *later = _layer_operations(architecture, image_shape, classes)
    return 2 * first + 3 * sum(later)


def parameter_count(architecture: str, image_shape: ImageShape, classes: int) -> int:
    """Learnable numbers of a network, without building it.

    Raises:
        ValueError: If the images are too small for the CNN.
    """
    family, width = Architecture.parse(architecture)
    pixels = math.prod(image_shape)
    if family == "softmax":
        return (pixels + 1) * classes
    if family == "mlp":
        return (pixels + 1) * width + (width + 1) * classes
    area_2 = math.prod(_positions(_positions(image_shape, size=5, stride=2), 3, 2))
    first, second = (
        (25 * _channels(image_shape) + 1) * width,
        (9 * width + 1) * 2 * width,
    )
    return first + second + (area_2 * 2 * width + 1) * classes


def largest_array(architecture: str, image_shape: ImageShape, classes: int) -> int:
    """Numbers of the largest array a network needs besides its examples.

    A dense kernel, or the CNN's second band matrix (``Convolution``).

    Raises:
        ValueError: If the images are too small for the CNN.
    """
    family, width = Architecture.parse(architecture)
    if family != "cnn":
        return math.prod(image_shape) * max(width, classes)
    _, wide_1 = _positions(image_shape, size=5, stride=2)
    rows_2, wide_2 = _positions(_positions(image_shape, 5, 2), size=3, stride=2)
    bands = (
        wide_1 * width * 5 * math.prod(image_shape[1:]),
        wide_2 * 2 * width * 3 * wide_1 * width,
    )
    return max(*bands, rows_2 * wide_2 * 2 * width * classes)


def _layer_operations(
    architecture: str, image_shape: ImageShape, classes: int
) -> list[int]:
    family, width = Architecture.parse(architecture)
    pixels = math.prod(image_shape)
    if family == "softmax":
        return [2 * pixels * classes]
    if family == "mlp":
        return [2 * pixels * width, 2 * width * classes]
    sides_1 = _positions(image_shape, size=5, stride=2)
    sides_2 = _positions(sides_1, size=3, stride=2)
    area_1, area_2 = math.prod(sides_1), math.prod(sides_2)
    return [
        2 * area_1 * 25 * _channels(image_shape) * width,
        2 * area_2 * 9 * width * 2 * width,
        2 * area_2 * 2 * width * classes,
    ]


def _channels(image_shape: ImageShape) -> int:
    return math.prod(image_shape[2:])


def _positions(image_shape: tuple[int, ...], size: int, stride: int) -> tuple[int, int]:
    height, wide = image_shape[:2]
    if min(height, wide) < size:
        raise ValueError(
            f"a {size}×{size} convolution needs images at least that large, "
            f"got {height}×{wide}"
        )
    return (height - size) // stride + 1, (wide - size) // stride + 1


def _transposed_lecun(key, shape: tuple[int, ...]) -> Array:
    features, inputs = shape[0], math.prod(shape[1:])
    drawn = nn.initializers.lecun_normal()(key, (inputs, features))
    return drawn.T.reshape(shape)


def _times(x: Float[Array, "*n k"], matrix: Float[Array, "m k"]) -> Array:
    return lax.dot_general(x, matrix, (((x.ndim - 1,), (1,)), ((), ())))


def _plus(x: Float[Array, "*n m"], bias: Float[Array, " m"]) -> Array:
    return x + jnp.broadcast_to(bias, x.shape)
