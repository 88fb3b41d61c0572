"""Sentences against numbers that are counted here by hand."""

import math

import pandas as pd
import pytest
from dpodl.figures.page import sentences


def curve(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["at", "value", "low", "high"])


RISK = curve((3, 1e-4, 1e-5, 9e-4), (1, 0.5, 0.4, 0.6), (2, 0.01, 1e-3, 0.1))


def asked(target: float) -> pd.DataFrame:
    return pd.DataFrame({"quantity": ["unsafe_depth"], "at": [target]})


def test_a_curve_is_told_by_its_ends_wherever_they_stand():
    told = sentences.from_to([("risk", RISK)], "blocks")
    assert told == "Risk: 0.5 [0.4, 0.6] at 1, 1·10⁻⁴ [1·10⁻⁵, 9·10⁻⁴] at 3 blocks."
    assert sentences.from_to([], "blocks") == ""
    one = curve((2.0**-128, 40, math.nan, math.nan))
    assert sentences.from_to([("depth", one)], "target") == "Depth: 40 at 2⁻¹²⁸."


def test_a_number_that_is_missing_is_no_end():
    holed = pd.concat([RISK, curve((4, math.nan, math.nan, math.nan))])
    assert "at 3 blocks" in sentences.from_to([("risk", holed)], "blocks")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (0.7, "from 1 on its interval lies below 0.7."),
        (0.2, "from 2 on its interval lies below 0.2."),
        (0.001, "from 3 on its interval lies below 0.001."),
        (1e-5, "its interval reaches above 1·10⁻⁵ at the last depth drawn."),
    ],
)
def test_a_risk_is_told_against_its_target(target, words):
    assert sentences.of_risk([("risk", RISK)], asked(target)).endswith(f"; {words}")


def test_a_risk_that_rises_again_is_not_below():
    again = pd.concat([RISK, curve((4, 0.01, 0.001, 0.3))])
    told = sentences.of_risk([("risk", again)], asked(0.2))
    assert told.endswith("its interval reaches above 0.2 at the last depth drawn.")


def test_without_a_target_nothing_is_said_of_one():
    plain = sentences.of_risk([("risk", RISK)], asked(0.1).iloc[:0])
    assert plain == sentences.from_to([("risk", RISK)], "blocks")


def test_laws_are_told_by_their_cvs():
    summary = pd.DataFrame(
        {"setting": ["a", "b", "c"], "cv": [0.5, 1.0, 0.2]}
        | {"cv_low": [0.4, 1.0, 0.1], "cv_high": [0.6, 1.0, 0.3]}
    )
    told = sentences.of_laws(["a", "b"], summary)
    assert "least in “a” (CV 0.5 [0.4, 0.6]) and most in “b” (CV 1)" in told
    assert sentences.of_laws(["c"], summary) == "The CV of “c” is 0.2 [0.1, 0.3]."
    assert sentences.of_laws(["a"], summary.drop(columns="cv")) == ""


def test_runs_that_reached_a_target_are_counted_once():
    summary = pd.DataFrame(
        {"t_acc": [math.nan, 0.9, 0.9, 0.95], "runs": [8, 8, 8, 8]}
        | {"reached": [8, 6, 6, 3]}
    )
    told = sentences.of_learning(summary)
    assert told == (
        "6 of 8 runs reached T_acc = 0.9; 3 of 8 runs reached T_acc = 0.95."
    )


def test_points_are_told_by_the_least_and_the_greatest():
    names = ["β = 1", "β = 2", "β = 3"]
    told = sentences.of_points(
        "risk", [0.5, math.nan, 0.25], [0.4, 0, 0.2], [0.6, 1, 0.3], names
    )
    assert told == (
        "Risk, of 2 points: the least is 0.25 [0.2, 0.3] at β = 3, "
        "the greatest 0.5 [0.4, 0.6] at β = 1."
    )
    none = sentences.of_points("risk", [math.nan], [0], [1], names)
    assert none == "No point has a number for risk."
    infinite = sentences.of_points("depth", [1, math.inf], [1, 2], [1, math.inf], names)
    assert "the greatest ∞ [2, ∞] at β = 2" in infinite


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234.5, "1,234"),
        (0.12345, "0.123"),
        (0.99999981, "0.99999981"),
        (1.5e-7, "1.5·10⁻⁷"),
        (2e6, "2·10⁶"),
        (-math.inf, "−∞"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert sentences.number(value) == text
