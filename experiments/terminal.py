"""What all commands share: options, progress bars, errors as messages and exit codes.

Exit codes: 0 done; 1 the work could not be done, or a chain is refused (the message
says why); 2 bad input; 3 proofs cannot be re-executed on this build; 130 interrupted.
"""

import errno
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

FAILED, BAD_INPUT, FOREIGN_BUILD, INTERRUPTED = 1, 2, 3, 130

overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Change a setting of the config; may be given several times.",
)
results_option = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
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
chain_argument = click.argument(
    "chain", type=click.Path(path_type=Path, file_okay=False)
)


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
        bars.update(tasks[what], completed=done, rate=rate)

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
    except BlockingIOError:
        fail("another dpodl is working on this run folder", FAILED)
    except OSError as error:
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
        ("dpodl.experiments.possible", "Changed", FAILED),
        ("dpodl.experiments.chain_store", "ChainError", FAILED),
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
    """Keep compiled programs in the user's cache, so that a second run starts fast."""
    import jax
    import pooch

    cache = Path(os.environ.get("DPODL_CACHE", pooch.os_cache("dpodl"))) / "programs"
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
