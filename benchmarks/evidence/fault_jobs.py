"""Commands of ``faults``: forked, watched, killed, and what they left compared."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

TINY = """name = "tiny"
[menu]
architectures = ["softmax"]
batch_sizes = [32]
init_scales = [1.0]
optimizers = [{name = "sgd", learning_rates = [0.1, 0.3]}]
[training]
runs = 12
horizon_steps = 240
check_every = 12
eval_samples = 200
[scheme]
t_acc = 0.7
t_1 = "2^248"
t_2 = "2^255"
[network]
provers = 4
beta = 0.25
delay_steps = 12
[security]
depths = 4
confirmations = 2
windows = [2]
levels = 32
replicas = 100
good_period_replicas = 100
bootstraps = 2
bootstrap_replicas = 100
target = 0.05
[mining]
blocks = 3
"""


COMMANDS = {
    "run": ("run", "tiny.toml"),
    "sweep": (
        *("sweep", "tiny.toml", "--over", "network.beta=0,0.25"),
        *("--over", "scheme.t_acc=0.6,0.7", "--set", "sweep.shard=1"),
        *("--executor", "serial"),
    ),
    "mine": ("mine", "tiny.toml", "--set", "adversary.attack=honest"),
    "threshold": ("threshold", "tiny.toml", "--depth", "2", "--json"),
    "attack": (
        *("attack", "tiny.toml", "--branches", "10", "--resamples", "0", "--json"),
    ),
}


# Notes of when and where.
_NOTES = ("provenance.json", ".lock")


_FINISHED = ("runs-*.npz", "shards/*.parquet", "states/*", "leaves/*")


_LONGEST = 600.0


class Row(NamedTuple):
    """What became of the attempts of one fault.

    Attributes:
        fault: Which.
        attempts: How many.
        struck: Of these, those that the fault met before the command had ended.
        lost: See the module.
        wrong: See the module.
        unexplained: See the module.
        told: What was said, or why nothing was tried.
    """

    fault: str
    attempts: int
    struck: int
    lost: int
    wrong: int
    unexplained: int
    told: str


class Ended(NamedTuple):
    """How a command ended: exit code (negative: the signal), and what it printed."""

    code: int
    out: str
    err: str


class Job:
    """A command that works in a process of its own."""

    def __init__(
        self, words: Sequence[str], home: Path, output: Path, prepare: Callable = int
    ):
        self.paths = [home / f"{name}-{time.monotonic_ns()}" for name in ("out", "err")]
        self.code: int | None = None
        full = [*words, "--output", str(output), "--quiet"]
        self.pid = os.fork()
        if self.pid == 0:
            _be_the_command(full, home, self.paths, prepare)

    def wait(self, seconds: float = _LONGEST) -> bool:
        """Wait so long for its end; returns whether it has ended."""
        until = time.monotonic() + seconds
        while self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until:
                return False
            else:
                time.sleep(0.005)
        return True

    def kill(self) -> None:
        """kill -9, with its children."""
        if self.code is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self.wait()

    def ended(self) -> Ended:
        """Its end, waited for."""
        if not self.wait():
            self.kill()
        out, err = (path.read_text(errors="replace") for path in self.paths)
        for path in self.paths:
            path.unlink()
        return Ended(self.code or 0, out, err)


def _be_the_command(words, home: Path, paths: Sequence[Path], prepare) -> None:
    code = 1
    try:
        os.setsid()
        os.chdir(home)
        null = os.open(os.devnull, os.O_RDONLY)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        outs = [os.open(path, flags, 0o644) for path in paths]
        for place, descriptor in enumerate((null, *outs)):
            os.dup2(descriptor, place)
        sys.stdout, sys.stderr = (
            os.fdopen(place, "w", closefd=False) for place in (1, 2)
        )
        prepare()
        main = installed_command()
        main(words, prog_name="dpodl")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


class Bench:
    """Undisturbed results, and attempts that are compared with them."""

    def __init__(self, home: Path, seed: int):
        self.home, self.rng = home, random.Random(seed)
        (home / "tiny.toml").write_text(TINY)
        self.reference: dict[str, tuple[Ended, dict[str, bytes], float]] = {}
        self.number = 0

    def undisturbed(self, name: str) -> None:
        """The results to compare with; the second time, programs are compiled."""
        self.job(name, self.fresh()).ended()
        folder, start = self.fresh(), time.monotonic()
        ended = self.job(name, folder).ended()
        seconds = time.monotonic() - start
        if ended.code:
            raise SystemExit(f"{name} does not work here: {ended.err}")
        self.reference[name] = self.plain(ended, folder), contents(folder), seconds

    def fresh(self) -> Path:
        """A folder that is not there yet."""
        self.number += 1
        return self.home / f"results-{self.number}"

    def job(self, name: str, folder: Path, *more: str, prepare: Callable = int) -> Job:
        """A command on a folder."""
        return Job((*COMMANDS[name], *more), self.home, folder, prepare)

    def plain(self, ended: Ended, folder: Path) -> Ended:
        """What was printed, but where and how long."""
        lines = ended.out.replace(str(folder), "FOLDER").splitlines()
        kept = [line for line in lines if not line.startswith(("computed", "mined"))]
        return ended._replace(out="\n".join(kept))

    def wrong(self, name: str, ended: Ended, folder: Path) -> int:
        """Whether a finished command's results differ from the undisturbed ones."""
        told, files, _ = self.reference[name]
        different = contents(folder) != files
        if name in ("threshold", "attack"):
            different |= self.plain(ended, folder).out != told.out
        return int(different)

    def judged(self, name: str, folder: Path, *more: str) -> tuple[int, int]:
        """Finish it in peace: (wrong, unexplained)."""
        ended = self.job(name, folder, *more).ended()
        if ended.code:
            print(f"exit {ended.code}:\n{ended.err}", file=sys.stderr)
            return 0, 1
        return self.wrong(name, ended, folder), 0


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that two runs must have in common."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in _NOTES and path.suffix != ".tmp"
    }


def finished(folder: Path) -> dict[Path, bytes]:
    """What is finished and must never be lost: curves, shards, states, stages."""
    found = {
        path: path.read_bytes()
        for pattern in _FINISHED
        for path in folder.glob(f"**/{pattern}")
        if path.is_file() and not path.name.startswith(".")
    }
    for manifest in folder.glob("*/manifest.json"):
        for stage in json.loads(manifest.read_text()).values():
            if isinstance(stage, dict):
                for name in stage["files"]:
                    path = manifest.parent / name
                    # Notes are written anew by whoever goes on.
                    if path.name not in _NOTES and path.is_file():
                        found[path] = path.read_bytes()
    return found


def unexplained(ended: Ended, codes: Sequence[int]) -> int:
    """Whether a command that could not go on did not say so in one line."""
    if ended.code == 0:
        return 0
    lines = [line for line in ended.err.splitlines() if line.startswith("dpodl: ")]
    clear = ended.code in codes and "Traceback" not in ended.err
    if not clear or not lines:
        print(f"exit {ended.code}:\n{ended.err}", file=sys.stderr)
    return int(not (clear and len(lines) >= 1))


def installed_command() -> Any:
    """``dpodl`` as it is installed."""
    (entry,) = metadata.entry_points(group="console_scripts", name="dpodl")
    return entry.load()
