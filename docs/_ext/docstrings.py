"""Docstrings as reStructuredText: equations and notation tables as they are written.

The library's docstrings are plain text that is read in an editor. Two things of it mean
something else to Sphinx: an indented block (an equation, a notation table) would lose
its lines, and a formula's ``*``, ``|`` or ``_`` would be taken for markup. Here blocks
become literal blocks, Markdown tables become tables, the signs are escaped, and a key
in brackets becomes a citation. napoleon, which knows none of this, is left what it can
do: the Google-style sections (Args, Returns, Raises).
"""

import re
from textwrap import dedent

from sphinx.application import Sphinx

_SECTION = re.compile(
    r"(Args|Arguments|Attributes|Returns|Yields|Raises|Note|Notes|Example|Examples|"
    r"Reference|References|Warning|See Also):\s*$"
)
# Sections whose text is prose with equations, not a list of names.
_PROSE = ("Note", "Notes", "Reference", "References", "Example", "Examples", "See Also")
_CITED = re.compile(r"(?<!\w)\[([A-Z][A-Za-z+]*\d\d)\](?!\w)")
_CODE = re.compile(r"(``.+?``|`[^`]+`)")
_NAMED = re.compile(r" +\w[\w.]*(?:, \w[\w.]*)*: ")
_SPACED_NAME = re.compile(r"``(.+?)``( {2,})?")
_ITEM = re.compile(r"(?:[*-]|\d+\.) ")


def as_rst(text: str) -> list[str]:
    """A docstring as lines of reStructuredText, for napoleon or as it is.

    Args:
        text: The docstring without its common indentation.
    """
    lines = text.expandtabs().splitlines()
    out: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        section = _SECTION.match(line)
        end = place + 1
        if section and section[1] not in _PROSE:
            while end < len(lines) and (not lines[end] or lines[end][0] == " "):
                end += 1
            out += _section(section[1], lines[place + 1 : end])
        elif section:
            out += ["", f"**{section[1]}:**", ""]
        elif line.startswith("|") and "|" in line[1:]:
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            out += _table(lines[place:end])
        elif line.startswith(" "):
            while end < len(lines) and (not lines[end] or lines[end][0] == " "):
                end += 1
            out += _literal(lines[place:end])
        elif _ITEM.match(line):
            mark = len(_ITEM.match(line)[0])  # pyright: ignore
            while end < len(lines) and lines[end].startswith(" " * mark):
                end += 1
            item = [line[:mark] + escaped(line[mark:])]
            out += [*item, *map(escaped, lines[place + 1 : end])]
            if end < len(lines) and not _ITEM.match(lines[end]):
                out.append("")
        else:
            # "C. Jennison" is no item of a list.
            out.append(re.sub(r"^(\w{1,3})([.)]) ", r"\1\\\2 ", escaped(line)))
        place = end
    return out


def _section(name: str, lines: list[str]) -> list[str]:
    """A section of names for napoleon; as a field where it would take prose for one."""
    body = as_rst(dedent("\n".join(lines)))
    if name in ("Returns", "Yields"):
        mark = ":returns:"
    elif name == "Raises" and lines and not _NAMED.match(lines[0]):
        mark = ":raises:"
    else:
        return ["", f"{name}:", *map(escaped, lines), ""]
    first = f"{mark} {body[0]}" if body[0] else mark
    return ["", first, *(f"    {x}" if x else x for x in body[1:]), ""]


def escaped(line: str) -> str:
    """A line whose signs are themselves; what is between backticks is code."""
    parts = _CODE.split(line)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            signs = re.sub(r"([\\*|_`])", r"\\\1", part)
            parts[i] = _CITED.sub(r":cite:p:`\1`", signs)
        else:
            name = part.strip("`")
            # A sign of no width joins backticks to a letter before or after them.
            before = parts[i - 1][-1:] if i else ""
            after = parts[i + 1][:1] if i + 1 < len(parts) else ""
            left = "\\ " if before.isalnum() else ""
            right = "\\ " if after.isalnum() else ""
            parts[i] = f"{left}``{name}``{right}"
    return "".join(parts)


def _literal(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    # The columns of a notation table stay where they are.
    lines = [
        _SPACED_NAME.sub(lambda m: m[1] + (m[2] + "    " if m[2] else ""), line)
        for line in lines
    ]
    return ["", ".. code-block:: text", "", *(f"    {x}" for x in lines), ""]


def _table(lines: list[str]) -> list[str]:
    rows = [
        [cell.strip().replace("\\|", "|") for cell in _cells(line)] for line in lines
    ]
    rows = [row for row in rows if not all(re.fullmatch(r":?-+:?", x) for x in row)]
    width = max(map(len, rows))
    out = ["", ".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for i, cell in enumerate(row + [""] * (width - len(row))):
            out.append(f"   {'* -' if i == 0 else '  -'} {escaped(cell)}".rstrip())
    return [*out, ""]


def _cells(line: str) -> list[str]:
    return re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))


def _process(app, what, name, obj, options, lines: list[str]) -> None:
    lines[:] = as_rst("\n".join(lines))


def _skip(app, what, name, obj, skip, options) -> bool | None:
    # The fields of a NamedTuple are in its docstring.
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    # Before napoleon, which is at the default, 500.
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
