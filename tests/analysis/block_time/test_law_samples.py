"""Draws of a law, and its order statistics, against the law itself."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time import law as bt
from dpodl.analysis.block_time.law import KNOTS, BlockTimeLaw
from scipy import stats

from .test_law import (
    BLOCK,
    FALSE_ALARM,
    _bent,
    _close,
    _defective,
    _draw,
    _has_atoms,
    _is_drawn_from,
    _key,
    _ks_2samp,
    _sample,
    _times,
)

# ------------------------------------------------------------------------ samples


@pytest.mark.parametrize(
    "law",
    [bt.exponential(1e-3), bt.exponential(2.0, dead_time=3.0), _bent()],
    ids=["exponential", "dead time", "bent"],
)
def test_samples_have_the_law(law):
    _is_drawn_from(_draw(12, law, 40_000), law)


@pytest.mark.parametrize(
    "law",
    [bt.exponential(1e-3), _bent(), bt.geometric(1e-3, trial=0.1, dead_time=0.05)],
    ids=["exponential", "bent", "geometric"],
)
def test_two_thousandth_of_the_time_has_its_share(law):
    """The lower tail decides the fastest of n: draw it through E/n."""
    exponentials = np.asarray(jax.random.exponential(_key(13), (40_000,)))
    got = _times(law, exponentials / 2000)
    fastest = bt.fastest_of(law, 2000)
    if law.lattice:
        p = -math.expm1(2000 * math.log1p(-1e-3))
        k = np.arange(1, 4)
        _has_atoms(got, 0.05 + 0.1 * k, p * (1 - p) ** (k - 1))
    else:
        _is_drawn_from(got, fastest)


@pytest.mark.parametrize("p", [0.9, 0.1])
def test_lattice_samples_have_the_atoms(p):
    law = bt.geometric(p, trial=0.3, dead_time=0.1)
    k = np.arange(1, 4 if p > 0.5 else 40)
    _has_atoms(_draw(14, law, 40_000), 0.1 + 0.3 * k, p * (1 - p) ** (k - 1))


@pytest.mark.parametrize("p", [0.9, 0.1, 0.002])
def test_two_provers_tie_with_the_sum_of_squared_atoms(p):
    law = bt.geometric(p, trial=0.3, dead_time=0.1)
    # Σ p_k² from the law's own atoms, and as p/(2 − p).
    atoms = -np.diff(bt.survival(law, 0.1 + 0.3 * np.arange(20_000)))
    assert np.sum(atoms**2) == _close(p / (2 - p), rel=1e-9)
    pairs = _draw(15, law, 100_000, 2)
    ties = int((pairs[:, 0] == pairs[:, 1]).sum())
    assert stats.binomtest(ties, 100_000, p / (2 - p)).pvalue > FALSE_ALARM


def test_time_of_hazard_is_the_quantile_in_float32():
    hazards = np.geomspace(1e-12, 300.0, 4001).astype(np.float32)
    for law in (bt.exponential(1e-3), bt.exponential(2, dead_time=0.5), _bent()):
        got = _times(law, hazards)
        levels = -np.expm1(-hazards.astype(float))
        sure = levels < 1 - 1e-9
        wanted = bt.quantile(law, levels[sure])
        # A cell of the bent table has a hazard of 5e-4, one bit of Λ = 5 is 5e-7.
        assert got[sure] == _close(wanted, rel=2e-6)


def test_time_of_hazard_hits_the_same_atoms_as_the_quantile():
    law = bt.geometric(0.01, trial=2.0, dead_time=1.0)
    k = np.array([1, 2, 3, 500, 5000, KNOTS - 1, KNOTS, 9000])
    middle = (k - 0.5) * -math.log1p(-0.01)
    assert _times(law, middle).tolist() == (1.0 + 2.0 * k).tolist()


def test_laws_share_one_compilation():
    traced = []

    @jax.jit
    def draw(key, law):
        traced.append(1)
        return bt.sample(key, law, (4,))

    laws = [
        bt.exponential(1e-3),
        bt.geometric(0.2, trial=3, dead_time=1),
        bt.geometric(1),
        bt.fastest_of(_bent(), 7),
        bt.fastest_of_speeds(bt.exponential(1, dead_time=1), [1.0, 2.0]),
        _defective(),
    ]
    means = [float(draw(_key(16), bt.on_device(law)).mean()) for law in laws]
    assert len(traced) == 1
    assert len(set(means)) == len(laws)


def test_draws_are_fixed_by_the_key_and_the_law_may_be_batched():
    laws = [bt.on_device(bt.exponential(r)) for r in (0.1, 1.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *laws)
    alone = [np.asarray(_sample(_key(17), law)) for law in laws]
    both = jax.jit(jax.vmap(lambda law: bt.sample(_key(17), law, (BLOCK,))))(stacked)
    assert np.asarray(both) == _close(np.stack(alone), rel=1e-6)
    assert (np.asarray(_sample(_key(17), laws[0])) == alone[0]).all()
    assert (alone[1] != np.asarray(_sample(_key(18), laws[1]))).mean() > 0.99


# --------------------------------------------------- order statistics after Rényi


def _renyi(number: int, law: BlockTimeLaw, provers: int, replicas: int) -> np.ndarray:
    """Λ⁻¹(E_1/m), Λ⁻¹(E_1/m + E_2/(m−1)), ... of m provers."""
    gaps = jax.random.exponential(_key(number), (replicas, provers))
    left = jnp.arange(provers, 0, -1)[None, :]
    order = jnp.cumsum(gaps / left, axis=1)
    return _times(law, order)


def test_order_statistics_are_those_of_sorted_draws():
    law, provers = _bent(), 6
    order = _renyi(18, law, provers, 20_000)
    assert (np.diff(order, axis=1) >= 0).all()
    uniform = 1.0 - bt.survival(law, order)
    for rank in range(provers):
        # The rank-th of m uniforms is Beta(rank, m + 1 − rank).
        beta = stats.beta(rank + 1, provers - rank)
        assert stats.kstest(uniform[:, rank], beta.cdf).pvalue > FALSE_ALARM
    brute = np.sort(_draw(19, law, 20_000, provers), axis=1)
    for rank in range(provers):
        assert _ks_2samp(order[:, rank], brute[:, rank]) > FALSE_ALARM
    # Not only each rank: also how far two neighbours are apart.
    between = [x[:, 1] - x[:, 0] for x in (order, brute)]
    assert _ks_2samp(*between) > FALSE_ALARM


def test_ties_among_order_statistics_have_their_true_probability():
    p, provers, replicas = 0.15, 5, 40_000
    law = bt.geometric(p, trial=0.7, dead_time=0.4)
    order = _renyi(20, law, provers, replicas)
    # Exactly j of m provers share the first time: Σ_k C(m,j) p_k^j S_k^{m−j}.
    k = np.arange(1, 2000)
    atoms, behind = p * (1 - p) ** (k - 1), (1 - p) ** k
    j = np.arange(1, provers + 1)
    exact = np.array(
        [math.comb(provers, i) * np.sum(atoms**i * behind ** (provers - i)) for i in j]
    )
    assert exact.sum() == pytest.approx(1.0)
    sharing = (order == order[:, :1]).sum(axis=1)
    counts = np.bincount(sharing, minlength=provers + 1)[1:]
    merged = [*counts[:3], counts[3:].sum()]
    expected = replicas * np.array([*exact[:3], exact[3:].sum()])
    assert stats.chisquare(merged, expected).pvalue > FALSE_ALARM
    # The number of different times, against numpy's own geometric draws.
    brute = np.random.default_rng(21).geometric(p, (replicas, provers))

    def different(times: np.ndarray) -> np.ndarray:
        ordered = np.sort(np.asarray(times, float), axis=1)
        return 1 + (ordered[:, 1:] - ordered[:, :-1] > 1e-3).sum(axis=1)

    table = [
        np.bincount(different(x), minlength=provers + 1)[2:] for x in (order, brute)
    ]
    assert stats.chi2_contingency(table).pvalue > FALSE_ALARM  # pyright: ignore
