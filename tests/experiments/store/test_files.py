"""Files after crashes: whole or not there, and never taken for what they are not."""

import errno
import hashlib
import io
import json
import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dpodl.experiments.store import files
from dpodl.experiments.store.curve_store import CurveStore
from dpodl.experiments.store.files import file_digest, sealed_name, table_bytes
from dpodl.experiments.store.locks import exclusive
from dpodl.experiments.store.run_folder import RunFolder
from dpodl.models.learning.files import write_atomically
from dpodl.models.learning.looks import Curve

LOOKS = 3
FILES = {"a.csv": b"x,y\n1,2\n", "figures/b.png": b"\x89PNG"}


class Killed(BaseException):
    """What no handler of errors expects."""


def names(folder: Path) -> set[str]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------ one file


@pytest.mark.parametrize("content", [b"", b"new", bytes(range(256)) * 5000])
def test_a_file_is_written_over_and_below_what_is_there(content, tmp_path):
    (tmp_path / "there").write_bytes(b"old")
    for path in (tmp_path / "there", tmp_path / "deep/er/new"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert names(tmp_path) == {"there", "deep/er/new"}


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize(
    "failure",
    [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), Killed()],
    ids=["full disk", "Ctrl-C", "killed"],
)
def test_a_failure_leaves_the_old_file_and_nothing_beside_it(
    where, failure, tmp_path, monkeypatch
):
    path = tmp_path / "result"
    write_atomically(path, b"old")

    def fail(*_):
        assert len(names(tmp_path)) == 2  # the new content stands aside
        raise failure

    monkeypatch.setattr(
        *((os, "fsync") if where == "fsync" else (Path, "replace")), fail
    )
    with pytest.raises(type(failure)):
        write_atomically(path, b"new content")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"result"}


def test_content_is_on_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, events = tmp_path / "result", []
    fsync, replace = os.fsync, Path.replace

    def seen_fsync(descriptor):
        events.append(("fsync", os.fstat(descriptor).st_size, path.exists()))
        fsync(descriptor)

    def seen_replace(self, target):
        events.append(("replace", self.stat().st_size, path.exists()))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(Path, "replace", seen_replace)
    write_atomically(path, b"12345")
    assert events == [("fsync", 5, False), ("replace", 5, False)]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002, 0o000])
def test_the_umask_says_who_may_read(umask, tmp_path):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "result", b"x")
    finally:
        os.umask(before)
    mode = stat.S_IMODE((tmp_path / "result").stat().st_mode)
    assert mode == 0o666 & ~umask


def test_a_digest_is_the_files_sha256(tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "x").write_bytes(content)
    assert file_digest(tmp_path / "x") == hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------ run folders


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    found = RunFolder(tmp_path / "run")
    found.finish("laws", "key", FILES)
    return found


def test_a_finished_stage_is_fresh(folder):
    assert folder.fresh("laws", "key")
    assert names(folder.path) == {*FILES, "manifest.json"}
    for name, content in FILES.items():
        assert (folder.path / name).read_bytes() == content


def test_a_folder_that_is_not_there_has_nothing_fresh(tmp_path):
    assert not RunFolder(tmp_path / "run").fresh("laws", "key")


def test_another_key_or_stage_is_not_fresh(folder):
    assert not folder.fresh("laws", "other key")
    assert not folder.fresh("estimates", "key")


def test_stages_do_not_disturb_each_other(folder):
    folder.finish("estimates", "other", {"c.csv": b"z\n"})
    assert folder.fresh("laws", "key")
    assert folder.fresh("estimates", "other")
    (folder.path / "c.csv").unlink()
    assert folder.fresh("laws", "key")
    assert not folder.fresh("estimates", "other")


@pytest.mark.parametrize("name", FILES)
def test_any_changed_byte_is_seen(folder, name):
    path = folder.path / name
    for place in range(len(FILES[name])):
        for bit in range(8):
            content = bytearray(FILES[name])
            content[place] ^= 1 << bit
            path.write_bytes(content)
            assert not folder.fresh("laws", "key")
    path.write_bytes(FILES[name])
    assert folder.fresh("laws", "key")


@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "missing", "a folder"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_seen(folder, name, damage):
    path = folder.path / name
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        changed = {"cut": content[:-1], "longer": content + b"\0", "empty": b""}
        path.write_bytes(changed[damage])
    assert not folder.fresh("laws", "key")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"3",
        b"[]",
        b"null",
        b'{"laws": 3}',
        b'{"laws": {}}',
        b'{"laws": {"key": "key"}}',
        b'{"laws": {"key": "key", "files": {}}}',
        b'{"laws": {"key": "key", "files": ["a.csv"]}}',
        b'{"laws": {"key": "key", "files": {"a.csv": null}}}',
        b'{"laws": {"key": null, "files": {}}}',
    ],
)
def test_a_manifest_that_is_not_one_knows_nothing(folder, text):
    (folder.path / "manifest.json").write_bytes(text)
    assert not folder.fresh("laws", "key")
    folder.finish("laws", "key", FILES)
    assert folder.fresh("laws", "key")


def test_a_truncated_manifest_knows_nothing(folder):
    manifest = folder.path / "manifest.json"
    whole = manifest.read_bytes()
    for length in range(len(whole.rstrip())):
        manifest.write_bytes(whole[:length])
        assert not folder.fresh("laws", "key")


def test_a_stage_that_was_cut_off_is_not_fresh(folder, monkeypatch):
    """New files beside an old entry: the entry counts only when its files match."""
    for written in range(len(FILES) + 1):
        left = [written]

        def fsync(_, left=left):
            left[0] -= 1
            if left[0] < 0:
                raise Killed

        monkeypatch.setattr(os, "fsync", fsync)
        with pytest.raises(Killed):
            folder.finish("laws", "new", dict.fromkeys(FILES, b"new"))
        assert not folder.fresh("laws", "new")
        assert folder.fresh("laws", "key") == (written == 0)


# ------------------------------------------------------------------ tables


def test_tables_read_back_with_exact_numbers(tmp_path):
    table = pd.DataFrame(
        {
            "name": ["a", "", "NA", "None", 'b,"c"\nd', "nan"],
            "value": [0.1, 1 / 3, np.nan, 1e-300, -0.0, 5e22],
            "count": [1, 2, 3, 4, 5, 2**53],
            "main": [True, False, True, True, False, False],
        }
    )
    content = table_bytes(table)
    assert b"\r" not in content
    folder = RunFolder(tmp_path)
    folder.finish("laws", "key", {"x.csv": content})
    found = folder.table("x.csv")
    pd.testing.assert_frame_equal(found, table, check_dtype=False, rtol=1e-15, atol=0)
    assert found["main"].dtype == bool
    written = [line.split(",")[-3] for line in content.decode().splitlines()[1:3]]
    assert [float(text) for text in written] == [0.1, 1 / 3]


# ------------------------------------------------------------------ curve stores


def curve(runs: int, looks: int = LOOKS, seed: int = 0) -> Curve:
    rng = np.random.default_rng(seed)
    correct = rng.integers(100, size=(runs, looks)).astype(np.int32)
    loss = rng.random((runs, looks)).astype(np.float32)
    return Curve(correct, loss)  # pyright: ignore


def same(one: Curve, other: Curve) -> bool:
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() and a.dtype == b.dtype
        for a, b in zip(one, other, strict=True)
    )


def test_curves_read_back_by_run(tmp_path):
    shelf = CurveStore(tmp_path / "curves", LOOKS)
    assert shelf.load() == {}
    first, second = curve(3), curve(2, seed=1)
    shelf.add([4, 0, 9], first)
    shelf.add([5, 2], second)
    found = CurveStore(tmp_path / "curves", LOOKS).load()
    assert set(found) == {0, 2, 4, 5, 9}
    for place, run in enumerate([4, 0, 9]):
        assert same(found[run], Curve(first.correct[place], first.loss[place]))
    for place, run in enumerate([5, 2]):
        assert same(found[run], Curve(second.correct[place], second.loss[place]))


def test_the_same_runs_give_the_same_file(tmp_path):
    for place in ("one", "two"):
        CurveStore(tmp_path / place, LOOKS).add([3, 7], curve(2))
    one, two = (next((tmp_path / place).iterdir()) for place in ("one", "two"))
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()


def test_what_is_no_chunk_is_left_alone(tmp_path):
    shelf = CurveStore(tmp_path, LOOKS)
    shelf.add([0], curve(1))
    others = {"notes.txt", ".runs-000001-000001-1.npz.tmp"}
    for name in others:
        (tmp_path / name).write_text("mine")
    assert set(shelf.load()) == {0}
    assert others < names(tmp_path)


def chunk(tmp_path: Path) -> tuple[CurveStore, Path, bytes]:
    shelf = CurveStore(tmp_path, LOOKS)
    shelf.add([1, 2], curve(2))
    path = next(tmp_path.iterdir())
    return shelf, path, path.read_bytes()


def test_a_truncated_chunk_counts_as_missing(tmp_path):
    shelf, path, whole = chunk(tmp_path)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert shelf.load() == {}
        assert not path.exists()


def test_every_flipped_bit_is_seen(tmp_path):
    shelf, path, whole = chunk(tmp_path)
    rng = np.random.default_rng(3)
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        assert shelf.load() == {}
        assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"correct": np.zeros((2, LOOKS + 1), np.int32)},
        {"correct": np.zeros((3, LOOKS), np.int32)},
        {"correct": np.zeros(2 * LOOKS, np.int32)},
        {"loss": np.zeros((2, LOOKS - 1), np.float32)},
        {"loss": np.zeros((2, LOOKS), np.int32)},
        {"correct": np.zeros((2, LOOKS), np.float32)},
        {"runs": np.array([1.0, 2.0])},
        {"runs": np.array([1, 2, 3])},
        {"runs": np.array([1, -2])},
        {"correct": np.full((2, LOOKS), -1, np.int32)},
        {"runs": np.int64(1)},
        {
            "runs": np.int64(1),
            "correct": np.zeros(LOOKS, np.int32),
            "loss": np.zeros(LOOKS, np.float32),
        },
        {"loss": None},
        {"loss": np.array([[{}] * LOOKS] * 2, object)},
    ],
)
def test_a_chunk_of_another_shape_counts_as_missing(tmp_path, content):
    whole = {
        "runs": np.array([1, 2]),
        "correct": np.zeros((2, LOOKS), np.int32),
        "loss": np.zeros((2, LOOKS), np.float32),
    }

    def load(arrays) -> dict:
        buffer = io.BytesIO()
        np.savez(buffer, **{n: a for n, a in arrays.items() if a is not None})
        name = sealed_name("runs-000001-000002-2", buffer.getvalue(), ".npz")
        (tmp_path / name).write_bytes(buffer.getvalue())
        return CurveStore(tmp_path, LOOKS).load()

    assert set(load(whole)) == {1, 2}
    next(tmp_path.iterdir()).unlink()
    assert load(whole | content) == {}
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------ leftovers


def test_what_a_killed_process_left_is_cleared_away(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.finish("laws", "key", FILES)
    with monkeypatch.context() as patch:
        # kill -9: no handler runs, nothing is tidied up.
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(Killed()))
        for name in ("figures/b.png", "c.csv"):
            with pytest.raises(Killed):
                write_atomically(tmp_path / name, b"half")
    assert len(names(tmp_path)) == len(FILES) + 1 + 2
    with exclusive(tmp_path):
        assert names(tmp_path) == {*FILES, "manifest.json", ".lock"}
    assert folder.fresh("laws", "key")


# ------------------------------------------------------------------ the manifest


def test_the_manifest_can_be_read_by_eye(folder):
    manifest = json.loads((folder.path / "manifest.json").read_text())
    assert len(manifest.pop("sha256")) == 64
    assert manifest == {
        "laws": {
            "key": "key",
            "files": {n: hashlib.sha256(c).hexdigest() for n, c in FILES.items()},
        }
    }
    assert files.file_digest(folder.path / "a.csv") in json.dumps(manifest)
