"""Verify: what is re-executed, what is refused and why, how far a tolerance goes."""

import math
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
from dpodl.models.scheme import scheme
from dpodl.models.scheme.checkpoints import (
    Rejected,
    challenge_seed,
    checkpoint,
    draw_challenges,
    open_checkpoint,
)
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import CHECKPOINT, PROOF
from dpodl.models.scheme.records import Proof, Weight
from dpodl.models.scheme.scheme import (
    Solution,
    advance,
    bound_bytes,
    posthash,
    prehash,
    prove,
    setup,
    solve,
    weight,
)
from dpodl.models.scheme.states import (
    Look,
    Model,
    model_digest,
)

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
    mnist,
    task,
)
from .test_scheme import HEADER, TOP, begin, checked, good, instance_of, solved

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
