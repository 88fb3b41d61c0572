"""Confirmations and verdicts of points against the fine grid and a simulation."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment.quick import Found, Point, quick_figures
from dpodl.analysis.block_time.empirical import Lottery, empirical_law
from dpodl.analysis.block_time.law import fastest_of
from dpodl.analysis.race.fourier import log_persistence
from dpodl.analysis.race.walk import Race
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.analysis.simulation.properties import follow, persistence_measurements

from tests.analysis.formula_curves import formula_curves

CURVES = formula_curves(31, 192)
LOTTERY = Lottery(0.93, 2**-15, 2**-3, 150.0, "continue", 2000)


def _figures(**changes):
    point = Point(LOTTERY, 15, 5, 25.0)._replace(**changes)
    (found,) = quick_figures(
        jax.random.key(1), 3, CURVES, [point], 12, figures=["confirmations"]
    )
    assert isinstance(found, Found)
    return {m.place: m.estimate for m in found.measurements}


@pytest.mark.parametrize("lead", [False, True])
@pytest.mark.parametrize("asked", [3, 12, 40])
def test_the_risk_and_the_verdict_are_those_of_the_grid(asked, lead):
    found = _figures(asked=asked, lead=lead)
    law = empirical_law(CURVES, LOTTERY).law
    sides = fastest_of(law, 15), fastest_of(law, 5)
    risk = found["persistence_violation", asked]
    (log,), _ = log_persistence(Race(*sides, 25.0, premined=lead), [asked])
    assert math.log(risk.value) == pytest.approx(log, abs=0.01)
    (still,), _ = log_persistence(Race(*sides, 0.0, premined=lead), [asked])
    unsafe = found["unsafe_depth", 1e-3]
    depth = found["safe_depth_premined" if lead else "safe_depth", 1e-3]
    assert unsafe.value == depth.value - 1
    assert unsafe.high == depth.high - 1
    assert "head start" not in unsafe.method or lead
    if depth.low > asked:
        # Below the race without delay, by the training's error.
        assert risk.low <= math.exp(still) < risk.value
        assert risk.low > 0.3 * math.exp(still)
        logs, _ = log_persistence(
            Race(*sides, 0.0, premined=lead), [max(1, int(unsafe.low))]
        )
        assert logs[0] > math.log(1e-3)
    else:
        assert (risk.low, unsafe.low) == (0.0, 0.0)
        assert "not needed" in risk.method


def test_without_delay_the_bound_is_the_risk_itself():
    found = _figures(delay=0.0)
    depth, unsafe = found["safe_depth", 1e-3], found["unsafe_depth", 1e-3]
    assert unsafe[:3] == tuple(x - 1 for x in depth[:3])
    assert "lower end" not in found["persistence_violation", 40].method


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("delay", [25.0, 120.0])
def test_the_networks_risk_is_between_the_two_races(seed, delay):
    law = empirical_law(CURVES, LOTTERY).law
    net = network(law, provers=20, beta=0.25, delay_steps=delay)
    keys = jax.random.split(jax.random.key(seed))
    depths, replicas = [1, 2, 4, 8], 4000
    levels = simulate(keys[0], net, levels=48, replicas=replicas)
    paths = follow(keys[1], levels, delay_steps=delay, confirmations=2)
    seen = {
        m.at: m.estimate.value
        for m in persistence_measurements(jax.device_get(paths), depths, levels=48)
        if m.quantity == "persistence_simulated"
    }
    sides = fastest_of(law, 15), fastest_of(law, 5)
    low, high = (
        np.exp(log_persistence(Race(*sides, each), depths)[0]) for each in (0.0, delay)
    )
    for depth, below, above in zip(depths, low, high, strict=True):
        error = 4 * math.sqrt(above * (1 - above) / replicas)
        assert below - error < seen[depth] < above + error
