"""The CONFIG argument completes, in a shell, without loading jax."""

import shutil
import subprocess
import sys

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner
from dpodl.experiments.commands.completion import config_argument, config_names
from dpodl.experiments.config.loading import shipped_configs


@click.group()
def program() -> None:
    pass


@program.command()
@config_argument()
def needs(config) -> None:
    click.echo(config)


@program.command()
@config_argument(default="mining")
def may(config) -> None:
    click.echo(config)


def completed(incomplete: str, command: str = "needs") -> list[tuple[str, str]]:
    shell = BashComplete(program, {}, "program", "_PROGRAM_COMPLETE")
    found = shell.get_completions([command], incomplete)
    return [(item.type, item.value) for item in found]


def test_the_names_are_those_that_can_be_loaded():
    assert config_names() == sorted(shipped_configs())


def test_names_that_begin_so_are_offered_and_no_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert completed("s") == [("file", "s"), ("plain", "smoke"), ("plain", "sweep")]
    assert completed("no-such") == [("file", "no-such")]
    assert {value for _, value in completed("")[1:]} == set(config_names())


def test_toml_files_are_offered_as_they_are_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inner = tmp_path / "mine"
    inner.mkdir()
    for name in ("a.toml", ".hidden.toml", "b.txt"):
        (tmp_path / name).touch()
        (inner / name).touch()
    assert completed("a") == [("file", "a"), ("plain", "a.toml")]
    assert completed("mine/") == [("file", "mine/"), ("plain", "mine/a.toml")]
    assert completed("./a")[1:] == [("plain", "./a.toml")]
    assert completed(f"{inner}/a")[1:] == [("plain", f"{inner}/a.toml")]
    assert completed(".")[1:] == [("plain", ".hidden.toml")]
    assert completed("nowhere/a") == [("file", "nowhere/a")]


def test_the_file_item_stands_first_since_bash_forgets_what_is_before_it():
    assert completed("")[0][0] == "file"
    assert [kind for kind, _ in completed("")].count("file") == 1


def test_the_default_is_the_given_one_and_otherwise_the_argument_is_needed():
    assert CliRunner().invoke(program, ["may"]).output == "mining\n"
    assert CliRunner().invoke(program, ["may", "x"]).output == "x\n"
    refused = CliRunner().invoke(program, ["needs"])
    assert refused.exit_code == 2
    assert "CONFIG" in refused.output
    assert completed("qu", "may")[1:] == [("plain", "quickstart")]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_ends_with_these_words(tmp_path):
    """Click's script, run by bash, on a program of this one argument."""
    program_file = tmp_path / "program"
    program_file.write_text(
        f"#!{sys.executable}\n"
        "import click\n"
        "from dpodl.experiments.commands.completion import config_argument\n"
        "@click.command()\n"
        "@config_argument()\n"
        "def program(config): pass\n"
        "program(prog_name='program')\n"
    )
    program_file.chmod(0o755)
    script = (
        'PATH="$PWD:$PATH"; eval "$(_PROGRAM_COMPLETE=bash_source program)"\n'
        "COMP_WORDS=(program sw); COMP_CWORD=1\n"
        # Not a completion that a key asked for: compopt says so, and no more.
        '_program_completion program 2>/dev/null; echo "${COMPREPLY[*]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == "sweep", done.stderr


def test_completing_loads_no_jax():
    code = (
        "import sys\n"
        "from dpodl.experiments.commands.completion import ConfigSource as C\n"
        "assert C().shell_complete(None, None, 'smo')[1].value == 'smoke';"
        "print(sorted(m for m in ('jax', 'pandas', 'pydantic') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
