"""What the shell completes after ``dpodl run``: shipped configs and TOML files.

click's own scripts do the rest: ``_DPODL_COMPLETE=bash_source dpodl`` prints one for
bash, ``zsh_source`` and ``fish_source`` those for zsh and fish. They start ``dpodl``
on every press of the key, so nothing here, and nothing it imports, loads jax.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


def config_names() -> list[str]:
    """Names of the configs that come with the package, none of them read."""
    folder = resources.files("dpodl.experiments.configs")
    names = (entry.name for entry in folder.iterdir())
    return sorted(
        name.removesuffix(".toml") for name in names if name.endswith(".toml")
    )


class ConfigSource(click.ParamType):
    """A shipped config's name or a TOML file's path; checked where it is read."""

    name = "config"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """What was typed, ``~`` expanded: a name has none."""
        from ...models.learning.files import user_path

        try:
            return str(user_path(value)) if value.startswith("~") else value
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Shipped names and TOML files that begin so; the shell's own paths if none do.

        bash forgets what stands before an item of type "file", so that one is first.
        """
        shipped = [
            CompletionItem(name, help="shipped with dpodl")
            for name in config_names()
            if name.startswith(incomplete)
        ]
        files = [CompletionItem(path) for path in _toml_files(incomplete)]
        return [CompletionItem(incomplete, type="file"), *shipped, *files]


def _toml_files(incomplete: str) -> list[str]:
    """TOML files in the folder that is being typed, written as it is typed."""
    folder, _, start = incomplete.rpartition("/")
    typed = incomplete[: len(incomplete) - len(start)]
    try:
        entries = sorted(path.name for path in Path(folder or typed or ".").iterdir())
    except OSError:  # no such folder, or none of ours
        return []
    # Hidden files only if asked for.
    return [
        typed + name
        for name in entries
        if name.endswith(".toml")
        and name.startswith(start)
        and name.startswith(".") == start.startswith(".")
    ]


def config_argument(default: str | None = None) -> Callable[[Any], Any]:
    """The CONFIG argument of a command.

    Args:
        default: A shipped config's name, for commands that can do without being told.
    """
    if default is None:
        return click.argument("config", type=ConfigSource())
    return click.argument("config", type=ConfigSource(), default=default)
