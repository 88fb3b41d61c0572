"""The decay constant against laws where it is known, and its interval's coverage."""

import math

import jax
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.bounds.backbone import bad_window
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.good_periods.decay import (
    REJECTED,
    Ideal,
    decay_measurements,
    decay_ratio,
    entropy_constant,
    exact_ideal,
    exact_slope,
    exact_slopes,
    fit_decay,
    fit_pair,
    refutation,
)
from dpodl.analysis.good_periods.independence import independent_rounds
from dpodl.analysis.good_periods.tails import decay_lengths
from dpodl.analysis.good_periods.windows import (
    round_rates,
    rounds_of,
    shortest,
    window_shares,
)
from dpodl.analysis.simulation.levels import network, simulate

KEY = jax.random.key(8)
SIGMA = 3.5
EPSILON = 0.5
ROUNDS = np.arange(100, 400, 40)
P = 0.1


def drawn(seed, replicas, constant=0.4, intercept=-0.2, bend=0.0):
    """Indicators of one uniform a replica: P(k) is exact, lengths are correlated."""
    x = EPSILON**2 * P * ROUNDS
    level = np.exp(intercept - constant * x - bend * x**2)
    uniform = np.random.default_rng(seed).uniform(size=(replicas, 1))
    return uniform < level


def test_interval_covers_and_test_is_level_where_the_line_is_true():
    trials = 300
    fits = [
        fit_decay(drawn(s, 600), ROUNDS, p=P, epsilon=EPSILON, ceiling=1.0)
        for s in range(trials)
    ]
    covered = np.mean([f.constant.low <= 0.4 <= f.constant.high for f in fits])
    rejected = np.mean([f.p_value < 0.05 for f in fits])
    error = math.sqrt(0.05 * 0.95 / trials)
    assert covered > 0.95 - SIGMA * error
    assert rejected < 0.05 + SIGMA * error
    values = np.array([f.constant.value for f in fits])
    # The slopes between neighbouring lengths cover it as well.
    slopes = [slope for f in fits for slope in f.slopes]
    assert len(slopes) > 3 * trials
    held = np.mean([s.low <= 0.4 <= s.high for s in slopes])
    assert held > 0.95 - SIGMA * error
    # Neither too wide: the half-width is that of the values' own spread.
    half = np.mean([(f.constant.high - f.constant.low) / 2 for f in fits])
    assert half == pytest.approx(1.96 * values.std(), rel=0.2)


def lengths(found):
    return [float(k * P) for k in found.rounds]


def test_curvature_is_seen_and_leaves_slopes_but_no_constant():
    bent = drawn(0, 20_000, bend=0.03)
    found = fit_decay(bent, ROUNDS, p=P, epsilon=EPSILON, ceiling=1.0)
    assert found.p_value < 1e-4
    assert not found.straight
    # −d ln P / dx = c + 2bx, at the middle of each stretch.
    x = EPSILON**2 * P * (found.rounds[1:] + found.rounds[:-1]) / 2
    for slope, true in zip(found.slopes, 0.4 + 0.06 * x, strict=True):
        # 3.5 standard errors: the half-width is 1.96.
        half = (slope.high - slope.low) / 2
        assert abs(slope.value - true) < SIGMA / 1.96 * half + 1e-3
        assert half < 0.4
    told = decay_measurements(found, None, lengths(found), every=False)
    assert [m.quantity for m in told] == [
        *["decay_slope"] * (len(found.rounds) - 1),
        "decay_fit_p_value",
    ]
    assert [m.at for m in told][:2] == [12.0, 16.0]
    assert "kp = 10 to 14" in told[0].estimate.method
    said = refutation(found, lengths(found))
    assert said is not None
    assert f"does not hold from kp = 10 to {lengths(found)[-1]:g} (p = " in said
    assert f"{found.slopes[-1].value:.2f} at the longest" in said


def test_a_constant_is_only_given_where_its_own_test_leaves_room_for_it():
    for seed in range(40):
        found = fit_decay(drawn(seed, 600), ROUNDS, p=P, epsilon=EPSILON, ceiling=1.0)
        measured = decay_measurements(found, None, lengths(found), every=True)
        told = {m.quantity for m in measured}
        straight = found.p_value >= REJECTED
        assert ("decay_constant_all" in told) is straight
        assert (refutation(found, lengths(found)) is None) is straight


def test_independent_rounds_have_their_exact_constant():
    k = np.array([200, 260, 320, 400, 500, 620])
    p_x, p_y, p_z = 0.1, 0.09, 0.03
    draws = np.random.default_rng(3)
    replicas = 30_000
    shares = np.zeros((replicas, len(k)))
    for i, length in enumerate(k):
        # Y is what remains of X when each success is alone with p_y/p_x.
        x = draws.binomial(length, p_x, replicas)
        y = draws.binomial(x, p_y / p_x)
        z = draws.binomial(length, p_z, replicas)
        good = (x > 0.6 * length * p_x) & (x < 1.4 * length * p_x)
        good &= y > 0.6 * length * p_y
        good &= z < length * p_z + 0.4 * length * p_x
        shares[:, i] = ~good
    found = fit_decay(shares, k, p=p_x, epsilon=0.4)
    exact, misfit = exact_slope(found, p_y=p_y, p_z=p_z)
    error = (found.constant.high - found.constant.low) / (2 * 1.96)
    assert abs(found.constant.value - exact) < SIGMA * error
    assert error < 0.02 * exact
    assert 0 < misfit < 0.2
    ratio = decay_ratio(found, exact)
    assert ratio.low < 1 < ratio.high


@pytest.mark.parametrize("p_y", [0.05, 0.03])
def test_exact_slope_tends_to_the_rate_of_large_deviations(p_y):
    p_x, p_z, epsilon = 0.05, 0.02, 0.5
    limit = entropy_constant(p_x, p_y, p_z, epsilon)

    def slope(k):
        near, far = (bad_window(n, p_x, p_y, p_z, epsilon) for n in (k, 2 * k))
        return math.log(near / far) / (epsilon**2 * k * p_x)

    # Bahadur–Rao: the slope between k and 2k exceeds the limit by ln 2 / (2ε²kp).
    for k in (4000, 16_000):
        excess = slope(k) - limit
        assert excess == pytest.approx(
            math.log(2) / (2 * epsilon**2 * k * p_x), rel=0.3
        )


def test_rate_of_large_deviations_is_the_least_of_its_conditions():
    # Only X can fail when Y = X and there is no adversary; its upper side is weaker.
    rare = entropy_constant(1e-9, 1e-9, 0.0, 0.5)
    assert rare == pytest.approx((1.5 * math.log(1.5) - 0.5) / 0.25, rel=1e-6)
    assert 1 / 3 < rare < 1 / 2
    # Small ε: the normal law's 1/(2(1−p)).
    assert entropy_constant(0.3, 0.3, 0.0, 1e-3) == pytest.approx(0.5 / 0.7, rel=1e-3)
    assert entropy_constant(0.1, 0.03, 0.0, 0.5) < entropy_constant(0.1, 0.1, 0.0, 0.5)
    assert entropy_constant(1.0, 1.0, 0.0, 0.5) == math.inf


def bad_shares(rounds, rates, window_blocks, epsilon):
    shares = window_shares(KEY, rounds, rates, window_blocks, epsilon=epsilon)
    return shares.single, shares.every, shares.rounds


@pytest.mark.parametrize("dead_time", [0.0, 5.0])
def test_dead_time_makes_bad_windows_rarer_than_the_lemma_says(dead_time):
    law = exponential(0.01, dead_time=dead_time)
    net = network(law, provers=10, beta=0.0, delay_steps=0.0)
    levels = simulate(KEY, net, levels=128, replicas=1000)
    rounds = rounds_of(levels, round_steps=0.5)
    rates = round_rates(rounds, end=int(shortest(levels) / 0.5))
    ideal = independent_rounds(KEY, rates, replicas=1000)
    lengths = [8.0, 11.0, 14.0, 17.0, 20.0, 24.0, 28.0]
    single, every, k = bad_shares(rounds, rates, lengths, EPSILON)
    found = fit_decay(single, k, p=rates.x, epsilon=EPSILON)
    exact, _ = exact_slope(found, p_y=rates.y, p_z=rates.z)
    ideal_single, ideal_every, _ = bad_shares(ideal, rates, lengths, EPSILON)
    simulated = fit_decay(ideal_single, k, p=rates.x, epsilon=EPSILON)
    own, _ = exact_slope(simulated, p_y=rates.y, p_z=rates.z)
    error = (simulated.constant.high - simulated.constant.low) / (2 * 1.96)
    assert abs(simulated.constant.value - own) < SIGMA * error
    real, base = fit_pair(
        every, ideal_every, k, p=rates.x, epsilon=EPSILON, ceiling=0.95
    )
    np.testing.assert_array_equal(real.rounds, base.rounds)
    np.testing.assert_array_equal(real.weights, base.weights)
    for ratio in (decay_ratio(found, exact), decay_ratio(real, base)):
        if dead_time:
            assert ratio.low > 1.2
        else:
            error = (ratio.high - ratio.low) / (2 * 1.96)
            assert abs(ratio.value - 1) < SIGMA * error
    blocks = [round(k * rates.x) for k in real.rounds]
    both = Ideal(base.constant, base.slopes)
    names = {m.quantity for m in decay_measurements(real, both, blocks, every=True)}
    assert {"decay_slope_all", "decay_slope_iid_all", "decay_fit_p_value_all"} <= names
    assert ("decay_constant_all" in names) is real.straight
    lonely = decay_measurements(real, None, blocks, every=True)
    assert not any("iid" in m.quantity or "ratio" in m.quantity for m in lonely)
    ideal = exact_ideal(found, p_y=rates.y, p_z=rates.z)
    assert ideal.constant[:4] == (exact, exact, exact, 0)
    assert ideal.slopes == exact_slopes(found, p_y=rates.y, p_z=rates.z)
    risks = [bad_window(n, rates.x, rates.y, rates.z, EPSILON) for n in k[:2].tolist()]
    step = EPSILON**2 * rates.x * (k[1] - k[0])
    if found.rounds[0] == k[0]:
        assert ideal.slopes[0].value == pytest.approx(
            math.log(risks[0] / risks[1]) / step
        )


def test_lengths_that_no_replica_tells_apart_are_no_evidence():
    twice = np.repeat(drawn(1, 600), 2, axis=1)
    k = np.repeat(ROUNDS, 2)
    k[1::2] += 1
    found = fit_decay(twice, k, p=P, epsilon=EPSILON, ceiling=1.0)
    assert 0 <= found.p_value <= 1
    alone = fit_decay(drawn(1, 600), ROUNDS, p=P, epsilon=EPSILON, ceiling=1.0)
    assert found.constant.value == pytest.approx(alone.constant.value, rel=0.05)
    # The same data twice are no more data.
    assert found.constant.high - found.constant.low == pytest.approx(
        alone.constant.high - alone.constant.low, rel=0.05
    )


def test_windows_that_cannot_be_used():
    shares = drawn(0, 2000).astype(float)
    few = shares.copy()
    few[:, 3:] = 0.0  # never bad
    few[:, 0] = 1.0  # always bad
    with pytest.raises(Refused, match=r"only 2 of 8 .* where bad windows are rare"):
        fit_decay(few, ROUNDS, p=P, epsilon=EPSILON, ceiling=1.0)
    with pytest.raises(Refused, match="only 0 of 8"):
        fit_decay(shares, ROUNDS, p=P, epsilon=EPSILON, ceiling=1e-3)
    with pytest.raises(Refused, match="no ratio to it"):
        decay_ratio(fit_decay(shares, ROUNDS, p=P, epsilon=EPSILON), -0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.0}, "p must lie"),
        ({"epsilon": 1.0}, "epsilon must lie"),
        ({"ceiling": 0.0}, "ceiling must lie"),
        ({"rounds": ROUNDS[::-1]}, "rounds must lie"),
        ({"rounds": ROUNDS[1:]}, "rounds must lie|Type-check"),
        ({"bad": drawn(0, 100) * 2.0}, r"bad must lie in \[0, 1\], got 2.0"),
    ],
)
def test_bad_settings(change, message):
    given = {"bad": drawn(0, 100), "rounds": ROUNDS, "p": P, "epsilon": EPSILON}
    given |= change
    bad, rounds = given.pop("bad"), given.pop("rounds")
    with pytest.raises((ValueError, TypeError), match=message):
        fit_decay(bad, rounds, **given)


@pytest.mark.parametrize("epsilon", [0.05, 0.2, 0.5, 0.7, 0.95])
def test_lengths_miss_one_success_more_each_and_none_by_rounding(epsilon):
    lengths = np.array(decay_lengths(epsilon))
    assert 4 <= len(lengths) <= 11
    missed = (1 - epsilon) * lengths - 0.5
    np.testing.assert_allclose(missed, np.round(missed), atol=1e-9)
    assert (np.diff(lengths) > 0).all()
