"""Adversaries' laws against known ones: limits, exact means, what may not happen."""

from typing import Any

import numpy as np
import pytest
from dpodl.analysis.attacks import attack as attacks, grinding, warm as warm_attacks
from dpodl.analysis.attacks.passage_scores import predicted_passage
from dpodl.analysis.attacks.situation import plain, resampled, selected, setting
from dpodl.analysis.block_time.empirical import bootstrap_laws, empirical_law
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    fastest_of,
    geometric,
    mean,
    survival,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.models.scheme.checkpoints import detection_probability

from ..attack_settings import (
    EVERY,
    HORIZON,
    LOTTERY,
    branches_of,
    curves_of,
    setting_of,
    spread_runs,
)

HASHES = 1 / (LOTTERY.p_1 * LOTTERY.hashes_per_step)  # mean pre-hash, steps


def same(a: BlockTimeLaw, b: BlockTimeLaw) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def two_settings(count=40, fast=2, slow=20):
    """Half of the runs at rate 2 reach T_acc early, half at rate 1 late."""
    rates = np.where(np.arange(count) // 2 % 2, 2.0, 1.0)
    return np.where(rates == 2.0, fast, slow), rates


class TestPlain:
    def test_it_is_the_empirical_law(self):
        at = setting_of()
        same(plain(at).law, empirical_law(at.curves, at.lottery).law)
        attack = attacks.private(at)
        same(attack.adversary, attack.honest)

    def test_s_min_holds_tickets_back(self):
        at = setting_of(np.full(20, 3), lottery=LOTTERY._replace(p_2=1.0))
        assert mean(plain(at).law) == pytest.approx(HASHES + 30, rel=1e-6)
        later = at._replace(s_min=75)
        assert mean(plain(later).law) == pytest.approx(HASHES + 80, rel=1e-6)

    @pytest.mark.parametrize("beta", [0.0, 0.25, 1.0])
    def test_there_is_a_whole_adversary(self, beta):
        with pytest.raises(ValueError, match="beta"):
            setting(
                curves_of(spread_runs(0)), LOTTERY,
                provers=10, beta=beta, delay_steps=0.0,
            )  # fmt: skip


class TestResampled:
    def test_the_first_draw_is_that_of_bootstrap_laws(self):
        at = setting_of()
        (law,) = bootstrap_laws(7, at.curves, at.lottery, 1)
        again = resampled(at, 7)
        same(plain(again).law, law)
        assert len(again.runs) == len(at.runs)
        assert len(set(again.runs)) < len(at.runs)

    def test_branches_of_a_run_stay_together(self):
        warm = branches_of([1, 1, 2, 2, 3, 3, 4, 4], steps=50)
        warm = warm._replace(origins=np.arange(8) // 2)
        again = resampled(setting_of(warm=warm), 3).warm
        assert again is not None
        for origin in set(again.origins):
            count = (again.origins == origin).sum()
            first = again.curves.correct[again.origins == origin]
            assert count % 2 == 0
            assert (first == warm.curves.correct[2 * origin]).all()

    def test_evaluation_noise_moves_counts(self):
        at = setting_of()
        noisy = at._replace(curves=at.curves._replace(population=10_000))
        counts = resampled(noisy, 0).curves.correct
        assert not set(np.unique(counts)) <= {50, 95}


class TestPreHashGrinding:
    def test_one_setting_leaves_nothing_to_grind(self):
        attack = grinding.grind_prehash(setting_of())
        same(attack.adversary, attack.honest)
        assert attack.figure("share_kept") == 1.0
        assert attack.figure("speed_up") == 1.0
        assert attack.figure("beta_equivalent") == pytest.approx(0.2)

    def test_two_settings_exactly(self):
        first, rates = two_settings()
        lottery = LOTTERY._replace(p_2=1.0)
        at = setting_of(first, rates, lottery=lottery, beta=0.1)
        attack = grinding.grind_prehash(at)
        assert attack.figure("share_kept") == 0.5
        fast = selected(at.curves, np.flatnonzero(rates == 2.0))
        alone = lottery._replace(p_1=lottery.p_1 / 2)
        same(attack.adversary, empirical_law(fast, alone).law)
        gain = (HASHES + 10 * 11) / (2 * HASHES + 10 * 2)
        assert attack.figure("speed_up") == pytest.approx(gain, rel=1e-6)
        beta = gain * 0.1 / (gain * 0.1 + 0.9)
        assert attack.figure("beta_equivalent") == pytest.approx(beta, rel=1e-6)

    def test_more_hashes_hurt(self):
        first, rates = two_settings()
        at = setting_of(first, rates)
        found = grinding.grinding_curve(at, [1.0, 0.3, 0.1, 0.03, 0.01, 1e-4])
        gains = [each.figure("speed_up") for each in found]
        assert gains == sorted(gains, reverse=True)
        assert gains[0] > 1.5
        assert gains[-1] == 1.0
        assert not found[0].on
        assert found[1].on

    def test_luck_is_not_taken_for_speed(self):
        # 40 rates that mean nothing: choosing the fastest runs would give 1.5.
        rng = np.random.default_rng(3)
        first = rng.integers(2, 21, 160)
        at = setting_of(
            first,
            np.tile(np.arange(1.0, 41.0), 4),
            lottery=LOTTERY._replace(p_2=0.5),
        )
        attack = grinding.grind_prehash(at)
        assert attack.figure("speed_up") < 1.15
        lucky = np.flatnonzero(first <= np.median(first))
        chosen = empirical_law(selected(at.curves, lucky), at.lottery).law
        assert mean(attack.honest) / mean(chosen) > 1.4

    def test_scores_come_from_other_runs(self):
        first, rates = two_settings()
        at = setting_of(first, rates)
        scores = predicted_passage(at.curves, 0.9, None, at.runs)
        moved = at.curves._replace(correct=at.curves.correct.copy())
        moved.correct[0] = 50
        again = predicted_passage(moved, 0.9, None, at.runs)
        even = at.runs % 2 == 0
        np.testing.assert_array_equal(scores[even], again[even])
        assert (scores[~even] != again[~even]).any()


class TestPostHashGrinding:
    def test_without_a_lottery_there_is_nothing_to_grind(self):
        at = setting_of(lottery=LOTTERY._replace(p_2=1.0))
        for on in (False, True):
            attack = grinding.grind_posthash(at, on)
            same(attack.adversary, attack.honest)

    def test_a_ticket_costs_a_hash(self):
        at = setting_of(np.full(20, 5))
        attack = grinding.grind_posthash(at, False)
        exact = HASHES + 50 + 1 / (LOTTERY.p_2 * LOTTERY.hashes_per_step)
        assert mean(attack.adversary) == pytest.approx(exact, rel=1e-4)
        same(grinding.grind_posthash(at, True).adversary, attack.honest)

    def test_nobody_grinds_at_a_loss(self):
        # A hash takes three steps and a look one step in ten: plain is faster.
        slow = LOTTERY._replace(hashes_per_step=0.01, p_1=1.0)
        attack = grinding.grind_posthash(setting_of(lottery=slow), False)
        same(attack.adversary, attack.honest)


class TestBinding:
    def test_unbound_proofs(self):
        at = setting_of()
        assert attacks.relabel(at, False).takes_all
        assert attacks.equivocate(at, False).free_blocks == 1
        for build in (attacks.relabel, attacks.equivocate):
            bound = build(at, True)
            assert not bound.takes_all
            assert bound.free_blocks == 0
            same(bound.adversary, bound.honest)


class TestWarmStarts:
    def test_a_model_above_t_acc_is_geometric(self):
        at = setting_of(lottery=LOTTERY._replace(p_1=1.0))
        law = warm_attacks.warm_law(at, None, np.ones(8, int)).law
        exact = geometric(LOTTERY.p_2, trial=EVERY)
        times = EVERY * np.arange(60) + 5.0
        hash_time = 1 / LOTTERY.hashes_per_step
        np.testing.assert_allclose(
            survival(law, times + hash_time), survival(exact, times), rtol=1e-9
        )

    def test_debt_is_dead_time(self):
        at = setting_of()
        laws = [
            mean(warm_attacks.warm_law(at, None, np.full(8, due)).law)
            for due in (1, 10, 11, 100)
        ]
        np.testing.assert_allclose(np.diff(laws), [0, 10, 80], atol=1e-6)

    def test_step_debt(self):
        debt = warm_attacks.step_debt(np.array([10, 40, 90]), np.array([50, 50, 50]), 5)
        np.testing.assert_array_equal(debt, [45, 15, 1])
        # Without the step rule only S_min counts.
        debt = warm_attacks.step_debt(np.array([10, 40]), 0, 30)
        np.testing.assert_array_equal(debt, [20, 1])

    def test_steps_of_blocks(self):
        # All provers pass T_acc at look 7 and p_2 = 1: every block has S = 70.
        at = setting_of(np.full(20, 7), lottery=LOTTERY._replace(p_2=1.0))
        np.testing.assert_array_equal(warm_attacks.block_steps(at, 1, 16), 70)
        np.testing.assert_array_equal(warm_attacks.block_steps(at, 3, 16), 210)

    def test_cross_slot_new_pays_what_the_rule_says(self):
        lottery = LOTTERY._replace(p_2=1.0)
        mtx = branches_of(np.full(8, 2), steps=50, correct=80)
        at = setting_of(np.full(20, 10), lottery=lottery, mtx=mtx)
        off = warm_attacks.cross_slot_new(at, False)
        on = warm_attacks.cross_slot_new(at, True)
        # D = S + S_min − S' = 100 + 0 − 50, then the first look is above T_acc.
        assert on.figure("debt_steps") == 50
        assert mean(off.adversary) == pytest.approx(HASHES + 20, rel=1e-6)
        assert mean(on.adversary) == pytest.approx(HASHES + 50, rel=1e-6)
        older = warm_attacks.cross_slot_new(at, True, gap=2)
        assert older.figure("debt_steps") == 150
        # 150 is more than a fresh model's 100: nobody would.
        same(older.adversary, older.honest)

    def test_an_mtx_is_measured_or_refused(self):
        with pytest.raises(Refused, match="branch real trainings"):
            warm_attacks.cross_slot_new(setting_of(), False)
        with pytest.raises(Refused, match="branch real trainings"):
            warm_attacks.withheld_mtx(setting_of(), False)

    def test_cross_slot_old_is_one_look_a_ticket(self):
        at = setting_of()
        warm = branches_of(np.full(8, 1), steps=HORIZON)
        off = warm_attacks.cross_slot_old(at._replace(warm=warm), False)
        exact = HASHES + EVERY / LOTTERY.p_2
        assert mean(off.adversary) == pytest.approx(exact, rel=1e-3)
        same(warm_attacks.cross_slot_old(at, True).adversary, off.honest)

    def test_measured_models_that_fall_back_are_slower(self):
        at = setting_of()
        ideal = warm_attacks.surplus_reference(at, False)
        fallen = at._replace(warm=branches_of(np.full(8, 4), steps=90))
        real = warm_attacks.surplus_reference(fallen, False)
        assert mean(real.adversary) - mean(ideal.adversary) == pytest.approx(30)

    def test_a_relay_needs_half_the_steps(self):
        at = setting_of(np.full(20, 10), lottery=LOTTERY._replace(p_2=1.0))
        attack = warm_attacks.reference_relay(at, False)
        assert attack.figure("debt_steps") == 50
        assert mean(attack.adversary) == pytest.approx(HASHES + 50, rel=1e-6)
        # Own steps as large as nine in ten fresh runs need: no gain is left.
        fixed = warm_attacks.reference_relay(at, True)
        assert fixed.figure("s_min") == 100
        assert mean(fixed.adversary) == pytest.approx(mean(fixed.honest), rel=1e-6)

    def test_a_forger_trains_q_segments(self):
        lottery = LOTTERY._replace(p_2=1.0)
        at = setting_of(np.full(20, 20), lottery=lottery, challenges=2)
        off = warm_attacks.forged_checkpoints(at, False)
        assert off.figure("passes") == pytest.approx(1 - detection_probability(3, 1, 2))
        hashes = 1 / (off.figure("passes") * lottery.hashes_per_step)
        assert mean(off.adversary) == pytest.approx(HASHES + 20 + hashes, rel=1e-3)
        on = warm_attacks.forged_checkpoints(at, True)
        honest = int(on.figure("honest_segments"))
        passes = 1 - detection_probability(honest + 1, 1, 2)
        assert on.figure("passes") == pytest.approx(passes)
        expected = (HASHES + EVERY * honest) / passes
        assert mean(on.adversary) == pytest.approx(expected, rel=1e-3)

    def test_without_challenges_one_honest_segment_is_left(self):
        at = setting_of(challenges=0)
        attack = warm_attacks.forged_checkpoints(at, False)
        assert attack.figure("passes") == 1.0
        assert attack.figure("debt_steps") == EVERY


MEASURED: dict[str, Any] = {
    "warm": branches_of(np.array([1, 1, 2, 3, 1, 5, 1, 2]), steps=120),
    "mtx": branches_of(np.array([3, 4, 2, 6, 3, 5, 4, 2]), steps=60, correct=80),
}
SWITCHED = [
    grinding.grind_posthash,
    warm_attacks.cross_slot_new,
    warm_attacks.withheld_mtx,
    warm_attacks.cross_slot_old,
    warm_attacks.reference_relay,
    warm_attacks.surplus_reference,
    warm_attacks.forged_checkpoints,
]


@pytest.mark.parametrize("build", SWITCHED, ids=lambda b: b.__name__)
@pytest.mark.parametrize("s_min", [0, 60])
@pytest.mark.parametrize("p_2", [1.0, 0.1, 0.005])
def test_a_mitigation_never_helps_and_an_attack_never_hurts(build, s_min, p_2):
    lottery = LOTTERY._replace(p_2=p_2)
    at = setting_of(lottery=lottery, s_min=s_min, **MEASURED)
    off, on = build(at, False), build(at, True)
    fastest = {x.on: mean(fastest_of(x.adversary, 2)) for x in (off, on)}
    assert fastest[True] >= fastest[False] - 1e-6
    for attack in (off, on):
        plain_mean = mean(fastest_of(attack.honest, 2))
        assert fastest[attack.on] <= plain_mean * (1 + 1e-9)


def test_step_costs_reach_every_attack():
    rng = np.random.default_rng(1)
    cheap = setting_of(**MEASURED, step_costs=np.full(40, 0.5))
    dear = cheap._replace(step_costs=np.full(40, 2.0))
    fast = LOTTERY._replace(hashes_per_step=1e9)
    for build in SWITCHED:
        a, b = (
            mean(build(x._replace(lottery=fast), False).adversary)
            for x in (cheap, dear)
        )
        assert b == pytest.approx(4 * a, rel=2e-3)
    uneven = cheap._replace(step_costs=rng.uniform(0.5, 2, 40))
    assert mean(attacks.private(uneven).adversary) > 0
