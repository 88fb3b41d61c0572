"""Random orders of examples, from a seed and an epoch."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Int, Integer, UInt32


def key_of(words: UInt32[Array, " 2"]):
    """A seed as JAX's key, whatever JAX's default generator is."""
    return jax.random.wrap_key_data(words, impl="threefry2x32")


def epoch_order(
    order_key: UInt32[Array, " 2"], epoch: Integer[Array, ""], examples: int
) -> Int[Array, " examples"]:
    """The order of the training examples in an epoch."""
    # One sort of random words. Equal words keep their order: with 60,000 examples
    # that ties a pair in 2^32 / (6e4)^2 ~ every second epoch, a bias no one can see.
    bits = jax.random.bits(jax.random.fold_in(key_of(order_key), epoch), (examples,))
    return order_of(bits)


def order_of(words: UInt32[Array, " n"]) -> Int[Array, " n"]:
    """What ``argsort`` says, in a seventh of the time on CPU.

    There a sort of words is fast and a sort of pairs is not: so each word carries its
    place in its lower half, which also keeps equal words in their order.
    """
    with jax.enable_x64(True):
        places = lax.iota(jnp.uint64, len(words))
        words = lax.convert_element_type(words, jnp.uint64) << jnp.uint64(32) | places
        places = lax.sort(words) & jnp.uint64(0xFFFF_FFFF)
        return lax.convert_element_type(places, jnp.int32)
