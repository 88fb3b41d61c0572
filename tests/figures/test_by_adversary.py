import numpy as np
import pytest
from dpodl.figures import by_adversary
from dpodl.figures.parts.needs import Lacking

from .conftest import all_axes, everything_inside, rendered
from .sweeps import interval, risk, sweep


def test_data_has_risk_and_wait_over_the_share_by_delay():
    df = by_adversary.data({"points": sweep(betas=(0.2, 0.3), delays=(5, 100))})
    assert set(df["across"]) == {"network.beta"}
    assert set(df["along"]) == {"network.delay_steps"}
    risks = df.loc[df["quantity"] == "persistence_violation"]
    assert set(risks["place"]) == {6}
    np.testing.assert_allclose(risks["value"], [risk(b, 6) for b in risks["at"]])
    waits = df.loc[df["quantity"] == "liveness_quantile"]
    assert set(waits["place"]) == {0.99}
    expected = [9 * interval(0.95, 253, d) * 1.99 for d in waits["series"]]
    np.testing.assert_allclose(waits["value"], expected)


def test_a_quantile_that_is_refused_alone_is_crossed():
    points = sweep(betas=(0.2, 0.3, 0.4))
    gone = (points["point"] == 2) & (points["quantity"] == "liveness_quantile")
    df = by_adversary.data({"points": points.loc[~gone]})
    assert list(df.loc[df["refused"], "quantity"]) == ["liveness_quantile"]
    upper, lower = all_axes(rendered(by_adversary.draw(df)))
    crosses = [line for line in lower.lines if line.get_marker() == "x"]
    assert [np.asarray(line.get_xdata()).tolist() for line in crosses] == [[0.4]]
    assert not [line for line in upper.lines if line.get_marker() == "x"]


def test_a_violation_that_was_never_seen_is_an_upper_limit():
    df = by_adversary.data({"points": sweep(betas=(0.05, 0.3))})
    assert df.loc[df["quantity"] == "persistence_violation", "value"].min() == 0
    figure = by_adversary.draw(df)
    upper, _ = all_axes(rendered(figure))
    (limit,) = [line for line in upper.lines if line.get_marker() == "v"]
    np.testing.assert_allclose(np.asarray(limit.get_xydata(), float), [[0.05, 3e-3]])
    assert upper.get_ylim()[0] < 3e-3
    assert everything_inside(figure)


def test_without_an_adversary_s_sweep_there_is_no_figure():
    with pytest.raises(Lacking, match=r"neither network\.beta nor"):
        by_adversary.data({"points": sweep(t_accs=(0.9, 0.95))})
