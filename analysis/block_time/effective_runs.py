r"""On how many training runs a figure rests.

Notation
    S_i(t)      Pr[X > t | the prover's first model is run i]      ``RunLaws.survival``
    S(t)        their mean
    U_i         influence of run i on a figure: how far it moves without the run
    w_i         how often run i is the model that counts
    n_eff       Kish's (Σw)²/Σw²

The fastest of n provers depends on the runs that are fast: run i wins with the weight
w_i = ∫ S^{n−1} dF_i, and a race in which the adversary must be lucky is played out
under the tilt e^{−θt}: w_i = ∫ S^{n−1} e^{−θt} dF_i. Leaving run i out turns S into
(N S − S_i)/(N − 1), which moves ln E[T] and ln CV[T] of T = fastest of n by −U_i; of a
tilted race only the derivative is needed,

    ln E[e^{∓θT}]   U_i ∝ ∫ n S^{n−1} e^{∓θt} (S_i − S) dt,

both up to a factor (models given up are replaced by ones of the same law) that no
count, no degrees of freedom and no skew depend on:

    runs     Kish's number of the w_i
    freedom  (ΣU²)²/ΣU⁴ − 1: few where few runs carry the spread
    skew     ΣU³ / (6 (ΣU²)^{3/2})

A CV moves with the squares of deviations, and even those of a normal quantity have a
Kish's number of N/3, kurtosis 15 and skew √8. N runs that show less lack their slow
ones by chance, and it is those samples whose CV is too small: of a CV ``runs`` is at
most N/3, freedom at most N/15 − 1, and the skew √8/(6 √N) where it is smaller.

Only what is seen counts: a run that ends at the horizon goes on like a fresh model, or,
where it was above T_acc at its last look, with a ticket at each further look.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ...models.learning.curves import CurveSet
from ..estimation.training_error import Basis
from .empirical import Lottery, run_costs
from .law import BlockTimeLaw, Real, quantile, survival

# Places in time; what is counted needs no more.
_TIMES, _MOST_LOOKS, _NODES = 192, 128, 12
# Of the square of a normal quantity.
_KURTOSIS, _SKEW = 15, math.sqrt(8)
_LEVELS = (np.arange(_NODES) + 0.5) / _NODES


class RunLaws(NamedTuple):
    """S_i of every run on one grid of times.

    Attributes:
        times: From 0, increasing.
        survival: S_i(t), one row a run.
    """

    times: Float[np.ndarray, " times"]
    survival: Float[np.ndarray, "runs times"]


def run_laws(
    curves: CurveSet,
    lottery: Lottery,
    law: BlockTimeLaw,
    *,
    step_costs: np.ndarray | None = None,
) -> RunLaws:
    """The block-time law given which run is the prover's first model.

    Args:
        curves: Learning curves.
        lottery: T_acc, p_1, p_2, hash rate, policies.
        law: Of all runs: what a fresh model after a failed one takes.
        step_costs: As ``empirical.empirical_law``.
    """
    times = times_of(law)
    costs = run_costs(curves, step_costs)
    return RunLaws(times, *first_models(curves, [lottery], law, times, costs).survival)


def times_of(law: BlockTimeLaw) -> Float[np.ndarray, " times"]:
    """Where the runs' laws are kept: from 0, to where the law has all but ended."""
    levels = -np.expm1(-np.geomspace(1e-4, 14.0, _TIMES))
    times = quantile(law, levels)
    return np.unique(np.concatenate([[0.0], times[np.isfinite(times)]]))


class FirstModels(NamedTuple):
    """S_i of runs under like lotteries, and when they make way for a fresh model.

    Attributes:
        survival: S_i(t), one array a lottery.
        fails: Chance that a model is given up, by the time it was trained.
        ends: That time, steps.
        hashed: Pre-hash times that stand for all of them, equally likely.
    """

    survival: list[Float[np.ndarray, "runs times"]]
    fails: Float[np.ndarray, " n"]
    ends: Float[np.ndarray, " n"]
    hashed: Float[np.ndarray, " nodes"]


def first_models(
    curves: CurveSet,
    lotteries: Sequence[Lottery],
    law: BlockTimeLaw,
    times: Float[np.ndarray, " times"],
    costs: Float[np.ndarray, " runs"],
) -> FirstModels:
    """S_i(t) of every run, for lotteries that differ in T_acc alone.

    Args:
        curves: Learning curves.
        lotteries: T_acc, p_1, p_2, hash rate, policies.
        law: As for ``run_laws``.
        times: t.
        costs: c_i.
    """
    every = [_ends(curves, each) for each in lotteries]
    lottery, looks = lotteries[0], every[0][0].shape[1]
    last = looks - _NODES
    # The last columns are what goes on beyond the horizon, a ticket at each look.
    late = np.ones(_NODES)
    if lottery.p_2 < 1:
        late = np.ceil(np.log1p(-_LEVELS) / math.log1p(-lottery.p_2))
    places = np.concatenate([np.arange(1, last + 1.0), last + late])
    every = [_coarser(wins, fails, places) for wins, fails in every]
    found = [np.empty((len(costs), len(times))) for _ in every]
    given_up, when = [], []
    for cost in np.unique(costs):
        mine = costs == cost
        ends = every[0][2] * float(curves.steps[0]) * cost
        ended = _prehashed(lottery, times, ends, None)
        failing = np.any([fails[mine].any(axis=0) for _, fails, _ in every], axis=0)
        again = None
        if failing.any():
            again = _prehashed(lottery, times, ends[failing], law)
        for values, (wins, fails, _) in zip(found, every, strict=True):
            values[mine] = wins[mine] @ ended
            if again is not None:
                values[mine] += fails[mine][:, failing] @ again
        lost = sum(fails[mine][:, failing].sum(axis=0) for _, fails, _ in every)
        given_up.append(lost / (len(costs) * len(every)))
        when.append(ends[failing])
    return FirstModels(
        found, np.concatenate(given_up), np.concatenate(when), _hashed(lottery)
    )


def fastest(runs: RunLaws, provers: Real) -> tuple[Basis, Basis]:
    """What mean and CV of the fastest of n rest on."""
    n = float(provers)
    count = len(runs.survival)
    weights = wins_of(runs, n, 0.0)
    alive = runs.survival.mean(axis=0)
    without = alive - _apart(runs, alive) / max(count - 1, 1)
    whole, left = (_log_moments(s**n, runs.times) for s in (alive, without))
    # A law without spread has no CV to be off: its logarithm stays where it is.
    moves = [one - each for one, each in zip(whole, left, strict=True)]
    return basis_of(weights, moves[0]), basis_of(weights, moves[1], squares=True)


def network(runs: RunLaws, *groups: Real) -> Basis:
    """What figures of a network rest on: the least of its groups' means and CVs.

    Which way a figure is skewed is not known here: no skew.

    Args:
        runs: Laws of the runs.
        groups: Provers of each group that races; those of 0 do not.
    """
    found = [each for n in groups if n > 0 for each in fastest(runs, n)]
    return Basis(min(each.runs for each in found), min(each.freedom for each in found))


def tilted(runs: RunLaws, honest: Real, adversarial: Real, theta: Real) -> Basis:
    """What the private race rests on, as it is played out under the tilt θ.

    Args:
        runs: Laws of the runs.
        honest: n_h > 0.
        adversarial: n_a > 0.
        theta: θ ≥ 0 per unit of time (``race.walk.tilts``).
    """
    parts = []
    for count, sign in ((float(adversarial), -1.0), (float(honest), 1.0)):
        with np.errstate(over="ignore"):
            tilt = np.exp(np.clip(sign * theta * runs.times, -700, 700))
        alive = runs.survival.mean(axis=0)
        total = 1 + sign * theta * _integral(tilt * alive**count, runs.times)
        inner = tilt * count * alive ** (count - 1)
        change = _integral(inner * _apart(runs, alive), runs.times)
        parts.append(sign * change / total)
    weights = wins_of(runs, float(adversarial), theta)
    own = basis_of(weights, parts[0] + parts[1])
    public = fastest(runs, honest)[0]
    return Basis(min(own.runs, public.runs), min(own.freedom, public.freedom))


def kish(weights: Float[np.ndarray, " runs"]) -> float:
    """Effective number (Σw)²/Σw² of weights ≥ 0; 0 where all are 0."""
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


def basis_of(
    weights: Float[np.ndarray, " runs"],
    influences: Float[np.ndarray, " runs"],
    *,
    squares: bool = False,
) -> Basis:
    """Runs, freedom and skew of a figure.

    Args:
        weights: w_i.
        influences: U_i, up to a factor and a constant.
        squares: Whether it moves with the squares of deviations, as a CV does.
    """
    influences = influences - influences.mean()
    second = float((influences**2).sum())
    if not second > 1e-24:
        # Runs that are all alike: nothing to be lopsided.
        return Basis(kish(weights), math.inf)
    fourth, third = float((influences**4).sum()), float((influences**3).sum())
    found = Basis(
        kish(weights),
        max(second**2 / fourth - 1, 1.0),
        third / (6 * second**1.5),
    )
    return _of_squares(found, len(influences)) if squares else found


def _of_squares(basis: Basis, count: int) -> Basis:
    """A basis that is no less lopsided than N squares of a normal quantity."""
    if math.isinf(basis.freedom):
        return basis
    least = _SKEW / (6 * math.sqrt(count))
    return basis._replace(
        runs=min(basis.runs, count / 3),
        freedom=min(basis.freedom, max(count / _KURTOSIS - 1, 1.0)),
        skew=basis.skew if abs(basis.skew) > least else least,
    )


def _apart(runs: RunLaws, alive: np.ndarray) -> np.ndarray:
    """S_i − S; rounding is no difference between runs."""
    apart = runs.survival - alive
    return np.where(np.abs(apart) < 1e-12, 0.0, apart)


def _log_moments(alive: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of mean and CV of laws, times on the last axis."""
    first = _integral(alive, times)
    variance = _integral(2 * times * alive, times) - first**2
    least = (1e-9 * first) ** 2
    mean = np.asarray(np.log(first))
    return mean, np.asarray(0.5 * np.log(np.maximum(variance, least)) - mean)


def wins_of(runs: RunLaws, n: float, theta: Real) -> Float[np.ndarray, " runs"]:
    """w_i of the fastest of n under the tilt e^{−θt}."""
    alive = runs.survival.mean(axis=0)
    middle = (runs.times[1:] + runs.times[:-1]) / 2
    others = ((alive[1:] + alive[:-1]) / 2) ** (n - 1) * np.exp(-theta * middle)
    # What is left at the end of the grid ends there.
    late = runs.survival[:, -1] * alive[-1] ** (n - 1)
    return -np.diff(runs.survival, axis=1) @ others + late * math.exp(
        -theta * runs.times[-1]
    )


def _integral(values: np.ndarray, times: np.ndarray):
    return np.trapezoid(values, times, axis=-1)


def _ends(curves: CurveSet, lottery: Lottery) -> tuple[np.ndarray, np.ndarray]:
    """Mass of every run's ends, look by look: with a block, and with a fresh model.

    The last columns are what is left at the horizon.
    """
    tickets = curves.accuracy >= lottery.t_acc
    looks = tickets.shape[1]
    given_up = looks
    if lottery.abandon_steps is not None:
        given_up = int(lottery.abandon_steps // int(curves.steps[0]))
    late = np.logical_not(tickets[:, :given_up].any(axis=1))
    tickets = tickets & ~late[:, None]
    restart = lottery.retry == "restart"
    ending, winning = (1.0, lottery.p_2) if restart else (lottery.p_2, 1.0)
    draw = ending * tickets
    spent = np.cumprod(1.0 - draw, axis=1)
    before = np.concatenate([np.ones((len(spent), 1)), spent[:, :-1]], axis=1)
    ends = before * draw
    beyond = np.zeros((len(ends), _NODES))
    fails = (1 - winning) * ends
    fails[late, given_up - 1] += 1.0
    goes_on = tickets[:, -1]
    beyond[goes_on] = spent[goes_on, -1:] / _NODES
    rest = ~goes_on & ~late
    fails[rest, looks - 1] += spent[rest, -1]
    wins = np.concatenate([winning * ends, beyond], axis=1)
    fails = np.concatenate([fails, np.zeros_like(beyond)], axis=1)
    return wins, fails


def _coarser(wins, fails, looks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring looks together where there are very many."""
    last = len(looks) - _NODES
    step = -(-last // _MOST_LOOKS)
    if step == 1:
        return wins, fails, looks
    starts = np.concatenate([np.arange(0, last, step), np.arange(last, len(looks))])
    mean = np.add.reduceat(looks, starts) / np.diff(np.append(starts, len(looks)))
    return (
        np.add.reduceat(wins, starts, axis=1),
        np.add.reduceat(fails, starts, axis=1),
        mean,
    )


def _prehashed(lottery: Lottery, times, ends, law: BlockTimeLaw | None) -> np.ndarray:
    """Pr[P + end (+ X) > t] for every end, one row each."""
    hashing = 1.0 / (lottery.p_1 * lottery.hashes_per_step)
    left = times[None, :] - ends[:, None]
    if law is None:
        # A prehash is one in very many: exponential.
        return np.where(left < 0, 1.0, np.exp(-np.maximum(left, 0.0) / hashing))
    place = left[..., None] - _hashed(lottery)
    grid = np.concatenate([[0.0], times])
    alive = np.concatenate([[1.0], survival(law, times)])
    return np.interp(place, grid, alive, left=1.0).mean(axis=-1)


def _hashed(lottery: Lottery) -> Float[np.ndarray, " nodes"]:
    """Pre-hash times, equally likely."""
    hashing = 1.0 / (lottery.p_1 * lottery.hashes_per_step)
    return -hashing * np.log1p(-_LEVELS)
