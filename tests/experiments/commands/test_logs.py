"""``-v`` turns up the library's log, ``-vv`` jax's compilations too."""

import logging
import subprocess
import sys

import pytest
from dpodl.experiments.commands.logs import set_up_logging

COMPILES = """
import sys
from dpodl.experiments.commands.logs import set_up_logging
assert "jax" not in sys.modules
{before}
import jax, jax.numpy as jnp
{after}
def a_function_of_ours(x):
    return 2 * x + 1
jax.jit(a_function_of_ours)(jnp.ones(3))
"""


@pytest.fixture(autouse=True)
def as_it_was():
    ours = logging.getLogger("dpodl")
    before = (ours.level, list(ours.handlers), ours.propagate)
    yield
    ours.setLevel(before[0])
    ours.handlers, ours.propagate = before[1], before[2]


def said(capsys) -> str:
    log = logging.getLogger("dpodl.experiments.pipeline.stages")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        log.log(level, "%s here", logging.getLevelName(level))
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("verbosity", "levels"),
    [
        (0, ["WARNING"]),
        (1, ["INFO", "WARNING"]),
        (2, ["DEBUG", "INFO", "WARNING"]),
    ],
)
def test_each_v_says_more(verbosity, levels, capsys, monkeypatch):
    monkeypatch.setenv("JAX_LOG_COMPILES", "0")
    monkeypatch.setattr(
        "dpodl.experiments.commands.logs._log_compilations", lambda _: None
    )
    set_up_logging(verbosity)
    lines = said(capsys).splitlines()
    assert [line.split()[-2] for line in lines] == levels


def test_a_warning_reads_as_the_commands_messages_do(capsys):
    set_up_logging(0)
    assert said(capsys) == "dpodl: WARNING here\n"


def test_lines_say_when_and_from_where(capsys):
    set_up_logging(1)
    first = said(capsys).splitlines()[0]
    clock, rest = first.split(" ", 1)
    assert rest == "stages: INFO here"
    assert [len(part) for part in clock.split(":")] == [2, 2, 2]


def test_a_second_call_replaces_the_first(capsys):
    set_up_logging(1)
    set_up_logging(0)
    set_up_logging(1)
    assert len(said(capsys).splitlines()) == 2


def test_nothing_goes_to_standard_output(capsys):
    set_up_logging(1)
    logging.getLogger("dpodl").info("x")
    assert capsys.readouterr().out == ""


def test_a_negative_verbosity_is_refused():
    with pytest.raises(ValueError, match="verbosity must be ≥ 0, got -1"):
        set_up_logging(-1)


@pytest.mark.parametrize("loaded", [False, True])
def test_two_v_tell_what_jax_compiles_and_one_does_not(loaded):
    def log(verbosity: int) -> str:
        call = f"set_up_logging({verbosity})"
        code = COMPILES.format(
            before="" if loaded else call, after=call if loaded else ""
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout == ""
        return done.stderr

    assert "Compiling jit(a_function_of_ours)" in log(2)
    assert "a_function_of_ours" not in log(1)
