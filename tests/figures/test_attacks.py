"""The attacks' figure: what is shown of which rows."""

import math

import pandas as pd
import pytest
from dpodl.figures import attacks

from .conftest import everything_inside, rendered


def rows(**changes) -> pd.DataFrame:
    plain = {
        "attack": ["private", "cross_slot_old", "cross_slot_old", "selfish"],
        "mitigation": ["", "reference rule", "reference rule", ""],
        "on": [False, False, True, False],
        "verdict": ["holds", "fails", "holds", "fails"],
        "target": [1e-3] * 4,
        "depth_0.001": [30.0, math.inf, 31.0, math.nan],
        "depth_0.001_low": [29.0, math.inf, 30.0, math.nan],
        "depth_0.001_high": [33.0, math.inf, math.inf, math.nan],
    }
    return pd.DataFrame(plain | changes)


def test_attacks_without_a_depth_are_left_out():
    df = attacks.data({"attacks": rows()})
    assert list(df.attack) == ["private", "cross_slot_old", "cross_slot_old"]
    assert list(df.label)[1:] == ["old block, new model (b)"] * 2
    assert list(df.value) == [30.0, math.inf, 31.0]


def test_what_no_depth_saves_stands_beyond_everything_else():
    figure = attacks.draw(attacks.data({"attacks": rows()}))
    (axes,) = figure.axes
    markers = {line.get_marker(): line for line in axes.lines}
    edge = float(markers[">"].get_xdata()[0])  # pyright: ignore
    assert edge > 31.0
    assert axes.get_xlim()[1] > edge
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "old block, new model (b)",
        "private chain",
    ]
    assert "0.001" in axes.get_xlabel()


def test_a_table_without_its_targets_columns_is_refused():
    with pytest.raises(ValueError, match=r"depth_0\.001_low"):
        attacks.data({"attacks": rows().drop(columns="depth_0.001_low")})


@pytest.mark.parametrize(("criterion", "said"), [("equal", "win"), ("longer", "lose")])
def test_the_axis_says_the_criterion_and_has_room_for_it(criterion, said):
    names = ["private", "cross_slot_new (block)"] * 2
    table = rows(attack=names, criterion=[criterion] * 4)
    figure = rendered(attacks.draw(attacks.data({"attacks": table})))
    (axes,) = figure.axes
    assert axes.get_xlabel() == f"Confirmations\n(risk 0.001, ties {said})"
    assert everything_inside(figure)
