"""What a level costs: the runs' lower tail beside the law of all runs."""

import numpy as np
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.questions.any_tiers import SPEEDS, speed_table
from dpodl.experiments.world.situation import world_law

from tests.analysis.formula_curves import formula_curves

SETTINGS = ("scheme.t_acc=0.9", "scheme.t_1=2^242", "security.bootstraps=0")


def speeds(runs, *settings):
    config = load_config("quickstart", [*SETTINGS, *settings])
    curves = formula_curves(41, runs)
    law = world_law(config, curves, None)
    return speed_table(config, law, curves).set_index("adversary")


def test_fewer_runs_leave_faster_trainings_open():
    few, many = speeds(24, "scheme.t_2=2^252"), speeds(96, "scheme.t_2=2^252")
    for table in (few, many):
        assert list(table.index) == list(SPEEDS)
        child = list(map(float, table["child"]))
        assert child[2] < child[0]
        assert len(set(table["level"])) == 1
    equal, _, early = SPEEDS
    shares = [t.loc[early, "child"] / t.loc[equal, "child"] for t in (few, many)]
    assert shares[0] < shares[1] < 1


def test_looks_before_the_least_steps_need_no_bound():
    early = speeds(24, "scheme.t_2=2^252").loc[SPEEDS[2], "child"]
    later = speeds(24, "scheme.t_2=2^252", "protocol.s_min=100").loc[SPEEDS[2], "child"]
    assert later > early


def test_unequal_looks_are_said_to_have_no_bound():
    row = speeds(24, "clock.unit=operations").loc[SPEEDS[2]]
    assert np.isnan(row["child"])
    assert "looks of different models take different times" in row["refusal"]
