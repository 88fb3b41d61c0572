"""The command that asks what a law that is not memoryless does: effects."""

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars


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
