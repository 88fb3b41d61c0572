"""good_periods and persistence: probabilities with intervals, limits and references."""

import numpy as np
import pandas as pd
import pytest
from dpodl.figures import good_periods, persistence
from matplotlib.lines import Line2D
from matplotlib.path import Path

from ..conftest import everything_inside

COLUMNS = ["quantity", "label", "layer", "at", "value", "low", "high"]
BOTH = pytest.mark.parametrize(
    ("module", "quantity"),
    [(persistence, "persistence_violation"), (good_periods, "good_period")],
)


def limits(axes):
    lines = axes.findobj(Line2D)
    return [line for line in lines if isinstance(line.get_marker(), Path)]


def only(tables, quantity, **columns):
    """Tables with one quantity, columns overwritten, and no references."""
    estimates = tables["estimates"]
    rows = estimates.loc[estimates["quantity"] == quantity]
    return {"estimates": rows.assign(**columns)}


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_data_is_the_quantities_in_order_with_their_references(tables):
    df = persistence.data(tables)
    assert list(df.columns) == COLUMNS
    assert set(df["quantity"]) == set(persistence._LABELS)
    assert list(df["layer"]) == ["estimate"] * 60 + ["reference"] * 60
    assert list(df["label"].unique()) == [
        "ties win (equal length)",
        "strict (longer chain)",
        "exponential law, same β: ties win (equal length)",
        "exponential law, same β: strict (longer chain)",
    ]
    assert "iid rounds" in set(good_periods.data(tables)["label"])


def test_persistence_is_logarithmic_with_limits_for_what_was_not_seen(tables):
    df = persistence.data(tables)
    figure = persistence.draw(df)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert "blocks" in axes.get_xlabel()
    low, high = axes.get_ylim()
    assert 0 < low < df.loc[df["value"] > 0, "low"].min()
    assert high > max(df["high"])
    zeros = df.loc[df["value"] == 0]
    assert len(zeros) > 5
    drawn = np.concatenate([np.asarray(line.get_ydata()) for line in limits(axes)])
    np.testing.assert_allclose(np.sort(drawn), np.sort(zeros["high"]))
    assert legend_texts(figure) == [
        *df["label"].unique(),
        "none seen: 95 % upper limit",
    ]


def test_good_periods_are_logit_with_limits_at_both_ends(tables):
    df = good_periods.data(tables)
    figure = good_periods.draw(df)
    (axes,) = figure.axes
    assert axes.get_yscale() == "logit"
    assert "expected honest blocks" in axes.get_xlabel()
    assert axes.get_xscale() == "log"
    low, high = axes.get_ylim()
    values = df["value"].to_numpy(float)
    inside = values[(values > 0) & (values < 1)]
    assert 0 < low < inside.min() < inside.max() < high < 1
    assert (values == 0).any()
    assert (values == 1).any()
    assert len(limits(axes)) == ((values == 0) | (values == 1)).sum()
    assert legend_texts(figure)[:3] == [
        "single window",
        "all windows in the horizon",
        "iid rounds",
    ]


@BOTH
def test_one_quantity_without_references(tables, module, quantity):
    df = module.data(only(tables, quantity))
    assert set(df["layer"]) == {"estimate"}
    figure = module.draw(df)
    assert everything_inside(figure)
    assert legend_texts(figure)[0] == df["label"].iloc[0]


@BOTH
@pytest.mark.parametrize(
    "values",
    [
        {"value": 0.0, "low": 0.0, "high": 1e-3},
        {"value": 1.0, "low": 0.999, "high": 1.0},
        {"value": 0.0, "low": np.nan, "high": np.nan},
        {"value": 0.25, "low": np.nan, "high": np.nan},
        {"value": 1e-38, "low": 0.0, "high": 2e-38},
        {"value": 1 - 1e-15, "low": 0.5, "high": 1.0},
    ],
)
def test_degenerate_probabilities(tables, module, quantity, values):
    figure = module.draw(module.data(only(tables, quantity, **values)))
    assert everything_inside(figure)
    left, right = figure.axes[0].get_xlim()
    assert left <= min(only(tables, quantity)["estimates"]["at"])
    assert right >= max(only(tables, quantity)["estimates"]["at"])
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < high
    known = [end for end in (values["low"], values["high"]) if 0 < end < 1]
    assert all(low <= end <= high for end in known)


@BOTH
def test_a_single_point(tables, module, quantity):
    df = module.data({"estimates": only(tables, quantity)["estimates"].iloc[2:3]})
    assert everything_inside(module.draw(df))


@BOTH
def test_references_without_rows_or_of_other_quantities(tables, module, quantity):
    some = only(tables, quantity)
    for references in (
        pd.DataFrame(),
        tables["references"].iloc[:0],
        tables["references"].assign(quantity="other"),
    ):
        df = module.data({**some, "references": references})
        assert set(df["layer"]) == {"estimate"}


def test_a_reference_without_its_estimate_is_still_drawn(tables):
    some = only(tables, "persistence_violation_strict")
    df = persistence.data({**some, "references": tables["references"]})
    figure = persistence.draw(df)
    assert "exponential law, same β: ties win (equal length)" in legend_texts(figure)


def test_references_that_underflow_are_left_out_of_the_line(tables):
    references = tables["references"].copy()
    references.loc[references["at"] > 20, "value"] = 0.0
    figure = persistence.draw(persistence.data({**tables, "references": references}))
    dashed = [line for line in figure.axes[0].lines if line.is_dashed()]
    assert [len(np.asarray(line.get_xdata())) for line in dashed] == [20, 20]
    assert everything_inside(figure)


@BOTH
def test_no_rows_of_the_quantity_is_an_error(tables, module, quantity):
    estimates = tables["estimates"].assign(quantity="other")
    with pytest.raises(ValueError, match=f"'estimates' has no rows of {quantity}"):
        module.data({"estimates": estimates})
