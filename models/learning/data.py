"""The datasets: all of MNIST, the subset that ships with the package, or your own.

Notation: x = images, uint8 [n, height, width], of colour [n, height, width, channels];
y = labels, uint8 [n], counted from 0;
"train" is what the provers fit, "test" what the accuracy threshold is measured on.

MNIST: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits";
the idx layout (big-endian: magic, one length per axis, then the bytes) is theirs.
"""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import as_file, files
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, is_zipfile

import numpy as np
from jaxtyping import UInt8

from ..errors import InputError
from .files import cache_folder, open_regular, user_path

# SHA-256 of each array's bytes (uint8, C order). Arrays, not files, are pinned: every
# mirror compresses anew, and only the arrays reach an experiment.
SHA256 = {
    "mnist-10k": {
        "x_train": "61f83fe388c7ffc7b950f5bb359f1d4f6e94bfd5df5f42593323a7706423210d",
        "y_train": "ebcdcef028a720368035e2faa08c8d70fb88524002022bb675f7970a564215ef",
        "x_test": "f0d1250f0e1c81ed67029fd6a06f6781e6a9151cec42d9fac4a16c7f77c0c06c",
        "y_test": "221abe75a4dacf229f1de7c9c10a0c614576749d93ef93f8a70bf32587b4ea2f",
    },
    "mnist": {
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
}

# Tried in this order: a folder (ends in "/") of four idx.gz files, or one npz.
MNIST_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
)

# Array → (stem, number of axes) of its idx file.
_IDX = {
    "x_train": ("train-images", 3),
    "y_train": ("train-labels", 1),
    "x_test": ("t10k-images", 3),
    "y_test": ("t10k-labels", 1),
}
_MNIST_IMAGE = (28, 28)
_CHUNK = 1 << 20
_MOST_CHANNELS = 4
# What an array may be, unpacked: a small file can claim, or unpack to, any size.
_MOST_BYTES = 1 << 30
_MOST_HEADER = 1 << 16

_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, BadZipFile, zlib.error)


class DataError(InputError, ValueError):
    """A dataset that cannot be had as asked; the message says what to change."""


class Dataset(NamedTuple):
    """Images and labels, checked, with the hash that names them in the results."""

    x_train: UInt8[np.ndarray, "n_train height width *channels"]  # pixels, 0 … 255
    y_train: UInt8[np.ndarray, " n_train"]  # classes, 0 … n_classes − 1
    x_test: UInt8[np.ndarray, "n_test height width *channels"]
    y_test: UInt8[np.ndarray, " n_test"]
    name: str
    sha256: str  # over key, dtype, shape and bytes of the four arrays, in this order

    @property
    def n_classes(self) -> int:
        """One more than the largest label of either part."""
        return 1 + int(max(self.y_train.max(), self.y_test.max()))


def load_dataset(
    name: str = "mnist-10k",
    path: Path | None = None,
    *,
    cache_dir: Path | None = None,
) -> Dataset:
    """Load a dataset by name; what is pinned in `SHA256` is always verified.

    Args:
        name: "mnist-10k" (embedded), "mnist" (from `path`, the cache or a mirror), or
            any other name, which needs a `path` and is not pinned.
        path: a folder with the four idx or idx.gz files under MNIST's usual names, or
            one npz with x_train, y_train, x_test and y_test; colour's channels stand
            last, and labels may be [n, 1].
        cache_dir: where a downloaded MNIST is kept; ``DPODL_CACHE``, or the user's
            cache, when None.

    Returns:
        The checked dataset.

    Raises:
        DataError: the data is missing, damaged, malformed or not what its name says.
    """
    if name == "mnist-10k":
        if path is not None:
            raise DataError(
                f"data.path: mnist-10k is embedded and takes no path, got {path}; "
                "to read that path choose another data.name (mnist for all of MNIST)"
            )
        resource = files(f"{__package__}.mnist_10k") / "mnist_10k.npz"
        with as_file(resource) as embedded:
            return _read(name, embedded)
    if path is not None:
        with _blame("data.path"):
            path = user_path(path)
        return _read(name, path)
    if name == "mnist":
        return _cached_mnist(cache_dir)
    raise DataError(
        "data.name: only mnist-10k and mnist come without a path, "
        f"got {name!r}; give its files with `--set data.path=FOLDER_OR_NPZ`"
    )


def make_mnist_10k(full: Dataset) -> Dataset:
    """Take the embedded subset out of all of MNIST.

    Element k of the subset is element ⌊k · n / m⌋ of the original, m of n kept: evenly
    spaced, because MNIST's test part changes writers halfway.

    The embedded file is `np.savez_compressed(path, x_train=…, …)` of the result.

    Args:
        full: MNIST, 60,000 + 10,000 images.

    Returns:
        The subset, 10,000 + 2,000 images.

    Raises:
        DataError: `full` is not MNIST, so the subset misses its pinned hashes.
    """
    kept = {
        "train": np.arange(10_000) * len(full.y_train) // 10_000,
        "test": np.arange(2_000) * len(full.y_test) // 2_000,
    }
    arrays = {key: getattr(full, key)[kept[key[2:]]] for key in _IDX}
    return _checked("mnist-10k", arrays)


@contextmanager
def _blame(subject: object) -> Iterator[None]:
    """Turn what unreadable or damaged files raise into a DataError about `subject`."""
    try:
        yield
    except _UNREADABLE as error:
        raise DataError(f"{subject}: {error}") from error


def _read(name: str, path: Path) -> Dataset:
    with _blame(path):
        return _checked(name, _read_folder(path) if path.is_dir() else _read_npz(path))


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    arrays = {}
    with open_regular(path) as stream:
        if not is_zipfile(stream):
            raise DataError(
                "not a whole npz file (to read idx files give their folder)"
            )
        # NpzFile, not np.load: it takes a zip with a damaged start for a pickle, and
        # its message then advises to trust it.
        with np.lib.npyio.NpzFile(stream) as archive:
            if missing := [key for key in _IDX if key not in archive]:
                raise DataError(f"no array {', '.join(missing)}; found {archive.files}")
            for key in _IDX:
                arrays[key] = _npz_array(archive, key)
    return arrays


def _npz_array(archive: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        _bound_npy(archive.zip, key)
        array = archive[key]
    except DataError:
        raise
    except Exception as error:  # zlib, ast, tokenize, numpy: whatever a bad header hits
        raise DataError(f"{key}: {type(error).__name__}: {error}") from error
    if not isinstance(array, np.ndarray):  # numpy hands out raw bytes
        raise DataError(f"{key}: not a numpy array")
    return array


def _bound_npy(archive: ZipFile | None, key: str) -> None:
    """See that an entry is no larger than an array may be, before it is unpacked.

    Raises:
        DataError: If it is, or claims another size than it has.
    """
    if archive is None:
        raise DataError(f"{key}: the archive is closed")
    name = f"{key}.npy" if f"{key}.npy" in archive.namelist() else key
    entry = archive.getinfo(name)
    if entry.file_size > _MOST_BYTES + _MOST_HEADER:
        raise DataError(_too_large(key, entry.file_size))
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise DataError(f"{key}: neither stored nor deflated, as numpy writes it")
    with archive.open(name) as stream:
        head = stream.read(12)
    if head[:6] != b"\x93NUMPY":
        raise DataError(f"{key}: not a numpy array")
    wide = head[6] > 1
    length = int.from_bytes(head[8:12] if wide else head[8:10], "little")
    if length > _MOST_HEADER:
        raise DataError(
            f"{key}: a header of {length:,} bytes, at most {_MOST_HEADER:,} are read"
        )
    with archive.open(name) as stream:
        np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if wide:
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        size = math.prod(shape) * dtype.itemsize
        if size > _MOST_BYTES:
            raise DataError(_too_large(key, size))
        if not dtype.hasobject and stream.tell() + size != entry.file_size:
            raise DataError(
                f"{key}: {dtype} {list(shape)} is {size} bytes, found "
                f"{entry.file_size - stream.tell()}"
            )


def _too_large(what: str, size: int) -> str:
    return f"{what}: {size:,} bytes unpacked, at most {_MOST_BYTES:,} are read"


def _read_folder(folder: Path) -> dict[str, np.ndarray]:
    # yann.lecun.com has "-idx3-ubyte.gz", some archives unpack to ".idx3-ubyte".
    allowed = {
        key: [f"{stem}{dot}idx{n}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
        for key, (stem, n) in _IDX.items()
    }
    has = {k: n for k, names in allowed.items() for n in names if (folder / n).exists()}
    if missing := [names[0] for key, names in allowed.items() if key not in has]:
        raise DataError(f"no file {', '.join(missing)} (nor .gz) in this folder")
    arrays = {}
    for key, (_, ndim) in _IDX.items():
        with _blame(has[key]), open_regular(folder / has[key]) as raw:
            # By content: some servers and browsers unpack a .gz and keep its name.
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            arrays[key] = _parse_idx(stream, ndim)
    return arrays


def _parse_idx(stream: BufferedIOBase, ndim: int) -> np.ndarray:
    magic = bytes([0, 0, 8, ndim])  # 8 = unsigned bytes
    header = stream.read(4 + 4 * ndim)
    if header[:4] != magic:
        raise DataError(f"idx magic is {magic.hex()} here, found {header[:4].hex()!r}")
    if len(header) < 4 + 4 * ndim:
        raise DataError(f"idx header is {4 + 4 * ndim} bytes, found {len(header)}")
    shape = struct.unpack(f">{ndim}I", header[4:])
    size = math.prod(shape)
    if size > _MOST_BYTES:
        raise DataError(_too_large(f"idx shape {shape}", size))
    # In chunks and one byte too far: memory follows what is there, not what the header
    # claims, and the end of the stream (with gzip's checksum) is always reached.
    body = bytearray()
    while len(body) <= size and (chunk := stream.read(min(_CHUNK, size + 1))):
        body += chunk
    if len(body) != size:
        found = f"{len(body)}" if len(body) < size else "more"
        raise DataError(f"idx shape {shape} needs {size} bytes, found {found}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _checked(name: str, arrays: Mapping[str, np.ndarray]) -> Dataset:
    """Check kinds, shapes and labels, then the pinned hashes, then build."""
    checked = {key: _checked_array(key, arrays[key]) for key in _IDX}
    for x, y in (("x_train", "y_train"), ("x_test", "y_test")):
        n_x, n_y = len(checked[x]), len(checked[y])
        if n_x != n_y:
            raise DataError(f"{y}: one label per image, found {n_y} for {n_x} in {x}")
    shape, test_shape = checked["x_train"].shape[1:], checked["x_test"].shape[1:]
    if shape != test_shape:
        raise DataError(f"x_test: images are {shape} as in x_train, found {test_shape}")
    if lowest := checked["y_train"].min():
        raise DataError(f"y_train: labels start at 0, the smallest found is {lowest}")
    if name in SHA256 and shape != _MNIST_IMAGE:  # a hash of bytes is blind to it
        raise DataError(f"x_train: {name} has images {_MNIST_IMAGE}, found {shape}")
    for key, expected in SHA256.get(name, {}).items():
        found = hashlib.sha256(checked[key].tobytes()).hexdigest()
        if found != expected:
            raise DataError(
                f"{key}: not the {name} data, expected sha256 {expected}, found {found}"
            )
    digest = hashlib.sha256()
    for key, array in checked.items():
        digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return Dataset(**checked, name=name, sha256=digest.hexdigest())


def _checked_array(key: str, array: np.ndarray) -> np.ndarray:
    if key.startswith("x"):
        if array.ndim == 4 and array.shape[3] == 1:
            array = array[..., 0]  # grey images are the same ones either way
        fits = array.dtype == np.uint8 and (
            array.ndim == 3 or (array.ndim == 4 and array.shape[3] <= _MOST_CHANNELS)
        )
        allowed = (
            f"uint8 [n, height, width], of colour with up to {_MOST_CHANNELS} channels "
            "at the end (numpy.moveaxis(x, 1, -1) puts first ones there)"
        )
    else:
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]  # as Keras keeps CIFAR's
        fits = array.dtype.kind in "iu" and array.ndim == 1
        allowed = "integers [n]"
    if not fits or array.size == 0:
        found = f"{array.dtype} {list(array.shape)}"
        raise DataError(f"{key}: is {allowed}, not empty, found {found}")
    if array.min() < 0 or array.max() > 255:
        raise DataError(f"{key}: in 0 … 255, found {array.min()} … {array.max()}")
    # One type and layout, so that idx and npz of the same data have the same hash.
    return np.ascontiguousarray(array, np.uint8)


def _cached_mnist(cache_dir: Path | None) -> Dataset:
    with _blame("the cache folder"):
        cached = (cache_folder() if cache_dir is None else cache_dir) / "mnist.npz"
    try:
        return _read("mnist", cached)
    except DataError as error:  # absent, or damaged: replaced if a mirror answers
        failures = [f"cache: {error}"]
    for mirror in MNIST_MIRRORS:
        try:
            return _download_mnist(mirror, cached)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors
            failures.append(f"{mirror}: {error}")
    raise DataError(
        "mnist: not in the cache and no mirror gave it.\n"
        + "".join(f"  - {failure}\n" for failure in failures)
        + "Ways out: give the files you have with `--set data.path=FOLDER_OR_NPZ`; "
        f"or place Keras' mnist.npz at {cached}; "
        "or use the embedded subset, `--set data.name=mnist-10k`."
    )


def _download_mnist(mirror: str, cached: Path) -> Dataset:
    import pooch

    fetch = pooch.HTTPDownloader()
    cached.parent.mkdir(parents=True, exist_ok=True)
    # Beside the cached file, so that the rename stays on one file system and is atomic:
    # a second process sees no file or a verified one.
    with TemporaryDirectory(dir=cached.parent) as temporary:
        source = folder = Path(temporary)
        pooch.get_logger().info("Downloading MNIST from %s", mirror)
        if mirror.endswith("/"):
            for name in (f"{stem}-idx{n}-ubyte.gz" for stem, n in _IDX.values()):
                fetch(mirror + name, str(folder / name), None)
        else:
            source = folder / "mnist.npz"
            fetch(mirror, str(source), None)
        dataset = _read("mnist", source)
        verified = folder / "verified.npz"
        np.savez_compressed(verified, **{key: getattr(dataset, key) for key in _IDX})
        verified.replace(cached)
        return dataset
