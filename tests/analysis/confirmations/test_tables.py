"""Share tables against closed forms, limits and their own engine."""

import math
from typing import Any

import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations.tables import (
    NO_ADVERSARY,
    Setting,
    depth_table,
    risk_table,
)
from dpodl.analysis.race.fourier import log_persistence, persistence
from dpodl.analysis.race.walk import OUTGROWS, Race, race
from dpodl.analysis.simulation.levels import network
from scipy import stats

LAW = exponential(0.001)
DEAD = exponential(0.001, dead_time=60.0)
BETAS = (0.0, 0.1, 0.255, 0.6)
RULES = [(True, False), (False, False), (True, True), (False, True)]


@pytest.mark.parametrize(("ties_win", "premined"), RULES)
def test_memoryless_cells_are_the_column_beside_them(ties_win, premined):
    setting = Setting(10, ties_win=ties_win, premined=premined)
    cells = risk_table(LAW, [], setting, betas=BETAS, depths=(1, 6, 40))
    assert [(c.beta, c.depth) for c in cells] == [
        (b, k) for b in BETAS for k in (1, 6, 40)
    ]
    for cell in cells:
        # βn is 2.55 provers in one of them: shares need not be whole.
        assert cell.estimate is not None
        assert cell.estimate.value == pytest.approx(cell.memoryless, rel=1e-5)
        assert cell.nakamoto == races.nakamoto_approximation(cell.beta, cell.depth)
        assert cell.certain == (cell.beta in (0.0, 0.6))
    if ties_win:
        exact = races.premined_race if premined else races.private_race
        assert [c.memoryless for c in cells] == [exact(c.beta, c.depth) for c in cells]


def test_the_certain_cells_say_so():
    cells = risk_table(LAW, [], Setting(10), betas=(0.0, 0.5), depths=(3,))
    (never, always) = [c.estimate for c in cells if c.estimate is not None]
    assert (never.low, never.value, never.high) == (0.0, 0.0, 0.0)
    assert never.method == NO_ADVERSARY
    assert (always.low, always.value, always.high) == (1.0, 1.0, 1.0)
    assert OUTGROWS in always.method
    (any_depth, none) = depth_table(
        LAW, [], Setting(10), betas=(0.0, 0.5), targets=(1e-3,)
    )
    assert any_depth.estimate is not None
    assert none.estimate is not None
    assert (any_depth.estimate.value, any_depth.memoryless) == (1.0, 1.0)
    assert (none.estimate.value, none.memoryless, none.nakamoto) == (math.inf,) * 3
    assert any_depth.certain
    assert none.certain


def test_a_law_with_delay_is_its_race():
    net = network(DEAD, provers=20, beta=0.25, delay_steps=5.0)
    (cell,) = risk_table(DEAD, [], Setting(20, 5.0), betas=(0.25,), depths=(8,))
    (direct,) = persistence(race(net), [8])
    assert cell.estimate is not None
    assert cell.estimate.value == pytest.approx(direct.value, rel=1e-12)
    # Delay and dead time cost: the yardstick beside it knows neither.
    assert cell.estimate.value > 1.5 * cell.memoryless
    assert cell.nakamoto < cell.memoryless


@pytest.mark.parametrize("premined", [False, True])
def test_safe_depths_are_where_the_risk_passes_the_target(premined):
    setting = Setting(10, premined=premined)
    targets = (1e-3, 2.0**-40)
    for cell in depth_table(LAW, [], setting, betas=(0.1, 0.3), targets=targets):
        assert cell.estimate is not None
        assert cell.estimate.value == cell.memoryless
        exact = races.premined_race if premined else races.private_race
        depth = int(cell.memoryless)
        assert exact(cell.beta, depth) <= cell.target < exact(cell.beta, depth - 1)
        approximate = int(cell.nakamoto)
        assert races.nakamoto_approximation(cell.beta, approximate) <= cell.target
        assert approximate < depth


def test_the_interval_is_the_spread_over_the_resampled_laws():
    setting = Setting(10)
    alone = [
        risk_table(law, [], setting, betas=(0.2,), depths=(10,))[0].estimate
        for law in (LAW, DEAD)
    ]
    odds = [math.log(e.value / (1 - e.value)) for e in alone if e is not None]
    (both,) = risk_table(LAW, [LAW, DEAD], setting, betas=(0.2,), depths=(10,))
    assert both.estimate is not None
    assert both.estimate.count == 2
    half = stats.t.ppf(0.975, 1) * float(np.std(odds, ddof=1))
    for end, sign in ((both.estimate.high, 1), (both.estimate.low, -1)):
        assert math.log(end / (1 - end)) == pytest.approx(odds[0] + sign * half)
    (same,) = depth_table(LAW, [LAW, LAW], setting, betas=(0.2,), targets=(1e-3,))
    assert same.estimate is not None
    assert same.estimate.low == same.estimate.value == same.estimate.high


def test_a_resample_without_an_answer_leaves_no_upper_end():
    # This prover's private chain outgrows: its dead time hides the delay's loss.
    setting = Setting(10, delay_steps=150.0)
    slow = exponential(0.0001)
    (cell,) = depth_table(
        slow, [slow, slow, LAW], setting, betas=(0.4,), targets=(0.1,)
    )
    assert cell.estimate is not None
    assert cell.estimate.high == math.inf
    assert cell.estimate.count == 2
    assert "1 of 3 without" in cell.estimate.method
    (other,) = depth_table(LAW, [slow, LAW], setting, betas=(0.4,), targets=(0.1,))
    assert other.certain
    assert other.estimate is not None
    assert other.estimate.low < other.estimate.value == math.inf


def test_the_laws_beyond_the_horizon_are_inside():
    setting, slow = Setting(10), exponential(0.5 * 0.01, dead_time=20.0)
    ends: dict[str, Any] = {"extremes": (slow, DEAD)}
    (depth,) = depth_table(LAW, [], setting, betas=(0.2,), targets=(1e-6,), **ends)
    (risk,) = risk_table(LAW, [], setting, betas=(0.2,), depths=(10,), **ends)
    for law in (slow, DEAD):
        (other,) = depth_table(law, [], setting, betas=(0.2,), targets=(1e-6,))
        (beside,) = risk_table(law, [], setting, betas=(0.2,), depths=(10,))
        for wide, one in ((depth, other), (risk, beside)):
            assert wide.estimate is not None
            assert one.estimate is not None
            assert wide.estimate.low <= one.estimate.value <= wide.estimate.high


def test_refusals_are_kept_by_the_cell():
    # Near the even race the grid has no room for the deep cell, and knows the others.
    table = risk_table(LAW, [], Setting(10), betas=(0.4995,), depths=(1, 100_000))
    known, deep = table
    if known.estimate is None:
        assert "grid points" in known.refusal
    else:
        assert known.refusal == ""
        assert deep.estimate is None
        assert "grid points" in deep.refusal
        assert deep.memoryless > 0
    never = LAW._replace(tail_hazard=0.0, cumulative_hazard=LAW.cumulative_hazard / 50)
    for rows in (
        risk_table(never, [], Setting(10), betas=(0.2,), depths=(1, 2)),
        depth_table(never, [], Setting(10), betas=(0.2,), targets=(0.1, 0.01)),
    ):
        assert all(row.estimate is None for row in rows)
        assert all("never ends" in row.refusal for row in rows)


def test_strict_premined_yardstick_is_the_grids():
    one = Race(exponential(0.7), exponential(0.3), 0.0, False, True)
    logs, _ = log_persistence(one, [3, 30])
    cells = risk_table(
        LAW,
        [],
        Setting(10, ties_win=False, premined=True),
        betas=(0.3,),
        depths=(3, 30),
    )
    for log, cell in zip(logs, cells, strict=True):
        assert cell.memoryless == pytest.approx(math.exp(log), rel=1e-6)


def test_risks_rise_with_the_share_and_fall_with_the_depth():
    cells = risk_table(DEAD, [], Setting(10, 20.0), betas=(0.1, 0.2), depths=(2, 4, 8))
    values = np.array([c.estimate.value for c in cells if c.estimate is not None])
    grid = values.reshape(2, 3)
    assert (np.diff(grid, axis=0) > 0).all()
    assert (np.diff(grid, axis=1) < 0).all()


@pytest.mark.parametrize(
    ("field", "setting", "change"),
    [
        ("betas", Setting(10), {"betas": (1.0,)}),
        ("betas", Setting(10), {"betas": ()}),
        ("provers", Setting(0), {}),
        ("delay_steps", Setting(10, -1.0), {}),
        ("depths", Setting(10), {"depths": (0,)}),
    ],
)
def test_bad_requests_name_the_field(field, setting, change):
    with pytest.raises(ValueError, match=field):
        risk_table(LAW, [], setting, **change)
    with pytest.raises(ValueError, match="targets"):
        depth_table(LAW, [], Setting(10), targets=(1.0,))
