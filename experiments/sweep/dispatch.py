"""Hand shards to workers, and find the one that takes its worker down."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait

from . import shards
from .executors import Pool, WorkersError
from .shards import ShardTask

# A shard that is alone on its worker and takes it down so often is at fault.
_DEATHS = 2

Keep = Callable[[bytes, float, str], None]


def compute_all(tasks: Iterator[ShardTask], pool: Pool, keep: Keep) -> None:
    """Hand shards to workers and keep what they return, as it comes.

    When a worker dies, every shard that was handed out is a suspect: it is tried alone.
    One that takes down its worker alone, twice, is halved until the point is found.
    """
    suspects: deque[ShardTask] = deque()
    deaths: Counter[str] = Counter()
    pending: dict[Future, ShardTask] = {}
    executor, more = pool.open(), True

    def collect(futures: set[Future]) -> list[ShardTask]:
        """Keep what is computed; returns those whose worker died."""
        died = []
        for future in futures:
            task = pending.pop(future)
            error = _failure(future)
            if error is None:
                result = future.result()
                keep(result.content, result.seconds, result.worker)
            elif pool.died(error):
                died.append(task)
            else:
                raise error
        return died

    try:
        while more or suspects or pending:
            alone = bool(suspects)
            broken: list[ShardTask] = []
            while len(pending) < (1 if alone else pool.room) and not broken:
                task = suspects.popleft() if alone else next(tasks, None)
                if task is None:
                    more = False
                    break
                try:
                    pending[executor.submit(shards.compute, task)] = task
                except RuntimeError as error:  # the pool broke in this moment
                    if not pool.died(error):
                        raise
                    broken.append(task)
            if not pending and not broken:
                continue
            finished, _ = wait(pending, return_when=FIRST_COMPLETED)
            died = collect(finished)
            if not died and not broken:
                continue
            finished, _ = wait(pending)
            died += collect(finished)
            executor = pool.renew()
            suspects.extend(broken)
            for task in sorted(died, key=lambda task: task.key):
                deaths[task.key] += alone
                if deaths[task.key] < _DEATHS:
                    suspects.append(task)
                elif len(task.keys) == 1:
                    reason = "the worker died whenever it computed this point"
                    keep(shards.gave_up(task, reason), 0.0, "")
                else:
                    half = len(task.keys) // 2
                    for part in (task.part(0, half), task.part(half, len(task.keys))):
                        deaths[part.key] = _DEATHS - 1
                        suspects.append(part)
    except BaseException:
        for future, _ in list(pending.items()):
            if future.done() and _failure(future) is None:
                result = future.result()
                keep(result.content, result.seconds, result.worker)
        raise


def _failure(future: Future) -> BaseException | None:
    """What a future that is done failed by.

    A cluster whose scheduler goes gives up all its futures: nobody here does.
    """
    try:
        return future.exception()
    except (CancelledError, asyncio.CancelledError):
        return WorkersError(
            "the cluster has gone: its scheduler does not answer any more; finished "
            "shards are kept, and the same command goes on from there"
        )
