"""Races whose public law has a slow and very rare tail, against closed forms.

Up to its table's end such a law is the memoryless one, of which e^-64 is left there;
behind it blocks come at π, far more slowly. No figure above 1e-20 can tell the two
apart, but every tilt must stay below π: θ* of the memoryless race lies beyond it
("no root"), and for a smaller adversary θ_0 does too ("cut"). Both were refused as
races in which "the adversary never gains".
"""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import KNOTS, exponential, geometric
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations import ages, any_block, rare_ages
from dpodl.analysis.confirmations.tables import TableTerms, depth_table
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race import fourier, tilting, walking
from dpodl.analysis.race.fourier import log_persistence, smallest_depths
from dpodl.analysis.race.saddle_point import depth_estimate
from dpodl.analysis.race.walk import Race, bounded, cumulant, log_left_out, tilts

KEY = jax.random.key(11)
# q and the tail's hazard as a share of p: θ_0 = (p − q)/2, θ* = p − q.
NO_ROOT, CUT = (0.375, 0.3), (0.2, 0.3)
BOTH = pytest.mark.parametrize("case", [NO_ROOT, CUT], ids=["no root", "cut"])


def slow(law, share: float):
    """The law with a slower tail behind e^-64."""
    spacing = 64.0 / ((KNOTS - 1) * float(law.tail_hazard))
    hazard = np.linspace(0.0, 64.0, KNOTS)
    tail = share * float(law.tail_hazard)
    return law._replace(cumulative_hazard=hazard, spacing=spacing, tail_hazard=tail)


def racing(case, **options) -> Race:
    q, share = case
    return Race(slow(exponential(1 - q), share), exponential(q), 0.0, **options)


@BOTH
def test_the_preconditions(case):
    one, (q, _) = racing(case), case
    limit = float(one.honest.tail_hazard)
    assert limit < 1 - 2 * q  # no θ* below the limit,
    assert cumulant(one, limit * (1 - 2.0**-12))[0] < 0
    assert (limit < (1 - 2 * q) / 2) == (case == CUT)  # and for one no θ_0
    assert (bounded(one).until < math.inf) == (case == CUT)
    assert log_left_out(bounded(one)) == (
        pytest.approx(-120) if case == CUT else -math.inf
    )


@BOTH
def test_the_tilts_are_ahead_and_weigh_less_than_one(case):
    one, (q, _) = bounded(racing(case)), case
    tilt = tilts(one)
    assert cumulant(one, tilt.theta_0)[1] == pytest.approx(0, abs=1e-6)
    assert tilt.theta_star > tilt.theta_0
    assert tilt.drift > 0
    rate, drift = cumulant(one, tilt.theta_star)
    assert (tilt.star_rate, tilt.drift) == (pytest.approx(rate, abs=1e-9), drift)
    assert tilt.star_rate <= 0
    if case == NO_ROOT:
        assert tilt.log_rate == pytest.approx(math.log(4 * q * (1 - q)), rel=1e-9)


@BOTH
@pytest.mark.parametrize("ties_win", [True, False])
def test_the_grid_finds_the_memoryless_risks(case, ties_win):
    q, depths = case[0], [1, 6, 20, 45]
    found = fourier.persistence(racing(case, ties_win=ties_win), depths)
    exact = [float(races.private_race(q, k, ties_win=ties_win)) for k in depths]
    for one, value in zip(found, exact, strict=True):
        assert one.low * (1 - 1e-4) <= value <= one.high * (1 + 1e-4)
    assert exact[-1] > 1e-20


@BOTH
def test_pre_mined_too(case):
    found = fourier.persistence(racing(case, premined=True), [1, 6, 20])
    exact = [float(races.premined_race(case[0], k)) for k in (1, 6, 20)]
    np.testing.assert_allclose([f.value for f in found], exact, rtol=1e-3)


@BOTH
@pytest.mark.parametrize("premined", [False, True])
def test_paths_that_weigh_their_levels_find_them(case, premined):
    depths = [1, 6, 20]
    one = racing(case, premined=premined)
    found = tilting.persistence(KEY, one, depths, paths=32_768)
    closed = races.premined_race if premined else races.private_race
    for risk, depth in zip(found, depths, strict=True):
        half = risk.estimate.high - risk.estimate.value
        assert abs(risk.estimate.value - float(closed(case[0], depth))) < 2 * half
        assert half < 0.06 * risk.estimate.value


@BOTH
@pytest.mark.parametrize("premined", [False, True])
def test_ages_too(case, premined):
    q, times = case[0], [4.0, 25.0]
    one = racing(case, premined=premined)
    found = rare_ages.time_risk(KEY, one, times, paths=32_768)
    for risk, t in zip(found, times, strict=True):
        exact = ages.memoryless_time_risk(q, t, premined=premined)
        half = risk.estimate.high - risk.estimate.value
        assert abs(risk.estimate.value - exact) < 2 * half
        assert half < 0.1 * exact


@BOTH
def test_any_block_of_a_horizon_too(case):
    (found,) = any_block.any_block(racing(case), [12], horizon=50)
    exact = any_block.memoryless_any_block(case[0], 12, 50)
    assert found.estimate.value == pytest.approx(exact, rel=1e-3)


@BOTH
def test_plain_walks_agree(case):
    found = walking.persistence(KEY, racing(case), [1, 4], walks=2**17)
    exact = [float(races.private_race(case[0], k)) for k in (1, 4)]
    for one, value in zip(found, exact, strict=True):
        half = one.high - one.low
        assert one.low - half / 2 < value < one.high + half / 2


@BOTH
def test_depths_are_numbers_and_nothing_is_refused(case):
    q = case[0]
    depths = [d.depth for d in smallest_depths(racing(case), [1e-3, 1e-9])]
    exact = [
        next(k for k in range(1, 2000) if races.private_race(q, k) <= target)
        for target in (1e-3, 1e-9)
    ]
    assert depths == exact
    guess = depth_estimate(racing(case), 1e-9)
    assert guess == pytest.approx(exact[1], rel=0.1)


def test_what_the_tail_weighs_does_not_hang_on_the_cut():
    """2^-128 of a race whose tail decides: two cuts, one answer."""
    one = racing(CUT)
    near, far = bounded(one), bounded(one, 160.0)
    assert far.until > near.until
    depths = [20, 100]
    first, _ = log_persistence(near, depths)
    second, _ = log_persistence(far, depths)
    np.testing.assert_allclose(first, second, rtol=2e-4)


def test_a_risk_below_what_was_left_out_takes_a_longer_law():
    """At 1e-90 the intervals of chance e^-120 would be missed."""
    logs, errors = log_persistence(racing(CUT), [500])
    assert logs[0] < -130
    assert errors[0] < 0.01


def test_a_lattice_law_is_cut_at_its_atoms():
    plain = Race(geometric(0.3), geometric(0.06), 1.0)
    hazard = np.minimum(plain.honest.cumulative_hazard, 1e9)
    spliced = hazard.copy()
    rate = hazard[1]
    spliced[180:] = hazard[180] + 0.2 * rate * np.arange(KNOTS - 180)
    slower = plain.honest._replace(cumulative_hazard=spliced, tail_hazard=0.2 * rate)
    one = Race(slower, plain.adversary, 1.0)
    assert bounded(one).until % 1.0 == 0
    assert bounded(one).until < KNOTS
    found = fourier.persistence(one, [2, 8])
    exact = fourier.persistence(plain, [2, 8])
    for risk, same in zip(found, exact, strict=True):
        assert risk.value == pytest.approx(same.value, rel=1e-4)
    drawn = tilting.persistence(KEY, one, [2, 8], paths=16_384)
    for risk, same in zip(drawn, exact, strict=True):
        half = risk.estimate.high - risk.estimate.value
        assert abs(risk.estimate.value - same.value) < 2 * half


def test_the_table_of_shares_has_no_hole():
    law = slow(exponential(0.01), 0.2)
    cells = depth_table(
        UncertainLaw(law, (law,)),
        TableTerms(20),
        betas=[0.05, 0.2, 0.4],
        targets=[1e-9],
    )
    assert [cell.refusal for cell in cells] == ["", "", ""]


def test_who_never_gains_is_told_so():
    # Whole steps of 1 and of 2: the walk falls by 1 a level, for certain.
    never = Race(geometric(1.0), geometric(1.0, trial=2.0), 0.0)
    with pytest.raises(Refused, match="never gains, its shortest interval"):
        tilts(bounded(never))
