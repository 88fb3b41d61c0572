"""Try the lowest versions that pyproject.toml declares, in a fresh environment.

    python tests/lower_bounds.py              # a folder for the environment: --folder

Every ``name>=version`` of the library and of its test tools becomes ``name==version``;
what those need in turn is pip's choice. Then the tests that are not slow run for the
parts below. A bound that does not install or does not pass is not to be declared.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Every library is used by one of them; minutes, not an hour.
QUICK = (
    "tests/models/learning/test_architecture.py",
    "tests/models/learning/test_networks.py",
    "tests/models/learning/test_training.py",
    "tests/models/learning/test_curves.py",
    "tests/models/scheme/test_states.py",
    "tests/models/chain/test_transactions.py",
    "tests/analysis/block_time/test_law.py",
    "tests/analysis/simulation/test_levels.py",
    "tests/figures/test_figures.py",
    "tests/experiments/config/test_experiment.py",
    "tests/experiments/pipeline/test_stages.py",
    "tests/experiments/sweep/test_store.py",
)
_BOUND = re.compile(r"([A-Za-z0-9_.-]+)\s*>=\s*([0-9][0-9.]*)")


def lowest(project: dict) -> list[str]:
    """``name==version`` for every bound of the library and its test tools."""
    declared = [
        *project["dependencies"],
        *project["optional-dependencies"]["test"],
    ]
    found = [_BOUND.fullmatch(one.strip()) for one in declared]
    missing = [one for one, match in zip(declared, found, strict=True) if not match]
    if missing:
        raise SystemExit(f"not of the form name>=version: {', '.join(missing)}")
    pins = {match[1]: match[2] for match in found if match}
    return [f"{name}=={version}" for name, version in pins.items()]


def main() -> int:
    """Make the environment, run the tests, answer with pytest's exit code."""
    parser = argparse.ArgumentParser(description="Try the lowest declared versions.")
    parser.add_argument("--folder", type=Path, help="keep the environment here")
    parser.add_argument("tests", nargs="*", default=QUICK, help="instead of the parts")
    given = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with tempfile.TemporaryDirectory() as aside:
        folder = given.folder or Path(aside) / "venv"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = folder / "bin" / "python"
        pins = lowest(project)
        print("\n".join(pins), flush=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "-e", f"{ROOT}[test]", *pins],
            check=True,
        )
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        environment["DPODL_CACHE"] = str(Path(aside) / "cache")
        command = [python, "-m", "pytest", "-q", "-n", "2", "-m", "not slow"]
        # Old libraries on new ones of their own warn of what others have deprecated.
        command += ["-o", "filterwarnings=default"]
        return subprocess.run(
            [*command, *given.tests], cwd=ROOT, env=environment, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
