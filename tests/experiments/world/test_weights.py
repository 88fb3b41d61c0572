"""Figures under the weight rule: of the config's curves, with both errors."""

import numpy as np
import pytest
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.estimation.training_error import UNKNOWN
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.world.engines import assess_world, weight_world
from dpodl.experiments.world.translation import law_of, plan_of
from dpodl.experiments.world.weights import weight_estimates
from dpodl.models.learning.curves import CurveSet, draw_runs
from dpodl.models.learning.pins import seed_key

SETTINGS = (
    "training.runs=40",
    "protocol.chain_rule=weight",
    "protocol.abandon_steps=never",
    "security.depths=4",
    "security.confirmations=2",
    "security.windows=[2]",
    "security.levels=32",
    "security.replicas=200",
    "security.good_period_replicas=200",
    "security.bootstraps=2",
    "security.bootstrap_replicas=200",
)


def config(*settings):
    return load_config("smoke", [*SETTINGS, *settings])


@pytest.fixture(scope="module")
def curves() -> CurveSet:
    """Logistic in ln t; all runs reach the accuracy."""
    training = config().training
    steps = training.check_every * np.arange(
        1, training.horizon_steps // training.check_every + 1
    )
    generator = np.random.default_rng(7)
    middle = generator.lognormal(3.0, 0.5, (training.runs, 1))
    accuracy = 0.98 / (1 + (middle / steps) ** 1.5)
    return CurveSet(
        draw_runs(1, training.runs, config().menu.build()),
        steps,
        np.rint(500 * accuracy).astype(np.int32),
        1 - accuracy,
        500,
        10_000,
    )


def estimated(some, curves):
    plan = plan_of(some)._replace(detail=False)
    measured, _, failed = weight_estimates(some, curves, None, (plan, plan), UNKNOWN)
    return measured, failed


@pytest.fixture(scope="module")
def found(curves):
    return estimated(config(), curves)


def test_growth_forks_persistence_and_good_periods_have_intervals(found):
    measured, failed = found
    assert failed == 0
    quantities = {m.quantity for m in measured}
    assert {
        "chain_growth",
        "stale_rate",
        "persistence_simulated",
        "good_period",
    } <= quantities
    assert {"chain_quality", "liveness_quantile"} <= quantities
    for m in measured:
        assert m.estimate.low <= m.estimate.value <= m.estimate.high, m.quantity
    (growth,) = [m.estimate for m in measured if m.quantity == "chain_growth"]
    assert growth.low < growth.value < growth.high
    risks = [
        m.estimate.value
        for m in sorted(measured, key=lambda m: m.at or 0)
        if m.quantity == "persistence_simulated"
    ]
    assert len(risks) == 4
    assert risks == sorted(risks, reverse=True)


def test_where_every_block_weighs_1_the_chain_is_the_longest(found, curves):
    """1{acc ≥ T_acc} by the event engine, the longest chain by the level engine."""
    ones, _ = estimated(config("protocol.weight.family=indicator"), curves)
    longest = config("protocol.chain_rule=longest")
    law = law_of(longest, curves, None)
    plan = plan_of(longest)._replace(detail=False)
    by_level = assess_world(longest, law, law.law, seed_key(5), plan).measurements
    for quantity in (
        *("block_interval_mean", "stale_rate", "chain_quality"),
        *("liveness_quantile", "persistence_simulated"),
    ):
        first, second, other = (
            next(m.estimate for m in some if m.quantity == quantity)
            for some in (ones, by_level, found[0])
        )
        assert first.low <= second.high, quantity
        assert second.low <= first.high, quantity
        if quantity != "block_interval_mean":
            continue
        # Under the exponential every look is a ticket: blocks come much sooner.
        assert not other.low <= first.value <= other.high


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("protocol.retry=restart", "protocol.retry = restart (known: continue)"),
        ("protocol.abandon_steps=360", "protocol.abandon_steps = 360 (known: never)"),
        ("protocol.s_min=24", "protocol.s_min = 24 (known: 0)"),
        ("protocol.reference=tip_model", "protocol.reference = tip_model"),
        ("adversary.attack=cross_slot_new", "adversary.attack = cross_slot_new"),
    ],
)
def test_a_rule_without_a_marked_law_is_refused_by_name(setting, said, curves):
    with pytest.raises(Refused, match=r"protocol\.chain_rule = weight") as refused:
        weight_world(config(setting), curves, None)
    assert said in str(refused.value)
