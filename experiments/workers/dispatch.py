"""Hand tasks to workers, and find the one that takes its worker down."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import Any, NamedTuple, Protocol, Self

from .executors import Pool, WorkersError

# A task that is alone on its worker and takes it down so often is at fault.
_DEATHS = 2


class Task(Protocol):
    """Something to compute that can be cut into smaller ones."""

    @property
    def key(self) -> str:
        """Names it."""
        ...

    @property
    def size(self) -> int:
        """Items of it that could be computed apart."""
        ...

    def part(self, start: int, stop: int) -> Self:
        """Some of its items."""
        ...


class Orders(NamedTuple):
    """What is done with tasks.

    Attributes:
        compute: Called by a worker with a task; must be importable there.
        keep: Called here with a task and what it came to, as they come.
        gave_up: Called here with a task of one item that no worker survives.
    """

    compute: Callable[[Any], Any]
    keep: Callable[[Any, Any], None]
    gave_up: Callable[[Any], None]


def compute_all(tasks: Iterator[Task], pool: Pool, orders: Orders) -> None:
    """Hand tasks to workers and keep what they return, as it comes.

    When a worker dies, every task that was handed out is a suspect: it is tried alone.
    One that takes down its worker alone, twice, is halved until the item is found.
    """
    suspects: deque[Task] = deque()
    deaths: Counter[str] = Counter()
    pending: dict[Future, Task] = {}
    executor, more = pool.open(), True

    def collect(futures: set[Future]) -> list[Task]:
        """Keep what is computed; returns those whose worker died."""
        died = []
        for future in futures:
            task = pending.pop(future)
            error = _failure(future)
            if error is None:
                orders.keep(task, future.result())
            elif pool.died(error):
                died.append(task)
            else:
                raise error
        return died

    try:
        while more or suspects or pending:
            alone = bool(suspects)
            broken: list[Task] = []
            while len(pending) < (1 if alone else pool.room) and not broken:
                task = suspects.popleft() if alone else next(tasks, None)
                if task is None:
                    more = False
                    break
                try:
                    pending[executor.submit(orders.compute, task)] = task
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
                elif task.size == 1:
                    orders.gave_up(task)
                else:
                    half = task.size // 2
                    for part in (task.part(0, half), task.part(half, task.size)):
                        deaths[part.key] = _DEATHS - 1
                        suspects.append(part)
    except BaseException:
        for future, task in list(pending.items()):
            if future.done() and _failure(future) is None:
                orders.keep(task, future.result())
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
