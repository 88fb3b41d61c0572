"""A page for every module of the library, written before the sources are read.

The pages are found in the tree, so that a new module has its page without anybody
remembering it. They go to ``docs/generated``, which is not kept.
"""

from pathlib import Path

from docstrings import ROOT, module_docstring
from sphinx.application import Sphinx

_FOLDERS = ("models", "analysis", "figures", "experiments")


def modules(folder: str) -> list[str]:
    """Names of a folder's modules, in order."""
    return [
        f"dpodl.{folder}.{path.stem}"
        for path in sorted((ROOT / folder).glob("*.py"))
        if path.stem not in ("__init__", "__main__")
    ]


def pages() -> dict[str, str]:
    """File name → reStructuredText of every page."""
    found = {}
    for folder in _FOLDERS:
        names = modules(folder)
        about = module_docstring(f"dpodl.{folder}").splitlines()[0]
        lines = [_title(f"dpodl.{folder}"), about.replace("``", ""), ""]
        lines += [".. toctree::", "   :maxdepth: 1", ""]
        found[f"{folder}.rst"] = "\n".join([*lines, *(f"   {n}" for n in names), ""])
        for name in names:
            found[f"{name}.rst"] = "\n".join(
                [
                    _title(name),
                    f".. automodule:: {name}",
                    "   :members:",
                    "   :show-inheritance:",
                    "",
                ]
            )
    return found


def _title(name: str) -> str:
    return f"{name}\n{'=' * len(name)}\n"


def _write(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    wanted = pages()
    for path in folder.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        # A page that is not touched is not read again.
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _skip(app, what, name, obj, skip, options) -> bool | None:
    # The fields of a NamedTuple are in its docstring.
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("builder-inited", _write)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
