"""Where a job's time goes: cProfile's table, XLA's trace, and the share compiled.

``compiled_share`` looks through short windows: in each, JAX's profiler records when
compiled code runs, on whatever thread. A whole trace of minutes of small operations
would not fit into memory; the windows are spread evenly instead.
"""

import cProfile
import io
import pstats
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

_ROWS = 30
_EXECUTION = "ThunkExecutor::Execute"
_WINDOW_SECONDS, _EVERY_SECONDS = 0.1, 2.0


def profiled(job: Callable[[], Any], folder: str) -> str:
    """Do a job under both profilers.

    Args:
        job: What is done, once for each profiler.
        folder: Where JAX's trace goes (TensorBoard and Perfetto read it).

    Returns:
        The functions and the compiled operations that took longest.
    """
    profiler = cProfile.Profile()
    profiler.runcall(job)
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text)
    stats.sort_stats("tottime").print_stats(_ROWS)
    text.write("Compiled operations, ms over all threads (loops hold their bodies)\n")
    with _tracing(folder):
        job()
    total: Counter[str] = Counter()
    for _, line, name, start, end in _events(folder):
        if not line.startswith("python"):
            total[name] += end - start
    for name, nanoseconds in total.most_common(_ROWS):
        text.write(f"{nanoseconds / 1e6:12.2f}  {name}\n")
    return text.getvalue()


def compiled_share(job: Callable[[], Any]) -> float:
    """Share of a job's wall time in which compiled code runs on some thread.

    On CPU only: an accelerator's events are its own plane's.
    """
    stop = threading.Event()
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as root:

        def watch() -> None:
            while not stop.wait(_EVERY_SECONDS):
                start = time.perf_counter()
                with _tracing(f"{root}/{len(seconds)}"):
                    time.sleep(_WINDOW_SECONDS)
                    window = time.perf_counter() - start
                seconds.append(window)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            job()
        finally:
            stop.set()
            watcher.join()
        # Read afterwards: it would take the interpreter from what is watched.
        running = [_running(f"{root}/{place}") for place in range(len(seconds))]
    if not seconds:
        return float("nan")
    return min(1.0, sum(running) / sum(seconds))


def _running(folder: str) -> float:
    """Seconds of a trace in which compiled code ran."""
    spans = [
        (begin, end)
        for _, _, name, begin, end in _events(folder)
        if name.startswith(_EXECUTION)
    ]
    return union(spans) / 1e9


def union(spans: Iterable[tuple[float, float]]) -> float:
    """Length of a union of intervals."""
    total, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _tracing(folder: str):
    import jax

    options = jax.profiler.ProfileOptions()
    options.host_tracer_level = 1
    options.python_tracer_level = 0
    return jax.profiler.trace(folder, profiler_options=options)


def _events(folder: str):
    import jax

    for path in Path(folder).rglob("*.xplane.pb"):
        for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
            for line in plane.lines:
                for event in line.events:
                    begin = event.start_ns
                    yield (
                        plane.name,
                        line.name,
                        event.name,
                        begin,
                        begin + event.duration_ns,
                    )
