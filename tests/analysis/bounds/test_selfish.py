"""Selfish mining's closed form against its chain of states."""

import numpy as np
import pytest
from dpodl.analysis.bounds import selfish


def _selfish_by_markov_chain(alpha, gamma, leads=200):
    """SM1 as its chain of leads: stationary law, then blocks won on each transition."""
    # States: 0, then 1 = the tie 0', then 2.. = lead 1.. of [ES14] Fig. 1.
    n = leads + 2
    step = np.zeros((n, n))
    pool, others = np.zeros(n), np.zeros(n)
    step[0, 0], step[0, 2] = 1 - alpha, alpha
    others[0] = 1 - alpha
    step[1, 0] = 1
    pool[1] = 2 * alpha + gamma * (1 - alpha)
    others[1] = gamma * (1 - alpha) + 2 * (1 - gamma) * (1 - alpha)
    step[2, 3], step[2, 1] = alpha, 1 - alpha
    for lead in range(2, leads + 1):
        state = lead + 1
        step[state, min(state + 1, n - 1)] += alpha
        step[state, 0 if lead == 2 else state - 1] += 1 - alpha
        pool[state] = (2 if lead == 2 else 1) * (1 - alpha)
    balance = step.T - np.eye(n)
    balance[-1] = 1  # one balance equation is redundant: normalise in its place
    law = np.linalg.solve(balance, np.eye(n)[-1])
    return law @ pool / (law @ pool + law @ others)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.4, 0.45])
def test_selfish_revenue_is_the_stationary_share(alpha, gamma):
    share = _selfish_by_markov_chain(alpha, gamma)
    assert selfish.selfish_revenue(alpha, gamma) == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 0.9])
def test_selfish_mining_pays_exactly_above_its_threshold(gamma):
    alpha = selfish.selfish_threshold(gamma)
    assert selfish.selfish_revenue(alpha, gamma) == pytest.approx(alpha, rel=1e-12)
    assert selfish.selfish_revenue(0.9 * alpha, gamma) < 0.9 * alpha
    assert selfish.selfish_revenue(alpha + 0.02, gamma) > alpha + 0.02


def test_selfish_limits():
    assert selfish.selfish_revenue(0, 0.7) == 0
    assert selfish.selfish_revenue(0.5, 0.0) == 1
    thresholds = [selfish.selfish_threshold(gamma) for gamma in (0, 0.5, 1)]
    assert thresholds == pytest.approx([1 / 3, 1 / 4, 0], rel=1e-15)
