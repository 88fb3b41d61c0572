"""``dpodl sweep``: every point of a design, computed once, on one machine or many.

First all is checked, then the curves are trained that are missing, then shards of
points are computed wherever there are workers, and kept as they come. A point's numbers
depend on its key alone: its settings, its curves, the code. So it does not matter who
computed it, beside which others, or how often the sweep was cut off in between.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ...models.learning.pins import pinned
from ..config.experiment import Config
from ..config.loading import load_config
from ..pipeline import branching, training
from ..store.files import Progress
from ..store.locks import exclusive
from ..workers.dispatch import Orders, compute_all
from ..workers.executors import Pool, workers
from . import shard_file, shards
from .design import frozen
from .plan import Job, SweepPlan, jobs_of, plan_of, table_of, tasks_of
from .results import read_results, results_bytes, results_table
from .session import Session
from .shards import CurveSource, ShardResult, ShardTask
from .store import SweepStore, found_elsewhere, store_path

_log = logging.getLogger(__name__)
_DIED = "the worker died whenever it computed this point"


class SweepResult(NamedTuple):
    """A sweep after a pass over it.

    Attributes:
        folder: Its store.
        points: All of them.
        done: That have their rows.
        failed: That have not, after all.
        unexpected: Of these, by an exception or a dead worker.
        left_out: Of these, because their settings do not go together.
        computed: Tried this time.
        reused: Taken from other sweeps of the same folder this time.
        seconds: How long this pass took.
    """

    folder: Path
    points: int
    done: int
    failed: int
    unexpected: int
    left_out: int
    computed: int
    reused: int
    seconds: float


def sweep(
    config: Config | str,
    over: Mapping[str, Any] | None = None,
    design: str | None = None,
    *,
    points: int | None = None,
    output: Path | str = Path("runs"),
    executor: str | Executor = "serial",
    jobs: int | None = None,
    scheduler: str | None = None,
    retry_failed: bool = False,
    skip_invalid: bool = False,
    kept: Sequence[str] = (),
    progress: Progress = lambda what, done, total: None,
) -> pd.DataFrame:
    """Compute a sweep, or what is missing of it, and return all its results.

    ``sweep("quickstart", over={"scheme.t_acc": [0.9, 0.95], "seed": "1:3:1"})``

    Args:
        config: A config, a file's path, or a shipped config's name.
        over: Setting → values: a list, or text as the command line takes it.
        design: grid, list, sobol, halton or latin; None: the config's.
        points: Points of the last three.
        output: Folder of all results.
        executor: serial, local, dask, or any ``concurrent.futures.Executor``. local in
            a script needs its ``if __name__ == "__main__":``.
        jobs: Shards at a time.
        scheduler: Of dask.
        retry_failed: Whether failed points are tried again.
        skip_invalid: Whether points whose settings do not go together are left out.
        kept: Settings like ``security.replicas`` that the config says, not the sweep.
        progress: Told how far it is.

    Returns:
        As ``results.read_results``.

    Raises:
        ConfigError: With everything that is wrong with it.
    """
    base = load_config(config) if isinstance(config, str) else config
    whole = frozen(base, over=over, design=design, points=points, kept=kept)
    plan = plan_of(whole, Path(output))
    if not skip_invalid:
        plan.refuse_invalid()
    with workers(executor, jobs=jobs, scheduler=scheduler) as pool:
        result = run_sweep(
            plan, Path(output), pool, progress, retry_failed=retry_failed
        )
    return read_results(result.folder)


# ------------------------------------------------------------------ a pass over it


@pinned()
def run_sweep(
    plan: SweepPlan,
    root: Path,
    pool: Pool,
    progress: Progress,
    *,
    retry_failed: bool = False,
    command: str = "",
) -> SweepResult:
    """Compute what is missing of a sweep; every shard is kept when it is done.

    Args:
        plan: The sweep. Its invalid points are left out and recorded.
        root: Folder of all results.
        pool: Workers.
        progress: Told how far it is.
        retry_failed: Whether failed points are tried again.
        command: What reproduces it, for the notes.

    Raises:
        StoreError: If the sweep's folder belongs to something else.
        Busy: If another process works on it.
        WorkersError: If no worker can be had.
        OtherCode: If a worker has other code.
    """
    start = time.perf_counter()
    store = SweepStore(store_path(plan.config, root))
    store.check(plan.config)
    with exclusive(store.path):
        store.write_plan(plan.config, table_of(plan))
        store.drop_damaged()
        reused = _reuse(plan, store, root)
        jobs = jobs_of(plan, store, retry_failed=retry_failed)
        count = sum(len(job.places) for job in jobs)
        if jobs:
            session = Session(plan, store, pool, command=command, reused=reused)
            known = store.known()
            before = sum(key in known for key in set(plan.keys)) - sum(
                job.again for job in jobs
            )
            total = before + count
            progress("points", before, total)
            done = [before]

            def keep(task: ShardTask, found: ShardResult) -> None:
                facts = store.add(found.content)
                _log.info(
                    "shard of %d points kept, %.1f s", len(facts.keys), found.seconds
                )
                done[0] += len(facts.keys)
                session.note(facts, found.seconds, found.worker)
                progress("points", done[0], total)

            def lost(task: ShardTask, reason: str = _DIED) -> None:
                keep(task, ShardResult(shards.gave_up(task, reason), 0.0, ""))

            ready = _train(plan, jobs, root, progress, lost)
            session.starts()
            orders = Orders(shards.compute, keep, lost)
            compute_all(tasks_of(plan, ready), pool, orders)
            session.ends()
        _write_results(store)
    return _result(plan, store, count, reused, time.perf_counter() - start)


def _train(plan, jobs, root, progress, lost) -> list[Job]:
    """Train what jobs need, each set of curves once; returns jobs that have theirs."""
    failed: dict[CurveSource, str] = {}
    wanted = {s: c for c, s in (plan.sources[job.group] for job in jobs)}
    # The longest horizon first: shorter ones are the beginnings of its curves.
    for source in sorted(wanted, key=lambda s: (s.looks, s.runs), reverse=True):
        try:
            curves = training.train(wanted[source], root, progress)
            for config in _warmed(plan, jobs, source):
                branching.warm_starts(config, curves, root, progress)
        except OSError:
            raise  # a full disk will not be less full for the next ones
        except Exception as error:
            failed[source] = f"training: {type(error).__name__}: {error}"
    ready = []
    for job in jobs:
        source = plan.sources[job.group][1]
        if source not in failed:
            ready.append(job)
            continue
        for task in tasks_of(plan, [job]):
            lost(task, failed[source])
    return ready


def _warmed(plan, jobs, source) -> list[Config]:
    """Points on a set of curves that need warm starts, one for each kind of them."""
    mine = [job for job in jobs if plan.sources[job.group][1] == source]
    places = [place for job in mine for place in job.places]
    found: dict[tuple, Config] = {}
    for config in plan.design.settings(places):
        for name in branching.needs(config):
            found.setdefault(branching.identity(config, name), config)
    return list(found.values())


def _reuse(plan: SweepPlan, store: SweepStore, root: Path) -> int:
    """Copy finished points of other sweeps; returns how many."""
    known = store.known()
    wanted = [
        key for key in plan.keys if key and not (key in known and known[key].done)
    ]
    found = 0
    for content, places in found_elsewhere(root, wanted, beside=store.path):
        store.add(shard_file.part_of(content, places))
        found += len(places)
    return found


def _write_results(store: SweepStore) -> None:
    table = results_table(store)
    kinds = {"results.parquet": "parquet", "results.csv.gz": "csv.gz"}
    files = {name: results_bytes(table, kind) for name, kind in kinds.items()}
    store.keep("results", files)


def _result(plan, store, computed, reused, seconds) -> SweepResult:
    known = [store.known().get(key) for key in plan.keys]
    done = sum(each is not None and each.done for each in known)
    return SweepResult(
        folder=store.path,
        points=len(plan.keys),
        done=done,
        failed=len(plan.keys) - done,
        unexpected=sum(
            each is not None and not each.done and each.unexpected for each in known
        ),
        left_out=len(plan.invalid),
        computed=computed,
        reused=reused,
        seconds=seconds,
    )
