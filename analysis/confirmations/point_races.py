"""The races of a design's points with all that is near them, many at a time.

Notation (``race/saddle_point.py``, ``race/coarse.py``)
    S, S_b      law of all runs, and of resample b
    θ_0, θ*     tilts of a race

Newton's steps serve the races of all points under all their laws. Rows are padded to
lengths that are each race's own, so that no point's numbers depend on the others'.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..block_time.law import BlockTimeLaw, Real
from ..block_time.mixtures import Mixtures, race_basis
from ..estimation.training_error import Basis
from ..race.atoms import Atoms, atoms_of, condensed, stacked, together
from ..race.coarse import CoarseRace, coarse_race
from ..race.saddle_point import Saddles, Walks, saddles

# Masses that a law has on the grid of times of the mixtures, at most.
_MASSES = 96


class PointRace(NamedTuple):
    """The race of a point, under its law and others.

    Attributes:
        law: Of all runs.
        alive: S of the law, of the slowest and the fastest beyond the horizon, of the
            mixture of all runs and of those of resamples.
        mixed: The mixtures.
        honest: n_h ≥ 1.
        adversarial: n_a > 0.
        delay: Δ, steps.
        basis: What the mean of the fastest of n_h rests on.
    """

    law: BlockTimeLaw
    alive: Float[np.ndarray, "laws times"]
    mixed: Mixtures
    honest: int
    adversarial: int
    delay: float
    basis: Basis


class SolvedRace(NamedTuple):
    """A race and what is near it.

    Attributes:
        race: The race.
        walks: Under the law of all runs, one row.
        centre: Its tilts.
        near: Those under every law of ``PointRace.alive``.
        grid: It on coarse grids; None where these do not serve.
        basis: What it rests on.
    """

    race: PointRace
    walks: Walks
    centre: Saddles
    near: Saddles
    grid: CoarseRace | None
    basis: Basis


def solved_races(
    races: Sequence[PointRace], risks: Sequence[Sequence[Real]]
) -> list[SolvedRace]:
    """Every race with its tilts and its grids.

    Args:
        races: The races.
        risks: ε of each for which its grids must serve.
    """
    sides = [
        (condensed(race.law, race.honest), condensed(race.law, race.adversarial))
        for race in races
    ]
    near, centres = _tilts(races, sides)
    found = []
    for race, side, rows, centre, some in zip(
        races, sides, near, centres, risks, strict=True
    ):
        theta = float(centre.theta_0[0])
        if not math.isfinite(theta):
            theta = float(np.nan_to_num(rows.theta_0[0]))
        basis = race_basis(race.mixed, race.honest, race.adversarial, theta, race.basis)
        walks = Walks(*side, race.delay)
        grid = coarse_race(walks, centre, some)
        found.append(SolvedRace(race, walks, centre, rows, grid, basis))
    return found


def without_delay(
    solved: Sequence[SolvedRace], risks: Sequence[Sequence[Real]]
) -> list[SolvedRace]:
    """The same races where messages take no time."""
    races = [each.race._replace(delay=0.0) for each in solved]
    sides = [(each.walks.public, each.walks.private) for each in solved]
    near, centres = _tilts(races, sides)
    found = []
    for each, race, rows, centre, some in zip(
        solved, races, near, centres, risks, strict=True
    ):
        walks = each.walks._replace(delay=0.0)
        grid = coarse_race(walks, centre, some)
        found.append(SolvedRace(race, walks, centre, rows, grid, each.basis))
    return found


def _tilts(
    races: Sequence[PointRace], sides: Sequence[tuple[Atoms, Atoms]]
) -> tuple[list[Saddles], list[Saddles]]:
    """Tilts under every law near each race, and under that of all runs."""
    if not races:
        return [], []
    ends = np.cumsum([0, *(len(race.alive) for race in races)]).tolist()
    groups = [(race.honest, race.adversarial) for race in races]
    public, private = (
        together(
            [
                atoms_of(race.alive, race.mixed.times, group[side])
                for race, group in zip(races, groups, strict=True)
            ],
            _MASSES,
        )
        for side in range(2)
    )
    delays = np.repeat([race.delay for race in races], np.diff(ends))
    whole = saddles(Walks(public, private, delays))
    near = [whole.at(range(a, b)) for a, b in pairwise(ends)]
    centres: dict[int, Saddles] = {}
    alike: dict[tuple[int, int], list[int]] = {}
    for place, (one, other) in enumerate(sides):
        alike.setdefault((_wide(one), _wide(other)), []).append(place)
    for wide, places in alike.items():
        public, private = (
            stacked([sides[place][side] for place in places], wide[side])
            for side in range(2)
        )
        delays = np.array([races[place].delay for place in places])
        walks = Walks(public, private, delays)
        # Each begins at the first of the laws that are near it.
        found = saddles(walks, whole.at([ends[place] for place in places]))
        for row, place in enumerate(places):
            centres[place] = found.at([row])
    return near, [centres[place] for place in range(len(races))]


def _wide(atoms: Atoms) -> int:
    """Atoms of a row, the next power of two."""
    return 1 << (atoms.log_mass.shape[1] - 1).bit_length()
