"""One deviator: contests, sharing, verifying, padding, identities, markets."""

import math

import numpy as np
import pytest
from dpodl.analysis.agreement.named_race import domination
from dpodl.analysis.block_time.law import (
    KNOTS,
    BlockTimeLaw,
    exponential,
    fastest_of,
    geometric,
    mean,
    quantile,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.incentives import (
    contest,
    market,
    padding,
    shares,
    sharing,
    verifying,
)
from dpodl.analysis.incentives.contest import Side, first_block
from dpodl.models.scheme.instances import DECAY_UNIT
from dpodl.models.scheme.records import RewardRule

from .laws import weibull

STOPS = BlockTimeLaw(np.minimum(np.arange(KNOTS) / 100.0, 0.1), 1.0, 0.0, 0.0, False)


def drawn(seed: int, law: BlockTimeLaw, *shape: int) -> np.ndarray:
    return quantile(law, np.random.default_rng(seed).random(shape))


# ------------------------------------------------------------------ contests


@pytest.mark.parametrize("lead", [0.0, 3.0, 40.0])
def test_a_head_start_of_memoryless_provers(lead):
    law = exponential(0.02, dead_time=100)
    won = first_block([Side(law), Side(law, 4, lead)])
    assert won[0] == pytest.approx(1 - math.exp(-0.02 * lead) * 0.8, abs=1e-9)
    assert won.sum() == pytest.approx(1, abs=1e-9)


def test_contests_of_any_laws_are_those_of_draws():
    cold, warm = weibull(300, 3.0), exponential(0.004, dead_time=50)
    sides = [Side(warm, 2, 30), Side(cold, 5)]
    won = first_block(sides)
    worth = first_block(sides, lambda t: t)
    rows = 200_000
    times = np.hstack([30 + drawn(1, warm, rows, 2), drawn(2, cold, rows, 5)])
    first, side = times.min(axis=1), times.argmin(axis=1) >= 2
    for place in (0, 1):
        here = side == place
        assert won[place] == pytest.approx(here.mean(), abs=0.005)
        assert worth[place] == pytest.approx((first * here).mean(), rel=0.01)


def test_the_first_of_alike_is_the_fastest():
    law = weibull(200, 2.0)
    found = contest.mean_first([Side(law, 7)])
    assert found == pytest.approx(mean(fastest_of(law, 7)), rel=1e-4)


def test_contests_say_what_they_cannot_do():
    law = exponential(0.1)
    with pytest.raises(ValueError, match="lattice"):
        first_block([Side(geometric(0.1))])
    with pytest.raises(ValueError, match="count and start must be"):
        first_block([Side(law, -1)])
    with pytest.raises(ValueError, match="for one side at least"):
        first_block([Side(law, 0)])
    with pytest.raises(Refused, match="incentives: the race may never end, since"):
        first_block([Side(STOPS, 2)])
    first_block([Side(STOPS, 2), Side(law)])


# ------------------------------------------------------------------ sharing


@pytest.mark.parametrize("own", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("provers", [3, 20])
def test_sharing_of_any_law_is_the_closed_form(provers, own):
    rate, reference = 0.002, 300.0
    cold = exponential(rate, dead_time=(1 + own) * reference)
    warm = exponential(rate, dead_time=own * reference)
    share = shares.share_curve([reference])
    found = sharing.sharing(cold, warm, share, provers=provers, slots=4)
    closed = sharing.memoryless_sharing(
        rate * reference, provers=provers, own=own, slots=4
    )
    for name in ("publish", "hoard", "reference", "alone"):
        assert getattr(found, name) == pytest.approx(getattr(closed, name), rel=2e-3)


@pytest.mark.parametrize("advantage", [0.2, 1.5])
def test_a_slot_played_by_hand(advantage):
    """Both incomes of one slot, by draws of every prover's lottery."""
    provers, rows = 5, 400_000
    lottery = np.random.default_rng(3).exponential(size=(rows, provers)) / advantage
    # S' = S_own = 1; prover 0 holds the model.
    together = 1 + lottery
    winner = together.argmin(axis=1)
    steps = together.min(axis=1)
    paid = 1 / (1 + steps) + np.where(winner == 0, steps / (1 + steps), 0.0)
    alone = together.copy()
    alone[:, 1:] += 1
    won = (alone.argmin(axis=1) == 0).mean()
    found = sharing.memoryless_sharing(advantage, provers=provers)
    assert found.publish == pytest.approx(paid.mean(), abs=0.003)
    assert found.hoard == pytest.approx(won, abs=0.003)
    pays = advantage < sharing.sharing_threshold(provers)
    assert pays == (paid.mean() > won)


def test_hoarding_over_several_slots_by_draws():
    """Keep the model for j slots, then publish: the best j is the recursion's."""
    found = sharing.memoryless_sharing(0.9, provers=10, slots=6)
    public = found.reference + (1 - found.reference) / 10
    generator = np.random.default_rng(4)

    def income(kept: int) -> float:
        first = generator.geometric(found.alone, size=200_000)
        used = first <= kept
        return np.where(used, 1 + (6 - first) * public, (6 - kept) * public).mean()

    incomes = [income(kept) for kept in range(7)]
    assert found.publish == pytest.approx(incomes[0])
    assert found.hoard == pytest.approx(max(incomes[1:]), rel=0.01)


def test_more_slots_make_sharing_pay():
    found = sharing.memoryless_sharing(1.2, provers=10, slots=8)
    assert sharing.hoarding_slots(found, 10, 8) == 8
    assert sharing.memoryless_sharing(0.3, provers=10, slots=8).gain < 0


def test_who_refers_to_nothing_wins_less_and_keeps_all():
    cold, warm = exponential(0.01, dead_time=200), exponential(0.01, dead_time=100)
    gain = sharing.fresh_gain(cold, warm, shares.share_curve([100]), provers=10)
    # e^{−π·9·100}: nine others are first for 100 steps.
    wins = math.exp(-9) / 10
    paid = 0.1 * sharing_own(warm)
    assert gain == pytest.approx(wins / paid - 1, abs=1e-4)


def sharing_own(warm: BlockTimeLaw) -> float:
    steps = drawn(5, fastest_of(warm, 10), 200_000)
    return float((steps / (steps + 100)).mean())


# ------------------------------------------------------------------ verifying


def test_skipping_verification_of_any_law_is_the_closed_form():
    law = exponential(0.01, dead_time=70)
    wins = verifying.skipping_wins(law, provers=20, verification=5)
    closed = verifying.memoryless_skipping_wins(20, 0.05)
    assert wins == pytest.approx(closed, abs=1e-9)


def test_skipping_by_draws_and_a_deposit():
    law, provers, ahead, invalid, deposit = weibull(300, 4.0), 8, 20.0, 0.1, 2.0
    wins = verifying.skipping_wins(law, provers=provers, verification=ahead)
    rows = 200_000
    times = drawn(6, law, rows, provers)
    times[:, 1:] += ahead
    first = times.argmin(axis=1) == 0
    bad = np.random.default_rng(7).random(rows) < invalid
    income = (first & ~bad).mean() - deposit * (first & bad).mean()
    gain = verifying.skipping_gain(
        wins, provers=provers, invalid=invalid, deposit=deposit
    )
    assert (1 + gain) / provers == pytest.approx(income, abs=0.004)
    threshold = verifying.invalid_threshold(wins, provers=provers, deposit=deposit)
    at = verifying.skipping_gain(
        wins, provers=provers, invalid=threshold, deposit=deposit
    )
    assert at == pytest.approx(0, abs=1e-12)


# ------------------------------------------------------------------ shares, padding


@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_the_share_by_steps_has_elasticity_1_less_r(steps):
    share = shares.share_curve([200])
    R = steps / (steps + 200)
    assert share(np.array([steps]))[0] == pytest.approx(R, abs=2e-3)
    up, down = (shares.own_share(1000 * steps * f, [200_000]) for f in (1.01, 0.99))
    slope = (math.log(up) - math.log(down)) / (math.log(1.01) - math.log(0.99))
    assert slope == pytest.approx(shares.elasticity(R), abs=1e-3)


def test_identities_gain_by_the_count_of_models_and_not_by_steps():
    gain = shares.self_reference_gain
    assert gain(300, [200], parts=3) == 0
    # 1/2 → 3/4.
    assert gain(300, [200], RewardRule("equal"), parts=3) == pytest.approx(0.5)
    assert gain(300, [200], RewardRule("own"), parts=3) == pytest.approx(0)
    # 300 : 100 → 100 + 50 + 25 : 25, of halves.
    half = RewardRule("decay", DECAY_UNIT // 2)
    assert gain(300, [200], half, parts=3) == pytest.approx((7 / 8) / (3 / 4) - 1)
    with pytest.raises(ValueError, match="parts must be from 1"):
        gain(2, [], parts=3)


def test_padding_by_draws():
    law, provers, extra = weibull(200, 3.0), 4, 25.0
    share = shares.share_curve([400])
    gain = padding.padding_gain(law, share, provers=provers, extra=extra)
    times = drawn(8, law, 400_000, provers)
    honest = np.where(times.argmin(axis=1) == 0, share(times.min(axis=1)), 0.0)
    times[:, 0] += extra
    padded = np.where(times.argmin(axis=1) == 0, share(times.min(axis=1)), 0.0)
    assert gain == pytest.approx(padded.mean() / honest.mean() - 1, abs=0.02)


@pytest.mark.parametrize(("hazard", "pays"), [(1e-4, True), (1e-2, False)])
def test_training_on_pays_where_nobody_hurries(hazard, pays):
    law = exponential(hazard, dead_time=500)
    share = shares.share_curve([50_000])
    steps = contest.mean_first([Side(law, 2)])
    R = steps / (steps + 50_000)
    assert padding.longer_pays(R, steps, provers=2, hazard=hazard) == pays
    gain = padding.padding_gain(law, share, provers=2, extra=10)
    assert (gain > 0) == pays


def test_cheap_steps_gain_what_the_share_gains():
    law = exponential(1e-3, dead_time=100)
    share = shares.share_curve([100])
    gain = padding.padding_gain(law, share, provers=5, cheaper=2.0)
    steps = drawn(9, fastest_of(law, 5), 300_000)
    expected = share(2 * steps).mean() / share(steps).mean() - 1
    assert gain == pytest.approx(expected, rel=0.01)
    own = shares.share_curve([100], RewardRule("own"))
    assert padding.padding_gain(law, own, provers=5, cheaper=2.0) == pytest.approx(0)


# ------------------------------------------------------------------ markets


@pytest.mark.parametrize("speed", [1.0, 1.5, 4.0])
def test_a_market_share_of_memoryless_provers(speed):
    law = exponential(0.01, dead_time=80)
    found = market.market_share(law, speed, 9)
    closed = market.memoryless_market_share(0.8, speed, 9)
    assert found == pytest.approx(closed, abs=2e-4)


def test_speed_takes_the_market_where_training_is_sure():
    lazy, sure = exponential(0.01), weibull(300, 20.0)
    # Memoryless: half of the blocks is for nine times the speed of each.
    assert market.takeover_speed(lazy, 9) == pytest.approx(9, rel=1e-3)
    assert market.takeover_speed(sure, 9) < 1.3
    elasticity = market.income_elasticity(lazy, 10)
    assert elasticity == pytest.approx(1 - 1 / 10, abs=1e-3)
    assert market.income_elasticity(sure, 10) > 5
    assert market.pooling_gain(lazy, 10, 2) == pytest.approx(0, abs=1e-6)
    assert market.pooling_gain(sure, 10, 2) > 1
    with pytest.raises(Refused, match="market: no speed up to"):
        market.takeover_speed(lazy, 9, share=1 - 1e-7)


def test_who_loses_leaves_the_greatest_loss_first():
    law = exponential(0.01)
    found = market.staying(law, [1, 1, 2, 4], [0.2, 0.05, 0.2, 0.3])
    # Shares 1/8 : 1/8 : 1/4 : 1/2; the first one loses .075 and leaves.
    assert found.stays == (False, True, True, True)
    assert found.shares == pytest.approx([0, 1 / 7, 2 / 7, 4 / 7], abs=1e-6)
    assert min(found.profits) >= 0
    assert market.free_entry(0.1, 100) == 10
    assert market.free_entry(0, 100) == 100


def test_no_set_of_equal_provers_is_larger_than_a_reward_feeds():
    law, cost = weibull(200, 3.0), 0.21
    found = market.staying(law, [1.0] * 9, [cost] * 9)
    assert sum(found.stays) == market.free_entry(cost, 9) == 4
    few = domination(law, [1.0] * 4)
    assert few.min() - cost >= 0 > 1 / 5 - cost


def test_costs_add_up():
    prices = market.Prices(step=1e-4, hash=1e-7, byte=1e-9, verification=0.01)
    cost = market.cost_of_interval(prices, interval=100, speed=2, hashes=1e5, kept=1e6)
    assert cost == pytest.approx(0.02 + 0.01 + 0.001 + 0.01)
    with pytest.raises(ValueError, match=r"prices\.step must be ≥ 0"):
        market.cost_of_interval(market.Prices(step=-1), interval=1)
