"""Commands about data from elsewhere: import, finality, estimate."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..pipeline.machine import set_up_jax
from .options import (
    ConfigCommand,
    UserPath,
    json_option,
    recorded_command,
    result_folder,
)
from .terminal import clear_errors, echo_json, progress_bars

column_option = click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=NAME",
    help="A column whose name is not recognised; may be given several times.",
)


def _columns(given: Sequence[str]) -> dict[str, str]:
    named = {}
    for each in given:
        role, separator, name = each.partition("=")
        if not (role and separator and name):
            raise click.BadParameter(
                f"--column takes ROLE=NAME, got {each!r}", param_hint="--column"
            )
        named[role] = name
    return named


@click.command("import")
@click.argument("file", type=UserPath())
@click.option(
    "--as",
    "kind",
    type=click.Choice(["curves", "times", "blocks"]),
    help="What the file holds; by its columns unless given.",
)
@column_option
@json_option
def import_file(file, kind, columns, as_json) -> None:
    """Check a FILE of curves, times or blocks, and say what it holds.

    Curves may also be a folder: of TensorBoard's event files, of MLflow's metrics, or
    of JSON lines as Weights & Biases exports a run's history.

    \b
    Examples:
      dpodl import example-curves
      dpodl import mlruns
      dpodl import log.csv --as curves --column accuracy=top1
    """
    with clear_errors():
        set_up_jax()
        from ..own.summaries import summary

        found = summary(file, kind, _columns(columns))
        if as_json:
            echo_json(found._asdict())
            return
        for name, value in found.facts.items():
            click.echo(f"{name:24} {value}")
        for text in found.warnings:
            click.echo(f"warning: {text}")
        if found.config:
            click.echo(f"\nA config begins with:\n\n{found.config}")


@click.command(cls=ConfigCommand)
@click.argument("chain", type=UserPath())
@click.option(
    "--blocks",
    type=click.IntRange(min=1),
    default=24,
    show_default=True,
    help="Blocks from the tip whose risk is asked.",
)
@click.option(
    "--window",
    type=click.IntRange(min=10),
    help="Intervals that the estimated rate rests on; the last 100 unless given.",
)
@click.option(
    "--age",
    type=float,
    default=0.0,
    show_default=True,
    help="Time since the tip, in the config's unit.",
)
@column_option
def finality(
    config, overrides, chain, blocks, window, age, columns, output, as_json, quiet
) -> None:
    """Say what each block of an observed CHAIN risks, given how long it took.

    CHAIN is a folder of `dpodl mine`, or a list of blocks. Law, β and Δ are the
    CONFIG's.

    \b
    Examples:
      dpodl finality formula example-blocks --set clock.seconds_per_step=1
      dpodl finality mining chains/mining-67abb8ec07 --age 300
    """
    with clear_errors():
        from ..config.experiment import fingerprint
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import finality as asking

        seen = asking.seen(chain, settings, _columns(columns))
        with progress_bars(quiet or as_json) as progress:
            tables = asking.finality_tables(
                settings, output, seen, progress, blocks=blocks, window=window, age=age
            )
        digest = fingerprint([settings.chain_digest(), seen.sha256])
        folder = result_folder(settings.name, digest)
        asking.write(tables, folder, settings, command=recorded_command())
        rows: Any = tables["finality"]
        target = settings.security.target
        finals = {
            rate: asking.final_depth(rows, target, rate)
            for rate in rows["rate"].unique()
        }
        if as_json:
            found = {name: each.to_dict("records") for name, each in tables.items()}
            echo_json({"folder": str(folder), "final_depth": finals, **found})
            return
        _print(rows)
        for rate, depth in finals.items():
            reached = (
                f"from {depth} deep on" if depth else f"at no depth up to {blocks}"
            )
            click.echo(f"risk at most {target:g}, rate {rate}: {reached}")
        for text in tables["notes"]["text"]:
            click.echo(f"note: {text}")
        click.echo(f"table: {folder}")


def _print(rows: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    shown = Table(title="Pr[the block is replaced], 95 %", title_justify="left")
    for column in (
        "height",
        "deep",
        "since its parent",
        "rate known",
        "rate estimated",
    ):
        shown.add_column(column)
    for height, some in rows.groupby("height", sort=True):
        cells = {row["rate"]: _cell(row) for row in some.to_dict("records")}
        first = some.iloc[0]
        shown.add_row(
            str(height),
            str(first["depth"]),
            f"{first['elapsed']:.5g}",
            cells.get("known", ""),
            cells.get("estimated", ""),
        )
    Console().print(shown)


def _cell(row: dict[str, Any]) -> str:
    if "below" in row["method"]:
        return f"< {row['high']:.3g}"
    return f"{row['value']:.3g} [{row['low']:.3g}, {row['high']:.3g}]"


@click.command()
@click.argument("blocks", type=UserPath())
@click.option(
    "--mark", metavar="NAME", help="The miner or pool whose share β is asked."
)
@click.option("--seed", type=int, default=2023, show_default=True, help="Of resamples.")
@column_option
@json_option
def estimate(blocks, mark, seed, columns, as_json) -> None:
    """Estimate a chain's law of intervals, Δ and β from its BLOCKS.

    BLOCKS is a list of blocks or a folder of `dpodl mine`. Times are seconds (of a
    folder: steps).

    \b
    Example:
      dpodl estimate example-blocks
    """
    with clear_errors():
        set_up_jax()
        from ..questions import finality as asking

        found, facts = asking.estimate_facts(
            Path(blocks), _columns(columns), mark, seed
        )
        rows = asking.fact_rows(facts)
        notes = [*(found.warnings if found else ()), *facts.notes]
        if as_json:
            known: dict[str, Any] = {
                name: None if each is None else each._asdict() for name, each in rows
            }
            echo_json({**known, "memoryless_p": facts.memoryless, "notes": notes})
            return
        for name, each in rows:
            if each is None:
                click.echo(f"{name:22} not known from this list")
                continue
            ends = f"[{each.low:.4g}, {each.high:.4g}]"
            click.echo(f"{name:22} {each.value:.4g}  {ends}  ({each.method})")
        judged = "compatible with" if facts.memoryless > 0.05 else "not"
        sign = "≤" if math.isclose(facts.memoryless, 1 / 500) else "="
        click.echo(
            f"intervals are {judged} exponential (p {sign} {facts.memoryless:.3g})"
        )
        for text in notes:
            click.echo(f"note: {text}")
