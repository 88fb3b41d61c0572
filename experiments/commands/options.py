"""Options that commands share, the command that reproduces a result, its folder.

A command that asks something about a config is a ``ConfigCommand``: CONFIG, ``--set``,
``--output``, ``--json`` and ``--quiet`` are the same for all. Everything that it is
told is recorded with what it finds and is part of its folder's name, but for
``UNRECORDED``: a new option is recorded without anybody having to think of it.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from .completion import config_argument

UNRECORDED = frozenset(
    {
        # Where results go, and how they are shown.
        *("output", "as_json", "quiet"),
        # Who computes a sweep: a point's numbers depend on its key alone.
        *("executor", "jobs", "scheduler"),
        # What is done of a sweep this time; from nothing, all of it is.
        *("dry_run", "retry_failed"),
    }
)
"""Names of parameters that change no result."""

# What the digest of a config or a chain stands for, however it was spelled.
_DIGESTED = ("config", "overrides", "chain")


class UserPath(click.Path):
    """A path of the command line; ``~`` is the user's home however it is written."""

    def __init__(self, **checks: Any):
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The path, expanded and checked."""
        from ...models.learning.files import user_path

        try:
            path = user_path(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return super().convert(path, param, ctx)


overrides_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="A.B=C",
    help="Change a setting of the config; may be given several times.",
)
accept_option = click.option(
    "--accept-changed",
    is_flag=True,
    help="Show results that are not as they were computed, with a note that says so.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as JSON."
)
quiet_option = click.option("--quiet", is_flag=True, help="No progress bars.")
results_option = click.option(
    "--output",
    type=UserPath(file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of all results; trained curves are shared in it.",
)
chain_argument = click.argument("chain", type=UserPath(file_okay=False))


def worker_options(command: Any) -> Any:
    """``--jobs``, ``--executor`` and ``--scheduler`` of work that many can share."""
    for option in (
        click.option(
            "--scheduler",
            metavar="TCP://HOST:PORT",
            help="Of a dask cluster that is there.",
        ),
        click.option(
            "--executor",
            type=click.Choice(["local", "serial", "devices", "dask"]),
            default="local",
            show_default=True,
            help="Who computes: processes of this machine (its accelerators, where it "
            "has some), this process, its devices side by side, or a cluster.",
        ),
        click.option("--jobs", type=click.IntRange(min=1), help="Shards at a time."),
    ):
        command = option(command)
    return command


class ConfigCommand(click.Command):
    """A command that asks about one config; ``click.command(cls=ConfigCommand)``.

    Args:
        default: Shipped config that CONFIG is unless given; None: it must be given.
        params: The command's own. An ``--output``, ``--json`` or ``--quiet`` among
            them takes the place of the common one.
        prints_json: Whether it has ``--json``.
        named: As ``click.Command`` takes them.
    """

    def __init__(
        self,
        *,
        default: str | None = None,
        params: Sequence[click.Parameter] = (),
        prints_json: bool = True,
        **named: Any,
    ):
        left_out = {parameter.name for parameter in params}
        if not prints_json:
            left_out.add("as_json")
        before = _parameters(config_argument(default), overrides_option)
        after = _parameters(results_option, json_option, quiet_option)
        after = [each for each in after if each.name not in left_out]
        super().__init__(params=[*before, *params, *after], **named)


def _parameters(*decorators: Callable[[Any], Any]) -> list[click.Parameter]:
    def command() -> None: ...

    for decorate in reversed(decorators):
        decorate(command)
    return click.command()(command).params


def recorded_command(context: click.Context | None = None) -> str:
    """The command line that reproduces what a command is about to find.

    Args:
        context: Of a command that was given; None: of the one that runs.
    """
    context = context or click.get_current_context()
    arguments: list[str] = []
    options: list[str] = []
    for parameter, value in _recorded(context):
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(parameter, click.Argument):
                arguments.append(str(each))
            elif isinstance(each, bool):
                options += parameter.opts[:1] if each else parameter.secondary_opts[:1]
            else:
                options += [parameter.opts[0], str(each)]
    words = ["dpodl", str(context.command.name), *arguments, *options]
    if any(word.startswith("-") for word in arguments):
        words = [*words[:2], *options, "--", *arguments]
    return shlex.join(words)


def result_folder(name: str, digest: str, context: click.Context | None = None) -> Path:
    """``<output>/<command>-<name>-<digest>``: a folder for all that was asked.

    Args:
        name: Of the config or the chain that is asked about.
        digest: Of its whole content.
        context: As ``recorded_command`` takes it.
    """
    from ..config.experiment import fingerprint

    context = context or click.get_current_context()
    command = str(context.command.name)
    asked = {
        str(parameter.name): _plain(value)
        for parameter, value in _recorded(context)
        if parameter.name not in _DIGESTED
    }
    asked_digest = fingerprint([command, digest, asked])
    return context.params["output"] / f"{command}-{name}-{asked_digest[:10]}"


def _recorded(context: click.Context) -> Iterator[tuple[click.Parameter, Any]]:
    """What was given, or is given by default, and belongs to the question."""
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name not in UNRECORDED and value is not None:
            yield parameter, value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
