"""Informed provers: laws of rules by machines that follow them, what rules gain."""

import numpy as np
import pytest
from dpodl.analysis.adversary import Rule, best_rule, informed_gain, law_of_rule
from dpodl.analysis.block_time.attempts import Lottery
from dpodl.analysis.block_time.law import fastest_of, mean, survival
from dpodl.analysis.estimation.estimate import Refused

LOTTERY = Lottery(t_acc=0.9, p_1=0.01, p_2=0.3, hashes_per_step=4.0)


def curves(seed: int, runs: int = 60, looks: int = 40) -> np.ndarray:
    """Half of the runs learn fast; the slow ones show it at once."""
    generator = np.random.default_rng(seed)
    pace = np.where(np.arange(runs) % 2, 0.05, 0.15)
    pace = pace * generator.uniform(0.8, 1.2, runs)
    return 1 - np.exp(-pace[:, None] * np.arange(1, looks + 1))


def by_hand(generator, accuracy, rule: Rule, check_every: float) -> float:
    """Steps until one prover's block, look by look."""
    time = 0.0
    looks = accuracy.shape[1]
    while True:
        time += generator.geometric(LOTTERY.p_1) / LOTTERY.hashes_per_step
        run = accuracy[generator.integers(len(accuracy))]
        passed = False
        for look in range(1, 3 * looks + 1):
            time += check_every
            ticket = run[min(look, looks) - 1] >= LOTTERY.t_acc
            passed |= bool(ticket)
            if ticket and generator.random() < LOTTERY.p_2:
                return time
            slow = any(look == m and run[m - 1] < a for m, a in rule.checkpoints)
            if slow or (look == rule.last and not passed):
                break


@pytest.mark.parametrize(
    "rule", [Rule(40), Rule(20), Rule(40, ((5, 0.3), (12, 0.7)))], ids=str
)
def test_the_law_of_a_rule_is_that_of_a_prover_who_follows_it(rule):
    accuracy = curves(1)
    generator = np.random.default_rng(2)
    drawn = np.array([by_hand(generator, accuracy, rule, 10.0) for _ in range(2000)])
    law = law_of_rule(accuracy, LOTTERY, 10.0, rule)
    # The pre-hash ends on cells of half a look: 5 steps at most.
    error = 4 * drawn.std() / np.sqrt(len(drawn))
    assert mean(law) == pytest.approx(drawn.mean(), abs=error + 5)
    for x in np.quantile(drawn, [0.2, 0.5, 0.9]):
        late = survival(law, [x + 5.0])[0] - 0.05, survival(law, [x - 5.0])[0] + 0.05
        assert late[0] <= np.mean(drawn > x) <= late[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_seeing_pays_where_slow_runs_show_early(seed):
    accuracy = curves(seed)
    found = informed_gain(seed, accuracy, LOTTERY, check_every=10.0, provers=1)
    assert found.gain.low > 1
    assert found.seeing.high < found.blind.value
    assert all(rule.checkpoints for rule in found.rules)
    # The fast half alone would need about this: no rule can do better.
    fast = law_of_rule(accuracy[::2], LOTTERY, 10.0, Rule(40))
    assert found.seeing.value > mean(fast)
    # The laws are those on the runs that did not choose.
    valued = np.mean([mean(fastest_of(law, 1)) for law in found.laws])
    assert valued == pytest.approx(found.seeing.value)


def test_accuracy_that_says_nothing_gains_nothing_beyond_its_error():
    generator = np.random.default_rng(4)
    # A look is a ticket with one chance for all, whatever was seen before.
    accuracy = np.where(
        generator.random((60, 40)) < 0.2, 0.95, generator.uniform(0, 0.9, (60, 40))
    )
    found = informed_gain(0, accuracy, LOTTERY, check_every=10.0, provers=1)
    assert found.gain.low <= 1.01
    blind = best_rule(accuracy, LOTTERY, 10.0, 1, seeing=False)
    assert blind.checkpoints == ()


def test_too_few_runs_and_runs_that_never_get_there_are_refused():
    with pytest.raises(Refused, match="runs are needed to fit a rule and"):
        informed_gain(0, curves(1, runs=10), LOTTERY, check_every=10.0, provers=1)
    with pytest.raises(Refused, match="in a half of the runs hardly any reaches"):
        informed_gain(0, curves(1) * 0.5, LOTTERY, check_every=10.0, provers=1)
    with pytest.raises(ValueError, match=r"rule.last must lie in"):
        law_of_rule(curves(1), LOTTERY, 10.0, Rule(41))
    with pytest.raises(ValueError, match="checkpoints must lie in"):
        law_of_rule(curves(1), LOTTERY, 10.0, Rule(40, ((0, 0.5),)))
