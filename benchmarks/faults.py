"""What survives which fault: kills, full disks, rivals, clusters that go, wrong clocks.

    python -m dpodl.benchmarks.faults --quick            a few attempts of each
    python -m dpodl.benchmarks.faults --output docs/faults.md    all, half an hour

Every attempt works on a copy of the same tiny experiment and is judged by bytes:

    lost         a finished file that was there before the fault and is not any more
    wrong        a file, or a printed result, that differs from the undisturbed one's
    unexplained  a traceback, an exit code of no meaning, or more than one line of why

Commands are forked off a process that has imported them, as ``dpodl`` would run them:
the work of a kill is then the command's, not the import's.
"""

import argparse
import ctypes
import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..models.learning.files import write_atomically
from .evidence.fault_jobs import (
    COMMANDS,
    Bench,
    Row,
    finished,
    installed_command,
    unexplained,
)

# 320 in all, more of what is quick.
KILLS = {"run": 20, "sweep": 130, "mine": 130, "threshold": 20, "attack": 20}


# ------------------------------------------------------------------ the faults


def kills(bench: Bench, name: str, count: int) -> Row:
    """kill -9 at moments spread over the command's undisturbed time."""
    seconds = bench.reference[name][2]
    struck = lost = wrong = odd = 0
    folder, before = bench.fresh(), {}
    for _ in range(count):
        job = bench.job(name, folder)
        if job.wait(bench.rng.uniform(0, seconds)):
            ended = job.ended()
            odd += int(ended.code != 0)
            wrong += bench.wrong(name, ended, folder) if not ended.code else 0
            shutil.rmtree(folder, ignore_errors=True)
            folder, before = bench.fresh(), {}
            continue
        job.kill()
        job.ended()
        struck += 1
        now = finished(folder)
        lost += sum(now.get(path) != content for path, content in before.items())
        before = now
    last = bench.judged(name, folder)
    shutil.rmtree(folder, ignore_errors=True)
    told = "the same command goes on to the same bytes"
    return Row(
        f"kill -9: {name}", count, struck, lost, wrong + last[0], odd + last[1], told
    )


def full_disk(bench: Bench, name: str, count: int) -> Row:
    """A disk that fills at another byte each time, then has room again."""
    need = sum(map(len, bench.reference[name][1].values()))
    struck = wrong = odd = 0
    told: set[str] = set()
    how = "tmpfs of limited size"
    for _ in range(count):
        room = int(bench.rng.uniform(0.02, 1.0) * need)
        folder = bench.fresh()
        folder.mkdir()
        with _small_disk(folder, room) as grow:
            if grow is None:
                how = "limited file size"
            limit = partial(_limit_files, max(1, room // 4)) if grow is None else int
            ended = bench.job(name, folder, prepare=limit).ended()
            struck += ended.code != 0
            odd += unexplained(ended, [1])
            told |= {line for line in ended.err.splitlines() if ended.code}
            if grow is not None:
                grow()
            more = bench.judged(name, folder)
            wrong, odd = wrong + more[0], odd + more[1]
        shutil.rmtree(folder, ignore_errors=True)
    first = min(told, default="")
    return Row(f"disk full ({how}): {name}", count, struck, 0, wrong, odd, first)


def _limit_files(room: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def read_only(bench: Bench, name: str) -> Row:
    """A folder that cannot be written to."""
    folder = bench.fresh()
    folder.mkdir()
    with _small_disk(folder, 1 << 24) as grow:
        if grow is None:
            folder.chmod(0o555)
        else:
            _mount("remount,ro", folder)
        ended = bench.job(name, folder).ended()
        struck = int(ended.code != 0)
    odd = unexplained(ended, [1])
    return Row(f"read-only folder: {name}", 1, struck, 0, 0, odd, ended.err.strip())


def rivals(bench: Bench, name: str, count: int) -> Row:
    """Three processes of one command on one folder."""
    struck = wrong = odd = 0
    told = ""
    for _ in range(count):
        folder = bench.fresh()
        jobs = [bench.job(name, folder) for _ in range(3)]
        for job in jobs:
            ended = job.ended()
            struck += ended.code != 0
            odd += unexplained(ended, [1])
            told = ended.err.strip() or told
        more = bench.judged(name, folder)
        wrong, odd = wrong + more[0], odd + more[1]
        shutil.rmtree(folder, ignore_errors=True)
    return Row(f"three at once: {name}", 3 * count, struck, 0, wrong, odd, told)


def clock(bench: Bench, name: str, count: int) -> Row:
    """A clock that jumps back by an hour, again and again, while it works."""

    def jump() -> None:
        true, start = time.time, time.monotonic()

        def wrong_time() -> float:
            return true() - 3600 * int((time.monotonic() - start) / 0.5)

        time.time = wrong_time

    wrong = odd = 0
    for _ in range(count):
        folder = bench.fresh()
        ended = bench.job(name, folder, prepare=jump).ended()
        odd += int(ended.code != 0)
        wrong += bench.wrong(name, ended, folder) if not ended.code else 0
        shutil.rmtree(folder, ignore_errors=True)
    return Row(f"clock jumps back: {name}", count, count, 0, wrong, odd, "no notice")


def cluster(bench: Bench, *, scheduler: bool) -> Row:
    """A worker, or the scheduler, of a Dask cluster is killed in the middle."""
    what = "scheduler goes" if scheduler else "worker dies"
    if importlib.util.find_spec("distributed") is None:
        told = "not tried: distributed is not installed"
        return Row(f"Dask {what}: sweep", 0, 0, 0, 0, 0, told)
    folder = bench.fresh()
    file = bench.home / f"scheduler-{bench.number}.json"

    def start(what: str, *words: str) -> subprocess.Popen:
        module = f"distributed.cli.dask_{what}"
        with (bench.home / f"{what}-{bench.number}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, "--no-dashboard", *words],
                stdout=log,
                stderr=log,
                cwd=bench.home,
            )

    head = start("scheduler", "--port", "0", "--scheduler-file", str(file))
    hands: list[subprocess.Popen] = []
    try:
        while not file.is_file():
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        words = ("--nthreads", "1", "--no-nanny", "--local-directory", str(bench.home))
        hands = [start("worker", address, *words) for _ in range(2)]
        log, until = bench.home / f"worker-{bench.number}.log", time.monotonic() + 120
        while log.read_text().count("Registered to") < 2 and time.monotonic() < until:
            time.sleep(0.1)
        words = ("--executor", "dask", "--scheduler", address)
        job = bench.job("sweep", folder, *words)
        # In the middle: a first shard is kept, others are not.
        while not job.wait(0.05) and not list(folder.glob("sweep-*/shards/*.parquet")):
            pass
        before = finished(folder)
        struck = int(not job.wait(0))
        (head if scheduler else hands[0]).kill()
        ended = job.ended()
    finally:
        for process in (*hands, head):
            process.kill()
            process.wait()
    odd = unexplained(ended, [1])
    now = finished(folder)
    lost = sum(now.get(path) != content for path, content in before.items())
    more = bench.judged("sweep", folder)
    lines = [line for line in ended.err.splitlines() if line.startswith("dpodl: ")]
    told = lines[-1] if lines else "the sweep goes on without it"
    return Row(f"Dask {what}: sweep", 1, struck, lost, more[0], odd + more[1], told)


@contextmanager
def _small_disk(folder: Path, room: int) -> Iterator[Callable[[], None] | None]:
    """A file system of so many bytes; yields what makes it larger, None: no root."""
    pages = max(8, room // 4096)
    try:
        _mount(f"size={pages * 4096}", folder)
    except (OSError, AttributeError):
        yield None
        return
    try:
        yield lambda: _mount("remount,size=256m", folder)
    finally:
        ctypes.CDLL(None).umount2(str(folder).encode(), 2)


def _mount(options: str, folder: Path) -> None:
    flags = 0
    words = [word for word in options.split(",") if word not in ("remount", "ro")]
    flags |= 32 if "remount" in options else 0
    flags |= 1 if options.endswith(",ro") else 0
    libc = ctypes.CDLL(None, use_errno=True)
    data = ",".join(words).encode()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, data):
        raise OSError(ctypes.get_errno(), "mount")


# ------------------------------------------------------------------ the table


def table(rows: Sequence[Row], seconds: float, about: str) -> str:
    """The rows as a page of Markdown."""
    head = "| fault | attempts | struck | lost | wrong | unexplained | what was said |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        told = row.told.replace("|", "\\|").replace("\n", " ")
        lines.append("| " + " | ".join(map(str, (*row[:6], told))) + " |")
    total = [sum(column) for column in zip(*(row[1:6] for row in rows), strict=True)]
    lines.append("| **all** | " + " | ".join(f"**{each}**" for each in total) + " | |")
    return (
        "# Faults survived\n\n"
        "Made by `python -m dpodl.benchmarks.faults`: "
        f"{about}, {seconds / 60:.0f} min.\n\n"
        "*struck*: attempts that the fault met before the command had ended. *lost*: "
        "finished files that were there before the fault and were not after it. "
        "*wrong*: results whose bytes are not those of an undisturbed run. "
        "*unexplained*: tracebacks, and ends without a line that says why.\n\n"
        + "\n".join(lines)
        + "\n"
    )


def measure(bench: Bench, counts: dict[str, int], few: int) -> Iterator[Row]:
    """All faults, one after the other.

    Args:
        bench: Where.
        counts: Command → kills.
        few: Attempts of the other faults.
    """
    for name, count in counts.items():
        bench.undisturbed(name)
        yield kills(bench, name, count)
    stored = [name for name in ("run", "sweep", "mine") if name in counts]
    for name in stored:
        yield full_disk(bench, name, few)
        yield read_only(bench, name)
        yield rivals(bench, name, max(1, few // 4))
        yield clock(bench, name, max(1, few // 4))
    if "sweep" in counts:
        yield cluster(bench, scheduler=False)
        yield cluster(bench, scheduler=True)


def main() -> int:
    """Measure and write the table; 1 if anything was lost, wrong or unexplained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few attempts of each")
    parser.add_argument("--kills", type=int, help="of each command; quick 3")
    parser.add_argument("--only", choices=list(COMMANDS), action="append")
    parser.add_argument("--seed", type=int, default=2023)
    parser.add_argument("--output", type=Path, help="a Markdown file for the table")
    chosen = parser.parse_args()
    each = chosen.kills or (3 if chosen.quick else None)
    counts = {name: each or KILLS[name] for name in chosen.only or COMMANDS}
    about = f"seed {chosen.seed}, {sum(counts.values())} kills"
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dpodl-faults-") as folder:
        os.environ["DPODL_CACHE"] = str(Path(folder) / "cache")
        _load()
        bench = Bench(Path(folder).resolve(), chosen.seed)
        rows = []
        for row in measure(bench, counts, 1 if chosen.quick else 4):
            row = row._replace(told=row.told.replace(str(bench.home), "…"))
            rows.append(row)
            print(*row, sep=" | ", flush=True)
            if chosen.output is not None:
                page = table(rows, time.monotonic() - start, about)
                write_atomically(chosen.output, page.encode())
    return int(any(row.lost or row.wrong or row.unexplained for row in rows))


def _load() -> None:
    """Import what commands need, but start no device: a fork would not survive it."""
    installed_command()
    from ..experiments.mining import miner  # noqa: F401
    from ..experiments.pipeline import stages  # noqa: F401
    from ..experiments.questions import attack, threshold  # noqa: F401
    from ..experiments.sweep import forecast  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
