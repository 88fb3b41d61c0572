"""The event engine against the level engine, closed forms and a plain simulator."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.counter_draws import two_words, uniform, words_of
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    exponential,
    fastest_of_speeds,
    geometric,
    mean,
)
from dpodl.analysis.bounds import delays, intervals
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.event_network import engine
from dpodl.analysis.event_network.engine import compilations, simulate_network
from dpodl.analysis.event_network.marked_law import MarkedLaw, chain_rule, draw, tickets
from dpodl.analysis.event_network.measurements import main_chain
from dpodl.analysis.simulation import levels as simulation
from dpodl.models.scheme.records import Weight

from .weighted_simulator import simulate_weighted

KEY = jax.random.key(21)
SIGMA = 3.9
ACCURACY = np.array([[0.5, 0.7, 0.9, 0.95], [0.2, 0.9, 0.9, 0.9], [0.6, 0.8, 0.7, 0.9]])


def marked(p_2=0.2, look_time=10.0, p_1=1.0) -> MarkedLaw:
    number = partial(jax.numpy.asarray, dtype=jax.numpy.float32)
    return MarkedLaw(
        number(ACCURACY),
        number([look_time] * 3),
        number(100.0 if p_1 == 1 else -np.log1p(-p_1)),
        number(-np.log1p(-p_2)),
        number(0.5),
        jax.numpy.asarray(p_1 == 1),
    )


def run(law, speeds, *, delay=0.0, blocks=64, replicas=512, slots=8, **options):
    model = options.pop("delay_model", "worst_case")
    net = engine.event_network(
        law,
        speeds=speeds,
        delay_steps=delay,
        delay_model=model,
        rule=options.pop("rule", None),
    )
    # Few different shapes: each is a program to compile.
    return simulate_network(
        KEY, net, blocks=blocks, replicas=replicas, slots=slots, **options
    )


def replica_mean(values):
    each = np.asarray(values, float).reshape(len(values), -1).mean(axis=1)
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))


def agree(ours, theirs):
    (a, error_a), (b, error_b) = ours, theirs
    spread = np.hypot(error_a, error_b)
    assert abs(a - b) <= SIGMA * spread + 1e-6 * abs(b), (a, b, spread)


SPEEDS = [2.0, 1.0, 1.0, 1.0, 0.5, 0.5]
FEW = {"replicas": 32, "slots": 16}
# Provers that find nothing, where fewer than six are wanted: one program serves all.
IDLE = [1e-7] * 4
LAWS = {
    "exponential": exponential(0.002),
    "dead time": exponential(0.002, dead_time=300.0),
    "lattice": geometric(0.1, trial=50.0),
}


@pytest.mark.parametrize("delay", [0.0, 50.0])
@pytest.mark.parametrize("name", list(LAWS))
def test_is_the_level_engine_for_equal_speeds(name, delay):
    # All at once, and no tie would ever be settled were the lottery sure to be won.
    record = run(LAWS[name], np.ones(6), delay=delay)
    chain = main_chain(record)
    net = simulation.network(LAWS[name], provers=6, beta=0.0, delay_steps=delay)
    levels = simulation.simulate(KEY, net, levels=64, replicas=512)
    ours, theirs = np.diff(chain.reached, axis=1), np.asarray(levels.interval, float)
    for power in (1, 2):
        agree(replica_mean(ours**power), replica_mean(theirs**power))
    per_level = chain.found[:, -1] / chain.blocks
    agree(replica_mean(per_level), replica_mean(levels.blocks))


CASES: dict[str, tuple[Any, dict]] = {
    "worst delay": (LAWS["dead time"], {"delay": 150.0}),
    "random delay": (LAWS["exponential"], {"delay": 300.0, "random": True}),
    "random ties": (LAWS["exponential"], {"delay": 150.0, "ties": "random"}),
    "adversary's ties": (
        LAWS["dead time"],
        {"delay": 300.0, "ties": "adversary", "random": True},
    ),
    "lattice": (LAWS["lattice"], {"delay": 50.0, "ties": "adversary"}),
    "lattice, random ties": (LAWS["lattice"], {"delay": 100.0, "ties": "random"}),
    "exponential weight": (
        # No lattice: its blur of moments might reorder what random delays nearly tie.
        marked()._replace(lattice=jax.numpy.asarray(False)),
        {"delay": 25.0, "weight": Weight("exponential", 6.0), "random": True},
    ),
    "linear weight": (
        marked(0.5),
        {"delay": 20.0, "weight": Weight("linear"), "ties": "random"},
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_replays_a_plain_event_simulator(name):
    """Given the engine's draws, event by event the same history and reorganisations."""
    law, options = CASES[name]
    ties, delay = options.get("ties", "first_seen"), options["delay"]
    weight, burn_in = options.get("weight"), 5
    chain = "longest" if weight is None else "weight"
    rule = chain_rule(chain, t_acc=0.9, weight=weight, ties=ties)
    model = "random" if "random" in options else "fixed"
    # On a lattice times that tie must tie in float64 as well: speeds are powers of 2.
    record = run(
        law,
        SPEEDS,
        delay=delay,
        rule=rule,
        delay_model=model,
        burn_in=burn_in,
        **FEW,
    )
    under = tickets(law, rule, record.unit)
    provers, turns = np.meshgrid(np.arange(6), np.arange(192), indexing="ij")
    forks = 0
    for r in range(32):
        key = words_of(jax.random.split(KEY, 32)[r])
        drawn = _drawn(key, under, provers, turns)
        time, weigh, share, lot = (np.asarray(x) for x in drawn)
        history = simulate_weighted(
            lambda i, a: (float(time[i, a]), int(weigh[i, a])),  # noqa: B023
            lambda b, i: (
                float(share[i, b]) if model == "random" else 1.0,  # noqa: B023
                int(lot[i, b]),  # noqa: B023
            ),
            SPEEDS,
            delay,
            64,
            ties=ties,
            burn_in=burn_in,
        )
        blocks = history.blocks
        for field in ("parent", "finder", "weight", "work"):
            theirs = [getattr(block, field) for block in blocks]
            np.testing.assert_array_equal(getattr(record, field)[r], theirs, field)
        moments = np.cumsum(np.asarray(record.gap[r], float))
        np.testing.assert_allclose(moments, [b.time for b in blocks], rtol=1e-5)
        assert int(record.adopted[r]) == history.adopted
        depths = np.array(history.discarded)[:, None] - np.arange(16)
        np.testing.assert_array_equal(
            record.reverted[r], np.maximum(depths, 0).sum(axis=0)
        )
        forks += sum(m > 0 for m in history.discarded)
    # The replay is worth something only where chains were given up.
    assert forks > 32


@jax.jit
def _drawn(key, under, provers, turns):
    time, weight = draw(key, under, provers, turns)
    word, lot = two_words(key, 2, provers, turns)
    return time, weight, uniform(word), lot


def test_the_indicator_weight_is_the_thinned_longest_rule():
    law = marked(0.3)
    records = [
        run(law, SPEEDS, delay=25.0, rule=chain_rule(chain, t_acc=0.9), **FEW)
        for chain in ("longest", "weight")
    ]
    for name, longest in records[0]._asdict().items():
        np.testing.assert_array_equal(longest, records[1]._asdict()[name], name)
    # Thinned by hand: run 0 shows 2 looks of weight in 4, run 1 and 2 three and one.
    generator = np.random.default_rng(6)
    times = np.array([_time_by_hand(generator, 0.3) for _ in range(6000)])
    own = np.asarray(
        _drawn(words_of(KEY), tickets(law, chain_rule(t_acc=0.9), records[0].unit),
               np.zeros(6000, int), np.arange(6000))[0], float
    )  # fmt: skip
    agree(replica_mean(own), replica_mean(times))
    agree(replica_mean(own**2), replica_mean(times**2))


def _time_by_hand(generator, p_2):
    """Look after look of a run; behind the last one, the last of its looks again."""
    accuracy = ACCURACY[generator.integers(3)]
    look = 0
    while True:
        look += 1
        if accuracy[min(look, 4) - 1] >= 0.9 and generator.random() < p_2:
            return 0.5 + 10.0 * look


def test_domination_of_two_speeds():
    law, speeds = exponential(0.01, dead_time=100.0), [1.25, 1.0, *IDLE]
    record = run(law, speeds)
    chain = main_chain(record)
    found, error = replica_mean(chain.finder == 0)
    agree((found, error), (intervals.domination(0.01, 100.0, 1.25, 1.0), 0.0))


def test_growth_without_delay_is_that_of_the_fastest():
    law, speeds = exponential(0.01, dead_time=50.0), [3.0, 2.0, 1.0, 1.0, 0.5, 0.25]
    chain = main_chain(run(law, speeds))
    exact = mean(fastest_of_speeds(law, speeds))
    agree(replica_mean(np.diff(chain.reached, axis=1)), (exact, 0.0))


def test_growth_under_delay():
    rate, delay, provers = 0.01, 30.0, 100
    law = exponential(rate / provers)
    record = run(law, np.ones(provers), delay=delay, replicas=128)
    found, error = replica_mean(np.diff(main_chain(record).reached, axis=1))
    # The finder does not wait for itself: one of n, hence the second bound.
    slowest = 1 / delays.growth_under_delay(rate, delay)
    assert slowest - 2 * delay / provers - SIGMA * error < found
    assert found < slowest + SIGMA * error


def test_widening_changes_no_draw():
    law, options = LAWS["exponential"], {"delay": 300.0, "replicas": 32}
    few, many = (run(law, SPEEDS, slots=s, **options) for s in (8, 16))
    for name, mine in few._asdict().items():
        np.testing.assert_array_equal(mine, many._asdict()[name], err_msg=name)


def test_overflow_is_detected(monkeypatch):
    # The run above: did it not overflow, the test of widening would show nothing.
    monkeypatch.setattr(engine, "MAXIMUM_SLOTS", 8)
    with pytest.raises(Refused, match="more than 8 messages under way"):
        run(LAWS["exponential"], SPEEDS, delay=300.0, replicas=32)


@pytest.mark.slow
def test_deep_forks_widen_the_window(monkeypatch):
    # Two provers that hardly hear of each other differ in far more than 32 blocks.
    options = {"delay": 20.0, "slots": 64, "replicas": 4, "blocks": 96}
    record = run(exponential(1.0), [1.0, 1.0], **options)
    assert np.asarray(record.settled).min() < 96 - 33
    work = np.asarray(record.work)
    parent = np.asarray(record.parent)
    before = np.where(parent < 0, 0, np.take_along_axis(work, parent, axis=1))
    np.testing.assert_array_equal(work, before + np.asarray(record.weight))
    monkeypatch.setattr(engine, "MAXIMUM_WORDS", 1)
    with pytest.raises(Refused, match="forks deeper than 32 blocks"):
        run(exponential(1.0), [1.0, 1.0], **options)


def test_more_replicas_change_none_of_the_first():
    many, few = (
        run(LAWS["exponential"], SPEEDS, delay=20.0, replicas=r) for r in (512, 32)
    )
    np.testing.assert_array_equal(few.parent, np.asarray(many.parent)[:32])
    np.testing.assert_array_equal(few.finder, np.asarray(many.finder)[:32])
    np.testing.assert_allclose(few.gap, np.asarray(many.gap)[:32], rtol=1e-5, atol=1e-3)


def test_no_delay_no_forks_no_reorganisation():
    record = run(exponential(0.01), SPEEDS)
    blocks = np.arange(64)
    np.testing.assert_array_equal(record.parent, np.tile(blocks - 1, (512, 1)))
    assert not np.asarray(record.reverted).any()


def test_everything_but_the_counts_is_traced():
    def once(law, factor, delay, model, rule):
        speeds = factor * np.asarray(SPEEDS)
        run(law, speeds, delay=delay, delay_model=model, rule=rule, **FEW)

    once(exponential(0.1), 1.0, 0.0, "fixed", chain_rule())
    once(marked(), 1.0, 0.0, "fixed", chain_rule(t_acc=0.9))
    before = compilations()
    families = (Weight("linear"), Weight("exponential", 3.0), Weight("indicator"))
    for i, family in enumerate(families):
        ties = ("first_seen", "random", "adversary")[i]
        rule = chain_rule("weight", t_acc=0.7 + 0.05 * i, weight=family, ties=ties)
        model = ("fixed", "random", "worst_case")[i]
        once(geometric(0.3, trial=1.0 + i), 1.0 + i, 0.1 * i, model, rule)
        once(marked(0.1 * (i + 1)), 3.0 + i, 0.5 * i, model, rule)
    assert compilations() == before


def test_a_law_that_never_ends_is_refused():
    never = BlockTimeLaw(np.zeros(8192), 1.0, 0.0, 0.0, False)
    with pytest.raises(Refused, match="no prover ever finds a block"):
        run(never, SPEEDS, **FEW)
    with pytest.raises(Refused, match="no look of any run has positive weight"):
        run(marked(), [1.0], rule=chain_rule(t_acc=0.99))


@pytest.mark.parametrize(
    "counts", [{"replicas": 0}, {"slots": 0}, {"burn_in": 64}, {"burn_in": -1}], ids=str
)
def test_bad_counts_are_refused(counts):
    with pytest.raises(ValueError, match="replicas and slots must be ≥ 1"):
        run(LAWS["exponential"], SPEEDS, **counts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speeds": []}, "speeds must be a list"),
        ({"speeds": [1.0, 0.0]}, "speeds must be > 0"),
        ({"delay_steps": -1.0}, "delay_steps must be ≥ 0"),
        ({"delay_model": "none"}, "delay_model must be one of"),
    ],
)
def test_bad_networks_are_refused(options, message):
    good: dict[str, Any] = {"speeds": [1.0], "delay_steps": 1.0}
    with pytest.raises(ValueError, match=message):
        engine.event_network(exponential(1.0), **{**good, **options})


def test_lattice_ties_survive_unequal_speeds():
    # At speeds 1 and 2 every second look of the fast one ties with one of the slow.
    record = run(
        geometric(1.0, trial=3.7, dead_time=0.0), [2.0, 1.0, *IDLE], delay=1.85
    )
    finders, counts = np.unique(np.asarray(record.finder), return_counts=True)
    assert list(finders) == [0, 1]
    # Once, at 3.7, in the moment the fast one's first block arrives: a fork.
    assert counts[1] == 512
    assert np.asarray(record.gap).max() < 1.86
