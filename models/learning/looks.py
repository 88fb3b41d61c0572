"""A look at a model: its accuracy and loss on the evaluation sample."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, UInt8

# Rows of the evaluation set that go through the network at once: large enough for
# an efficient matrix product, small enough that a CNN's patches stay in a few MB.
_LOOK_BLOCK = 1000


class Curve(NamedTuple):
    """What a training showed at its looks t = e, 2e, ...

    Attributes:
        correct: Correctly classified examples of the evaluation sample; 0 of a model
            whose loss or logits are not finite.
        loss: Mean cross-entropy on it, in nats; NaN of such a model.
    """

    correct: Int[Array, "*lanes looks"]
    loss: Float[Array, "*lanes looks"]


def pixels(
    images: Float[Array, "*shape"] | UInt8[Array, "*shape"],
) -> Float[Array, "*shape"]:
    """Pixels in [0, 1]: bytes times 1/255 in float32, floats as they are."""
    if images.dtype != jnp.uint8:
        return images
    # A product, since XLA makes one of a quotient where it sees the divisor.
    return images.astype(jnp.float32) * np.float32(1 / 255)


def look(
    parameters: PyTree[Float[Array, "..."]],
    images: Float[Array, "samples h w *c"] | UInt8[Array, "samples h w *c"],
    labels: Int[Array, " samples"],
    *,
    network: nn.Module,
) -> Curve:
    """Accuracy and loss of a model on the given examples, as counts and a mean.

    A model is trained if its loss and all its logits are finite. One that is not
    classifies nothing: the largest of logits that are not numbers is the first class,
    which would be right for as many examples as that class has.
    """
    samples = images.shape[0]
    blocks, rest = divmod(samples, _LOOK_BLOCK)

    def score(x, y):
        logits: Any = network.apply({"params": parameters}, pixels(x))
        hits = (jnp.argmax(logits, axis=-1) == y).sum(dtype=jnp.int32)
        # −∞ for a class that is wrong would leave the loss finite.
        loss = jnp.where(
            jnp.isfinite(logits).all(), cross_entropy(logits, y).sum(), jnp.nan
        )
        return Curve(correct=hits, loss=loss)

    def add(total, block):
        return jax.tree.map(jnp.add, total, score(*block)), None

    cut = blocks * _LOOK_BLOCK
    split = (
        images[:cut].reshape(blocks, _LOOK_BLOCK, *images.shape[1:]),
        labels[:cut].reshape(blocks, _LOOK_BLOCK),
    )
    total = Curve(correct=jnp.int32(0), loss=jnp.float32(0))
    total, _ = lax.scan(add, total, split)
    if rest:
        total, _ = add(total, (images[cut:], labels[cut:]))
    trained = jnp.isfinite(total.loss)
    return Curve(
        correct=jnp.where(trained, total.correct, 0),
        loss=jnp.where(trained, total.loss / samples, jnp.nan),
    )


def cross_entropy(logits, labels):
    """−ln of the probability given to the right class, in nats."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
