"""SM1 for any law against the closed form and a prover-by-prover block tree."""

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks.sm1 import sm1_revenue
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential, geometric
from dpodl.analysis.bounds import selfish
from dpodl.analysis.estimation.estimate import Estimate, Refused


def _error(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2 / 1.96


@pytest.mark.parametrize(
    ("beta", "gamma"), [(0.1, 0.0), (0.3, 0.0), (0.3, 0.5), (0.4, 1.0), (0.45, 0.0)]
)
def test_exponential_laws_have_the_closed_form(beta, gamma):
    found = sm1_revenue(
        jax.random.key(2),
        exponential(0.005),
        provers=20,
        beta=beta,
        gamma=gamma,
        replicas=2048,
    )
    exact = selfish.selfish_revenue(beta, gamma)
    assert abs(found.value - exact) < 3 * _error(found)
    assert _error(found) < 1e-3


def _tree(draw, honest, pool, siding, blocks, rng):
    """SM1 with a clock for each prover and a tree of blocks; the pool's share.

    The first ``siding`` honest provers extend the pool's block in a tie. Nothing is
    shared with the engine: a prover restarts because its tip is another block.
    """
    parent, owner, height = [-1], [0], [0]
    provers = honest + pool
    tip = [0] * provers
    due = [draw(rng) for _ in range(provers)]
    secret = shown = 0  # the pool's branch and how far it is public
    tie = False

    def ancestor(block, level):
        while height[block] > level:
            block = parent[block]
        return block

    for _ in range(blocks):
        finder = int(np.argmin(due))
        now = due[finder]
        mine = finder >= honest
        parent.append(tip[finder])
        owner.append(int(mine))
        height.append(height[tip[finder]] + 1)
        new = len(parent) - 1
        aims = list(tip)
        if mine:
            secret = new
            if tie:  # it shows at once what wins
                shown = new
                aims[:honest] = [new] * honest
            tie = False
        else:
            level = height[new]
            ahead = height[secret] - level
            tie = ahead == 0
            aims[:honest] = [new] * honest
            if ahead < 0:
                secret = shown = new
            elif ahead == 1:
                shown = secret
                aims[:honest] = [secret] * honest
            else:
                shown = ancestor(secret, level)
                aims[:siding] = [shown] * siding
        aims[honest:] = [secret] * pool
        for prover in range(provers):
            if aims[prover] != tip[prover]:
                tip[prover] = aims[prover]
                due[prover] = now + draw(rng)
    chain, won = ancestor(secret, height[secret]), 0
    while chain > 0:
        won += owner[chain]
        chain = parent[chain]
    return won / height[secret]


@pytest.mark.parametrize("dead_time", [0.0, 10.0, 60.0])
@pytest.mark.parametrize("siding", [0, 2, 4])
def test_the_engine_agrees_with_a_tree_of_blocks(dead_time, siding):
    rate, honest, pool = 0.02, 4, 3
    provers = honest + pool
    rng = np.random.default_rng(int(dead_time) + siding)
    shares = [
        _tree(
            lambda r: dead_time + r.exponential(1 / rate),
            honest,
            pool,
            siding,
            1500,
            rng,
        )
        for _ in range(24)
    ]
    slow = float(np.mean(shares))
    slow_error = float(np.std(shares, ddof=1)) / np.sqrt(len(shares))
    fast = sm1_revenue(
        jax.random.key(5),
        exponential(rate, dead_time=dead_time),
        provers=provers,
        beta=pool / provers,
        gamma=siding / honest,
    )
    # The tree's first and last few blocks are not in the stationary law.
    assert abs(fast.value - slow) < 4 * np.hypot(slow_error, _error(fast)) + 2e-3


def test_dead_time_takes_the_gain_away():
    # Honest provers go on while a block is kept, the pool starts anew: with regular
    # laws the secret is overtaken before it can be used.
    found = [
        sm1_revenue(
            jax.random.key(1),
            exponential(0.005, dead_time=dead_time),
            provers=20,
            beta=0.45,
            gamma=0.0,
        )
        for dead_time in (0.0, 5.0, 10.0, 50.0)
    ]
    values = [e.value for e in found]
    assert np.all(np.diff(values) < 0)
    assert found[0].low > 0.45 + 0.1
    assert found[-1].high < 0.45


def test_only_the_ratio_of_dead_time_and_rate_matters():
    at = {"provers": 10, "beta": 0.3, "gamma": 0.5}
    one = sm1_revenue(jax.random.key(4), exponential(0.01, dead_time=30.0), **at)
    other = sm1_revenue(jax.random.key(4), exponential(0.0001, dead_time=3e3), **at)
    assert one.value == pytest.approx(other.value, abs=1e-3)


def test_fine_lattices_tend_to_the_exponential_law():
    fine = sm1_revenue(
        jax.random.key(6), geometric(1e-4), provers=10, beta=0.3, gamma=0.5
    )
    coarse = sm1_revenue(
        jax.random.key(6), geometric(0.05), provers=10, beta=0.3, gamma=0.5
    )
    assert abs(fine.value - selfish.selfish_revenue(0.3, 0.5)) < 4 * _error(fine) + 1e-3
    # Where blocks coincide the pool's counts first.
    assert coarse.low > fine.high


def test_without_a_pool_nothing_is_won():
    found = sm1_revenue(
        jax.random.key(0), exponential(0.1), provers=5, beta=0, gamma=1.0
    )
    assert found.value == 0


def test_the_interval_narrows_with_replicas_and_the_key_fixes_it():
    at = {"provers": 10, "beta": 0.4, "gamma": 0.0}
    law = exponential(0.1)
    few = sm1_revenue(jax.random.key(7), law, **at)
    many = sm1_revenue(jax.random.key(7), law, replicas=2048, **at)
    assert _error(many) < _error(few) / 1.7
    assert few == sm1_revenue(jax.random.key(7), law, **at)
    assert few.count == 512


def test_laws_that_may_never_end_are_refused():
    stuck = BlockTimeLaw(np.minimum(np.arange(8192) / 64, 0.5), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match=r"^selfish mining: some block never came"):
        sm1_revenue(jax.random.key(0), stuck, provers=4, beta=0.25, gamma=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"beta": 0.5}, r"^beta must be in \[0, 0\.5\), got 0\.5$"),
        ({"beta": 0.33}, r"^beta × provers must be whole"),
        ({"gamma": -0.1}, r"^gamma must be in \[0, 1\], got -0\.1$"),
        ({"events": 4}, r"^events must be ≥ 8, got 4$"),
    ],
)
def test_refusals_name_field_range_and_value(change, message):
    at = {"provers": 10, "beta": 0.3, "gamma": 0.5} | change
    with pytest.raises(ValueError, match=message):
        sm1_revenue(jax.random.key(0), exponential(0.1), **at)
