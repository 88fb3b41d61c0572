r"""A block-time law with what is uncertain of it, and numbers measured on it.

Notation
    X            block time of one prover under the law of all runs     ``law``
    X_b          under the law of the b-th resample of the runs         ``resamples``
    X_s, X_f     under the slowest and the fastest defensible behaviour
                 beyond the horizon                                     ``extremes``
    T            a number that a law fixes                              ``measured``

A number T is computed under each of these laws alike. How T(X_b), T(X_s) and T(X_f)
become an interval around T(X) is said in ``estimation/training_error.py`` and nowhere
else. Numbers of several laws (an honest prover's and a warm-started one's, two p_2)
belong together where the b-th resamples are of the same runs.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...models.learning.curves import CurveSet
from ..estimation.estimate import Estimate, Refused
from ..estimation.training_error import UNKNOWN, Basis, Scale, training_interval
from .effective_runs import RunLaws, network, run_laws
from .empirical import Lottery, bootstrap_laws, empirical_law, interval_bracket
from .law import BlockTimeLaw, Real

EXACT = "exact for the law"


class UncertainLaw(NamedTuple):
    """A prover's law, its resamples, and what they rest on.

    Attributes:
        law: Of all runs.
        resamples: Of resampled runs; for laws of the same runs in the same order.
        extremes: The slowest and the fastest law beyond the horizon; empty where they
            are not known.
        known_until: Time beyond which runs are extrapolated; inf: none is.
        runs: Training runs behind it.
        reached: Runs that reached T_acc within the horizon and before abandonment.
        late_hazard: As ``empirical.EmpiricalLaw``.
        by_run: The law given each run; None: what numbers rest on is not asked.
        adversaries: The corrupted provers' laws beside ``law``, ``resamples`` and
            ``extremes``; empty: they have the same.
    """

    law: BlockTimeLaw
    resamples: tuple[BlockTimeLaw, ...] = ()
    extremes: tuple[BlockTimeLaw, ...] = ()
    known_until: float = math.inf
    runs: int = 0
    reached: int = 0
    late_hazard: float = 0.0
    by_run: RunLaws | None = None
    adversaries: tuple[BlockTimeLaw, ...] = ()

    def against(self, law: BlockTimeLaw) -> BlockTimeLaw | None:
        """The corrupted provers' law beside one of these; None: the same one.

        Raises:
            ValueError: If it is none of ``law``, ``resamples`` and ``extremes``.
        """
        if not self.adversaries:
            return None
        mine = (self.law, *self.resamples, *self.extremes)
        for own, other in zip(mine, self.adversaries, strict=True):
            if own is law:
                return other
        raise ValueError("law must be one of this uncertain law's own")

    def basis(self, *groups: Real) -> Basis:
        """What numbers of a network rest on in which groups of so many provers race."""
        return UNKNOWN if self.by_run is None else network(self.by_run, *groups)

    def measured(
        self, figure: Callable[[BlockTimeLaw], float | Estimate], **others
    ) -> Estimate:
        """A number that the law fixes, with its interval: ``measured`` of this law."""
        return measured(figure, self, **others)


def uncertain_law(
    seed: int,
    curves: CurveSet,
    lottery: Lottery,
    resamples: int,
    *,
    step_costs: np.ndarray | None = None,
    by_run: bool = True,
    known_for: Sequence[int] = (),
) -> UncertainLaw:
    """The law of one prover, with laws of resampled runs and of each run.

    Args:
        seed: Fixes the resamples.
        curves: Learning curves of independent runs.
        lottery: T_acc, p_1, p_2, hash rate, retry policy.
        resamples: Number of resampled laws.
        step_costs: As ``empirical_law``.
        by_run: Whether the law given each run is computed.
        known_for: Numbers of provers whose fastest must be known.

    Raises:
        ValueError: If a parameter is out of its range.
        Refused: As ``empirical_law``, and as ``interval_bracket`` of ``known_for``.
    """
    found = empirical_law(curves, lottery, step_costs=step_costs)
    for provers in known_for:
        interval_bracket(found, provers)
    drawn = bootstrap_laws(seed, curves, lottery, resamples, step_costs=step_costs)
    each_run = None
    if by_run:
        each_run = run_laws(curves, lottery, found.law, step_costs=step_costs)
    return UncertainLaw(
        found.law,
        tuple(drawn),
        found.extremes,
        found.known_until,
        found.runs,
        found.reached,
        found.late_hazard,
        each_run,
    )


def measured(
    figure: Callable[..., float | Estimate],
    *laws: UncertainLaw,
    scale: Scale = "log",
    method: str = EXACT,
    basis: Basis = UNKNOWN,
    lacking: float | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Estimate:
    """A function of one law or of several of the same runs, with the runs' error.

    Args:
        figure: From the laws, in their order, to a number that is exact for them, or to
            an estimate with an error of its own.
        laws: Whose resamples go together.
        scale: Where the number is spread evenly.
        method: How an exact number was obtained.
        basis: What it rests on.
        lacking: Upper end where a resample or an extreme has no such number; None: it
            is left out.
        progress: Told how many laws are done.

    Returns:
        The number under the law of all runs; the interval is that of
        ``training_interval``. The count of an exact number is that of the resamples
        that have it.

    Raises:
        Refused: If the number is refused for the law of all runs.
    """
    progress(0)
    found = figure(*(each.law for each in laws))
    resamples = list(zip(*(each.resamples for each in laws), strict=True))
    # Where the bracket of one of the laws is not known, that of all is not.
    extremes = list(zip(*(each.extremes for each in laws), strict=False))
    values = []
    for done, others in enumerate([*resamples, *extremes]):
        progress(1 + done)
        values.append(_or_nan(figure, others))
    drawn, ends = values[: len(resamples)], values[len(resamples) :]
    if not isinstance(found, Estimate):
        value, count = float(found), sum(map(math.isfinite, drawn))
        found = Estimate(value, value, value, count, method)
    return training_interval(
        found, drawn, scale, basis=basis, extremes=ends, lacking=lacking
    )


def _or_nan(
    figure: Callable[..., float | Estimate], laws: Sequence[BlockTimeLaw]
) -> float:
    try:
        found = figure(*laws)
    except Refused:
        return math.nan
    return found.value if isinstance(found, Estimate) else float(found)
