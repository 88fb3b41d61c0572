"""What a user installs is what stands in the tree."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("models", "analysis", "figures", "experiments", "benchmarks")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def packaged() -> set[Path]:
    """Every file of the library's folders, but for what is not the package's."""
    return {
        path
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix != ".pyc"
        # Measured results are the project's.
        and path.parent != ROOT / "benchmarks" / "results"
    }


def test_every_package_of_the_tree_is_listed():
    found = {
        "dpodl." + ".".join(init.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert found == set(SETTINGS["packages"])
    assert not (ROOT / "dpodl").exists()
    assert not (ROOT / "__init__.py").exists()


def test_every_data_file_of_the_tree_is_listed():
    listed = {
        path
        for package, patterns in SETTINGS["package-data"].items()
        for pattern in patterns
        for path in (ROOT / Path(*package.split(".")[1:])).glob(pattern)
    }
    standing = {path for path in packaged() if path.suffix != ".py"}
    assert standing == listed


@pytest.mark.slow
def test_the_wheel_holds_every_file(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT],
        check=True,
    )
    (wheel,) = tmp_path.glob("dpodl-*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"dpodl/" + path.relative_to(ROOT).as_posix() for path in packaged()}
    assert wanted <= packed
    assert any(name.endswith("licenses/LICENSE") for name in packed)
