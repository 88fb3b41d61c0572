"""Tilted draws against their exact law, and the exact law against simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time.law import (
    KNOTS,
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
)
from dpodl.analysis.block_time.tilt import (
    _alias_table,
    draw,
    draw_in_cell,
    log_moment,
    sampler,
    tilted,
)
from scipy import stats

# Two-sided false-alarm level of each comparison with a fixed key.
ALARM = 1e-4
DRAWS = 200_000


def draws(law: BlockTimeLaw, theta: float) -> np.ndarray:
    words = jax.random.bits(jax.random.key(1), (DRAWS, 2), jnp.uint32)
    return np.asarray(jax.jit(draw)(sampler(law, theta), words), float)


@pytest.mark.parametrize("theta", [-2.0, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("provers", [1, 75])
def test_a_tilted_exponential_is_an_exponential(provers, theta):
    # Of 75, a cell of the table holds more than the mean: it must be inverted.
    law = fastest_of(exponential(1.0 / provers), provers)
    found = draws(law, theta)
    assert stats.kstest(found, stats.expon(scale=1 / (1 - theta)).cdf).pvalue > ALARM


@pytest.mark.parametrize("theta", [-1.0, 0.0, 0.3])
def test_a_tilted_geometric_is_a_geometric(theta):
    found = draws(geometric(0.3), theta)
    np.testing.assert_array_equal(found, np.round(found))
    stays = 0.7 * np.exp(theta)
    counts = np.bincount(found.astype(int), minlength=40)[1:12]
    exact = (1 - stays) * stays ** np.arange(11)
    rest = DRAWS - counts.sum()
    test = stats.chisquare([*counts, rest], [*(DRAWS * exact), DRAWS * stays**11])
    assert test.pvalue > ALARM


@pytest.mark.parametrize("lattice", [False, True])
def test_the_tail_behind_the_table_is_drawn(lattice):
    # Λ ends at .8: half of the mass is behind the table, at another hazard.
    hazard = 0.8 * np.arange(KNOTS) / (KNOTS - 1)
    law = BlockTimeLaw(hazard, 1.0, 1e-3, 0.0, lattice)
    found = draws(law, -1e-4)
    behind = found > KNOTS - 1
    cells = tilted(law, -1e-4)
    weight = np.exp(cells.log_mass - log_moment(law, -1e-4)[0])
    assert stats.binomtest(int(behind.sum()), DRAWS, weight[-1]).pvalue > ALARM
    late = found[behind] - (KNOTS - 1)
    if lattice:
        np.testing.assert_array_equal(late, np.round(late))
        late = late - np.random.default_rng(0).random(len(late))
    assert stats.kstest(late, stats.expon(scale=1 / 1.1e-3).cdf).pvalue > ALARM


@pytest.mark.parametrize("theta", [-0.5, 0.5])
def test_moments_are_those_of_the_draws(theta):
    x = np.linspace(0, 40, KNOTS)
    law = BlockTimeLaw(0.05 * x**2, x[1], 4.0, 7.0, False)
    value, mean = log_moment(law, theta)
    plain, found = draws(law, 0.0), draws(law, theta)
    error = found.std() / np.sqrt(DRAWS)
    assert abs(found.mean() + 7.0 - mean) < 4 * error
    each = np.exp(theta * (plain + 7.0) - value)
    assert abs(each.mean() - 1) < 4 * each.std() / np.sqrt(DRAWS)


def test_an_interval_drawn_by_length():
    # x² e^{−x}/2 cell by cell, the weight within a cell included.
    law = exponential(1.0, dead_time=0.5)
    words = jax.random.bits(jax.random.key(2), (DRAWS, 2), jnp.uint32)
    found, centre = draw_in_cell(sampler(law, 0.0, longer_by=0.5), words)
    found, centre = np.asarray(found, float), np.asarray(centre, float)
    weight = (found + 0.5) / (centre + 0.5)
    assert weight.mean() == pytest.approx(1, abs=1e-3)
    # E[X²]/E[X] of X = ½ + Exp(1).
    mean = float((weight * (found + 0.5)).mean())
    assert mean == pytest.approx((0.25 + 1 + 2) / 1.5, rel=0.01)


def test_float_trap_long_dead_times_do_not_enter_the_draws():
    near = draws(exponential(1.0), 0.2)
    far = draws(exponential(1.0, dead_time=1e9), 0.2)
    np.testing.assert_array_equal(near, far)


def test_alias_tables_hold_every_probability():
    generator = np.random.default_rng(4)
    probability = generator.random(256) ** 20
    probability /= probability.sum()
    keep, alias = _alias_table(probability)
    share = keep / 2**28
    held = share + np.bincount(alias, 1 - share, 256)
    np.testing.assert_allclose(held / 256, probability, atol=256 * 2.0**-28)


def test_a_law_of_another_size_is_refused():
    short = BlockTimeLaw(np.arange(100) / 10, 1.0, 0.1, 0.0, False)
    with pytest.raises(ValueError, match="must have 8192 knots, got 100"):
        sampler(short, 0.0)
