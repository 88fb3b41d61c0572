"""What a user installs is what stands in the tree."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("models", "analysis", "figures", "experiments", "benchmarks")
TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(TEXT)["project"]
SETTINGS = tomllib.loads(TEXT)["tool"]["setuptools"]


def packaged() -> set[Path]:
    """Every file of the library, but for what is not the package's."""
    door = {ROOT / name for name in ("__init__.py", "__init__.pyi", "py.typed")}
    return door | {
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
        ".".join(("dpodl", *init.parent.relative_to(ROOT).parts))
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert found | {"dpodl"} == set(SETTINGS["packages"])
    assert len(SETTINGS["packages"]) == len(set(SETTINGS["packages"]))
    assert not (ROOT / "dpodl").exists()


def test_every_folder_with_code_is_a_package():
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


def test_what_the_tree_calls_dpodl_is_the_tree():
    import dpodl

    assert Path(dpodl.__file__).resolve() == ROOT / "__init__.py"
    assert dpodl.__version__ == PROJECT["version"]


def test_types_are_there_for_others_too():
    assert (ROOT / "py.typed").is_file()
    lazy = [
        init
        for folder in (".", *FOLDERS)
        for init in (ROOT / folder).glob("**/__init__.py" if folder != "." else "*.py")
        if "attach_stub" in init.read_text(encoding="utf-8")
    ]
    assert ROOT / "__init__.py" in lazy
    assert [init for init in lazy if not init.with_suffix(".pyi").is_file()] == []


def test_every_data_file_of_the_tree_is_listed():
    listed = {
        path
        for package, patterns in SETTINGS["package-data"].items()
        for pattern in patterns
        for name in (SETTINGS["packages"] if package == "*" else [package])
        for path in (ROOT / Path(*name.split(".")[1:])).glob(pattern)
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
