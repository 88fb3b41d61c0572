"""The risk of a block given its times: published values, brute force, realised ones."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from dpodl.analysis.block_time.formulas import formula_law
from dpodl.analysis.block_time.law import exponential, fastest_of, geometric
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.finality import GivenTimes, erlang_first_to, exponential_risk
from dpodl.analysis.finality.given_times import FLOOR
from scipy import integrate, stats

REFERENCE = Path(__file__).parents[2] / "reference"


def rows(name: str) -> list[dict[str, str]]:
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"=\s*([0-9.]+)", text)]


GIVEN = rows("double_spend_given_time")


@pytest.mark.parametrize("row", GIVEN, ids=lambda row: row["parameters"])
def test_the_published_risk_given_the_time(row):
    q, z, kappa = numbers(row["parameters"])
    # z blocks of rate p took κ times their expectation.
    elapsed = kappa * z / (1 - q)
    found = exponential_risk(1 - q, q, int(z), elapsed)
    assert found == pytest.approx(float(row["value"]), rel=1e-6)


@pytest.mark.parametrize("q", [0.1, 0.35])
@pytest.mark.parametrize("z", [1, 6])
def test_the_mean_over_the_time_is_the_race(q, z):
    value, _ = integrate.quad(
        lambda t: stats.gamma.pdf(t, z) * exponential_risk(1 - q, q, z, t / (1 - q)),
        0,
        80,
        limit=200,
    )
    assert value == pytest.approx(2 * stats.beta.cdf(q, z, z), rel=1e-6)


@pytest.mark.parametrize(
    "row", rows("first_to_z_erlang"), ids=lambda row: row["parameters"]
)
def test_erlang_races(row):
    q, stages, _, z = numbers(row["parameters"])
    found = erlang_first_to(q, int(stages), int(z))
    assert found == pytest.approx(float(row["value"]), rel=1e-6)


@pytest.mark.parametrize("age", [0.0, 1.5])
def test_the_grid_finds_what_is_exact(age):
    # The last digit of Λ keeps it from being known as exponential.
    off = [exponential(r) for r in (0.7, 0.3)]
    off = [law._replace(offset=1e-9) for law in off]
    depths, elapsed = [1, 2, 6, 12], np.array([1.0, 2.0, 9.0, 22.0]) + age
    exact = GivenTimes(exponential(0.7), exponential(0.3)).risks(
        depths, elapsed, age=age
    )
    for halvings, tolerance in ((0, 2e-3), (1, 6e-4)):
        found = GivenTimes(*off).risks(depths, elapsed, age=age, halvings=halvings)
        assert found == pytest.approx(exact, rel=tolerance)


def brute(seed, public, private, z, elapsed, age, count=100_000, more=40):
    """Whether the private chain ever ties, by drawing both to the end."""
    rng = np.random.default_rng(seed)
    mine = private(rng, (count, z)).sum(axis=1)
    rest = public(rng, count * 8)
    rest = rest[rest > age][:count] - age
    assert len(rest) == count
    theirs = elapsed + rest
    lost = mine <= theirs
    for _ in range(more):
        mine = mine + private(rng, count)
        theirs = theirs + public(rng, count)
        lost |= mine <= theirs
    return lost.mean(), 4 * lost.std() / np.sqrt(count) + 1e-6


@pytest.mark.parametrize(
    ("z", "elapsed", "age"), [(1, 30.0, 0.0), (3, 140.0, 5.0), (4, 300.0, 40.0)]
)
def test_any_law_by_brute_force(z, elapsed, age):
    # Three honest provers of a gamma law with a dead time against one of them.
    law = formula_law("gamma", 100.0, dead_time=10.0, cv=0.5)
    race = GivenTimes(fastest_of(law, 3)._replace(offset=15.0), law)

    def one(rng, shape):
        return 10 + rng.gamma(4.0, 22.5, shape)

    def public(rng, count):
        return one(rng, (count, 3)).min(axis=1) + 5

    value, error = brute(11, public, one, z, elapsed, age)
    found, finer = (race.risks([z], [elapsed], age=age, halvings=n)[0] for n in (0, 1))
    assert found == pytest.approx(finer, rel=2e-3)
    assert abs(finer - value) < error + 1e-3 * value


def test_ties_of_a_lattice_are_reversals():
    public, private = geometric(0.5, trial=10.0), geometric(0.2, trial=10.0)
    race = GivenTimes(public, private)

    def draw(p):
        return lambda rng, shape: 10.0 * rng.geometric(p, shape)

    for z, elapsed in ((1, 10.0), (3, 60.0)):
        value, error = brute(5, draw(0.5), draw(0.2), z, elapsed, 0.0)
        assert abs(race.risks([z], [elapsed])[0] - value) < error


def test_slow_blocks_risk_more_and_certain_losses_are_certain():
    law = formula_law("weibull", 100.0, shape=3.0)
    race = GivenTimes(fastest_of(law, 3), fastest_of(law, 1))
    risks = race.risks([6] * 4, [200.0, 400.0, 600.0, 1200.0])
    assert (np.diff(risks) > 0).all()
    assert risks[-1] > 0.99
    assert GivenTimes(law, law).risks([30], [1.0])[0] == 1.0
    assert race.risks([40], [400.0])[0] == FLOOR


def test_what_cannot_be_asked_is_told():
    race = GivenTimes(exponential(0.7), exponential(0.3))
    for given in (([0], [1.0]), ([1], [-1.0]), ([1], [np.inf]), ([1, 2], [1.0])):
        with pytest.raises(ValueError, match="depths"):
            race.risks(*given)
    with pytest.raises(ValueError, match="age must be"):
        race.risks([], [], age=-1.0)
    law = formula_law("weibull", 100.0, shape=4.0)
    race = GivenTimes(fastest_of(law, 3), law)
    with pytest.raises(Refused, match="nobody found a block for 900"):
        race.risks([1], [1000.0], age=900.0)
    with pytest.raises(Refused, match="ask for fewer blocks, nearer to the tip"):
        race.risks([1], [1e7])
    near = GivenTimes(law, law._replace(spacing=law.spacing * 1.00002))
    with pytest.raises(Refused, match="nearly as fast as the public one"):
        near.risks([1], [100.0])
    stops = law._replace(
        cumulative_hazard=np.minimum(law.cumulative_hazard, 1.0), tail_hazard=0.0
    )
    with pytest.raises(Refused, match="finality: a law may never end"):
        GivenTimes(fastest_of(law, 3), stops).risks([1], [100.0])


@pytest.mark.slow
@pytest.mark.parametrize("cv", [0.3, 1.0])
def test_stated_risks_are_realised_on_a_hundred_thousand_blocks(cv):
    """Blocks of simulated chains, 3, 8 and 14 deep, each at a time of its own."""
    rng = np.random.default_rng(int(10 * cv))
    law = formula_law("gamma", 100.0, cv=cv)
    race = GivenTimes(fastest_of(law, 3), law)
    stated, lost = [], []
    for z in (3, 8, 14):
        observed, realised = realised_blocks(rng, 1 / cv**2, z, 40_000)
        places = np.quantile(observed, np.linspace(0, 1, 400))
        stated.append(np.interp(observed, places, race.risks([z] * 400, places)))
        lost.append(realised)
    stated, lost = np.concatenate(stated), np.concatenate(lost)
    assert len(stated) >= 100_000
    bins = np.digitize(stated, [1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3])
    judged = [each for each in range(1, 7) if (bins == each).sum() >= 200]
    assert len(judged) >= 4
    for each in judged:
        here = bins == each
        said, happened = stated[here].mean(), lost[here].mean()
        error = 4 * np.sqrt(said * (1 - said) / here.sum())
        # Neither more than was said, nor much less.
        assert abs(happened - said) < error + 2e-3 * said


def realised_blocks(rng, shape, z, count):
    """Times of blocks z deep of three honest provers, and whether one ties them."""

    def public():
        return rng.gamma(shape, 100.0 / shape, (count, 3)).min(axis=1)

    observed = np.sum([public() for _ in range(z)], axis=0)
    mine = rng.gamma(shape, 100.0 / shape, (count, z)).sum(axis=1)
    theirs, lost = observed.copy(), np.zeros(count, bool)
    for _ in range(100):
        theirs = theirs + public()
        lost |= mine <= theirs
        mine = mine + rng.gamma(shape, 100.0 / shape, count)
    return observed, lost
