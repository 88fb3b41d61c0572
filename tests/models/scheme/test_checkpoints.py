"""Checkpoints: who is challenged, what forging costs, and what spoilt evidence says.

Forgeries are real: a state is really nudged, the training really goes on from it, and
segments are really run again. Only identical re-executions are remembered.
"""

import hashlib
import math
from collections.abc import Callable
from functools import cache
from itertools import combinations, count, islice
from typing import NamedTuple

import numpy as np
import pytest
from dpodl.models.scheme import scheme
from dpodl.models.scheme.checkpoints import (
    Evidence,
    Opening,
    Rejected,
    challenge_seed,
    checkpoint,
    checkpoint_root,
    detection_probability,
    draw_challenges,
    open_checkpoint,
    segment_count,
)
from dpodl.models.scheme.encoding import encode
from dpodl.models.scheme.formats import CHECKPOINT, HEADER, PROOF
from dpodl.models.scheme.merkle import root_of_path
from dpodl.models.scheme.records import Checkpoint, Header, Proof, Reference
from dpodl.models.scheme.scheme import (
    Instance,
    Training,
    initialize,
    prehash,
    prove,
    setup,
)
from dpodl.models.scheme.states import Look, Tensors, run_segment, tensors_digest
from dpodl.models.scheme.verification import verify
from scipy import stats

from ..mining_fixtures import (
    BUILD,
    EVAL_SAMPLES,
    LOOK,
    PARAMETERS,
    MemoryArchive,
    counting,
    mnist,
    task,
)

FALSE_ALARM = 1e-4


def seeds(domain: str):
    """Independent digests of a name."""
    return (hashlib.sha256(f"{domain}/{i}".encode()).digest() for i in count())


# ------------------------------------------------------------------ challenges


@pytest.mark.parametrize(("n", "q"), [(1, 0), (1, 1), (5, 2), (7, 6), (300, 20)])
def test_challenges_are_distinct_segments(n, q):
    for seed in islice(seeds("distinct"), 50):
        drawn = draw_challenges(seed, n, q)
        assert len(drawn) == len(set(drawn)) == q
        assert list(drawn) == sorted(drawn)
        assert all(0 <= segment < n for segment in drawn)
        assert drawn == draw_challenges(seed, n, q)


@pytest.mark.parametrize("q", [4, 5, 1000])
def test_as_many_challenges_as_segments_are_all_of_them(q):
    for seed in islice(seeds("all"), 20):
        assert draw_challenges(seed, 4, q) == (0, 1, 2, 3)


@pytest.mark.parametrize(("n", "q"), [(6, 3), (5, 1), (7, 2)])
def test_every_set_of_challenges_is_equally_likely(n, q):
    law = list(combinations(range(n), q))
    counts = dict.fromkeys(law, 0)
    for seed in islice(seeds("uniform"), 100 * len(law)):
        counts[draw_challenges(seed, n, q)] += 1
    assert stats.chisquare(list(counts.values())).pvalue > FALSE_ALARM


def test_seeds_one_bit_apart_draw_independently():
    """They agree as often as chance has it: once in six."""
    agree = 0
    for seed in islice(seeds("apart"), 3000):
        other = bytes([seed[0] ^ 1]) + seed[1:]
        agree += draw_challenges(seed, 6, 1) == draw_challenges(other, 6, 1)
    assert stats.binomtest(agree, 3000, 1 / 6).pvalue > FALSE_ALARM


def test_the_seed_covers_header_proof_and_later_block():
    word = seeds("fields")
    header = Header(next(word), next(word), next(word))
    reference = Reference("mtx", next(word), "resume")
    proof = Proof(reference, bytes(16), next(word), 7, 20, next(word))
    base = challenge_seed(header, proof)
    found = [base, challenge_seed(header, proof, next(word))]
    for name in Header._fields:
        other = 7 if name == "time" else next(word)
        changed = header._replace(**{name: other})
        found.append(challenge_seed(changed, proof))
    changes = {
        "reference": reference._replace(way="transplant"),
        "nonce": bytes(15) + b"\1",
        "model": next(word),
        "correct": 8,
        "steps": 25,
        "cp_root": next(word),
    }
    assert changes.keys() == set(Proof._fields)
    for name, value in changes.items():
        found.append(challenge_seed(header, proof._replace(**{name: value})))
    assert len(set(found)) == 2 + len(header) + len(proof)
    message = b"dpodl/challenge/1\0" + encode(HEADER, header) + encode(PROOF, proof)
    assert base == hashlib.sha256(message).digest()


# ------------------------------------------------------------------ detection


def test_detection_equals_counting_all_sets_of_challenges():
    for n in range(1, 8):
        for c in range(n + 1):
            forged = set(range(c))
            for q in range(n + 3):
                drawn = list(combinations(range(n), min(q, n)))
                hit = sum(not forged.isdisjoint(each) for each in drawn)
                found = detection_probability(n, c, q)
                assert found == pytest.approx(hit / len(drawn), abs=1e-12)


def test_detection_is_certain_or_impossible_where_it_should_be():
    assert detection_probability(10, 0, 10) == 0
    assert detection_probability(10, 3, 0) == 0
    assert detection_probability(10, 1, 10) == 1
    assert detection_probability(10, 3, 8) == 1
    assert detection_probability(10, 3, 7) < 1


def test_detection_in_long_trainings_does_not_overflow():
    """C(10⁵, 500) is far beyond a float; the quotient is not."""
    assert math.comb(100_000, 500) > 10**308
    found = detection_probability(100_000, 100, 500)
    missed = stats.hypergeom.pmf(0, 100_000, 100, 500)
    assert found == pytest.approx(1 - missed, rel=1e-9)


@pytest.mark.parametrize(
    ("n", "c", "q"), [(0, 0, 1), (5, 6, 1), (5, -1, 1), (5, 1, -1)]
)
def test_impossible_counts_are_refused(n, c, q):
    message = rf"^must be 0 ≤ forged ≤ segments, .*, got {c}, {n} and {q}$"
    with pytest.raises(ValueError, match=message):
        detection_probability(n, c, q)


# ------------------------------------------------------------------ forgeries

N = 6
STEPS = N * LOOK
# One look a segment. Nothing is bound into h_1, so that many headers share a proof.
SETTINGS = PARAMETERS._replace(checkpoint_every=LOOK, challenges=3, binding="none")


class Forgery(NamedTuple):
    """A proof some of whose segments are wrong."""

    header: Header
    proof: Proof
    archive: MemoryArchive


@cache
def forging() -> tuple[Instance, Header, Training, bytes]:
    """What honest and forged proofs have in common."""
    instance = setup(SETTINGS, task(), mnist(), BUILD)
    word = seeds("header")
    header = Header(next(word), next(word), next(word))
    passed = prehash(
        SETTINGS.t_1, header.prev_block, None, nonces=islice(counting(), 1000)
    )
    return instance, header, initialize(instance, passed.h_1, None, None), passed.nonce


def nudged(tensors: Tensors, size: float) -> Tensors:
    name = "lp/Dense_0/bias"
    return tensors | {name: tensors[name] + np.float32(size)}


@cache
def honest_run(start: bytes, steps: int) -> Look:
    """The segment that begins with a stored state."""
    instance, _, training, _ = forging()
    return run_segment(
        training.initialization,
        instance.data,
        Look(STATES[start], 0, steps),
        steps=LOOK,
        check_every=LOOK,
        eval_samples=EVAL_SAMPLES,
    )


STATES: dict[bytes, Tensors] = {}


def remembering(_, data, begin: Look, *, steps: int, check_every, eval_samples) -> Look:
    """``run_segment`` of this instance, with what it gave before."""
    assert (steps, check_every, eval_samples) == (LOOK, LOOK, EVAL_SAMPLES)
    name = tensors_digest(begin.tensors)
    STATES[name] = begin.tensors
    return honest_run(name, begin.steps)


@pytest.fixture
def _cheap(monkeypatch):
    monkeypatch.setattr(scheme, "run_segment", remembering)
    first = forging()[2].now
    monkeypatch.setattr(scheme, "first_look", lambda *_: first)


def forge(segments: frozenset[int], *, size: float = 1e-3) -> Forgery:
    """A training whose given segments, and no others, end in a nudged state."""
    instance, header, start, nonce = forging()
    looks, now = [], start.now
    for segment in range(N):
        now = remembering(
            None,
            instance.data,
            now,
            steps=LOOK,
            check_every=LOOK,
            eval_samples=EVAL_SAMPLES,
        )
        if segment in segments:
            now = now._replace(tensors=nudged(now.tensors, size))
        looks.append(now)
    training = start._replace(now=now, checkpoints=tuple(looks))
    proof, leaves = prove(training, None, nonce)
    archive = MemoryArchive()
    archive.keep(proof, leaves)
    assert proof.steps == STEPS
    return Forgery(header, proof, archive)


def judged(forgery: Forgery, header: Header, q: int, later: bytes = b"") -> str:
    """``accepted``, or the rule and the reason."""
    try:
        verify(
            forging()[0],
            header,
            forgery.proof,
            None,
            forgery.archive,
            here=BUILD,
            challenges=q,
            later=later,
        )
    except Rejected as error:
        return str(error)
    return "accepted"


def detected(forged: frozenset[int], q: int, tries: int, vary: Callable) -> int:
    forgery = forge(forged)
    found = 0
    for word in islice(seeds(f"{sorted(forged)}/{q}"), tries):
        header, later = vary(forgery.header, word)
        verdict = judged(forgery, header, q, later)
        seed = challenge_seed(header, forgery.proof, later)
        drawn = forged & {*draw_challenges(seed, N, q), N - 1}
        if drawn:
            reason = "does not end in the state that was committed"
            assert verdict == f"training: segment {min(drawn)} {reason}"
        else:
            assert verdict == "accepted"
        found += verdict != "accepted"
    return found


def other_transactions(header: Header, word: bytes) -> tuple[Header, bytes]:
    return header._replace(tx_root=word), b""


def later_block(header: Header, word: bytes) -> tuple[Header, bytes]:
    return header, word


@pytest.mark.usefixtures("_cheap")
@pytest.mark.parametrize(
    ("forged", "q", "vary"),
    [
        ({2}, 3, other_transactions),
        ({0, 3}, 2, later_block),
        ({1, 2, 4}, 1, other_transactions),
    ],
)
def test_forged_segments_are_found_as_often_as_computed(forged, q, vary):
    """The last segment is none of them, so that looking at it always adds nothing."""
    tries, expected = 150, detection_probability(N, len(forged), q)
    found = detected(frozenset(forged), q, tries, vary)
    standard_error = math.sqrt(expected * (1 - expected) / tries)
    assert found / tries == pytest.approx(expected, abs=3 * standard_error)


@pytest.mark.usefixtures("_cheap")
def test_exactly_the_nudged_segments_are_wrong():
    """Each is found by its own challenge, and no other segment is."""
    for forged in (frozenset({2}), frozenset({0, 3})):
        forgery = forge(forged)
        accepted = {}
        for word in islice(seeds("only"), 60):
            header = forgery.header._replace(tx_root=word)
            seed = challenge_seed(header, forgery.proof)
            (segment,) = draw_challenges(seed, N, 1)
            if segment not in accepted:
                accepted[segment] = judged(forgery, header, 1) == "accepted"
        assert accepted == {segment: segment not in forged for segment in range(N)}


@pytest.mark.usefixtures("_cheap")
def test_an_honest_proof_passes_every_challenge_and_a_forged_end_none():
    honest, forged = forge(frozenset()), forge(frozenset({N - 1}))
    for word in islice(seeds("honest"), 8):
        header = honest.header._replace(tx_root=word)
        assert judged(honest, header, N) == "accepted"
        assert judged(honest, header, 2) == "accepted"
        # The last segment is always checked: no challenge is needed.
        assert judged(forged, header, 0).startswith(f"training: segment {N - 1} ")


def survives(forgery: Forgery, forged: int, q: int, later: bytes = b"") -> bool:
    seed = challenge_seed(forgery.header, forgery.proof, later)
    return forged not in draw_challenges(seed, N, q)


@cache
def rerolled(forged: int, q: int, provers: int) -> tuple[list[int], list[Forgery]]:
    """How often provers forged until their own root did not draw the forged segment."""
    sizes = (1e-3 + i * 1e-6 for i in count())
    tries, survivors = [], []
    for _ in range(provers):
        attempts = 1
        while not survives(
            forgery := forge(frozenset({forged}), size=next(sizes)), forged, q
        ):
            attempts += 1
        tries.append(attempts)
        survivors.append(forgery)
    return tries, survivors


@pytest.mark.usefixtures("_cheap")
def test_rerolling_the_root_defeats_non_interactive_challenges():
    """In 1/(1 − detect) tries on average: forge again until the root is a lucky one."""
    forged, q, provers = N - 2, 4, 60
    tries, survivors = rerolled(forged, q, provers)
    missed = 1 - detection_probability(N, 1, q)
    assert missed == pytest.approx(1 / 3)
    # Geometric: variance (1 − p)/p².
    standard_error = math.sqrt((1 - missed) / missed**2 / provers)
    assert np.mean(tries) == pytest.approx(1 / missed, abs=3 * standard_error)
    for forgery in survivors[:10]:
        assert judged(forgery, forgery.header, q) == "accepted"


@pytest.mark.usefixtures("_cheap")
def test_a_later_block_s_challenges_cannot_be_rerolled():
    """A root ground to survive its own challenges meets later ones like any other."""
    forged, q, provers = N - 2, 4, 60
    _, survivors = rerolled(forged, q, provers)
    found = 0
    for forgery, later in zip(survivors, seeds("later"), strict=False):
        verdict = judged(forgery, forgery.header, q, later)
        assert (verdict == "accepted") == survives(forgery, forged, q, later)
        found += verdict != "accepted"
    expected = detection_probability(N, 1, q)
    standard_error = math.sqrt(expected * (1 - expected) / provers)
    assert found / provers == pytest.approx(expected, abs=3 * standard_error)


# ------------------------------------------------------------------ openings


def leaves_of(size: int) -> tuple[Checkpoint, ...]:
    words = islice(seeds("leaf"), size)
    return tuple(Checkpoint(word, i, 10 * i + 10) for i, word in enumerate(words))


@pytest.mark.parametrize("size", range(1, 10))
def test_every_checkpoint_can_be_opened(size):
    leaves = leaves_of(size)
    root = checkpoint_root(leaves)
    for index in range(size):
        leaf, path = open_checkpoint(leaves, index)
        assert leaf == leaves[index]
        assert root_of_path(encode(CHECKPOINT, leaf), index, size, path) == root
        assert len(path) <= math.ceil(math.log2(size)) if size > 1 else not path


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_checkpoints_that_are_not_there_cannot_be_opened(index):
    with pytest.raises(ValueError, match=rf"^index must be from 0 to 2, got {index}$"):
        open_checkpoint(leaves_of(3), index)


def test_the_root_covers_every_field_and_the_order():
    leaves = leaves_of(3)
    changed = [
        (leaves[1], leaves[0], leaves[2]),
        leaves[:2],
        (*leaves, leaves[2]),
        (*leaves[:2], leaves[2]._replace(state=bytes(32))),
        (*leaves[:2], leaves[2]._replace(correct=3)),
        (*leaves[:2], leaves[2]._replace(steps=31)),
    ]
    assert len({checkpoint_root(each) for each in (leaves, *changed)}) == 7


def test_segments_of_a_training():
    for steps, segments in ((5, 1), (10, 1), (15, 2), (20, 2), (25, 3), (200, 20)):
        assert segment_count(PARAMETERS, steps) == segments


# ------------------------------------------------------------------ evidence


def look_of(value: float, steps: int) -> Look:
    return Look({"lp/w": np.full(3, value, np.float32)}, 2, steps)


def evidence(spoil: Callable | None = None) -> Evidence:
    looks = tuple(look_of(i, 10 * (i + 1)) for i in range(5))
    leaves = tuple(map(checkpoint, looks))
    archive = MemoryArchive()
    root = checkpoint_root(leaves)
    archive.leaves[root] = leaves
    archive.states = {tensors_digest(each.tensors): each.tensors for each in looks}
    if spoil is not None:
        spoil(archive, root, leaves)
    return Evidence(archive, root, 5, look_of(9, 0))


def test_evidence_is_what_was_committed_and_is_counted_once():
    found = evidence()
    assert found.bytes == 0
    # initM is derived: nothing has to be sent for it.
    assert found.look(-1).steps == 0
    assert found.bytes == 0
    leaf = 2 + 32 + 4 + 8
    assert found.leaf(0).steps == 10
    assert found.bytes == leaf + 3 * 32
    assert found.look(0).tensors["lp/w"].tolist() == [0, 0, 0]
    assert found.bytes == leaf + 3 * 32 + 3 * 4
    assert found.leaf(4).steps == 50  # the odd fifth leaf's path is a single digest
    assert found.bytes == 2 * leaf + 4 * 32 + 3 * 4
    for _ in range(3):
        found.look(0)
        found.leaf(4)
    assert found.bytes == 2 * leaf + 4 * 32 + 3 * 4


def lost_opening(archive, root, leaves):
    archive.leaves.clear()


def another_leaf(archive, root, leaves):
    archive.leaves[root] = (leaves[1], *leaves[1:])


def a_short_path(archive, root, leaves):
    archive.leaves[root] = leaves[:2]


def no_digest(archive, root, leaves):
    archive.leaves[root] = leaves
    archive.opening = lambda cp_root, index: Opening(
        leaves[index]._replace(state=b"short"), open_checkpoint(leaves, index).path
    )


def unreadable(archive, root, leaves):
    def opening(cp_root, index):
        raise ValueError("the file is damaged")

    archive.opening = opening


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lost_opening, "the opening of checkpoint 0 is not available"),
        (another_leaf, "it does not belong to the root"),
        (a_short_path, "the path of leaf 0 among 5 has 3 digests, got 1"),
        (no_digest, "must be 32 bytes"),
        (unreadable, "the opening of checkpoint 0 cannot be used: the file is damaged"),
    ],
)
def test_spoilt_openings_say_nothing_about_the_proof(spoil, reason):
    with pytest.raises(Rejected) as caught:
        evidence(spoil).leaf(0)
    assert caught.value.rule == "evidence"
    assert reason in caught.value.reason


def lost_tensors(archive, root, leaves):
    archive.states.clear()


def other_tensors(archive, root, leaves):
    archive.states[leaves[0].state] = archive.states[leaves[1].state]


def odd_name(archive, root, leaves):
    archive.states[leaves[0].state] = {"lp/ü": np.zeros(3, np.float32)}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lost_tensors, "checkpoint 0 is not available"),
        (other_tensors, "checkpoint 0 cannot be used: it has another digest"),
        (odd_name, "checkpoint 0 cannot be used: must be printable ASCII"),
    ],
)
def test_spoilt_tensors_say_nothing_about_the_proof(spoil, reason):
    found = evidence(spoil)
    assert found.leaf(0).steps == 10
    with pytest.raises(Rejected) as caught:
        found.look(0)
    assert caught.value.rule == "evidence"
    assert caught.value.reason.startswith(reason)
