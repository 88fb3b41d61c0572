"""The scheme's algorithms, one after the other, and every rule of Verify.

Proofs are of real trainings. Hashes are computed again by hand, and laws are held
against their exact values.
"""

import hashlib
import math
import struct
from collections.abc import Callable
from functools import cache
from itertools import count, islice

import numpy as np
import pytest
from dpodl.models.learning.architecture import hash_to_architecture
from dpodl.models.learning.curves import training_set
from dpodl.models.scheme import scheme
from dpodl.models.scheme.checkpoints import (
    Rejected,
    challenge_seed,
    checkpoint,
    checkpoint_root,
    draw_challenges,
    open_checkpoint,
)
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import CHECKPOINT, PROOF, REFERENCE
from dpodl.models.scheme.records import Header, Proof, Reference, Weight
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
    weight,
)
from dpodl.models.scheme.states import (
    Look,
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
    RULES,
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


# ------------------------------------------------------------------ Verify


@pytest.mark.parametrize("way", [None, "resume", "transplant"])
@pytest.mark.parametrize("rule", RULES)
def test_honest_proofs_pass(rule, way):
    found = solved(rule, way=way)
    instance, solution, referenced, _ = found
    result = checked(found, challenges=100)
    assert result.rerun == tuple(range(result.segments))
    assert result.rerun_steps == solution.proof.steps
    assert result.accuracy == solution.proof.correct / EVAL_SAMPLES
    assert good(instance, solution.proof.correct)
    assert model_digest(result.model) == solution.proof.model
    assert result.model.parameters.keys() == {
        "lp/Dense_0/bias",
        "lp/Dense_0/kernel",
    }
    if way == "resume":
        assert referenced is not None
        assert result.model.hpp == referenced.hpp


def test_challenges_are_drawn_from_the_block_and_the_last_segment_is_always_run():
    found = solved()
    proof, reruns = found[1].proof, set()
    segments = math.ceil(proof.steps / SEGMENT)
    for later in (bytes([i]) * 32 for i in range(10)):
        result = checked(found, challenges=1, later=later)
        drawn = draw_challenges(challenge_seed(HEADER, proof, later), segments, 1)
        assert result.rerun == tuple(sorted({*drawn, segments - 1}))
        reruns.add(result.rerun)
    assert len(reruns) > 1
    assert checked(found, challenges=0).rerun == (segments - 1,)
    by_parameters = checked(found, challenges=PARAMETERS.challenges)
    assert checked(found).rerun == by_parameters.rerun


@pytest.mark.parametrize("q", [0, 1, 100])
def test_the_price_of_verification_is_counted(q):
    """By hand: leaves with their paths, states where segments begin, the proof."""
    found = solved()
    solution, archive = found[1], found[3]
    proof, leaves = solution.proof, tuple(map(checkpoint, solution.looks))
    result = checked(found, challenges=q)
    state = sum(values.nbytes for values in solution.looks[0].tensors.values())
    begins = {i - 1 for i in result.rerun if i > 0}
    opened = begins | set(result.rerun)
    expected = len(encode(PROOF, proof)) + state * len(begins)
    for index in opened:
        expected += len(encode(CHECKPOINT, leaves[index]))
        expected += 32 * len(archive.opening(proof.cp_root, index).path)
    assert result.proof_bytes == expected
    last = proof.steps % SEGMENT
    assert result.rerun_steps == SEGMENT * (len(result.rerun) - 1) + last
    assert last == LOOK


def test_a_short_proof_is_run_from_init_m():
    instance = instance_of(t_acc=0.01)
    found = solve(instance, HEADER, None, None, nonces=counting())
    assert found.proof.steps == LOOK
    archive = MemoryArchive()
    archive.keep(found.proof, found.looks)
    archive.states.clear()  # nothing but the one leaf is needed
    result = checked((instance, found, None, archive))
    assert (result.rerun, result.rerun_steps) == ((0,), LOOK)
    leaf = len(encode(CHECKPOINT, checkpoint(found.looks[0])))
    assert result.proof_bytes == len(encode(PROOF, found.proof)) + leaf


def refused(rule: str, reason: str, judge: Callable) -> None:
    with pytest.raises(Rejected) as caught:
        judge()
    assert caught.value.rule == rule
    assert reason in caught.value.reason
    assert str(caught.value) == f"{rule}: {caught.value.reason}"


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (0, "must be from 1 to 200, got 0"),
        (HORIZON + LOOK, "must be from 1 to 200, got 205"),
        (LOOK + 1, "a proof ends at a look, every 5 steps, got 6"),
    ],
)
def test_impossible_step_counts_are_refused(steps, reason):
    refused("steps", reason, lambda: checked(solved(), steps=steps))


def test_more_correct_examples_than_there_are_are_refused():
    reason = "at most 300 can be correct, got 301"
    refused("accuracy", reason, lambda: checked(solved(), correct=301))


def test_an_h_1_above_t_1_is_refused():
    found = solved()
    bound = bound_bytes(PARAMETERS, HEADER)
    nonces, missed = counting(), 0
    while missed < 5:
        nonce = next(nonces)
        passed = prehash(
            NO_LOTTERY, HEADER.prev_block, None, nonces=iter([nonce]), bound=bound
        )
        if int.from_bytes(passed.h_1, "big") > PARAMETERS.t_1:
            missed += 1
            refused(
                "pre-hash", "h_1 is above T_1", lambda n=nonce: checked(found, nonce=n)
            )


@pytest.mark.parametrize("field", ["miner", "tx_root"])
def test_an_unbound_proof_can_be_relabelled_and_a_bound_one_cannot(field):
    """Gap 1 (docs/science/attacks.md): under ``none`` one proof gives many blocks."""
    bound, unbound = solved(t_1=1 << 250), solved(t_1=1 << 250, binding="none")
    for i in range(5):
        stolen = HEADER._replace(**{field: bytes([100 + i]) * 32})
        honest = checked(unbound, header=stolen)
        assert model_digest(honest.model) == unbound[1].proof.model
        refused(
            "pre-hash", "h_1 is above T_1", lambda h=stolen: checked(bound, header=h)
        )


def test_every_proof_is_bound_to_the_block_it_extends():
    found = solved(t_1=1 << 250, binding="none")
    elsewhere = HEADER._replace(prev_block=bytes([77]) * 32)
    refused("pre-hash", "above T_1", lambda: checked(found, header=elsewhere))


def test_a_lucky_relabelling_has_another_init_m():
    """Where p_1 is 1 nothing is refused for h_1, but the training is not its own."""
    found = solved(t_1=NO_LOTTERY)
    stolen = HEADER._replace(miner=bytes(32))
    refused(
        "training",
        "segment 0 does not end in the state that was committed",
        lambda: checked(found, header=stolen, challenges=100),
    )


def test_an_h_2_above_t_2_is_refused():
    _, solution, referenced, archive = solved()
    number = int.from_bytes(solution.h_2, "big")
    for t_2, accepted in ((number, True), (number - 1, False)):
        stricter = instance_of(t_acc=0.8, t_2=t_2)
        found = (stricter, solution, referenced, archive)
        if accepted:
            assert checked(found).segments > 1
        else:
            refused("post-hash", "h_2 is above T_2", lambda f=found: checked(f))


def test_a_referenced_model_that_does_not_fit_is_refused():
    instance, solution, referenced, archive = solved("sgd", way="resume")
    assert referenced is not None
    shapeless = Model(
        referenced.hpp._replace(architecture="mlp-8"), referenced.parameters
    )
    found = (instance, solution, shapeless, archive)
    reason = "the model does not fit: tensor 'lp/Dense_1/bias' is missing"
    refused("reference", reason, lambda: checked(found))


@pytest.mark.parametrize("changed", ["hpp", "parameters"])
def test_another_referenced_model_gives_another_training(changed):
    instance, solution, referenced, archive = solved("sgd", way="resume")
    assert referenced is not None
    others = {
        "hpp": referenced.hpp._replace(learning_rate=0.25),
        "parameters": {
            k: v + np.float32(1e-3) for k, v in referenced.parameters.items()
        },
    }
    model = referenced._replace(**{changed: others[changed]})
    found = (instance, solution, model, archive)
    refused("training", "segment 0 does not", lambda: checked(found, challenges=100))


def altered(change: Callable[[list[Look]], None], **claims):
    """A proof with other leaves, which commits to them and claims their end."""
    instance, solution, referenced, _ = solved()
    looks = list(solution.looks)
    change(looks)
    archive = MemoryArchive()
    training = solution.training._replace(now=looks[-1], checkpoints=tuple(looks[:-1]))
    proof, leaves = prove(training, None, solution.proof.nonce)
    archive.keep(proof, leaves)
    solution = solution._replace(proof=proof._replace(**claims), looks=leaves)
    return instance, solution, referenced, archive


def moved(look: Look, size: float = 1e-3) -> Look:
    name = "lp/Dense_0/bias"
    tensors = look.tensors | {name: look.tensors[name] + np.float32(size)}
    return look._replace(tensors=tensors)


def test_a_forged_last_segment_is_always_found():
    def forge(looks: list[Look]) -> None:
        looks[-1] = moved(looks[-1])

    found = altered(forge)
    last = len(found[1].looks) - 1
    reason = f"segment {last} does not end in the state that was committed"
    refused("training", reason, lambda: checked(found, challenges=0))


def test_an_inflated_accuracy_is_always_found():
    """In the claim alone, and in the leaf too."""
    _, solution, _, _ = solved()
    right, steps = solution.proof.correct, solution.proof.steps
    refused(
        "accuracy",
        f"{right + 1} correct after {steps} steps are claimed, the last segment "
        f"gives {right} after {steps}",
        lambda: checked(solved(), correct=right + 1, challenges=0),
    )

    def inflate(looks: list[Look]) -> None:
        looks[-1] = looks[-1]._replace(correct=right + 1)

    reason = "does not end in the state that was committed"
    refused("training", reason, lambda: checked(altered(inflate), challenges=0))


def test_another_model_than_the_last_state_s_is_refused():
    refused(
        "model",
        "it is not the one the last segment ends with",
        lambda: checked(solved(), model=bytes(32)),
    )


def test_a_skipped_step_count_is_refused():
    """Leaves that tell other steps than their place does."""

    def skip(looks: list[Look]) -> None:
        looks[-2] = looks[-2]._replace(steps=looks[-2].steps - LOOK)

    found = altered(skip)
    last = len(found[1].looks) - 1
    reason = f"segment {last} begins at a wrong step, {last * SEGMENT - LOOK}"
    refused("checkpoints", reason, lambda: checked(found, challenges=0))


def test_claiming_more_steps_than_were_trained_is_refused():
    """The tree then has another size, and the paths another length."""
    found = solved()
    more = found[1].proof.steps + 2 * SEGMENT
    with pytest.raises(Rejected):
        checked(found, steps=more)
    with pytest.raises(Rejected):
        checked(found, steps=found[1].proof.steps - LOOK, challenges=0)


def test_states_of_another_shape_are_refused():
    def reshape(looks: list[Look]) -> None:
        tensors = {"lp/Dense_0/kernel": np.zeros((2, 2), np.float32)}
        looks[-2] = looks[-2]._replace(tensors=tensors)

    found = altered(reshape)
    last = len(found[1].looks) - 1
    reason = f"segment {last}: tensor "
    refused("checkpoints", reason, lambda: checked(found, challenges=0))


def test_missing_and_spoilt_evidence_is_no_accusation():
    instance, solution, referenced, archive = solved()
    leaves = archive.leaves[solution.proof.cp_root]
    root, last = solution.proof.cp_root, len(leaves) - 1
    empty = MemoryArchive()
    missing = f"the opening of checkpoint {last - 1} is not available"
    found = (instance, solution, referenced, empty)
    refused("evidence", missing, lambda: checked(found, challenges=0))
    empty.leaves[root] = leaves
    missing = f"checkpoint {last - 1} is not available"
    refused("evidence", missing, lambda: checked(found, challenges=0))
    state = leaves[last - 1].state
    empty.states[state] = moved(Look(archive.states[state], 0, 0)).tensors
    spoilt = f"checkpoint {last - 1} cannot be used: it has another digest"
    refused("evidence", spoilt, lambda: checked(found, challenges=0))
    empty.states[state] = archive.states[state]
    assert checked(found, challenges=0).rerun == (last,)


def test_cheap_rules_are_checked_before_anything_is_run(monkeypatch):
    def never(*_, **__):
        raise AssertionError("was executed")

    found = solved()
    strict = (instance_of(t_acc=0.8, t_2=0), *found[1:])
    monkeypatch.setattr(scheme, "run_segment", never)
    monkeypatch.setattr(scheme, "first_look", never)
    refused("steps", "", lambda: checked(found, steps=1))
    refused("accuracy", "", lambda: checked(found, correct=301))
    refused("post-hash", "", lambda: checked(strict))


# ------------------------------------------------------------------ tolerance


TOLERANCE = 1e-5


def ground(solution: Solution, t_2: int) -> tuple[Proof, tuple[Look, ...], int]:
    """Nudge the last state until its post-hash passes: one hash a ticket."""
    training, now = solution.training, solution.training.now
    name = "lp/Dense_0/bias"
    bias = now.tensors[name]
    for tries in count(1):
        digits = np.array([tries >> i & 1 for i in range(bias.size)], np.float32)
        nudge = bias + digits * np.float32(TOLERANCE / 2)
        nudged = now._replace(tensors=now.tensors | {name: nudge})
        candidate = training._replace(now=nudged)
        model = model_digest(candidate.model)
        if posthash(t_2, model, now.correct, now.steps)[1]:
            return *prove(candidate, None, solution.proof.nonce), tries
    raise AssertionError


def test_a_tolerance_opens_post_hash_grinding(monkeypatch):
    """Gap 2 (docs/science/attacks.md): h_2 without another step of training."""
    t_2 = TOP // 64 - 1
    honest = solved()[1]
    assert not posthash(
        t_2, honest.proof.model, honest.proof.correct, honest.proof.steps
    )[1]
    with monkeypatch.context() as patch:
        patch.setattr(scheme, "run_segment", None)  # nothing is trained
        proof, looks, tries = ground(honest, t_2)
    assert 1 < tries < 1024
    archive = MemoryArchive()
    archive.keep(proof, looks)
    solution = honest._replace(proof=proof)
    tolerant = instance_of(t_acc=0.8, t_2=t_2, tolerance=TOLERANCE)
    result = checked((tolerant, solution, None, archive), challenges=100)
    assert model_digest(result.model) == proof.model != honest.proof.model
    exact = instance_of(t_acc=0.8, t_2=t_2)
    last = result.segments - 1
    reason = f"segment {last} does not end in the state that was committed"
    found = (exact, solution, None, archive)
    refused("training", reason, lambda: checked(found, challenges=0))


def test_grinding_takes_on_average_one_over_p_2_hashes():
    p_2, runs = 1 / 8, 60
    instance = instance_of("sgd")
    tries = []
    for nonce in range(runs):
        training = advance(instance, begin(instance, nonce))
        proof, looks = prove(training, None, bytes(16))
        solution = Solution(proof, bytes(32), training, looks, 1, LOOK)
        tries.append(ground(solution, TOP // 8 - 1)[2])
    standard_error = math.sqrt((1 - p_2) / p_2**2 / runs)
    assert np.mean(tries) == pytest.approx(1 / p_2, abs=3 * standard_error)


@pytest.mark.parametrize(("size", "accepted"), [(0.9, True), (1.1, False)])
def test_the_tolerance_is_the_largest_difference_that_passes(size, accepted):
    def nudge(looks: list[Look]) -> None:
        looks[-1] = moved(looks[-1], size * 1e-3)

    _, solution, referenced, archive = altered(nudge)
    tolerant = instance_of(t_acc=0.8, tolerance=1e-3)
    found = (tolerant, solution, referenced, archive)
    if accepted:
        assert checked(found, challenges=100).segments == len(solution.looks)
    else:
        refused("training", "", lambda: checked(found, challenges=0))


@pytest.mark.parametrize("tolerance", [1e-3, 1e6])
def test_a_tolerance_is_for_numbers_not_for_claims(tolerance):
    """Not for another count, another shape, or what is no number."""
    tolerant = instance_of(t_acc=0.8, tolerance=tolerance)
    name = "lp/Dense_0/bias"

    def count_more(looks: list[Look]) -> None:
        looks[-1] = looks[-1]._replace(correct=looks[-1].correct + 1)

    def no_number(looks: list[Look]) -> None:
        broken = np.full_like(looks[-1].tensors[name], np.nan)
        looks[-1] = looks[-1]._replace(tensors=looks[-1].tensors | {name: broken})

    def extra(looks: list[Look]) -> None:
        more = {"lp/more": np.zeros(1, np.float32)}
        looks[-1] = looks[-1]._replace(tensors=looks[-1].tensors | more)

    def one_for_all(looks: list[Look]) -> None:
        one = looks[-1].tensors[name][:1].copy()
        looks[-1] = looks[-1]._replace(tensors=looks[-1].tensors | {name: one})

    for change in (count_more, no_number, extra, one_for_all):
        found = (tolerant, *altered(change)[1:])
        refused("training", "", lambda f=found: checked(f, challenges=0))


# ------------------------------------------------------------------ Weight


def test_the_indicator_is_one_where_t_acc_is_reached():
    family = Weight("indicator")
    assert [weight(a, 0.8, family) for a in (0.0, 0.79, 0.8, 1.0)] == [0, 0, 1, 1]


def test_the_linear_ramp_ends_at_t_acc():
    family = Weight("linear")
    found = [weight(a, 0.8, family) for a in (0.0, 0.2, 0.4, 0.8, 1.0)]
    assert found == pytest.approx([0, 0.25, 0.5, 1, 1])


@pytest.mark.parametrize("kappa", [0.0, 1.0, 20.0])
def test_the_exponential_doubles_every_one_over_kappa(kappa):
    family = Weight("exponential", kappa)
    assert weight(0.8, 0.8, family) == 1
    assert weight(0.9, 0.8, family) == pytest.approx(2 ** (kappa * 0.1))
    assert weight(0.3, 0.8, family) == pytest.approx(2 ** (-kappa * 0.5))


def test_no_weight_that_setup_accepts_overflows():
    steepest = Weight("exponential", 512.0)
    setup(PARAMETERS._replace(weight=steepest), task(), mnist(), BUILD)
    assert math.isfinite(1e6 * weight(1.0, 0.0, steepest))


def test_openings_are_those_of_the_solution():
    _, solution, _, archive = solved()
    leaves = tuple(map(checkpoint, solution.looks))
    for index in range(len(leaves)):
        opening = archive.opening(solution.proof.cp_root, index)
        assert opening == open_checkpoint(leaves, index)
