"""The two files that a measurement leaves."""

import json
import math

from dpodl.benchmarks import report
from dpodl.benchmarks.measure import CONTROL
from dpodl.benchmarks.workloads import Claim, Job, Measured, Repeat, Series, Workload

FACTS = {
    "processor": "AMD EPYC (tm) 9",
    "cores": 2,
    "pinned": True,
    "system": "Linux",
    "platform": "cpu",
    "device": "cpu",
    "python": "3.11",
    "packages": {"jax": "0.10.2", "torch": None},
}
JOBS = (Job("ours", "", {}), Job("torch", "", {}, unit="operations"))
CLAIMS = (
    Claim("blocks a second", ("ours",), lambda s: s.rate, "blocks/s", 5.0),
    Claim("against a|pipe", ("ours",), lambda s: s.rate / 2, "×", 10.0),
    Claim("against torch", ("ours", "torch"), lambda a, b: a.rate, "×", 1.0),
    Claim("only told", ("ours",), lambda s: s.rate, "blocks/s"),
)


def results(drift: float = 0.01):
    workload = Workload("network", JOBS, CLAIMS, "blocks")
    series = {
        CONTROL: Series(Job(CONTROL, "", {}), (Repeat(1.0, 1.0),) * 3),
        "ours": Series(JOBS[0], (Repeat(2.0, 20.0, facts={"x": math.nan}),) * 3),
        "torch": Series(JOBS[1], (), "torch is not installed"),
    }
    measured = [Measured(workload, series, drift)]
    return report.document(measured, FACTS, command="dpodl bench", date="2026-01-02")


def test_json_holds_every_time_and_nothing_that_json_cannot():
    found = json.loads(json.dumps(results(math.inf), allow_nan=False))
    times = {each["contender"]: each for each in found["times"]}
    assert times["ours"]["seconds"] == [2.0] * 3
    assert times["ours"]["facts"] == [{"x": None}] * 3
    assert times["torch"]["missing"] == "torch is not installed"
    assert times["torch"]["unit"] == "operations"
    assert found["rows"][0]["drift"] is None


def test_ratios_come_first_and_each_row_ends_in_a_verdict():
    found = results()
    assert [row["unit"] == "×" for row in found["rows"]] == [True, True, False, False]
    lines = report.markdown(found).splitlines()
    table = [line for line in lines if line.startswith("| network |")]
    claims = table[: len(CLAIMS)]
    assert claims[0].endswith("| target missed |")
    assert claims[1].endswith("| no conclusion (torch: torch is not installed) |")
    assert claims[2].endswith("| target met |")
    assert claims[3].endswith("| no target |")
    assert "10 blocks/s (10–10) | ≥ 5 blocks/s" in claims[2]


def test_every_row_has_as_many_cells_as_the_heading():
    rows, heading = [], 0
    for line in report.markdown(results()).splitlines():
        cells = line.replace("\\|", "").count("|")
        if line.startswith("| workload"):
            heading = cells
        elif line.startswith("|"):
            rows.append(cells == heading)
    assert rows
    assert all(rows)


def test_a_file_is_called_by_date_machine_and_what_was_asked_for():
    assert report.file_name(FACTS, "2026-01-02") == "2026-01-02-amd-epyc-tm-9-2-cores"
    only = report.file_name(FACTS, "2026-01-02", ["train", "network"])
    assert only == "2026-01-02-amd-epyc-tm-9-2-cores-train-network"
    gpu = {**FACTS, "platform": "gpu", "device": "NVIDIA H100"}
    assert report.file_name(gpu, "2026-01-02") == "2026-01-02-nvidia-h100"
