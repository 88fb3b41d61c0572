"""``dpodl-commands::`` — what ``--help`` says of every command, as it says it."""

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_WIDTH = 80


def commands(group: click.Group, name: str) -> list[tuple[str, str]]:
    """(name, help) of the program and, by name, of all its commands."""
    whole = _help(group, name, None)
    return [(name, whole[0])] + [
        (f"{name} {each}", _help(command, each, whole[1])[0])
        for each, command in sorted(group.commands.items())
        if not command.hidden
    ]


def _help(
    command: click.Command, name: str, parent: click.Context | None
) -> tuple[str, click.Context]:
    # As ``main`` makes it: -h is a setting of the context.
    context = click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=_WIDTH,
        **command.context_settings,
    )
    return command.get_help(context), context


class Commands(SphinxDirective):
    """A section a command."""

    def run(self) -> list[nodes.Node]:
        from dpodl.experiments.cli import main

        sections: list[nodes.Node] = []
        for name, text in commands(main, "dpodl"):
            place = nodes.make_id(name)
            section = nodes.section("", nodes.title(name, name), ids=[place])
            section["names"].append(name)
            self.state.document.note_explicit_target(section)
            block = nodes.literal_block(text, text)
            block["language"] = "text"
            section += block
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("dpodl-commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
