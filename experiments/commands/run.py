"""``dpodl run`` and its relatives: an experiment, the shipped configs, the clock."""

import json
from pathlib import Path

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, UserPath, json_option, recorded_command
from .results import repeat_archive
from .terminal import BAD_INPUT, clear_errors, fail, progress_bars


@click.command(cls=ConfigCommand)
@click.option(
    "--clock",
    type=UserPath(),
    help="A file that `dpodl calibrate-clock` wrote: this machine's times.",
)
@click.option(
    "--rel-error",
    type=float,
    metavar="R",
    help="Simulate until the quantities are known to ± this share "
    "(--set security.rel_error=R).",
)
@click.option(
    "--max-replicas",
    type=int,
    metavar="N",
    help="Where --rel-error gives up; 2,000,000 unless given "
    "(--set security.max_replicas=N).",
)
def run(
    config, overrides, clock, rel_error, max_replicas, output, as_json, quiet
) -> None:
    """Run an experiment: a TOML file, a shipped config's name or an archive.

    What is already there and intact is not computed again; after an interruption the
    same command goes on where it stopped.

    An archive of `dpodl export` is checked, run again from nothing, and compared with
    what is in it: what the two were made with, and each table's rows as they are
    printed. Then the exit code is 1 if a row differs.
    """
    with clear_errors():
        from ..config.loading import load_config
        from ..handover.contents import is_archive

        if is_archive(config):
            if overrides or clock or rel_error is not None or max_replicas is not None:
                fail("an archive is run as it is, with no other setting", BAD_INPUT)
            repeat_archive(Path(config), output, as_json=as_json, quiet=quiet)
            return

        for setting, value in (
            ("rel_error", rel_error),
            ("max_replicas", max_replicas),
        ):
            if value is not None:
                overrides = (*overrides, f"security.{setting}={value}")
        settings = load_config(config, overrides, clock)
        set_up_jax()
        from ..pipeline import stages, summary, training

        command = recorded_command()
        with progress_bars(quiet or as_json) as progress:
            result = stages.run(settings, output, progress, command=command)
        judged = summary.verdict(settings, result.tables)
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "folder": str(result.folder),
                        "verdict": judged._asdict(),
                        "recomputed": result.recomputed,
                        "reasons": result.reasons,
                        "estimates": json.loads(
                            result.tables["estimates"].to_json(orient="records") or "[]"
                        ),
                    },
                    indent=1,
                )
            )
        else:
            _print_result(settings, result, judged)
            if "new" in result.reasons and not quiet:
                click.echo(f"new: {result.reasons['new']}", err=True)
            if settings.training.keep_states:
                size, where = training.kept_states(settings, output)
                click.echo(f"states for a longer horizon: {size / 1e6:.1f} MB, {where}")


@click.command()
@click.option(
    "--schema",
    is_flag=True,
    help="Print the JSON schema of a config, with which editors complete and check it.",
)
@json_option
def configs(schema, as_json) -> None:
    """List the configs that come with the package.

    \b
    An editor that knows TOML checks a config whose first line names the schema:
      dpodl configs --schema > dpodl.schema.json
      #:schema ./dpodl.schema.json
    """
    with clear_errors():
        if schema:
            from ..config.schema import schema_text

            click.echo(schema_text(), nl=False)
            return
        from ..config.loading import load_config, shipped_configs

        described = {name: load_config(name).description for name in shipped_configs()}
        if as_json:
            click.echo(json.dumps(described, indent=1))
            return
        for name, description in described.items():
            click.echo(f"{name:12} {description}")


@click.command(
    "calibrate-clock", cls=ConfigCommand, default="quickstart", prints_json=False
)
@click.option(
    "--output",
    type=UserPath(dir_okay=False),
    default=Path("clock.toml"),
    show_default=True,
    help="Where the measured [clock] is written.",
)
def calibrate_clock(config, overrides, output, quiet) -> None:
    """Measure seconds a step and hashes a step on this machine.

    Times every architecture and batch size of the CONFIG's menu, and SHA-256 on one
    core. Use the file with `dpodl run CONFIG --clock clock.toml`.
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        import tomli_w

        from ...models.learning.curves import training_set
        from ...models.learning.files import write_atomically
        from ..pipeline.clock import measure_clock
        from ..world.dataset import config_dataset

        dataset = config_dataset(settings)
        data = training_set(dataset.x_train, dataset.y_train)
        with progress_bars(quiet) as progress:
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

    from ..pipeline import summary

    console = Console()
    laws = Table(title="Block time of one prover", title_justify="left")
    for column in summary.law_columns(result.tables):
        laws.add_column(column)
    for row in summary.law_rows(result.tables):
        laws.add_row(*map(escape, row))
    security = Table(title="Security (95 % intervals)", title_justify="left")
    for column in ("quantity", "value", "interval"):
        security.add_column(column)
    for row in summary.closing_rows(settings, result.tables):
        security.add_row(*map(escape, row))
    console.print(laws)
    console.print(security)
    for text in summary.footnotes(settings, result.tables):
        console.print(text, markup=False, highlight=False)
    for note in result.tables["notes"].itertuples():
        if note.kind != "assumption":
            console.print(f"{note.kind}: {note.text}", style="yellow", markup=False)
    console.print(judged.line, style="bold", markup=False, highlight=False)
    done = ", ".join(result.recomputed) or "nothing, all of it was there"
    console.print(f"computed: {done}", highlight=False)
    for stage, reason in result.reasons.items():
        if stage != "new":
            console.print(f"{stage} again: {reason}", highlight=False, markup=False)
    click.echo(f"results: {result.folder}")
