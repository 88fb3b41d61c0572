r"""Points of a design, each with a law of its own, for ten milliseconds apiece.

Notation (``block_time/mixtures.py``, ``race/saddle_point.py``)
    n_h, n_a    honest and corrupted provers
    Δ           message delay, steps
    S, S_b      law of all runs, and of resample b, as mixtures of the runs' laws
    S_s, S_f    the slowest and the fastest law beyond the horizon
    T           a figure

Every value is that of the library's own law: mean and CV from its table, growth and
forks simulated (``simulation/chain_rates.py``), confirmations by transforms
(``race/coarse.py``). The error of the training is found for all laws at once: T(S_b)
enters as T · t(S_b)/t(S), where t is

    mean, CV        of the fastest of n on the grid of times of the runs' laws
    growth          ∫ S(x) S(x − Δ)^{n_h−1} dx, the finder Δ ahead of all others
    forks           n_h ∫ (S(x) − S(x + Δ)) d(−S^{n_h−1}), all beginning together
    confirmations   the saddle point's

and the extremes likewise. A ratio of nearby laws is good to second order in what t
leaves out. docs/science/intervals.md says how the intervals cover.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Key

from ...models.learning.curves import CurveSet
from ..block_time.empirical import (
    EmpiricalLaw,
    Lottery,
    empirical_law,
    interval_bracket,
)
from ..block_time.law import (
    BlockTimeLaw,
    fastest_of,
    mean_and_cv,
    survival,
    until_ended,
)
from ..block_time.mixtures import (
    Mixtures,
    bases,
    mean_and_cv as mixed_mean_and_cv,
    mixtures,
    race_basis,
)
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    BLOCK_TIME_CV,
    BLOCK_TIME_MEAN,
    CHAIN_GROWTH,
    SAFE_DEPTH,
    SAFE_DEPTH_PREMINED,
    STALE_RATE,
)
from ..estimation.training_error import Basis, Scale, training_interval
from ..race.coarse import coarse_depths
from ..race.saddle_point import (
    Saddles,
    Walks,
    atoms_of,
    condensed,
    depth_estimate,
    depths_of,
    saddles,
)
from ..race.walk import OUTGROWS, Race
from ..simulation.chain_rates import Case, ChainRates, chain_rates

_EXACT, _GRID = "exact for the law", "grid of atoms, not rounded"
_SADDLE = "saddle point, not rounded"


class Point(NamedTuple):
    """A setting whose figures are asked for.

    Attributes:
        lottery: T_acc, p_1, p_2, hash rate, policies.
        honest: n_h ≥ 1.
        adversarial: n_a ≥ 0; 0: no race.
        delay: Δ, steps.
        targets: Risks for which confirmations are wanted.
        premined: Whether confirmations against a head start are wanted too.
    """

    lottery: Lottery
    honest: int
    adversarial: int
    delay: float
    targets: tuple[float, ...] = (1e-3, 1e-9)
    premined: bool = True


class Found(NamedTuple):
    """The figures of a point.

    Attributes:
        measurements: With their intervals.
        refusals: Why others are not there.
    """

    measurements: list[Measurement]
    refusals: list[str]


class _Known(NamedTuple):
    """What is known of a point before its chain is simulated.

    Attributes:
        point: The point.
        law: Its law.
        times: Mean and CV of the fastest of n under the law and its extremes, by n.
        mixed: Laws of resamples.
        others: S, S_s, S_f, the mixture of all runs, and those of resamples.
        bases: Of mean and CV, by number of provers.
    """

    point: Point
    law: EmpiricalLaw
    times: dict[int, list[tuple[float, float]]]
    mixed: Mixtures
    others: Float[np.ndarray, "laws times"]
    bases: dict[int, tuple[Basis, Basis]]


def quick_figures(
    key: Key[Array, ""],
    seed: int,
    curves: CurveSet,
    points: Sequence[Point],
    resamples: int,
    *,
    step_costs: np.ndarray | None = None,
) -> list[Found | Refused]:
    """Law, growth, forks and confirmations of every point, with intervals.

    Args:
        key: Fixes the simulated draws, the same for all points.
        seed: Fixes the resamples, those of ``bootstrap_laws``.
        curves: Learning curves of all points.
        points: The points.
        resamples: B.
        step_costs: As ``empirical_law``.

    Returns:
        ``block_time_mean`` and ``block_time_cv`` at 1 and n_h provers,
        ``chain_growth``, ``stale_rate``, and ``safe_depth`` (``safe_depth_premined``)
        at every target; or why the point's law is refused. No point's numbers depend
        on the points beside it.
    """
    known: list[_Known | Refused] = []
    for point in points:
        try:
            known.append(_known(seed, curves, point, resamples, step_costs))
        except Refused as refusal:
            known.append(refusal)
    cases = [_case(each) for each in known if isinstance(each, _Known)]
    chains = iter(chain_rates(key, cases))
    return [
        each if isinstance(each, Refused) else _found(each, next(chains))
        for each in known
    ]


def _known(seed, curves, point: Point, resamples: int, step_costs) -> _Known:
    law = empirical_law(curves, point.lottery, step_costs=step_costs, damped=True)
    three = (law.law, law.slowest, law.fastest)
    times = {
        n: [mean_and_cv(until_ended(fastest_of(one, n))) for one in three]
        for n in {1, point.honest}
    }
    means = [each[0] for each in times[point.honest]]
    interval_bracket(law, point.honest, means=means)
    mixed = mixtures(
        seed, curves, point.lottery, law.law, resamples, step_costs=step_costs
    )
    rows = [survival(one, mixed.times) for one in three]
    others = np.concatenate([np.stack([*rows, mixed.whole]), mixed.drawn])
    groups = sorted({1, point.honest, point.adversarial} - {0})
    found = dict(zip(groups, bases(mixed, groups), strict=True))
    return _Known(point, law, times, mixed, others, found)


def _case(known: _Known) -> Case:
    point = known.point
    (mean_time, _), *_ = known.times[point.honest]
    return Case(known.law.law, point.honest, point.delay, mean_time)


def _found(known: _Known, chain: ChainRates | Refused) -> Found:
    measurements, refusals = _law_figures(known), []
    if isinstance(chain, Refused):
        refusals.append(str(chain))
    else:
        measurements += _chain_figures(known, chain)
    if known.point.adversarial > 0:
        try:
            measurements += _confirmations(known)
        except Refused as refusal:
            refusals.append(str(refusal))
    return Found(measurements, refusals)


def _law_figures(known: _Known) -> list[Measurement]:
    found = []
    for n in sorted(known.times):
        grid = mixed_mean_and_cv(known.others[3:], known.mixed.times, n)
        for place, quantity in enumerate((BLOCK_TIME_MEAN, BLOCK_TIME_CV)):
            value, *ends = (each[place] for each in known.times[n])
            basis = known.bases[n][place]
            estimate = training_interval(
                Estimate(value, value, value, len(grid[place]) - 1, _EXACT),
                value * grid[place][1:] / grid[place][0],
                "log",
                basis=basis,
                extremes=[x for x in ends if not math.isnan(x)],
                lacking=math.inf,
            )
            unit = "steps" if quantity == BLOCK_TIME_MEAN else ""
            found.append(
                Measurement(quantity, float(n), "provers", estimate, unit, basis=basis)
            )
    return found


def _chain_figures(known: _Known, chain: ChainRates) -> list[Measurement]:
    point, times = known.point, known.mixed.times
    alive, n = known.others, float(point.honest)
    before = _at(alive, times, times - point.delay)
    interval = np.asarray(np.trapezoid(alive * before ** (n - 1), times))
    others = -np.diff(alive ** (n - 1), axis=-1)
    lost = alive - _at(alive, times, times + point.delay)
    forks = n * (others * (lost[:, 1:] + lost[:, :-1]) / 2).sum(axis=-1)
    basis = _least(known.bases[k] for k in {point.honest, point.adversarial} - {0})
    # With one prover or without delay there are none, under no law.
    share = np.zeros(len(forks) - 2)
    if forks[0] > 0:
        share = _moved(chain.forks.value, forks)
    growth = _moved(chain.growth.value, 1 / interval)
    kinds: tuple[tuple[str, Estimate, np.ndarray, Scale, str], ...] = (
        (CHAIN_GROWTH, chain.growth, growth, "log", "blocks per step"),
        (STALE_RATE, chain.stale, share / (1 + share), "angle", "share"),
    )
    found = []
    for quantity, own, values, scale, unit in kinds:
        estimate = training_interval(
            own, values[2:], scale, basis=basis, extremes=list(values[:2])
        )
        found.append(Measurement(quantity, None, "", estimate, unit, basis=basis))
    return found


def _confirmations(known: _Known) -> list[Measurement]:
    point, law = known.point, known.law.law
    walks, centre = _race(law, point)
    others = known.others
    rows = Walks(
        atoms_of(others, known.mixed.times, point.honest),
        atoms_of(others, known.mixed.times, point.adversarial),
        point.delay,
    )
    theta = float(centre.theta_0[0])
    each = saddles(rows, centre if math.isfinite(theta) else None)
    basis = race_basis(
        known.mixed,
        point.honest,
        point.adversarial,
        theta if math.isfinite(theta) else float(np.nan_to_num(each.theta_0[0])),
        known.bases[point.honest][0],
    )
    by_grid = coarse_depths(walks, centre, point.targets)
    found = []
    for quantity, premined in ((SAFE_DEPTH, False), (SAFE_DEPTH_PREMINED, True)):
        if premined and not point.premined:
            continue
        if by_grid is None:
            values, method = _one_by_one(law, point, premined)
        else:
            values, method = by_grid[premined], _GRID
        for target, value in zip(point.targets, values, strict=True):
            spread = _spread(depths_of(each, target, premined=premined), value)
            estimate = training_interval(
                Estimate(value, value, value, len(spread) - 2, method),
                spread[2:],
                "log",
                basis=basis,
                extremes=list(spread[:2]),
                lacking=math.inf,
            )
            low = max(estimate.low, 1.0)
            found.append(
                Measurement(
                    quantity,
                    target,
                    "target",
                    estimate._replace(low=min(low, value)),
                    "blocks",
                    basis=basis,
                )
            )
    return found


def _race(law: BlockTimeLaw, point: Point) -> tuple[Walks, Saddles]:
    walks = Walks(
        condensed(law, point.honest), condensed(law, point.adversarial), point.delay
    )
    return walks, saddles(walks)


def _one_by_one(
    law: BlockTimeLaw, point: Point, premined: bool
) -> tuple[list[float], str]:
    """Depths of a rare and slow tail, or near a threshold, where no coarse grid serves.

    Raises:
        Refused: As ``race.walk.tilts``.
    """
    knots = np.asarray(law.cumulative_hazard)
    whole = law._replace(cumulative_hazard=knots - knots[0])
    race = Race(
        fastest_of(whole, point.honest),
        fastest_of(whole, point.adversarial),
        point.delay,
        premined=premined,
    )
    values = [depth_estimate(race, target) for target in point.targets]
    return values, _SADDLE if math.isfinite(values[0]) else OUTGROWS


def _spread(
    depths: Float[np.ndarray, " laws"], value: float
) -> Float[np.ndarray, " others"]:
    """A depth under the extremes, then under the resamples.

    inf where the adversary outgrows; without a depth of all runs those of the grid are
    as good as there are.
    """
    depths = np.where(np.isnan(depths), math.inf, depths)
    if not math.isfinite(value) or not np.isfinite(depths[[0, 3]]).all():
        return depths[[1, 2, *range(4, len(depths))]]
    return _moved(value, depths)


def _moved(
    value: float, found: Float[np.ndarray, " laws"]
) -> Float[np.ndarray, " others"]:
    """T · t/t(S): of the extremes beside the table's S, of resamples beside theirs."""
    return value * np.concatenate([found[1:3] / found[0], found[4:] / found[3]])


def _at(
    alive: Float[np.ndarray, "laws times"],
    times: Float[np.ndarray, " times"],
    places: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "laws n"]:
    """S at other places of all laws; 1 before the first time, the last one's beyond."""
    right = np.clip(np.searchsorted(times, places, side="right"), 1, len(times) - 1)
    share = (places - times[right - 1]) / (times[right] - times[right - 1])
    share = np.clip(share, 0.0, 1.0)
    return alive[:, right - 1] * (1 - share) + alive[:, right] * share


def _least(found) -> Basis:
    """What a figure of a network rests on: the least of its groups' means and CVs."""
    each = [basis for pair in found for basis in pair]
    return Basis(min(b.runs for b in each), min(b.freedom for b in each))
