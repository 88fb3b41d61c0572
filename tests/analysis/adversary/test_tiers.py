"""Three tiers, their order, their grades; what runs say of faster trainings."""

import math
from typing import Any

import numpy as np
import pytest
from dpodl.analysis.adversary import NO_BOUND, Tier, three_tiers
from dpodl.analysis.adversary.lower_tail import early_looks, with_early_looks
from dpodl.analysis.adversary.tiers import proved_depth
from dpodl.analysis.block_time.law import (
    exponential,
    fastest_of,
    geometric,
    mean,
    survival,
)
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.estimation.estimate import Estimate, Refused
from scipy import stats

from .laws import weibull

AT: dict[str, Any] = {"honest": 17, "adversarial": 3, "delay_steps": 0.02}


def test_the_tiers_are_in_order_and_say_what_they_assume():
    for law in (exponential(1 / 20, dead_time=0.3), weibull(4)):
        law = UncertainLaw(law, resamples=(law,) * 4)
        at_once: dict[str, Any] = {**AT, "delay_steps": 0.0}
        found = three_tiers(law, target=1e-2, **at_once)
        depths = [each.depth for each in found]
        assert all(each is not None for each in depths)
        private, best, anybody, proved = (e.value for e in depths if e is not None)
        assert private <= best <= anybody <= proved < math.inf
        assert [each.grade for each in found[2:]] == ["conditional", "proved"]
        assert len(found.any.assumptions) == len(found.proved.assumptions) + 1
        assert found.private.assumptions == ()


def test_a_worse_attack_is_the_best_one_found():
    law = UncertainLaw(exponential(1 / 20))
    worse = Tier("balance", Estimate(60, 50, 70, 9, "x"), "attack", "balanced")
    unknown = Tier("other", None, "attack", "refused")
    found = three_tiers(law, target=1e-2, attacks=(worse, unknown), seed=None, **AT)
    assert found.best.depth == worse.depth
    assert found.best.reason == "balance: balanced"
    assert found.proved.depth is None


def test_ties_that_are_adopted_leave_no_bound():
    law = UncertainLaw(exponential(1 / 20))
    found = three_tiers(law, target=1e-2, ties="adversary", **AT)
    assert found.any.reason == found.proved.reason == NO_BOUND
    assert found.any.depth is None
    assert found.private.depth is not None


def test_an_adversary_that_outgrows_leaves_no_depth_in_any_tier():
    law = UncertainLaw(exponential(1 / 20))
    found = three_tiers(law, target=1e-2, honest=9, adversarial=11, delay_steps=0.0)
    assert all(e.depth is not None and math.isinf(e.depth.value) for e in found)


def test_a_resample_without_a_depth_leaves_no_upper_end():
    law = UncertainLaw(
        exponential(1 / 20), resamples=(exponential(1 / 20), exponential(1 / 20e3))
    )
    late: dict[str, Any] = {**AT, "delay_steps": 4.0}
    found = three_tiers(law, target=1e-2, seed=None, **late)
    assert found.any.depth is None or math.isinf(found.any.depth.high)


def test_targets_that_cannot_be_drawn_are_refused():
    with pytest.raises(Refused, match="is too small to be drawn"):
        proved_depth(0, weibull(4), 1e-9, **AT)
    always_two: dict[str, Any] = {"honest": 50, "adversarial": 1, "delay_steps": 3.0}
    with pytest.raises(Refused, match="is shown to have a risk of at most"):
        proved_depth(0, exponential(0.05), 0.05, **always_two)


# --- the lower tail


def test_looks_are_bounded_by_clopper_and_pearson_all_at_once():
    passed = np.zeros((40, 6), bool)
    passed[:1, 2:] = True
    passed[:12, 4:] = True
    found = early_looks(passed)
    assert len(found) == 5
    for look, count in enumerate([0, 0, 1, 1, 12]):
        exact = stats.binomtest(count, 40, alternative="less").proportion_ci(
            1 - 0.05 / 5
        )
        assert found[look] == pytest.approx(exact.high, rel=1e-9)
    assert early_looks(np.ones((5, 2), bool)).tolist() == [1.0]
    with pytest.raises(ValueError, match="confidence must lie in"):
        early_looks(passed, confidence=1.0)
    with pytest.raises(ValueError, match="looks must lie in"):
        early_looks(passed, looks=7)


def test_the_simultaneous_bound_covers_as_often_as_it_says():
    generator = np.random.default_rng(3)
    chances = np.array([0.001, 0.01, 0.03, 0.1, 0.3])
    held = 0
    for _ in range(400):
        first = generator.random((60, 1))
        passed = first < chances
        held += bool((early_looks(passed, looks=5) >= chances).all())
    assert held / 400 >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize(
    "law",
    [geometric(0.02, trial=25.0, dead_time=200.0), exponential(0.001, dead_time=200.0)],
)
def test_early_looks_add_hazard_where_the_runs_do_not_exclude_it(law):
    early = np.array([0.03, 0.03, 0.05, 0.08])
    raised = with_early_looks(law, early, p_2=0.125, check_every=25.0)
    x = np.arange(10, 1500, 10.0)
    assert (survival(raised, x) <= survival(law, x) + 1e-12).all()
    near = 1e-9 if law.lattice else 2e-3
    assert survival(raised, [100.0])[0] == pytest.approx(
        1 - 0.125 * early.sum(), rel=near
    )
    assert mean(fastest_of(raised, 5)) < mean(fastest_of(law, 5))
    # A constant of the protocol is no estimate.
    fixed = with_early_looks(law, early, p_2=0.125, check_every=25.0, s_min=76)
    assert survival(fixed, [75.0])[0] == pytest.approx(1.0, abs=1e-3)
    assert survival(fixed, [100.0])[0] == pytest.approx(1 - 0.125 * 0.08, rel=near)
    with pytest.raises(ValueError, match="p_2 must lie in"):
        with_early_looks(law, early, p_2=0, check_every=25.0)
