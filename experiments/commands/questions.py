"""Commands that ask of a law: threshold, attack, effects; and validate."""

import math
import sys
from typing import Any

import click

from ..pipeline.machine import set_up_jax
from .options import (
    ConfigCommand,
    json_option,
    quiet_option,
    recorded_command,
    result_folder,
)
from .terminal import BAD_INPUT, FAILED, clear_errors, echo_json, fail, progress_bars


@click.command(cls=ConfigCommand)
@click.option(
    "--depth",
    "depths",
    type=click.IntRange(min=1),
    multiple=True,
    help="Confirmations; may be given several times. security.confirmations and "
    "security.depths unless given.",
)
def threshold(config, overrides, depths, output, as_json, quiet) -> None:
    """Find the largest corrupted share β at which the target still holds.

    \b
    Example:
      dpodl threshold quickstart --depth 20 --set security.target=1e-9
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..own.words import interval_words
        from ..questions import threshold as asking
        from ..questions.threshold_tiers import bracket_table
        from ..questions.worlds import criterion_words

        security = settings.security
        chosen = depths or (security.confirmations, security.depths)
        with progress_bars(quiet or as_json) as progress:
            table = asking.threshold_table(settings, output, tuple(chosen), progress)
            tiers = bracket_table(settings, output, tuple(chosen), progress)
        folder = result_folder(settings.name, settings.chain_digest())
        tables = {"threshold": table, "bracket": tiers}
        asking.write(tables, folder, settings, command=recorded_command())
        rows: Any = table.to_dict("records")
        shares: Any = tiers.to_dict("records")
        if as_json:
            echo_json([*rows, *({"rule": "tier", **each} for each in shares)])
            return
        for row in rows:
            what = row["rule"]
            if row["depth"] == row["depth"]:
                what = f"{row['depth']:.0f} deep, risk {row['target']:g}, {what}"
            if row["beta"] != row["beta"]:
                click.echo(f"{what:44} {row['method']}")
                continue
            click.echo(
                f"{what:44} β < {row['beta']:.4f}   [{row['low']:.4f}, "
                f"{row['high']:.4f}]"
            )
        click.echo(
            f"Private chain, {criterion_words(settings)}, every honest message Δ "
            f"late;\n{interval_words(settings)}."
        )
        _show_shares(shares)
        click.echo(f"tables: {folder}")


def _show_shares(rows: list[dict]) -> None:
    """The shares by tier: an attack's from above, a bound from below."""
    if not rows:
        return
    from ..world.tier_words import what_reverts

    ways = [row["method"] for row in rows if row["depth"] > 0 and row["method"]]
    said = f", where {what_reverts(ways[0])}" if ways else ""
    click.echo(
        f"\nBy tier, with a head start{said}; intervals from a\nfew of the resamples, "
        "so not those above; `dpodl figures` draws the bracket:"
    )
    for row in rows:
        deep = row["depth"] == row["depth"]
        what = f"{row['depth']:.0f} deep" if deep else "any depth"
        of = "" if row["grade"] == "attack" else f" ({row['grade']})"
        what = f"{what}, {row['tier']}{of}"
        if row["beta"] != row["beta"]:
            click.echo(f"{what:47} {row['refusal']}")
            continue
        sign = "≤" if of else "<"
        click.echo(
            f"{what:47} β {sign} {row['beta']:.4f}  [{row['low']:.4f}, "
            f"{row['high']:.4f}]"
        )


@click.command(cls=ConfigCommand)
@click.option(
    "--branches",
    type=click.IntRange(min=10),
    help="adversary.branches: trainings branched off a referenced model, each kind.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="Resampled laws behind the intervals.",
)
def attack(config, overrides, branches, resamples, output, as_json, quiet) -> None:
    """Try every attack of the scheme on a CONFIG, its mitigation off and on.

    Measures what a referenced model saves by branching real trainings off it, builds
    each attacker's block-time law, and finds the confirmations that still hold.

    \b
    Example:
      dpodl attack quickstart --set protocol.s_min=400
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import attack as attacking

        with progress_bars(quiet or as_json) as progress:
            table = attacking.attack(
                settings,
                output,
                progress,
                branches=branches or settings.adversary.branches,
                resamples=resamples,
            )
        folder = result_folder(settings.name, settings.chain_digest())
        attacking.write(table, folder, settings, command=recorded_command())
        rows: Any = table.to_dict("records")
        if as_json:
            echo_json(rows)
            return
        depth = f"depth_{settings.security.target:.3g}"
        for row in rows:
            name = row["attack"]
            if row["mitigation"]:
                name += f", {row['mitigation']} {'on' if row['on'] else 'off'}"
            blocks = _blocks(row[depth], row[f"{depth}_low"], row[f"{depth}_high"])
            share = row["quality"]
            quality = "" if share != share else f"{share:.3f}"
            window = row["good_period"]
            good = "" if window != window else f"{window:.3f}"
            click.echo(f"{name:58} {blocks:22} {quality:6} {good:6} {row['verdict']}")
        click.echo(
            f"columns: confirmations for risk {settings.security.target:g} with 95 % "
            "interval, chain quality, Pr[a window of 10 expected blocks is good], "
            "verdict. Reasons and assumptions: attacks.csv"
        )
        click.echo(f"table and figure: {folder}")


def _blocks(value: float, low: float, high: float) -> str:
    def number(depth: float) -> str:
        return "∞" if math.isinf(depth) else f"{depth:.0f}"

    if value != value:
        return "—"
    return f"{number(value)} [{number(low)}, {number(high)}]"


@click.command(cls=ConfigCommand)
@click.option(
    "--branches",
    type=click.IntRange(min=10),
    default=24,
    show_default=True,
    help="Trainings that are branched off a referenced model.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=2, max=8),
    default=8,
    show_default=True,
    help="Resampled laws behind the intervals.",
)
def effects(config, overrides, branches, resamples, output, as_json, quiet) -> None:
    """Measure on a CONFIG what block times that are not memoryless do.

    Sweeps the second lottery p_2 and measures, from real training curves: how far the
    network is from memoryless, how a fast machine dominates, forks of provers that
    restart together, and whether saved or pooled work acts as an extra delay. Each
    effect gets a table and a finding: it holds, does not hold, or is not decided.

    \b
    Example:
      dpodl effects quickstart --set protocol.retry=restart
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import effects as measuring

        with progress_bars(quiet or as_json) as progress:
            found = measuring.effects(
                settings, output, progress, branches=branches, resamples=resamples
            )
        folder = result_folder(settings.name, settings.chain_digest())
        measuring.write(found, folder, settings, command=recorded_command())
        if as_json:
            tables = {k: v.to_dict("records") for k, v in found.tables.items()}
            echo_json(
                {
                    "folder": folder,
                    "findings": found.findings.to_dict("records"),
                    "refused": found.refused.to_dict("records"),
                    "tables": tables,
                }
            )
            return
        for row in found.findings.to_dict("records"):
            click.echo(f"{row['effect']} ({row['verdict']}): {row['sentence']}\n")
        for row in found.refused.to_dict("records"):
            click.echo(f"left out: 1/p_2 = {1 / row['p_2']:g}: {row['reason']}")
        click.echo("± one standard error, of the training runs and the simulation.")
        click.echo(f"tables and figures: {folder}")


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Of the draws.")
@click.option("--list", "only_list", is_flag=True, help="List the cases.")
@json_option
@quiet_option
def validate(cases, seed, only_list, as_json, quiet) -> None:
    """Run the engines against every published and exact value they must meet.

    CASES are names of `--list`; without any, all of them: about a minute. Exact rows
    are judged to their digits, random ones at 3.5 standard errors.

    \b
    Exit codes: 0 all is right; 1 something is off, FAILED in the table.
    """
    with clear_errors():
        import time

        set_up_jax()

        from ...analysis.validation import check as checks, suite
        from ...models.learning.pins import seed_key

        if only_list:
            for case in suite.cases():
                click.echo(f"{case.name:20} {case.about}")
            return
        with progress_bars(quiet or as_json) as progress:
            try:
                found = suite.validate(
                    seed_key(suite.SEED if seed is None else seed),
                    cases or None,
                    progress,
                    clock=time.perf_counter,
                )
            except ValueError as error:
                fail(str(error), BAD_INPUT)
        failed = suite.failures(found)
        if as_json:
            echo_json([check._asdict() for check in found])
        else:
            for check in found:
                click.echo(checks.as_line(check))
            judged = sum(check.passed is not None for check in found)
            click.echo(
                f"{judged} judged, {len(failed)} off. A right program fails by chance "
                f"with probability {checks.false_alarm_level(found):.2g} a fresh seed."
            )
        if failed:
            sys.exit(FAILED)
