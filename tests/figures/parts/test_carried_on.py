"""Curves beyond the depths asked for: exponential risks whose k* is known."""

import math

import numpy as np
import pandas as pd
import pytest
from dpodl.figures.parts.carried_on import carried_on


def depth_for(risk: float, decay: float) -> float:
    return -math.log(risk) / decay


def rows(decay: float, low: float, high: float, risks=(1e-3, 1e-9, 2.0**-40, 2.0**-64)):
    """``safe_depth`` of e^(−decay k), where laws may decay as low to high do."""
    return pd.DataFrame(
        {
            "quantity": "safe_depth",
            "at": risks,
            "value": [depth_for(each, decay) for each in risks],
            "low": [depth_for(each, high) for each in risks],
            "high": [depth_for(each, low) for each in risks],
        }
    )


def curve(decay: float, last: int = 20):
    at = np.arange(1, last + 1)
    return pd.DataFrame({"at": at, "value": np.exp(-decay * at)})


def test_an_interval_in_blocks_is_one_of_the_risk():
    decay, low, high = 0.25, 0.24, 0.26
    found = carried_on(rows(decay, low, high), curve(decay))
    # 2^-64 is beyond where curves are carried on.
    assert found["value"].tolist() == pytest.approx([1e-3, 1e-9, 2.0**-40])
    at, below, above = found[["at", "low", "high"]].to_numpy(float).T
    np.testing.assert_allclose(found["value"], np.exp(-decay * at))
    # What laws of the other decays have at that depth, to first order in their ratio.
    np.testing.assert_allclose(np.log(above), -low * at, rtol=0.01)
    np.testing.assert_allclose(np.log(below), -high * at, rtol=0.01)


def test_depths_of_the_curve_itself_are_left_out():
    found = carried_on(rows(0.25, 0.24, 0.26), curve(0.25, last=40))
    assert found["at"].to_numpy().min() > 40
    assert len(found) == 2


def test_an_open_end_is_one_and_no_depth_is_no_point():
    given = rows(0.25, 0.24, 0.26)
    given.loc[1, "high"] = math.inf
    given.loc[2, "value"] = math.inf
    found = carried_on(given, curve(0.25))
    assert len(found) == 2
    assert found["high"].iloc[1] == 1.0


def test_nothing_is_carried_on_from_nothing():
    empty = pd.DataFrame({"quantity": [], "at": [], "value": [], "low": [], "high": []})
    assert carried_on(empty, curve(0.25)).empty
    assert carried_on(rows(0.25, 0.24, 0.26), curve(0.25).iloc[:0]).empty


def test_beyond_a_point_without_a_lower_end_there_is_none():
    known = curve(0.25).assign(low=1e-9)
    found = carried_on(rows(0.25, 0.24, 0.26), known)
    assert min(found["low"]) > 0
    lost = known.assign(low=[*known["low"][:-1], 0.0])
    again = carried_on(rows(0.25, 0.24, 0.26), lost)
    assert set(again["low"]) == {0.0}
    assert again.drop(columns="low").equals(found.drop(columns="low"))
