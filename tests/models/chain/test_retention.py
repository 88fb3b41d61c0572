"""Kept checkpoints on a real small chain: who keeps answers, who retrains may too."""

from typing import Any

import numpy as np
import pytest
from dpodl.models.chain.retention import (
    ANSWER,
    STORAGE_RULE,
    Answer,
    Retention,
    StorageRule,
    answer,
    challenges_of,
    check_answer,
    kept_leaves,
    missing_segments,
    online,
    response,
    rule_problem,
    unpaid,
)
from dpodl.models.scheme.checkpoints import Rejected, segment_count
from dpodl.models.scheme.encoding import EncodingError, decode, encode
from dpodl.models.scheme.scheme import initialize, run_to
from dpodl.models.scheme.verification import verify_hashes
from hypothesis import given, settings, strategies as st

from ..mining_fixtures import SEGMENT, Mine

RULE = StorageRule(challenges=2, window=3, deadline=2)
SUCCESSOR = RULE._replace(kind="successor")
BLOCKS = 6


@pytest.fixture(scope="module")
def mined() -> tuple[Mine, list[bytes]]:
    """Six blocks of four to six leaves each, with what they are trained from."""
    mine = Mine(step_rule=False)
    names = [mine.root]
    for steps in (45, 60, 40, 55, 40, 50)[:BLOCKS]:
        names.append(mine.extend(names[-1], steps=steps))
    return mine, names[1:]


def asked(mined, rule: StorageRule = RULE):
    mine, names = mined
    return [each for name in names for each in challenges_of(mine.ledger, name, rule)]


def honest(mined, challenge, rule: StorageRule = RULE) -> Answer:
    mine, _ = mined
    proof = mine.ledger.published[challenge.about].record.proof
    leaves = segment_count(mine.ledger.genesis.parameters, proof.steps)
    places = [challenge.leaf]
    if rule.kind == "successor" and challenge.leaf + 1 < leaves:
        places.append(challenge.leaf + 1)
    openings = [mine.archive.opening(proof.cp_root, place) for place in places]
    tensors = [mine.archive.tensors(each.checkpoint.state) for each in openings]
    return answer(challenge, openings[0], rule.kind, *tensors)


def retrained(mined, challenge, kept: tuple[int, ...]):
    """The leaf's tensors of who has only some, and the segments that it took."""
    mine, _ = mined
    published = mine.ledger.published[challenge.about]
    record = published.record
    parameters = mine.ledger.genesis.parameters
    h_1 = verify_hashes(parameters, record.header, record.proof)
    instance = mine.ledger.instance(record.header.prev_block)
    training = initialize(instance, h_1, None, None)
    look, done = training.now, 0
    for place in range(challenge.leaf + 1):
        if place in kept:
            state = mine.archive.opening(record.proof.cp_root, place).checkpoint
            tensors = mine.archive.tensors(state.state)
            look = look._replace(
                tensors=tensors, correct=state.correct, steps=state.steps
            )
            done = 0
            continue
        steps = min(SEGMENT, record.proof.steps - place * SEGMENT)
        look, done = run_to(instance, training.initialization, look, steps), done + 1
    return look.tensors, done


# ------------------------------------------------------------------ policies


def test_policies_by_hand():
    assert kept_leaves(Retention(), 5) == (0, 1, 2, 3, 4)
    assert kept_leaves(Retention("every", spacing=2), 7) == (1, 3, 5, 6)
    assert kept_leaves(Retention("every", spacing=9), 7) == (6,)
    assert kept_leaves(Retention("online", kept=2), 7)[-1] == 6
    pruned = Retention(prune=3)
    assert kept_leaves(pruned, 4, age=2) == (0, 1, 2, 3)
    assert kept_leaves(pruned, 4, age=3) == (3,)
    assert [missing_segments((1, 3, 5), leaf) for leaf in range(6)] == [1, 0] * 3
    for wrong in (Retention(spacing=0), Retention(kept=0)):
        with pytest.raises(ValueError, match="must be ≥ 1"):
            kept_leaves(wrong, 4)


@pytest.mark.parametrize("kept", [1, 3, 4, 5, 8, 10])
def test_online_checkpoints_leave_no_large_gap(kept):
    """Never more than k, drawn from those before, and gaps of at most 2.05 T/(k + 1).

    The best that is known is (1.59 + o(1)) T/(k + 1), the least possible (1 + 1/k).
    """
    before: set[int] = set()
    largest = 0.0
    for leaves in range(1, 250):
        held = online(kept, leaves)
        assert len(held) == min(kept, leaves)
        assert held[-1] == leaves - 1
        assert set(held) <= before | {leaves - 1}
        before = set(held)
        if leaves > kept:
            gap = max(np.diff([-1, *held]))
            largest = max(largest, gap * (kept + 1) / leaves)
    assert 1 + 1 / kept <= largest <= 2.05


# ------------------------------------------------------------------ challenges


def test_challenges_fall_on_earlier_blocks_within_the_window(mined):
    mine, names = mined
    assert challenges_of(mine.ledger, names[0], RULE) == []
    for height, name in enumerate(names[1:], start=2):
        found = challenges_of(mine.ledger, name, RULE)
        assert len(found) == RULE.challenges
        for each in found:
            age = height - mine.ledger.entries[each.about].height
            assert 1 <= age <= RULE.window
            leaves = -(-mine.ledger.published[each.about].steps // SEGMENT)
            assert 0 <= each.leaf < leaves
            assert each.due == height + RULE.deadline
    last = challenges_of(mine.ledger, names[-1], RULE)
    assert last == challenges_of(mine.ledger, names[-1], RULE)
    salts = [each.salt for each in asked(mined)]
    assert len(set(salts)) == len(salts)


def test_every_earlier_leaf_is_asked_for_alike(mined):
    mine, names = mined
    many = RULE._replace(challenges=600)
    found = challenges_of(mine.ledger, names[-1], many)
    counts = {name: sum(c.about == name for c in found) for name in names[2:5]}
    assert sum(counts.values()) == 600
    # Five standard deviations of a binomial.
    assert all(abs(count - 200) < 5 * 12 for count in counts.values())
    some = [c.leaf for c in found if c.about == names[3]]
    leaves = np.bincount(some, minlength=6)
    assert abs(leaves - len(some) / 6).max() < 5 * np.sqrt(len(some) / 6)


@pytest.mark.parametrize("field", ["challenges", "window", "deadline"])
@pytest.mark.parametrize("value", [0, (1 << 20) + 1])
def test_a_rule_out_of_range_asks_nothing(mined, field, value):
    wrong = RULE._replace(**{field: value})
    assert f"{field} must be from 1" in str(rule_problem(wrong))
    with pytest.raises(ValueError, match=f"^{field} must be from 1"):
        challenges_of(mined[0].ledger, mined[1][-1], wrong)


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize("rule", [RULE, SUCCESSOR])
def test_who_keeps_all_answers_all(mined, rule):
    mine, names = mined
    answers = {}
    for each in asked(mined, rule):
        said = honest(mined, each, rule)
        assert decode(ANSWER, encode(ANSWER, said)) == said
        check_answer(mine.ledger, each, said, rule, mine.archive)
        key = each.asking, each.number
        answers[key] = (each.due, said)
    assert unpaid(mine.ledger, names[-1], rule, answers, mine.archive) == {}


@pytest.mark.parametrize("policy", [Retention("every", spacing=2), None])
def test_who_drops_checkpoints_must_train_what_is_missing(mined, policy):
    """Retrained, bit for bit, the answer is as good: only time tells."""
    mine, _ = mined
    for each in asked(mined)[:4]:
        steps = mine.ledger.published[each.about].steps
        leaves = -(-steps // SEGMENT)
        kept = () if policy is None else kept_leaves(policy, leaves)
        tensors, segments = retrained(mined, each, kept)
        assert segments == missing_segments(kept, each.leaf)
        said = honest(mined, each)
        assert response(each.salt, tensors) == said.response


def test_a_digest_without_the_tensors_is_refused(mined):
    mine, _ = mined
    each = asked(mined)[0]
    said = honest(mined, each)
    # All that is public: the leaf and its digest of the state.
    for guess in (said.checkpoint.state, bytes(32), each.salt):
        lie = said._replace(response=guess)
        check_answer(mine.ledger, each, lie, RULE)
        with pytest.raises(Rejected, match=r"^response: "):
            check_answer(mine.ledger, each, lie, RULE, mine.archive)


def test_what_is_no_answer_is_refused_by_its_reason(mined):
    mine, _ = mined
    first, other = asked(mined)[:2]
    said = honest(mined, first)
    wrong = {
        "challenge": (
            honest(mined, other),
            said._replace(leaf=said.leaf + 1),
            said._replace(kind="successor"),
        ),
        "path": (
            said._replace(path=said.path[:-1]),
            said._replace(path=(*said.path, bytes(32))),
            said._replace(checkpoint=said.checkpoint._replace(correct=0)),
            said._replace(path=tuple(bytes(32) for _ in said.path)),
        ),
    }
    for rule, lies in wrong.items():
        for lie in lies:
            with pytest.raises(Rejected) as caught:
                check_answer(mine.ledger, first, lie, RULE, mine.archive)
            assert caught.value.rule == rule
    empty = type(mine.archive)()
    with pytest.raises(Rejected, match=r"^evidence: "):
        check_answer(mine.ledger, first, said, RULE, empty)


def test_a_checker_with_spoilt_tensors_blames_itself(mined):
    mine, _ = mined
    each = asked(mined)[0]
    said = honest(mined, each)

    class Spoilt:
        def opening(self, cp_root, index):
            return mine.archive.opening(cp_root, index)

        def tensors(self, state):
            return {k: v + 1 for k, v in mine.archive.tensors(state).items()}

    with pytest.raises(Rejected, match=r"^evidence: a checkpoint has another digest"):
        check_answer(mine.ledger, each, said, RULE, Spoilt())


def test_who_answers_late_or_never_is_not_paid(mined):
    mine, names = mined
    answers = {}
    many = RULE._replace(challenges=6)
    every = asked(mined, many)
    due = [each for each in every if each.due <= len(names)]
    late, never = due[0], next(x for x in due if x.about != due[0].about)
    for each in every:
        key = each.asking, each.number
        height = each.due + 1 if each == late else each.due
        if each != never:
            answers[key] = (height, honest(mined, each))
    found = unpaid(mine.ledger, names[-1], many, answers, mine.archive)
    assert found == {late.about: "late", never.about: "late"}
    # What is not due yet counts for nothing.
    alone = unpaid(mine.ledger, names[1], many, {}, mine.archive)
    assert alone == {}
    lies = {k: (h, a._replace(response=bytes(32))) for k, (h, a) in answers.items()}
    refused = unpaid(mine.ledger, names[-1], many, lies, mine.archive)
    assert any(reason.startswith("response: ") for reason in refused.values())


# ------------------------------------------------------------------ bytes


def sample() -> Answer:
    from dpodl.models.scheme.records import Checkpoint

    leaf = Checkpoint(b"\x04" * 32, 250, 30)
    path = (b"\x05" * 32, b"\x06" * 32)
    return Answer(
        b"\x01" * 32, 1, b"\x02" * 32, 3, leaf, path, "successor", b"\x07" * 32
    )


def test_an_answers_bytes_by_hand():
    written = (
        ("6501" + "01" * 32 + "00000001" + "02" * 32 + "00000003")
        + ("0f01" + "04" * 32 + "000000fa" + "000000000000001e")
        + ("00000002" + "05" * 32 + "06" * 32 + "01" + "07" * 32)
    )
    assert encode(ANSWER, sample()).hex() == written
    rule = encode(STORAGE_RULE, SUCCESSOR)
    assert rule.hex() == "6601" + "00000002" + "00000003" + "00000002" + "01"
    assert decode(STORAGE_RULE, rule) == SUCCESSOR


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_hostile_bytes_are_refused_or_mean_something_else(data):
    plain = encode(ANSWER, sample())
    raw = bytearray(plain)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    given_bytes = bytes(raw[:cut] if data.draw(st.booleans()) else raw)
    try:
        found: Any = decode(ANSWER, given_bytes)
    except EncodingError:
        return
    assert encode(ANSWER, found) == given_bytes


def test_another_version_is_refused():
    plain = encode(ANSWER, sample())
    for version in (0, 2, 3, 255):
        with pytest.raises(EncodingError, match="version"):
            decode(ANSWER, plain[:1] + bytes([version]) + plain[2:])
