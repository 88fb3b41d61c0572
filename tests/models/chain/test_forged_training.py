"""Evidence and training that were invented, in every way that a proof has."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.transactions import (
    sign_block,
)
from dpodl.models.learning.architecture import (
    hash_to_architecture,
)
from dpodl.models.scheme.checkpoints import (
    Opening,
    Rejected,
    checkpoint_root,
)
from dpodl.models.scheme.records import (
    Block,
)
from dpodl.models.scheme.scheme import (
    setup,
)
from dpodl.models.scheme.states import (
    Look,
    Model,
    Tensors,
    model_digest,
    parameters_of,
    tensors_digest,
)
from dpodl.models.scheme.verification import verify, verify_hashes

from .hostile import BUILD, MENU_OF_TESTS, MINER, Chain, Shelf, verdict

# ------------------------------------------------------------------ forged evidence


class Spoilt:
    """An archive that lies about one proof."""

    def __init__(
        self,
        shelf: Shelf,
        opening: Callable[[Opening], Opening] = lambda opening: opening,
        tensors: Callable[[Tensors], Any] = lambda tensors: tensors,
    ):
        self._shelf, self._opening, self._tensors = shelf, opening, tensors

    def opening(self, cp_root: bytes, index: int) -> Opening:
        return self._opening(self._shelf.opening(cp_root, index))

    def tensors(self, state: bytes) -> Tensors:
        return self._tensors(dict(self._shelf.tensors(state)))


def raises(error: Exception) -> Callable[[Any], Any]:
    def fail(_):
        raise error

    return fail


def leaf(**changes: Any) -> Callable[[Opening], Opening]:
    return lambda found: found._replace(checkpoint=found.checkpoint._replace(**changes))


OPENINGS: dict[str, Callable[[Opening], Opening]] = {
    "missing": raises(KeyError("gone")),
    "spoilt": raises(ValueError("not a checkpoint")),
    "no path": lambda found: found._replace(path=()),
    "short path": lambda found: found._replace(path=found.path[:-1]),
    "long path": lambda found: found._replace(path=(*found.path, bytes(32))),
    "endless path": lambda found: found._replace(path=(bytes(32),) * 100_000),
    "short digest": lambda found: found._replace(path=(b"", *found.path[1:])),
    "long digest": lambda found: found._replace(path=(bytes(10**6), *found.path[1:])),
    "wrong path": lambda found: found._replace(path=(bytes(32), *found.path[1:])),
    "other state": leaf(state=bytes(32)),
    "other accuracy": leaf(correct=0),
    "other steps": leaf(steps=2**64 - 1),
    # No checkpoint has these: they are refused before they are hashed.
    "short state": leaf(state=bytes(31)),
    "negative accuracy": leaf(correct=-1),
    "absurd accuracy": leaf(correct=2**32),
    "absurd steps": leaf(steps=2**64),
}


def last_changed(change: Callable[[np.ndarray], Any]) -> Callable[[Tensors], Tensors]:
    """Change the last tensor; the import hook's type check looks at the first."""

    def changed(tensors: Tensors) -> Tensors:
        name = list(tensors)[-1]
        return {**tensors, name: change(tensors[name])}

    return changed


def filled(value: float) -> Callable[[Tensors], Tensors]:
    return last_changed(lambda values: np.full_like(values, value))


def renamed(new: str) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        *rest, last = tensors
        return {name: tensors[name] for name in rest} | {new: tensors[last]}

    return change


TENSORS: dict[str, Callable[[Tensors], Any]] = {
    "missing": raises(KeyError("gone")),
    "spoilt": raises(ValueError("not a tensor file")),
    "empty": lambda tensors: {},
    "one less": lambda tensors: dict(list(tensors.items())[1:]),
    "one more": lambda tensors: {**tensors, "lp/more": np.zeros(3, np.float32)},
    "NaN": filled(np.nan),
    "inf": filled(np.inf),
    "nudged": last_changed(lambda values: np.nextafter(values, np.float32(1))),
    "another axis": last_changed(lambda values: values[..., None]),
    "ten axes": last_changed(lambda values: values.reshape((1,) * 9 + (-1,))),
    "huge": last_changed(lambda values: np.zeros(10**7, np.float32)),
    "no name": renamed(""),
    "name not ASCII": renamed("lp/é"),
    "long name": renamed("lp/" + "x" * 1000),
    # Rounded to float32 they would be the very tensors that were committed.
    "float64": last_changed(lambda values: values.astype(np.float64)),
    "text": last_changed(lambda values: np.full(values.shape, "1.0")),
    "objects": last_changed(lambda values: values.astype(object)),
}


@pytest.mark.parametrize("how", OPENINGS)
def test_forged_openings_are_refused(bound, how):
    ledger = bound.ledger(Spoilt(bound.shelf, opening=OPENINGS[how]))
    assert verdict(ledger, bound.second) == "evidence"
    # It was the archive's lie: the block is as good as before.
    ledger._archive = bound.shelf
    assert verdict(ledger, bound.second) == "accepted"


@pytest.mark.parametrize("how", TENSORS)
def test_forged_tensors_are_refused(bound, how):
    ledger = bound.ledger(Spoilt(bound.shelf, tensors=TENSORS[how]))
    assert verdict(ledger, bound.second) == "evidence"
    ledger._archive = bound.shelf
    assert verdict(ledger, bound.second) == "accepted"


def test_the_same_tensors_in_another_layout_are_the_same(bound):
    def strided(values: np.ndarray) -> np.ndarray:
        return np.asfortranarray(values)

    ledger = bound.ledger(Spoilt(bound.shelf, tensors=last_changed(strided)))
    assert verdict(ledger, bound.second) == "accepted"


# ------------------------------------------------------------------ forged training


def committed(chain: Chain, shelf: Shelf, looks: tuple[Look, ...]) -> Block:
    """The block with other checkpoints: neither h_1 nor h_2 covers their root."""
    proof = chain.second.proof._replace(cp_root=shelf.put(looks))
    name = chain.ledger().name
    return sign_block(MINER, name, chain.second._replace(proof=proof))


def copied(shelf: Shelf) -> Shelf:
    other = Shelf()
    other.leaves, other.states = dict(shelf.leaves), dict(shelf.states)
    return other


STATES: dict[str, tuple[Callable[[Tensors], Tensors], set[str]]] = {
    "NaN": (filled(np.nan), {"training"}),
    "inf": (filled(np.inf), {"training"}),
    "largest": (filled(3.4e38), {"training"}),
    "nudged": (TENSORS["nudged"], {"training"}),
    "another axis": (TENSORS["another axis"], {"training"}),
    "one less": (TENSORS["one less"], {"training"}),
    "one more": (TENSORS["one more"], {"training"}),
    "empty": (TENSORS["empty"], {"training"}),
}


@pytest.mark.parametrize("how", STATES)
@pytest.mark.parametrize("place", [0, -1], ids=["first", "last"])
def test_forged_states_are_refused(bound, how, place):
    change, rules = STATES[how]
    shelf = copied(bound.shelf)
    looks = list(bound.looks)
    looks[place] = looks[place]._replace(tensors=change(dict(looks[place].tensors)))
    block = committed(bound, shelf, tuple(looks))
    assert verdict(bound.ledger(shelf), block) in rules


@pytest.mark.parametrize("how", STATES)
def test_a_segment_that_begins_with_a_forged_state_is_refused(bound, how):
    # Without further challenges only the last segment is run again, from a state that
    # the miner chose: it must not get further than its end.
    change, _ = STATES[how]
    shelf = copied(bound.shelf)
    looks = list(bound.looks)
    looks[-2] = looks[-2]._replace(tensors=change(dict(looks[-2].tensors)))
    block = committed(bound, shelf, tuple(looks))
    ledger = Ledger(bound.genesis, [bound.data], shelf, BUILD, challenges=0)
    ledger.add_block(bound.first)
    assert verdict(ledger, block) in {"training", "checkpoints"}


@pytest.mark.parametrize("steps", [0, 1, 20, 2**31, 2**64 - 1])
def test_a_checkpoint_at_a_wrong_step_is_refused(bound, steps):
    shelf = copied(bound.shelf)
    looks = list(bound.looks)
    looks[0] = looks[0]._replace(steps=steps)
    block = committed(bound, shelf, tuple(looks))
    assert verdict(bound.ledger(shelf), block) == "training"
    ledger = Ledger(bound.genesis, [bound.data], shelf, BUILD, challenges=0)
    ledger.add_block(bound.first)
    looks = list(bound.looks)
    looks[-2] = looks[-2]._replace(steps=steps)
    block = committed(bound, shelf, tuple(looks))
    assert verdict(ledger, block) == "checkpoints"


@pytest.mark.parametrize("change", ["one less", "one more", "swapped", "twice"])
def test_another_number_or_order_of_checkpoints_is_refused(bound, change):
    first, *rest = bound.looks
    looks = {
        "one less": tuple(rest),
        "one more": (first, first, *rest),
        "swapped": (*rest, first),
        "twice": bound.looks + bound.looks,
    }[change]
    shelf = copied(bound.shelf)
    block = committed(bound, shelf, looks)
    allowed = {"evidence", "training", "checkpoints"}
    assert verdict(bound.ledger(shelf), block) in allowed


@pytest.mark.parametrize(
    "how", ["NaN", "inf", "float64", "another axis", "one less", "one more", "empty"]
)
def test_a_tolerance_tolerates_no_other_tensors(bound, how):
    # The last segment's end is then taken from the archive, if it is near enough.
    parameters = bound.genesis.parameters._replace(tolerance=1e-3, t_2=2**256 - 1)
    instance = setup(parameters, bound.genesis.tasks[0], bound.data, BUILD)
    header, proof = bound.first.header, bound.first.proof
    hpp = hash_to_architecture(
        verify_hashes(parameters, header, proof), MENU_OF_TESTS
    ).hpp
    shelf = copied(bound.shelf)
    *leaves, last = bound.shelf.leaves[proof.cp_root]
    tensors = bound.shelf.states[last.state]
    nudged = {name: values + np.float32(1e-4) for name, values in tensors.items()}

    def judged(given: Tensors, committed_as: bytes) -> str:
        shelf.states[committed_as] = given
        ends = (*leaves, last._replace(state=committed_as))
        shelf.leaves[checkpoint_root(ends)] = ends
        model = Model(hpp, parameters_of(nudged))
        forged = proof._replace(
            cp_root=checkpoint_root(ends), model=model_digest(model)
        )
        try:
            verify(instance, header, forged, None, shelf, here=BUILD)
        except Rejected as error:
            return error.rule
        return "accepted"

    # Gap 2 of docs/science/attacks.md: a tolerance opens it, on purpose.
    assert judged(nudged, tensors_digest(nudged)) == "accepted"
    spoilt = TENSORS[how](nudged)
    assert judged(spoilt, tensors_digest(nudged)) == "evidence"
    if how != "float64":
        assert judged(spoilt, tensors_digest(spoilt)) == "training"
