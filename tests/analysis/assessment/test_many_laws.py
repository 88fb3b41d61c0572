"""A network under several laws at once: bit by bit what it is under each alone."""

import jax
import pytest
from dpodl.analysis.assessment import many_laws
from dpodl.analysis.assessment.one_law import Plan, assess, level_engine
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.good_periods.windows import counted_on
from dpodl.analysis.simulation.levels import network

PLAN = Plan(
    levels=64,
    replicas=200,
    good_period_replicas=100,
    depths=(1, 3, 6),
    confirmations=3,
    windows=(2.0, 4.0),
    epsilon=0.5,
    round_steps=1.0,
    detail=False,
)
KEY = jax.random.key(3)
LAWS = [exponential(0.02), exponential(0.03, dead_time=5.0), exponential(0.01)]
ENDLESS = exponential(0.02)._replace(
    tail_hazard=0.0, cumulative_hazard=exponential(0.02).cumulative_hazard / 500
)


def of(law, delay=1.0, beta=0.2):
    return network(law, provers=10, beta=beta, delay_steps=delay)


def alone(law, net, plan):
    try:
        return assess(KEY, net._replace(law=law), plan)
    except Refused as refusal:
        return refusal


@pytest.mark.parametrize(
    ("laws", "net", "plan"),
    [
        (LAWS, of(LAWS[0]), PLAN),
        (LAWS[:1], of(LAWS[0], beta=0.0), PLAN),
        ([geometric(0.02), geometric(0.1)], of(LAWS[0], delay=3.0), PLAN),
        # More forks than slots, and more blocks than two a level.
        (LAWS, network(LAWS[0], provers=50, beta=0.2, delay_steps=6.0), PLAN),
        # No good periods, or no windows that fit; in one law and not in the other.
        (LAWS, of(LAWS[0]), PLAN._replace(round_steps=1e4)),
        (LAWS, of(LAWS[0]), PLAN._replace(windows=(25.0, 30.0), round_steps=4.0)),
        # What is left to ``assess``.
        ([LAWS[0], ENDLESS, LAWS[1]], of(LAWS[0]), PLAN),
        ([LAWS[0], geometric(0.02)], of(LAWS[0]), PLAN),
        (LAWS[:1], of(LAWS[0]), PLAN._replace(detail=True)),
        (LAWS[:1], of(LAWS[0]), PLAN._replace(replicas=2100)),
    ],
)
def test_each_law_has_the_numbers_that_it_has_alone(laws, net, plan):
    found = many_laws.assess_laws(KEY, net, many_laws.law_batch(laws), plan).outcomes
    assert len(found) == len(laws)
    for together, law in zip(found, laws, strict=True):
        assert repr(together) == repr(alone(law, net, plan))


def test_an_adversary_of_its_own_law_is_that_of_each_law_alone():
    laws, others = LAWS[:2], [exponential(0.05), exponential(0.06, dead_time=2.0)]
    found = many_laws.assess_laws(
        KEY,
        of(LAWS[0]),
        many_laws.law_batch(laws),
        PLAN,
        adversaries=many_laws.law_batch(others),
    ).outcomes
    for together, law, other in zip(found, laws, others, strict=True):
        net = of(law)._replace(adversary=other)
        assert repr(together) == repr(assess(KEY, net, PLAN))
        assert repr(together) != repr(assess(KEY, of(law), PLAN))


def test_windows_are_judged_by_what_the_protocol_counts_on():
    """An adversary eight times as fast has more blocks than any window allows."""
    plan = PLAN._replace(replicas=400, good_period_replicas=400, windows=(4.0,))
    net = of(LAWS[2])
    shares = {}
    for name, law in (("same", None), ("fast", exponential(0.08))):
        found = assess(KEY, net._replace(adversary=law), plan)
        (row,) = [m for m in found.measurements if m.quantity == "good_period"]
        shares[name] = row.estimate.value
    assert shares["fast"] < 0.1 < 0.4 < shares["same"]


def test_the_counted_rate_is_the_renewal_rate_of_honest_provers():
    found = assess(KEY, of(LAWS[1]), PLAN._replace(replicas=2000))
    rates = found.rates
    assert rates is not None
    net = of(LAWS[1])._replace(adversary=LAWS[0])
    counted = counted_on(rates, level_engine(net).following, 1.0)
    # Two corrupted provers: the rate is measured to 1 % or so.
    assert counted.z == pytest.approx(rates.z, rel=0.05)
    assert counted[:2] == rates[:2]
    following = level_engine(of(LAWS[1])).following
    assert counted_on(rates, following, 1.0) == rates


def test_a_law_that_may_never_end_is_refused_and_takes_no_other_with_it():
    laws = many_laws.law_batch([LAWS[0], ENDLESS])
    fine, refused = many_laws.assess_laws(KEY, of(LAWS[0]), laws, PLAN).outcomes
    assert isinstance(refused, Refused)
    assert not isinstance(fine, Refused)


def test_more_forks_than_are_followed_together_are_left_to_each_law(monkeypatch):
    net = network(LAWS[0], provers=50, beta=0.2, delay_steps=6.0)
    monkeypatch.setattr(many_laws, "_MOST_SLOTS", many_laws.SLOTS)
    asked = []

    def counted(*given):
        asked.append(given)
        return assess(*given)

    monkeypatch.setattr(many_laws, "assess", counted)
    many_laws.assess_laws(KEY, net, many_laws.law_batch(LAWS), PLAN)
    assert len(asked) == len(LAWS)


def test_replicas_may_start_wider():
    laws = many_laws.law_batch(LAWS)
    net = network(LAWS[0], provers=50, beta=0.2, delay_steps=6.0)
    found = many_laws.assess_laws(KEY, net, laws, PLAN)
    assert found.slots > many_laws.SLOTS
    again = many_laws.assess_laws(KEY, net, laws, PLAN, slots=found.slots)
    assert repr(again) == repr(found)


def test_other_laws_shares_and_delays_compile_nothing_again():
    def visit(beta, delay):
        laws = [law._replace(offset=law.offset + beta) for law in LAWS]
        net = of(LAWS[0], delay=delay, beta=beta)
        return many_laws.assess_laws(KEY, net, many_laws.law_batch(laws), PLAN)

    # Few forks, and so many that the lists of successes are longer.
    for delay in (0.0, 3.0):
        visit(0.2, delay)
    before = many_laws.compilations()
    for beta, delay in ((0.1, 0.1), (0.4, 0.2), (0.3, 3.0)):
        visit(beta, delay)
    assert many_laws.compilations() == before
