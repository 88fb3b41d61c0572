import numpy as np
import pytest
from dpodl.analysis.bounds import good_window
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
    assert len(all_axes(figure)) == 2


def test_a_rejected_line_and_a_missing_constant_are_said():
    points = sweep()
    test = points["quantity"] == "decay_fit_p_value"
    rejected = points.assign(value=points["value"].mask(test, 1e-9))
    assert "rejected" in decay.data({"points": rejected})["note"].iloc[0]
    without = points.loc[~points["quantity"].str.startswith("decay")]
    df = decay.data({"points": without})
    assert "refused" in df["note"].iloc[0]
    assert "fit" not in set(df["layer"])
    assert everything_inside(decay.draw(df))


def test_unseen_bad_windows_are_upper_limits():
    points = sweep()
    last = (points["quantity"] == "good_period") & (points["at"] == 20)
    points.loc[last, ["value", "low", "high"]] = [1.0, 0.98, 1.0]
    figure = decay.draw(decay.data({"points": points}))
    (axes,) = all_axes(figure)
    (limit,) = [line for line in axes.lines if line.get_marker() == "v"]
    np.testing.assert_allclose(np.asarray(limit.get_xydata(), float), [[20, 0.02]])
