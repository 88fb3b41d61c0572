"""Closed forms of the memoryless chain against the simulated one, and their names."""

import jax
import numpy as np
import pytest
from dpodl.analysis.assessment.one_law import Plan, assess
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.bounds import memoryless, races
from dpodl.analysis.bounds.memoryless import memoryless_references
from dpodl.analysis.estimation.quantities import (
    PERSISTENCE_SIMULATED,
    PERSISTENCE_VIOLATION,
)
from dpodl.analysis.simulation.levels import network
from dpodl.experiments.pipeline.summary import SAME_MEANS

DEPTHS = range(1, 9)


def references(law=None, *, honest=15, adversarial=5, delay_steps=2.0, depths=DEPTHS):
    found, refusals = memoryless_references(
        law or exponential(0.001),
        honest=honest,
        adversarial=adversarial,
        delay_steps=delay_steps,
        depths=depths,
    )
    return {(r.quantity, r.at, r.name): r.value for r in found}, refusals


def test_a_memoryless_network_has_its_own_closed_forms():
    # Many provers: the finder of a block, who need not wait, is a vanishing share.
    plan = Plan(
        levels=64,
        replicas=2000,
        good_period_replicas=500,
        depths=DEPTHS,
        confirmations=3,
        windows=(5.0,),
        epsilon=0.5,
        round_steps=1.0,
    )
    net = network(exponential(2e-5), provers=1000, beta=0.25, delay_steps=5.0)
    found = assess(jax.random.key(2), net, plan).measurements
    expected, _ = references(
        exponential(2e-5), honest=750, adversarial=250, delay_steps=5.0
    )
    simulated = {PERSISTENCE_SIMULATED: PERSISTENCE_VIOLATION}
    compared = 0
    for m in found:
        quantity = simulated.get(m.quantity, m.quantity)
        reference = expected.get((quantity, m.at, memoryless.SAME_MEANS))
        if reference is None:
            continue
        error = max(m.estimate.high - m.estimate.low, 1e-9) / (2 * 1.96)
        assert abs(m.estimate.value - reference) < 4 * error, m
        compared += 1
    # Nine single numbers; at 0.25 and x = .1 the race differs by the public delay only.
    assert compared == 9 + len(DEPTHS)


def test_brackets_hold_the_race_between_them_and_the_narrow_is_inside_the_wide():
    found, refusals = references()
    assert refusals == []
    for k in map(float, DEPTHS):
        wide, narrow = (
            [
                found["persistence_violation", k, f"{name}: {end}"]
                for end in (memoryless.LOWER, memoryless.UPPER)
            ]
            for name in (memoryless.GUO_REN, memoryless.GAZI_REN_RUSSELL)
        )
        assert wide[0] <= narrow[0] + 1e-12
        assert narrow[0] <= narrow[1] <= wide[1] + 1e-12
        # Without the head start the risk is smaller.
        race = found["persistence_violation", k, memoryless.SAME_MEANS]
        assert race <= narrow[1]


def test_without_delay_shares_are_the_same_and_nakamoto_is_named():
    found, _ = references(delay_steps=0.0)
    for k in map(float, DEPTHS):
        share = found["persistence_violation", k, memoryless.SAME_SHARE]
        means = found["persistence_violation", k, memoryless.SAME_MEANS]
        assert share == pytest.approx(means, rel=1e-9)
        nakamoto = found["persistence_violation", k, memoryless.NAKAMOTO]
        assert nakamoto == races.nakamoto_approximation(0.25, int(k))
    assert found["stale_rate", None, memoryless.SAME_MEANS] == pytest.approx(0)
    assert found["block_interval_cv", None, memoryless.SAME_MEANS] == 1


def test_what_is_refused_is_told_once_with_its_depth():
    found, refusals = references(delay_steps=125.0, adversarial=1)
    (text,) = refusals
    assert text.startswith(f"{memoryless.GAZI_REN_RUSSELL}, from depth 1: settlement")
    names = {name for _, _, name in found}
    assert not any(name.startswith(memoryless.GAZI_REN_RUSSELL) for name in names)
    assert f"{memoryless.GUO_REN}: {memoryless.UPPER}" in names


def test_nobody_corrupted_has_no_race():
    found, refusals = references(adversarial=0)
    assert refusals == []
    quantities = {quantity for quantity, _, _ in found}
    assert "persistence_violation" not in quantities
    assert "chain_quality" not in quantities
    assert np.isfinite(list(found.values())).all()


def test_the_summary_knows_the_name():
    assert SAME_MEANS == memoryless.SAME_MEANS
