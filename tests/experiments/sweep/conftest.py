"""Sweeps of a tiny config: its curves, trained once, and the undisturbed sweep."""

import importlib
import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
from dpodl.experiments.pipeline import training

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def cases():
    sys.path.insert(0, str(HERE))
    try:
        yield importlib.import_module("sweep_evaluators")
    finally:
        sys.path.remove(str(HERE))


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPODL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def trained(cases, tmp_path_factory) -> Path:
    """A folder of results that has the curves of the tests' config."""
    root = tmp_path_factory.mktemp("trained")
    training.train(cases.tiny(), root, lambda *_: None)
    return root


@pytest.fixture
def root(trained, tmp_path) -> Path:
    where = tmp_path / "runs"
    shutil.copytree(trained, where)
    return where


@pytest.fixture(scope="module")
def whole(cases, trained, tmp_path_factory) -> Path:
    """The folder of the undisturbed sweep."""
    where = tmp_path_factory.mktemp("whole") / "runs"
    shutil.copytree(trained, where)
    return cases.run(where).folder
