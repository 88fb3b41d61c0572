"""The attack table: depths against closed forms, rows against each other."""

import math
from functools import cache
from itertools import pairwise
from typing import Any

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks.attack import Attack
from dpodl.analysis.attacks.depths import depths_of
from dpodl.analysis.attacks.rows import Effort, interval, judge, tidy
from dpodl.analysis.attacks.table import attack_table
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential
from dpodl.analysis.bounds import races
from dpodl.analysis.estimation.estimate import Refused, whole_blocks
from dpodl.analysis.estimation.training_error import law_figure

from ..attack_settings import LOTTERY, curves_of, setting_of, spread_runs
from .test_attack import MEASURED

TARGETS = (1e-3, 1e-9, 2.0**-40)


def attack_of(honest: BlockTimeLaw, adversary: BlockTimeLaw | None = None, **others):
    return Attack("some", "", False, honest, adversary or honest, math.inf, **others)


def smallest(risk, target: float) -> int:
    return next(k for k in range(1, 2000) if risk(k) <= target)


class TestDepths:
    @pytest.mark.parametrize("beta", [0.1, 0.2, 0.4])
    @pytest.mark.parametrize("premined", [False, True])
    def test_exponential_laws(self, beta, premined):
        at = setting_of(beta=beta, delay_steps=0.0)
        attack = attack_of(exponential(0.01), premined=premined)
        race = races.premined_race if premined else races.private_race
        exact = [smallest(lambda k: float(race(beta, k)), t) for t in TARGETS]
        assert list(depths_of(attack, at, TARGETS)) == exact

    def test_a_faster_law_is_a_larger_share(self):
        # Two provers in ten, each 1.5 times as fast: q = 3/11.
        at = setting_of(delay_steps=0.0)
        attack = attack_of(exponential(0.01), exponential(0.015))
        exact = [
            smallest(lambda k: float(races.private_race(3 / 11, k)), t) for t in TARGETS
        ]
        assert list(depths_of(attack, at, TARGETS)) == exact

    def test_dead_time_that_only_honest_provers_have(self):
        # 1/λ_a = 1000/2 against 300 + 1000/8: fails although β = .2 (thresholds.py).
        at = setting_of(delay_steps=0.0)
        law = exponential(0.001, dead_time=300.0)
        fails = attack_of(law, exponential(0.001))
        assert math.isfinite(depths_of(fails, at, TARGETS)[0])
        law = exponential(0.001, dead_time=400.0)
        fails = attack_of(law, exponential(0.001))
        assert depths_of(fails, at, TARGETS) == (math.inf,) * 3

    def test_a_free_block_is_a_draw_less(self):
        # Equal length instead of a longer chain is exactly one draw less as well.
        at = setting_of(delay_steps=0.0)
        law = exponential(0.01, dead_time=500.0)
        free = depths_of(attack_of(law, free_blocks=1), at, TARGETS, ties_win=False)
        ties = depths_of(attack_of(law), at, TARGETS, ties_win=True)
        assert free == ties

    @pytest.mark.parametrize("dead_time", [0.0, 500.0])
    def test_a_free_block_where_ties_win_is_seldom_too_cheap(self, dead_time):
        # k(1e-3), simulated: α_{j−1} ≤ τ_{j+1} for some j ≥ k.
        at = setting_of(delay_steps=0.0)
        law = exponential(0.01, dead_time=dead_time)
        (depth,) = depths_of(attack_of(law, free_blocks=1), at, [1e-3])
        rng = np.random.default_rng(0)
        shape = (50_000, 160)
        public = np.cumsum(dead_time + rng.exponential(100 / 8, shape), axis=1)
        private = np.cumsum(dead_time + rng.exponential(100 / 2, shape), axis=1)
        # Columns: j = 2, 3, ...
        wins = private[:, :-2] <= public[:, 2:]
        last = np.where(wins.any(axis=1), 160 - 1 - wins[:, ::-1].argmax(axis=1), 0)
        simulated = smallest(lambda k: float(np.mean(last >= k)), 1e-3)
        assert simulated - 1 <= depth <= 1.3 * simulated + 2


class TestIntervals:
    def test_it_is_that_of_the_training_error(self):
        found = interval(12.0, [11.0, 12.0, 13.0])
        assert found == law_figure(12.0, [11.0, 12.0, 13.0], "log", "law of all runs")
        assert whole_blocks(found).low == math.floor(found.low)
        assert whole_blocks(found).high == math.ceil(found.high)
        alone = interval(10.0, [])
        assert alone.low == alone.high == 10.0

    def test_infinite_depths_are_allowed(self):
        found = interval(10.0, [9.0] * 10 + [math.inf] * 10)
        assert found.high == math.inf
        assert judge(found, 0, Effort())[0] == "undecided"

    @pytest.mark.parametrize(
        ("depths", "failed", "limit", "verdict"),
        [
            ([10.0] * 5, 0, None, "holds"),
            ([math.inf] * 5, 0, None, "fails"),
            ([10.0, 11.0], 1, None, "undecided"),
            ([10.0, 30.0], 0, 20, "undecided"),
            ([30.0, 32.0, 35.0, 38.0, 40.0], 0, 20, "fails"),
            ([10.0, 10.5, 11.0, 11.5, 12.0], 0, 20, "holds"),
        ],
    )
    def test_verdicts(self, depths, failed, limit, verdict):
        found = interval(depths[0], depths)
        assert judge(found, failed, Effort(limit=limit))[0] == verdict


@cache
def rows(**others) -> dict[tuple[str, bool], Any]:
    rates = np.where(np.arange(40) % 4 < 2, 2.0, 1.0)
    first = np.where(rates == 2.0, spread_runs(0) // 2, spread_runs(0))
    at = setting_of(first, rates, provers=20, s_min=20, **MEASURED)
    effort = Effort(resamples=2, levels=64, replicas=200)
    found = attack_table(
        jax.random.key(0), at, targets=(1e-3, 2.0**-40), effort=effort, **others
    )
    return {(row.attack, row.on): row for row in found}


POLICY = "reference_policy"


class TestTable:
    def test_every_attack_of_the_specification_has_a_row(self):
        names = {name for name, _ in rows()}
        assert names >= {
            "private", "private, pre-mined", "grind_prehash", "grind_posthash",
            "cross_slot_new (mtx)", "cross_slot_new (block)", "cross_slot_old",
            "withheld_mtx", "relabel", "equivocate", "forged_checkpoints", "selfish",
            "best_withholding", "balance",
            "reference_policy (latest_mtx)", "reference_policy (tip_model)",
        }  # fmt: skip
        for row in rows().values():
            assert row.assumptions
            assert row.reason

    def test_a_mitigation_never_lowers_depth_or_quality(self):
        for name in {name for name, on in rows() if on}:
            if name.startswith(POLICY):
                continue  # the rule slows honest provers as well
            off, on = rows()[name, False], rows()[name, True]
            assert on.mitigation == off.mitigation != ""
            for (target, before), (same, after) in zip(
                off.depths, on.depths, strict=False
            ):
                assert target == same
                assert after.value <= before.value, name
            if name == "reset":  # simulated levels have growth and no quality
                assert on.public_rate.value >= off.public_rate.value
                continue
            assert on.quality.value >= off.quality.value - 1e-6, name

    def test_no_attack_is_safer_than_the_private_one(self):
        private = rows()["private", False]
        for (name, on), row in rows().items():
            # Own steps and rarer hashes change the honest law as well.
            if row.depths and name != "balance" and not on | name.startswith(POLICY):
                assert row.depths[0][1].value >= private.depths[0][1].value, name

    def test_depth_grows_as_the_target_falls(self):
        for row in rows().values():
            found = [depth for _, depth in row.depths]
            for shallow, deep in pairwise(found):
                assert deep.value >= shallow.value
            for depth in found:
                assert depth.low <= depth.value <= depth.high

    def test_verdicts_follow_the_rates(self):
        for row in rows().values():
            if row.attacker_rate and row.attack != "relabel":
                outgrown = row.attacker_rate.value >= row.public_rate.value
                if row.depths:
                    assert outgrown == math.isinf(row.depths[0][1].value)
                if row.verdict == "holds":
                    assert not outgrown

    def test_the_threshold_parts_what_fails_from_what_does_not(self):
        for (name, _), row in rows().items():
            beta_star = dict(row.figures).get("beta_star")
            if beta_star is not None and row.attacker_rate:
                outgrown = row.attacker_rate.value >= row.public_rate.value
                assert outgrown == (beta_star <= 0.2), name

    def test_a_policy_of_all_provers_is_faster_and_the_private_race_stays_one(self):
        private = rows()["private", False]
        for policy in ("latest_mtx", "tip_model"):
            row = rows()[f"{POLICY} ({policy})", False]
            assert row.public_rate.value > private.public_rate.value
            assert row.attacker_rate.value > private.attacker_rate.value
            assert row.attacker_rate.value < row.public_rate.value

    def test_good_periods_are_measured_against_what_was_expected(self):
        """The private attack alone changes no rate; a fast attacker does."""
        private = rows()["private", False].good_period
        fast = rows()["surplus_reference", False].good_period
        # Two resamples leave wide intervals; neither holds the other's value.
        assert fast.high < private.value
        assert fast.value < private.low
        assert rows()["relabel", True].good_period.value == private.value

    def test_what_the_rules_leave_open_fails(self):
        assert rows()["surplus_reference", False].verdict == "fails"
        assert rows()["relabel", False].verdict == "fails"
        assert rows()["relabel", False].quality.value == 0.0
        assert rows()["relabel", True].verdict == "holds"
        assert rows()["private", False].verdict == "holds"

    def test_without_measured_models_a_row_is_refused(self):
        at = setting_of(lottery=LOTTERY)
        effort = Effort(resamples=0, replicas=0)
        found = attack_table(jax.random.key(0), at, targets=(0.1,), effort=effort)
        refused = {row.attack for row in found if row.verdict == "refused"}
        assert refused == {
            "cross_slot_new (mtx)", "withheld_mtx", "reference_policy (latest_mtx)",
        }  # fmt: skip
        assert all(row.quality is None for row in found if row.verdict == "refused")

    def test_tidy(self):
        flat = tidy(list(rows().values()))
        assert len(flat) == len(rows())
        private = next(each for each in flat if each["attack"] == "private")
        found = rows()["private", False].depths[0][1]
        assert private["depth_0.001"] == found.value
        assert private["depth_0.001_high"] == found.high
        assert private["depth_9.09e-13"] == rows()["private", False].depths[1][1].value
        grind = next(each for each in flat if each["attack"] == "grind_prehash")
        assert float(str(grind["speed_up"])) > 1

    def test_progress_ends_at_its_total(self):
        told = []
        effort = Effort(resamples=0, replicas=0)
        attack_table(
            jax.random.key(0), setting_of(), targets=(0.1,), effort=effort,
            progress=lambda *at: told.append(at[1:]),
        )  # fmt: skip
        assert told[-1][0] == told[-1][1] == len(told)

    def test_refusals(self):
        with pytest.raises(ValueError, match="targets"):
            attack_table(jax.random.key(0), setting_of(), targets=(2.0,))
        at = setting_of()._replace(curves=curves_of(np.full(40, 99)))
        with pytest.raises(Refused, match="t_acc"):
            attack_table(jax.random.key(0), at)
