"""Marked laws against the unmarked ones, and against the scheme drawn by hand."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time import counter_draws
from dpodl.analysis.block_time.counter_draws import two_words, words_of
from dpodl.analysis.block_time.empirical import Lottery, empirical_law
from dpodl.analysis.block_time.law import cv, exponential, mean, survival
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.event_network.marked_law import (
    FAMILIES,
    chain_rule,
    draw,
    marked_law,
    require_weight,
    tickets,
    unit_for,
    weigh,
)
from dpodl.models.learning.curves import CurveSet
from dpodl.models.scheme.records import Weight
from dpodl.models.scheme.scheme import weight as scheme_weight
from hypothesis import given, settings, strategies as st
from jax.extend.random import threefry_2x32
from scipy import stats

DRAWS = 40_000
ALARM = 1e-4
LOTTERY = Lottery(t_acc=0.9, p_1=1.0, p_2=0.2, hashes_per_step=1e6)
KEY = jax.random.key(5)


def curves(runs=12, looks=24, every=10, seed=1) -> CurveSet:
    """Noisy runs that rise from 50 % to about 97 %."""
    generator = np.random.default_rng(seed)
    rise = generator.uniform(3, 6, (runs, 1))
    look = np.arange(1, looks + 1)
    accuracy = 50 + 47 * (1 - np.exp(-look / rise)) + generator.normal(0, 2, (runs, 24))
    return CurveSet(
        initializations=cast(Any, (None,) * runs),
        steps=every * look,
        correct=np.clip(accuracy, 0, 100).astype(int),
        loss=np.zeros((runs, looks)),
        eval_samples=100,
        population=100,
    )


def sampled(law, rule, *, blocks=100, count=DRAWS):
    unit = unit_for(law, rule, blocks)
    sample = jax.jit(draw)
    turns = jnp.arange(count)
    time, weight = sample(words_of(KEY), tickets(law, rule, unit), turns * 0, turns)
    return np.asarray(time, float), np.asarray(weight) * float(unit)


def agree(samples, exact):
    error = samples.std(ddof=1) / np.sqrt(len(samples))
    assert abs(samples.mean() - exact) < 3.9 * error, (samples.mean(), exact, error)


def test_the_words_are_those_of_threefry():
    key = words_of(jax.random.key(42))
    place, turn = jnp.arange(7), jnp.arange(7) * 1000
    first, second = two_words(key, 3, place, turn)
    counters = jnp.stack([place + (3 << 28), turn]).astype(jnp.uint32)
    for i in range(7):
        exact = threefry_2x32(key, counters[:, i])
        assert (int(first[i]), int(second[i])) == tuple(map(int, exact))


def test_draws_are_of_their_laws():
    key = words_of(KEY)
    words, others = two_words(key, 1, jnp.arange(DRAWS), jnp.arange(DRAWS))
    for values, law in (
        (counter_draws.uniform(words), stats.uniform()),
        (counter_draws.exponential(others), stats.expon()),
    ):
        test: Any = stats.kstest(np.asarray(values, float), law.cdf)
        assert test.pvalue > ALARM
    counts = np.bincount(np.asarray(counter_draws.below(words, 6)), minlength=6)
    test = stats.chisquare(counts)
    assert test.pvalue > ALARM


@given(
    accuracy=st.floats(0, 1),
    t_acc=st.floats(0.01, 1),
    kappa=st.floats(0, 64),
    family=st.sampled_from(FAMILIES),
)
@settings(max_examples=60)
def test_weights_are_those_of_the_scheme(accuracy, t_acc, kappa, family):
    if abs(accuracy - t_acc) < 1e-6:
        accuracy = t_acc
    family = Weight(family, kappa)
    rule = chain_rule("weight", t_acc=t_acc, weight=family)
    found = float(weigh(np.array([accuracy], np.float32).astype(float), rule)[0])
    exact = scheme_weight(accuracy, t_acc, family)
    assert found == pytest.approx(exact, rel=1e-4, abs=1e-30)


@pytest.mark.parametrize("p_1", [1.0, 0.02])
@pytest.mark.parametrize("t_acc", [0.85, 0.94])
def test_the_indicator_thins_to_the_law_of_the_longest_rule(t_acc, p_1):
    lottery = LOTTERY._replace(t_acc=t_acc, p_1=p_1, hashes_per_step=10.0)
    exact = empirical_law(curves(), lottery).law
    law = marked_law(curves(), lottery)
    by_rule = {}
    for chain in ("longest", "weight"):
        time, weight = sampled(law, chain_rule(chain, t_acc=t_acc))
        np.testing.assert_array_equal(weight, 1.0)
        by_rule[chain] = time
    np.testing.assert_array_equal(by_rule["longest"], by_rule["weight"])
    time = by_rule["longest"]
    agree(time, mean(exact))
    agree((time - time.mean()) ** 2, (mean(exact) * cv(exact)) ** 2)
    for place in np.quantile(time, [0.1, 0.5, 0.9]):
        # Between looks: the table of a law with a pre-hash is only good to a cell.
        place = 10 * np.floor(place / 10) + 9.5 if p_1 == 1 else place
        slack = 0.0 if p_1 == 1 else 0.02
        found, of_law = (time > place).mean(), float(survival(exact, place))
        assert abs(found - of_law) < slack + 4 * np.sqrt(0.25 / DRAWS)


def test_marks_and_times_are_joint():
    # By hand: run, then look after look until a ticket wins, horizon included.
    given, kappa, t_acc = curves(), 8.0, 0.9
    rule = chain_rule("weight", t_acc=t_acc, weight=Weight("exponential", kappa))
    law = marked_law(given, LOTTERY._replace(p_2=0.05))
    time, weight = sampled(law, rule)
    generator = np.random.default_rng(9)
    looks = generator.geometric(0.05, DRAWS)
    run = generator.integers(12, size=DRAWS)
    late = generator.integers(18, 24, size=DRAWS)
    accuracy = given.accuracy[run, np.where(looks <= 24, looks - 1, late)]
    by_hand = 2.0 ** (kappa * (accuracy - t_acc))
    assert (looks > 24).mean() > 0.2
    for ours, theirs in (
        (weight, by_hand),
        (time * weight, (10 * looks + 1e-6) * by_hand),
        (weight[time > 245], by_hand[looks > 24]),
        (weight[time < 35], by_hand[looks < 4]),
    ):
        error = np.hypot(*(x.std(ddof=1) / np.sqrt(len(x)) for x in (ours, theirs)))
        assert abs(ours.mean() - theirs.mean()) < 3.9 * error


def test_costs_scale_the_time_of_their_run():
    costs = np.linspace(1, 3, 12)
    law = marked_law(curves(), LOTTERY._replace(p_2=1.0), step_costs=costs)
    rule = chain_rule("weight", weight=Weight("linear"))
    time, _ = sampled(law, rule)
    assert set(np.round(time, 3)) == set(np.round(10 * costs, 3))
    assert not bool(law.lattice)


def test_a_run_without_weight_never_ends():
    given = curves()._replace(correct=np.full((12, 24), 50))
    given.correct[:6, 3:] = 95
    law = marked_law(given, LOTTERY._replace(p_2=1.0))
    time, _ = sampled(law, chain_rule(t_acc=0.9))
    assert abs(np.isinf(time).mean() - 0.5) < 0.02
    assert set(time[np.isfinite(time)].round(3)) == {40.0}
    with pytest.raises(Refused, match=r"best accuracy is 0\.95"):
        require_weight(law, chain_rule(t_acc=0.99))


def test_an_unmarked_law_has_weight_one():
    time, weight = sampled(exponential(0.1), chain_rule())
    np.testing.assert_array_equal(weight, 1.0)
    test: Any = stats.kstest(time, stats.expon(scale=10).cdf)
    assert test.pvalue > ALARM


def test_units_add_up_exactly():
    law = marked_law(curves(), LOTTERY)
    for rule in (
        chain_rule(),
        chain_rule("weight", t_acc=0.8, weight=Weight("exponential", 64.0)),
    ):
        unit = unit_for(law, rule, 1000)
        under: Any = tickets(law, rule, unit)
        assert int(under.weight.max()) * 1000 < 2**31
        assert np.log2(float(unit)) % 1 == 0


@pytest.mark.parametrize(
    "policy", [{"retry": "restart"}, {"abandon_steps": 100}], ids=str
)
def test_policies_that_have_no_marked_law_are_refused(policy):
    with pytest.raises(ValueError, match="needs retry = 'continue'"):
        marked_law(curves(), LOTTERY._replace(**policy))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chain": "shortest"}, "chain must be one of"),
        ({"ties": "never"}, "ties must be one of"),
        ({"t_acc": 0.0}, r"t_acc must be in \(0, 1\], got 0"),
        ({"weight": Weight("exponential", 512.0)}, "weight.kappa must be from 0"),
    ],
)
def test_bad_rules_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        chain_rule(**options)
