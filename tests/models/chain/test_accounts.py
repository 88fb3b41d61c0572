"""Rewards, accounts and scores of tasks: who is paid what, by which block."""

from dpodl.models.chain.transactions import score, sign_block, transfer

from ..mining_fixtures import (
    ALICE,
    BOB,
    CAROL,
    PUBLISHER,
    Mine,
)
from .test_ledger import REWARD, refused

# ------------------------------------------------------------------ rewards


def test_a_block_on_a_fresh_model_pays_its_miner():
    mine = Mine()
    entry = mine.ledger.add_block(mine.block(mine.root, key=BOB))
    assert entry.rewards == {BOB.public: REWARD}
    assert entry.accounts.balances[BOB.public] == REWARD


def test_rewards_are_split_by_steps_over_all_recursive_references():
    mine = Mine()
    first = mine.offer(mine.root, steps=10, key=BOB)
    second = mine.offer(mine.root, first, steps=5, key=CAROL)
    block = mine.block(mine.root, second, steps=20, key=ALICE)
    entry = mine.ledger.add_block(block)
    # 35 steps; what rounding leaves over is the block's miner's.
    bob, carol = REWARD * 10 // 35, REWARD * 5 // 35
    alice = REWARD - bob - carol
    assert entry.rewards == {
        BOB.public: bob,
        CAROL.public: carol,
        ALICE.public: alice,
    }
    assert REWARD * 20 // 35 <= alice <= REWARD * 20 // 35 + 2
    balances = entry.accounts.balances
    assert balances == {
        ALICE.public: 100 + alice,
        BOB.public: bob,
        CAROL.public: 7 + carol,
    }
    assert mine.model(entry.name).lineage == (second.name, first.name)

    # The next block stands on the first one's model: everybody is paid again.
    after = mine.ledger.add_block(
        mine.block(entry.name, mine.model(entry.name), steps=15, key=BOB)
    )
    alice, carol = REWARD * 20 // 50, REWARD * 5 // 50
    assert after.rewards == {
        ALICE.public: alice,
        CAROL.public: carol,
        BOB.public: REWARD - alice - carol,
    }
    assert mine.model(after.name).lineage == (entry.name, second.name, first.name)


def test_a_miner_s_own_references_are_paid_as_steps_too():
    mine = Mine()
    model = mine.offer(mine.root, steps=30, key=ALICE)
    entry = mine.ledger.add_block(mine.block(mine.root, model, key=ALICE))
    assert entry.rewards == {ALICE.public: REWARD}


# ------------------------------------------------------------------ accounts


def test_accounts_follow_their_own_branch():
    mine = Mine()
    pays = transfer(ALICE, mine.root, 0, BOB.public, 60)
    a = mine.extend(mine.root, transactions=(pays,), key=CAROL)
    b = mine.extend(mine.root, key=CAROL)
    entries = mine.ledger.entries
    assert entries[a].accounts.balances[BOB.public] == 60
    assert entries[a].accounts.balances[ALICE.public] == 40
    assert entries[a].accounts.sequences == {ALICE.public: 1}
    assert BOB.public not in entries[b].accounts.balances
    assert entries[b].accounts.balances[ALICE.public] == 100
    # The same transfer counts on the other branch, but not twice on one.
    again = mine.block(a, transactions=(pays,), key=CAROL)
    refused(mine, again, "transactions", "must have sequence 1, got 0")
    c = mine.extend(b, transactions=(pays,), key=CAROL)
    assert entries[c].accounts.balances[BOB.public] == 60
    assert entries[mine.root].accounts.balances == {ALICE.public: 100, CAROL.public: 7}


def test_a_reward_can_be_spent_in_the_next_block_not_in_its_own():
    mine = Mine()
    spends = transfer(BOB, mine.root, 0, CAROL.public, REWARD)
    too_early = mine.block(mine.root, transactions=(spends,), key=BOB)
    refused(mine, too_early, "transactions", f"spends {REWARD} coins of 0")
    a = mine.extend(mine.root, key=BOB)
    b = mine.extend(a, transactions=(spends,))
    assert mine.ledger.entries[b].accounts.balances[CAROL.public] == 7 + REWARD


def test_transactions_must_be_those_of_the_header():
    mine = Mine()
    pays = transfer(ALICE, mine.root, 0, BOB.public, 60)
    block = mine.block(mine.root, transactions=(pays,))
    without = sign_block(ALICE, mine.root, block._replace(transactions=()))
    refused(mine, without, "transactions", "their root is not the header's")


def test_a_transfer_of_another_chain_is_refused():
    mine = Mine()
    elsewhere = transfer(ALICE, bytes(32), 0, BOB.public, 60)
    block = mine.block(mine.root, transactions=(elsewhere,))
    refused(mine, block, "signature")


def test_a_pool_s_transactions_are_taken_in_their_senders_order():
    mine = Mine()
    pool = [
        transfer(ALICE, mine.root, 1, BOB.public, 50),
        transfer(ALICE, mine.root, 0, BOB.public, 50),
        transfer(ALICE, mine.root, 2, BOB.public, 1),  # nothing is left
        transfer(CAROL, mine.root, 1, BOB.public, 1),  # 0 is missing
        transfer(CAROL, bytes(32), 0, BOB.public, 1),  # of another chain
        score(PUBLISHER, mine.root, 0, bytes(32), 1, 2),  # of no block
    ]
    chosen = mine.ledger.admissible(mine.root, pool)
    assert chosen == (pool[1], pool[0])
    assert mine.ledger.add_block(mine.block(mine.root, transactions=chosen)).height == 1
