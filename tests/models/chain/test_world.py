"""The virtual clock: what takes how long, who hears what when, and what comes of it."""

import itertools

import numpy as np
import pytest
from dpodl.models.chain.ledger import Ledger
from dpodl.models.chain.strategies.base import Honest, Letter
from dpodl.models.chain.transactions import Key, transfer, tx_root
from dpodl.models.chain.view import View
from dpodl.models.chain.world import Clock, Publisher, World
from dpodl.models.learning.chunk_program import Bucket
from dpodl.models.scheme.encoding import digest, encode
from dpodl.models.scheme.formats import BLOCK, mtx_digest
from dpodl.models.scheme.records import Header, Weight
from dpodl.models.scheme.scheme import solve, weight
from dpodl.models.scheme.states import count_correct
from scipy import stats

from ..worlds import (
    ALWAYS,
    BATCH,
    BUILD,
    EVAL_SAMPLES,
    HASHES_PER_STEP,
    HORIZON,
    LOOK,
    PUBLISHER,
    T_ACC,
    block_of,
    key_of,
    menu_of,
    mnist,
    model_of,
    one_in,
    seed_of,
    task,
    tell,
    world,
)

FALSE_ALARM = 1e-4
HASH = 1 / HASHES_PER_STEP


class Whisper(Honest):
    """Tells only the first of the others what it finds."""

    adversarial = True

    def found(self, me, record):
        return [Letter(record, me.others[:1])]


class Rushing(Honest):
    """Follows the protocol on better lines than the others."""

    adversarial = True


def blocks_of(story) -> list[bytes]:
    return [encode(BLOCK, each.record) for each in story.chain]


@pytest.mark.parametrize("retry", ["continue", "restart"])
@pytest.mark.parametrize("horizon", [HORIZON, 40])
def test_a_lone_prover_is_solve(retry, horizon):
    """Block by block the bytes of Solve, at the time of its hashes and steps."""
    rules = {"t_2": one_in(3), "horizon_steps": horizon}
    story = tell(world([Honest(retry=retry)], **rules), height=4)
    ledger = story.world.ledger
    prefix = digest("prover/nonce", digest("prover/seed", seed_of(0)), b"")[:8]
    nonces = (prefix + each.to_bytes(8, "big") for each in itertools.count())
    parent, now = ledger.name, 0.0
    for block, found in zip(story.chain, story.of("block"), strict=True):
        header = Header(parent, key_of(0), tx_root(()))
        solution = solve(
            ledger.instance(parent), header, None, None, nonces=nonces, retry=retry
        )
        assert block.record.header == header
        assert block.record.proof == solution.proof
        now += solution.tries * HASH + solution.trained_steps
        assert found.time == pytest.approx(now)
        parent = block.name


def test_half_the_time_at_double_speed():
    slow, fast = (
        tell(world([Honest()], speeds=[speed], t_1=one_in(50)), height=3)
        for speed in (1.0, 2.0)
    )
    assert blocks_of(fast) == blocks_of(slow)
    for theirs, ours in zip(slow.happened, fast.happened, strict=True):
        assert ours.what == theirs.what
        assert ours.time == pytest.approx(theirs.time / 2)


def test_hashes_take_their_time():
    story = tell(world([Honest()], t_1=one_in(50)), height=4)
    now = 0.0
    for block, found in zip(story.chain, story.of("block"), strict=True):
        assert found.time - now == pytest.approx(found.tries * HASH + block.steps)
        now = found.time
    assert sum(found.tries for found in story.of("block")) > 4


def test_steps_take_what_their_settings_cost():
    costs = {Bucket("softmax", BATCH): 2.0, Bucket("softmax", 2 * BATCH): 3.5}
    tasks = [task(menu=menu_of(batch_sizes=(BATCH, 2 * BATCH)))]
    story = tell(
        world([Honest()], tasks=tasks, clock=Clock(HASHES_PER_STEP, costs)), height=8
    )
    now, seen = 0.0, set()
    for block, found in zip(story.chain, story.of("block"), strict=True):
        hpp = model_of(block).hpp
        cost = costs[Bucket(hpp.architecture, hpp.batch_size)]
        assert found.time - now == pytest.approx(
            found.tries * HASH + block.steps * cost
        )
        now = found.time
        seen.add(hpp.batch_size)
    assert len(seen) == 2


def test_steps_cost_one_where_nothing_is_said():
    costs = {Bucket("mlp-8", BATCH): 99.0}
    told = [
        tell(world([Honest()], clock=Clock(HASHES_PER_STEP, each)), height=2)
        for each in (costs, {})
    ]
    assert told[0].happened == told[1].happened


def delays(story, receiver: str) -> list[float]:
    """From a block to the moment a prover goes over to it."""
    found = {each.name: each for each in story.of("block")}
    return [
        tip.time - found[tip.name].time
        for tip in story.of("tip", receiver)
        if found[tip.name].who != receiver
    ]


def test_honest_messages_take_the_whole_delay():
    story = tell(world([Honest()] * 3, delay=7.5), height=6)
    for name in story.world.provers:
        assert delays(story, name) == pytest.approx([7.5] * len(delays(story, name)))
    assert sum(len(delays(story, name)) for name in story.world.provers) >= 6


def test_random_delays_are_uniform_up_to_the_bound():
    # A prover too slow to mine only listens: no arrival of its is lost to a fork.
    told = tell(
        world(
            [Honest(), *[Honest()] * 5],
            speeds=[1.0, *[1e-6] * 5],
            delay=8.0,
            delay_model="random",
        ),
        height=30,
    )
    found = np.concatenate([delays(told, f"p{place}") for place in range(1, 6)])
    assert len(found) >= 145
    assert (found >= 0).all()
    assert (found <= 8.0).all()
    assert stats.kstest(found, stats.uniform(0, 8.0).cdf).pvalue > FALSE_ALARM


def test_a_rushing_adversary_hears_and_is_heard_at_once():
    story = tell(world([Honest(), Honest(), Rushing()], delay=5.0), height=8)
    names = {block.name: block.miner for block in story.chain}
    assert delays(story, "p2") == [0.0] * len(delays(story, "p2"))
    found = {each.name: each for each in story.of("block")}
    theirs = [
        tip.time - found[tip.name].time
        for tip in story.of("tip", "p0")
        if names.get(tip.name) == key_of(2)
    ]
    assert theirs
    assert theirs == [0.0] * len(theirs)


def test_what_some_are_told_all_know_a_delay_later():
    story = tell(world([Honest(), Honest(), Whisper()], delay=5.0), height=8)
    whispered = [each.name for each in story.of("block", "p2")]
    heard = {
        who: {each.name: each.time for each in story.of("tip", who)}
        for who in ("p0", "p1")
    }
    both = [name for name in whispered if name in heard["p0"] and name in heard["p1"]]
    assert both
    for name in both:
        assert heard["p1"][name] == pytest.approx(heard["p0"][name] + 5.0)
    tips = {prover.view.chain()[5].name for prover in story.world.provers.values()}
    assert len(tips) == 1


def test_looks_come_before_the_messages_of_their_moment():
    # Every pre-hash passes, and Δ is a look: all times agree modulo a hash.
    rules = {"t_1": ALWAYS, "clock": Clock(1e9)}
    story = tell(world([Honest()] * 3, delay=float(LOOK), **rules), height=8)
    places = {}
    for place, each in enumerate(story.happened):
        if each.what in ("look", "tip"):
            moment = (each.who, round(each.time, 3))
            places.setdefault(moment, {}).setdefault(each.what, place)
    both = [each for each in places.values() if len(each) == 2]
    assert len(both) > 5
    assert all(each["look"] < each["tip"] for each in both)


@pytest.mark.parametrize("horizon", [HORIZON, 20])
def test_training_goes_on_until_the_tip_changes(horizon):
    """Every look follows from the last: Δ, mtxs and lost ties restart nobody."""
    story = tell(
        world([Honest()] * 3, t_1=ALWAYS, delay=3.0, horizon_steps=horizon), height=8
    )
    due = dict.fromkeys(story.world.provers, HASH + LOOK)
    steps = dict.fromkeys(story.world.provers, 0)
    restarts = 0
    for each in story.happened:
        if each.what == "look":
            assert each.time == pytest.approx(due[each.who])
            steps[each.who] += LOOK
            anew = steps[each.who] == horizon
            restarts += anew
            due[each.who] = each.time + LOOK + HASH * anew
            steps[each.who] *= not anew
        # A block that loses a tie against another one still ends its training.
        if each.what in ("tip", "block"):
            due[each.who] = each.time + HASH + LOOK
            steps[each.who] = 0
    assert story.of("mtx")
    assert (restarts > 0) == (horizon == 20)


def test_nobody_trains_beyond_the_horizon():
    """Not for more steps than a proof may have either, which nobody would accept."""
    small = world([Honest()], s_min=50, horizon_steps=40, t_1=ALWAYS)
    happened = list(itertools.islice(small.run(), 60))
    assert {each.what for each in happened} <= {"look", "mtx"}
    looks = [each.time for each in happened if each.what == "look"]
    gaps = np.diff(looks)
    assert gaps[3::4] == pytest.approx(np.full(len(gaps[3::4]), LOOK + HASH))


def test_the_same_seeds_give_the_same_bytes():
    def told(seed):
        provers = [Honest("most_accurate"), Honest(), Rushing("latest_mtx")]
        here = world(
            provers, seed=seed, delay=6.0, delay_model="random", depth=1, t_2=one_in(2)
        )
        return tell(here, height=8)

    first, second, other = told(0), told(0), told(1)
    assert first.happened == second.happened
    assert blocks_of(first) == blocks_of(second)
    assert not set(blocks_of(first)) & set(blocks_of(other))


def test_a_world_goes_on_where_it_was_left():
    whole = list(itertools.islice(world([Honest()] * 2, delay=3.0).run(), 60))
    here = world([Honest()] * 2, delay=3.0)
    pieces = [next(here.run()) for _ in range(60)]
    assert pieces == whole


def test_without_an_adversary_nothing_is_refused():
    """... and a verifier of everything, who was not there, agrees."""
    honest = [Honest("tip_model"), Honest("most_accurate", way="transplant"), Honest()]
    story = tell(world(honest, delay=2.0))
    here = story.world
    assert not story.of("refused")
    fresh = Ledger(
        here.ledger.genesis, [mnist()[0]], here.archive, BUILD, challenges=1000
    )
    late = View(fresh)
    for block in story.chain:
        late.hear(block.record)
    assert late.tip == here.provers["p0"].view.tip
    chains = [prover.view.chain()[:5] for prover in here.provers.values()]
    assert all(chain == chains[0] for chain in chains)


@pytest.mark.parametrize("binding", ["none", "header"])
def test_transactions_get_into_blocks(binding):
    here = world([Honest()] * 2, binding=binding, delay=1.0)
    payer = Key(bytes(32))
    sent = [transfer(payer, here.ledger.name, i, key_of(0), 0) for i in range(2)]
    for each in reversed(sent):
        here.submit(each)
    chain = tell(here, height=3).chain
    brought = [block_of(block).transactions for block in chain]
    # A header that h_1 covers was made before they arrived.
    place = 1 if binding == "header" else 0
    assert brought[place] == tuple(sent)
    assert sum(map(len, brought)) == 2


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_publisher_scores_what_is_buried(depth):
    story = tell(world([Honest()] * 2, depth=depth, delay=1.0), height=8)
    ledger, test = story.world.ledger, mnist()[1]
    heights = {block.name: place for place, block in enumerate(story.chain)}
    scored = {}
    for place, block in enumerate(story.chain):
        for each in block_of(block).transactions:
            assert each.score is not None
            name, correct, samples = each.score
            assert each.sender == PUBLISHER.public
            assert correct == count_correct(model_of(ledger.published[name]), test)
            assert samples == 500
            # It knows of depth blocks on top before it speaks: the next one brings it.
            assert place > heights[name] + depth
            scored[name] = correct / samples
    assert len(scored) >= 8 - depth - 3
    tip = story.world.provers["p0"].view.tip
    assert ledger.entries[tip].scores == scored


@pytest.mark.parametrize(("r_task", "moves"), [(0.3, True), (1.0, False)])
def test_a_score_above_r_task_moves_the_task_on(r_task, moves):
    tasks = [task(name=name, r_task=r_task) for name in ("one", "two")]
    story = tell(world([Honest()] * 2, tasks=tasks, depth=1, delay=1.0), height=7)
    ledger = story.world.ledger
    on = [ledger.entries[block.name].task for block in story.chain]
    first = next(
        place for place, block in enumerate(story.chain) if block_of(block).transactions
    )
    assert on == [int(moves and place >= first) for place in range(len(on))]
    # A task's models are worth nothing for the next one.
    assert [block.task for block in story.chain] == [0, *on[:-1]]


def test_a_task_ends_with_its_slots():
    tasks = [task(name=name, slots=2) for name in ("one", "two", "three")]
    story = tell(world([Honest("tip_model")] * 2, tasks=tasks, delay=1.0), height=7)
    assert [block.task for block in story.chain[:7]] == [0, 0, 1, 1, 2, 2, 2]
    fresh = [block.record.proof.reference is None for block in story.chain[:6]]
    assert fresh == [True, False] * 3


@pytest.mark.parametrize("family", ["linear", "exponential", "indicator"])
def test_the_heaviest_chain_is_selected(family):
    """R ≡ 1: a look is a block, whatever its accuracy; what it weighs is another."""
    rule = Weight(family, 8.0 if family == "exponential" else 0.0)
    policy = "most_accurate" if family == "indicator" else "fresh"
    here = world(
        [Honest(policy)] * 3,
        chain_rule="weight",
        weight=rule,
        delay=4.0,
        step_rule=False,
    )
    story = tell(here, height=8)
    assert not story.of("mtx")
    assert not story.of("refused")
    entries, total = here.ledger.entries, 0.0
    for block in story.chain:
        total += weight(block.accuracy, T_ACC, rule)
        assert entries[block.name].weight == pytest.approx(total)
    view = here.provers["p0"].view
    assert entries[view.tip].weight == max(entries[name].weight for name in view.known)
    low = [each.accuracy for each in story.of("block") if each.accuracy < T_ACC]
    assert low
    if family == "indicator":
        assert all(block.accuracy >= T_ACC for block in story.chain)


def switches(rule: str) -> list[tuple[bool, bool]]:
    """Tips exchanged for ones of equal height: whether each was p0's own block."""
    here = world([Honest()] * 3, tie_rule=rule, favoured=[0], delay=12.0, t_1=ALWAYS)
    story = tell(here, height=10)
    entries, published = here.ledger.entries, here.ledger.published
    tips = dict.fromkeys(here.provers, here.ledger.name)
    found = []
    for each in story.of("tip"):
        old, new = tips[each.who], each.name
        if entries[old].height == entries[new].height:
            miners = published[old].miner, published[new].miner
            found.append((miners[0] == key_of(0), miners[1] == key_of(0)))
        tips[each.who] = new
    assert len(story.of("block")) > 10
    return found


def test_ties_go_to_whom_the_rule_says():
    assert switches("first_seen") == []
    favoured = switches("adversary")
    assert favoured
    assert set(favoured) == {(False, True)}
    drawn = switches("random")
    assert len(drawn) > 3
    assert set(drawn) != {(False, True)}


@pytest.mark.parametrize("policy", ["tip_model", "latest_mtx", "most_accurate"])
def test_policies_reference_what_they_say(policy):
    story = tell(world([Honest(policy)], t_2=one_in(2), step_rule=False), height=6)
    heard = {each.name: each.accuracy for each in story.happened if each.name}
    parent, seen, brought = story.world.ledger.name, [], set()
    for block in story.chain:
        reference = block.record.proof.reference
        if policy == "tip_model" and seen:
            assert reference is not None
            assert reference.digest == parent
            assert reference.kind == "block"
        if policy == "most_accurate" and seen:
            assert reference is not None
            best = max(heard[name] for name in seen)
            assert heard[reference.digest] == best
        if policy == "latest_mtx" and reference is not None:
            assert reference.kind == "mtx"
            assert reference.digest in brought | set(
                map(mtx_digest, block_of(block).mtxs)
            )
        brought |= set(map(mtx_digest, block_of(block).mtxs))
        seen.append(block.name)
        parent = block.name
    used = [block.record.proof.reference is not None for block in story.chain]
    assert sum(used) >= 1


def test_the_protocols_rule_never_asks_for_more_than_a_proof_may_have():
    """The step rule charges for each block a model is old: debts grow, not for ever."""
    story = tell(world([Honest("most_accurate")], horizon_steps=200), height=25)
    assert not story.of("refused")
    assert max(block.steps for block in story.chain) <= 200


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delay": -1.0}, "delay"),
        ({"delay": float("nan")}, "delay"),
        ({"clock": Clock(0.0)}, "hashes_per_step"),
        ({"speeds": [0.0]}, "speed"),
    ],
)
def test_impossible_worlds_are_not_built(change, message):
    with pytest.raises(ValueError, match=message):
        world([Honest()], **change)


def test_names_differ():
    here = world([Honest()])
    twice = [here.provers["p0"]] * 2
    with pytest.raises(ValueError, match="names must differ"):
        World(here.ledger, here.archive, twice, clock=Clock(1.0), delay=0.0)


def test_a_publisher_without_blocks_says_nothing():
    here = world([Honest()], depth=0)
    assert here._publisher == Publisher(PUBLISHER, (mnist()[1],), 0)
    assert next(here.run()).what == "look"
    assert here.provers["p0"].pool == {}


def test_accuracies_are_shares_of_the_evaluation_sample():
    story = tell(world([Honest()]), height=2)
    for each in story.of("look"):
        assert (each.accuracy * EVAL_SAMPLES) == pytest.approx(
            round(each.accuracy * EVAL_SAMPLES)
        )
