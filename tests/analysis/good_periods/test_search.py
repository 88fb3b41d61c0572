"""The searches of windows against JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.good_periods import search
from jax import lax


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 33, 256, 257, 1000])
def test_a_rank_is_searchsorteds(count):
    draws = np.random.default_rng(count)
    ascending = jnp.asarray(np.sort(draws.integers(0, count, count)), jnp.int32)
    values = jnp.asarray(draws.integers(-2, count + 2, (3, 200)), jnp.int32)
    found = jax.jit(search._rank)(ascending, values)
    assert (found == jnp.searchsorted(ascending, values, side="left")).all()


def test_a_rank_among_infinite_values():
    ascending = jnp.array([-1.0, 0.0, 0.0, jnp.inf, jnp.inf])
    values = jnp.array([-jnp.inf, -1.0, 0.0, 1.0, jnp.inf])
    assert search._rank(ascending, values).tolist() == [0, 0, 1, 3, 3]


def test_the_least_so_far():
    values = jnp.asarray(np.random.default_rng(1).normal(size=300), jnp.float32)
    assert (search._least_so_far(values) == lax.cummin(values)).all()
