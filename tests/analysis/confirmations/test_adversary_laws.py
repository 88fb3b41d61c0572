"""Tables and thresholds where corrupted provers have a law of their own."""

import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations.depths import depth_threshold
from dpodl.analysis.confirmations.tables import TableTerms, depth_table, risk_table

# Three times as fast: a share β of the provers has 3β / (1 + 2β) of the blocks.
HONEST, FAST = exponential(0.01), exponential(0.03)
LAW = UncertainLaw(HONEST, adversaries=(FAST,))


def effective(beta: float) -> float:
    return 3 * beta / (1 + 2 * beta)


def test_tables_have_the_closed_form_of_the_effective_share():
    terms = TableTerms(10)
    for cell in risk_table(LAW, terms, betas=[0.1], depths=[1, 4, 9]):
        exact = races.private_race(effective(0.1), cell.depth)
        assert cell.estimate is not None
        assert cell.estimate.value == pytest.approx(exact, rel=3e-3)
    (cell,) = depth_table(LAW, terms, betas=[0.1], targets=[1e-3])
    exact = next(
        k for k in range(1, 99) if races.private_race(effective(0.1), k) <= 1e-3
    )
    assert cell.estimate is not None
    assert cell.estimate.value == exact


@pytest.mark.parametrize("ties_win", [True, False])
def test_the_threshold_is_where_the_effective_share_holds(ties_win):
    found = depth_threshold(
        HONEST,
        provers=10,
        delay_steps=0.0,
        depth=6,
        target=1e-2,
        ties_win=ties_win,
        adversary=FAST,
    )
    risk = races.private_race(effective(found), 6, ties_win=ties_win)
    assert risk == pytest.approx(1e-2, rel=5e-3)
