"""Data sets as files, in every layout that is read, and how one is refused."""

import gzip
import hashlib
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from dpodl.models.learning.data import DataError, Dataset, load_dataset

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
