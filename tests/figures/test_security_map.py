import numpy as np
import pandas as pd
import pytest
from dpodl.figures import security_map
from dpodl.figures.parts.needs import Lacking

from .conftest import all_axes, everything_inside, rendered


def thresholds() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "t_acc": [0.9, 0.9, 0.95, 0.95],
            "p_2": [1.0, 2.0**-6, 1.0, 2.0**-6],
            "beta": [0.41, 0.472, np.nan, 0.48],
            "low": [0.40, 0.470, np.nan, 0.47],
            "high": [0.42, 0.474, np.nan, 0.49],
            "provers": 20,
            "delay_steps": 25.0,
        }
    )


def test_the_map_has_numbers_a_hatch_and_the_network():
    df = security_map.data({"thresholds": thresholds()})
    assert list(df["value"].dropna()) == [0.41, 0.472, 0.48]
    figure = rendered(security_map.draw(df))
    panel, bar = all_axes(figure)
    assert {text.get_text() for text in panel.texts} == {
        "0.41\n±0.01",
        "0.472\n±0.002",
        "0.48\n±0.01",
    }
    assert [label.get_text() for label in panel.get_yticklabels()] == ["$2^{-6}$", "1"]
    assert "beta^*" in bar.get_ylabel()
    (legend,) = figure.legends
    assert "$n$ = 20, $\\Delta$ = 25 steps" in legend.get_title().get_text()
    assert [t.get_text() for t in legend.get_texts()] == ["refused: no number (1)"]
    assert everything_inside(figure)


def test_nothing_but_refusals_is_no_map():
    rows = thresholds().assign(beta=np.nan)
    with pytest.raises(Lacking, match="no setting"):
        security_map.data({"thresholds": rows})
