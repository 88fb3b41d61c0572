"""The chain's rules, on small trees whose step counts are chosen by hand."""

import hashlib

import pytest
from dpodl.models.chain import ledger
from dpodl.models.chain.ledger import Ledger, Published
from dpodl.models.chain.transactions import score, sign_block, sign_mtx
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.records import Block, Mtx, Weight
from dpodl.models.scheme.scheme import weight

from ..mining_fixtures import (
    ALICE,
    BOB,
    BUILD,
    CAROL,
    EVAL_SAMPLES,
    LOOK,
    PARAMETERS,
    PUBLISHER,
    MemoryArchive,
    Mine,
    genesis,
    refer,
    task,
)

REWARD = PARAMETERS.reward
NO_WINDOW = {"reference_window": None}


def judged(mine: Mine, record: Block | Mtx) -> None:
    if isinstance(record, Block):
        mine.ledger.add_block(record)
    else:
        mine.ledger.add_mtx(record)


def refused(mine: Mine, record: Block | Mtx, rule: str, reason: str = "") -> None:
    with pytest.raises(Rejected) as caught:
        judged(mine, record)
    assert caught.value.rule == rule
    assert reason in caught.value.reason


def chain(mine: Mine, *steps: int) -> list[bytes]:
    """Names of the genesis and of fresh blocks with these step counts."""
    names = [mine.root]
    for each in steps:
        names.append(mine.extend(names[-1], steps=each))
    return names


# ------------------------------------------------------------------ the tree


def test_the_genesis_is_block_0():
    mine = Mine()
    entry = mine.ledger.entries[mine.root]
    assert (entry.height, entry.weight, entry.parent) == (0, 0.0, None)
    assert (entry.task, entry.slot) == (0, 0)
    assert entry.accounts.balances == {ALICE.public: 100, CAROL.public: 7}


def test_heights_count_along_each_branch():
    mine = Mine()
    _, a, b = chain(mine, 5, 5)
    fork = mine.extend(a)
    assert b != fork
    entries = mine.ledger.entries
    assert [entries[name].height for name in (a, b, fork)] == [1, 2, 2]
    assert [entries[name].weight for name in (a, b, fork)] == [1.0, 2.0, 2.0]
    path = [entry.name for entry in mine.ledger.ancestors(fork)]
    assert path == [fork, a, mine.root]


@pytest.mark.parametrize(
    "family", [Weight("indicator"), Weight("linear"), Weight("exponential", 7.0)]
)
def test_under_the_weight_rule_any_model_makes_a_block(family):
    mine = Mine(chain_rule="weight", weight=family)
    name, total = mine.root, 0.0
    for good in (True, False, False, True):
        name = mine.extend(name, good=good, steps=10)
        accuracy = mine.model(name).record.proof.correct / EVAL_SAMPLES
        assert (accuracy >= 0.6) == good
        assert mine.model(name).accuracy == accuracy
        total += weight(accuracy, 0.6, family)
        assert mine.ledger.entries[name].weight == pytest.approx(total, rel=1e-12)
    refused(mine, mine.mtx(name, good=False), "mtx", "R = 1")


def test_under_the_longest_rule_a_block_needs_t_acc():
    mine = Mine()
    block = mine.block(mine.root, good=False)
    accuracy = block.proof.correct / EVAL_SAMPLES
    refused(mine, block, "accuracy", f"acc is {accuracy:.4g}, a block needs 0.6")


def test_a_block_of_an_unknown_parent_may_come_again():
    mine, elsewhere = Mine(), Mine()
    first = elsewhere.block(elsewhere.root)
    name = elsewhere.ledger.add_block(first).name
    second = elsewhere.block(name)
    mine.archive.leaves, mine.archive.states = (
        elsewhere.archive.leaves,
        elsewhere.archive.states,
    )
    refused(mine, second, "parent", "the extended block is not known")
    refused(mine, elsewhere.mtx(name), "parent", "the extended block is not known")
    mine.ledger.add_block(first)
    assert mine.ledger.add_block(second).height == 2


def test_a_record_is_judged_once(monkeypatch):
    mine = Mine()
    good, bad = mine.block(mine.root), mine.block(mine.root, good=False)
    mtx = mine.mtx(mine.root)
    entry, published = mine.ledger.add_block(good), mine.ledger.add_mtx(mtx)
    refused(mine, bad, "accuracy")
    monkeypatch.setattr(ledger, "verify", None)
    assert mine.ledger.add_block(good) is entry
    assert mine.ledger.add_mtx(mtx) is published
    refused(mine, bad, "accuracy")


def test_what_is_missing_or_spoilt_in_an_archive_is_not_held_against_a_block():
    mine = Mine()
    block = mine.block(mine.root, steps=25)
    leaves, states = dict(mine.archive.leaves), dict(mine.archive.states)
    mine.archive.leaves.clear()
    refused(mine, block, "evidence", "is not available")
    mine.archive.leaves.update(leaves)
    first, second, _ = leaves[block.proof.cp_root]
    mine.archive.states[second.state] = states[first.state]
    refused(mine, block, "evidence", "it has another digest")
    mine.archive.states.update(states)
    assert mine.ledger.add_block(block).height == 1


def test_a_forged_training_is_refused_for_good():
    mine = Mine(challenges=100)
    block = mine.block(mine.root, steps=25)
    changed = block.proof._replace(correct=block.proof.correct + 1)
    forged = sign_block(ALICE, mine.root, block._replace(proof=changed))
    refused(mine, forged, "accuracy", "are claimed")
    mine.archive.leaves.clear()
    refused(mine, forged, "accuracy", "are claimed")


@pytest.mark.parametrize("kind", ["block", "mtx"])
def test_only_the_miner_s_own_signature_counts(kind):
    mine = Mine()
    make, sign = {
        "block": (mine.block, sign_block),
        "mtx": (mine.mtx, sign_mtx),
    }[kind]
    owner = ALICE if kind == "block" else BOB
    record = make(mine.root)
    by_another = sign(CAROL, mine.root, record)
    elsewhere = sign(owner, bytes(32), record)
    spoilt = record._replace(signature=bytes(64))
    for each in (by_another, elsewhere, spoilt):
        refused(mine, each, "signature", "not one of ")
    assert sign(owner, mine.root, spoilt) == record


@pytest.mark.parametrize(("binding", "rule"), [("header", "pre-hash"), ("none", None)])
def test_an_honest_proof_in_somebody_else_s_name(binding, rule):
    """Relabelling and equivocation, gap 1 of docs/science/attacks.md."""
    mine = Mine(binding=binding, t_1=1 << 248)
    block = mine.block(mine.root)
    header = block.header._replace(miner=BOB.public)
    stolen = sign_block(BOB, mine.root, block._replace(header=header))
    if rule:
        refused(mine, stolen, rule)
    else:
        assert mine.ledger.add_block(stolen).rewards == {BOB.public: REWARD}
        assert mine.ledger.add_block(block).rewards == {ALICE.public: REWARD}


def test_every_task_needs_its_training_set():
    start, mine = genesis(), Mine()
    with pytest.raises(ValueError, match=r"^there must be at least one task, got none"):
        Ledger(start._replace(tasks=()), [], mine.archive, BUILD)
    with pytest.raises(ValueError, match=r"argument 2 is (shorter|longer)"):
        Ledger(start, mine.data * 2, mine.archive, BUILD)
    with pytest.raises(ValueError, match=r"^eval_samples must be "):
        Ledger(genesis(eval_samples=500), mine.data, mine.archive, BUILD)


def test_a_ledger_without_data_follows_the_same_chain_by_hashes_alone():
    mine = Mine()
    offered = mine.mtx(mine.root, steps=10)
    model = mine.ledger.add_mtx(offered)
    blocks = [mine.block(mine.root, model, key=ALICE)]
    entries = [mine.ledger.add_block(blocks[0])]
    blocks.append(mine.block(entries[0].name))
    entries.append(mine.ledger.add_block(blocks[1]))
    light = Ledger(mine.ledger.genesis, None, MemoryArchive(), BUILD)
    assert [light.add_block(block) for block in blocks] == entries
    unlucky = mine.block(mine.root)
    proof = unlucky.proof
    while True:
        proof = proof._replace(nonce=hashlib.sha256(proof.nonce).digest()[:16])
        record = sign_block(ALICE, mine.root, unlucky._replace(proof=proof))
        try:
            light.add_block(record)
        except Rejected as error:
            rule = error.rule
            break
    assert rule == "pre-hash"


# ------------------------------------------------------------------ tasks


def scored(mine: Mine, block: bytes, correct: int, sequence: int = 0, key=PUBLISHER):
    return (score(key, mine.root, sequence, block, correct, 100),)


def tasks(*slots: int):
    return [task(f"task {i}", slots=each, r_task=0.9) for i, each in enumerate(slots)]


def test_the_next_task_comes_when_r_task_holds():
    mine = Mine(tasks=tasks(100, 100))
    _, a, b = chain(mine, 5, 5)
    entries = mine.ledger.entries
    assert [(entries[n].task, entries[n].slot) for n in (a, b)] == [(0, 1), (0, 2)]
    below = mine.extend(b, transactions=scored(mine, a, 89))
    assert (entries[below].task, entries[below].slot) == (0, 3)
    assert entries[below].scores == {a: 0.89}
    exactly = mine.extend(below, transactions=scored(mine, b, 90, 1))
    assert (entries[exactly].task, entries[exactly].slot) == (1, 0)
    assert entries[exactly].scores == {}
    # The block that brings the score is still the old task's, the next one is not.
    assert mine.model(exactly).task == 0
    after = mine.extend(exactly)
    assert mine.model(after).task == 1
    assert (entries[after].task, entries[after].slot) == (1, 1)
    # The other branch has not heard of the score.
    fork = mine.extend(below)
    assert (entries[fork].task, entries[fork].slot) == (0, 4)


def test_the_next_task_comes_when_the_slots_are_used_up():
    mine = Mine(tasks=tasks(2, 1, 1))
    names = chain(mine, 5, 5, 5, 5, 5)
    found = [(mine.ledger.entries[n].task, mine.ledger.entries[n].slot) for n in names]
    # The last task stays, whatever its slots are.
    assert found == [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1), (2, 2)]
    assert [mine.model(name).task for name in names[1:]] == [0, 0, 1, 2, 2]


def test_the_last_task_stays_when_r_task_holds():
    mine = Mine(tasks=tasks(100))
    _, a = chain(mine, 5)
    b = mine.extend(a, transactions=scored(mine, a, 100))
    assert mine.ledger.entries[b].task == 0
    assert mine.ledger.entries[b].scores == {a: 1.0}


def test_a_score_of_a_finished_task_changes_nothing():
    mine = Mine(tasks=tasks(1, 100, 100))
    _, a, b = chain(mine, 5, 5)
    c = mine.extend(b, transactions=scored(mine, a, 100))
    assert (mine.ledger.entries[c].task, mine.ledger.entries[c].scores) == (1, {})


def test_only_true_scores_by_the_publisher_count():
    mine = Mine(tasks=tasks(100, 100))
    _, a, b = chain(mine, 5, 5)
    fork = mine.extend(a)
    mtx = mine.offer(a)
    not_here = "the scored block is not on this chain"
    cases = [
        (scored(mine, a, 95, key=ALICE), "only the publisher scores models"),
        (scored(mine, a, 101), "101 correct of 100"),
        ((score(PUBLISHER, mine.root, 0, a, 0, 0),), "0 correct of 0"),
        (scored(mine, fork, 95), not_here),
        (scored(mine, mine.root, 95), not_here),
        (scored(mine, mtx.name, 95), not_here),
        (scored(mine, bytes(32), 95), not_here),
    ]
    for transactions, reason in cases:
        refused(mine, mine.block(b, transactions=transactions), "score", reason)
    refused(
        mine,
        mine.block(b, transactions=scored(mine, a, 95, 1)),
        "transactions",
        "must have sequence 0, got 1",
    )


def test_models_of_another_task_may_not_be_referenced():
    mine = Mine(tasks=tasks(1, 100), **NO_WINDOW)
    old = mine.offer(mine.root)
    _, a = chain(mine, 5)
    for model in (old, mine.model(a)):
        assert not mine.ledger.may_reference(a, model)
        refused(mine, mine.block(a, model), "task", "of another task")
        refused(mine, mine.mtx(a, model), "task", "of another task")
    assert mine.ledger.may_reference(mine.root, old)


# ------------------------------------------------------------------ step rule


def debt(mine: Mine, parent: bytes, model: Published | None = None) -> int:
    return mine.ledger.step_debt(parent, refer(model))


def exactly(mine: Mine, parent: bytes, model: Published | None, steps: int) -> None:
    """So many steps are due: one look less is refused, so many pass."""
    assert debt(mine, parent, model) == steps
    if steps > LOOK:
        short = mine.block(parent, model, steps=steps - LOOK)
        reason = f"at least {steps} steps are due, got {steps - LOOK}"
        refused(mine, short, "step rule", reason)
    mine.ledger.add_block(mine.block(parent, model, steps=max(steps, LOOK)))


def test_a_fresh_block_owes_s_min():
    mine = Mine(s_min=15)
    exactly(mine, mine.root, None, 15)
    _, a = chain(mine, 40)
    exactly(mine, a, None, 15)


def test_the_step_rule_on_a_chain_computed_by_hand():
    """Σ_j S'_j + S ≥ Σ_{i=m}^{n−1} S_i + S_min, with S_0 = 0 of the genesis."""
    mine = Mine(s_min=15, **NO_WINDOW)
    bk_0, bk_1, bk_2, bk_3 = chain(mine, 20, 30, 15)
    mtxs = [mine.offer(bk, steps=10) for bk in (bk_0, bk_1, bk_2, bk_3)]
    # The mtx extends bk_m, the candidate bk_3:
    exactly(mine, bk_3, mtxs[3], 15 - 10)  # m = n: the sum is empty
    exactly(mine, bk_3, mtxs[2], 30 + 15 - 10)  # S_2
    exactly(mine, bk_3, mtxs[1], 20 + 30 + 15 - 10)  # S_1 + S_2
    exactly(mine, bk_3, mtxs[0], 0 + 20 + 30 + 15 - 10)  # S_0 + S_1 + S_2
    # The same models where they are not old:
    exactly(mine, bk_1, mtxs[1], 15 - 10)
    exactly(mine, bk_2, mtxs[1], 20 + 15 - 10)


def test_the_earliest_of_all_recursive_references_counts_and_all_their_steps():
    mine = Mine(s_min=15, **NO_WINDOW)
    bk_0, bk_1, bk_2 = chain(mine, 20, 30)
    first = mine.offer(bk_0, steps=5)
    second = mine.offer(bk_1, first, steps=10)
    third = mine.offer(bk_2, second, steps=15)
    exactly(mine, bk_2, third, 0 + 20 + 15 - (15 + 10 + 5))
    exactly(mine, bk_2, second, 0 + 20 + 15 - (10 + 5))
    # Also where the earliest is not the last in the lineage.
    newer = mine.offer(bk_2, steps=5)
    older = mine.mtx(bk_2, newer, steps=5)
    again = mine.ledger.add_mtx(older)
    exactly(mine, bk_2, again, 15 - 10)


def test_a_referenced_block_is_a_model_that_extends_its_parent():
    mine = Mine(s_min=25, **NO_WINDOW)
    _, bk_1, bk_2, bk_3 = chain(mine, 30, 25, 40)
    # The tip's own model: 40 steps are done, 25 (S_2) and S_min are asked for.
    exactly(mine, bk_3, mine.model(bk_3), 25 + 25 - 40)
    exactly(mine, bk_3, mine.model(bk_2), 30 + 25 + 25 - 25)
    exactly(mine, bk_3, mine.model(bk_1), 0 + 30 + 25 + 25 - 30)


def test_at_least_one_step_is_due_however_much_was_done():
    """The rule's sum ends before the tip: on its own model a look can be enough."""
    mine = Mine(s_min=15)
    _, _, bk_2 = chain(mine, 15, 60)
    model = mine.model(bk_2)
    assert 15 + 15 - 60 < 0
    assert debt(mine, bk_2, model) == 1
    assert mine.ledger.add_block(mine.block(bk_2, model, steps=LOOK)).height == 3


def test_a_model_on_a_fork_counts_from_where_the_fork_leaves_the_chain():
    mine = Mine(s_min=15, **NO_WINDOW)
    _, bk_1, _, bk_3 = chain(mine, 20, 30, 15)
    fork = mine.extend(bk_1, steps=35)
    tip = mine.extend(fork, steps=40)
    off = mine.offer(tip, steps=10)
    exactly(mine, bk_3, off, 20 + 30 + 15 - 10)  # from bk_1
    exactly(mine, bk_3, mine.model(fork), 20 + 30 + 15 - 35)


def test_without_the_step_rule_only_s_min_is_left_to_do():
    mine = Mine(s_min=25, step_rule=False, **NO_WINDOW)
    bk_0, _, bk_2 = chain(mine, 40, 50)
    old = mine.offer(bk_0, steps=10)
    assert debt(mine, bk_2, old) == 25 - 10
    short = mine.block(bk_2, old, steps=10)
    refused(mine, short, "s_min", "at least 15 steps are due, got 10")
    mine.ledger.add_block(mine.block(bk_2, old, steps=15))
    assert debt(mine, bk_2) == 25
    refused(mine, mine.block(bk_2, steps=20), "s_min", "at least 25 steps")


# ------------------------------------------------------------------ reference rule


def test_the_reference_window_is_counted_from_the_extended_block():
    mine = Mine(reference_window=2, step_rule=False)
    names = chain(mine, 5, 5, 5, 5)
    models = [mine.offer(name) for name in names]
    tip = names[-1]
    allowed = [mine.ledger.may_reference(tip, model) for model in models]
    assert allowed == [False, False, True, True, True]
    refused(
        mine,
        mine.block(tip, models[1]),
        "reference rule",
        "must extend one of the last 2 ancestors of the extended block, or itself",
    )
    refused(mine, mine.mtx(tip, models[1]), "reference rule")
    for model in models[2:]:
        mine.ledger.add_block(mine.block(tip, model))
    # A block's model extends that block's parent.
    blocks = [mine.ledger.may_reference(tip, mine.model(name)) for name in names[1:]]
    assert blocks == [False, False, True, True]


@pytest.mark.parametrize(
    ("window", "allowed"), [(0, [False, True]), (None, [True] * 2)]
)
def test_the_smallest_window_and_none(window, allowed):
    mine = Mine(reference_window=window, step_rule=False)
    _, a = chain(mine, 5)
    models = [mine.offer(name) for name in (mine.root, a)]
    assert [mine.ledger.may_reference(a, model) for model in models] == allowed


def test_a_sibling_s_model_may_be_referenced_but_none_that_extends_it():
    mine = Mine(step_rule=False)
    _, a = chain(mine, 5)
    sibling = mine.extend(mine.root)
    on_it = mine.offer(sibling)
    assert mine.ledger.may_reference(a, mine.model(sibling))
    assert not mine.ledger.may_reference(a, on_it)
    refused(mine, mine.block(a, on_it), "reference rule")
