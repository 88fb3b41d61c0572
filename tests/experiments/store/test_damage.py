"""Stored results that were changed: refused by who shows them, by name, in one line."""

import gzip
import json
import os
import random
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.store.files import sealed_json, unsealed_json
from dpodl.experiments.store.possible import Changed, check_possible
from dpodl.experiments.store.run_folder import RunFolder
from dpodl.experiments.sweep import points, results, shard_file
from dpodl.experiments.sweep.design import design_of, frozen
from dpodl.experiments.sweep.evaluation import Outcome
from dpodl.experiments.sweep.store import SweepStore, store_path

RUN_FILES = (
    *("config.toml", "curves.csv", "law_summary.csv", "laws.csv", "estimates.csv"),
    *("references.csv", "notes.csv", "provenance.json", "manifest.json"),
)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def assert_refused(result: Result, name: str) -> None:
    """Exit 1, one line on standard error, which names the file and a way out."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert name in line
    assert "again" in line
    assert "--accept-changed" in line
    assert result.stdout == ""


def flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def another_digit(content: bytes, rng: random.Random) -> bytes:
    places = [i for i, byte in enumerate(content) if 48 <= byte <= 57]
    changed = bytearray(content)
    place = rng.choice(places)
    changed[place] = rng.choice([c for c in range(48, 58) if c != changed[place]])
    return bytes(changed)


def shortened(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


DAMAGES = (flipped, another_digit, shortened)


@pytest.mark.parametrize("name", RUN_FILES)
def test_no_damage_of_a_run_is_shown(name, copy):
    rng = random.Random(name)
    path = copy.folder / name
    whole = path.read_bytes()
    for damage in DAMAGES:
        path.write_bytes(damage(whole, rng))
        assert_refused(call("report", copy.folder), name)
    assert not (copy.folder / "report.html").exists()
    path.write_bytes(whole)
    assert call("report", copy.folder).exit_code == 0


@pytest.mark.parametrize("name", ["estimates.csv", "laws.csv", "notes.csv"])
def test_a_table_of_something_else_is_refused(name, copy):
    for other in ("curves.csv", "law_summary.csv", "curves.npz", "manifest.json"):
        shutil.copy(copy.folder / other, copy.folder / name)
        assert_refused(call("report", copy.folder), name)
        # Accepted, it is shown, or it is said in one line that it cannot be.
        shown = call("report", copy.folder, "--accept-changed")
        assert isinstance(shown.exception, SystemExit | None), shown.exception
        assert "Traceback" not in shown.output


def test_what_is_accepted_says_so_on_the_page_and_on_the_figure(copy):
    path = copy.folder / "law_summary.csv"
    table = pd.read_csv(path)
    table["mean"] += 1.0
    table.to_csv(path, index=False)
    result = call("report", copy.folder, "--accept-changed")
    assert result.exit_code == 0, result.output
    assert "law_summary.csv is not what was written" in result.stderr
    page = (copy.folder / "report.html").read_text(encoding="utf-8")
    text = page.partition("<script")[0]
    assert "NOT AS IT WAS COMPUTED" in text
    assert "law_summary.csv is not what was written" in text
    names = ("block_times", "table_2", "--quiet")
    assert_refused(call("figures", copy.folder, *names), "law_summary.csv")
    drawn = call("figures", copy.folder, *names, "--accept-changed")
    assert drawn.exit_code == 0, drawn.output
    assert "law_summary.csv is not what was written" in drawn.stderr
    figures = copy.folder / "figures"
    assert "Not as it was computed" in (figures / "table_2.tex").read_text()
    assert "law_summary.csv" in (figures / "block_times.csv").read_text()


def test_notes_of_another_run_are_not_this_run_s(copy):
    other = unsealed_json((copy.folder / "provenance.json").read_bytes())
    content = sealed_json(other | {"stage": "another"})
    (copy.folder / "provenance.json").write_bytes(content)
    assert_refused(call("report", copy.folder), "provenance.json")


def test_a_manifest_that_is_gone_vouches_for_nothing(copy):
    (copy.folder / "manifest.json").unlink()
    assert_refused(call("report", copy.folder), "manifest.json")


def test_run_makes_again_what_was_changed(copy, contents):
    before = contents(copy.folder)
    for name in ("estimates.csv", "provenance.json", "config.toml", "summary.md"):
        (copy.folder / name).write_bytes(b"x")
    copy.again()
    assert contents(copy.folder) == before
    assert call("report", copy.folder).exit_code == 0


def test_a_table_of_another_command_is_not_drawn_as_the_run_s(copy):
    (copy.folder / "attacks.csv").write_text("attack,on\n")
    result = call("figures", copy.folder, "attacks", "--quiet")
    assert result.exit_code == 0, result.output
    assert "left out: attacks: attacks.csv is not in the folder's" in result.output


@pytest.mark.parametrize("gone", ["laws.csv", "curves.npz"])
@pytest.mark.parametrize("piped", [False, True])
def test_a_table_that_is_no_file_is_said_to_be_none(gone, piped, copy, tmp_path):
    (copy.folder / gone).unlink()
    if piped:
        os.mkfifo(copy.folder / gone)
    words = ("block_times", "--output", tmp_path / "drawn", "--quiet")
    result = call("figures", copy.folder, *words)
    assert result.exit_code == 0, result.output
    if gone == "laws.csv":
        assert "laws.csv is missing, or no regular file: `dpodl run" in result.output
    else:  # no figure needs it
        assert "left out" not in result.output


# ------------------------------------------------------------------ a sweep


@pytest.fixture
def store(tmp_path) -> SweepStore:
    """A sweep of two points, its rows invented."""
    config = frozen(load_config("smoke"), over={"network.beta": [0.0, 0.25]})
    found = SweepStore(store_path(config, tmp_path))
    design = design_of(config)
    rows = [points.parameters(config, {"network.beta": beta}) for beta in (0.0, 0.25)]
    columns = {"key": ["a", "b"], "group": ["g", "g"], "label": ["", ""]}
    columns["error"] = ["", ""]
    found.write_plan(config, points.points_table(design, rows, columns))
    for key, value in (("a", 0.25), ("b", 0.5)):
        row = {"quantity": "persistence_violation", "at": 1.0, "at_unit": "blocks"}
        row |= {"value": value, "low": value / 2, "high": 1.0, "count": 10}
        row |= {"method": "invented", "unit": "probability"}
        found.add(shard_file.encode((key,), [Outcome((row,), "")]))
    found.write_sessions([{"computed": 2, "seconds": 1.0}])
    table = results.results_table(found)
    files = {"results.parquet": results.results_bytes(table, "parquet")}
    found.keep("results", files)
    return found


COMMANDS = {
    "shards": ("results", "status"),
    "points.parquet": ("results", "status"),
    "results.parquet": ("report",),
    "sweep.toml": ("report",),
    "provenance.json": ("report", "status"),
    "manifest.json": ("results", "status", "report"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_damage_of_a_sweep_is_shown(name, store):
    rng = random.Random(name)
    path = store.path / name
    if path.is_dir():
        path = min(path.iterdir())
    whole = path.read_bytes()
    for command in COMMANDS[name]:
        for damage in DAMAGES:
            path.write_bytes(damage(whole, rng))
            assert_refused(call(command, store.path), path.name)
        path.write_bytes(whole)
        assert call(command, store.path).exit_code == 0


def test_well_formed_tables_of_others_are_refused(store, smoke):
    foreign = [p for p in smoke.folder.iterdir() if p.is_file()]
    foreign += [p for p in store.path.rglob("*") if p.is_file()]
    for name, commands in COMMANDS.items():
        path = store.path / name
        if path.is_dir():
            path = max(path.iterdir())
        whole = path.read_bytes()
        for other in foreign:
            if other.read_bytes() == whole:
                continue
            shutil.copy(other, path)
            for command in commands:
                assert_refused(call(command, store.path), path.name)
                accepted = call(command, store.path, "--accept-changed")
                assert isinstance(accepted.exception, SystemExit | None), other
            path.write_bytes(whole)


def test_accepted_damage_of_a_sweep_is_told_in_every_row(store):
    path = max((store.path / "shards").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    result = call("results", store.path, "--accept-changed")
    assert result.exit_code == 0, result.output
    header, *rows = result.stdout.splitlines()
    assert header.endswith(",changed")
    assert len(rows) == 1
    assert path.name in rows[0]
    assert path.name in result.stderr
    status = call("status", store.path, "--accept-changed", "--json")
    assert path.name in json.loads(status.stdout)["changed"][0]


def test_a_shard_of_other_columns_is_none(store):
    content = gzip.compress(b"no Parquet")
    with pytest.raises(ValueError, match="not a shard"):
        shard_file.facts_of(content)


# ------------------------------------------------------------------ what cannot be


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("value", 1.5, "value of a probability lies in"),
        ("low", -0.1, "low of a probability lies in"),
        ("low", 0.9999, "low is never above high"),
        ("count", -3, "count is never negative"),
        ("network.beta", 1.2, r"network.beta lies in \[0, 1\]"),
        ("value", "many", "value holds what is no number"),
    ],
)
def test_what_cannot_be_is_refused_though_no_digest_says_so(
    column, value, told, store, tmp_path
):
    table = results.read_results(store.path).astype({column: object})
    table.loc[0, column] = value
    if told.startswith("low is"):
        table.loc[0, "high"] = 0.5
    alone = tmp_path / "alone"
    alone.mkdir()
    table.to_csv(alone / "results.csv", index=False)
    with pytest.raises(Changed, match=told):
        check_possible(pd.read_csv(alone / "results.csv"), "x")
    result = call("report", alone)
    assert result.exit_code == 1, result.output
    assert "results.csv" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_exported_table_is_shown_and_no_digest_vouches_for_it(store, tmp_path):
    alone = tmp_path / "alone"
    output = ("--output", alone / "results.csv")
    assert call("results", store.path, *output).exit_code == 0
    result = call("report", alone)
    assert result.exit_code == 0, result.output
    page = (alone / "report.html").read_text(encoding="utf-8")
    assert "NOT AS IT WAS COMPUTED" not in page
    assert "exported table: no digest vouches" in result.stderr


# ------------------------------------------------------------------ seals


def test_a_sealed_json_tells_every_changed_byte():
    content = sealed_json({"a": [1, {"b": "ä"}], "c": None})
    assert unsealed_json(content) == {"a": [1, {"b": "ä"}], "c": None}
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        with pytest.raises(ValueError, match="digest"):
            unsealed_json(bytes(changed))
    for other in (b"", b"3", b"{}", b"[" * 100_000, b'{"sha256": 3}'):
        with pytest.raises(ValueError, match="digest"):
            unsealed_json(other)


def test_a_stage_that_is_cut_off_is_unfinished_and_not_damaged(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.finish("laws", "old", {"a.csv": b"1", "b.csv": b"2"})
    monkeypatch.setattr(RunFolder, "record", lambda *_: None)  # killed just before it
    folder.finish("laws", "new", {"a.csv": b"3", "b.csv": b"4"})
    with pytest.raises(Changed, match="stage is not finished"):
        folder.read("a.csv")
