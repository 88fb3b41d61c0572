"""What was done: ``diff`` of two results, ``clean`` of what nothing uses."""

import click

from ..pipeline.machine import set_up_jax
from .options import UserPath, accept_option, json_option, recorded_command
from .terminal import clear_errors, echo_json, warn_of

_REASON = "– (figures.csv says why)"
_FOLDER = UserPath(exists=True, file_okay=False)


@click.command()
@click.argument("first", type=_FOLDER)
@click.argument("second", type=_FOLDER)
@click.option(
    "--output",
    type=UserPath(file_okay=False),
    help="Folder for settings.csv, figures.csv and page.html; nothing is kept unless "
    "given.",
)
@click.option(
    "--all", "every", is_flag=True, help="Print every depth, not the one furthest off."
)
@accept_option
@json_option
def diff(first, second, output, every, accept_changed, as_json) -> None:
    """Say what differs between two runs, or two sweeps with the same points.

    Settings, and every figure with its difference, the interval of that, and how many
    standard errors it is: paired where both runs trained the same models, whose luck
    is then common to both.

    \b
    Examples:
      dpodl diff runs/quickstart-67abb8ec07 runs/quickstart-0123456789
      dpodl diff sweeps/one sweeps/other --output compared
    """
    with clear_errors():
        set_up_jax()
        from ..records import comparison, page
        from ..store.files import table_bytes
        from ..store.run_folder import keep

        found = comparison.compared(first, second, accept_changed=accept_changed)
        warn_of(found.changed)
        if output is not None:
            files = {
                "settings.csv": table_bytes(found.settings),
                "figures.csv": table_bytes(found.figures),
                "page.html": page.page(found, first.name, second.name).encode(),
            }
            keep(output, "diff", recorded_command(), files)
        if as_json:
            tables = found.settings, found.made, found.figures
            records = [table.to_dict("records") for table in tables]
            named = dict(zip(("settings", "made", "figures"), records, strict=True))
            echo_json({**named, "pairing": found.pairing})
            return
        _print(found, every=every)
        if output is not None:
            click.echo(f"written to {output}")


@click.command()
@click.argument(
    "root", type=UserPath(exists=True, file_okay=False), default="runs", required=False
)
@click.option("--remove", "removes", is_flag=True, help="Remove what is unused.")
@click.option("--yes", is_flag=True, help="Do not ask before it is removed.")
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="What was written to within so many days is kept: a first training keeps its "
    "config when it ends.",
)
@json_option
def clean(root, removes, yes, days, as_json) -> None:
    """List what the curve stores under ROOT hold, and which nothing there uses.

    A store is used by the runs, answers and sweeps beside it whose config this build
    would train into it. Only what is listed as unused is removed, and only with
    --remove; results and the user's cache (programs, downloads), whose size is listed,
    never are. ROOT is `runs` unless given.

    \b
    Examples:
      dpodl clean
      dpodl clean runs --remove
    """
    with clear_errors():
        set_up_jax()
        from ...models.learning.files import cache_folder
        from ..records import cached, held_stores, remove

        shared = cached(cache_folder())
        found = held_stores(root, days=days)
        unused = [each for each in found if each.unused]
        if not as_json:
            _print_holdings(root, found, shared)
        removed = []
        if removes and unused:
            if not (yes or as_json):
                click.confirm(f"remove these {len(unused)}?", abort=True)
            for each in unused:
                removed.append(remove(each))
                if not as_json:
                    click.echo(removed[-1])
        if as_json:
            rows = [
                {
                    **{"path": each.path, "files": len(each.listing)},
                    **{"bytes": each.size, "used_by": each.users},
                    **{"unused": each.unused, "reason": each.reason},
                }
                for each in found
            ]
            cache = [
                {"path": path, "files": files, "bytes": size}
                for path, files, size in shared
            ]
            echo_json({"stores": rows, "cache": cache, "removed": removed})


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _print_holdings(root, found, shared) -> None:
    for each in found:
        click.echo(
            f"{each.path}  {_counted(len(each.listing), 'file')}, "
            f"{each.size / 1e6:.1f} MB  "
            f"{'unused: ' if each.unused else ''}{each.reason}"
        )
        for name in each.users:
            click.echo(f"  {name}")
    unused = [each for each in found if each.unused]
    click.echo(
        f"{_counted(len(found), 'curve store')} under {root}, "
        f"{sum(each.size for each in found) / 1e6:.1f} MB; unused: {len(unused)}, "
        f"{sum(each.size for each in unused) / 1e6:.1f} MB"
    )
    for path, files, size in shared:
        click.echo(
            f"{path}  {_counted(files, 'file')}, {size / 1e6:.1f} MB  "
            "the user's cache, for every folder of results: left alone"
        )


def _print(found, *, every: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from ..records import page

    console = Console()
    for title, rows in (
        ("Settings that differ", found.settings),
        ("What they were made with", found.made),
    ):
        if rows.empty:
            console.print(f"{title}: none", highlight=False)
            continue
        table = Table(*rows.columns, title=title, title_justify="left")
        for row in rows.itertuples(index=False):
            table.add_row(*(escape(str(each)) for each in row))
        console.print(table)
    figures = found.figures if every else _furthest(found.figures)
    table = Table(title="Figures, second against first", title_justify="left")
    table.add_column("figure", overflow="fold")
    for name in ("first", "second", "change, 95 %", "errors"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in figures.to_dict("records"):
        at = "" if row["at"] != row["at"] else f" at {row['at']:g} {row['at_unit']}"
        sign = "×" if row["kind"] == "ratio" else ""
        low, high, change = (page.number(row[n]) for n in ("low", "high", "value"))
        known = row["value"] == row["value"]
        interval = f"\n[{low}, {high}]".replace("[", r"\[")
        table.add_row(
            escape(f"{row['quantity']}{at}"),
            page.number(row["first"]),
            page.number(row["second"]),
            f"{sign}{change}{interval}" if known else _REASON,
            f"{page.number(row['in_errors'])}{'' if row['paired'] else '*'}",
            style="bold" if page.is_apart(row) else None,
        )
    console.print(table)
    left = len(found.figures) - len(figures)
    if left:
        console.print(
            f"of every curve the place furthest off; --all prints {left} more",
            highlight=False,
        )
    if not figures["paired"].all():
        console.print("* not paired", highlight=False)
    console.print(page.EXPLAINED, highlight=False)
    console.print(found.pairing, highlight=False, markup=False)


def _furthest(figures):
    """Of every curve the place that differs by most standard errors."""
    far = figures["in_errors"].abs().fillna(-1.0)
    kept = far.groupby([figures["quantity"], figures["at"].isna()]).idxmax()
    return figures.loc[sorted(kept)]
