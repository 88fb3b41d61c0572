"""Good periods against exact binomials and against windows counted one by one."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis import bounds
from dpodl.analysis.block_time import exponential, geometric
from dpodl.analysis.estimate import Refused
from dpodl.analysis.good_period import (
    Rounds,
    good_period_measurements,
    join_rounds,
    rate_measurements,
    round_rates,
    rounds_of,
    window_shares,
)
from dpodl.analysis.simulation import network, simulate

KEY = jax.random.key(5)
SIGMA = 4.0
PAD = 2**29


@cache
def independent_rounds(provers=2, beta=0.5, p=0.05):
    """Geometric(p) laws on whole rounds: every round is an independent trial."""
    law = geometric(p)
    net = network(law, provers=provers, beta=beta, delay_steps=0.0)
    levels = simulate(KEY, net, levels=256, replicas=1000, slots=8)
    rounds = rounds_of(levels, round_steps=1.0)
    return rounds, round_rates(rounds, private=True)


def test_rates_of_independent_rounds():
    rounds, rates = independent_rounds(provers=8, beta=0.25, p=0.02)
    hit = 1 - 0.98**6
    exact = {
        "round_success": hit,
        "round_single_success": 6 * 0.02 * 0.98**5,
        # The adversary's two provers share one chain: their blocks come one by one.
        "round_adversarial": 1 - 0.98**2,
    }
    for m in rate_measurements(rounds, rates):
        half = (m.estimate.high - m.estimate.low) / 2
        assert abs(m.estimate.value - exact[m.quantity]) < SIGMA / 1.96 * half
    assert rates.x == pytest.approx(hit, rel=0.01)


@pytest.mark.parametrize("epsilon", [0.2, 0.5])
@pytest.mark.parametrize("blocks", [5.0, 20.0, 50.0])
def test_a_single_window_of_independent_rounds_is_binomial(blocks, epsilon):
    rounds, rates = independent_rounds()
    found = {
        (m.quantity, m.at): m.estimate
        for m in good_period_measurements(
            window_shares(KEY, rounds, rates, [blocks], epsilon=epsilon)
        )
    }["good_period", blocks]
    # One honest prover: Y = X, so the two lower conditions are one.
    exact = bounds.good_window(rates.window(blocks), rates.x, rates.y, rates.z, epsilon)
    half = max((found.high - found.low) / 2, 1e-3)
    assert abs(found.value - exact) < SIGMA / 1.96 * half


def counted(honest, adversarial, rates, window, epsilon):
    """Def. 3 over every window of at least ``window`` rounds, one by one."""
    begin, end = rates.begin, rates.end
    good = []
    for h, z in zip(np.asarray(honest), np.asarray(adversarial), strict=True):
        found, times = np.unique(h[h < end], return_counts=True)
        counts = np.zeros((3, end + 1))
        counts[0, found] = 1
        counts[1, found[times == 1]] = 1
        np.add.at(counts[2], z[z < end], 1)
        total = np.concatenate([np.zeros((3, 1)), np.cumsum(counts, axis=1)], axis=1)
        fine = True
        for length in range(window, end - begin + 1):
            starts = np.arange(begin, end - length + 1)
            x, y, zz = total[:, starts + length] - total[:, starts]
            mean = np.array([rates.x, rates.y, rates.z]) * length
            fine &= bool(
                (x > (1 - epsilon) * mean[0]).all()
                & (x < (1 + epsilon) * mean[0]).all()
                & (y > (1 - epsilon) * mean[1]).all()
                & (zz < mean[2] + epsilon * mean[0]).all()
            )
            if not fine:
                break
        good.append(fine)
    return np.array(good)


@pytest.mark.parametrize("blocks", [8.0, 15.0])
@pytest.mark.parametrize("delay", [0.0, 3.0])
def test_all_windows_are_those_counted_one_by_one(blocks, delay):
    law = exponential(0.02, dead_time=10.0)
    net = network(law, provers=8, beta=0.25, delay_steps=delay)
    levels = simulate(KEY, net, levels=48, replicas=150, slots=8)
    rounds = rounds_of(levels, round_steps=2.0)
    rates = round_rates(rounds, private=True)
    epsilon = 0.6 if blocks < 10 else 0.4
    slow = counted(
        rounds.honest, rounds.adversarial, rates, rates.window(blocks), epsilon
    )
    estimate = {
        m.quantity: m.estimate
        for m in good_period_measurements(
            window_shares(KEY, rounds, rates, [blocks], epsilon=epsilon)
        )
    }["good_period_all"]
    assert estimate.value == slow.mean()
    assert 0.02 < slow.mean() < 0.98  # both outcomes are tried


def test_rounds_hold_every_success_of_the_network():
    net = network(exponential(0.02), provers=8, beta=0.25, delay_steps=20.0)
    levels = simulate(KEY, net, levels=32, replicas=50)
    rounds = rounds_of(levels, round_steps=0.5)
    first = np.cumsum(np.asarray(levels.interval), axis=1)
    times = first[:, :, None] + np.asarray(levels.lag)
    for replica, found in zip(times, np.asarray(rounds.honest), strict=True):
        exact = np.sort(np.floor(replica[np.isfinite(replica)] / 0.5).astype(int))
        np.testing.assert_array_equal(found[found < PAD], exact)
    assert int(levels.blocks.sum()) == int((rounds.honest < PAD).sum())


def test_joined_replicas_are_padded_not_cut():
    parts = [
        Rounds(jnp.array([[1, 2, 3]]), jnp.array([[4]])),
        Rounds(jnp.array([[1, PAD]]), jnp.array([[5]])),
    ]
    joined = join_rounds(parts)
    np.testing.assert_array_equal(joined.honest, [[1, 2, 3], [1, PAD, PAD]])
    np.testing.assert_array_equal(joined.adversarial, [[4], [5]])


def test_no_variance_is_always_good():
    law = geometric(1.0, trial=10.0)
    net = network(law, provers=1, beta=0.0, delay_steps=0.0)
    levels = simulate(KEY, net, levels=128, replicas=20)
    rounds = rounds_of(levels, round_steps=10.0)
    rates = round_rates(rounds, private=False)
    assert (rates.x, rates.y, rates.z) == (1.0, 1.0, 0.0)
    for m in good_period_measurements(
        window_shares(KEY, rounds, rates, [10.0], epsilon=0.1)
    ):
        assert m.estimate.value == 1.0
        # Twenty replicas do not prove certainty.
        assert m.estimate.low < 0.9


def test_windows_longer_than_half_the_horizon_are_left_out_or_refused():
    rounds, rates = independent_rounds()
    horizon = (rates.end - rates.begin) * rates.x
    found = good_period_measurements(
        window_shares(KEY, rounds, rates, [5.0, horizon], epsilon=0.5)
    )
    assert {m.at for m in found} == {5.0}
    with pytest.raises(Refused, match="simulate more levels"):
        good_period_measurements(
            window_shares(KEY, rounds, rates, [horizon], epsilon=0.5)
        )


def test_too_few_rounds_are_refused():
    net = network(exponential(1.0), provers=2, beta=0.5, delay_steps=0.0)
    levels = simulate(KEY, net, levels=32, replicas=20)
    rounds = rounds_of(levels, round_steps=10.0)
    with pytest.raises(Refused, match="share only"):
        round_rates(rounds, private=True)


def test_too_many_rounds_to_number_are_an_error():
    net = network(exponential(1e-9), provers=2, beta=0.5, delay_steps=0.0)
    levels = simulate(KEY, net, levels=32, replicas=20)
    with pytest.raises(Refused, match="round_steps must be at least"):
        rounds_of(levels, round_steps=1.0)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, -0.1])
def test_epsilon_out_of_range(epsilon):
    rounds, rates = independent_rounds()
    with pytest.raises(ValueError, match=r"epsilon must be in \(0, 1\)"):
        good_period_measurements(
            window_shares(KEY, rounds, rates, [5.0], epsilon=epsilon)
        )


def test_a_private_chain_that_stops_shortens_no_horizon():
    """It has no more successes, and that is known of every round that comes."""
    stops = exponential(0.01)
    hazard = np.minimum(stops.cumulative_hazard, 3.0)
    stops = stops._replace(cumulative_hazard=hazard, tail_hazard=0.0)
    net = network(
        exponential(0.01), provers=10, beta=0.2, delay_steps=0.0, adversary=stops
    )
    levels = simulate(KEY, net, levels=256, replicas=200)
    private = np.asarray(levels.private)
    # e^-6 a block: in most replicas it never comes some time.
    assert np.isinf(private).any(axis=1).mean() > 0.3
    assert np.isinf(private[:, :16]).any()
    rounds = rounds_of(levels, round_steps=1.0)
    rates = round_rates(rounds, private=True)
    alone = round_rates(rounds, private=False)
    assert rates.end == alone.end


def test_a_private_block_behind_all_numbers_counts_as_none():
    """A time that int32 cannot hold as a round is behind every round."""
    levels = simulate(
        KEY,
        network(exponential(0.01), provers=10, beta=0.2, delay_steps=0.0),
        levels=64,
        replicas=20,
    )
    far = levels._replace(private=levels.private.at[3, 2:].set(3e9))
    assert 64 * 3e9 > 2.0**31
    numbers = np.asarray(rounds_of(far, round_steps=1.0).adversarial)
    assert (np.diff(numbers, axis=1) >= 0).all()
    assert numbers[3, -1] == PAD
