"""Points that are found quickly: which rows they have, alone and beside others."""

import pytest
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.sweep import evaluation, plan, quick_evaluation
from dpodl.experiments.sweep.design import frozen

from tests.analysis.formula_curves import formula_curves

CURVES = formula_curves(41)
EFFORT = (
    *("security.bootstraps=4", "security.replicas=100", "security.levels=32"),
    *("security.bootstrap_replicas=100", "security.good_period_replicas=100"),
    *("scheme.t_1=2^242", "scheme.t_2=2^252", "security.depths=4"),
)


def _config(*settings):
    return load_config("quickstart", [*EFFORT, *settings])


def _found(*configs):
    return quick_evaluation.evaluate(configs, CURVES, None)


def test_a_point_has_its_figures_and_the_same_alone():
    configs = [_config(f"scheme.t_acc={t}") for t in (0.9, 0.92)]
    configs += [_config("scheme.t_acc=0.99", "protocol.abandon_steps=25")]
    together = _found(*configs)
    for config, outcome in zip(configs, together, strict=True):
        assert _found(config) == [outcome]
    for outcome in together[:2]:
        assert {row["quantity"] for row in outcome.rows} == {
            *quick_evaluation.QUANTITIES
        }
        risks = [r["at"] for r in outcome.rows if r["quantity"] == "safe_depth"]
        assert risks == [configs[0].security.target, 1e-9]
        assert all(row["low"] <= row["value"] <= row["high"] for row in outcome.rows)
    assert together[2].rows == ()
    assert "reached it" in together[2].error


def test_another_world_is_evaluated_as_ever():
    config = _config("scheme.t_acc=0.9", "protocol.s_min=100")
    (quick,) = _found(config)
    (whole,) = evaluation.evaluate([config], CURVES, None)
    kept = [r for r in whole.rows if r["quantity"] in quick_evaluation.QUANTITIES]
    assert [r["value"] for r in quick.rows] == [r["value"] for r in kept]
    assert kept


@pytest.mark.parametrize("quantities", ["all", "quick"])
def test_the_config_chooses(quantities, tmp_path):
    config = frozen(
        load_config("smoke", [f"sweep.quantities={quantities}"]),
        over={"scheme.p_2": (0.5, 1.0)},
    )
    found = plan.plan_of(config, tmp_path)
    modules = {"all": evaluation, "quick": quick_evaluation}
    assert found.evaluate is modules[quantities].evaluate
    other = plan.plan_of(config, tmp_path, modules["all"].evaluate)
    # Points of the two ways are not taken for each other's.
    assert (other.keys == found.keys) == (quantities == "all")
