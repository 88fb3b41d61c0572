import numpy as np
import pytest
from dpodl.figures import block_rate
from dpodl.figures.parts.needs import Lacking

from .conftest import all_axes, rendered
from .sweeps import interval, sweep


def test_data_has_both_numbers_over_the_accuracy():
    df = block_rate.data({"points": sweep(t_accs=(0.9, 0.95), powers=(252, 256))})
    assert set(df["across"]) == {"scheme.t_acc"}
    assert set(df["along"]) == {"scheme.t_2"}
    means = df.loc[df["quantity"] == "block_interval_mean"]
    expected = [
        interval(a, int(t[2:]), 25)
        for a, t in zip(means["at"], means["series"], strict=True)
    ]
    np.testing.assert_allclose(means["value"], expected)
    assert len(means) == 4


def test_a_refused_point_is_crossed_and_breaks_the_line():
    points = sweep(t_accs=(0.9, 0.92, 0.95), failed=(1,))
    df = block_rate.data({"points": points})
    assert list(df.loc[df["refused"], "at"]) == [0.92]
    figure = rendered(block_rate.draw(df))
    upper, lower = all_axes(figure)
    crosses = [line for line in lower.lines if line.get_marker() == "x"]
    assert [np.asarray(line.get_xdata()).tolist() for line in crosses] == [[0.92]]
    line = upper.containers[0].lines[0]  # pyright: ignore
    assert np.isnan(line.get_ydata()).tolist() == [False, True, False]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "refused: no number" in texts
    assert lower.get_ylim()[0] == 0
    assert "steps" in upper.get_ylabel()


def test_one_setting_is_no_sweep():
    with pytest.raises(Lacking, match="no parameter is swept"):
        block_rate.data({"points": sweep()})
