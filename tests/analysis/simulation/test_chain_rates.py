"""Growth and forks of many networks, against ``simulate`` and against exact cases."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.empirical import empirical_law
from dpodl.analysis.block_time.law import exponential, fastest_of, geometric, mean
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.simulation import chain_rates as cr
from dpodl.analysis.simulation.levels import network, simulate

from tests.analysis.formula_curves import formula_curves, lotteries

CURVES = formula_curves(21)


def _laws(count: int):
    return [
        empirical_law(CURVES, each, damped=True).law for each in lotteries(5, count)
    ]


def _rates(key, cases, **others) -> list[cr.ChainRates]:
    """``chain_rates`` where none is refused."""
    found = cr.chain_rates(key, cases, **others)
    known = [each for each in found if isinstance(each, cr.ChainRates)]
    assert len(known) == len(found)
    return known


def _agree(found, value, error):
    # 4.5 standard errors of both: one in 10^5 fails by chance.
    own = (found.high - found.low) / 2 / 2.1
    assert abs(found.value - value) < 4.5 * math.hypot(own, error)


@pytest.mark.parametrize("delay", [5.0, 60.0])
def test_rates_are_those_of_counted_levels(delay):
    laws = _laws(3)
    cases = [cr.Case(law, 15.0, delay) for law in laws]
    for law, found in zip(
        laws, _rates(jax.random.key(1), cases, rounds=8), strict=True
    ):
        counted = simulate(
            jax.random.key(2),
            network(law, provers=20, beta=0.25, delay_steps=delay),
            levels=128,
            replicas=1000,
        )
        interval = np.asarray(counted.interval, float).mean(axis=1)
        forks = np.asarray(counted.blocks, float).mean(axis=1) - 1
        for mine, each in zip(found, (interval, forks), strict=True):
            error = each.std(ddof=1) / math.sqrt(len(each))
            _agree(mine, each.mean(), error)
        # What the conditional forks and the control variate are for.
        assert found.forks.high - found.forks.low < 0.1 * found.forks.value
        assert found.interval.high - found.interval.low < 0.01 * found.interval.value


def test_without_delay_the_interval_is_the_fastest_of_all():
    law = _laws(1)[0]
    (found,) = _rates(jax.random.key(0), [cr.Case(law, 15.0, 0.0)])
    exact = mean(fastest_of(law, 15))
    # The finder's own draw stands beside the control: a small part of the levels.
    assert found.interval.value == pytest.approx(exact, rel=0.03)
    assert found.forks.value == 0.0
    assert found.stale.high == 0.0


def test_memoryless_rates_to_first_order():
    rate, n, delay = 1e-4, 4.0, 300.0
    (found,) = _rates(
        jax.random.key(4), [cr.Case(exponential(rate), n, delay)], rounds=40
    )
    # The finder mines at λ all the time, the others from Δ on.
    least = delay + (1 - rate * delay) / (n * rate)
    assert found.interval.value == pytest.approx(least, rel=0.01)
    # Every other one may find a block within Δ; where the finder of the last level was
    # first again, with λΔ, the others began half of Δ later in the mean.
    chance = -math.expm1(-rate * delay) * (1 - rate * delay / 2)
    assert found.forks.value == pytest.approx((n - 1) * chance, rel=0.005)


def test_one_prover_has_no_forks():
    (found,) = _rates(jax.random.key(3), [cr.Case(_laws(1)[0], 1.0, 50.0)])
    assert found.forks.value == 0.0


def test_intervals_cover_what_more_levels_say():
    law = _laws(1)[0]
    case = cr.Case(law, 15.0, 25.0)
    (sure,) = _rates(jax.random.key(99), [case], rounds=100)
    inside = np.zeros(2)
    for seed in range(100):
        (found,) = _rates(jax.random.key(seed), [case])
        ends = zip(found, sure, strict=True)
        inside += [one.low <= other.value <= one.high for one, other in ends]
    # Of 100 at 95 %, fewer than 85 are one in 10^4.
    assert (inside >= 85).all()


def test_a_network_depends_on_no_other_of_its_batch():
    laws = _laws(3)
    cases = [
        cr.Case(law, 15.0, d) for law, d in zip(laws, (5.0, 25.0, 60.0), strict=True)
    ]
    key = jax.random.key(8)
    together = _rates(key, cases)
    for case, found in zip(cases, together, strict=True):
        (alone,) = _rates(key, [case])
        for one, other in zip(found, alone, strict=True):
            assert one == other


def test_a_last_batch_makes_no_program_of_its_own():
    case = cr.Case(_laws(1)[0], 15.0, 5.0)
    cr.chain_rates(jax.random.key(0), [case] * 8)
    before = cr._program()._cache_size()
    cr.chain_rates(jax.random.key(0), [case] * 3)
    cr.chain_rates(jax.random.key(1), [case._replace(honest=7.0, delay=9.0)] * 6)
    assert cr._program()._cache_size() == before


def test_laws_with_atoms_are_counted():
    law = geometric(0.02, trial=10.0)
    (found,) = _rates(jax.random.key(6), [cr.Case(law, 9.0, 20.0)], rounds=8)
    counted = simulate(
        jax.random.key(7),
        network(law, provers=9, beta=0.0, delay_steps=20.0),
        levels=128,
        replicas=1000,
    )
    blocks = np.asarray(counted.blocks, float).mean(axis=1) - 1
    _agree(found.forks, blocks.mean(), blocks.std() / math.sqrt(1000))


def test_a_chain_that_may_stop_is_refused_alone():
    never = exponential(1e-3)._replace(tail_hazard=0.0)
    never = never._replace(cumulative_hazard=np.minimum(never.cumulative_hazard, 0.01))
    key, whole = jax.random.key(0), cr.Case(_laws(1)[0], 15.0, 5.0)
    refused, found = cr.chain_rates(key, [cr.Case(never, 2.0, 5.0), whole])
    assert isinstance(refused, Refused)
    assert "may never end" in str(refused)
    assert isinstance(found, cr.ChainRates)


def test_more_finders_than_slots_are_followed_wider():
    law = exponential(1e-3)
    (found,) = _rates(jax.random.key(0), [cr.Case(law, 60.0, 600.0)])
    assert isinstance(found, cr.ChainRates)
    assert found.forks.value > 8
    crowd = cr.Case(law, 4000.0, 2000.0)
    (refused,) = cr.chain_rates(jax.random.key(0), [crowd])
    assert isinstance(refused, Refused)
    assert "512 provers" in str(refused)
