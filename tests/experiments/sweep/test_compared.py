"""Two sweeps beside each other, point by point."""

import math

import pandas as pd
import pytest
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.records import compared
from dpodl.experiments.sweep.results import read_results


def test_points_are_compared_where_they_correspond(cases, whole, root):
    """Another share of corrupted provers at the same points."""
    other = cases.run(root, config=cases.tiny("network.beta=0.5")).folder
    found = compared(whole, other)
    assert found.settings["setting"].tolist() == ["network.beta"]
    assert "a sweep keeps no figure under each resample" in found.pairing
    keys = ["scheme.t_acc", "scheme.t_2", "network.delay_steps", "quantity", "at"]
    # t_acc = 0.99 fails in both.
    assert len(found.figures) == 3 * 3 * 2 * 4

    def by_key(table: pd.DataFrame) -> dict[tuple, float]:
        rows = [row for row in table.to_dict("records") if row["status"] == "done"]
        return {tuple(str(row[key]) for key in keys): row["value"] for row in rows}

    known = [by_key(read_results(path)) for path in (whole, other)]
    for row in found.figures.to_dict("records"):
        values = [each[tuple(str(row[key]) for key in keys)] for each in known]
        assert [row["first"], row["second"]] == values
        if min(values) > 0:
            assert row["value"] == pytest.approx(values[1] / values[0])
        assert not row["paired"]


def test_a_sweep_does_not_differ_from_itself(whole):
    found = compared(whole, whole)
    assert found.settings.empty
    known = [x for x in found.figures["value"] if not math.isnan(x)]
    assert known
    assert set(known) == {1.0}


def test_points_that_do_not_correspond_are_told(cases, whole, root, monkeypatch):
    over = {name: cases.OVER[name] for name in cases.OVER}
    monkeypatch.setattr(cases, "OVER", over | {"network.delay_steps": (5, 6)})
    other = cases.run(root).folder
    with pytest.raises(ConfigError, match="have no point in common in"):
        compared(whole, other)
    for name in ("config.toml", "estimates.csv"):
        (root / name).write_text("")
    with pytest.raises(ConfigError, match="two runs or two sweeps can be compared"):
        compared(whole, root)
