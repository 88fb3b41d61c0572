"""Commands about chains: mine, verify, show, compare, verification-cost."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from ..pipeline.machine import set_up_jax
from .options import (
    ConfigCommand,
    UserPath,
    chain_argument,
    json_option,
    quiet_option,
    recorded_command,
    result_folder,
    results_option,
)
from .terminal import clear_errors, echo_json, progress_bars


@click.command(cls=ConfigCommand, default="mining")
@click.option(
    "--output",
    type=UserPath(file_okay=False),
    default=Path("chains"),
    show_default=True,
    help="Folder of all chains; the chain gets a folder of its own in it.",
)
@click.option("--quiet", is_flag=True, help="No live status.")
def mine(config, overrides, output, as_json, quiet) -> None:
    """Mine a chain for real: hashes, training, proofs, blocks.

    Provers run on a virtual clock in this process; the chain is written as it grows.
    After an interruption the same command goes on, and ends in the same bytes.
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..mining import miner

        mined = miner.as_mined(settings)
        if mined is not settings and not as_json:
            click.echo(
                "adversary.attack is not set: all provers are mined as honest ones. "
                "--set adversary.attack=NAME has the corrupted ones attack; "
                f"known are {', '.join(miner.ATTACKS)}"
            )
        settings = mined
        with _live_status(quiet or as_json) as report:
            result = miner.mine(settings, output, report)
        if as_json:
            echo_json(result)
            return
        status = result.status
        click.echo(
            f"height {status.height}, {status.forks} forks, {status.mtxs} model "
            f"transactions, {status.time:,.0f} steps of virtual time"
        )
        for reason, times in result.refusals.items():
            click.echo(f"refused {times} times: {reason}")
        click.echo(f"mined {result.mined} blocks in {result.seconds:.1f} s")
        if settings.mining.keys is None:
            click.echo(
                "keys: they follow from the config, so anybody who has it can sign in "
                'any name (miner.keys = "secret" draws them)'
            )
        else:
            click.echo(f"keys: secret, in {result.folder}.keys")
        click.echo(f"chain: {result.folder}")


@click.command()
@chain_argument
@click.option(
    "--challenges",
    type=click.IntRange(min=0),
    help="q, segments re-run besides the last; the chain's own number unless given.",
)
@click.option(
    "--later",
    is_flag=True,
    help="Draw q more from this run's own coins, which nobody could foresee.",
)
@click.option("--full", is_flag=True, help="Run all training again.")
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="d, blocks after a forged one that its forger may own too.",
)
@click.option("--genesis", metavar="HASH", help="The genesis' digest, from elsewhere.")
@click.option("--tip", metavar="HASH", help="The tip's digest, from elsewhere.")
@click.option(
    "--config",
    "settings",
    metavar="CONFIG",
    help="Settings that rules, tasks, data and seed must follow from.",
)
@json_option
@quiet_option
def verify(
    chain, challenges, later, full, depth, genesis, tip, settings, as_json, quiet
) -> None:
    """Check a CHAIN folder as a stranger would, training included.

    The genesis is compared with its config and what is pinned, every record with the
    rules, every file with its name. Then training is run again: segments that the
    block d + 1 after a proof's draws, all segments of younger blocks. For each block
    it says what forging it would take, in units of honest training.

    \b
    Exit codes: 0 valid; 1 refused, with the reason; 3 all but the training is valid,
    and it was mined on another build, whose bits this one need not reproduce.
    """
    with clear_errors():
        from ..mining import files, verification_text

        files.require_chain(chain)
        pinned = None
        if settings is not None:
            from ..config.loading import load_config

            pinned = load_config(settings)
        set_up_jax()
        from ..mining import unbound, verifying

        with progress_bars(quiet or as_json) as progress:
            report = verifying.verify_chain(
                chain,
                challenges=challenges,
                later=later,
                full=full,
                depth=depth,
                pins=unbound.Pins(genesis, tip, pinned),
                report=lambda done, total: progress("training again", done, total),
            )
        if as_json:
            echo_json(report)
            return
        verification_text.write(report)


@click.command()
@chain_argument
@click.argument("height", type=click.IntRange(min=1), required=False)
@json_option
def show(chain, height, as_json) -> None:
    """Show a CHAIN folder, or its block at HEIGHT: references, rewards, transactions.

    All rules are checked but the training; `dpodl verify` runs that again.
    """
    with clear_errors():
        set_up_jax()
        from ..mining import text

        described = text.describe(chain, height)
        if as_json:
            click.echo(json.dumps(described, indent=1))
        else:
            text.write(described)


@click.command("verification-cost", cls=ConfigCommand, default="mining")
@click.option(
    "--steps", type=click.IntRange(min=1), default=600, show_default=True, help="S."
)
@click.option(
    "--output",
    type=UserPath(dir_okay=False),
    help="A CSV file for the table, all columns.",
)
def verification_cost(config, overrides, steps, output, as_json, quiet) -> None:
    """Measure what a proof costs to check, beside what it cost to make.

    Trains one model of the CONFIG's menu, for several distances of checkpoints, and
    verifies it with several numbers of challenges.
    """
    with clear_errors():
        from ..config.loading import load_config

        settings = load_config(config, overrides)
        set_up_jax()
        from ..mining import verification_cost as costs
        from ..store.files import table_bytes
        from ..store.run_folder import write_listed

        with progress_bars(quiet or as_json) as progress:
            table = costs.config_costs(settings, steps, progress)
        if output is not None:
            command = recorded_command()
            write_listed(output, table_bytes(table.assign(command=command)), command)
        if as_json:
            click.echo(table.to_json(orient="records", indent=1))
            return
        click.echo(table[list(costs.SHOWN)].to_string(index=False))
        for name in costs.SHOWN:
            click.echo(f"{name}: {costs.COLUMNS[name]}")


@click.command()
@chain_argument
@results_option
@json_option
@quiet_option
def compare(chain, output, as_json, quiet) -> None:
    """Model against reality: a mined CHAIN beside what its own law predicts.

    Trains other models of the chain's settings, makes the block-time law, simulates
    the network, and compares intervals, their CV and the forks.

    \b
    Example:
      dpodl mine reality && dpodl compare chains/reality-*
    """
    with clear_errors():
        set_up_jax()
        from ..mining import files, reality

        with progress_bars(quiet or as_json) as progress:
            found = reality.compare(chain, output, progress)
        folder = result_folder(chain.resolve().name, files.chain_identity(chain))
        reality.write(found, folder, command=recorded_command())
        rows: Any = found.tables["agreement"]
        if as_json:
            click.echo(rows.to_json(orient="records", indent=1))
            return
        click.echo(f"{found.levels} mined levels, a law from {found.runs} trainings")
        for row in rows.to_dict("records"):
            error = (row["mined_se"] ** 2 + row["predicted_se"] ** 2) ** 0.5
            click.echo(
                f"{row['quantity']:16} mined {row['mined']:10.4g}   predicted "
                f"{row['predicted']:10.4g}   s.e. {error:8.2g}   p {row['p_value']:.3f}"
            )
        click.echo(f"tables and figure: {folder}")


@contextmanager
def _live_status(quiet: bool) -> Iterator:
    """One line on standard error that says how far the chain is."""
    from rich.console import Console

    if quiet:
        yield lambda status: None
        return

    with Console(stderr=True).status("mining") as line:

        def report(status) -> None:
            line.update(
                f"height {status.height}/{status.target}  forks {status.forks}  "
                f"mtx {status.mtxs}  refused {status.refused}  "
                f"latest accuracy {status.accuracy:.3f}  t = {status.time:,.0f} steps"
            )

        yield report
