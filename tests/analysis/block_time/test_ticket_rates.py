"""The model of looks since the passage, against ways to the same numbers that share
nothing with it: brute-force likelihoods, and runs that were drawn from it."""

import numpy as np
import pytest
from dpodl.analysis.block_time import ticket_rates as tr
from dpodl.analysis.block_time.attempts import remaining_looks
from scipy import integrate, special, stats


def _drawn(seed, *, runs=300, looks=80, a=-2.0, b=1.7, sigma=1.2):
    """Runs of the model; passages anywhere in the horizon."""
    generator = np.random.default_rng(seed)
    first = generator.integers(0, looks, runs)
    since = np.arange(looks) - first[:, None]
    shift = sigma * generator.standard_normal((runs, 1))
    logit = a + b * np.log1p(np.maximum(since, 0)) + shift
    tickets = generator.random((runs, looks)) < special.expit(logit)
    tickets = np.where(since > 0, tickets, since == 0)
    return tickets, first


def _log_likelihood(parameters, tickets, first):
    """By quadrature over each run's shift, look by look."""
    a, b, log_sigma = parameters
    total = 0.0
    for row, passage in zip(tickets, first, strict=True):
        hits = row[passage + 1 :]
        x = np.log1p(np.arange(1, len(hits) + 1))

        def joint(z, hits=hits, x=x):
            rate = special.expit(a + b * x + np.exp(log_sigma) * z)
            return np.prod(np.where(hits, rate, 1 - rate)) * stats.norm.pdf(z)

        value, _ = integrate.quad(joint, -8, 8, limit=200)
        total += np.log(value)
    return total


def test_the_fit_is_where_brute_force_has_its_maximum():
    tickets, first = _drawn(1, runs=25, looks=16)
    fitted = tr.ticket_rates(tickets, first)
    assert fitted.parameters is not None

    def score(parameters):
        off = (parameters - tr._PRIOR_MEAN) / tr._PRIOR_SD
        return _log_likelihood(parameters, tickets, first) - 0.5 * (off**2).sum()

    best = score(fitted.parameters)
    for place in range(3):
        for step in (-0.15, 0.15):
            other = fitted.parameters.copy()
            other[place] += step
            assert score(other) < best, (place, step)


@pytest.mark.parametrize("seed", range(4))
def test_rates_of_the_model_are_found_again(seed):
    true = {"a": -2.0, "b": 1.7, "sigma": 1.2}
    tickets, first = _drawn(
        10 + seed, runs=600, a=true["a"], b=true["b"], sigma=true["sigma"]
    )
    fitted = tr.ticket_rates(tickets, first)
    since = np.array([3.0, 20.0, 200.0])
    shares = np.exp(tr._LOG_SHARES)
    found = shares @ tr.node_rates(fitted, since, "central", 80)
    z = np.random.default_rng(3).standard_normal(100_000)
    logits = true["a"] + true["b"] * np.log1p(since[:, None]) + true["sigma"] * z
    assert found == pytest.approx(special.expit(logits).mean(axis=1), abs=0.04)


@pytest.mark.parametrize("seed", range(3))
def test_a_warm_start_ends_where_a_cold_one_does(seed):
    tickets, first = _drawn(20 + seed)
    whole = tr.ticket_rates(tickets, first)
    again = np.random.default_rng(seed).integers(len(first), size=len(first))
    cold = tr.ticket_rates(tickets[again], first[again])
    warm = tr.ticket_rates(tickets[again], first[again], start=whole)
    for p in (0.1, 1 / 512):
        one, other = (remaining_looks(each, p, 80) for each in (cold, warm))
        assert other.mean() == pytest.approx(one.mean(), rel=2e-3)


def test_a_run_that_passed_last_is_judged_by_those_that_passed_before():
    """The share of a late run's own last looks misled by a factor."""
    generator = np.random.default_rng(4)
    tickets, first = _drawn(4, runs=200, sigma=0.3)
    late = np.zeros((10, 80), bool)
    late[:, -1] = True
    tickets, first = np.concatenate([tickets, late]), np.append(first, np.full(10, 79))
    fitted = tr.ticket_rates(tickets, first)
    assert (fitted.shown[-10:] == 0).all()
    found = remaining_looks(fitted, 0.05, 80)[-10:]
    # As the model plays it: from the passage on, one ticket in twenty a block.
    waits = []
    for _ in range(20_000):
        shift, since = 0.3 * generator.standard_normal(), 0
        while True:
            since += 1
            rate = special.expit(-2.0 + 1.7 * np.log1p(since) + shift)
            if generator.random() < 0.05 * rate:
                break
        waits.append(since)
    assert found == pytest.approx(np.mean(waits), rel=0.06)
    # In place of 1/(.05 · its own last quarter): one look in 20.
    assert found.max() < 0.2 * 20 * 20


def test_a_run_that_hovers_keeps_its_own_rate():
    tickets, first = _drawn(5, runs=200, sigma=0.5)
    steady = np.random.default_rng(5).random((1, 80)) < 0.1
    steady[0, 0] = True
    tickets, first = np.concatenate([tickets, steady]), np.append(first, 0)
    fitted = tr.ticket_rates(tickets, first)
    slow = tr.node_shares(fitted, "slowest")[-1]
    hovers = slow[len(tr._SHIFTS) :]
    assert hovers.sum() > 0.9
    rates = tr.node_rates(fitted, np.array([500.0]), "slowest", 80)[:, 0]
    assert slow @ rates == pytest.approx(0.1, abs=0.08)


def test_no_failure_is_a_sure_ticket_with_a_slowest_that_is_not():
    tickets = np.ones((20, 30), bool)
    fitted = tr.ticket_rates(tickets, np.zeros(20, int))
    since = np.array([1.0, 100.0])
    assert tr.node_rates(fitted, since, "central", 30).tolist() == [[1.0, 1.0]]
    slowest = tr.node_rates(fitted, since, "slowest", 30)
    assert slowest == pytest.approx(1 - 3 / (3 + 20 * 29))
    assert remaining_looks(fitted, 0.25, 30) == pytest.approx(4.0)


def test_the_slowest_is_slower_and_the_fastest_faster():
    tickets, first = _drawn(6)
    fitted = tr.ticket_rates(tickets, first)
    since = np.arange(81.0, 700.0)
    mean = {
        plateau: (
            tr.node_shares(fitted, plateau).mean(axis=0)
            @ tr.node_rates(fitted, since, plateau, 80)
        )
        for plateau in ("central", "slowest", "fastest")
    }
    assert (mean["slowest"] < mean["central"]).all()
    assert (mean["central"] < mean["fastest"]).all()
    # Growth ends eight horizons since the passage, and falls are not carried on.
    assert mean["central"][-1] == mean["central"][-40]


def test_what_falls_is_not_carried_on_falling():
    tickets, first = _drawn(7, a=3.0, b=-1.0, sigma=0.2)
    fitted = tr.ticket_rates(tickets, first)
    assert fitted.parameters is not None
    assert fitted.parameters[1] < 0
    rates = tr.node_rates(fitted, np.array([fitted.seen, 1e4]), "central", 80)
    assert (rates[:, 0] == rates[:, 1]).all()


def test_float_trap_a_single_run_without_looks_since_its_passage():
    tickets = np.zeros((1, 5), bool)
    tickets[0, -1] = True
    fitted = tr.ticket_rates(tickets, np.array([4]))
    assert tr.node_rates(fitted, np.ones(1), "central", 5).tolist() == [[1.0]]
    # Nothing is known of it: at the slowest it never shows a ticket again.
    assert tr.node_rates(fitted, np.ones(1), "slowest", 5).tolist() == [[0.0]]


def test_the_same_tickets_are_fitted_once_and_the_fits_kept_are_bounded(monkeypatch):
    generator = np.random.default_rng(5)
    monkeypatch.setattr(tr, "_KEPT_BYTES", 3 * 26 * 8 * 30)
    monkeypatch.setattr(tr, "_kept", type(tr._kept)())
    samples = [generator.random((30, 24)) < 0.8 for _ in range(6)]
    firsts = [each.argmax(axis=1) for each in samples]
    fits = [tr.ticket_rates(*each) for each in zip(samples, firsts, strict=True)]
    assert len(tr._kept) == 2
    # The last ones are there, the first ones are fitted again: to the last digit.
    assert tr.ticket_rates(samples[-1].copy(), firsts[-1].copy()) is fits[-1]
    again = tr.ticket_rates(samples[0], firsts[0])
    assert again is not fits[0]
    np.testing.assert_array_equal(again.parameters, fits[0].parameters)
    np.testing.assert_array_equal(again.cautious, fits[0].cautious)
    # One look more or less, or another start, is another fit.
    other = samples[-1].copy()
    other[0, -1] ^= True
    assert tr.ticket_rates(other, firsts[-1]) is not fits[-1]
    assert tr.ticket_rates(samples[-1], firsts[-1], start=again) is not fits[-1]
    with pytest.raises(ValueError, match="read-only"):
        again.posterior[0] = 0.0
