"""The stage that fails on slower work: what it forgives, and what it does not."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from dpodl.benchmarks.measure import CONTROL
from dpodl.benchmarks.workloads import Job, Measured, Repeat, Series, Workload

_FILE = Path(__file__).resolve().parents[1] / "speed.py"


@pytest.fixture(scope="module")
def speed():
    spec = importlib.util.spec_from_file_location("speed", _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(cpu: dict[str, list[float]], missing: str = "") -> Measured:
    jobs = {name: Job(name, "machine:mixture", {}) for name in cpu}
    series = {
        name: Series(
            jobs[name],
            tuple(Repeat(9.0, 1.0, cpu_seconds=x) for x in each),
            missing if name != CONTROL else "",
        )
        for name, each in cpu.items()
    }
    return Measured(Workload("speed", (), (), ""), series, 0.0)


def test_a_row_is_cpu_time_over_that_of_the_same_round(speed):
    found = speed.of_rounds(measured({CONTROL: [1.0, 2.0], "row": [3.0, 8.0]}))
    np.testing.assert_array_equal(found["row"], [3.0, 4.0])


def test_one_round_within_the_limit_is_enough(speed):
    rounds = np.array([2.0, 9.0, 1.4])
    assert speed.slower({"row": 1.0}, {"row": rounds}) == []
    assert speed.slower({"row": 1.0}, {"row": rounds + 0.2}) == ["row"]


def test_what_cannot_be_measured_is_no_pass(speed):
    with pytest.raises(RuntimeError, match="row: it is gone"):
        speed.of_rounds(measured({CONTROL: [1.0], "row": [1.0]}, "it is gone"))


def test_slow_rows_are_measured_again_and_then_fail(speed, monkeypatch, capsys):
    names = [row.name for row in speed.ROWS]
    known = json.loads(speed.KEPT.read_text())
    kept = known["ratios"]
    assert sorted(kept) == sorted(names)
    monkeypatch.setattr(speed, "machine", lambda: known["machine"])
    asked = []

    def twice_as_slow(rows):
        asked.append([row.name for row in rows])
        worse = {names[0]: 2.0}
        return {r.name: np.full(3, kept[r.name] * worse.get(r.name, 1)) for r in rows}

    monkeypatch.setattr(speed, "ratios", twice_as_slow)
    assert speed.main([]) == 1
    assert asked == [names, [names[0]]]
    assert f"slower than 1.5 times what is kept: {names[0]}" in capsys.readouterr().out
    # Elsewhere a row may gain less from the processor than the control does.
    monkeypatch.setattr(speed, "machine", lambda: "another")
    assert speed.main([]) == 0
    monkeypatch.setattr(speed, "machine", lambda: known["machine"])
    monkeypatch.setattr(
        speed, "ratios", lambda rows: {r.name: np.array([kept[r.name]]) for r in rows}
    )
    assert speed.main([]) == 0
