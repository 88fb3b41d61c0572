"""``dpodl explore``: a run's figures under sliders, in the browser."""

import sys

import click

from ..pipeline.machine import set_up_jax
from .options import UserPath
from .terminal import clear_errors


@click.command()
@click.argument("run", type=UserPath(exists=True, file_okay=False))
@click.option(
    "--port",
    type=click.IntRange(1024, 65535),
    default=2718,
    show_default=True,
    help="Of this machine's own address, 127.0.0.1.",
)
@click.option(
    "--open",
    "open_it",
    type=click.Choice(["yes", "no"]),
    default="yes",
    show_default=True,
    help="Show it in the browser.",
)
def explore(run, port, open_it) -> None:
    """Move T_acc, T_1, T_2, n, β, Δ and the target of a RUN, and see what follows.

    The library answers every move from the run's own learning curves: the law of the
    block time, confirmations and good periods with their intervals, and the config of
    what is seen, to be copied. Only this machine can reach it. Needs the extra
    `explore` (marimo: an app that is a plain Python file, with sliders that compute
    again what depends on them and nothing else).

    \b
    Example:
      dpodl explore runs/quickstart-67abb8ec07
    """
    with clear_errors():
        set_up_jax()
        from ..explorer import serving
        from ..explorer.answers import opened

        serving.command(run, port, browser=False)
        opened(run)
        click.echo(f"http://{serving.HOST}:{port} (Ctrl+C ends it)")
        sys.stdout.flush()
        serving.serve(run, port, browser=open_it == "yes")
