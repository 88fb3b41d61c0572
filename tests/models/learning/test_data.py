"""The datasets: hashes, the three file layouts, damage, and the one download."""

import gzip
import hashlib
import io
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from dpodl.models.learning import data, mnist_10k
from dpodl.models.learning.data import DataError, Dataset, load_dataset, make_mnist_10k

Arrays = dict[str, np.ndarray]

KEYS = ("x_train", "y_train", "x_test", "y_test")
STEMS = {
    "x_train": "train-images",
    "y_train": "train-labels",
    "x_test": "t10k-images",
    "y_test": "t10k-labels",
}
FULL_MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist.npz"

# Written out here a second time: a pin changed in the library must fail.
PINNED = {
    "mnist-10k": (
        "61f83fe388c7ffc7b950f5bb359f1d4f6e94bfd5df5f42593323a7706423210d",
        "ebcdcef028a720368035e2faa08c8d70fb88524002022bb675f7970a564215ef",
        "f0d1250f0e1c81ed67029fd6a06f6781e6a9151cec42d9fac4a16c7f77c0c06c",
        "221abe75a4dacf229f1de7c9c10a0c614576749d93ef93f8a70bf32587b4ea2f",
    ),
    "mnist": (
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
}


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def fashion(n: int = 12, height: int = 5, width: int = 4) -> Arrays:
    """A small dataset in MNIST's layout; height ≠ width, so that a swap is seen."""
    rng = np.random.default_rng(7)
    return {
        "x_train": rng.integers(0, 256, (n, height, width), np.uint8),
        "y_train": np.arange(n, dtype=np.uint8) % 3,
        "x_test": rng.integers(0, 256, (5, height, width), np.uint8),
        "y_test": np.array([2, 1, 0, 3, 1], np.uint8),
    }


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + array.tobytes()


def idx_name(key: str, *, dot: str = "-") -> str:
    return f"{STEMS[key]}{dot}idx{3 if key.startswith('x') else 1}-ubyte"


def npz_bytes(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def write_idx(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir(parents=True)
    for key, array in arrays.items():
        (folder / idx_name(key)).write_bytes(idx_bytes(array))
    return folder


def write_idx_gz(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir(parents=True)
    for key, array in arrays.items():
        name = f"{idx_name(key)}.gz"
        (folder / name).write_bytes(gzip.compress(idx_bytes(array)))
    return folder


def write_idx_dotted(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir(parents=True)
    for key, array in arrays.items():
        (folder / idx_name(key, dot=".")).write_bytes(idx_bytes(array))
    return folder


def write_idx_misnamed(folder: Path, arrays: Arrays) -> Path:
    """A .gz that is unpacked already, as some browsers leave it; and the reverse."""
    folder.mkdir(parents=True)
    for key, array in arrays.items():
        raw = idx_bytes(array)
        if key.startswith("x"):
            (folder / f"{idx_name(key)}.gz").write_bytes(raw)
        else:
            (folder / idx_name(key)).write_bytes(gzip.compress(raw))
    return folder


def write_npz(folder: Path, arrays: Arrays) -> Path:
    folder.mkdir(parents=True)
    (folder / "own.npz").write_bytes(npz_bytes(arrays))
    return folder / "own.npz"


LAYOUTS = (write_idx, write_idx_gz, write_idx_dotted, write_idx_misnamed, write_npz)


def assert_holds(dataset: Dataset, arrays: Arrays) -> None:
    for key in KEYS:
        found = getattr(dataset, key)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, arrays[key], err_msg=key)


def refusal(name: str, path: Path, **options: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(name, path, **options)
    return str(caught.value)


# ---- the embedded subset


def test_embedded_subset_has_the_pinned_hashes() -> None:
    dataset = load_dataset()
    assert dataset.name == "mnist-10k"
    assert dataset.x_train.shape == (10_000, 28, 28)
    assert dataset.x_test.shape == (2_000, 28, 28)
    assert dataset.n_classes == 10
    assert tuple(sha256(getattr(dataset, key)) for key in KEYS) == PINNED["mnist-10k"]
    expected = "292bb62176da9953c5e86fd19e68c5e4d5c6a65f884fc9111fb978f1f24b1242"
    assert dataset.sha256 == expected


def test_dataset_hash_is_over_key_dtype_shape_and_bytes() -> None:
    dataset = load_dataset()
    text = b""
    for key in KEYS:
        array = getattr(dataset, key)
        text += f"{key} uint8 {array.shape}\n".encode() + array.tobytes()
    assert dataset.sha256 == hashlib.sha256(text).hexdigest()


def test_embedded_files_are_small_and_carry_the_licence() -> None:
    folder = Path(str(mnist_10k.__file__)).parent
    assert (folder / "mnist_10k.npz").stat().st_size < 3_000_000
    notice = (folder / "NOTICE.md").read_text(encoding="utf-8")
    for words in (
        "CC BY-SA 3.0",
        "Yann LeCun",
        "Corinna Cortes",
        "Christopher J.C. Burges",
        "derived from NIST",
        "unmodified subset",
        *PINNED["mnist-10k"],
    ):
        assert words in notice


def test_embedded_subset_is_verified_at_load(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {**data.SHA256["mnist-10k"], "y_test": "0" * 64}
    monkeypatch.setitem(data.SHA256, "mnist-10k", wrong)
    with pytest.raises(DataError, match=f"y_test.*{'0' * 64}.*221abe75"):
        load_dataset()


def test_embedded_subset_takes_no_path(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own", fashion())
    message = refusal("mnist-10k", path)
    assert "data.path" in message
    assert str(path) in message


@pytest.fixture(scope="module")
def full_mnist() -> Dataset:
    if not FULL_MNIST.exists():
        pytest.skip(f"all of MNIST is not at {FULL_MNIST}")
    return load_dataset("mnist", FULL_MNIST)


def test_full_mnist_has_the_pinned_hashes(full_mnist: Dataset) -> None:
    assert full_mnist.name == "mnist"
    assert full_mnist.x_train.shape == (60_000, 28, 28)
    assert full_mnist.x_test.shape == (10_000, 28, 28)
    assert tuple(sha256(getattr(full_mnist, key)) for key in KEYS) == PINNED["mnist"]
    expected = "796354bf1a5bdb3f752e23f487245288f2c35b1e0bc343e07448cffbb5f56624"
    assert full_mnist.sha256 == expected


def test_embedded_subset_is_every_sixth_and_fifth_of_mnist(full_mnist: Dataset) -> None:
    embedded = load_dataset()
    np.testing.assert_array_equal(embedded.x_train, full_mnist.x_train[::6])
    np.testing.assert_array_equal(embedded.y_train, full_mnist.y_train[::6])
    np.testing.assert_array_equal(embedded.x_test, full_mnist.x_test[::5])
    np.testing.assert_array_equal(embedded.y_test, full_mnist.y_test[::5])
    made = make_mnist_10k(full_mnist)
    assert (made.name, made.sha256) == ("mnist-10k", embedded.sha256)


def test_subset_of_anything_but_mnist_is_refused(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "own", fashion(height=28, width=28))
    with pytest.raises(DataError, match="x_train: not the mnist-10k data"):
        make_mnist_10k(load_dataset("own", path))


def test_pins_are_the_published_ones() -> None:
    found = {name: tuple(pins[k] for k in KEYS) for name, pins in data.SHA256.items()}
    assert found == PINNED


def test_loading_imports_neither_jax_nor_pooch() -> None:
    # In a process of its own: the test process has imported jax already.
    program = (
        "import sys; from dpodl.models.learning.data import load_dataset\n"
        "load_dataset(); "
        "print(sorted({'jax', 'pooch', 'requests'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


# ---- your own data: three layouts, one result


@pytest.mark.parametrize("write", LAYOUTS)
def test_layout_round_trip(
    write: Callable[[Path, Arrays], Path], tmp_path: Path
) -> None:
    arrays = fashion()
    dataset = load_dataset("fashion-mnist", write(tmp_path / "own", arrays))
    assert_holds(dataset, arrays)
    assert dataset.name == "fashion-mnist"
    assert dataset.n_classes == 4  # class 3 is in the test part only


def test_layouts_give_one_hash(tmp_path: Path) -> None:
    arrays = fashion()
    hashes = {
        load_dataset("own", write(tmp_path / write.__name__, arrays)).sha256
        for write in LAYOUTS
    }
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "relabel",
    [
        lambda a: {**a, "y_train": a["y_train"].astype(np.int64)},
        lambda a: {**a, "y_test": a["y_test"].astype(">i2")},
        lambda a: {**a, "x_train": np.asfortranarray(a["x_train"])},
    ],
    ids=["int64 labels", "big-endian labels", "Fortran order"],
)
def test_hash_sees_through_npz_storage(
    relabel: Callable[[Arrays], Arrays], tmp_path: Path
) -> None:
    arrays = fashion()
    plain = load_dataset("own", write_npz(tmp_path / "plain", arrays))
    stored = load_dataset("own", write_npz(tmp_path / "stored", relabel(arrays)))
    assert_holds(stored, arrays)
    assert stored.sha256 == plain.sha256


def one_pixel(arrays: Arrays) -> Arrays:
    arrays["x_test"][4, 4, 3] ^= 1
    return arrays


def one_label(arrays: Arrays) -> Arrays:
    arrays["y_train"][5] = 1
    return arrays


def reshaped(arrays: Arrays) -> Arrays:
    return {k: a.reshape(len(a), 4, 5) if a.ndim == 3 else a for k, a in arrays.items()}


@pytest.mark.parametrize("change", [one_pixel, one_label, reshaped])
def test_hash_sees_every_change(
    change: Callable[[Arrays], Arrays], tmp_path: Path
) -> None:
    plain = load_dataset("own", write_npz(tmp_path / "plain", fashion()))
    changed = load_dataset("own", write_npz(tmp_path / "changed", change(fashion())))
    assert changed.sha256 != plain.sha256


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    write_idx(tmp_path / "own", fashion())
    assert_holds(load_dataset("own", Path("~/own")), fashion())


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist10k", "MNIST", ""])
def test_other_names_need_a_path(name: str) -> None:
    with pytest.raises(
        DataError, match=r"data\.name: .*mnist-10k and mnist.*data\.path"
    ) as caught:
        load_dataset(name)
    assert repr(name) in str(caught.value)


# ---- content that is refused


BAD = {
    "float images": (
        lambda a: {**a, "x_train": a["x_train"] / 255},
        r"x_train: is uint8 \[n, height, width\].*float64 \[12, 5, 4\]",
    ),
    "wide images": (
        lambda a: {**a, "x_test": a["x_test"].astype(np.int64)},
        "x_test: is uint8.*int64",
    ),
    "flat images": (
        lambda a: {**a, "x_train": a["x_train"].reshape(12, 20)},
        r"x_train: is uint8.*uint8 \[12, 20\]",
    ),
    "float labels": (
        lambda a: {**a, "y_train": a["y_train"].astype(float)},
        "y_train: is integers.*float64",
    ),
    "yes/no labels": (
        lambda a: {**a, "y_test": a["y_test"] > 1},
        "y_test: is integers.*bool",
    ),
    "one-hot labels": (
        lambda a: {**a, "y_train": np.eye(3, dtype=int)[a["y_train"]]},
        r"y_train: is integers \[n\].*\[12, 3\]",
    ),
    "labels below 0": (
        lambda a: {**a, "y_test": a["y_test"].astype(int) - 1},
        "y_test: in 0 … 255, found -1 … 2",
    ),
    "labels above 255": (
        lambda a: {**a, "y_train": a["y_train"].astype(int) * 128},
        "y_train: in 0 … 255, found 0 … 256",
    ),
    "labels from 1": (
        lambda a: {**a, "y_train": a["y_train"] + 1},
        "y_train: labels start at 0, the smallest found is 1",
    ),
    "label short": (
        lambda a: {**a, "y_train": a["y_train"][:-1]},
        "y_train: one label per image, found 11 for 12",
    ),
    "test image short": (
        lambda a: {**a, "x_test": a["x_test"][1:]},
        "y_test: one label per image, found 5 for 4",
    ),
    "narrow test images": (
        lambda a: {**a, "x_test": a["x_test"][:, :, 1:]},
        r"x_test: images are \(5, 4\) as in x_train, found \(5, 3\)",
    ),
    "no training data": (
        lambda a: {**a, "x_train": a["x_train"][:0], "y_train": a["y_train"][:0]},
        "x_train: .*not empty.* found uint8.*0, 5, 4",
    ),
    "no pixels": (
        lambda a: {**a, "x_test": a["x_test"][:, :0]},
        "x_test: .*not empty.*5, 0, 4",
    ),
    "pickled labels": (
        lambda a: {**a, "y_train": a["y_train"].astype(object)},
        "y_train: .*allow_pickle",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_content_is_refused(
    spoil: Callable[[Arrays], Arrays], message: str, tmp_path: Path
) -> None:
    path = write_npz(tmp_path / "own", spoil(fashion()))
    with pytest.raises(DataError, match=message) as caught:
        load_dataset("own", path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("write", [write_idx, write_npz])
def test_name_mnist_is_refused_by_the_hash(
    write: Callable[[Path, Arrays], Path], tmp_path: Path
) -> None:
    arrays = fashion(height=28, width=28)
    message = refusal("mnist", write(tmp_path / "own", arrays))
    assert "x_train" in message
    assert f"expected sha256 {PINNED['mnist'][0]}" in message
    assert f"found {sha256(arrays['x_train'])}" in message


@pytest.mark.parametrize("wrong", KEYS)
def test_every_array_of_mnist_is_pinned(
    wrong: str, tmp_path: Path, tiny_mnist: Arrays
) -> None:
    arrays = {key: array.copy() for key, array in tiny_mnist.items()}
    arrays[wrong][(-1,) * arrays[wrong].ndim] ^= 1
    message = refusal("mnist", write_idx_gz(tmp_path / "own", arrays))
    assert f"{wrong}: not the mnist data" in message


def test_right_bytes_in_a_wrong_shape_are_not_mnist(
    tmp_path: Path, tiny_mnist: Arrays
) -> None:
    arrays = {
        key: array.reshape(len(array), 14, 56) if array.ndim == 3 else array
        for key, array in tiny_mnist.items()
    }
    message = refusal("mnist", write_npz(tmp_path / "own", arrays))
    assert "(28, 28), found (14, 56)" in message


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


# ---- paths


def test_missing_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "mnist.npz"
    message = refusal("own", path)
    assert str(path) in message
    assert "No such file" in message


def test_one_idx_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    folder = write_idx(tmp_path / "own", fashion())
    assert "give their folder" in refusal("own", folder / idx_name("x_train"))


@pytest.mark.parametrize("write", [write_idx, write_npz])
def test_unreadable_file_is_refused(
    write: Callable[[Path, Arrays], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Faked: root, as in a container, may read whatever chmod forbids.
    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(tmp_path / "own", fashion())
    monkeypatch.setattr(data, "open_regular", forbidden)
    message = refusal("own", path)
    assert message.startswith(str(path))
    assert "Permission denied" in message


# ---- the download


@pytest.fixture
def tiny_mnist(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Some 28×28 images that are pinned as "mnist" for one test."""
    arrays = fashion(height=28, width=28)
    pins = {key: sha256(array) for key, array in arrays.items()}
    monkeypatch.setitem(data.SHA256, "mnist", pins)
    return arrays


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
