"""Settings of JAX that decide bits: the library's own, and never the caller's loss."""

import threading

import jax
import numpy as np
import pytest
from dpodl.models.learning import pins
from dpodl.models.learning.curves import draw_runs, train_chunk, training_set
from dpodl.models.learning.pins import PINNED, decisive_flags, pinned, seed_key

from .test_curves import SETTINGS, Bucket, menu, pixels

# As a shell would set them, by JAX's own context managers.
OTHERS = {
    "jax_threefry_partitionable": lambda: jax.threefry_partitionable(False),
    "jax_default_prng_impl": lambda: jax.default_prng_impl("rbg"),
    "jax_enable_x64": lambda: jax.enable_x64(True),
    "jax_numpy_dtype_promotion": lambda: jax.numpy_dtype_promotion("strict"),
    "jax_legacy_prng_key": lambda: jax.legacy_prng_key("error"),
    "jax_debug_nans": lambda: jax.debug_nans(True),
    "jax_debug_infs": lambda: jax.debug_infs(True),
    "jax_debug_key_reuse": lambda: jax.debug_key_reuse(True),
    "jax_disable_jit": lambda: jax.disable_jit(True),
    "jax_transfer_guard": lambda: jax.transfer_guard("disallow"),
}


def x64() -> bool:
    return getattr(jax.config, "jax_enable_x64")  # noqa: B009


@pytest.mark.parametrize("name", OTHERS)
def test_inside_it_is_pinned_and_behind_it_as_before(name):
    default = getattr(jax.config, name)
    with OTHERS[name]():
        other = getattr(jax.config, name)
        assert other != default
        with pinned():
            assert getattr(jax.config, name) in (default, PINNED[name])
            assert name not in pins._differing()
        assert getattr(jax.config, name) == other
    assert getattr(jax.config, name) == default


def test_nothing_is_entered_where_all_is_as_it_should_be(monkeypatch):
    assert pins._differing() == []
    monkeypatch.setattr(pins.ExitStack, "enter_context", None)
    with pinned():
        pass


def test_other_threads_keep_their_settings():
    seen = []
    with jax.enable_x64(True), pinned():
        thread = threading.Thread(target=lambda: seen.append(x64()))
        thread.start()
        thread.join()
        assert not x64()
    assert seen == [False]  # the process's value


@pytest.mark.parametrize("name", sorted(set(OTHERS) - {"jax_transfer_guard"}))
def test_trainings_have_the_same_bits_under_any_setting(name):
    bucket, runs = Bucket("softmax", 16), draw_runs(3, 2, menu(["softmax"]))
    data = training_set(*pixels())
    plain = train_chunk(bucket, runs, data, SETTINGS)
    with OTHERS[name]():
        other = train_chunk(bucket, runs, data, SETTINGS)
    assert other.correct.tobytes() == plain.correct.tobytes()
    assert other.loss.tobytes() == plain.loss.tobytes()


def test_a_seeds_key_is_jaxs_for_small_seeds():
    for seed in (0, 1, 2023, 2**31 - 1):
        expected = jax.random.key_data(jax.random.key(seed))
        found = jax.random.key_data(seed_key(seed))
        np.testing.assert_array_equal(found, expected)
    with jax.default_prng_impl("rbg"), jax.enable_x64(True):
        assert str(seed_key(7).dtype) == "key<fry>"


def test_every_bit_of_a_seed_counts():
    seeds = [0, 1, 2**31, 2**32, 2**32 + 1, 2**63 - 1]
    keys = {jax.random.key_data(seed_key(seed)).tobytes() for seed in seeds}
    assert len(keys) == len(seeds)
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match=r"^seed must be from 0 to 2\^64 - 1"):
            seed_key(seed)


def test_flags_that_are_not_pinned_are_decisive(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    plain = decisive_flags()
    with jax.default_matmul_precision("highest"):
        assert decisive_flags() != plain
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert decisive_flags() == [*plain, "NVIDIA_TF32_OVERRIDE=0"]
