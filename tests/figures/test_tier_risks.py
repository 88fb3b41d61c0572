import numpy as np
import pandas as pd
import pytest
from dpodl.figures import tier_risks
from dpodl.figures.parts.needs import Lacking

from .conftest import all_axes, everything_inside, rendered


def risks() -> pd.DataFrame:
    rows = []
    for grade, rate in (("attack", 0.7), ("conditional", 0.8), ("proved", 0.85)):
        for depth in (1, 5, 20, 40):
            value = rate**depth
            rows.append(("x", grade, float(depth), value, value / 2, min(1, 2 * value)))
    columns = ["tier", "grade", "depth", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def test_an_attack_and_two_bounds_are_three_curves_in_order():
    df = tier_risks.data({"tier_risks": risks()})
    figure = rendered(tier_risks.draw(df))
    (axes,) = all_axes(figure)
    attack, conditional, proved = (np.asarray(e.get_ydata()) for e in axes.lines)
    assert (attack < conditional).all()
    assert (conditional < proved).all()
    (legend,) = figure.legends
    said = [" ".join(text.get_text().split()) for text in legend.get_texts()]
    assert said[0] == "private chain, the best attack found"
    assert "conditional" in said[1]
    assert everything_inside(figure)


def test_a_tier_that_is_not_known_is_left_out():
    rows = risks()
    rows.loc[rows["grade"] == "proved", "value"] = np.nan
    assert set(tier_risks.data({"tier_risks": rows})["grade"]) == {
        *("attack", "conditional"),
    }
    with pytest.raises(Lacking, match="no tier has a risk"):
        tier_risks.data({"tier_risks": rows.assign(value=np.nan)})


def test_a_drawn_bound_ends_where_nothing_is_seen():
    rows = risks()
    last = (rows["grade"] == "proved") & (rows["depth"] == 40)
    # No level of those drawn: the floor of the draws, and what they exclude.
    rows.loc[last, ["value", "low", "high"]] = [5e-6, 5e-6, 9e-4]
    figure = tier_risks.draw(tier_risks.data({"tier_risks": rows}))
    (axes,) = all_axes(figure)
    assert [len(np.asarray(line.get_ydata())) for line in axes.lines] == [4, 4, 3]
