"""The table of Λ⁻¹ against the search it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dpodl.analysis.block_time import inverse_hazard
from dpodl.analysis.block_time.law import (
    KNOTS,
    BlockTimeLaw,
    exponential,
    geometric,
    on_device,
    survival,
    time_of_hazard,
)


def draws(scale: float, count: int = 200_000) -> np.ndarray:
    return np.random.default_rng(7).exponential(scale, count).astype(np.float32)


def times(law: BlockTimeLaw, hazards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ready = on_device(law)
    table = inverse_hazard.of_law(ready)
    hazard = jnp.asarray(hazards)
    found = inverse_hazard.time_at(table, hazard, lattice=bool(law.lattice))
    return np.asarray(found), np.asarray(time_of_hazard(ready, hazard))


def rough(seed: int, *, lattice: bool, flat: bool = False) -> BlockTimeLaw:
    """Hazards that jump from knot to knot, as those of few training runs do."""
    generator = np.random.default_rng(seed)
    steps = generator.exponential(1e-3, KNOTS - 1)
    if flat:
        steps *= generator.random(KNOTS - 1) < 0.05
    steps[:40] = 0.0
    hazard = np.concatenate([[0.0], np.cumsum(steps)])
    return BlockTimeLaw(hazard, 25.0, 4e-5, 3.0, lattice)


@pytest.mark.parametrize("provers", [1, 15, 1000])
@pytest.mark.parametrize("dead_time", [0.0, 400.0])
def test_exact_where_the_hazard_is_linear(provers, dead_time):
    found, searched = times(
        exponential(1 / 6000, dead_time=dead_time), draws(1 / provers)
    )
    np.testing.assert_allclose(found, searched, rtol=2e-6)


@pytest.mark.parametrize("provers", [1, 15, 1000])
def test_between_entries_a_rough_law_moves_by_less_than_an_entry(provers):
    law = rough(3, lattice=False)
    hazards = draws(1 / provers)
    found, _ = times(law, hazards)
    # The hazard that the law reaches at the time found is E to 1/512 of itself.
    reached = -np.log(survival(law, found.astype(float)))
    error = np.abs(reached - hazards)
    # float32 tells places of the first knots, 1e-3 apart in hazard, only to 2^-18.
    assert np.all(error < hazards / 512 + 1e-3 * 2.0**-17)
    assert error.mean() < 3e-4 * hazards.mean()


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("provers", [1, 15, 1000])
def test_atoms_are_those_of_the_search(provers, flat):
    """Where more than two atoms share an entry, one of these."""
    law, hazards = rough(5, lattice=True, flat=flat), draws(1 / provers)
    found, searched = times(law, hazards)
    assert np.all(np.mod(found - 3.0, 25.0) == 0)
    wrong = found != searched
    assert wrong.mean() < (2e-2 if provers == 1 else 5e-3)
    inside = wrong & (found < 25.0 * (KNOTS - 1))
    atom = np.round((found[inside] - 3.0) / 25.0).astype(int)
    assert np.all(law.cumulative_hazard[atom] > hazards[inside] * (1 - 1 / 256))
    assert np.all(law.cumulative_hazard[atom - 1] < hazards[inside] * (1 + 1 / 256))


@pytest.mark.parametrize("p", [0.001, 0.2, 1.0])
def test_a_geometric_law_is_exact(p):
    found, searched = times(geometric(p, trial=7.0), draws(0.2))
    assert np.mean(found != searched) < 1e-5


def test_edges():
    law = exponential(0.5, dead_time=2.0)
    hazards = np.array([0.0, 1e-38, 2.0**-33, 100.0, 4000.0, np.inf], np.float32)
    found, _ = times(law, hazards)
    np.testing.assert_allclose(found[:3], 2.0, atol=1e-6)
    np.testing.assert_allclose(found[3:5], [202.0, 8002.0], rtol=1e-5)
    assert np.isinf(found[5])
    never = BlockTimeLaw(np.minimum(np.arange(KNOTS) * 1e-3, 0.5), 1.0, 0.0, 0.0, False)
    found, _ = times(never, np.array([0.25, 0.49, 0.51, 3.0], np.float32))
    np.testing.assert_allclose(found[:2], [250.0, 490.0], rtol=1e-5)
    assert np.isinf(found[2:]).all()


def test_a_law_is_not_compiled_into_the_program():
    @jax.jit
    def program(law, hazard):
        return inverse_hazard.time_at(inverse_hazard.of_law(law), hazard, lattice=False)

    for rate in (0.1, 0.2):
        program(on_device(exponential(rate)), jnp.ones(4))
    assert program._cache_size() == 1  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("lattice", [False, True])
def test_laws_side_by_side_are_each_what_they_are_alone(lattice):
    laws = [on_device(rough(seed, lattice=lattice)) for seed in (1, 2, 3)]
    alone = [inverse_hazard.of_law(law) for law in laws]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *alone)
    number = jnp.arange(3000) % 3
    hazard = jnp.asarray(draws(1.0, 3000), jnp.float32)
    together = inverse_hazard.side_by_side(stacked, number)
    found = inverse_hazard.time_at(together, hazard, lattice=lattice)
    for which, inverse in enumerate(alone):
        mine = inverse_hazard.time_at(inverse, hazard, lattice=lattice)
        assert (found == mine)[number == which].all()


@pytest.mark.parametrize("lattice", [False, True])
def test_a_hazard_of_zero_is_the_first_moment_that_can_be(lattice):
    """Of either sign: the bits of −0.0 number no entry of the table."""
    law = rough(3, lattice=lattice)
    zeros = np.array([0.0, -0.0], np.float32)
    assert zeros.view(np.uint32)[1] == 2**31  # the sign is there
    found, searched = times(law, zeros)
    np.testing.assert_allclose(found, searched, rtol=1e-6)
    # No hazard in the first 40 cells: a continuous law begins at the 40th knot.
    np.testing.assert_allclose(found, 3.0 + 25.0 * (41 if lattice else 40), rtol=1e-6)
