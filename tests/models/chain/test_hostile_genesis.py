"""A genesis or a count of steps that asks for the absurd is refused before any work."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.transactions import (
    sign_block,
    tx_root,
)
from dpodl.models.learning.architecture import (
    Axis,
    Menu,
    Optimizer,
)
from dpodl.models.learning.curves import TrainingSet
from dpodl.models.scheme.checkpoints import (
    draw_challenges,
)
from dpodl.models.scheme.encoding import (
    EncodingError,
    decode,
    encode,
)
from dpodl.models.scheme.formats import (
    GENESIS,
    MENU,
)
from dpodl.models.scheme.records import (
    Allocation,
    Block,
    Genesis,
    Header,
    Proof,
    Weight,
)
from dpodl.models.scheme.scheme import (
    weight,
)
from dpodl.models.scheme.states import (
    Look,
)
from hypothesis import given, settings, strategies as st

from .hostile import (
    BUILD,
    EVE,
    MENU_OF_TESTS,
    MINER,
    UNSIGNED,
    Shelf,
    genesis_of,
    verdict,
)

# ------------------------------------------------------------------ hostile genesis


def refuses(data: TrainingSet, genesis: Genesis, what: str) -> None:
    """A genesis that decodes but that no ledger starts from."""
    assert decode(GENESIS, encode(GENESIS, genesis)) == genesis
    with pytest.raises(ValueError, match=what):
        Ledger(genesis, [data] * len(genesis.tasks), Shelf(), BUILD)


@pytest.mark.parametrize(
    "changes",
    [
        {"check_every": 0},
        {"check_every": 2**32 - 1},
        {"checkpoint_every": 0},
        {"checkpoint_every": 30},
        {"horizon_steps": 0},
        {"horizon_steps": 2**64 - 1},
        {"eval_samples": 0},
        {"eval_samples": 2001},
        {"eval_samples": 2**32 - 1},
        {"tolerance": -1.0},
    ],
    ids=str,
)
def test_impossible_parameters_are_refused(data, changes):
    refuses(data, genesis_of(data, **changes), r"^\w+ must be ")


@pytest.mark.parametrize("kappa", [-1.0, 1e4, 1.7e308])
def test_weights_that_no_float_holds_are_refused(data, kappa):
    refuses(
        data, genesis_of(data, weight=Weight("exponential", kappa)), "kappa must be "
    )


@pytest.mark.parametrize("t_acc", [5e-324, 0.5, 1.0])
@pytest.mark.parametrize("family", ["indicator", "linear", "exponential"])
def test_weights_are_finite(family, t_acc):
    for kappa in (0.0, 1000.0):
        for accuracy in (0.0, 0.5, 1.0):
            assert 0 <= weight(accuracy, t_acc, Weight(family, kappa)) < 2**1024


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"t_acc": 0.0}, "t_acc must be "),
        ({"t_acc": 1.5}, "t_acc must be "),
        ({"t_acc": -1.0}, "t_acc must be "),
        ({"r_task": 1.5}, "r_task must be "),
        ({"slots": 0}, "slots must be "),
        ({"dataset": bytes(32)}, "dataset must be "),
    ],
)
def test_impossible_tasks_are_refused(data, changes, what):
    genesis = genesis_of(data)
    refuses(data, genesis._replace(tasks=(genesis.tasks[0]._replace(**changes),)), what)


def test_a_genesis_without_tasks_is_refused(data):
    refuses(data, genesis_of(data)._replace(tasks=()), "at least one task")


def with_menu(genesis: Genesis, **axes: Axis) -> Genesis:
    menu = dataclasses.replace(MENU_OF_TESTS, **axes)
    return genesis._replace(tasks=(genesis.tasks[0]._replace(menu=menu),))


def test_batches_larger_than_the_data_are_refused(data):
    genesis = with_menu(genesis_of(data), batch_sizes=Axis.of((32, 2**32 - 1)))
    refuses(data, genesis, "batch_sizes must be at most 2000")


def test_a_menu_too_large_to_draw_from_is_refused(data):
    grids = [
        Optimizer(
            "momentum",
            tuple(0.01 * (i + 1) for i in range(n)),
            tuple(i / 100 for i in range(n)),
        )
        for n in range(1, 65)
    ]
    with pytest.raises(ValueError, match=r"at most 2\^256 cells"):
        with_menu(
            genesis_of(data),
            batch_sizes=Axis.of((32,), (2**32 - 1,)),
            optimizers=Axis.of(grids, (2**32 - 1,) * 64),
            architectures=Axis.of(
                [f"mlp-{i + 1}" for i in range(64)], (2**32 - 1,) * 64
            ),
        )


def unchecked(kind: type, **fields: Any) -> Any:
    """A dataclass whose constructor has not been asked."""
    made = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def axis(options: tuple, weights: tuple | None = None) -> Any:
    weights = (1,) * len(options) if weights is None else weights
    return unchecked(Axis, options=options, weights=weights)


BAD_MENUS: list[tuple[str, Any, str]] = [
    ("architectures", axis(("mlp-0",)), "architecture must be "),
    ("architectures", axis(("softmax", "resnet-50")), "architecture must be "),
    ("architectures", axis(("mlp-99999",)), "architecture must be "),
    ("architectures", axis(("",)), "architecture must be "),
    ("architectures", axis(()), "architectures: an axis .* at least one option"),
    ("architectures", axis(("softmax",) * 2), "architectures: options must differ"),
    ("architectures", axis(("softmax",), (0,)), "architectures: weights must be "),
    ("architectures", axis(("softmax",), ()), "architectures: weights must be "),
    ("architectures", axis(("softmax",), (1, 1)), "architectures: weights must be "),
    ("batch_sizes", axis((0,)), "batch_sizes must be "),
    ("init_scales", axis((0.0,)), "init_scales must be "),
    ("init_scales", axis((-1.0,)), "init_scales must be "),
    ("optimizers", axis((Optimizer("lion", (0.1,)),)), "optimizer must be "),
    ("optimizers", axis((Optimizer("sgd", ()),)), "sgd: learning_rates and momenta"),
    ("optimizers", axis((Optimizer("sgd", (-0.1,)),)), "learning_rates must be "),
    ("optimizers", axis((Optimizer("momentum", (0.1,), (1.0,)),)), "momenta must be "),
    ("optimizers", axis((Optimizer("sgd", (0.1,), (0.5,)),)), "momenta belong to "),
]


@pytest.mark.parametrize(("name", "bad", "what"), BAD_MENUS)
def test_impossible_menus_do_not_decode(data, name, bad, what):
    fields = {each: getattr(MENU_OF_TESTS, each) for each in MENU.fields}
    menu = unchecked(Menu, **{**fields, name: bad})
    with pytest.raises(EncodingError, match=f"^{what}"):
        decode(MENU, encode(MENU, menu))
    genesis = genesis_of(data)
    genesis = genesis._replace(tasks=(genesis.tasks[0]._replace(menu=menu),))
    with pytest.raises(EncodingError, match=rf"^tasks\[0\]\.menu(\.{name})?: "):
        decode(GENESIS, encode(GENESIS, genesis))


@settings(max_examples=60)
@given(data=st.data())
def test_a_mutated_genesis_starts_a_chain_of_another_name_or_none(bound, data):
    before = encode(GENESIS, bound.genesis)
    after = bytearray(before)
    place = data.draw(st.integers(0, len(before) - 1))
    after[place] ^= data.draw(st.integers(1, 255))
    try:
        genesis = decode(GENESIS, bytes(after))
    except EncodingError:
        return
    try:
        ledger = Ledger(genesis, [bound.data], bound.shelf, BUILD)
    except ValueError:
        return
    # On another chain nothing of this one is worth anything.
    for record in (bound.first, bound.second, bound.mtx):
        assert verdict(ledger, record) in {"parent", "signature"}
        header = record.header._replace(prev_block=ledger.name)
        moved = record._replace(header=header)
        assert verdict(ledger, moved) == "signature"


def test_coins_given_twice_are_refused(data):
    twice = (Allocation(MINER.public, 5), Allocation(MINER.public, 7))
    refuses(data, genesis_of(data)._replace(allocations=twice), "every owner once")


# ------------------------------------------------------------------ absurd step counts


def test_challenges_are_drawn_without_a_list_of_all_segments():
    # A forged proof costs two cheap hashes and claims any S up to the horizon.
    drawn = draw_challenges(bytes(32), 2**61, 5)
    assert len(set(drawn)) == 5
    assert drawn == tuple(sorted(drawn))
    assert 0 <= drawn[0] <= drawn[-1] < 2**61


@pytest.mark.parametrize(("every", "count"), [(4, 2**61), (2**31, 1), (2**31, 2)])
def test_proofs_of_absurdly_many_steps_are_refused(data, every, count):
    # More segments than fit a list, and steps beyond the training program's int32.
    # A genesis that is refused is fine.
    genesis = genesis_of(
        data,
        t_1=2**256 - 1,
        t_2=2**256 - 1,
        check_every=every,
        checkpoint_every=every,
        horizon_steps=every * count,
        challenges=1,
    )
    shelf = Shelf()
    try:
        ledger = Ledger(genesis, [data], shelf, BUILD)
    except ValueError:
        return
    # Checkpoints of anything: nobody runs so many steps to tell.
    tensors = {"lp/x": np.zeros(1, np.float32)}
    root = shelf.put(
        tuple(Look(tensors, 0, every * (i + 1)) for i in range(min(count, 2)))
    )
    proof = Proof(None, bytes(16), bytes(32), 500, count * every, root)
    header = Header(ledger.name, EVE.public, tx_root(()))
    block = sign_block(EVE, ledger.name, Block(header, proof, (), (), UNSIGNED))
    assert verdict(ledger, block) in {"evidence", "checkpoints", "training"}
