"""The decision process against published revenues, closed forms and itself."""

from itertools import pairwise

import numpy as np
import pytest
from dpodl.analysis.attacks.optimal_selfish import (
    _ADOPT,
    _MATCH,
    _MATCHABLE,
    _OVERRIDE,
    _WAIT,
    _process,
    _states,
    optimal_selfish_revenue,
    truncated_selfish_revenue,
)
from dpodl.analysis.bounds import selfish
from scipy import sparse
from scipy.sparse.linalg import spsolve

PUBLISHED = [(1 / 3, 0.33705), (0.35, 0.37077), (0.4, 0.48866), (0.45, 0.66894)]


@pytest.mark.parametrize(("alpha", "revenue"), PUBLISHED)
def test_published_revenues_are_those_of_ninety_five_blocks(alpha, revenue):
    # docs/science/anchors.md, [SSZ16] Table 1 at γ = 0.
    found = truncated_selfish_revenue(alpha, 0.0)
    assert found == pytest.approx(revenue, rel=0, abs=5e-6)


@pytest.mark.parametrize(("alpha", "revenue"), PUBLISHED)
def test_the_optimum_is_at_least_the_published_one(alpha, revenue):
    bracket = optimal_selfish_revenue(alpha, 0.0)
    assert 0 <= bracket.upper - bracket.lower < 1e-6
    assert bracket.lower > truncated_selfish_revenue(alpha, 0.0) - 1e-12
    assert bracket.lower > revenue - 5e-6
    if alpha <= 0.35:  # where forks of 95 blocks do not matter
        assert bracket.lower == pytest.approx(revenue, rel=0, abs=5e-6)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.4, 0.0), (0.3, 0.5), (0.42, 0.9)])
def test_brackets_nest_as_branches_grow(alpha, gamma):
    brackets = [
        optimal_selfish_revenue(alpha, gamma, most_blocks=most)
        for most in (2, 4, 8, 16, 32)
    ]
    for coarse, fine in pairwise(brackets):
        assert coarse.lower <= fine.lower + 1e-9
        assert fine.upper <= coarse.upper + 1e-9
        assert fine.lower <= fine.upper
    assert brackets[0].upper - brackets[0].lower > 1e-3


@pytest.mark.parametrize("alpha", [0.1, 0.25, 0.3])
def test_a_pool_that_wins_every_tie_replaces_a_block_for_each_of_its_own(alpha):
    # At γ = 1 none of its blocks is lost and each displaces an honest one: α/(1−α).
    bracket = optimal_selfish_revenue(alpha, 1.0)
    assert bracket.lower == pytest.approx(alpha / (1 - alpha), rel=1e-9)
    assert bracket.upper == pytest.approx(alpha / (1 - alpha), rel=1e-9)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.1, 0.0), (0.32, 0.0), (0.22, 0.5)])
def test_small_pools_had_better_be_honest(alpha, gamma):
    bracket = optimal_selfish_revenue(alpha, gamma, most_blocks=40)
    assert bracket.lower == pytest.approx(alpha, rel=1e-9)
    assert bracket.upper == pytest.approx(alpha, rel=1e-7)


def test_without_ties_the_optimum_pays_earlier_than_sm1():
    # [SSZ16] finds .3294 at γ = 0, where SM1 needs 1/3.
    low = optimal_selfish_revenue(0.3290, 0.0, most_blocks=40)
    high = optimal_selfish_revenue(0.3298, 0.0, most_blocks=40)
    assert low.upper < 0.3290 + 1e-7
    assert high.lower > 0.3298 + 1e-7
    assert selfish.selfish_revenue(0.3298, 0.0) < 0.3298
    # From γ = ¼ on there is nothing to win below SM1's own threshold.
    for gamma in (0.25, 0.5, 0.75):
        alpha = selfish.selfish_threshold(gamma)
        low = optimal_selfish_revenue(alpha - 1e-3, gamma, most_blocks=40)
        high = optimal_selfish_revenue(alpha + 1e-3, gamma, most_blocks=40)
        assert low.upper < alpha - 1e-3 + 1e-6
        assert high.lower > alpha + 1e-3 + 1e-6


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.2, 0.3, 0.4])
def test_sm1_inside_the_process_has_its_closed_form(alpha, gamma):
    # Checks rewards and moves, matches included, without any optimisation.
    most = 60
    process = _process(alpha, gamma, most, "played")
    _, pool, public, fork = _states(most)
    policy = np.full(len(pool), _WAIT)
    policy[(pool == public) & (fork == _MATCHABLE)] = _MATCH
    policy[(pool == public + 1) & (public >= 1)] = _OVERRIDE
    policy[public > pool] = _ADOPT
    states = np.arange(len(pool))
    assert process.allowed[policy, states].all()
    chosen = process.moves[policy * len(pool) + states].tocsc()
    stay = sparse.eye_array(len(pool), format="csc") - chosen
    clock = sparse.csc_array(process.settled[policy, states][:, None])
    system = sparse.hstack([clock, stay[:, 1:]], format="csc")
    revenue = np.asarray(spsolve(system, process.won[policy, states]))[0]
    assert revenue == pytest.approx(selfish.selfish_revenue(alpha, gamma), rel=1e-10)
    assert optimal_selfish_revenue(alpha, gamma).lower > revenue - 1e-12


def test_every_action_moves_somewhere_with_probability_one():
    process = _process(0.37, 0.4, 9, "granted")
    np.testing.assert_allclose(process.moves.sum(axis=1), 1, rtol=1e-15)


def test_revenue_grows_with_share_and_ties():
    shares = [
        optimal_selfish_revenue(a, 0.3, most_blocks=30).lower
        for a in (0.0, 0.1, 0.2, 0.3, 0.4, 0.45)
    ]
    ties = [
        optimal_selfish_revenue(0.35, g, most_blocks=30).lower
        for g in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert shares[0] == 0
    assert np.all(np.diff(shares) > 0)
    assert np.all(np.diff(ties) > 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: optimal_selfish_revenue(0.5, 0),
            r"^alpha must be in \[0, 0\.5\), got 0\.5$",
        ),
        (
            lambda: truncated_selfish_revenue(0.3, 1.5),
            r"^gamma must be in \[0, 1\], got 1\.5$",
        ),
        (
            lambda: optimal_selfish_revenue(0.3, 0, most_blocks=1),
            r"^most_blocks must be ≥ 2, got 1$",
        ),
        (lambda: optimal_selfish_revenue(float("nan"), 0), r"^alpha must .*, got nan$"),
    ],
)
def test_refusals_name_field_range_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
