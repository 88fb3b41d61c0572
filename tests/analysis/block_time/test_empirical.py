"""The block-time law of learning curves against the scheme itself.

Small cases are enumerated in fractions, larger ones drawn by a brute-force simulation
of the scheme ([SLT23] §3.2) that shares nothing with the library: hashes, looks,
tickets, retries. Seeds are fixed; a KS or χ² test has false-alarm level 1e-3, a mean
may be off by 4 standard errors (6e-5).
"""

import math
import tracemalloc
from fractions import Fraction
from typing import Any, cast

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time import attempts, empirical, law as bt
from dpodl.analysis.block_time.empirical import (
    Lottery,
    accuracy_error,
    bootstrap_laws,
    empirical_law,
    first_passage,
    interval_bracket,
)
from dpodl.analysis.block_time.law import KNOTS
from dpodl.analysis.block_time.ticket_rates import node_rates, node_shares, ticket_rates
from dpodl.analysis.estimation.estimate import Refused
from dpodl.models.learning.curves import CurveSet
from scipy import signal, stats

FALSE_ALARM = 1e-3
EVERY = 10  # e, steps between two looks
FAST = 1e9  # hashes a step, where the hash must take no time


def _curves(correct, *, every=EVERY, eval_samples=100, population=100) -> CurveSet:
    correct = np.asarray(correct)
    runs, looks = correct.shape
    return CurveSet(
        # The law of the training does not ask which models were trained.
        initializations=cast(Any, (None,) * runs),
        steps=every * np.arange(1, looks + 1),
        correct=correct,
        loss=np.zeros((runs, looks)),
        eval_samples=eval_samples,
        population=population,
    )


def _steps_up(first, looks: int, **settings) -> CurveSet:
    """Runs at 50 % that are at 95 % from look ``first`` on (1 is the first look)."""
    above = np.arange(1, looks + 1) >= np.asarray(first)[:, None]
    return _curves(np.where(above, 95, 50), **settings)


def _restless(seed: int, runs=12, looks=24, steady=0.7) -> CurveSet:
    """Runs that reach 90 % and fall back now and then."""
    generator = np.random.default_rng(seed)
    first = generator.integers(2, looks - 6, (runs, 1))
    look = np.arange(looks)
    above = (look == first) | (
        (look > first) & (generator.random((runs, looks)) < steady)
    )
    return _curves(np.where(above, 95, 50))


def _first(curves: CurveSet, t_acc=0.9) -> np.ndarray:
    """First passage of each run, in looks."""
    return 1 + np.argmax(curves.accuracy >= t_acc, axis=1)


def _brute_force(seed, curves: CurveSet, lottery: Lottery, draws, costs=None):
    """Block times of independent provers, played hash by hash and look by look."""
    generator = np.random.default_rng(seed)
    above = curves.correct / curves.eval_samples >= lottery.t_acc
    runs, looks = above.shape
    every = int(curves.steps[0])
    reached = np.array([row.any() for row in above])
    within = looks if lottery.abandon_steps is None else lottery.abandon_steps // every
    passed = above[:, :within].any(axis=1)
    fitted = ticket_rates(above[passed], above[passed].argmax(axis=1))
    shares, whole = node_shares(fitted, "central"), np.cumsum(passed) - 1
    cost = np.ones(runs) if costs is None else costs
    patience = looks + 1
    if lottery.abandon_steps is not None:
        patience = lottery.abandon_steps // every
    time, playing = np.zeros(draws), np.arange(draws)
    while len(playing):
        hashes = generator.geometric(lottery.p_1, len(playing))
        run = generator.integers(runs, size=len(playing))
        lucky = generator.random((len(playing), looks)) < lottery.p_2
        first = np.where(reached[run], above[run].argmax(axis=1) + 1, looks + 1)
        given_up = (first > patience) | (first > looks)
        if lottery.retry == "restart":
            look, won = first, lucky[:, 0]
        else:
            hit = above[run] & lucky
            late = np.full(len(run), looks)
            waiting = np.flatnonzero(~hit.any(axis=1) & ~given_up)
            row = whole[run[waiting]]
            node = (generator.random((len(row), 1)) > shares[row].cumsum(axis=1)).sum(1)
            since = fitted.shown[row].astype(float)
            while len(waiting):
                late[waiting] += 1
                since += 1
                at, back = np.unique(since, return_inverse=True)
                rates = node_rates(fitted, at, "central", looks)[node, back]
                on = generator.random(len(waiting)) >= lottery.p_2 * rates
                waiting, node, since = waiting[on], node[on], since[on]
            look = np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, late)
            won = np.ones(len(playing), bool)
        look = np.where(given_up, patience, look).astype(float)
        if lottery.abandon_steps is None:
            look[given_up] = np.inf
            won = won | given_up
        else:
            won = won & ~given_up
        time[playing] += hashes / lottery.hashes_per_step + every * cost[run] * look
        playing = playing[~won]
    return time


def _same_mean(samples: np.ndarray, law: bt.BlockTimeLaw) -> None:
    error = samples.std() / math.sqrt(len(samples))
    assert abs(samples.mean() - bt.mean(law)) < 4 * error, (samples.mean(), error)


def _same_law(samples: np.ndarray, law: bt.BlockTimeLaw) -> None:
    test = stats.kstest(samples, lambda x: 1.0 - bt.survival(law, x))
    assert test.pvalue > FALSE_ALARM, test


def _knots(law: bt.BlockTimeLaw, cells) -> np.ndarray:
    return np.asarray(law.offset + law.spacing * np.asarray(cells), float)


@jax.jit
def _sample(key, law):
    return bt.sample(key, law, (1 << 15,))


def _draw(number: int, law: bt.BlockTimeLaw) -> np.ndarray:
    return np.asarray(_sample(jax.random.key(number), bt.on_device(law)), float)


def _same_atoms(samples: np.ndarray, law: bt.BlockTimeLaw) -> None:
    """χ² over all looks that expect 10 samples; all others together."""
    look = np.rint(np.asarray((samples - law.offset) / law.spacing)).astype(int)
    survive = bt.survival(law, _knots(law, np.arange(-1, KNOTS)))
    atoms: np.ndarray = survive[:-1] - survive[1:]
    counts = np.bincount(np.minimum(look, KNOTS - 1), minlength=KNOTS)
    expected: np.ndarray = len(samples) * atoms
    often = expected >= 10
    test = stats.chisquare(
        np.append(counts[often], counts[~often].sum()),
        np.append(expected[often], len(samples) - expected[often].sum()),
    )
    assert test.pvalue > FALSE_ALARM, test
    # Nothing where the law has no mass at all.
    assert counts[atoms < 1e-12].sum() == 0


# --------------------------------------------------- the scheme by brute force

PATIENT = (None, 120)
POLICIES = [(retry, wait) for retry in ("continue", "restart") for wait in PATIENT]


@pytest.mark.parametrize(("retry", "abandon"), POLICIES)
@pytest.mark.parametrize("p_2", [1.0, 0.3])
def test_lattice_law_has_the_atoms_of_the_scheme(retry, abandon, p_2):
    curves = _restless(1)
    if abandon is not None:
        assert (_first(curves) > abandon // EVERY).sum() >= 3
    lottery = Lottery(0.9, 1.0, p_2, FAST, retry, abandon)
    law = empirical_law(curves, lottery).law
    assert law.lattice
    samples = _brute_force(2, curves, lottery, 30_000)
    _same_atoms(samples, law)
    _same_mean(samples, law)


@pytest.mark.parametrize(("retry", "abandon"), POLICIES)
@pytest.mark.parametrize("p_2", [1.0, 0.3])
def test_continuous_law_is_the_law_of_the_scheme(retry, abandon, p_2):
    # The pre-hash takes 50 steps on average, 5 looks; a hash .01 steps.
    curves = _restless(3)
    lottery = Lottery(0.9, 2e-4, p_2, 100.0, retry, abandon)
    law = empirical_law(curves, lottery).law
    assert not law.lattice
    samples = _brute_force(4, curves, lottery, 20_000)
    _same_law(samples, law)
    _same_mean(samples, law)
    assert samples.std() / samples.mean() == pytest.approx(bt.cv(law), rel=0.03)


@pytest.mark.parametrize("retry", ["continue", "restart"])
@pytest.mark.parametrize(
    ("p_1", "hashes_per_step"),
    [(1.0, 0.25), (0.3, 0.01), (0.5, 0.07), (0.1, 1e6), (1e-3, 1.0)],
    ids=["slow hash", "slower hash", "odd hash", "quick", "long"],
)
def test_mean_of_the_scheme_at_any_hash_rate(retry, p_1, hashes_per_step):
    """From a hash that lasts ten looks to a million hashes a step."""
    curves = _restless(5)
    lottery = Lottery(0.9, p_1, 0.4, hashes_per_step, retry, 140)
    law = empirical_law(curves, lottery).law
    samples = _brute_force(6, curves, lottery, 20_000)
    _same_mean(samples, law)
    assert samples.std() / samples.mean() == pytest.approx(bt.cv(law), rel=0.03)


@pytest.mark.parametrize("retry", ["continue", "restart"])
@pytest.mark.parametrize("p_1", [1.0, 2e-4])
def test_differing_step_costs_are_those_of_each_run(retry, p_1):
    curves = _restless(7)
    costs = np.random.default_rng(8).choice([1.0, 1.7, 5.0], 12)
    lottery = Lottery(0.9, p_1, 0.3, 100.0, retry, 150)
    law = empirical_law(curves, lottery, step_costs=costs).law
    assert not law.lattice
    samples = _brute_force(9, curves, lottery, 20_000, costs)
    _same_mean(samples, law)
    if p_1 < 1:
        _same_law(samples, law)
    else:
        # Atoms at different places: right but for the cell that holds them.
        at = np.linspace(20.0, 1500.0, 40)
        share = (samples[:, None] > at).mean(axis=0)
        before = bt.survival(law, at - law.spacing)
        after = bt.survival(law, at + law.spacing)
        assert (share < before + 0.015).all()
        assert (share > after - 0.015).all()


def test_the_fastest_of_many_is_the_fastest_of_independent_curves():
    curves = _restless(10, runs=40)
    lottery = Lottery(0.9, 1.0, 0.3, FAST)
    law = empirical_law(curves, lottery).law
    samples = _brute_force(11, curves, lottery, 20 * 10_000).reshape(-1, 20)
    _same_atoms(samples.min(axis=1), bt.fastest_of(law, 20))
    _same_atoms(_draw(12, law), law)


# ------------------------------------------------------------ exact enumeration

TINY = np.array([[0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]], bool)


def _tiny() -> CurveSet:
    # Every run twice: the same law, and more than the five runs it takes.
    return _curves(np.where(np.concatenate([TINY, TINY]), 95, 50))


@pytest.mark.parametrize("plateau", ["central", "slowest", "fastest"])
@pytest.mark.parametrize("p_2", [Fraction(1), Fraction(1, 3), Fraction(1, 1000)])
def test_continue_is_the_mean_of_products_exactly(plateau, p_2):
    """Pr[K > t] = mean_i Π (1 − p_2 L_i), then at the rates of the runs' nodes."""
    runs = np.concatenate([TINY, TINY])
    tickets = runs > 0
    fitted = ticket_rates(tickets, np.argmax(tickets, axis=1))
    shares = node_shares(fitted, plateau)
    exact = []
    for look in range(12):
        each = []
        for run, shown, share in zip(runs, fitted.shown, shares, strict=True):
            seen = math.prod(1 - p_2 * int(above) for above in run[:look])
            since = shown + np.arange(1.0, max(look - 4, 0) + 1)
            rates = node_rates(fitted, since, plateau, 4)
            later = np.prod(1 - float(p_2) * rates, axis=1)
            each.append(float(seen) * float(share @ later))
        exact.append(np.mean(each))
    found = empirical_law(_tiny(), Lottery(0.9, 1.0, float(p_2), 2.0))
    law = {"central": found.law}.get(plateau) or getattr(found, plateau)
    at = 0.5 + EVERY * np.arange(12)
    assert bt.survival(law, at) == pytest.approx(exact, abs=1e-13)
    assert bt.survival(law, at[1:] - 1e-6) == pytest.approx(exact[:-1], abs=1e-13)
    assert (law.lattice, law.spacing, law.offset) == (True, EVERY, 0.5)


@pytest.mark.parametrize("patience", [None, 1, 2, 3])
def test_restart_is_the_renewal_sum_exactly(patience):
    """w_k = p_2 f_k + Σ_j (lost by j) w_{k−j}, in fractions."""
    p_2, looks = Fraction(2, 5), 12
    win, lost = [Fraction(0)] * looks, [Fraction(0)] * looks
    for run in np.concatenate([TINY, TINY[:2]]):
        first = list(run).index(True) + 1
        share = Fraction(1, 5)
        if patience is not None and first > patience:
            lost[patience] += share
        else:
            win[first] += p_2 * share
            lost[first] += (1 - p_2) * share
    block = [Fraction(0)] * looks
    for k in range(looks):
        block[k] = win[k] + sum(lost[j] * block[k - j] for j in range(1, k + 1))
    # Five runs of each of the five, since five must reach it before abandonment.
    curves = _curves(np.where(np.tile(np.concatenate([TINY, TINY[:2]]), (5, 1)), 95, 5))
    abandon = None if patience is None else EVERY * patience
    law = empirical_law(
        curves, Lottery(0.9, 1.0, float(p_2), FAST, "restart", abandon)
    ).law
    at = _knots(law, np.arange(looks))
    exact = [float(1 - sum(block[: k + 1])) for k in range(looks)]
    # Each attempt costs a hash of 1e-9 steps, spread over a look: 1e-10 an attempt.
    assert bt.survival(law, at) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_survival_at_the_looks_of_any_curves(seed):
    generator = np.random.default_rng(100 + seed)
    curves = _curves(generator.integers(0, 101, (40, 60)))
    t_acc, p_2 = generator.choice([0.5, 0.9, 0.97]), float(generator.uniform(0.01, 1.0))
    law = empirical_law(curves, Lottery(t_acc, 1.0, p_2, 3.0)).law
    product = np.cumprod(1.0 - p_2 * (curves.accuracy >= t_acc), axis=1).mean(axis=0)
    assert bt.survival(law, 1 / 3 + curves.steps) == pytest.approx(product, abs=1e-12)


@pytest.mark.parametrize("p_2", [1.0, 0.2])
def test_one_run_is_a_shifted_geometric_law(p_2):
    law = empirical_law(_steps_up([7] * 5, 20), Lottery(0.9, 1.0, p_2, 4.0)).law
    same = bt.geometric(p_2, trial=EVERY, dead_time=0.25 + 6 * EVERY)
    at = 0.25 + EVERY * np.arange(40.0)
    assert bt.survival(law, at) == pytest.approx(bt.survival(same, at), abs=1e-13)
    assert bt.mean(law) == pytest.approx(bt.mean(same), rel=1e-12)
    assert bt.cv(law) == pytest.approx(bt.cv(same), rel=1e-9, abs=1e-7)


# --------------------------------------------------------------------- limits


def test_without_lotteries_the_law_is_kaplan_meier():
    curves = _restless(13, runs=30)
    curves.correct[:6] = 50  # six runs never get there
    law = empirical_law(curves, Lottery(0.9, 1.0, 1.0, FAST)).law
    curve = first_passage(curves, 0.9).sf
    at = np.arange(0.0, curves.steps[-1] + 1)
    assert bt.survival(law, at + 1e-9) == pytest.approx(curve.evaluate(at), abs=1e-12)
    assert curve.evaluate(curves.steps[-1]) == pytest.approx(6 / 30)
    interval = curve.confidence_interval()
    low, high = (
        end.evaluate(curves.steps[-1]) for end in (interval.low, interval.high)
    )
    # Greenwood's interval without ties in censoring is the binomial one.
    half = 1.96 * math.sqrt(0.2 * 0.8 / 30)
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half), rel=1e-3)


def test_first_passage_has_no_censored_runs_when_all_get_there():
    curves = _steps_up([3, 4, 4, 9, 9, 9], 10)
    curve = first_passage(curves, 0.9).sf
    assert curve.quantiles.tolist() == [30.0, 40.0, 90.0]
    assert curve.probabilities == pytest.approx([5 / 6, 3 / 6, 0.0])


@pytest.mark.parametrize("p_2", [0.5, 1e-3, 1e-6])
def test_trained_from_the_first_look_only_the_post_hash_is_left(p_2):
    law = empirical_law(_steps_up([1] * 5, 16), Lottery(0.9, 1.0, p_2, 8.0)).law
    same = bt.geometric(p_2, trial=EVERY, dead_time=0.125)
    # Far behind the table's 8192 looks too: the tail is the plateau's.
    at = 0.125 + EVERY * np.array([0, 1, 2, 100, 8000, 8191, 8192, 9000, 10**6])
    # 1 − CDF loses the digits below 1e-14.
    assert bt.survival(law, at) == pytest.approx(
        bt.survival(same, at), rel=1e-9, abs=1e-14
    )
    assert bt.mean(law) == pytest.approx(bt.mean(same), rel=1e-12)
    assert bt.cv(law) == pytest.approx(bt.cv(same), rel=1e-9)


@pytest.mark.parametrize(("p_1", "hashes"), [(1e-3, 10.0), (1e-5, 1e3), (1e-6, 1e6)])
def test_trained_at_the_first_look_only_proof_of_work_is_left(p_1, hashes):
    found = empirical_law(_steps_up([1] * 5, 16), Lottery(0.9, p_1, 1.0, hashes))
    same = bt.proof_of_work(p_1, hashes_per_step=hashes)
    mean = bt.mean(same)
    assert bt.mean(found.law) == pytest.approx(EVERY + mean, rel=1e-12)
    # A cell adds its own width to the spread, no more.
    spread = bt.cv(found.law) * bt.mean(found.law)
    exact = bt.cv(same) * mean
    widest = math.hypot(exact, float(found.law.spacing) / 2)
    assert exact * (1 - 1e-6) <= spread <= widest * (1 + 1e-6)
    waits = mean * np.array([0.1, 0.5, 1.0, 3.0, 20.0])
    if mean > 100 * found.law.spacing:
        # To one hash, which is 1e-3 of the survival.
        assert bt.survival(found.law, EVERY + waits) == pytest.approx(
            bt.survival(same, waits), rel=3e-3, abs=1e-12
        )


@pytest.mark.parametrize("p_1", [1.0, 0.3, 1e-3, 1e-6])
@pytest.mark.parametrize("hashes_per_step", [0.01, 0.3, 50.0, 1e6])
@pytest.mark.parametrize("looks", [30, 2000])
def test_pre_hash_adds_its_mean_exactly(p_1, hashes_per_step, looks):
    """Whether a hash is a millionth of a cell or forty looks long."""
    # All before the last quarter of the looks, so that every plateau is 1.
    first = np.random.default_rng(14).integers(1, 22, 20)
    curves = _steps_up(first, looks)
    law = empirical_law(curves, Lottery(0.9, p_1, 0.25, hashes_per_step)).law
    training = EVERY * (first.mean() + 3.0)
    prehash = 1 / (p_1 * hashes_per_step)
    difference = bt.mean(law) - training
    # The subtraction itself leaves 1e-12 of the training.
    assert difference == pytest.approx(prehash, rel=1e-6, abs=1e-11 * training)
    # Where a look is one cell the law may be half a look early, but not before time 0.
    assert 0 < law.offset < 1 / hashes_per_step + law.spacing


@pytest.mark.parametrize("p_1", [1.0, 0.02])
@pytest.mark.parametrize("p_2", [1.0, 0.3, 1e-3])
@pytest.mark.parametrize("hashes_per_step", [0.02, 1.0, 1e5])
def test_restart_has_walds_mean(p_1, p_2, hashes_per_step):
    first = np.random.default_rng(15).integers(1, 30, 20)
    curves = _steps_up(first, 30)
    lottery = Lottery(0.9, p_1, p_2, hashes_per_step, "restart")
    attempt = 1 / (p_1 * hashes_per_step) + EVERY * first.mean()
    law = empirical_law(curves, lottery).law
    assert bt.mean(law) == pytest.approx(attempt / p_2, rel=1e-9)
    # Given up after 150 steps: only the share that reached it may win.
    law = empirical_law(curves, lottery._replace(abandon_steps=150)).law
    share = (first <= 15).mean()
    assert 0.2 < share < 0.8
    attempt = 1 / (p_1 * hashes_per_step) + EVERY * np.minimum(first, 15).mean()
    assert bt.mean(law) == pytest.approx(attempt / (p_2 * share), rel=1e-9)


def test_abandoning_at_the_horizon_changes_nothing_when_all_get_there():
    curves = _restless(16)
    lottery = Lottery(0.9, 0.1, 0.2, 1.0)
    with_, without = (
        empirical_law(curves, lottery._replace(abandon_steps=steps)).law
        for steps in (int(curves.steps[-1]), None)
    )
    assert with_.cumulative_hazard == pytest.approx(without.cumulative_hazard)
    assert bt.mean(with_) == pytest.approx(bt.mean(without), rel=1e-12)


# -------------------------------------------------------------- second moments


def _cv(fail_share, fail: np.ndarray, success: np.ndarray) -> float:
    """CV of N failed attempts and one that succeeds, N geometric."""
    tries = fail_share / (1 - fail_share)
    mean = tries * fail.mean() + success.mean()
    variance = tries * fail.var() + tries * (1 + tries) * fail.mean() ** 2
    return math.sqrt(variance + success.var()) / mean


@pytest.mark.parametrize("missing", [5, 15, 25, 60])
@pytest.mark.parametrize("p_1", [1.0, 0.999])
def test_cv_when_the_table_ends_between_two_attempts(missing, p_1):
    """Runs that succeed early or not at all: the hazard comes once a horizon.

    The table ends where the hazard rests; whoever reads the tail from its last cells
    finds none, and a mass of 1e-6 then carries the second moment.
    """
    first = np.random.default_rng(17).integers(5, 10, 100)
    first[:missing] = 51
    law = empirical_law(
        _steps_up(first, 50), Lottery(0.9, p_1, 1.0, 1e6, "continue", 500)
    ).law
    exact = _cv(missing / 100, np.full(1, 500.0), EVERY * first[missing:])
    # Where 2 % outlive the table the rest is one hazard instead of one a horizon.
    assert bt.cv(law) == pytest.approx(exact, rel=5e-3)


@pytest.mark.parametrize(
    ("p_1", "p_2", "hashes_per_step"),
    [(1.0, 0.01, 1e3), (0.5, 0.05, 1e6), (0.3, 1.0, 0.01), (1e-3, 0.02, 1.0)],
    ids=["rounding at the end", "smeared", "slow hashes", "long hashing"],
)
def test_cv_of_pre_hash_training_and_post_hash(p_1, p_2, hashes_per_step):
    # (1, .01): at the table's end S is below the transform's rounding, and a tail
    # hazard of "nothing" behind 1e-16 once made the CV 164.
    first = np.random.default_rng(18).integers(5, 38, 40)
    law = empirical_law(
        _steps_up(first, 50), Lottery(0.9, p_1, p_2, hashes_per_step)
    ).law
    mean = 1 / (p_1 * hashes_per_step) + EVERY * (first.mean() + 1 / p_2 - 1)
    variance = (
        (1 - p_1) / (p_1 * hashes_per_step) ** 2
        + EVERY**2 * first.var()
        + EVERY**2 * (1 - p_2) / p_2**2
    )
    assert bt.mean(law) == pytest.approx(mean, rel=1e-9)
    assert bt.cv(law) == pytest.approx(math.sqrt(variance) / mean, rel=2e-3)


# ------------------------------------------------------------------ invariants


@pytest.mark.parametrize("retry", ["continue", "restart"])
@pytest.mark.parametrize("p_1", [1.0, 0.01])
def test_harder_is_later(retry, p_1):
    generator = np.random.default_rng(19)
    rising = np.sort(generator.integers(0, 101, (30, 40)), axis=1)
    curves = _curves(rising)
    at = np.linspace(0.0, 2000.0, 401)

    def survival(t_acc, p_2, abandon=None):
        lottery = Lottery(t_acc, p_1, p_2, 1.0, retry, abandon)
        return bt.survival(empirical_law(curves, lottery).law, at)

    by_t_acc = np.array([survival(t, 0.3) for t in (0.3, 0.5, 0.7, 0.85, 0.9)])
    assert (np.diff(by_t_acc, axis=0) > -1e-3 * (p_1 < 1) - 1e-12).all()
    by_p_2 = np.array([survival(0.7, p) for p in (1.0, 0.5, 0.1, 0.01)])
    assert (np.diff(by_p_2, axis=0) > -1e-3 * (p_1 < 1) - 1e-12).all()
    for family in (by_t_acc, by_p_2):
        assert (np.diff(family.mean(axis=1)) > 1e-3).all()


@pytest.mark.parametrize("p_1", [1.0, 0.02])
def test_equal_step_costs_are_a_change_of_unit(p_1):
    curves = _restless(20)
    lottery = Lottery(0.9, p_1, 0.3, 10.0, "restart", 150)
    steps = empirical_law(curves, lottery)
    seconds = empirical_law(
        curves,
        lottery._replace(hashes_per_step=10.0 / 0.037),
        step_costs=np.full(12, 0.037),
    )
    # Between the atoms of the lattice law, whose place is rounded.
    at = np.linspace(0.0, 3000.0, 500) + 0.5
    for one, other in zip(steps[:3], seconds[:3], strict=True):
        assert bt.survival(other, 0.037 * at) == pytest.approx(
            bt.survival(one, at), rel=1e-9, abs=1e-12
        )
        assert bt.mean(other) == pytest.approx(0.037 * bt.mean(one), rel=1e-12)
        assert one.lattice == other.lattice == (p_1 == 1)
    assert seconds.known_until == pytest.approx(0.037 * steps.known_until)


@pytest.mark.parametrize("seed", range(6))
def test_bracket_encloses_the_central_law(seed):
    curves = _restless(200 + seed, runs=15, looks=20, steady=0.5)
    for retry in ("continue", "restart"):
        for p_1, p_2 in ((1.0, 0.02), (0.1, 0.2), (1.0, 1.0)):
            found = empirical_law(curves, Lottery(0.9, p_1, p_2, 5.0, retry))
            for provers in (1, 20):
                fastest, central, slowest = (
                    bt.mean(bt.fastest_of(law, provers))
                    for law in (found.fastest, found.law, found.slowest)
                )
                # The half cell of dead time differs by thousandths of a cell, and a
                # run that hovers may do better than one that only seemed to grow.
                rounding = 0.0 if p_1 == 1 else 2e-3 * float(found.law.spacing)
                assert fastest <= central * (1 + 1e-9) + rounding
                assert central <= slowest * (1 + 1e-3) + rounding
            if retry == "restart" or p_2 == 1.0:
                # An attempt ends at the first look above: nothing is extrapolated.
                assert bt.mean(found.fastest) == pytest.approx(bt.mean(found.slowest))


def test_bracket_nearly_closes_when_all_looks_are_above():
    """66 looks without a failure: at the slowest 3 in 69 fail from then on."""
    found = empirical_law(_steps_up([1] * 6, 12), Lottery(0.9, 1.0, 0.01, 5.0))
    assert found.fastest.cumulative_hazard == pytest.approx(found.law.cumulative_hazard)
    slow = 1.0 - 3.0 / (3.0 + 6 * 11)
    beyond = np.diff(found.slowest.cumulative_hazard)[12:100]
    assert beyond == pytest.approx(-math.log1p(-0.01 * slow))
    low, high = interval_bracket(found, 3)
    assert low == pytest.approx(bt.mean(bt.fastest_of(found.law, 3)))
    assert low < high < low / slow


def test_fast_provers_need_no_extrapolation():
    found = empirical_law(_restless(21), Lottery(0.9, 1.0, 0.02, FAST))
    with pytest.raises(Refused, match="mean block time of the fastest of 1: between"):
        interval_bracket(found, 1)
    low, high = interval_bracket(found, 200)
    centre = bt.mean(bt.fastest_of(found.law, 200))
    assert low * (1 - 1e-9) <= centre <= high * (1 + 1e-9)
    assert high < 1.001 * low


def test_a_wide_bracket_is_refused_with_both_ends():
    found = empirical_law(_restless(21), Lottery(0.9, 1.0, 0.02, FAST))
    low, high = bt.mean(found.fastest), bt.mean(found.slowest)
    assert high - low > 0.1 * bt.mean(found.law)
    with pytest.raises(
        Refused,
        match=f"between {low:.4g} and {high:.4g}, .*horizon_steps must be longer",
    ):
        interval_bracket(found, 1)


@pytest.mark.parametrize("retry", ["continue", "restart"])
def test_a_bracket_without_an_upper_end_is_refused(retry):
    # Both the slowest and the central mean are infinite: ∞ ≤ .1 · ∞ is no agreement.
    found = empirical_law(
        _steps_up([3, 4, 5, 6, 7, 99], 12), Lottery(0.9, 1.0, 0.5, FAST, retry)
    )
    assert math.isfinite(bt.mean(found.fastest))
    assert bt.mean(found.law) == bt.mean(found.slowest) == math.inf
    for provers in (1, 5):
        with pytest.raises(Refused, match=r"between [\d.]+ and inf"):
            interval_bracket(found, provers)
    # Of a thousand provers all are in the censored sixth with (1/6)^1000.
    low, high = interval_bracket(found, 1000)
    assert low == pytest.approx(high, rel=1e-9)


# ------------------------------------------------------------ what is not known


def test_censored_runs_are_mass_that_never_ends():
    first = [3] * 30 + [99] * 10
    found = empirical_law(_steps_up(first, 12), Lottery(0.9, 1.0, 1.0, FAST))
    assert (found.runs, found.reached, found.known_until) == (40, 30, 120.0)
    assert bt.survival(found.law, [120.0, 1e9]) == pytest.approx(0.25, abs=1e-12)
    assert bt.quantile(found.law, [0.74, 0.76]).tolist() == [
        pytest.approx(30.0),
        np.inf,
    ]
    assert bt.mean(found.law) == bt.mean(found.slowest) == math.inf
    # At best they would be above from the next look on.
    assert bt.mean(found.fastest) == pytest.approx(0.75 * 30 + 0.25 * 130, rel=1e-9)
    drawn = _draw(22, found.law)
    never = int(np.isinf(drawn).sum())
    assert stats.binomtest(never, len(drawn), 0.25).pvalue > FALSE_ALARM


def test_mass_that_never_ends_does_not_bring_the_rest_forward():
    """Half a cell too early was 5 % of F at its .001 quantile."""
    first, p_1 = [3] * 9 + [99], 2e-5
    found = empirical_law(_steps_up(first, 12), Lottery(0.9, p_1, 1.0, 1000.0)).law
    assert not found.lattice
    # X = 30 + a thousandth of a step a hash, for nine runs in ten.
    times = np.array([0.4, 1.0, 5.0, 50.0])
    exact = 0.9 * -np.expm1(1000 * times * math.log1p(-p_1))
    assert 1 - bt.survival(found, 30 + times) == pytest.approx(exact, rel=0.01)


def test_a_new_nonce_saves_a_censored_run():
    first = [3] * 30 + [99] * 10
    lottery = Lottery(0.9, 1.0, 1.0, FAST, abandon_steps=80)
    found = empirical_law(_steps_up(first, 12), lottery)
    for law in (found.law, found.slowest, found.fastest):
        assert bt.mean(law) == pytest.approx((0.75 * 30 + 0.25 * 80) / 0.75, rel=1e-7)
    assert found.reached == 30


def test_never_is_not_understated():
    # Behind the table the law has one hazard: with censored runs it must be 0, and
    # what the table has not seen counts as never.
    curves = _steps_up([3] * 9 + [99], 12)
    law = empirical_law(curves, Lottery(0.9, 1.0, 1e-4, FAST)).law
    end = float(_knots(law, KNOTS - 1))
    left = 0.1 + 0.9 * (1 - 1e-4) ** (KNOTS - 3)
    assert bt.survival(law, [end, 1e12]) == pytest.approx(left, rel=1e-9)
    assert law.tail_hazard == 0


def test_costs_set_until_when_the_law_is_observed():
    costs = np.linspace(1.0, 3.0, 12)
    found = empirical_law(
        _restless(23), Lottery(0.9, 1.0, 0.5, 1.0), step_costs=costs[::-1].copy()
    )
    assert found.known_until == 240.0


def test_every_law_fits_the_compiled_simulation():
    curves = _restless(24)
    costs = np.linspace(1.0, 2.0, 12)
    for lottery in (
        Lottery(0.9, 1.0, 1.0, 1.0),
        Lottery(0.9, 0.1, 0.2, 1.0, "restart", 100),
    ):
        for step_costs in (None, costs):
            for law in empirical_law(curves, lottery, step_costs=step_costs)[:3]:
                knots = law.cumulative_hazard
                assert knots.shape == (KNOTS,)
                assert knots[0] == 0
                assert (np.diff(knots) >= 0).all()
                assert np.isfinite(knots).all()


# ------------------------------------------------------------------- bootstrap


def test_bootstrap_spread_is_the_standard_error_of_the_runs():
    curves = _restless(25, runs=30)
    lottery = Lottery(0.9, 1.0, 1.0, FAST)
    laws = bootstrap_laws(26, curves, lottery, 400)
    means = np.array([bt.mean(law) for law in laws])
    # Resampling n of n: the plug-in standard error, σ̂ with 1/n, over √n.
    exact = EVERY * _first(curves).std() / math.sqrt(30)
    # A standard deviation of 400 has a relative error of 1/√800 = 3.5 %.
    assert means.std() == pytest.approx(exact, rel=4 * 0.0354)
    assert abs(means.mean() - bt.mean(empirical_law(curves, lottery).law)) < (
        4 * exact / math.sqrt(400)
    )


def test_bootstrap_keeps_a_runs_own_cost():
    first = np.array([5] * 10 + [20] * 10)
    costs = np.where(first == 5, 4.0, 1.0)
    curves = _steps_up(first, 24)
    # Every run takes the same time: were the costs mixed up, it would not.
    laws = bootstrap_laws(
        27, curves, Lottery(0.9, 1.0, 1.0, FAST), 20, step_costs=costs
    )
    means = [bt.mean(law) for law in laws]
    assert means == pytest.approx([200.0] * 20, rel=1e-7)


def test_bootstrap_is_fixed_by_its_seed():
    curves, lottery = _restless(28), Lottery(0.9, 0.1, 0.3, 1.0)
    one, again, other = (
        [bt.mean(law) for law in bootstrap_laws(seed, curves, lottery, 5)]
        for seed in (1, 1, 2)
    )
    assert one == again
    assert len(set(one + other)) == 10


def test_bootstrap_carries_the_noise_of_the_looks():
    """Scoring 400 of 60000 examples shifts when a run seems to get there."""
    generator = np.random.default_rng(29)
    rising = 4 * np.clip(
        60 + np.arange(60) + generator.integers(-2, 3, (30, 1)), 0, 100
    ).astype(int)
    # 90 % is reached from below, one point a look: a point is 10 steps.
    noisy = _curves(rising, eval_samples=400, population=60_000)
    exact = _curves(rising, eval_samples=400, population=400)
    lottery = Lottery(0.9, 1.0, 1.0, FAST)
    spread_noisy, spread_exact = (
        np.std([bt.mean(x) for x in bootstrap_laws(30, curves, lottery, 300)])
        for curves in (noisy, exact)
    )
    # A point of accuracy is a look; the crossing rounds up to a whole look, which
    # adds up to 1/12 to the variance of the shift.
    points = 100 * accuracy_error(noisy, 0.9)
    look_error = math.sqrt((points**2 + 1 / 12) / 30)
    assert look_error > 0.2
    expected = math.hypot(spread_exact, EVERY * look_error)
    assert spread_noisy > 1.2 * spread_exact
    assert spread_noisy == pytest.approx(expected, rel=4 / math.sqrt(600))


def test_the_noise_of_the_looks_is_one_error_a_run():
    """A sample of the training set is too easy or too hard at all looks of a run.

    Errors of their own at each look would let a run below T_acc pass sooner or later.
    """
    curves = _curves(np.full((50, 12), 364), eval_samples=400, population=60_000)
    laws = bootstrap_laws(39, curves, Lottery(0.9, 1.0, 1.0, FAST), 200)
    below = np.array([bt.survival(law, [15.0, 115.0]) for law in laws])
    assert below[:, 0] == pytest.approx(below[:, 1], abs=1e-12)
    # 91 % against 90 %: one run in four seems never to get there.
    missing = float(stats.norm.sf(0.01 / accuracy_error(curves, 0.9)))
    assert 0.2 < missing < 0.3
    seen = round(50 * below[:, 0].sum())
    assert stats.binomtest(seen, 50 * 200, missing).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("m", "population"), [(100, 60_000), (500, 1000), (9, 10)])
def test_accuracy_error_is_the_hypergeometric_one(m, population):
    curves = _curves(np.full((5, 3), 1), eval_samples=m, population=population)
    # 9 of 10 examples are right: a sample of m has this spread.
    exact = stats.hypergeom(population, 9 * population // 10, m).std() / m
    assert accuracy_error(curves, 0.9) == pytest.approx(exact, rel=1e-12)


def test_scoring_everything_has_no_error():
    for population in (100, 99):
        curves = _curves(np.full((5, 3), 95), eval_samples=100, population=population)
        assert accuracy_error(curves, 0.9) == 0.0
        assert accuracy_error(curves, 1.0) == 0.0


# ----------------------------------------------------------- grids and rounding


def test_cheap_runs_cost_neither_memory_nor_the_mean():
    """A run a thousand times cheaper looks millions of times before the table ends."""
    generator = np.random.default_rng(31)
    curves = _steps_up(generator.integers(20, 150, 200), 200)
    costs = 10 ** generator.uniform(0.0, 3.0, 200)
    lottery = Lottery(0.9, 0.9, 0.1, 1e6)
    tracemalloc.start()
    law = empirical_law(curves, lottery, step_costs=costs).law
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e8
    mean = np.mean(EVERY * costs * (_first(curves) + 9)) + 1 / 0.9e6
    assert bt.mean(law) == pytest.approx(mean, rel=1e-9)
    # The cheapest runs get there within the first cell, but not at once.
    assert EVERY * costs.min() * _first(curves).min() < law.spacing
    assert law.cumulative_hazard[0] == 0


@pytest.mark.parametrize("looks", [0, 3, 40])
def test_looks_behind_the_horizon_summed_as_if_one_by_one(looks):
    """The closed form of millions of looks against their enumeration."""
    generator = np.random.default_rng(37)
    cells = generator.choice([0.37, 1.0, 2.5, 20.0], 30)
    hit = generator.choice([1e-4, 0.02, 0.5, 1.0], 30)
    left = generator.random(30)
    slow = np.zeros(KNOTS)
    for width, p, mass in zip(cells, hit, left, strict=True):
        late = np.arange(1, int(KNOTS / width) + 2)
        slow += attempts._onto_grid(
            width * (looks + late), mass * p * (1 - p) ** (late - 1)
        )
    fast = attempts._late_ends(left, hit, cells, looks)
    # Only at the first knot do they differ: no look is put at knot 0.
    assert np.cumsum(fast)[1:] == pytest.approx(np.cumsum(slow)[1:], abs=1e-11)


def test_masses_on_the_grid_keep_their_mean():
    generator = np.random.default_rng(38)
    places, mass = generator.uniform(1.0, 900.0, (50, 7)), generator.random((50, 7))
    grid = attempts._onto_grid(places, mass)
    assert grid.sum() == pytest.approx(mass.sum(), rel=1e-12)
    assert grid @ np.arange(KNOTS) == pytest.approx((places * mass).sum(), rel=1e-12)
    # What lies behind the last knot is left out, not heaped up on it.
    assert attempts._onto_grid(np.array([KNOTS - 0.5]), np.ones(1)).sum() == 0.5


@pytest.mark.parametrize("ratio", [3.0, 30.0])
def test_fastest_of_unequal_costs_is_good_to_a_cell(ratio):
    # One uniform grid of 8192 knots serves the cheapest and the costliest run: times
    # are resolved to 8 horizons of the costliest over 8192, not better.
    generator = np.random.default_rng(32)
    curves = _steps_up(generator.integers(5, 45, 40), 50)
    costs = np.where(np.arange(40) % 4 == 0, 1.0, ratio)
    lottery = Lottery(0.9, 1.0, 0.1, FAST)
    law = empirical_law(curves, lottery, step_costs=costs).law
    assert law.spacing == pytest.approx(ratio * 500.0 / (KNOTS // 400 * 50))
    samples = _brute_force(33, curves, lottery, 20 * 20_000, costs).reshape(-1, 20)
    fastest = samples.min(axis=1)
    error = 4 * fastest.std() / math.sqrt(len(fastest))
    assert abs(bt.mean(bt.fastest_of(law, 20)) - fastest.mean()) < (
        error + law.spacing / 2
    )


def test_as_many_looks_as_the_table_holds_twice():
    first = [5, 50, 500, 3000, 4000]
    looks = empirical.MAXIMUM_LOOKS
    found = empirical_law(
        _steps_up(first, looks, every=1), Lottery(0.9, 1.0, 1.0, FAST)
    )
    assert bt.mean(found.law) == pytest.approx(np.mean(first), rel=1e-9)
    assert bt.survival(found.law, [5.5, 2999.5, 3000.5]) == pytest.approx(
        [0.8, 0.4, 0.2], abs=1e-12
    )
    with pytest.raises(ValueError, match=r"at most 4096 looks, .* got 4097: raise"):
        empirical_law(
            _steps_up(first, looks + 1, every=1), Lottery(0.9, 1.0, 1.0, FAST)
        )


def test_float_trap_no_block_before_the_first_possible_one():
    # The transform's rounding is not 0 where the convolution is.
    mass = np.zeros(KNOTS)
    mass[3000::100] = 1 / 52
    assert np.abs(signal.fftconvolve(mass, np.ones(KNOTS))[:3000]).max() > 0
    curves = _steps_up(np.arange(30, 50), 64)
    for p_1 in (1.0, 0.01):
        law = empirical_law(curves, Lottery(0.9, p_1, 0.9, 1e6, "restart")).law
        before = _knots(law, np.arange(KNOTS)) < 290.0
        assert before.sum() > 20
        assert (law.cumulative_hazard[before] == 0).all()
        assert bt.survival(bt.fastest_of(law, 1e9), 290.0) == 1.0
        assert 290.0 < _draw(34, law).min() < 320.0


def test_float_trap_a_look_just_below_its_knot():
    # One look is 51 cells but for a rounding, which must not put a block a cell early.
    cost, cells = 0.09, KNOTS // (8 * 20)
    assert EVERY * cost / (EVERY * cost / cells) < cells
    law = empirical_law(
        _steps_up([4] * 5, 20),
        Lottery(0.9, 0.5, 1.0, 1e9),
        step_costs=np.full(5, cost),
    ).law
    assert np.flatnonzero(law.cumulative_hazard)[0] == 4 * cells


def test_float_trap_an_accuracy_equal_to_the_threshold_counts():
    # correct/m and t_acc are the same rounded number, for every whole percentage.
    assert 0.1 + 0.2 > 0.3  # sums are not
    for percent in range(1, 101):
        curves = _curves(np.full((5, 2), 30 * percent), eval_samples=3000)
        t_acc = float(f"{percent / 100:.2f}")
        assert empirical_law(curves, Lottery(t_acc, 1.0, 1.0, 1.0)).reached == 5


# -------------------------------------------------------------------- refusals


def test_too_few_runs_are_refused_with_what_they_did_reach():
    best = np.arange(40, 60)
    curves = _curves(np.stack([best - 10, best, best - 5], axis=1))
    for ask in (
        lambda: empirical_law(curves, Lottery(0.7, 1.0, 1.0, 1.0)),
        lambda: bootstrap_laws(1, curves, Lottery(0.7, 1.0, 1.0, 1.0), 3),
        lambda: first_passage(curves, 0.7),
    ):
        with pytest.raises(
            Refused,
            match=r"^t_acc = 0\.7: 0 of 20 runs reached it within the horizon, at "
            r"least 5 are needed\. Half of the runs reached 0\.4950, a tenth 0\.5710, "
            r"the best 0\.5900: lower t_acc",
        ):
            ask()
    with pytest.raises(Refused, match="4 of 20 runs"):
        empirical_law(curves, Lottery(0.56, 1.0, 1.0, 1.0))
    assert empirical_law(curves, Lottery(0.55, 1.0, 1.0, 1.0)).reached == 5


def test_runs_given_up_before_they_get_there_do_not_count():
    # All reach it within the horizon, none before abandonment: no block, ever.
    curves = _steps_up([8] * 20 + [3] * 4, 12)
    lottery = Lottery(0.9, 1.0, 0.5, 1.0)
    assert empirical_law(curves, lottery).reached == 24
    for ask in (
        lambda: empirical_law(curves, lottery._replace(abandon_steps=70)),
        lambda: bootstrap_laws(1, curves, lottery._replace(abandon_steps=70), 3),
    ):
        with pytest.raises(Refused, match="4 of 24 runs reached it before abandon"):
            ask()
    assert empirical_law(curves, lottery._replace(abandon_steps=80)).reached == 24


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"t_acc": 0.0}, r"t_acc must be in \(0, 1\], got 0\.0"),
        ({"t_acc": 1.01}, r"t_acc must be in \(0, 1\], got 1\.01"),
        ({"p_1": 0.0}, r"p_1 must be in \(0, 1\], got 0\.0"),
        ({"p_1": math.nan}, r"p_1 must be in \(0, 1\], got nan"),
        ({"p_2": -0.5}, r"p_2 must be in \(0, 1\], got -0\.5"),
        ({"p_2": 2.0}, r"p_2 must be in \(0, 1\], got 2\.0"),
        ({"hashes_per_step": 0.0}, "hashes_per_step must be > 0 .*got 0.0"),
        ({"hashes_per_step": math.inf}, "hashes_per_step must be .*finite, got inf"),
        ({"abandon_steps": 5}, "check_every = 10 up to the horizon = 240, got 5"),
        ({"abandon_steps": 0}, "abandon_steps must be a multiple of .*, got 0"),
        ({"abandon_steps": 105}, "abandon_steps must be a multiple of .*, got 105"),
        ({"abandon_steps": 250}, "abandon_steps must be a multiple of .*, got 250"),
        ({"retry": "again"}, "retry must be 'continue' or 'restart', got 'again'"),
    ],
)
def test_impossible_lotteries_are_refused_by_name(change, message):
    lottery = Lottery(0.9, 0.5, 0.5, 1.0)._replace(**change)
    with pytest.raises(ValueError, match=message):
        empirical_law(_restless(35), lottery)
    with pytest.raises(ValueError, match=message):
        bootstrap_laws(1, _restless(35), lottery, 1)


@pytest.mark.parametrize(
    "costs", [np.ones(11), np.ones((12, 1)), np.zeros(12), np.full(12, np.nan)]
)
def test_impossible_costs_are_refused(costs):
    lottery = Lottery(0.9, 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="step_costs must be 12 numbers > 0, got"):
        empirical_law(_restless(36), lottery, step_costs=costs)
    with pytest.raises(ValueError, match="step_costs must be 12 numbers > 0, got"):
        bootstrap_laws(1, _restless(36), lottery, 1, step_costs=costs)
