"""The public names of each chapter: they resolve, and asking for them is cheap."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("models", "analysis", "figures", "experiments")
INITS = sorted(path for part in PARTS for path in (ROOT / part).rglob("__init__.py"))
STUBS = [
    stub
    for stub in (ROOT / "__init__.pyi", *(init.with_suffix(".pyi") for init in INITS))
    if stub.is_file()
]
DOORS = ("dpodl", "dpodl.models", "dpodl.analysis", "dpodl.experiments")


def package(path: Path) -> str:
    return ".".join(("dpodl", *path.parent.relative_to(ROOT).parts))


def stub_names(stub: Path) -> dict[str, str]:
    """Name → module it comes from, of a stub's ``from .module import name as name``."""
    return {
        alias.name: "." * node.level + (node.module or "")
        for node in ast.walk(ast.parse(stub.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("init", INITS, ids=package)
def test_every_chapter_has_an_introduction(init):
    text = ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")))
    assert text, f"{package(init)} has no docstring"
    assert text.splitlines()[0].endswith((".", "?", "!"))


@pytest.mark.parametrize("stub", STUBS, ids=package)
def test_every_name_of_a_stub_is_what_it_says(stub):
    chapter = import_module(package(stub))
    names = stub_names(stub)
    assert names, "a stub without names"
    assert set(names) <= set(chapter.__all__) <= set(dir(chapter))
    for name, place in names.items():
        found = getattr(chapter, name)
        if place == ".":
            assert found is import_module(f"{package(stub)}.{name}")
        else:
            home = import_module(place, package(stub))
            assert found is getattr(home, name)
            assert getattr(found, "__doc__", None), f"{name} has no docstring"


@pytest.mark.parametrize("stub", STUBS, ids=package)
def test_no_public_name_is_also_a_modules(stub):
    modules = {path.stem for path in stub.parent.glob("*.py")}
    modules |= {path.parent.name for path in stub.parent.glob("*/__init__.py")}
    taken = {name for name, place in stub_names(stub).items() if place != "."}
    assert not taken & modules


@pytest.mark.parametrize("name", DOORS)
def test_the_surface_of_a_door_is_small(name):
    stub = ROOT.joinpath(*name.split(".")[1:], "__init__.pyi")
    names = [name for name, place in stub_names(stub).items() if place != "."]
    assert 5 <= len(names) <= 16


@pytest.mark.parametrize("stub", STUBS, ids=package)
def test_another_name_is_refused(stub):
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = import_module(package(stub)).no_such_name
    with pytest.raises(ImportError, match="no_such_name"):
        exec(f"from {package(stub)} import no_such_name")


HEAVY = """
heavy = {'jax', 'matplotlib', 'pandas', 'scipy.stats'}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import sys, dpodl\nassert 'train' in dir(dpodl) and dpodl.__version__",
        "import sys, dpodl.models.chain, dpodl.analysis.race, dpodl.experiments.sweep\n"
        "assert dpodl.analysis.race.__all__",
        "import sys, dpodl\ndpodl.load_config('smoke')\ndpodl.Config",
        "import sys\nfrom click.testing import CliRunner\n"
        "from dpodl.experiments.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0",
    ],
    ids=["the door", "chapters", "a config", "dpodl --help"],
)
def test_what_needs_no_jax_loads_none(code):
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{HEAVY}"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("name", DOORS)
def test_every_name_of_a_door_is_in_the_documentation(name):
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    stub = ROOT.joinpath(*name.split(".")[1:], "__init__.pyi")
    assert [each for each in stub_names(stub) if f"`{each}" not in page] == []
