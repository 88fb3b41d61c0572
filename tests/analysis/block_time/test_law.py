"""Block-time laws against closed forms, brute-force minima and their own samples.

Samples come from fixed keys; every KS, χ² or binomial test has false-alarm level 1e-3
over the choice of the key.
"""

import math
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time import law as bt
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw
from scipy import integrate, stats

FALSE_ALARM = 1e-3
LEVELS = np.array([1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9, 1 - 1e-6, 1 - 1e-12])


# pytest's own absolute tolerance of 1e-12 would pass any deep tail.
_close = partial(pytest.approx, abs=0.0)

# One shape, so that the whole file compiles each function once.
BLOCK = 1 << 16
_sample = jax.jit(lambda key, law: bt.sample(key, law, (BLOCK,)))
_inverse = jax.jit(bt.time_of_hazard)


def _key(number: int):
    return jax.random.key(number)


def _draw(number: int, law: BlockTimeLaw, *shape: int) -> np.ndarray:
    """Samples by traced key and law, as float64."""
    device, size = bt.on_device(law), math.prod(shape)
    keys = jax.random.split(_key(number), -(-size // BLOCK))
    drawn = np.concatenate([np.asarray(_sample(key, device), float) for key in keys])
    return drawn[:size].reshape(shape)


def _times(law: BlockTimeLaw, hazards) -> np.ndarray:
    """Λ⁻¹ in float32, as compiled code sees it."""
    device, flat = bt.on_device(law), np.ravel(np.asarray(hazards, np.float32))
    padded = np.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)
    got = [np.asarray(_inverse(device, jnp.asarray(row)), float) for row in padded]
    return np.concatenate(got)[: len(flat)].reshape(np.shape(hazards))


def _is_drawn_from(samples: np.ndarray, law: BlockTimeLaw) -> None:
    test = stats.kstest(samples.ravel(), lambda x: 1.0 - bt.survival(law, x))
    assert test.pvalue > FALSE_ALARM, test


def _ks_2samp(one: np.ndarray, other: np.ndarray) -> float:
    return float(stats.ks_2samp(one, other).pvalue)  # pyright: ignore


def _has_atoms(samples: np.ndarray, values: np.ndarray, masses: np.ndarray) -> None:
    """χ² of the listed atoms and of everything else together."""
    near = [np.isclose(samples, v, rtol=1e-6, atol=0).sum() for v in values]
    counts = np.append(near, samples.size - np.sum(near))
    expected = samples.size * np.append(masses, 1.0 - masses.sum())
    assert expected.min() > 5
    test = stats.chisquare(counts, expected)
    assert test.pvalue > FALSE_ALARM, (counts, expected)


def _bent(*, spacing=1.0, tail=0.02, offset=5.0) -> BlockTimeLaw:
    """Nothing for 300 knots, a hump, a lull, and a slow tail: a D-PoDL shape."""
    hazard = np.zeros(KNOTS)
    hazard[300:900] = 0.004
    hazard[1500:] = 0.0005
    return BlockTimeLaw(np.cumsum(hazard), spacing, tail, offset, False)


# -------------------------------------------------------------------- exponential


@pytest.mark.parametrize("rate", [1e-9, 0.02, 3, 1e6])
@pytest.mark.parametrize("relative_dead_time", [0, 0.3, 10])
def test_exponential_closed_forms(rate, relative_dead_time):
    dead_time = relative_dead_time / rate
    law = bt.exponential(rate, dead_time=dead_time)
    # Up to 200 means: behind the table, which ends at 128.
    waits = np.array([0.0, 1e-9, 0.013, 1.0, 7.77, 127.9, 128.1, 200.0]) / rate
    assert bt.survival(law, dead_time + waits) == _close(
        np.exp(-rate * waits), rel=1e-11
    )
    assert bt.quantile(law, LEVELS) == _close(
        dead_time - np.log1p(-LEVELS) / rate, rel=1e-12
    )
    assert bt.mean(law) == _close(dead_time + 1 / rate, rel=1e-12)
    # docs/science/anchors.md: CV = 1/(1 + S_0 P).
    assert bt.cv(law) == _close(1 / (1 + relative_dead_time), rel=1e-9)


def test_nothing_happens_in_the_dead_time():
    law = bt.exponential(0.1, dead_time=50.0)
    assert (bt.survival(law, np.linspace(-10.0, 50.0, 61)) == 1.0).all()
    assert bt.quantile(law, [0.0]) == 50.0
    assert _draw(1, law, 20_000).min() >= 50.0


def test_a_long_dead_time_leaves_the_digits_of_the_spread():
    # The variance is a difference of squares: a dead time of a thousand means costs
    # six of its sixteen digits.
    law = bt.exponential(1.0, dead_time=1000.0)
    assert bt.cv(law) == _close(1 / 1001, rel=1e-7)


def test_hazard_is_the_rate_and_adds_up_to_the_table():
    ends, rates = bt.hazard(bt.exponential(0.25, dead_time=3.0))
    assert rates == _close(np.full(KNOTS - 1, 0.25), rel=1e-12)
    assert (ends[0], ends[-1]) == pytest.approx((3 + 1 / 16, 3 + 8191 / 16))
    law = _bent(spacing=2.0)
    ends, rates = bt.hazard(law)
    assert bt.survival(law, ends) == pytest.approx(np.exp(-np.cumsum(2.0 * rates)))


# ---------------------------------------------------------------------- geometric


@pytest.mark.parametrize("p", [1e-9, 1 / KNOTS, 0.02, 0.5, 0.999])
@pytest.mark.parametrize(("trial", "dead_time"), [(1, 0), (0.1, 7.0), (64.0, 1e-3)])
def test_geometric_closed_forms(p, trial, dead_time):
    law = bt.geometric(p, trial=trial, dead_time=dead_time)
    exact = stats.geom(p)
    trials = np.array([0, 1, 2, 3, 100, KNOTS - 1, KNOTS, KNOTS + 1, 123_456])
    log_survival = trials * math.log1p(-p)
    at, before = dead_time + trial * trials, dead_time + trial * (trials + 0.999)
    for times in (at, before):
        assert bt.survival(law, times) == _close(np.exp(log_survival), rel=1e-9)
    mean = dead_time + trial / p
    assert bt.mean(law) == _close(mean, rel=1e-12)
    assert bt.cv(law) * mean == _close(exact.std() * trial, rel=1e-6)
    # Half-way between two atoms' cumulative probabilities no rounding can decide.
    chosen = np.array([1, 2, 50, KNOTS, KNOTS + 5, 50_000])
    levels = -np.expm1((chosen - 0.5) * math.log1p(-p))
    chosen, levels = chosen[levels < 1 - 1e-9], levels[levels < 1 - 1e-9]
    assert bt.quantile(law, levels) == _close(dead_time + trial * chosen, rel=1e-12)


def test_geometric_atoms_are_p_times_misses():
    p, k = 0.03, np.arange(1, 500)
    law = bt.geometric(p, trial=0.7, dead_time=0.2)
    atoms = -np.diff(bt.survival(law, 0.2 + 0.7 * np.arange(500)))
    assert atoms == _close(p * (1 - p) ** (k - 1), rel=1e-9)


def test_certain_success_takes_exactly_one_trial():
    # −log(1 − p) is infinite: the cap must neither show nor make NaN.
    law = bt.geometric(1, trial=5.0, dead_time=2.0)
    assert bt.survival(law, [2.0, 6.99]).tolist() == [1.0, 1.0]
    assert bt.survival(law, [7.0, 100.0]) == pytest.approx([0.0, 0.0], abs=1e-40)
    assert bt.quantile(law, [1e-12, 0.5, 1 - 1e-12]).tolist() == [7.0] * 3
    assert bt.mean(law) == 7.0
    assert bt.cv(law) == pytest.approx(0.0, abs=1e-7)
    assert (_draw(2, law, 20_000) == 7.0).all()
    assert bt.mean(bt.fastest_of(law, 1000)) == 7.0


def test_tiny_success_probability_is_not_lost():
    p = 1e-9
    # The precondition: in float32, 1 − p is 1 and its logarithm 0.
    assert np.log(np.float32(1) - np.float32(p)) == 0.0
    law = bt.geometric(p, trial=2.0)
    assert bt.cv(law) == _close(1.0, rel=1e-6)
    samples = _draw(3, law, 20_000)
    test = stats.kstest(samples / 2e9, "expon")
    assert test.pvalue > FALSE_ALARM, test
    assert (samples >= 2.0).all()


def test_proof_of_work_is_a_trial_a_hash():
    law = bt.proof_of_work(1e-3, hashes_per_step=50)
    assert bt.mean(law) == _close(20.0, rel=1e-12)
    assert bt.survival(law, [0.019, 0.02, 0.1]) == _close(
        [1.0, 0.999, 0.999**5], rel=1e-12
    )
    assert law.lattice is True


# --------------------------------------------------------- survival and quantiles


@pytest.mark.parametrize(
    "law",
    [bt.exponential(0.1, dead_time=2), bt.geometric(0.07, trial=0.3), _bent()],
    ids=["exponential", "geometric", "bent"],
)
def test_quantile_is_the_smallest_time_that_reaches_the_level(law):
    levels = np.random.default_rng(4).random(2000)
    times = bt.quantile(law, levels)
    step = 1e-6 * law.spacing
    assert (bt.survival(law, times + step) <= 1 - levels).all()
    assert (bt.survival(law, times - step) >= 1 - levels).all()
    assert (np.diff(bt.quantile(law, np.sort(levels))) >= 0).all()


@pytest.mark.parametrize("lattice", [False, True])
@pytest.mark.parametrize("tail", [0.0, 0.1])
def test_quantile_is_at_the_start_of_a_lull(lattice, tail):
    # The level is reached at knot 100 and nothing happens until knot 8191.
    reached = -np.log1p(-0.5)
    hazard = np.where(np.arange(KNOTS) < 100, 0.0, reached)
    law = BlockTimeLaw(hazard, 2.0, tail, 1.0, lattice)
    assert bt.quantile(law, 0.5) == 201.0


def test_scalars_integers_and_lists_are_times_too():
    law = bt.exponential(0.5)
    for times in (2, 2.0, np.float64(2.0), np.array(2)):
        assert bt.survival(law, times) == pytest.approx(math.exp(-1))
    assert bt.survival(law, [1, 2.0]) == pytest.approx(np.exp([-0.5, -1.0]))
    assert bt.survival(law, np.arange(6).reshape(2, 3)).shape == (2, 3)
    assert bt.quantile(law, 0.5) == pytest.approx(2 * math.log(2))


def test_moments_are_the_integrals_of_the_survival():
    law = _bent()
    grid = np.concatenate([[0.0], 5.0 + np.arange(KNOTS)])

    def moment(power):
        def integrand(x):
            return power * x ** (power - 1) * bt.survival(law, x)

        # Gauss–Legendre inside the cells, where the integrand is smooth.
        cells = sum(
            integrate.fixed_quad(integrand, a, b, n=6)[0] for a, b in pairwise(grid)
        )
        return cells + integrate.quad(integrand, grid[-1], grid[-1] + 3000)[0]

    first, second = moment(1), moment(2)
    assert bt.mean(law) == _close(first, rel=1e-10)
    assert bt.cv(law) == _close(math.sqrt(second - first**2) / first, rel=1e-9)


def test_moments_across_the_series_of_a_small_hazard():
    # 1 − e^{−a} cancels for small a; the switch to the series must not be seen.
    a = np.array([1e-12, 1e-8, 9.9e-5, 1.1e-4, 9.9e-4, 1.1e-3, 0.5, 50.0])
    exact = [
        integrate.quad(lambda u, s=s: math.exp(-s * u), 0, 1, epsabs=1e-14)[0]
        for s in a
    ]
    assert bt._phi1(a) == _close(exact, rel=1e-12)
    exact = [
        integrate.quad(lambda u, s=s: u * math.exp(-s * u), 0, 1, epsabs=1e-14)[0]
        for s in a
    ]
    assert bt._phi2(a) == _close(exact, rel=2e-10)


# ------------------------------------------------------------ fastest of n provers


@pytest.mark.parametrize("provers", [1, 2, 75, 1e4, 0.25])
def test_fastest_of_exponentials_and_geometrics_stays_in_the_family(provers):
    one = bt.exponential(0.01, dead_time=40.0)
    times = np.linspace(0.0, 300.0, 50)
    together = bt.exponential(0.01 * provers, dead_time=40.0)
    fastest = bt.fastest_of(one, provers)
    assert bt.survival(fastest, times) == _close(
        bt.survival(together, times), rel=1e-10
    )
    assert bt.mean(fastest) == _close(40.0 + 100.0 / provers, rel=1e-12)
    assert bt.cv(fastest) == _close(bt.cv(together), rel=1e-6)

    p = -math.expm1(provers * math.log1p(-0.002))
    fastest = bt.fastest_of(bt.geometric(0.002, trial=3.0), provers)
    assert bt.mean(fastest) == _close(3.0 / p, rel=1e-12)
    assert bt.cv(fastest) == _close(math.sqrt(1 - p), rel=1e-6)


def test_fastest_of_is_a_semigroup():
    law = _bent()
    twice = bt.fastest_of(bt.fastest_of(law, 5), 8)
    assert twice.cumulative_hazard == pytest.approx(40 * law.cumulative_hazard)
    assert twice.tail_hazard == pytest.approx(40 * law.tail_hazard)


@pytest.mark.parametrize("law", [_bent(), bt.geometric(0.01, trial=2.0)])
def test_fastest_of_is_the_law_of_a_minimum(law):
    minima = _draw(5, law, 20_000, 9).min(axis=1)
    fastest = bt.fastest_of(law, 9)
    if not law.lattice:
        return _is_drawn_from(minima, fastest)
    k = np.arange(1, 20)
    survive = bt.survival(fastest, 2.0 * np.arange(20))
    return _has_atoms(minima, 2.0 * k, -np.diff(survive))


@pytest.mark.parametrize("speeds", [[2, 2, 2], [0.3] * 4])
@pytest.mark.parametrize("law", [_bent(), bt.geometric(0.1, trial=2, dead_time=1)])
def test_equal_speeds_are_a_change_of_clock(law, speeds):
    fastest = bt.fastest_of_speeds(law, speeds)
    equal = bt.fastest_of(law, len(speeds))
    times = np.linspace(0.05, 900.0, 77)
    assert bt.survival(fastest, times / speeds[0]) == _close(
        bt.survival(equal, times), rel=1e-9
    )
    assert bt.mean(fastest) == _close(bt.mean(equal) / speeds[0], rel=1e-12)
    assert fastest.lattice is law.lattice


def test_different_speeds_of_memoryless_provers_add_up():
    fastest = bt.fastest_of_speeds(bt.exponential(0.01), [1, 2.5, 30.0])
    assert bt.mean(fastest) == _close(1 / 0.335, rel=1e-12)
    assert bt.cv(fastest) == _close(1.0, rel=1e-9)


def test_two_speeds_with_dead_time_have_the_closed_form_mean():
    """Fast alone until the slow one's dead time is over, then both."""
    rate, dead, fast = 0.01, 60.0, 1.25
    fastest = bt.fastest_of_speeds(bt.exponential(rate, dead_time=dead), [1.0, fast])
    alone = math.exp(-rate * fast * (dead - dead / fast))
    mean = dead / fast + (1 - alone) / (rate * fast) + alone / (rate * (1 + fast))
    # Everything is exact but the one cell in which the slow one wakes up.
    kink = alone * rate * fastest.spacing**2 / 8
    assert abs(bt.mean(fastest) - mean) < kink
    assert kink < 2e-5 * mean


def test_speeds_are_the_product_of_survivals():
    law = _bent()
    speeds = [0.4, 1.0, 1.0, 3.0]
    fastest = bt.fastest_of_speeds(law, speeds)
    knots = np.asarray(fastest.offset + fastest.spacing * np.arange(0, KNOTS, 7))
    product = np.prod([bt.survival(law, v * knots) for v in speeds], axis=0)
    assert bt.survival(fastest, knots) == _close(product, rel=1e-9)
    provers = np.stack([_draw(6 + i, law, 20_000) / v for i, v in enumerate(speeds)])
    _is_drawn_from(provers.min(axis=0), fastest)


@pytest.mark.parametrize("rate", [1e-4, 4e-3])
def test_a_slow_prover_has_no_hazard_before_its_training_is_done(rate):
    """One 30× machine against ten units whose table ends 30 times later.

    Behind the fast one's table a constant hazard would let the slow ones succeed
    before they have trained: 5 % off the mean.
    """
    law = bt.exponential(rate, dead_time=200.0)
    # A table of eight dead times: the fast one's ends before the slow ones wake.
    spacing = 1600.0 / KNOTS
    short = BlockTimeLaw(
        np.maximum(spacing * np.arange(KNOTS) - 200.0, 0.0) * rate,
        spacing,
        rate,
        0.0,
        False,
    )
    assert 1600.0 / 30 < 200.0
    speeds = [30.0] + [1.0] * 10
    exact = bt.mean(bt.fastest_of_speeds(law, speeds))
    alone = math.exp(-30 * rate * (200.0 - 200.0 / 30))
    closed = 200 / 30 + (1 - alone) / (30 * rate) + alone / (40 * rate)
    assert exact == _close(closed, rel=1e-5)
    assert bt.mean(bt.fastest_of_speeds(short, speeds)) == _close(closed, rel=1e-4)


# ----------------------------------------------------------------- infinite mass


def _defective(provers=1.0) -> BlockTimeLaw:
    """Ends with probability 3/4, at one of the first knots."""
    hazard = math.log(4.0) * np.minimum(np.arange(KNOTS) / 100.0, 1.0)
    return bt.fastest_of(BlockTimeLaw(hazard, 1.0, 0.0, 2.0, False), provers)


def test_a_law_that_may_never_end():
    law = _defective()
    assert bt.survival(law, [102.0, 1e9, np.inf]) == pytest.approx(0.25)
    assert bt.quantile(law, [0.74, 0.76])[1] == np.inf
    assert bt.quantile(law, 0.74) < 102.0
    assert bt.mean(law) == np.inf
    assert math.isnan(bt.cv(law))
    samples = _draw(10, law, 20_000)
    never = int(np.isinf(samples).sum())
    assert stats.binomtest(never, 20_000, 0.25).pvalue > FALSE_ALARM
    assert samples[np.isfinite(samples)].max() <= 102.0


def test_never_is_never_on_a_lattice_too():
    law = _defective()._replace(lattice=True)
    assert bt.mean(law) == np.inf
    assert bt.quantile(law, [0.76]) == np.inf
    samples = _draw(11, law, 20_000)
    assert stats.binomtest(int(np.isinf(samples).sum()), 20_000, 0.25).pvalue > 1e-3


def test_mass_that_underflows_is_no_mass():
    # S(∞)^n is 0 in float64 for n = 1000: 0/0 behind the table would make it NaN.
    assert np.exp(-1000 * math.log(4.0)) == 0.0
    assert math.exp(-60 * math.log(4.0)) > 0.0
    assert bt.mean(_defective(60)) == np.inf
    # Below e^-100, which the module calls 0, it does not count either.
    assert bt.mean(_defective(100)) == _close(2.0 + 1 / math.log(4.0), rel=1e-12)
    fastest = _defective(1000)
    exact = 2.0 + 100.0 / (1000 * math.log(4.0))
    assert bt.mean(fastest) == _close(exact, rel=1e-12)
    assert bt.cv(fastest) == _close((exact - 2.0) / exact, rel=1e-9)


# -------------------------------------------------------------------- float traps


def test_float_trap_lower_tail_of_a_million_provers():
    exponentials = np.array([0.01, 0.5, 1.0, 3.0], np.float32)
    hazards = exponentials / np.float32(1e6)
    # The precondition: by way of 1 − S the small times keep one or two digits.
    through_survival = -np.log(np.exp(-hazards))
    assert np.abs(through_survival / hazards - 1).max() > 0.01
    for law in (bt.exponential(1e-3), bt.exponential(5.0), bt.exponential(1e6)):
        got = _times(law, hazards)
        exact = hazards.astype(float) / law.tail_hazard
        assert got == _close(exact, rel=5e-7)
        million = bt.fastest_of(law, 1_000_000)
        assert bt.mean(million) == _close(1e-6 / law.tail_hazard, rel=1e-9)


def test_float_trap_an_exponential_draw_can_be_zero():
    # JAX draws −log1p(−u) with u on a grid of 2⁻²³ that has 0: not −inf but E = 0.
    u = jnp.arange(2, dtype=jnp.float32) * 2.0**-23
    exponentials = np.asarray(-jnp.log1p(-u))
    assert exponentials[0] == 0.0
    law = _bent(offset=5.0)
    earliest = float(bt.quantile(law, 1e-12))
    assert earliest == pytest.approx(5.0 + 299)
    assert _times(law, exponentials) == pytest.approx([earliest] * 2, abs=0.01)
    lattice = bt.geometric(0.1, trial=3.0, dead_time=1.0)
    assert _times(lattice, exponentials).tolist() == [4, 4]


def test_float_trap_a_small_share_of_a_far_cell():
    # 4999 + 1e-5 is 4999 in float32: the atom before the first possible one.
    assert np.float32(4999) + np.float32(1e-5) == np.float32(4999)
    hazard = np.where(np.arange(KNOTS) < 5000, 0.0, 1.0)
    law = BlockTimeLaw(hazard, 2.0, 0.5, 0.0, True)
    assert _times(law, [1e-6, 1e-5, 0.5]).tolist() == [10_000.0] * 3


def test_float_trap_just_behind_the_table():
    law = BlockTimeLaw(np.zeros(KNOTS), 2.0, 0.5, 0.0, True)
    assert np.float32(KNOTS - 1) + np.float32(1e-6) == np.float32(KNOTS - 1)
    got = _times(law, [1e-6, 0.999, 1.001]).tolist()
    assert got == [2.0 * KNOTS, 2.0 * KNOTS, 2.0 * (KNOTS + 1)]


def test_float_trap_an_atom_counts_at_its_own_time():
    # 0.1 k / 0.1 is below k for some k: the floor would miss the atom.
    k = np.arange(1, 5000)
    times = 0.1 * k
    dead = (0.3 + times) - 0.3
    assert (np.floor(dead / 0.1) < k).any()
    law = bt.geometric(0.001, trial=0.1, dead_time=0.3)
    assert bt.survival(law, 0.3 + times) == _close(0.999**k, rel=1e-9)


def test_float_trap_hazard_beyond_the_table():
    law = _bent(tail=1e-4)
    end = float(law.cumulative_hazard[-1])
    for more in (0.5, 3.0, 1e3):
        time = 5.0 + KNOTS - 1 + more / 1e-4
        assert _times(law, [end + more]) == _close(time, rel=1e-5)
        assert bt.survival(law, [time]) == _close(math.exp(-end - more), rel=1e-9)
    assert _times(law, [np.inf]) == np.inf


# ------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: bt.exponential(0), "rate must be > 0, got 0"),
        (lambda: bt.exponential(math.inf), "rate must be > 0, got inf"),
        (lambda: bt.exponential(math.nan), "rate must be > 0, got nan"),
        (lambda: bt.exponential(1, dead_time=-2), "dead_time must be ≥ 0, got -2"),
        (lambda: bt.geometric(0), r"probability must be in \(0, 1\], got 0"),
        (lambda: bt.geometric(1.5), r"probability must be in \(0, 1\], got 1\.5"),
        (lambda: bt.geometric(0.5, trial=0), "trial must be > 0, got 0"),
        (lambda: bt.geometric(0.5, dead_time=-1.0), "dead_time must be ≥ 0"),
        (
            lambda: bt.proof_of_work(0.5, hashes_per_step=-1),
            "hashes_per_step must be > 0, got -1",
        ),
        (lambda: bt.fastest_of(_bent(), 0), "provers must be > 0, got 0"),
        (lambda: bt.fastest_of_speeds(_bent(), []), r"speeds must be > 0, got \[\]"),
        (
            lambda: bt.fastest_of_speeds(_bent(), [1.0, -2.0]),
            r"speeds must be > 0, got \[1\.0, -2\.0\]",
        ),
        (
            lambda: bt.fastest_of_speeds(bt.geometric(0.5), [1.0, 2.0]),
            r"speeds must be equal for a lattice law .*, got \[1\.0, 2\.0\]",
        ),
        (lambda: bt.quantile(_bent(), [0.5, 1.0]), r"levels in \[0, 1\), got"),
        (lambda: bt.quantile(_bent(), -0.1), r"levels in \[0, 1\), got -0\.1"),
    ],
)
def test_impossible_laws_are_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()
