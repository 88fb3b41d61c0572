"""Any-block persistence against a Markov chain, enumeration, simulation and bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations.any_block import (
    any_block,
    any_block_bound,
    any_block_measurements,
    follow_all,
    memoryless_any_block,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.walk import Race, race
from dpodl.analysis.simulation.levels import Levels, network, simulate
from dpodl.analysis.simulation.properties import LOWER_BOUND

LEVELS, HORIZON, REPLICAS = 96, 40, 16_384


def chain(q: float, depth: int, horizon: int, ties_win: bool) -> float:
    """The fork as a Markov chain of (levels lived, blocks ahead), level by level."""
    need, most = depth + (not ties_win), 120
    gains = (1 - q) * q ** np.arange(most + 1)
    state = np.zeros((need, most))
    state[0, 0] = 1.0
    reverted = 0.0
    for level in range(1, horizon + need):
        moved = np.zeros_like(state)
        for lived in range(need):
            after = np.convolve(state[lived], gains)
            # One public block: ahead by d + gain − 1, given up below 0.
            if level < horizon:
                moved[0, 0] += after[0]
            if lived + 1 == need:
                reverted += after[1:].sum()
            else:
                moved[lived + 1] += after[1 : most + 1]
        state = moved
    return float(reverted)


def lattice_chain(h: float, a: float, delay: int, depth: int, horizon: int) -> float:
    """Geometric provers: the law of B itself, killed below 0, by convolution."""
    most = 1200
    trials = np.arange(1, most)
    public = np.zeros(most + delay)
    public[1 + delay :] = h * (1 - h) ** (trials - 1)
    private = np.concatenate([[0.0], a * (1 - a) ** (trials - 1)])
    step = np.convolve(public, private[::-1])  # place s is B = s − (most − 1)
    law, lived = np.array([1.0]), [1.0]
    for _ in range(depth):
        law = np.convolve(law, step)[most - 1 :][: 4 * most]
        lived.append(law.sum())
    ends = -np.diff(lived)
    leaves = [1.0]
    for f in range(1, horizon):
        leaves.append(sum(ends[i] * leaves[f - 1 - i] for i in range(min(depth, f))))
    return lived[depth] * sum(leaves)


def simulated(net, seed=1):
    levels = simulate(jax.random.key(seed), net, levels=LEVELS, replicas=REPLICAS)
    deepest = follow_all(levels, delay_steps=float(net.delay), horizon=HORIZON)
    return deepest, levels


def measured(deepest, depths):
    found = any_block_measurements(deepest, depths, levels=LEVELS, horizon=HORIZON)
    return {m.place: m.estimate for m in found}


def agree(found, exact):
    error = np.sqrt(exact * (1 - exact) / REPLICAS)
    assert abs(found - exact) < 3.5 * error, (found, exact, error)


def memoryless(q, **options) -> Race:
    return Race(exponential(1 - q), exponential(q), 0.0, **options)


@pytest.mark.parametrize("ties_win", [True, False])
@pytest.mark.parametrize(
    ("q", "depth", "horizon"), [(0.3, 3, 10), (0.1, 2, 50), (0.45, 5, 40), (0.3, 6, 1)]
)
def test_memoryless_answers_are_the_markov_chains(q, depth, horizon, ties_win):
    exact = chain(q, depth, horizon, ties_win)
    closed = memoryless_any_block(q, depth, horizon, ties_win=ties_win)
    assert closed == pytest.approx(exact, rel=1e-12)
    (found,) = any_block(memoryless(q, ties_win=ties_win), [depth], horizon=horizon)
    assert found.estimate.low <= exact <= found.estimate.high
    assert found.estimate.value == pytest.approx(exact, rel=1e-7)
    assert (found.at, found.at_unit) == (depth, "blocks")
    assert f"any of {horizon} blocks" in found.estimate.method


def test_of_one_block_it_is_the_chance_to_stay_ahead():
    # Depth 1 of block 1: one private block before the public one.
    assert memoryless_any_block(0.2, 1, 1) == pytest.approx(0.2)
    # A strategy that gives up does no better than one that does not.
    for depth in (1, 5, 20):
        assert memoryless_any_block(0.2, depth, 1) < races.private_race(0.2, depth)


def test_long_horizons_and_rare_depths():
    for depth, horizon in ((100, 10**3), (100, 10**6), (600, 10**12)):
        exact = memoryless_any_block(0.3, depth, horizon)
        (found,) = any_block(memoryless(0.3), [depth], horizon=horizon)
        assert found.estimate.value == pytest.approx(exact, rel=1e-6)
    # Rare ones add up; the recursion goes on where the limit takes over.
    once, twice = (memoryless_any_block(0.3, 100, n) for n in (10**8, 2 * 10**8))
    assert twice == pytest.approx(1 - (1 - once) ** 2, rel=1e-5)
    assert memoryless_any_block(0.3, 20, 4300) == pytest.approx(
        chain(0.3, 20, 4300, True), rel=1e-9
    )
    assert memoryless_any_block(0.45, 40, 10**9) == pytest.approx(1.0)


@pytest.mark.parametrize(("delay", "depth"), [(0, 2), (0, 5), (3, 4)])
@pytest.mark.parametrize("ties_win", [True, False])
def test_lattice_laws_are_exact_ties_included(delay, depth, ties_win):
    h, a = 0.2, 0.1
    one = Race(geometric(h), geometric(a), float(delay), ties_win)
    (found,) = any_block(one, [depth], horizon=30)
    exact = lattice_chain(h, a, delay, depth + (not ties_win), 30)
    assert found.estimate.value == pytest.approx(exact, rel=1e-9)
    assert "exact lattice" in found.estimate.method


def test_simulated_memoryless_networks_agree():
    for beta in (0.1, 0.3):
        net = network(exponential(0.01), provers=10, beta=beta, delay_steps=0.0)
        found = measured(simulated(net)[0], [2, 4, 10])
        for depth in (2, 4, 10):
            for strict in (False, True):
                name = "any_block_violation" + ("_strict" if strict else "")
                exact = memoryless_any_block(beta, depth, HORIZON, ties_win=not strict)
                agree(found[name, depth].value, exact)


def test_simulated_networks_of_other_laws_agree():
    law = exponential(0.01, dead_time=10.0)
    net = network(law, provers=10, beta=0.2, delay_steps=0.0)
    found = measured(simulated(net)[0], [2, 4])
    for ties_win, suffix in ((True, ""), (False, "_strict")):
        for m in any_block(race(net, ties_win=ties_win), [2, 4], horizon=HORIZON):
            assert m.quantity == "any_block_violation" + suffix
            agree(found[m.place].value, m.estimate.value)
    # The lattice, where float32 has to keep the ties.
    net = network(geometric(0.01), provers=10, beta=0.2, delay_steps=0.0)
    found = measured(simulated(net)[0], [2, 4])
    for m in any_block(race(net), [2, 4], horizon=HORIZON):
        agree(found[m.place].value, m.estimate.value)


def test_delay_makes_the_grid_an_upper_bound():
    net = network(exponential(0.01), provers=20, beta=0.2, delay_steps=1.0)
    found = measured(simulated(net)[0], [4, 8])
    for m in any_block(race(net), [4, 8], horizon=HORIZON):
        assert found[m.place].low <= m.estimate.value
        assert m.estimate.value < 1.5 * found[m.place].high


def slow_best(interval, private, delay, horizon, ties_win):
    """Every fork and every end, one by one."""
    gain = interval - private
    walk = np.concatenate([[0.0], np.cumsum(gain)])
    deepest = 0
    for end in range(1, len(gain)):
        last = interval[end] if ties_win else gain[end]
        for left in range(min(end, horizon)):
            if walk[end] - walk[left] + last + delay >= 0:
                deepest = max(deepest, end - left)
    return deepest


def slow_restart(interval, private, horizon):
    tau, alpha, left, longest = 0.0, 0.0, 0, 0
    for level, (gap, draw) in enumerate(zip(interval, private, strict=True), 1):
        alpha = min(alpha, tau) + draw
        tau += gap
        if alpha > tau:
            left = level
        elif left < horizon:
            longest = max(longest, level - left)
    return longest


def test_paths_are_followed_as_they_are_told():
    law = exponential(0.01)
    net = network(law, provers=10, beta=0.3, delay_steps=4.0)
    deepest, levels = simulated(net)
    for replica in range(60):
        interval, private = (
            np.asarray(x[replica], float) for x in (levels.interval, levels.private)
        )
        longest = slow_restart(interval, private, HORIZON)
        assert int(deepest.restart[replica]) == longest
        assert int(deepest.restart_strict[replica]) == max(longest - 1, 0)
        for values, ties_win in ((deepest.best, True), (deepest.best_strict, False)):
            exact = slow_best(interval, private, 4.0, HORIZON, ties_win)
            assert int(values[replica]) == exact


def test_best_restarts_lie_between_the_strategy_and_the_union_bound():
    net = network(exponential(0.01), provers=10, beta=0.1, delay_steps=0.0)
    deepest = simulated(net)[0]
    assert (deepest.best >= deepest.restart).all()
    assert (deepest.best >= deepest.best_strict).all()
    found = measured(deepest, [4, 8])
    bound = any_block_bound(race(net), [4, 8], horizon=HORIZON)
    for m in bound:
        assert m.estimate.value == pytest.approx(
            min(1.0, HORIZON * races.premined_race(0.1, int(m.at or 0))), rel=1e-5
        )
        assert found["any_block_best", m.at].low < m.estimate.value
        assert "union bound" in m.estimate.method
    assert bound[1].estimate.value < 1


def test_without_an_adversary_nothing_is_replaced():
    net = network(exponential(0.01), provers=10, beta=0.0, delay_steps=20.0)
    for estimate in measured(simulated(net)[0], [1, 5]).values():
        assert estimate.value == 0.0
    assert memoryless_any_block(0.0, 1, 10**6) == 0.0


def test_an_adversary_that_outgrows_wins_in_the_long_run():
    assert memoryless_any_block(0.6, 30, 10**4) == pytest.approx(1.0)
    assert memoryless_any_block(1.0, 3, 1) == 1.0
    net = network(exponential(0.01), provers=10, beta=0.7, delay_steps=0.0)
    found = measured(simulated(net)[0], [10])
    agree(
        found["any_block_violation", 10].value, memoryless_any_block(0.7, 10, HORIZON)
    )
    assert LOWER_BOUND in found["any_block_best", 10].method
    with pytest.raises(Refused, match="outgrows"):
        any_block(race(net), [10], horizon=HORIZON)


def test_a_tie_is_a_tie():
    # α_1 = τ_1 = 2: one block each, and no more for the adversary.
    levels = Levels(
        interval=jnp.array([[2.0, 1.0, 1.0, 1.0]]),
        blocks=jnp.ones((1, 4), jnp.int32),
        lag=jnp.zeros((1, 4, 1)),
        private=jnp.array([[2.0, 9.0, 9.0, 9.0]]),
        overflow=jnp.zeros(1, bool),
    )
    found = follow_all(levels, delay_steps=0.0, horizon=2)
    assert [int(x[0]) for x in found[:4]] == [1, 0, 1, 0]


def test_bad_requests_name_the_field():
    one = memoryless(0.2)
    for call in (any_block, any_block_bound):
        with pytest.raises(ValueError, match="depths"):
            call(one, [0], horizon=3)
        with pytest.raises(ValueError, match="horizon"):
            call(one, [1], horizon=0)
    with pytest.raises(ValueError, match="premined"):
        any_block(memoryless(0.2, premined=True), [1], horizon=3)
    with pytest.raises(ValueError, match="q must"):
        memoryless_any_block(1.5, 1, 1)
    with pytest.raises(Refused, match="rarer"):
        any_block(memoryless(0.05), [800], horizon=3)
    net = network(exponential(0.01), provers=10, beta=0.1, delay_steps=0.0)
    deepest, levels = simulated(net)
    with pytest.raises(ValueError, match="horizon"):
        follow_all(levels, delay_steps=0.0, horizon=LEVELS)
    with pytest.raises(ValueError, match="depths"):
        measured(deepest, [LEVELS - HORIZON])
