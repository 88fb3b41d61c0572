"""The scheme's algorithms, one after the other, and every rule of Verify.

Proofs are of real trainings. Hashes are computed again by hand, and laws are held
against their exact values.
"""

import hashlib
import math
import struct
from functools import cache
from itertools import count, islice

import numpy as np
import pytest
from dpodl.models.learning.architecture import hash_to_architecture
from dpodl.models.learning.curves import training_set
from dpodl.models.scheme import scheme
from dpodl.models.scheme.checkpoints import (
    checkpoint,
    checkpoint_root,
)
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import REFERENCE
from dpodl.models.scheme.records import Header, Reference, Weight
from dpodl.models.scheme.scheme import (
    Instance,
    Solution,
    Training,
    advance,
    bound_bytes,
    dataset_digest,
    initialize,
    posthash,
    prehash,
    prove,
    reached,
    setup,
    solve,
    ticket,
    train,
)
from dpodl.models.scheme.states import (
    Model,
    first_look,
    model_digest,
    parameters_of,
    tensors_digest,
)
from dpodl.models.scheme.verification import Verification, verify

from ..mining_fixtures import (
    BUILD,
    EVAL_SAMPLES,
    HORIZON,
    LOOK,
    NO_LOTTERY,
    PARAMETERS,
    SEGMENT,
    MemoryArchive,
    counting,
    menu_of,
    mnist,
    task,
)

TOP = 1 << 256
HEADER = Header(bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32)
REFERENCE_TO = Reference("mtx", bytes([9]) * 32, "resume")


def instance_of(*rules: str, t_acc: float = 0.6, **overrides) -> Instance:
    settings = PARAMETERS._replace(**overrides)
    chosen = task(t_acc=t_acc)._replace(menu=menu_of(*rules))
    return setup(settings, chosen, mnist(), BUILD)


def good(instance: Instance, correct: int) -> bool:
    return reached(instance.parameters, instance.task, correct)


@cache
def solved(
    *rules: str, way=None, t_acc: float = 0.8, **overrides
) -> tuple[Instance, Solution, Model | None, MemoryArchive]:
    """A solution of at least two segments, its reference and where its evidence is."""
    instance = instance_of(*rules, t_acc=t_acc, **overrides)
    nonces, archive = counting(), MemoryArchive()
    reference = referenced = None
    if way is not None:
        first = solve(instance, HEADER, None, None, nonces=nonces)
        reference, referenced = REFERENCE_TO._replace(way=way), first.training.model
        instance = instance_of(*rules, t_acc=t_acc + 0.07, **overrides)
    while True:
        found = solve(instance, HEADER, reference, referenced, nonces=nonces)
        if found.proof.steps > SEGMENT and found.proof.steps % SEGMENT:
            archive.keep(found.proof, found.looks)
            return instance, found, referenced, archive


def checked(found, *, header: Header = HEADER, **changes) -> Verification:
    """Verify a solution, with parts of its proof replaced."""
    instance, solution, referenced, archive = found
    settings = {
        name: changes.pop(name) for name in ("challenges", "later") if name in changes
    }
    proof = solution.proof._replace(**changes)
    return verify(instance, header, proof, referenced, archive, here=BUILD, **settings)


# ------------------------------------------------------------------ Setup


def test_setup_gives_what_all_provers_work_with():
    found = setup(PARAMETERS, task(), mnist(), BUILD)
    assert found == Instance(PARAMETERS, task(), mnist(), BUILD)


def test_setup_lists_all_problems_at_once():
    bad = PARAMETERS._replace(
        t_1=-1,
        t_2=TOP,
        checkpoint_every=12,
        horizon_steps=7,
        eval_samples=401,
        tolerance=-1.0,
        weight=Weight("exponential", -1.0),
    )
    worse = task()._replace(t_acc=0.0, r_task=1.5, slots=0, dataset=bytes(32))
    with pytest.raises(ValueError, match=r"; ") as caught:
        setup(bad, worse, mnist(), BUILD)
    problems = str(caught.value).split("; ")
    fields = [problem.split(" must be ")[0] for problem in problems]
    assert fields == [
        "t_1",
        "t_2",
        "checkpoint_every",
        "horizon_steps",
        "eval_samples",
        "t_acc",
        "r_task",
        "slots",
        "tolerance",
        "kappa",
        "dataset",
    ]
    assert f"t_2 must be from 0 to 2^256 − 1, got {TOP}" in problems
    assert "eval_samples must be from 1 to 400, got 401" in problems
    assert "horizon_steps must be a positive multiple of check_every, 5, got 7" in (
        problems
    )


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("t_1", TOP),
        ("t_2", -1),
        ("check_every", 0),
        ("check_every", -5),
        ("checkpoint_every", 0),
        ("horizon_steps", 0),
        ("eval_samples", 0),
        ("tolerance", -1e-9),
        ("tolerance", math.nan),
        ("weight", Weight("exponential", math.nan)),
        ("weight", Weight("exponential", 1e6)),
    ],
)
def test_setup_refuses_parameters_out_of_range(name, bad):
    field = "kappa" if name == "weight" else name
    with pytest.raises(ValueError, match=rf"(^|; ){field} must be "):
        setup(PARAMETERS._replace(**{name: bad}), task(), mnist(), BUILD)


def test_setup_refuses_batches_larger_than_the_training_set():
    data = training_set(np.zeros((20, 28, 28), np.uint8), np.arange(20, dtype=np.uint8))
    small = task()._replace(dataset=dataset_digest(data))
    with pytest.raises(ValueError, match=r"^batch_sizes must be at most 20, got 32$"):
        setup(PARAMETERS._replace(eval_samples=20), small, data, BUILD)


def test_the_data_set_s_digest_covers_pixels_labels_and_shapes():
    images = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4) * 10
    labels = np.array([0, 9], np.uint8)
    digests = {dataset_digest(training_set(images, labels))}
    for place in np.ndindex(images.shape):
        changed = images.copy()
        changed[place] ^= 1
        digests.add(dataset_digest(training_set(changed, labels)))
    digests.add(dataset_digest(training_set(images, np.array([1, 9], np.uint8))))
    digests.add(dataset_digest(training_set(images[::-1].copy(), labels[::-1].copy())))
    digests.add(dataset_digest(training_set(images.reshape(2, 4, 3), labels)))
    assert len(digests) == 1 + images.size + 3
    # Every pixel value survives the way to [0, 1] and back.
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    message = b"dpodl/dataset/1\0" + struct.pack(">3I", 1, 16, 16)
    message += bytes(range(256)) + b"\7"
    found = dataset_digest(training_set(ramp, np.array([7], np.uint8)))
    assert found == hashlib.sha256(message).digest()


# ------------------------------------------------------------------ PreHash


@pytest.mark.parametrize("reference", [None, REFERENCE_TO])
def test_h_1_is_the_hash_that_the_scheme_says(reference):
    passed = prehash(NO_LOTTERY, HEADER.prev_block, reference, nonces=counting())
    assert (passed.nonce, passed.tries) == (bytes(16), 1)
    named = b"\0" if reference is None else b"\1" + encode(REFERENCE, reference)
    message = b"dpodl/prehash/1\0" + HEADER.prev_block + named + bytes(16)
    assert passed.h_1 == hashlib.sha256(message).digest()


def test_prehash_takes_on_average_one_over_p_1_tries():
    p_1, runs = 1 / 16, 1500
    nonces = counting()
    t_1 = TOP // 16 - 1  # (T_1 + 1)/2^256 = p_1
    found = [prehash(t_1, bytes(32), None, nonces=nonces) for _ in range(runs)]
    assert all(int.from_bytes(each.h_1, "big") <= t_1 for each in found)
    tries = [each.tries for each in found]
    assert sum(tries) == int.from_bytes(next(nonces), "big")  # none is left out
    standard_error = math.sqrt((1 - p_1) / p_1**2 / runs)
    assert np.mean(tries) == pytest.approx(1 / p_1, abs=3 * standard_error)


def test_t_1_is_inclusive():
    h_1 = int.from_bytes(
        prehash(NO_LOTTERY, bytes(32), None, nonces=counting()).h_1, "big"
    )
    exactly = prehash(h_1, bytes(32), None, nonces=counting())
    assert exactly.tries == 1
    below = prehash(h_1 - 1, bytes(32), None, nonces=counting())
    assert below.tries > 1
    assert int.from_bytes(below.h_1, "big") < h_1


def test_nonces_that_end_are_told():
    with pytest.raises(ValueError, match=r"^nonces ended before one of them passed"):
        prehash(0, bytes(32), None, nonces=islice(counting(), 10))


def test_h_1_depends_on_all_that_it_covers():
    references = [
        None,
        REFERENCE_TO,
        REFERENCE_TO._replace(way="transplant"),
        REFERENCE_TO._replace(kind="block"),
        REFERENCE_TO._replace(digest=bytes(32)),
    ]
    found = [
        prehash(NO_LOTTERY, block, reference, nonces=nonces, bound=bound).h_1
        for block in (bytes(32), bytes([1]) * 32)
        for reference in references
        for bound in (b"", bytes(64))
        for nonces in (counting(), islice(counting(), 1, None))
    ]
    assert len(set(found)) == len(found) == 2 * 5 * 2 * 2


def test_binding_covers_the_miner_and_the_transactions_or_nothing():
    bound = PARAMETERS._replace(binding="header")
    unbound = PARAMETERS._replace(binding="none")
    assert bound_bytes(bound, HEADER) == HEADER.miner + HEADER.tx_root
    assert bound_bytes(unbound, HEADER) == b""


# ------------------------------------------------------------------ initM


BOTH = ("softmax", "mlp-8")


@cache
def wide() -> Instance:
    """A menu where a fresh model differs from a referenced one in everything."""
    return instance_of()._replace(
        task=task()._replace(menu=menu_of(architectures=BOTH))
    )


def h_1_of(architecture: str, rule: str) -> bytes:
    for i in count():
        h_1 = hashlib.sha256(str(i).encode()).digest()
        hpp = hash_to_architecture(h_1, wide().task.menu).hpp
        if (hpp.architecture, hpp.optimizer) == (architecture, rule):
            return h_1
    raise AssertionError


def test_a_fresh_training_is_htoa_of_h_1():
    h_1 = h_1_of("softmax", "adam")
    found = initialize(wide(), h_1, None, None)
    assert found.initialization == hash_to_architecture(h_1, wide().task.menu)
    assert (found.now.steps, found.checkpoints) == (0, ())
    expected = first_look(found.initialization, mnist(), None)
    assert tensors_digest(found.now.tensors) == tensors_digest(expected.tensors)


@pytest.mark.parametrize("architecture", BOTH)
def test_what_a_referenced_model_gives(architecture):
    """Resume: hyper-parameters and weights; transplant: shape and weights."""
    old = initialize(wide(), h_1_of("softmax", "momentum"), None, None)
    old = advance(wide(), old)
    h_1 = h_1_of(architecture, "adam")
    fresh = hash_to_architecture(h_1, wide().task.menu)
    assert fresh.hpp.optimizer != old.model.hpp.optimizer
    resumed = initialize(wide(), h_1, old.model, "resume")
    transplanted = initialize(wide(), h_1, old.model, "transplant")
    assert resumed.model.hpp == old.model.hpp
    assert transplanted.model.hpp == fresh.hpp._replace(architecture="softmax")
    lp = tensors_digest(old.model.parameters)
    for found in (resumed, transplanted):
        assert tensors_digest(found.model.parameters) == lp
        assert found.initialization.r == fresh.r != old.initialization.r
        assert (found.now.steps, found.checkpoints) == (0, ())
        buffers = found.now.tensors.keys() - found.model.parameters.keys()
        assert buffers
        assert not any(found.now.tensors[name].any() for name in buffers)


# ------------------------------------------------------------------ Train


def looks_of(instance: Instance, training: Training, n: int) -> list[Training]:
    found = []
    for _ in range(n):
        training = advance(instance, training)
        found.append(training)
    return found


def begin(instance: Instance, nonce: int = 0) -> Training:
    nonces = islice(counting(), nonce, None)
    passed = prehash(NO_LOTTERY, HEADER.prev_block, None, nonces=nonces)
    return initialize(instance, passed.h_1, None, None)


def test_training_stops_at_the_first_look_that_is_good_enough():
    instance = instance_of(t_acc=0.7)
    lengths = set()
    for nonce in range(8):
        start = begin(instance, nonce)
        looks = looks_of(instance, start, HORIZON // LOOK)
        enough = [each for each in looks if each.now.correct >= 0.7 * EVAL_SAMPLES]
        expected = enough[0] if enough else looks[-1]
        found = train(instance, start)
        assert found.now.steps == expected.now.steps
        assert checkpoint(found.now) == checkpoint(expected.now)
        assert len(found.checkpoints) == found.now.steps // SEGMENT
        lengths.add(found.now.steps)
    assert len(lengths) > 2


def test_a_training_that_is_good_enough_goes_on_to_the_next_such_look():
    instance = instance_of("sgd", t_acc=0.7)
    found = train(instance, begin(instance))
    for _ in range(3):
        after = train(instance, found)
        skipped = looks_of(instance, found, (after.now.steps - found.now.steps) // LOOK)
        assert all(not good(instance, each.now.correct) for each in skipped[:-1])
        assert good(instance, after.now.correct)
        found = after


def test_training_ends_at_the_horizon_whatever_the_accuracy():
    instance = instance_of(t_acc=1.0, horizon_steps=4 * LOOK)
    found = train(instance, begin(instance))
    assert found.now.steps == 4 * LOOK
    assert not good(instance, found.now.correct)
    assert train(instance, found) is found


def test_checkpoints_are_the_looks_at_whole_segments():
    instance = instance_of()
    looks = looks_of(instance, begin(instance), 7)
    assert [len(each.checkpoints) for each in looks] == [0, 1, 1, 2, 2, 3, 3]
    kept = looks[-1].checkpoints
    assert [each.steps for each in kept] == [10, 20, 30]
    at_segments = [each.now for each in looks[1::2]]
    assert all(a is b for a, b in zip(kept, at_segments, strict=True))


def test_t_acc_is_inclusive():
    instance = instance_of(t_acc=0.29, eval_samples=100)
    # The product is not 29 in binary; the quotient is 0.29.
    assert 0.29 * 100 < 29
    assert 29 / 100 == 0.29
    assert good(instance, 29)
    assert not good(instance, 28)
    for correct in range(1, EVAL_SAMPLES + 1):
        exactly = instance_of(t_acc=correct / EVAL_SAMPLES)
        assert good(exactly, correct)
        assert not good(exactly, correct - 1)


# ------------------------------------------------------------------ PostHash


def test_h_2_is_the_hash_that_the_scheme_says():
    model = bytes(range(32))
    h_2, b = posthash(NO_LOTTERY, model, 7, 1000)
    message = b"dpodl/posthash/1\0" + model + struct.pack(">IQ", 7, 1000)
    assert h_2 == hashlib.sha256(message).digest()
    assert b
    others = [
        posthash(NO_LOTTERY, bytes(32), 7, 1000)[0],
        posthash(NO_LOTTERY, model, 8, 1000)[0],
        posthash(NO_LOTTERY, model, 7, 1001)[0],
    ]
    assert len({h_2, *others}) == 4


def test_t_2_is_inclusive():
    h_2, _ = posthash(0, bytes(32), 7, 10)
    number = int.from_bytes(h_2, "big")
    assert posthash(number, bytes(32), 7, 10) == (h_2, True)
    assert posthash(number - 1, bytes(32), 7, 10) == (h_2, False)


def test_the_largest_t_2_is_no_lottery_and_zero_a_hopeless_one():
    for steps in range(200):
        assert posthash(NO_LOTTERY, bytes(32), 7, steps)[1]
        assert not posthash(0, bytes(32), 7, steps)[1]


def test_post_hashes_pass_with_probability_p_2():
    p_2, looks = 1 / 8, 4000
    passed = sum(posthash(TOP // 8 - 1, bytes(32), 7, s)[1] for s in range(looks))
    standard_error = math.sqrt(p_2 * (1 - p_2) / looks)
    assert passed / looks == pytest.approx(p_2, abs=3 * standard_error)


def test_a_ticket_is_the_post_hash_of_the_model_not_of_its_buffers():
    instance = instance_of("momentum")
    found = advance(instance, begin(instance))
    now, digest = found.now, model_digest(found.model)
    expected = posthash(NO_LOTTERY, digest, now.correct, now.steps)
    assert ticket(instance, found) == expected
    cleared = {
        name: values if name.startswith("lp/") else np.zeros_like(values)
        for name, values in now.tensors.items()
    }
    assert cleared.keys() != parameters_of(cleared).keys()
    without = found._replace(now=now._replace(tensors=cleared))
    assert ticket(instance, without) == expected


# ------------------------------------------------------------------ Solve


def failing(monkeypatch, times: int) -> None:
    """The post-hash fails so many times, then passes."""
    left = iter([False] * times + [True])
    monkeypatch.setattr(
        scheme, "posthash", lambda *args: (posthash(*args)[0], next(left))
    )


@pytest.mark.parametrize("times", [0, 1, 3])
def test_continue_trains_on_after_a_failed_post_hash(monkeypatch, times):
    instance = instance_of("sgd", t_acc=0.7)
    failing(monkeypatch, times)
    found = solve(instance, HEADER, None, None, nonces=counting())
    bound = bound_bytes(instance.parameters, HEADER)
    passed = prehash(
        PARAMETERS.t_1, HEADER.prev_block, None, nonces=counting(), bound=bound
    )
    training = initialize(instance, passed.h_1, None, None)
    for _ in range(times + 1):
        training = train(instance, training)
    assert training.now.steps < HORIZON
    assert (found.proof.nonce, found.tries) == (passed.nonce, passed.tries)
    assert found.trained_steps == found.proof.steps == training.now.steps
    assert found.proof.model == model_digest(training.model)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_restart_samples_another_nonce_after_a_failed_post_hash(monkeypatch, times):
    instance = instance_of("sgd", t_acc=0.6)
    failing(monkeypatch, times)
    found = solve(instance, HEADER, None, None, nonces=counting(), retry="restart")
    bound, nonces = bound_bytes(instance.parameters, HEADER), counting()
    tries = steps = attempts = 0
    while True:
        passed = prehash(
            PARAMETERS.t_1, HEADER.prev_block, None, nonces=nonces, bound=bound
        )
        training = train(instance, initialize(instance, passed.h_1, None, None))
        tries, steps = tries + passed.tries, steps + training.now.steps
        # A slow learner that ends at the horizon had no ticket.
        attempts += good(instance, training.now.correct)
        if attempts > times:
            break
    assert (found.tries, found.trained_steps) == (tries, steps)
    assert found.proof.nonce == passed.nonce
    assert found.proof.steps == training.now.steps
    assert (steps > training.now.steps) == (times > 0)


@pytest.mark.parametrize("retry", ["continue", "restart"])
def test_at_the_horizon_both_policies_restart(monkeypatch, retry):
    # One look a proof: every failed ticket is at the horizon.
    instance = instance_of(t_acc=0.01, horizon_steps=LOOK)
    failing(monkeypatch, 4)
    found = solve(instance, HEADER, None, None, nonces=counting(), retry=retry)
    assert found.trained_steps == 5 * LOOK
    assert found.proof.steps == LOOK
    assert found.tries >= 5


def test_solve_s_proof_is_about_its_last_look():
    instance, found, _, _ = solved("adam")
    training, proof = found.training, found.proof
    assert good(instance, proof.correct)
    assert (proof.correct, proof.steps) == (training.now.correct, training.now.steps)
    assert proof.model == model_digest(training.model)
    assert found.h_2 == ticket(instance, training)[0]
    segments = range(SEGMENT, proof.steps, SEGMENT)
    assert [look.steps for look in found.looks] == [*segments, proof.steps]
    assert proof.cp_root == checkpoint_root(tuple(map(checkpoint, found.looks)))


def test_a_proof_that_ends_with_a_segment_has_no_leaf_twice():
    instance = instance_of()
    for looks, steps in ((3, [10, 15]), (4, [10, 20])):
        training = looks_of(instance, begin(instance), looks)[-1]
        assert [look.steps for look in prove(training, None, bytes(16))[1]] == steps
