"""All workloads, and one pass over those that are asked for."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..models.learning.files import write_atomically
from . import (
    commands,
    design_points,
    feedback,
    machine,
    measure,
    report,
    scaling,
    simulation,
    sweeping,
    training,
)
from .measure import Progress
from .processes import Process
from .workloads import Job, Workload


def workloads(*, full: bool) -> list[Workload]:
    """Everything there is, the machine's ceilings first."""
    return [
        *machine.ceilings(full),
        *training.workloads(full),
        *simulation.workloads(full),
        *sweeping.workloads(full),
        *design_points.workloads(full),
        *feedback.workloads(full),
        *commands.workloads(full),
        *scaling.workloads(full),
    ]


def chosen(known: Sequence[Workload], names: Sequence[str]) -> list[Workload]:
    """Those that are called, or begin with, one of the names; all if there are none.

    Whoever has a name exactly is meant alone: ``network`` is not ``network-forks``.
    """
    exact = {workload.name for workload in known} & set(names)
    prefixes = tuple(name for name in names if name not in exact)
    return [
        each
        for each in known
        if not names
        or each.name in exact
        or (prefixes and each.name.startswith(prefixes))
    ]


def run(
    chosen: Sequence[Workload],
    *,
    rounds: int,
    output: Path,
    command: str,
    only: Sequence[str],
    progress: Progress,
) -> tuple[dict[str, Any], tuple[Path, Path], list[str]]:
    """Measure workloads and write what came out.

    Args:
        chosen: The workloads.
        rounds: Rounds of each.
        output: Where the two files go.
        command: What reproduces it.
        only: Names that were asked for; empty if all are measured.
        progress: Told how far it is.

    Returns:
        The results, the JSON and the Markdown file, and what failed.
    """
    facts = {**machine.facts(), **_device()}
    date = time.strftime("%Y-%m-%d", time.gmtime())
    measured = [
        measure.measure(
            each if facts["platform"] == "cpu" else _on_accelerator(each),
            machine.control_job(),
            rounds,
            Process,
            progress,
        )
        for each in chosen
    ]
    results = report.document(measured, facts, command=command, date=date)
    base = output / report.file_name(facts, date, only)
    base.parent.mkdir(parents=True, exist_ok=True)
    paths = base.with_name(base.name + ".json"), base.with_name(base.name + ".md")
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write_atomically(paths[0], text.encode())
    write_atomically(paths[1], report.markdown(results).encode())
    broken = [
        f"{each.workload.name}, {name}: {series.missing}"
        for each in measured
        for name, series in each.series.items()
        if series.broken
    ]
    return results, paths, broken


def profile(workload: Workload, folder: Path) -> str:
    """Where the time of a workload's first job goes; its trace is in the folder."""
    job = workload.jobs[0]
    process = Process(job)
    try:
        process.prepare(job)
        return process.profile(job.name, str(folder)) + f"trace: {folder}\n"
    finally:
        process.close()


def _device() -> dict[str, str]:
    process = Process(Job("device", "", {}))
    try:
        return process.device()
    finally:
        process.close()


def _on_accelerator(workload: Workload) -> Workload:
    """The same where JAX's jobs run on one device: it has no cores to choose from."""
    jobs = tuple(
        job._replace(cores=1) if job.engine == "ours" else job for job in workload.jobs
    )
    return workload._replace(jobs=jobs)
