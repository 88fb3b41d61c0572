r"""Points of a design, each with a law of its own, for ten milliseconds apiece.

Notation (``block_time/mixtures.py``, ``confirmations/quickly.py``)
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

Points that differ in the network alone share their law and its resamples.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Key

from ...models.learning.curves import CurveSet
from ..block_time.damped import table_moments
from ..block_time.empirical import (
    EmpiricalLaw,
    Lottery,
    empirical_law,
    interval_bracket,
)
from ..block_time.law import fastest_of, mean, survival
from ..block_time.mixtures import (
    Mixtures,
    bases,
    mean_and_cv as mixed_mean_and_cv,
    mixtures,
)
from ..confirmations.point_races import PointRace
from ..confirmations.quickly import Question, point_confirmations
from ..estimation.estimate import Estimate, Refused
from ..estimation.measurement import Measurement
from ..estimation.quantities import (
    BLOCK_TIME_CV,
    BLOCK_TIME_MEAN,
    CHAIN_GROWTH,
    PRIVATE_GROWTH,
    STALE_RATE,
)
from ..estimation.training_error import Basis, Scale, training_interval
from ..race.walk import TARGETS
from ..simulation.chain_rates import Case, ChainRates, chain_rates

FIGURES = ("block_times", "growth", "forks", "confirmations")
"""What can be asked for."""
_EXACT = "exact for the law"
# The chain is simulated where by its means the private one may be the faster.
_NEARLY = 0.95


class Point(NamedTuple):
    """A setting whose figures are asked for.

    Attributes:
        lottery: T_acc, p_1, p_2, hash rate, policies.
        honest: n_h ≥ 1.
        adversarial: n_a ≥ 0; 0: no race.
        delay: Δ, steps.
        targets: Risks for which confirmations are wanted; the verdict is on the first.
        asked: Depth whose verdict is asked for.
        lead: Whether the verdict is on the race with a head start.
    """

    lottery: Lottery
    honest: int
    adversarial: int
    delay: float
    targets: tuple[float, ...] = (1e-3, *TARGETS)
    asked: int = 40
    lead: bool = False


class Found(NamedTuple):
    """The figures of a point.

    Attributes:
        measurements: With their intervals.
        refusals: Why others are not there.
    """

    measurements: list[Measurement]
    refusals: list[str]


class _Laws:
    """What points with one lottery share: S, and what is near it.

    Attributes:
        law: The law with its extremes.
        mixed: Laws of resamples.
        others: S, S_s, S_f, the mixture of all runs, and those of resamples.
    """

    def __init__(self, seed, curves, lottery: Lottery, resamples: int, step_costs):
        law = empirical_law(curves, lottery, step_costs=step_costs, damped=True)
        self.law: EmpiricalLaw = law
        self.mixed: Mixtures = mixtures(
            seed, curves, lottery, law.law, resamples, step_costs=step_costs
        )
        rows = [survival(one, self.mixed.times) for one in self._three()]
        self.others: Float[np.ndarray, "laws times"] = np.concatenate(
            [np.stack([*rows, self.mixed.whole]), self.mixed.drawn]
        )
        self._times: dict[int, list[tuple[float, float]]] = {}
        self._bases: dict[int, tuple[Basis, Basis]] = {}

    def _three(self):
        return self.law.law, self.law.slowest, self.law.fastest

    def times(self, provers: int) -> list[tuple[float, float]]:
        """Mean and CV of the fastest of n under the law and its extremes."""
        if provers not in self._times:
            self._times[provers] = [
                table_moments(one, provers) for one in self._three()
            ]
        return self._times[provers]

    def bases(self, *groups: int) -> list[tuple[Basis, Basis]]:
        """What mean and CV of the fastest of n rest on, for each n > 0."""
        wanted = [n for n in dict.fromkeys(groups) if n > 0]
        new = [n for n in wanted if n not in self._bases]
        if new:
            self._bases |= dict(zip(new, bases(self.mixed, new), strict=True))
        return [self._bases[n] for n in wanted]


class _Known(NamedTuple):
    """A point before its chain is simulated."""

    point: Point
    laws: _Laws


def quick_figures(
    key: Key[Array, ""],
    seed: int,
    curves: CurveSet,
    points: Sequence[Point],
    resamples: int,
    *,
    figures: Collection[str] = FIGURES,
    step_costs: np.ndarray | None = None,
) -> list[Found | Refused]:
    """Law, growth, forks and confirmations of every point, with intervals.

    Args:
        key: Fixes the simulated draws, the same for all points.
        seed: Fixes the resamples, those of ``bootstrap_laws``.
        curves: Learning curves of all points.
        points: The points.
        resamples: B.
        figures: Some of ``FIGURES``; nothing is computed for the others.
        step_costs: As ``empirical_law``.

    Returns:
        ``block_time_mean`` and ``block_time_cv`` at 1 and n_h provers,
        ``chain_growth``, ``stale_rate``, and what ``point_confirmations`` finds, with
        ``private_growth`` where the private chain outgrows; or why the point's law is
        refused. No point's numbers depend on the points beside it.
    """
    shared: dict[Lottery, _Laws | Refused] = {}
    known: list[_Known | Refused] = []
    for point in points:
        if point.lottery not in shared:
            try:
                laws = _Laws(seed, curves, point.lottery, resamples, step_costs)
            except Refused as refusal:
                laws = refusal
            shared[point.lottery] = laws
        laws = shared[point.lottery]
        try:
            if isinstance(laws, Refused):
                raise laws
            means = [each[0] for each in laws.times(point.honest)]
            interval_bracket(laws.law, point.honest, means=means)
            known.append(_Known(point, laws))
        except Refused as refusal:
            known.append(refusal)
    simulated = {
        place: each
        for place, each in enumerate(known)
        if isinstance(each, _Known) and _needs_chain(each, figures)
    }
    cases = [_case(each) for each in simulated.values()]
    chains = dict(zip(simulated, chain_rates(key, cases), strict=True))
    found = {
        place: _found(each, chains.get(place), figures)
        for place, each in enumerate(known)
        if isinstance(each, _Known)
    }
    if "confirmations" in figures:
        _add_confirmations(known, found, chains)
    return [
        each if isinstance(each, Refused) else found[place]
        for place, each in enumerate(known)
    ]


def _needs_chain(known: _Known, figures: Collection[str]) -> bool:
    if "growth" in figures or "forks" in figures:
        return True
    if "confirmations" not in figures or not known.point.adversarial:
        return False
    public, private = (_means(known, n)[0] for n in _sides(known.point))
    return bool(public + known.point.delay > _NEARLY * private)


def _sides(point: Point) -> tuple[int, int]:
    return point.honest, point.adversarial


def _means(known: _Known, provers: int) -> Float[np.ndarray, " laws"]:
    """Of the fastest of n under all laws of a point, on the grid of the runs' times."""
    laws = known.laws
    return mixed_mean_and_cv(laws.others, laws.mixed.times, provers)[0]


def _case(known: _Known) -> Case:
    point = known.point
    (mean_time, _), *_ = known.laws.times(point.honest)
    return Case(known.laws.law.law, point.honest, point.delay, mean_time)


def _found(
    known: _Known, chain: ChainRates | Refused | None, figures: Collection[str]
) -> Found:
    measurements, refusals = [], []
    known.laws.bases(1, *_sides(known.point))  # together they cost half
    if "block_times" in figures:
        measurements += _law_figures(known)
    if isinstance(chain, Refused):
        refusals.append(str(chain))
        chain = None
    if chain is not None and "growth" in figures:
        measurements.append(_growth(known, chain))
    if chain is not None and "forks" in figures:
        measurements.append(_forks(known, chain))
    return Found(measurements, refusals)


def _law_figures(known: _Known) -> list[Measurement]:
    found, laws = [], known.laws
    for n in sorted({1, known.point.honest}):
        grid = mixed_mean_and_cv(laws.others[3:], laws.mixed.times, n)
        (based,) = laws.bases(n)
        for place, quantity in enumerate((BLOCK_TIME_MEAN, BLOCK_TIME_CV)):
            value, *ends = (each[place] for each in laws.times(n))
            estimate = training_interval(
                Estimate(value, value, value, len(grid[place]) - 1, _EXACT),
                value * grid[place][1:] / grid[place][0],
                "log",
                basis=based[place],
                extremes=[x for x in ends if not math.isnan(x)],
                lacking=math.inf,
            )
            unit = "steps" if quantity == BLOCK_TIME_MEAN else ""
            found.append(
                Measurement(
                    quantity, float(n), "provers", estimate, unit, basis=based[place]
                )
            )
    return found


def _intervals(known: _Known) -> Float[np.ndarray, " laws"]:
    """Mean interval of two levels under all laws, the finder Δ ahead."""
    alive, times = known.laws.others, known.laws.mixed.times
    before = _at(alive, times, times - known.point.delay)
    whole = alive * before ** (known.point.honest - 1)
    return np.asarray(np.trapezoid(whole, times))


def _growth(known: _Known, chain: ChainRates) -> Measurement:
    values = _moved(chain.growth.value, 1 / _intervals(known))
    return _measured(
        known, CHAIN_GROWTH, chain.growth, values, "log", "blocks per step"
    )


def _forks(known: _Known, chain: ChainRates) -> Measurement:
    alive, times = known.laws.others, known.laws.mixed.times
    n = float(known.point.honest)
    others = -np.diff(alive ** (n - 1), axis=-1)
    lost = alive - _at(alive, times, times + known.point.delay)
    forks = n * (others * (lost[:, 1:] + lost[:, :-1]) / 2).sum(axis=-1)
    # With one prover or without delay there are none, under no law.
    share = np.zeros(len(forks) - 2)
    if forks[0] > 0:
        share = _moved(chain.forks.value, forks)
    share = share / (1 + share)
    return _measured(known, STALE_RATE, chain.stale, share, "angle", "share")


def _measured(
    known: _Known,
    quantity: str,
    own: Estimate,
    values: Float[np.ndarray, " others"],
    scale: Scale,
    unit: str,
) -> Measurement:
    """A figure of the chain; of others the extremes come first."""
    basis = _least(known.laws.bases(*_sides(known.point)))
    estimate = training_interval(
        own, values[2:], scale, basis=basis, extremes=list(values[:2])
    )
    return Measurement(quantity, None, "", estimate, unit, basis=basis)


def _add_confirmations(
    known: Sequence[_Known | Refused],
    found: Mapping[int, Found],
    chains: Mapping[int, ChainRates | Refused],
) -> None:
    """Put the rows of all races into what is found."""
    questions = {}
    for place, each in enumerate(known):
        if isinstance(each, Refused) or not each.point.adversarial > 0:
            continue
        grown = _private_growth(each, chains.get(place))
        if grown is not None:
            found[place].measurements.append(grown)
        point, laws = each.point, each.laws
        ((basis, _),) = laws.bases(point.honest)
        race = PointRace(
            laws.law.law, laws.others, laws.mixed, *_sides(point), point.delay, basis
        )
        growth = None if grown is None else grown.estimate
        questions[place] = Question(
            race, point.targets, point.asked, point.lead, growth
        )
    answers = point_confirmations(list(questions.values()))
    for place, answer in zip(questions, answers, strict=True):
        if isinstance(answer, Refused):
            found[place].refusals.append(str(answer))
        else:
            found[place].measurements.extend(answer)


def _private_growth(
    known: _Known, chain: ChainRates | Refused | None
) -> Measurement | None:
    """The private chain's over the public one's, where it may be the faster one."""
    if not isinstance(chain, ChainRates):
        return None
    point, laws = known.point, known.laws
    intervals, others = _intervals(known), _means(known, point.adversarial)
    if intervals[0] <= _NEARLY * others[0]:
        return None
    private = mean(fastest_of(laws.law.law, point.adversarial))
    value, low, high = (each / private for each in chain.interval[:3])
    own = chain.interval._replace(value=value, low=low, high=high)
    moved = _moved(value, intervals / others)
    return _measured(known, PRIVATE_GROWTH, own, moved, "log", "")


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
