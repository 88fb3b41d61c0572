"""Thresholds under laws that are near one that was solved, against their own grids."""

import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.block_time.uncertain import UncertainLaw
from dpodl.analysis.confirmations import near_thresholds
from dpodl.analysis.confirmations.depths import depth_threshold
from dpodl.analysis.confirmations.near_thresholds import depth_thresholds

ASKED = {"provers": 20, "delay_steps": 4.0, "depth": 20, "target": 1e-3}


def uncertain(law, *others, adversaries=()):
    return UncertainLaw(law, others, adversaries=adversaries)


@pytest.mark.parametrize("premined", [False, True])
def test_other_laws_have_the_thresholds_of_their_own_grids(premined):
    first = exponential(1 / 800, dead_time=10.0)
    others = [
        exponential(rate, dead_time=dead_time)
        for rate, dead_time in ((1 / 500, 10.0), (1 / 800, 60.0))
    ]
    threshold = depth_thresholds(uncertain(first, *others), **ASKED, premined=premined)
    own = depth_threshold(first, **ASKED, premined=premined)
    assert threshold(first) == own
    for other in others:
        exact = depth_threshold(other, **ASKED, premined=premined)
        assert abs(exact - own) > 1e-3
        assert threshold(other) == pytest.approx(exact, abs=0.1 * abs(exact - own))


def test_laws_that_the_saddle_point_does_not_serve_have_grids_of_their_own(monkeypatch):
    asked = []

    def solved(law, **terms):
        asked.append(law)
        return 0.25

    monkeypatch.setattr(near_thresholds, "depth_threshold", solved)
    first, other = geometric(0.001), exponential(0.001)
    threshold = depth_thresholds(uncertain(first, other), **ASKED)
    assert [threshold(law) for law in (first, other)] == [0.25, 0.25]
    assert asked == [first, other]
    asked.clear()
    threshold = depth_thresholds(uncertain(other, first), **ASKED)
    assert [threshold(law) for law in (other, first)] == [0.25, 0.25]
    assert asked == [other, first]


def test_an_adversary_of_another_law_has_its_own_root():
    first, other = exponential(1 / 800), exponential(1 / 500, dead_time=10.0)
    faster = tuple(exponential(rate) for rate in (1 / 700, 1 / 450))
    law = uncertain(first, other, adversaries=faster)
    threshold = depth_thresholds(law, **ASKED, ties_win=False)
    exact = [
        depth_threshold(one, **ASKED, ties_win=False, adversary=mine)
        for one, mine in zip((first, other), faster, strict=True)
    ]
    assert threshold(first) == exact[0]
    assert threshold(other) == pytest.approx(exact[1], abs=2e-3)
    assert abs(exact[1] - exact[0]) > 1e-2
