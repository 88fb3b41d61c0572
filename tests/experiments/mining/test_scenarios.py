"""Scenarios mined for real, beside what their laws say of the network."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.law import survival
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.mining import miner, reality
from dpodl.experiments.pipeline import training
from dpodl.experiments.world.situation import NO_STARTS, world_law
from dpodl.experiments.world.translation import costs_of

pytestmark = pytest.mark.slow
RUNS, BLOCKS = 120, 80
SMALL = (
    "data.examples=1500",
    "training.eval_samples=300",
    "training.horizon_steps=400",
    "protocol.abandon_steps=400",
    f"training.runs={RUNS}",
    "scheme.t_acc=0.8",
    "network.delay_steps=0",
    f"mining.blocks={BLOCKS}",
)


def intervals_and_laws(tmp_path, *settings):
    """Mined intervals, and the laws of an honest prover and of a corrupted one."""
    config = load_config("reality", [*SMALL, *settings])
    chain = miner.mine(config, tmp_path, lambda _: None)
    mined = np.sort(reality._mined(chain.folder, config).interval.ravel())
    curves = training.train(config, tmp_path, lambda *_: None)
    known = world_law(config, curves, costs_of(config, curves), NO_STARTS, resamples=0)
    other = known.against(known.law)
    return mined, known.law, known.law if other is None else other


def distance(mined, provers) -> float:
    """Kolmogorov–Smirnov distance to the first block of (law, speed) provers."""
    left = np.ones(len(mined))
    for law, speed in provers:
        left = left * survival(law, mined * speed)
    rank = np.arange(len(mined) + 1) / len(mined)
    return float(max((rank[1:] - (1 - left)).max(), ((1 - left) - rank[:-1]).max()))


def limit(mined, provers: int) -> float:
    """At 1 %; the first of n provers is known by 1/n of the trained models."""
    return 1.63 * math.sqrt(1 / len(mined) + provers / RUNS)


def test_a_fast_machine_mines_as_its_speed_says(tmp_path):
    mined, law, _ = intervals_and_laws(
        tmp_path, "network.classes=[{count=2}, {count=1, speed=4}]"
    )
    ours = distance(mined, [(law, 1.0), (law, 1.0), (law, 4.0)])
    assert ours < limit(mined, 2)
    # Its speed is seen: three equal provers would be another chain.
    assert distance(mined, [(law, 1.0)] * 3) > limit(mined, 2)


def test_provers_that_grind_the_post_hash_mine_by_the_law_of_the_attack(tmp_path):
    mined, honest, grinding = intervals_and_laws(
        tmp_path,
        "network.provers=4",
        "network.beta=0.5",
        "adversary.attack=grind_posthash",
        "protocol.tolerance=0.001",
    )
    both = [(honest, 1.0)] * 2 + [(grinding, 1.0)] * 2
    assert distance(mined, both) < limit(mined, 4)
    assert distance(mined, [(honest, 1.0)] * 4) > limit(mined, 4)
