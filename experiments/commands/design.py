"""The command that turns the question around: targets in, a setting out."""

import math
from typing import Any

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars

_ROWS, _NAMES = 10, 3
_SHOWN = {
    "interval": "block interval (honest)",
    "depth": "confirmations",
    "depth_premined": "confirmations, head start",
    "confirmation": "confirmations × interval",
    "liveness": "liveness quantile",
    "quality": "chain quality",
    "stale": "stale blocks",
    "useful": "useful share of the work",
    "beta": "β* of the private race",
    "beta_warm": "β* with referenced models",
    "verification": "verification / training",
    "verification_steps": "verification of a block",
    "storage": "checkpoints of a block",
}


@click.command(cls=ConfigCommand)
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="WHAT",
    help="persistence=2^-40@depth<=60, persistence_premined=…, interval=600s, "
    "liveness@0.99<=3600s, quality>=0.5, useful>=0.5, beta>=0.3, beta_warm>=0.2, "
    "stale<=0.1, verification<=0.2, storage<=20MB; may be given several times.",
)
@click.option(
    "--over",
    multiple=True,
    metavar="SETTING=VALUES",
    help="Values to try of scheme.t_acc, scheme.t_2 (or p_2), protocol.s_min and, "
    "without interval=, scheme.t_1 (or p_1).",
)
def design(config, overrides, targets, over, output, as_json, quiet) -> None:
    """Find (T_acc, T_1, T_2, S_min) that meet targets, or say why none do.

    n, β, Δ, the clock and the menu are the CONFIG's. T_1 is solved for the interval; a
    target is met only if its figure's whole 95 % interval meets it.

    \b
    Example:
      dpodl design quickstart --target interval=0.2s --target useful\\>=0.5 \\
        --target persistence=2^-40@depth\\<=130
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import design as designing

        with progress_bars(quiet or as_json) as progress:
            found = designing.design(settings, output, targets, over, progress)
        folder = result_folder(settings.name, settings.chain_digest())
        designing.write(found, folder, settings, command=recorded_command())
        if as_json:
            tables = {k: v.to_dict("records") for k, v in found.tables.items()}
            echo_json(
                {"verdict": found.verdict, "reasons": list(found.reasons)}
                | {k: v for k, v in tables.items() if k != "candidates"}
                | {"folder": str(folder)}
            )
            return
        for line in summary_lines(found):
            click.echo(line)
        click.echo(f"tables: {folder}")


def summary_lines(found) -> list[str]:
    """The answer in words: setting, figures, targets, front, sensitivities."""
    tables = found.tables
    front: Any = tables["front"].to_dict("records")
    lines = []
    if found.verdict == "missed":
        lines.append("no such setting, because")
        lines += [f"  {reason}" for reason in found.reasons]
        if front:
            lines.append("the nearest one:")
    else:
        lines.append(
            "this setting meets every target:"
            if found.verdict == "met"
            else "this setting may meet the targets; not sure:"
        )
        lines += [f"  {reason}" for reason in found.reasons]
    if front:
        lines += _setting(front[0])
        lines += _figures(tables["recommended"], front[0])
        few = tables["recommended"]["warning"].iloc[0]
        lines += [f"  it {few}", ""] if few else [""]
    lines += _tiers(tables["tiers"])
    lines += _targets(tables["targets"])
    if len(front) > 1:
        lines += ["", *_front(front)]
    if len(tables["sensitivity"]):
        lines += ["", *_sensitivity(tables["sensitivity"])]
    lines += ["", "assumptions:"]
    lines += [f"  {each}" for each in tables["assumptions"]["assumption"]]
    return lines


def _setting(row: dict) -> list[str]:
    lines = [f"  T_acc  {row['t_acc']:g}"]
    for stage in ("1", "2"):
        target, log = row[f"t_{stage}"], row[f"log2_t_{stage}"]
        about = "" if str(target).startswith("2^") else f"   (2^{log:.4f})"
        lines.append(f"  T_{stage}    {target}{about}")
    return [*lines, f"  S_min  {row['s_min']} steps"]


def _figures(table, best: dict) -> list[str]:
    rows = {row["quantity"]: row for row in table.to_dict("records")}
    lines = []
    for name, words in _SHOWN.items():
        row = rows[name]
        if name in ("depth", "depth_premined"):
            risk = best["risk" if name == "depth" else "risk_premined"]
            words = words.replace("confirmations", f"depth for risk {risk:.3g}")
        if name == "liveness":
            words += f", {best['confirmations']} deep"
        if not math.isfinite(row["value"]):
            lines.append(f"  {words:34} {row['method']}")
            continue
        ends = f"[{row['low']:.4g}, {row['high']:.4g}]"
        text = f"  {words:34} {row['value']:.4g} {row['unit']}  {ends}"
        if math.isfinite(row["seconds"]):
            text += f"  = {row['seconds']:.4g} s"
        lines.append(text)
    return lines


def _tiers(table) -> list[str]:
    rows = table.to_dict("records")
    if not rows:
        return []
    lines = [f"confirmations with a head start, risk {rows[0]['target']:.3g}, by tier:"]
    for row in rows:
        name = f"  {row['tier']} ({row['grade']})"
        if row["status"] == "refused":
            lines.append(f"{name:36} {row['refusal']}")
        elif not math.isfinite(row["value"]):
            lines.append(f"{name:36} none is safe")
        else:
            ends = f"[{row['low']:.0f}, {row['high']:.0f}]"
            lines.append(f"{name:36} {row['value']:.0f} blocks  {ends}")
    return [*lines, ""]


def _targets(table) -> list[str]:
    lines = ["targets (settings that come up to it / to all others / of all):"]
    for row in table.to_dict("records"):
        counts = "/".join(
            str(row[f"settings{which}"]) for which in ("_alone", "_without", "")
        )
        lines.append(f"  {row['target']:36} {row.get('verdict', '—'):8} {counts}")
    return lines


def _front(rows: list[dict]) -> list[str]:
    columns = ("confirmation", "useful", "beta", "beta_warm", "verification", "storage")
    head = f"  {'T_acc':>6} {'log2 T_1':>9} {'log2 T_2':>9} {'S_min':>6}"
    lines = ["front (no other one is better in everything):"]
    lines.append(head + "".join(f"{name:>13}" for name in columns))
    for row in rows[:_ROWS]:
        line = f"  {row['t_acc']:6g} {row['log2_t_1']:9.3f} {row['log2_t_2']:9.3f}"
        line += f" {row['s_min']:6d}"
        lines.append(line + "".join(f"{row[name]:13.4g}" for name in columns))
    return lines


def _sensitivity(table) -> list[str]:
    lines = ["what matters most: 1 % more of … changes the figure by … %"]
    for figure, group in table[table.value.notna()].groupby("figure", sort=False):
        ordered = group.reindex(group.value.abs().sort_values(ascending=False).index)
        words = [
            f"{row.parameter} {row.value:+.2f} [{row.low:+.2f}, {row.high:+.2f}]"
            for row in ordered.head(_NAMES).itertuples()
        ]
        lines.append(f"  {figure:14} {', '.join(words)}")
    return lines
