"""Where a table could go wrong: grids, rounding, limits, and what is refused."""

import math
import tracemalloc

import numpy as np
import pytest
from dpodl.analysis.block_time import attempts, empirical, law as bt
from dpodl.analysis.block_time.empirical import (
    Lottery,
    bootstrap_laws,
    empirical_law,
    first_passage,
)
from dpodl.analysis.block_time.law import KNOTS
from dpodl.analysis.estimation.estimate import Refused
from scipy import signal

from .test_empirical import (
    EVERY,
    FAST,
    _brute_force,
    _curves,
    _draw,
    _first,
    _knots,
    _restless,
    _steps_up,
)

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
