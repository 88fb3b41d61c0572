"""How a reward is split: every rule against fractions, and by hand."""

from fractions import Fraction

import pytest
from dpodl.models.chain.rewards import (
    STEPS,
    Contribution,
    claims,
    share_out,
    step_prices,
)
from dpodl.models.scheme.encoding import EncodingError, decode, encode
from dpodl.models.scheme.formats import PARAMETERS as CODEC
from dpodl.models.scheme.instances import DECAY_UNIT, rule_problems
from dpodl.models.scheme.records import RewardRule
from hypothesis import example, given, settings, strategies as st

from ..mining_fixtures import ALICE, BATCH, BOB, CAROL, PARAMETERS, Mine, task

MINERS = tuple(bytes([n]) * 32 for n in range(4))
HALF = RewardRule("decay", DECAY_UNIT // 2)
PRICES = step_prices({("softmax", BATCH): 1000})


def split(reward: int, *lineage: tuple, rule: RewardRule = STEPS) -> dict[bytes, int]:
    return share_out(rule, reward, [Contribution(*each) for each in lineage])


def expected(rule: RewardRule, lineage: list[Contribution]) -> list[Fraction]:
    """Shares from the rules' formulas, with fractions."""
    claim = {
        "steps": lambda j, each: Fraction(each.steps),
        "equal": lambda j, each: Fraction(1),
        "operations": lambda j, each: Fraction(each.steps * each.operations),
        "own": lambda j, each: Fraction(j == 0),
        "decay": lambda j, each: each.steps * Fraction(rule.decay, DECAY_UNIT) ** j,
    }[rule.family]
    asked = [claim(j, each) for j, each in enumerate(lineage)]
    return [each / sum(asked) for each in asked]


@settings(max_examples=150)
@given(
    family=st.sampled_from(("steps", "equal", "operations", "own", "decay")),
    decay=st.integers(0, DECAY_UNIT),
    reward=st.integers(0, 2**64 - 1),
    lineage=st.lists(
        st.builds(
            Contribution,
            st.sampled_from(MINERS),
            st.integers(1, 2**64 - 1),
            st.integers(1, 2**64 - 1),
        ),
        min_size=1,
        max_size=8,
    ),
)
@example("steps", 0, 1, [Contribution(MINERS[0], 1), Contribution(MINERS[1], 1)])
@example("steps", 0, 2**64 - 1, [Contribution(MINERS[1], 2**64 - 1)] * 8)
def test_every_rule_splits_as_its_formula_says(family, decay, reward, lineage):
    rule = RewardRule(family, decay)
    paid = share_out(rule, reward, lineage)
    assert sum(paid.values()) == reward
    shares = expected(rule, lineage)
    for owner in {each.owner for each in lineage}:
        due = sum(
            reward * share
            for each, share in zip(lineage, shares, strict=True)
            if each.owner == owner
        )
        coins = paid.get(owner, 0)
        # Each model's coin is rounded down, and the block's miner has what is left.
        if owner == lineage[0].owner:
            assert due <= coins < due + len(lineage)
        else:
            assert due - len(lineage) < coins <= due


def test_rewards_by_hand():
    # 1000 coins, S = 50, S_j = 30 and 20: 500, 300 and 200.
    paid = split(1000, (b"m", 50), (b"a", 30), (b"b", 20))
    assert paid == {b"m": 500, b"a": 300, b"b": 200}
    # 10 coins in thirds: 3 and 3 for the referenced, 4 for the miner.
    assert split(10, (b"m", 7), (b"a", 7), (b"b", 7)) == {b"m": 4, b"a": 3, b"b": 3}
    assert split(999, (b"m", 1)) == {b"m": 999}
    paid = split(100, (b"m", 10), (b"m", 20), (b"a", 10), (b"a", 10))
    assert paid == {b"m": 60, b"a": 40}


def test_the_other_rules_by_hand():
    lineage = ((b"m", 40, 1), (b"a", 80, 2), (b"b", 80, 1))
    # 40 : 40 : 20.
    assert split(100, *lineage, rule=HALF) == {b"m": 40, b"a": 40, b"b": 20}
    assert split(100, *lineage, rule=RewardRule("own")) == {b"m": 100}
    # 40 : 160 : 80.
    paid = split(280, *lineage, rule=RewardRule("operations"))
    assert paid == {b"m": 40, b"a": 160, b"b": 80}
    assert split(90, *lineage, rule=RewardRule("equal")) == dict.fromkeys(
        (b"m", b"a", b"b"), 30
    )


def test_a_lineage_has_a_model_and_steps():
    with pytest.raises(ValueError, match="a lineage must have a model"):
        claims(STEPS, [])
    with pytest.raises(ValueError, match="every model steps ≥ 1"):
        claims(STEPS, [Contribution(b"m", 0)])


@pytest.mark.parametrize(
    ("rule", "coins"),
    [
        # Alice 10, Bob 20, Alice 10 steps, the latest first.
        (RewardRule(), (500, 500)),
        (RewardRule("equal"), (667, 333)),
        (RewardRule("own"), (1000, 0)),
        # 10 + 2.5 of 10 + 10 + 2.5.
        (HALF, (556, 444)),
        (RewardRule("operations", prices=PRICES), (500, 500)),
    ],
)
def test_the_ledger_pays_by_the_rule_of_its_genesis(rule, coins):
    mine = Mine(reward_rule=rule, reward=1000, step_rule=False)
    first = mine.extend(mine.root, steps=10, key=ALICE)
    second = mine.extend(
        first, mine.ledger.published[first], steps=20, key=BOB, way="resume"
    )
    third = mine.extend(
        second, mine.ledger.published[second], steps=10, key=ALICE, way="resume"
    )
    lineage = [mine.ledger.published[third], *mine.ledger.lineage(third)]
    assert [each.steps for each in lineage] == [10, 20, 10]
    paid = mine.ledger.entries[third].rewards
    assert (paid[ALICE.public], paid.get(BOB.public, 0)) == coins
    assert CAROL.public not in paid


# ------------------------------------------------------------------ bytes


def test_the_schemes_rule_has_the_bytes_that_chains_have_always_had():
    plain = encode(CODEC, PARAMETERS)
    assert plain[:2] == b"\x03\x01"
    assert decode(CODEC, plain) == PARAMETERS


@pytest.mark.parametrize(
    "rule", [HALF, RewardRule("own"), RewardRule("operations", prices=PRICES)]
)
def test_another_rule_is_told_by_the_version(rule):
    changed = PARAMETERS._replace(reward_rule=rule)
    data = encode(CODEC, changed)
    assert data[:2] == b"\x03\x02"
    assert decode(CODEC, data) == changed
    # Bytes of one version are not read as the other's.
    for wrong in (b"\x03\x01" + data[2:], b"\x03\x02" + encode(CODEC, PARAMETERS)[2:]):
        with pytest.raises(EncodingError):
            decode(CODEC, wrong)


def test_the_default_has_one_encoding():
    written = encode(CODEC, PARAMETERS._replace(reward_rule=HALF))
    plain = encode(CODEC, PARAMETERS)
    body = b"\x03\x02" + plain[2:]
    with pytest.raises(EncodingError, match="must have a field"):
        decode(CODEC, body + b"\x00")
    default = b"\x01" + b"\x17\x01" + b"\x00" + (1 << 15).to_bytes(4, "big") + bytes(4)
    assert len(body + default) == len(written)
    with pytest.raises(EncodingError, match="by leaving it out"):
        decode(CODEC, body + default)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        (RewardRule("decay", DECAY_UNIT + 1), "reward_rule.decay must be from 0"),
        (RewardRule("operations"), "must price every step of the menu, not softmax/32"),
        (RewardRule("operations", prices=PRICES * 2), "got one twice"),
        (
            RewardRule("operations", prices=step_prices({("softmax", BATCH): 0})),
            "operations must be ≥ 1",
        ),
    ],
)
def test_a_rule_that_leaves_a_reward_undefined_is_no_genesis(rule, says):
    found = "; ".join(rule_problems(PARAMETERS._replace(reward_rule=rule), task()))
    assert says in found
