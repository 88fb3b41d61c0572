"""An attack of a user's own, in fewer than thirty lines, goes through every command."""

import sys

import pytest
from dpodl.analysis.attacks.own_attack import OwnAttack, Party, attacked
from dpodl.analysis.block_time.law import exponential, mean
from dpodl.analysis.estimation.estimate import Refused
from dpodl.experiments.config.loading import load_config
from dpodl.experiments.config.section import ConfigError
from dpodl.experiments.own.evidence import load_part, part_digest
from dpodl.experiments.pipeline import training
from dpodl.experiments.questions.worlds import require_equal_provers
from dpodl.experiments.world.situation import world_law
from dpodl.experiments.world.translation import network_of

ATTACK = '''
"""Corrupted provers start from a stolen model: half of an honest prover's time."""

from dpodl.analysis.attacks.own_attack import Party
from dpodl.analysis.block_time.law import BlockTimeLaw


def stolen(honest: BlockTimeLaw, party: Party) -> BlockTimeLaw:
    return honest._replace(
        spacing=honest.spacing / 2,
        tail_hazard=2 * honest.tail_hazard,
        offset=max(honest.offset / 2, party.s_min),
    )


def broken(honest, party):
    return honest._replace(cumulative_hazard=-honest.cumulative_hazard)


def none(honest, party):
    return None
'''


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A config whose attack stands in the user's folder."""
    (tmp_path / "my_attack.py").write_text(ATTACK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_attack", raising=False)

    def config(name="stolen", *more):
        return load_config("own-times", [f"adversary.part=my_attack:{name}", *more])

    return config


def law_of(config):
    curves = training.train(config, config.law.path, lambda *_: None)
    return world_law(config, curves, None)


def test_the_attackers_have_its_law_beside_every_law(mine):
    assert len(ATTACK.splitlines()) < 30
    known = law_of(mine())
    laws = (known.law, *known.resamples, *known.extremes)
    assert len(laws) > 10
    assert len(known.adversaries) == len(laws)
    for own, other in zip(laws, known.adversaries, strict=True):
        assert mean(other) == pytest.approx(mean(own) / 2, rel=1e-9)
    net = network_of(mine(), known.law, known)
    assert net.adversary is known.adversaries[0]
    nobody = law_of(mine("stolen", "network.beta=0.0"))
    assert nobody.adversaries == ()


def test_what_is_no_attack_is_told(mine):
    for name, told in (
        ("broken", "must be ≥ 0 and never fall"),
        ("none", "must return a BlockTimeLaw"),
        ("missing", "my_attack has no missing"),
    ):
        with pytest.raises(ConfigError, match=told):
            law_of(mine(name))
    with pytest.raises(Refused, match=r"adversary.attack = selfish"):
        law_of(mine("stolen", "adversary.attack=selfish"))
    with pytest.raises(Refused, match=r"adversary.part = my_attack:stolen"):
        require_equal_provers(mine(), "risk")
    with pytest.raises(Refused, match="my_attack:stolen: the corrupted provers have"):
        network_of(mine(), law_of(mine()).law)


def test_its_source_decides_its_name(mine, tmp_path):
    before = part_digest("my_attack:stolen", "adversary.part")
    assert str(training.own_data(mine())).endswith(before)
    (tmp_path / "my_attack.py").write_text(ATTACK + "\n# another\n")
    assert part_digest("my_attack:stolen", "adversary.part") != before


def test_a_function_is_an_attack_and_parties_say_who(mine):
    stolen = load_part("my_attack:stolen", "adversary.part")
    assert isinstance(stolen, OwnAttack)
    (law,) = attacked(stolen, [exponential(0.1, dead_time=5.0)], Party(4, 1, 10.0, 12))
    assert law.offset == 12
