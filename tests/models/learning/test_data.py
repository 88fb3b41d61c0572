"""The datasets: hashes, the three file layouts, damage, and the one download."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dpodl.models.learning import data, mnist_10k
from dpodl.models.learning.data import DataError, Dataset, load_dataset, make_mnist_10k

from .data_files import (
    FULL_MNIST,
    KEYS,
    LAYOUTS,
    PINNED,
    Arrays,
    assert_holds,
    fashion,
    idx_name,
    refusal,
    sha256,
    write_idx,
    write_idx_gz,
    write_npz,
)

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
