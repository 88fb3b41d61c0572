"""Points that are found quickly: which rows they have, alone and beside others."""

import numpy as np
import pytest
from dpodl.analysis.assessment.quick import FIGURES
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.config.sweep import NAMES, QUICK
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


def _wanted(*names):
    return {row for name in names for row in quick_evaluation.ROWS[name]}


def test_a_point_has_its_figures_and_the_same_alone():
    configs = [_config(f"scheme.t_acc={t}") for t in (0.9, 0.92)]
    configs += [_config("scheme.t_acc=0.99", "protocol.abandon_steps=25")]
    together = _found(*configs)
    for config, outcome in zip(configs, together, strict=True):
        assert _found(config) == [outcome]
    for outcome in together[:2]:
        # Intervals between blocks are the simulation's; nobody outgrows here.
        lacking = {"block_interval_mean", "block_interval_cv", "private_growth"}
        wanted = {w for w in _wanted(*QUICK) - lacking if not w.endswith("_strict")}
        assert {row["quantity"] for row in outcome.rows} == wanted
        risks = [r["at"] for r in outcome.rows if r["quantity"] == "safe_depth"]
        target = configs[0].security.target
        assert risks == [target, 1e-9, 2.0**-40, 2.0**-64, 2.0**-128]
        assert all(row["low"] <= row["value"] <= row["high"] for row in outcome.rows)
    assert together[2].rows == ()
    assert "reached it" in together[2].error


@pytest.mark.parametrize("setting", ["protocol.s_min=100", "security.criterion=longer"])
def test_another_world_is_evaluated_as_ever(setting):
    config = _config("scheme.t_acc=0.9", setting)
    (quick,) = _found(config)
    (whole,) = evaluation.evaluate([config], CURVES, None)
    kept = [r for r in whole.rows if r["quantity"] in _wanted(*QUICK)]
    assert [r["value"] for r in quick.rows] == [r["value"] for r in kept]
    assert kept


def test_only_what_is_asked_for_is_computed(monkeypatch):
    config = _config("scheme.t_acc=0.9")
    (whole,) = evaluation.evaluate([config], CURVES, None)

    def values(rows, *names):
        return {
            (r["quantity"], r["at"]): r["value"]
            for r in rows
            if r["quantity"] in _wanted(*names) and r["at"] == r["at"]
        }

    def refuse(*_, **__):
        raise AssertionError("this was not asked for")

    monkeypatch.setattr(evaluation, "persistence", refuse)
    some = quick_evaluation.Quantities(("growth", "quality", "liveness"))
    (found,) = some([config], CURVES, None)
    assert {r["quantity"] for r in found.rows} == {
        *("chain_growth", "chain_quality", "revenue", "liveness_quantile")
    }
    assert values(found.rows, "liveness") == values(whole.rows, "liveness")
    monkeypatch.setattr(quick_evaluation, "quick_figures", refuse)
    (found,) = quick_evaluation.Quantities(("good_periods",))([config], CURVES, None)
    assert values(found.rows, "good_periods") == values(whole.rows, "good_periods")
    monkeypatch.undo()
    monkeypatch.setattr(quick_evaluation, "quick_figures", refuse)
    some = quick_evaluation.Quantities(("confirmations", "persistence"))
    (found,) = some([config], CURVES, None)
    asked = "confirmations", "persistence"
    assert values(found.rows, *asked) == values(whole.rows, *asked)


def test_every_quantity_has_rows():
    assert set(quick_evaluation.ROWS) == set(NAMES)
    assert set(QUICK) == set(FIGURES)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("['growht']", r"must be all, quick or a list of block_times, .*\['growht'\]"),
        ("[]", r"must be all, quick or a list of"),
        ("everything", r"must be all, quick or a list of .*everything"),
    ],
)
def test_unknown_quantities_are_refused_by_name(given, told):
    with pytest.raises(ConfigError, match=rf"sweep.quantities: .*{told}"):
        load_config("smoke", [f"sweep.quantities={given}"])


@pytest.mark.parametrize("quantities", ["all", "quick", "['forks', 'growth']"])
def test_the_config_chooses(quantities, tmp_path):
    config = frozen(
        load_config("smoke", [f"sweep.quantities={quantities}"]),
        over={"scheme.p_2": (0.5, 1.0)},
    )
    found = plan.plan_of(config, tmp_path)
    ways = {
        "all": evaluation.evaluate,
        "quick": quick_evaluation.evaluate,
    }
    # In the order of all quantities, however they were written.
    some = quick_evaluation.Quantities(("growth", "forks"))
    assert found.evaluate == ways.get(quantities, some)
    # Points of two ways are not taken for each other's.
    for way in (*ways.values(), quick_evaluation.Quantities(("forks",))):
        other = plan.plan_of(config, tmp_path, way)
        assert (other.keys == found.keys) == (way == found.evaluate)


def test_tiers_are_there_where_they_are_asked_for():
    near = "scheme.t_acc=0.9", "network.beta=0.1", "network.delay_steps=0"
    small, late = _config(*near), _config(*near[:2], "network.delay_steps=1")
    beyond, alone = _config("protocol.chain_rule=weight"), _config("network.beta=0")
    asked = quick_evaluation.Quantities(("tiers",))
    one, two, other, nobody = asked([small, late, beyond, alone], CURVES, None)
    private, best, anybody = (row["value"] for row in one.rows)
    assert private == best <= anybody
    # A tier that is not known says why.
    assert np.isnan(two.rows[2]["value"])
    assert "refused: any adversary: the walk" in two.rows[2]["method"]
    assert other.rows == ()
    assert "says nothing of protocol.chain_rule = weight" in other.error
    assert nobody.error == "tiers: nobody is corrupted"
    both = quick_evaluation.Quantities(("block_times", "tiers"))
    (whole,) = both([small], CURVES, None)
    assert whole.rows[-3:] == one.rows
    assert {row["quantity"] for row in whole.rows[:-3]} == _wanted("block_times")
