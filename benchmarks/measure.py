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
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

SPREAD_LIMIT = 0.15
DRIFT_LIMIT = 0.25
LEAST_ROUNDS = 3
CONTROL = "control"
MET, MISSED, OPEN, UNJUDGED = (
    "target met",
    "target missed",
    "no conclusion",
    "no target",
)

Progress = Callable[[str, int, int], None]


class Job(NamedTuple):
    """One contender's task.

    Attributes:
        name: Its name within the workload.
        prepare: ``module:function`` of this package; called with the arguments it
            returns what is repeated and timed.
        arguments: JSON values.
        engine: Jobs of one engine and number of cores share a process.
        cores: Cores the process is pinned to.
        alone: Whether it has a process of its own (its peak memory is asked for).
        warm: Whether it is done once, unmeasured, before the first round.
        unit: Of its work, if it is not the workload's.
    """

    name: str
    prepare: str
    arguments: Mapping[str, Any]
    engine: str = "ours"
    cores: int = 1
    alone: bool = False
    warm: bool = True
    unit: str = ""


class Repeat(NamedTuple):
    """What one repetition took and did.

    Attributes:
        seconds: Wall time.
        work: Units done (operations, blocks, steps, points, ...).
        peak_bytes: Most memory the process has held so far.
        programs: Programs that XLA compiled meanwhile.
        facts: What else the job says of itself.
    """

    seconds: float
    work: float
    peak_bytes: float = 0.0
    programs: float = 0.0
    facts: Mapping[str, float] = {}


class Claim(NamedTuple):
    """A statement about a workload.

    Attributes:
        text: What is claimed.
        needs: Jobs it is about.
        values: Their ``Series`` → a value a round.
        unit: Of the value; "×" for ratios.
        target: What the value must reach; None: it is only told.
        at_least: Whether the target is a floor, not a ceiling.
        timed: Whether the machine's drift matters to it.
        least: Rounds it takes to conclude.
    """

    text: str
    needs: tuple[str, ...]
    values: Callable[..., Float[np.ndarray, " rounds"]]
    unit: str
    target: float | None = None
    at_least: bool = True
    timed: bool = True
    least: int = LEAST_ROUNDS


class Workload(NamedTuple):
    """Jobs that are measured in turns, and what is claimed of them.

    Attributes:
        name: For ``--only`` and the report.
        jobs: The contenders; the first is the one that ``--profile`` looks into.
        claims: What is concluded.
        unit: Of the jobs' work.
        rounds: Rounds, if they are to be fewer than elsewhere.
    """

    name: str
    jobs: tuple[Job, ...]
    claims: tuple[Claim, ...]
    unit: str
    rounds: int | None = None


class Series(NamedTuple):
    """A job's repetitions.

    Attributes:
        job: The job.
        repeats: One a round; none where it could not run.
        missing: Why not; empty if it could.
        broken: Whether that is an error, not an alternative that is not installed.
    """

    job: Job
    repeats: tuple[Repeat, ...]
    missing: str = ""
    broken: bool = False

    @property
    def seconds(self) -> Float[np.ndarray, " rounds"]:
        """Wall time of each round."""
        return np.array([each.seconds for each in self.repeats])

    @property
    def rate(self) -> Float[np.ndarray, " rounds"]:
        """Work a second of each round."""
        return np.array([each.work / each.seconds for each in self.repeats])

    @property
    def peak(self) -> Float[np.ndarray, " rounds"]:
        """Most memory held until the end of each round, bytes."""
        return np.array([each.peak_bytes for each in self.repeats])

    @property
    def programs(self) -> Float[np.ndarray, " rounds"]:
        """Programs compiled in each round."""
        return np.array([each.programs for each in self.repeats])

    def fact(self, name: str) -> Float[np.ndarray, " rounds"]:
        """What the job says of itself in each round."""
        return np.array([each.facts[name] for each in self.repeats])


class Measured(NamedTuple):
    """A workload's times.

    Attributes:
        workload: The workload.
        series: By job name.
        drift: Of the control.
    """

    workload: Workload
    series: Mapping[str, Series]
    drift: float


class Row(NamedTuple):
    """What a claim came to.

    Attributes:
        workload: The workload's name.
        claim: What is claimed.
        value: Median over rounds; NaN if it could not be measured.
        low: 25 % quantile.
        high: 75 % quantile.
        rounds: Rounds behind it.
        unit: Of the value.
        target: What it must reach, or None.
        at_least: Whether the target is a floor.
        spread: Of the values.
        drift: Of the control.
        verdict: Target met, target missed, no conclusion, or no target.
        note: Why there is no conclusion.
    """

    workload: str
    claim: str
    value: float
    low: float
    high: float
    rounds: int
    unit: str
    target: float | None
    at_least: bool
    spread: float
    drift: float
    verdict: str
    note: str


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
            # Another order each round: nobody always runs behind the same other.
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
