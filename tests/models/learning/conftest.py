"""What tests of the data share."""

import pytest
from dpodl.models.learning import data

from .data_files import Arrays, fashion, sha256


@pytest.fixture
def tiny_mnist(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """Some 28×28 images that are pinned as "mnist" for one test."""
    arrays = fashion(height=28, width=28)
    pins = {key: sha256(array) for key, array in arrays.items()}
    monkeypatch.setitem(data.SHA256, "mnist", pins)
    return arrays
