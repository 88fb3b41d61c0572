"""Mined against predicted, on invented chains whose truth is known."""

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from dpodl.analysis.agreement.chains import Chains, observed_chain, simulated_chains
from dpodl.analysis.agreement.comparison import (
    compare_chains,
    compare_domination,
    compare_winners,
    compare_with_law,
    interval_curves,
)
from dpodl.analysis.agreement.named_race import domination, race
from dpodl.analysis.block_time.law import (
    BlockTimeLaw,
    exponential,
    fastest_of,
    fastest_of_speeds,
    geometric,
    mean,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.simulation.levels import network, simulate
from scipy import stats

LEVELS = 300
# Two-sided false-alarm level of each comparison in this file.
ALARM = 1e-4
SIGMA = float(stats.norm.ppf(1 - ALARM / 2))
# A D-PoDL-like law: dead time, then a lottery.
LAW = exponential(0.01, dead_time=50.0)
DELAY = 10.0


def chains(law=LAW, *, seed, speeds=(1,) * 5, delay=DELAY, replicas=50):
    return race(seed, law, speeds, delay_steps=delay, levels=LEVELS, replicas=replicas)


@cache
def predicted(delay=DELAY, speeds=(1,) * 5) -> Chains:
    return chains(seed=1, speeds=speeds, delay=delay, replicas=200)


@cache
def resampled(delay=DELAY, speeds=(1,) * 5) -> list[Chains]:
    """No error of training: the same law again."""
    return [chains(seed=2 + b, speeds=speeds, delay=delay) for b in range(4)]


def one(many: Chains, replica: int) -> Chains:
    winner = None if many.winner is None else many.winner[replica]
    return Chains(many.interval[replica], many.blocks[replica], winner)


def winners(found: Chains) -> np.ndarray:
    assert found.winner is not None
    return found.winner


def by_quantity(rows):
    return {row.quantity: row for row in rows}


def scaled(law: BlockTimeLaw, factor: float) -> BlockTimeLaw:
    return law._replace(
        spacing=law.spacing * factor,
        tail_hazard=law.tail_hazard / factor,
        offset=law.offset * factor,
    )


def blocks_of(heights=60, gap=10.0, *, delay=3.0):
    """Every third level has a fork 2 steps later; winners take turns."""
    found = []
    for height in range(1, heights + 1):
        found.append((gap * height, height, height % 3))
        if height % 3 == 0:
            found.append((gap * height + 2.0, height, (height + 1) % 3))
    times, numbers, miners = map(np.array, zip(*found, strict=True))
    return times, numbers, miners


def test_levels_of_a_mined_chain():
    times, heights, miners = blocks_of()
    mined = observed_chain(times, heights, miners, delay_steps=3.0, until=700.0)
    np.testing.assert_allclose(mined.interval, np.full(59, 10.0))
    level = np.arange(2, 61)
    np.testing.assert_array_equal(mined.blocks, np.where(level % 3 == 0, 2, 1))
    np.testing.assert_array_equal(mined.winner, level % 3)


def test_levels_count_once_no_fork_can_come_any_more():
    times, heights, miners = blocks_of()
    mined = observed_chain(times, heights, miners, delay_steps=3.0, until=603.0)
    assert mined.interval.size == 58
    later = observed_chain(
        times, heights, miners, delay_steps=3.0, until=603.1, burn_in=5
    )
    assert later.interval.size == 55


def test_chains_that_are_not_the_models_are_refused():
    times, heights, miners = blocks_of()
    given: dict[str, Any] = {"delay_steps": 3.0, "until": 700.0}
    with pytest.raises(ValueError, match="2 steps after the first of its height"):
        observed_chain(times, heights, miners, delay_steps=1.0, until=700.0)
    with pytest.raises(ValueError, match="order of finding"):
        observed_chain(times[::-1], heights, miners, **given)
    with pytest.raises(ValueError, match="without a gap"):
        observed_chain(times, heights + 1, miners, **given)
    with pytest.raises(ValueError, match="burn_in must be"):
        observed_chain(times, heights, miners, burn_in=0, **given)
    with pytest.raises(Refused, match="at least 30 settled levels are needed, got 4"):
        observed_chain(times, heights, miners, delay_steps=3.0, until=58.0)


@pytest.mark.parametrize("delay", [0.0, DELAY, 100.0])
def test_the_race_is_the_engines_network(delay):
    net = network(LAW, provers=5, beta=0.0, delay_steps=delay)
    engine = simulated_chains(
        simulate(jax.random.key(1), net, levels=LEVELS, replicas=200)
    )
    named = predicted(delay)
    for what in ("interval", "blocks"):
        for power in (1, 2):
            each = [getattr(c, what).astype(float) ** power for c in (engine, named)]
            means = [values.mean(axis=1) for values in each]
            error = np.hypot(*(m.std(ddof=1) / np.sqrt(m.size) for m in means))
            assert abs(means[0].mean() - means[1].mean()) <= SIGMA * error


def test_the_race_without_delay_is_the_law_of_the_fastest():
    speeds = (2.0, 1.0, 1.0)
    found = chains(seed=3, speeds=speeds, delay=0.0, replicas=100)
    law = fastest_of_speeds(LAW, speeds)
    flat = found.interval.ravel()
    error = flat.std() / np.sqrt(flat.size)
    assert abs(flat.mean() - mean(law)) < SIGMA * error
    assert (found.blocks == 1).all()
    shares = domination(LAW, speeds)
    counts = np.bincount(winners(found).ravel())
    assert stats.chisquare(counts, shares * counts.sum()).pvalue > ALARM


@pytest.mark.parametrize(
    ("dead", "share"), [(0, 0.5556), (1, 0.6539), (5, 0.8727), (10, 0.9635)]
)
def test_domination_of_the_faster_of_two(dead, share):
    # docs/science/anchors.md: v = 1.25:1, πS_0 = 0, 1, 5, 10.
    law = exponential(0.01, dead_time=100.0 * dead)
    faster, slower = domination(law, (1.25, 1.0))
    assert faster == pytest.approx(share, abs=5e-5)
    assert faster + slower == pytest.approx(1.0, abs=1e-9)


def test_domination_of_equals_and_behind_the_table():
    np.testing.assert_allclose(domination(LAW, (1, 1, 1, 1)), 0.25)
    # Nothing on the table: all of the mass is tail, shared as the speeds.
    late = LAW._replace(
        cumulative_hazard=np.zeros_like(LAW.cumulative_hazard), tail_hazard=1e-3
    )
    shares = domination(late, (3.0, 1.0))
    # While only the faster one's tail has begun, it alone can win.
    assert shares[0] > 0.75
    assert shares.sum() == pytest.approx(1.0)


def test_calibration_under_the_truth():
    # z ~ N(0, 1) and p uniform over mined chains drawn from the predicted law.
    many = chains(seed=77, replicas=120)
    rows = [
        by_quantity(compare_chains(one(many, i), predicted(), resampled()))
        for i in range(120)
    ]
    for quantity in ("interval_mean", "interval_cv", "stale_rate"):
        z = np.array([row[quantity].z for row in rows])
        assert abs(z.mean()) < SIGMA / np.sqrt(z.size) * 1.1
        assert 0.8 < z.std() < 1.3, quantity
    p = np.array([row["interval_ks"].p_value for row in rows])
    assert stats.kstest(p, "uniform").pvalue > ALARM


def test_calibration_of_winners_despite_head_starts():
    # A long delay makes the last winner the likely next one: wins are not independent.
    delay, law = 40.0, exponential(0.01, dead_time=100.0)
    net = {"law": law, "delay": delay, "speeds": (1, 1, 1)}
    expected = chains(**net, seed=1, replicas=200)
    null = [chains(**net, seed=b) for b in (2, 3, 4)]
    many = chains(**net, seed=78, replicas=300)
    rows = [
        by_quantity(compare_winners(one(many, i), expected, null)) for i in range(80)
    ]
    p = [row["winner_chi2"].p_value for row in rows]
    assert stats.kstest(p, "uniform").pvalue > ALARM
    naive = [stats.chisquare(np.bincount(w, minlength=3)).pvalue for w in winners(many)]
    assert stats.kstest(naive, "uniform").pvalue < ALARM
    assert rows[0]["winner_repeats"].predicted > 0.5
    z = np.array([row["winner_repeats"].z for row in rows])
    assert abs(z.mean()) < SIGMA / np.sqrt(z.size) * 1.1


@pytest.mark.parametrize(
    ("wrong", "caught_by"),
    [
        ({"law": scaled(LAW, 1.25)}, {"interval_ks", "interval_mean"}),
        # The same mean of the fastest of five, without dead time.
        ({"law": exponential(1 / 350)}, {"interval_ks", "interval_cv"}),
        ({"delay": 3.0}, {"stale_rate"}),
        ({"speeds": (1,) * 8}, {"interval_ks", "interval_mean"}),
    ],
)
def test_a_wrong_prediction_is_rejected(wrong, caught_by):
    mined = one(chains(seed=5), 0)
    expected = chains(**wrong, seed=6, replicas=200)
    null = [chains(**wrong, seed=7 + b, replicas=500) for b in range(2)]
    rows = compare_chains(mined, expected, null)
    assert caught_by <= {row.quantity for row in rows if row.p_value <= 1e-3}


def test_wrong_winners_are_rejected():
    speeds = (1.25, 1.0)
    mined = one(chains(seed=5, speeds=speeds, delay=0.0), 0)
    wrong = np.array([0.5, 0.5])
    rows = by_quantity(compare_domination(mined, wrong, [wrong, wrong]))
    assert abs(rows["winner_share_0"].z) > 3.5
    assert rows["winner_chi2"].p_value < 1e-3
    right = domination(LAW, speeds)
    rows = by_quantity(compare_domination(mined, right, [right, right]))
    assert rows["winner_chi2"].p_value > ALARM
    assert rows["winner_share_0"].z == pytest.approx(-rows["winner_share_1"].z)
    # One degree of freedom: χ² is z².
    assert rows["winner_chi2"].mined == pytest.approx(rows["winner_share_0"].z ** 2)


def test_equal_provers_without_delay_are_multinomial():
    mined = one(chains(seed=5, delay=0.0), 0)
    fifth = np.full(5, 0.2)
    classical = stats.chisquare(np.bincount(winners(mined), minlength=5))
    exact = by_quantity(compare_domination(mined, fifth, [fifth, fifth]))
    assert exact["winner_chi2"].mined == pytest.approx(classical.statistic)
    assert exact["winner_chi2"].p_value == pytest.approx(classical.pvalue)
    simulated = by_quantity(compare_winners(mined, predicted(0.0), resampled(0.0)))
    assert simulated["winner_chi2"].p_value == pytest.approx(classical.pvalue, abs=0.15)


def test_a_lone_prover_always_wins():
    mined = one(chains(seed=5, speeds=(1,), delay=0.0), 0)
    sure = domination(LAW, (2.0,))
    rows = compare_domination(mined, sure, [sure, sure])
    assert [row.p_value for row in rows] == pytest.approx([1.0, 1.0], abs=1e-3)


def test_the_trainings_error_widens_the_prediction():
    # Laws that differ by 10 %: a mined chain 10 % off is then no surprise.
    mined = one(chains(scaled(LAW, 1.1), seed=5), 0)
    sharp = by_quantity(compare_chains(mined, predicted(), resampled()))
    factors = (0.86, 0.93, 1.0, 1.07, 1.14)
    laws = [scaled(LAW, factor) for factor in factors]
    vague = [chains(law, seed=8) for law in laws]
    wide = by_quantity(compare_chains(mined, predicted(), vague))
    spread = np.std(factors, ddof=1)
    # The delay does not scale, so it is not quite the law's 11 %.
    assert wide["interval_mean"].predicted_se == pytest.approx(
        spread * wide["interval_mean"].predicted, rel=0.1
    )
    assert abs(sharp["interval_mean"].z) > 3.5 > 2 > abs(wide["interval_mean"].z)
    assert wide["interval_ks"].p_value > 0.05 > sharp["interval_ks"].p_value


def test_the_mined_standard_error_is_that_of_chains():
    rows = by_quantity(compare_chains(one(chains(seed=5), 0), predicted(), resampled()))
    means = predicted().interval.mean(axis=1)
    assert rows["interval_mean"].mined_se == pytest.approx(means.std(ddof=1), rel=0.2)
    assert rows["interval_mean"].count == LEVELS


def test_no_forks_few_forks_and_forks_that_should_be_there():
    alone = one(chains(seed=5, delay=0.0), 0)
    rows = by_quantity(compare_chains(alone, predicted(0.0), resampled(0.0)))
    assert "stale_rate" not in rows
    short = by_quantity(compare_chains(alone, predicted(), resampled()))
    assert short["stale_rate"].mined == 0.0
    assert short["stale_rate"].z < -3.5
    assert "too few forks" in short["stale_rate"].method
    # A fork where there can be none.
    forked = alone._replace(blocks=alone.blocks + (np.arange(LEVELS) == 7))
    never = by_quantity(compare_chains(forked, predicted(0.0), resampled(0.0)))
    assert never["stale_rate"].p_value == 0.0


@pytest.mark.parametrize("law", [LAW, geometric(0.05, trial=7.0)])
def test_the_exact_law_of_the_fastest(law):
    fastest = fastest_of(law, 3)
    net = network(law, provers=3, beta=0.0, delay_steps=0.0)
    drawn = simulated_chains(
        simulate(jax.random.key(2), net, levels=LEVELS, replicas=60)
    )
    # A lattice law forks without a delay; the first blocks' law is the same.
    drawn = drawn._replace(blocks=np.ones_like(drawn.blocks))
    p, z = [], []
    for i in range(60):
        rows = compare_with_law(one(drawn, i), fastest, [fastest, fastest], seed=i)
        p.append(rows[0].p_value)
        z.append([row.z for row in rows[1:]])
    # Discrete laws' p-values are a little above uniform; they may not be below.
    assert stats.kstest(p, "uniform", alternative="greater").pvalue > ALARM
    assert (np.abs(np.mean(z, axis=0)) < SIGMA / np.sqrt(60) * 1.1).all()
    slower = fastest_of(law, 2)
    wrong = compare_with_law(one(drawn, 0), slower, [slower] * 30)
    assert min(row.p_value for row in wrong) < 1e-3


def test_simulated_lattice_intervals_meet_exact_ones():
    # Float32 times of the engine and float64 times of a world are equal times.
    law = geometric(0.05, trial=0.7)
    net = network(law, provers=3, beta=0.0, delay_steps=0.7)
    drawn = simulated_chains(
        simulate(jax.random.key(2), net, levels=LEVELS, replicas=100)
    )
    mined = one(drawn, 0)
    exact = mined._replace(interval=np.round(mined.interval / 0.7) * 0.7)
    for chain in (mined, exact):
        found = compare_chains(chain, drawn, [drawn, drawn])[0]
        assert found.mined < 0.1
        assert found.p_value > 1e-3
    assert (
        compare_chains(mined, drawn, [drawn, drawn])[0].mined
        == compare_chains(exact, drawn, [drawn, drawn])[0].mined
    )


def test_the_band_holds_nineteen_chains_of_twenty():
    many = chains(seed=9, replicas=200)
    curves = interval_curves(one(many, 0), predicted(), resampled())
    assert set(curves) == {"time", "mined", "predicted", "low", "high"}
    assert curves["mined"][0] == curves["predicted"][0] == 1.0
    assert (curves["low"] <= curves["predicted"]).all()
    assert (curves["predicted"] <= curves["high"]).all()
    inside = []
    for interval in many.interval:
        alive = (interval[None, :] > curves["time"][:, None]).mean(axis=1)
        inside.append(
            ((curves["low"] <= alive) & (alive <= curves["high"])).all().item()
        )
    assert stats.binomtest(sum(inside), 200, 0.95).pvalue > ALARM


def test_what_cannot_be_compared():
    mined = one(chains(seed=5), 0)
    long = predicted()
    short = Chains(long.interval[:, 1:], long.blocks[:, 1:], winners(long)[:, 1:])
    with pytest.raises(ValueError, match="replicas must be 300 levels long"):
        compare_chains(mined, short, resampled())
    with pytest.raises(ValueError, match="at least two resampled laws"):
        compare_chains(mined, predicted(), resampled()[:1])
    with pytest.raises(ValueError, match="do not tell who won"):
        compare_winners(mined._replace(winner=None), predicted(), resampled())
    with pytest.raises(ValueError, match="has no forks"):
        compare_with_law(mined, LAW, [LAW, LAW])
    fair = np.array([0.5, 0.5])
    with pytest.raises(ValueError, match="prover 4 won"):
        compare_domination(mined, fair, [fair, fair])
    lattice = geometric(0.1)
    for refuse in (
        lambda: domination(lattice, (1, 1)),
        lambda: race(1, lattice, (1, 1), delay_steps=0.0, levels=2, replicas=2),
    ):
        with pytest.raises(ValueError, match="lattice law"):
            refuse()
    with pytest.raises(ValueError, match="speeds must be > 0"):
        domination(LAW, (1, 0))
    with pytest.raises(ValueError, match="speeds must be > 0"):
        chains(seed=1, speeds=(1, 0))
    endless = LAW._replace(
        tail_hazard=0.0, cumulative_hazard=LAW.cumulative_hazard / 99
    )
    with pytest.raises(Refused, match="never ends"):
        domination(endless, (1, 1))
    with pytest.raises(Refused, match="never ends"):
        chains(endless, seed=1)
