"""Random words by their place: a draw's value depends on what it is for, not on when.

Notation (Salmon et al., SC'11):
    k = (k_0, k_1)    key                               ``key``, two words
    (c_0, c_1)        counter: who, and for which time  ``place``, ``turn``
    Threefry-2x32-20  two words for each counter        ``two_words``

An event simulation asks for its draws in an order that depends on the draws. With a
word for each (stream, place, turn) a run that is repeated with more room asks for the
same words again and meets the same history. The rounds are unrolled: XLA fuses them
into the arithmetic that uses the words, which jax.random's loop does not allow.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer, Key, UInt32

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
# The last word whose U is below 1: 1 − 2^-24. Later ones are nearer to 1, and a U of 1
# would make −ln U a −0.0, which reads as infinite where its bits number a table. A
# minimum of integers costs the kernels nothing, one of floats a quarter.
_LAST_WORD = 2**32 - 129
# Streams stand in the upper bits of the place.
_STREAM_BITS = 28
MAXIMUM_PLACES = 2**_STREAM_BITS


def two_words(
    key: UInt32[Array, "two *keys"],
    stream: int,
    place: Integer[Array, "*shape"],
    turn: Integer[Array, "*shape"],
) -> tuple[UInt32[Array, "*shape"], UInt32[Array, "*shape"]]:
    """The two words that belong to (stream, place, turn), equal to Threefry's.

    Args:
        key: Two words, e.g. ``jax.random.key_data`` of a key; or many keys' words, if
            after the first axis they broadcast against the places.
        stream: What the words are for, 0 to 15.
        place: Whose they are, below 2^28.
        turn: For which time.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY))
    first = place.astype(jnp.uint32) + jnp.uint32(stream << _STREAM_BITS)
    first, second = first + keys[0], turn.astype(jnp.uint32) + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            first = first + second
            second = (second << rotation) | (second >> (32 - rotation))
            second = second ^ first
        first = first + keys[(group + 1) % 3]
        second = second + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return first, second


def words_of(key: Key[Array, ""]) -> UInt32[Array, " two"]:
    """A key as the two words that ``two_words`` takes."""
    return jax.random.key_data(key).astype(jnp.uint32)[-2:]


def uniform(words: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Uniform on the open (0, 1): from 2^-33, good to 2^-32 near 0, to 1 − 2^-24."""
    words = jnp.minimum(words, jnp.uint32(_LAST_WORD))
    return (words.astype(jnp.float32) + 0.5) * jnp.float32(2.0**-32)


def exponential(words: UInt32[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Exp(1): −ln U, from 2^-24 to 22.9: never 0 and never infinite."""
    return -jnp.log(uniform(words))


def below(words: UInt32[Array, "*shape"], count) -> Int[Array, "*shape"]:
    """Uniform on 0, ..., count − 1 (an array of counts), to a relative count/2^24."""
    count = jnp.asarray(count)
    scaled = (words >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)
    drawn = jnp.floor(scaled * count.astype(jnp.float32)).astype(jnp.int32)
    return jnp.minimum(drawn, count - 1)
