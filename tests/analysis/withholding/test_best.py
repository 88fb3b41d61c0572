"""Best withholding: known optima, a second replay, ends on the right sides."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest
from dpodl.analysis.attacks.optimal_selfish import truncated_selfish_revenue
from dpodl.analysis.attacks.sm1 import sm1_revenue
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.withholding import best as withholding
from dpodl.analysis.withholding.best import (
    best_withholding,
    withholding_upper_end,
)
from dpodl.analysis.withholding.policy import (
    OVERRIDE,
    WAIT,
    Policy,
    from_arrays,
    to_arrays,
)
from dpodl.analysis.withholding.replay import replayed_share

from .shapes import weibull

MEMORYLESS = exponential(1e-3)
WEIBULL = weibull(4)


@pytest.fixture(scope="module")
def rising():
    """Weibull 4, 13 honest and 7 corrupted provers."""
    return best_withholding(
        jax.random.key(3), WEIBULL, honest=13, own=7, steps=2048, replicas=2048
    )


@pytest.mark.parametrize(
    ("honest", "own", "optimum"), [(2, 1, 0.33705), (13, 7, 0.37077), (5, 3, 0.42600)]
)
def test_memoryless_optimum(honest, own, optimum):
    found = best_withholding(
        jax.random.key(1),
        MEMORYLESS,
        honest=honest,
        own=own,
        depth=30,
        cells=2,
        steps=1024,
        replicas=512,
    )
    known = truncated_selfish_revenue(own / (honest + own), 0.0, most_blocks=30)
    assert found.on_grid == pytest.approx(known, abs=2e-5)
    assert found.on_grid == pytest.approx(optimum, abs=1e-3)
    assert found.revenue.low - 2e-3 < optimum < found.revenue.high + 2e-3
    upper = withholding_upper_end(MEMORYLESS, honest=honest, own=own, depth=30, cells=2)
    # Where ages tell nothing the two ends meet.
    assert upper == pytest.approx(known, abs=5e-5)
    assert upper > known


def test_matches():
    for gamma, known in ((1.0, 7 / 13), (0.5, None)):
        known = known or truncated_selfish_revenue(0.35, gamma, most_blocks=20)
        found = best_withholding(
            jax.random.key(2),
            MEMORYLESS,
            honest=13,
            own=7,
            gamma=gamma,
            depth=20,
            cells=2,
            steps=2048,
            replicas=512,
        )
        assert found.on_grid == pytest.approx(known, abs=1e-4)
        assert found.revenue.low < known < found.revenue.high
        assert found.policy.match.any()


def test_nobody_corrupted():
    found = best_withholding(
        jax.random.key(1), MEMORYLESS, honest=2, own=0, depth=30, cells=2
    )
    assert found.on_grid == found.revenue.value == found.revenue.high == 0
    assert withholding_upper_end(MEMORYLESS, honest=2, own=0) == 0


def test_rising_hazard_is_stronger_than_memoryless(rising):
    # Another program's policies earned .4037 (docs/science/adversary.md).
    assert rising.revenue.high > 0.4037
    assert rising.revenue.low > 0.3708
    assert rising.on_grid == pytest.approx(rising.revenue.value, abs=2.5e-3)
    named = sm1_revenue(
        jax.random.key(0),
        WEIBULL,
        provers=20,
        beta=0.35,
        gamma=0.0,
        events=1024,
        replicas=256,
    )
    assert named.high < 0.35 < rising.revenue.low


def test_upper_end_of_a_rising_hazard(rising):
    upper = withholding_upper_end(WEIBULL, honest=13, own=7, cells=40, depth=5)
    assert rising.revenue.high < upper < 7 / 13


def test_dead_time_and_lottery_is_weaker_than_memoryless():
    law = exponential(1e-3, dead_time=1000)
    found = best_withholding(
        jax.random.key(5), law, honest=13, own=7, steps=2048, replicas=2048
    )
    assert found.revenue.high > 0.35
    assert found.revenue.high < 0.3708


def test_another_program_replays_the_saved_policy(rising, tmp_path):
    arrays = to_arrays(rising.policy)
    np.savez(tmp_path / "policy.npz", **arrays)  # pyright: ignore[reportArgumentType]
    with np.load(tmp_path / "policy.npz") as arrays:
        own, others = _played(dict(arrays), 40_000, np.random.default_rng(8))
    share = own.sum() / (own + others).sum()
    residual = own - share * (own + others)
    error = residual.std() / (np.sqrt(len(own)) * (own + others).mean())
    assert share == pytest.approx(rising.revenue.value, abs=4 * error + 1.5e-3)
    assert error < 5e-3


def _played(saved, events, generator, batches=40):
    """Weibull 4 event by event and cell by cell, from the arrays' description alone."""
    edges, actions, match = saved["edges"], saved["actions"], saved["match"]
    width, last = edges[1], len(edges) - 1
    n = {"honest": float(saved["honest"]), "own": float(saved["own"])}
    settled = np.zeros((2, batches))

    def fresh(who):
        return 1000 * (generator.exponential() / n[who]) ** 0.25

    def cell(age):
        return min(int(age / width + 1e-9), last)

    a = h = split = 0
    x = y = 0.0
    left = {"honest": fresh("honest"), "own": fresh("own")}
    done = 0
    while done < events:
        batch = done * batches // events
        code = actions[split, a, h, cell(x), cell(y)]
        if code == 1:
            settled[1, batch] += h
            a, h, split, y = 0, 0, 0, 0.0
            left["own"] = fresh("own")
        elif code != WAIT:
            j = int(code) - OVERRIDE
            assert h < j <= a
            settled[0, batch] += j
            a, h, split, x = a - j, 0, 0, 0.0
            left["honest"] = fresh("honest")
        else:
            crossing = [
                edges[cell(age) + 1] - age if cell(age) < last else np.inf
                for age in (x, y)
            ]
            passed = min(left["own"], left["honest"], *crossing)
            x, y = x + passed, y + passed
            for who in left:
                left[who] -= passed
            if left["own"] <= 0:
                a, y, done = a + 1, 0.0, done + 1
                left["own"] = fresh("own")
            elif left["honest"] <= 0:
                h, x, done = h + 1, 0.0, done + 1
                left["honest"] = fresh("honest")
                split = int(match[a, h, cell(y)])
    return settled


def test_policy_survives_saving(rising):
    again = from_arrays(to_arrays(rising.policy))
    for one, other in zip(again, rising.policy, strict=True):
        assert np.array_equal(one, other)
    # In the fresh state there is nothing to do; whoever is behind gives in at once.
    assert (again.actions[0, 0, 0] == WAIT).all()
    assert again.actions[0, 0, 1, 0, 0] == 1


def test_policies_that_are_none(rising):
    arrays = to_arrays(rising.policy)
    with pytest.raises(ValueError, match=r"needs edges, which are missing"):
        from_arrays({k: v for k, v in arrays.items() if k != "edges"})
    with pytest.raises(ValueError, match=r"actions are \[fork, a, h, x, y\]"):
        from_arrays(arrays | {"match": arrays["match"][..., 1:]})
    wrong = arrays["actions"].copy()
    wrong[0, 0, 0, 0, 0] = 3
    with pytest.raises(ValueError, match=r"got 1 other actions"):
        from_arrays(arrays | {"actions": wrong})


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"honest": 0}, "honest must be > 0"),
        ({"own": 14}, "own must be in"),
        ({"gamma": 2.0}, "gamma must be in"),
        ({"depth": 1}, "depth must be ≥ 2"),
        ({"cells": 1}, "cells must be ≥ 2"),
    ],
)
def test_arguments(bad, words):
    arguments = {"honest": 13, "own": 7} | bad
    with pytest.raises(ValueError, match=words):
        withholding_upper_end(MEMORYLESS, **arguments)
    with pytest.raises(ValueError, match=words):
        best_withholding(jax.random.key(0), MEMORYLESS, **arguments)


def test_laws_that_may_never_end(rising):
    knots = np.minimum(np.linspace(0, 10, 8192), 2.0)
    law = BlockTimeLaw(knots, 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="ages: the law leaves mass that never ends"):
        withholding_upper_end(law, honest=2, own=1)
    policy: Policy = rising.policy
    never = BlockTimeLaw(knots / 1e3, 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="withholding: some block never came"):
        replayed_share(jax.random.key(0), policy, never, steps=16, replicas=64)
    with pytest.raises(ValueError, match="steps must be ≥ 8"):
        replayed_share(jax.random.key(0), policy, WEIBULL, steps=4)


def test_a_price_that_does_not_settle(monkeypatch):
    moving = SimpleNamespace(price=0.4, steps=0.01, sweeps=400, values=np.zeros(1))
    monkeypatch.setattr(withholding, "solved", lambda *_, **__: moving)
    with pytest.raises(Refused, match="the price has not settled after 400 sweeps"):
        best_withholding(jax.random.key(0), MEMORYLESS, honest=2, own=1)
