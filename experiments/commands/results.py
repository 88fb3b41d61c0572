"""Commands about results that are there: figures, report, export, an archive again."""

import hashlib
import sys
from pathlib import Path

import click

from ..pipeline.machine import set_up_jax
from .options import UserPath, accept_option, quiet_option, recorded_command
from .terminal import FAILED, clear_errors, echo_json, progress_bars, warn_of


@click.command()
@click.argument("target", type=UserPath(file_okay=False))
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--output",
    type=UserPath(file_okay=False),
    help="Where the figures are written; TARGET/figures unless given.",
)
@click.option(
    "--width",
    type=click.FloatRange(3.0, 12.0),
    default=3.4,
    show_default=True,
    help="Inches; one column of a two-column paper. Texts keep 7 to 8 points.",
)
@accept_option
@quiet_option
def figures(target, names, output, width, accept_changed, quiet) -> None:
    """Draw figures and tables of a run folder or a sweep's store.

    Each comes as PDF, SVG, PNG and as the CSV of what is drawn, table_2 as LaTeX and
    CSV. Without NAMEs all are made that TARGET has the numbers for; the others are
    listed with what they lack.

    \b
    Examples:
      dpodl figures runs/quickstart-67abb8ec07
      dpodl figures runs/sweep-sweep-1b2c3d4e5f block_rate good_period_map
      dpodl figures runs/quickstart-67abb8ec07 persistence --width 7
    """
    with clear_errors():
        set_up_jax()
        from .. import figure_files

        folder = target / "figures" if output is None else output
        with progress_bars(quiet) as progress:
            made = figure_files.write(
                target,
                names,
                folder,
                progress,
                accept_changed=accept_changed,
                width=width,
            )
        warn_of(made.changed)
        for name, files in made.files.items():
            click.echo(f"{name}: {', '.join(path.name for path in files)}")
        for name, reason in made.left_out.items():
            click.echo(f"left out: {name}: {reason}")
        click.echo(f"written to {folder}" if made.files else "nothing to draw")


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
        set_up_jax()
        from .. import report as reporting

        path, changed = reporting.write(target, output, accept_changed=accept_changed)
        warn_of(changed)
        click.echo(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
        if open_it == "yes":
            click.launch(path.resolve().as_uri())


@click.command()
@click.argument("target", metavar="RUN", type=UserPath(file_okay=False))
@click.option(
    "--output",
    type=UserPath(dir_okay=False),
    help="Where the archive is written; RUN.zip in this folder unless given.",
)
def export(target, output) -> None:
    """Pack a RUN folder into one archive that another person can verify and run again.

    It holds the config, the tables and figures, your own curves or data, provenance,
    versions and a digest of each file, described as an RO-Crate. `dpodl run ARCHIVE`
    checks it, runs it again and says what differs. It tells the command line and the
    machine of the run.

    \b
    Example:
      dpodl export runs/quickstart-67abb8ec07
    """
    with clear_errors():
        set_up_jax()
        from ...models.learning.files import write_atomically
        from ..handover import archive

        content = archive.pack(target)
        path = Path(f"{target.resolve().name}.zip") if output is None else output
        write_atomically(path, content)
        click.echo(f"{path} ({len(content) / 1e6:.1f} MB)")
        click.echo(f"sha256 {hashlib.sha256(content).hexdigest()}")


def repeat_archive(path: Path, output: Path, *, as_json: bool, quiet: bool) -> None:
    """What ``dpodl run`` does with an archive."""
    set_up_jax()
    from ..handover import opening, repeating

    checked = opening.open_archive(path)

    with progress_bars(quiet or as_json) as progress:
        found = repeating.repeat(checked, output, progress, command=recorded_command())
    if as_json:
        echo_json(
            {
                "archive": checked.sha256,
                "folder": found.result.folder,
                "same": found.same,
                "made_with": found.made_with,
                "tables": [
                    {**each._asdict(), "same": each.same} for each in found.tables
                ],
                "files": found.files,
            }
        )
    else:
        _print_repetition(found, checked.sha256)
    if not found.same:
        sys.exit(FAILED)


def _print_repetition(found, digest: str) -> None:
    click.echo(f"archive: whole, sha256 {digest}")
    for fact, then, now in found.made_with:
        click.echo(f"{fact}: {then} then, {now} now")
    if not found.made_with:
        click.echo("made with: the same code, versions and machine")
    for each in found.tables:
        told = f"{each.identical} identical, {each.printed} the same as printed"
        line = f"{each.table:12} {each.rows} rows: {told}"
        if each.rows != each.rows_now:
            line += f"; {each.rows_now} rows now"
        if each.largest > 0:
            line += f"; at most {each.largest:.2g} half widths of an interval away"
        click.echo(line)
    same, there = found.files
    click.echo(f"{same} of {there} tables, curves and words are the same byte for byte")
    click.echo(
        "repeated: the same as printed" if found.same else "repeated: not the same"
    )
    click.echo(f"results: {found.result.folder}")
