"""The menu's networks, in Flax: softmax regression, MLPs, a small CNN.

Inputs are images [batch, height, width] with pixels in [0, 1]; outputs are logits
[batch, classes]. A network is written for one batch of one model.
"""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key, PyTree

from .architecture import Architecture


class Mlp(nn.Module):
    """One hidden layer of ``width`` rectified units; ``width`` 0 is softmax."""

    width: int
    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "n h w"]) -> Float[Array, "n classes"]:
        """Logits of a batch."""
        x = images.reshape(images.shape[0], -1)
        if self.width:
            x = nn.relu(nn.Dense(self.width)(x))
        return nn.Dense(self.classes)(x)


class Cnn(nn.Module):
    """Two strided convolutions (5×5, C channels; 3×3, 2C channels) and a readout.

    A convolution is written as patches times a matrix: on CPU that is several
    times faster than XLA's convolution, whose gradient is slow and whose vmapped
    form (grouped convolution) is slower still; on an accelerator it is a plain
    matrix product.
    """

    channels: int
    classes: int

    @nn.compact
    def __call__(self, images: Float[Array, "n h w"]) -> Float[Array, "n classes"]:
        """Logits of a batch."""
        x = images[..., None]
        x = nn.relu(nn.Dense(self.channels)(_patches(x, size=5, stride=2)))
        x = nn.relu(nn.Dense(2 * self.channels)(_patches(x, size=3, stride=2)))
        return nn.Dense(self.classes)(x.reshape(x.shape[0], -1))


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
    image_shape: tuple[int, int],
) -> PyTree[Float[Array, "..."]]:
    """initLP: LeCun-normal weights times ``init_scale``, zero biases.

    Args:
        network: The module.
        key: Where the weights come from.
        init_scale: A factor on all weights (biases start at zero).
        image_shape: (height, width) in pixels.
    """
    parameters = network.init(key, jnp.zeros((1, *image_shape)))["params"]
    return jax.tree.map(lambda leaf: init_scale * leaf, parameters)


def forward_operations(
    architecture: str, image_shape: tuple[int, int], classes: int
) -> int:
    """Multiply–adds × 2 of one example's forward pass (biases left out).

    Raises:
        ValueError: If the images are too small for the CNN.
    """
    return sum(_layer_operations(architecture, image_shape, classes))


def step_operations(
    architecture: str, image_shape: tuple[int, int], classes: int
) -> int:
    """Multiply–adds × 2 of one example's share of a training step.

    The forward pass, as much again for the weights' gradient, and again for the
    gradient of every layer's input but the first's (the image needs none).

    Raises:
        ValueError: If the images are too small for the CNN.
    """
    first, *later = _layer_operations(architecture, image_shape, classes)
    return 2 * first + 3 * sum(later)


def _layer_operations(
    architecture: str, image_shape: tuple[int, int], classes: int
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
        2 * area_1 * 25 * width,
        2 * area_2 * 9 * width * 2 * width,
        2 * area_2 * 2 * width * classes,
    ]


def _positions(
    image_shape: tuple[int, ...], *, size: int, stride: int
) -> tuple[int, int]:
    height, wide = image_shape
    if min(height, wide) < size:
        raise ValueError(
            f"a {size}×{size} convolution needs images at least that large, "
            f"got {height}×{wide}"
        )
    return (height - size) // stride + 1, (wide - size) // stride + 1


def _patches(
    x: Float[Array, "n h w c"], *, size: int, stride: int
) -> Float[Array, "n i j k"]:
    rows, columns = _positions(x.shape[1:3], size=size, stride=stride)
    shifted = [
        x[
            :,
            i : i + stride * (rows - 1) + 1 : stride,
            j : j + stride * (columns - 1) + 1 : stride,
            :,
        ]
        for i in range(size)
        for j in range(size)
    ]
    return jnp.concatenate(shifted, axis=-1)
