"""Verdicts of three standard errors, and sentences with their numbers."""

import pytest
from dpodl.analysis.effects import findings
from dpodl.analysis.effects.memorylessness import Row


def row(quantity: str, at: float, value: float, se: float, speed=float("nan")) -> Row:
    return Row(quantity, speed, at, value, value - 2 * se, value + 2 * se, se, 8, "x")


@pytest.mark.parametrize(
    ("z", "verdict"),
    [(3.1, "holds"), (2.9, "not decided"), (-3.1, "does not hold")],
)
def test_more_is_judged_in_standard_errors(z, verdict):
    assert findings.above(z * 0.2, 0.2) == verdict
    assert findings.above(z, 0.0) == "not decided"


@pytest.mark.parametrize(
    ("difference", "error", "verdict"),
    [
        (0.01, 0.01, "holds"),
        (0.04, 0.01, "does not hold"),
        (-0.04, 0.01, "does not hold"),
        (0.01, 0.2, "not decided"),
    ],
)
def test_equality_needs_an_error_below_the_effect(difference, error, verdict):
    assert findings.equal(difference, error, 0.1) == verdict


def memorylessness(at_10: float, at_200: float):
    rows = [row("interval_mean", 1.0, 500.0, 5.0)]
    for p, network in ((0.1, at_10), (1 / 200, at_200)):
        rows += [row("cv_network", p, network, 0.01), row("cv_prover", p, 0.99, 0.01)]
    return findings.find_memorylessness(rows, honest=15, check_every=25)


@pytest.mark.parametrize(
    ("at_10", "at_200", "verdict"),
    [
        (0.33, 0.97, "holds"),
        (0.33, 0.45, "does not hold"),
        (0.96, 0.99, "does not hold"),
        (0.33, 0.91, "not decided"),
    ],
)
def test_memorylessness_needs_both_halves_of_the_claim(at_10, at_200, verdict):
    found = memorylessness(at_10, at_200)
    assert found.verdict == verdict
    assert f"{at_10:.3f} ± 0.010" in found.sentence
    assert "n·D/e = 300" in found.sentence


def test_without_a_rare_enough_lottery_nothing_is_said():
    rows = [row("interval_mean", 1.0, 500.0, 5.0)]
    rows += [row(name, 0.1, 0.3, 0.01) for name in ("cv_network", "cv_prover")]
    found = findings.find_memorylessness(rows, honest=15, check_every=25)
    assert found.verdict == "not decided"
    assert "no known law" in found.sentence


def test_forks_are_judged_at_the_configs_lottery():
    rows = []
    for p, excess in ((0.5, 0.3), (0.01, 0.0)):
        rows += [
            row("forks", p, 0.1 + excess, 0.01),
            row("forks_excess", p, excess, 0.01),
            row("forks_memoryless", p, 0.1, 0.001),
            row("forks_closed_form", p, 0.1, 0.0),
        ]
    assert findings.find_forks(rows, p_2=0.4).verdict == "holds"
    assert findings.find_forks(rows, p_2=0.012).verdict == "not decided"
