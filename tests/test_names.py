"""The stable names of each package: they resolve, and asking for them is cheap."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "analysis", "experiments")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_resolves_to_what_it_says(package):
    module = import_module(f"dpodl.{package}")
    assert module.__all__ == sorted(module.__all__, key=lambda n: (n.islower(), n))
    assert set(module.__all__) == set(module._MODULES)
    for name in module.__all__:
        found = getattr(module, name)
        assert found is getattr(
            import_module(f"dpodl.{package}.{module._MODULES[name]}"), name
        )
        assert found.__doc__, f"{package}.{name} has no docstring"
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_also_a_modules(package):
    names = set(import_module(f"dpodl.{package}").__all__)
    modules = {path.stem for path in (ROOT / package).glob("*.py")}
    assert not names & modules


@pytest.mark.parametrize("package", PACKAGES)
def test_the_surface_is_small(package):
    assert 5 <= len(import_module(f"dpodl.{package}").__all__) <= 14


@pytest.mark.parametrize("package", PACKAGES)
def test_another_name_is_refused_and_modules_are_found(package):
    module = import_module(f"dpodl.{package}")
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = module.no_such_name
    with pytest.raises(ImportError, match="no_such_name"):
        exec(f"from dpodl.{package} import no_such_name")
    stem = min(p.stem for p in (ROOT / package).glob("*.py") if p.stem != "__init__")
    assert import_module(f"dpodl.{package}.{stem}").__name__.endswith(stem)


def test_importing_the_packages_and_configs_loads_no_jax():
    code = (
        "import sys, dpodl.experiments, dpodl.analysis, dpodl.models\n"
        "assert 'train' in dir(dpodl.experiments) and dpodl.analysis.__all__\n"
        "from dpodl.experiments import Config, ConfigError, load_config\n"
        "load_config('smoke')\n"
        "print(sorted({'jax', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_in_the_documentation(package):
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = import_module(f"dpodl.{package}").__all__
    absent = [name for name in names if f"`{name}" not in page]
    assert absent == []
