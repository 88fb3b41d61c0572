"""The proved bound: its theorem on whole block trees, and a search for what exceeds it.

The trees are those of ``block_tree.py``, which shares nothing with the library.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dpodl.analysis.adversary import one_tree_risks, settled
from dpodl.analysis.adversary.permanence import Settled
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential, geometric
from dpodl.analysis.estimation.estimate import Estimate, Refused

from .block_tree import Conduct, permanent, random_conduct, run, violated
from .laws import weibull

DEPTHS = (1, 2, 3, 4, 6, 8)


def drawn(name: str, generator) -> tuple[BlockTimeLaw, Callable[[], float]]:
    """A law, and draws of it that are not the library's."""
    if name == "rising":
        return weibull(4), lambda: float(generator.weibull(4))
    if name == "dead time":
        law = exponential(1.0, dead_time=0.5)
        return law, lambda: 0.5 + float(generator.exponential())
    if name == "lattice":
        law = geometric(0.2, trial=0.25, dead_time=0.5)
        return law, lambda: 0.5 + 0.25 * float(generator.geometric(0.2))
    return exponential(1.0), lambda: float(generator.exponential())


def searched(name: str, seed: int, conducts: int, *, honest, adversarial, delay):
    """The most of each depth that any conduct had, and the bound on it."""
    generator = np.random.default_rng(seed)
    law, draw = drawn(name, generator)
    at: dict[str, Any] = {
        "honest": honest,
        "adversarial": adversarial,
        "delay_steps": delay,
    }
    bound = settled(seed, law, DEPTHS, replicas=2000, **at)
    most = np.zeros(len(DEPTHS))
    kept = 0
    for _ in range(conducts):
        path = run(
            generator,
            draw,
            honest=honest,
            adversarial=adversarial,
            delay=delay,
            levels=60,
            conduct=random_conduct(generator),
        )
        depths, stays = violated(path), permanent(path, delay)
        for level in range(1, 50):
            # The theorem, on this very path: no permanent level within the depth.
            assert not stays[level : level + depths[level]].any()
        kept += stays[1:50].sum()
        here = [(depths[1:50] >= k).mean() for k in DEPTHS]
        most = np.maximum(most, here)
    assert kept > 0
    return most, bound


@pytest.mark.parametrize("name", ["rising", "dead time", "lattice", "exponential"])
def test_no_conduct_reverts_a_permanent_block_or_exceeds_the_bound(name):
    sizes = [(6, 2, 0.0), (8, 2, 0.05)]
    if name == "lattice":
        sizes = [(7, 1, 0.0), (9, 1, 0.05)]  # more is too near the threshold
    for place, (honest, adversarial, delay) in enumerate(sizes):
        most, bound = searched(
            name, place, 6, honest=honest, adversarial=adversarial, delay=delay
        )
        # 49 levels of a path hang together: 4 standard errors of 10 that do not.
        for share, risk in zip(most, bound.risks, strict=True):
            assert share <= risk.high + 4 * math.sqrt(risk.high / 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rising", "dead time", "exponential"])
def test_many_conducts_stay_below_the_bound(name):
    for seed in (3, 4):
        most, bound = searched(name, seed, 25, honest=6, adversarial=2, delay=0.05)
        assert (most <= [risk.high for risk in bound.risks]).all()


def test_a_patient_private_chain_is_seen_to_revert():
    """The search can find something: it is not blind."""
    generator = np.random.default_rng(2)
    own = Conduct(own=1, lag=0, show=0, tie=1, some=1, late=1, keep=1)
    found = []
    for _ in range(4):
        path = run(
            generator,
            lambda: float(generator.exponential()),
            honest=5,
            adversarial=3,
            delay=0.0,
            levels=60,
            conduct=own,
        )
        found.append((violated(path)[1:50] >= 1).mean())
    assert max(found) > 0.1


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("law", [exponential(1 / 20, dead_time=0.5), weibull(4)])
def test_the_proved_bound_is_above_the_private_chain_and_falls(law, seed):
    at: dict[str, Any] = {"honest": 16, "adversarial": 4, "delay_steps": 0.01}
    bound = settled(seed, law, DEPTHS, replicas=4000, **at)
    private = one_tree_risks(law, DEPTHS, event="private", **at)
    for risk, log in zip(bound.risks, private.logs, strict=True):
        assert risk.high >= math.exp(log)
    values = [risk.value for risk in bound.risks]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.5 * values[0]
    assert bound.left_out < 1e-4
    assert bound.grade == "proved"


def test_the_bound_by_an_array_that_is_drawn_at_once():
    """All roots and levels in one array, nothing dropped, no early end."""
    beta, delay, before, last, after, count = 0.2, 0.1, 40, 8, 40, 6000
    generator = np.random.default_rng(9)
    levels = before + last + after
    level = generator.exponential(1 / (1 - beta), (levels + 1, count)) + delay
    # Of n = 20 provers: 15 others may find a second one within Δ.
    second = generator.exponential(size=(levels + 1, count))
    early = generator.exponential(size=(levels + 1, count))
    rate = delay / 20
    alone = (second > 15 * rate) & (np.roll(early, 1, axis=0) > 16 * rate)
    reach = np.zeros((levels, count), int)
    for root in range(levels):
        lead = np.full(count, delay)
        for at in range(root + 1, min(levels, root + 60) + 1):
            lead += level[at] - generator.exponential(1 / beta, count)
            reach[root][lead >= 0] = at
    covered = np.maximum.accumulate(reach, axis=0)
    inside = np.arange(before + 1, before + last + 1)
    stays = alone[inside] & (covered[inside - 1] < inside[:, None])
    none = np.cumprod(~stays, axis=0).mean(axis=1)
    found = settled(
        4,
        exponential(1 / 20),
        range(1, last + 1),
        honest=16,
        adversarial=4,
        delay_steps=delay,
        replicas=6000,
    )
    for share, risk in zip(none, found.risks, strict=True):
        error = 4 * math.sqrt(2 * share * (1 - share) / count)
        assert share == pytest.approx(risk.value, abs=error)


def test_a_depth_is_shown_only_where_its_whole_interval_is_below():
    risks = tuple(Estimate(x, x / 2, 2 * x, 100, "") for x in (0.1, 0.02, 0.004))
    found = Settled((1, 2, 3), risks, 0.0)
    depth = found.depth(0.02)
    assert depth is not None
    assert depth[:3] == (2, 2, 3)
    assert found.depth(1e-4) is None
    only = found.depth(0.005)
    assert only is not None
    assert math.isinf(only.high)


def test_races_that_the_adversary_wins_or_nearly_are_refused():
    at: dict[str, Any] = {"honest": 10, "adversarial": 10, "delay_steps": 0.0}
    with pytest.raises(Refused, match="nothing is shown of so large a share, E"):
        settled(0, weibull(4), [1], **at)
    at["honest"] = 10.2
    with pytest.raises(Refused, match="trees must be followed for"):
        settled(0, exponential(1.0), [1], **at)
    with pytest.raises(ValueError, match="depths must be ≥ 1 and rising"):
        settled(0, weibull(4), [2, 1], **at)
