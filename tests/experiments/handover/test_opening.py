"""Archives of strangers: what is not as it was packed is refused, and says where."""

import hashlib
import io
import json
import struct
import tracemalloc
import zipfile

import pytest
from dpodl.experiments.handover import contents, opening
from dpodl.experiments.handover.archive import sums
from dpodl.experiments.handover.contents import ArchiveError, is_archive
from dpodl.experiments.handover.opening import open_archive
from dpodl.models.learning.files import read_regular


@pytest.fixture
def files(packed) -> dict[str, bytes]:
    with zipfile.ZipFile(packed.archive) as pack:
        found = {each: pack.read(each) for each in pack.namelist()}
    del found["SHA256SUMS"]
    return found


def written(path, files, *, listed=None, method=zipfile.ZIP_DEFLATED):
    """An archive of these files; the sums are of what is ``listed``."""
    entries = {
        **files,
        "SHA256SUMS": sums(files if listed is None else listed).encode(),
    }
    with zipfile.ZipFile(path, "w", method) as pack:
        for name, content in entries.items():
            pack.writestr(name, content)
    return path


def test_what_was_packed_is_read(packed, files):
    found = open_archive(packed.archive)
    assert found.files == files
    assert found.sha256 == hashlib.sha256(packed.archive.read_bytes()).hexdigest()
    assert found.inputs == {"law.path": "inputs/law.csv"}
    assert is_archive(str(packed.archive))
    for other in ("smoke", str(packed.folder), str(packed.folder / "config.toml")):
        assert not is_archive(other)


@pytest.mark.parametrize(
    "name",
    [
        *("../x.csv", "a/../../x.csv", "/etc/x", "a//b", "./a", ".hidden", "a/"),
        *("C:\\x", "a\\..\\b", "C:x", "a\nb", "~/x", "a" * 201, "caf\u00e9.csv"),
    ],
)
def test_a_name_that_leads_out_is_refused(files, tmp_path, name):
    path = written(tmp_path / "a.zip", {**files, name: b"x"})
    with pytest.raises(ArchiveError, match="is no name of a file in an archive"):
        open_archive(path)


def test_a_zero_byte_in_a_name_hides_nothing(files, tmp_path):
    path = written(tmp_path / "a.zip", {**files, "abc.csv": b"x"})
    path.write_bytes(path.read_bytes().replace(b"abc.csv", b"a\0c.csv"))
    with pytest.raises(ArchiveError, match="cannot be used"):
        open_archive(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.update({"notes.csv": b"x"}), "'notes.csv' is not what was packed"),
        (lambda f: f.pop("laws.csv"), "'laws.csv' is listed in SHA256SUMS and is mis"),
        (lambda f: f.update({"z.csv": b""}), "'z.csv' is not listed in SHA256SUMS"),
    ],
)
def test_what_is_not_as_listed_is_refused(files, tmp_path, change, told):
    listed = dict(files)
    change(files)
    with pytest.raises(ArchiveError, match=told):
        open_archive(written(tmp_path / "a.zip", files, listed=listed))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.pop("estimates.csv"), "it lacks estimates.csv"),
        (lambda f: f.pop("provenance.json"), "it lacks provenance.json"),
        (lambda f: f.update({"inputs.json": b"[" * 10**5}), "inputs.json is no JSON"),
        (lambda f: f.update({"inputs.json": b"[]"}), "inputs.json names a setting"),
        (
            lambda f: f.update({"inputs.json": b'{"law.path": "none.csv"}'}),
            "inputs.json names a setting",
        ),
        (
            lambda f: f.update({"inputs.json": b'{"seed": "notes.csv"}'}),
            "inputs.json names a setting",
        ),
        (lambda f: f.update({"inputs.json": b'{"law.path": [1]}'}), "names a setting"),
        (lambda f: f.update({contents.CRATE: b"{}"}), "is no RO-Crate's description"),
        (lambda f: f.update({"Notes.csv": b""}), "is in it twice"),
        (lambda f: f.update({"notes.csv/x": b""}), "is a file and, for"),
    ],
)
def test_what_is_no_archive_of_a_run_is_refused(files, tmp_path, change, told):
    change(files)
    with pytest.raises(ArchiveError, match=told):
        open_archive(written(tmp_path / "a.zip", files))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_in_it_twice_is_refused(files, tmp_path):
    path = written(tmp_path / "a.zip", files)
    with zipfile.ZipFile(path, "a") as pack:
        pack.writestr("notes.csv", b"another")
    with pytest.raises(ArchiveError, match=r"'notes\.csv' is in it twice"):
        open_archive(path)


@pytest.mark.parametrize("text", [b"", b"\xff", b"abc  notes.csv\n", b"0" * 64])
def test_sums_that_are_none_are_refused(files, tmp_path, text):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as pack:
        for name, content in {**files, "SHA256SUMS": text}.items():
            pack.writestr(name, content)
    with pytest.raises(ArchiveError, match="SHA256SUMS"):
        open_archive(path)


def test_links_and_ways_of_packing_that_no_archive_has_are_refused(files, tmp_path):
    path = written(tmp_path / "a.zip", files)
    with zipfile.ZipFile(path, "a") as pack:
        link = zipfile.ZipInfo("link.csv")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        pack.writestr(link, "/etc/passwd")
    with pytest.raises(ArchiveError, match=r"'link.csv' is a link"):
        open_archive(path)
    packed = written(tmp_path / "b.zip", files, method=zipfile.ZIP_LZMA)
    with pytest.raises(ArchiveError, match="packed in a way that no archive is"):
        open_archive(packed)
    path = written(tmp_path / "c.zip", files)
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\x01\x02")
    content[first + 8] |= 1  # encrypted, says the directory
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match="is encrypted"):
        open_archive(path)


def test_a_bomb_is_refused_before_it_is_unpacked(files, tmp_path):
    many = {**files, **{f"n{i}": b"" for i in range(contents.MOST_FILES)}}
    with pytest.raises(ArchiveError, match="files, at most 2,000 are read"):
        open_archive(written(tmp_path / "many.zip", many))
    large = written(tmp_path / "large.zip", {**files, "zeros": bytes(1 << 24)})
    content = large.read_bytes()
    claimed = struct.pack("<I", 1 << 24)
    huge = content.replace(claimed, struct.pack("<I", 1 << 30))
    assert huge != content
    large.write_bytes(huge)
    with pytest.raises(ArchiveError, match="it unpacks to 1,07"):
        open_archive(large)
    # One that says less than it holds gives no more than it says.
    large.write_bytes(content.replace(claimed, struct.pack("<I", 1 << 10)))
    tracemalloc.start()
    with pytest.raises(ArchiveError, match="is no whole ZIP file"):
        open_archive(large)
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_an_archive_that_is_damaged_anywhere_is_refused(packed, tmp_path):
    content = packed.archive.read_bytes()
    path = tmp_path / "a.zip"
    whole = open_archive(packed.archive).files
    for place in range(0, len(content), len(content) // 60):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = open_archive(path)
        except ArchiveError:
            continue
        assert found.files == whole  # a date, or a field that nobody reads
    for size in (0, 3, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ArchiveError):
            open_archive(path)


def test_a_file_larger_than_any_archive_is_not_read(packed, monkeypatch):
    monkeypatch.setattr(opening, "MOST_BYTES", 1000)
    with pytest.raises(OSError, match="bytes, at most 1,000 are read"):
        open_archive(packed.archive)


def test_the_description_is_an_ro_crate(packed):
    from rocrate.rocrate import ROCrate

    crate = ROCrate(packed.archive)
    entities = {each.id: each for each in crate.data_entities}
    archive = open_archive(packed.archive)
    assert set(entities) | {contents.CRATE} == set(archive.files)
    for name, entity in entities.items():
        content = archive.files[name]
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert entity["contentSize"] == str(len(content))
    (action,) = crate.get_by_type("CreateAction")
    given = {each.id for each in action["object"]}
    assert given == {"config.toml", "inputs/law.csv"}
    assert "estimates.csv" in {each.id for each in action["result"]}
    assert action["name"] == "dpodl run own-times"
    facts = json.loads(read_regular(packed.folder / "provenance.json"))
    assert action["endTime"] == facts["finished"] == crate.root_dataset["datePublished"]


def test_sums_are_those_of_sha256sum(files):
    line = sums({"a b.csv": b"x"})
    assert line == f"{hashlib.sha256(b'x').hexdigest()}  a b.csv\n"
    assert io.StringIO(sums(files)).readline()[64:66] == "  "
