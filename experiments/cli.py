"""The command line, ``dpodl``.

Nothing heavy is imported until a command needs it, so that ``--help`` answers at once.
"""

import click

from ..benchmarks.command import bench
from .commands.chain import compare, mine, show, verification_cost, verify
from .commands.design import design
from .commands.explore import explore
from .commands.feedback import feedback
from .commands.logs import set_up_logging
from .commands.own import estimate, finality, import_file
from .commands.questions import attack, effects, threshold, validate
from .commands.rational import rational
from .commands.records import clean, diff
from .commands.results import export, figures, report
from .commands.retention import retention
from .commands.risk import risk
from .commands.run import calibrate_clock, configs, run
from .commands.sweep import results, status, sweep
from .commands.terminal import Program
from .commands.training import calibrate, train
from .commands.withholding import withholding


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dpodl")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Log what is done; -vv: all, and what jax compiles.",
)
def main(verbose: int) -> None:
    """Is a blockchain whose work is deep learning safe?

    Trains many small models, turns their learning curves into a block-time law, and
    estimates good periods, persistence and liveness of a D-PoDL chain from it.

    \b
    Examples:
      dpodl run quickstart
      dpodl run quickstart --set scheme.t_acc=0.97 --set 'scheme.t_2=2^254'
      dpodl run paper --set data.path=mnist.npz
      dpodl sweep quickstart --over scheme.t_acc=0.90:0.98:0.01
      dpodl mine mining
      dpodl verify chains/mining-*
    """
    set_up_logging(verbose)


for _command in (
    run,
    configs,
    calibrate_clock,
    calibrate,
    train,
    sweep,
    results,
    status,
    figures,
    export,
    report,
    diff,
    clean,
    explore,
    threshold,
    risk,
    attack,
    effects,
    feedback,
    rational,
    retention,
    withholding,
    design,
    finality,
    estimate,
    import_file,
    validate,
    mine,
    verify,
    show,
    compare,
    verification_cost,
    bench,
):
    main.add_command(_command)
