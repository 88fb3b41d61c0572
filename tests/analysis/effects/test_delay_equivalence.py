"""Saved and pooled work on shifted exponentials, where it is a delay exactly."""

import numpy as np
import pytest
from dpodl.analysis.attacks.situation import resampled
from dpodl.analysis.block_time.law import exponential, mean
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.effects.delay_equivalence import pooling, saving_as_delay, warm_laws
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.threshold import dead_time_threshold

from ..attack_settings import branches_of, setting_of

DEAD, RATE = 300.0, 0.002
# At p_2 = 1 only the dead time is left.
CERTAIN = 1e9


def known(dead_time: float, rate: float = RATE) -> UncertainLaw:
    law = exponential(rate, dead_time=dead_time)
    return UncertainLaw(law, (law, law))


def value(rows, quantity: str) -> float:
    return next(each.value for each in rows if each.quantity == quantity)


@pytest.mark.parametrize("left", [0.0, 0.4, 1.0])
def test_a_saving_is_an_extra_delay(left):
    warm = known(left * DEAD)
    dead = (known(DEAD, CERTAIN), known(left * DEAD, CERTAIN))
    rows = saving_as_delay(
        {0.1: known(DEAD)}, {0.1: warm}, dead, provers=20, adversarial=5, delay_steps=10
    )
    settings = {"rate": 20 * RATE, "delay": 10, "dead_time": DEAD}
    exact = dead_time_threshold(**settings, dead_ratio=left)
    assert value(rows, "threshold") == pytest.approx(exact, abs=1e-8)
    plain = dead_time_threshold(**settings)
    assert value(rows, "effect") == pytest.approx(plain - exact, abs=1e-8)
    for reading in ("mean", "fastest"):
        extra = value(rows, f"extra_delay_{reading}")
        assert extra == pytest.approx((1 - left) * DEAD, abs=1e-6)
        assert value(rows, f"difference_{reading}") == pytest.approx(0, abs=1e-7)
    assert all(each.se == pytest.approx(0) for each in rows)


def test_a_pool_on_one_machine_has_rho_1_over_s():
    rows = pooling(
        {0.1: known(DEAD)}, known(DEAD, CERTAIN),
        provers=20, adversarial=5, delay_steps=10,
    )  # fmt: skip
    # β*: D/s + 1/(sλ) = D + 1/λ_h + Δ with s = βn, and the same by its delay.
    beta = value(rows, "threshold")
    private = (DEAD + 1 / RATE) / (20 * beta)
    public = DEAD + 1 / (20 * RATE * (1 - beta)) + 10
    assert private == pytest.approx(public, rel=1e-8)
    again = dead_time_threshold(
        rate=20 * RATE, delay=10, dead_time=DEAD, dead_ratio=1 / (20 * beta)
    )
    assert beta == pytest.approx(again, abs=1e-8)
    for reading in ("mean", "fastest"):
        assert value(rows, f"difference_{reading}") == pytest.approx(0, abs=1e-7)
    units, machine = value(rows, "growth_units"), value(rows, "growth_machine")
    assert units == pytest.approx(1 / (DEAD + 1 / (5 * RATE)))
    assert machine == pytest.approx(5 / (DEAD + 1 / RATE))
    assert value(rows, "growth_ratio") == pytest.approx(machine / units)


def test_memoryless_provers_gain_nothing_from_pooling():
    rows = pooling(
        {0.1: known(0.0)}, known(0.0, CERTAIN),
        provers=20, adversarial=5, delay_steps=10,
    )  # fmt: skip
    assert value(rows, "growth_ratio") == pytest.approx(1.0)
    assert value(rows, "effect") == pytest.approx(0.0, abs=1e-8)


def test_one_prover_is_no_pool():
    with pytest.raises(Refused, match="no pool"):
        pooling({}, known(DEAD), provers=4, adversarial=1, delay_steps=1)


def test_real_branches_become_laws_with_their_resamples():
    # Every branch is a ticket from its second look on, fresh runs from the fourth.
    at = setting_of(mtx=branches_of([2] * 20, steps=60, correct=88))
    others = [resampled(at, seed) for seed in range(3)]
    fresh, warm = warm_laws(at, others, [1.0, 0.1])
    assert list(warm) == list(fresh) == [1.0, 0.1]
    assert all(len(x.resamples) == 3 for x in (*fresh.values(), *warm.values()))
    for p_2, mine in fresh.items():
        assert mean(warm[p_2].law) < mean(mine.law)
    # 20 steps of training and a mean pre-hash of 64 hashes at 100 a step.
    assert mean(warm[1.0].law) == pytest.approx(20.64, rel=1e-3)
    rows = saving_as_delay(
        fresh, warm, (fresh[1.0], warm[1.0]), provers=10, adversarial=2, delay_steps=5
    )
    assert all(r.value > 0 for r in rows if r.quantity == "effect")
    extra = value(rows, "extra_delay_mean")
    assert extra == pytest.approx(mean(fresh[1.0].law) - mean(warm[1.0].law))
    # What is branched from few runs rests on few, however many are fresh.
    assert at.mtx is not None
    assert warm[1.0].runs == len(np.unique(at.mtx.origins)) == 20
    for each in rows:
        own = fresh[each.at].basis(8, 2).runs
        assert each.runs_effective == pytest.approx(min(own, 20))
        assert bool(each.warning) == (min(own, 20) < 20)


def test_without_branches_a_saving_is_refused():
    with pytest.raises(Refused, match="below T_acc"):
        warm_laws(setting_of(), [], [1.0])
