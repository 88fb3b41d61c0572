"""Words against Threefry, and draws at the two ends of their words."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.counter_draws import (
    below,
    exponential,
    two_words,
    uniform,
    words_of,
)
from dpodl.analysis.simulation.kernel import COUNTERS, PRIVATE

ENDS = np.array([0, 1, 2**31, 2**32 - 129, 2**32 - 128, 2**32 - 1], np.uint32)


def test_the_last_words_round_to_one():
    """The precondition of the tests below: unclamped, U is 1 and −ln U is −0.0."""
    share = (ENDS.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)
    np.testing.assert_array_equal(share == 1, [False] * 4 + [True] * 2)
    assert np.signbit(-np.log(share[-1]))


def test_a_uniform_draw_is_inside_the_open_interval():
    drawn = np.asarray(uniform(jnp.asarray(ENDS)))
    assert ((drawn > 0) & (drawn < 1)).all()
    np.testing.assert_allclose(drawn, (ENDS.astype(float) + 0.5) / 2**32, rtol=1e-7)


def test_an_exponential_draw_is_positive_and_finite():
    drawn = np.asarray(exponential(jnp.asarray(ENDS)))
    assert (drawn > 0).all()
    assert np.isfinite(drawn).all()
    assert drawn[0] == pytest.approx(33 * np.log(2))
    assert drawn[-1] == pytest.approx(2.0**-24)


@pytest.mark.parametrize("count", [1, 3, 2**24 - 1])
def test_whole_numbers_stay_below_their_count(count):
    drawn = np.asarray(below(jnp.asarray(ENDS), count))
    assert drawn[0] == 0
    assert drawn[-1] == count - 1


# (key, level, replica) of a private block and of a group's first finder whose words
# are among the last 128: one in 2^25.
PRIVATE_END, GROUP_END = (7, 40, 7223), (6, 31, 18354)


@pytest.mark.parametrize(
    ("where", "slot", "word"), [(PRIVATE_END, PRIVATE, 0), (GROUP_END, 0, 1)]
)
def test_where_a_word_of_the_simulation_is_among_the_last(where, slot, word):
    """The precondition of ``test_simulation.test_no_draw_is_never``."""
    seed, level, replica = where
    counter = jnp.int32(COUNTERS * level + slot)
    words = two_words(words_of(jax.random.key(seed)), 0, jnp.int32(replica), counter)
    assert int(words[word]) >= 2**32 - 128
