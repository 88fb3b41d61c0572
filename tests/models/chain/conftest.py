"""One chain mined for real, for all that is tried against it."""

import pytest
from dpodl.models.chain.ledger import Ledger
from dpodl.models.learning.curves import TrainingSet, training_set
from dpodl.models.learning.data import load_dataset

from .hostile import (
    Chain,
    mine,
)


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    images = load_dataset("mnist-10k")
    return training_set(images.x_train[:2000], images.y_train[:2000])


@pytest.fixture(scope="module")
def bound(data) -> Chain:
    return mine(data, binding="header")


@pytest.fixture(scope="module")
def unbound(data) -> Chain:
    return mine(data, binding="none")


@pytest.fixture(scope="module")
def ledger(bound) -> Ledger:
    """Shared: refused records leave no trace, which every test below checks."""
    return bound.ledger()
