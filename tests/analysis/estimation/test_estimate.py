"""Intervals cover what they promise: by exact sums where possible, else by simulation.

Simulated coverages have a fixed seed; a true coverage of 95 % would fail one of them
with probability below 1e-3 over the choice of the seed.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from dpodl.analysis.estimation import estimate as est
from dpodl.analysis.estimation.estimate import COVERAGE, Estimate, Refused
from scipy import stats

FALSE_ALARM = 1e-3


def _covers(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def _coverage_is_95(draw: Callable[[np.random.Generator], bool], seed, replicas=3000):
    generator = np.random.default_rng(seed)
    hits = sum(draw(generator) for _ in range(replicas))
    assert stats.binomtest(hits, replicas, COVERAGE).pvalue > FALSE_ALARM, hits
    return hits / replicas


# --------------------------------------------------------------------------- mean


@pytest.mark.parametrize("count", [10, 12])
def test_t_interval_of_a_normal_mean_covers_exactly_95(count):
    # Few samples: the normal quantile in place of Student's would cover 92 %.
    assert 2 * stats.t.sf(stats.norm.ppf(0.975), count - 1) > 0.07
    _coverage_is_95(
        lambda g: _covers(est.estimate_mean(g.normal(3.0, 2.0, count), "x"), 3.0), 1
    )


def test_mean_of_a_skewed_law_covers_95_when_samples_are_many():
    _coverage_is_95(
        lambda g: _covers(est.estimate_mean(g.exponential(5.0, 400), "x"), 5.0), 2
    )


def test_mean_is_the_textbook_interval():
    samples = np.random.default_rng(3).gamma(2.0, size=37)
    got = est.estimate_mean(samples, "x")
    low, high = stats.t.interval(0.95, 36, samples.mean(), stats.sem(samples))
    assert got[:4] == pytest.approx((samples.mean(), low, high, 37), rel=1e-12)
    assert got.method == "mean, t interval"


def test_mean_follows_a_change_of_unit():
    samples = np.random.default_rng(4).gamma(2.0, size=50)
    seconds = est.estimate_mean(60.0 * samples + 7.0, "x")
    steps = est.estimate_mean(samples, "x")
    assert seconds[:3] == pytest.approx([60 * v + 7 for v in steps[:3]], rel=1e-12)


def test_mean_of_constant_samples_has_no_width():
    assert est.estimate_mean(np.full(10, 2.5), "x")[:3] == (2.5, 2.5, 2.5)


def test_mean_of_infinite_samples_is_refused_with_their_share():
    samples = np.ones(40)
    samples[:3] = np.inf
    with pytest.raises(Refused, match=r"^wait: 7\.5% of the samples are infinite"):
        est.estimate_mean(samples, "wait")
    samples[:3] = np.nan
    with pytest.raises(Refused, match="no mean exists"):
        est.estimate_mean(samples, "wait")


# -------------------------------------------------------------------------- ratio


@pytest.mark.parametrize("correlation", ["positive", "none", "negative"])
def test_ratio_covers_95_whatever_the_correlation(correlation):
    # The variance of the top alone would cover far more, or far less.
    def draw(generator):
        bottom = generator.gamma(9.0, size=150)
        noise = generator.normal(0.0, 1.0, 150)
        top = {
            "positive": 2.0 * bottom + noise,
            "none": 18.0 + 6.0 * noise,
            "negative": 36.0 - 2.0 * bottom + noise,
        }[correlation]
        return _covers(est.estimate_ratio(top, bottom, "r"), 2.0)

    _coverage_is_95(draw, 5)


def test_ratio_weighs_by_the_denominator():
    # Not the mean of the ratios: a renewal rate is Σ blocks / Σ time.
    top, bottom = np.array([1.0] * 9 + [0.0]), np.array([1.0] * 9 + [91.0])
    assert est.estimate_ratio(top, bottom, "r").value == pytest.approx(0.09)


def test_ratio_of_proportional_samples_is_exact():
    bottom = np.random.default_rng(6).gamma(1.0, size=30)
    value, low, high, count, method = est.estimate_ratio(3.0 * bottom, bottom, "r")
    assert (value, low, high) == pytest.approx((3.0, 3.0, 3.0), rel=1e-14)
    assert (count, method) == (30, "ratio, delta method")


def test_ratio_by_one_is_a_mean():
    # ddof 2 and the normal quantile against ddof 1 and Student's: 4e-3 at n = 400.
    samples = np.random.default_rng(7).normal(5.0, 1.0, 400)
    ratio = est.estimate_ratio(samples, np.ones(400), "r")
    mean = est.estimate_mean(samples, "m")
    assert ratio.value == pytest.approx(mean.value, rel=1e-14)
    assert ratio.high - ratio.low == pytest.approx(mean.high - mean.low, rel=4e-3)


def test_ratio_sign_of_the_denominator_does_not_turn_the_interval_over():
    top, bottom = np.random.default_rng(8).gamma(4.0, size=(2, 50))
    value, low, high, *_ = est.estimate_ratio(top, -bottom, "r")
    assert low < value < high < 0


def test_ratio_refusals():
    one = np.ones(20)
    for top, bottom in ((one * np.inf, one), (one, one * np.nan)):
        with pytest.raises(Refused, match=r"^growth: some of the samples are infinite"):
            est.estimate_ratio(top, bottom, "growth")
    with pytest.raises(Refused, match="growth: the denominators sum to 0"):
        est.estimate_ratio(one, 0.0 * one, "growth")


# -------------------------------------------------------------------- probability


@pytest.mark.parametrize("count", [10, 33, 100])
def test_clopper_pearson_covers_at_least_95_at_every_probability(count):
    """Σ_k Pr[k] 1{p in interval(k)}, enumerated: no simulation, no exception."""
    intervals = [est.estimate_probability(k, count, "p") for k in range(count + 1)]
    low, high = np.array([(e.low, e.high) for e in intervals]).T
    for p in np.concatenate([np.linspace(0.0, 1.0, 401), [1e-6, 1e-3, 1 - 1e-3]]):
        inside = (low <= p) & (p <= high)
        covered = stats.binom.pmf(np.arange(count + 1), count, p)[inside].sum()
        assert covered >= COVERAGE - 1e-12, p


@pytest.mark.parametrize("count", [10, 100, 10**6])
def test_no_success_excludes_what_the_count_can_exclude(count):
    value, low, high, n, _ = est.estimate_probability(0, count, "p")
    assert (value, low, n) == (0.0, 0.0, count)
    assert high == pytest.approx(1 - 0.025 ** (1 / count), rel=1e-9)
    if count == 10**6:
        assert high == pytest.approx(3.689e-6, rel=1e-3)


def test_only_successes_mirror_no_success():
    none, all_ = (est.estimate_probability(k, 50, "p") for k in (0, 50))
    assert (all_.value, all_.high) == (1.0, 1.0)
    assert all_.low == pytest.approx(1 - none.high, rel=1e-12)


def test_share_counts_booleans_and_zero_ones():
    yes = np.arange(40) % 5 == 0
    expected = est.estimate_probability(8, 40, "p")
    assert est.estimate_share(yes, "p") == expected
    assert est.estimate_share(yes.astype(int), "p") == expected


def test_more_successes_than_trials_are_an_error():
    with pytest.raises(ValueError, match="k"):
        est.estimate_probability(11, 10, "p")


# ----------------------------------------------------------------------- quantile


@pytest.mark.parametrize("count", [10, 47, 200, 1001])
@pytest.mark.parametrize("level", [0.25, 0.5, 0.9])
def test_order_statistics_cover_95_exactly_and_no_more_than_needed(count, level):
    """Pr[X_(l) ≤ q < X_(u)] = Pr[l ≤ Bin(n, level) < u] for every continuous law."""
    ranks = np.arange(1.0, count + 1)
    binomial = stats.binom(count, level)
    if binomial.cdf(0) > 0.025 or binomial.sf(count - 1) > 0.025:
        with pytest.raises(Refused, match="needs more than"):
            est.estimate_quantile(ranks, level, "q")
        return
    _, low, high, n, _ = est.estimate_quantile(ranks, level, "q")
    assert n == count
    assert binomial.cdf(low - 1) <= 0.025 < binomial.cdf(low)
    assert binomial.sf(high - 1) <= 0.025 < binomial.sf(high - 2)


def test_quantile_interval_covers_in_simulation():
    median = math.log(2.0)
    generator = np.random.default_rng(9)
    hits = sum(
        _covers(est.estimate_quantile(generator.exponential(size=60), 0.5, "q"), median)
        for _ in range(3000)
    )
    # 96 % for sixty samples, by the enumeration above.
    binomial = stats.binom(60, 0.5)
    exact = binomial.cdf(binomial.ppf(0.975)) - binomial.cdf(binomial.ppf(0.025) - 1)
    assert stats.binomtest(hits, 3000, exact).pvalue > FALSE_ALARM


@pytest.mark.parametrize(("level", "value"), [(0.25, 25), (0.5, 50), (0.625, 63)])
def test_quantile_is_the_smallest_sample_that_reaches_the_level(level, value):
    shuffled = np.random.default_rng(10).permutation(np.arange(1.0, 101))
    got = est.estimate_quantile(shuffled, level, "q")
    assert got.value == value == np.quantile(shuffled, level, method="inverted_cdf")
    assert got.low <= got.value <= got.high


def test_quantile_beyond_the_samples_is_refused():
    with pytest.raises(Refused, match=r"u: the 0\.99 quantile needs more than 100"):
        est.estimate_quantile(np.arange(100.0), 0.99, "u")
    # With 1000 samples there are enough order statistics above it.
    assert est.estimate_quantile(np.arange(1000.0), 0.99, "u").high == 996


def test_infinite_waits_do_not_matter_below_the_quantile():
    waits = np.arange(1.0, 101)
    waits[70:] = np.inf
    assert est.estimate_quantile(waits, 0.5, "u").high == 61
    # The 63rd sample is seen; it is the interval that reaches beyond.
    message = r"0\.625 quantile, or the upper end of its interval, lies beyond"
    with pytest.raises(Refused, match=message):
        est.estimate_quantile(waits, 0.625, "u")


# ----------------------------------------------------------- refusals and algebra


@pytest.mark.parametrize(
    "ask",
    [
        lambda n: est.estimate_mean(np.ones(n), "blocks"),
        lambda n: est.estimate_ratio(np.ones(n), np.ones(n), "blocks"),
        lambda n: est.estimate_probability(1, n, "blocks"),
        lambda n: est.estimate_share(np.ones(n, bool), "blocks"),
        lambda n: est.estimate_quantile(np.arange(float(n)), 0.5, "blocks"),
    ],
)
def test_nine_samples_are_refused_and_ten_are_not(ask):
    with pytest.raises(
        Refused, match=r"^blocks: at least 10 samples are needed, got 9$"
    ):
        ask(9)
    assert ask(10).count == 10


def test_widening_is_quadrature_on_each_side():
    narrow = Estimate(1.0, 1.0 - 3.0, 1.0 + 8.0, 50, "exact")
    z = float(stats.norm.ppf(0.975))
    wide = narrow.widened(4.0 / z, "bootstrap")
    assert wide == (
        1.0,
        pytest.approx(1.0 - 5.0, rel=1e-12),
        pytest.approx(1.0 + math.hypot(8.0, 4.0), rel=1e-12),
        50,
        "exact + bootstrap",
    )
    assert narrow.widened(0, "nothing")[:4] == narrow[:4]


def test_widened_intervals_cover_both_errors():
    def draw(generator):
        truth = generator.normal(0.0, 0.3)
        samples = generator.normal(truth, 2.0, 100)
        return _covers(est.estimate_mean(samples, "x").widened(0.3, "law"), 0.0)

    _coverage_is_95(draw, 11)


def test_clipping_keeps_the_value_and_cuts_the_interval():
    wide = Estimate(0.98, 0.9, 1.07, 20, "m")
    assert wide.clipped(0, 1) == (0.98, 0.9, 1.0, 20, "m")
    assert wide.clipped(0.95, 2.0) == (0.98, 0.95, 1.07, 20, "m")
