"""The command that tabulates risks: risk."""

import math
from typing import Any

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars

_NAMES = {
    "given_block": "a given block",
    "any_block_violation": "any block, restarts",
    "any_block_bound": "any block, bound",
    "safe_time": "smallest safe age",
    "safe_time_premined": "smallest safe age",
    "time_rule_violation": "risk at age",
    "time_rule_violation_premined": "risk at age",
}
_SPEED = ("child", "level", "margin")


@click.command(cls=ConfigCommand)
@click.option(
    "--beta",
    "betas",
    type=float,
    multiple=True,
    help="Corrupted share; may be given several times. The config's own is added.",
)
@click.option(
    "--depth",
    "depths",
    type=click.IntRange(min=1),
    multiple=True,
    help="Confirmations; may be given several times.",
)
@click.option(
    "--horizon",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Levels within which any block may be reverted.",
)
@click.option(
    "--age",
    "ages",
    type=float,
    multiple=True,
    help="Age in steps whose risk is asked; may be given several times.",
)
@click.option("--head-start", is_flag=True, help="The adversary has mined beforehand.")
def risk(
    config, overrides, betas, depths, horizon, ages, head_start, output, as_json, quiet
) -> None:
    """Tabulate the risk of a payment: by share and depth, by age, of any block.

    The law is that of the config's trained models. Beside it stand what memoryless
    provers would risk and Nakamoto's approximation of it.

    \b
    Examples:
      dpodl risk quickstart --beta 0.3 --depth 6 --depth 30
      dpodl risk quickstart --age 20000 --head-start
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import risk as asking

        question = asking.Question(
            betas or asking.BETAS, depths or asking.DEPTHS, horizon, ages, head_start
        )
        question = asking.of_world(settings, question)
        with progress_bars(quiet or as_json) as progress:
            tables = asking.risk_tables(settings, output, progress, question)
        folder = result_folder(settings.name, settings.chain_digest())
        asking.write(tables, folder, settings, command=recorded_command())
        if as_json:
            found = {name: each.to_dict("records") for name, each in tables.items()}
            echo_json({"folder": str(folder), **found})
            return
        _print(settings, tables, question)
        click.echo(f"tables: {folder}")


def _print(settings, tables, question) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    reasons: dict[str, int] = {}
    console = Console()

    def show(title: str, columns: list[str], rows: list[tuple]) -> None:
        if not rows:
            return
        shown = Table(title=escape(title), title_justify="left")
        for column in columns:
            shown.add_column(column)
        for row in rows:
            shown.add_row(*map(escape, row))
        console.print(shown)

    ahead = ", head start" if question.premined else ""
    plain = ["memoryless", "Nakamoto"]
    risks = _shared(tables["risk"], "depth", reasons, whole=False)
    show(f"Pr[k deep is replaced]{ahead}", ["β", "k", "95 % interval", *plain], risks)
    depths = _shared(tables["confirmations"], "target", reasons, whole=True)
    show(f"Confirmations{ahead}", ["β", "risk", "95 % interval", *plain], depths)
    own = f"β = {settings.network.beta:g}"
    blocks = [
        (_NAMES[row["quantity"]], f"{row['at']:.0f}", _text(row, reasons, whole=False))
        for row in _records(tables["any_block"])
    ]
    title = f"{own}: a given block{ahead}, and any of {question.horizon:,}"
    show(title, ["block", "k", "Pr[replaced], 95 % interval"], blocks)
    ages = [_age(row, reasons) for row in _records(tables["age"])]
    show(f"{own}: trust by age{ahead}", ["what", "at", "95 % interval", "s"], ages)
    tiers = [
        (row["tier"], row["grade"], _text(row, reasons, whole=True))
        for row in _records(tables["tiers"])
    ]
    title = f"{own}: confirmations for risk {settings.security.target:g}, one criterion"
    show(title, ["against", "grade", "95 % interval"], tiers)
    speeds = [
        (row["adversary"], *(_number(row[name], False) for name in _SPEED))
        for row in _records(tables["speed"])
    ]
    title = f"{own}: steps a level, any adversary (safe: the last above 0)"
    show(title, ["corrupted", "E[A]", "Δ + E[D]", "margin"], speeds)
    for reason, number in reasons.items():
        console.print(f"[{number}] refused: {reason}", style="yellow", markup=False)
    for row in _records(tables["notes"]):
        console.print(f"{row['kind']}: {row['text']}", markup=False, highlight=False)


def _shared(table, at: str, reasons: dict[str, int], *, whole: bool) -> list[tuple]:
    """Rows of a table over shares; a share is named where it begins."""
    from ..pipeline.summary import risk_name

    rows, last = [], None
    for row in _records(table):
        beta = "" if row["beta"] == last else f"{row['beta']:g}"
        last = row["beta"]
        place = risk_name(row[at]) if whole else f"{row[at]:.0f}"
        beside = [_number(row[name], whole) for name in ("memoryless", "nakamoto")]
        rows.append((beta, place, _text(row, reasons, whole=whole), *beside))
    return rows


def _age(row: dict[str, Any], reasons: dict[str, int]) -> tuple[str, ...]:
    from ..pipeline.summary import number, risk_name

    at = risk_name(row["at"]) if row["at_unit"] == "target" else f"{row['at']:g} steps"
    seconds = "" if math.isnan(row["seconds"]) else number(row["seconds"])
    text = _text(row, reasons, whole=False)
    return _NAMES[row["quantity"]], at, text, seconds


def _text(row: dict[str, Any], reasons: dict[str, int], *, whole: bool) -> str:
    if row["status"] == "refused":
        return f"refused [{reasons.setdefault(row['refusal'], len(reasons) + 1)}]"
    if row["status"] == "certain":
        if whole:
            return "none, certain" if math.isinf(row["value"]) else "any, certain"
        return f"{row['value']:.0f}, certain"
    ends = ", ".join(_number(row[name], whole) for name in ("low", "high"))
    return f"{_number(row['value'], whole)} [{ends}]"


def _number(value: float, whole: bool) -> str:
    from ..pipeline.summary import number

    return f"{value:.0f}" if whole and math.isfinite(value) else number(value)


def _records(table) -> list[dict[str, Any]]:
    return table.to_dict("records")
