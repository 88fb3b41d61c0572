"""The effects' figures: what is shown of which rows."""

import pandas as pd
import pytest
from dpodl.figures.questions import domination, memorylessness

from ..conftest import all_axes, everything_inside


def machine() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (quantity, speed, at, value, value - 0.02, value + 0.02)
            for speed in (2.0, 30.0)
            for at in (1.0, 0.01)
            for quantity, value in (
                ("block_share", speed / 100 + at / 2),
                ("compute_share", speed / 100),
                ("excess", at / 2),
            )
        ],
        columns=["quantity", "speed", "at", "value", "low", "high"],
    )


def memory() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (quantity, at, value, value - 0.01, value + 0.01)
            for at in (0.5, 0.125)
            for quantity, value in (
                ("cv_prover", 1.2),
                ("cv_network", 0.4),
                ("threshold", 0.43 + at / 50),
                ("margin_lost", 0.06 - at / 50),
                ("interval_mean", 500.0),
            )
        ],
        columns=["quantity", "at", "value", "low", "high"],
    )


def test_blocks_stand_beside_compute():
    df = domination.data({"domination": machine()})
    assert list(df.speed) == [2, 2, 30, 30]
    assert list(df.tries) == [1, 100, 1, 100]
    assert list(df.compute) == [0.02, 0.02, 0.3, 0.3]
    figure = domination.draw(df)
    (axes,) = all_axes(figure)
    assert axes.get_xscale() == "log"
    assert "1/p" in axes.get_xlabel()
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "30× machine, 30% of compute"
    assert everything_inside(figure)


def test_cvs_stand_beside_memoryless_ones():
    df = memorylessness.data({"memorylessness": memory()})
    assert set(df.quantity) == {"cv_prover", "cv_network", "threshold"}
    share = df[df.quantity == "threshold"]
    assert list(share.tries) == [2, 8]
    assert list(share.memoryless) == pytest.approx([0.49, 0.49])
    assert (df[df.quantity != "threshold"].memoryless == 1).all()
    figure = memorylessness.draw(df)
    upper, lower = all_axes(figure)
    assert upper.get_ylim()[0] == 0
    assert lower.get_ylabel() == "Safe share β*"
    assert everything_inside(figure)


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(ValueError, match="speed"):
        domination.data({"domination": machine().drop(columns="speed")})
    with pytest.raises(ValueError, match="memorylessness"):
        memorylessness.data({})
