"""Laws by damped transforms, against the tables that are made by doubling."""

import numpy as np
import pytest
from dpodl.analysis.block_time.damped import table_moments
from dpodl.analysis.block_time.empirical import Lottery, empirical_law
from dpodl.analysis.block_time.law import cv, fastest_of, mean, survival

from tests.analysis.formula_curves import formula_curves, lotteries

CURVES = formula_curves(1)
CASES = [
    *lotteries(2, 9),
    Lottery(0.9, 1.0, 0.25, 150.0, "continue", 2000),
    Lottery(0.9, 2**-6, 2**-7, 150.0, "continue", 2000),
    Lottery(0.9, 2**-15, 0.25, 150.0, "continue", None),
    # Most models are given up: what comes later goes round the circle many times.
    Lottery(0.97, 2**-12, 0.25, 150.0, "continue", 300),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_damped_laws_are_the_laws(case):
    lottery = CASES[case]
    slow = empirical_law(CURVES, lottery)
    quick = empirical_law(CURVES, lottery, damped=True)
    assert quick[3:] == slow[3:]
    # Beside the knots: at one, rounding may decide on which side a lattice is read.
    length = float(slow.law.spacing) * 8000
    times = np.linspace(0.0, length, 1501) + 0.37 * float(slow.law.spacing)
    alive = survival(slow.law, times)
    np.testing.assert_allclose(survival(quick.law, times), alive, atol=2e-11)
    for one, other in zip(slow.extremes, quick.extremes, strict=True):
        # On another grid, where the central law's is not theirs: good to a cell.
        atol = 2e-11 if one.spacing == other.spacing else 4e-4
        np.testing.assert_allclose(
            survival(other, times), survival(one, times), atol=atol
        )
    for n in (1, 15):
        for figure in (mean, cv):
            expected = figure(fastest_of(slow.law, n))
            found = figure(fastest_of(quick.law, n))
            assert found == pytest.approx(expected, rel=1e-8, nan_ok=True)
        for law in quick[:3]:
            both = [figure(fastest_of(law, n)) for figure in (mean, cv)]
            assert table_moments(law, n) == pytest.approx(both, rel=1e-8, nan_ok=True)


def test_unequal_costs():
    costs = np.where(np.arange(96) % 3 == 0, 1.5, 0.75)
    lottery = CASES[0]
    slow = empirical_law(CURVES, lottery, step_costs=costs)
    quick = empirical_law(CURVES, lottery, step_costs=costs, damped=True)
    times = np.linspace(0.0, float(slow.law.spacing) * 8000, 1001)
    np.testing.assert_allclose(
        survival(quick.law, times), survival(slow.law, times), atol=2e-11
    )
