"""Surroundings that decide nothing: they end no job, or they end it in one sentence."""

import fcntl
import os
import subprocess
import sys
import sysconfig
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.commands import options
from dpodl.experiments.commands.terminal import progress_bars
from rich.progress import Progress

SCRIPT = Path(sysconfig.get_path("scripts")) / "dpodl"
PIPE_BYTES = 1031  # F_SETPIPE_SZ
# More than a pipe holds, in characters that not every terminal has.
TALKER = """
import sys
from dpodl.experiments.commands import terminal
import click

@click.group(cls=terminal.Program)
def main(): pass

@main.command()
def talk():
    with terminal.clear_errors():
        for line in range(3000):
            click.echo(f"{line} β ≤ 0.3, Δ = ∞ ⚙")
        print("done", file=sys.stderr)
        sys.exit(7)

main(["talk"])
"""


def talk(**options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", TALKER], stderr=subprocess.PIPE, text=True, **options
    )


def environment(**changes: str) -> dict[str, str]:
    return os.environ | changes


def test_a_reader_that_leaves_changes_no_exit_code():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, PIPE_BYTES, 4096)
    process = talk(stdout=writer)
    os.close(writer)
    assert os.read(reader, 10).startswith(b"0 ")
    os.close(reader)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (7, "done\n")


def test_a_full_pipe_that_does_not_block_is_waited_for():
    reader, writer = os.pipe()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    fcntl.fcntl(writer, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    process = talk(stdout=writer)
    os.close(writer)
    found = bytearray()

    def drain() -> None:
        while chunk := os.read(reader, 65536):
            found.extend(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    _, told = process.communicate(timeout=60)
    thread.join()
    os.close(reader)
    assert (process.returncode, told) == (7, "done\n")
    lines = found.lstrip(b".").decode().splitlines()
    assert [line.split()[0] for line in lines] == [str(i) for i in range(3000)]


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("utf-8", "0 β ≤ 0.3, Δ = ∞ ⚙"),
        ("cp1252", "0 beta <= 0.3, Delta = inf \\u2699"),
        ("latin-1", "0 beta <= 0.3, Delta = inf \\u2699"),
    ],
)
def test_what_an_encoding_lacks_is_spelled(encoding, line):
    process = talk(stdout=subprocess.PIPE, env=environment(PYTHONIOENCODING=encoding))
    printed, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (7, "done\n")
    assert printed.splitlines()[0] == line


def test_a_standard_output_that_is_full_is_told():
    with Path("/dev/full").open("wb") as full:
        process = talk(stdout=full)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = told.splitlines()
    assert line.startswith("dpodl: ")
    assert "full" in line or "space" in line


def test_closed_streams_end_nothing():
    words = ["sh", "-c", '"$0" -c "$1" >&- 2>&-', sys.executable, TALKER]
    assert subprocess.run(words, timeout=60, check=False).returncode == 7


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"JAX_PLATFORMS": "cuda"}, "JAX_PLATFORMS=cuda: JAX finds no such device"),
        ({"JAX_PLATFORMS": "abacus"}, "JAX_PLATFORMS=abacus: JAX finds no such"),
        ({"XLA_FLAGS": "--xla_no_such"}, "XLA_FLAGS=--xla_no_such: Unknown flag"),
        ({"XLA_FLAGS": "--xla_dump_hlo_as_text=7"}, "XLA_FLAGS=--xla_dump_hlo_as"),
        ({"DPODL_CACHE": "/dev/null"}, "DPODL_CACHE=/dev/null: /dev/null is no folder"),
        ({"JAX_ENABLE_X64": "perhaps"}, "JAX does not start: ValueError"),
        ({"DPODL_CACHE": "~nobody-of-this-name/x"}, "DPODL_CACHE: ~nobody-of-this"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(changes, told, tmp_path):
    done = subprocess.run(
        [SCRIPT, "run", "smoke", "--output", tmp_path / "runs"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**changes),
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"dpodl: {told}")
    assert not (tmp_path / "runs").exists()


def test_the_backend_of_a_notebook_draws_nothing_here(copy):
    done = subprocess.run(
        [SCRIPT, "figures", copy.folder, "block_times", "--quiet"],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(MPLBACKEND="module://of_a_notebook.only"),
    )
    assert done.returncode == 0, done.stderr


# ------------------------------------------------------------------ paths


def test_every_path_of_the_command_line_is_the_user_s(monkeypatch, tmp_path):
    """No command has a path option or argument of another kind."""
    found = []
    for name, command in main.commands.items():
        for parameter in command.params:
            kind = type(parameter.type).__name__
            assert kind not in ("Path", "File"), f"{name}: {parameter.name}"
            found += [kind]
    assert found.count("UserPath") >= 15
    monkeypatch.setenv("HOME", str(tmp_path))
    kind = options.UserPath(file_okay=False)
    assert kind.convert("~/x", None, None) == tmp_path / "x"
    assert kind.convert("./~/x", None, None) == Path("~/x")


@pytest.mark.parametrize("typed", ["", "~no-user-of-this-name/x"])
def test_a_path_that_names_nothing_is_bad_input(typed):
    result = CliRunner().invoke(main, ["report", f"--output={typed}", "x"])
    assert result.exit_code == 2
    assert "home folder" in result.output or "a path is needed" in result.output


def test_a_tilde_is_the_home_folder_for_reading_and_writing(copy, monkeypatch):
    """pandas expands it and pathlib does not: once, figures came from elsewhere."""
    home = copy.folder.parent
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home.parent)
    result = CliRunner().invoke(
        main, ["report", f"~/{copy.folder.name}", "--output=~/page.html"]
    )
    assert result.exit_code == 0, result.output
    assert (home / "page.html").is_file()
    assert not Path("~").exists()


def test_a_config_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.toml").write_text('name = "mine"\nseed = -1\n')
    result = CliRunner().invoke(main, ["run", "~/mine.toml"])
    assert result.exit_code == 2
    assert "seed: Input should be greater" in result.output


# ------------------------------------------------------------------ data


@pytest.mark.parametrize("side", [1, 3, 6])
@pytest.mark.parametrize(
    "command",
    [
        ["run"],
        ["sweep", "--over", "network.beta=0,0.25"],
        ["mine", "--set", "adversary.attack=honest"],
    ],
)
def test_images_too_small_for_a_network_are_bad_input(command, side, tmp_path):
    rng = np.random.default_rng(side)
    y = np.arange(200) % 10
    x = rng.integers(0, 256, (200, side, side), np.uint8)
    np.savez(tmp_path / "tiny.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    settings = ["data.name=tiny", f"data.path={tmp_path / 'tiny.npz'}"]
    settings += ["menu.architectures=['cnn-4','softmax']", "menu.batch_sizes=[32]"]
    settings += ["training.eval_samples=100"]
    words = [word for each in settings for word in ("--set", each)]
    arguments = [command[0], "smoke", *command[1:], *words, "--quiet"]
    result = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "o")])
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    line = result.stderr.splitlines()[-1 if command[0] != "sweep" else 1]
    assert f"{side}×{side}" in line
    assert "cnn-4" in line
    assert "softmax" not in line


def test_a_second_job_of_the_same_name_has_its_own_total(monkeypatch):
    bars = []
    update = Progress.update

    def seen(self, task, **fields):
        update(self, task, **fields)
        bars.append((self.tasks[task].completed, self.tasks[task].total))

    monkeypatch.setattr(Progress, "update", seen)
    with progress_bars(quiet=False) as progress:
        for total in (3, 12, 2):
            for done in range(total + 1):
                progress("training models", done, total)
    assert len(bars) == 20
    assert all(done <= total for done, total in bars)
    assert bars[-1] == (2, 2)
