"""A process that does jobs: pinned, with the threads it was given, one line a message.

The parent (``processes.py``) sets the environment before the process starts and the
cores it may use; here they are taken before anything numerical is imported. What jobs
print goes to standard error: standard output belongs to the answers.
"""

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any


class Jobs:
    """The jobs of this process."""

    def __init__(self) -> None:
        self.ready: dict[str, Callable[[], Any]] = {}
        self.programs = 0

    def prepare(self, name, prepare, arguments, engine, warm, **_) -> dict[str, Any]:
        """Make a job ready and, if it is to be warm, do it once."""
        if engine == "ours" and not self.ready:
            self._count_programs()
        module, _, function = prepare.partition(":")
        found = importlib.import_module(f"{__package__}.{module}")
        self.ready[name] = getattr(found, function)(**arguments)
        if warm:
            self.ready[name]()
        return {}

    def repeat(self, name: str) -> dict[str, Any]:
        """Do it once, with a clock."""
        job, before = self.ready[name], self.programs
        start, cpu = time.perf_counter(), cpu_seconds()
        done = job()
        seconds = time.perf_counter() - start
        work, facts = done if isinstance(done, tuple) else (done, {})
        return {
            "seconds": seconds,
            "work": float(work),
            "peak_bytes": peak_bytes(),
            "programs": self.programs - before,
            "facts": facts,
            "cpu_seconds": cpu_seconds() - cpu,
        }

    def profile(self, name: str, folder: str) -> dict[str, Any]:
        """Do it once under both profilers."""
        from .profiles import profiled

        return {"table": profiled(self.ready[name], folder)}

    def device(self) -> dict[str, Any]:
        """What JAX computes on."""
        import jax

        device = jax.devices()[0]
        return {"platform": device.platform, "device": device.device_kind}

    def _count_programs(self) -> None:
        from ..experiments.pipeline.machine import set_up_jax

        set_up_jax()
        import jax

        def listen(event: str, duration_secs: float, **_: Any) -> None:
            if event.endswith("backend_compile_duration"):
                self.programs += 1

        jax.monitoring.register_event_duration_secs_listener(listen)


def cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


def peak_bytes() -> float:
    """Most memory this process has held."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)


def main() -> None:
    """Answer requests, a JSON object a line, until there are no more."""
    cpus = json.loads(sys.argv[1])
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    jobs = Jobs()
    for line in sys.stdin:
        request = json.loads(line)
        action = getattr(jobs, request.pop("do"))
        try:
            answer = action(**request)
        except ImportError as error:
            answer = {"missing": f"{error.name or error} is not installed"}
            if (error.name or "").startswith(("dpodl", "jax")):
                answer = {"error": str(error)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
