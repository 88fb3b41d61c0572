"""Chains whose T_2 follows them: real proofs, judged by the rule and by hand."""

# pyright: reportOptionalMemberAccess=false, reportOptionalOperand=false
# pyright: reportArgumentType=false
import itertools
import math
import random

import pytest
from dpodl.models.chain.prover import prover_key
from dpodl.models.chain.retarget import Rule, advance, begin, median_time_past
from dpodl.models.chain.strategies.base import Honest
from dpodl.models.chain.transactions import sign_block, tx_root
from dpodl.models.scheme.checkpoints import Rejected
from dpodl.models.scheme.encoding import EncodingError, decode, encode
from dpodl.models.scheme.formats import HEADER, PARAMETERS
from dpodl.models.scheme.records import Block, Header, Retarget
from dpodl.models.scheme.scheme import posthash, solve

from ...worlds import (
    ALWAYS,
    PARAMETERS as PLAIN,
    key_of,
    one_in,
    seed_of,
    task,
    tell,
    world,
)

# Blocks of these worlds take some 20 steps and are to take 400.
SLOWER = Retarget("asert", 400, 4)


def story_of(retarget, height=7, provers=1, **options):
    found = world([Honest()] * provers, retarget=retarget, **options)
    return tell(found, height=height)


@pytest.mark.parametrize("name", ["asert", "wtema", "steps", "epoch_mended", "lwma"])
def test_every_block_met_the_target_of_its_place(name):
    retarget = SLOWER._replace(rule=name, selection="interval")
    story = story_of(retarget, delay=3.0, provers=2)
    ledger = story.world.ledger
    rule = Rule(name, 400, 4)
    state, times, targets = begin(rule, ALWAYS), [0], []
    for published in story.chain:
        header, proof = published.record.header, published.record.proof
        assert header.time > median_time_past(times)
        assert posthash(state.target, proof.model, proof.correct, proof.steps)[1]
        times.append(header.time)
        targets.append(state.target)
        state = advance(rule, state, time=header.time, steps=proof.steps)
        assert ledger.entries[published.name].retarget == state
    # Blocks came too fast: the last ones had to win a lottery.
    assert targets[0] == ALWAYS
    assert targets[-1] < ALWAYS // 2


def test_a_timestamp_is_when_the_work_began():
    story = story_of(SLOWER, delay=0.0)
    found = story.of("block")
    begun = [0, *(math.floor(each.time) for each in found)]
    for published, before in zip(story.chain, begun, strict=False):
        # After the median, which a chain of the first moments may be behind.
        assert published.record.header.time == pytest.approx(before, abs=1.5)


def block_on(story, *, time, target=None, above=None):
    """A block of the first prover on its tip, by a T_2 of one's own."""
    ledger, me = story.world.ledger, story.world.provers["p0"]
    parent = me.view.tip
    header = Header(parent, key_of(0), tx_root(()), time)
    instance = ledger.instance(parent)
    rules = instance.parameters._replace(t_2=ALWAYS if target is None else target)
    nonces = (n.to_bytes(16, "big") for n in itertools.count(1 << 100))
    while True:
        done = solve(
            instance._replace(parameters=rules), header, None, None, nonces=nonces
        )
        if above is None or int.from_bytes(done.h_2, "big") > above:
            break
    story.world.archive.put(done.proof.cp_root, done.looks)
    block = Block(header, done.proof, (), (), bytes(64))
    return sign_block(prover_key(seed_of(0)), ledger.name, block)


def refused(story, block, rule, words):
    with pytest.raises(Rejected) as caught:
        story.world.ledger.add_block(block)
    assert caught.value.rule == rule
    assert words in str(caught.value)


def test_a_block_of_the_first_target_is_refused_later():
    story = story_of(SLOWER)
    tip = story.world.provers["p0"].view.tip
    ledger = story.world.ledger
    target = ledger.parameters_at(tip).t_2
    time = ledger.next_time(tip, story.world.now)
    refused(story, block_on(story, time=time, above=target), "post-hash", "above T_2")
    good = block_on(story, time=time, target=target)
    assert ledger.add_block(good).height == 8
    # Its timestamp is part of what was hashed.
    other = good._replace(header=good.header._replace(time=time + 1))
    key = prover_key(seed_of(0))
    refused(story, sign_block(key, ledger.name, other), "pre-hash", "above T_1")


def test_times_are_there_where_a_rule_reads_them_and_nowhere_else():
    story = story_of(SLOWER, height=3)
    target = story.world.ledger.parameters_at(story.world.provers["p0"].view.tip).t_2
    refused(story, block_on(story, time=None, target=target), "time", "needs a time")
    late = block_on(story, time=0, target=target)
    refused(story, late, "time", "the median of the last blocks")
    plain = tell(world([Honest()]), height=2)
    assert all(each.record.header.time is None for each in plain.chain)
    refused(plain, block_on(plain, time=5), "time", "others have none")


def test_without_a_rule_bytes_are_those_of_before():
    header = Header(bytes(32), bytes(32), bytes(32))
    assert encode(HEADER, header)[:2] == bytes((16, 1))
    timed = header._replace(time=7)
    assert encode(HEADER, timed)[:2] == bytes((16, 2))
    assert decode(HEADER, encode(HEADER, timed)) == timed
    assert encode(PARAMETERS, PLAIN)[1] == 1
    grown = PLAIN._replace(retarget=SLOWER)
    assert decode(PARAMETERS, encode(PARAMETERS, grown)) == grown
    empty = bytes((16, 2)) + bytes(96) + b"\0"
    with pytest.raises(EncodingError, match="must have a field that version 1"):
        decode(HEADER, empty)


def test_harder_blocks_weigh_more_by_work_and_by_interval():
    for selection in ("number", "work", "interval"):
        story = story_of(SLOWER._replace(selection=selection, share=1 << 15))
        entries = [story.world.ledger.entries[each.name] for each in story.chain]
        met = [ALWAYS, *(each.retarget.target for each in entries)]
        weights = [0.0, *(each.weight for each in entries)]
        for (before, after), target in zip(
            itertools.pairwise(weights), met, strict=False
        ):
            worth = {"number": 1.0, "work": ALWAYS / target}
            worth["interval"] = 0.5 + 0.5 * ALWAYS / target
            assert after - before == pytest.approx(worth[selection], rel=1e-3)
        assert met[-1] < ALWAYS // 2


def test_a_bad_rule_begins_no_chain():
    with pytest.raises(ValueError, match="retarget: interval must be from 1"):
        world([Honest()], retarget=SLOWER._replace(interval=0))


def test_provers_leave_come_back_and_change_their_speed():
    found = world([Honest(), Honest()], t_2=one_in(4))
    found.change(0.0, "p1", 0.0)
    found.change(2000.0, "p1", 3.0)
    story = tell(found, height=60)
    when = {each.name: each.time for each in story.of("block")}
    names = {key_of(0): "p0", key_of(1): "p1"}
    early = [names[b.miner] for b in story.chain if when[b.name] < 2000]
    late = [names[b.miner] for b in story.chain if when[b.name] > 2100]
    assert len(early) > 5
    assert set(early) == {"p0"}
    assert late.count("p1") > late.count("p0")
    with pytest.raises(ValueError, match="speed must be ≥ 0"):
        found.change(1e9, "p1", -1.0)


def test_a_switch_of_tasks_keeps_the_rules_state():
    tasks = [task(slots=4), task(0.6, name="easier")]
    story = story_of(SLOWER, height=6, tasks=tasks)
    entries = story.world.ledger.entries
    states = [entries[each.name].retarget for each in story.chain]
    assert [state.height for state in states] == [1, 2, 3, 4, 5, 6]
    assert {each.task for each in story.chain} == {0, 1}


def test_a_shuffled_log_gives_the_same_targets():
    """Targets are a function of a block's ancestors, not of what came when."""
    story = story_of(SLOWER, provers=3, delay=30.0, height=6)
    ledger = story.world.ledger
    other = world([Honest()] * 3, retarget=SLOWER, delay=30.0).ledger
    other._archive = ledger._archive
    waiting = [each.record for each in story.of_blocks()]
    random.Random(3).shuffle(waiting)
    while waiting:
        for record in list(waiting):
            if record.header.prev_block in other.entries:
                other.add_block(record)
                waiting.remove(record)
    states = {name: entry.retarget for name, entry in ledger.entries.items()}
    assert {name: entry.retarget for name, entry in other.entries.items()} == states


def test_an_easier_target_lets_more_pass():
    """Blocks come too late: the target rises, and what passed it is accepted."""
    quick = Retarget("asert", 30, 3)
    story = story_of(quick, provers=2, delay=5.0, height=10, t_2=one_in(8))
    ledger = story.world.ledger
    assert not story.of("refused")
    last = [ledger.entries[each.name].retarget.target for each in story.chain]
    assert max(last) > 4 * one_in(8)
    above = [
        each.record.proof
        for each in story.chain
        if not posthash(
            one_in(8),
            each.record.proof.model,
            each.record.proof.correct,
            each.record.proof.steps,
        )[1]
    ]
    assert above
