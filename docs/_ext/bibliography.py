"""``dpodl-bibliography::`` — what the modules' docstrings cite, and who cites it.

An entry is a line ``[GR22] Guo, Ren, …`` with its continuation lines, as it stands in
the Sources of a module, or a paragraph ``Reference: …``. Nothing is written twice: a
source is cited where its formula is, and collected here.
"""

import re
from typing import NamedTuple

from docstrings import ROOT, escaped, module_docstring
from docutils import nodes
from module_pages import modules
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_ENTRY = re.compile(r"^ +\[([A-Z][A-Za-z+]*\d\d)\] +(\S.*)$")
_PLAIN = re.compile(r"^Reference: (\S.*)$")


class Source(NamedTuple):
    """A cited work.

    Attributes:
        key: Its mark in docstrings; empty if it has none.
        text: The shortest form in which it is cited; others add a theorem's number.
        modules: That cite it.
    """

    key: str
    text: str
    modules: tuple[str, ...]


def sources() -> list[Source]:
    """Everything cited by key, then what has none, in order."""
    found: dict[str, tuple[str, str, set[str]]] = {}
    for folder in ("models", "analysis", "figures"):
        for module in modules(folder):
            try:
                lines = module_docstring(module).splitlines()
            except ValueError:
                continue
            for key, text in _entries(lines):
                name = key or text
                known = found.get(name, (key, text, set()))
                found[name] = (key, min(text, known[1], key=len), known[2] | {module})
    rows = [Source(key, text, tuple(sorted(by))) for key, text, by in found.values()]
    return sorted(rows, key=lambda row: (not row.key, row.key, row.text))


def _entries(lines: list[str]) -> list[tuple[str, str]]:
    entries, place = [], 0
    while place < len(lines):
        entry, plain = _ENTRY.match(lines[place]), _PLAIN.match(lines[place])
        place += 1
        if not (entry or plain):
            continue
        text = [entry[2] if entry else plain[1]]  # pyright: ignore
        while place < len(lines) and lines[place].strip():
            if _ENTRY.match(lines[place]) or (entry and lines[place][:8].strip()):
                break
            text.append(lines[place].strip())
            place += 1
        entries.append((entry[1] if entry else "", " ".join(text)))
    return entries


class Bibliography(SphinxDirective):
    """A list of all sources. In Markdown it stands within ``{eval-rst}``."""

    def run(self) -> list[nodes.Node]:
        for folder in ("models", "analysis", "figures"):
            for module in modules(folder):
                name = module.removeprefix("dpodl.").replace(".", "/")
                self.env.note_dependency(str(ROOT / f"{name}.py"))
        lines = []
        for source in sources():
            mark = f"**[{source.key}]** " if source.key else ""
            by = ", ".join(
                f":doc:`{m.removeprefix('dpodl.')} </generated/{m}>`"
                for m in source.modules
            )
            # A sign of no width: an initial, "C.", is no item of a list.
            lines += [f"* \\ {mark}{escaped(source.text)}", "", f"  In {by}.", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("dpodl-bibliography", Bibliography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
