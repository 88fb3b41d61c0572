import numpy as np
import pandas as pd
import pytest
from dpodl.figures import bracket
from dpodl.figures.parts.needs import Lacking

from .conftest import all_axes, everything_inside, rendered


def shares() -> pd.DataFrame:
    nothing = np.nan
    rows = [
        ("private chain", "attack", nothing, 0.47, ""),
        ("any adversary", "proved", nothing, 0.46, ""),
        ("private chain", "attack", 24.0, 0.25, ""),
        ("private chain", "attack", 6.0, 0.12, ""),
        ("any adversary", "conditional", 24.0, 0.17, ""),
        ("any adversary", "conditional", 6.0, nothing, "no share is small enough"),
    ]
    columns = ["tier", "grade", "depth", "beta", "refusal"]
    table = pd.DataFrame(rows, columns=columns)
    ends = {"low": table["beta"] - 0.01, "high": table["beta"] + 0.01}
    return table.assign(target=np.where(table["depth"].isna(), nothing, 1e-3), **ends)


def test_an_attack_stands_above_and_a_bound_below():
    df = bracket.data({"bracket": shares()})
    assert len(df) == 5
    assert list(df.loc[df["grade"] == "attack", "depth"].dropna()) == [6, 24]
    figure = rendered(bracket.draw(df))
    (axes,) = all_axes(figure)
    drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
    attack, bound, ever, nobody = drawn
    assert list(attack) == [0.12, 0.25]
    assert list(bound) == [0.17]
    assert [ever[0], nobody[0]] == [0.47, 0.46]
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said[0] == "an attack succeeds above"
    assert said[1] == "nobody succeeds below (conditional)"
    assert "risk 0.001" in legend.get_title().get_text()
    assert everything_inside(figure)


def test_shares_of_no_depth_are_no_bracket():
    rows = shares()
    with pytest.raises(Lacking, match="no share is known"):
        bracket.data({"bracket": rows.loc[rows["depth"].isna()]})
