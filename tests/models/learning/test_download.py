"""The download: mirrors, caches, hashes, and what is said when it fails."""

import gzip
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from dpodl.models.learning import data
from dpodl.models.learning.data import DataError, Dataset, load_dataset

from .data_files import (
    Arrays,
    assert_holds,
    idx_bytes,
    idx_name,
    npz_bytes,
    refusal,
    sha256,
)

# ---- the download


class Mirror:
    """A web server on this machine: its pages, and the paths that were asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                page = mirror.pages.get(self.path)
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Length", str(len(page or b"")))
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.thread.start()
        self.up = True

    def serve_idx(self, folder: str, arrays: Arrays) -> str:
        for key, array in arrays.items():
            page = gzip.compress(idx_bytes(array))
            self.pages[f"/{folder}/{idx_name(key)}.gz"] = page
        return f"{self.url}{folder}/"

    def serve_npz(self, name: str, arrays: Arrays) -> str:
        self.pages[f"/{name}"] = npz_bytes(arrays)
        return f"{self.url}{name}"

    def stop(self) -> None:
        if self.up:
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()
            self.up = False


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirror = Mirror()
    yield mirror
    mirror.stop()


@pytest.fixture
def dead_url() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def use_mirrors(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setattr(data, "MNIST_MIRRORS", urls)


@pytest.mark.parametrize("kind", ["idx", "npz"])
def test_download_once_then_the_cache(
    kind: str,
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind == "idx":
        url = mirror.serve_idx("mnist", tiny_mnist)
    else:
        url = mirror.serve_npz("mnist.npz", tiny_mnist)
    use_mirrors(monkeypatch, url)
    cache = tmp_path / "not" / "yet"

    downloaded = load_dataset("mnist", cache_dir=cache)
    assert_holds(downloaded, tiny_mnist)
    assert len(mirror.asked) == (4 if kind == "idx" else 1)
    assert [path.name for path in cache.iterdir()] == ["mnist.npz"]

    again = load_dataset("mnist", cache_dir=cache)
    assert len(mirror.asked) == (4 if kind == "idx" else 1)
    mirror.stop()
    offline = load_dataset("mnist", cache_dir=cache)
    assert again.sha256 == offline.sha256 == downloaded.sha256
    assert_holds(offline, tiny_mnist)


def test_cache_stands_in_the_users_cache_folder(
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_mirrors(monkeypatch, mirror.serve_npz("mnist.npz", tiny_mnist))
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    load_dataset("mnist")
    assert (tmp_path / "dpodl" / "mnist.npz").exists()


def test_mirrors_are_tried_in_order(
    tmp_path: Path,
    mirror: Mirror,
    dead_url: str,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = {**tiny_mnist, "y_test": tiny_mnist["y_test"][::-1]}
    partial = mirror.serve_idx("partial", tiny_mnist)
    del mirror.pages["/partial/t10k-labels-idx1-ubyte.gz"]
    mirror.pages["/portal.npz"] = b"<html>Please log in</html>"
    use_mirrors(
        monkeypatch,
        dead_url,
        partial,
        mirror.url + "portal.npz",
        mirror.serve_idx("other", other),
        mirror.serve_npz("right.npz", tiny_mnist),
        mirror.serve_npz("never-asked.npz", tiny_mnist),
    )
    assert_holds(load_dataset("mnist", cache_dir=tmp_path), tiny_mnist)
    assert mirror.asked[-1] == "/right.npz"
    folders = list(dict.fromkeys(path.split("/")[1] for path in mirror.asked))
    assert folders == ["partial", "portal.npz", "other", "right.npz"]
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]


def test_offline_message_says_the_ways_out(
    tmp_path: Path, dead_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mirrors(monkeypatch, dead_url, dead_url + "mnist.npz")
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", cache_dir=tmp_path)
    message = str(caught.value)
    assert "--set data.path=" in message
    assert "mnist-10k" in message
    assert f"place Keras' mnist.npz at {tmp_path / 'mnist.npz'}" in message
    assert f"{dead_url}: " in message
    assert f"{dead_url}mnist.npz: " in message
    assert list(tmp_path.iterdir()) == []


def test_file_placed_in_the_cache_is_used(
    tmp_path: Path, tiny_mnist: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_mirrors(monkeypatch)
    (tmp_path / "mnist.npz").write_bytes(npz_bytes(tiny_mnist))
    assert_holds(load_dataset("mnist", cache_dir=tmp_path), tiny_mnist)


def damaged_caches(arrays: Arrays) -> dict[str, bytes]:
    whole = npz_bytes(arrays)
    other = {**arrays, "x_test": arrays["x_test"][::-1]}
    return {"empty": b"", "half": whole[: len(whole) // 2], "other": npz_bytes(other)}


@pytest.mark.parametrize("damage", ["empty", "half", "other"])
def test_damaged_cache_is_replaced(
    damage: str,
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached = tmp_path / "mnist.npz"
    cached.write_bytes(damaged_caches(tiny_mnist)[damage])
    use_mirrors(monkeypatch, mirror.serve_npz("mnist.npz", tiny_mnist))
    assert_holds(load_dataset("mnist", cache_dir=tmp_path), tiny_mnist)
    assert mirror.asked == ["/mnist.npz"]
    mirror.stop()
    assert_holds(load_dataset("mnist", cache_dir=tmp_path), tiny_mnist)


@pytest.mark.parametrize("damage", ["empty", "half", "other"])
def test_damaged_cache_is_refused_offline(
    damage: str,
    tmp_path: Path,
    dead_url: str,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached = tmp_path / "mnist.npz"
    cached.write_bytes(damaged_caches(tiny_mnist)[damage])
    use_mirrors(monkeypatch, dead_url)
    with pytest.raises(DataError, match="cache: ") as caught:
        load_dataset("mnist", cache_dir=tmp_path)
    assert str(cached) in str(caught.value)


def test_wrong_download_is_refused_and_not_cached(
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = {**tiny_mnist, "x_train": tiny_mnist["x_train"][::-1].copy()}
    use_mirrors(monkeypatch, mirror.serve_idx("other", other))
    with pytest.raises(DataError) as caught:
        load_dataset("mnist", cache_dir=tmp_path)
    expected, found = sha256(tiny_mnist["x_train"]), sha256(other["x_train"])
    message = f"x_train: not the mnist data, expected sha256 {expected}, found {found}"
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_no_half_written_cache(
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full_disk(file: Path, **arrays: np.ndarray) -> None:
        file.write_bytes(b"PK\x03\x04")
        raise OSError(28, "No space left on device")

    use_mirrors(monkeypatch, mirror.serve_npz("mnist.npz", tiny_mnist))
    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(DataError, match="No space left on device"):
        load_dataset("mnist", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unusable_cache_folder_is_refused(
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    use_mirrors(monkeypatch, mirror.serve_npz("mnist.npz", tiny_mnist))
    with pytest.raises(DataError, match=r"data\.path"):
        load_dataset("mnist", cache_dir=in_the_way)
    assert in_the_way.read_text() == "not a folder"


def test_concurrent_downloads_agree(
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_mirrors(monkeypatch, mirror.serve_idx("mnist", tiny_mnist))
    loaded: list[Dataset] = []
    workers = [
        threading.Thread(
            target=lambda: loaded.append(load_dataset("mnist", cache_dir=tmp_path))
        )
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({dataset.sha256 for dataset in loaded}) == 1
    assert len(loaded) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["mnist.npz"]


def test_a_path_is_never_overruled_by_the_mirrors(
    tmp_path: Path,
    mirror: Mirror,
    tiny_mnist: Arrays,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_mirrors(monkeypatch, mirror.serve_npz("mnist.npz", tiny_mnist))
    refusal("mnist", tmp_path / "missing.npz", cache_dir=tmp_path)
    assert mirror.asked == []
