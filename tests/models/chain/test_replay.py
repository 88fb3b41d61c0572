"""Trainings that go on from notes: the same looks, and nothing trained twice."""

import numpy as np
import pytest
from dpodl.models.chain import replay
from dpodl.models.chain.replay import Seen, advance_noted, training_name
from dpodl.models.scheme.checkpoints import checkpoint
from dpodl.models.scheme.deferred import Deferred
from dpodl.models.scheme.scheme import (
    Training,
    advance,
    initialize,
    prove,
    setup,
    ticket,
)
from dpodl.models.scheme.states import model_digest, parameters_of, tensors_digest

from ..mining_fixtures import BUILD, PARAMETERS, mnist, task

CHAIN = bytes(32)


class Notes(dict[bytes, Seen]):
    """Notes in a dictionary."""

    def recall(self, name: bytes) -> Seen | None:
        return self.get(name)

    def note(self, name: bytes, seen: Seen) -> None:
        assert name not in self
        self[name] = seen


@pytest.fixture(scope="module")
def instance():
    return setup(PARAMETERS, task(), mnist(), BUILD)


def begun(instance, word: int) -> tuple[Training, bytes]:
    training = initialize(instance, bytes([word]) * 32, None, None)
    return training, training_name(CHAIN, instance, training)


def run(notes, instance, word: int, looks: int) -> list[Training]:
    training, name = begun(instance, word)
    story = []
    for _ in range(looks):
        training = advance_noted(notes, name, instance, training)
        story.append(training)
    return story


@pytest.mark.parametrize("word", range(4))
def test_a_replay_gives_the_same_looks_without_training(instance, word, monkeypatch):
    notes = Notes()
    first = run(notes, instance, word, 7)
    plain, _ = begun(instance, word)
    for each in first:
        plain = advance(instance, plain)
        assert tensors_digest(plain.now.tensors) == tensors_digest(each.now.tensors)
        assert len(plain.checkpoints) == len(each.checkpoints)

    def none(*given, **settings):
        raise AssertionError("trained again")

    monkeypatch.setattr(replay, "advance", none)
    monkeypatch.setattr(replay, "run_segment", none)
    again = run(notes, instance, word, 7)
    for theirs, ours in zip(first, again, strict=True):
        assert isinstance(ours.now.tensors, Deferred)
        assert ours.now[1:] == theirs.now[1:]
        assert model_digest(ours.model) == model_digest(theirs.model)
        assert ticket(instance, ours) == ticket(instance, theirs)
        assert list(map(checkpoint, ours.checkpoints)) == list(
            map(checkpoint, theirs.checkpoints)
        )
        assert prove(ours, None, bytes(16))[0] == prove(theirs, None, bytes(16))[0]


@pytest.mark.parametrize("noted", [0, 1, 4, 6])
def test_a_replay_goes_on_where_the_notes_end(instance, noted):
    notes = Notes()
    whole = run(notes, instance, 1, 7)
    kept = Notes(list(notes.items())[:noted])
    again = run(kept, instance, 1, 7)
    assert len(kept) == 7
    for theirs, ours in zip(whole, again, strict=True):
        assert tensors_digest(ours.now.tensors) == tensors_digest(theirs.now.tensors)
        ours_parameters = dict(parameters_of(ours.now.tensors).items())
        assert ours_parameters.keys() == parameters_of(theirs.now.tensors).keys()
        for name, values in parameters_of(theirs.now.tensors).items():
            np.testing.assert_array_equal(ours_parameters[name], values)


def test_deferred_tensors_are_what_their_digests_say(instance):
    notes = Notes()
    run(notes, instance, 2, 5)
    last = run(notes, instance, 2, 5)[-1].now.tensors
    assert isinstance(last, Deferred)
    real = dict(last.items())
    assert tensors_digest(real) == last.digest
    assert tensors_digest(parameters_of(real)) == last.parameters_digest
    assert dict(last) == real
    assert len(last) == len(real)
    assert sorted(last) == sorted(real)
    name = min(real)
    assert name in last
    assert last.get("none") is None
    nudged = last | {name: real[name] + 1}
    assert type(nudged) is dict
    assert tensors_digest(nudged) != last.digest
    assert tensors_digest({name: real[name] + 1} | last) == last.digest
    assert tensors_digest(last | last) == last.digest


def test_a_name_is_of_everything_the_looks_depend_on(instance):
    training, name = begun(instance, 1)
    names = {name, begun(instance, 2)[1]}
    names.add(training_name(bytes([1]) * 32, instance, training))
    changed = training.now.tensors | {"lp/Dense_0/bias": np.ones(10, np.float32)}
    now = training.now
    for other in (now._replace(steps=5), now._replace(tensors=changed)):
        names.add(training_name(CHAIN, instance, training._replace(now=other)))
    samples = PARAMETERS._replace(eval_samples=50)
    names.add(training_name(CHAIN, instance._replace(parameters=samples), training))
    init = training.initialization._replace(r=bytes(32))
    names.add(training_name(CHAIN, instance, training._replace(initialization=init)))
    assert len(names) == 7
