"""Growth under resets: the reference's rows, the closed forms, other laws."""

import math
from typing import Any

import numpy as np
import pytest
from dpodl.analysis.adversary import Reset, closed_growth, reset_growth
from dpodl.analysis.adversary.clocks import draws_of
from dpodl.analysis.adversary.reset import Rule, Siblings, best_keeping
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential
from dpodl.analysis.estimation.estimate import Refused

from .laws import number, rows

N = 20
# What a row of the reference says of the siblings.
KINDS: tuple[tuple[str, Siblings, bool, Rule], ...] = (
    ("IDEAL siblings", "ideal", False, "adopted"),
    ("siblings that need S0", "trained", False, "adopted"),
    ("the same siblings, each kept", "trained", True, "adopted"),
    ("ideal siblings, each kept", "ideal", True, "adopted"),
    ("weight rule", "ideal", False, "heavier"),
)


def reset_of(parameters: str, dead_time: float) -> Reset:
    for text, siblings, kept, rule in KINDS:
        if text in parameters:
            return Reset(siblings, dead_time if kept else 0.0, rule)
    raise AssertionError(parameters)


def slow_start() -> BlockTimeLaw:
    """A hazard of .2 up to .5, then 3."""
    hazards = np.where(np.arange(8191) < 512, 0.2, 3.0)
    knots = np.concatenate([[0.0], np.cumsum(hazards)]) / 1024
    return BlockTimeLaw(knots, 1 / 1024, 3.0, 0.0, False)


@pytest.mark.parametrize("seed", [1, 2])
def test_growth_is_that_of_every_row_of_the_reference(seed):
    table = rows("growth_under_reset_attack")
    assert len(table) == 11
    for _, row in table.iterrows():
        beta = number(row.parameters, "beta")
        dead_time = number(row.parameters, "lambda*S0")
        reset = reset_of(row.parameters, dead_time)
        found = reset_growth(
            seed,
            exponential(1 / N, dead_time=dead_time),
            reset,
            honest=N * (1 - beta),
            adversarial=N * beta,
            levels=30_000,
        )
        # The row's last digit, and our own error twice over.
        half = (found.high - found.low) / 2
        assert found.value == pytest.approx(float(row.value), abs=2 * half + 1e-3)
        try:
            closed = closed_growth(
                reset, dead_time=dead_time, honest_rate=1 - beta, sibling_rate=beta
            )
        except ValueError:
            continue
        assert closed == pytest.approx(float(row.value), rel=0.01)
        assert found.value == pytest.approx(closed, rel=0.01 + 1.5 * half / closed)


@pytest.mark.parametrize("rule", ["sticky", "progress"])
def test_the_mitigations_leave_the_growth_as_it_is(rule):
    law = exponential(1 / N, dead_time=2.7)
    found = reset_growth(1, law, Reset(rule=rule), honest=15, adversarial=5)
    assert found[:3] == (1.0, 1.0, 1.0)
    assert reset_growth(1, law, Reset(), honest=15, adversarial=0).value == 1.0


def test_memoryless_provers_lose_nothing():
    found = reset_growth(
        3, exponential(1 / N), Reset("ideal"), honest=15, adversarial=5
    )
    assert found.low <= 1 <= found.high
    closed = closed_growth(
        Reset("ideal"), dead_time=0, honest_rate=0.75, sibling_rate=0.25
    )
    assert closed == pytest.approx(1.0)


def test_another_law_machine_by_machine():
    """A slow start: honest machines one by one, siblings by thinning."""
    generator = np.random.default_rng(7)
    law, honest, adversarial = slow_start(), 6, 3
    times, free = [], []
    for _ in range(2000):
        begin, time = 0.0, 0.0
        fresh = draws_of(law, generator.exponential(size=honest)).min()
        free.append(fresh)
        end = fresh
        while True:
            # Hazards are 3 at most.
            time += generator.exponential() / (3 * adversarial)
            if time >= end:
                break
            rate = 0.2 if time < 0.5 else 3.0
            if generator.random() < rate / 3:
                begin = time
                end = begin + draws_of(law, generator.exponential(size=honest)).min()
        times.append(end)
    growth = np.mean(free) / np.mean(times)
    found = reset_growth(5, law, Reset(), honest=honest, adversarial=adversarial)
    errors = [np.std(x) / np.mean(x) / math.sqrt(2000) for x in (times, free)]
    assert found.value == pytest.approx(
        growth, abs=float(4 * growth * math.hypot(*errors))
    )
    assert found.high < 0.95


def test_keeping_siblings_is_chosen_where_it_slows_the_chain_most():
    law = exponential(1 / N, dead_time=2.7)
    at: dict[str, Any] = {"honest": 15, "adversarial": 5, "levels": 10_000}
    best, growth = best_keeping(1, law, Reset(), **at)
    assert best.kept_until == pytest.approx(2.7, abs=0.15)
    assert growth.high < reset_growth(2, law, Reset(), **at).low


def test_chains_that_stop_and_siblings_without_a_rate_are_refused():
    at: dict[str, Any] = {"honest": 15, "adversarial": 5, "levels": 200}
    with pytest.raises(Refused, match="of the levels have not ended after"):
        reset_growth(
            1, exponential(1 / N, dead_time=5.0), Reset("ideal", kept_until=5.0), **at
        )
    closed = closed_growth(
        Reset("ideal", 5.0), dead_time=5.0, honest_rate=0.75, sibling_rate=0.25
    )
    assert closed == 0.0
    knots = np.minimum(np.arange(8192) / 100.0, 0.1)
    stops = BlockTimeLaw(knots, 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="may never find a block even without siblings"):
        reset_growth(1, stops, Reset(), **at)
    ends = BlockTimeLaw(np.arange(8192) / 50.0, 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="ideal siblings come at the rate"):
        reset_growth(1, ends, Reset("ideal"), **at)
    with pytest.raises(ValueError, match="reset must be adopted at once"):
        closed_growth(Reset("trained", 1.0), dead_time=5, honest_rate=1, sibling_rate=1)
