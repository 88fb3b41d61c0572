"""What the step rule leaves to chains of references, on the real ledger.

The arithmetic of ``analysis.warm_attacks``: every block here is a real proof that the
ledger accepted under the step rule and the reference rule.
"""

import pytest
from dpodl.models.chain.transactions import sign_block, tx_root
from dpodl.models.scheme.checkpoints import (
    Rejected,
    challenge_seed,
    checkpoint,
    checkpoint_root,
    draw_challenges,
    segment_count,
)
from dpodl.models.scheme.records import Header, Proof
from dpodl.models.scheme.scheme import advance, initialize, prehash, setup
from dpodl.models.scheme.states import Look, model_digest
from dpodl.models.scheme.verification import verify

from ..mining_fixtures import (
    ALICE,
    BOB,
    BUILD,
    LOOK,
    PARAMETERS,
    SEGMENT,
    MemoryArchive,
    Mine,
    counting,
    mnist,
    refer,
    task,
)

RULES = {"step_rule": True, "reference_window": 1}


def test_a_relay_pays_for_one_block_in_two():
    # S_m = 40, S_min = 10: neighbours need 50 steps together, not 50 each.
    mine = Mine(s_min=10, **RULES)
    fork = mine.extend(mine.root, steps=40)
    tip = mine.extend(fork, steps=30)
    shown = [30]
    for _ in range(4):
        reference = mine.model(tip)
        debt = mine.ledger.step_debt(tip, refer(reference))
        assert debt == 40 + 10 - shown[-1]
        tip = mine.extend(tip, reference, steps=debt)
        shown.append(debt)
    assert shown == [30, 20, 30, 20, 30]


def test_one_mtx_in_the_lineage_pays_for_every_later_block():
    mine = Mine(s_min=10, **RULES)
    fork = mine.extend(mine.root, steps=40)
    surplus = mine.offer(fork, steps=50)
    tip = mine.extend(fork, surplus, steps=LOOK)
    for _ in range(4):
        reference = mine.model(tip)
        assert mine.ledger.step_debt(tip, refer(reference)) == 1
        tip = mine.extend(tip, reference, steps=LOOK)


def test_a_chain_from_the_genesis_owes_nothing():
    # S_0 = 0, and with S_min = 0 every continued block is one look.
    mine = Mine(s_min=0, **RULES)
    tip = mine.extend(mine.root, steps=LOOK)
    for _ in range(3):
        reference = mine.model(tip)
        assert mine.ledger.step_debt(tip, refer(reference)) == 1
        tip = mine.extend(tip, reference, steps=LOOK)


def test_a_model_of_the_future_owes_no_more_than_its_own_steps():
    # Cross-slot (b) without the reference rule: D = S_m + S_min − S_n − S'.
    mine = Mine(s_min=10, step_rule=True, reference_window=None)
    fork = mine.extend(mine.root, steps=20)
    later = mine.extend(mine.extend(fork, steps=20), steps=60)
    future = mine.model(later)
    assert mine.ledger.step_debt(fork, refer(future)) == 1
    tip = mine.extend(fork, future, steps=LOOK)
    for _ in range(2):
        reference = mine.model(tip)
        assert mine.ledger.step_debt(tip, refer(reference)) == 1
        tip = mine.extend(tip, reference, steps=LOOK)


def test_a_stolen_proof_fits_only_where_honest_provers_mine():
    # Unbound, a block has twins for nothing; but h_1 names its parent, miner and all,
    # so the proof of a child of one twin is no proof for a child of the other.
    mine = Mine(s_min=0, binding="none", **RULES)
    original = mine.block(mine.root)
    header = original.header._replace(miner=BOB.public)
    twin = sign_block(BOB, mine.root, original._replace(header=header))
    first, second = (mine.ledger.add_block(each).name for each in (original, twin))
    assert first != second
    child = mine.block(first)
    mine.ledger.add_block(child)
    header = child.header._replace(miner=BOB.public, prev_block=second)
    with pytest.raises(Rejected):
        mine.ledger.add_block(sign_block(BOB, mine.root, child._replace(header=header)))


def test_a_forger_re_rolls_its_root_without_training():
    # One forged segment, two honest ones, q = 2: a challenge passes once in three, and
    # another claimed accuracy of the forged leaf is another draw.
    parameters = PARAMETERS._replace(challenges=2, s_min=0)
    instance = setup(parameters, task(), mnist(), BUILD)
    header = Header(bytes(32), ALICE.public, tx_root(()))
    bound = header.miner + header.tx_root
    nonces = counting()
    while True:
        passed = prehash(parameters.t_1, bytes(32), None, nonces=nonces, bound=bound)
        start = initialize(instance, passed.h_1, None, None)
        # Steps that are never claimed stand for a stolen model.
        stolen = start
        for _ in range(20):
            stolen = advance(instance, stolen)
        forged = stolen.now._replace(steps=SEGMENT)
        training = start._replace(now=forged, checkpoints=(forged,))
        while training.now.steps < 3 * SEGMENT:
            training = advance(instance, training)
        if training.now.correct >= 0.6 * parameters.eval_samples:
            break

    def claim(correct: int) -> tuple[Proof, tuple[Look, ...]]:
        looks = (forged._replace(correct=correct), *training.checkpoints[1:])
        root = checkpoint_root(tuple(map(checkpoint, looks)))
        now, model = training.now, model_digest(training.model)
        return Proof(None, passed.nonce, model, now.correct, now.steps, root), looks

    def challenged(proof: Proof) -> tuple[int, ...]:
        segments = segment_count(parameters, proof.steps)
        assert segments == 3
        return draw_challenges(challenge_seed(header, proof), segments, 2)

    # (2/3)^40 = 1e-7.
    proof, looks = next(
        made for made in map(claim, range(40)) if 0 not in challenged(made[0])
    )
    archive = MemoryArchive()
    archive.keep(proof, looks)
    accepted = verify(instance, header, proof, None, archive, here=BUILD)
    assert accepted.rerun == (1, 2)
