"""Typical windows: published digits, rational arithmetic, simulation and limits."""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from dpodl.analysis.bounds import rounds
from dpodl.analysis.bounds.backbone import (
    Tails,
    backbone_guarantees,
    bad_window,
    binomial_tails,
    chernoff_tails,
    entropy_tails,
    exponent_constant,
    some_window_bad,
)
from dpodl.analysis.estimation.estimate import Refused

# kp = 100, p = .05 (docs/science/anchors.md); the rest of Def. 3 is free.
WINDOW = {"k": 2000, "p_x": 0.05, "p_y": 0.0475, "p_z": 0.02}
KINDS = [binomial_tails, entropy_tails, chernoff_tails]


@pytest.mark.parametrize(
    ("epsilon", "failure", "half_digit"),
    [(0.2, 0.04517, 5e-6), (0.3, 2.532e-3, 5e-7), (0.5, 9.731e-7, 5e-11)],
)
def test_anchors_of_honest_successes(epsilon, failure, half_digit):
    tails = binomial_tails(**WINDOW, epsilon=epsilon)
    assert tails.x_low + tails.x_high == pytest.approx(failure, rel=0, abs=half_digit)
    assert tails.x_low + tails.x_high == pytest.approx(
        rounds.typicality(2000, 0.05, epsilon), rel=1e-13
    )


def _binomial(n, p):
    p = Fraction(p)
    return [math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(n + 1)]


def test_tails_are_the_four_sums():
    k, p_x, p_y, p_z, epsilon, queries = 60, 0.25, 0.125, 0.5, 0.5, 4
    tails = binomial_tails(k, p_x, p_y, p_z, epsilon, queries=queries)
    x, y = _binomial(k, p_x), _binomial(k, p_y)
    z = _binomial(k * queries, p_z / queries)
    # E[X] = 15, E[Y] = 7.5, E[Z] = 30, so the bounds are 7.5, 22.5, 3.75 and 37.5.
    exact = (sum(x[:8]), sum(x[23:]), sum(y[:4]), sum(z[38:]))
    np.testing.assert_allclose(tails, [float(e) for e in exact], rtol=1e-12)


def test_whole_bounds_are_outside_as_printed():
    # Strict inequalities: X = (1 ± ε)kp and Z = E[Z] + εE[X] are bad.
    tails = binomial_tails(100, 0.5, 0.5, 0.25, 0.2)
    x, z = _binomial(100, 0.5), _binomial(100, 0.25)
    exact = [float(e) for e in (sum(x[:41]), sum(x[60:]), sum(x[:41]), sum(z[35:]))]
    np.testing.assert_allclose(tails, exact, rtol=1e-12)


@pytest.mark.parametrize("epsilon", [0.2, 0.3, 0.5])
def test_a_bad_window_is_the_complement_of_a_good_one(epsilon):
    bad = bad_window(**WINDOW, epsilon=epsilon)
    good = rounds.good_window(**WINDOW, epsilon=epsilon)
    assert bad == pytest.approx(1 - good, rel=1e-6)
    tails = binomial_tails(**WINDOW, epsilon=epsilon)
    assert max(tails) < bad < tails.union


def _bad_by_enumeration(k, p_x, p_y, p_z, epsilon):
    """Every course of k rounds, in rational numbers."""
    px, py, pz = (Fraction(p).limit_denominator(1000) for p in (p_x, p_y, p_z))
    slack = Fraction(epsilon).limit_denominator(1000)
    rounds = [(0, 0, 1 - px), (1, 0, px - py), (1, 1, py)]
    total = Fraction(0)
    for course in product(range(3), repeat=k):
        x = sum(rounds[c][0] for c in course)
        y = sum(rounds[c][1] for c in course)
        chance = math.prod(rounds[c][2] for c in course)
        for z in range(k + 1):
            good = (
                (1 - slack) * k * px < x < (1 + slack) * k * px
                and (1 - slack) * k * py < y
                and z < k * pz + slack * k * px
            )
            if not good:
                total += chance * math.comb(k, z) * pz**z * (1 - pz) ** (k - z)
    return float(total)


@pytest.mark.parametrize(
    "window", [(5, 0.6, 0.4, 0.3, 0.4), (6, 0.5, 0.25, 0.5, 0.5), (4, 0.2, 0.2, 0, 0.9)]
)
def test_a_bad_window_is_the_definition(window):
    assert bad_window(*window) == pytest.approx(_bad_by_enumeration(*window), rel=1e-12)


def test_deep_tails_keep_their_digits():
    k, p, epsilon = 3200, 0.25, 0.375
    low, high = range(501), range(1100, k + 1)  # whole bounds are outside
    weights = (
        sum(math.comb(k, j) * 3 ** (k - j) for j in side) for side in (low, high)
    )
    exact = [float(Fraction(weight, 4**k)) for weight in weights]
    tails = binomial_tails(k, p, p, 0.0, epsilon)
    assert exact[0] < exact[1] < 1e-30
    np.testing.assert_allclose(tails[:2], exact, rtol=1e-10)
    # Y = X and no adversary: nothing else can fail, and 1 − Pr[good] is lost.
    assert bad_window(k, p, p, 0.0, epsilon) == pytest.approx(sum(exact), rel=1e-10)
    assert 1 - rounds.good_window(k, p, p, 0.0, epsilon) in (
        0,
        pytest.approx(0, abs=1e-11),
    )
    assert bad_window(40_000, 0.05, 0.0475, 0.02, 0.4) < 2**-128


def test_a_simulated_window_is_bad_as_often():
    k, p_x, p_y, p_z, epsilon, windows = 400, 0.1, 0.08, 0.06, 0.3, 200_000
    draw = np.random.default_rng(3)
    x = draw.binomial(k, p_x, windows)
    y = draw.binomial(x, p_y / p_x)
    z = draw.binomial(3 * k, p_z / 3, windows)
    good = (
        (x > (1 - epsilon) * k * p_x)
        & (x < (1 + epsilon) * k * p_x - 1e-9)
        & (y > (1 - epsilon) * k * p_y)
        & (z < k * p_z + epsilon * k * p_x - 1e-9)
    )
    exact = bad_window(k, p_x, p_y, p_z, epsilon, queries=3)
    error = np.sqrt(exact * (1 - exact) / windows)
    assert abs(np.mean(~good) - exact) < 4 * error


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("k", [1, 30, 2000, 30_000])
def test_bounds_hold_in_their_order(k, epsilon):
    at = {**WINDOW, "k": k, "epsilon": epsilon, "queries": 3}
    exact, best, proof = (np.array(kind(**at)) for kind in KINDS)
    assert np.all(exact <= best * (1 + 1e-12))
    assert np.all(best <= proof * (1 + 1e-12))


def test_the_entropy_exponent_is_the_rate_of_decay():
    rates = []
    for kind in KINDS:
        tails = [kind(k, 0.05, 0.04, 0.02, 0.5) for k in (20_000, 22_000)]
        rates.append([math.log(a / b) for a, b in zip(*tails, strict=True)])
    exact, best, proof = np.array(rates)
    np.testing.assert_allclose(exact, best, rtol=1e-2)
    assert np.all(proof < 0.99 * exact)


def test_impossible_tails_are_zero():
    # (1 + ε)p_x > 1 can not be reached, nor can successes that have no chance.
    for kind in (binomial_tails, entropy_tails):
        tails = kind(50, 0.8, 0.4, 0.0, 0.5)
        assert tails.x_high == 0
        assert tails.z_high == 0
    assert chernoff_tails(50, 0.8, 0.4, 0.0, 0.5).z_high == pytest.approx(
        math.exp(-50 * 0.4)
    )
    # Y > 0 is asked for but never comes.
    assert binomial_tails(50, 0.8, 0.0, 0.1, 0.5).y_low == 1
    assert bad_window(50, 0.8, 0.0, 0.1, 0.5) == 1
    assert bad_window(50, 1.0, 1.0, 0.0, 0.1) == 0


def test_the_union_over_windows_covers_a_simulated_horizon():
    k, p, epsilon, horizon, runs = 60, 0.5, 0.45, 200, 4000
    draw = np.random.default_rng(9)
    path = np.cumsum(draw.random((runs, horizon)) < p, axis=1)
    path = np.concatenate([np.zeros((runs, 1), int), path], axis=1)
    bad = np.zeros(runs, bool)
    for length in range(k, horizon + 1):
        count = path[:, length:] - path[:, :-length]
        off = np.abs(count - length * p) >= epsilon * length * p
        bad |= off.any(axis=1)
    bound = some_window_bad(horizon, k, p, p, 0.0, epsilon)
    single = bad_window(k, p, p, 0.0, epsilon)
    share = float(np.mean(bad))
    assert 0 < share < bound < 1
    assert share > single


def test_windows_of_twice_the_length_are_made_of_shorter_ones():
    # A horizon of 2k − 1 has nothing to decompose; the sum is over all windows.
    k, at = 40, (0.5, 0.5, 0.1, 0.6)
    total = sum(
        (2 * k - s) * math.fsum(binomial_tails(s, *at)) for s in range(k, 2 * k)
    )
    assert some_window_bad(2 * k - 1, k, *at) == pytest.approx(total, rel=1e-13)
    assert some_window_bad(k, k, *at) == pytest.approx(binomial_tails(k, *at).union)
    longer = some_window_bad(10 * k, k, *at)
    assert longer > total
    loose = some_window_bad(10 * k, k, *at, tails=chernoff_tails)
    assert longer <= loose == 1


def test_the_constant_in_omega():
    # SLT23 Lemma 1 names none. Chernoff gives 1/3 for X; the exact one is near ½.
    tails = chernoff_tails(**WINDOW, epsilon=0.3)
    at = {"k": 2000, "p_x": 0.05, "epsilon": 0.3}
    assert exponent_constant(tails.x_high, **at) == pytest.approx(1 / 3, rel=1e-12)
    assert exponent_constant(tails.x_low, **at) == pytest.approx(1 / 2, rel=1e-12)
    assert 0.5 < exponent_constant(bad_window(**WINDOW, epsilon=0.3), **at) < 1
    assert exponent_constant(1, **at) == 0


def test_tails_add_up_to_at_most_one():
    assert Tails(0.5, 0.5, 0.5, 0.5).union == 1
    assert Tails(1e-40, 2e-40, 3e-40, 0.0).union == pytest.approx(6e-40, rel=1e-15)


def test_backbone_guarantees():
    found = backbone_guarantees(2000, 0.05, 0.0475, 0.01, 0.2)
    assert found.growth == pytest.approx(0.8 * 0.05, rel=1e-15)
    assert found.growth_rounds == 2000
    assert found.blocks == 200  # 2kp
    assert found.quality == pytest.approx(1 - 0.02 / 0.04, rel=1e-12)
    assert found.margin == pytest.approx(0.8 * 0.0475 - 0.02, rel=1e-12)


def test_guarantees_without_slack_tend_to_the_shares():
    # ε → 0 and rare successes: growth f and quality 1 − t/(n − t).
    found = backbone_guarantees(10**6, 1e-4, 1e-4, 2.5e-5, 1e-9)
    assert found.growth == pytest.approx(1e-4)
    assert found.quality == pytest.approx(0.75, abs=1e-6)
    assert backbone_guarantees(7, 0.31, 0.3, 0.0, 0.1).blocks == 5  # ⌈4.34⌉


def test_guarantees_need_an_honest_margin():
    with pytest.raises(
        Refused, match=r"up to 0\.045 a round\) than uniquely .* 0\.038"
    ):
        backbone_guarantees(2000, 0.05, 0.0475, 0.035, 0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, r"^k must lie in \{1, 2, \.\.\.\}, got 0$"),
        ({"p_x": 0}, r"^p_x must lie in \(0, 1\], got 0$"),
        ({"p_y": 0.06}, r"^p_y must lie in \[0, p_x = 0\.05\], got 0\.06$"),
        ({"p_z": 3}, r"^p_z must lie in \[0, queries = 2\], got 3$"),
        ({"p_z": float("nan")}, r"^p_z must .*, got nan$"),
        ({"epsilon": 1.0}, r"^epsilon must lie in \(0, 1\), got 1\.0$"),
        ({"queries": 0}, r"^queries must lie in \{1, 2, \.\.\.\}, got 0$"),
    ],
)
@pytest.mark.parametrize("function", [*KINDS, bad_window])
def test_refusals_name_field_range_and_value(function, change, message):
    with pytest.raises(ValueError, match=message):
        function(**{**WINDOW, "epsilon": 0.2, "queries": 2} | change)


def test_other_refusals():
    with pytest.raises(ValueError, match=r"^horizon must be at least k = 9, got 8$"):
        some_window_bad(8, 9, 0.5, 0.5, 0.1, 0.2)
    with pytest.raises(ValueError, match=r"^risk must lie in \(0, 1\], got 0$"):
        exponent_constant(0, 9, 0.5, 0.2)
