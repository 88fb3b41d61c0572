"""Models that others may continue: mtxs, and work that is taken across slots."""

import pytest
from dpodl.models.chain import ledger, tree
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.transactions import sign_block, sign_mtx
from dpodl.models.scheme import scheme
from dpodl.models.scheme.formats import block_digest, mtx_digest
from dpodl.models.scheme.records import Mtx, Reference

from ..mining_fixtures import (
    ALICE,
    BOB,
    BUILD,
    EVAL_SAMPLES,
    LOOK,
    Mine,
    refer,
)
from .test_ledger import chain, refused, scored

# ------------------------------------------------------------------ cross-slot attacks


@pytest.mark.parametrize("step_rule", [False, True])
def test_new_block_old_model_is_what_the_step_rule_refuses(step_rule):
    """Attack (a): a model of bk_0 makes a block on bk_3 in a single look."""
    mine = Mine(s_min=20, step_rule=step_rule)
    bk_0, _, _, bk_3 = chain(mine, 25, 25, 25)
    old = mine.offer(bk_0, steps=20)
    attack = mine.block(bk_3, old, steps=LOOK)
    if step_rule:
        # 25 + 25 + S_min is due, 20 are done.
        refused(mine, attack, "step rule", "at least 50 steps are due, got 5")
    else:
        assert mine.ledger.add_block(attack).height == 4


@pytest.mark.parametrize("window", [None, 100])
def test_old_block_new_model_is_what_the_reference_rule_refuses(window):
    """Attack (b): history is rewritten from bk_1 with a model of bk_3's slot."""
    mine = Mine(s_min=10, reference_window=window)
    _, bk_1, _, bk_3 = chain(mine, 25, 25, 25)
    new = mine.offer(bk_3, steps=20)
    attack = mine.block(bk_1, new, steps=LOOK)
    if window is None:
        # The step rule does not help: m = n = 1, nothing but S_min is asked for.
        assert mine.ledger.genesis.parameters.step_rule
        assert mine.ledger.add_block(attack).height == 2
    else:
        refused(mine, attack, "reference rule")


def test_an_mtx_cannot_launder_a_model_of_the_future():
    """Attack (b) by way of an mtx that extends the old block: refused as well."""
    mine = Mine(s_min=10)
    _, bk_1, _, bk_3 = chain(mine, 25, 25, 25)
    new = mine.offer(bk_3, steps=20)
    refused(mine, mine.mtx(bk_1, new), "reference rule")


# ------------------------------------------------------------------ mtxs


def test_a_model_that_makes_a_block_is_no_mtx():
    mine = Mine()
    refused(mine, mine.mtx(mine.root, good=True), "mtx", "R = 1")
    assert mine.offer(mine.root, good=False).kind == "mtx"


def test_an_mtx_needs_no_s_min():
    mine = Mine(s_min=50)
    assert mine.offer(mine.root, steps=LOOK).steps == LOOK


def test_what_an_mtx_publishes():
    mine = Mine()
    mtx = mine.mtx(mine.root, steps=10, key=BOB)
    found = mine.ledger.add_mtx(mtx)
    assert (found.name, found.kind, found.record) == (mtx_digest(mtx), "mtx", mtx)
    assert (found.steps, found.miner, found.extends) == (10, BOB.public, mine.root)
    assert found.accuracy == mtx.proof.correct / EVAL_SAMPLES < 0.6
    assert found.lineage == ()
    assert list(mine.ledger.entries) == [mine.root]


def test_a_block_brings_exactly_the_mtxs_its_chain_has_not_got():
    mine = Mine()
    first = mine.offer(mine.root, steps=10)
    second = mine.offer(mine.root, first)
    other = mine.offer(mine.root)
    one, two, three = (
        each.record for each in (first, second, other) if isinstance(each.record, Mtx)
    )
    assert mine.ledger.expected_mtxs(mine.root, refer(second)) == (one, two)
    assert mine.ledger.expected_mtxs(mine.root, None) == ()
    wrong = [(), (two,), (one,), (two, one), (one, two, three), (one, one, two)]
    for mtxs in wrong:
        refused(mine, mine.block(mine.root, second, mtxs=mtxs), "mtxs", "oldest first")
    refused(mine, mine.block(mine.root, mtxs=(three,)), "mtxs")
    a = mine.extend(mine.root, second)
    assert mine.ledger.entries[a].brought == {first.name, second.name}

    # On the same chain they are there already, on another branch they are not.
    assert mine.ledger.expected_mtxs(a, refer(second)) == ()
    refused(mine, mine.block(a, second, steps=60, mtxs=(one, two)), "mtxs")
    b = mine.extend(a, second, steps=60)
    assert mine.ledger.entries[b].brought == {first.name, second.name}
    assert mine.ledger.expected_mtxs(mine.root, refer(first)) == (one,)
    third = mine.offer(a, second)
    assert mine.ledger.expected_mtxs(a, refer(third)) == (third.record,)


def test_a_block_s_own_mtxs_need_not_be_known_before():
    mine, other = Mine(), Mine()
    model = mine.offer(mine.root, mine.offer(mine.root))
    block = mine.block(mine.root, model)
    other.archive.leaves, other.archive.states = (
        mine.archive.leaves,
        mine.archive.states,
    )
    entry = other.ledger.add_block(block)
    assert entry == mine.ledger.add_block(block)
    assert model.name in other.ledger.published


def test_a_block_falls_with_an_mtx_it_brings():
    mine = Mine()
    good = mine.offer(mine.root)
    assert isinstance(good.record, Mtx)
    bad = good.record._replace(signature=bytes(64))
    refused(mine, mine.block(mine.root, good, mtxs=(bad,)), "signature")


def test_references_to_what_is_not_known_are_refused_for_now():
    mine = Mine()
    known, hidden = mine.offer(mine.root), mine.offer(mine.root)
    block = mine.block(mine.root, hidden, mtxs=())
    mtx = mine.mtx(mine.root, hidden)
    del mine.ledger.published[hidden.name]
    refused(mine, block, "reference", "the referenced model is not known")
    refused(mine, mtx, "reference", "the referenced model is not known")
    mine.ledger.published[hidden.name] = hidden
    mine.ledger.add_mtx(mtx)
    # A reference names its model's kind.
    proof = mine.mtx(mine.root, known).proof
    assert proof.reference is not None
    renamed = proof._replace(reference=proof.reference._replace(kind="block"))
    made = mine.mtx(mine.root)._replace(proof=renamed)
    refused(mine, sign_mtx(BOB, mine.root, made), "reference")


def test_the_genesis_is_no_model():
    mine = Mine()
    block = mine.block(mine.root)
    proof = block.proof._replace(reference=Reference("block", mine.root, "resume"))
    refused(
        mine, sign_block(ALICE, mine.root, block._replace(proof=proof)), "reference"
    )


def test_a_lineage_has_an_end(monkeypatch):
    monkeypatch.setattr(tree, "MAXIMUM_REFERENCES", 2)
    mine = Mine()
    first = mine.offer(mine.root)
    second = mine.offer(mine.root, first)
    third = mine.mtx(mine.root, second)
    assert mine.ledger.add_mtx(third).lineage == (second.name, first.name)
    deeper = mine.mtx(mine.root, mine.ledger.published[mtx_digest(third)])
    refused(mine, deeper, "lineage", "more than 2 models in a row")


def test_blocks_are_refused_cheaply_before_they_are_run(monkeypatch):
    mine = Mine(s_min=20)
    cases = [
        (mine.block(mine.root, steps=15), "step rule"),
        (mine.block(mine.root, steps=20, good=False), "accuracy"),
        (mine.block(mine.root)._replace(signature=bytes(64)), "signature"),
        (
            mine.block(mine.root, transactions=scored(mine, mine.root, 5)),
            "score",
        ),
    ]

    def never(*_, **__):
        raise AssertionError("was executed")

    monkeypatch.setattr(scheme, "run_segment", never)
    for block, rule in cases:
        refused(mine, block, rule)


def test_another_signature_makes_no_other_record(monkeypatch):
    """A signer can make many valid ones; here all of them pass."""
    monkeypatch.setattr(ledger, "check_signature", lambda *_: None)
    mine = Mine()
    other = Ledger(mine.ledger.genesis, mine.data, mine.archive, BUILD)
    model = mine.offer(mine.root)
    assert isinstance(model.record, Mtx)
    twin = model.record._replace(signature=bytes([1]) * 64)
    assert mine.ledger.add_mtx(twin) is model
    block = mine.block(mine.root, model)
    # Who has heard of the twin first takes the same block for the same.
    other.add_mtx(twin)
    entry = other.add_block(block)
    assert entry == mine.ledger.add_block(block)
    assert other.add_block(block._replace(mtxs=(twin,))) is entry
    assert entry.name == block_digest(block._replace(signature=bytes(64)))


def test_a_record_that_is_known_still_needs_its_signature():
    mine = Mine()
    block, mtx = mine.block(mine.root), mine.mtx(mine.root)
    mine.ledger.add_block(block)
    mine.ledger.add_mtx(mtx)
    for record in (block, mtx):
        refused(mine, record._replace(signature=bytes(64)), "signature")
    # And a bad copy that comes first does not spoil the good one.
    late = mine.block(mine.root)
    refused(mine, late._replace(signature=bytes(64)), "signature")
    assert mine.ledger.add_block(late).height == 1
