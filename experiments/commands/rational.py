"""The command that asks what rational provers do: rational."""

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars

_PRICE = click.FloatRange(min=0)


@click.command(cls=ConfigCommand)
@click.option(
    "--p-2",
    "p_2s",
    type=click.FloatRange(min=0, max=1, min_open=True),
    multiple=True,
    help="Post-hash chances that are tried, beside the config's own; 1, 1/4, … 1/256 "
    "unless given.",
)
@click.option(
    "--invalid",
    type=click.FloatRange(min=0, max=1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of tips that are invalid.",
)
@click.option(
    "--deposit",
    type=_PRICE,
    default=0.0,
    show_default=True,
    help="Block rewards that a block on an invalid tip forfeits.",
)
@click.option(
    "--verification-steps",
    type=_PRICE,
    help="Time of verifying a block; what its segments take to run again unless given.",
)
@click.option("--step-price", type=_PRICE, default=0.0, help="Block rewards a step.")
@click.option("--hash-price", type=_PRICE, default=0.0, help="Block rewards a hash.")
@click.option(
    "--verification-price",
    type=_PRICE,
    default=0.0,
    help="Block rewards for verifying a block.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=2),
    default=8,
    show_default=True,
    help="Resampled laws behind the intervals.",
)
def rational(
    config,
    overrides,
    p_2s,
    invalid,
    deposit,
    verification_steps,
    step_price,
    hash_price,
    verification_price,
    resamples,
    output,
    as_json,
    quiet,
) -> None:
    """Ask of a CONFIG which deviations pay, under every reward rule.

    One deviator among honest provers: hoarding a model, referring to nothing, skipping
    verification, padding steps, grinding, more identities, pooling. Then many: how
    much the best deviation gains (ε), alone and by two, and where a crowd that imitates
    what pays comes to rest.

    \b
    Example:
      dpodl rational quickstart --invalid 0.05
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ...analysis.incentives.market import Prices
        from ..questions import rational as asking

        asked = asking.Asked(
            p_2s=tuple(p_2s) or asking.P_2S,
            invalid=invalid,
            deposit=deposit,
            verification=verification_steps,
            prices=Prices(
                step=step_price, hash=hash_price, verification=verification_price
            ),
            resamples=resamples,
        )
        with progress_bars(quiet or as_json) as progress:
            tables = asking.rational(settings, output, progress, asked)
        folder = result_folder(settings.name, settings.chain_digest())
        asking.write(tables, folder, settings, command=recorded_command())
        if as_json:
            echo_json({k: v.to_dict("records") for k, v in tables.items()})
            return
        _told(tables, settings.scheme.p_2)
        click.echo(f"tables and figures: {folder}")


def _told(tables, p_2: float) -> None:
    deviations = tables["deviations"]
    here = deviations[deviations["p_2"] == p_2]
    for row in here.to_dict("records"):
        interval = f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        click.echo(f"{row['deviation']:12} {row['rule']:6} {interval:28} {row['pays']}")
    for row in tables["equilibrium"].to_dict("records"):
        click.echo(
            f"honest is an ε-equilibrium of these policies, rewards {row['rule']}: "
            f"ε = {row['epsilon']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"
            + (f", best {row['best']}" if row["best"] else "")
            + f"; two together: {row['epsilon_pair']:.4f} ({row['pair'] or 'none'})"
        )
    click.echo(
        f"columns at p_2 = {p_2:g}: deviation, reward rule, gain of income with 95 % "
        "interval, whether it pays. Other p_2: deviations.csv"
    )
