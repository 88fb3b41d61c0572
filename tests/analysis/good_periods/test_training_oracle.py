"""The training oracle's bounds on curves whose f_1 is known."""

import math

import numpy as np
import pytest
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.good_periods.training_oracle import (
    oracle_measurements,
    paper_bounds,
)
from hypothesis import given, settings, strategies as st

from ..attack_settings import curves_of

HALF = Estimate(0.05, 0.045, 0.055, 1000, "t")


def curves(accuracy, *, eval_samples=100, population=100):
    accuracy = np.asarray(accuracy)
    base = curves_of(np.ones(len(accuracy)), looks=accuracy.shape[1])
    return base._replace(
        correct=np.round(accuracy * eval_samples).astype(int),
        eval_samples=eval_samples,
        population=population,
    )


def bounds_of(given_curves, *, seed=0, **change):
    given = {"t_acc": 0.9, "d_acc": 0.6, "p_2": 0.1, "honest": 8, "p": HALF} | change
    return paper_bounds(seed, given_curves, **given)


def memoryless(f_1, runs, looks, seed, early=0.0):
    """Curves as the oracle has them: a search with success f_1 behind D_acc."""
    draws = np.random.default_rng(seed)
    past = np.arange(looks) >= looks // 4
    chance = np.where(np.r_[False, past[:-1]], f_1, early)
    reached = draws.uniform(size=(runs, looks)) < chance
    return curves(np.where(reached, 0.95, np.where(past, 0.7, 0.3)))


def test_the_oracle_of_the_paper_has_its_own_f_1():
    covered = 0
    trials = 60
    for seed in range(trials):
        found = bounds_of(memoryless(0.3, 40, 20, seed), seed=seed)
        covered += found.f_1.low <= 0.3 <= found.f_1.high
        # Looks 5 to 19 of pairs whose first is look 0 to 18.
        assert found.past_difficulty.value == pytest.approx(14 / 19)
        assert found.early_success is not None
        assert found.early_success.value == 0.0
    assert covered / trials > 0.95 - 3.5 * math.sqrt(0.05 * 0.95 / trials)


def test_lower_and_upper_bound():
    found = bounds_of(memoryless(0.3, 40, 20, 0), p_2=0.1, honest=8)
    f_2 = 1 - 0.9**8
    assert found.f_2[:4] == pytest.approx((f_2, f_2, f_2, 0))
    for end in ("value", "low", "high"):
        assert getattr(found.lower, end) == pytest.approx(
            getattr(found.f_1, end) * f_2 / 2
        )
    named = {m.quantity: m.estimate for m in oracle_measurements(found)}
    assert named["p_lower"] == found.lower
    assert named["p_upper"] == found.f_2
    assert set(named) == {
        "f_1",
        "f_2",
        "p_lower",
        "p_upper",
        "past_difficulty",
        "early_success",
    }


@pytest.mark.parametrize(
    ("p", "lower", "upper"),
    [
        ((0.2, 0.18, 0.22), True, True),
        ((0.01, 0.009, 0.011), False, True),
        ((0.7, 0.69, 0.71), True, False),
        ((0.56, 0.5, 0.6), True, None),
        ((0.08, 0.01, 0.15), None, True),
    ],
)
def test_a_side_holds_fails_or_is_open(p, lower, upper):
    # ½ f_1 f_2 = .085 and f_2 = .57.
    value, low, high = p
    measured = Estimate(value, low, high, 100, "t")
    found = bounds_of(memoryless(0.3, 200, 20, 0), p=measured)
    assert (found.lower_holds, found.upper_holds) == (lower, upper)


def test_no_lottery_makes_the_upper_bound_empty():
    found = bounds_of(memoryless(0.3, 40, 20, 0), p_2=1.0)
    assert found.f_2.value == 1.0
    assert found.upper_holds is True


def test_a_prover_that_is_cut_short_sees_only_early_looks():
    # Runs of 40 looks that reach D_acc at look 10; a tip comes by look 20.
    steps = np.arange(40)
    accuracy = np.where(steps < 10, 0.3, np.where(steps < 25, 0.7, 0.95))
    all_runs = curves(np.tile(accuracy, (12, 1)))
    reach = (steps < 20).astype(float)
    cut = bounds_of(all_runs, reach=reach)
    assert cut.f_1.value == 0.0
    assert cut.past_difficulty.value == pytest.approx(9 / 19)
    assert bounds_of(all_runs).f_1.value == pytest.approx(15 / 29)
    # Runs that all agree still leave room for one that does not.
    assert cut.f_1.low == 0.0
    assert cut.f_1.high == pytest.approx(1 - 0.025 ** (1 / 12))
    with pytest.raises(Refused, match="no run is at d_acc"):
        bounds_of(all_runs, reach=(steps < 5).astype(float))


def test_scoring_a_sample_widens_the_interval():
    exact = memoryless(0.3, 60, 20, 1)
    # Just above the threshold a sample of 100 may be wrong.
    near = exact._replace(correct=np.where(exact.correct == 95, 91, exact.correct))
    sampled = near._replace(population=60_000)
    sure, unsure = bounds_of(near).f_1, bounds_of(sampled).f_1
    assert sure.value == unsure.value
    assert unsure.high - unsure.low > 1.2 * (sure.high - sure.low)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.35, 0.9), st.floats(0.35, 0.9))
def test_invariants(seed, first, second):
    accuracy = np.sort(np.random.default_rng(seed).uniform(0.3, 1.0, (12, 15)), axis=1)
    low, high = sorted((first, second))
    found = [bounds_of(curves(accuracy), d_acc=d) for d in (low, high)]
    for each in found:
        for m in oracle_measurements(each):
            e = m.estimate
            assert 0 <= e.low <= e.value <= e.high <= 1
    # A higher difficulty leaves fewer looks, and of rising runs the better ones.
    assert found[1].past_difficulty.value <= found[0].past_difficulty.value
    assert found[1].f_1.value >= found[0].f_1.value - 1e-12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_acc": 1.1}, r"t_acc must lie in \(0, 1\]"),
        ({"d_acc": 0.95}, r"d_acc must lie in \(0, t_acc = 0.9\]"),
        ({"p_2": 0.0}, "p_2 must lie"),
        ({"honest": 0}, "honest must lie"),
        ({"reach": np.full(20, 1.5)}, "reach must lie"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        bounds_of(memoryless(0.3, 40, 20, 0), **change)


def test_no_run_at_d_acc_names_the_best_that_a_prover_comes_to():
    """Looks that no prover reaches are not what is missing."""
    late = curves_of(np.full(20, 10), looks=12)
    early = np.r_[np.ones(5), np.zeros(7)]
    assert late.accuracy[:, :-1].max() > 0.6
    with pytest.raises(Refused, match=r"the best is at 0\.5000 there: lower d_acc"):
        bounds_of(late, reach=early)
    with pytest.raises(Refused, match="the best is at 0"):
        bounds_of(late, reach=np.zeros(12))


def test_too_few_runs_or_looks():
    with pytest.raises(Refused, match="at least 10 runs"):
        bounds_of(memoryless(0.3, 9, 20, 0))
    with pytest.raises(Refused, match=r"must have 2 looks, .* got 1"):
        bounds_of(curves(np.full((20, 1), 0.95)))
