"""What README shows is what the commands print, and what the gallery was drawn from."""

import json
import re
from importlib import util
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def remake():
    spec = util.spec_from_file_location("remake", ROOT / "docs" / "remake.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(remake, tmp_path, monkeypatch):
    """A project of one page with one block and the images of one source."""
    gallery = tmp_path / "docs" / "gallery"
    gallery.mkdir(parents=True)
    (tmp_path / "README.md").write_text(
        "# p\n\n<!-- made by: dpodl run tiny -->\n```text\nold\n```\n<!-- end -->\nx\n"
    )
    monkeypatch.setattr(remake, "ROOT", tmp_path)
    monkeypatch.setattr(remake, "GALLERY", gallery)
    monkeypatch.setattr(remake, "RECORD", tmp_path / "docs" / "made.json")
    source = remake.Source("dpodl run tiny", "runs/tiny-*", ("decay",))
    monkeypatch.setattr(remake, "SOURCES", (source,))
    monkeypatch.setattr(remake, "build", lambda: {"processor": "this one"})
    state = {"line": "│ risk │ 0.3 │ 0.2 … 0.4 │", "value": 0.3, "calls": []}

    def printed(command, scratch):
        state["calls"].append(command)
        return f"```text\n{state['line']}\n```\n"

    def drawn(source, scratch):
        folder = scratch / "drawn"
        folder.mkdir(exist_ok=True)
        (folder / "decay.png").write_bytes(b"picture of %f" % state["value"])
        table = pd.DataFrame({"layer": ["a", "b"], "value": [state["value"], 0.5]})
        table.to_csv(folder / "decay.csv", index=False)
        return folder

    monkeypatch.setattr(remake, "printed", printed)
    monkeypatch.setattr(remake, "drawn", drawn)
    state["page"], state["root"] = tmp_path / "README.md", tmp_path
    return state


def scratch(project, name):
    folder = project["root"] / name
    folder.mkdir()
    return folder


# ------------------------------------------------------------------- this project


def test_no_block_and_no_image_was_changed_by_hand(remake):
    assert remake.stale_by_hand(json.loads(remake.RECORD.read_text("utf-8"))) == []


def test_readme_has_no_table_and_no_picture_that_is_not_made(remake):
    text = (ROOT / "README.md").read_text("utf-8")
    bare = remake.with_blocks(text, {b.command: "" for b in remake.blocks()})
    assert "│" in text
    assert not re.search("[│┃┏└]", bare)
    shown = set(re.findall(r"docs/gallery/(\w+)\.png", text))
    assert shown == {name for source in remake.SOURCES for name in source.images}


@pytest.mark.slow
def test_readme_shows_what_quickstart_prints(remake, tmp_path):
    run, *_ = remake.SOURCES
    assert run.command == "dpodl run quickstart"
    assert remake.stale(tmp_path, (run,)) == []


# ------------------------------------------------------------------- the script


def test_what_is_made_is_not_stale_and_what_changes_is(remake, project):
    remake.remake(scratch(project, "first"))
    assert "│ 0.2 … 0.4 │" in project["page"].read_text("utf-8")
    assert "old" not in project["page"].read_text("utf-8")
    assert remake.stale(scratch(project, "second")) == []
    project["line"] = "│ risk │ 0.3 │ 0.2 … 0.5 │"
    (found,) = remake.stale(scratch(project, "third"))
    assert found.startswith("README.md: dpodl run tiny: '│ risk")
    project["line"], project["value"] = "│ risk │ 0.3 │ 0.2 … 0.4 │", 0.31
    (found,) = remake.stale(scratch(project, "fourth"))
    assert found == "docs/gallery/decay.png: mean of value: 0.4 is now 0.405"


def test_a_command_runs_once_and_other_text_stays(remake, project):
    folder = scratch(project, "one")
    remake.remake(folder)
    assert project["calls"] == ["dpodl run tiny"]
    text = project["page"].read_text("utf-8")
    assert text.startswith("# p\n\n<!-- made by")
    assert text.endswith("<!-- end -->\nx\n")
    remake.remake(folder)
    assert project["calls"] == ["dpodl run tiny"]
    assert project["page"].read_text("utf-8") == text


@pytest.mark.parametrize("what", ["block", "image", "lost", "stranger"])
def test_a_change_by_hand_is_found(remake, project, what):
    remake.remake(scratch(project, "first"))
    record = json.loads(remake.RECORD.read_text("utf-8"))
    assert remake.stale_by_hand(record) == []
    image = remake.GALLERY / "decay.png"
    if what == "block":
        text = project["page"].read_text("utf-8")
        project["page"].write_text(text.replace("0.2 …", "0.1 …"), "utf-8")
    elif what == "image":
        image.write_bytes(b"another")
    elif what == "lost":
        image.unlink()
    else:
        (remake.GALLERY / "report.png").write_bytes(b"from elsewhere")
    (found,) = remake.stale_by_hand(record)
    assert ("README.md" in found) is (what == "block")


def test_another_build_is_held_to_overlapping_intervals(remake, project, monkeypatch):
    remake.remake(scratch(project, "first"))
    monkeypatch.setattr(remake, "build", lambda: {"processor": "another one"})
    project["line"], project["value"] = "│ risk │ 0.35 │ 0.25 … 0.45 │", 0.31
    assert remake.stale(scratch(project, "second")) == []
    project["line"] = "│ risk │ 0.55 │ 0.45 … 0.65 │"
    (found,) = remake.stale(scratch(project, "third"))
    assert found.endswith("risk: [0.2, 0.4] is now [0.45, 0.65]")
    project["line"] = "│ another row │ 0.3 │ 0.2 … 0.4 │"
    (found,) = remake.stale(scratch(project, "fourth"))
    assert "only 0 of 1 rows are still there" in found


def test_rows_with_seconds_and_thousands_are_read(remake):
    text = "│ steps │ 4,554  (0.911 s) │ 4,082 … 5,026 │\n│ x │ 0 │ 9.9e-07 … 4e-04 │\n"
    assert remake._rows(text) == {"steps": [4082.0, 5026.0], "x": [9.9e-07, 4e-04]}


def test_a_command_that_fails_is_an_error(remake, tmp_path):
    with pytest.raises(RuntimeError, match=r"dpodl run nothing: exit 2"):
        remake.printed("dpodl run nothing", tmp_path)
    assert remake.printed("dpodl configs", tmp_path).startswith("```text\n")
