"""Several hundred really mined blocks against the law and the Monte Carlo.

The curves behind the predictions come from another seed than the mined trainings, so
they share nothing with them but the settings and the data. Seeds are fixed, but the
mined nonces also follow from the genesis' bytes: a new build or encoding draws anew,
and at these false-alarm levels about one such change in a hundred fails by chance.
"""

from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
import pytest
from dpodl.analysis.agreement.chains import Chains, observed_chain, simulated_chains
from dpodl.analysis.agreement.comparison import (
    Comparison,
    compare_chains,
    compare_domination,
    compare_winners,
    compare_with_law,
)
from dpodl.analysis.agreement.named_race import domination, race
from dpodl.analysis.block_time.empirical import Lottery, bootstrap_laws, empirical_law
from dpodl.analysis.block_time.law import BlockTimeLaw, fastest_of_speeds
from dpodl.analysis.simulation.levels import network, simulate
from dpodl.models.chain.archive import MemoryArchive
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.prover import Prover
from dpodl.models.chain.strategies.base import Honest
from dpodl.models.chain.transactions import Key
from dpodl.models.chain.world import Clock, World
from dpodl.models.learning.architecture import Axis, Menu, Optimizer
from dpodl.models.learning.curves import (
    CurveSet,
    CurveSettings,
    chunk_runs,
    draw_runs,
    train_chunk,
    training_set,
)
from dpodl.models.learning.data import load_dataset
from dpodl.models.scheme.build import this_build
from dpodl.models.scheme.records import Genesis, Parameters, Task
from dpodl.models.scheme.scheme import Retry, dataset_digest

pytestmark = pytest.mark.slow

IMAGES = 2000
# Every second pixel: a look costs what it takes to call the program anyway.
STRIDE = 2
MENU = Menu(
    Axis.of(["softmax", "mlp-8"]),
    Axis.of([Optimizer("sgd", (0.3, 1.0))]),
    Axis.of([32]),
    Axis.of([1.0]),
)
T_ACC, P_1, HASHES_PER_STEP = 0.7, 2.0**-6, 16.0
CHECK_EVERY = 5
RUNS, LAWS, REPLICAS = 350, 25, 100
# False-alarm levels: p > 1e-3 for tests, |z| < 3.5 for numbers.
LEVEL, SIGMAS = 1e-3, 3.5


class Run(NamedTuple):
    """What is mined."""

    speeds: tuple[float, ...]
    delay: float
    levels: int
    p_2: float = 0.25
    retry: Retry = "continue"
    horizon: int = 150
    eval_samples: int = IMAGES


class ForgetfulArchive(MemoryArchive):
    """Keeps one proof: its finder has it verified at once, and nobody ever again."""

    def put(self, cp_root, looks):
        self.leaves.clear()
        self._tensors.clear()
        super().put(cp_root, looks)


def examples():
    data = load_dataset("mnist-10k")
    images = data.x_train[:IMAGES, ::STRIDE, ::STRIDE]
    return training_set(images, data.y_train[:IMAGES])


def mine(run: Run, *, seed: int) -> tuple[Chains, list]:
    """Mine until ``run.levels`` heights above the first are settled."""
    data = examples()
    parameters = Parameters(
        t_1=int(P_1 * 2**256) - 1,
        t_2=int(run.p_2 * 2**256) - 1,
        # The law knows no S_min: none that the first look does not meet.
        s_min=CHECK_EVERY,
        check_every=CHECK_EVERY,
        checkpoint_every=2 * CHECK_EVERY,
        challenges=0,
        horizon_steps=run.horizon,
        eval_samples=run.eval_samples,
    )
    task = Task("digits", dataset_digest(data), T_ACC, 1.0, 1, MENU)
    build = this_build()
    genesis = Genesis(parameters, (task,), Key(bytes(32)).public, build)
    archive = ForgetfulArchive()
    ledger = Ledger(genesis, [data], archive, build)
    provers = [
        Prover(str(i), bytes([seed, i] * 16), ledger, Honest(retry=run.retry), speed=v)
        for i, v in enumerate(run.speeds)
    ]
    clock = Clock(HASHES_PER_STEP)
    world = World(ledger, archive, provers, clock=clock, delay=run.delay)
    blocks, happened, last = [], [], np.inf
    for each in world.run():
        if world.now > last + run.delay:
            break
        happened.append(each)
        if each.what == "block":
            height = ledger.entries[each.name].height
            blocks.append((each.time, height, int(each.who)))
            if height == run.levels + 1:
                last = min(last, each.time)
    times, heights, miners = map(np.array, zip(*blocks, strict=True))
    # The loop may have seen height levels + 2 already: its forks are not settled.
    chain = observed_chain(
        times.astype(float),
        heights,
        miners,
        delay_steps=run.delay,
        until=np.nextafter(last + run.delay, np.inf),
    )
    return chain, happened


def train(run: Run, *, seed: int) -> CurveSet:
    data = examples()
    settings = CurveSettings(CHECK_EVERY, run.horizon, run.eval_samples)
    inits = draw_runs(seed, RUNS, MENU)
    correct = np.zeros((RUNS, settings.looks), int)
    loss = np.zeros((RUNS, settings.looks))
    for bucket, chunk in chunk_runs(inits, range(RUNS)):
        curve = train_chunk(bucket, [inits[i] for i in chunk], data, settings)
        correct[chunk], loss[chunk] = curve.correct, curve.loss
    steps = CHECK_EVERY * np.arange(1, settings.looks + 1)
    return CurveSet(inits, steps, correct, loss, run.eval_samples, IMAGES)


def lottery(run: Run) -> Lottery:
    return Lottery(
        t_acc=T_ACC,
        p_1=P_1,
        p_2=run.p_2,
        hashes_per_step=HASHES_PER_STEP,
        retry=run.retry,
        abandon_steps=run.horizon,
    )


def laws_of(run: Run, curves: CurveSet) -> tuple[BlockTimeLaw, list[BlockTimeLaw]]:
    settings = lottery(run)
    law = empirical_law(curves, settings).law
    return law, bootstrap_laws(1, curves, settings, LAWS)


def simulated(run: Run, law: BlockTimeLaw, levels: int) -> Chains:
    """Common random numbers for all laws."""
    net = network(law, provers=len(run.speeds), beta=0.0, delay_steps=run.delay)
    key = jax.random.key(2)
    return simulated_chains(simulate(key, net, levels=levels, replicas=REPLICAS))


def raced(run: Run, law: BlockTimeLaw, levels: int) -> Chains:
    settings = {"delay_steps": run.delay, "levels": levels, "replicas": REPLICAS}
    return race(3, law, run.speeds, **settings)


def against_simulation(
    run: Run, mined: Chains, law: BlockTimeLaw, laws: list[BlockTimeLaw]
) -> list[Comparison]:
    levels = mined.interval.size
    chains = [simulated(run, each, levels) for each in (law, *laws)]
    return compare_chains(mined, chains[0], chains[1:])


def against_race(run, mined, law, laws) -> list[Comparison]:
    chains = [raced(run, each, mined.interval.size) for each in (law, *laws)]
    return compare_winners(mined, chains[0], chains[1:])


def against_law(run, mined, law, laws) -> list[Comparison]:
    first, *others = (fastest_of_speeds(each, run.speeds) for each in (law, *laws))
    return compare_with_law(mined, first, others)


def against_domination(run, mined, law, laws) -> list[Comparison]:
    first, *others = (domination(each, run.speeds) for each in (law, *laws))
    return compare_domination(mined, first, others)


def shown(rows: list[Comparison]) -> str:
    return "\n".join(
        f"{row.quantity}: mined {row.mined:.4g} ± {row.mined_se:.2g}, predicted "
        f"{row.predicted:.4g} ± {row.predicted_se:.2g}, z = {row.z:.2f}, "
        f"p = {row.p_value:.4f}"
        for row in rows
    )


def disagreements(rows: list[Comparison]) -> list[Comparison]:
    return [
        row
        for row in rows
        if (row.p_value <= LEVEL if np.isnan(row.z) else abs(row.z) >= SIGMAS)
    ]


def agree(rows: list[Comparison]) -> None:
    print(shown(rows))
    assert not disagreements(rows), shown(disagreements(rows))


def counts(happened) -> dict[str, int]:
    what = [each.what for each in happened]
    return {each: what.count(each) for each in set(what)}


FORKING = Run(speeds=(1.0,) * 5, delay=4.0, levels=250, horizon=100)
# Whole hashes and whole looks tie now and then, a fork without a delay that the
# continuous law does not know; crooked speeds do not tie.
UNEQUAL = Run(speeds=(1.4983, 1.0), delay=0.0, levels=200, eval_samples=500)
RESTART = Run(
    speeds=(1.0291, 1.0137, 1.0),
    delay=0.0,
    levels=60,
    p_2=0.5,
    retry="restart",
    horizon=100,
)


def test_five_equal_provers_with_delay():
    mined, happened = mine(FORKING, seed=1)
    seen = counts(happened)
    assert seen["block"] >= 300
    assert "refused" not in seen
    interval = mined.interval.mean()
    assert 0.1 < FORKING.delay / interval < 0.2
    assert mined.blocks.sum() - mined.blocks.size >= 20
    # Abandonment at the horizon is part of what is compared.
    curves = train(FORKING, seed=100)
    assert 0.02 < (curves.accuracy.max(axis=1) < T_ACC).mean() < 0.2
    law, laws = laws_of(FORKING, curves)
    agree(against_simulation(FORKING, mined, law, laws))
    agree(against_race(FORKING, mined, law, laws))
    # Neither faster messages nor half the tickets would go unnoticed.
    faster = FORKING._replace(delay=1.0)
    assert disagreements(against_simulation(faster, mined, law, laws))
    rarer = FORKING._replace(p_2=0.125)
    assert disagreements(against_simulation(rarer, mined, *laws_of(rarer, curves)))


def test_two_provers_of_unequal_speeds_without_delay():
    mined, happened = mine(UNEQUAL, seed=2)
    assert "refused" not in counts(happened)
    assert (mined.blocks == 1).all()
    law, laws = laws_of(UNEQUAL, train(UNEQUAL, seed=200))
    agree(against_law(UNEQUAL, mined, law, laws))
    agree(against_domination(UNEQUAL, mined, law, laws))
    agree(against_race(UNEQUAL, mined, law, laws))
    # More than the share of compute, and equal speeds would not go unnoticed.
    assert domination(law, UNEQUAL.speeds)[0] > 0.6
    equal = UNEQUAL._replace(speeds=(1.25, 1.25))
    assert disagreements(against_domination(equal, mined, law, laws))


def test_restart_after_a_failed_ticket():
    mined, happened = mine(RESTART, seed=3)
    law, laws = laws_of(RESTART, train(RESTART, seed=300))
    agree(against_law(RESTART, mined, law, laws))
    agree(against_domination(RESTART, mined, law, laws))
    # No prover looks twice at a model above T_acc.
    for name in ("0", "1", "2"):
        own = [each for each in happened if each.who == name and each.what != "tip"]
        for one, other in pairwise(own):
            if one.what == other.what == "look" and one.accuracy >= T_ACC:
                # A new model begins with a pre-hash: not just one look later.
                took = CHECK_EVERY / RESTART.speeds[int(name)]
                assert other.time > one.time + took + 1e-9
