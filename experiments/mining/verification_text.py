"""What `dpodl verify` says, in words."""

import math
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from .verifying import ChainReport, Checked


def write(report: "ChainReport") -> None:
    """Print a report: what was asked, what was checked, what is the miner's word."""
    closed = "closed" if report.closed else "not closed"
    click.echo(
        f"valid: height {report.height}, {report.blocks} blocks, {report.mtxs} model "
        f"transactions, {report.files} files, log {closed}; {report.challenges} "
        f"challenges a proof; {report.seconds:.1f} s"
    )
    click.echo(f"genesis {report.chain}")
    click.echo(f"tip {report.tip}")
    click.echo("what a block had to do:")
    for line in report.asked:
        click.echo(f"  {line}")
    share = report.rerun_steps / report.steps if report.steps else 0.0
    click.echo(
        f"run again: {report.rerun_steps:,} of {report.steps:,} training steps "
        f"({share:.0%})"
    )
    _write_records(report)
    click.echo("the miner's word:")
    for line in report.word:
        click.echo(f"  {line}")
    if report.coins:
        click.echo(f"drawn from coins {report.coins}")


def _write_records(report: "ChainReport") -> None:
    if not report.records:
        return
    click.echo(
        f"certified up to height {report.certified}; expected work of a forger that "
        f"owns the next {report.depth} blocks too (and of one that owns the next "
        f"{report.depth + 1}), in units of honest training:"
    )
    for each in report.records:
        click.echo(f"  {_line(each, report)}")


def _line(each: "Checked", report: "ChainReport") -> str:
    start = (
        f"{each.height:5}  {each.kind:5}  {each.name[:10]}  {each.steps:6} steps, "
        f"{each.rerun} of {each.segments} segments run again"
    )
    if each.status == "young":
        own = "impossible" if math.isinf(each.own_work) else f"{each.own_work:.2f}"
        return f"{start}; not yet certified (for its receivers so far: {own})"
    if math.isinf(each.work):
        return f"{start}; none can be forged"
    return f"{start}; {each.work:.2f} ({each.deep_work:.2f})"
