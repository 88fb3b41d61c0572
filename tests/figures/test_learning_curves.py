from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from dpodl.figures import learning_curves
from matplotlib.collections import LineCollection, PolyCollection

from .conftest import everything_inside


def median_lines(axes):
    return [line for line in axes.lines if "(n = " in str(line.get_label())]


def test_data_is_runs_bands_and_targets(tables):
    df = learning_curves.data(tables)
    curves = tables["curves"]
    assert set(df["layer"]) == {"run", "band", "target"}
    assert df["run"].dtype == df["step"].dtype == "Int64"
    assert list(df["layer"]).count("run") == len(curves)
    assert list(df.loc[df["layer"] == "target", "accuracy"]) == [0.95, 0.97]
    band = df.loc[(df["layer"] == "band") & (df["architecture"] == "mlp-32")]
    some = curves.loc[(curves["architecture"] == "mlp-32") & (curves["step"] == 100)]
    row = band.loc[band["step"] == 100].iloc[0]
    quantiles = np.quantile(some["accuracy"], (0.1, 0.5, 0.9))
    np.testing.assert_allclose(row[["low", "accuracy", "high"]].tolist(), quantiles)


def test_draw_shows_every_run_and_a_median_and_band_an_architecture(tables):
    (axes,) = learning_curves.draw(learning_curves.data(tables)).axes
    runs = [each for each in axes.collections if isinstance(each, LineCollection)]
    bands = [each for each in axes.collections if isinstance(each, PolyCollection)]
    assert sum(len(each.get_segments()) for each in runs) == 24
    assert len(bands) == len(runs) == len(median_lines(axes)) == 4
    assert [line.get_label() for line in median_lines(axes)] == [
        "cnn-8 (n = 6)",
        "mlp-128 (n = 6)",
        "mlp-32 (n = 6)",
        "softmax (n = 6)",
    ]
    assert "steps" in axes.get_xlabel()
    texts = [text.get_text() for text in axes.texts]
    assert texts[:2] == ["0.95", "0.97"]


def test_the_axis_has_a_place_for_accuracy_one(tables):
    df = learning_curves.data(tables)
    assert max(df["accuracy"]) == 1.0
    (axes,) = learning_curves.draw(df).axes
    bottom, top = axes.get_ylim()
    assert top < 0 < 0.9 < bottom
    assert 0.0 in axes.get_yticks()
    assert axes.yaxis.get_major_formatter()(0.0, None) == "1"
    assert axes.get_yscale() == "asinh"


def test_bands_stand_only_where_all_runs_were_looked_at(tables):
    curves = tables["curves"]
    short = (curves["run"] == 0) & (curves["step"] > 200)
    df = learning_curves.data({**tables, "curves": curves.loc[~short]})
    band = df.loc[(df["layer"] == "band") & (df["architecture"] == "cnn-8")]
    assert max(band["step"]) == 200
    other = df.loc[(df["layer"] == "band") & (df["architecture"] == "softmax")]
    assert max(other["step"]) == 400


@pytest.mark.parametrize("targets", [[], [0.97], [0.9, 0.97, 0.971, 0.972, 1.0]])
def test_few_close_or_no_targets(tables, targets):
    summary = pd.DataFrame({"t_acc": [*targets, np.nan]})
    df = learning_curves.data({**tables, "law_summary": summary})
    figure = learning_curves.draw(df)
    assert everything_inside(figure)
    labels = figure.axes[0].texts
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) == (len(targets) + 1 if targets else 0)
    assert all(one.y1 <= two.y0 + 1 for one, two in pairwise(boxes))


def test_a_single_run(tables):
    curves = tables["curves"]
    one = {**tables, "curves": curves.loc[curves["run"] == 7]}
    figure = learning_curves.draw(learning_curves.data(one))
    assert everything_inside(figure)
    assert median_lines(figure.axes[0])[0].get_label() == "softmax (n = 1)"
