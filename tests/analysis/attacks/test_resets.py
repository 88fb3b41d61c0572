"""Rows of the reset attack: growth by the simulated levels, with and without ties."""

import pytest
from dpodl.analysis.adversary.reset import Reset, reset_growth
from dpodl.analysis.attacks.resets import reset_rows
from dpodl.analysis.attacks.situation import plain, resampled
from dpodl.analysis.estimation.training_error import UNKNOWN

from ..attack_settings import setting_of


def test_ties_that_are_adopted_cost_growth_and_the_first_seen_none():
    at = setting_of(provers=20, beta=0.25)
    others = [resampled(at, seed) for seed in range(6)]
    off, on = reset_rows(1, at, others, UNKNOWN)
    assert (off.on, on.on) == (False, True)
    assert on.verdict == "holds"
    assert dict(on.figures)["growth"] == 1.0
    growth, kept = dict(off.figures)["growth"], dict(off.figures)["kept_until"]
    again = reset_growth(
        9, plain(at).law, Reset(kept_until=kept), honest=15, adversarial=5
    )
    assert growth == pytest.approx(again.value, rel=0.05)
    assert off.public_rate is not None
    assert on.public_rate is not None
    assert off.public_rate.value == pytest.approx(growth * on.public_rate.value)
    assert (off.verdict == "fails") is (off.public_rate.high < on.public_rate.value)
