"""The command line: run and its kin; mine, verify, show, compare.

Nothing heavy is imported until a command needs it, so that ``--help`` answers at once.
Exit codes: 0 done; 1 the work could not be done, or a chain is refused (the message
says why); 2 bad input; 3 proofs cannot be re-executed on this build; 130 interrupted.
"""

import errno
import json
import math
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

_FAILED, _BAD_INPUT, _FOREIGN_BUILD, _INTERRUPTED = 1, 2, 3, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dpodl")
def main() -> None:
    """Is a blockchain whose work is deep learning safe?

    Trains many small models, turns their learning curves into a block-time law, and
    estimates good periods, persistence and liveness of a D-PoDL chain from it.

    \b
    Examples:
      dpodl run quickstart
      dpodl run quickstart --set scheme.t_acc=0.97 --set 'scheme.t_2=2^254'
      dpodl run paper --set data.path=mnist.npz
      dpodl mine mining
      dpodl verify chains/mining-*
    """


@main.command()
@click.argument("config")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Change a setting of the config; may be given several times.",
)
@click.option(
    "--clock",
    type=click.Path(path_type=Path),
    help="A file that `dpodl calibrate-clock` wrote: this machine's times.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; the run gets a folder of its own in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def run(config, overrides, clock, output, as_json, quiet) -> None:
    """Run an experiment: a TOML file or a shipped config's name.

    What is already there and intact is not computed again; after an interruption the
    same command goes on where it stopped.
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides, clock)
        _set_up_jax()
        from . import runner, summary

        words = ["dpodl", "run", config]
        words += [word for override in overrides for word in ("--set", override)]
        words += ["--clock", str(clock)] if clock else []
        command = shlex.join(words)
        with _progress(quiet or as_json) as progress:
            result = runner.run(settings, output, progress, command=command)
        judged = summary.verdict(settings, result.tables)
        if as_json:
            click.echo(
                json.dumps(
                    {
                        "folder": str(result.folder),
                        "verdict": judged._asdict(),
                        "recomputed": result.recomputed,
                        "estimates": json.loads(
                            result.tables["estimates"].to_json(orient="records") or "[]"
                        ),
                    },
                    indent=1,
                )
            )
        else:
            _print_result(settings, result, judged)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def configs(as_json) -> None:
    """List the configs that come with the package."""
    with _clear_errors():
        from .config import load_config, shipped_configs

        described = {name: load_config(name).description for name in shipped_configs()}
        if as_json:
            click.echo(json.dumps(described, indent=1))
            return
        for name, description in described.items():
            click.echo(f"{name:12} {description}")


@main.command("calibrate-clock")
@click.argument("config", default="quickstart")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("clock.toml"),
    show_default=True,
    help="Where the measured [clock] is written.",
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def calibrate_clock(config, overrides, output, quiet) -> None:
    """Measure seconds a step and hashes a step on this machine.

    Times every architecture and batch size of the CONFIG's menu, and SHA-256 on one
    core. Use the file with `dpodl run CONFIG --clock clock.toml`.
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides)
        _set_up_jax()
        import tomli_w

        from ..models.curves import training_set
        from .clock import measure_clock
        from .datasets import config_dataset
        from .store import write_atomically

        dataset = config_dataset(settings)
        data = training_set(dataset.x_train, dataset.y_train)
        with _progress(quiet) as progress:
            clock = measure_clock(settings, data, progress)
        table = {
            "clock": {
                "hashes_per_step": float(f"{clock.hashes_per_step:.4g}"),
                "seconds_per_step": float(f"{clock.seconds_per_step:.4g}"),
                "step_seconds": {
                    name: float(f"{seconds:.4g}")
                    for name, seconds in clock.step_seconds.items()
                },
            }
        }
        write_atomically(output, tomli_w.dumps(table).encode())
        click.echo(f"{clock.hashes_per_second:,.0f} hashes a second on one core")
        for name, seconds in clock.step_seconds.items():
            click.echo(f"{name:16} {seconds * 1e6:10,.1f} µs a step")
        click.echo(f"mean of the menu {clock.seconds_per_step * 1e6:10,.1f} µs a step")
        click.echo(f"written to {output}")


@main.command()
@click.argument("config", default="mining")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Change a setting of the config; may be given several times.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("chains"),
    show_default=True,
    help="Folder of all chains; the chain gets a folder of its own in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No live status.")
def mine(config, overrides, output, as_json, quiet) -> None:
    """Mine a chain for real: hashes, training, proofs, blocks.

    Provers run on a virtual clock in this process; the chain is written as it grows.
    After an interruption the same command goes on from the last record.
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides)
        _set_up_jax()
        from . import mining

        with _live_status(quiet or as_json) as report:
            result = mining.mine(settings, output, report)
        if as_json:
            _echo_json(result)
            return
        status = result.status
        click.echo(
            f"height {status.height}, {status.forks} forks, {status.mtxs} model "
            f"transactions, {status.time:,.0f} steps of virtual time"
        )
        for reason, times in result.refusals.items():
            click.echo(f"refused {times} times: {reason}")
        click.echo(f"mined {result.mined} blocks in {result.seconds:.1f} s")
        click.echo(f"chain: {result.folder}")


@main.command()
@click.argument("chain", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--challenges",
    type=click.IntRange(min=0),
    help="q, segments re-run besides the last; the chain's own number unless given.",
)
@click.option(
    "--later",
    is_flag=True,
    help="Draw challenges from the last block too, which no prover could foresee.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def verify(chain, challenges, later, as_json, quiet) -> None:
    """Check a CHAIN folder as a stranger would, training included.

    Every file is compared with its name, every record with the rules, and challenged
    training segments are run again and compared bit for bit.

    \b
    Exit codes: 0 valid; 1 refused, with the reason; 3 mined on another build, whose
    bits this one need not reproduce.
    """
    with _clear_errors():
        _set_up_jax()
        from . import mining

        with _progress(quiet or as_json) as progress:
            report = mining.verify_chain(
                chain,
                challenges=challenges,
                later=later,
                report=lambda done, total: progress("verifying records", done, total),
            )
        if as_json:
            _echo_json(report)
            return
        click.echo(
            f"valid: height {report.height}, {report.blocks} blocks, {report.mtxs} "
            f"model transactions, {report.files} files; {report.challenges} challenges "
            f"a proof; {report.seconds:.1f} s"
        )
        click.echo(f"tip {report.tip}")


@main.command()
@click.argument("chain", type=click.Path(path_type=Path, file_okay=False))
@click.argument("height", type=click.IntRange(min=1), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(chain, height, as_json) -> None:
    """Show a CHAIN folder, or its block at HEIGHT: references, rewards, transactions.

    All rules are checked but the training; `dpodl verify` runs that again.
    """
    with _clear_errors():
        from . import chain_text

        described = chain_text.describe(chain, height)
        if as_json:
            click.echo(json.dumps(described, indent=1))
        else:
            chain_text.write(described)


@main.command()
@click.argument("config")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C")
@click.option(
    "--depth",
    "depths",
    type=click.IntRange(min=1),
    multiple=True,
    help="Confirmations; may be given several times. security.confirmations and "
    "security.depths unless given.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; trained curves are shared in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def threshold(config, overrides, depths, output, as_json, quiet) -> None:
    """Find the largest corrupted share β at which the target still holds.

    \b
    Example:
      dpodl threshold quickstart --depth 20 --set security.target=1e-9
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides)
        _set_up_jax()
        from .threshold import threshold_table

        security = settings.security
        chosen = depths or (security.confirmations, security.depths)
        with _progress(quiet or as_json) as progress:
            table = threshold_table(settings, output, tuple(chosen), progress)
        rows: Any = table.to_dict("records")
        if as_json:
            _echo_json(rows)
            return
        for row in rows:
            what = row["rule"]
            if row["depth"] == row["depth"]:
                what = f"{row['depth']:.0f} deep, risk {row['target']:g}, {what}"
            if row["beta"] != row["beta"]:
                click.echo(f"{what:44} {row['method']}")
                continue
            click.echo(
                f"{what:44} β < {row['beta']:.4f}   [{row['low']:.4f}, "
                f"{row['high']:.4f}]"
            )
        click.echo(
            "Private chain, ties win, every honest message Δ late; intervals 95 %, of "
            "the training runs."
        )


@main.command()
@click.argument("config")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C")
@click.option(
    "--branches",
    type=click.IntRange(min=10),
    default=48,
    show_default=True,
    help="Trainings that are branched off a referenced model, for each kind.",
)
@click.option(
    "--resamples",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="Resampled laws behind the intervals.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; trained curves are shared in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def attack(config, overrides, branches, resamples, output, as_json, quiet) -> None:
    """Try every attack of the scheme on a CONFIG, its mitigation off and on.

    Measures what a referenced model saves by branching real trainings off it, builds
    each attacker's block-time law, and finds the confirmations that still hold.

    \b
    Example:
      dpodl attack quickstart --set mining.s_min=400
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides)
        _set_up_jax()
        from . import attack as attacking

        words = ["dpodl", "attack", config]
        words += [word for override in overrides for word in ("--set", override)]
        with _progress(quiet or as_json) as progress:
            table = attacking.attack(
                settings, output, progress, branches=branches, resamples=resamples
            )
        folder = output / f"attack-{settings.name}-{settings.chain_digest()[:10]}"
        attacking.write(table, folder, command=shlex.join(words))
        rows: Any = table.to_dict("records")
        if as_json:
            _echo_json(rows)
            return
        depth = f"depth_{settings.security.target:.3g}"
        for row in rows:
            name = row["attack"]
            if row["mitigation"]:
                name += f", {row['mitigation']} {'on' if row['on'] else 'off'}"
            blocks = _blocks(row[depth], row[f"{depth}_low"], row[f"{depth}_high"])
            share = row["quality"]
            quality = "" if share != share else f"{share:.3f}"
            click.echo(f"{name:58} {blocks:22} {quality:6} {row['verdict']}")
        click.echo(
            f"columns: confirmations for risk {settings.security.target:g} with 95 % "
            "interval, chain quality, verdict. Reasons and assumptions: attacks.csv"
        )
        click.echo(f"table and figure: {folder}")


def _blocks(value: float, low: float, high: float) -> str:
    def number(depth: float) -> str:
        return "∞" if math.isinf(depth) else f"{depth:.0f}"

    if value != value:
        return "—"
    return f"{number(value)} [{number(low)}, {number(high)}]"


@main.command()
@click.argument("cases", nargs=-1)
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), help="Of the draws.")
@click.option("--list", "only_list", is_flag=True, help="List the cases.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def validate(cases, seed, only_list, as_json, quiet) -> None:
    """Run the engines against every published and exact value they must meet.

    CASES are names of `--list`; without any, all of them: about a minute. Exact rows
    are judged to their digits, random ones at 3.5 standard errors.

    \b
    Exit codes: 0 all is right; 1 something is off, FAILED in the table.
    """
    with _clear_errors():
        import time

        _set_up_jax()
        import jax

        from ..analysis import checks, validation

        if only_list:
            for case in validation.cases():
                click.echo(f"{case.name:20} {case.about}")
            return
        with _progress(quiet or as_json) as progress:
            try:
                found = validation.validate(
                    jax.random.key(validation.SEED if seed is None else seed),
                    cases or None,
                    progress,
                    clock=time.perf_counter,
                )
            except ValueError as error:
                _fail(str(error), _BAD_INPUT)
        failed = validation.failures(found)
        if as_json:
            _echo_json([check._asdict() for check in found])
        else:
            for check in found:
                click.echo(checks.as_line(check))
            judged = sum(check.passed is not None for check in found)
            click.echo(
                f"{judged} judged, {len(failed)} off. A right program fails by chance "
                f"with probability {checks.false_alarm_level(found):.2g} a fresh seed."
            )
        if failed:
            sys.exit(_FAILED)


@main.command("verification-cost")
@click.argument("config", default="mining")
@click.option("--set", "overrides", multiple=True, metavar="A.B=C")
@click.option(
    "--steps", type=click.IntRange(min=1), default=600, show_default=True, help="S."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A CSV file for the table, all columns.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def verification_cost(config, overrides, steps, output, as_json, quiet) -> None:
    """Measure what a proof costs to check, beside what it cost to make.

    Trains one model of the CONFIG's menu, for several distances of checkpoints, and
    verifies it with several numbers of challenges.
    """
    with _clear_errors():
        from .config import load_config

        settings = load_config(config, overrides)
        _set_up_jax()
        from . import verification_cost as costs
        from .store import table_bytes, write_atomically

        with _progress(quiet or as_json) as progress:
            table = costs.config_costs(settings, steps, progress)
        if output is not None:
            write_atomically(output, table_bytes(table))
        if as_json:
            click.echo(table.to_json(orient="records", indent=1))
            return
        click.echo(table[list(costs.SHOWN)].to_string(index=False))
        for name in costs.SHOWN:
            click.echo(f"{name}: {costs.COLUMNS[name]}")


@main.command()
@click.argument("chain", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; trained curves are shared in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def compare(chain, output, as_json, quiet) -> None:
    """Model against reality: a mined CHAIN beside what its own law predicts.

    Trains other models of the chain's settings, makes the block-time law, simulates
    the network, and compares intervals, their CV and the forks.

    \b
    Example:
      dpodl mine reality && dpodl compare chains/reality-*
    """
    with _clear_errors():
        _set_up_jax()
        from . import reality

        with _progress(quiet or as_json) as progress:
            found = reality.compare(chain, output, progress)
        folder = output / f"compare-{chain.resolve().name}"
        command = shlex.join(["dpodl", "compare", str(chain)])
        reality.write(found, folder, command=command)
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


def _echo_json(result) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, list | dict):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            found = {key: plain(each) for key, each in pairs}
            return found if isinstance(value, dict) else list(found.values())
        fields = getattr(value, "_asdict", None)
        if fields is not None:
            return {name: plain(each) for name, each in fields().items()}
        return str(value) if isinstance(value, Path) else value

    click.echo(json.dumps(plain(result), indent=1))


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


def _print_result(settings, result, judged) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from . import summary

    console = Console()
    laws = Table(title="Block time of one prover", title_justify="left")
    for column in summary.law_columns(result.tables):
        laws.add_column(column)
    for row in summary.law_rows(result.tables):
        laws.add_row(*map(escape, row))
    figures = Table(title="Security (95 % intervals)", title_justify="left")
    for column in ("figure", "value", "interval"):
        figures.add_column(column)
    for row in summary.closing_rows(settings, result.tables):
        figures.add_row(*map(escape, row))
    console.print(laws)
    console.print(figures)
    for note in result.tables["notes"].itertuples():
        if note.kind != "assumption":
            console.print(f"{note.kind}: {note.text}", style="yellow", markup=False)
    console.print(judged.line, style="bold", markup=False, highlight=False)
    done = ", ".join(result.recomputed) or "nothing, all of it was there"
    console.print(f"computed: {done}", highlight=False)
    click.echo(f"results: {result.folder}")


@contextmanager
def _progress(quiet: bool) -> Iterator:
    """Progress bars on standard error, with rate and time left."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    if quiet:
        yield lambda what, done, total: None
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total, completed=done, rate="")
        task = bars.tasks[bars.task_ids.index(tasks[what])]
        rate = f"{task.finished_speed or task.speed or 0:.2f}/s" if done else ""
        bars.update(tasks[what], completed=done, rate=rate)

    with bars:
        yield report


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what is the user's or the machine's problem into a message and a code."""
    try:
        yield
    except KeyboardInterrupt:
        _fail(
            "interrupted; finished work is kept, the same command goes on from there",
            _INTERRUPTED,
        )
    except BlockingIOError:
        _fail("another dpodl is working on this run folder", _FAILED)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail("the disk is full; finished work is kept, make room and run again")
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}")
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        _fail(str(error), code)


def _exit_code(error: Exception) -> int | None:
    from .config import ConfigError

    if isinstance(error, ConfigError):
        return _BAD_INPUT
    # Looked up by name among what has been imported: these errors can only come from
    # modules that are loaded, and --help must not load them.
    for module, name, code in (
        ("dpodl.models.data", "DataError", _BAD_INPUT),
        ("dpodl.analysis.estimate", "Refused", _BAD_INPUT),
        ("dpodl.experiments.chain_store", "ChainError", _FAILED),
        ("dpodl.models.checkpoints", "Rejected", _FAILED),
        ("dpodl.models.build", "ForeignBuild", _FOREIGN_BUILD),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    return None


def _fail(message: str, code: int = _FAILED) -> NoReturn:
    click.echo(f"dpodl: {message}", err=True)
    sys.exit(code)


def _set_up_jax() -> None:
    """Keep compiled programs in the user's cache, so that a second run starts fast."""
    import jax
    import pooch

    cache = Path(os.environ.get("DPODL_CACHE", pooch.os_cache("dpodl"))) / "programs"
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
