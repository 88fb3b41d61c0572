"""What all commands share: options, progress bars, errors as messages and exit codes.

Exit codes: 0 done; 1 the work could not be done, or a chain is refused (the message
says why); 2 bad input; 3 proofs cannot be re-executed on this build; 130 interrupted.
"""

import codecs
import errno
import io
import json
import math
import os
import re
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

FAILED, BAD_INPUT, FOREIGN_BUILD, INTERRUPTED = 1, 2, 3, 130


class UserPath(click.Path):
    """A path of the command line; ``~`` is the user's home however it is written."""

    def __init__(self, **checks: Any):
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path, expanded and checked."""
        from ..models.files import user_path

        try:
            path = user_path(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return super().convert(path, param, ctx)


overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Change a setting of the config; may be given several times.",
)
results_option = click.option(
    "--output",
    type=UserPath(file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; trained curves are shared in it.",
)
accept_option = click.option(
    "--accept-changed",
    is_flag=True,
    help="Show results that are not as they were computed, with a note that says so.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress bars.")
chain_argument = click.argument("chain", type=UserPath(file_okay=False))


def echo_json(result: Any) -> None:
    """Print a result as JSON: records by their fields, what is not finite as null."""

    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, list | dict):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            found = {key: plain(each) for key, each in pairs}
            return found if isinstance(value, dict) else list(found.values())
        fields = getattr(value, "_asdict", None)
        if fields is not None:
            return {name: plain(each) for name, each in fields().items()}
        return str(value) if isinstance(value, Path) else value

    click.echo(json.dumps(plain(result), indent=1))


class _Patient(io.RawIOBase):
    """A descriptor that waits for a slow reader, and goes on when the reader has gone.

    Nothing that is computed depends on who reads what is printed.
    """

    def __init__(self, descriptor: int):
        self._descriptor, self._gone = descriptor, False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        while left and not self._gone:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except (BrokenPipeError, ConnectionResetError):
                self._gone = True
            except OSError:
                self._gone = True  # told once
                raise
        return size


_SPELLED = {
    **{"α": "alpha", "β": "beta", "Δ": "Delta", "ε": "epsilon", "λ": "lambda"},
    **{"µ": "u", "μ": "mu", "∞": "inf", "≤": "<=", "≥": ">=", "±": "+/-", "×": "x"},
    **{"·": "*", "–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "¼": "1/4"},
    **{"⌊": "floor(", "⌋": ")", "²": "^2", "’": "'", "≈": "~", "∈": "in", "•": "*"},
}


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Write in ASCII what a terminal's encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    spelled = (_SPELLED.get(c) for c in lacking)
    told = (
        text or character.encode("ascii", "backslashreplace").decode()
        for text, character in zip(spelled, lacking, strict=True)
    )
    return "".join(told), error.end


codecs.register_error("dpodl.spelled", _spell)


@contextmanager
def patient_streams() -> Iterator[None]:
    """Standard output and error that end no job: slow, gone, or not UTF-8.

    What is no file of the system's, as in tests, stays as it is.
    """
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_patient, kept)
    try:
        yield
    finally:
        mine = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = kept
        trouble = [_flushed(s) for s, k in zip(mine, kept, strict=True) if s is not k]
        lost = next(filter(None, trouble), None)
        if lost is not None:
            where = "standard output cannot be written to"
            with suppress(OSError, ValueError):
                click.echo(f"dpodl: {where}: {lost.strerror}", err=True)
            sys.exit(FAILED)


def _patient(stream: Any) -> Any:
    try:
        descriptor = stream.fileno()
        stream.flush()
    except (AttributeError, OSError, ValueError):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Patient(descriptor)),
        encoding=stream.encoding,
        errors="dpodl.spelled",
        line_buffering=stream.line_buffering or stream is sys.stderr,
    )


def _flushed(stream: Any) -> OSError | None:
    try:
        stream.flush()
    except OSError as error:
        return error
    except ValueError:  # closed by who used it
        return None
    finally:
        with suppress(OSError, ValueError):
            stream.detach()
    return None


class Program(click.Group):
    """A group of commands that the surroundings cannot end in the middle."""

    def main(self, *arguments: Any, **named: Any) -> Any:
        """Run it, as click does."""
        # A notebook's names a module that only the notebook has; all figures here are
        # drawn to files.
        os.environ["MPLBACKEND"] = "agg"
        with patient_streams():
            return super().main(*arguments, **named)


@contextmanager
def progress_bars(quiet: bool) -> Iterator:
    """Progress bars on standard error, with rate and time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if quiet:
        yield lambda what, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total, completed=done, rate="")
        task = bars.tasks[bars.task_ids.index(tasks[what])]
        rate = f"{task.finished_speed or task.speed or 0:.2f}/s" if done else ""
        # A job of the same name may follow with another total.
        bars.update(tasks[what], completed=done, total=total, rate=rate)

    with bars:
        yield report


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn what is the user's or the machine's problem into a message and a code."""
    try:
        yield
    except KeyboardInterrupt:
        fail(
            "interrupted; finished work is kept, the same command goes on from there",
            INTERRUPTED,
        )
    except OSError as error:
        if _exit_code(error) is not None:  # another dpodl holds the folder
            fail(str(error), FAILED)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fail("the disk is full; finished work is kept, make room and run again")
        where = f" ({error.filename})" if error.filename else ""
        fail(f"{error.strerror or error}{where}")
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        fail(str(error), code)


def _exit_code(error: Exception) -> int | None:
    from .config import ConfigError

    if isinstance(error, ConfigError):
        return BAD_INPUT
    # Looked up by name among what has been imported: these errors can only come from
    # modules that are loaded, and --help must not load them.
    for module, name, code in (
        ("dpodl.models.data", "DataError", BAD_INPUT),
        ("dpodl.analysis.estimate", "Refused", BAD_INPUT),
        ("dpodl.experiments.chain_files", "ChainError", FAILED),
        ("dpodl.experiments.possible", "Changed", FAILED),
        ("dpodl.experiments.store", "Busy", FAILED),
        ("dpodl.models.checkpoints", "Rejected", FAILED),
        ("dpodl.models.build", "ForeignBuild", FOREIGN_BUILD),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return None


def warn_of(changed: Iterable[str]) -> None:
    """Say on standard error what was accepted though it is not as it was computed."""
    for sentence in changed:
        click.echo(f"dpodl: accepted: {sentence}", err=True)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say on standard error what is wrong, and end with an exit code."""
    click.echo(f"dpodl: {message}", err=True)
    sys.exit(code)


def set_up_jax() -> None:
    """Start JAX as every command needs it: settings pinned, compiled programs kept.

    The programs are in the user's cache, so that a second run starts fast.
    """
    from ..models.files import cache_folder

    try:
        cache = cache_folder() / "programs"
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    _require_flags()
    try:
        import jax

        from ..models.pins import pin_process

        pin_process()
        if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
            jax.config.update("jax_compilation_cache_dir", str(cache))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
        jax.devices()
    except Exception as error:  # its own errors, an AssertionError, of a driver's
        fail(_jax_trouble(error), BAD_INPUT)


def _require_flags() -> None:
    """Refuse XLA_FLAGS that XLA cannot read: it would end this process, not raise."""
    flags = os.environ.get("XLA_FLAGS")
    if not flags or "jaxlib" in sys.modules:
        return
    import subprocess

    reads = "from jaxlib import xla_client; xla_client.CompileOptions()"
    found = subprocess.run(
        [sys.executable, "-c", reads], capture_output=True, text=True, check=False
    )
    for line in found.stderr.splitlines() if found.returncode else ():
        logged = re.match(r"[EF]\d{4} .*?\] (.*)", line)
        if logged:
            fail(f"XLA_FLAGS={flags}: {logged[1][:300]}", BAD_INPUT)


def _jax_trouble(error: Exception) -> str:
    """Why JAX does not start, and what of the environment it was told."""
    told = {k: v for k, v in os.environ.items() if k.startswith(("JAX_", "XLA_"))}
    named = ", ".join(f"{name}={value}" for name, value in sorted(told.items()))
    first = (str(error).strip().splitlines() or [""])[0][:300]
    reason = f"{type(error).__name__}: {first}" if first else type(error).__name__
    platforms = os.environ.get("JAX_PLATFORMS")
    if platforms:
        return (
            f"JAX_PLATFORMS={platforms}: JAX finds no such device here ({reason}); "
            "unset it, or set it to cpu"
        )
    return f"JAX does not start: {reason}" + (f" (set: {named})" if named else "")
