"""Files of the user's: what stands there stays what it is, and paths are as typed."""

import os
import stat
import threading
from pathlib import Path

import pytest
from dpodl.models.learning import files
from dpodl.models.learning.files import (
    cache_folder,
    read_regular,
    user_path,
    write_atomically,
)

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def read_in_background(path: Path) -> tuple[threading.Thread, list[bytes]]:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(path.read_bytes()))
    thread.start()
    return thread, found


@pytest.mark.parametrize("linked", [False, True])
def test_a_pipe_is_written_through_and_stays_one(linked, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if linked:
        path = tmp_path / "link"
        path.symlink_to(pipe)
    content = bytes(range(256)) * 5000  # more than it holds
    thread, found = read_in_background(pipe)
    write_atomically(path, content)
    thread.join(timeout=10)
    assert found == [content]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert path.is_symlink() == linked


@pytest.mark.skipif(not ROOT, reason="only root makes devices")
def test_a_device_is_written_through_and_stays_one(tmp_path):
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        device.open("wb").close()
    except PermissionError:
        pytest.skip("no devices can be made here")
    write_atomically(device, b"gone")
    assert stat.S_ISCHR(device.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["null"]


def test_a_link_is_followed_and_stays_one(tmp_path):
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "file", tmp_path / "link"
    again = tmp_path / "again"
    link.symlink_to("far/file")
    again.symlink_to(link)
    for content in (b"it was not there", b"new"):
        write_atomically(again, content)
        assert target.read_bytes() == content
        assert link.is_symlink()
        assert again.is_symlink()


def test_links_in_a_ring_are_an_error(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="a"):
        write_atomically(tmp_path / "a", b"x")
    assert (tmp_path / "a").is_symlink()


def test_a_folder_is_an_error(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, b"x")


def test_who_could_not_read_it_cannot_read_the_new_one(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    write_atomically(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
def test_an_open_file_is_gone_on_with(name, tmp_path):
    """As ``--output /dev/stdout >> file``: what stands there stays."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.write(b"before ")
        file.flush()
        write_atomically(Path(name.format(file.fileno())), b"content ")
        file.write(b"after")
    assert path.read_bytes() == b"before content after"


def test_a_long_name_can_be_written(tmp_path):
    path = tmp_path / ("ä" * 120)
    write_atomically(path, b"x")
    assert path.read_bytes() == b"x"


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path)


def test_no_more_is_read_than_allowed(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="at most 1,000 are read"):
        read_regular(path, most=1000)


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    assert user_path(Path("~")) == tmp_path
    assert user_path("a/~/x") == Path("a/~/x")
    for typed in ("", "~no-user-of-this-name", "a\0b"):
        with pytest.raises(ValueError, match=r"path|home"):
            user_path(typed)


@pytest.mark.parametrize(
    ("typed", "found"), [("{}/c", "{}/c"), ("~/c", "{}/c"), ("", "os"), ("  ", "os")]
)
def test_the_cache_is_where_the_user_says(typed, found, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("pooch.os_cache", lambda _: "os")
    monkeypatch.setenv("DPODL_CACHE", typed.format(tmp_path))
    assert cache_folder() == Path(found.format(tmp_path))
    monkeypatch.delenv("DPODL_CACHE")
    assert cache_folder() == Path("os")


@pytest.mark.parametrize("below", ["", "/x", "/x/y"])
def test_a_cache_where_no_folder_can_be_is_told(below, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for taken in ("/dev/null", f"{tmp_path}/file"):
        monkeypatch.setenv("DPODL_CACHE", taken + below)
        with pytest.raises(ValueError, match=f"DPODL_CACHE={taken}.*is no folder"):
            cache_folder()


def test_the_cache_s_name_is_told_if_it_is_none(monkeypatch):
    monkeypatch.setenv("DPODL_CACHE", "~no-user-of-this-name/c")
    with pytest.raises(ValueError, match="DPODL_CACHE: ~no-user"):
        files.cache_folder()
