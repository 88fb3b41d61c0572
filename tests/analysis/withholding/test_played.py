"""A policy on a network: the replay without delay, sense and refusals with it."""

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.event_network import withholder
from dpodl.analysis.withholding.best import best_policy
from dpodl.analysis.withholding.played import simulate_policy
from dpodl.analysis.withholding.replay import replayed_share

from .shapes import weibull

LAW = weibull(4)
SIZES = {"levels": 96, "replicas": 256}


def policy(gamma: float):
    return best_policy(
        LAW,
        honest=13,
        own=7,
        gamma=gamma,
        depth=5,
        cells=24,
        worth=1.0,
        prize=np.zeros(6),
    )[1]


@pytest.fixture(scope="module")
def withheld():
    return {gamma: policy(gamma) for gamma in (0.0, 0.5)}


def share(found):
    each = found.own.mean(axis=1)
    return each.mean(), each.std() / len(each) ** 0.5


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_without_delay_it_is_the_replay(withheld, gamma):
    found = simulate_policy(
        jax.random.key(3), withheld[gamma], LAW, delay_steps=0.0, **SIZES
    )
    value, error = share(found)
    exact = replayed_share(
        jax.random.key(4), withheld[gamma], LAW, steps=2048, replicas=512
    )
    assert abs(value - exact.value) < 3 * error + (exact.high - exact.low)
    assert value > 0.37  # seven of twenty that play by the rules have .35
    # Blocks are in order, and each settled one was public before the next.
    assert (np.diff(found.settled, axis=1) >= -1e-9).all()
    assert found.reverted.max() <= 5


def test_a_delay_leaves_forks_of_honest_blocks(withheld):
    late = simulate_policy(
        jax.random.key(3), withheld[0.0], LAW, delay_steps=60.0, **SIZES
    )
    plain = simulate_policy(
        jax.random.key(3), withheld[0.0], LAW, delay_steps=0.0, **SIZES
    )
    assert late.found.sum() > plain.found.sum() + 100
    assert late.reached[:, -1].mean() > plain.reached[:, -1].mean()


def test_what_is_no_network_is_refused(withheld, monkeypatch):
    game = withheld[0.0]
    with pytest.raises(ValueError, match="delay_steps must be ≥ 0"):
        simulate_policy(jax.random.key(0), game, LAW, delay_steps=-1.0, **SIZES)
    parts = game._replace(honest=2.5)
    with pytest.raises(ValueError, match="whole honest provers"):
        simulate_policy(jax.random.key(0), parts, LAW, delay_steps=0.0, **SIZES)
    ends = exponential(0.05)._replace(tail_hazard=0.0)
    short = ends._replace(cumulative_hazard=np.linspace(0, 0.01, 8192))
    with pytest.raises(Refused, match="withholding on a network: some block never"):
        simulate_policy(jax.random.key(0), game, short, delay_steps=0.0, **SIZES)
    with pytest.raises(Refused, match="withholding on a network: more than 64 honest"):
        simulate_policy(jax.random.key(0), game, LAW, delay_steps=1e6, **SIZES)
    monkeypatch.setattr(withholder, "follow", lambda *_, **__: None)
    monkeypatch.setattr(withholder, "_MOST", 1)
    with pytest.raises(Refused, match="withholding on a network: provers agree on few"):
        simulate_policy(jax.random.key(0), game, LAW, delay_steps=0.0, **SIZES)
