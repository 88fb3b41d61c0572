r"""Laws of resampled runs without a table each: mixtures of the runs' own laws.

Notation (``effective_runs.py``)
    S_i(t)      Pr[X > t | the prover's first model is run i]
    S(t)        their mean
    w_bi        share of run i in resample b, Σ_i w_bi = 1
    R           law of the time after which a model makes way for a fresh one
    σ           standard error of a look's accuracy          ``accuracy_error``

A resample changes which models come first, D_b = Σ_i w_bi S_i − S, and through them
every later one, for a fresh model is of the resample too:

    S_b − S = D_b + R ∗ (S_b − S),   so   S_b = S + (1 − R)^{−1} D_b

to first order in D_b. On the grid of times R is a lower triangular matrix: no model
makes way before it has begun. A row of a matrix product replaces a table, and the fit
of the ticket rates is not made again.

Where looks scored a sample of the training set, ``bootstrap_laws`` moves each drawn
run's accuracies by an error N(0, σ²) of its own. Here a drawn run is either its curve
moved up by σ or down by σ, by the sign of the very same draw: two rows a run, with the
mean and the variance of that error. What is not there is the error of what lies beyond
the horizon: a resample does not fit the ticket rates anew (``extremes`` bracket them).

Figures of a mixture are never given as such. They enter as ratios to the same figure
of S on the same grid (``assessment/quick.py``): an interval lies around the library's
own value.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from ...models.learning.curves import CurveSet
from ..estimation.training_error import Basis
from .effective_runs import (
    FirstModels,
    RunLaws,
    basis_of,
    first_models,
    times_of,
    wins_of,
)
from .empirical import Lottery, accuracy_error, run_costs
from .law import BlockTimeLaw, Real

# Times of making way that are kept apart; of the runs' times every second one does.
_WAYS, _EVERY = 16, 2
_FAR = 3.0


class Mixtures(NamedTuple):
    """Laws of resamples on one grid of times.

    Attributes:
        runs: S_i of every run.
        whole: S.
        drawn: S_b of every resample.
    """

    runs: RunLaws
    whole: Float[np.ndarray, " times"]
    drawn: Float[np.ndarray, "resamples times"]

    @property
    def times(self) -> Float[np.ndarray, " times"]:
        """Where the laws are kept."""
        return self.runs.times


@lru_cache(maxsize=8)
def shares(
    seed: int, runs: int, resamples: int, noisy: bool
) -> Float[np.ndarray, "resamples rows"]:
    """w_b of the resamples that ``bootstrap_laws`` draws with this seed.

    Args:
        seed: Fixes the draws.
        runs: N.
        resamples: B.
        noisy: Whether a run has two rows, its accuracies raised and lowered.
    """
    generator = np.random.default_rng(seed)
    found = np.zeros((resamples, 2 * runs if noisy else runs))
    for row in found:
        drawn = generator.integers(runs, size=runs)
        error = generator.standard_normal((runs, 1))[:, 0]
        place = drawn + runs * (error < 0) if noisy else drawn
        row += np.bincount(place, minlength=len(row)) / runs
    found.setflags(write=False)
    return found


def mixtures(
    seed: int,
    curves: CurveSet,
    lottery: Lottery,
    law: BlockTimeLaw,
    resamples: int,
    *,
    step_costs: np.ndarray | None = None,
) -> Mixtures:
    """The laws of resampled runs as mixtures.

    Args:
        seed: Fixes the resamples, which are those of ``bootstrap_laws``.
        curves: Learning curves.
        lottery: T_acc, p_1, p_2, hash rate, policies.
        law: Of all runs (``empirical_law``), which gives the grid of times.
        resamples: B.
        step_costs: As ``empirical_law``.
    """
    times, costs = times_of(law)[::_EVERY], run_costs(curves, step_costs)
    noise = accuracy_error(curves, lottery.t_acc)
    # A curve that is raised passes a T_acc that is lowered.
    moved_by = (-noise, noise) if noise > 0 else (0.0,)
    settings = [lottery._replace(t_acc=lottery.t_acc + by) for by in moved_by]
    found = first_models(curves, settings, law, times, costs)
    runs = np.mean(found.survival, axis=0)
    whole = runs.mean(axis=0)
    weights = shares(seed, len(costs), resamples, noise > 0)
    direct = weights @ np.concatenate(found.survival)
    change = direct - whole
    later = _with_later_models(found, times, change) - change
    # Far out S_b/S grows like e^{jc} with the models j that were given up; what is
    # linear in c would be negative there.
    base = np.maximum(direct, whole)
    share = np.clip(later / np.maximum(base, 1e-300), -_FAR, _FAR)
    drawn = np.clip(direct + base * np.expm1(share), 0.0, 1.0)
    return Mixtures(RunLaws(times, runs), whole, drawn)


def _with_later_models(
    found: FirstModels,
    times: Float[np.ndarray, " times"],
    first: Float[np.ndarray, "resamples times"],
) -> Float[np.ndarray, "resamples times"]:
    """(1 − R)^{−1} D."""
    if not found.fails.sum() > 1e-9 or len(first) == 0:
        return first
    order = np.argsort(found.ends)
    ends, fails = found.ends[order], found.fails[order]
    group = np.minimum(np.arange(len(ends)) * _WAYS // max(len(ends), _WAYS), _WAYS)
    mass = np.bincount(group, fails)
    kept = mass > 0
    place = np.bincount(group, fails * ends)[kept] / mass[kept]
    mass, count = mass[kept], len(times)
    # D at t − end − P, between the times around it; before 0 there is no difference.
    since = times[:, None, None] - place[:, None] - found.hashed
    right = np.clip(np.searchsorted(times, since, side="right"), 1, count - 1)
    span = times[right] - times[right - 1]
    share = np.clip((since - times[right - 1]) / span, 0.0, 1.0)
    weight = np.where(since < 0, 0.0, mass[:, None] / len(found.hashed))
    row = np.arange(count)[:, None, None] * count
    renewal = np.bincount(
        np.concatenate([(row + right - 1).ravel(), (row + right).ravel()]),
        np.concatenate([(weight * (1 - share)).ravel(), (weight * share).ravel()]),
        count * count,
    ).reshape(count, count)
    matrix = np.eye(count) - np.tril(renewal)
    return np.asarray(
        linalg.solve_triangular(matrix, first.T, lower=True, check_finite=False)
    ).T


def mean_and_cv(
    alive: Float[np.ndarray, "*laws times"],
    times: Float[np.ndarray, " times"],
    provers: Real,
) -> tuple[Float[np.ndarray, "*laws"], Float[np.ndarray, "*laws"]]:
    """E[T] and CV[T] of the fastest of n, T ~ S^n.

    Args:
        alive: S(t), one law a row.
        times: t.
        provers: n.
    """
    power = alive ** float(provers)
    first = np.trapezoid(power, times)
    second = np.trapezoid(2 * times * power, times)
    # What is left beyond the grid, under the hazard that it ends with, is in neither.
    variance = np.maximum(second - first**2, (1e-9 * first) ** 2)
    return np.asarray(first), np.asarray(np.sqrt(variance) / first)


def bases(mixed: Mixtures, groups: Sequence[Real]) -> list[tuple[Basis, Basis]]:
    """What mean and CV of the fastest of n rest on, by the figures' derivatives.

    ``effective_runs.fastest`` leaves every run out instead, which is the same to 1/N:

        ∂ ln E[T] ∝ ∫ n S^{n−1} (S_i − S) dt / E[T],
        ∂ ln CV[T] = (∂E[T²] − 2 E[T] ∂E[T]) / (2 Var[T]) − ∂ ln E[T].

    Args:
        mixed: Laws of the runs.
        groups: Each n.
    """
    times, alive = mixed.times, mixed.whole
    columns = []
    for n in map(float, groups):
        inner = n * alive ** (n - 1) * _widths(times)
        columns += [inner, 2 * times * inner, _losing(alive, n)]
    moves = (mixed.runs.survival - alive) @ np.stack(columns, axis=1)
    found = []
    for place, n in enumerate(map(float, groups)):
        by_first, by_second, wins = moves[:, 3 * place : 3 * place + 3].T
        power = alive**n
        first = float(np.trapezoid(power, times))
        second = float(np.trapezoid(2 * times * power, times))
        variance = max(second - first**2, (1e-9 * first) ** 2)
        of_mean = by_first / first
        of_cv = (by_second - 2 * first * by_first) / (2 * variance) - of_mean
        # Σ w_i of n provers is N/n: what S itself wins is 1/n.
        weights = np.maximum(wins + 1.0 / n, 0.0)
        found.append(
            (basis_of(weights, of_mean), basis_of(weights, of_cv, squares=True))
        )
    return found


def race_basis(
    mixed: Mixtures, honest: Real, adversarial: Real, theta: Real, public: Basis
) -> Basis:
    """What the private race rests on, as ``effective_runs.tilted`` has it.

    Args:
        mixed: Laws of the runs.
        honest: n_h > 0.
        adversarial: n_a > 0.
        theta: θ ≥ 0 per step.
        public: What the mean of the fastest of n_h rests on.
    """
    times, alive = mixed.times, mixed.whole
    columns = []
    for count, sign in ((float(adversarial), -1.0), (float(honest), 1.0)):
        tilt = np.exp(np.clip(sign * theta * times, -700, 700)) * _widths(times)
        total = 1 + sign * theta * float(tilt @ alive**count)
        columns.append(sign * tilt * count * alive ** (count - 1) / total)
    moves = (mixed.runs.survival - alive) @ np.sum(columns, axis=0)
    own = basis_of(wins_of(mixed.runs, float(adversarial), theta), moves)
    return Basis(min(own.runs, public.runs), min(own.freedom, public.freedom))


def _losing(alive: Float[np.ndarray, " times"], n: float) -> np.ndarray:
    """Weights by which −∫ S^{n−1} dS_i is a sum over S_i, the rest ending last."""
    others = ((alive[1:] + alive[:-1]) / 2) ** (n - 1)
    ends = np.append(others, alive[-1] ** (n - 1))
    return np.diff(ends, prepend=0.0)


def _widths(times: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
    """Weights of the trapezoidal rule."""
    step = np.diff(times)
    return (np.append(step, 0.0) + np.append(0.0, step)) / 2
