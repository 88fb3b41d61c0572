"""Figures of incentives: what is shown of which rows."""

import numpy as np
import pandas as pd
import pytest
from dpodl.figures.questions import rational_regions, simplex


def deviations() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "deviation": ["hoard", "hoard", "skip", "pool"],
            "rule": ["steps", "own", "steps", "steps"],
            "p_2": [0.5, 0.5, 0.25, 0.25],
            "value": [-0.1, 0.4, 0.2, np.nan],
            "low": [-0.2, 0.3, -0.1, np.nan],
            "high": [-0.05, 0.5, 0.5, np.nan],
            "pays": ["no", "yes", "perhaps", ""],
        }
    )


def test_what_was_refused_is_left_out():
    df = rational_regions.data({"deviations": deviations()})
    assert list(df.label) == ["hoard, one slot"] * 2 + ["skip verification"]
    assert list(df.tries) == [2, 2, 4]


def test_a_mark_is_full_where_a_deviation_pays():
    df = rational_regions.data({"deviations": deviations()})
    figure = rational_regions.draw(df)
    (axes,) = figure.axes
    marks = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 1]
    fills = [line.get_fillstyle() for line in marks]
    assert fills == ["none", "left", "full"]
    assert [t.get_text() for t in axes.get_yticklabels()][-1] == "hoard, one slot"


def paths() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rule": ["steps"] * 4,
            "start": [0, 0, 1, 1],
            "round": [0, 1, 0, 1],
            "honest": [1.0, 0.5, 0.0, 0.0],
            "hoard": [0.0, 0.5, 1.0, 0.0],
            "skip": [0.0, 0.0, 0.0, 1.0],
        }
    )


def test_corners_are_where_the_policies_stand():
    df = simplex.data({"simplex": paths()})
    assert list(df.x) == [0, 0.5, 1, 0.5]
    assert list(df.y) == pytest.approx([0, 0, 0, np.sqrt(0.75)])
    assert (
        df.iloc[0][["first", "second", "third"]] == ["honest", "hoard", "skip"]
    ).all()
    (axes,) = simplex.draw(df).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 2


def test_a_simplex_has_three_policies():
    with pytest.raises(ValueError, match="must have three policies"):
        simplex.data({"simplex": paths().drop(columns="skip")})
