import numpy as np
import pytest
from dpodl.analysis.bounds.rounds import good_window
from dpodl.figures import decay

from .conftest import all_axes, everything_inside, rendered
from .sweeps import EPSILON, WINDOWS, bad, sweep


def test_the_fitted_line_goes_through_points_that_lie_on_one():
    df = decay.data({"points": sweep(t_accs=(1.0,))})
    fit = df.loc[df["layer"] == "fit"]
    np.testing.assert_allclose(fit["value"], [bad(at) for at in fit["at"]], rtol=1e-9)
    slope = np.diff(np.log(fit["value"])) / np.diff(fit["at"])
    assert slope.item() == pytest.approx(-2.0 * EPSILON**2)
    windows = df.loc[df["layer"] == "window"]
    np.testing.assert_allclose(windows["value"], [bad(kp) for kp in WINDOWS])
    assert (windows["low"] <= windows["value"]).all()


def test_independent_rounds_are_exact():
    df = decay.data({"points": sweep()})
    iid = df.loc[df["layer"] == "iid"]
    expected = [
        1 - good_window(round(kp / 0.05), 0.05, 0.045, 0.016, EPSILON) for kp in WINDOWS
    ]
    np.testing.assert_allclose(iid["value"], expected)


def test_constants_stand_over_the_sweep_and_the_note_has_the_interval():
    points = sweep(t_accs=(0.9, 0.92, 0.95), powers=(252, 256))
    df = decay.data({"points": points})
    constants = df.loc[df["layer"] == "constant"]
    assert list(constants["at"]) == [0.9, 0.92, 0.95]
    assert set(df["about"]) == {"$T_{acc}$ = 0.92"}
    assert "$c$ = 2 [1.8, 2.2]" in df["note"].iloc[0]
    assert "rejected" not in df["note"].iloc[0]
    figure = rendered(decay.draw(df))
    assert len(all_axes(figure)) == 3


def test_slopes_stand_where_they_were_measured():
    df = decay.data({"points": sweep()})
    slopes = df.loc[df["layer"] == "slope"]
    assert list(slopes["at"]) == [3.5, 7.5, 15.0]
    np.testing.assert_allclose(slopes["value"], 2.0)
    figure = rendered(decay.draw(df))
    above, below = all_axes(figure)
    assert above.get_xlim() == below.get_xlim()
    assert below.get_ylabel() == "Slope $c$"
    assert everything_inside(figure)


def test_a_rejected_line_has_slopes_and_no_constant():
    points = sweep()
    test = points["quantity"] == "decay_fit_p_value"
    rejected = points.assign(value=points["value"].mask(test, 1e-9))
    constant = points["quantity"].isin(["decay_constant", "decay_constant_iid"])
    df = decay.data({"points": rejected.loc[~constant]})
    note = df["note"].iloc[0]
    assert note.startswith("no single $c$: a straight line is rejected (p < .001)")
    assert "slope 2 [1.8, 2.2] at $kp$ = 3.5, 2 [1.8, 2.2] at 15" in note
    assert "fit" not in set(df["layer"])
    figure = decay.draw(df)
    assert everything_inside(figure)
    (legend,) = figure.legends
    assert any("rejected" in text.get_text() for text in legend.get_texts())


def test_a_decay_that_was_not_measured_is_not_called_refused():
    points = sweep()
    without = points.loc[~points["quantity"].str.startswith("decay")]
    df = decay.data({"points": without})
    assert df["note"].iloc[0] == "slope refused: too few lengths with bad windows"
    assert "fit" not in set(df["layer"])
    plain = without.loc[without["quantity"] != "isolated_rate"]
    df = decay.data({"points": plain})
    assert df["note"].iloc[0].startswith("slope not measured")
    assert everything_inside(decay.draw(df))


def test_unseen_bad_windows_are_upper_limits():
    points = sweep()
    last = (points["quantity"] == "good_period") & (points["at"] == 20)
    points.loc[last, ["value", "low", "high"]] = [1.0, 0.98, 1.0]
    figure = decay.draw(decay.data({"points": points}))
    axes, _ = all_axes(figure)
    (limit,) = [line for line in axes.lines if line.get_marker() == "v"]
    np.testing.assert_allclose(np.asarray(limit.get_xydata(), float), [[20, 0.02]])
