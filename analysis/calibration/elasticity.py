"""Which parameter matters most: elasticities of a situation's figures.

Notation:
    η       d ln figure / d ln parameter, everything else kept    ``Elasticity``

Central differences over ±5 %, so that an elasticity of −2 means: 1 % more of the
parameter is 2 % less of the figure. The same resampled runs stand on both sides, and
their spread gives the interval. T_acc moves by its distance to 1, the training error
that is still allowed: 95 % and 96 % are close as shares, but a fifth apart in that. T_1
and the hash rate are one dial, unless a pre-hash takes about one hash.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..attacks.situation import Situation, plain
from ..estimation.estimate import Estimate, Refused
from .choice import Party, Terms, party_of
from .quantities import figures, joined, known_law, rests_on


class Elasticity(NamedTuple):
    """d ln figure / d ln parameter at a situation."""

    figure: str
    parameter: str
    estimate: Estimate


def elasticities(
    at: Situation,
    resamples: Sequence[Situation],
    terms: Terms,
    names: Sequence[str],
    *,
    step: float = 0.05,
) -> list[Elasticity]:
    """How much each figure changes with each parameter, all others kept.

    d ln figure / d ln parameter by central differences (one-sided at p = 1), with the
    same resampled runs on both sides.

    Args:
        at: The situation (``at_choice``).
        resamples: The same with resampled runs.
        terms: Risks, step rule, bytes.
        names: Figures.
        step: Change of ln parameter to either side.

    Returns:
        An elasticity for every name and parameter; NaN where it is not known.
    """
    basis = rests_on(at, known_law(at))
    found = []
    for parameter in _moved(at, party_of(at), 0.0):
        draws = [
            _slopes(one, terms, parameter, names, step) for one in (at, *resamples)
        ]
        for name in names:
            values = np.array([draw[name] for draw in draws[1:]])
            estimate = joined(draws[0][name], values, [], "linear", basis=basis)
            found.append(Elasticity(name, parameter, estimate))
    return found


def _moved(
    at: Situation, party: Party, change: float
) -> dict[str, tuple[Situation, Party, float]]:
    """Parameter → what it is when ln parameter changes, and the change itself."""
    factor, lottery = math.exp(change), at.lottery
    moved: dict[str, tuple[Situation, Party, float]] = {}

    def drawn(name: str, value: float, old: float) -> tuple[Situation, Party, float]:
        changed = at._replace(lottery=lottery._replace(**{name: value}))
        return changed, party, math.log(value / old)

    moved["T_1"] = drawn("p_1", min(1.0, lottery.p_1 * factor), lottery.p_1)
    moved["T_2"] = drawn("p_2", min(1.0, lottery.p_2 * factor), lottery.p_2)
    wrong = (1 - lottery.t_acc) * factor
    accuracy = at._replace(lottery=lottery._replace(t_acc=1 - wrong))
    if 0 < wrong < 1:
        moved["1 - T_acc"] = (accuracy, party, change)
    if at.s_min:
        # Only whole looks are different.
        looks = math.copysign(at.check_every, change) if change else 0
        least = max(1, int(at.s_min + looks))
        moved["S_min"] = (
            at._replace(s_min=least),
            party,
            math.log(least / at.s_min),
        )
    rate = lottery.hashes_per_step
    moved["hash rate"] = drawn("hashes_per_step", rate * factor, rate)
    sized = party._replace(
        honest=party.honest * factor, adversarial=party.adversarial * factor
    )
    moved["n"] = (at, sized, change)
    more = party.adversarial * (factor - 1)
    split = party._replace(
        honest=party.honest - more, adversarial=party.adversarial + more
    )
    moved["beta"] = (at, split, change)
    if party.delay:
        moved["delay"] = (at, party._replace(delay=party.delay * factor), change)
    return moved


def _slopes(
    at: Situation, terms: Terms, parameter: str, names, step
) -> dict[str, float]:
    sides, changes = [], []
    for change in (step, -step):
        one, party, actual = _moved(at, party_of(at), change)[parameter]
        try:
            sides.append(figures(one, plain(one).law, party, terms, warm=False))
        except (Refused, ValueError):  # e.g. less than one honest prover
            return dict.fromkeys(names, math.nan)
        changes.append(actual)
    run = changes[0] - changes[1]

    def slope(name: str) -> float:
        up, down = (side.get(name, math.nan) for side in sides)
        if not (0 < up < math.inf and 0 < down < math.inf and run):
            return math.nan
        return math.log(up / down) / run

    return {name: slope(name) for name in names}
