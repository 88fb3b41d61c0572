"""Which segments are run again: anchors, later draws, young and loose records."""

import pytest
from dpodl.models.chain.certification import DEPTH, Duty, duties
from dpodl.models.chain.forgery import expected_work
from dpodl.models.chain.transactions import sign_block
from dpodl.models.scheme.checkpoints import (
    Rejected,
    challenge_seed,
    check_leaves,
    draw_challenges,
)
from dpodl.models.scheme.formats import block_digest
from dpodl.models.scheme.scheme import posthash
from dpodl.models.scheme.verification import verify

from ..mining_fixtures import ALICE, BUILD, LOOK, SEGMENT, Mine

LONG = 60  # six segments


def by_name(mine: Mine, tip: bytes, **settings) -> dict[bytes, Duty]:
    return {each.published.name: each for each in duties(mine.ledger, tip, **settings)}


@pytest.fixture(scope="module")
def chain() -> tuple[Mine, list[bytes]]:
    """Eight blocks of six segments each; names by height."""
    mine = Mine()
    names = [mine.root]
    for _ in range(8):
        names.append(mine.extend(names[-1], steps=LONG))
    return mine, names


def test_the_block_that_draws_is_the_one_its_forger_does_not_own(chain):
    mine, names = chain
    for depth in (0, 1, DEPTH):
        found = by_name(mine, names[-1], depth=depth)
        for height in range(1, 9):
            duty = found[names[height]]
            assert duty.height == height
            last = (LONG - 1) // SEGMENT
            assert duty.segments[0] == last
            if height + depth + 1 > 8:
                assert duty.status == "young"
                assert sorted(duty.segments) == list(range(last + 1))
                continue
            assert duty.status == "certified"
            proof = mine.model(names[height + depth + 1]).record.proof
            h_2, _ = posthash(
                mine.ledger.genesis.parameters.t_2,
                proof.model,
                proof.correct,
                proof.steps,
            )
            record = duty.published.record
            seed = challenge_seed(record.header, record.proof, h_2)
            assert sorted(duty.segments[1:]) == list(draw_challenges(seed, last, 1))
            assert duty.work == pytest.approx(expected_work(duty.shape, 1) / LONG)
            assert duty.work >= 1


def test_what_a_block_brings_and_builds_on_is_drawn_like_the_block():
    mine = Mine()
    first = mine.extend(mine.root, steps=LONG)
    grandparent = mine.offer(first, steps=LONG)
    parent = mine.offer(first, grandparent, steps=LONG)
    nobodys = mine.offer(first, steps=LONG)
    fork = mine.extend(mine.root, steps=LONG)
    tip = mine.extend(first, parent, steps=LONG)
    second = tip
    # A model of a fork, referred to from the chain.
    tip = third = mine.extend(tip, mine.model(fork), steps=200)
    for _ in range(3):
        tip = mine.extend(tip, steps=LONG)
    found = by_name(mine, tip)
    assert found[first].height == 1
    for name in (second, parent.name, grandparent.name):
        assert (found[name].height, found[name].status) == (2, "certified")
    for name in (third, fork):
        assert (found[name].height, found[name].status) == (3, "young")
    assert (found[nobodys.name].height, found[nobodys.name].status) == (None, "loose")


def test_every_block_that_could_draw_draws():
    """Whoever goes on from one of several blocks does not choose the draw."""
    mine = Mine()
    first = tip = mine.extend(mine.root, steps=LONG)
    for _ in range(DEPTH):
        tip = mine.extend(tip, steps=LONG)
    ends = [mine.extend(tip, steps=LONG) for _ in range(6)]
    t_2 = mine.ledger.genesis.parameters.t_2
    record = mine.model(first).record
    expected = set()
    for end in ends:
        proof = mine.model(end).record.proof
        h_2, _ = posthash(t_2, proof.model, proof.correct, proof.steps)
        expected |= {
            *draw_challenges(challenge_seed(record.header, record.proof, h_2), 5, 1)
        }
    for end in ends:
        assert set(by_name(mine, end)[first].segments[1:]) == expected


def test_short_proofs_are_drawn_more_often():
    """A block pays the same however short its proof is."""
    mine = Mine()
    tip, steps = mine.root, [30, 200, 200, 200, 200, 200, 200]
    names = [tip := mine.extend(tip, steps=each) for each in steps]
    found = by_name(mine, tip)
    mean = sum(steps) / len(steps)
    assert found[names[0]].unit == pytest.approx(mean)
    assert len(found[names[0]].segments) == 3  # all of them
    assert len(found[names[1]].segments) == 2  # the last, and q
    assert all(each.work >= 1 for each in found.values() if each.status == "certified")


def test_nothing_is_drawn_where_nothing_is_asked_for(chain):
    mine, names = chain
    found = by_name(mine, names[-1], challenges=0)
    assert all(len(each.segments) == 1 for each in found.values())
    assert all(each.work == SEGMENT / LONG for each in found.values())
    whole = by_name(mine, names[-1], challenges=0, full=True)
    assert all(len(each.segments) == LONG // SEGMENT for each in whole.values())


def test_coins_draw_more(chain):
    mine, names = chain
    plain = by_name(mine, names[-1])[names[1]]
    more = {
        tuple(
            sorted(by_name(mine, names[-1], coins=bytes([i]) * 32)[names[1]].segments)
        )
        for i in range(20)
    }
    assert len(more) > 2
    assert all(set(plain.segments) <= set(each) for each in more)


def test_leaves_are_compared_with_the_claim(chain):
    mine, names = chain
    rules = mine.ledger.genesis.parameters
    proof = mine.model(names[1]).record.proof
    leaves = mine.archive.leaves[proof.cp_root]
    check_leaves(rules, proof, leaves)
    for wrong in (
        leaves[:-1],
        (*leaves, leaves[-1]),
        leaves[::-1],
        (*leaves[:-1], leaves[-1]._replace(correct=leaves[-1].correct ^ 1)),
        (leaves[0]._replace(correct=rules.eval_samples + 1), *leaves[1:]),
        (leaves[0]._replace(steps=SEGMENT - LOOK), *leaves[1:]),
    ):
        with pytest.raises(Rejected):
            check_leaves(rules, proof, wrong)


def test_a_convicted_pre_hash_is_refused_in_every_other_form(monkeypatch):
    mine = Mine()
    block = mine.block(mine.root, steps=LONG)

    def forged(root: bytes):
        proof = block.proof._replace(cp_root=root)
        return sign_block(ALICE, mine.root, block._replace(proof=proof))

    judged = []

    def judge(*given, **settings):
        judged.append(given)
        raise Rejected("training", "segment 0")

    monkeypatch.setattr("dpodl.models.chain.ledger.verify", judge)
    for place in range(3):
        with pytest.raises(Rejected, match="training"):
            mine.ledger.add_block(forged(bytes([place]) * 32))
    assert len(judged) == 1
    monkeypatch.setattr("dpodl.models.chain.ledger.verify", verify)
    another = mine.extend(mine.root, steps=LONG)
    assert another in mine.ledger.entries


def test_an_unbound_pre_hash_convicts_nobody(monkeypatch):
    mine = Mine(binding="none")
    block = mine.block(mine.root, steps=LONG)
    bad = block._replace(proof=block.proof._replace(cp_root=bytes(32)))

    def judge(*given, **settings):
        raise Rejected("training", "segment 0")

    monkeypatch.setattr("dpodl.models.chain.ledger.verify", judge)
    with pytest.raises(Rejected):
        mine.ledger.add_block(sign_block(ALICE, mine.root, bad))
    monkeypatch.setattr("dpodl.models.chain.ledger.verify", verify)
    assert mine.ledger.add_block(block).name == block_digest(block)
    assert mine.ledger.genesis.build == BUILD


def test_a_later_draw_reaches_the_mtxs_of_a_block(monkeypatch):
    """``add_block(later=…)``: what a block brings is drawn like the block."""
    mine = Mine()
    maker = Mine()
    offered = maker.offer(maker.root, steps=LONG)
    block = maker.block(maker.root, offered, steps=LONG)
    mine.archive.leaves |= maker.archive.leaves
    mine.archive.states |= maker.archive.states
    salts = []

    def judge(*given, later=b"", **settings):
        salts.append(later)
        return verify(*given, later=later, **settings)

    monkeypatch.setattr("dpodl.models.chain.ledger.verify", judge)
    mine.ledger.add_block(block, later=bytes(31) + b"x")
    assert salts == [bytes(31) + b"x"] * 2
