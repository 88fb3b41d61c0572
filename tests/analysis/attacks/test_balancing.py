"""The balanced fork's chain against closed forms and a simulation."""

import math

import numpy as np
import pytest
from dpodl.analysis.attacks.balancing import Balance, balance
from dpodl.analysis.block_time.law import exponential, geometric


def lives(draw_late, draw_early, delay, levels, count=200_000, seed=1):
    rng = np.random.default_rng(seed)
    behind, alive, out = np.zeros(count), np.ones(count, bool), [1.0]
    for _ in range(levels):
        behind = np.abs(behind + draw_late(rng, count) - draw_early(rng, count))
        alive &= behind <= delay
        out.append(float(alive.mean()))
    return np.array(out)


@pytest.mark.parametrize("dead_time", [0.0, 300.0])
def test_exponential_laws_against_a_simulation(dead_time):
    # A dead time is the same on both branches: it cancels.
    law = exponential(1 / 400, dead_time=dead_time)
    found = balance(law, law, provers=16, adversarial=4, delay_steps=20.0)
    simulated = lives(
        lambda rng, n: rng.exponential(400 / 12, n),
        lambda rng, n: rng.exponential(400 / 8, n),
        20.0,
        5,
    )
    np.testing.assert_allclose(found.survival[:6], simulated, atol=4e-3)


def test_one_level_in_closed_form():
    # |L − F| ≤ Δ of Exp(a) and Exp(b): 1 − (b e^{−aΔ} + a e^{−bΔ})/(a + b).
    a, b, delay = 12 / 400, 8 / 400, 20.0
    law = exponential(1 / 400)
    found = balance(law, law, provers=16, adversarial=4, delay_steps=delay)
    exact = 1 - (b * math.exp(-a * delay) + a * math.exp(-b * delay)) / (a + b)
    assert found.survival[1] == pytest.approx(exact, rel=2e-3)


def test_more_corrupted_provers_or_delay_keep_it_longer():
    law = exponential(1 / 400)
    ratios = [
        balance(law, law, provers=16, adversarial=n, delay_steps=20.0).ratio
        for n in (0, 4, 16)
    ]
    assert ratios == sorted(ratios)
    ratios = [
        balance(law, law, provers=16, adversarial=4, delay_steps=d).ratio
        for d in (0.0, 1.0, 20.0, 200.0)
    ]
    assert ratios == sorted(ratios)
    assert ratios[0] == 0.0


def test_without_delay_only_ties_of_a_lattice_law_balance():
    law = geometric(0.5, trial=10.0)
    found = balance(law, law, provers=2, adversarial=0, delay_steps=0.0)
    # Two geometric draws are equal with probability p/(2 − p).
    assert found.ratio == pytest.approx(1 / 3, abs=3e-3)


def test_depths():
    found = Balance(0.5 ** np.arange(5.0), 0.5)
    assert [found.depth(x) for x in (0.5, 0.3, 1 / 16, 1 / 17, 2.0**-40)] == [
        1, 2, 4, 5, 40,
    ]  # fmt: skip
    assert Balance(np.ones(5), 1.0).depth(1e-3) == math.inf


def test_refusals():
    law = exponential(1.0)
    with pytest.raises(ValueError, match="provers"):
        balance(law, law, provers=1, adversarial=1, delay_steps=1.0)
    with pytest.raises(ValueError, match="delay_steps"):
        balance(law, law, provers=4, adversarial=1, delay_steps=-1.0)
