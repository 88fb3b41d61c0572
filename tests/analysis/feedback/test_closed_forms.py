"""Closed forms against the reference rows, to their digits."""

import math
import re

import pytest
from dpodl.analysis.feedback import closed_forms
from dpodl.analysis.feedback.rules import LoopRule

from ...reference_rows import rows


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"(?<![A-Za-z])\d+(?:\.\d+)?", text)]


def to_digits(found: float, value: str) -> bool:
    digits = len(value.partition(".")[2])
    return abs(found - float(value)) <= 0.5001 * 10**-digits


@pytest.mark.parametrize("row", rows("epoch_SMA_marginal_mean"))
def test_epoch_means(row):
    blocks = int(numbers(row.parameters)[0])
    assert to_digits(closed_forms.epoch_mean(blocks), row.value.removeprefix("T*"))


def test_bitcoins_interval_is_longer_by_two_blocks():
    found = closed_forms.epoch_mean(2016, measured=2015)
    assert 600 * found == pytest.approx(600 * 2016 / 2014, rel=1e-12)


@pytest.mark.parametrize("row", rows("epoch_SMA_marginal_cv"))
def test_epoch_cvs(row):
    found = closed_forms.epoch_cv(int(numbers(row.parameters)[0]))
    assert to_digits(found, row.value)


@pytest.mark.parametrize("row", rows("epoch_rule_interval_with_dead_time"))
def test_an_epochs_error_shrinks_by_the_fixed_share(row):
    share, epoch = numbers(row.parameters)[-2:]
    # Difficulty doubled: the lottery part is twice 1 − s.
    found = closed_forms.epoch_interval(share, share + 2 * (1 - share), int(epoch))
    assert to_digits(found, row.value)


@pytest.mark.parametrize("row", rows("wtema_target_cv"))
def test_wtema_cvs(row):
    share, blocks = numbers(row.parameters)
    assert to_digits(closed_forms.wtema_target_cv(share, blocks), row.value)


@pytest.mark.parametrize("row", rows("wtema_target_after_n"))
def test_wtema_after_a_step(row):
    share, blocks, provers, after = (
        float(each)
        for each in re.match(
            r"s=([\d.]+),N=(\d+),provers x(\d) at n=0,n=(\d+)", row.parameters
        ).groups()  # pyright: ignore[reportOptionalMemberAccess]
    )
    found = closed_forms.wtema_target_after(share, blocks, provers, int(after))
    assert to_digits(found, row.value)


@pytest.mark.parametrize("row", rows("asert_sd_log_target"))
def test_asert_sds(row):
    share, blocks = numbers(row.parameters)
    value, spread = (float(each) for each in row.value.split(" +- "))
    assert abs(closed_forms.average_sd(share, blocks) - value) < 2.5 * spread


@pytest.mark.parametrize("row", rows("asert_forward_timestamp_gain"))
def test_forward_timestamps_under_asert(row):
    share = numbers(row.parameters)[0]
    saturates = "saturation" in row.parameters
    found, best = closed_forms.forward_gain(share, most=8.0 if saturates else 1e9)
    assert to_digits(found, row.value)
    if not saturates:
        assert best == pytest.approx(numbers(row.parameters)[-1], abs=0.006)


@pytest.mark.parametrize("row", rows("wtema_forward_timestamp_gain"))
def test_forward_timestamps_under_wtema(row):
    share = numbers(row.parameters)[0]
    assert to_digits(closed_forms.forward_gain(share, "wtema")[0], row.value)


@pytest.mark.parametrize("share", [0.25, 0.9])
def test_what_a_block_counts_for(share):
    (row,) = rows("order_of_difficulty_gain")
    assert row.value.startswith("lowering gains up to 1/s; raising gains up to 1/(1-s)")
    gain = closed_forms.selection_gain
    assert gain("number", share, 1e9) == pytest.approx(1 / share, rel=1e-6)
    assert gain("work", share, 1e-9) == pytest.approx(1 / (1 - share), rel=1e-6)
    assert {gain("interval", share, t) for t in (1e-9, 0.3, 1, 7, 1e9)} == {1.0}


def test_selfish_minings_published_lag():
    # 71.3 days for a tenth of the power and γ = .9, at 2016 blocks of 600 s.
    days = closed_forms.profit_lag(0.1, 0.9, 2016) * 600 / 86400
    assert days == pytest.approx(71.3, abs=0.05)
    assert closed_forms.profit_lag(0.1, 0.0, 2016) == float("inf")
    assert closed_forms.profit_lag_of_averages(0.1, 0.0, 2016) == float("inf")


def test_an_averages_lag_is_that_of_its_lost_time():
    """Late by D − 1 at first, ASERT gives N ln D blocks more than it should take.

    Lost for ever is N ln D of T; the pool has R − α a block from then on.
    """
    found = closed_forms.profit_lag_of_averages(0.1, 0.9, 100)
    # A direct fold, block by block, of a chain of mean intervals.
    revenue = 0.10183881952326901
    slower = 0.962 / 0.881
    log_target, time, profit, block = 0.0, 0.0, 0.0, 0
    while block < 3 or profit < 0:
        took = slower * math.exp(-log_target)
        log_target += (took - 1) / 100
        time, profit, block = time + took, profit + revenue - 0.1 * took, block + 1
    assert found == pytest.approx(time, rel=0.01)


@pytest.mark.parametrize("name", ["wtema", "asert", "sma", "lwma"])
def test_slow_waves_are_followed_and_fast_ones_are_left(name):
    rule = LoopRule(name, 50)
    left = [closed_forms.sensitivity(rule, 0.5, p) for p in (2.5, 40, 4000, 40000)]
    assert left[0] == pytest.approx(1.0, abs=0.05)
    assert left[3] < 0.12 * left[2] < 0.12
    # The schedule gives a loop of gain g the answer of one of gain 1.
    if name in ("wtema", "asert"):
        kept = LoopRule(name, 50, schedule=True, share=0.5)
        assert closed_forms.sensitivity(kept, 0.5, 333) == pytest.approx(
            closed_forms.sensitivity(rule, 1.0, 333)
        )


def test_epochs_have_no_transfer_function():
    with pytest.raises(ValueError, match="must not be one of epochs"):
        closed_forms.sensitivity(LoopRule("epoch", 50), 0.5, 100)
