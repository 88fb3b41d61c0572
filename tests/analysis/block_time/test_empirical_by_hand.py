"""The empirical law against the scheme played out, and against sums by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from dpodl.analysis.block_time import law as bt
from dpodl.analysis.block_time.empirical import (
    Lottery,
    empirical_law,
)
from dpodl.analysis.block_time.ticket_rates import node_rates, node_shares, ticket_rates
from dpodl.models.learning.curves import CurveSet

from .test_empirical import (
    EVERY,
    FAST,
    _brute_force,
    _curves,
    _draw,
    _first,
    _knots,
    _restless,
    _same_atoms,
    _same_law,
    _same_mean,
    _steps_up,
)

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
