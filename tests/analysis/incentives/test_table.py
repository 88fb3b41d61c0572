"""The table of deviations is the chapter's functions on measured laws."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, fastest_of, mean
from dpodl.analysis.estimation.estimate import Estimate, Refused
from dpodl.analysis.incentives import table
from dpodl.analysis.incentives.sharing import memoryless_sharing
from dpodl.analysis.incentives.slots import GameLaws
from dpodl.analysis.incentives.verifying import memoryless_skipping_wins
from dpodl.models.chain.rewards import STEPS
from dpodl.models.scheme.records import RewardRule

from ..attack_settings import setting_of

RATE, REFERENCE = 1e-3, 400
LAWS = table.SlotLaws(
    GameLaws(
        exponential(RATE, dead_time=2 * REFERENCE),
        exponential(RATE, dead_time=REFERENCE),
        exponential(2 * RATE, dead_time=2 * REFERENCE),
    ),
    np.array([REFERENCE]),
    0.0,
)
SLOT = table.Slot(8, verification=20.0, invalid=0.02, slots=5, look=10.0)


def test_gains_of_memoryless_laws_are_the_closed_forms():
    found = table.gains(LAWS, STEPS, SLOT)
    assert set(table.GAINS) < set(found)
    for name, slots in (("hoard", 1), ("hoard_slots", 5)):
        closed = memoryless_sharing(RATE * REFERENCE, provers=8, slots=slots)
        assert found[name] == pytest.approx(closed.gain, abs=3e-3)
    wins = memoryless_skipping_wins(8, 20 * RATE)
    assert found["skip"] == pytest.approx(8 * wins * 0.98 - 1, abs=1e-6)
    assert found["invalid_threshold"] == pytest.approx(1 - 1 / (8 * wins), abs=1e-6)
    # Twice the rate against seven others.
    assert found["grind"] == pytest.approx(8 * 2 / 9 - 1, abs=1e-6)
    interval = mean(fastest_of(LAWS.laws.warm, 8))
    assert found["interval"] == pytest.approx(interval)
    assert found["identities"] == 0
    assert found["fresh"] < 0 < found["cheap"]


def test_nothing_for_references_makes_hoarding_and_no_padding_pay():
    found = table.gains(LAWS, RewardRule("own"), SLOT)
    assert found["hoard"] > table.gains(LAWS, STEPS, SLOT)["hoard"]
    assert found["cheap"] == found["identities"] == 0


def test_a_gain_pays_where_its_interval_says_so():
    def gain(low: float, high: float) -> Estimate:
        return Estimate((low + high) / 2, low, high, 8, "test")

    assert table.pays(gain(0.1, 0.2)) == "yes"
    assert table.pays(gain(-0.1, 0.0)) == "no"
    assert table.pays(gain(-0.1, 0.2)) == "perhaps"


def test_a_gain_turns_between_its_neighbours():
    found = table.turning_point({1.0: 0.3, 0.25: 0.1, 1 / 16: -0.1})
    assert found == pytest.approx(1 / 8)
    assert math.isnan(table.turning_point({1.0: 0.3, 0.5: 0.1}))


def test_laws_need_models_to_start_from():
    with pytest.raises(Refused, match="incentives: what a model below T_acc saves"):
        table.slot_laws(setting_of())
