"""Guo–Ren brackets against published numbers, direct enumeration and limits."""

from math import comb, exp

import numpy as np
import pytest
from dpodl.analysis.bounds import races
from dpodl.analysis.bounds.latency import (
    Bracket,
    guo_ren,
    guo_ren_exponential,
    safe_depth,
)
from dpodl.analysis.estimation.estimate import Refused

BITCOIN = 10 / 600  # λΔ: ten seconds, ten minutes


def test_bitcoin_anchor():
    # [GR22]: between .106933 % and .352563 %.
    bracket = guo_ren(0.1, 6, x=BITCOIN)
    assert bracket.lower == pytest.approx(0.00106933, abs=5e-9)
    assert bracket.upper == pytest.approx(0.00352563, abs=5e-9)


def _by_definition(q, depth, x):
    """The upper bound's race, lead by lead and block by block."""
    rigged = 1 - (1 - q) * exp(-x)
    ruin = rigged / (1 - rigged)
    total = ruin**depth
    for lead in range(depth):
        blocks = 2 * depth - lead
        for mined in range(blocks + 1):
            chance = (
                comb(blocks, mined) * rigged**mined * (1 - rigged) ** (blocks - mined)
            )
            climb = max(2 * (depth - lead - mined) - 1, 0)
            total += ruin**lead * (1 - ruin) * chance * ruin**climb
    return total


@pytest.mark.parametrize(
    ("q", "depth", "x"),
    [(0.1, 6, BITCOIN), (0.3, 3, 0.1), (0.02, 12, 0.3), (0, 4, 0.2)],
)
def test_upper_bound_is_the_enumerated_race(q, depth, x):
    upper = guo_ren(q, depth, x=x).upper
    assert upper == pytest.approx(_by_definition(q, depth, x), rel=1e-12)


def test_lower_bound_is_the_race_without_delay():
    for depth in (1, 6, 40):
        lower = guo_ren(0.2, depth, x=0.3).lower
        assert lower == races.premined_race(0.2, depth)


@pytest.mark.parametrize("bound", [guo_ren, guo_ren_exponential])
def test_brackets_are_ordered_and_monotone(bound):
    grid = [bound(q, 8, x=BITCOIN) for q in (0.0, 0.05, 0.2, 0.3, 0.45, 0.7)]
    assert all(b.lower <= b.upper <= 1 for b in grid)
    assert np.all(np.diff([b.upper for b in grid]) >= 0)
    assert np.all(np.diff([b.lower for b in grid]) >= 0)
    delays = [bound(0.1, 8, x=x).upper for x in (0, 0.01, 0.1, 0.5, 1.0)]
    assert np.all(np.diff(delays) >= 0)
    assert delays[0] < delays[1] < delays[2]
    depths = [bound(0.1, k, x=BITCOIN).upper for k in range(3, 40)]
    assert np.all(np.diff(depths) < 0)


def test_the_closed_form_contains_the_finer_bracket():
    for q in (0.05, 0.2, 0.35):
        for depth in (1, 2, 6, 30):
            wide = guo_ren_exponential(q, depth, x=BITCOIN)
            fine = guo_ren(q, depth, x=BITCOIN)
            assert wide.lower <= fine.lower <= fine.upper <= wide.upper


def test_the_closed_form_is_the_printed_one():
    p = 0.8 * exp(-0.05)
    bracket = guo_ren_exponential(0.2, 20, x=0.05)
    printed = 2 * (1 + np.sqrt(p / (1 - p))) * (4 * p * (1 - p)) ** 20
    assert bracket.upper == pytest.approx(printed, rel=1e-12)
    race = races.private_race(0.2, 20)
    assert 0.5 * race < bracket.lower < race


def test_deep_tails_keep_their_digits():
    # The decay in depth is that of 4p̃(1−p̃) all the way down.
    fair = 0.9 * exp(-BITCOIN)
    at = [guo_ren(0.1, k, x=BITCOIN).upper for k in (400, 401)]
    assert 0 < at[0] < 2**-128
    assert at[1] / at[0] == pytest.approx(4 * fair * (1 - fair), rel=1e-2)


def test_without_adversary_and_delay_nothing_can_go_wrong():
    assert guo_ren(0, 3, x=0) == Bracket(0.0, 0.0)
    assert guo_ren_exponential(0, 3, x=0) == Bracket(0.0, 0.0)


def test_a_majority_after_rigging_has_no_bound():
    assert guo_ren(0.3, 10, x=0.5).upper == 1
    assert guo_ren(0.3, 10, x=0.5).lower < 1
    assert guo_ren(0.5, 10, x=0) == Bracket(1.0, 1.0)
    assert guo_ren_exponential(0.5, 10, x=0) == Bracket(1.0, 1.0)


def test_safe_depth_is_the_first_that_is_safe():
    for target in (1e-3, 1e-9, 2**-40, 2**-128):
        depth = safe_depth(target, 0.1, x=BITCOIN)
        assert guo_ren(0.1, depth, x=BITCOIN).upper <= target
        assert guo_ren(0.1, depth - 1, x=BITCOIN).upper > target
    assert safe_depth(0.9, 0.01, x=0) == 1
    assert safe_depth(1e-6, 0.1, x=BITCOIN, bound=guo_ren_exponential) > safe_depth(
        1e-6, 0.1, x=BITCOIN
    )


@pytest.mark.parametrize("over", [0, 1, 7])
def test_safe_depth_tries_every_depth_that_it_may(over):
    """Its largest depth need not be a power of two."""
    depth = safe_depth(2**-40, 0.1, x=BITCOIN)
    assert depth & (depth - 1)
    assert safe_depth(2**-40, 0.1, x=BITCOIN, most=depth + over) == depth
    with pytest.raises(Refused, match=f"no depth up to {depth - 1} "):
        safe_depth(2**-40, 0.1, x=BITCOIN, most=depth - 1)


def test_safe_depth_refuses_what_no_depth_can_do():
    with pytest.raises(Refused, match=r"no depth up to 100 .* q = 0\.4 and x = 1"):
        safe_depth(1e-3, 0.4, x=1.0, most=100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: guo_ren(-0.1, 6, x=0), r"^q must lie in \[0, 1\], got -0.1$"),
        (lambda: guo_ren(0.1, 0, x=0), r"^depth must lie in \{1, 2, \.\.\.\}, got 0$"),
        (lambda: guo_ren(0.1, 6, x=-1), r"^x must lie in \[0, ∞\), got -1$"),
        (lambda: guo_ren_exponential(2, 6, x=0), r"^q must .*, got 2$"),
        (lambda: guo_ren_exponential(0.1, 6, x=float("nan")), r"^x must .*, got nan$"),
        (lambda: safe_depth(1.0, 0.1, x=0), r"^target must .*\(0, 1\), got 1.0$"),
    ],
)
def test_refusals_name_field_range_and_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()
