"""Chains mined from a config under a rule for T_2: kept, verified, the same again."""

from itertools import pairwise

import pytest
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.mining import miner, reality, verifying
from dpodl.experiments.mining.reading import read_chain
from dpodl.experiments.mining.store import ChainError
from dpodl.experiments.questions.worlds import require_equal_provers
from dpodl.experiments.world import translation
from dpodl.models.chain.retarget import Rule, advance, begin

from ..mining_settings import SETTINGS

RETARGET = (
    "protocol.retarget={rule = 'asert', interval = 50, blocks = 3, share = 0.25}",
    "mining.blocks=8",
    "mining.changes=[{at = 100, provers = 2, speed = 0}, "
    "{at = 1500, provers = 2, speed = 2}]",
)


def config(*settings: str):
    return load_config("mining", [*SETTINGS, *RETARGET, *settings])


@pytest.fixture(scope="module")
def mined(tmp_path_factory) -> miner.MiningResult:
    root = tmp_path_factory.mktemp("retarget")
    return miner.mine(config(), root, lambda status: None)


def test_a_mined_chain_follows_its_rule_and_is_verified(mined):
    report = verifying.verify_chain(mined.folder)
    assert report.height == 8
    assert not mined.refusals
    chain = read_chain(mined.folder)
    start = chain.ledger.genesis.parameters.t_2
    rule = Rule("asert", 50, 3, share=1 << 14)
    state, targets = begin(rule, start), [start]
    for entry in chain.entries:
        record = chain.ledger.published[entry.name].record
        assert record.header.time is not None
        state = advance(rule, state, time=record.header.time, steps=record.proof.steps)
        targets.append(state.target)
        assert entry.retarget == state
    assert len(set(targets)) > 4
    # Blocks came late: some met an easier target than the first.
    assert max(targets) > 1.5 * start
    assert (
        "then T_2 follows the chain, asert"
        in verifying.asked_of_blocks(chain.ledger.genesis)[0]
    )
    # By expected interval, with s = ¼: .25 + .75/θ a block.
    weights = [0.0, *(entry.weight for entry in chain.entries)]
    for (before, after), target in zip(pairwise(weights), targets, strict=False):
        expected = 0.25 + 0.75 * start / target
        assert after - before == pytest.approx(expected, rel=1e-3)


def test_it_is_mined_the_same_again(mined, tmp_path):
    again = miner.mine(config(), tmp_path, lambda status: None)
    log = (mined.folder / "chain.log").read_bytes()
    assert (again.folder / "chain.log").read_bytes() == log


def test_who_left_finds_nothing_until_he_is_back(mined):
    chain = read_chain(mined.folder)
    owners = [each.owner for each in chain.ledger.genesis.allocations]
    # The last two of four, who are all honest.
    away = {owners[2], owners[3]}
    found = [chain.ledger.published[entry.name] for entry in chain.entries]
    between = [each.miner for each in found if 200 < chain.times[each.name] < 1500]
    assert between
    assert not away & set(between)


def test_what_does_not_know_it_refuses(mined, tmp_path):
    with pytest.raises(ChainError, match=r"protocol\.retarget must not be set"):
        reality.compare(mined.folder, tmp_path, lambda *_: None)
    with pytest.raises(Refused, match=r"protocol\.retarget \(known: not set, T_2"):
        translation.require_known(config())
    with pytest.raises(Refused, match=r"protocol\.retarget \(known: not set\)"):
        require_equal_provers(config("protocol.s_min=0"), "risk", attacks=None)
    with pytest.raises(ConfigError, match="interval"):
        config("protocol.retarget.interval=0")
