"""The command line: exit codes, messages without tracebacks, kills and restarts."""

import errno
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
import pytest
from click.testing import CliRunner, Result
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import shipped_configs
from dpodl.experiments.pipeline import clock, stages, summary, training
from dpodl.experiments.store.locks import exclusive
from dpodl.models.learning.data import load_dataset

SCRIPT = Path(sysconfig.get_path("scripts")) / "dpodl"
SETTINGS = ("security.bootstrap_replicas=400", "security.bootstraps=2")
HEAVY = ("jax", "flax", "optax", "scipy", "pandas", "matplotlib", "numpy", "pydantic")


@pytest.fixture(autouse=True)
def own_caches(tmp_path, monkeypatch) -> None:
    """Nothing of these tests reaches the user's cache."""
    monkeypatch.setenv("DPODL_CACHE", str(tmp_path / "cache"))


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def overrides(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"DPODL_CACHE": str(cache)}


def script(*arguments: str | Path, env: Mapping[str, str] | None = None):
    return subprocess.run(
        [SCRIPT, *arguments], capture_output=True, text=True, timeout=300, env=env
    )


def assert_clear(result: Result, code: int) -> str:
    """The exit code is that, and the only thing on standard error is a message."""
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert result.stdout == ""
    return result.stderr


# ------------------------------------------------------------------ quick answers


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["--version"], ["run"], ["rum"]]
)
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import sys\n"
        "from dpodl.experiments.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as exit: print('code', exit.code)\n"
        f"print([name for name in {HEAVY} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *_, code, heavy = done.stdout.splitlines()
    assert heavy == "[]"
    assert code == ("code 2" if arguments in (["run"], ["rum"]) else "code 0")


def test_help_names_the_commands_and_options():
    text = call("--help").output
    assert all(name in text for name in ("run", "configs", "calibrate-clock"))
    options = ("--set", "--clock", "--output", "--json", "--quiet")
    assert all(name in call("run", "--help").output for name in options)
    assert call("-h").output == text


def test_configs_lists_what_is_shipped():
    result = call("configs")
    assert result.exit_code == 0
    listed = [line.split(maxsplit=1) for line in result.output.splitlines()]
    assert [name for name, _ in listed] == sorted(shipped_configs())
    assert {"paper", "quickstart", "smoke"} <= {name for name, _ in listed}
    described = json.loads(call("configs", "--json").stdout)
    assert described == dict(listed)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "no config is called 'nothing'"),
        (["nothing.toml"], "cannot read the config nothing.toml: No such file"),
        (["smoke", "--set", "training.steps=3"], "training.steps: no such setting"),
        (["smoke", "--set", "training.runs='24'"], "valid integer (got '24')"),
        (["smoke", "--set", "scheme.t_acc=1.5"], "scheme.t_acc: Input should be less"),
        (["smoke", "--set", "scheme.t_acc=0"], "scheme.t_acc: Input should be greater"),
        (["smoke", "--set", "scheme.t_1=2^257"], "scheme.t_1: a target lies in"),
        (["smoke", "--set", "scheme.t_2=-1"], "scheme.t_2: a target lies in"),
        (["smoke", "--set", "network.beta=1"], "network.beta: Input should be less"),
        (["smoke", "--set", "training.horizon_steps=5"], "at least check_every = 12"),
        (["smoke", "--set", "training.runs"], "--set takes a.b=value"),
        (["smoke", "--set", "data.name=mine"], "data.name: only mnist-10k and mnist"),
        (["smoke", "--set", "data.path=x"], "mnist-10k is embedded and takes no path"),
        (["smoke", "--clock", "no.toml"], "cannot read the config no.toml"),
        (["smoke", "--set", "training.eval_samples=10001"], "at most the 10000 train"),
        (["smoke", "--set", "menu.batch_sizes=[10001]"], "at most the 10000 training"),
    ],
)
def test_bad_input_is_told_and_ends_with_2(arguments, told, tmp_path):
    result = call("run", *arguments, "--quiet", "--output", tmp_path / "runs")
    message = assert_clear(result, 2)
    assert message.startswith("dpodl: ")
    assert told in message
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "smoke", "more"],
        ["run", "smoke", "--fast"],
        ["configs", "smoke"],
        ["calibrate-clock", "nothing", "--output", "clock.toml"],
        ["calibrate-clock", "smoke", "--set", "data.name=mine"],
    ],
)
def test_bad_usage_ends_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_clear(call(*arguments), 2)
    assert not list(tmp_path.iterdir())


def test_an_unreachable_accuracy_is_told_with_fractions(copy):
    result = call(
        *("run", "smoke", "--quiet", "--output", copy.root),
        *overrides(*SETTINGS, "scheme.t_acc=1.0"),
    )
    message = assert_clear(result, 2)
    assert re.search(
        r"t_acc = 1: 0 of 24 runs reached it .* Half of the runs reached 0\.\d{4}, a "
        r"tenth 0\.\d{4}, the best 0\.\d{4}: lower t_acc",
        message,
    )


def save_data(path: Path) -> None:
    whole = load_dataset()
    np.savez(
        path,
        x_train=whole.x_train[:100],
        y_train=whole.y_train[:100],
        x_test=whole.x_test[:50],
        y_test=whole.y_test[:50],
    )


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "text"])
def test_unreadable_data_ends_with_2(damage, tmp_path):
    path = tmp_path / "mine.npz"
    save_data(path)
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    changed = {"empty": b"", "cut": content[:-1000], "flipped": content, "text": b"hi"}
    path.unlink() if damage == "missing" else path.write_bytes(changed[damage])
    result = call(
        *("run", "smoke", "--quiet", "--output", tmp_path / "runs"),
        *overrides("data.name=mine", f"data.path={path}"),
    )
    message = assert_clear(result, 2)
    assert str(path) in message
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run", "nothing"], 2, "no config is called 'nothing'"),
        (["run", "smoke", "--set", "scheme.t_acc=2"], 2, "scheme.t_acc: "),
        (["run", "--set", "a=1"], 2, "Missing argument 'CONFIG'"),
    ],
)
def test_the_script_itself(arguments, code, told):
    done = script(*arguments)
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# ------------------------------------------------------------------ results


def run_again(copy, *more: str | Path) -> Result:
    return call("run", "smoke", *overrides(*SETTINGS), "--output", copy.root, *more)


def test_json_has_the_result_and_nothing_else(copy):
    result = run_again(copy, "--json")
    assert result.exit_code == 0
    assert result.stderr == ""
    found = json.loads(result.stdout)
    tables = copy.result.tables
    assert found["folder"] == str(copy.folder)
    assert found["recomputed"] == []
    assert found["verdict"] == summary.verdict(copy.config, tables)._asdict()
    assert len(found["estimates"]) == len(tables["estimates"])
    for row, expected in zip(
        found["estimates"], tables["estimates"].itertuples(), strict=True
    ):
        assert row["quantity"] == expected.quantity
        assert row["value"] == pytest.approx(expected.value)


def test_the_result_is_printed_and_progress_is_not_mixed_in(copy):
    (copy.folder / "figures/persistence.png").unlink()
    result = run_again(copy)
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert summary.verdict(copy.config, copy.result.tables).line in text
    assert "computed: figures" in text
    assert f"results: {copy.folder}" in result.stdout.splitlines()
    assert "figures" in result.stderr
    quiet = run_again(copy, "--quiet")
    assert quiet.stderr == ""
    assert "computed: nothing, all of it was there" in " ".join(quiet.stdout.split())


@pytest.mark.usefixtures("no_pictures")
def test_the_kept_command_reproduces_the_run(copy):
    arguments = overrides(*SETTINGS, "scheme.t_2=2^255", "comparisons=[{label='a b'}]")
    result = call("run", "smoke", *arguments, "--quiet", "--output", copy.root)
    assert result.exit_code == 0
    folder = Path(result.stdout.splitlines()[-1].removeprefix("results: "))
    facts = json.loads((folder / "provenance.json").read_text())
    # As a shell reads it.
    assert shlex.split(facts["command"]) == ["dpodl", "run", "smoke", *arguments]


def test_the_script_finds_a_finished_run(copy, contents, tmp_path):
    before = contents(copy.root)
    done = script(
        *("run", "smoke", *overrides(*SETTINGS), "--output", copy.root, "--json"),
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["recomputed"] == []
    assert contents(copy.root) == before


# ------------------------------------------------------------------ what can go wrong


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "the disk is full; finished work is kept"),
        (errno.EDQUOT, "the disk is full; finished work is kept"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_failing_disk(number, told, copy, monkeypatch, contents):
    whole = contents(copy.root)
    for name in ("summary.md", "laws.csv"):
        (copy.folder / name).unlink()

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        assert told in assert_clear(run_again(copy, "--quiet"), 1)
    left = contents(copy.root)
    assert {name: whole[name] for name in left} == left
    assert run_again(copy, "--quiet").exit_code == 0
    assert contents(copy.root) == whole


def test_an_output_that_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    result = call("run", "smoke", "--quiet", "--output", tmp_path / "file")
    assert "is a file" in assert_clear(result, 2)
    result = call("run", "smoke", "--quiet", "--output", tmp_path / "file/below")
    message = assert_clear(result, 1)
    assert "Not a directory" in message
    assert str(tmp_path / "file/below") in message


def test_an_output_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(self: Path, *_, **__) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = call("run", "smoke", "--quiet", "--output", tmp_path / "runs")
    message = assert_clear(result, 1)
    assert "Permission denied" in message
    assert str(tmp_path / "runs") in message


def test_a_folder_in_use(copy):
    with exclusive(copy.folder):
        message = assert_clear(run_again(copy, "--quiet"), 1)
    assert "another dpodl is working on this run folder" in message
    assert run_again(copy, "--quiet").exit_code == 0


def test_a_mistake_of_the_program_shows_its_traceback(copy, monkeypatch):
    def mistaken(*_, **__):
        raise ZeroDivisionError("our fault")

    monkeypatch.setattr(stages, "run", mistaken)
    assert isinstance(run_again(copy, "--quiet").exception, ZeroDivisionError)


@pytest.mark.parametrize("quiet", [["--quiet"], []])
def test_ctrl_c_ends_with_130(copy, monkeypatch, quiet):
    def interrupted(config, root, progress, *, command):
        progress("training models", 1, 2)
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "run", interrupted)
    result = run_again(copy, *quiet)
    assert result.exit_code == 130
    assert "interrupted; finished work is kept" in result.stderr
    assert "Traceback" not in result.output


# ------------------------------------------------------------------ the clock


def test_a_measured_clock_can_be_run_with(copy, no_pictures, monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "_HASHES", 5000)
    path = tmp_path / "new/clock.toml"
    one = ("menu.architectures=['softmax']",)
    result = call("calibrate-clock", "smoke", *overrides(*one), "--output", path)
    assert result.exit_code == 0, result.output
    assert f"written to {path}" in result.stdout.splitlines()
    assert "hashes a second on one core" in result.stdout
    table = tomllib.loads(path.read_text())
    assert set(table) == {"clock"}
    measured = table["clock"]
    assert set(measured["step_seconds"]) == {"softmax/32"}
    assert 1e-7 < measured["seconds_per_step"] < 1
    assert measured["seconds_per_step"] == measured["step_seconds"]["softmax/32"]
    assert 1e2 < measured["hashes_per_step"] / measured["seconds_per_step"] < 1e9
    # Each 'architecture/batch size' must have been measured.
    unit = "clock.unit=seconds"
    arguments = ["run", "smoke", "--quiet", "--output", copy.root, "--clock", path]
    message = assert_clear(call(*arguments, *overrides(unit)), 2)
    assert "missing: mlp-8/32" in message
    # With few hashes a step the pre-hash would take longer than the training.
    easy = "scheme.p_1=1"
    result = call(*arguments, *overrides(*SETTINGS, unit, *one, easy))
    assert result.exit_code == 0, result.output
    folder = Path(result.stdout.splitlines()[-1].removeprefix("results: "))
    frozen = tomllib.loads((folder / "config.toml").read_text())["clock"]
    assert frozen["step_seconds"] == measured["step_seconds"]
    assert frozen["hashes_per_step"] == measured["hashes_per_step"]


def test_a_file_that_is_no_clock_ends_with_2(tmp_path):
    path = tmp_path / "clock.toml"
    path.write_text("[clok]\nhashes_per_step = 3\n")
    result = call("run", "smoke", "--clock", path, "--output", tmp_path / "runs")
    assert "has no table [clock]" in assert_clear(result, 2)


# ------------------------------------------------------------------ caches


def test_programs_are_kept_for_the_next_process(tmp_path):
    """A second process finds the first one's programs in the cache."""
    program = (
        "import jax\n"
        "from dpodl.experiments.pipeline.machine import set_up_jax\n"
        "seen = []\n"
        "jax.monitoring.register_event_listener(lambda e, **_: seen.append(e))\n"
        "set_up_jax()\n"
        "jax.jit(lambda x: x + 41)(1)\n"
        "print(sum('cache_hits' in e for e in seen))\n"
    )

    # Not those that these tests share.
    own = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}

    def hits() -> int:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env=own | {"DPODL_CACHE": str(tmp_path / "own")},
        )
        return int(done.stdout)

    assert hits() == 0
    assert list((tmp_path / "own/programs").iterdir())
    assert hits() >= 1


def test_a_cache_of_the_users_choice_is_left_alone(monkeypatch):
    before = jax.config.jax_compilation_cache_dir  # pyright: ignore
    call("run", "smoke", "--set", "training.eval_samples=10001")
    assert jax.config.jax_compilation_cache_dir == before  # pyright: ignore


# ------------------------------------------------------------------ kills


@contextmanager
def started(*arguments: str | Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, which Ctrl-C reaches."""
    # A shell that runs the tests in the background makes its children deaf to Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [SCRIPT, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(cache),
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while not list(folder.rglob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_while_training_keeps_what_is_done(smoke, tmp_path, contents, times):
    root = tmp_path / "runs"
    many = overrides(*SETTINGS, "training.runs=5000")
    with started("run", "smoke", *many, "--output", root, cache=tmp_path) as process:
        wait_for(root, "runs-*.npz", process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "dpodl: interrupted; finished work is kept" in told
    assert "Traceback" not in told
    kept = times(root)
    assert kept
    assert all(Path(name).name.startswith("runs-") for name in kept)
    # The first runs of many are those of few: the next run goes on from them.
    found = training.train(smoke.config, root, lambda *_: None)
    now = times(root)
    assert {name: now[name] for name in kept} == kept
    with np.load(smoke.folder / "curves.npz") as expected:
        np.testing.assert_array_equal(found.correct, expected["correct"])
        np.testing.assert_array_equal(found.loss, expected["loss"])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Path, Path, float]:
    """(root, cache, seconds) of a run in a process of its own, programs kept."""
    cache = tmp_path_factory.mktemp("cache")
    for root in (tmp_path_factory.mktemp("warm"), tmp_path_factory.mktemp("whole")):
        start = time.perf_counter()
        done = script(*whole_run(root), env=environment(cache))
        seconds = time.perf_counter() - start
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
    return root, cache, seconds  # pyright: ignore


def whole_run(root: Path) -> list[str | Path]:
    return ["run", "smoke", *overrides(*SETTINGS), "--quiet", "--output", root]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(
    seed, undisturbed, tmp_path, contents
):
    whole, cache, seconds = undisturbed
    generator = random.Random(seed)
    root, killed = tmp_path / "runs", 0
    # Early at first, so that a machine that is idle by now is still caught in time.
    for latest in (0.4, 0.4, 0.7, 1.0):
        with started(*whole_run(root), cache=cache) as process:
            try:
                process.wait(generator.uniform(0.1, latest) * seconds)
            except subprocess.TimeoutExpired:
                process.kill()  # SIGKILL: nothing is tidied up
                killed += 1
            process.communicate()
    assert killed
    done = script(*whole_run(root), env=environment(cache))
    assert done.returncode == 0, done.stderr
    found = contents(root)
    aside = {name for name in found if name.endswith(".tmp")}
    assert all(name.startswith("curves/") for name in aside)
    assert {name: found[name] for name in set(found) - aside} == contents(whole)
    provenance = list(root.glob("*/provenance.json"))
    assert len(provenance) == 1


@pytest.mark.slow
def test_a_kill_between_any_two_files_ends_with_the_same_bytes(
    undisturbed, tmp_path, contents
):
    """Killed as soon as each stage's first file appears."""
    whole, cache, _ = undisturbed
    root = tmp_path / "runs"
    for pattern in ("runs-*.npz", "curves.csv", "laws.csv", "estimates.csv", "*.png"):
        with started(*whole_run(root), cache=cache) as process:
            wait_for(root, pattern, process)
            process.kill()
            process.communicate()
    assert not list(root.glob("*/summary.md"))
    assert script(*whole_run(root), env=environment(cache)).returncode == 0
    found = contents(root)
    kept = {name: found[name] for name in found if not name.endswith(".tmp")}
    assert kept == contents(whole)


@pytest.mark.slow
def test_two_processes_on_one_store_end_with_the_same_bytes(
    undisturbed, tmp_path, contents
):
    """Two configs of one root train the same curves at the same time."""
    whole, cache, _ = undisturbed
    root = tmp_path / "runs"
    other = [*whole_run(root), "--set", "name=other"]
    with (
        started(*whole_run(root), cache=cache) as one,
        started(*other, cache=cache) as two,
    ):
        assert [p.communicate(timeout=300)[1] for p in (one, two)] == ["", ""]
    assert one.returncode == two.returncode == 0
    found = contents(root)
    assert contents(whole).items() <= found.items()
    shutil.rmtree(root / "curves")
    assert script(*whole_run(root), env=environment(cache)).returncode == 0
    assert not (root / "curves").exists()


def test_validate_lists_runs_and_judges(monkeypatch):
    invoke = CliRunner().invoke
    listed = invoke(main, ["validate", "--list"])
    assert listed.exit_code == 0
    assert "private_race" in listed.output
    done = invoke(main, ["validate", "domination", "nakamoto", "--json"])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)
    assert {row["case"] for row in rows} == {"domination", "nakamoto"}
    assert {row["passed"] for row in rows} == {True, None}
    unknown = invoke(main, ["validate", "dominoes"])
    assert unknown.exit_code == 2
    assert "dominoes" in unknown.output
    from dpodl.analysis.bounds import intervals

    monkeypatch.setattr(intervals, "domination", lambda *_, **__: 0.5)
    broken = invoke(main, ["validate", "domination", "--quiet"])
    assert broken.exit_code == 1
    assert "FAILED" in broken.output
