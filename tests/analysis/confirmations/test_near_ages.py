"""Ages under laws that are near one that was sampled, against paths of their own."""

import jax
import pytest
from dpodl.analysis.block_time.law import exponential, geometric
from dpodl.analysis.confirmations.near_ages import near_ages
from dpodl.analysis.confirmations.rare_ages import safe_time, time_risk
from dpodl.analysis.race.walk import Race

KEY = jax.random.key(3)
# Scale of the public rate, dead time, and scale of the adversary's.
OTHERS = ((1.1, 1.0, 1.0), (0.9, 1.0, 1.1), (1.0, 1.3, 1.0))


def races(ties_win=True, premined=False):
    def one(rate, dead_time, share):
        public = exponential(0.7 * rate, dead_time=dead_time)
        private = exponential(0.3 * rate * share, dead_time=dead_time)
        return Race(public, private, 0.1, ties_win, premined)

    return [one(1.0, 1.0, 1.0), *(one(*other) for other in OTHERS)]


@pytest.mark.parametrize(("ties_win", "premined"), [(True, False), (False, True)])
def test_other_laws_have_the_ages_and_risks_of_their_own_paths(ties_win, premined):
    every = races(ties_win, premined)
    near = near_ages(every)
    sampled = [safe_time(KEY, race, [1e-6])[0].estimate.value for race in every]
    at = [time_risk(KEY, race, [100.0])[0].estimate.value for race in every]
    for other in range(1, len(every)):
        # The paths are good to .5 % of an age and to 3 % of a risk.
        assert near.safe_time(other, sampled[0]) == pytest.approx(
            sampled[other], rel=0.01
        )
        assert near.risk(100.0, other, at[0]) == pytest.approx(at[other], rel=0.08)


def test_a_law_near_itself_is_itself():
    near = near_ages(races()[:1] * 2)
    assert near.safe_time(1, 50.0) == pytest.approx(50.0)
    assert near.risk(50.0, 1, 0.01) == pytest.approx(0.01)


def test_what_the_saddle_point_does_not_serve_is_left_to_the_paths():
    first, *_ = races()
    lattice = Race(geometric(0.2), geometric(0.1), 0.0)
    outgrown = first._replace(adversary=exponential(2.0))
    for other in (lattice, outgrown):
        assert near_ages([first, other]).safe_time(1, 50.0) is None
        assert near_ages([first, other]).risk(50.0, 1, 0.01) is None
        assert near_ages([other, first]).safe_time(1, 50.0) is None
