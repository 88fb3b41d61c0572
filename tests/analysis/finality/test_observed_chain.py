"""The risk of every block of a chain: both rates, both errors, backward stamps."""

import numpy as np
import pytest
from dpodl.analysis.block_time.formulas import formula_law
from dpodl.analysis.block_time.law import exponential, fastest_of, mean
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.finality import (
    ObservedChain,
    Parties,
    block_risks,
    exponential_risk,
)


def three_to_one(law):
    return Parties(fastest_of(law, 3), law)


def estimates(rows) -> list[Estimate]:
    """Those with the rate of the window; all rows have one."""
    found = [row.estimated for row in rows if row.estimated is not None]
    assert len(found) == len(rows)
    return found


def chain_of(seed: int, count: int, scale: float) -> ObservedChain:
    rng = np.random.default_rng(seed)
    return ObservedChain(np.cumsum(rng.exponential(scale, count)))


def test_each_block_has_the_risk_of_its_own_times():
    law, chain = exponential(0.01), ObservedChain(np.array([0.0, 30, 35, 90]), 4.0)
    rows = block_risks(chain, UncertainLaw(law), parties=three_to_one, blocks=3)
    assert [(row.depth, row.elapsed) for row in rows] == [(3, 94), (2, 64), (1, 59)]
    for row in rows:
        exact = exponential_risk(0.03, 0.01, row.depth, row.elapsed)
        assert row.known.value == pytest.approx(exact, rel=1e-12)
        assert row.known.low == row.known.high == row.known.value
        assert row.estimated is None


@pytest.mark.parametrize("seed", [1, 2])
def test_a_rate_that_is_estimated_finds_lost_power(seed):
    # Two honest provers of three have left: intervals are three times as long.
    law, chain = exponential(0.01), chain_of(seed, 400, 100.0)
    rows = block_risks(
        chain, UncertainLaw(law), parties=three_to_one, blocks=12, window=300
    )
    for row, found in zip(rows, estimates(rows), strict=True):
        assert found.value > row.known.value
    # With one left on either side nothing is safe; the interval reaches there.
    assert estimates(rows)[0].high > 0.9
    # And where the rate is the law's, it is the law's within its interval.
    chain = chain_of(seed, 400, 100 / 3)
    rows = block_risks(
        chain, UncertainLaw(law), parties=three_to_one, blocks=12, window=300
    )
    for row, found in zip(rows, estimates(rows), strict=True):
        assert found.low <= row.known.value <= found.high


def test_resampled_laws_widen_the_interval():
    law = formula_law("gamma", 100.0, cv=0.5)
    others = tuple(formula_law("gamma", m, cv=0.5) for m in (92.0, 97.0, 104.0, 109.0))
    chain = ObservedChain(np.arange(8) * mean(fastest_of(law, 3)))
    (row,) = block_risks(
        chain, UncertainLaw(law, others), parties=three_to_one, blocks=7
    )[:1]
    assert row.known.low < row.known.value < row.known.high
    assert row.known.count == 4


def test_what_is_below_the_grids_floor_is_an_upper_end():
    law = formula_law("weibull", 100.0, shape=4.0)
    chain = ObservedChain(np.arange(60) * mean(fastest_of(law, 4)))
    rows = block_risks(
        chain,
        UncertainLaw(law),
        parties=lambda one: Parties(fastest_of(one, 4), one),
        blocks=59,
        window=40,
    )
    assert (rows[0].known.low, rows[0].known.high) == (0.0, 1e-12)
    assert "below 1e-12" in rows[0].known.method
    assert "below 1e-12" in estimates(rows)[0].method


def test_stamps_that_run_backwards_are_never_before_the_parents():
    chain = ObservedChain.of_stamps([5.0, 9.0, 7.0, 12.0], 1.0)
    assert chain.times.tolist() == [5.0, 9.0, 9.0, 12.0]
    depths, elapsed = chain.elapsed(3)
    assert depths.tolist() == [3, 2, 1]
    assert elapsed.tolist() == [8.0, 4.0, 4.0]


def test_what_cannot_be_judged_is_told():
    law, chain = exponential(0.01), chain_of(1, 30, 30.0)
    for blocks in (0, 30):
        with pytest.raises(ValueError, match="blocks must be in 1…29"):
            block_risks(chain, UncertainLaw(law), parties=three_to_one, blocks=blocks)
    for window in (5, 40):
        with pytest.raises(Refused, match="a rate is estimated from at least 10"):
            block_risks(
                chain,
                UncertainLaw(law),
                parties=three_to_one,
                blocks=3,
                window=window,
            )
    still = ObservedChain(np.zeros(30))
    with pytest.raises(Refused, match="blocks bear one time: no rate is in it"):
        block_risks(still, UncertainLaw(law), parties=three_to_one, blocks=3, window=20)
