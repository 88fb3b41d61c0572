"""Times of contenders, taken in turns, and what may be concluded from them.

Notation:
    job         one contender's task; repeated, it does ``work`` in ``seconds``
    round       every job of a workload once, one after the other
    value       what a claim says of one round: a ratio, a rate, an exponent
    spread      (75 % − 25 % quantile) of the values / max(|median|, target)
    control     a fixed matrix product that is a part of every round
    drift       (slowest − fastest control) / median control

Contenders are compared within a round, so that what slows the whole machine for a
while slows both. A claim is concluded only where the spread and the drift are within
their limits; otherwise it is too noisy to conclude, whatever the value.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from jaxtyping import Float

from .workloads import LEAST_ROUNDS, Claim, Job, Measured, Repeat, Row, Series, Workload

SPREAD_LIMIT = 0.15
DRIFT_LIMIT = 0.25
CONTROL = "control"
MET, MISSED, OPEN, UNJUDGED = (
    "target met",
    "target missed",
    "no conclusion",
    "no target",
)

Progress = Callable[[str, int, int], None]


class Contender(Protocol):
    """A process that does jobs."""

    def prepare(self, job: Job) -> None:
        """Make a job ready.

        Raises:
            Missing: If what it needs is not installed.
            Broken: If it fails.
        """
        ...

    def repeat(self, name: str) -> Repeat:
        """Do it once.

        Raises:
            Broken: If it fails.
        """
        ...

    def close(self) -> None:
        """End the process."""
        ...


class Missing(Exception):
    """An alternative is not installed; the message names it."""


class Broken(Exception):
    """A job failed; the message is its last words."""


def measure(
    workload: Workload,
    control: Job,
    rounds: int,
    start: Callable[[Job], Contender],
    progress: Progress = lambda *_: None,
) -> Measured:
    """Repeat all jobs of a workload in turns.

    Args:
        workload: What is measured.
        control: What must take the same time in every round.
        rounds: Rounds, unless the workload says fewer.
        start: Starts the process a job runs in; jobs of one engine and number of
            cores share it.
        progress: Told (workload, repetitions done, repetitions).
    """
    jobs = (control, *workload.jobs)
    names = [job.name for job in jobs]
    if len(set(names)) != len(names):
        raise ValueError(f"jobs must have different names, got {names}")
    rounds = min(rounds, workload.rounds or rounds)
    processes: dict[tuple, Contender] = {}
    repeats: dict[str, list[Repeat]] = {job.name: [] for job in jobs}
    failures: dict[str, tuple[str, bool]] = {}

    def attempt(job: Job, action: Callable[[Contender], None]) -> None:
        if job.name in failures:
            return
        try:
            action(processes[_process(job)])
        except (Missing, Broken) as error:
            failures[job.name] = str(error), isinstance(error, Broken)

    def repeat(job: Job) -> None:
        def once(process: Contender) -> None:
            repeats[job.name].append(process.repeat(job.name))

        attempt(job, once)

    done, total = 0, rounds * len(jobs)
    try:
        for job in jobs:
            if _process(job) not in processes:
                processes[_process(job)] = start(job)
            attempt(job, lambda process, job=job: process.prepare(job))
        for turn in range(rounds):
            # Another order each round, so that no job always runs after the same one.
            place = turn % len(jobs)
            for job in (*jobs[place:], *jobs[:place]):
                repeat(job)
                done += 1
                progress(workload.name, done, total)
    finally:
        for process in processes.values():
            process.close()
    series = {}
    for job in jobs:
        why, broken = failures.get(job.name, ("", False))
        series[job.name] = Series(
            job, () if why else tuple(repeats[job.name]), why, broken
        )
    seconds = series[control.name].seconds
    return Measured(workload, series, drift_of(seconds))


def drift_of(seconds: Float[np.ndarray, " rounds"]) -> float:
    """(slowest − fastest) / median; infinite where there is nothing to judge by."""
    if len(seconds) == 0:
        return math.inf
    return float(np.ptp(seconds) / np.median(seconds))


def spread_of(values: Float[np.ndarray, " rounds"], target: float | None) -> float:
    """Interquartile range over the larger of |median| and target.

    Against a ceiling far above it a value near 0 may double without a consequence.
    """
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    scale = max(abs(middle), abs(target or 0.0))
    return float((high - low) / scale) if scale > 0 else 0.0


def settle(claim: Claim, measured: Measured) -> Row:
    """What a claim comes to."""
    missing = [measured.series[name] for name in claim.needs]
    notes = [f"{s.job.name}: {s.missing}" for s in missing if s.missing]
    if notes:
        verdict = UNJUDGED if claim.target is None else OPEN
        return _row(claim, measured, np.array([]), verdict, "; ".join(notes))
    values = np.asarray(
        claim.values(*(measured.series[name] for name in claim.needs)), float
    )
    verdict, note = judge(
        values,
        target=claim.target,
        at_least=claim.at_least,
        drift=measured.drift if claim.timed else 0.0,
        least=claim.least,
    )
    return _row(claim, measured, values, verdict, note)


def judge(
    values: Float[np.ndarray, " rounds"],
    *,
    target: float | None,
    at_least: bool,
    drift: float,
    least: int = LEAST_ROUNDS,
) -> tuple[str, str]:
    """(verdict, why there is none) of the values of a claim's rounds."""
    if target is None:
        return UNJUDGED, ""
    if len(values) < least:
        return OPEN, f"{len(values)} rounds, at least {least} are needed"
    if not np.isfinite(values).all():
        return OPEN, "a round has no value"
    spread = spread_of(values, target)
    for name, found, limit in (
        ("spread", spread, SPREAD_LIMIT),
        ("drift of the control", drift, DRIFT_LIMIT),
    ):
        if not found <= limit:
            return OPEN, f"too noisy to conclude: {name} {found:.0%} above {limit:.0%}"
    middle = float(np.median(values))
    met = middle >= target if at_least else middle <= target
    return MET if met else MISSED, ""


def exponents(
    sizes: Sequence[float], seconds: Sequence[Float[np.ndarray, " rounds"]]
) -> Float[np.ndarray, " rounds"]:
    """b of seconds = a · size^b by least squares on logarithms, round by round.

    Raises:
        ValueError: If there are fewer than two different sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError(f"an exponent needs two different sizes, got {list(sizes)}")
    x = np.log(np.asarray(sizes, float))
    x = x - x.mean()
    return (x @ np.log(np.asarray(seconds, float))) / (x @ x)


def _process(job: Job) -> tuple:
    return (job.engine, job.cores, job.name if job.alone else "")


def _row(
    claim: Claim, measured: Measured, values: np.ndarray, verdict: str, note: str
) -> Row:
    low, middle, high = (
        np.quantile(values, [0.25, 0.5, 0.75]) if len(values) else [math.nan] * 3
    )
    return Row(
        measured.workload.name,
        claim.text,
        float(middle),
        float(low),
        float(high),
        len(values),
        claim.unit,
        claim.target,
        claim.at_least,
        spread_of(values, claim.target) if len(values) else math.nan,
        measured.drift,
        verdict,
        note,
    )
