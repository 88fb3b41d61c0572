import numpy as np
import pandas as pd
import pytest
from dpodl.figures import block_times

from .conftest import SETTINGS, all_axes, everything_inside

ORDER = ["pow", "c", "b", "a", "dl"]


def test_data_scales_time_by_the_mean_and_orders_by_cv(tables):
    df = block_times.data(tables)
    summary = df.loc[df["layer"] == "summary"]
    assert list(summary["setting"]) == ORDER
    assert (np.diff(summary["cv"].to_numpy(float)) < 0).all()
    assert list(summary["label"]) == [
        "PoW $2^{228}$",
        "D-PoDL (0.95, $2^{240}$, $2^{252}$)",
        "D-PoDL (0.97, $2^{244}$, $2^{251}$)",
        "D-PoDL (0.97, $2^{240}$, $2^{256}$)",
        "DL 0.97",
    ]
    curve = df.loc[(df["layer"] == "survival") & (df["setting"] == "pow")]
    assert curve["time"].iloc[0] == 0
    assert curve["survival"].iloc[0] == 1
    np.testing.assert_allclose(curve["survival"], np.exp(-curve["time"]))
    assert max(df["time"].dropna()) <= 4


def test_draw_has_a_curve_and_two_moments_a_setting(tables):
    figure = block_times.draw(block_times.data(tables))
    curves, left, right = all_axes(figure)
    assert len(curves.lines) == len(SETTINGS)
    looks = {(line.get_linestyle(), line.get_marker()) for line in curves.lines}
    assert len(looks) >= len(SETTINGS) - 1
    # Exact moments (PoW) have no bar; the memoryless line is one more on the left.
    assert len(left.lines) == 2 * len(SETTINGS)
    assert len(right.lines) == 2 * len(SETTINGS) - 1
    assert left.get_yticklabels()[0].get_text() == "PoW $2^{228}$"
    assert left.get_xlim()[0] == 0
    assert left.get_xlim()[1] > 1
    assert right.get_xlim()[1] > tables["law_summary"]["mean_high"].max()
    assert "steps" in right.get_xlabel()


def test_settings_that_look_alike_go_by_their_names(tables):
    summary = tables["law_summary"].copy()
    twin = summary.loc[summary["setting"] == "a"].assign(setting="a, restart")
    more = {**tables, "law_summary": pd.concat([summary, twin], ignore_index=True)}
    df = block_times.data(more)
    labels = df.loc[df["layer"] == "summary", "label"]
    assert {"a", "a, restart"} <= set(labels)


@pytest.mark.parametrize("mean", [np.nan, np.inf])
def test_a_setting_without_a_mean_has_no_curve(tables, mean):
    summary = tables["law_summary"].copy()
    moments = ["mean", "mean_low", "mean_high", "cv", "cv_low", "cv_high"]
    summary.loc[summary["setting"] == "b", moments] = mean
    df = block_times.data({**tables, "law_summary": summary})
    assert "b" not in set(df.loc[df["layer"] == "survival", "setting"])
    assert everything_inside(block_times.draw(df))


@pytest.mark.parametrize("kept", [["pow"], ["dl"], ["a", "b"]])
def test_some_settings_only(tables, kept):
    some = {
        name: tables[name].loc[tables[name]["setting"].isin(kept)]
        for name in ("laws", "law_summary")
    }
    figure = block_times.draw(block_times.data(some))
    assert everything_inside(figure)


def test_means_of_different_decades_get_a_logarithmic_axis(tables):
    summary = tables["law_summary"].copy()
    summary.loc[summary["setting"] == "pow", ["mean", "mean_low", "mean_high"]] *= 100
    figure = block_times.draw(block_times.data({**tables, "law_summary": summary}))
    scales = [axes.get_xscale() for axes in all_axes(figure)]
    assert scales == ["linear", "linear", "log"]
    assert everything_inside(figure)


def test_unknown_settings_and_kinds_are_named(tables):
    summary = tables["law_summary"]
    fewer = summary.loc[summary["setting"] != "b"]
    with pytest.raises(ValueError, match=r"lacks the setting\(s\) \['b'\]"):
        block_times.data({**tables, "law_summary": fewer})
    other = summary.assign(kind=summary["kind"].replace("pow", "pos"))
    with pytest.raises(ValueError, match=r"kind must be in .*, got \['pos'\]"):
        block_times.data({**tables, "law_summary": other})
