"""The kernel against the level it stands for, draw by draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.counter_draws import (
    exponential as exponential_draw,
    two_words,
    words_of,
)
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.simulation import kernel, levels
from dpodl.analysis.simulation.levels import (
    Early,
    Network,
    next_level,
    simulate,
    traced,
)

KEY = jax.random.key(11)
LEVELS = 40
LAWS = {
    "exponential": exponential(1 / 600),
    "dead time": exponential(1 / 600, dead_time=150.0),
    "lattice": geometric(0.01, trial=5.0),
}


def reference(network: Network, replica: int, slots: int):
    """One replica by ``next_level``, with the kernel's draws."""
    early = Early(jnp.full(slots, jnp.inf), jnp.asarray(False))
    found = []
    for level in range(LEVELS):
        counter = kernel.COUNTERS * level + jnp.arange(slots, dtype=jnp.int32)
        replicas = jnp.full(slots, replica)
        draws = jnp.stack(
            [
                exponential_draw(x)
                for x in two_words(words_of(KEY), 0, replicas, counter)
            ]
        )
        early, info = next_level(early, draws, network=network)
        found.append(jax.tree.map(np.asarray, info))
    return found, bool(early.overflow)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("slots", [3, 8, 20])
def test_every_level_is_that_of_the_reference(law, slots):
    network = levels.network(LAWS[law], provers=40, beta=0.25, delay_steps=6.0)
    ready = traced(network)
    rules = kernel.rules(
        ready.law,
        ready.private_law,
        ready.honest,
        ready.adversarial,
        ready.delay,
    )
    numbers = jnp.arange(4, dtype=jnp.int32)
    lattice = bool(network.law.lattice)
    record = kernel.run(
        words_of(KEY),
        numbers,
        rules,
        width=2,
        levels=LEVELS,
        burn_in=0,
        slots=slots,
        lattice=(lattice, lattice),
    )
    forks = 0
    for replica in range(4):
        found, overflow = reference(ready, replica, slots)
        if overflow:
            # The reference has drawn no finder beyond its slots and must be wary.
            continue
        assert not record.overflow[replica]
        for level, (interval, blocks, lag) in enumerate(found):
            np.testing.assert_allclose(
                record.interval[replica, level], interval, rtol=1e-4
            )
            assert record.blocks[replica, level] == blocks
            np.testing.assert_allclose(
                np.sort(record.lag[replica, level]), np.sort(lag), atol=2e-3
            )
            forks += int(blocks) - 1
    assert forks > 20 or slots == 3


@pytest.mark.parametrize("law", LAWS)
def test_overflow_is_one_finder_more_than_slots(law, monkeypatch):
    monkeypatch.setattr(kernel, "_GIVEN_UP", 1.0)
    network = levels.network(LAWS[law], provers=40, beta=0.25, delay_steps=6.0)
    options = {"levels": LEVELS, "burn_in": 0, "lattice": (law == "lattice",) * 2}
    ready = traced(network)
    rules = kernel.rules(
        ready.law, ready.private_law, ready.honest, ready.adversarial, ready.delay
    )
    numbers = jnp.arange(64, dtype=jnp.int32)

    def run(slots):
        return kernel.run(
            words_of(KEY), numbers, rules, width=16, slots=slots, **options
        )

    wide, narrow = run(20), run(3)
    assert not wide.overflow.any()
    most = wide.blocks.max(axis=1)
    np.testing.assert_array_equal(narrow.overflow, most > 3)
    assert 0 < narrow.overflow.sum() < 64
    kept = np.flatnonzero(most <= 3)
    np.testing.assert_array_equal(narrow.blocks[kept], wide.blocks[kept])
    np.testing.assert_array_equal(narrow.interval[kept], wide.interval[kept])
    np.testing.assert_array_equal(narrow.lag[kept], wide.lag[kept][..., :3])


def test_where_many_overflow_all_beside_them_are_given_up():
    law = LAWS["dead time"]
    network = levels.network(law, provers=40, beta=0.25, delay_steps=30.0)
    ready = traced(network)
    rules = kernel.rules(
        ready.law, ready.private_law, ready.honest, ready.adversarial, ready.delay
    )
    record = kernel.run(
        words_of(KEY),
        jnp.arange(64, dtype=jnp.int32),
        rules,
        width=16,
        levels=LEVELS,
        burn_in=0,
        slots=4,
        lattice=(False, False),
    )
    assert record.overflow.all()
    assert (record.interval[:, -1] == 0).all()


def test_replicas_do_not_know_who_runs_beside_them():
    network = levels.network(LAWS["dead time"], provers=40, beta=0.25, delay_steps=9.0)
    few = simulate(KEY, network, levels=20, replicas=24)
    many = simulate(KEY, network, levels=20, replicas=1100)
    np.testing.assert_array_equal(few.interval, many.interval[:24])
    np.testing.assert_array_equal(few.private, many.private[:24])


def test_only_replicas_that_overflow_are_simulated_again():
    """Narrow and wide starts end in the same replicas, forks and all."""
    network = levels.network(LAWS["dead time"], provers=40, beta=0.25, delay_steps=30.0)
    narrow = simulate(KEY, network, levels=20, replicas=200, slots=4)
    wide = simulate(KEY, network, levels=20, replicas=200, slots=32)
    assert narrow.lag.shape[-1] > 4
    np.testing.assert_array_equal(narrow.blocks, wide.blocks)
    np.testing.assert_allclose(narrow.interval, wide.interval, rtol=1e-6)
