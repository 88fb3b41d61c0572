"""How far laws move a race by the saddle point, against a full grid for every law."""

import math

import numpy as np
import pytest
from dpodl.analysis.block_time.law import BlockTimeLaw, exponential, geometric
from dpodl.analysis.confirmations.resampled import nearby
from dpodl.analysis.race.fourier import answers
from dpodl.analysis.race.walk import race
from dpodl.analysis.simulation.levels import network

DEPTHS = [1, 3, 10, 20, 40, 80]
TARGETS = (1e-3, 1e-9, 2.0**-64)


def peaked(place: float, shape: float) -> BlockTimeLaw:
    """A Weibull law: a hazard that rises, as that of models which finish training."""
    times = np.linspace(0.0, 3.0, 3001)
    return BlockTimeLaw(
        offset=0.2 * place,
        spacing=place * float(times[1]),
        cumulative_hazard=times**shape,
        tail_hazard=shape * 3.0 ** (shape - 1) / place,
        lattice=False,
    )


# Around the first as resamples of two hundred runs are: some percent here or there.
PEAKED = [peaked(1000.0, 1.5)] + [
    peaked(1000.0 * scale, shape)
    for scale, shape in ((0.94, 1.45), (1.06, 1.55), (1.0, 1.4), (0.97, 1.6))
]
DEAD = [exponential(0.001, dead_time=d) for d in (100.0, 60.0, 90.0, 110.0, 150.0)]


@pytest.mark.parametrize("laws", [PEAKED, DEAD], ids=["peaked", "dead time"])
@pytest.mark.parametrize(
    ("provers", "beta", "delay"),
    [(20, 0.25, 2.0), (20, 0.25, 25.0), (10, 0.1, 60.0), (10, 0.4, 0.0)],
)
@pytest.mark.parametrize("ties_win", [True, False])
def test_laws_move_a_race_as_their_grids_say(laws, provers, beta, delay, ties_win):
    nets = [network(law, provers=provers, beta=beta, delay_steps=delay) for law in laws]
    near = nearby(nets, ties_win=ties_win)
    assert near is not None
    assert near.serves.all()
    own, *exact = [
        answers(race(each, ties_win=ties_win), DEPTHS, TARGETS) for each in nets
    ]
    found = near.logs(DEPTHS, own.logs.tolist())
    logs = np.array([each.logs for each in exact])
    # Of a shift, a part; of a spread of a tenth, a hundredth.
    assert np.abs(found - logs).max() < 0.01 + 0.06 * np.abs(logs - own.logs).max()
    for i, target in enumerate(TARGETS):
        depths = near.depths(target, own.safe[i])
        whole = np.array([each.safe[i] for each in exact])
        # Two depths are whole, up to a block each above the root.
        assert (np.abs(depths - whole) < 1.1 + 0.01 * whole).all()


def test_a_head_start_moves_as_its_grids_say():
    nets = [network(law, provers=20, beta=0.25, delay_steps=10.0) for law in PEAKED]
    near = nearby(nets, premined=True)
    assert near is not None
    own, *exact = [answers(race(n, premined=True), DEPTHS, TARGETS) for n in nets]
    logs = np.array([each.logs for each in exact])
    found = near.logs(DEPTHS, own.logs.tolist())
    assert np.abs(found - logs).max() < 0.01 + 0.1 * np.abs(logs - own.logs).max()
    for i, target in enumerate(TARGETS):
        whole = np.array([each.safe[i] for each in exact])
        depths = near.depths(target, own.safe[i])
        assert (np.abs(depths - whole) < 1.1 + 0.01 * whole).all()


def test_an_adversary_that_outgrows_under_some_laws():
    laws = [exponential(rate) for rate in (0.001, 0.0009, 0.0025)]
    nets = [network(law, provers=20, beta=0.4, delay_steps=30.0) for law in laws]
    near = nearby(nets)
    assert near is not None
    assert near.serves.all()
    own = answers(race(nets[0]), DEPTHS, TARGETS)
    assert math.isfinite(own.safe[0])
    logs = near.logs(DEPTHS, own.logs.tolist())
    assert (logs[0] < 0).all()
    assert (logs[1] == 0).all()
    depths = near.depths(1e-3, own.safe[0])
    assert math.isfinite(depths[0])
    assert depths[0] < own.safe[0]
    assert depths[1] == math.inf


def test_where_the_law_of_all_runs_outgrows_the_others_stand_alone():
    laws = [exponential(rate) for rate in (0.0025, 0.0009)]
    nets = [network(law, provers=20, beta=0.4, delay_steps=30.0) for law in laws]
    near = nearby(nets)
    assert near is not None
    exact = answers(race(nets[1]), DEPTHS, TARGETS)
    logs = near.logs(DEPTHS, [0.0] * len(DEPTHS))
    assert np.abs(logs[0] - exact.logs).max() < 0.1
    assert near.depths(1e-9, math.inf)[0] == pytest.approx(exact.safe[1], rel=0.02)


def test_lattice_laws_and_single_ones_are_left_to_the_grid():
    def of(law):
        return network(law, provers=10, beta=0.3, delay_steps=2.0)

    assert nearby([of(geometric(0.01)), of(geometric(0.011))]) is None
    assert nearby([of(exponential(0.001))]) is None
