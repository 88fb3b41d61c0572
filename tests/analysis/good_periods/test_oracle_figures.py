"""SLT23's bounds over difficulty thresholds: known answers, and refusals."""

import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.estimation.estimate import Estimate
from dpodl.analysis.good_periods.oracle_figures import BELOW, oracle_figures
from dpodl.models.learning.curves import CurveSet

P = Estimate(0.02, 0.018, 0.022, 1000, "given")


def curves_of(accuracy):
    correct = np.round(np.asarray(accuracy) * 1000).astype(np.int64)
    looks = correct.shape[1]
    return CurveSet(
        (), 10 * np.arange(1, looks + 1), correct, np.zeros(correct.shape), 1000, 1000
    )


def figures(accuracy, rate=1e-9, delay_steps=0, t_acc=0.9):
    return oracle_figures(
        1,
        curves_of(accuracy),
        exponential(rate),
        t_acc=t_acc,
        p_2=0.5,
        honest=2,
        delay_steps=delay_steps,
        p=P,
    )


# Twenty equal runs: two looks below everything, one in reach of T_acc, two above it.
STEPS = np.tile([0.2, 0.5, 0.86, 0.93, 0.95], (20, 1))


def test_each_difficulty_has_its_own_bound():
    measured, refusals = figures(STEPS)
    assert refusals == []
    found = {m.place: m.estimate.value for m in measured}
    assert found["f_2", None] == pytest.approx(0.75)
    assert found["p", None] == P.value
    places = [round(0.9 - below, 12) for below in BELOW]
    assert [at for name, at in found if name == "f_1"] == places
    # Pairs (.86, .93) and (.93, .95) lie behind .8 and .85; only the last behind .9.
    for at, past, early in ((0.8, 0.5, 0.0), (0.85, 0.5, 0.0), (0.9, 0.25, 1 / 3)):
        assert found["f_1", at] == pytest.approx(1)
        assert found["past_difficulty", at] == pytest.approx(past)
        assert found["early_success", at] == pytest.approx(early)
        assert found["p_lower", at] == pytest.approx(0.375)


def test_looks_that_nobody_comes_to_do_not_count_unless_the_delay_lets_them():
    fast, _ = figures(STEPS, rate=0.1)
    late, _ = figures(STEPS, rate=0.1, delay_steps=1000)
    slow, _ = figures(STEPS)
    shares = [
        next(m.estimate.value for m in each if m.place == ("past_difficulty", 0.85))
        for each in (fast, late, slow)
    ]
    assert shares[0] < 0.2
    assert shares[1] == pytest.approx(shares[2]) == pytest.approx(0.5)


def test_a_difficulty_that_is_refused_leaves_the_others():
    # All runs end right at T_acc: nobody is there before the last look.
    jump = np.tile([0.2, 0.82, 0.82, 0.82, 0.9], (20, 1))
    measured, refusals = figures(jump)
    assert {m.at for m in measured if m.quantity == "f_1"} == {0.8}
    assert len(refusals) == 3
    assert all("no run is at d_acc" in text for text in refusals)


def test_a_low_accuracy_has_no_difficulty_below_zero():
    measured, _ = figures(STEPS, t_acc=0.04)
    assert all(m.at is None or m.at > 0 for m in measured)
