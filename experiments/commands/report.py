"""The command that shows results: report."""

import click

from .options import UserPath, accept_option
from .terminal import clear_errors, warn_of


@click.command()
@click.argument("target", type=UserPath(file_okay=False))
@click.option(
    "--output",
    type=UserPath(dir_okay=False),
    help="Where the page is written; report.html in the target unless given.",
)
@click.option(
    "--open",
    "open_it",
    type=click.Choice(["yes", "no"]),
    default="no",
    show_default=True,
    help="Show the page in the browser.",
)
@accept_option
def report(target, output, open_it, accept_changed) -> None:
    """Write one HTML page of a run folder or a sweep's store.

    The page holds its data and loads nothing: it can be mailed, archived and opened
    without a network. Of a sweep it shows maps and curves with a slider a parameter.

    \b
    Examples:
      dpodl report runs/quickstart-67abb8ec07
      dpodl report sweeps/thresholds --output thresholds.html --open yes
    """
    with clear_errors():
        from .. import report as reporting

        path, changed = reporting.write(target, output, accept_changed=accept_changed)
        warn_of(changed)
        click.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
        if open_it == "yes":
            click.launch(path.resolve().as_uri())
