"""The command that asks for the best withholding strategy: withholding."""

from typing import Any

import click

from ..pipeline.machine import set_up_jax
from .options import ConfigCommand, recorded_command, result_folder
from .terminal import clear_errors, echo_json, progress_bars

_NAMES = {
    "honest": "honest play",
    "sm1": "SM1 (Eyal, Sirer)",
    "best_withholding": "best policy found, replayed",
    "best_withholding_on_grid": "its value on the grid",
    "upper_end": "no strategy earns more than",
}


@click.command(cls=ConfigCommand)
@click.option(
    "--depth",
    type=click.IntRange(min=2, max=80),
    default=7,
    show_default=True,
    help="Longest branch of a fork.",
)
@click.option(
    "--cells",
    type=click.IntRange(min=8, max=1000),
    default=108,
    show_default=True,
    help="Cells of age of the policy.",
)
@click.option(
    "--upper-cells",
    type=click.IntRange(min=0, max=2000),
    default=216,
    show_default=True,
    help="Cells of age of the upper end, which gets sharper like their number; 0: "
    "none.",
)
def withholding(
    config, overrides, depth, cells, upper_cells, output, as_json, quiet
) -> None:
    """Find the best withholding strategy on a CONFIG's law, and bound them all.

    Ages of honest and of own work are part of the strategy: it may publish a withheld
    block just before honest provers would have found theirs. No delay; ties by
    adversary.gamma; equal provers that are blind to their accuracy. Writes the policy
    as policy.npz, which another program can replay, and draws it.

    \b
    Example:
      dpodl withholding quickstart --set adversary.gamma=0 --set network.beta=0.35
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..questions import withholding as asking

        with progress_bars(quiet or as_json) as progress:
            found = asking.withholding(
                settings,
                output,
                progress,
                depth=depth,
                cells=cells,
                upper_cells=upper_cells,
            )
        folder = result_folder(settings.name, settings.chain_digest())
        asking.write(found, folder, settings, command=recorded_command())
        rows: Any = found.revenue.to_dict("records")
        if as_json:
            echo_json({"folder": str(folder), "withholding": rows})
            return
        for row in rows:
            text = f"{_NAMES[row['strategy']]:30}"
            if row["value"] != row["value"]:
                click.echo(f"{text} refused: {row['method']}")
            elif row["count"]:
                ends = f"[{row['low']:.4f}, {row['high']:.4f}]"
                click.echo(f"{text} {row['value']:.4f}   {ends}")
            else:
                click.echo(f"{text} {row['value']:.4f}")
        click.echo(
            f"Share of the settled blocks, no delay, γ = {settings.adversary.gamma:g}, "
            f"forks up to {depth} blocks;\nintervals 95 %, of the simulation only."
        )
        click.echo(f"policy.npz, tables and figure: {folder}")
