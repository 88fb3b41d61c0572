"""Contenders do the same work: what is compared is only who is faster."""

import numpy as np
import pytest
from dpodl.benchmarks import profiles, simulation, suite, training
from dpodl.benchmarks.measure import Broken
from dpodl.benchmarks.peers import event_loops
from dpodl.benchmarks.processes import Process
from dpodl.benchmarks.workloads import Job
from dpodl.models.learning.networks import step_operations

RULES = {"provers": 12, "delay": 1.2, "rate": 1 / 12, "dead_time": 1.0}


def forks(once, times: int) -> tuple[float, float]:
    """Mean and standard error of blocks a level."""
    found = np.array([once()[1]["blocks"] for _ in range(times)])
    return float(found.mean()), float(found.std(ddof=1)) / times**0.5


def test_event_loops_have_the_forks_of_the_library():
    # Of the library: 16 provers of which 4 are the adversary's, and the same delay.
    ours = forks(simulation.ours(16, 0.6, 50, 100), 5)
    plain = forks(event_loops.by_heapq(**RULES, levels=400), 8)
    rows = forks(event_loops.by_numpy(**RULES, levels=50, replicas=100), 5)
    for theirs in (plain, rows):
        assert (
            abs(theirs[0] - ours[0])
            < 3.5 * (theirs[1] ** 2 + ours[1] ** 2) ** 0.5 + 0.02
        )
    assert ours[0] > 1.5


def test_simpy_has_the_forks_of_the_library():
    pytest.importorskip("simpy")
    ours = forks(simulation.ours(16, 0.6, 50, 100), 5)
    theirs = forks(event_loops.by_simpy(**RULES, levels=400), 8)
    assert (
        abs(theirs[0] - ours[0]) < 3.5 * (theirs[1] ** 2 + ours[1] ** 2) ** 0.5 + 0.02
    )


@pytest.mark.parametrize("batch", [4, 32])
@pytest.mark.parametrize("architecture", ["softmax", "mlp-32"])
def test_a_steps_products_are_its_operations(architecture, batch):
    pairs = training.step_products(architecture, batch)
    assert all(a.shape[1] == b.shape[1] for a, b in pairs)
    found = sum(2 * len(a) * len(b) * a.shape[1] for a, b in pairs)
    assert found == batch * step_operations(architecture, (28, 28), 10)
    assert training.products(architecture, batch, 3)() == 3.0


def test_a_process_does_jobs_and_says_what_is_wrong():
    job = Job(
        "loop", "peers.event_loops:by_heapq", {**RULES, "levels": 5}, engine="python"
    )
    process = Process(job)
    try:
        process.prepare(job)
        repeat = process.repeat("loop")
        # Work is blocks, forks included; so many of them a level.
        assert repeat.work == pytest.approx(5 * repeat.facts["blocks"])
        assert repeat.work >= 5.0
        assert repeat.seconds > 0
        assert repeat.peak_bytes > 0
        with pytest.raises(Broken, match="TypeError"):
            process.prepare(job._replace(arguments={"nonsense": 1}))
        with pytest.raises(Broken, match="no_such_module"):
            process.prepare(Job("x", "no_such_module:y", {}, engine="python"))
        assert process.repeat("loop").work >= 5.0
    finally:
        process.close()


def test_every_workload_can_be_called_by_its_name():
    known = suite.workloads(full=True)
    names = [workload.name for workload in known]
    assert len(set(names)) == len(names)
    for workload in known:
        assert suite.chosen(known, [workload.name]) == [workload]
        jobs = {job.name for job in workload.jobs}
        assert all(set(claim.needs) <= jobs for claim in workload.claims)
    assert suite.chosen(known, ["no such"]) == []
    assert suite.chosen(known, []) == known
    assert len(suite.chosen(known, ["train-"])) > 8


def test_overlapping_spans_count_once():
    assert profiles.union([(0, 2), (1, 3), (5, 6), (5, 5.5)]) == 4
    assert profiles.union([]) == 0
