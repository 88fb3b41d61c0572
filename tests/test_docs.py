"""The documentation is made from the code: nothing of it is left out, and it builds.

Needs the extra ``docs``; ``test_tutorial.py``, ``test_names.py`` and
``test_citations.py`` do not.
"""

import re
import shutil
import subprocess
import sys
from html import unescape
from importlib import import_module, util
from pathlib import Path

import pytest

if not util.find_spec("sphinx") or not util.find_spec("sphinx_click"):
    pytest.skip("the extra docs is not installed", allow_module_level=True)

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(autouse=True)
def extensions(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))


def extension(name: str):
    return import_module(name)


# ---------------------------------------------------------------- configuration


def settings_of(values: dict, path: str = "") -> set[str]:
    """Paths of all settings of a config's plain form, lists of tables left out."""
    found = set()
    for name, value in values.items():
        inner = f"{path}.{name}" if path else name
        if isinstance(value, dict) and value:
            found |= settings_of(value, inner)
        elif not (isinstance(value, list) and value and isinstance(value[0], dict)):
            found.add(inner)
    return found


def test_every_setting_of_a_config_is_in_the_reference():
    from dpodl.experiments.config.experiment import Config

    tables = extension("config_page").tables(Config.model_json_schema())
    listed = {
        f"{table.path}.{each.name}".lstrip(".")
        for table in tables
        for each in table.settings
    }
    config = Config(name="x")
    assert settings_of(config.model_dump()) <= listed
    for name in ("menu.optimizers", "comparisons", "mining.tasks"):
        assert any(table.path == f"[{name}]" for table in tables)
    assert all(table.about for table in tables)


@pytest.mark.parametrize(
    ("path", "name", "allowed", "default"),
    [
        ("network", "beta", "number ≥ 0 and < 1", "0.25"),
        ("training", "eval_samples", 'whole number ≥ 1 or "all"', "1000"),
        ("data", "examples", "whole number ≥ 1", "none"),
        ("", "seed", "whole number ≥ 0 and < 2^63", "2023"),
        ("protocol", "retry", '"continue", "restart"', '"continue"'),
        (
            "scheme",
            "t_2",
            '"2^k", a whole number in [0, 2^256], or its digits',
            '"2^256"',
        ),
        ("menu", "batch_sizes", "list of: whole number ≥ 1", "[32, 128]"),
        ("[menu.optimizers]", "name", '"sgd", "momentum", "adam"', "required"),
    ],
)
def test_a_setting_is_said_as_it_is_checked(path, name, allowed, default):
    from dpodl.experiments.config.experiment import Config

    tables = extension("config_page").tables(Config.model_json_schema())
    (table,) = [table for table in tables if table.path == path]
    (setting,) = [each for each in table.settings if each.name == name]
    assert (setting.allowed, setting.default) == (allowed, default)


def test_a_setting_without_description_fails():
    from pydantic import BaseModel

    class Bare(BaseModel):
        x: int = 1

    with pytest.raises(ValueError, match=r"Bare\.x has no description"):
        extension("config_page").tables(Bare.model_json_schema())


# ------------------------------------------------------------------- docstrings


@pytest.mark.parametrize(
    ("text", "rst"),
    [
        ("E[X*Y] ≤ |a| and b_", r"E[X\*Y] ≤ \|a\| and b\_"),
        ("`a_b` of ``c*d``s", r"``a_b`` of ``c*d``\ s"),
        ("C. Jennison", r"C\. Jennison"),
        ("As [GR22]'s ([D+20])", "As :cite:p:`GR22`'s (:cite:p:`D+20`)"),
        ("p[GR22] `[GR22]`", "p[GR22] ``[GR22]``"),
        ("One:\n    x_1 = 2", "One:\n\n.. code-block:: text\n\n        x_1 = 2\n"),
        (
            "| a | b |\n|---|---|\n| `x` | 1 |",
            "\n.. list-table::\n   :header-rows: 1\n\n   * - a\n     - b\n"
            "   * - ``x``\n     - 1\n",
        ),
        ("Returns:\n    A law: of one.", "\n:returns: A law: of one.\n"),
        ("Raises:\n    As `f`.", "\n:raises: As ``f``.\n"),
        ("Raises:\n    ValueError: If *.", "\nRaises:\n    ValueError: If \\*.\n"),
    ],
)
def test_what_a_docstring_becomes(text, rst):
    assert "\n".join(extension("docstrings").as_rst(text)) == rst


def test_columns_of_a_notation_table_stay_in_place():
    text = "Notation\n    x    ``a``       one\n    y    bcd         two"
    block = extension("docstrings").as_rst(text)[-3:-1]
    assert block[0].index("one") == block[1].index("two")


# -------------------------------------------------------------------- glossary


def rows_of_the_glossary() -> list[list[str]]:
    lines = (DOCS / "science" / "glossary.md").read_text("utf-8").splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] != "symbol"]


def test_a_symbol_is_in_the_glossary_once():
    symbols = [each for row in rows_of_the_glossary() for each in row[0].split(", ")]
    assert len(symbols) > 50
    assert sorted(symbols) == sorted(set(symbols))


def test_names_of_the_glossary_are_in_the_code():
    code = "\n".join(
        path.read_text("utf-8")
        for folder in ("models", "analysis", "experiments")
        for path in (ROOT / folder).rglob("*.py")
    )
    words = set(re.findall(r"\w+", code))
    named = [
        part
        for row in rows_of_the_glossary()
        for name in re.findall(r"`([^`]+)`", row[1])
        for part in name.split(".")
    ]
    assert len(named) > 50
    assert [name for name in named if name not in words] == []


# ------------------------------------------------------------------- the whole


def modules() -> set[str]:
    """Every module and chapter of the library, by its file."""
    return {
        ".".join(("dpodl", *path.relative_to(ROOT).with_suffix("").parts))
        for folder in ("models", "analysis", "figures", "experiments")
        for path in (ROOT / folder).rglob("*.py")
    }


def public_names() -> dict[str, list[str]]:
    """Chapter → its public names, sub-chapters left out."""
    found = {}
    for stub in ROOT.glob("*/**/__init__.pyi"):
        folder = stub.parent.relative_to(ROOT)
        if folder.parts[0] in ("models", "analysis", "figures", "experiments"):
            chapter = ".".join(("dpodl", *folder.parts))
            names = import_module(chapter).__all__
            found[chapter] = [n for n in names if f"{chapter}.{n}" not in CHAPTERS]
    return found


CHAPTERS = {name.removesuffix(".__init__") for name in modules()}


def check_pages(out: Path) -> None:
    """Nothing of modules, public names, commands, options or sources is left out."""
    from dpodl.experiments.cli import main

    def text_of(page: str) -> str:
        return unescape(re.sub(r"<[^>]+>", "", (out / page).read_text("utf-8")))

    pages = {path.stem for path in (out / "generated").glob("dpodl.*.html")}
    assert pages == CHAPTERS
    for chapter, names in public_names().items():
        introduction = import_module(chapter).__doc__ or ""
        text = text_of(f"generated/{chapter}.html")
        assert introduction.splitlines()[0].replace("``", "") in text
        assert [name for name in names if name not in text] == [], chapter
    commands = text_of("commands.html")
    for name, command in main.commands.items():
        if not command.hidden:
            assert f"dpodl {name}" in commands
            for parameter in command.params:
                for option in parameter.opts:
                    assert option.startswith("-") <= (option in commands), option
    keys = re.findall(r"^@\w+\{(\S+),", (DOCS / "references.bib").read_text(), re.M)
    bibliography = text_of("bibliography.html")
    assert [key for key in keys if f"[{key}]" not in bibliography] == []
    elsewhere = re.compile(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//')
    for path in out.rglob("*.html"):
        found = elsewhere.search(path.read_text("utf-8"))
        assert not found, f"{path} loads from elsewhere"


@pytest.mark.slow
def test_the_documentation_builds_and_leaves_nothing_out(tmp_path):
    # Pages of modules are written beside the sources: not into the tree.
    left_out = shutil.ignore_patterns("_build", "generated")
    shutil.copytree(DOCS, tmp_path / "docs", ignore=left_out)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", tmp_path / "docs", out],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    check_pages(out)
