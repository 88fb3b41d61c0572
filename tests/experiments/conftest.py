"""One full run of [smoke], and what tests do with copies of it.

Compilation is most of a run's time, so everything below shares the programs that this
one run compiles: other thresholds must not need others.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import pandas as pd
import pytest
from dpodl.experiments.config.experiment import Config
from dpodl.experiments.config.loading import load_config

# A thread imports the estimates while models are trained; beside the hook that checks
# types, two imports at once break Python's own parser.
from dpodl.experiments.pipeline import estimates, pictures, stages  # noqa: F401

# As many bootstrap races as races: one program instead of two.
SETTINGS = ("security.bootstrap_replicas=400", "security.bootstraps=2")
COMMAND = "dpodl run smoke"


class Smoke(NamedTuple):
    """A finished run.

    Attributes:
        root: The folder of all results.
        config: Its config.
        result: What the runner returned.
        programs: Programs that were compiled for it.
        told: Every progress report.
    """

    root: Path
    config: Config
    result: stages.RunResult
    programs: int
    told: list[tuple[str, int, int]]

    @property
    def folder(self) -> Path:
        return self.result.folder

    def but(self, *settings: str) -> Config:
        """Its config with other settings."""
        return load_config("smoke", [*SETTINGS, *settings])

    def again(self, *settings: str, root: Path | None = None) -> stages.RunResult:
        """Run it again, with other settings or elsewhere."""
        where = self.root if root is None else root
        return stages.run(self.but(*settings), where, silent, command=COMMAND)


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


@pytest.fixture(scope="session")
def compiled() -> list[str]:
    """Grows by an entry for every program that XLA compiles."""
    programs: list[str] = []

    def listen(event: str, duration_secs: float, **facts: str | int) -> None:
        if event.endswith("backend_compile_duration"):
            programs.append(str(facts))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return programs


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, compiled) -> Smoke:
    """The run that nobody changes."""
    root = tmp_path_factory.mktemp("smoke")
    told = []
    before = len(compiled)
    config = load_config("smoke", SETTINGS)
    result = stages.run(
        config, root, lambda *report: told.append(report), command=COMMAND
    )
    return Smoke(root, config, result, len(compiled) - before, told)


@pytest.fixture
def copy(smoke, tmp_path) -> Smoke:
    """A copy of the run that a test may spoil."""
    root = tmp_path / "copy"
    shutil.copytree(smoke.root, root)
    folder = root / smoke.folder.name
    return smoke._replace(root=root, result=smoke.result._replace(folder=folder))


@pytest.fixture
def no_pictures(monkeypatch) -> None:
    """Figures that cost nothing; functions of the tables still."""

    def render(
        tables: dict[str, pd.DataFrame], *, command: str, figures: Any = None
    ) -> dict[str, bytes]:
        return {"figures/all.png": tables["estimates"].to_csv().encode()}

    monkeypatch.setattr(pictures, "render", render)


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder that must be the same in two runs: name → bytes."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in ("provenance.json", ".lock")
        }

    return read


@pytest.fixture(scope="session")
def times() -> Callable[[Path], dict[str, int]]:
    """When each file below a folder was last written."""

    def read(folder: Path) -> dict[str, int]:
        return {
            str(path.relative_to(folder)): path.stat().st_mtime_ns
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != ".lock"
        }

    return read
