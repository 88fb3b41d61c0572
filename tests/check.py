"""Run every check of the project: lint, format, types, import order, tests."""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
BIN = Path(PYTHON).parent

CHECKS = {
    "lint": [BIN / "ruff", "check", "."],
    "format": [BIN / "ruff", "format", "--check", "."],
    "types": [BIN / "pyright", "--pythonpath", PYTHON],
    "imports": [BIN / "lint-imports"],
    # A file's tests go to one worker: what they share is trained once.
    "tests": [
        PYTHON,
        *("-m", "pytest", "-n", "2", "--durations=40"),
        *("--dist", "loadfile", "--no-loadscope-reorder"),
    ],
    # Last and alone: nothing else of this command runs beside it.
    "speed": [PYTHON, "tests/speed.py"],
}


def main() -> int:
    # Two workers on two cores: more threads each would only get in the way.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    failed = []
    for name, command in CHECKS.items():
        print(f"== {name}", flush=True)
        start = time.perf_counter()
        code = subprocess.run(
            [str(part) for part in command], cwd=ROOT, env=environment, check=False
        ).returncode
        print(
            f"== {name}: exit {code}, {time.perf_counter() - start:.0f} s", flush=True
        )
        if code:
            failed.append(name)
    print("failed: " + ", ".join(failed) if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
