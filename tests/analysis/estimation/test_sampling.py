"""Sequential sampling: coverage under optional stopping, budgets, what is missing."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.estimation.estimate import (
    Estimate,
    Refused,
    estimate_mean,
    estimate_probability,
)
from dpodl.analysis.estimation.sampling import Budget, at_coverage, look_schedule, until
from scipy import special, stats

KEY = jax.random.key(3)


def coin(p):
    """Successes among n tosses, drawn on the host from the key's bits."""

    def draw(key, n):
        bits = np.asarray(jax.random.key_data(key)).tolist()
        return int(np.random.default_rng(bits).binomial(n, p))

    return draw


def shares(batch):
    def figures(batches, coverage):
        estimate = estimate_probability(sum(batches), batch * len(batches), "share")
        return {"share": at_coverage(estimate, coverage)}

    return figures


def toss(key, p, rel_error=0.2, batch=200, most=12_800, **limits):
    return until(
        key,
        coin(p),
        shares(batch),
        rel_error=rel_error,
        names=["share"],
        batch=batch,
        budget=Budget(most, **limits),
    )


def exact_share(events, count, coverage):
    """Clopper–Pearson at once; ``estimate_probability`` takes 10 ms to find it."""
    half = (1 - coverage) / 2
    ends = (
        special.betaincinv(events, count - events + 1, half) if events else 0.0,
        special.betaincinv(events + 1, count - events, 1 - half),
    )
    return Estimate(events / count, float(ends[0]), float(ends[1]), count, "exact")


def test_coverage_holds_although_the_sample_size_was_chosen_by_the_data():
    repetitions, batch, p = 600, 50, 0.12
    covered, stops = 0, set()
    toss = coin(p)

    def figures(batches, coverage):
        return {"share": exact_share(sum(batches), batch * len(batches), coverage)}

    for key in jax.random.split(KEY, repetitions):
        outcome = until(
            key,
            toss,
            figures,
            rel_error=0.4,
            names=["share"],
            batch=batch,
            budget=Budget(32 * batch),
        )
        found = outcome.figures["share"]
        covered += found.low <= p <= found.high
        stops.add(outcome.samples)
        if not outcome.missing:
            half = max(found.high - found.value, found.value - found.low)
            assert half <= 0.4 * found.value
    error = math.sqrt(0.95 * 0.05 / repetitions)
    assert covered / repetitions > 0.95 - 3.5 * error
    # The stopping was optional indeed.
    assert len(stops) >= 2


def test_coverage_holds_where_the_stop_seeks_an_error():
    # An adversary's stop: look on until the interval excludes the truth. Without the
    # allowance for looks it finds one three times as often as it may.
    repetitions, p, batch = 2000, 0.3, 100
    looks = look_schedule(64)
    tosses = np.random.default_rng(5).binomial(batch, p, (repetitions, looks[-1]))
    wrong = {}
    for name, coverage in (("allowed", 1 - 0.05 / len(looks)), ("naive", 0.95)):
        missed = np.zeros(repetitions, bool)
        for n in looks:
            events = tosses[:, :n].sum(axis=1)
            half = (1 - coverage) / 2
            low = special.betaincinv(events, n * batch - events + 1, half)
            high = special.betaincinv(events + 1, n * batch - events, 1 - half)
            missed |= (p < low) | (p > high)
        wrong[name] = missed.mean()
    error = math.sqrt(0.05 * 0.95 / repetitions)
    assert wrong["allowed"] < 0.05 + 3.5 * error
    assert wrong["naive"] > 0.1


def test_it_stops_as_soon_as_every_figure_is_good_enough():
    outcome = toss(KEY, 0.5, rel_error=0.1)
    assert outcome.missing == []
    assert outcome.samples // 200 in look_schedule(64)
    assert len(outcome.batches) * 200 == outcome.samples < 12_800
    assert "95 % in all" in outcome.figures["share"].method
    assert outcome.coverage == 1 - 0.05 / 7


def test_the_same_key_gives_the_same_batches_whatever_the_budget():
    short, long = (toss(KEY, 0.2, rel_error=0.01, most=n) for n in (1600, 6400))
    assert long.batches[:8] == short.batches


def test_a_spent_budget_says_what_is_missing():
    outcome = toss(KEY, 0.1, rel_error=0.02, most=1500)
    assert outcome.samples == 1400  # whole batches
    (lack,) = outcome.missing
    found = outcome.figures["share"]
    half = max(found.high - found.value, found.value - found.low)
    assert lack.relative == pytest.approx(half / found.value)
    assert lack.samples == pytest.approx(1400 * (lack.relative / 0.02) ** 2)
    assert lack.name == "share"
    assert "1400 samples" in lack.reason
    # With as many as it said, it is nearly there.
    enough = math.ceil(lack.samples / 200) * 200
    again = toss(KEY, 0.1, rel_error=0.02 * 1.25, most=enough)
    assert again.missing == []


def test_without_an_event_the_need_is_a_lower_bound():
    outcome = toss(KEY, 0.0, most=400)
    (lack,) = outcome.missing
    assert lack.relative == math.inf
    z = stats.norm.ppf(0.975)
    high = outcome.figures["share"].high
    assert lack.samples == pytest.approx((z / 0.2) ** 2 / high)
    assert "at least" in lack.reason


def test_time_may_run_out_first():
    ticks = iter(range(100))
    outcome = toss(
        KEY, 0.1, rel_error=0.001, seconds=3.0, clock=lambda: float(next(ticks))
    )
    assert outcome.samples == 3 * 200
    # A look that was not planned has its share of the error.
    assert outcome.coverage == 1 - 0.05 / 8
    assert outcome.missing[0].samples > outcome.samples


def test_refused_and_absent_figures_are_missing():
    def refuse(_, __):
        raise Refused("mean: no mean exists")

    def run(figures, names):
        return until(
            KEY,
            coin(0.5),
            figures,
            rel_error=0.5,
            names=names,
            batch=100,
            budget=Budget(200),
        )

    none = run(refuse, ["mean"])
    assert none.figures == {}
    assert "no mean exists" in none.missing[0].reason
    assert none.missing[0].samples == math.inf
    both = run(shares(100), ["share", "other"])
    assert [lack.name for lack in both.missing] == ["other"]
    assert both.figures["share"].value > 0


@pytest.mark.parametrize("events", [0, 3, 50])
def test_shares_are_carried_exactly(events):
    estimate = estimate_probability(events, 100, "share")
    found = at_coverage(estimate, 0.99)
    exact = stats.binomtest(events, 100).proportion_ci(0.99, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    # What a horizon added above stays added.
    raised = at_coverage(estimate._replace(high=estimate.high + 0.1), 0.99)
    assert raised.high == pytest.approx(exact.high + 0.1)


def test_other_intervals_are_carried_as_normal_ones():
    estimate = estimate_mean(np.linspace(-1, 3, 4000) ** 3, "mean")
    for coverage in (0.5, 0.95, 0.999):
        found = at_coverage(estimate, coverage)
        factor = stats.norm.ppf(0.5 + coverage / 2) / stats.norm.ppf(0.975)
        assert found.high - found.value == pytest.approx(
            factor * (estimate.high - estimate.value)
        )
    none = Estimate(2.0, 1.0, 4.0, 0, "grid")
    assert at_coverage(none, 0.95).low == pytest.approx(1.0)


def test_looks_double_and_end_with_the_budget():
    assert look_schedule(1) == [1]
    assert look_schedule(8) == [1, 2, 4, 8]
    assert look_schedule(11) == [1, 2, 4, 8, 11]
    with pytest.raises(ValueError, match="most"):
        look_schedule(0)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("rel_error", {"rel_error": 0.0}),
        ("rel_error", {"rel_error": 1.0}),
        ("names", {"names": []}),
        ("batch", {"batch": 0}),
        ("budget.samples", {"budget": Budget(50)}),
        ("budget.seconds", {"budget": Budget(500, 0.0, lambda: 0.0)}),
        ("budget.clock", {"budget": Budget(500, 3.0)}),
    ],
)
def test_bad_requests_name_the_field(field, change):
    good = {"rel_error": 0.1, "names": ["share"], "batch": 100, "budget": Budget(500)}
    with pytest.raises(ValueError, match=field):
        until(KEY, coin(0.5), shares(100), **(good | change))
    with pytest.raises(ValueError, match="coverage"):
        at_coverage(Estimate(0.5, 0.4, 0.6, 10, ""), 1.0)
