"""The curve and the depths of the private chain against closed forms and full grids."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations.private_chain import private_chain
from dpodl.analysis.race.fourier import answers, log_persistence, smallest_depths
from dpodl.analysis.race.walk import TARGETS, race
from dpodl.analysis.simulation.levels import network

LAW = exponential(0.001)
REFERENCE = Path(__file__).parents[2] / "reference" / "private_race.csv"


def networks(beta=0.3, delay=0.0, provers=10):
    return lambda law: network(law, provers=provers, beta=beta, delay_steps=delay)


def chain(law=LAW, resamples=(), extremes=(), **settings):
    settings = {"depths": range(1, 41), "targets": (1e-3, *TARGETS), **settings}
    nets = settings.pop("networks", networks())
    return private_chain(UncertainLaw(law, resamples, extremes), nets, **settings)


def test_without_delay_the_curve_is_the_closed_form():
    rows: dict[float, dict[int, float]] = {}
    with REFERENCE.open() as file:
        for row in csv.DictReader(file):
            values = rows.setdefault(float(row["q"]), {})
            values[int(row["z"])] = float(row["probability"])
    for q in (0.1, 0.2, 0.4):
        exact = rows[q]
        found = chain(networks=networks(q, provers=20), depths=sorted(exact))
        for m in found.risks:
            assert m.estimate.value == pytest.approx(exact[int(m.at or 0)], rel=1e-4)
            assert m.estimate.low <= exact[int(m.at or 0)] <= m.estimate.high
            assert "exact without delay" in m.estimate.method


@pytest.mark.parametrize("premined", [False, True])
def test_depths_are_the_closed_forms(premined):
    exact = races.premined_race if premined else races.private_race
    found = chain(premined=premined, depths=(1,))
    for m in found.depths:
        depth = int(m.estimate.value)
        assert m.at is not None
        assert exact(0.3, depth) <= m.at < exact(0.3, depth - 1)


def test_risks_and_their_ends_fall_with_depth_far_below_any_float32():
    laws = tuple(exponential(0.001, dead_time=d) for d in (20.0, 60.0, 100.0))
    found = chain(
        exponential(0.001, dead_time=50.0),
        laws,
        networks=networks(0.02, 5.0, provers=50),
        depths=range(1, 61),
    )
    for end in ("value", "low", "high"):
        curve = np.array([getattr(m.estimate, end) for m in found.risks])
        assert (np.diff(curve) < 0).all()
        assert (curve > 0).all()
    assert found.risks[-1].estimate.value < 1e-60


def test_below_the_smallest_float_a_risk_is_no_nought():
    found = chain(networks=networks(0.1, provers=10), depths=[1, 900], targets=())
    assert found.risks[-1].estimate.value == 1e-300
    assert found.risks[-1].estimate.high == 1e-300


@pytest.mark.parametrize("law", [exponential(0.001, dead_time=200.0), geometric(0.001)])
def test_a_coarse_grid_finds_the_same_depths_and_nearly_the_same_risks(law):
    one = race(networks(0.3, 40.0)(law))
    targets = (1e-3, *TARGETS)
    full, coarse = (
        answers(one, range(1, 41), targets, coarse=c) for c in (False, True)
    )
    assert full.safe == coarse.safe
    assert full.safe == tuple(float(x.depth) for x in smallest_depths(one, targets))
    np.testing.assert_allclose(full.logs, log_persistence(one, range(1, 41))[0], 1e-6)
    assert np.abs(full.logs - coarse.logs).max() < 5e-3


def test_the_interval_of_the_curve_is_that_of_the_logarithm():
    other = exponential(0.001, dead_time=300.0)
    found = chain(resamples=(LAW, other), depths=[12], targets=())
    logs = [
        float(log_persistence(race(networks()(law)), [12])[0][0])
        for law in (LAW, other)
    ]
    from scipy import stats

    half = stats.t.ppf(0.975, 1) * abs(logs[1] - logs[0]) / math.sqrt(2)
    assert found.risks[0].estimate.high == pytest.approx(
        min(1.0, math.exp(logs[0] + half)), rel=2e-3
    )
    # The saddle point knows a law three times as slow to a twelfth of the way.
    low = math.log(found.risks[0].estimate.low)
    assert low == pytest.approx(logs[0] - half, abs=float(0.08 * half))


@pytest.mark.parametrize("depths", [(60,), (8,)])
def test_the_first_depths_interval_is_where_the_band_crosses_the_target(depths):
    laws = tuple(exponential(0.001, dead_time=d) for d in (10.0, 30.0, 55.0, 20.0))
    settings = {"resamples": laws, "targets": (1e-3,), "carried_on": True}
    fine = chain(exponential(0.001, dead_time=25.0), depths=range(1, 81), **settings)
    target = 1e-3
    last = {
        end: max(m.at or 0 for m in fine.risks if getattr(m.estimate, end) > target)
        for end in ("value", "low", "high")
    }
    (depth,) = fine.depths
    assert depth.estimate[:3] == (
        last["value"] + 1,
        last["low"] + 1,
        last["high"] + 1,
    )
    # A shorter curve is carried on with gaps, and finds the same.
    short = chain(
        exponential(0.001, dead_time=25.0), depths=range(1, depths[0]), **settings
    )
    assert short.depths[0].estimate[:3] == pytest.approx(depth.estimate[:3], abs=1)
    assert all(m.at is not None and m.at >= depths[0] for m in short.further)


def test_a_chain_that_outgrows_is_certain_and_no_refusal():
    found = chain(networks=networks(0.6), carried_on=True)
    assert {m.estimate[:3] for m in found.risks} == {(1.0, 1.0, 1.0)}
    assert {m.estimate.value for m in found.depths} == {math.inf}
    assert found.refusals == []


def test_a_resample_that_outgrows_leaves_no_upper_end():
    def by_law(law):
        return networks(0.3 if law is LAW else 0.6)(law)

    other = exponential(0.002)
    found = chain(resamples=(LAW, LAW, other), networks=by_law, carried_on=True)
    assert {m.estimate.high for m in found.risks} == {1.0}
    assert {m.estimate.high for m in found.depths} == {math.inf}
    assert all(math.isfinite(m.estimate.value) for m in found.depths)


@pytest.mark.parametrize("premined", [False, True])
def test_extremes_near_the_law_move_a_figure_as_on_their_own_grids(premined):
    laws = tuple(exponential(0.001, dead_time=d) for d in (45.0, 50.0, 56.0))
    ends = exponential(0.00098, dead_time=55.0), exponential(0.00103, dead_time=44.0)
    settings = {"networks": networks(delay=30.0), "premined": premined}
    whole = chain(exponential(0.001, dead_time=50.0), laws, ends, **settings)
    brief = chain(
        exponential(0.001, dead_time=50.0), laws, ends, brief=True, **settings
    )
    for m, n in zip(whole.depths, brief.depths, strict=True):
        assert m.estimate.value == n.estimate.value
        assert n.estimate.low == pytest.approx(m.estimate.low, rel=0.01, abs=1)
        assert n.estimate.high == pytest.approx(m.estimate.high, rel=0.01, abs=1)
    for m, n in zip(whole.risks, brief.risks, strict=True):
        assert m.estimate.value == n.estimate.value
        width = math.log(m.estimate.high / m.estimate.low)
        other = math.log(n.estimate.high / n.estimate.low)
        assert other == pytest.approx(width, rel=0.1)
