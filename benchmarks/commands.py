"""The commands as a user waits for them, and how much of a run is compiled code."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from .workloads import Claim, Job, Workload


def command(words: list[str]) -> Callable[[], float]:
    """A command from the start of its process to its end."""

    def once() -> float:
        _run(words)
        return 1.0

    return once


def scratch() -> Path:
    """A folder that is gone when this process ends."""
    folder = tempfile.mkdtemp(prefix="dpodl-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def cached_run(config: str) -> Callable[[], float]:
    """``dpodl run`` where everything is there."""
    words = ["run", config, "--output", str(scratch()), "--quiet"]
    # The warm-up computes it; every later one finds it.
    return command(words)


def compiled(config: str) -> Callable[[], tuple[float, dict[str, float]]]:
    """A whole run into an empty folder, and the share of its time in compiled code."""
    from ..experiments.config.loading import load_config
    from ..experiments.pipeline import stages
    from .profiles import compiled_share

    settings = load_config(config)

    def once() -> tuple[float, dict[str, float]]:
        root = scratch()

        def whole() -> None:
            stages.run(settings, root, lambda *_: None, command=f"dpodl run {config}")

        share = compiled_share(whole)
        return 1.0, {"share": share}

    return once


def workloads(full: bool) -> list[Workload]:
    """Start-up, a cached run, and a whole run: smoke, or with ``full`` quickstart."""
    config = "quickstart" if full else "smoke"
    # On all cores, as a user waits for them.
    help_ = Job("dpodl --help", "commands:command", {"words": ["--help"]})
    cached = Job("dpodl run, cached", "commands:cached_run", {"config": config})
    seconds = [job._replace(engine="command", cores=2) for job in (help_, cached)]
    return [
        Workload(
            "commands",
            tuple(seconds),
            tuple(
                Claim(text, (job.name,), lambda s: s.seconds, "s", target, False)
                for job, text, target in (
                    (seconds[0], "dpodl --help", 0.3),
                    (seconds[1], f"dpodl run {config}, everything there", 4.0),
                )
            ),
            "commands",
        ),
        Workload(
            "compiled",
            (Job("run", "commands:compiled", {"config": config}, cores=2),),
            (
                Claim(
                    f"share of {config}'s wall time with compiled code running",
                    ("run",),
                    lambda s: s.fact("share"),
                    "of time",
                    0.8 if full else None,
                ),
                Claim(
                    f"all of {config}, programs cached",
                    ("run",),
                    lambda s: s.seconds,
                    "s",
                ),
            ),
            "runs",
            rounds=3 if full else 1,
        ),
    ]


def _run(words: list[str]) -> None:
    script = Path(sys.executable).with_name("dpodl")
    start = [str(script)]
    if not script.is_file():
        code = "from dpodl.experiments.cli import main; main()"
        start = [sys.executable, "-c", code]
    subprocess.run(
        [*start, *words], check=True, stdout=subprocess.DEVNULL, env=os.environ
    )
