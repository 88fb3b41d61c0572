"""What is measured, what came of it, and what is claimed of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

LEAST_ROUNDS = 3


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
        cpu_seconds: Of this process and of those that it started and waited for.
    """

    seconds: float
    work: float
    peak_bytes: float = 0.0
    programs: float = 0.0
    facts: Mapping[str, float] = {}
    cpu_seconds: float = 0.0


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
        rounds: Rounds that it is made of.
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
