"""Shares by tier: roots of risks known another way, their order, what has none."""

import math
from typing import Any

import numpy as np
import pytest
from dpodl.analysis.adversary import (
    NO_BOUND,
    one_tree_risks,
    tier_risks,
    tier_shares,
)
from dpodl.analysis.adversary.one_tree import Event, one_tree_depth, one_tree_threshold
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.estimation.training_error import UNKNOWN

from .laws import weibull

DEAD = exponential(0.05, dead_time=5.0)
NET: dict[str, Any] = {"provers": 20, "delay_steps": 0.002}


def _memoryless(beta: float, depth: int, *, more: int) -> float:
    """Pr[L + G_1 + ... + G_k + M ≥ k + more], no delay, in blocks: L the lead at the
    public block before, G between two public blocks, M all that is gained later."""
    ratio, many = beta / (1 - beta), np.arange(200)
    lead = (1 - ratio) * ratio ** (many + 1)
    lead[0] = 1 - ratio**2
    total = np.convolve(lead, (1 - ratio) * ratio**many)[:200]
    for _ in range(depth):
        total = np.convolve(total, (1 - beta) * beta**many)[:200]
    return 1 - total[: depth + more].sum()


@pytest.mark.parametrize("beta", [0.1, 0.25])
@pytest.mark.parametrize(("event", "more"), [("private", 1), ("tie", 0)])
def test_an_attacks_risk_is_that_of_blocks_counted(event, more, beta):
    at: dict[str, Any] = {"honest": 20 * (1 - beta), "adversarial": 20 * beta}
    depths = [1, 2, 5, 12]
    found = one_tree_risks(
        exponential(0.05), depths, event=event, delay_steps=0.0, **at
    )
    exact = [_memoryless(beta, k, more=more) for k in depths]
    assert np.exp(found.logs) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("event", ["private", "tie"])
def test_an_attacks_risk_is_that_of_levels_drawn(event):
    honest, bad, delay, depth, levels = 15, 5, 0.05, 3, 400_000
    law = weibull(4)
    generator = np.random.default_rng(5)
    draws = -np.log(generator.random((2, levels)))
    interval = (draws[0] / honest) ** 0.25 + delay
    own = (draws[1] / bad) ** 0.25
    walk = np.concatenate([[0.0], np.cumsum(interval - own)])
    # The best root so far, and the best level from here on, at every level.
    root = walk - np.minimum.accumulate(walk)
    shown = walk + (np.append(interval, 0.0) if event == "tie" else 0.0)
    ahead = np.maximum.accumulate(shown[::-1])[::-1]
    n = depth + (event == "private")
    hits = (root[:-n] + ahead[n:] - walk[:-n] >= -delay)[1000:-1000]
    found = one_tree_risks(
        law, [depth], event=event, honest=honest, adversarial=bad, delay_steps=delay
    )
    # Neighbouring levels go together: the spread is that of a hundred stretches.
    parts = [each.mean() for each in np.array_split(hits, 100)]
    assert math.exp(found.logs[0]) == pytest.approx(
        hits.mean(), abs=4 * float(np.std(parts)) / 10
    )


def test_a_root_is_found_from_either_side():
    law, at = DEAD, {"depth": 10, "target": 1e-2, "event": "any", **NET}
    ends = [one_tree_threshold(law=law, near=near, **at) for near in (0.02, 0.4)]
    assert ends[0] == pytest.approx(ends[1], abs=2e-4)
    honest, bad = 20 * (1 - ends[0]), 20 * ends[0]
    risk = one_tree_risks(
        law, [10], event="any", honest=honest, adversarial=bad, delay_steps=0.002
    )
    assert math.exp(risk.logs[0]) == pytest.approx(1e-2, rel=5e-3)


def test_shares_and_depths_are_of_one_criterion_and_in_order():
    others = tuple(exponential(0.05, dead_time=time) for time in (4.5, 5.5))
    law = UncertainLaw(DEAD, resamples=others)
    found = tier_shares(law, [12], target=1e-2, basis=UNKNOWN, **NET)
    assert [each.grade for each in found] == [
        *("attack", "proved"),
        *("attack", "conditional"),
    ]
    betas = [each.beta for each in found]
    assert all(
        each is not None and each.low <= each.value <= each.high for each in betas
    )
    ever, nobody, attack, bound = (each.value for each in betas if each is not None)
    assert bound < attack < ever
    assert bound < nobody <= ever + 1e-9
    both: tuple[tuple[Event, float], ...] = (("private", attack), ("any", bound))
    for event, beta in both:
        for more, deep in ((-2e-3, 12), (2e-3, 13)):
            share = beta + more
            at: dict[str, Any] = {"honest": 20 * (1 - share)}
            at["adversarial"] = 20 * share
            depth = one_tree_depth(1e-2, law.law, event=event, delay_steps=0.002, **at)
            assert depth == deep if more > 0 else depth <= deep


def test_ties_that_are_adopted_lower_the_attack_and_leave_no_bound():
    law = UncertainLaw(exponential(1 / 20))
    kept, coin, adopted = (
        tier_shares(law, [8], target=1e-2, basis=UNKNOWN, ties=ties, **NET)
        for ties in ("first_seen", "random", "adversary")
    )
    values = [each[2].beta for each in (kept, coin, adopted)]
    one, two, three = (each.value for each in values if each is not None)
    assert one == two > three
    for each in (*coin[1::2], *adopted[1::2]):
        assert (each.grade, each.beta, each.reason) == ("none", None, NO_BOUND)


def test_shares_that_do_not_exist_are_refused():
    crowded: dict[str, Any] = {"provers": 20, "delay_steps": 4.0}
    law = UncertainLaw(exponential(1 / 20))
    found = tier_shares(law, [2], target=1e-6, basis=UNKNOWN, **crowded)
    assert found[3].beta is None
    assert found[3].reason
    with pytest.raises(Refused, match="the risk of a share of"):
        one_tree_threshold(1e-9, 1, law.law, event="private", **NET)
    with pytest.raises(ValueError, match="target must lie in"):
        one_tree_threshold(1.5, 1, law.law, event="private", **NET)


def test_risks_of_tiers_are_in_order_and_fall():
    law = UncertainLaw(DEAD, resamples=(DEAD, DEAD))
    at: dict[str, Any] = {"honest": 15, "adversarial": 5, "delay_steps": 0.02}
    found = tier_risks(law, [2, 6, 12], basis=UNKNOWN, **at)
    grades = ("attack", "conditional", "proved")
    curves = [[e.risk.value for e in found if e.risk and e.grade == g] for g in grades]
    for curve in curves:
        assert len(curve) == 3
        assert curve[0] > curve[1] > curve[2] > 0
    # The bound is of the same event at one block less, which only a delay lengthens.
    assert all(a < b for a, b in zip(curves[0], curves[1], strict=True))
    assert all(a < b for a, b in zip(curves[0], curves[2], strict=True))
    logs = one_tree_risks(DEAD, [2, 6, 12], event="private", **at).logs
    assert curves[0] == pytest.approx(np.exp(logs))
    tied = tier_risks(law, [2], basis=UNKNOWN, ties="random", **at)
    assert [e.grade for e in tied] == ["attack", "none"]
    assert tied[1].reason == NO_BOUND
    late = tier_risks(law, [2], basis=UNKNOWN, **{**at, "delay_steps": 40.0})
    assert late[1].risk is None
    assert late[1].reason
