"""What a forger must spend: closed forms against counting and against a forger."""

import math
from itertools import combinations

import numpy as np
import pytest
from dpodl.models.chain.forgery import (
    Shape,
    challenges_needed,
    expected_work,
    ground_work,
)
from dpodl.models.scheme.checkpoints import draw_challenges
from dpodl.models.scheme.encoding import digest

SHAPES = [
    Shape.of(steps, 10) for steps in (5, 10, 15, 20, 25, 30, 55, 60, 65, 115, 120)
]


def passing(others: int, honest: int, q: int) -> float:
    """The share of all draws that hit honest segments only, by listing them."""
    draws = list(combinations(range(others), min(q, others)))
    return sum(all(place < honest for place in draw) for draw in draws) / len(draws)


def tried(shape: Shape, q: int):
    """(steps trained, passing probability) of every way to forge something."""
    for honest in range(shape.others):
        yield honest * shape.every + shape.last, passing(shape.others, honest, q)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", range(5))
def test_work_is_the_least_over_all_ways_to_forge(shape, q):
    ways = [cost / chance for cost, chance in tried(shape, q) if chance]
    assert expected_work(shape, q) == pytest.approx(min(ways, default=math.inf))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("q", range(5))
@pytest.mark.parametrize("price", [1e-6, 0.5, 40.0])
def test_ground_work_is_the_least_over_all_ways_to_forge(shape, q, price):
    ways = [
        cost + (1 / chance - 1) * price for cost, chance in tried(shape, q) if chance
    ]
    assert ground_work(shape, q, price) == pytest.approx(min(ways, default=math.inf))


@pytest.mark.parametrize("shape", SHAPES)
def test_with_any_draw_forging_costs_more_than_training(shape):
    for q in range(1, 6):
        assert expected_work(shape, q) >= shape.steps
        assert expected_work(shape, q) >= expected_work(shape, q - 1)


@pytest.mark.parametrize("steps", [10, 15, 40, 65, 115, 400])
@pytest.mark.parametrize("unit", [1.0, 50.0, 115.0, 400.0, 1e6])
@pytest.mark.parametrize("least", [0, 1, 2, 7])
def test_needed_draws_are_the_fewest_that_cost_enough(steps, unit, least):
    shape = Shape.of(steps, 10)
    assert shape.steps == steps
    q = challenges_needed(shape, least, unit)
    if least == 0:
        assert q == 0
        return
    assert q == shape.others or expected_work(shape, q) >= unit
    enough = [
        each
        for each in range(min(least, shape.others), shape.others + 1)
        if expected_work(shape, each) >= unit
    ]
    assert q == min(enough)


@pytest.mark.parametrize(("others", "q", "honest"), [(5, 2, 4), (5, 1, 3), (8, 3, 7)])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_forger_that_cannot_choose_spends_what_is_computed(others, q, honest, seed):
    """Attempt after attempt, each trained anew, under the draws that verify makes."""
    shape = Shape(others, 10, 5)
    count, work, passed = 0, [], 0
    spent = 0
    while passed < 1500:
        count += 1
        spent += honest * shape.every + shape.last
        drawn = draw_challenges(
            digest("test", bytes([seed]), count.to_bytes(4, "big")), others, q
        )
        if max(drawn) < honest:
            work.append(spent)
            spent, passed = 0, passed + 1
    cost = honest * shape.every + shape.last
    expected = cost / passing(others, honest, q)
    error = np.std(work) / math.sqrt(len(work))
    assert abs(np.mean(work) - expected) < 4 * error
    assert np.mean(work) + 4 * error > expected_work(shape, q) >= shape.steps


@pytest.mark.parametrize("seed", [1, 2])
def test_a_forger_that_grinds_spends_what_is_computed(seed):
    """It invents once, and re-rolls the draw at a price until it passes."""
    shape, q, price = Shape(6, 10, 5), 2, 0.25
    costs: dict[int, list[float]] = {honest: [] for honest in range(q, 6)}
    for honest, spent in costs.items():
        for attempt in range(600):
            rolls = 0
            while True:
                word = digest(
                    "ground",
                    bytes([seed, honest, attempt % 256, attempt // 256]),
                    rolls.to_bytes(4, "big"),
                )
                if max(draw_challenges(word, 6, q)) < honest:
                    break
                rolls += 1
            spent.append(honest * shape.every + shape.last + rolls * price)
    means = {honest: np.mean(spent) for honest, spent in costs.items()}
    best = min(means, key=lambda honest: means[honest])
    error = np.std(costs[best]) / math.sqrt(600)
    assert abs(means[best] - ground_work(shape, q, price)) < 4 * error
    assert means[best] < shape.steps  # cheap re-rolls: grinding pays
