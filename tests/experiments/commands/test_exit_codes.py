"""Every error of the user's ends a command with the code that its class carries."""

import ast
import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from dpodl.experiments import cli
from dpodl.experiments.config import loading
from dpodl.models import errors
from dpodl.models.errors import InputError, UserError

TREE = Path(errors.__file__).parents[1]
PACKAGES = ("models", "analysis", "figures", "experiments", "benchmarks")


def modules_with_errors() -> list[str]:
    """Modules that define a class whose base may be one of ours, by their text."""
    found = []
    for package in PACKAGES:
        for path in sorted((TREE / package).rglob("*.py")):
            classes = (
                node
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ClassDef) and node.bases
            )
            if any("Error" in ast.unparse(base) for c in classes for base in c.bases):
                name = path.relative_to(TREE).with_suffix("").as_posix()
                found.append("dpodl." + name.replace("/", "."))
    return found


def subclasses(kind: type[UserError]) -> set[type[UserError]]:
    below = set(kind.__subclasses__())
    return below.union(*map(subclasses, below))


for _name in modules_with_errors():
    importlib.import_module(_name)
ERRORS = sorted(subclasses(UserError), key=lambda kind: kind.__qualname__)


def test_the_tree_has_errors_of_all_codes():
    names = {kind.__name__ for kind in ERRORS}
    assert {"ConfigError", "DataError", "Refused", "Busy", "Changed"} <= names
    assert {kind.exit_code for kind in ERRORS} == {1, 2, 3}
    assert UserError.exit_code == 1
    for kind in ERRORS:
        assert (kind.exit_code == 2) == issubclass(kind, InputError), kind


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_a_command_ends_with_the_errors_code(kind, monkeypatch):
    error = kind.__new__(kind, "what is wrong")
    Exception.__init__(error, "what is wrong")

    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(loading, "load_config", refuse)
    for name in ("run", "sweep", "risk", "attack", "design", "mine"):
        result = CliRunner().invoke(cli.main, [name, "smoke"])
        assert result.exit_code == kind.exit_code
        assert result.stderr == f"dpodl: {error}\n"
        assert "what is wrong" in result.stderr
