"""A stage that is done again says why, and no more than is known."""

import json
from pathlib import Path

import pytest
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import reasons, sources, stages
from dpodl.experiments.pipeline.reasons import UNKNOWN, why_again, why_new
from dpodl.experiments.store.run_folder import RunFolder

NOW = {
    "files": {"analysis/race/walk.py": "a", "models/learning/looks.py": "b"},
    "data": "",
    "versions": {"jax": "1"},
    "flags": [],
}


def folder_of(path: Path, made_from: dict | None, name: str = "run") -> RunFolder:
    """A folder with its laws and estimates, made from something."""
    folder = RunFolder(path / name)
    folder.path.mkdir()
    for stage in ("laws", "estimates"):
        folder.finish(stage, f"old {stage}", {f"{stage}.csv": b"x"})
    notes = {} if made_from is None else {reasons.MADE_FROM: made_from}
    folder.write_notes("old estimates", notes)
    return folder


def why(folder: RunFolder, stage: str, done=(), now=NOW, key="new") -> str:
    return why_again(
        folder, stage, key, now, before=["curves", "laws"], done=list(done)
    )


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ({"files": {**NOW["files"], "analysis/race/walk.py": "c"}},
         "analysis/race/walk.py has changed"),
        ({"files": {"models/learning/looks.py": "b"}}, "analysis/race/walk.py is new"),
        ({"files": {**NOW["files"], "analysis/gone.py": "c"}},
         "analysis/gone.py is gone"),
        ({"versions": {"jax": "0"}}, "jax is 1, was 0"),
        ({"data": "x"}, "the data, law or attack of your own is another"),
        ({"flags": ["x"]}, "compiler flags are others"),
        # A figure's code is in no number, so that is not why.
        ({"files": {**NOW["files"], "figures/style.py": "c"}}, UNKNOWN),
        (None, UNKNOWN),
    ],
)  # fmt: skip
def test_the_part_that_changed_is_named(tmp_path, then, told):
    folder = folder_of(tmp_path, None if then is None else NOW | then)
    assert why(folder, "estimates") == told


def test_a_stage_before_it_is_named(tmp_path):
    folder = folder_of(tmp_path, NOW | {"versions": {"jax": "0"}})
    assert why(folder, "estimates", done=["laws"]) == "after laws"
    assert why(folder, "summary") == ""  # it was not there: nothing is done again


def test_a_spoiled_file_is_named(tmp_path):
    folder = folder_of(tmp_path, NOW)
    (folder.path / "estimates.csv").write_text("y")
    told = why(folder, "estimates", key="old estimates")
    assert told == "estimates.csv: changed, damaged or removed since"


def test_only_some_of_many_files_are_named(tmp_path):
    then = NOW | {"files": {f"analysis/f{i}.py": "x" for i in range(9)}}
    told = why(folder_of(tmp_path, then), "laws")
    assert told.count(" is ") == 4
    assert told.endswith(" and 7 more")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"made_from": 3}', b"\xff"])
def test_notes_of_a_stranger_are_none(tmp_path, content):
    folder = folder_of(tmp_path, NOW)
    (folder.path / "provenance.json").write_bytes(content)
    assert why(folder, "laws") == UNKNOWN


def test_files_are_those_of_the_stages_digest():
    """Whatever a stage's digest reads has a part of its own."""
    for stage in stages.STAGES:
        used = sources.files_of([stage])
        named = {name for name in sources.file_digests() if used(name)}
        places = [sources._PACKAGE / place for place in sources._USED[stage]]
        read = {
            path.relative_to(sources._PACKAGE).as_posix()
            for place in places
            for path in ([place] if place.is_file() else place.rglob("*.py"))
        }
        assert named == read


def test_new_settings_are_those_of_the_nearest_result(tmp_path):
    config = load_config("smoke")
    for name, settings in (
        ("smoke-aaaaaaaaaa", ["scheme.t_2=2^250"]),
        ("smoke-bbbbbbbbbb", ["scheme.t_2=2^250", "network.beta=0.5"]),
        ("smoke-cccccccccc", None),
    ):
        folder = folder_of(tmp_path, NOW, name)
        if settings is None:
            (folder.path / "config.toml").write_text("[nothing]\n")
            continue
        text = load_config("smoke", settings).to_toml()
        (folder.path / "config.toml").write_text(text)
    told = why_new(config, tmp_path, NOW)
    assert told == (
        "no result of these settings; smoke-aaaaaaaaaa differs in scheme.t_2"
    )
    other = load_config("smoke", ["seed=5", "scheme.t_2=2^250", "training.runs=30"])
    assert why_new(other, tmp_path, NOW).endswith(
        "smoke-aaaaaaaaaa differs in seed, training.runs; models are other ones: seed"
    )
    assert why_new(load_config("quickstart"), tmp_path, NOW) == ""


def test_a_run_says_which_file_made_it_stale(copy, no_pictures, monkeypatch):
    folder = copy.folder
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["made_from"]["files"] == sources.file_digests()
    digests, parts = stages.stage_digests, reasons.parts

    def edited() -> dict[str, str]:
        return digests() | {"figures": "other", "summary": "other"}

    def changed(data: str | None) -> dict:
        found = parts(data)
        found["files"]["figures/parts/maps.py"] = "other"
        return found

    monkeypatch.setattr(stages, "stage_digests", edited)
    monkeypatch.setattr(reasons, "parts", changed)
    again = copy.again()
    assert again.recomputed == ["figures", "summary"]
    assert list(again.reasons) == again.recomputed
    assert "figures/parts/maps.py" in again.reasons["figures"]
    # It is there and intact now: nothing is done, and nothing said.
    assert copy.again().reasons == {}


def test_another_setting_is_said_to_be_new(copy, no_pictures):
    assert copy.result.reasons == {}
    told = copy.again("security.target=0.04").reasons
    name = copy.folder.name
    assert told == {
        "new": f"no result of these settings; {name} differs in security.target"
    }
