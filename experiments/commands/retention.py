"""The command that asks what kept checkpoints prove: retention."""

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars

_POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command(cls=ConfigCommand)
@click.option(
    "--deadline",
    "deadlines",
    type=_POSITIVE,
    multiple=True,
    help="Answer deadlines in seconds; 1, 10, 60, 600 and 1800 unless given.",
)
@click.option(
    "--leverage",
    type=click.FloatRange(min=1),
    default=1.0,
    show_default=True,
    help="How much faster than this one a cheater's device is.",
)
@click.option(
    "--window",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Blocks for which a block's checkpoints may be asked for.",
)
@click.option(
    "--challenges",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Challenges that a block makes.",
)
@click.option(
    "--prune",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Blocks after which the policy that prunes keeps only models.",
)
@click.option(
    "--byte-price",
    type=click.FloatRange(min=0),
    default=1e-15,
    show_default=True,
    help="Of a byte kept for an interval, block rewards.",
)
@click.option(
    "--step-price",
    type=click.FloatRange(min=0),
    default=1e-9,
    show_default=True,
    help="Of a training step, block rewards.",
)
def retention(
    config,
    overrides,
    deadlines,
    leverage,
    window,
    challenges,
    prune,
    byte_price,
    step_price,
    output,
    as_json,
    quiet,
) -> None:
    """Ask of a CONFIG what keeping checkpoints costs, and what it proves.

    Checkpoints can be trained again, so an answer proves that they were kept only if
    it comes sooner than training does. Times this device, and finds from which
    training length on a deadline proves anything, and what is cheaper: storing or
    training again.

    \b
    Example:
      dpodl retention quickstart --deadline 10 --leverage 8
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import retention as asking

        asked = asking.Asked(
            deadlines=tuple(deadlines) or asking.DEADLINES,
            leverage=leverage,
            window=window,
            challenges=challenges,
            prune=prune,
            byte_price=byte_price,
            step_price=step_price,
        )
        with progress_bars(quiet or as_json) as progress:
            tables = asking.retention(settings, output, progress, asked)
        folder = result_folder(settings.name, settings.chain_digest())
        asking.write(tables, folder, settings, command=recorded_command())
        if as_json:
            echo_json({k: v.to_dict("records") for k, v in tables.items()})
            return
        for row in tables["block"].to_dict("records"):
            click.echo(f"{row['quantity']:14} {row['value']:.4g} {row['unit']}")
        for row in tables["deadlines"].to_dict("records"):
            said = "may prove" if row["proves"] else "proves nothing here"
            click.echo(
                f"deadline {row['deadline_seconds']:g} s: {said}; a block must take "
                f"{row['proving_steps']:.0f} steps, "
                f"{row['blocks_of_now']:.3g} times one of now"
            )
        click.echo(f"tables and figure: {folder}")
