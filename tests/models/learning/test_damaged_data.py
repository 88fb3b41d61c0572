"""Damaged data files are refused by name: idx, npz, pickles, sizes that lie."""

import gzip
import io
import os
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dpodl.models.learning import data
from dpodl.models.learning.data import DataError, load_dataset

from .data_files import (
    KEYS,
    assert_holds,
    fashion,
    idx_bytes,
    idx_name,
    npz_bytes,
    refusal,
    write_idx,
    write_npz,
)

# ---- damaged idx files


def spoil_idx(folder: Path, key: str, content: bytes, *, suffix: str = "") -> str:
    """Put `content` where array `key` was, load, and return the refusal."""
    write_idx(folder, fashion())
    name = idx_name(key) + suffix
    (folder / idx_name(key)).unlink()
    (folder / name).write_bytes(content)
    message = refusal("own", folder)
    assert message.startswith(f"{folder}: {name}: ")
    return message


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 7, 8, 15, 16, 17, 100, 254, 255])
def test_truncated_idx_is_refused(kept: int, tmp_path: Path) -> None:
    whole = idx_bytes(fashion()["x_train"])
    assert len(whole) == 16 + 240
    message = spoil_idx(tmp_path / "own", "x_train", whole[:kept])
    if kept < 4:
        assert "idx magic is 00000803" in message
    elif kept < 16:
        assert f"idx header is 16 bytes, found {kept}" in message
    else:
        assert f"needs 240 bytes, found {kept - 16}" in message


@pytest.mark.parametrize("key", KEYS)
def test_trailing_byte_is_refused(key: str, tmp_path: Path) -> None:
    message = spoil_idx(tmp_path / "own", key, idx_bytes(fashion()[key]) + b"\0")
    assert "found more" in message


def test_trailing_byte_is_seen_after_whole_chunks(tmp_path: Path) -> None:
    # 1 MiB of pixels: the parser's reads end exactly where the pixels do.
    arrays = fashion(n=16, height=256, width=256)
    folder = write_idx(tmp_path / "own", arrays)
    assert_holds(load_dataset("own", folder), arrays)
    with (folder / idx_name("x_train")).open("ab") as file:
        file.write(b"\0")
    assert "needs 1048576 bytes, found more" in refusal("own", folder)


@pytest.mark.parametrize(
    "magic", ["00000801", "00000804", "00000d03", "00000903", "00010803", "03080000"]
)
def test_wrong_magic_is_refused(magic: str, tmp_path: Path) -> None:
    content = bytes.fromhex(magic) + idx_bytes(fashion()["x_train"])[4:]
    message = spoil_idx(tmp_path / "own", "x_train", content)
    assert f"00000803 here, found '{magic}'" in message


@pytest.mark.parametrize("pack", [lambda b: b, gzip.compress], ids=["idx", "gz"])
@pytest.mark.parametrize(
    "shape", [(2**32 - 1,) * 3, (60_000, 280, 2800), (0, 2**32 - 1, 2**32 - 1)]
)
def test_header_claim_allocates_nothing(
    shape: tuple[int, ...], pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    content = struct.pack(">4B3I", 0, 0, 8, 3, *shape) + bytes(1000)
    tracemalloc.start()
    try:
        spoil_idx(tmp_path / "own", "x_train", pack(content))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    header = struct.pack(">4B3I", 0, 0, 8, 3, 12, 5, 4)
    bomb = gzip.compress(header + bytes(200_000_000), compresslevel=1)
    tracemalloc.start()
    try:
        assert "found more" in spoil_idx(tmp_path / "own", "x_train", bomb)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kept", [1, 2, 5, 10, 20, 100, -9, -8, -4, -1])
def test_truncated_gz_is_refused(kept: int, tmp_path: Path) -> None:
    whole = gzip.compress(idx_bytes(fashion()["x_train"]))
    message = spoil_idx(tmp_path / "own", "x_train", whole[:kept], suffix=".gz")
    assert "end-of-stream" in message or "magic" in message


def test_gz_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(idx_bytes(fashion()["x_train"])))
    whole[-8] ^= 1  # the CRC; the pixels are right
    message = spoil_idx(tmp_path / "own", "x_train", bytes(whole), suffix=".gz")
    assert "CRC" in message


def test_gz_with_trailing_bytes_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(idx_bytes(fashion()["y_test"])) + b"more"
    spoil_idx(tmp_path / "own", "y_test", whole, suffix=".gz")


def test_gz_with_damaged_content_is_refused(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(idx_bytes(fashion()["y_test"])))
    whole[10:18] = b"\xff" * 8
    spoil_idx(tmp_path / "own", "y_test", bytes(whole), suffix=".gz")


def test_missing_idx_files_are_named(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "own", fashion())
    (folder / idx_name("y_train")).unlink()
    (folder / idx_name("x_test")).unlink()
    message = refusal("own", folder)
    assert "train-labels-idx1-ubyte, t10k-images-idx3-ubyte" in message
    assert "train-images" not in message


def test_folder_in_place_of_an_idx_file_is_refused(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "own", fashion())
    (folder / idx_name("x_test")).unlink()
    (folder / idx_name("x_test")).mkdir()
    assert idx_name("x_test") in refusal("own", folder)


# ---- damaged npz files


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.9999])
def test_truncated_npz_is_refused(share: float, tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own", fashion())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert refusal("own", path).startswith(f"{path}: not a whole npz file")


def test_no_flipped_byte_of_an_npz_changes_the_data(tmp_path: Path) -> None:
    """Refused, or (in a date, say) without effect; never other pixels."""
    arrays = fashion()
    path = write_npz(tmp_path / "own", arrays)
    whole = path.read_bytes()
    messages = []
    for position in range(0, len(whole), 3):
        flipped = bytearray(whole)
        flipped[position] ^= 0x55
        path.write_bytes(flipped)
        try:
            assert_holds(load_dataset("own", path), arrays)
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > len(whole) // 3 // 2
    assert all(message.startswith(str(path)) for message in messages)


def test_missing_npz_arrays_are_named(tmp_path: Path) -> None:
    arrays = fashion()
    wrong = {"x_train": arrays["x_train"], "y_test": arrays["y_test"], "images": "?"}
    path = write_npz(tmp_path / "own", {k: np.asarray(v) for k, v in wrong.items()})
    message = refusal("own", path)
    assert "no array y_train, x_test;" in message
    assert "images" in message


def npz_with(member: bytes) -> bytes:
    """An npz whose checksums are right and whose y_train is `member`."""
    buffer = io.BytesIO(
        npz_bytes({k: v for k, v in fashion().items() if k != "y_train"})
    )
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("y_train.npy", member)
    return buffer.getvalue()


def npy(header: str, body: bytes = b"") -> bytes:
    return (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + body
    )


def npy_header(shape: str, dtype: str = "|u1") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}"


MALFORMED = {
    "empty": b"",
    "text": b"no array",
    "magic alone": b"\x93NUMPY",
    "no content": npy(npy_header("(12,)")),
    "open header": npy(npy_header("(12,)")[:-3]),
    "petabyte": npy(npy_header(f"({10**15},)")),
    "beyond int64": npy(npy_header(f"({10**30},)")),
    "no such dtype": npy(npy_header("(12,)", "|x9"), bytes(12)),
    "unhashable": npy("{[]: 1}"),
    "nested": npy("(" * 5000),
}


@pytest.mark.parametrize("member", MALFORMED.values(), ids=MALFORMED)
def test_malformed_npz_member_is_refused(member: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    path.write_bytes(npz_with(member))
    assert refusal("own", path).startswith(f"{path}: y_train: ")


def test_well_formed_npz_member_of_that_kind_is_read(tmp_path: Path) -> None:
    # The control of the test above: npz_with and npy themselves are right.
    labels = fashion()["y_train"]
    path = tmp_path / "own.npz"
    path.write_bytes(npz_with(npy(npy_header("(12,)"), labels.tobytes())))
    assert_holds(load_dataset("own", path), fashion())


class Bomb:
    """Unpickled, it would leave a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.trace,)


def test_pickles_are_never_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bomb = np.empty(12, object)
    bomb[0] = Bomb(trace)
    path = write_npz(tmp_path / "own", {**fashion(), "y_train": bomb})
    assert "y_train" in refusal("own", path)
    assert not trace.exists()


# ------------------------------------------------------------------ bounds


def npy_head(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, facts)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\x93NUMPY\x02\x00" + (3 << 30).to_bytes(4, "little"), "a header of 3,221"),
        (npy_head((3 << 20, 32, 32)), "3,221,225,472 bytes unpacked, at most"),
        (npy_head((2, 4, 4)) + bytes(33), "is 32 bytes, found 33"),
        (npy_head((2, 4, 4)) + bytes(31), "is 32 bytes, found 31"),
        (b"no array", "not a numpy array"),
    ],
)
def test_an_npz_claims_no_more_than_it_has(content, told, tmp_path):
    path = tmp_path / "claims.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in ("x_train", "y_train", "x_test", "y_test"):
            archive.writestr(f"{key}.npy", content)
    with pytest.raises(DataError, match=told):
        load_dataset("mine", path)


def test_what_unpacks_to_too_much_is_not_unpacked(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "_MOST_BYTES", 1 << 20)
    many = np.zeros((2000, 28, 28), np.uint8)
    labels = np.zeros(2000, np.uint8)
    arrays = {"x_train": many, "x_test": many, "y_train": labels, "y_test": labels}
    np.savez_compressed(tmp_path / "bomb.npz", **arrays)
    with pytest.raises(DataError, match="bytes unpacked, at most 1,048,576"):
        load_dataset("mine", tmp_path / "bomb.npz")
    for stem, n in (("train-images", 3), ("train-labels", 1)):
        for part in (stem, stem.replace("train", "t10k")):
            array = many if n == 3 else labels
            head = bytes([0, 0, 8, n]) + struct.pack(f">{n}I", *array.shape)
            packed = gzip.compress(head + array.tobytes())
            (tmp_path / f"{part}-idx{n}-ubyte.gz").write_bytes(packed)
    with pytest.raises(DataError, match="bytes unpacked, at most 1,048,576"):
        load_dataset("mine", tmp_path)


@pytest.mark.parametrize("where", ["npz", "folder"])
def test_a_pipe_is_no_data_set(where, tmp_path):
    if where == "npz":
        path = tmp_path / "data.npz"
        os.mkfifo(path)
    else:
        path = tmp_path
        for name in ("train-images", "t10k-images"):
            os.mkfifo(path / f"{name}-idx3-ubyte")
        for name in ("train-labels", "t10k-labels"):
            os.mkfifo(path / f"{name}-idx1-ubyte")
    with pytest.raises(DataError, match="not a regular file"):
        load_dataset("mine", path)


def test_mnist_is_kept_where_the_user_keeps_downloads(monkeypatch, tmp_path):
    monkeypatch.setenv("DPODL_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(data, "MNIST_MIRRORS", ())
    with pytest.raises(DataError, match=re.escape(f"{tmp_path}/kept/mnist.npz")):
        load_dataset("mnist")
