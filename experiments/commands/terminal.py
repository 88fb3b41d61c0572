"""What all commands share: streams, progress bars, errors as messages, exit codes.

Exit codes: 0 done; 1 the work could not be done, or a chain is refused (the message
says why); 2 bad input; 3 proofs cannot be re-executed on this build; 130 interrupted.
"""

import codecs
import errno
import io
import json
import math
import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from ...models.errors import UserError

FAILED, BAD_INPUT, FOREIGN_BUILD, INTERRUPTED = 1, 2, 3, 130


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
    except UserError as error:
        fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            fail("the disk is full; finished work is kept, make room and run again")
        where = f" ({error.filename})" if error.filename else ""
        fail(f"{error.strerror or error}{where}")


def warn_of(changed: Iterable[str]) -> None:
    """Say on standard error what was accepted though it is not as it was computed."""
    for sentence in changed:
        click.echo(f"dpodl: accepted: {sentence}", err=True)


def fail(message: str, code: int = FAILED) -> NoReturn:
    """Say on standard error what is wrong, and end with an exit code."""
    click.echo(f"dpodl: {message}", err=True)
    sys.exit(code)
