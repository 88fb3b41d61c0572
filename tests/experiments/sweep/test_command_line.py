"""A sweep from the command line, killed and taken up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.store.locks import exclusive
from dpodl.experiments.sweep import (
    driver,
    results,
)
from dpodl.experiments.sweep.results import read_results
from dpodl.experiments.sweep.store import SweepStore

pytestmark = pytest.mark.usefixtures("own_cache")
HERE = Path(__file__).parent

# The command, with the evaluator of the tests.
PROGRAM = """
import sys
sys.path.insert(0, {here!r})
import sweep_evaluators
from dpodl.experiments.cli import main
from dpodl.experiments.sweep import driver
if __name__ == "__main__":
    real = driver.plan_of
    driver.plan_of = lambda config, root: real(config, root, sweep_evaluators.slow)
    main()
"""

# ------------------------------------------------------------------ the command line


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


@pytest.fixture
def command(cases, root, tmp_path, monkeypatch):
    """`dpodl sweep` with the evaluator of the tests."""
    path = tmp_path / "tiny.toml"
    path.write_text(cases.tiny().to_toml())
    real = driver.plan_of

    def plan_of(config, root):
        evaluate = cases.raises_at_13 if cases.wrong else cases.quick
        return real(config, root, evaluate)

    monkeypatch.setattr(driver, "plan_of", plan_of)

    def run(*arguments):
        return call("sweep", path, "--output", root, "--executor", "serial", *arguments)

    return run


GRID = ("--over", "scheme.t_acc=0.3:0.5:0.1", "--over", "scheme.t_2=2^254,2^255")


def test_the_commands_from_the_forecast_to_the_table(command, root, tmp_path):
    ahead = json.loads(command(*GRID, "--dry-run", "--json").stdout)
    assert (ahead["points"], ahead["todo"], ahead["done"]) == (6, 6, 0)
    assert (ahead["trainings"], ahead["shards"]) == (0, 3)
    assert ahead["seconds"] > 0
    assert "first shard" in ahead["basis"]
    assert not list(root.glob("sweep-*"))
    done = command(*GRID, "--quiet")
    assert done.exit_code == 0, done.output
    folder = Path(done.stdout.splitlines()[-1].removeprefix("results: "))
    assert str(folder) == ahead["folder"]
    assert "6 points: 6 done, 0 failed" in done.stdout
    again = command(*GRID, "--json")
    assert json.loads(again.stdout)["computed"] == 0
    after = command(*GRID, "--dry-run").stdout
    assert "6 points: 6 done, 0 failed, 0 to do" in after
    state = json.loads(call("status", folder, "--json").stdout)
    assert (state["points"], state["done"], state["todo"]) == (6, 6, 0)
    assert state["working"] is False
    assert state["points_per_second"] > 0
    with exclusive(folder):
        assert "a process is working on it" in call("status", folder).stdout
    csv = call("results", folder)
    assert csv.stdout_bytes == (
        results.results_bytes(results.results_table(SweepStore(folder)), "csv")
    )
    records = json.loads(call("results", folder, "--format", "json").stdout)
    assert [r["value"] for r in records] == list(read_results(folder).value)
    target = tmp_path / "out" / "sweep.parquet"
    written = call("results", folder, "--format", "parquet", "--output", target)
    assert written.exit_code == 0
    assert target.read_bytes() == (folder / "results.parquet").read_bytes()
    assert call("results", folder, "--format", "parquet").exit_code == 2


def test_a_sweep_from_its_own_frozen_config(command, root):
    assert command(*GRID, "--quiet").exit_code == 0
    (folder,) = root.glob("sweep-*")
    again = call("sweep", folder / "sweep.toml", "--output", root, "--json")
    assert json.loads(again.stdout)["computed"] == 0
    assert json.loads(again.stdout)["folder"] == str(folder)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "nothing changes"),
        (("--over", "scheme.t_acc"), "--over takes a.b=values"),
        (("--over", "=3"), "--over takes a.b=values"),
        (("--over", "seed=1", "--over", "seed=2"), "given twice"),
        (("--over", "scheme.t_acc=1.5"), "--over scheme.t_acc: Input should be less"),
        (("--over", "network.provers=4,5"), "beta × provers must be whole"),
        ((*GRID, "--points", "3"), "--points is for the designs"),
        ((*GRID, "--scheduler", "tcp://127.0.0.1:1"), "for the executor dask"),
        ((*GRID, "--set", "sweep.shard=0"), "sweep.shard"),
    ],
)
def test_bad_input_is_a_message_and_nothing_is_written(command, root, arguments, told):
    result = command(*arguments)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert result.stdout == ""
    assert not list(root.glob("sweep-*"))


def test_points_that_failed_by_an_error_are_exit_code_1(cases, command, monkeypatch):
    monkeypatch.setattr(cases, "wrong", True)
    result = command("--over", "network.delay_steps=4,13", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["unexpected"] == 1


def test_the_effort_of_a_point_is_the_sweeps_unless_set(command, root):
    command(*GRID, "--set", "security.bootstraps=3", "--quiet")
    (folder,) = root.glob("sweep-*")
    config = SweepStore(folder).config()
    assert config.security.bootstraps == config.sweep.bootstraps == 3
    assert config.security.replicas == config.sweep.replicas == 100


@pytest.mark.parametrize("name", ["results", "status"])
def test_a_folder_that_is_no_store(name, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        result = call(name, folder)
        assert result.exit_code == 2
        assert "no sweep's folder" in result.stderr


def wait_for_the_end_of(group: int) -> None:
    """Raises ProcessLookupError when no process of the group is left."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        os.killpg(group, 0)
        time.sleep(0.05)


@pytest.mark.slow
def test_ctrl_c_and_kill_9_leave_no_worker_and_lose_nothing(cases, root, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(cases.tiny("sweep.shard=1").to_toml())
    (tmp_path / "program.py").write_text(PROGRAM.format(here=str(HERE)))
    words = [sys.executable, tmp_path / "program.py", "sweep", path, "--output", root]
    words += ["--over", "scheme.t_acc=0.300:0.499:0.001", "--quiet", "--jobs", "1"]
    kept: set[Path] = set()
    for sign, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        process = subprocess.Popen(
            words,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        signal.signal(signal.SIGINT, before)
        deadline = time.monotonic() + 120
        while not set(root.glob("sweep-*/shards/*.parquet")) - kept:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        if sign == signal.SIGINT:
            os.killpg(process.pid, sign)
        else:
            process.kill()
        _, told = process.communicate(timeout=60)  # workers hold the pipe open too
        assert process.returncode == code, told
        assert "Traceback" not in told
        assert kept <= set(root.glob("sweep-*/shards/*.parquet"))
        kept = set(root.glob("sweep-*/shards/*.parquet"))
        with pytest.raises(ProcessLookupError):
            wait_for_the_end_of(process.pid)
    # What is there is whole, and the next pass would go on from it.
    known = SweepStore(next(root.glob("sweep-*"))).known()
    assert len(kept) == len(known) == sum(each.done for each in known.values())
