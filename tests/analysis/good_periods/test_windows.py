"""Good periods against exact binomials and against windows counted one by one."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.good_periods.windows import (
    Rounds,
    good_period_measurements,
    horizon_rounds,
    join_rounds,
    rate_measurements,
    round_rates,
    rounds_of,
    rounds_until,
    shortest,
    window_shares,
)
from dpodl.analysis.simulation.levels import network, simulate

KEY = jax.random.key(5)
SIGMA = 4.0
PAD = 2**29


def simulated(net, *, levels, replicas, round_steps, key=KEY):
    """Success rounds of a horizon, and their rates."""
    end = horizon_rounds(net, levels=levels, round_steps=round_steps)
    rounds = rounds_until(
        end,
        lambda count: simulate(key, net, levels=count, replicas=replicas),
        levels=levels,
        round_steps=round_steps,
    )
    return rounds, round_rates(rounds, end=end)


@cache
def independent_rounds(provers=2, beta=0.5, p=0.05):
    """Geometric(p) laws on whole rounds: every round is an independent trial."""
    law = geometric(p)
    net = network(law, provers=provers, beta=beta, delay_steps=0.0)
    return simulated(net, levels=256, replicas=1000, round_steps=1.0)


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
    exact = rounds.good_window(rates.window(blocks), rates.x, rates.y, rates.z, epsilon)
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
    rounds, rates = simulated(net, levels=64, replicas=150, round_steps=2.0)
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
    longer = join_rounds([parts[0], Rounds(jnp.array([[1]]), jnp.array([[5, 7]]))])
    np.testing.assert_array_equal(longer.adversarial, [[4, PAD], [5, 7]])


LAWS = {
    "exponential": exponential(0.02),
    "dead time": exponential(0.02, dead_time=40.0),
    "lattice": geometric(0.02),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("delay", [0.0, 30.0])
@pytest.mark.parametrize("beta", [0.25, 0.5])
def test_hardly_a_replica_ends_before_the_horizon_and_most_go_little_further(
    law, delay, beta
):
    net = network(LAWS[law], provers=8, beta=beta, delay_steps=delay)
    drawn = simulate(KEY, net, levels=128, replicas=2000)
    end = horizon_rounds(net, levels=128, round_steps=0.5)
    lengths = np.minimum(drawn.interval.sum(axis=1), drawn.private.sum(axis=1))
    assert 0.5 * end <= lengths.min()
    if not delay:
        # With a delay the bound leaves it out.
        assert 0.5 * end > 0.45 * np.median(lengths)


@pytest.mark.parametrize("count", [20, 2000])
def test_the_horizon_does_not_depend_on_the_number_of_replicas(count):
    net = network(exponential(0.02), provers=8, beta=0.25, delay_steps=5.0)
    _, rates = simulated(net, levels=64, replicas=count, round_steps=1.0)
    assert rates.end == horizon_rounds(net, levels=64, round_steps=1.0)
    assert rates.begin == rates.end // 10


def test_a_law_that_may_never_end_does_not_shorten_the_horizon():
    law = exponential(0.02)
    never = law._replace(tail_hazard=0.0, cumulative_hazard=law.cumulative_hazard / 500)
    sizes = {"levels": 64, "round_steps": 1.0}
    honest = network(law, provers=8, beta=0.0, delay_steps=5.0)
    both = honest._replace(honest=8, adversarial=2, adversary=never)
    assert horizon_rounds(both, **sizes) == horizon_rounds(honest, **sizes)
    assert horizon_rounds(honest._replace(law=never), **sizes) == PAD


def test_replicas_that_end_early_are_simulated_on_and_do_not_change_what_was():
    net = network(exponential(0.02), provers=8, beta=0.25, delay_steps=5.0)
    drawn = {n: simulate(KEY, net, levels=n, replicas=50) for n in (32, 64, 128)}
    short, long = (rounds_of(drawn[n], round_steps=1.0) for n in (32, 64))
    end = int(shortest(drawn[32]))
    for one, other in zip(short, long, strict=True):
        for mine, further in zip(np.asarray(one), np.asarray(other), strict=True):
            np.testing.assert_array_equal(mine[mine < end], further[further < end])
    # The horizon lies behind the end of some: all go on until they are through.
    behind = int(shortest(drawn[32])) + 1
    assert behind <= shortest(drawn[64])
    found = rounds_until(behind, drawn.__getitem__, levels=32, round_steps=1.0)
    np.testing.assert_array_equal(found.honest, long.honest)
    np.testing.assert_array_equal(found.adversarial, long.adversarial)


@pytest.mark.slow
def test_all_windows_are_as_good_with_many_replicas_as_with_few():
    """The horizon was the shortest replica's: .925 with many, .912 with few."""
    net = network(exponential(0.001, dead_time=400.0), provers=20, beta=0.25,
                  delay_steps=25.0)  # fmt: skip
    found, ends, lengths = {}, set(), [6.0, 8.0, 10.0, 12.0, 15.0, 20.0]
    for seed, count in enumerate((2000, 2000, 2000, 30_000)):
        rounds, rates = simulated(
            net,
            levels=128,
            replicas=count,
            round_steps=25.0,
            key=jax.random.key(100 + seed),
        )
        ends.add((rates.begin, rates.end))
        shares = window_shares(KEY, rounds, rates, lengths, epsilon=0.5)
        found.setdefault(count, []).append(1 - shares.every.mean(axis=0))
    assert len(ends) == 1
    (many,) = found[30_000]
    few = np.mean(found[2000], axis=0)
    error = np.sqrt(many * (1 - many) * (1 / 6000 + 1 / 30_000))
    # (1−ε)kp is whole at all these lengths: rounding k made one sample jump by .08.
    telling = (many > 0.02) & (many < 0.99)
    assert telling.any()
    assert (np.abs(few - many) < 3.5 * error)[telling].all()


def test_no_variance_is_always_good():
    law = geometric(1.0, trial=10.0)
    net = network(law, provers=1, beta=0.0, delay_steps=0.0)
    rounds, rates = simulated(net, levels=128, replicas=20, round_steps=10.0)
    assert rates.end == 128  # nothing of a sure path is given away
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
    with pytest.raises(Refused, match="the horizon has only 0 rounds"):
        simulated(net, levels=32, replicas=20, round_steps=10.0)


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
    end = horizon_rounds(net, levels=256, round_steps=1.0)
    alone = net._replace(adversarial=0.0)
    assert end == horizon_rounds(alone, levels=256, round_steps=1.0)
    rates = round_rates(rounds_of(levels, round_steps=1.0), end=end)
    assert rates.end == end
    # Two provers with e^-6 to end a race for ever: most blocks of a while, then none.
    assert 0 < rates.z < 0.02


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
