"""Starts the processes that do the jobs, pinned to cores, and talks to them."""

import json
import os
import subprocess
import sys
from typing import Any

from .measure import Broken, Missing
from .workloads import Job, Repeat

_THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores_of(count: int) -> list[int]:
    """The first cores this process may use; none where cores cannot be chosen."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    return sorted(os.sched_getaffinity(0))[:count]


class Process:
    """A child process that does the jobs of one engine on a number of cores."""

    def __init__(self, job: Job):
        environment = dict(os.environ)
        # Libraries count the machine's cores, not those they are pinned to.
        environment |= dict.fromkeys(_THREADS, str(job.cores))
        # Several processes may share one accelerator's memory.
        environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self.child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                f"{__package__}.child",
                json.dumps(cores_of(job.cores)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def prepare(self, job: Job) -> None:
        """As ``measure.Contender``."""
        here = cores_of(job.cores)
        if here and len(here) < job.cores:
            raise Missing(f"it needs {job.cores} cores, there is {len(here)}")
        self._ask(do="prepare", **job._asdict())

    def repeat(self, name: str) -> Repeat:
        """As ``measure.Contender``."""
        return Repeat(**self._ask(do="repeat", name=name))

    def profile(self, name: str, folder: str) -> str:
        """Where a job's time goes, as text; a trace in the folder."""
        return self._ask(do="profile", name=name, folder=folder)["table"]

    def device(self) -> dict[str, str]:
        """Platform and name of what JAX computes on."""
        return self._ask(do="device")

    def close(self) -> None:
        """End the process."""
        assert self.child.stdin is not None
        if self.child.poll() is None:
            self.child.stdin.close()
            try:
                self.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.child.stdout is not None:
            self.child.stdout.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        try:
            self.child.stdin.write(json.dumps(request) + "\n")
            self.child.stdin.flush()
            line = self.child.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Broken(f"its process ended with exit code {self.child.wait()}")
        answer = json.loads(line)
        if "missing" in answer:
            raise Missing(answer["missing"])
        if "error" in answer:
            raise Broken(answer["error"])
        return answer
