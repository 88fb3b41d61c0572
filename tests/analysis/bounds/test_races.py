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
