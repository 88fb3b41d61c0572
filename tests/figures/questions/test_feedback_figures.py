"""The figures of feedback: what is shown of which rows."""

import numpy as np
import pandas as pd
import pytest
from dpodl.figures.questions import feedback_gain, feedback_ranking, feedback_responses

from ..conftest import all_axes, everything_inside

RULES = ("epoch", "epoch_mended", "wtema", "asert", "lwma", "sma", "cw144", "steps")


def responses(rules=RULES) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (law, rule, scenario, at, 1 - 0.2 / (1 + at), 0.8, 1.0)
            for law in ("curves", "memoryless")
            for rule in rules
            for scenario in ("provers-double", "task-switch")
            for at in (0, 16, 32)
        ],
        columns=["law", "rule", "scenario", "blocks", "value", "low", "high"],
    )


def gains() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (law, rule, period, left, left - 0.1, left + 0.1, left - 0.02)
            for law, left in (("curves", 0.9), ("memoryless", 1.4))
            for rule in RULES[:3]
            for period in (16, 64)
        ],
        columns=["law", "rule", "period", "value", "low", "high", "linear"],
    )


def ranking() -> pd.DataFrame:
    rows = [("curves", "asert", 1.2, 2), ("curves", "a very long name+switch", 1.0, 1)]
    rows += [("memoryless", "asert", 1.0, 1), ("memoryless", rows[1][1], 1.5, 2)]
    return pd.DataFrame(rows, columns=["law", "rule", "score", "rank"])


def test_responses_are_of_the_curves_and_of_rules_that_differ():
    df = feedback_responses.data({"responses": responses()})
    assert len(set(df["rule"])) == 6
    assert not {"epoch", "steps"} & set(df["rule"])
    assert len(df) == 6 * 2 * 3
    few = feedback_responses.data({"responses": responses(("epoch", "steps"))})
    assert set(few["rule"]) == {"epoch", "steps"}
    figure = feedback_responses.draw(df)
    assert [axes.get_title(loc="left") for axes in all_axes(figure)] == [
        "provers-double",
        "task-switch",
    ]
    assert everything_inside(figure)


def test_waves_have_a_panel_a_law_and_all_marks_inside():
    df = feedback_gain.data({"gains": gains()})
    figure = feedback_gain.draw(df)
    panels = all_axes(figure)
    assert [axes.get_title(loc="left") for axes in panels] == ["curves", "memoryless"]
    for axes in panels:
        assert axes.get_ylim()[0] == 0
        assert axes.get_ylim()[1] > df["high"].to_numpy().max()
    assert everything_inside(figure)


def test_the_curves_best_rule_comes_first():
    df = feedback_ranking.data({"ranking": ranking()})
    assert list(df["place"]) == [0, 0, 1, 1]
    assert df["rule"].iloc[0] == "a very long name+switch"
    figure = feedback_ranking.draw(df)
    (axes,) = all_axes(figure)
    labels = [each.get_text() for each in axes.get_yticklabels()]
    assert labels == ["a very long name+switch", "asert"]
    assert np.isfinite(axes.get_xlim()).all()
    assert everything_inside(figure)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (feedback_responses, "responses"),
        (feedback_gain, "gains"),
        (feedback_ranking, "ranking"),
    ],
)
def test_a_missing_column_is_named(module, name):
    assert name == module.TABLE
    with pytest.raises(ValueError, match="law"):
        module.data({name: pd.DataFrame({"rule": ["asert"]})})
