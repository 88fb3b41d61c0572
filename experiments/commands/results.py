"""The command that draws results: figures."""

import click

from ..pipeline.machine import set_up_jax
from .options import UserPath, accept_option, quiet_option
from .terminal import clear_errors, progress_bars, warn_of


@click.command()
@click.argument("target", type=UserPath(file_okay=False))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--output",
    type=UserPath(file_okay=False),
    help="Where the figures are written; TARGET/figures unless given.",
)
@accept_option
@quiet_option
def figures(target, names, output, accept_changed, quiet) -> None:
    """Draw figures and tables of a run folder or a sweep's store.

    Each comes as PDF, SVG, PNG and as the CSV of what is drawn, table_2 as LaTeX and
    CSV. Without NAMEs all are made that TARGET has the numbers for; the others are
    listed with what they lack.

    \b
    Examples:
      dpodl figures runs/quickstart-67abb8ec07
      dpodl figures runs/sweep-sweep-1b2c3d4e5f block_rate good_period_map
    """
    with clear_errors():
        set_up_jax()
        from .. import figure_files

        folder = target / "figures" if output is None else output
        with progress_bars(quiet) as progress:
            made = figure_files.write(
                target, names, folder, progress, accept_changed=accept_changed
            )
        warn_of(made.changed)
        for name, files in made.files.items():
            click.echo(f"{name}: {', '.join(path.name for path in files)}")
        for name, reason in made.left_out.items():
            click.echo(f"left out: {name}: {reason}")
        click.echo(f"written to {folder}" if made.files else "nothing to draw")
