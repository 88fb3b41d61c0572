"""Colour images and other class counts: read, told apart by colour alone, trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.pipeline import training
from dpodl.experiments.world.dataset import config_dataset
from dpodl.models.learning.data import DataError, load_dataset

from .data_files import fashion

CLASSES, SIDE = 6, 12


def silent(what: str, done: int, total: int) -> None:
    """No progress reports."""


def cifar(n: int) -> tuple[np.ndarray, np.ndarray]:
    """As Keras keeps CIFAR: [n, 12, 12, 3] and [n, 1].

    A class is an order of the channels: the sum of an image's channels, and each
    image's set of pixel values, is that of any other class.
    """
    rng = np.random.default_rng(n)
    orders = np.array(
        [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    )
    labels = np.arange(n) % CLASSES
    channels = np.array([40, 120, 200])[orders[labels]]
    noise = rng.integers(-30, 31, (n, SIDE, SIDE, 3))
    images = channels[:, None, None] + noise
    return images.astype(np.uint8), labels[:, None].astype(np.int64)


def written(folder: Path, **changes: np.ndarray) -> Path:
    x_train, y_train = cifar(240)
    x_test, y_test = cifar(60)
    arrays = {
        "x_train": x_train,
        "y_train": y_train,
        "x_test": x_test,
        "y_test": y_test,
    }
    path = folder / "cifar.npz"
    np.savez(path, **{**arrays, **changes})  # pyright: ignore[reportArgumentType]
    return path


def test_colour_is_read_and_channels_are_part_of_the_hash(tmp_path):
    dataset = load_dataset("own", written(tmp_path))
    assert dataset.x_train.shape == (240, SIDE, SIDE, 3)
    assert dataset.y_train.shape == (240,)
    assert dataset.n_classes == CLASSES
    flat = cifar(240)[0].reshape(240, SIDE, 3 * SIDE)
    test = cifar(60)[0].reshape(60, SIDE, 3 * SIDE)
    grey = load_dataset("own", written(tmp_path, x_train=flat, x_test=test))
    assert grey.sha256 != dataset.sha256


def test_one_channel_is_grey(tmp_path):
    arrays: dict[str, Any] = fashion()
    np.savez(tmp_path / "a.npz", **arrays)
    last: dict[str, Any] = {
        k: a[..., None] if a.ndim == 3 else a for k, a in arrays.items()
    }
    np.savez(tmp_path / "b.npz", **last)
    one, other = (load_dataset("own", tmp_path / name) for name in ("a.npz", "b.npz"))
    assert other.x_train.shape == one.x_train.shape
    assert other.sha256 == one.sha256


def test_channels_that_stand_first_are_refused_with_the_remedy(tmp_path):
    first = np.moveaxis(cifar(240)[0], -1, 1)
    with pytest.raises(DataError, match=r"numpy.moveaxis\(x, 1, -1\)"):
        load_dataset("own", written(tmp_path, x_train=first))
    grey = cifar(60)[0][..., 0]
    with pytest.raises(DataError, match=r"x_test: images are \(12, 12, 3\) as in x_tr"):
        load_dataset("own", written(tmp_path, x_test=grey))


def config_of(path: Path, *more: str):
    settings = (
        "data.name=colours",
        f"data.path={path}",
        'menu.architectures=["softmax", "mlp-16", "cnn-8"]',
        "menu.weights.architectures=[1, 1, 1]",
        "training.runs=12",
        "training.horizon_steps=120",
        "training.check_every=12",
        "training.eval_samples=240",
        "protocol.abandon_steps=120",
    )
    return load_config("smoke", [*settings, *more])


def test_every_family_learns_what_only_colour_tells(tmp_path):
    config = config_of(written(tmp_path))
    curves = training.train(config, tmp_path, silent)
    assert curves.accuracy.shape == (12, 10)
    best: dict[str, float] = {}
    for each, accuracy in zip(curves.initializations, curves.accuracy, strict=True):
        family = each.hpp.architecture
        best[family] = max(best.get(family, 0), accuracy.max())
    assert set(best) == {"softmax", "mlp-16", "cnn-8"}
    # Chance is 1/6.
    assert min(best.values()) > 0.9, best


def test_what_does_not_fit_is_said_of_colour_too(tmp_path):
    path = written(tmp_path, x_train=cifar(240)[0][:, :6], x_test=cifar(60)[0][:, :6])
    with pytest.raises(ConfigError, match=r"are 6×12, too small for .* of cnn-8$"):
        config_dataset(config_of(path))
