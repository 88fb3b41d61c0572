"""``dpodl bench``: how fast it is here, and beside what else one could use."""

from pathlib import Path

import click

from ..experiments.commands.options import (
    UserPath,
    json_option,
    quiet_option,
    recorded_command,
)
from ..experiments.commands.terminal import (
    BAD_INPUT,
    FAILED,
    clear_errors,
    echo_json,
    fail,
    progress_bars,
)

ROUNDS = {False: 5, True: 7}


@click.command()
@click.option(
    "--quick/--full",
    "quick",
    default=True,
    help="Small sizes and few rounds, or those that answer for a release.  "
    "[default: quick]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="A workload, or all whose names begin so; may be given several times.",
)
@click.option("--list", "listed", is_flag=True, help="Name the workloads and stop.")
@click.option(
    "--profile",
    metavar="NAME",
    help="Instead: show where the time of a workload's first job goes.",
)
@click.option(
    "--output",
    type=UserPath(file_okay=False),
    default=Path("benchmarks/results"),
    show_default=True,
    help="Where <date>-<machine>.json and .md are written.",
)
@json_option
@quiet_option
def bench(quick, only, listed, profile, output, as_json, quiet) -> None:
    """Measure the machine, the library, and alternatives to it, side by side.

    Every contender has a process of its own, pinned to its cores; they take turns.
    A row ends in target met, target missed, or no conclusion if it is too noisy to
    conclude. Alternatives (pip install -e '.[bench]' in the source folder) that are
    not installed are left out with a word.

    \b
    Examples:
      dpodl bench --quick
      dpodl bench --full --only train --only network
      dpodl bench --profile network --output traces

    \b
    Exit codes: 0 measured, whatever the verdicts; 1 a workload failed; 2 bad input.
    """
    with clear_errors():
        from . import suite

        known = suite.workloads(full=not quick)
        if listed:
            for workload in known:
                click.echo(workload.name)
            return
        asked = (profile,) if profile else only
        chosen = suite.chosen(known, asked)
        if not chosen or any(not suite.chosen(known, [name]) for name in asked):
            names = ", ".join(workload.name for workload in known)
            fail(f"no workload is called {', '.join(asked)}: {names}", BAD_INPUT)
        if profile:
            click.echo(suite.profile(chosen[0], output / f"profile-{chosen[0].name}"))
            return
        with progress_bars(quiet or as_json) as progress:
            results, paths, broken = suite.run(
                chosen,
                rounds=ROUNDS[not quick],
                output=output,
                command=recorded_command(),
                only=only,
                progress=progress,
            )
        if as_json:
            echo_json(results)
        else:
            click.echo(paths[1].read_text(encoding="utf-8"))
            for path in paths:
                click.echo(f"written to {path}")
        if broken:
            fail("; ".join(broken), FAILED)
