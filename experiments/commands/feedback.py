"""The command that asks what rules that move T_2 do: feedback."""

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars


@click.command(cls=ConfigCommand)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="NAME[+SWITCH...]",
    help="epoch, epoch_mended, wtema, asert, lwma, sma, cw144 or steps, with +schedule "
    "(N becomes N(1 − s)), +measured (s from proven steps), +anti-windup; may be given "
    "several times. All of them unless given.",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    help="provers-double, provers-halve, speed-double, speed-halve, saturation, liars, "
    "on-off or task-switch; may be given several times. All of them unless given.",
)
@click.option(
    "--sd",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="sd of the expected interval at constant power, over T: each rule has the N "
    "that gives it.",
)
@click.option(
    "--recovery",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    help="Blocks within which a rule shall recover.",
)
@click.option(
    "--switch",
    type=click.FloatRange(0, 1, min_open=True),
    help="t_acc of the task that is switched to; 1 − 1.4 (1 − t_acc) unless given.",
)
@click.option(
    "--blocks",
    type=click.IntRange(min=256, max=1 << 16),
    default=2048,
    show_default=True,
    help="Length of each chain.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=20, max=1 << 16),
    default=200,
    show_default=True,
    help="Chains.",
)
def feedback(
    config,
    overrides,
    rules,
    scenarios,
    sd,
    recovery,
    switch,
    blocks,
    replicas,
    output,
    as_json,
    quiet,
) -> None:
    """Try rules that move T_2 by what a chain sees, on a CONFIG's curves.

    Makes the rules equally steady, lets provers, speeds and tasks change under them,
    and tells how far and for how long intervals stray, what liars and on/off miners
    gain, and how safe blocks are meanwhile; a memoryless chain stands beside.

    \b
    Example:
      dpodl feedback quickstart --rule asert --rule lwma --scenario provers-double
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import feedback as asking

        asked = asking.Asked(
            rules or asking.DEFAULT_RULES,
            scenarios,
            sd,
            recovery,
            switch,
            blocks,
            replicas,
        )
        with progress_bars(quiet or as_json) as progress:
            found = asking.feedback(settings, output, progress, asked)
        folder = result_folder(settings.name, settings.chain_digest())
        asking.write(found, folder, settings, command=recorded_command())
        if as_json:
            tables = {k: v.to_dict("records") for k, v in found._asdict().items()}
            echo_json({"folder": folder, **tables})
            return
        for line in _lines(found):
            click.echo(line)
        click.echo(f"tables and figures: {folder}")


def _lines(found):
    law = found.law.set_index("quantity")
    value, low, high = law.value, law.low["gain"], law.high["gain"]
    yield (
        f"interval {value['mean']:.4g} steps, CV {value['cv']:.3f}, loop gain "
        f"{value['gain']:.3f} [{low:.3f}, {high:.3f}] to p_2 and "
        f"{value['power_gain']:.3f} to provers; with p_2 = 1 it is still "
        f"{value['least']:.3f} of that"
    )
    for name, ranks in found.ranking.groupby("law", sort=False):
        yield f"\n{name}: distance from T over the best rule's, all scenarios"
        blocks = found.tuned[found.tuned.law == name].set_index("rule")
        for row in ranks.to_dict("records"):
            reason = blocks.reason[row["rule"]]
            note = f"   not as steady: {reason}" if reason else ""
            yield (
                f"{row['rank']:3}  {row['rule']:28} {row['score']:7.3f}   N = "
                f"{blocks.blocks[row['rule']]:.4g}{note}"
            )
    if not found.choice.empty:
        held = found.choice[found.choice.holds]
        yield "\nsteady enough and fast enough:"
        for rule, rows in held.groupby("rule", sort=False):
            cases = ", ".join(rows.scenario)
            yield f"  {rule}, N = {rows.blocks.iloc[0]:.4g}: {cases}"
        if held.empty:
            yield "  none"
    yield "Intervals, in the tables, are of the simulation; those of the law are of the"
    yield "training runs."
