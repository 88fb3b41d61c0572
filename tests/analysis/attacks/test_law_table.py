"""The attack table of a law of which nothing else is known."""

import jax
import pytest
from dpodl.analysis.attacks.catalogue import BY_LAW, attack_builders, law_builders
from dpodl.analysis.attacks.rows import Effort
from dpodl.analysis.attacks.situation import law_situations, plain
from dpodl.analysis.attacks.table import attack_table
from dpodl.analysis.block_time.law import exponential
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races

TARGETS = (1e-3, 1e-9)
LAW = UncertainLaw(exponential(0.01), (exponential(0.008), exponential(0.011)), runs=50)
NETWORK = {"provers": 10, "delay_steps": 0.0, "round_steps": 20}


def table(beta: float, *names: str):
    at, *others = law_situations(LAW, beta=beta, **NETWORK)
    return attack_table(
        jax.random.key(0),
        at,
        others=others,
        targets=TARGETS,
        effort=Effort(resamples=0, replicas=0),
        only=names,
    )


@pytest.mark.parametrize("beta", [0.1, 0.3])
def test_races_of_an_exponential_law_are_the_closed_forms(beta):
    for row in table(beta, "private", "private, pre-mined"):
        exact = races.premined_race if "pre" in row.attack else races.private_race
        depths = [
            next(k for k in range(1, 500) if float(exact(beta, k)) <= target)
            for target in TARGETS
        ]
        assert [found.value for _, found in row.depths] == depths
        # The race of one law does not know how fast it is: resamples agree.
        assert [found.low for _, found in row.depths] == depths
        assert row.verdict == "holds"
        # Rates do: 8 and 11 in 10.
        assert row.attacker_rate is not None
        assert row.attacker_rate.value == pytest.approx(0.01 * 10 * beta)
        assert row.attacker_rate.low < row.attacker_rate.value < row.attacker_rate.high


def test_every_other_attack_says_what_is_not_known():
    rows = table(0.3, *attack_builders())
    refused = [row for row in rows if row.verdict == "refused"]
    assert {row.attack for row in rows} - {row.attack for row in refused} == set(BY_LAW)
    assert all("law of whole attempts" in row.reason for row in refused)
    grinding = [row for row in refused if row.attack.startswith("grind_")]
    assert len(grinding) == 4
    assert all("p_1 and p_2" in row.reason for row in grinding)
    assert all("models and checkpoints" in r.reason for r in refused[4:])
    stolen = [row for row in rows if row.attack == "relabel"]
    assert [row.verdict for row in stolen] == ["fails", "holds"]


def test_builders_and_situations_are_those_of_the_same_table():
    assert list(law_builders()) == list(attack_builders())
    at, *others = law_situations(LAW, beta=0.3, **NETWORK)
    assert (at.honest, at.adversarial) == (7, 3)
    assert plain(at).law is LAW.law
    assert [plain(each).law for each in others] == list(LAW.resamples)
    with pytest.raises(ValueError, match="whole number from 1 to 9"):
        law_situations(LAW, beta=0.25, **NETWORK)
