"""Many provers: the game of slots against brute force, games solved elsewhere."""

import itertools
import math
from typing import Any

import nashpy
import numpy as np
import pytest
from dpodl.analysis.block_time.law import exponential, fastest_of, geometric, mean
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.incentives import equilibrium, shares, sharing, verifying
from dpodl.analysis.incentives.market import Prices
from dpodl.analysis.incentives.payoffs import (
    Payoffs,
    Welfare,
    compositions,
    near_honest,
    payoff_table,
)
from dpodl.analysis.incentives.slots import (
    DEVIATIONS,
    HONEST,
    Draws,
    GameLaws,
    GameRules,
    Policy,
    draw_slots,
    play,
)

from .test_one_deviator import STOPS

HOARD, FRESH, SKIP, PAD, GRIND, OUT = DEVIATIONS
PAD = PAD._replace(pads=20.0)
LAWS = GameLaws(
    exponential(0.004, dead_time=150),
    exponential(0.004, dead_time=60),
    exponential(0.005, dead_time=120),
)
REFERENCE = 90
PRICES = Prices(step=2e-4, verification=0.01)
RULES = GameRules(
    shares.share_curve([REFERENCE]),
    hashing=10.0,
    verification=15.0,
    invalid=0.2,
    delay=5.0,
    prices=PRICES,
    deposit=0.5,
)


def slots(provers: int, count: int = 4096, *, seed: int = 1, invalid=0.2) -> Draws:
    return draw_slots(
        seed, LAWS, provers=provers, slots=count, batches=32, invalid=invalid
    )


def slow_slot(draws: Draws, profile, slot: int) -> tuple[list[float], float]:
    """One slot, written out prover by prover: payoffs and time."""
    holder, invalid = int(draws.holder[slot]), bool(draws.invalid[slot])
    finish, steps, refers = [], [], []
    for i, each in enumerate(profile):
        available = profile[holder].mines and (profile[holder].shares or i == holder)
        warm = available and each.refers
        law = 1 if warm else 2 if each.grinds else 0
        start = 15.0 if each.verifies else 0.0
        took = float(draws.times[law, slot, i])
        seen = invalid and any(other.verifies for other in profile)
        lost = not each.mines or (seen and not each.verifies)
        finish.append(math.inf if lost else start + took + each.pads)
        steps.append(took + each.pads - 10.0)
        refers.append(warm)
    first = min(finish)
    winner = finish.index(first)
    paid = [0.0] * len(profile)
    own = 1.0
    if refers[winner]:
        own = steps[winner] / (steps[winner] + REFERENCE)
    paid[winner] += own
    paid[holder] += 1 - own
    for i, each in enumerate(profile):
        if each.mines and math.isinf(finish[i]) and steps[i] + 10.0 < first:
            paid[i] -= 0.5
        if each.mines:
            start = 15.0 if each.verifies else 0.0
            paid[i] -= 2e-4 * max(first - start, 0) + 0.01 * each.verifies
    return paid, first


def test_a_game_of_three_is_that_of_brute_force():
    """Every profile of three provers and three policies, slot by slot."""
    draws = slots(3, 256)
    policies = (HONEST, HOARD, SKIP)
    table = payoff_table(draws, RULES, policies)
    assert len(table.earned) == 10
    for profile in itertools.product(range(3), repeat=3):
        followed = sorted(profile)
        paid = np.mean(
            [
                slow_slot(draws, [policies[k] for k in followed], s)[0]
                for s in range(256)
            ],
            axis=0,
        )
        counts = tuple(profile.count(k) for k in range(3))
        for k in range(3):
            if counts[k]:
                mine = np.mean(
                    [p for p, f in zip(paid, followed, strict=True) if f == k]
                )
                assert table.mean(counts)[k] == pytest.approx(mine, abs=2e-3)


def test_what_is_played_adds_up():
    draws = slots(5, 512)
    free = RULES._replace(prices=Prices(), deposit=0.0)
    profile = [HONEST, HOARD, FRESH, SKIP, PAD]
    played = play(draws, free, profile)
    assert played.payoff.sum(axis=1) == pytest.approx(1.0)
    times = [slow_slot(draws, profile, s)[1] for s in range(512)]
    assert played.interval.mean() == pytest.approx(np.mean(times))
    assert ((played.useful > 0) & (played.useful < 1)).all()
    assert (played.stale >= 0).all()
    idle = play(draws, free, [OUT] * 5)
    assert (idle.payoff == 0).all()
    assert np.isinf(idle.interval).all()


def test_who_is_out_neither_earns_nor_pays():
    draws = slots(4, 1024)
    played = play(draws, RULES, [HONEST] * 3 + [OUT]).payoff.mean(axis=0)
    assert played[3] == 0
    alike = play(slots(3, 1024, seed=2), RULES, [HONEST] * 3).payoff.mean()
    # A slot in four has no model to share, so it takes longer.
    assert 0 < played[:3].mean() < alike


def test_all_profiles_are_played_on_the_same_draws():
    """The difference of two profiles is far less noisy than either."""
    draws = slots(20, 4096, invalid=0)
    rules = RULES._replace(invalid=0.0)
    one = play(draws, rules, [*[HONEST] * 19, SKIP]).payoff[:, -1]
    base = play(draws, rules, [HONEST] * 20).payoff[:, -1]
    assert (one - base).std() < 0.75 * np.hypot(one.std(), base.std())


@pytest.mark.parametrize("provers", [3, 12])
def test_gains_are_those_of_one_deviator(provers):
    """The engine's against quadrature, at six standard errors."""
    draws = slots(provers, 65_536, invalid=0)
    rules = GameRules(shares.share_curve([REFERENCE]), hashing=10.0, verification=15.0)
    table = payoff_table(
        draws, rules, (HONEST, HOARD, SKIP), profiles=near_honest(provers, 3)
    )
    found = equilibrium.honest_regret(table)
    one = sharing.sharing(
        LAWS.fresh, LAWS.warm, rules.share, provers=provers, hashing=10.0
    )
    # It holds the model in one slot of n; a slot pays 1/n.
    expected = {"hoard": one.hoard - one.publish}
    # Skipping: all have the warm law.
    wins = verifying.skipping_wins(LAWS.warm, provers=provers, verification=15)
    fair = 1 / provers
    own = 1 - one.reference
    expected["skip"] = (wins - fair) * own * provers
    for name, gain in expected.items():
        estimate = found.gains[(name,)]
        error = (estimate.high - estimate.low) / 4.5
        # What the winner's share makes of an earlier block is left out: 2 %.
        assert abs(estimate.value - gain) < 6 * error + 0.02 * abs(gain)
    assert found.epsilon.value == max(0, *(g.value for g in found.gains.values()))
    assert found.epsilon.low <= found.epsilon.value <= found.epsilon.high


def test_the_network_of_honest_provers_is_the_fastest_of_n():
    draws = slots(6, 16_384)
    rules = GameRules(shares.share_curve([REFERENCE]))
    played = play(draws, rules, [HONEST] * 6)
    assert played.interval.mean() == pytest.approx(
        mean(fastest_of(LAWS.warm, 6)), rel=0.02
    )


# ------------------------------------------------------------------ solved tables


def table_of(payoff, provers: int, count: int = 2) -> Payoffs:
    """A table from u(k, counts of all), without noise."""
    policies = tuple(Policy(f"p{k}") for k in range(count))
    earned = {
        counts: np.array(
            [[payoff(k, counts) if counts[k] else math.nan] * 12 for k in range(count)]
        )
        for counts in compositions(provers, count)
    }
    welfare = {
        counts: Welfare(1.0 + counts[-1], 1.0 / (1 + counts[-1]), 0.1 * counts[-1])
        for counts in earned
    }
    return Payoffs(policies, provers, earned, welfare)


def bimatrix(seed: int, count: int = 3):
    A = np.random.default_rng(seed).normal(size=(count, count))

    def payoff(k: int, counts) -> float:
        others = np.array(counts) - (np.arange(count) == k)
        return float(A[k] @ others)

    return A, table_of(payoff, 2, count)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(8))
def test_two_provers_are_a_bimatrix_game(seed):
    """Pure equilibria and rest points against nashpy's support enumeration."""
    A, table = bimatrix(seed)
    solved: Any = list(nashpy.Game(A, A.T).support_enumeration())
    pure = {
        tuple((x > 0.5).astype(int) + (y > 0.5).astype(int))
        for x, y in solved
        if max(x) > 1 - 1e-9 and max(y) > 1 - 1e-9
    }
    assert set(equilibrium.pure_equilibria(table)) == pure
    symmetric = [x for x, y in solved if np.allclose(x, y)]
    assert symmetric
    for mix in symmetric:
        fitness = equilibrium.crowd_payoffs(table, mix)
        assert fitness[mix > 1e-9] == pytest.approx(fitness.max(), abs=1e-9)
        assert equilibrium.crowd_payoffs(table, mix) == pytest.approx(A @ mix)


@pytest.mark.parametrize("seed", range(6))
def test_pure_equilibria_of_three_by_all_ordered_profiles(seed):
    values = np.random.default_rng(seed).normal(size=(3, 10))
    places = {counts: i for i, counts in enumerate(compositions(3, 3))}
    table = table_of(lambda k, counts: float(values[k, places[counts]]), 3, 3)

    def paid(profile, i):
        counts = tuple(profile.count(k) for k in range(3))
        return values[profile[i], places[counts]]

    stable = set()
    for profile in itertools.product(range(3), repeat=3):
        alternatives = [
            paid([*profile[:i], k, *profile[i + 1 :]], i) - paid(list(profile), i)
            for i in range(3)
            for k in range(3)
        ]
        if max(alternatives) <= 0:
            stable.add(tuple(profile.count(k) for k in range(3)))
    assert set(equilibrium.pure_equilibria(table)) == stable


def test_the_replicator_ends_where_hawks_and_doves_balance():
    # Value 1, cost 2: half hawks, in a crowd of any size.
    def payoff(k: int, counts) -> float:
        hawks, doves = np.array(counts) - (np.arange(2) == k)
        if k == 0:
            return float(-0.5 * hawks + doves) / 9
        return float(0.5 * doves) / 9

    table = table_of(payoff, 10)
    for start in (0.05, 0.9):
        path = equilibrium.replicate(table, [start, 1 - start])
        assert path[-1] == pytest.approx([0.5, 0.5], abs=1e-3)
        assert path.sum(axis=1) == pytest.approx(1)
    # A vertex rests.
    assert len(equilibrium.replicate(table, [1, 0])) <= 2


def test_regret_and_coalitions_of_a_table_by_hand():
    # Alone a deviator earns 1.5, two of them 3 each, all honest 1.
    def payoff(k: int, counts) -> float:
        return [1.0, 0.5 + counts[1] if counts[1] < 2 else 3.0][k]

    table = table_of(payoff, 5)
    alone = equilibrium.honest_regret(table)
    assert alone.epsilon.value == pytest.approx(0.5)
    assert alone.policies == ("p1",)
    pair = equilibrium.coalition_regret(table)
    assert pair.epsilon.value == pytest.approx(2.0)
    assert pair.policies == ("p1", "p1")
    anarchy = equilibrium.price_of_anarchy(table, [(0, 5), (4, 1)])
    assert anarchy == pytest.approx((6.0, 6.0, 0.5))


def test_games_say_what_they_cannot_do():
    table = table_of(lambda k, counts: -1.0, 3)
    with pytest.raises(Refused, match="honest income: it is"):
        equilibrium.honest_regret(table)
    few = table_of(lambda k, counts: 1.0, 3)
    few.earned[(3, 0)] = few.earned[(3, 0)][:, :4]
    few.earned[(2, 1)] = few.earned[(2, 1)][:, :4]
    with pytest.raises(Refused, match="regret: at least 10 batches of slots are"):
        equilibrium.honest_regret(few)
    with pytest.raises(Refused, match="incentives: a block may never come, since"):
        draw_slots(0, GameLaws(STOPS, LAWS.warm), provers=3)
    with pytest.raises(ValueError, match="lattice"):
        draw_slots(0, GameLaws(geometric(0.1), LAWS.warm), provers=3)
    with pytest.raises(ValueError, match="a multiple of batches"):
        draw_slots(0, LAWS, provers=3, slots=100)
    with pytest.raises(ValueError, match=r"invalid must be in \[0, 1\)"):
        draw_slots(0, LAWS, provers=3, invalid=1)
    draws = draw_slots(0, LAWS._replace(ground=None), provers=3, slots=64)
    with pytest.raises(ValueError, match="needs the law ground"):
        play(draws, RULES, [HONEST, HONEST, GRIND])
    with pytest.raises(ValueError, match="profile must have 3 policies"):
        play(draws, RULES, [HONEST])
    with pytest.raises(ValueError, match="at most 20000"):
        payoff_table(slots(40, 64), RULES, (HONEST, *DEVIATIONS))
    with pytest.raises(ValueError, match="a profile must have 2 counts of 3"):
        payoff_table(draws, RULES, (HONEST, HOARD), profiles=[(4, 0)])
    with pytest.raises(ValueError, match="profiles must have one"):
        equilibrium.price_of_anarchy(table, [])
    with pytest.raises(ValueError, match="mix must be shares"):
        equilibrium.crowd_payoffs(table, [0.5, 0.6])
