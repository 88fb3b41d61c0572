"""Views: which chain is followed, what waits for what, and which model is the best."""

import itertools
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from dpodl.models.chain import ledger
from dpodl.models.chain.ledger import Ledger, Published
from dpodl.models.chain.strategies.base import Honest, choose_reference
from dpodl.models.chain.transactions import sign_block
from dpodl.models.chain.view import View
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.encoding import digest
from dpodl.models.scheme.formats import block_digest, mtx_digest
from dpodl.models.scheme.records import Block, Mtx, Weight

from ..mining_fixtures import ALICE, BOB, BUILD, CAROL, EVAL_SAMPLES, Mine, task


def hear_all(view: View, records: Iterable[Block | Mtx]) -> list[bool]:
    return [view.hear(record) for record in records]


def blocks(mine: Mine, count: int, parent: bytes | None = None, **settings):
    """A chain of blocks on a parent, all of them accepted by the ledger."""
    name, made = parent or mine.root, []
    for _ in range(count):
        made.append(mine.block(name, **settings))
        name = mine.ledger.add_block(made[-1]).name
    return made


def names(records: Iterable[Block]) -> list[bytes]:
    return [block_digest(record) for record in records]


def fresh(mine: Mine) -> Ledger:
    """Another ledger of the same chain that has judged nothing yet."""
    return Ledger(mine.ledger.genesis, mine.data, mine.archive, BUILD)


# ------------------------------------------------------------------ longest, heaviest


def test_a_view_starts_at_the_genesis():
    mine = Mine()
    view = View(mine.ledger)
    assert (view.tip, view.chain()) == (mine.root, [])
    assert list(view.known) == [mine.root]
    assert not view.models
    assert view.referable() == []


def test_the_longest_chain_is_followed():
    mine = Mine()
    trunk = blocks(mine, 2)
    short = blocks(mine, 1, names(trunk)[0])
    long = blocks(mine, 3, names(trunk)[0])
    view = View(mine.ledger)
    assert hear_all(view, trunk) == [True, True]
    assert hear_all(view, short) == [False]
    # The second block of the other branch ties, the third one wins.
    assert hear_all(view, long) == [False, True, True]
    assert [entry.name for entry in view.chain()] == names([trunk[0], *long])
    assert list(view.known) == [mine.root, *names([*trunk, *short, *long])]


def test_a_block_heard_again_changes_nothing():
    mine = Mine()
    trunk = blocks(mine, 2)
    view = View(mine.ledger)
    hear_all(view, trunk)
    before = (view.tip, list(view.known), list(view.models))
    assert hear_all(view, trunk) == [False, False]
    assert (view.tip, list(view.known), list(view.models)) == before


def test_the_heaviest_chain_is_followed_however_short():
    mine = Mine(chain_rule="weight", weight=Weight("exponential", 20.0))
    light = blocks(mine, 3, good=False, steps=5)
    heavy = blocks(mine, 1, good=True, steps=60)
    weights = [mine.ledger.entries[name].weight for name in names([*light, *heavy])]
    assert weights[3] > weights[2] > weights[1] > weights[0]
    view = View(mine.ledger)
    assert hear_all(view, [*light, *heavy]) == [True] * 4
    assert [entry.name for entry in view.chain()] == names(heavy)


def test_a_block_without_weight_moves_no_tip():
    mine = Mine(chain_rule="weight", weight=Weight("indicator"))
    good = blocks(mine, 1)
    nothing = blocks(mine, 2, names(good)[0], good=False)
    view = View(mine.ledger)
    assert hear_all(view, [*good, *nothing]) == [True, False, False]
    assert view.tip == names(good)[0]
    # On top of them the next good block brings all of it in.
    after = blocks(mine, 1, names(nothing)[1])
    assert hear_all(view, after) == [True]
    assert len(view.chain()) == 4


def test_different_views_of_one_ledger_differ():
    mine = Mine()
    a, b = blocks(mine, 1), blocks(mine, 1)
    one, other = View(mine.ledger), View(mine.ledger)
    hear_all(one, [*a, *b])
    hear_all(other, [*b, *a])
    assert (one.tip, other.tip) == (names(a)[0], names(b)[0])
    deaf = View(mine.ledger)
    assert deaf.tip == mine.root


# ------------------------------------------------------------------ ties


def rivals(tie_rule: str, count: int = 2) -> tuple[Mine, list[Block]]:
    """Blocks of different miners at the same height."""
    mine = Mine(tie_rule=tie_rule)
    made = [mine.block(mine.root, key=key) for key in (ALICE, BOB, CAROL)[:count]]
    for block in made:
        mine.ledger.add_block(block)
    return mine, made


def test_the_first_seen_of_equals_stays():
    mine, made = rivals("first_seen", 3)
    for order in itertools.permutations(made):
        view = View(mine.ledger, favoured=[order[-1].header.miner])
        hear_all(view, order)
        assert view.tip == block_digest(order[0])


def test_the_adversary_s_block_wins_a_tie():
    mine, made = rivals("adversary", 3)
    alice, bob, _ = names(made)
    for order in itertools.permutations(made):
        view = View(mine.ledger, favoured=[BOB.public])
        hear_all(view, order)
        assert view.tip == bob
        # Among favoured ones, and with none, the first seen stays.
        both = View(mine.ledger, favoured=[BOB.public, ALICE.public])
        hear_all(both, order)
        favoured = [name for name in names(order) if name in (alice, bob)]
        assert both.tip == favoured[0]
        none = View(mine.ledger)
        hear_all(none, order)
        assert none.tip == block_digest(order[0])


def test_a_tie_is_no_more_than_a_tie_for_the_adversary():
    mine, (alice, bob) = rivals("adversary")
    (longer,) = blocks(mine, 1, block_digest(alice), key=ALICE)
    view = View(mine.ledger, favoured=[BOB.public])
    assert hear_all(view, [alice, longer, bob]) == [True, True, False]
    assert view.tip == block_digest(longer)


def test_a_coin_decides_random_ties_by_seed_and_names():
    mine, (first, second) = rivals("random")
    heads = 0
    for i in range(64):
        seed = i.to_bytes(8, "big")
        views = [View(mine.ledger, seed), View(mine.ledger, seed)]
        for view in views:
            hear_all(view, [first, second])
        assert views[0].tip == views[1].tip
        coin = digest("tie", seed, block_digest(first), block_digest(second))[0] & 1
        assert views[0].tip == block_digest(second if coin else first)
        heads += coin
    # 64 fair coins: outside of [16, 48] once in 10⁴.
    assert 16 <= heads <= 48


# ------------------------------------------------------------------ what has to wait


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
def test_orphans_wait_for_their_parents(order):
    mine = Mine()
    made = blocks(mine, 3)
    view = View(fresh(mine))
    moved = hear_all(view, [made[i] for i in order])
    assert moved[-1]
    assert [entry.name for entry in view.chain()] == names(made)
    assert list(view.known) == [mine.root, *names(made)]


def test_a_parent_that_only_others_have_heard_of_is_waited_for():
    mine = Mine()
    made = blocks(mine, 2)
    view = View(mine.ledger)
    assert names(made)[0] in mine.ledger.entries
    assert not view.hear(made[1])
    assert view.tip == mine.root
    assert view.hear(made[0])
    assert view.tip == names(made)[1]


def test_a_bad_orphan_is_not_the_parent_s_fault_and_takes_no_one_with_it():
    mine = Mine()
    first, second = blocks(mine, 2)
    bad = mine.block(block_digest(first), good=False)
    view = View(fresh(mine))
    assert hear_all(view, [bad, second, first]) == [False, False, True]
    assert view.tip == block_digest(second)
    assert block_digest(bad) not in view.known
    with pytest.raises(Rejected, match=r"^accuracy: "):
        view.hear(bad)


def test_a_bad_block_leaves_no_trace():
    mine = Mine()
    bad = mine.block(mine.root, good=False)
    view = View(mine.ledger)
    with pytest.raises(Rejected, match=r"^accuracy: "):
        view.hear(bad)
    assert list(view.known) == [mine.root]
    assert not view.models


def test_a_chain_heard_backwards_may_be_longer_than_the_stack_is_deep(monkeypatch):
    monkeypatch.setattr(ledger, "check_signature", lambda *_: None)
    mine = Mine()
    made, entry = [], mine.ledger.entries[mine.root]
    template = mine.block(mine.root)
    for height in range(1, 1501):
        header = template.header._replace(prev_block=entry.name)
        made.append(template._replace(header=header))
        entry = entry._replace(
            name=block_digest(made[-1]), parent=entry.name, height=height
        )
        entry = entry._replace(weight=float(height))
        # What the ledger would say after judging it.
        mine.ledger.entries[entry.name] = entry
    view = View(mine.ledger)
    assert not any(hear_all(view, made[:0:-1]))
    assert view.hear(made[0])
    assert len(view.chain()) == 1500


def test_a_reference_that_has_not_been_heard_of_is_waited_for():
    mine = Mine()
    model = mine.offer(mine.root)
    referring = mine.mtx(mine.root, model)
    sibling = mine.block(mine.root)
    entry = mine.ledger.add_block(sibling)
    on_it = mine.block(mine.root, mine.model(entry.name))
    view = View(fresh(mine))
    assert hear_all(view, [referring, on_it]) == [False, False]
    assert not view.models
    assert isinstance(model.record, Mtx)
    view.hear(model.record)
    assert list(view.models) == [model.name, mtx_digest(referring)]
    assert view.hear(sibling)
    assert list(view.known) == [mine.root, entry.name, block_digest(on_it)]


def test_an_mtx_waits_until_a_block_brings_what_it_refers_to():
    mine = Mine()
    first = mine.offer(mine.root)
    second = mine.mtx(mine.root, first)
    block = mine.block(mine.root, first)
    assert block.mtxs == (first.record,)
    view = View(fresh(mine))
    assert not view.hear(second)
    assert view.hear(block)
    assert list(view.models) == [first.name, block_digest(block), mtx_digest(second)]


def test_a_block_waits_for_what_its_own_mtxs_need():
    mine = Mine()
    sibling = mine.block(mine.root)
    entry = mine.ledger.add_block(sibling)
    model = mine.offer(mine.root, mine.model(entry.name))
    block = mine.block(mine.root, model)
    view = View(fresh(mine))
    assert not view.hear(block)
    assert view.hear(sibling)
    assert block_digest(block) in view.known


# ------------------------------------------------------------------ models


def test_models_come_from_blocks_mtxs_and_brought_mtxs():
    mine = Mine()
    hidden, public = mine.offer(mine.root), mine.offer(mine.root)
    block = mine.block(mine.root, hidden)
    assert isinstance(public.record, Mtx)
    view = View(mine.ledger)
    assert hear_all(view, [public.record, block]) == [False, True]
    assert list(view.models) == [public.name, hidden.name, block_digest(block)]


def test_only_models_that_the_next_block_may_refer_to_are_offered():
    first, second = task("first", slots=2), task("second")
    mine = Mine(tasks=[first, second], reference_window=0)
    on_genesis = mine.offer(mine.root)
    view = View(mine.ledger)
    assert isinstance(on_genesis.record, Mtx)
    view.hear(on_genesis.record)
    assert view.referable() == [on_genesis]
    (block,) = blocks(mine, 1)
    on_block = mine.offer(block_digest(block))
    assert isinstance(on_block.record, Mtx)
    hear_all(view, [block, on_block.record])
    # Window 0: only what extends the tip itself.
    assert view.referable() == [on_block]
    (last,) = blocks(mine, 1, block_digest(block))
    view.hear(last)
    assert view.referable() == []
    assert len(view.models) == 4


def most_accurate(view: View) -> Published | None:
    # Its choice depends on view, ledger and strategy; the rest makes it a prover.
    me: Any = SimpleNamespace(
        view=view,
        ledger=view.ledger,
        strategy=Honest(),
        name="me",
        key=None,
        others=(),
    )
    return choose_reference("most_accurate", me)


def the_most_accurate(view: View) -> Published:
    found = most_accurate(view)
    assert found is not None
    return found


def test_the_most_accurate_model_is_the_first_heard_of_the_best():
    mine = Mine()
    models = [mine.offer(mine.root, steps=steps) for steps in (5, 40, 10, 60, 20)]
    view = View(mine.ledger)
    assert most_accurate(view) is None
    for model in models:
        assert isinstance(model.record, Mtx)
        view.hear(model.record)
        known = [mine.ledger.published[name] for name in view.models]
        best = max(each.accuracy for each in known)
        first = next(each for each in known if each.accuracy == best)
        assert most_accurate(view) == first
    assert len({model.accuracy for model in models}) > 2


def test_equally_accurate_models_keep_their_order():
    mine = Mine()
    found: dict[int, list[Mtx]] = {}
    while not any(len(each) > 1 for each in found.values()):
        mtx = mine.mtx(mine.root, steps=10)
        found.setdefault(mtx.proof.correct, []).append(mtx)
    twins = next(each for each in found.values() if len(each) > 1)
    for order in itertools.permutations(twins):
        view = View(mine.ledger)
        hear_all(view, order)
        best = the_most_accurate(view)
        assert best.name == mtx_digest(order[0])
        assert best.accuracy == twins[0].proof.correct / EVAL_SAMPLES


def test_a_better_model_out_of_reach_is_not_chosen():
    mine = Mine()
    trunk = blocks(mine, 2)
    fork = mine.block(mine.root, steps=60)
    entry = mine.ledger.add_block(fork)
    better = mine.ledger.add_block(mine.block(entry.name, steps=100)).name
    view = View(mine.ledger)
    hear_all(view, [*trunk, fork])
    on_fork = mine.ledger.published[better].record
    assert isinstance(on_fork, Block)
    view.hear(on_fork)
    assert view.tip == names(trunk)[1]
    best = the_most_accurate(view)
    assert best.name != better
    accuracies = {each: mine.model(each).accuracy for each in view.models}
    del accuracies[better]
    assert best.accuracy == max(accuracies.values())


def test_an_equivocated_block_is_two_blocks():
    """Unbound proofs, gap 1 of docs/science/attacks.md: a fork without work."""
    mine = Mine(binding="none")
    block = mine.block(mine.root)
    header = block.header._replace(miner=BOB.public)
    twin = sign_block(BOB, mine.root, block._replace(header=header))
    one, other = View(mine.ledger), View(mine.ledger)
    hear_all(one, [block, twin])
    hear_all(other, [twin, block])
    assert one.tip != other.tip
