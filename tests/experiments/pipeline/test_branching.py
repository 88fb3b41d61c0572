"""Warm starts are measured once, kept beside the curves, and read back whole."""

from functools import partial

import numpy as np
import pytest
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.pipeline import branching, training

SETTINGS = (
    "data.examples=600",
    "menu.architectures=['softmax']",
    "training.runs=12",
    "training.horizon_steps=60",
    "protocol.abandon_steps=60",
    "training.eval_samples=200",
    "scheme.t_acc=0.3",
    "adversary.branches=10",
)
NEW = "adversary.attack=cross_slot_new"


def config(*settings):
    return load_config("smoke", [*SETTINGS, *settings])


def silent(*_):
    """No progress."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branching")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPODL_CACHE", str(tmp_path_factory.mktemp("cache")))
        training.train(config(), folder, silent)
        yield folder


@pytest.fixture(scope="module")
def curves(root):
    return training.train(config(), root, silent)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ((), ()),
        ((NEW,), ("mtx",)),
        ((NEW, "adversary.kind=block"), ("warm",)),
        (("adversary.attack=cross_slot_old", "protocol.reference_window=off"),
         ("warm",)),
        (("adversary.attack=cross_slot_old",), ()),  # stopped by any window
        (("adversary.attack=grind_prehash",), ()),
        ((NEW, "network.beta=0"), ()),
    ],
)  # fmt: skip
def test_a_config_asks_for_no_more_than_its_laws_need(settings, needed):
    assert branching.needs(config(*settings)) == needed


def test_branches_are_trained_once_and_read_back_equal(root, curves, monkeypatch):
    some = config(NEW)
    told = []
    first = branching.warm_starts(some, curves, root, lambda *each: told.append(each))
    assert first.warm is None
    assert first.mtx is not None
    assert told[-1] == ("branching from an mtx", 10, 10)
    monkeypatch.setattr(branching, "branch_curves", None)  # nothing is trained again
    again = branching.warm_starts(some, curves, root, silent)
    assert again.mtx is not None
    for name in ("origins", "reference_steps", "reference_correct"):
        assert np.array_equal(getattr(first.mtx, name), getattr(again.mtx, name))
    assert np.array_equal(first.mtx.curves.correct, again.mtx.curves.correct)
    assert first.mtx.curves.initializations == again.mtx.curves.initializations
    assert (first.mtx.accuracy, first.mtx.way, first.mtx.missed) == (
        again.mtx.accuracy, again.mtx.way, again.mtx.missed
    )  # fmt: skip
    folder = training.curve_folder(some, root)
    stored = branching.stored_warm_starts(some, curves, folder)
    assert stored.mtx is not None
    # Points that differ in the network or the lottery share them.
    other = config(NEW, "network.beta=0.5", "scheme.t_2=2^250")
    assert branching.warm_starts(other, curves, root, silent).mtx is not None


def test_damaged_branches_are_trained_again(root, curves):
    some = config(NEW)
    whole = branching.warm_starts(some, curves, root, silent).mtx
    folder = training.curve_folder(some, root)
    (path,) = folder.glob("branches-*.npz")
    kept = path.read_bytes()
    path.write_bytes(kept[:-20] + bytes(20))
    assert branching.stored_warm_starts(some, curves, folder).mtx is None
    again = branching.warm_starts(some, curves, root, silent).mtx
    assert whole is not None
    assert again is not None
    assert np.array_equal(whole.curves.correct, again.curves.correct)


def test_where_no_run_has_such_a_model_there_are_none(root, curves):
    far = config(NEW, "scheme.t_acc=0.999")
    asked = partial(branching.warm_starts, far, curves, root, silent)
    assert asked().mtx is None
