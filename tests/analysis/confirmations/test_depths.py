"""Depths and thresholds of the deep race against closed forms."""

import math

import pytest
from dpodl.analysis.block_time.law import exponential, geometric, mean
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.bounds import races
from dpodl.analysis.confirmations.depths import (
    depth_threshold,
    safe_depths,
    threshold_estimate,
)
from dpodl.analysis.estimation.estimate import Refused
from dpodl.analysis.race.fourier import persistence
from dpodl.analysis.race.walk import race
from dpodl.analysis.simulation.levels import network
from scipy import stats

LAW = exponential(0.001)
TARGETS = (1e-3, 1e-9, 2.0**-40)


def networks(law):
    return network(law, provers=10, beta=0.3, delay_steps=0.0)


@pytest.mark.parametrize("premined", [False, True])
def test_depths_of_a_memoryless_law_are_the_closed_forms(premined):
    exact = races.premined_race if premined else races.private_race
    found = safe_depths(UncertainLaw(LAW), networks, targets=TARGETS, premined=premined)
    for measured, target in zip(found, TARGETS, strict=True):
        depth = int(measured.estimate.value)
        assert exact(0.3, depth) <= target < exact(0.3, depth - 1)
        assert measured.at == target
        assert measured.unit == "blocks"
        assert "no error" in measured.estimate.method
    assert {each.quantity for each in found} == {
        "safe_depth_premined" if premined else "safe_depth"
    }


def test_the_interval_is_the_spread_of_the_resampled_laws():
    told = []
    same = safe_depths(
        UncertainLaw(LAW, (LAW, LAW)),
        networks,
        targets=(1e-3,),
        progress=lambda *report: told.append(report),
    )[0].estimate
    assert same.low == same.value == same.high
    assert (same.count, told[-1]) == (2, (3, 3))
    dead = exponential(0.001, dead_time=800.0)
    wide = safe_depths(UncertainLaw(LAW, (LAW, dead)), networks, targets=(1e-3,))[
        0
    ].estimate
    other = safe_depths(UncertainLaw(dead), networks, targets=(1e-3,))[0].estimate.value
    # Two resamples have one degree of freedom; depths are spread on the log scale.
    reach = stats.t.ppf(0.975, 1) / math.sqrt(2)
    high = wide.value * math.exp(reach * abs(math.log(other / wide.value)))
    # A resample's depth is the saddle point's, which is not rounded: to a half percent.
    assert abs(math.log(wide.high / high)) < 0.005 * reach
    assert 1 <= wide.low < wide.value


def test_a_resample_without_a_safe_depth_leaves_no_upper_end():
    def by_law(law):
        beta = 0.3 if law is LAW else 0.6
        return network(law, provers=10, beta=beta, delay_steps=0.0)

    other = exponential(0.002)
    found = safe_depths(UncertainLaw(LAW, (LAW, LAW, other)), by_law, targets=(1e-3,))[
        0
    ].estimate
    assert found.high == math.inf
    assert found.count == 2
    with pytest.raises(Refused):
        safe_depths(UncertainLaw(other), by_law, targets=(1e-3,))


@pytest.mark.parametrize("premined", [False, True])
def test_at_the_threshold_the_depth_just_holds(premined):
    beta = depth_threshold(
        LAW, provers=10, delay_steps=0, depth=20, target=1e-3, premined=premined
    )
    exact = races.premined_race if premined else races.private_race
    assert exact(beta, 20) == pytest.approx(1e-3, rel=1e-3)


def test_the_threshold_is_the_root_of_any_law_and_falls_with_delay():
    law = exponential(0.001, dead_time=50.0)
    shares = []
    for delay in (0.0, 40.0):
        beta = depth_threshold(
            law, provers=12, delay_steps=delay, depth=15, target=1e-4
        )
        net = network(law, provers=12, beta=0.25, delay_steps=delay)
        net = net._replace(honest=12 * (1 - beta), adversarial=12 * beta)
        (risk,) = persistence(race(net), [15])
        assert risk.value == pytest.approx(1e-4, rel=1e-3)
        shares.append(beta)
    assert shares[1] < shares[0]


def test_what_cannot_be_is_refused():
    with pytest.raises(Refused, match="not known to hold 1e-12 for any share"):
        depth_threshold(LAW, provers=10, delay_steps=0, depth=1, target=1e-12)
    for target in (0.0, 1.0):
        with pytest.raises(ValueError, match="target"):
            depth_threshold(LAW, provers=10, delay_steps=0, depth=5, target=target)
    with pytest.raises(ValueError, match="provers"):
        depth_threshold(LAW, provers=1, delay_steps=0, depth=5, target=1e-3)


def test_shares_stay_shares():
    # One resample's is 0, one's large, one has none.
    laws = [exponential(rate) for rate in (1.0, 2.0, 3.0, 4.0)]
    shares = dict(zip(map(mean, laws), (0.01, 0.0, 0.4, math.nan), strict=True))

    def share(law):
        if math.isnan(shares[mean(law)]):
            raise Refused("none")
        return shares[mean(law)]

    low = threshold_estimate(UncertainLaw(laws[0], tuple(laws[1:])), share)
    assert low.value == 0.01
    assert low.low == 0.0
    assert low.count == 2
    assert "1 of 3 without" in low.method
    assert threshold_estimate(UncertainLaw(laws[0]), share).low == 0.01
    none = threshold_estimate(UncertainLaw(laws[3], tuple(laws[:3])), share)
    assert math.isnan(none.value)
    assert none.method == "refused: none"


def test_a_lattice_law_is_exact():
    law = geometric(0.01)
    found = safe_depths(UncertainLaw(law), networks, targets=(1e-3,))[0].estimate.value
    # One hash in a hundred is memoryless but for ties, which the adversary wins.
    assert races.private_race(0.3, int(found) - 2) > 1e-3
