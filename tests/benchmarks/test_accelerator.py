"""The script for a machine with a GPU: its clock, its comparison, its first line."""

import re
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from dpodl.benchmarks.accelerator import device, lanes, laws

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "accelerator.sh"


def test_the_parts_fit_into_eight_minutes_and_are_there():
    text = SCRIPT.read_text(encoding="utf-8")
    limits = [int(found) for found in re.findall(r'^part ".*?" (\d+) ', text, re.M)]
    assert len(limits) == 5
    assert sum(limits) <= 480
    assert "480 * ${PATIENCE:-1}" in text  # however long the installation takes
    for name in re.findall(r"measure (\w+)\"", text):
        assert (ROOT / "benchmarks" / "accelerator" / f"{name}.py").is_file()
    subprocess.run(["bash", "-n", SCRIPT], check=True)


def test_first_passages_are_the_first_looks_at_the_threshold():
    accuracy = np.array([[0.1, 0.8, 0.7], [0.1, 0.2, 0.3], [0.9, 0.1, 0.1]])
    assert laws.first_passages(accuracy, 0.8).tolist() == [1.0, np.inf, 0.0]


def test_laws_that_differ_are_told_from_those_that_do_not():
    rng = np.random.default_rng(0)
    one, other = rng.geometric(0.1, (2, 2000)).astype(float)
    one[:200] = other[:200] = np.inf
    assert laws.compared(one, other)[1] > 1e-3
    assert laws.compared(one, 1.2 * other)[1] < 1e-6
    # What never passes counts as the last.
    fewer = one.copy()
    fewer[:400] = np.inf
    distance, p = laws.compared(fewer, one)
    assert distance >= 0.09
    assert p < 1e-6
    assert laws.compared(np.full(5, np.inf), np.full(5, np.inf))[0] == 0


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="of a CPU")
def test_on_a_cpu_the_first_line_says_so(monkeypatch):
    monkeypatch.setattr(device, "set_up_jax", lambda: None)
    monkeypatch.setattr(device, "usable_cores", lambda: 2)
    monkeypatch.setattr(device.os, "getloadavg", lambda: (7.25, 0.0, 0.0))
    first, _, versions, _, busy = device.heading().splitlines()
    assert busy.startswith("Load 7.2 on 2 cores when it began: others were at work")
    assert "run on a CPU" in first
    assert "no number here is one of an accelerator" in first
    assert f"jax {jax.__version__}" in versions


def test_a_width_that_fails_leaves_the_others(capsys):
    def broken():
        raise MemoryError("no room\nfor it")

    lanes._row(("mlp-32", 32, 10, 64), "ours", broken, 1.0)
    lanes._row(("mlp-32", 32, 10, 64), "ours", lambda: lambda: 640.0, 1e-9)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "| mlp-32, batch 32 | 64 | ours | MemoryError: no room | |"
    assert second.startswith("| mlp-32, batch 32 | 64 | ours |")
