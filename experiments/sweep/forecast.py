"""``dpodl sweep --dry-run``: what a sweep would do, and how long it would take."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..store.curve_store import CurveStore
from . import shard_file, shards
from .plan import Job, SweepPlan, jobs_of, tasks_of
from .shards import CurveSource
from .store import SweepStore, found_elsewhere, store_path


class Forecast(NamedTuple):
    """What a sweep would do.

    Attributes:
        folder: Where.
        points: All of them.
        done: That are there already, or in other sweeps of the same folder.
        failed: That have failed and are not tried again.
        left_out: Whose settings do not go together.
        todo: That would be computed.
        shards: Files they make.
        curve_sets: Sets of learning curves they need.
        trainings: Models of these that are not trained yet.
        seconds: How long the points would take, without training; NaN: not known.
        basis: Where that is from.
    """

    folder: Path
    points: int
    done: int
    failed: int
    left_out: int
    todo: int
    shards: int
    curve_sets: int
    trainings: int
    seconds: float
    basis: str


def forecast(
    plan: SweepPlan, root: Path, *, slots: int, retry_failed: bool = False
) -> Forecast:
    """What a pass would do, and how long it would take. Writes nothing.

    Without a rate of an earlier sweep the first shard is computed and timed, if its
    curves are there.
    """
    store = SweepStore(store_path(plan.config, root))
    store.check(plan.config)
    elsewhere = {
        shard_file.facts_of(content).keys[place]
        for content, places in found_elsewhere(
            root, [key for key in plan.keys if key], beside=store.path
        )
        for place in places
    }
    jobs = [
        job._replace(places=left)
        for job in jobs_of(plan, store, retry_failed=retry_failed)
        if (left := tuple(p for p in job.places if plan.keys[p] not in elsewhere))
    ]
    wanted: dict[str, list[CurveSource]] = {}
    for job in jobs:
        source = plan.sources[job.group][1]
        wanted.setdefault(source.folder, []).append(source)
    trainings = sum(_missing(sources) for sources in wanted.values())
    todo = {plan.keys[place] for job in jobs for place in job.places}
    known = store.known()
    done = failed = 0
    for key in plan.keys:
        what = known.get(key)
        if key and key not in todo:
            good = key in elsewhere or (what is not None and what.done)
            done, failed = done + good, failed + (not good)
    seconds, basis = 0.0, "nothing is to be done"
    if todo:
        each, basis = _seconds_of_a_point(plan, store, root, jobs)
        seconds = each * len(todo) / slots
    left = len(plan.keys) - done - failed - len(plan.invalid)
    return Forecast(
        folder=store.path,
        points=len(plan.keys),
        done=done,
        failed=failed,
        left_out=len(plan.invalid),
        todo=left,
        shards=len(jobs),
        curve_sets=len(wanted),
        trainings=trainings,
        seconds=seconds,
        basis=basis,
    )


def _missing(sources: Sequence[CurveSource]) -> int:
    """Models of one store that are not trained as far as one of these asks."""
    needed: dict[int, int] = {}
    for source in sources:
        for run in range(source.runs):
            needed[run] = max(needed.get(run, 0), source.looks)
    done = CurveStore(Path(sources[0].folder), sources[0].looks).longest()
    return sum(
        run not in done or len(done[run].correct) < looks
        for run, looks in needed.items()
    )


def _seconds_of_a_point(
    plan: SweepPlan, store: SweepStore, root: Path, jobs: Sequence[Job]
) -> tuple[float, str]:
    """What a worker needs for a point, and how that is known."""
    stores = [store, *(SweepStore(p.parent) for p in root.glob("sweep-*/sweep.toml"))]
    for each in stores:
        for session in reversed(each.sessions()):
            try:
                computed, seconds = session["computed"], session["seconds"]
                if computed and seconds and session["code"] == plan.code:
                    each_point = seconds * session["workers"]["slots"] / computed
                    return each_point, f"the rate of {each.path.name}"
            except (KeyError, TypeError):
                continue
    first = plan.sources[jobs[0].group][1]
    if _missing([first]):
        return math.nan, "no rate is known before a first shard: models are missing"
    task = next(tasks_of(plan, jobs[:1]))
    measured = shards.compute(task).seconds / len(task.keys)
    return measured, "a first shard, compiling included"
