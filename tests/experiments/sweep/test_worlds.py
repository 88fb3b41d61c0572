"""A sweep over attacks and the rules that meet them, on one set of curves."""

import pytest
from dpodl.experiments.pipeline import branching
from dpodl.experiments.sweep.evaluation import evaluate
from dpodl.experiments.sweep.results import read_results

pytestmark = pytest.mark.usefixtures("own_cache")
ATTACKS = ("private", "private_premined", "cross_slot_new", "relabel")


@pytest.fixture(scope="module")
def swept(cases, tmp_path_factory):
    """Every attack with the step rule on and off, and how often branches were made."""
    from dpodl.experiments.sweep.design import frozen

    made = []
    config = cases.tiny(
        "sweep.bootstraps=0",
        # Not reached at the first look: a warm start has steps to save.
        "scheme.t_acc=0.85",
        "training.horizon_steps=240",
        "protocol.abandon_steps=240",
        "scheme.t_2=2^255",
        "network.delay_steps=0",
        "network.provers=10",
        "network.beta=0.1",
        "adversary.branches=12",
        "training.runs=40",
        "security.target=0.05",
    )
    over = {"adversary.attack": ATTACKS, "protocol.step_rule": (True, False)}
    root = tmp_path_factory.mktemp("worlds")
    original = branching.branch_curves

    def counted(*arguments, **named):
        made.append(named["accuracy"])
        return original(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(branching, "branch_curves", counted)
        plan = cases.driver.plan_of(frozen(config, over=over), root, evaluate)
        pool = cases.GivenPool(cases.SerialExecutor(), 1)
        report = cases.driver.run_sweep(plan, root, pool, lambda *_: None)
    return read_results(report.folder), made


def rows_of(table, attack, step_rule, quantity="persistence_violation"):
    some = table[table["adversary.attack"] == attack]
    some = some[some["protocol.step_rule"] == step_rule]
    return some[some.quantity == quantity].set_index("at").value


def test_every_point_has_its_numbers_or_a_reason(swept):
    table, _ = swept
    heads = table.drop_duplicates("point")
    assert len(heads) == 8
    assert set(heads.status) == {"done"}, heads.error.iloc[0]
    for attack in ATTACKS:
        for step_rule in (True, False):
            assert len(rows_of(table, attack, step_rule)) == 4


def test_branches_are_trained_once_for_all_points(swept):
    _, made = swept
    assert len(made) == 1


def test_a_rule_that_does_not_meet_an_attack_changes_nothing(swept):
    table, _ = swept
    for attack in ("private", "private_premined", "relabel"):
        on, off = (rows_of(table, attack, rule) for rule in (True, False))
        assert on.equals(off)


def test_old_work_that_need_not_be_matched_helps_and_a_lead_does_too(swept):
    table, _ = swept
    private = rows_of(table, "private", True)
    ahead = rows_of(table, "private_premined", True)
    on, off = (rows_of(table, "cross_slot_new", rule) for rule in (True, False))
    assert (ahead > private).all()
    assert (off > private).all()
    assert (off >= on).all()
    growth = [
        rows_of(table, *each, "private_growth").iloc[0]
        for each in (("cross_slot_new", False), ("private", True))
    ]
    assert growth[0] > growth[1]
    # A bound proof cannot be relabelled: a private chain is left.
    assert rows_of(table, "relabel", True).equals(private)


def test_the_line_of_the_sweep_says_that_attacks_differ(swept):
    from dpodl.experiments.world.verdict import sweep_line

    table, _ = swept
    assert "each point's adversary.attack" in sweep_line(table)
