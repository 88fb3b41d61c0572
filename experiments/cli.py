"""The command line: ``dpodl run``, ``dpodl configs``, ``dpodl calibrate-clock``.

Nothing heavy is imported until a command needs it, so that ``--help`` answers at once.
Exit codes: 0 done; 1 the work could not be done (the message says why); 2 bad input;
130 interrupted.
"""

import errno
import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

_FAILED, _BAD_INPUT, _INTERRUPTED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dpodl")
def main() -> None:
    """Is a blockchain whose work is deep learning safe?

    Trains many small models, turns their learning curves into a block-time law, and
    estimates good periods, persistence and liveness of a D-PoDL chain from it.

    \b
    Examples:
      dpodl run quickstart
      dpodl run quickstart --set scheme.t_acc=0.97 --set 'scheme.t_2=2^254'
      dpodl run paper --set data.path=mnist.npz
    """


@main.command()
@click.argument("config")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Change a setting of the config; may be given several times.",
)
@click.option(
    "--clock",
    type=click.Path(path_type=Path),
    help="A file that `dpodl calibrate-clock` wrote: this machine's times.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; the run gets a folder of its own in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def run(config, overrides, clock, output, as_json, quiet) -> None:
    """Run an experiment: a TOML file or a shipped config's name.

    What is already there and intact is not computed again; after an interruption the
    same command goes on where it stopped.
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides, clock)
        _set_up_jax()
        from . import runner, summary

        words = ["dpodl", "run", config]
        words += [word for override in overrides for word in ("--set", override)]
        words += ["--clock", str(clock)] if clock else []
        command = shlex.join(words)
        with _progress(quiet or as_json) as progress:
            result = runner.run(settings, output, progress, command=command)
        judged = summary.verdict(settings, result.tables)
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "folder": str(result.folder),
                        "verdict": judged._asdict(),
                        "recomputed": result.recomputed,
                        "estimates": json.loads(
                            result.tables["estimates"].to_json(orient="records") or "[]"
                        ),
                    },
                    indent=1,
                )
            )
        else:
            _print_result(settings, result, judged)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def configs(as_json) -> None:
    """List the configs that come with the package."""
    with _clear_errors():
        from .config import load_config, shipped_configs

        described = {name: load_config(name).description for name in shipped_configs()}
        if as_json:
            click.echo(json.dumps(described, indent=1))
            return
        for name, description in described.items():
            click.echo(f"{name:12} {description}")


@main.command("calibrate-clock")
@click.argument("config", default="quickstart")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("clock.toml"),
    show_default=True,
    help="Where the measured [clock] is written.",
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def calibrate_clock(config, overrides, output, quiet) -> None:
    """Measure seconds a step and hashes a step on this machine.

    Times every architecture and batch size of the CONFIG's menu, and SHA-256 on one
    core. Use the file with `dpodl run CONFIG --clock clock.toml`.
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides)
        _set_up_jax()
        import tomli_w

        from ..models.curves import training_set
        from ..models.data import load_dataset
        from .clock import measure_clock
        from .store import write_atomically

        dataset = load_dataset(settings.data.name, settings.data.path)
        data = training_set(dataset.x_train, dataset.y_train)
        with _progress(quiet) as progress:
            clock = measure_clock(settings, data, progress)
        table = {
            "clock": {
                "hashes_per_step": float(f"{clock.hashes_per_step:.4g}"),
                "seconds_per_step": float(f"{clock.seconds_per_step:.4g}"),
                "step_seconds": {
                    name: float(f"{seconds:.4g}")
                    for name, seconds in clock.step_seconds.items()
                },
            }
        }
        write_atomically(output, tomli_w.dumps(table).encode())
        click.echo(f"{clock.hashes_per_second:,.0f} hashes a second on one core")
        for name, seconds in clock.step_seconds.items():
            click.echo(f"{name:16} {seconds * 1e6:10,.1f} µs a step")
        click.echo(f"mean of the menu {clock.seconds_per_step * 1e6:10,.1f} µs a step")
        click.echo(f"written to {output}")


def _print_result(settings, result, judged) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from . import summary

    console = Console()
    laws = Table(title="Block time of one prover", title_justify="left")
    for column in ("setting", "mean, steps", "mean ± sd, s", "CV", "at T_acc"):
        laws.add_column(column)
    for row in summary.law_rows(result.tables):
        laws.add_row(*map(escape, row))
    figures = Table(title="Security (95 % intervals)", title_justify="left")
    for column in ("figure", "value", "interval"):
        figures.add_column(column)
    for row in summary.closing_rows(settings, result.tables):
        figures.add_row(*map(escape, row))
    console.print(laws)
    console.print(figures)
    for note in result.tables["notes"].itertuples():
        if note.kind != "assumption":
            console.print(f"{note.kind}: {note.text}", style="yellow", markup=False)
    console.print(judged.line, style="bold", markup=False, highlight=False)
    done = ", ".join(result.recomputed) or "nothing, all of it was there"
    console.print(f"computed: {done}", highlight=False)
    click.echo(f"results: {result.folder}")


@contextmanager
def _progress(quiet: bool) -> Iterator:
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
def _clear_errors() -> Iterator[None]:
    """Turn what is the user's or the machine's problem into a message and a code."""
    try:
        yield
    except KeyboardInterrupt:
        _fail(
            "interrupted; finished work is kept, the same command goes on from there",
            _INTERRUPTED,
        )
    except BlockingIOError:
        _fail("another dpodl is working on this run folder", _FAILED)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail("the disk is full; finished work is kept, make room and run again")
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}")
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        _fail(str(error), code)


def _exit_code(error: Exception) -> int | None:
    from .config import ConfigError

    if isinstance(error, ConfigError):
        return _BAD_INPUT
    # Looked up by name among what has been imported: these errors can only come from
    # modules that are loaded, and --help must not load them.
    for module, name, code in (
        ("dpodl.models.data", "DataError", _BAD_INPUT),
        ("dpodl.analysis.estimate", "Refused", _BAD_INPUT),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return None


def _fail(message: str, code: int = _FAILED) -> None:
    click.echo(f"dpodl: {message}", err=True)
    sys.exit(code)


def _set_up_jax() -> None:
    """Keep compiled programs in the user's cache, so that a second run starts fast."""
    import jax
    import pooch

    cache = Path(os.environ.get("DPODL_CACHE", pooch.os_cache("dpodl"))) / "programs"
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
