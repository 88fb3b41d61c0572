"""Typical windows against exact binomial sums, and the whole numbers they turn on."""

from fractions import Fraction
from math import comb

import pytest
from dpodl.analysis.bounds import rounds

from .test_races import _error


@pytest.mark.parametrize(
    ("epsilon", "failure", "half_digit"),
    [(0.2, 0.04517, 5e-6), (0.3, 2.532e-3, 5e-7), (0.5, 9.731e-7, 5e-11)],
)
def test_typicality_anchors(epsilon, failure, half_digit):
    tails = rounds.typicality(2000, 0.05, epsilon)
    assert tails == pytest.approx(failure, rel=0, abs=half_digit)


def _binomial(k, p):
    p = Fraction(p)
    return [comb(k, j) * p**j * (1 - p) ** (k - j) for j in range(k + 1)]


def _nominal(value):
    """The decimal that was meant: 1/10 for the float .1."""
    return Fraction(value).limit_denominator(10**6)


def _atypical_by_summation(k, p, epsilon):
    mean, slack = k * _nominal(p), _nominal(epsilon)
    return sum(
        probability
        for j, probability in enumerate(_binomial(k, p))
        if not (1 - slack) * mean < j < (1 + slack) * mean
    )


@pytest.mark.parametrize(
    ("k", "p", "epsilon"),
    [(1, 0.5, 0.4), (7, 0.31, 0.25), (40, 0.5, 0.1), (60, 0.05, 0.9), (200, 0.9, 0.1)],
)
def test_typicality_is_the_sum_outside(k, p, epsilon):
    outside = _atypical_by_summation(k, p, epsilon)
    assert _error(rounds.typicality(k, p, epsilon), outside) < 1e-12


def test_typicality_keeps_its_digits_in_the_deep_tail():
    k, p, epsilon = 1200, 0.25, 0.75
    outside = _atypical_by_summation(k, p, epsilon)
    assert outside < Fraction(1, 2**128)
    assert _error(rounds.typicality(k, p, epsilon), outside) < 1e-11


def test_float_trap_a_whole_upper_bound_is_not_inside():
    k, p, epsilon = 200, 0.25, 0.1
    assert (1 + epsilon) * k * p > 55  # a hair above: 55 would be admitted
    outside = _atypical_by_summation(k, p, epsilon)
    assert _error(rounds.typicality(k, p, epsilon), outside) < 1e-12


def test_float_trap_a_whole_lower_bound_is_not_inside():
    k, p, epsilon = 50, 0.1, 0.8
    assert (1 - epsilon) * k * p < 1  # a hair below: 1 would be admitted
    outside = _atypical_by_summation(k, p, epsilon)
    assert _error(rounds.typicality(k, p, epsilon), outside) < 1e-12


def test_float_trap_one_whole_number_between_snapped_bounds():
    # Both bounds are 100 to 1e-9, so nothing lies strictly between them.
    assert rounds.typicality(2000, 0.05, 1e-12) == 1


def test_typicality_of_a_sure_success():
    assert rounds.typicality(50, 1.0, 0.1) == 0
    assert rounds.good_window(50, 1.0, 1.0, 0.0, 0.1) == 1


def _good_by_counting(k, p_x, p_y, p_z, epsilon):
    """Def. 3 on the law of (X, Y, Z)(W), built round by round from six outcomes."""
    slack = _nominal(epsilon)
    mean_x, mean_y, mean_z = (k * _nominal(p) for p in (p_x, p_y, p_z))
    p_x, p_y, p_z = (Fraction(p) for p in (p_x, p_y, p_z))
    a_round = [
        (x, y, z, chance * (p_z if z else 1 - p_z))
        for x, y, chance in [(0, 0, 1 - p_x), (1, 0, p_x - p_y), (1, 1, p_y)]
        for z in (0, 1)
    ]
    law = {(0, 0, 0): Fraction(1)}
    for _ in range(k):
        after = {}
        for (x, y, z), so_far in law.items():
            for dx, dy, dz, chance in a_round:
                counts = (x + dx, y + dy, z + dz)
                after[counts] = after.get(counts, 0) + so_far * chance
        law = after
    return sum(
        probability
        for (x, y, z), probability in law.items()
        if (1 - slack) * mean_x < x < (1 + slack) * mean_x
        and (1 - slack) * mean_y < y
        and z < mean_z + slack * mean_x
    )


@pytest.mark.parametrize(
    ("k", "p_x", "p_y", "p_z", "epsilon"),
    [
        (5, 0.6, 0.4, 0.3, 0.4),
        (12, 0.5, 0.5, 0.2, 0.6),  # Y = X
        (8, 0.75, 0.25, 0.5, 0.5),  # bounds of X, Y, Z whole: 3, 9; 1; 7
        (3, 0.1, 0.05, 0.4, 0.2),  # no whole number near E[X]: never good
        (4, 0.5, 0.0, 0.1, 0.6),  # Y > 0 cannot be: never good
    ],
)
def test_good_window_is_the_definition(k, p_x, p_y, p_z, epsilon):
    exact = _good_by_counting(k, p_x, p_y, p_z, epsilon)
    good = rounds.good_window(k, p_x, p_y, p_z, epsilon)
    assert good == pytest.approx(float(exact), rel=1e-12, abs=0)


def test_the_counted_windows_are_neither_sure_nor_impossible():
    # Else the test above would compare zeros and ones.
    assert 0.05 < rounds.good_window(5, 0.6, 0.4, 0.3, 0.4) < 0.95
    assert 0.05 < rounds.good_window(8, 0.75, 0.25, 0.5, 0.5) < 0.95


def test_float_trap_good_window_whole_bounds_of_x():
    k, p, epsilon = 10, 0.5, 0.8
    assert (1 - epsilon) * k * p < 1
    exact = _good_by_counting(k, p, p, 0.0, epsilon)
    assert _error(rounds.good_window(k, p, p, 0.0, epsilon), exact) < 1e-12
    # With p_y = p_x the Y condition is part of X's; p_z = 0 removes Z's.
    k, p, epsilon = 200, 0.25, 0.1
    assert (1 + epsilon) * k * p > 55
    exact = 1 - _atypical_by_summation(k, p, epsilon)
    assert _error(rounds.good_window(k, p, p, 0.0, epsilon), exact) < 1e-12


def test_float_trap_good_window_whole_bound_of_y():
    k, p_x, p_y, p_z, epsilon = 10, 0.7, 0.5, 0.1, 0.8
    assert (1 - epsilon) * k * p_y < 1
    exact = _good_by_counting(k, p_x, p_y, p_z, epsilon)
    assert _error(rounds.good_window(k, p_x, p_y, p_z, epsilon), exact) < 1e-12


def test_float_trap_good_window_whole_bound_of_z():
    k, p_x, p_y, p_z, epsilon = 15, 0.4, 0.3, 0.04, 0.4
    assert k * p_z + epsilon * k * p_x > 3
    exact = _good_by_counting(k, p_x, p_y, p_z, epsilon)
    assert _error(rounds.good_window(k, p_x, p_y, p_z, epsilon), exact) < 1e-12


def test_good_window_becomes_likely_with_its_length():
    good = [rounds.good_window(k, 0.05, 0.045, 0.02, 0.3) for k in (200, 2000, 20000)]
    assert good[0] < 0.8 < 0.99 < good[1] < 1 - 1e-6 < good[2] <= 1


def test_backbone_growth():
    assert rounds.backbone_growth(0.02, 0.25) == pytest.approx(0.015, rel=1e-15)
    assert rounds.backbone_growth(0, 0.25) == 0
