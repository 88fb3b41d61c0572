"""What a command was asked is in what it records and in its folder's name."""

import json
import math
import shlex
from pathlib import Path
from types import SimpleNamespace

import click
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.commands.options import (
    UNRECORDED,
    ConfigCommand,
    recorded_command,
    result_folder,
)
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.questions import (
    attack,
    design,
    effects,
    rational,
    retention,
    risk,
    threshold,
    withholding,
)
from dpodl.experiments.store.run_folder import QUESTIONS

# Commands that keep what they find, or print it from nothing kept.
COMMANDS = (
    *("run", "sweep", "threshold", "risk", "attack", "effects", "design"),
    *("feedback", "rational", "retention", "withholding", "finality"),
    *("mine", "compare", "verification-cost", "calibrate-clock", "bench"),
    *("calibrate", "train"),
)
FOLDERS = (
    *("threshold", "risk", "attack", "effects", "feedback", "design", "compare"),
    *("rational", "retention", "withholding", "finality"),
)


def test_folders_of_questions_are_told_from_runs():
    assert set(FOLDERS) == set(QUESTIONS)


def parsed(words: list[str]) -> click.Context:
    command = main.commands[words[0]]
    return command.make_context(words[0], words[1:])


def needed(name: str, words: tuple[str, ...] = ()) -> list[str]:
    """A command line with all that the command cannot do without."""
    given = [
        "what"
        for parameter in main.commands[name].params
        if isinstance(parameter, click.Argument) and parameter.required
    ]
    return [name, *given, *words]


def another(option: click.Option) -> list[str]:
    """Words that give an option a value that is not its default."""
    kind = option.type
    if option.is_flag:
        shown = option.secondary_opts if option.default is True else option.opts
        return shown[:1]
    if isinstance(kind, click.Choice):
        value = next(c for c in reversed(kind.choices) if c != option.default)
    elif isinstance(kind, click.IntRange):
        value = str(kind.max if kind.max not in (None, option.default) else kind.min)
        value = str(int(value) + 1) if value == str(option.default) else value
    else:
        numeric = isinstance(kind, type(click.FLOAT))
        least = getattr(kind, "min", None) or 0
        value = f"{least + 0.5}" if numeric else "17" if kind is click.INT else "a=b c"
    words = [option.opts[0], value]
    return [*words, *words] if option.multiple else words


OPTIONS = [
    pytest.param(name, option, id=f"{name} {option.opts[0]}")
    for name in COMMANDS
    for option in main.commands[name].params
    if isinstance(option, click.Option)
]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_that_changes_a_result_is_recorded(name, option):
    plain, given = parsed(needed(name)), parsed(needed(name, tuple(another(option))))
    assert given.params[option.name] != plain.params[option.name]
    silent = option.name in UNRECORDED
    assert (recorded_command(given) == recorded_command(plain)) is silent
    # The line says all: read again, it asks the same.
    program, *words = shlex.split(recorded_command(given))
    assert program == "dpodl"
    again = parsed(words).params
    assert {k: v for k, v in again.items() if k not in UNRECORDED} == {
        k: v for k, v in given.params.items() if k not in UNRECORDED
    }
    if name in FOLDERS and option.name not in ("output", "overrides"):
        same = result_folder("x", "digest", given) == result_folder(
            "x", "digest", plain
        )
        assert same is silent


def test_what_is_not_recorded_is_decided_one_by_one():
    """A name that is added to the list needs the reason that stands there."""
    assert {
        *("output", "as_json", "quiet", "executor", "jobs", "scheduler"),
        *("dry_run", "retry_failed"),
    } == UNRECORDED


def test_an_option_of_value_0_is_recorded():
    words = needed("attack", ("--resamples", "0"))
    assert "--resamples 0" in recorded_command(parsed(words))


def test_an_argument_that_looks_like_an_option_comes_back():
    command = shlex.split(recorded_command(parsed(["run", "--", "-odd.toml"])))
    assert parsed(command[1:]).params["config"] == "-odd.toml"


def test_folders_of_different_questions_differ():
    folders = [
        result_folder("x", digest, parsed(needed(name, words)))
        for name, words in (
            *((name, ()) for name in FOLDERS),
            ("attack", ("--branches", "10")),
            ("attack", ("--branches", "11")),
            ("attack", ("--resamples", "10")),
            ("risk", ("--horizon", "10")),
            ("risk", ("--head-start",)),
            ("risk", ("--depth", "1")),
            ("risk", ("--beta", "0.1", "--beta", "0.2")),
            ("risk", ("--beta", "0.1")),
            ("threshold", ("--depth", "1")),
            ("design", ("--target", "a")),
            ("design", ("--over", "a")),
        )
        for digest in ("one config", "another")
    ]
    assert len(set(folders)) == len(folders)
    elsewhere = parsed(needed("risk", ("--output", "there")))
    assert result_folder("x", "d", elsewhere).parent == Path("there")


def test_commands_about_a_config_have_the_same_options():
    for name in COMMANDS:
        command = main.commands[name]
        if name in ("compare", "bench"):
            continue
        assert isinstance(command, ConfigCommand)
        names = [parameter.name for parameter in command.params]
        assert names[:2] == ["config", "overrides"]
        assert {"output", "quiet"} < set(names)
        assert len(set(names)) == len(names)


COLUMNS = ["rule", "depth", "target", "beta", "low", "high", "method"]
TABLE = pd.DataFrame(
    [["any depth", 1.0, 0.1, math.nan, 0.1, 0.2, "m"]], columns=COLUMNS
)


@pytest.mark.parametrize(
    ("name", "module", "function", "answer", "words"),
    [
        ("threshold", threshold, "threshold_table", TABLE, ["--depth", "3"]),
        ("attack", attack, "attack", TABLE, ["--branches", "10", "--resamples", "0"]),
        (
            *("effects", effects, "effects"),
            effects.Effects(
                {},
                pd.DataFrame(columns=["effect", "verdict", "sentence"]),
                pd.DataFrame(columns=["p_2", "reason"]),
            ),
            ["--branches", "11"],
        ),
        ("risk", risk, "risk_tables", {"risk": TABLE}, ["--age", "20"]),
        (
            *("withholding", withholding, "withholding"),
            withholding.Found(pd.DataFrame(columns=["strategy"]), pd.DataFrame(), {}),
            ["--depth", "5"],
        ),
        (
            *("rational", rational, "rational"),
            {
                "deviations": pd.DataFrame({"p_2": []}),
                "equilibrium": pd.DataFrame(),
            },
            ["--p-2", "0.5"],
        ),
        (
            *("retention", retention, "retention"),
            {"block": pd.DataFrame(), "deadlines": pd.DataFrame()},
            ["--deadline", "7"],
        ),
        (
            *("design", design, "design"),
            design.Design("missed", (), {"front": TABLE}),
            ["--target", "useful>=0.5"],
        ),
    ],
)
def test_a_command_keeps_its_answer_and_what_reproduces_it(
    name, module, function, answer, words, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, function, lambda *_, **__: answer)
    if name in (
        "attack",
        "rational",
        "retention",
        "withholding",
    ):  # of tables that are none of the figures'
        render = SimpleNamespace(render=lambda *_, **__: {})
        monkeypatch.setattr("dpodl.experiments.pipeline.answers.pictures", render)
    if name == "threshold":  # asks for a second table
        tiers = "dpodl.experiments.questions.threshold_tiers.bracket_table"
        monkeypatch.setattr(tiers, lambda *_: TABLE)
    line = [name, "smoke", "--set", "seed=7", *words]
    result = CliRunner().invoke(main, [*line, "--output", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    (folder,) = tmp_path.iterdir()
    assert folder == result_folder(
        "smoke",
        load_config("smoke", ("seed=7",)).chain_digest(),
        parsed([*line, "--output", str(tmp_path)]),
    )
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["command"] == recorded_command(parsed(line))
    assert load_config(str(folder / "config.toml")).seed == 7
    manifest = json.loads((folder / "manifest.json").read_text())
    assert list(folder.glob("*.csv"))
    for path in folder.glob("*.csv"):
        assert path.name in manifest[name]["files"]
