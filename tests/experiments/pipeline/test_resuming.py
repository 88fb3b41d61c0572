"""What is there and intact is not made again."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from dpodl.experiments.pipeline import sources, stages as runner, summary, training

from .test_stages import FILES, SCHEMES, STAGES, Killed


def test_a_second_run_does_nothing(copy, contents, times, compiled):
    before = contents(copy.root), times(copy.root), len(compiled)
    result = copy.again()
    assert result.recomputed == []
    assert result.seconds == {}
    assert (contents(copy.root), times(copy.root), len(compiled)) == before
    for name, table in result.tables.items():
        pd.testing.assert_frame_equal(table, copy.result.tables[name])


def test_what_only_a_stage_needs_waits_for_it():
    # Two thirds of the time of a run that is all there.
    code = (
        "import sys, dpodl.experiments.pipeline.stages\n"
        "print(sorted({'scipy.stats', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_another_folder_gets_the_same_bytes(smoke, tmp_path, contents):
    result = smoke.again(root=tmp_path)
    assert result.recomputed == STAGES
    assert contents(tmp_path) == contents(smoke.root)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("curves.npz", "missing"),
        ("curves.csv", "flipped"),
        ("config.toml", "cut"),
        ("laws.csv", "cut"),
        ("law_summary.csv", "flipped"),
        ("estimates.csv", "missing"),
        ("notes.csv", "flipped"),
        ("figures/block_times.pdf", "cut"),
        ("summary.md", "missing"),
        ("summary.md", "flipped"),
    ],
)
def test_a_damaged_file_is_made_again(name, damage, copy, contents, times):
    whole, written = contents(copy.root), times(copy.root)
    stage = next(stage for stage, files in FILES.items() if name in files)
    path = copy.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if damage == "flipped" else content[:-1])
    if damage == "missing":
        path.unlink()
    result = copy.again()
    assert result.recomputed == [stage]
    assert contents(copy.root) == whole
    new = FILES[stage] | {"manifest.json", "provenance.json"}
    now = times(copy.root)
    assert {n for n in now if now[n] != written[n]} == {
        f"{copy.folder.name}/{name}" for name in new
    }


@pytest.mark.usefixtures("no_pictures")
def test_without_its_manifest_everything_is_made_again(copy, contents):
    whole = contents(copy.root / "curves")
    (copy.folder / "manifest.json").write_bytes(b"{")
    assert copy.again().recomputed == STAGES
    assert contents(copy.root / "curves") == whole


@pytest.mark.usefixtures("no_pictures")
def test_new_code_for_a_stage_makes_it_and_what_follows_again(copy, monkeypatch):
    code = sources.stage_digests() | {"estimates": "new"}
    monkeypatch.setattr(runner, "stage_digests", lambda: code)
    assert copy.again().recomputed == ["estimates", "figures", "summary"]
    assert copy.again().recomputed == []


def test_a_lost_provenance_is_written_again(copy, contents):
    whole = contents(copy.root)
    (copy.folder / "provenance.json").unlink()
    assert copy.again().recomputed == []
    facts = json.loads((copy.folder / "provenance.json").read_text())
    assert facts["command"] == "dpodl run smoke"
    assert contents(copy.root) == whole


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("settings", SCHEMES, ids=" ".join)
def test_other_thresholds_train_and_compile_nothing(
    settings, copy, contents, times, compiled
):
    assert copy.programs > 5
    curves = copy.root / "curves"
    before, programs = (contents(curves), times(curves)), len(compiled)
    result = copy.again(*settings)
    assert result.folder != copy.folder
    assert (contents(curves), times(curves)) == before
    # More forks than smoke has need wider slots, a shape of their own.
    new = [name for name in compiled[programs:] if "_simulate" not in name]
    assert [name for name in new if "_replaced" not in name] == []
    whole, old = contents(result.folder), contents(copy.folder)
    assert whole["curves.csv"] == old["curves.csv"]
    assert whole["estimates.csv"] != old["estimates.csv"]


@pytest.mark.usefixtures("no_pictures")
def test_a_relative_error_is_reached_or_told(copy):
    result = copy.again("security.rel_error=0.1", "security.confirmations=2")
    table = result.tables["estimates"].set_index(["quantity", "at"])
    row = table.loc[("persistence_simulated", 2.0)]
    assert row["count"] > copy.config.security.replicas
    assert "95 % in all" in row.method
    assert "bootstrap over training runs" in row.method
    notes = " ".join(result.tables["notes"].text)
    assert f"{row['count']:,} replicas were simulated for a half-width of 0.1" in notes
    assert "was not reached" not in notes
    line = summary.verdict(copy.but("security.confirmations=2"), result.tables).line
    assert f"{row['count']:,} simulated races" in line
    assert (table.loc["good_period"]["count"] <= 400).all()
    short = copy.again("security.rel_error=0.01", "security.max_replicas=400")
    (told,) = (t for t in short.tables["notes"].text if "was not reached" in t)
    assert "persistence_simulated at 3: ±" in told
    assert "samples" in told


def train(smoke, *settings: str) -> np.ndarray:
    found = training.train(smoke.but(*settings), smoke.root, lambda *_: None)
    return np.stack([found.correct, found.loss])


def test_more_runs_extend_the_store(copy, contents):
    before = contents(copy.root / "curves")
    old = train(copy)
    more = train(copy, "training.runs=30")
    after = contents(copy.root / "curves")
    assert before.items() < after.items()
    np.testing.assert_array_equal(more[:, :24], old)
    np.testing.assert_array_equal(train(copy, "training.runs=20"), old[:, :20])
    assert contents(copy.root / "curves") == after


def test_progress_counts_the_runs_that_were_asked_for(copy):
    """A store that had more runs than were asked for told 1404 of 1200."""
    train(copy, "training.runs=30")
    first, *_ = sorted((copy.root / "curves").rglob("*.npz"))
    first.unlink()
    told = []
    config = copy.but("training.runs=20")
    training.train(config, copy.root, lambda *report: told.append(report))
    assert len(told) > 1
    assert all(done <= total == 20 for _, done, total in told)
    assert told[-1][1:] == (20, 20)


def test_runs_of_another_seed_are_kept_apart(copy, contents):
    before = contents(copy.root / "curves")
    other = train(copy, "seed=1")
    assert (other[0] != train(copy)[0]).any()
    assert before.items() < contents(copy.root / "curves").items()
    assert len(list((copy.root / "curves").iterdir())) == 2


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped"])
def test_a_damaged_chunk_is_trained_again(copy, damage, contents):
    whole = contents(copy.root)
    path = sorted((copy.root / "curves").rglob("*.npz"))[1]
    content = bytearray(path.read_bytes())
    content[content.index(b"loss.npy") + 200] ^= 1
    path.write_bytes(content if damage == "flipped" else content[:-50])
    if damage == "missing":
        path.unlink()
    assert copy.again().recomputed == []  # the run's own copy is whole
    (copy.folder / "curves.csv").unlink()
    assert copy.again().recomputed == ["curves"]
    assert contents(copy.root) == whole


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("write", [3, 8, 15, 19])
def test_a_run_cut_off_at_any_write_goes_on_to_the_same_bytes(
    write, smoke, tmp_path, monkeypatch, contents
):
    fsync, left = os.fsync, [write]

    def cut_off(descriptor: int) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", cut_off)
        with pytest.raises(Killed):
            smoke.again(root=tmp_path)
    result = smoke.again(root=tmp_path)
    assert (result.recomputed == STAGES) == (write < 11)
    assert result.recomputed == STAGES[len(STAGES) - len(result.recomputed) :]
    found, expected = contents(tmp_path), contents(smoke.root)
    for name in set(expected) - set(found):
        assert "/figures/" in name
    for name in set(found) & set(expected):
        assert name.endswith("manifest.json") or found[name] == expected[name], name
