"""Closed forms against published digits, exact enumeration and limits.

Everything is deterministic but one Poisson sample with a fixed seed. Exact references
are integers or `Fraction`s built on the float's own value, so no tolerance hides a
rounding of the reference.
"""

import csv
from fractions import Fraction
from itertools import product
from math import comb, exp, factorial
from pathlib import Path

import numpy as np
import pytest
from dpodl.analysis.bounds import delays, intervals, races, rounds, selfish
from scipy import integrate, stats
from scipy.special import betainc

REFERENCE = Path(__file__).parents[2] / "reference"


def _table(name):
    with (REFERENCE / name).open() as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    return [(float(q), int(depth), float(risk)) for q, depth, risk in rows]


PRIVATE_RACE = _table("private_race.csv")
PREMINED_RACE = _table("premined_race.csv")


def _error(value, exact):
    """Relative error of a float against a Fraction, free of rounding."""
    return abs(float(Fraction(value) / exact - 1))


# ------------------------------------------------------------------ private race


def test_the_tables_are_whole():
    # A truncated copy would turn the two loops below into weaker tests.
    assert (len(PRIVATE_RACE), len(PREMINED_RACE)) == (77, 35)


@pytest.mark.parametrize(("q", "z", "risk"), PRIVATE_RACE)
def test_private_race_is_rosenfelds_table(q, z, risk):
    # The table has eleven digits.
    assert races.private_race(q, z) == pytest.approx(risk, rel=1e-10)


@pytest.mark.parametrize(
    ("q", "z", "risk", "half_digit"),
    [(0.1, 6, 1.1032e-4, 5e-9), (0.3, 6, 0.0891074, 6e-8), (0.3, 10, 0.0376999, 6e-8)],
)
def test_strict_lead_anchors(q, z, risk, half_digit):
    strict = races.private_race(q, z, ties_win=False)
    assert strict == pytest.approx(risk, rel=0, abs=half_digit)


def _race_by_enumeration(weight_a, weight_h, z, strict, blocks):
    """Pr[∃ j ≥ z: α_{j+s} < τ_{j+1}] within so many blocks, in exact integers.

    Walks over all orders of block events by (adversarial, honest) count. The j+s-th
    adversarial block arrives before the j+1-th honest one iff no more than j honest
    blocks are there when it comes; that is all this knows of the race.
    """
    alive = {(0, 0): 1}
    won = 0
    for _ in range(blocks):
        won *= weight_a + weight_h
        after = {}
        for (a, h), weight in alive.items():
            j = a + 1 - strict
            if j >= z and h <= j:
                won += weight * weight_a
            else:
                state = (a + 1, h)
                after[state] = after.get(state, 0) + weight * weight_a
            state = (a, h + 1)
            after[state] = after.get(state, 0) + weight * weight_h
        alive = after
    return Fraction(won, (weight_a + weight_h) ** blocks)


@pytest.mark.parametrize("ties_win", [True, False])
@pytest.mark.parametrize("z", [1, 2, 3, 6])
@pytest.mark.parametrize(("weight_a", "weight_h"), [(1, 9), (1, 4)])
def test_private_race_is_the_event_over_interval_sums(weight_a, weight_h, z, ties_win):
    # What is left after n blocks is below (4pq)^{n/2}: .8^150 = 3e-15 at q = 1/5.
    exact = _race_by_enumeration(weight_a, weight_h, z, not ties_win, blocks=300)
    q = weight_a / (weight_a + weight_h)
    closed = races.private_race(q, z, ties_win=ties_win)
    assert closed == pytest.approx(float(exact), rel=1e-11)


def _race_by_gamblers_ruin(q, z, s):
    q = Fraction(q)
    p = 1 - q
    term = [comb(m + z - 1, m) * p**z * q**m for m in range(z + s)]
    overtaken = 1 - sum(term)
    return overtaken + sum(t * (q / p) ** (z - m + s) for m, t in enumerate(term))


@pytest.mark.parametrize(
    ("q", "z"), [(0.45, 30), (0.3, 120), (0.1, 88), (0.01, 29), (1e-10, 4)]
)
@pytest.mark.parametrize("ties_win", [True, False])
def test_private_race_keeps_its_digits_down_to_1e_40(q, z, ties_win):
    exact = _race_by_gamblers_ruin(q, z, 0 if ties_win else 1)
    assert _error(races.private_race(q, z, ties_win=ties_win), exact) < 1e-12


def test_the_deep_cases_are_deep():
    # Precondition of the test above: 1 − cdf would be pure noise there.
    deep = [races.private_race(q, z) for q, z in [(0.1, 88), (0.01, 29)]]
    assert all(1e-43 < risk < 1e-39 for risk in deep)


@pytest.mark.parametrize("q", [0.05, 0.2, 0.4, 0.45])
def test_private_race_is_the_incomplete_beta_of_4pq(q):
    z = np.arange(1, 40)
    literature = betainc(z, 0.5, 4 * q * (1 - q))
    np.testing.assert_allclose(races.private_race(q, z), literature, rtol=1e-12)


def test_private_race_near_one_half_beats_the_rounding_of_4pq():
    q, z = 0.5 - 2.0**-28, 6  # exact in binary
    exact = _race_by_gamblers_ruin(q, z, 0)
    assert 4 * q * (1 - q) == 1 - 2.0**-54 or 4 * q * (1 - q) == 1.0  # the trap is set
    assert _error(betainc(z, 0.5, 4 * q * (1 - q)), exact) > 1e-9
    assert _error(races.private_race(q, z), exact) < 1e-14


RACES = [
    races.private_race,
    lambda q, z: races.private_race(q, z, ties_win=False),
    races.premined_race,
    races.nakamoto_approximation,
]


@pytest.mark.parametrize("race", RACES)
def test_every_race_is_lost_from_one_half_on(race):
    assert [race(q, 6) for q in (0.5, 0.51, 0.7, 1.0)] == [1, 1, 1, 1]
    np.testing.assert_array_equal(race(0.5, np.array([1, 50])), [1, 1])
    # Reached continuously and from below.
    assert 1 - 1e-3 < race(0.5 - 1e-5, 6) < 1


@pytest.mark.parametrize("race", RACES)
def test_float_trap_no_race_passes_one(race):
    depths = np.arange(1, 60)
    q = 0.5
    for _ in range(3):
        q = float(np.nextafter(q, 0))
        assert np.all(race(q, depths) <= 1)


def test_the_uncapped_race_does_pass_one():
    # Precondition of the test above.
    q, z = float(np.nextafter(0.5, 0)), np.arange(1, 60)
    assert np.any(2 * betainc(z, z, q) > 1)


@pytest.mark.parametrize("race", [*RACES, races.first_to])
def test_every_race_is_won_without_an_adversary(race):
    assert race(0.0, 1) == 0
    assert race(0, 6) == 0
    # The least power of q that wins is z, or z + 1 for a strict lead.
    assert 0 < race(1e-6, 3) < 1e-15


@pytest.mark.parametrize("race", [*RACES, races.first_to])
def test_every_race_maps_over_depth(race):
    depths = np.array([[1, 2, 3], [6, 10, 40]])
    risk = race(0.3, depths)
    assert risk.shape == depths.shape
    assert risk.dtype == np.float64
    one_by_one = [race(0.3, int(z)) for z in depths.ravel()]
    np.testing.assert_array_equal(risk.ravel(), one_by_one)
    assert np.all(np.diff(risk.ravel()) < 0)
    assert type(race(0.3, 6)) is float
    assert type(race(0.3, np.int64(6))) is float


def test_a_strict_lead_costs_the_adversary_one_block_more():
    # s = 1 multiplies each term with a positive deficit by ρ; the others are untouched.
    z = np.arange(1, 60)
    ties = races.private_race(0.3, z)
    strict = races.private_race(0.3, z, ties_win=False)
    assert np.all(strict < ties)
    assert np.all(strict > 3 / 7 * ties)


# ------------------------------------------------------------------- other races


def test_first_to_is_the_problem_of_points():
    # 2z − 1 blocks decide it: enumerate them.
    q = Fraction(0.3)
    for z in (1, 2, 3, 4):
        exact = Fraction(0)
        for order in product((0, 1), repeat=2 * z - 1):
            if sum(order) >= z:
                exact += q ** sum(order) * (1 - q) ** (2 * z - 1 - sum(order))
        assert _error(races.first_to(0.3, z), exact) < 1e-14


def test_first_to_does_not_saturate():
    assert races.first_to(0.5, 7) == pytest.approx(0.5, rel=1e-14)
    assert races.first_to(0.6, 7) == pytest.approx(1 - races.first_to(0.4, 7))
    assert races.first_to(1.0, 7) == 1


@pytest.mark.parametrize(("q", "k", "risk"), PREMINED_RACE)
def test_premined_race_is_the_table(q, k, risk):
    assert races.premined_race(q, k) == pytest.approx(risk, rel=1e-10)


def _premined_by_convolution(q, k):
    """1 − Pr[L + A + M < k], a finite sum over all (l, a, m)."""
    q = Fraction(q)
    p = 1 - q
    rho = q / p
    safe = Fraction(0)
    for lead, a in product(range(k), range(k)):
        for gain in range(k - lead - a):
            geometric = (1 - rho) ** 2 * rho ** (lead + gain)
            safe += geometric * comb(a + k - 1, a) * p**k * q**a
    return 1 - safe


@pytest.mark.parametrize(("q", "k"), [(0.4, 1), (0.2, 5), (0.499, 12), (0.01, 22)])
def test_premined_race_is_the_convolution_of_its_three_parts(q, k):
    exact = _premined_by_convolution(q, k)
    assert _error(races.premined_race(q, k), exact) < 1e-13


def test_premining_helps_the_adversary():
    z = np.arange(1, 80)
    assert np.all(races.premined_race(0.25, z) > races.private_race(0.25, z))


# The table of the white paper, section 11: seven decimals.
NAKAMOTO = {
    0.1: {1: 0.2045873, 2: 0.0509779, 5: 0.0009137, 6: 0.0002428, 10: 0.0000012},
    0.3: {5: 0.1773523, 10: 0.0416605, 25: 0.0006132, 40: 0.0000095, 50: 0.0000006},
}
# "P < 0.001": the least z for each q.
NAKAMOTO_DEPTHS = [
    *[(0.10, 5), (0.15, 8), (0.20, 11), (0.25, 15)],
    *[(0.30, 24), (0.35, 41), (0.40, 89), (0.45, 340)],
]


@pytest.mark.parametrize("q", NAKAMOTO)
def test_nakamoto_approximation_is_his_table(q):
    z = np.array(list(NAKAMOTO[q]))
    printed = list(NAKAMOTO[q].values())
    risk = races.nakamoto_approximation(q, z)
    np.testing.assert_allclose(risk, printed, rtol=0, atol=5.1e-8)


@pytest.mark.parametrize(("q", "z"), NAKAMOTO_DEPTHS)
def test_nakamoto_approximation_gives_his_depths(q, z):
    risk = races.nakamoto_approximation(q, np.array([z - 1, z]))
    assert risk[0] > 1e-3 > risk[1]


def test_nakamoto_approximation_is_his_sum():
    q, z = 0.2, 12
    rho = q / (1 - q)
    poisson = [exp(-z * rho) * (z * rho) ** m / factorial(m) for m in range(z + 1)]
    printed = 1 - sum(t * (1 - rho ** (z - m)) for m, t in enumerate(poisson))
    assert races.nakamoto_approximation(q, z) == pytest.approx(printed, rel=1e-10)


def test_nakamoto_approximation_is_not_the_race():
    # It crosses the race: above it at z = 1, far below where it matters.
    z = np.array([1, 6, 20])
    ratio = races.nakamoto_approximation(0.1, z) / races.private_race(0.1, z)
    assert ratio[0] > 1.02
    assert ratio[1] < 0.42
    assert ratio[2] < 0.02


# ------------------------------------------------------------------- delay, rates


def test_growth_without_delay_is_the_rate():
    assert delays.growth_under_delay(0.25, 0) == 0.25
    assert delays.growth_under_delay(0, 3.0) == 0
    assert delays.nontailgater_rate(0.25, 0) == delays.loner_rate(0.25, 0) == 0.25


def test_growth_under_delay_waits_delay_and_interval():
    # λ = 1/600 s, Δ = 10 s: one level every 610 s.
    assert delays.growth_under_delay(1 / 600, 10) == pytest.approx(1 / 610, rel=1e-14)
    # However fast the provers, not more than one level each Δ.
    assert delays.growth_under_delay(1e12, 10) == pytest.approx(0.1, rel=1e-12)


def test_dead_time_growth_is_the_renewal_rate():
    growth = delays.dead_time_growth(0.5, 3, 7)
    assert growth == pytest.approx(1 / (3 + 7 + 2), rel=1e-14)
    mean = intervals.dead_time_mean_cv(7, 0.5).mean
    assert delays.dead_time_growth(0.5, 0, 7) == pytest.approx(1 / mean, rel=1e-14)


def test_isolated_blocks_of_a_poisson_process():
    # Four standard errors of a share, two shares: false alarm below 1.3e-4 for a fresh
    # seed. Neighbouring gaps make loners 2-dependent, hence the factor √3.
    rate, delay, n = 0.8, 0.5, 400_000
    gaps = np.random.default_rng(20230823).exponential(1 / rate, n + 1)
    clear = gaps > delay
    for share, expected, spread in [
        (clear.mean(), delays.nontailgater_rate(rate, delay) / rate, 1),
        ((clear[1:] & clear[:-1]).mean(), delays.loner_rate(rate, delay) / rate, 3),
    ]:
        error = np.sqrt(spread * expected * (1 - expected) / n)
        assert abs(share - expected) < 4 * error


@pytest.mark.parametrize("x", [1e-3, 0.1, 1.0, 7.0, 1e4])
def test_security_threshold_is_where_the_two_chains_grow_alike(x):
    beta = delays.security_threshold(x)
    honest = delays.growth_under_delay(1 - beta, x)
    assert beta == pytest.approx(honest, rel=1e-13)
    printed = (2 + x - np.sqrt(x**2 + 4)) / (2 * x)
    assert beta == pytest.approx(printed, rel=1e-9)


def test_security_threshold_has_no_zero_over_zero():
    x = 1e-9
    # β* = ½ − x/8 + O(x³); as printed, cancellation leaves nothing but noise.
    printed = (2 + x - np.sqrt(x**2 + 4)) / (2 * x)
    assert abs(printed - (0.5 - x / 8)) > 1e-9
    assert delays.security_threshold(x) == pytest.approx(0.5 - x / 8, rel=1e-15)
    assert delays.security_threshold(0) == 0.5
    assert delays.security_threshold(1e300) == pytest.approx(1e-300, rel=1e-12)


def test_security_threshold_maps_over_x():
    x = np.array([0.0, 0.5, 2.0])
    assert delays.security_threshold(x).tolist() == [
        delays.security_threshold(float(one)) for one in x
    ]


def test_dead_time_cancels_in_the_race_but_eats_the_margin():
    interval, delay, dead_time = 10.0, 1.5, 6.0
    beta = delays.security_threshold(delay / (interval - dead_time))
    rate = 1 / (interval - dead_time)
    adversary = delays.dead_time_growth(beta * rate, 0, dead_time)
    honest = delays.dead_time_growth((1 - beta) * rate, delay, dead_time)
    assert adversary == pytest.approx(honest, rel=1e-13)
    assert beta < delays.security_threshold(delay / interval)


# ------------------------------------------------------------------- typical windows


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


# ------------------------------------------------------------------- selfish mining


def _selfish_by_markov_chain(alpha, gamma, leads=200):
    """SM1 as its chain of leads: stationary law, then blocks won on each transition."""
    # States: 0, then 1 = the tie 0', then 2.. = lead 1.. of [ES14] Fig. 1.
    n = leads + 2
    step = np.zeros((n, n))
    pool, others = np.zeros(n), np.zeros(n)
    step[0, 0], step[0, 2] = 1 - alpha, alpha
    others[0] = 1 - alpha
    step[1, 0] = 1
    pool[1] = 2 * alpha + gamma * (1 - alpha)
    others[1] = gamma * (1 - alpha) + 2 * (1 - gamma) * (1 - alpha)
    step[2, 3], step[2, 1] = alpha, 1 - alpha
    for lead in range(2, leads + 1):
        state = lead + 1
        step[state, min(state + 1, n - 1)] += alpha
        step[state, 0 if lead == 2 else state - 1] += 1 - alpha
        pool[state] = (2 if lead == 2 else 1) * (1 - alpha)
    balance = step.T - np.eye(n)
    balance[-1] = 1  # one balance equation is redundant: normalise in its place
    law = np.linalg.solve(balance, np.eye(n)[-1])
    return law @ pool / (law @ pool + law @ others)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.4, 0.45])
def test_selfish_revenue_is_the_stationary_share(alpha, gamma):
    share = _selfish_by_markov_chain(alpha, gamma)
    assert selfish.selfish_revenue(alpha, gamma) == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 0.9])
def test_selfish_mining_pays_exactly_above_its_threshold(gamma):
    alpha = selfish.selfish_threshold(gamma)
    assert selfish.selfish_revenue(alpha, gamma) == pytest.approx(alpha, rel=1e-12)
    assert selfish.selfish_revenue(0.9 * alpha, gamma) < 0.9 * alpha
    assert selfish.selfish_revenue(alpha + 0.02, gamma) > alpha + 0.02


def test_selfish_limits():
    assert selfish.selfish_revenue(0, 0.7) == 0
    assert selfish.selfish_revenue(0.5, 0.0) == 1
    thresholds = [selfish.selfish_threshold(gamma) for gamma in (0, 0.5, 1)]
    assert thresholds == pytest.approx([1 / 3, 1 / 4, 0], rel=1e-15)


# ------------------------------------------------------------------- dead time


@pytest.mark.parametrize(("dead_time", "rate"), [(0, 0.5), (3, 0.5), (200, 0.02)])
def test_dead_time_mean_cv_is_the_shifted_exponential(dead_time, rate):
    law = stats.expon(loc=dead_time, scale=1 / rate)
    moments = intervals.dead_time_mean_cv(dead_time, rate)
    assert moments.mean == pytest.approx(law.mean(), rel=1e-13)
    assert moments.cv == pytest.approx(law.std() / law.mean(), rel=1e-13)


@pytest.mark.parametrize(
    ("dead_time", "share"), [(0, 0.5556), (1, 0.6539), (5, 0.8727), (10, 0.9635)]
)
def test_domination_anchors(dead_time, share):
    assert intervals.domination(1.0, dead_time, 1.25, 1.0) == pytest.approx(
        share, rel=0, abs=5e-5
    )


def test_domination_is_the_race_of_two_shifted_exponentials():
    hazard, dead_time, v_1, v_2 = 0.04, 30.0, 3.0, 2.2
    first = stats.expon(loc=dead_time / v_1, scale=1 / (hazard * v_1))
    second = stats.expon(loc=dead_time / v_2, scale=1 / (hazard * v_2))
    wins, _ = integrate.quad(
        lambda t: hazard * v_1 * first.sf(t) * second.sf(t),
        dead_time / v_1,
        500,
        points=[dead_time / v_2],
        epsabs=1e-13,
    )
    closed = intervals.domination(hazard, dead_time, v_1, v_2)
    assert closed == pytest.approx(wins, rel=1e-10)


def test_domination_limits():
    assert intervals.domination(0.3, 50, 2.0, 2.0) == 0.5
    assert intervals.domination(0.3, 0, 3.0, 1.0) == pytest.approx(0.75, rel=1e-15)
    assert intervals.domination(0.3, 1e4, 1.25, 1.0) == 1
    # Only π S_0 and the ratio of speeds matter: steps and seconds are conventions.
    assert intervals.domination(0.3, 5, 1.25, 1.0) == pytest.approx(
        intervals.domination(0.15, 10, 250.0, 200.0), rel=1e-14
    )


# ------------------------------------------------------------------- refusals

NAN = float("nan")
INF = float("inf")


@pytest.mark.parametrize("race", [*RACES, races.first_to])
@pytest.mark.parametrize("q", [-0.1, 1.5, NAN])
def test_races_refuse_a_share_that_is_none(race, q):
    with pytest.raises(ValueError, match=rf"^q must lie in \[0, 1\], got {q}$"):
        race(q, 6)


@pytest.mark.parametrize(
    ("race", "name"),
    [
        (races.private_race, "depth"),
        (races.premined_race, "depth"),
        (races.first_to, "z"),
        (races.nakamoto_approximation, "z"),
    ],
)
def test_races_refuse_depths_that_are_none(race, name):
    with pytest.raises(ValueError, match=rf"^{name} must lie in .*, got 0$"):
        race(0.3, 0)
    with pytest.raises(ValueError, match=rf"^{name} must lie in .*, got \[3 0\]$"):
        race(0.3, np.array([3, 0]))
    # A fraction of a block: the annotation refuses it here, the function elsewhere.
    with pytest.raises((TypeError, ValueError), match=name):
        race(0.3, 2.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: delays.growth_under_delay(-1, 1), r"^rate must .*\[0, ∞\), got -1$"),
        (lambda: delays.growth_under_delay(1, INF), r"^delay must .*∞\), got inf$"),
        (lambda: delays.dead_time_growth(1, 1, -2), r"^dead_time must .*, got -2$"),
        (lambda: delays.loner_rate(1, NAN), r"^delay must lie in .*, got nan$"),
        (lambda: delays.loner_rate(-1, 1), r"^rate must lie in .*, got -1$"),
        (lambda: delays.nontailgater_rate(INF, 1), r"^rate must lie in .*, got inf$"),
        (lambda: delays.security_threshold(-0.5), r"^x must lie in .*, got -0.5$"),
        (
            lambda: delays.security_threshold(np.array([1.0, NAN])),
            r"^x must lie in \[0, ∞\), got .*nan",
        ),
        (lambda: rounds.typicality(0, 0.1, 0.1), r"^k must lie in .*, got 0$"),
        (lambda: rounds.typicality(9, 0, 0.1), r"^p must lie in \(0, 1\], got 0$"),
        (lambda: rounds.typicality(9, 0.1, 1.0), r"^epsilon must .*\(0, 1\), got 1.0$"),
        (lambda: rounds.good_window(0, 0.5, 0.4, 0.1, 0.1), r"^k must .*, got 0$"),
        (lambda: rounds.good_window(9, 1.1, 0.4, 0.1, 0.1), r"^p_x must .*, got 1.1$"),
        (
            lambda: rounds.good_window(9, 0.5, 0.6, 0.1, 0.1),
            r"^p_y must lie in \[0, p_x = 0.5\], got 0.6$",
        ),
        (lambda: rounds.good_window(9, 0.5, 0.4, 2, 0.1), r"^p_z must .*, got 2$"),
        (lambda: rounds.good_window(9, 0.5, 0.4, 0.1, 0), r"^epsilon must .*, got 0$"),
        (lambda: rounds.backbone_growth(1.2, 0.1), r"^f must lie in .*, got 1.2$"),
        (lambda: rounds.backbone_growth(0.2, NAN), r"^epsilon must .*, got nan$"),
        (lambda: selfish.selfish_revenue(0.6, 0), r"^alpha must .*0.5\], got 0.6$"),
        (lambda: selfish.selfish_revenue(0.3, 2), r"^gamma must lie in .*, got 2$"),
        (lambda: selfish.selfish_threshold(-1), r"^gamma must lie in .*, got -1$"),
        (lambda: intervals.dead_time_mean_cv(-1, 1), r"^dead_time must .*, got -1$"),
        (lambda: intervals.dead_time_mean_cv(1, 0), r"^rate must .*\(0, ∞\), got 0$"),
        (lambda: intervals.domination(0, 1, 2, 1), r"^hazard must lie in .*, got 0$"),
        (lambda: intervals.domination(1, -1, 2, 1), r"^dead_time must .*, got -1$"),
        (lambda: intervals.domination(1, 1, 2, 0), r"^speed_2 must .*, got 0$"),
        (
            lambda: intervals.domination(1, 1, 1, 2),
            r"^speed_1 must lie in \[speed_2 = 2, ∞\), got 1$",
        ),
    ],
)
def test_refusals_name_field_range_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
