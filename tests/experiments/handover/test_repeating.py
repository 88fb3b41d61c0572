"""A run packed, opened elsewhere and run again; what differs is said, and no more."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from dpodl.experiments.cli import main
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.handover import repeating
from dpodl.experiments.handover.archive import pack
from dpodl.experiments.handover.contents import ArchiveError
from dpodl.experiments.handover.opening import open_archive
from dpodl.experiments.handover.repeating import compare_tables
from dpodl.experiments.pipeline.stages import RunResult
from dpodl.experiments.store.possible import Changed
from dpodl.experiments.store.run_folder import RunFolder

from .conftest import ESTIMATES, finished


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


# ------------------------------------------------------------------- the real thing


def test_a_run_is_packed_and_repeated(smoke, tmp_path, no_pictures):
    path = tmp_path / "smoke.zip"
    packed = call("export", smoke.folder, "--output", path)
    assert packed.exit_code == 0, packed.output
    assert open_archive(path).sha256 in packed.stdout
    assert path.read_bytes() == pack(smoke.folder), "not the same bytes again"
    again = call("run", path, "--output", tmp_path, "--json")
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    assert told["same"] is True
    for table in told["tables"]:
        assert table["rows"] == table["rows_now"] == table["identical"] > 0
    # Everything was made anew: nothing lay there before.
    assert told["files"][0] == told["files"][1] >= 8
    folder = Path(told["folder"])
    assert folder.parent.name == f"repeat-smoke-{told['archive'][:10]}"
    assert (folder / "curves.npz").stat().st_ino != (
        smoke.folder / "curves.npz"
    ).stat().st_ino
    assert told["made_with"] == []


# ----------------------------------------------------------------------- comparing


@pytest.mark.parametrize(
    ("row", "value", "counts"),
    [
        (0, 0.015012345, (3, 3)),
        (0, 0.0150, (2, 3)),  # 0.0150 [0.0103, 0.0216]: nobody sees it
        (0, 0.0152, (2, 2)),
        (1, 469.0, (2, 2)),
        (2, 1e-5, (2, 2)),
    ],
)
def test_rows_are_the_same_as_far_as_they_are_printed(row, value, counts):
    now = ESTIMATES.copy()
    now.loc[row, "value"] = value
    found = compare_tables("estimates", ESTIMATES, now)
    assert (found.identical, found.printed) == counts
    assert found.same == (counts[1] == 3)
    low, high, then = (ESTIMATES.loc[row, each] for each in ("low", "high", "value"))
    assert found.largest == pytest.approx(abs(value - then) / ((high - low) / 2))


def test_a_moved_end_of_an_interval_is_seen_and_text_too():
    for column, value in (("high", 900.0), ("method", "other")):
        now = ESTIMATES.copy()
        now.loc[1, column] = value
        assert compare_tables("estimates", ESTIMATES, now).printed == 2


def test_fewer_rows_other_columns_and_numbers_without_intervals():
    assert not compare_tables("e", ESTIMATES, ESTIMATES[:2]).same
    assert not compare_tables("e", ESTIMATES[:2], ESTIMATES).same
    other = compare_tables("e", ESTIMATES, ESTIMATES.drop(columns="method"))
    assert (other.identical, other.printed, other.same) == (0, 0, False)
    then = pd.DataFrame({"x": [1 / 3, np.nan, 2.0]})
    now = pd.DataFrame({"x": [1 / 3 + 1e-9, np.nan, 2.0001]})
    found = compare_tables("x", then, now)
    assert (found.identical, found.printed) == (1, 2)
    assert np.isnan(found.largest)
    exact = ESTIMATES.assign(low=ESTIMATES["value"], high=ESTIMATES["value"])
    moved = exact.assign(value=[0.02, 468.0, 0.0])
    assert compare_tables("e", exact, moved).largest == np.inf


# --------------------------------------------------------- inputs and provenance


@pytest.fixture
def rerun(monkeypatch, packed):
    """A run that takes no time; returns the configs that it was asked for."""
    asked = []

    def run(config, root, progress, *, command):
        path = str(config.law.path)
        asked.append((config, Path(path).read_bytes()))
        laws = pd.DataFrame({"setting": [f"measured: {path}"], "mean": [204.25]})
        tables = dict.fromkeys(packed.tables, laws) | {"estimates": ESTIMATES}
        folder = root / "own-times-9876543210"
        finished(folder, config, tables)
        return RunResult(folder, tables, ["curves"], {}, {})

    monkeypatch.setattr(repeating, "run", run)
    return asked


def test_a_user_s_file_is_in_the_archive_and_stands_for_the_config_s(
    packed, rerun, tmp_path
):
    done = call("run", packed.archive, "--output", tmp_path, "--quiet")
    assert done.exit_code == 0, done.output
    ((config, content),) = rerun
    assert content == packed.times
    assert config.law.path.is_relative_to(tmp_path)
    but = {"law": {"path": "x"}}
    assert config.model_dump() | but == packed.config.model_dump() | but
    # A law that is called by its path is not another law.
    assert "law_summary  1 rows: 1 identical" in done.stdout
    assert "made with: the same code, versions and machine" in done.stdout
    assert "repeated: the same as printed" in done.stdout


def test_what_it_was_made_with_is_compared(packed, rerun, tmp_path, monkeypatch):
    now = repeating.provenance("")
    now["packages"] = {**now["packages"], "jax": "9.9"}
    now["machine"] = {**now["machine"], "cores": 4096}
    monkeypatch.setattr(repeating, "provenance", lambda command: now)
    found = repeating.repeat(
        open_archive(packed.archive), tmp_path, silent, command="x"
    )
    facts = json.loads((packed.folder / "provenance.json").read_text())
    assert sorted(found.made_with) == [
        ("machine.cores", str(facts["machine"]["cores"]), "4096"),
        ("packages.jax", facts["packages"]["jax"], "9.9"),
    ]


def test_a_table_that_differs_ends_in_code_1(packed, rerun, tmp_path, monkeypatch):
    monkeypatch.setattr(repeating, "_renamed", lambda table, said: table)
    done = call("run", packed.archive, "--output", tmp_path, "--quiet")
    assert done.exit_code == 1
    assert "law_summary  1 rows: 0 identical, 0 the same as printed" in done.stdout
    assert "repeated: not the same" in done.stdout


def test_settings_beside_an_archive_are_refused(packed):
    for more in (("--set", "seed=1"), ("--rel-error", "0.1")):
        done = call("run", packed.archive, *more)
        assert done.exit_code == 2
        assert "an archive is run as it is" in done.stderr


# ---------------------------------------------------------------- what is refused


def repacked(packed, tmp_path, **settings):
    """The run's archive with another config, as a stranger may send it."""
    config = load_config("own-times", [f"{k}={v}" for k, v in settings.items()])
    folder = tmp_path / "y-0123456789"
    finished(folder, config, packed.tables)
    return folder


def test_an_archive_runs_no_code_of_a_stranger(packed, tmp_path):
    folder = repacked(packed, tmp_path, **{"adversary.part": "os:system"})
    path = tmp_path / "a.zip"
    path.write_bytes(pack(folder))
    done = call("run", path, "--output", tmp_path / "out")
    assert done.exit_code == 2
    assert "names code, os:system, and an archive is not let run any" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_archive_reads_no_file_that_it_does_not_hold(packed, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("time\n1\n")
    folder = repacked(packed, tmp_path, **{"law.path": str(secret)})
    archive = tmp_path / "a.zip"
    archive.write_bytes(pack(folder))
    found = open_archive(archive)
    with pytest.raises(ArchiveError, match=r"does not hold: law.path = .*secret"):
        repeating.archived_config(found._replace(inputs={}))
    # What comes with the package everybody has.
    example = repacked(packed, tmp_path / "b", **{"law.path": "example-times"})
    archive.write_bytes(pack(example))
    found = open_archive(archive)
    assert found.inputs == {}
    assert str(repeating.archived_config(found).law.path) == "example-times"


def test_a_table_that_its_manifest_does_not_know_is_refused(packed, rerun, tmp_path):
    found = open_archive(packed.archive)
    files = {**found.files}
    files["estimates.csv"] = files["estimates.csv"].replace(b"468", b"460")
    with pytest.raises(Changed, match="is not what was written"):
        repeating.repeat(found._replace(files=files), tmp_path, silent, command="x")
    damaged = found._replace(files={**found.files, "provenance.json": b"{}"})
    with pytest.raises(ArchiveError, match=r"provenance\.json"):
        repeating.repeat(damaged, tmp_path, silent, command="x")


def test_only_a_whole_run_is_packed(packed, tmp_path):
    with pytest.raises(ConfigError, match="is no run folder"):
        pack(tmp_path)
    folder = repacked(packed, tmp_path, **{"law.path": "example-times"})
    (folder / "laws.csv").write_text("setting,mean\nx,1\n")
    with pytest.raises(Changed, match=r"laws.csv is not what was written"):
        pack(folder)
    (folder / "laws.csv").unlink()
    with pytest.raises(OSError, match="No such file"):
        pack(folder)
    assert "laws.csv" in RunFolder(folder).names()
