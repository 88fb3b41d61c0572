"""Evaluation samples, batches' order and pixels of a training."""

from functools import cache, partial
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.models.learning import looks, orders, training
from dpodl.models.learning.looks import Curve
from dpodl.models.learning.networks import build_network
from dpodl.models.learning.training import (
    Hyper,
    train_curve,
)
from scipy import stats

from .test_training import FALSE_ALARM, assert_same_bits, counts_of

# ------------------------------------------------------------------ pixels and order


def test_bytes_are_scaled_and_floats_are_left_alone():
    every = jnp.arange(256, dtype=jnp.uint8).reshape(4, 8, 8)
    found = looks.pixels(every)
    assert found.dtype == jnp.float32
    exact = np.arange(256).reshape(4, 8, 8) / 255
    np.testing.assert_allclose(found, exact, rtol=2**-23)
    assert (found.min(), found.max()) == (0, 1)
    assert_same_bits(looks.pixels(found), found)


@pytest.mark.parametrize("top", [2, 2**32])
def test_an_order_is_the_stable_sort_of_its_words(top):
    """Equal words, and those of the highest bit, included."""
    words = np.random.default_rng(4).integers(0, top, (3, 500)).astype(np.uint32)
    order = jax.jit(orders.order_of)
    expected = np.argsort(words, axis=1, kind="stable")
    for one, other in zip(words, expected, strict=True):
        assert order(one).dtype == jnp.int32
        np.testing.assert_array_equal(order(one), other)
    np.testing.assert_array_equal(jax.vmap(order)(words), expected)


# ------------------------------------------------------------------ evaluation sample


@cache
def evaluation_sample(eval_samples: int):
    """What two looks were given of six examples: [runs, looks, samples] each.

    Example i has all pixels at i and the label 10·i; ``look`` is replaced by a spy.
    """

    def spy(parameters, images, labels, *, network):
        return Curve(correct=images[:, 0, 0].astype(jnp.int32), loss=labels)

    images = jnp.tile(jnp.arange(6.0)[:, None, None], (1, 1, 2))
    run = partial(
        train_curve,
        images=images,
        labels=10 * jnp.arange(6),
        network=build_network("softmax", 2),
        adam=False,
        batch_size=2,
        check_every=1,
        looks=2,
        eval_samples=eval_samples,
    )
    # A third of the runs share the eval key, a third the other keys.
    third = 3000
    rng = np.random.default_rng(9)
    keys = rng.integers(0, 1 << 32, (3, 3 * third, 2), np.uint32)
    keys[2, :third] = keys[2, 0]
    keys[:2, third : 2 * third] = keys[:2, :1]
    init_key, order_key, eval_key = jnp.asarray(keys)
    zero = jnp.zeros(3 * third)
    hypers = Hyper(zero, zero, zero, init_key, order_key, eval_key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "look", spy)
        curve = jax.jit(jax.vmap(run))(hypers)
    seen, labels = np.asarray(curve.correct), np.asarray(curve.loss)
    np.testing.assert_array_equal(labels, 10 * seen)
    return third, seen


def test_the_evaluation_sample_is_fixed_and_without_replacement():
    _, seen = evaluation_sample(3)
    assert seen.shape[1:] == (2, 3)
    np.testing.assert_array_equal(seen[:, 0], seen[:, 1])
    assert (np.diff(np.sort(seen, axis=2), axis=2) > 0).all()


def test_every_evaluation_sample_is_equally_likely():
    third, seen = evaluation_sample(3)
    law = list(combinations(range(6), 3))
    for runs in (slice(third, 2 * third), slice(2 * third, None)):
        counts = counts_of(np.sort(seen[runs, 0], axis=1), law)
        assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_the_evaluation_sample_depends_on_its_key_alone():
    third, seen = evaluation_sample(3)
    assert (seen[:third] == seen[0]).all()


def test_all_samples_are_the_training_set_itself():
    _, seen = evaluation_sample(6)
    assert (seen == np.arange(6)).all()
