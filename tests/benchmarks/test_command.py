"""``dpodl bench`` from its options to its files."""

import json

from click.testing import CliRunner
from dpodl.benchmarks.command import bench


def test_a_small_benchmark_leaves_its_two_files(tmp_path):
    words = ["--only", "machine-copy", "--json", "--output", str(tmp_path)]
    shown = CliRunner().invoke(bench, words)
    assert shown.exit_code == 0, shown.output
    (as_json,) = tmp_path.glob("*-machine-copy.json")
    (as_text,) = tmp_path.glob("*-machine-copy.md")
    results = json.loads(as_json.read_text(encoding="utf-8"))
    assert json.loads(shown.stdout) == results
    (row,) = results["rows"]
    assert row["verdict"] == "no target"
    assert row["value"] > 0
    contenders = [each["contender"] for each in results["times"]]
    assert contenders == ["control", "copy"]
    assert "| machine-copy | memory copy |" in as_text.read_text(encoding="utf-8")


def test_workloads_are_listed_and_unknown_ones_refused(tmp_path):
    invoke = CliRunner().invoke
    shown = invoke(bench, ["--list"])
    assert shown.exit_code == 0
    assert "network-forks" in shown.output.splitlines()
    assert "sweep-whole" not in shown.output
    assert "sweep-whole" in invoke(bench, ["--full", "--list"]).output
    for option in ("--only", "--profile"):
        wrong = invoke(bench, [option, "nothing", "--output", str(tmp_path)])
        assert wrong.exit_code == 2
        assert "no workload is called nothing" in wrong.output
    assert list(tmp_path.iterdir()) == []
