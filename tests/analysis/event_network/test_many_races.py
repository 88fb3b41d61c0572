"""Many races on each replica: closed forms, far below what single races see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.bounds import races
from dpodl.analysis.event_network.many_races import (
    Chains,
    race_measurements,
    shares,
)
from dpodl.analysis.event_network.withheld import withheld
from dpodl.analysis.simulation.levels import Levels
from dpodl.analysis.simulation.properties import taken_levels

LEVELS = 64
DEPTHS = (1, 2, 4, 8, 12)


def drawn(key, replicas, *, beta=0.2, units=1):
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    public = rng.exponential(1 / (1 - beta), (replicas, LEVELS))
    reached = np.cumsum(np.pad(public, ((0, 0), (1, 0))), axis=1)
    private = rng.exponential(1 / beta, (replicas, LEVELS))
    if units == 1:
        return Chains(reached, private)
    steps = np.tile(units * np.arange(LEVELS + 1), (replicas, 1))
    return Chains(reached, private, steps, np.full((replicas, LEVELS), units))


@pytest.mark.parametrize(("beta", "units"), [(0.2, 1), (0.3, 7)])
def test_memoryless_races_have_the_closed_form_down_to_1e_4(beta, units):
    """Equal weights are counted blocks, whatever each weighs."""
    rows, missing = race_measurements(
        jax.random.key(3),
        lambda key, count: drawn(key, count, beta=beta, units=units),
        DEPTHS,
        delay_steps=0.0,
        replicas=2000,
        most=2000,
    )
    assert missing == ()
    found = {m.at: m.estimate for m in rows if m.quantity == "persistence_simulated"}
    for depth in DEPTHS:
        exact = races.private_race(beta, depth)
        estimate = found[depth]
        width = max(estimate.high - estimate.value, estimate.value - estimate.low)
        assert abs(estimate.value - exact) < 2 * width, depth
    # One race a replica would be ± 100 % there.
    deep = found[8]
    assert (deep.high - deep.low) / 2 < 0.4 * deep.value


def test_intervals_cover_and_both_criteria_are_ordered():
    exact = races.private_race(0.3, 4)
    covered = []
    for seed in range(40):
        rows, _ = race_measurements(
            jax.random.key(seed),
            lambda key, count: drawn(key, count, beta=0.3),
            (4,),
            delay_steps=0.0,
            replicas=300,
            most=300,
        )
        equal, longer = (m.estimate for m in rows)
        assert longer.value <= equal.value
        covered.append(equal.low <= exact <= equal.high)
    assert np.mean(covered) >= 0.88


def test_replicas_are_drawn_until_the_interval_is_as_asked():
    def race(most):
        return race_measurements(
            jax.random.key(1),
            drawn,
            (1, 6),
            delay_steps=0.0,
            replicas=400,
            rel_error=0.05,
            most=most,
        )

    rows, missing = race(400)
    assert any("persistence_simulated at 6: ±" in text for text in missing)
    rows, missing = race(60_000)
    assert missing == ()
    for m in rows[:2]:
        e = m.estimate
        assert 400 < e.count <= 60_000
        assert max(e.high - e.value, e.value - e.low) <= 0.05 * e.value
        assert e.low <= races.private_race(0.2, int(m.at or 0)) <= e.high


def test_what_hardly_any_group_shows_is_left_to_single_races():
    rows, _ = race_measurements(
        jax.random.key(1), drawn, (20,), delay_steps=0.0, replicas=300, most=300
    )
    estimate = rows[0].estimate
    assert estimate.low == 0
    assert 3 / 300 < estimate.high < 5 / 300
    with pytest.raises(ValueError, match="depths must be from 1 to half the main"):
        shares(drawn(jax.random.key(1), 10), (33,), 0.0)


def test_equal_weights_withhold_as_levels_do():
    rng = np.random.default_rng(5)
    interval = rng.exponential(1.0, (200, LEVELS)).astype(np.float32)
    private = rng.exponential(2.0, (200, 4 * LEVELS)).astype(np.float32)
    ours = withheld(
        interval.astype(float),
        np.full((200, LEVELS), 3),
        private.astype(float),
        np.full((200, 4 * LEVELS), 3),
    )
    assert ours is not None
    assert (ours.shown == ours.taken).all()
    shape = np.zeros((200, LEVELS))
    levels = Levels(
        jnp.asarray(interval),
        jnp.asarray(shape, int),
        jnp.asarray(shape[..., None]),
        jnp.asarray(private[:, :LEVELS]),
        jnp.zeros(200, bool),
    )
    theirs = np.asarray(taken_levels(levels))
    a, b = ours.taken[:, LEVELS // 2 :].mean(1), theirs[:, LEVELS // 2 :].mean(1)
    error = np.hypot(a.std(), b.std()) / np.sqrt(200)
    assert abs(a.mean() - b.mean()) < 4 * error
    # q/p for exponential laws.
    assert abs(a.mean() - 0.5) < 4 * a.std() / np.sqrt(200)


def test_weights_are_matched_by_as_few_blocks_as_weigh_as_much():
    """By hand: light private blocks, one heavy public one among light ones."""
    interval = np.array([[4.0, 4.0, 4.0, 4.0]])
    weight = np.array([[1, 3, 1, 2]])
    private = np.array([[1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 1.0]])
    each = np.array([[1, 1, 1, 1, 1, 1, 2, 9]])
    found = withheld(interval, weight, private, each)
    assert found is not None
    # 4: one of four; 8: three of four; 12: one more; 16: 2 is more than is left.
    assert found.shown.tolist() == [[1, 3, 1, 0]]
    assert found.taken.tolist() == [[True, True, True, False]]
    # The seventh, in training since 14, was given up at 16.
    assert found.spent.tolist() == [7]


def test_too_few_private_blocks_are_told():
    many, ones = np.full((1, 4), 0.1), np.ones((1, 4), int)
    assert withheld(np.ones((1, 4)), 9 * ones, many, ones) is None
