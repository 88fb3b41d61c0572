"""Commands about sweeps: sweep, results, status."""

import math
import shlex
import sys

import click

from ..pipeline.machine import set_up_jax
from .options import (
    ConfigCommand,
    UserPath,
    accept_option,
    json_option,
    recorded_command,
    worker_options,
)
from .terminal import (
    BAD_INPUT,
    FAILED,
    clear_errors,
    echo_json,
    fail,
    progress_bars,
    warn_of,
)

store_argument = click.argument("store", type=UserPath(file_okay=False))


@click.command(cls=ConfigCommand)
@click.option(
    "--over",
    multiple=True,
    metavar="A.B=VALUES",
    help="A setting that changes and its values; may be given several times. Instead "
    "of, or beside, [sweep] over of the config.",
)
@click.option(
    "--design",
    type=click.Choice(["grid", "list", "sobol", "halton", "latin"]),
    help="All combinations; values side by side; or spread over ranges.  [default: the "
    "config's, grid]",
)
@click.option(
    "--points",
    type=click.IntRange(min=1),
    help="Points of sobol, halton and latin.",
)
@worker_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and how long.")
@click.option("--retry-failed", is_flag=True, help="Try failed points again.")
@click.option(
    "--skip-invalid",
    is_flag=True,
    help="Leave out points whose settings do not go together, and record why.",
)
def sweep(
    config,
    overrides,
    over,
    design,
    points,
    output,
    jobs,
    executor,
    scheduler,
    dry_run,
    retry_failed,
    skip_invalid,
    as_json,
    quiet,
) -> None:
    """Compute the security quantities of many settings that start from one CONFIG.

    What is already there and intact is not computed again: after an interruption, a
    crash or more values the same command goes on from there. Points that need other
    curves train their own, each set once.

    \b
    VALUES are
      0.90:0.98:0.01        start:stop:step, both ends included
      0.01:1:log5           5 values even in the logarithm; lin5: evenly spaced
      2^250,2^252,2^254     a list, in TOML's notation
      0.9..0.98             a range, for sobol, halton and latin; 0.01..1:log

    \b
    Examples:
      dpodl sweep sweep
      dpodl sweep quickstart --over scheme.t_acc=0.90:0.98:0.01 \\
            --over 'scheme.t_2=2^250,2^252,2^254'
      dpodl sweep quickstart --over network.delay_steps=1..100:log \\
            --over scheme.p_2=0.01..1:log --design sobol --points 256
      dpodl sweep quickstart --over network.beta=0,0.25 --dry-run

    \b
    Exit codes: 0 all points were tried, and those that failed were refused for a
    reason; 1 points failed by an error; 2 bad input; 130 interrupted.
    """
    with clear_errors():
        from ..config.loading import load_config
        from ..config.section import ConfigError
        from ..config.toml_text import bound_text

        settings = load_config(config, overrides)
        from ..sweep.design import frozen

        for each in over:
            bound_text(each, "--over")
        problems = [each for each in over if not all(each.partition("=")[:2])]
        if problems:
            raise ConfigError(f"--over takes a.b=values, got {', '.join(problems)}")
        chosen = {}
        for each in over:
            path, _, values = each.partition("=")
            if path.strip() in chosen:
                raise ConfigError(f"--over {path.strip()} is given twice")
            chosen[path.strip()] = values
        whole = frozen(
            settings,
            over=chosen,
            design=design,
            points=points,
            kept=[each.partition("=")[0].strip() for each in overrides],
        )
        set_up_jax()
        from ..pipeline import machine
        from ..sweep import driver, forecast
        from ..workers import executors

        plan = driver.plan_of(whole, output)
        if not skip_invalid:
            plan.refuse_invalid()
        if dry_run:
            slots = 1 if executor == "serial" else jobs or machine.usable_cores()
            _print_forecast(
                forecast.forecast(plan, output, slots=slots, retry_failed=retry_failed),
                as_json,
            )
            return
        command = recorded_command()
        try:
            with (
                executors.workers(executor, jobs=jobs, scheduler=scheduler) as pool,
                progress_bars(quiet or as_json) as progress,
            ):
                result = driver.run_sweep(
                    plan,
                    output,
                    pool,
                    progress,
                    retry_failed=retry_failed,
                    command=command,
                )
        except ValueError as error:
            # Of the executor: everything else has been checked.
            if scheduler is not None and executor != "dask":
                fail(str(error), BAD_INPUT)
            raise
        line = _verdicts(result.folder)
        if as_json:
            echo_json({**result._asdict(), "verdicts": line})
        else:
            _print_result(result, line)
        if result.unexpected:
            sys.exit(FAILED)


@click.command()
@click.argument("target", type=UserPath(file_okay=False))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "parquet", "json", "latex", "markdown"]),
    default="csv",
    show_default=True,
    help="latex and markdown round to what the intervals know; the others are in full.",
)
@click.option(
    "--quantity",
    "quantities",
    multiple=True,
    metavar="NAME",
    help="Only these; may be given several times.",
)
@click.option(
    "--output",
    type=UserPath(dir_okay=False),
    help="A file instead of the standard output; Parquet needs one.",
)
@accept_option
def results(target, kind, quantities, output, accept_changed) -> None:
    """Give everything that a sweep or a run has found as one tidy table.

    One row for each quantity with its 95 % interval, of a sweep for each point, whose
    settings stand before it. TARGET is the folder that `dpodl sweep` or `dpodl run`
    printed. LaTeX needs booktabs, and longtable for more rows than a page has.

    \b
    Examples:
      dpodl results runs/sweep-sweep-* > sweep.csv
      dpodl results runs/sweep-sweep-* --format parquet --output sweep.parquet
      dpodl results runs/quickstart-67abb8ec07 --format latex --quantity safe_depth
    """
    with clear_errors():
        set_up_jax()
        from ...models.learning.files import write_atomically
        from ..handover import tables

        if kind == "parquet" and output is None:
            fail("Parquet is no text: give --output FILE", BAD_INPUT)
        found = tables.read(target, accept_changed=accept_changed)
        table = tables.only(found.table, quantities)
        content = tables.results_text(table, kind, command=recorded_command())
        warn_of(found.changed)
        # The standard output is the table, and nothing else.
        if found.line:
            click.echo(found.line, err=output is None)
        if output is None:
            click.echo(content, nl=False)
        else:
            write_atomically(output, content)
            click.echo(f"written to {output}")


@click.command()
@store_argument
@accept_option
@json_option
def status(store, accept_changed, as_json) -> None:
    """Say how far a sweep is; also while another process works on it.

    \b
    Example:
      dpodl status runs/sweep-sweep-*
    """
    with clear_errors():
        set_up_jax()
        from ..sweep import counts
        from ..sweep.store import SweepStore

        kept = SweepStore(store, accept_changed=accept_changed)
        total, groups = counts.count_points(kept)
        working = kept.worked_on()
        rate = counts.rate(kept.sessions_to_readers())
        left = total.todo / rate if rate else math.nan
        line = _verdicts(store, accept_changed=accept_changed)
        if as_json:
            echo_json(
                {
                    "store": store,
                    **total._asdict(),
                    "working": working,
                    "points_per_second": rate,
                    "seconds_left": left,
                    "verdicts": line,
                    "changed": kept.folder.changed,
                    "groups": [{"group": g, **c._asdict()} for g, c in groups],
                }
            )
            return
        warn_of(kept.folder.changed)
        for name, each in (("all", total), *groups):
            click.echo(
                f"{each.done:8} done {each.failed:6} failed {each.todo:8} to do"
                f"   {name}"
            )
        state = {
            True: "a process is working on it",
            False: "no process works on it",
            None: f"whether a process works on it, {store / '.lock'} does not tell",
        }[working]
        pace = f"; {rate:.3g} points a second" if rate else ""
        more = f"; about {_time(left)} left" if total.todo and rate else ""
        click.echo(f"{state}{pace}{more}")
        if line:
            click.echo(line)


def _print_forecast(found, as_json: bool) -> None:
    if as_json:
        echo_json(found._asdict())
        return
    out = f", {found.left_out} left out" if found.left_out else ""
    click.echo(
        f"{found.points} points: {found.done} done, {found.failed} failed{out}, "
        f"{found.todo} to do in {found.shards} shards"
    )
    click.echo(
        f"{found.curve_sets} sets of learning curves, {found.trainings} models to train"
    )
    known = not math.isnan(found.seconds)
    told = f"about {_time(found.seconds)} for the points" if known else "time not known"
    click.echo(f"{told} ({found.basis})")
    click.echo(f"results would be in {found.folder}")


def _verdicts(store, *, accept_changed: bool = False) -> str:
    """The verdicts of all points that are done; "" where none is."""
    from ..sweep import results, store as sweep_store
    from ..world.verdict import sweep_line

    kept = sweep_store.SweepStore(store, accept_changed=accept_changed)
    points = results.verdict_rows(results.results_table(kept))
    return sweep_line(points) if points["status"].eq("done").to_numpy().any() else ""


def _print_result(result, verdicts: str) -> None:
    out = f", {result.left_out} of them left out" if result.left_out else ""
    click.echo(
        f"{result.points} points: {result.done} done, {result.failed} failed{out}"
    )
    from_others = f", {result.reused} from other sweeps" if result.reused else ""
    click.echo(
        f"computed {result.computed}{from_others} in {_time(result.seconds)}"
        if result.computed or result.reused
        else "computed: nothing, all of it was there"
    )
    if result.failed:
        click.echo(
            f"why points failed: dpodl results {shlex.quote(str(result.folder))}, "
            "column error; --retry-failed tries them again"
        )
    if verdicts:
        click.echo(verdicts)
    click.echo(f"results: {result.folder}")


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
