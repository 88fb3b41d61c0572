"""The documentation is made from the code: nothing of it is left out, and it builds.

Needs the extra ``docs``; ``test_tutorial.py`` and ``test_names.py`` do not.
"""

import json
import re
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path

import pytest

if not util.find_spec("sphinx") or not util.find_spec("docutils"):
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

    tables = extension("config_page").tables(Config)
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
        ("scheme", "retry", '"continue", "restart"', '"continue"'),
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

    (table,) = [t for t in extension("config_page").tables(Config) if t.path == path]
    (setting,) = [each for each in table.settings if each.name == name]
    assert (setting.allowed, setting.default) == (allowed, default)


def test_a_setting_without_description_fails():
    from pydantic import BaseModel

    class Bare(BaseModel):
        x: int = 1

    with pytest.raises(ValueError, match=r"Bare\.x has no description"):
        extension("config_page").tables(Bare)


# --------------------------------------------------------------------- commands


def test_every_command_is_there_with_its_help():
    from click.testing import CliRunner
    from dpodl.experiments.cli import main

    found = _pages_of_commands()
    visible = {name for name, each in main.commands.items() if not each.hidden}
    assert set(found) == {"dpodl", *(f"dpodl {name}" for name in visible)}
    for name in ("run", "sweep"):
        said = CliRunner().invoke(
            main, [name, "--help"], prog_name="dpodl", terminal_width=80
        )
        assert found[f"dpodl {name}"].strip() == said.output.strip()
    assert all("-h, --help" in text for text in found.values())


def _pages_of_commands() -> dict[str, str]:
    # In a process of its own: click keeps the help that was asked for first, and a test
    # may have called a command without its group, where -h is none.
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import command_pages\n"
        "from dpodl.experiments.cli import main\n"
        "print(json.dumps(dict(command_pages.commands(main, 'dpodl'))))"
    )
    command = [sys.executable, "-c", code, str(DOCS / "_ext")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


# ------------------------------------------------------------------- docstrings


@pytest.mark.parametrize(
    ("text", "rst"),
    [
        ("E[X*Y] ≤ |a| and b_", r"E[X\*Y] ≤ \|a\| and b\_"),
        ("`a_b` of ``c*d``s", r"``a_b`` of ``c*d``\ s"),
        ("C. Jennison", r"C\. Jennison"),
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


def test_every_quoted_module_is_there():
    docstrings = extension("docstrings")
    quoted = [
        module
        for page in (DOCS / "science").glob("*.md")
        for module in re.findall(r"quoted-docstring:: (\S+)", page.read_text("utf-8"))
    ]
    assert len(quoted) > 15
    assert all(docstrings.module_docstring(module) for module in quoted)
    with pytest.raises(
        ValueError, match=r"there is no module dpodl\.analysis\.nothing"
    ):
        docstrings.module_docstring("dpodl.analysis.nothing")


# ------------------------------------------------------------ pages and sources


def test_every_module_has_its_page():
    pages = extension("module_pages").pages()
    for folder in ("models", "analysis", "figures", "experiments"):
        stems = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"}
        assert {f"dpodl.{folder}.{stem}.rst" for stem in stems} <= set(pages)
        assert all(f"   dpodl.{folder}.{s}\n" in pages[f"{folder}.rst"] for s in stems)


def test_sources_are_collected_with_who_cites_them():
    sources = {each.key: each for each in extension("bibliography").sources()}
    assert "Larangeira" in sources["SLT23"].text
    assert len(sources["SLT23"].modules) > 1
    assert "dpodl.analysis.bounds.races" in sources["GKL15"].modules


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path):
    import shutil
    import subprocess

    # Pages of modules are written beside the sources: not into the tree.
    shutil.copytree(DOCS, tmp_path / "docs", ignore=shutil.ignore_patterns("_build"))
    for folder in ("models", "analysis", "figures", "experiments"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-q", tmp_path / "docs", out],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    page = re.compile(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//')
    for path in out.rglob("*.html"):
        assert not page.search(path.read_text("utf-8")), f"{path} loads from elsewhere"
