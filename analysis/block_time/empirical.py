"""From learning curves to the block-time law of a D-PoDL prover.

Notation (SLT23 §3.2):
    acc_i(t)    accuracy of run i at look t = e, 2e, ...     ``curves.accuracy``
    L_i(t)      1{acc_i(t) ≥ T_acc}: is the look a ticket?
    p_1, p_2    success probabilities of pre- and post-hash  ``lottery.p_1, .p_2``
    P           pre-hash time, Geometric(p_1) hashes
    K           training time from initM to the passing ticket
    c_i         cost of one step of run i, in units of time  ``step_costs``

Retry policies after a failed ticket:
    continue    X = P + K, Pr[K > t] = mean_i Π_{s ≤ t} (1 − p_2 L_i(s))
    restart     a new nonce and model each time: X = Σ (P_j + first passage_j), the
                number of attempts geometric with p_2
A run that has not reached T_acc after ``abandon_steps`` is given up for a new nonce
(another Σ term); without such a rule it stays *censored* and the law's mass beyond
the horizon is unknown.

The lottery is integrated out; only the training is sampled. Beyond the horizon a run
that has reached T_acc keeps drawing tickets, at a rate that all runs together say as a
function of the looks since the passage (``ticket_rates.py``, which also says what the
bracket of ``slowest`` and ``fastest`` is); what an attempt then comes to is in
``attempts.py``.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy import stats

from ...models.learning.curves import CurveSet
from ..estimation.estimate import Refused
from .attempts import (
    Late,
    Lottery,
    Shown,
    ending,
    later,
    shown_by,
)
from .damped import bracketed_laws
from .law import KNOTS, BlockTimeLaw, Real, fastest_of, mean
from .table import laws_of_runs
from .ticket_rates import Plateau

# Of the central mean: a wider bracket is no answer.
_WIDEST = 0.25
MAXIMUM_LOOKS = KNOTS // 2
_MINIMUM_REACHED = 5
# Share of the mean beyond the table, and difference of hazards, that do not matter.
_BEYOND, _DIFFER = 0.01, 0.05


class EmpiricalLaw(NamedTuple):
    """A law with what it rests on.

    Attributes:
        law: With the central plateau rates.
        slowest: With the slowest defensible behaviour beyond the horizon.
        fastest: With the fastest.
        runs: Training runs behind it.
        reached: Runs that reached T_acc within the horizon and before abandonment.
        known_until: Time beyond which runs are extrapolated; inf: none is.
        late_hazard: Of ending an attempt, per step, of the runs left at the horizon;
            0: none is left, or they never end.
    """

    law: BlockTimeLaw
    slowest: BlockTimeLaw
    fastest: BlockTimeLaw
    runs: int
    reached: int
    known_until: float
    late_hazard: float

    @property
    def extremes(self) -> tuple[BlockTimeLaw, BlockTimeLaw]:
        """The slowest and the fastest law beyond the horizon."""
        return self.slowest, self.fastest


@runtime_checkable
class Bracketed(Protocol):
    """A law with the laws of what may defensibly come beyond the horizon."""

    @property
    def law(self) -> BlockTimeLaw:
        """Of all runs."""
        ...

    @property
    def extremes(self) -> tuple[BlockTimeLaw, ...]:
        """The slowest and the fastest."""
        ...


def empirical_law(
    curves: CurveSet,
    lottery: Lottery,
    *,
    step_costs: np.ndarray | None = None,
    damped: bool = False,
) -> EmpiricalLaw:
    """The block-time law of one prover, from learning curves.

    Args:
        curves: Learning curves of independent runs.
        lottery: T_acc, p_1, p_2, hash rate, retry policy.
        step_costs: c_i, time of a step of run i; None: all 1, time in steps. One grid
            serves all runs: times are good to 8 horizons of the costliest over 8192.
        damped: Whether its tables are those of ``damped.bracketed_laws``, which take a
            third of the time: the same law to 1e-11.

    Returns:
        The law with its bracket and counts.

    Raises:
        ValueError: If a parameter is out of its range.
        Refused: If fewer than 5 runs reached T_acc before the horizon or abandonment;
            says what the runs did reach.

    Reference: SLT23 §3.2.
    """
    _check(lottery, curves)
    reached = _require_reached(curves, lottery.t_acc, lottery.abandon_steps)
    costs = run_costs(curves, step_costs)
    shown = shown_by(curves.accuracy, lottery, float(curves.steps[0]))
    check_every = float(curves.steps[0])
    late = later(shown, lottery, costs, "central")
    if damped:
        law, slowest, fastest = bracketed_laws(
            shown, costs, lottery, check_every, late=late
        )
    else:
        readings: tuple[Plateau, ...] = ("central", "slowest", "fastest")
        law, slowest, fastest = laws_of_runs(
            ((shown, costs, plateau) for plateau in readings), lottery, check_every
        )
    last = float(curves.steps[-1] * costs.min())
    return EmpiricalLaw(
        law=law,
        slowest=slowest,
        fastest=fastest,
        runs=len(reached),
        reached=int(reached.sum()),
        known_until=last if (shown.left > 0).any() else math.inf,
        late_hazard=_late_hazard(late, lottery) / check_every,
    )


def _late_hazard(late: Late, lottery: Lottery) -> float:
    """Chance that a run which is left ends at its next look, by what is left."""
    left = float(late.alive[:, 0].sum())
    if left == 0:
        return 0.0
    if late.alive.shape[1] > 1:
        return 1.0 - float(late.alive[:, 1].sum()) / left
    return ending(lottery) * float((late.left * late.rate).sum()) / left


def bootstrap_laws(
    seed: int,
    curves: CurveSet,
    lottery: Lottery,
    count: int,
    *,
    step_costs: np.ndarray | None = None,
) -> list[BlockTimeLaw]:
    """Laws of resampled training runs: the sampling error of the training.

    Runs are drawn with replacement, which carries the variance of everything that
    differs between runs. Where a look scored a sample of the training set, each drawn
    run's accuracies are also shifted by one normal error of that sample's
    standard deviation at T_acc, √(T_acc(1−T_acc)/m · (N−m)/(N−1)).

    Args:
        seed: Fixes the draws.
        curves: The curves to resample.
        lottery: As for ``empirical_law``.
        count: Number of laws.
        step_costs: As for ``empirical_law``.

    Raises:
        As ``empirical_law``.
    """
    _check(lottery, curves)
    _require_reached(curves, lottery.t_acc, lottery.abandon_steps)
    generator = np.random.default_rng(seed)
    runs = len(curves.initializations)
    noise = accuracy_error(curves, lottery.t_acc)
    costs = run_costs(curves, step_costs)
    check_every = float(curves.steps[0])
    start = shown_by(curves.accuracy, lottery, check_every).rates

    def samples() -> Iterator[tuple[Shown, np.ndarray, Plateau]]:
        for _ in range(count):
            drawn = generator.integers(runs, size=runs)
            shift = noise * generator.standard_normal((runs, 1))
            accuracy = curves.accuracy[drawn] + shift
            shown = shown_by(accuracy, lottery, check_every, start=start)
            yield shown, costs[drawn], "central"

    return laws_of_runs(samples(), lottery, check_every)


def accuracy_error(curves: CurveSet, accuracy: float) -> float:
    """Standard error of a look's accuracy: sampling m of N without replacement."""
    m, population = curves.eval_samples, curves.population
    if m >= population:
        return 0.0
    variance = accuracy * (1 - accuracy) / m
    return float(np.sqrt(variance * (population - m) / (population - 1)))


def first_passage(curves: CurveSet, t_acc: float):
    """Kaplan–Meier estimate of the steps to T_acc; runs below it are right-censored.

    Returns:
        ``scipy.stats.ecdf`` result: ``.sf.evaluate(t)``, ``.sf.confidence_interval()``.

    Raises:
        Refused: As ``empirical_law``.
    """
    above = curves.accuracy >= t_acc
    reached = _require_reached(curves, t_acc)
    steps = curves.steps[np.argmax(above, axis=1)].astype(float)
    horizon = np.full(int((~reached).sum()), float(curves.steps[-1]))
    return stats.ecdf(stats.CensoredData(steps[reached], right=horizon))


def interval_bracket(
    law: Bracketed, provers: int, *, means: Sequence[float] | None = None
) -> tuple[float, float]:
    """Mean time of the fastest of n under the two defensible extrapolations.

    Args:
        law: With its extremes.
        provers: n.
        means: Of the fastest of n under the law and under each of its extremes, where
            they are known already.

    Raises:
        Refused: If they differ by more than a quarter of the central mean: the runs
            are too short for this T_acc, T_2 and n; or as ``require_shape``.
    """
    if means is None:
        laws = (law.law, *law.extremes)
        means = [mean(fastest_of(one, provers)) for one in laws]
    low, high = min(means), max(means)
    require_shape(law.law, provers, mean_time=means[0])
    # Where a run may never end, high is infinite, and so may the centre be.
    if not (math.isfinite(high) and high - low <= _WIDEST * means[0]):
        raise Refused(
            f"mean block time of the fastest of {provers}: between {low:.4g} and "
            f"{high:.4g}, depending on what training does beyond the horizon; "
            "horizon_steps must be longer (or t_acc lower, t_2 larger, or a number of "
            "abandon_steps where it is never; of measured times: fewer cut off)"
        )
    return low, high


def require_shape(
    law: BlockTimeLaw, provers: Real, *, mean_time: float | None = None
) -> None:
    """Refuse a law whose tail decides, where the tail is not what the table ends with.

    Args:
        law: Block-time law of one prover.
        provers: n > 0, of the smaller group that races.
        mean_time: Of the fastest of n, where it is known already.

    Raises:
        Refused: If more than 1 % of the mean lies beyond the table, and the hazards
            differ by more than 5 %.
    """
    knots, hazard = np.asarray(law.cumulative_hazard), float(law.tail_hazard)
    if hazard <= 0:
        return
    beyond = math.exp(-provers * float(knots[-1])) / (provers * hazard)
    part = len(knots) // 8
    ends_with = float(knots[-1] - knots[-1 - part]) / (part * float(law.spacing))
    differ = abs(ends_with / hazard - 1)
    if mean_time is None:
        mean_time = mean(fastest_of(law, provers))
    if beyond > _BEYOND * mean_time and differ > _DIFFER:
        length = float(law.spacing) * (len(knots) - 1)
        raise Refused(
            f"the law: beyond {length:.4g} steps, where many blocks come, its hazard "
            "is not yet constant; horizon_steps must be longer, or t_1 or t_2 larger "
            "(of measured times: fewer cut off)"
        )


def run_costs(
    curves: CurveSet, step_costs: np.ndarray | None
) -> Float[np.ndarray, " runs"]:
    """c_i of each run; 1 where none are given."""
    runs = len(curves.initializations)
    if step_costs is None:
        return np.ones(runs)
    costs = np.asarray(step_costs, float)
    if costs.shape != (runs,) or not (costs > 0).all():
        raise ValueError(f"step_costs must be {runs} numbers > 0, got {step_costs}")
    return costs


def _require_reached(
    curves: CurveSet, t_acc: float, abandon_steps: int | None = None
) -> np.ndarray:
    accuracy, when = curves.accuracy, "within the horizon"
    if abandon_steps is not None:
        accuracy = accuracy[:, curves.steps <= abandon_steps]
        when = f"before abandon_steps = {abandon_steps}"
    best = accuracy.max(axis=1)
    reached = best >= t_acc
    _require_logged(curves, accuracy, t_acc)
    if reached.sum() < _MINIMUM_REACHED:
        half, tenth, top = np.quantile(best, [0.5, 0.9, 1.0])
        raise Refused(
            f"t_acc = {t_acc:g}: {int(reached.sum())} of {len(best)} runs reached it "
            f"{when}, at least {_MINIMUM_REACHED} are needed. Half of the "
            f"runs reached {half:.4f}, a tenth {tenth:.4f}, the best {top:.4f}: lower "
            "t_acc, train longer (horizon_steps, abandon_steps) or more models (runs), "
            "or choose a faster menu"
        )
    return reached


def _require_logged(curves: CurveSet, accuracy: np.ndarray, t_acc: float) -> None:
    """Refuse where it is not known what a run did after its log had ended."""
    if curves.logged is None:
        return
    looks = accuracy.shape[1]
    unknown = (curves.logged < looks) & (accuracy[:, -1] < t_acc)
    if unknown.any():
        run = int(np.argmax(unknown))
        spacing = int(curves.steps[0])
        raise Refused(
            f"t_acc = {t_acc:g}: {int(unknown.sum())} of {len(accuracy)} runs were "
            f"logged below it and end before {looks * spacing} steps (run {run} at "
            f"{int(curves.logged[run]) * spacing}): what they would have done is not "
            "known. Lower t_acc or horizon_steps, or say what stands for it: "
            "law.short_runs = hold (the last accuracy) or leave_out (the run)"
        )


def _check(lottery: Lottery, curves: CurveSet) -> None:
    for name in ("t_acc", "p_1", "p_2"):
        value = getattr(lottery, name)
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be in (0, 1], got {value}")
    if not 0 < lottery.hashes_per_step < math.inf:
        raise ValueError(
            f"hashes_per_step must be > 0 and finite, got {lottery.hashes_per_step}"
        )
    horizon, check_every = int(curves.steps[-1]), int(curves.steps[0])
    if len(curves.steps) > MAXIMUM_LOOKS:
        raise ValueError(
            f"a run may have at most {MAXIMUM_LOOKS} looks, so that its horizon fits "
            f"the law's table twice, got {len(curves.steps)}: raise check_every"
        )
    abandon = lottery.abandon_steps
    if abandon is not None and (
        not check_every <= abandon <= horizon or abandon % check_every
    ):
        raise ValueError(
            f"abandon_steps must be a multiple of check_every = {check_every} up to "
            f"the horizon = {horizon}, got {abandon}"
        )
    if lottery.retry not in ("continue", "restart"):
        raise ValueError(
            f"retry must be 'continue' or 'restart', got {lottery.retry!r}"
        )
