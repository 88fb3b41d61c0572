"""Effective runs, freedom and skew against brute force: each run's weight changed."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.effective_runs import (
    RunLaws,
    fastest,
    kish,
    network,
    run_laws,
    tilted,
)
from dpodl.analysis.block_time.empirical import Lottery, empirical_law
from dpodl.analysis.block_time.law import cv, fastest_of, mean, survival
from scipy import stats

from ..attack_settings import curves_of

LOTTERY = Lottery(0.9, 1 / 64, 0.25, 100.0, "continue", 400)
FIRST = np.random.default_rng(4).integers(2, 30, 40)


def made(first=FIRST, lottery=LOTTERY, **others):
    curves = curves_of(first, **others)
    law = empirical_law(curves, lottery).law
    return run_laws(curves, lottery, law), law


@pytest.mark.parametrize("retry", ["continue", "restart"])
@pytest.mark.parametrize("late", [0, 8])
def test_the_mean_over_runs_is_the_law(retry, late):
    first = np.concatenate([FIRST, np.full(late, 1000)])
    runs, law = made(first, LOTTERY._replace(retry=retry))
    found = runs.survival.mean(axis=0)
    assert found == pytest.approx(survival(law, runs.times), abs=0.02)


def test_plain_training_has_no_lottery_to_wait_for():
    """Without lotteries a run ends at its passage: freedom and skew are the sample's.

    The logarithm of a mean is moved by 1 % of its runs as by a straight line.
    """
    runs, _ = made(lottery=LOTTERY._replace(p_1=1.0, p_2=1.0))
    basis, _ = fastest(runs, 1)
    u = FIRST - FIRST.mean()
    freedom = (u**2).sum() ** 2 / (u**4).sum() - 1
    skew = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
    assert basis.runs == pytest.approx(len(FIRST))
    assert basis.freedom == pytest.approx(freedom, rel=0.1)
    assert basis.skew == pytest.approx(skew, abs=0.02)


def test_a_survival_falls_from_one():
    runs, _ = made()
    assert runs.survival[:, 0] == pytest.approx(1.0)
    assert (np.diff(runs.survival, axis=1) <= 1e-9).all()


def test_costly_steps_are_later():
    curves = curves_of(FIRST)
    law = empirical_law(curves, LOTTERY).law
    costs = np.where(np.arange(len(FIRST)) < 20, 1.0, 3.0)
    cheap = run_laws(curves, LOTTERY, law)
    dear = run_laws(curves, LOTTERY, law, step_costs=costs)
    assert dear.survival[:20] == pytest.approx(cheap.survival[:20])
    assert (dear.survival[20:].sum(axis=1) > cheap.survival[20:].sum(axis=1)).all()


def test_very_many_looks_are_taken_together():
    slow = Lottery(0.9, 1 / 64, 0.02, 100.0, "continue", 3000)
    # All long above T_acc at the horizon: what comes then is no guess.
    first = 6 * FIRST
    runs, law = made(first, slow, looks=300)
    found = runs.survival.mean(axis=0)
    assert found == pytest.approx(survival(law, runs.times), abs=0.02)


@pytest.mark.parametrize("provers", [1, 6])
def test_influences_are_those_of_a_law_without_the_run(provers):
    """Freedom and skew of the influences, against leaving one run out."""
    curves = curves_of(FIRST)
    runs, _ = made()
    count = len(FIRST)
    for basis, figure in zip(fastest(runs, provers), (mean, cv), strict=True):
        left = []
        for run in range(len(FIRST)):
            rest = curves_of(np.delete(FIRST, run))
            left.append(figure(fastest_of(empirical_law(rest, LOTTERY).law, provers)))
        whole = figure(fastest_of(empirical_law(curves, LOTTERY).law, provers))
        u = whole - np.array(left)
        u -= u.mean()
        freedom = (u**2).sum() ** 2 / (u**4).sum() - 1
        skew = (u**3).sum() / (6 * (u**2).sum() ** 1.5)
        if figure is cv:
            freedom = min(freedom, count / 15 - 1)
            least = math.sqrt(8) / (6 * math.sqrt(count))
            skew = skew if abs(skew) > least else least
        assert basis.freedom == pytest.approx(freedom, rel=0.25)
        assert basis.skew == pytest.approx(skew, abs=0.03)


def test_a_cv_is_as_lopsided_as_squares_are():
    """Of runs that are spread evenly: less lopsided than the squares of anything."""
    even = np.repeat(np.arange(4, 24), 15)
    runs, _ = made(even)
    middle, spread = fastest(runs, 1)
    squares = stats.chi2(1)
    kurtosis = float(squares.stats("k")) + 3
    assert middle.freedom > len(even) / kurtosis
    assert middle.runs == pytest.approx(len(even))
    weights = squares.rvs(200_000, random_state=np.random.default_rng(2))
    share = kish(weights) / len(weights)
    assert spread.runs == pytest.approx(share * len(even), rel=0.02)
    assert spread.freedom == pytest.approx(len(even) / kurtosis - 1)
    assert spread.skew == pytest.approx(
        float(squares.stats("s")) / (6 * math.sqrt(len(even)))
    )


def test_a_cv_that_hangs_on_few_runs_keeps_its_own_freedom():
    late = np.concatenate([np.repeat(np.arange(4, 8), 74), np.full(4, 30)])
    _, spread = fastest(made(late)[0], 1)
    assert spread.freedom < 5
    assert spread.skew > math.sqrt(8) / (6 * math.sqrt(len(late)))


def test_one_prover_rests_on_all_runs_and_many_on_the_fast():
    runs, _ = made()
    one, _ = fastest(runs, 1)
    assert one.runs == pytest.approx(len(FIRST))
    counts = [fastest(runs, n)[0].runs for n in (1, 3, 10, 30, 100)]
    assert sorted(counts, reverse=True) == counts
    assert counts[-1] < 6


def test_win_weights_are_how_often_a_run_is_the_first():
    """Draws of ten provers' models and times: which model won."""
    runs, _ = made()
    generator = np.random.default_rng(9)
    picked = generator.integers(len(FIRST), size=(20_000, 10))
    looks = FIRST[picked] - 1 + generator.geometric(0.25, picked.shape)
    times = 10 * looks + generator.geometric(1 / 64, picked.shape) / 100
    winner = picked[np.arange(len(picked)), times.argmin(axis=1)]
    share = np.bincount(winner, minlength=len(FIRST)).astype(float)
    assert fastest(runs, 10)[0].runs == pytest.approx(kish(share), rel=0.1)


def test_a_fast_minority_leaves_few_degrees_of_freedom():
    first = np.concatenate([np.full(3, 2), np.full(197, 25)])
    runs, _ = made(first)
    mean_basis, _ = fastest(runs, 15)
    assert mean_basis.freedom < 4
    assert mean_basis.skew < 0


def test_a_tilt_leaves_fewer_runs():
    runs, _ = made()
    counts = [tilted(runs, 8, 2, theta).runs for theta in (0.0, 0.01, 0.05)]
    assert sorted(counts, reverse=True) == counts
    assert counts[-1] < counts[0]


def test_a_network_rests_on_what_its_weakest_group_does():
    runs, _ = made()
    both = network(runs, 8, 2)
    alone = [each for n in (8, 2) for each in fastest(runs, n)]
    assert both.runs == min(each.runs for each in alone)
    assert both.freedom == min(each.freedom for each in alone)
    assert both.skew == 0
    assert network(runs, 8, 0) == network(runs, 8)


def test_equal_runs_are_all_there_is():
    times = np.linspace(0, 10, 50)
    runs = RunLaws(times, np.tile(np.exp(-times), (12, 1)))
    found, _ = fastest(runs, 5)
    assert found.runs == pytest.approx(12)
    assert math.isinf(found.freedom)


def test_kish():
    assert kish(np.ones(7)) == pytest.approx(7)
    assert kish(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)
    assert kish(np.zeros(3)) == 0
